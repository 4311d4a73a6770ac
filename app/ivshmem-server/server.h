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
#include "state.h"

/* What an event is about: a client's slot, or one of these. */
enum ivshmem_source {
	IVSHMEM_SOURCE_LISTENER = IVSHMEM_ABI_PORTS_MAX,
	IVSHMEM_SOURCE_TIMER,
	IVSHMEM_SOURCE_SIGNAL,
	IVSHMEM_SOURCE_CONTROL,
	IVSHMEM_SOURCE_ASKER,
};

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
	struct ivshmem_listen control;	/* for --takeover */
	char control_path[IVSHMEM_LISTEN_PATH_MAX];
	int asker_fd;			/* who wants to take over, -1 = nobody */
	int pid_fd;			/* the caller's; see daemon.h */
	int state_fd;
	struct ivshmem_state *state;	/* for a successor, NULL = there can be none */
	bool keep;			/* files go to the service manager as well */
	bool kept;			/* it has all of them */
	bool leave;			/* end without a word: a successor goes on */
	int epoll_fd;
	int timer_fd;
	int signal_fd;
	bool stop;
	bool deaf_said;		/* no client's connection can be accepted, and that was logged */
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

/*
 * accept() failed there, with what may pass, or for want of something that may come back: then the
 * listener is left alone until the next second. Returns whether it is.
 */
bool ivshmem_server_deafen(const struct ivshmem_server *server, struct ivshmem_listen *listener,
			   uint32_t source, int error);

/* Give a file to the service manager, if it keeps them; what it does not take is tried again. */
void ivshmem_server_keep(struct ivshmem_server *server, const char *name, int fd);

/* Remove all that create made; a region in a file stays, unless the server failed to start. */
void ivshmem_server_destroy(struct ivshmem_server *server, bool failed);

#endif /* IVSHMEM_SERVER_SERVER_H */
