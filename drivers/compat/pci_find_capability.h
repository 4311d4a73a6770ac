/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * rte_pci_has_capability_list() and rte_pci_find_capability() for DPDK releases before 23.11,
 * and the names of the MSI-X capability's words that came with them.
 *
 * Force-included by drivers/meson.build when <bus_pci_driver.h> lacks the functions.
 * Trust: configuration space is the hypervisor's. A list that loops is left after 48 entries,
 * which is all that 192 bytes can hold.
 */

#ifndef COMPAT_PCI_FIND_CAPABILITY_H
#define COMPAT_PCI_FIND_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_pci.h>
#include <bus_pci_driver.h>

#ifndef RTE_PCI_STATUS
#define RTE_PCI_STATUS			0x06
#define RTE_PCI_STATUS_CAP_LIST		0x10
#endif
#ifndef RTE_PCI_CAPABILITY_LIST
#define RTE_PCI_CAPABILITY_LIST		0x34
#endif
#ifndef RTE_PCI_CAP_ID_MSIX
#define RTE_PCI_CAP_ID_MSIX		0x11
#endif
#ifndef RTE_PCI_MSIX_FLAGS
#define RTE_PCI_MSIX_FLAGS		2
#define RTE_PCI_MSIX_FLAGS_QSIZE	0x07ff
#define RTE_PCI_MSIX_FLAGS_MASKALL	0x4000
#define RTE_PCI_MSIX_FLAGS_ENABLE	0x8000
#define RTE_PCI_MSIX_TABLE		4
#define RTE_PCI_MSIX_TABLE_BIR		0x00000007
#define RTE_PCI_MSIX_TABLE_OFFSET	0xfffffff8
#endif

static inline bool
rte_pci_has_capability_list(const struct rte_pci_device *dev)
{
	uint16_t status;

	if (rte_pci_read_config(dev, &status, sizeof(status), RTE_PCI_STATUS) !=
			(int)sizeof(status))
		return false;
	return (status & RTE_PCI_STATUS_CAP_LIST) != 0;
}

/* The offset of the capability, 0 when there is none, negative when reading fails. */
static inline off_t
rte_pci_find_capability(const struct rte_pci_device *dev, uint8_t cap)
{
	uint8_t entry[2] = { 0 };
	uint8_t pos;

	if (rte_pci_read_config(dev, &pos, sizeof(pos), RTE_PCI_CAPABILITY_LIST) !=
			(int)sizeof(pos))
		return -1;
	for (unsigned int seen = 0; pos >= 0x40 && seen < 48; seen++) {
		if (rte_pci_read_config(dev, entry, sizeof(entry), pos) != (int)sizeof(entry))
			return -1;
		if (entry[0] == UINT8_MAX)
			break;
		if (entry[0] == cap)
			return pos;
		pos = entry[1];
	}
	return 0;
}

#endif /* COMPAT_PCI_FIND_CAPABILITY_H */
