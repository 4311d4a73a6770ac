/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Living in the system: background, pid file.
 */

#ifndef IVSHMEM_SERVER_DAEMON_H
#define IVSHMEM_SERVER_DAEMON_H

#include "ivshmem_fault.h"

/*
 * Go on in a child. The parent never returns: it exits with 0 when the child calls
 * ivshmem_daemon_detach(), or with the child's status. Returns the fd for that call, or -errno.
 */
int ivshmem_daemon_fork(void);

/* Let the parent go, leave its session and its standard files. */
void ivshmem_daemon_detach(int fd);

/*
 * Write our process id to a file and keep it locked. Returns the fd, or -errno, logged; a file that
 * a living process holds is refused.
 */
int ivshmem_pid_file_open(const char *path);

/* Remove the pid file; fd = -1 is accepted. */
void ivshmem_pid_file_close(int fd, const char *path);

#endif /* IVSHMEM_SERVER_DAEMON_H */
