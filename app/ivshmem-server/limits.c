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
/* execve(2) takes a string of the environment of 32 pages of 4 KiB, its end included. */
#define IVSHMEM_NAMES_MAX	(32u * 4096u - sizeof("LISTEN_FDNAMES="))

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

/* Digits of all numbers below cnt together. */
static uint64_t
ivshmem_limits_digits(uint32_t cnt)
{
	uint64_t digits = cnt;

	for (uint32_t more = 10; more < cnt; more *= 10)
		digits += cnt - more;
	return digits;
}

/* "vSLOT.VECTOR:" each, "cSLOT.LIFE:" with the longest life, and four more; see legacy.h. */
int
ivshmem_limits_names(uint32_t ports, uint32_t vectors, struct ivshmem_fault *fault)
{
	const uint64_t eventfds = (ivshmem_limits_digits(ports) + 3 * ports) * vectors +
		ivshmem_limits_digits(vectors) * ports;
	const uint64_t clients = ivshmem_limits_digits(ports) + 3 * ports +
		(sizeof("4294967295") - 1) * ports;
	const uint64_t need = eventfds + clients + sizeof("state:memory:lock:listen");

	if (need <= IVSHMEM_NAMES_MAX)
		return 0;
	return IVSHMEM_FAULT(fault, -E2BIG, "--fd-store with --ports %" PRIu32 " and --vectors %"
		PRIu32 " needs names of %" PRIu64 " bytes, a service manager can hand over %zu"
		"; take fewer, or leave --fd-store away", ports, vectors, need,
		(size_t)IVSHMEM_NAMES_MAX);
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
