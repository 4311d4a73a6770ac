/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The service manager: what it is told, and the files that it keeps for us (its fd store). The
 * protocol is that of sd_notify(3) and sd_listen_fds(3).
 */

#ifndef IVSHMEM_SERVER_NOTIFY_H
#define IVSHMEM_SERVER_NOTIFY_H

#include <stdbool.h>

#include "legacy.h"

/* Tell the service manager of $NOTIFY_SOCKET, if there is one. A failure is only logged. */
void ivshmem_notify(const char *state);

/* Whether there is a service manager. */
bool ivshmem_notify_can(void);

/* Ask it to keep a file under that name; wait: for 5 seconds if it is slow. Returns 0, -errno. */
int ivshmem_notify_keep(const char *name, int fd, bool wait);

/* Ask it to keep no file of that name any more. */
void ivshmem_notify_drop(const char *name);

/* The files that it kept, and gave this process at its start. Returns 0 or -errno. */
int ivshmem_notify_take(struct ivshmem_legacy *legacy);

#endif /* IVSHMEM_SERVER_NOTIFY_H */
