/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * One client's connection and send queue.
 *
 * Invariants:
 *  C1. A client is told of an id once. So its queue is bounded by construction: by the number of
 *      ports in ids, by 3 + ports * vectors in messages.
 *  C2. Nothing here blocks: a client that does not read harms itself only.
 *  C3. A message is 8 bytes in one sendmsg(); the kernel takes all or nothing of it.
 * Threads: one.
 * Trust: clients have nothing to say. Any byte from one is the end of it.
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem_proto.h"

#include "peer.h"

/* The messages before any vector. */
enum ivshmem_greeting {
	IVSHMEM_GREET_VERSION = 0,
	IVSHMEM_GREET_ID = 1,
	IVSHMEM_GREET_MEMORY = 2,
	IVSHMEM_GREET_DONE = 3,
};

struct ivshmem_peer *
ivshmem_peer_create(int fd, uint32_t id, uint32_t port_cnt)
{
	struct ivshmem_peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return NULL;
	peer->ids = calloc(port_cnt, sizeof(peer->ids[0]));
	peer->told = calloc(port_cnt, sizeof(peer->told[0]));
	if (peer->ids == NULL || peer->told == NULL) {
		peer->fd = -1;
		ivshmem_peer_destroy(peer);
		return NULL;
	}
	peer->fd = fd;
	peer->id = id;
	return peer;
}

void
ivshmem_peer_destroy(struct ivshmem_peer *peer)
{
	if (peer == NULL)
		return;
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->ids);
	free(peer->told);
	free(peer);
}

void
ivshmem_peer_tell(struct ivshmem_peer *peer, uint32_t id)
{
	if (peer->told[id])
		return;
	peer->told[id] = true;
	peer->ids[peer->tail++] = id;
}

/* fd = -1 sends none. */
static int
ivshmem_peer_send(const struct ivshmem_peer *peer, int64_t value, int fd)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint64_t wire = htole64((uint64_t)value);
	struct iovec data = { .iov_base = &wire, .iov_len = IVSHMEM_PROTO_MSG_LEN };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t len;

	if (fd >= 0) {
		msg.msg_control = control.raw;
		msg.msg_controllen = sizeof(control.raw);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	do {
		len = sendmsg(peer->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return len == IVSHMEM_PROTO_MSG_LEN ? 0 : -EIO;	/* C3 */
}

/* Send the next message of the queue, which is not empty, and move on if that succeeded. */
static int
ivshmem_peer_send_next(struct ivshmem_peer *peer, const struct ivshmem_slots *slots, int mem_fd)
{
	const uint32_t id = peer->ids[peer->head];
	int ret;

	switch (peer->greeting) {
	case IVSHMEM_GREET_VERSION:
		ret = ivshmem_peer_send(peer, IVSHMEM_PROTO_VERSION, -1);
		break;
	case IVSHMEM_GREET_ID:
		ret = ivshmem_peer_send(peer, peer->id, -1);
		break;
	case IVSHMEM_GREET_MEMORY:
		ret = ivshmem_peer_send(peer, IVSHMEM_PROTO_MEMORY, mem_fd);
		break;
	default:
		ret = ivshmem_peer_send(peer, id, slots->slot[id].fds[peer->vector]);
		if (ret == 0 && ++peer->vector == slots->vectors) {
			peer->vector = 0;
			peer->head++;
		}
		break;
	}
	if (ret == 0 && peer->greeting < IVSHMEM_GREET_DONE)
		peer->greeting++;
	return ret;
}

int
ivshmem_peer_flush(struct ivshmem_peer *peer, const struct ivshmem_slots *slots, int mem_fd,
		   uint64_t now_ms)
{
	int ret;

	if (!peer->waits)
		peer->progress_ms = now_ms;	/* a wait begins now, if any */
	while (peer->greeting < IVSHMEM_GREET_DONE || peer->head < peer->tail) {
		ret = ivshmem_peer_send_next(peer, slots, mem_fd);
		if (ret != 0)
			return ret;
		peer->sent++;
		peer->progress_ms = now_ms;
	}
	return 0;
}

int
ivshmem_peer_listen(struct ivshmem_peer *peer)
{
	char byte;
	ssize_t len;

	do {
		len = recv(peer->fd, &byte, sizeof(byte), MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len == 0)
		return -EPIPE;
	if (len > 0)
		return -EPROTO;
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

void
ivshmem_peer_end(struct ivshmem_peer *peer, enum ivshmem_slot_state state, uint32_t cause)
{
	if (peer->ending)
		return;
	peer->ending = true;
	peer->state = state;
	peer->cause = cause;
}
