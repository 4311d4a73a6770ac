/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the parts of the guest's front share: ivshmem_pci.c and ivshmem_pci_intr.c. The transport's
 * front is the struct rte_pci_device.
 */

#ifndef IVSHMEM_PCI_H
#define IVSHMEM_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_transport.h"

/* Operations of struct ivshmem_transport_ops for vectors and doorbells. */
bool ivshmem_pci_ring(struct ivshmem_transport *transport, uint32_t slot, uint32_t vector);
int ivshmem_pci_listen(struct ivshmem_transport *transport, int *fds, uint32_t cnt,
		       void (*control)(void *arg), void *arg);
void ivshmem_pci_unlisten(struct ivshmem_transport *transport);
void ivshmem_pci_mute(struct ivshmem_transport *transport, bool muted);

#endif /* IVSHMEM_PCI_H */
