/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Make, find, check and format the region; the table of cases is in region.h.
 *
 * Invariants:
 *  R1. A named region is locked by its server (flock) as long as the server lives. The lock sits on
 *      an opening of its own: the one that clients get would carry the lock on after the server.
 *  R2. Nothing is formatted while a port holds a record lock on the file (vdev with path=).
 *  R3. Memory is reserved before it is mapped: a hole in a file on a full file system would be a
 *      SIGBUS, even to read. It is sealed before anybody gets it.
 * Threads: one.
 * Trust: a file that was found is hostile until ivshmem_layout_check() took it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ivshmem_atomic.h"
#include "ivshmem_file.h"

#include "memory.h"
#include "region.h"

int
ivshmem_region_plan(const struct ivshmem_options *options, struct ivshmem_layout *layout,
		    struct ivshmem_fault *fault)
{
	struct ivshmem_geometry want = options->want;

	if (want.total_len == 0)
		want.total_len = IVSHMEM_DEFAULT_SIZE;
	return ivshmem_layout_plan(&want, layout, fault);
}

static int
ivshmem_path_open(const struct ivshmem_region *region, int flags)
{
	if (region->shm)
		return shm_open(region->path, flags | O_RDWR, 0600);
	return open(region->path, flags | O_RDWR | O_CLOEXEC | O_NOCTTY, 0600);
}

static void
ivshmem_path_remove(struct ivshmem_region *region)
{
	if (region->shm)
		shm_unlink(region->path);
	else
		unlink(region->path);
	region->created = false;
}

/* R1: a second opening, of the same file, locked. Another server's was not made here. */
static int
ivshmem_region_lock(struct ivshmem_region *region, struct ivshmem_fault *fault)
{
	struct stat mine;
	struct stat again;

	region->lock_fd = ivshmem_path_open(region, 0);
	if (region->lock_fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (fstat(region->fd, &mine) != 0 || fstat(region->lock_fd, &again) != 0 ||
	    mine.st_dev != again.st_dev || mine.st_ino != again.st_ino) {
		region->created = false;
		return IVSHMEM_FAULT(fault, -EAGAIN, "somebody replaced it just now; try again");
	}
	if (flock(region->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		region->created = false;
		return IVSHMEM_FAULT(fault, -EBUSY, "another ivshmem-server uses it; stop that one"
				     " or take another name");
	}
	return 0;
}

/* Only a regular file may be opened: opening a device can have effects. */
static int
ivshmem_path_check(const struct ivshmem_region *region, struct ivshmem_fault *fault)
{
	struct stat st;

	if (region->shm || stat(region->path, &st) != 0 || S_ISREG(st.st_mode))
		return 0;
	return IVSHMEM_FAULT(fault, -ENOTSUP, "it is no regular file%s",
			     S_ISDIR(st.st_mode) ? " but a directory" : "");
}

/* Open what has the name, or make it. */
static int
ivshmem_region_open_named(struct ivshmem_region *region, struct ivshmem_fault *fault)
{
	int ret;

	ret = ivshmem_path_check(region, fault);
	if (ret != 0)
		return ret;
	region->fd = ivshmem_path_open(region, 0);
	if (region->fd < 0 && errno == ENOENT) {
		region->fd = ivshmem_path_open(region, O_CREAT | O_EXCL);
		region->created = region->fd >= 0;
	}
	if (region->fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	return ivshmem_region_lock(region, fault);
}

static int
ivshmem_region_map(struct ivshmem_region *region, uint64_t len, struct ivshmem_fault *fault)
{
	if (len > SIZE_MAX)
		return IVSHMEM_FAULT(fault, -EFBIG, "%" PRIu64
				     " bytes do not fit this program's address space", len);
	region->base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	if (region->base == MAP_FAILED) {
		region->base = NULL;
		return IVSHMEM_FAULT(fault, -errno, "%" PRIu64 " bytes can not be mapped: %s", len,
				     strerror(errno));
	}
	region->layout.total_len = len;
	return 0;
}

/* Every option that was given must be what the region has. */
static int
ivshmem_region_compare(const struct ivshmem_region *region, const struct ivshmem_geometry *want,
		       struct ivshmem_fault *fault)
{
	const struct {
		const char *option;
		uint64_t want;
		uint64_t have;
	} pairs[] = {
		{ "size", want->total_len, region->layout.total_len },
		{ "ports", want->port_cnt, region->layout.port_cnt },
		{ "queues", want->queue_cnt, region->layout.queue_cnt },
		{ "ring-size", want->ring_slots, region->layout.ring_slots },
		{ "buf-size", want->buf_len, region->layout.buf_len },
		{ "headroom", want->headroom, region->layout.headroom },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].want != 0 && pairs[i].want != pairs[i].have)
			return IVSHMEM_FAULT(fault, -EEXIST, "it holds a region with --%s %" PRIu64
				", not %" PRIu64 "; leave the option away to use it on, or replace"
				" it with --force", pairs[i].option, pairs[i].have, pairs[i].want);
	return 0;
}

/* The named file has content. Returns 0 when it is a region to be used on. */
static int
ivshmem_region_adopt(struct ivshmem_region *region, const struct ivshmem_options *options,
		     uint64_t len, struct ivshmem_fault *fault)
{
	struct ivshmem_superblock_shm super;
	struct ivshmem_layout layout;
	struct ivshmem_fault why;
	int ret;

	if (pread(region->fd, &super, sizeof(super), 0) != sizeof(super) ||
	    !ivshmem_layout_is_ours(&super, len))
		return IVSHMEM_FAULT(fault, -EEXIST, "it holds %" PRIu64 " bytes that are no"
				     " ivshmem region; replace it with --force or take another"
				     " name", len);
	ret = ivshmem_memory_reserve(region->fd, len, options->numa_node, fault);	/* R3 */
	if (ret == 0)
		ret = ivshmem_region_map(region, len, fault);
	if (ret != 0)
		return ret;
	ret = ivshmem_layout_check(region->base, len, &layout, &why);
	if (ret != 0)
		return IVSHMEM_FAULT(fault, ret == -EINVAL ? -EUCLEAN : ret,
				     "%.200s; replace it with --force", why.text);
	if (options->format)
		return IVSHMEM_FAULT(fault, -EEXIST, "it holds a region of %" PRIu32 " ports"
				     " already; replace it with --force", layout.port_cnt);
	region->layout = layout;
	ret = ivshmem_region_compare(region, &options->want, fault);
	if (ret != 0)
		return ret;
	region->reused = true;
	return 0;
}

/* R2 */
static int
ivshmem_region_exclude_ports(const struct ivshmem_region *region, bool exclude,
			     struct ivshmem_fault *fault)
{
	struct flock lock = { .l_type = exclude ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET };

	if (region->lock_fd < 0 || fcntl(region->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return IVSHMEM_FAULT(fault, -EBUSY, "a port (path=) is using it; stop that one or take"
			     " another name");
}

/* The file is empty: make it a region. */
static int
ivshmem_region_format(struct ivshmem_region *region, const struct ivshmem_options *options,
		      struct ivshmem_fault *fault)
{
	struct ivshmem_layout layout;
	uint8_t uuid[16];
	int ret;

	ret = ivshmem_region_plan(options, &layout, fault);
	if (ret == 0)
		ret = ivshmem_region_exclude_ports(region, true, fault);
	if (ret == 0)
		ret = ivshmem_memory_reserve(region->fd, layout.total_len, options->numa_node,
					     fault);
	if (ret == 0)
		ret = ivshmem_region_map(region, layout.total_len, fault);
	if (ret != 0)
		return ret;
	if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid))
		return IVSHMEM_FAULT(fault, -EIO, "getrandom: %s", strerror(errno));
	region->layout = layout;
	memcpy(region->layout.uuid, uuid, sizeof(uuid));
	ivshmem_layout_format(region->base, &region->layout, uuid);
	return ivshmem_region_exclude_ports(region, false, fault);
}

/* --force: a new file under the old name. */
static int
ivshmem_region_replace(struct ivshmem_region *region, const struct ivshmem_options *options,
		       struct ivshmem_fault *fault)
{
	struct ivshmem_layout layout;
	int ret;

	ret = ivshmem_region_plan(options, &layout, fault);	/* before anything is lost */
	if (ret == 0)
		ret = ivshmem_region_exclude_ports(region, true, fault);
	if (ret != 0)
		return ret;
	ivshmem_path_remove(region);
	close(region->lock_fd);
	close(region->fd);
	region->lock_fd = -1;
	region->fd = ivshmem_path_open(region, O_CREAT | O_EXCL);
	if (region->fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	region->created = true;
	ret = ivshmem_region_lock(region, fault);
	return ret != 0 ? ret : ivshmem_region_format(region, options, fault);
}

static int
ivshmem_region_open_path(struct ivshmem_region *region, const struct ivshmem_options *options,
			 struct ivshmem_fault *fault)
{
	struct stat st;
	int ret;

	snprintf(region->name, sizeof(region->name), "%s %s", region->shm ? "shm object" : "file",
		 region->path);
	ret = ivshmem_region_open_named(region, fault);
	if (ret == 0)
		ret = ivshmem_file_check_owner(region->fd, fault);
	if (ret != 0)
		return ret;
	if (fstat(region->fd, &st) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (st.st_size == 0) {
		region->emptied = !region->created;
		return ivshmem_region_format(region, options, fault);
	}
	if (options->force)
		return ivshmem_region_replace(region, options, fault);
	return ivshmem_region_adopt(region, options, st.st_size, fault);
}

static int
ivshmem_region_open_unnamed(struct ivshmem_region *region, const struct ivshmem_options *options,
			    struct ivshmem_fault *fault)
{
	int ret;

	if (options->mem_path != NULL) {
		snprintf(region->name, sizeof(region->name), "unnamed file in %s",
			 options->mem_path);
		region->fd = ivshmem_memory_temporary(options->mem_path, fault);
	} else {
		snprintf(region->name, sizeof(region->name), "%smemfd",
			 options->hugepages ? "hugepage " : "");
		region->fd = ivshmem_memory_anonymous(options->hugepages, fault);
	}
	if (region->fd < 0)
		return region->fd;
	ret = ivshmem_region_format(region, options, fault);
	if (ret == 0 && options->mem_path == NULL)
		ret = ivshmem_memory_seal(region->fd, fault);
	return ret;
}

int
ivshmem_region_open(const struct ivshmem_options *options, struct ivshmem_region *region,
		    struct ivshmem_fault *fault)
{
	struct stat st;
	bool dir;
	int ret;

	*region = (struct ivshmem_region){ .fd = -1, .lock_fd = -1 };
	dir = options->mem_path != NULL && !options->format &&
		stat(options->mem_path, &st) == 0 && S_ISDIR(st.st_mode);
	if (!dir) {
		region->shm = options->shm_name != NULL;
		region->path = region->shm ? options->shm_name : options->mem_path;
	}
	if (region->path != NULL)
		ret = ivshmem_region_open_path(region, options, fault);
	else
		ret = ivshmem_region_open_unnamed(region, options, fault);
	if (ret != 0) {
		if (region->emptied && ftruncate(region->fd, 0) != 0)
			region->emptied = false;	/* its size stays, its content is zero */
		ivshmem_region_close(region, true);
	}
	return ret;
}

/* The command line may say where the memory is; then it must be there. */
static int
ivshmem_region_compare_path(const struct ivshmem_region *region,
			    const struct ivshmem_options *options, struct ivshmem_fault *fault)
{
	const char *want = options->shm_name != NULL ? options->shm_name : options->mem_path;
	bool same = true;

	if (region->path != NULL && want != NULL)
		same = strcmp(region->path, want) == 0;
	else if (region->path == NULL)
		same = options->shm_name == NULL;
	if (same)
		return 0;
	return IVSHMEM_FAULT(fault, -EEXIST, "the region is in %.80s, not in %.60s; leave --shm"
			     " and --mem-path away, or stop all and start anew", region->name,
			     want);
}

int
ivshmem_region_id(const struct ivshmem_region *region, uint64_t *dev, uint64_t *ino)
{
	struct stat st;

	if (fstat(region->fd, &st) != 0)
		return -errno;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return 0;
}

int
ivshmem_region_inherit(struct ivshmem_region *region, const struct ivshmem_options *options,
		       const struct ivshmem_state *state, struct ivshmem_fault *fault)
{
	const int need = F_SEAL_SHRINK | F_SEAL_GROW;
	const uint64_t len = state->layout.total_len;
	struct stat st;
	int seals;
	int ret;

	region->reused = true;
	region->shm = state->shm != 0;
	region->created = state->created != 0;
	region->path = state->path[0] != '\0' ? state->path : NULL;
	snprintf(region->name, sizeof(region->name), "%s%s%.100s", state->sealed != 0 ? "memfd" :
		 region->shm ? "shm object" : region->path != NULL ? "file" : "unnamed file",
		 region->path != NULL ? " " : "", state->path);
	if (fstat(region->fd, &st) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if ((uint64_t)st.st_size != len)
		return IVSHMEM_FAULT(fault, -EUCLEAN, "the region has %jd bytes, it was made with %"
				     PRIu64 ": somebody changed its length", (intmax_t)st.st_size,
				     len);
	seals = fcntl(region->fd, F_GET_SEALS);
	if (state->sealed != 0 && (seals < 0 || (seals & need) != need))
		return IVSHMEM_FAULT(fault, -EUCLEAN, "the region's memfd is not sealed");
	if (st.st_dev != state->dev || st.st_ino != state->ino)
		return IVSHMEM_FAULT(fault, -EUCLEAN, "the region is not the one that the record of"
				     " clients is about");
	ret = ivshmem_file_check_owner(region->fd, fault);
	if (ret == 0)
		ret = ivshmem_region_map(region, len, fault);
	if (ret != 0)
		return ret;
	region->layout = state->layout;
	ret = ivshmem_region_compare_path(region, options, fault);
	return ret != 0 ? ret : ivshmem_region_compare(region, &options->want, fault);
}

void
ivshmem_region_close(struct ivshmem_region *region, bool remove)
{
	if (remove && region->created)
		ivshmem_path_remove(region);
	if (region->base != NULL)
		munmap(region->base, region->layout.total_len);
	if (region->fd >= 0)
		close(region->fd);
	if (region->lock_fd >= 0)
		close(region->lock_fd);
	region->base = NULL;
	region->fd = -1;
	region->lock_fd = -1;
}
