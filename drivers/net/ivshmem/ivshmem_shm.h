/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * shm=PATH[@offset]: the region of a PCI device through another mapping than its BAR's.
 *
 * PATH is whatever maps the same memory with a better memory type: a device DAX, the device's
 * resource2_wc, a file. Without DPDK, so that it can be tested on files.
 *
 * Trust: PATH is the administrator's word. What it maps may be anything, and is compared with what
 * is in the BAR before it is used.
 */

#ifndef IVSHMEM_SHM_H
#define IVSHMEM_SHM_H

#include <stdint.h>

#include "ivshmem_fault.h"

struct ivshmem_shm {
	void *base;
	uint64_t len;
	uint64_t offset;	/* in PATH */
};

/*
 * Map len bytes of "spec", PATH[@offset]. Returns 0, or a negative errno with the reason; then
 * nothing is mapped. Touches nothing of what it mapped.
 */
int ivshmem_shm_map(struct ivshmem_shm *shm, const char *spec, uint64_t len,
		    struct ivshmem_fault *fault);

/*
 * Whether it is the same region as the one in "bar", of as many bytes, which is known to be one.
 * Returns 0, -EFAULT when the kernel took the mapping away meanwhile, -ENODEV when no region is
 * mapped, -EXDEV when it is another one.
 */
int ivshmem_shm_check(const struct ivshmem_shm *shm, const void *bar, struct ivshmem_fault *fault);

void ivshmem_shm_unmap(struct ivshmem_shm *shm);

#endif /* IVSHMEM_SHM_H */
