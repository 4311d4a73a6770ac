/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A timer whose signal interrupts what blocks.
 *
 * Threads: one.
 */

#include <sys/time.h>
#include <unistd.h>

#include "bound.h"

#define IVSHMEM_BOUND_US	1000

static void
ivshmem_bound_every(suseconds_t us)
{
	const struct itimerval bound = { .it_value.tv_usec = us, .it_interval.tv_usec = us };

	setitimer(ITIMER_REAL, &bound, NULL);
}

void
ivshmem_bound_begin(void)
{
	ivshmem_bound_every(IVSHMEM_BOUND_US);
}

void
ivshmem_bound_end(void)
{
	ivshmem_bound_every(0);
}

void
ivshmem_bound_close(int fd)
{
	ivshmem_bound_begin();
	close(fd);
	ivshmem_bound_end();
}
