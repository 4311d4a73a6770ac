/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Owner and permissions of a file that is to be mapped. The fd is looked at, not the path: nobody
 * can put another file there in between.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ivshmem_file.h"

int
ivshmem_file_check_owner(int fd, struct ivshmem_fault *fault)
{
	const uid_t me = geteuid();
	struct stat info;

	if (fstat(fd, &info) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (!S_ISREG(info.st_mode) || info.st_nlink == 0)	/* a memfd has no name */
		return 0;
	if (info.st_uid != me && info.st_uid != 0)
		return IVSHMEM_FAULT(fault, -EPERM, "belongs to user %u, who could cut it short;"
				     " this process is user %u: give it to that user (chown) or to"
				     " root, or run as its owner", (unsigned int)info.st_uid,
				     (unsigned int)me);
	if ((info.st_mode & 0002) != 0)
		return IVSHMEM_FAULT(fault, -EPERM, "has permissions %04o and belongs to user %u:"
				     " everybody could cut it short; chmod o-w",
				     (unsigned int)info.st_mode & 07777, (unsigned int)info.st_uid);
	return 0;
}
