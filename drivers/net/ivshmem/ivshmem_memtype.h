/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Whether the processor caches a region, told by the time of loads.
 *
 * A guest cannot ask for the memory type that it got in the end: that depends on the mapping, the
 * guest's MTRRs, the hypervisor and the brand of the processor. But a line that is loaded again and
 * again comes from the nearest cache if it may be cached, and from memory every time if not.
 */

#ifndef IVSHMEM_MEMTYPE_H
#define IVSHMEM_MEMTYPE_H

#include <stdint.h>

#include "ivshmem_abi.h"

enum ivshmem_memtype {
	IVSHMEM_MEMTYPE_UNKNOWN,
	IVSHMEM_MEMTYPE_CACHED,
	IVSHMEM_MEMTYPE_UNCACHED,
};

/* Time of "load_cnt" loads of one line each: of the region's, and of one of private memory. */
struct ivshmem_memtimes {
	uint64_t region_ns;
	uint64_t private_ns;
	uint32_t load_cnt;
};

/*
 * Time loads of the first line of "line", which nobody writes meanwhile. Only reads; takes less
 * than 1 ms unless a single load takes more than 5 us.
 */
void ivshmem_memtype_measure(const struct ivshmem_u64 *line, struct ivshmem_memtimes *times);

/* What such times mean. */
enum ivshmem_memtype ivshmem_memtype_judge(const struct ivshmem_memtimes *times);

/* ns of one load in the region, rounded up; 0 = not measured. */
uint32_t ivshmem_memtype_load_ns(const struct ivshmem_memtimes *times);

#endif /* IVSHMEM_MEMTYPE_H */
