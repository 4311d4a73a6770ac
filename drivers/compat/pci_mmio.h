/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * rte_pci_mmio_read() and rte_pci_mmio_write() for DPDK releases before 23.07.
 *
 * Force-included by drivers/meson.build when <rte_bus_pci.h> lacks the functions. Under vfio the
 * BAR is reached through the device's fd, which also works where the kernel refuses to map it
 * (a BAR smaller than a page); under uio through EAL's mapping.
 * Return the number of bytes, or -1.
 */

#ifndef COMPAT_PCI_MMIO_H
#define COMPAT_PCI_MMIO_H

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <rte_interrupts.h>
#include <rte_pci.h>
#include <bus_pci_driver.h>

/* Where the bytes [offset, offset + len) of a BAR begin in vfio's device fd; -1: nowhere. */
static inline off_t
compat_pci_mmio_vfio_offset(const struct rte_pci_device *dev, int bar, size_t len, off_t offset)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_BAR0_REGION_INDEX + bar,
	};

	if (bar < 0 || bar >= PCI_MAX_RESOURCE || offset < 0)
		return -1;
	if (ioctl(rte_intr_dev_fd_get(dev->intr_handle), VFIO_DEVICE_GET_REGION_INFO,
			&region) < 0)
		return -1;
	if ((uint64_t)offset > region.size || len > region.size - (uint64_t)offset)
		return -1;
	return (off_t)region.offset + offset;
}

/* The same bytes in EAL's own mapping of the BAR; NULL: not mapped, or outside. */
static inline volatile uint8_t *
compat_pci_mmio_mapped(const struct rte_pci_device *dev, int bar, size_t len, off_t offset)
{
	const struct rte_mem_resource *res;

	if (bar < 0 || bar >= PCI_MAX_RESOURCE || offset < 0)
		return NULL;
	res = &dev->mem_resource[bar];
	if (res->addr == NULL || (uint64_t)offset > res->len || len > res->len - (uint64_t)offset)
		return NULL;
	return (volatile uint8_t *)res->addr + offset;
}

static inline int
rte_pci_mmio_read(const struct rte_pci_device *dev, int bar, void *buf, size_t len, off_t offset)
{
	volatile uint8_t *addr;
	uint32_t word;
	off_t at;

	if (dev->kdrv == RTE_PCI_KDRV_VFIO) {
		at = compat_pci_mmio_vfio_offset(dev, bar, len, offset);
		return at < 0 ? -1 :
			(int)pread(rte_intr_dev_fd_get(dev->intr_handle), buf, len, at);
	}
	addr = compat_pci_mmio_mapped(dev, bar, len, offset);
	if (addr == NULL || len != sizeof(word) || (uintptr_t)addr % sizeof(word) != 0)
		return -1;
	word = *(volatile uint32_t *)(uintptr_t)addr; /* one access of the register's width */
	memcpy(buf, &word, sizeof(word));
	return (int)len;
}

static inline int
rte_pci_mmio_write(const struct rte_pci_device *dev, int bar, const void *buf, size_t len,
		off_t offset)
{
	volatile uint8_t *addr;
	uint32_t word;
	off_t at;

	if (dev->kdrv == RTE_PCI_KDRV_VFIO) {
		at = compat_pci_mmio_vfio_offset(dev, bar, len, offset);
		return at < 0 ? -1 :
			(int)pwrite(rte_intr_dev_fd_get(dev->intr_handle), buf, len, at);
	}
	addr = compat_pci_mmio_mapped(dev, bar, len, offset);
	if (addr == NULL || len != sizeof(word) || (uintptr_t)addr % sizeof(word) != 0)
		return -1;
	memcpy(&word, buf, sizeof(word));
	*(volatile uint32_t *)(uintptr_t)addr = word;
	return (int)len;
}

#endif /* COMPAT_PCI_MMIO_H */
