/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Whose a file is, before it is mapped: who may shorten it can kill every process that has it
 * mapped (SIGBUS), and who may write to it is a member of the region.
 */

#ifndef IVSHMEM_FILE_H
#define IVSHMEM_FILE_H

#include "ivshmem_fault.h"

/*
 * The file must belong to this process's effective user or to root, and not everybody may write to
 * it. Its group may: that is the administrator's choice. Devices have no length to cut, and a memfd
 * has no name under which others could open it. Returns 0, -EPERM with owner, permissions and who
 * we are, or another -errno.
 */
int ivshmem_file_check_owner(int fd, struct ivshmem_fault *fault);

#endif /* IVSHMEM_FILE_H */
