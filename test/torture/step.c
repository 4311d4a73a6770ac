/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Counts how often each step of the instrumented driver was reached, and stops the process there.
 *
 * IVSHMEM_STEP_COUNTS names a file of 32-bit counters, one a step, which outlives the process.
 * IVSHMEM_STEP_STOP is "STEP COUNT": the whole process stops, by SIGSTOP, before it takes that step
 * for the COUNT-th time; whoever wants it killed kills it then.
 *
 * Threads: any; a count may miss one where two threads are in the same step.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"

static volatile uint32_t *torture_counts;
static unsigned int torture_cnt;
static unsigned int torture_stop = UINT32_MAX;
static unsigned int torture_stop_at;

__attribute__((constructor)) static void
torture_begin(void)
{
	const char *stop = getenv("IVSHMEM_STEP_STOP");
	const char *path = getenv("IVSHMEM_STEP_COUNTS");
	struct stat found;
	void *map;
	int fd;

	if (stop != NULL && sscanf(stop, "%u %u", &torture_stop, &torture_stop_at) != 2)
		abort();
	fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) != 0)
		abort();
	map = mmap(NULL, found.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		abort();
	torture_cnt = found.st_size / sizeof(*torture_counts);
	torture_counts = map;
}

void
ivshmem_torture_step(unsigned int step)
{
	uint32_t count;

	if (step >= torture_cnt)
		abort();
	count = torture_counts[step] + 1;
	torture_counts[step] = count;
	if (step == torture_stop && count == torture_stop_at)
		raise(SIGSTOP);
}
