/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * One client's connection and send queue.
 *
 * Invariants:
 *  C1. A client is told of who is in a slot once, and then of its leaving at most once before the
 *      slot's next. So its queue is bounded by construction: at most two notices for each slot.
 *  C2. Nothing here blocks: a client that does not read harms itself only.
 *  C3. A message is 8 bytes in one sendmsg(); the kernel takes all or nothing of it.
 * Threads: one.
 * Trust: clients have nothing to say. Any byte from one is the end of it. Files that come along are
 *      closed by whoever drops the bytes, and that may take as long as the client likes: bound.h.
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ivshmem_atomic.h"
#include "ivshmem_proto.h"

#include "bound.h"
#include "fdmsg.h"
#include "peer.h"
#include "state.h"

/* The messages before any vector. */
enum ivshmem_greeting {
	IVSHMEM_GREET_VERSION = 0,
	IVSHMEM_GREET_ID = 1,
	IVSHMEM_GREET_MEMORY = 2,
	IVSHMEM_GREET_DONE = 3,
};

struct ivshmem_peer *
ivshmem_peer_create(int fd, uint32_t slot, uint32_t id, uint32_t port_cnt)
{
	struct ivshmem_peer *peer = calloc(1, sizeof(*peer));
	const int inlined = 1;

	if (peer == NULL)
		return NULL;
	peer->queue = calloc(2 * (size_t)port_cnt, sizeof(peer->queue[0]));	/* C1 */
	peer->told = calloc(port_cnt, sizeof(peer->told[0]));
	if (peer->queue == NULL || peer->told == NULL) {
		peer->fd = -1;
		ivshmem_peer_destroy(peer);
		return NULL;
	}
	/* a byte out of band is one, too */
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &inlined, sizeof(inlined));
	peer->fd = fd;
	peer->slot = slot;
	peer->id = id;
	return peer;
}

int
ivshmem_peer_restore(struct ivshmem_peer *peer, const struct ivshmem_slots *slots)
{
	const struct ivshmem_state_slot *note = peer->note;
	const uint64_t sent = ivshmem_load64(&note->sent) >> 1;
	const uint32_t told_cnt = ivshmem_load32_acquire(&note->told_cnt);
	const uint64_t after = sent > IVSHMEM_GREET_DONE ? sent - IVSHMEM_GREET_DONE : 0;
	const uint64_t done = after / slots->vectors;

	if (told_cnt > slots->cnt || done > told_cnt ||
	    (done == told_cnt && after % slots->vectors != 0))
		return -EUCLEAN;
	for (uint32_t i = 0; i < told_cnt; i++) {
		const uint32_t slot = note->told[i];

		if (slot >= slots->cnt || slots->slot[slot].fds == NULL || peer->told[slot])
			return -EUCLEAN;
		peer->told[slot] = true;
		if (i >= done)
			peer->queue[peer->cnt++] =
				(struct ivshmem_notice){ .id = slot, .slot = slot };
	}
	peer->sent = sent;
	peer->greeting = sent < IVSHMEM_GREET_DONE ? sent : IVSHMEM_GREET_DONE;
	peer->vector = after % slots->vectors;
	return (ivshmem_load64(&note->sent) & IVSHMEM_STATE_SENDING) != 0 ? -ECONNABORTED : 0;
}

void
ivshmem_peer_destroy(struct ivshmem_peer *peer)
{
	if (peer == NULL)
		return;
	if (peer->fd >= 0)
		ivshmem_bound_close(peer->fd);
	free(peer->queue);
	free(peer->told);
	free(peer);
}

void
ivshmem_peer_tell(struct ivshmem_peer *peer, uint32_t slot, uint32_t id)
{
	uint32_t told_cnt;

	if (peer->told[slot])
		return;
	peer->told[slot] = true;
	peer->queue[peer->cnt++] = (struct ivshmem_notice){ .id = id, .slot = slot };
	if (peer->note == NULL)
		return;
	told_cnt = ivshmem_load32(&peer->note->told_cnt);
	peer->note->told[told_cnt] = slot;
	ivshmem_store32_release(&peer->note->told_cnt, told_cnt + 1);
}

/* Take a notice out of the queue. */
static void
ivshmem_peer_forget(struct ivshmem_peer *peer, uint32_t at)
{
	peer->cnt--;
	memmove(&peer->queue[at], &peer->queue[at + 1],
		(peer->cnt - at) * sizeof(peer->queue[0]));
}

void
ivshmem_peer_untell(struct ivshmem_peer *peer, uint32_t slot, uint32_t id)
{
	uint32_t at = 0;

	if (!peer->told[slot])
		return;
	peer->told[slot] = false;
	while (at < peer->cnt && (peer->queue[at].slot != slot || peer->queue[at].left))
		at++;
	if (at == peer->cnt) {
		peer->queue[peer->cnt++] =
			(struct ivshmem_notice){ .id = id, .slot = slot, .left = true };
	} else if (at == 0 && peer->vector > 0) {
		peer->queue[0].left = true;	/* it heard of some vectors */
		peer->vector = 0;
	} else {
		ivshmem_peer_forget(peer, at);
	}
}

/* fd = -1 sends none. */
static int
ivshmem_peer_send(const struct ivshmem_peer *peer, int64_t value, int fd)
{
	union ivshmem_fdmsg control = { 0 };
	uint64_t wire = htole64((uint64_t)value);
	struct iovec data = { .iov_base = &wire, .iov_len = IVSHMEM_PROTO_MSG_LEN };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t len;

	ivshmem_fdmsg_add(&msg, &control, fd);
	do {
		len = sendmsg(peer->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return len == IVSHMEM_PROTO_MSG_LEN ? 0 : -EIO;	/* C3 */
}

/* Send the next message of the first notice; with its last one the notice is done. */
static int
ivshmem_peer_send_notice(struct ivshmem_peer *peer, const struct ivshmem_slots *slots)
{
	const struct ivshmem_notice *notice = &peer->queue[0];
	int ret;

	ret = ivshmem_peer_send(peer, notice->id, notice->left ? -1 :
				slots->slot[notice->slot].fds[peer->vector]);
	if (ret != 0)
		return ret;
	if (!notice->left && ++peer->vector < slots->vectors)
		return 0;
	peer->vector = 0;
	ivshmem_peer_forget(peer, 0);
	return 0;
}

/* Send the next message, which there is, and move on if that succeeded. */
static int
ivshmem_peer_send_next(struct ivshmem_peer *peer, const struct ivshmem_slots *slots, int mem_fd)
{
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
		return ivshmem_peer_send_notice(peer, slots);
	}
	if (ret == 0)
		peer->greeting++;
	return ret;
}

/* The note of what was sent, before and after. */
static void
ivshmem_peer_note(const struct ivshmem_peer *peer, bool sending)
{
	if (peer->note != NULL)
		ivshmem_store64_release(&peer->note->sent, peer->sent << 1 |
					(sending ? IVSHMEM_STATE_SENDING : 0));
}

int
ivshmem_peer_flush(struct ivshmem_peer *peer, const struct ivshmem_slots *slots, int mem_fd,
		   uint64_t now_ms)
{
	int ret;

	if (!peer->waits)
		peer->progress_ms = now_ms;	/* a wait begins now, if any */
	while (peer->greeting < IVSHMEM_GREET_DONE || peer->cnt > 0) {
		ivshmem_peer_note(peer, true);
		ret = ivshmem_peer_send_next(peer, slots, mem_fd);
		peer->sent += ret == 0 ? 1 : 0;
		ivshmem_peer_note(peer, false);
		if (ret != 0)
			return ret;
		peer->progress_ms = now_ms;
	}
	return 0;
}

/* Drop some bytes that came, and the files that came along. Returns how many, 0, or -errno. */
static ssize_t
ivshmem_peer_drop(const struct ivshmem_peer *peer)
{
	char bytes[256];
	ssize_t len;

	ivshmem_bound_begin();
	do {
		len = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (len < 0 && errno == EINTR);
	len = len < 0 ? -errno : len;
	ivshmem_bound_end();
	return len;
}

int
ivshmem_peer_listen(struct ivshmem_peer *peer)
{
	const ssize_t len = ivshmem_peer_drop(peer);

	if (len == 0)
		return -EPIPE;
	if (len > 0)
		return -EPROTO;
	return len == -EAGAIN || len == -EWOULDBLOCK ? 0 : (int)len;
}

void
ivshmem_peer_hang_up(const struct ivshmem_peer *peer)
{
	shutdown(peer->fd, SHUT_RDWR);
	while (ivshmem_peer_drop(peer) > 0)
		;
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
