/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * memfds, unnamed files, and reserving memory in steps that a signal can end.
 *
 * Invariants:
 *  M1. What can be known beforehand is looked at before the first byte is reserved: free space,
 *      free memory, free hugepages. A memfd has no limit of its own: too much of it would end in
 *      the kernel killing some process.
 *  M2. No step is longer than 64 MiB, and the operator hears of it when they take long together.
 * Threads: one.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "memory.h"
#include "node.h"
#include "options.h"

#define IVSHMEM_RESERVE_STEP	(UINT64_C(64) << 20)
#define IVSHMEM_PROGRESS_S	5

#define IVSHMEM_MIB(bytes)	((bytes) >> 20)

int
ivshmem_memory_anonymous(bool hugepages, struct ivshmem_fault *fault)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	fd = memfd_create("ivshmem", flags);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "memfd_create%s: %s",
				     hugepages ? " with 2 MiB pages" : "", strerror(errno));
	if (fchmod(fd, 0600) != 0) {	/* through /proc it could be opened anew */
		close(fd);
		return IVSHMEM_FAULT(fault, -EPERM, "the memfd can not be made private");
	}
	return fd;
}

int
ivshmem_memory_temporary(const char *dir, struct ivshmem_fault *fault)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/ivshmem.XXXXXX", dir) >= (int)sizeof(path))
		return IVSHMEM_FAULT(fault, -ENAMETOOLONG, "--mem-path is longer than %d bytes",
				     PATH_MAX - 16);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "no file can be made there: %s",
				     strerror(errno));
	unlink(path);
	return fd;
}

/* A number from a line "key: number" or from a file that is only a number; 0 when not found. */
static uint64_t
ivshmem_kernel_number(const char *path, const char *key)
{
	char line[128];
	uint64_t value = 0;
	size_t skip = strlen(key);
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, key, skip) != 0)
			continue;
		value = strtoull(line + skip, NULL, 10);
		break;
	}
	fclose(file);
	return value;
}

/* What the kernel can give without taking it from programs: of a node, free and file pages. */
static uint64_t
ivshmem_memory_free(uint32_t node)
{
	static const char *const parts[] = { "MemFree:", "Active(file):", "Inactive(file):" };
	uint64_t kib = 0;
	char path[64];
	char key[48];

	if (node == IVSHMEM_NUMA_ANY)
		return (ivshmem_kernel_number("/proc/meminfo", "MemAvailable:") +
			ivshmem_kernel_number("/proc/meminfo", "SwapFree:")) << 10;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%" PRIu32 "/meminfo", node);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(key, sizeof(key), "Node %" PRIu32 " %s", node, parts[i]);
		kib += ivshmem_kernel_number(path, key);
	}
	return kib << 10;
}

/* Pages of a size that nobody uses and, where the kernel says so, nobody has reserved. */
static uint64_t
ivshmem_hugepages_free(uint64_t page_len, uint32_t node)
{
	char dir[64] = "/sys/kernel/mm";
	char path[160];
	uint64_t unused;
	uint64_t reserved;

	if (node != IVSHMEM_NUMA_ANY)
		snprintf(dir, sizeof(dir), "/sys/devices/system/node/node%" PRIu32, node);
	snprintf(path, sizeof(path), "%s/hugepages/hugepages-%" PRIu64 "kB/free_hugepages", dir,
		 page_len >> 10);
	unused = ivshmem_kernel_number(path, "");
	snprintf(path, sizeof(path), "%s/hugepages/hugepages-%" PRIu64 "kB/resv_hugepages", dir,
		 page_len >> 10);
	reserved = ivshmem_kernel_number(path, "");
	return unused > reserved ? unused - reserved : 0;
}

/* " of NUMA node 1", or nothing. */
static const char *
ivshmem_node_words(uint32_t node, char words[32])
{
	words[0] = '\0';
	if (node != IVSHMEM_NUMA_ANY)
		snprintf(words, 32, " of NUMA node %" PRIu32, node);
	return words;
}

static int
ivshmem_refuse_hugepages(uint64_t len, uint64_t page_len, uint32_t node,
			 struct ivshmem_fault *fault)
{
	char words[32];

	return IVSHMEM_FAULT(fault, -ENOSPC, "size %" PRIu64 " needs %" PRIu64
		" free hugepages of %" PRIu64 " kB%s, there are %" PRIu64 "; raise nr_hugepages in "
		"%s/hugepages/hugepages-%" PRIu64 "kB or take a smaller --size", len,
		len / page_len, page_len >> 10, ivshmem_node_words(node, words),
		ivshmem_hugepages_free(page_len, node), node == IVSHMEM_NUMA_ANY ?
		"/sys/kernel/mm" : "the node's directory", page_len >> 10);
}

/* M1: what is to be added, need, must be there. */
static int
ivshmem_reserve_check(const struct statfs *fs, uint64_t len, uint64_t need, uint32_t node,
		      struct ivshmem_fault *fault)
{
	const uint64_t unit = fs->f_bsize;
	uint64_t memory;
	char words[32];

	if (fs->f_type == HUGETLBFS_MAGIC) {
		if (len % unit != 0)
			return IVSHMEM_FAULT(fault, -EINVAL, "size %" PRIu64
				" is no multiple of its page, %" PRIu64, len, unit);
		if (need / unit > ivshmem_hugepages_free(unit, node))
			return ivshmem_refuse_hugepages(len, unit, node, fault);
		return 0;
	}
	if (fs->f_type != TMPFS_MAGIC && node != IVSHMEM_NUMA_ANY)
		return IVSHMEM_FAULT(fault, -ENOTSUP, "--numa-node %" PRIu32 " has no effect on a"
			" file of a disk; take it from tmpfs or hugetlbfs, or a memfd", node);
	if (fs->f_blocks != 0 && need / unit > fs->f_bfree)
		return IVSHMEM_FAULT(fault, -ENOSPC, "size %" PRIu64 " does not fit, the file "
			"system has %" PRIu64 " bytes free; take a smaller --size or make room",
			len, fs->f_bfree * unit);
	memory = ivshmem_memory_free(node);
	if (fs->f_type == TMPFS_MAGIC && memory != 0 && need > memory)
		return IVSHMEM_FAULT(fault, -ENOSPC, "size %" PRIu64 " does not fit, %" PRIu64
			" bytes of memory%s are available; take a smaller --size", len, memory,
			ivshmem_node_words(node, words));
	return 0;
}

static bool
ivshmem_quit_is_pending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 &&
		(sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

static int
ivshmem_reserve_steps(int fd, uint64_t len)
{
	const time_t start = time(NULL);
	time_t said = start;
	uint64_t step;
	int ret;

	for (uint64_t off = 0; off < len; off += step) {
		step = len - off < IVSHMEM_RESERVE_STEP ? len - off : IVSHMEM_RESERVE_STEP;
		if (ivshmem_quit_is_pending())
			return -EINTR;
		/* the C library's: writes, where the file system can not allocate */
		ret = posix_fallocate(fd, off, step);
		if (ret == EINTR)
			step = 0;
		else if (ret != 0)
			return -ret;
		if (time(NULL) - said >= IVSHMEM_PROGRESS_S) {
			said = time(NULL);
			ivshmem_log(IVSHMEM_LOG_INFO, "%" PRIu64 " of %" PRIu64 " MiB reserved",
				    IVSHMEM_MIB(off + step), IVSHMEM_MIB(len));
		}
	}
	return 0;
}

int
ivshmem_memory_reserve(int fd, uint64_t len, uint32_t node, struct ivshmem_fault *fault)
{
	uint64_t have;
	struct statfs fs;
	struct stat st;
	int ret;

	if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	have = (uint64_t)st.st_blocks * 512;
	ret = node != IVSHMEM_NUMA_ANY ? ivshmem_numa_check(node, fault) : 0;
	if (ret == 0)
		ret = ivshmem_reserve_check(&fs, len, have < len ? len - have : 0, node, fault);
	if (ret != 0)
		return ret;
	if ((uint64_t)st.st_size != len && ftruncate(fd, len) != 0)
		return IVSHMEM_FAULT(fault, -errno, "size %" PRIu64 " can not be set: %s", len,
				     strerror(errno));
	if (node != IVSHMEM_NUMA_ANY)
		ret = ivshmem_numa_bind(fd, len, node, fault);
	if (ret != 0)
		return ret;
	ret = ivshmem_reserve_steps(fd, len);
	if (ret == 0)
		return 0;
	if (ret == -EINTR)
		return IVSHMEM_FAULT(fault, ret, "ended by a signal while memory was reserved");
	if (fs.f_type == HUGETLBFS_MAGIC)
		return ivshmem_refuse_hugepages(len, fs.f_bsize, node, fault);
	return IVSHMEM_FAULT(fault, ret, "size %" PRIu64 " can not be reserved: %s; %" PRIu64
		" bytes were free", len, strerror(-ret),
		fs.f_blocks != 0 ? (uint64_t)fs.f_bfree * fs.f_bsize : ivshmem_memory_free(node));
}

int
ivshmem_memory_seal(int fd, struct ivshmem_fault *fault)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return IVSHMEM_FAULT(fault, -errno, "the memfd can not be sealed: %s",
				     strerror(errno));
	return 0;
}
