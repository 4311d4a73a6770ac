/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The region's memory: made or found, reserved, formatted, mapped.
 *
 * What may happen to something that has the name already:
 *
 * found                        server                    format      either with --force
 * nothing                      made                      made        made
 * empty file                   formatted                 formatted   formatted
 * our region, options agree    used on                   refused     replaced
 * our region, options differ   refused with the option   refused     replaced
 * foreign or broken content    refused                   refused     replaced
 * locked by a server or port   refused                   refused     refused
 *
 * Replaced means a new file under the old name: who has the old one mapped keeps it.
 */

#ifndef IVSHMEM_SERVER_REGION_H
#define IVSHMEM_SERVER_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_layout.h"

#include "options.h"
#include "state.h"

struct ivshmem_region {
	void *base;		/* layout.total_len bytes */
	int fd;			/* for clients */
	int lock_fd;		/* own opening of a named file, holds the lock; -1 without a name */
	bool reused;		/* somebody else had formatted it */
	bool shm;		/* path is the name of a POSIX shm object */
	bool created;		/* path was made by this process */
	bool emptied;		/* path was an empty file before */
	const char *path;	/* name to open and remove, NULL = it has none */
	char name[160];		/* for people; stays after a failure */
	struct ivshmem_layout layout;
};

/*
 * Plan the geometry that the options ask for, with this program's default size. Returns 0, or
 * -EINVAL with the fault.
 */
int ivshmem_region_plan(const struct ivshmem_options *options, struct ivshmem_layout *layout,
			struct ivshmem_fault *fault);

/*
 * Get the region that the options describe, or for the command format the file. Returns 0, or
 * -errno with the fault; then nothing is left behind. -EINVAL only for what
 * ivshmem_options_blame() finds a name for.
 */
int ivshmem_region_open(const struct ivshmem_options *options, struct ivshmem_region *region,
			struct ivshmem_fault *fault);

/*
 * Take up a predecessor's region: fd and lock_fd are in the struct, the rest of it comes from the
 * state, which must outlive it. Returns 0, or -errno with the fault, never -EINVAL; the caller
 * closes.
 */
int ivshmem_region_inherit(struct ivshmem_region *region, const struct ivshmem_options *options,
			   const struct ivshmem_state *state, struct ivshmem_fault *fault);

/* What tells the region's file from others. Returns 0, or -errno. */
int ivshmem_region_id(const struct ivshmem_region *region, uint64_t *dev, uint64_t *ino);

/* Unmap and close. remove: also remove the name, if this process made it. */
void ivshmem_region_close(struct ivshmem_region *region, bool remove);

#endif /* IVSHMEM_SERVER_REGION_H */
