/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What is allocated of EAL's heaps, which LeakSanitizer does not see.
 */

#ifndef IVSHMEM_TEST_HEAP_H
#define IVSHMEM_TEST_HEAP_H

#include <stdint.h>

#include <rte_malloc.h>

static inline void
ivshmem_heap_count(uint64_t *blocks, uint64_t *bytes)
{
	struct rte_malloc_socket_stats stats;

	*blocks = 0;
	*bytes = 0;
	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		if (rte_malloc_get_socket_stats(socket, &stats) != 0)
			continue;
		*blocks += stats.alloc_count;
		*bytes += stats.heap_allocsz_bytes;
	}
}

#endif /* IVSHMEM_TEST_HEAP_H */
