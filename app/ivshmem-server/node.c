/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Placement by two policies, because neither does it all. tmpfs keeps a policy with the file, which
 * every process follows, also for pages that come back from swap: mbind() on any mapping sets it.
 * hugetlbfs keeps none; it follows the policy of the process that reserves.
 *
 * Threads: one.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <numa.h>
#include <numaif.h>

#include "node.h"

int
ivshmem_numa_check(uint32_t node, struct ivshmem_fault *fault)
{
	struct bitmask *allowed;
	char nodes[128] = "";
	size_t len = 0;
	bool found;

	if (numa_available() < 0)
		return IVSHMEM_FAULT(fault, -EINVAL, "NUMA node %" PRIu32
				     ": this kernel knows no NUMA", node);
	allowed = numa_get_mems_allowed();
	found = node < allowed->size && numa_bitmask_isbitset(allowed, node) != 0;
	for (unsigned int i = 0; i < allowed->size && len < sizeof(nodes); i++)
		if (numa_bitmask_isbitset(allowed, i) != 0)
			len += snprintf(nodes + len, sizeof(nodes) - len, " %u", i);
	numa_bitmask_free(allowed);
	if (found)
		return 0;
	return IVSHMEM_FAULT(fault, -EINVAL, "NUMA node %" PRIu32
			     " does not exist or has no memory for this process; there are:%s",
			     node, nodes);
}

int
ivshmem_numa_bind(int fd, uint64_t len, uint32_t node, struct ivshmem_fault *fault)
{
	struct bitmask *mask = numa_allocate_nodemask();
	void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = 0;

	numa_bitmask_setbit(mask, node);
	/* the kernel takes one bit less than it is told of */
	if (base == MAP_FAILED ||
	    mbind(base, len, MPOL_BIND, mask->maskp, mask->size + 1, 0) != 0 ||
	    set_mempolicy(MPOL_BIND, mask->maskp, mask->size + 1) != 0)
		error = errno;
	if (base != MAP_FAILED)
		munmap(base, len);
	numa_bitmask_free(mask);
	if (error == 0)
		return 0;
	return IVSHMEM_FAULT(fault, -error, "memory can not be bound to NUMA node %" PRIu32 ": %s",
			     node, strerror(error));
}
