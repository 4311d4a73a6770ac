/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Memory of one NUMA node.
 */

#ifndef IVSHMEM_SERVER_NODE_H
#define IVSHMEM_SERVER_NODE_H

#include <stdint.h>

#include "ivshmem_fault.h"

/*
 * Whether the node exists and this process may have its memory. Returns 0, or -EINVAL with a fault
 * that names the nodes there are.
 */
int ivshmem_numa_check(uint32_t node, struct ivshmem_fault *fault);

/*
 * From here on every page of the file comes from the node, whoever touches it first; nothing of it
 * is touched. Pages that it has already stay. Returns 0, or -errno with the fault.
 */
int ivshmem_numa_bind(int fd, uint64_t len, uint32_t node, struct ivshmem_fault *fault);

#endif /* IVSHMEM_SERVER_NODE_H */
