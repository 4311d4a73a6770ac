/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Time loads, and judge by how they compare with loads of private memory.
 *
 * The comparison makes the judge blind for what slows down all loads alike: an emulated processor,
 * a debug build, a slow clock. What interrupts the loop only ever makes it longer, so the shortest
 * of some rounds counts.
 *
 * Trust: the line may be changed by others; it is compared, and never used otherwise.
 */

#include <stdbool.h>
#include <time.h>

#include "ivshmem_atomic.h"
#include "ivshmem_memtype.h"

#define IVSHMEM_MEMTYPE_LOADS		128u
#define IVSHMEM_MEMTYPE_ROUNDS		8u
#define IVSHMEM_MEMTYPE_ROUNDS_MIN	3u	/* one preemption, or page fault, is no verdict */
#define IVSHMEM_MEMTYPE_BUDGET_NS	500000u

/*
 * The limits (doc/design.rst): cached loads took 0.97 to 1.01 times as long as private ones, also
 * under TCG. A line out of memory takes some 60 ns at the very least, and 155 ns were reported
 * for uncached loads in a guest; a line out of the nearest cache takes 5 cycles.
 */
#define IVSHMEM_MEMTYPE_CACHED_RATIO	4u
#define IVSHMEM_MEMTYPE_UNCACHED_RATIO	8u
#define IVSHMEM_MEMTYPE_UNCACHED_NS	30u

static uint64_t
ivshmem_memtype_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Each load needs the one before, because its address comes from the comparison. */
static uint64_t
ivshmem_memtype_time(const struct ivshmem_u64 *line)
{
	const uint64_t first = ivshmem_load64(line);
	const uint64_t begin = ivshmem_memtype_now_ns();
	bool index = false;

	for (uint32_t i = 0; i < IVSHMEM_MEMTYPE_LOADS; i++)
		index = ivshmem_load64(&line[index]) != first;
	return ivshmem_memtype_now_ns() - begin;
}

void
ivshmem_memtype_measure(const struct ivshmem_u64 *line, struct ivshmem_memtimes *times)
{
	const struct ivshmem_u64 private[IVSHMEM_ABI_LINE / sizeof(struct ivshmem_u64)] = { 0 };
	uint64_t begin;
	uint64_t ns;

	ivshmem_memtype_time(line);	/* maps the page, and warms the code */
	ivshmem_memtype_time(private);
	begin = ivshmem_memtype_now_ns();
	times->load_cnt = IVSHMEM_MEMTYPE_LOADS;
	times->region_ns = UINT64_MAX;
	times->private_ns = UINT64_MAX;
	for (uint32_t round = 0; round < IVSHMEM_MEMTYPE_ROUNDS; round++) {
		ns = ivshmem_memtype_time(line);
		if (ns < times->region_ns)
			times->region_ns = ns;
		ns = ivshmem_memtype_time(private);
		if (ns < times->private_ns)
			times->private_ns = ns;
		if (ivshmem_memtype_now_ns() - begin > IVSHMEM_MEMTYPE_BUDGET_NS &&
		    round + 1 >= IVSHMEM_MEMTYPE_ROUNDS_MIN)
			break;
	}
}

enum ivshmem_memtype
ivshmem_memtype_judge(const struct ivshmem_memtimes *times)
{
	const uint64_t region = times->region_ns;
	const uint64_t private = times->private_ns;

	if (times->load_cnt == 0 || region == 0 || private == 0)
		return IVSHMEM_MEMTYPE_UNKNOWN;
	if (region / IVSHMEM_MEMTYPE_CACHED_RATIO < private)
		return IVSHMEM_MEMTYPE_CACHED;
	if (region / IVSHMEM_MEMTYPE_UNCACHED_RATIO >= private &&
	    region / IVSHMEM_MEMTYPE_UNCACHED_NS >= times->load_cnt)
		return IVSHMEM_MEMTYPE_UNCACHED;
	return IVSHMEM_MEMTYPE_UNKNOWN;
}

uint32_t
ivshmem_memtype_load_ns(const struct ivshmem_memtimes *times)
{
	uint64_t ns;

	if (times->load_cnt == 0)
		return 0;
	ns = times->region_ns / times->load_cnt + (times->region_ns % times->load_cnt != 0);
	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}
