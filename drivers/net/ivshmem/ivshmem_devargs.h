/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Device arguments: one table says which there are, what they take and which front knows them.
 */

#ifndef IVSHMEM_DEVARGS_H
#define IVSHMEM_DEVARGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#define IVSHMEM_PORT_AUTO	UINT32_MAX

enum ivshmem_front {
	IVSHMEM_FRONT_PCI = 1,
	IVSHMEM_FRONT_VDEV = 2,
};

/* What a sender does when a ring is full, as given by full=. */
enum ivshmem_full {
	IVSHMEM_FULL_DEFAULT = 0,
	IVSHMEM_FULL_DROP = 1,
	IVSHMEM_FULL_WAIT = 2,
};

struct ivshmem_devargs {
	char socket[PATH_MAX];
	char path[PATH_MAX];
	char shm[PATH_MAX];
	struct rte_ether_addr mac;	/* all zero = by region and slot */
	uint64_t size;
	uint32_t port;			/* IVSHMEM_PORT_AUTO = not given */
	uint32_t full;			/* enum ivshmem_full */
	uint32_t zero_copy;
	uint32_t tx_pool;		/* buffers of the Tx pool */
	uint32_t create;
	uint32_t ports;
	uint32_t queues;
	uint32_t ring_size;
	uint32_t buf_size;
};

/*
 * Parse "args" (may be NULL) of device "name". Returns 0, or -EINVAL after logging the argument,
 * its value and what is allowed.
 */
int ivshmem_devargs_parse(const char *name, const char *args, enum ivshmem_front front,
			  struct ivshmem_devargs *conf);

#endif /* IVSHMEM_DEVARGS_H */
