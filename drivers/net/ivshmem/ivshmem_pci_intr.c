/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The guest's interrupts: MSI-X vectors through vfio, and the DOORBELL register.
 *
 * A vector is an eventfd of vfio's: vector 0 the device's own one, which EAL's interrupt thread
 * reads, the others those that EAL makes for Rx queues. A guest reaches only vectors of others that
 * its own device has, too; for the rest it rings vector 0.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <bus_pci_driver.h>
#include <rte_byteorder.h>
#include <rte_interrupts.h>
#include <rte_io.h>

#include "ivshmem_log.h"
#include "ivshmem_pci.h"
#include "ivshmem_regs.h"

bool
ivshmem_pci_ring(struct ivshmem_transport *transport, uint32_t slot, uint32_t vector)
{
	const struct rte_pci_device *device = transport->front;
	uint8_t *regs = device->mem_resource[IVSHMEM_BAR_REGS].addr;
	uint32_t value;

	if (transport->reach == 0)
		return false;
	if (vector >= transport->reach)
		vector = 0;
	value = rte_cpu_to_le_32(slot << IVSHMEM_REG_DOORBELL_PEER_SHIFT | vector);
	if (regs != NULL)
		rte_write32(value, regs + IVSHMEM_REG_DOORBELL);
	else
		rte_pci_mmio_write(device, IVSHMEM_BAR_REGS, &value, sizeof(value),
				   IVSHMEM_REG_DOORBELL);
	return true;
}

/* Hear vector 0, or not. */
static void
ivshmem_pci_hear(struct ivshmem_transport *transport, bool on)
{
	const struct rte_pci_device *device = transport->front;

	if (on)
		rte_intr_callback_register(device->intr_handle, transport->control,
					   transport->control_arg);
	else
		ivshmem_transport_unhear(device->intr_handle, transport->control,
					 transport->control_arg);
}

int
ivshmem_pci_listen(struct ivshmem_transport *transport, int *fds, uint32_t cnt,
		   void (*control)(void *arg), void *arg)
{
	const struct rte_pci_device *device = transport->front;
	struct rte_intr_handle *intr = device->intr_handle;
	int ret = 0;

	if (cnt > 0)
		ret = rte_intr_efd_enable(intr, cnt);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: no eventfds for %" PRIu32 " vectors: %s", device->name, cnt,
			    strerror(-ret));
		return ret;
	}
	for (uint32_t i = 0; i < cnt; i++)
		fds[i] = rte_intr_efds_index_get(intr, i);
	transport->control = control;
	transport->control_arg = arg;
	ivshmem_pci_hear(transport, true);
	if (rte_intr_enable(intr) == 0)
		return 0;
	IVSHMEM_LOG(ERR, "%s: MSI-X cannot be enabled with %" PRIu32 " vectors", device->name,
		    1 + cnt);
	ivshmem_pci_unlisten(transport);
	return -EIO;
}

void
ivshmem_pci_unlisten(struct ivshmem_transport *transport)
{
	const struct rte_pci_device *device = transport->front;

	rte_intr_disable(device->intr_handle);
	ivshmem_pci_hear(transport, false);
	rte_intr_efd_disable(device->intr_handle);
}

void
ivshmem_pci_mute(struct ivshmem_transport *transport, bool muted)
{
	ivshmem_pci_hear(transport, !muted);
}
