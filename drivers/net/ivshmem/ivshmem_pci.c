/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The guest's front: QEMU's ivshmem-doorbell and ivshmem-plain.
 *
 * The device id means "memory", and others use it, too: a region without our magic is left alone in
 * silence, and this front never formats one. With our server and MSI-X the slot is the register
 * IVPOSITION; without either, IVPOSITION means nothing and the slot is the device argument port=N.
 *
 * With shm=PATH the memory comes from another mapping of the same region, the registers stay the
 * device's. The bus is not asked to map the BARs: they are mapped here, after PATH was.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bus_pci_driver.h>
#include <ethdev_pci.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_pci.h>

#include "ivshmem_devargs.h"
#include "ivshmem_estate.h"
#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"
#include "ivshmem_pci.h"
#include "ivshmem_regs.h"
#include "ivshmem_shm.h"

static const struct rte_pci_id ivshmem_pci_ids[] = {
	{
		RTE_CLASS_ANY_ID,
		IVSHMEM_PCI_VENDOR_ID,
		IVSHMEM_PCI_DEVICE_ID,
		IVSHMEM_PCI_SUBSYSTEM_VENDOR_ID,
		IVSHMEM_PCI_SUBSYSTEM_ID,
	},
	{ .vendor_id = 0 },
};

/* The mapping is the PCI bus's: it goes with the device. */
static void
ivshmem_pci_detach(struct ivshmem_transport *transport)
{
	RTE_SET_USED(transport);
}

static const struct ivshmem_transport_ops ivshmem_pci_ops = {
	.name = "pci",
	.ring = ivshmem_pci_ring,
	.listen = ivshmem_pci_listen,
	.unlisten = ivshmem_pci_unlisten,
	.mute = ivshmem_pci_mute,
	.detach = ivshmem_pci_detach,
};

static void
ivshmem_pci_detach_shm(struct ivshmem_transport *transport)
{
	munmap(transport->base, transport->len);
}

static const struct ivshmem_transport_ops ivshmem_pci_shm_ops = {
	.name = "shm",
	.ring = ivshmem_pci_ring,
	.listen = ivshmem_pci_listen,
	.unlisten = ivshmem_pci_unlisten,
	.mute = ivshmem_pci_mute,
	.detach = ivshmem_pci_detach_shm,
};

/* MSI-X vectors of the device; 0 = it has no interrupts. IVPOSITION does not tell. */
static uint32_t
ivshmem_pci_vectors(const struct rte_pci_device *device)
{
	uint16_t flags;
	off_t pos;

	pos = rte_pci_find_capability(device, RTE_PCI_CAP_ID_MSIX);
	if (pos <= 0 || rte_pci_read_config(device, &flags, sizeof(flags),
					    pos + RTE_PCI_MSIX_FLAGS) != sizeof(flags))
		return 0;
	return (rte_le_to_cpu_16(flags) & RTE_PCI_MSIX_FLAGS_QSIZE) + 1;
}

/*
 * Our id at the server. Through vfio it can be read wherever BAR0 is. uio maps whole pages, and EAL
 * takes the start of a page for that of the BAR: in a shared page that is another device's.
 */
static int
ivshmem_pci_position(const struct rte_pci_device *device, uint32_t *position)
{
	const uint64_t addr = device->mem_resource[IVSHMEM_BAR_REGS].phys_addr;

	if (device->kdrv != RTE_PCI_KDRV_VFIO && addr % sysconf(_SC_PAGESIZE) != 0) {
		IVSHMEM_LOG(ERR, "%s: BAR0 at 0x%" PRIx64 " does not start a page, and uio maps "
			    "whole pages: bind the device to vfio-pci", device->name, addr);
		return -ENOTSUP;
	}
	if (rte_pci_mmio_read(device, IVSHMEM_BAR_REGS, position, sizeof(*position),
			      IVSHMEM_REG_IVPOSITION) != sizeof(*position)) {
		IVSHMEM_LOG(ERR, "%s: register IVPOSITION cannot be read", device->name);
		return -EIO;
	}
	*position = rte_le_to_cpu_32(*position);
	return 0;
}

/* Which slot of the region is this VM's. */
static int
ivshmem_pci_slot(const struct rte_pci_device *device, uint32_t port,
		 struct ivshmem_transport *transport)
{
	const struct ivshmem_superblock_shm *super = transport->base;
	uint32_t position;
	int ret;

	if (ivshmem_load64(&super->server_epoch) == 0 || ivshmem_pci_vectors(device) == 0) {
		if (port == IVSHMEM_PORT_AUTO) {
			IVSHMEM_LOG(ERR, "%s: this region has no server that numbers its ports: "
				    "add port=N to the device (-a %s,port=0)", device->name,
				    device->name);
			return -EINVAL;
		}
		transport->slot = port;
		transport->kind = IVSHMEM_OWNER_BARE;
		return 0;
	}
	ret = ivshmem_pci_position(device, &position);
	if (ret != 0)
		return ret;
	if (port != IVSHMEM_PORT_AUTO && port != position) {
		IVSHMEM_LOG(ERR, "%s: port=%" PRIu32 ", but the server gave this device port %"
			    PRIu32 "; leave port= away", device->name, port, position);
		return -EINVAL;
	}
	transport->slot = position;
	transport->kind = IVSHMEM_OWNER_SERVER;
	transport->reach = ivshmem_pci_vectors(device);
	if (device->kdrv == RTE_PCI_KDRV_VFIO)	/* uio_pci_generic knows no MSI-X */
		transport->vectors = transport->reach;
	return 0;
}

/* Who names a mapping means this driver; other arguments may be meant for another one. */
static bool
ivshmem_pci_has_shm(const char *args)
{
	struct rte_kvargs *list = rte_kvargs_parse(args == NULL ? "" : args, NULL);
	const bool found = list != NULL && rte_kvargs_count(list, "shm") > 0;

	rte_kvargs_free(list);
	return found;
}

/* Map what shm= names, if it is there. The length of BAR2 is known before BAR2 is mapped. */
static int
ivshmem_pci_map_shm(const struct rte_pci_device *device, const char *args,
		    struct ivshmem_devargs *conf, struct ivshmem_shm *shm)
{
	struct ivshmem_fault fault;
	int ret;

	if (!ivshmem_pci_has_shm(args))
		return 0;
	ret = ivshmem_devargs_parse(device->name, args, IVSHMEM_FRONT_PCI, conf);
	if (ret != 0)
		return ret;
	ret = ivshmem_shm_map(shm, conf->shm, device->mem_resource[IVSHMEM_BAR_MEMORY].len,
			      &fault);
	if (ret != 0)
		IVSHMEM_LOG(ERR, "%s: shm=%s: %s", device->name, conf->shm, fault.text);
	return ret;
}

/* Whether the region in BAR2 is ours and shm= maps the same. 1 = not ours, in silence. */
static int
ivshmem_pci_check(const struct rte_pci_device *device, const char *args,
		  struct ivshmem_devargs *conf, const struct ivshmem_shm *shm)
{
	const struct rte_mem_resource *bar = &device->mem_resource[IVSHMEM_BAR_MEMORY];
	const bool is_ours = bar->addr != NULL && ivshmem_layout_is_ours(bar->addr, bar->len);
	struct ivshmem_fault fault;
	int ret;

	if (shm->base == NULL) {
		if (is_ours)
			return ivshmem_devargs_parse(device->name, args, IVSHMEM_FRONT_PCI, conf);
		IVSHMEM_LOG(DEBUG, "%s: no region of ours in BAR2 (%" PRIu64 " bytes)",
			    device->name, bar->len);
		return 1;
	}
	ret = is_ours ? ivshmem_shm_check(shm, bar->addr, &fault) :
		IVSHMEM_FAULT(&fault, -ENODEV, "no region of this format in BAR2 (%" PRIu64
			      " bytes), which it could be another mapping of", bar->len);
	if (ret == 0)
		IVSHMEM_LOG(INFO, "%s: memory through shm=%s", device->name, conf->shm);
	else
		IVSHMEM_LOG(ERR, "%s: shm=%s: %s", device->name, conf->shm, fault.text);
	return ret;
}

/* With the BARs mapped. Owns the mapping in "shm" from here on. */
static int
ivshmem_pci_attach(struct rte_eth_dev *eth_dev, const char *args, struct ivshmem_devargs *conf,
		   const struct ivshmem_shm *shm)
{
	struct rte_pci_device *device = RTE_ETH_DEV_TO_PCI(eth_dev);
	const struct rte_mem_resource *bar = &device->mem_resource[IVSHMEM_BAR_MEMORY];
	struct ivshmem_transport transport = {
		.ops = shm->base != NULL ? &ivshmem_pci_shm_ops : &ivshmem_pci_ops,
		.front = device,
		.base = shm->base != NULL ? shm->base : bar->addr,
		.len = bar->len,
		.wc = shm->base != NULL,
	};
	int ret;

	ret = ivshmem_pci_check(device, args, conf, shm);
	if (ret == 0)
		ret = ivshmem_pci_slot(device, conf->port, &transport);
	if (ret != 0) {
		transport.ops->detach(&transport);
		return ret;
	}
	ret = ivshmem_dev_create(eth_dev, &transport, conf);
	if (ret == 0)
		IVSHMEM_LOG(INFO, "%s: %" PRIu32 " interrupt vectors", device->name,
			    ivshmem_pci_vectors(device));
	return ret;
}

/* 1 = not ours. */
static int
ivshmem_pci_init(struct rte_eth_dev *eth_dev)
{
	struct rte_pci_device *device = RTE_ETH_DEV_TO_PCI(eth_dev);
	const struct rte_devargs *devargs = device->device.devargs;
	const char *args = devargs == NULL ? NULL : devargs->args;
	struct ivshmem_shm shm = { .base = NULL };
	struct ivshmem_devargs *conf;
	int ret;

	conf = rte_zmalloc("ivshmem_devargs", sizeof(*conf), 0);
	if (conf == NULL)
		return -ENOMEM;
	ret = ivshmem_pci_map_shm(device, args, conf, &shm);
	if (ret != 0)
		goto out;
	ret = rte_pci_map_device(device);
	if (ret != 0) {
		ivshmem_shm_unmap(&shm);
		goto out;
	}
	ret = ivshmem_pci_attach(eth_dev, args, conf, &shm);
	if (ret != 0)
		rte_pci_unmap_device(device);
out:
	rte_free(conf);
	return ret;
}

static int
ivshmem_pci_probe(struct rte_pci_driver *driver, struct rte_pci_device *device)
{
	RTE_SET_USED(driver);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		IVSHMEM_LOG(ERR, "%s: secondary processes are not supported; give the secondary a "
			    "port of its own", device->name);
		return -ENOTSUP;
	}
	return rte_eth_dev_pci_generic_probe(device, sizeof(struct ivshmem_dev), ivshmem_pci_init);
}

static int
ivshmem_pci_remove(struct rte_pci_device *device)
{
	int ret = rte_eth_dev_pci_generic_remove(device, ivshmem_dev_close);

	if (ret == 0)
		ret = ivshmem_estate_check(device->name);
	if (ret == 0)
		rte_pci_unmap_device(device);
	return ret;
}

static struct rte_pci_driver ivshmem_pci_driver = {
	.id_table = ivshmem_pci_ids,
	.probe = ivshmem_pci_probe,
	.remove = ivshmem_pci_remove,
};

RTE_PMD_REGISTER_PCI(net_ivshmem_pci, ivshmem_pci_driver);
RTE_PMD_REGISTER_PCI_TABLE(net_ivshmem_pci, ivshmem_pci_ids);
RTE_PMD_REGISTER_KMOD_DEP(net_ivshmem_pci, "* vfio-pci | uio_pci_generic");
RTE_PMD_REGISTER_PARAM_STRING(net_ivshmem_pci,
	"port=<0-1023> mac=<address> full=<drop|wait> zero_copy=<0|1> "
	"tx_pool=<0-1000000> "
	"shm=<path>[@<offset>]");
