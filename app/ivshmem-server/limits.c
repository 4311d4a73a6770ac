/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The server holds every eventfd of the region and a connection of each client: ports * vectors +
 * ports. That is known at the start, so it is looked at there; later only somebody else can make
 * open files scarce.
 *
 * Threads: one.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "limits.h"

/* File descriptors that are neither eventfds nor connections, generously. */
#define IVSHMEM_FDS_OWN	32u

int
ivshmem_limits_raise(uint32_t ports, uint32_t vectors, struct ivshmem_fault *fault)
{
	const uint64_t need = (uint64_t)ports * vectors + ports + IVSHMEM_FDS_OWN;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return IVSHMEM_FAULT(fault, -errno, "getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return IVSHMEM_FAULT(fault, -errno, "setrlimit: %s", strerror(errno));
	if (limit.rlim_max == RLIM_INFINITY || need <= limit.rlim_max)
		return 0;
	return IVSHMEM_FAULT(fault, -EMFILE, "--ports %" PRIu32 " with --vectors %" PRIu32
		" need %" PRIu64 " open files, the hard limit (ulimit -Hn) is %" PRIu64
		"; take fewer or raise the limit", ports, vectors, need, (uint64_t)limit.rlim_max);
}

int
ivshmem_limits_explain(int error, struct ivshmem_fault *fault)
{
	struct rlimit limit = { 0 };

	if (error == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		return IVSHMEM_FAULT(fault, -error, "the server has all %" PRIu64 " files open that"
			" it may have; raise that limit (prlimit --nofile, LimitNOFILE= of"
			" systemd) or stop a client", (uint64_t)limit.rlim_cur);
	if (error == ENFILE)
		return IVSHMEM_FAULT(fault, -error, "all programs together have as many files open"
			" as the system allows; raise /proc/sys/fs/file-max or stop some");
	return IVSHMEM_FAULT(fault, -error, "%s", strerror(error));
}
