/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The client's side of the server's socket: bytes and fds in, events out.
 *
 * No threads, no epoll: the caller decides when to look. Works on any stream socket, so tests and
 * fuzzers feed it through a socketpair.
 *
 * Trust: the server may be foreign or broken. Every message is checked here: order, range, and
 * whether an fd must or must not come with it.
 */

#ifndef IVSHMEM_CLIENT_H
#define IVSHMEM_CLIENT_H

#include <stdint.h>

#include "ivshmem_fault.h"
#include "ivshmem_proto.h"

enum ivshmem_client_step {
	IVSHMEM_CLIENT_VERSION,	/* the next message must be the version */
	IVSHMEM_CLIENT_ID,	/* ... the own id */
	IVSHMEM_CLIENT_MEMORY,	/* ... leads to the memory */
	IVSHMEM_CLIENT_OPEN,	/* handshake done */
};

struct ivshmem_client {
	int fd;
	enum ivshmem_client_step step;
	int64_t id;			/* own id, -1 until known */
	uint8_t buf[IVSHMEM_PROTO_MSG_LEN];
	uint32_t buf_len;
	int msg_fd;			/* fd that came with the message being read, or -1 */
};

enum ivshmem_client_event_type {
	IVSHMEM_CLIENT_EVENT_NONE,	/* nothing to read now */
	IVSHMEM_CLIENT_EVENT_STEP,	/* version or own id taken */
	IVSHMEM_CLIENT_EVENT_MEMORY,	/* fd is the region */
	IVSHMEM_CLIENT_EVENT_VECTOR,	/* fd is the next vector of peer id */
	IVSHMEM_CLIENT_EVENT_LEAVE,	/* peer id left */
};

struct ivshmem_client_event {
	enum ivshmem_client_event_type type;
	int64_t id;
	int fd;				/* the caller's to close; -1 when there is none */
};

/*
 * Connect to a server's socket. Returns 0, or a negative errno with the fault naming the path and
 * what to do; nothing is left open on failure.
 */
int ivshmem_client_connect(struct ivshmem_client *client, const char *path,
			   struct ivshmem_fault *fault);

/* Take over a connected stream socket. */
void ivshmem_client_init(struct ivshmem_client *client, int fd);

/*
 * Read at most one message. Returns 0 with *event filled (NONE when nothing is there), -EPIPE at
 * the server's end of file, -EPROTO when the server broke the protocol, or another negative errno.
 */
int ivshmem_client_next(struct ivshmem_client *client, struct ivshmem_client_event *event,
			struct ivshmem_fault *fault);

/*
 * Wait until the memory came, at most timeout_ms. Returns its fd, the caller's to close, or a
 * negative errno: -ETIMEDOUT for a mute server. Vectors that come earlier are closed.
 */
int ivshmem_client_handshake(struct ivshmem_client *client, uint32_t timeout_ms,
			     struct ivshmem_fault *fault);

void ivshmem_client_close(struct ivshmem_client *client);

#endif /* IVSHMEM_CLIENT_H */
