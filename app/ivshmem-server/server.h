/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The server: a region, its slots, a socket, and the loop that serves them.
 */

#ifndef IVSHMEM_SERVER_SERVER_H
#define IVSHMEM_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "listen.h"
#include "options.h"
#include "region.h"
#include "slots.h"

/* Connections that were turned away and not logged yet. */
struct ivshmem_refusals {
	uint64_t cnt;
	uint64_t said_ms;		/* when some were logged last */
	struct ucred cred;		/* of the last one */
	struct ivshmem_fault why;
};

struct ivshmem_server {
	const struct ivshmem_options *options;
	struct ivshmem_region region;
	struct ivshmem_slots slots;
	struct ivshmem_listen listener;
	int epoll_fd;
	int timer_fd;
	int signal_fd;
	bool stop;
	bool deaf;		/* no connection is accepted until the next second */
	bool deaf_said;		/* and that was logged */
	struct ivshmem_refusals refused;
};

/*
 * Reserve and format the region, listen on the socket. The options must outlive the server. Returns
 * 0, or -errno after logging why; then nothing is left behind. -EINVAL: an option is at fault.
 */
int ivshmem_server_create(struct ivshmem_server *server, const struct ivshmem_options *options);

/* Serve until SIGTERM or SIGINT, which the caller has blocked. Returns 0 or -errno. */
int ivshmem_server_run(struct ivshmem_server *server);

/* Watch an fd for events of a source: EPOLL_CTL_*, fd, client's slot, EPOLL*. Returns 0, -errno. */
int ivshmem_server_watch(const struct ivshmem_server *server, int op, int fd, uint32_t source,
			 uint32_t events);

/* Remove all that create made; a region in a file stays, unless the server failed to start. */
void ivshmem_server_destroy(struct ivshmem_server *server, bool failed);

#endif /* IVSHMEM_SERVER_SERVER_H */
