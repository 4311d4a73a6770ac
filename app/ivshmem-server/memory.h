/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Memory without a name, and the reservation of any memory: what is promised to clients is there.
 */

#ifndef IVSHMEM_SERVER_MEMORY_H
#define IVSHMEM_SERVER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_fault.h"

/* Make a memfd of length 0. Returns the fd, or -errno with the fault. */
int ivshmem_memory_anonymous(bool hugepages, struct ivshmem_fault *fault);

/* Make a file of length 0 in a directory and remove its name. Returns as above. */
int ivshmem_memory_temporary(const char *dir, struct ivshmem_fault *fault);

/*
 * Give the file its length, if it has another, and reserve every byte of it, so that no later
 * access can fail for want of memory; content is kept. node: of this NUMA node, or
 * IVSHMEM_NUMA_ANY. Returns 0; -ENOSPC with what is needed and what there is; -EINVAL when length
 * or node is impossible; -EINTR when SIGTERM or SIGINT is pending; or another -errno.
 */
int ivshmem_memory_reserve(int fd, uint64_t len, uint32_t node, struct ivshmem_fault *fault);

/* Nobody can change the length any more. memfd only. */
int ivshmem_memory_seal(int fd, struct ivshmem_fault *fault);

#endif /* IVSHMEM_SERVER_MEMORY_H */
