/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A preloaded clock that makes a region look slow: no memory of this machine can be mapped uncached
 * by a process, but the driver only knows what the clock says.
 *
 * Answers CLOCK_MONOTONIC_RAW when the driver asks, which does so for its measurement alone, in the
 * order of ivshmem_memtype_measure(): four times to warm up, once, then for each round before and
 * after the loads in the region, before and after those in private memory, and once more. The loads
 * in the region take SLOW_CLOCK_REGION_NS, those in private memory 256 ns, all else no time.
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now);

int
clock_gettime(clockid_t id, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	static uint64_t clock_ns;
	static unsigned int calls;
	Dl_info caller;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (id != CLOCK_MONOTONIC_RAW || dladdr(__builtin_return_address(0), &caller) == 0 ||
	    strstr(caller.dli_fname, "net_ivshmem") == NULL)
		return real(id, now);
	if (calls > 4 && calls % 5 == 1)
		clock_ns += strtoull(getenv("SLOW_CLOCK_REGION_NS"), NULL, 10);
	else if (calls > 4 && calls % 5 == 3)
		clock_ns += 256;
	calls++;
	now->tv_sec = clock_ns / 1000000000;
	now->tv_nsec = clock_ns % 1000000000;
	return 0;
}
