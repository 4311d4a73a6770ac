/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The listening socket and its place in the file system.
 */

#ifndef IVSHMEM_SERVER_LISTEN_H
#define IVSHMEM_SERVER_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "ivshmem_fault.h"

#define IVSHMEM_LISTEN_PATH_MAX	108	/* bytes of sockaddr_un */

struct ivshmem_listen {
	int fd;			/* -1 = not listening */
	int type;		/* SOCK_STREAM or SOCK_SEQPACKET */
	bool adopted;		/* by ivshmem_listen_adopt() */
	bool deaf;		/* nothing is accepted until the next second */
	const char *path;
	dev_t dev;		/* of the socket, so that no other's is removed */
	ino_t ino;
};

/*
 * Whether the path can be had: it is free, or a socket that nobody listens on. Returns 0, or -errno
 * with the fault (-EADDRINUSE when a server lives there). Changes nothing.
 */
int ivshmem_listen_probe(const char *path, struct ivshmem_fault *fault);

/*
 * Listen on the path with these permissions; a socket that nobody listens on is replaced, by one
 * server if several try. Returns 0, or -errno with the fault.
 */
int ivshmem_listen_open(struct ivshmem_listen *listener, const char *path, int type, mode_t mode,
			struct ivshmem_fault *fault);

/*
 * Take up a stream socket that listens on the path already. Returns false when it does not, or its
 * name is gone; the fd stays the caller's then.
 */
bool ivshmem_listen_adopt(struct ivshmem_listen *listener, int fd, const char *path);

/* Stop listening and remove the socket, if it is still ours. Accepts fd = -1. */
void ivshmem_listen_close(struct ivshmem_listen *listener);

/* Stop listening and leave the socket to a successor. Accepts fd = -1. */
void ivshmem_listen_leave(struct ivshmem_listen *listener);

#endif /* IVSHMEM_SERVER_LISTEN_H */
