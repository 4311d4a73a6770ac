/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A connected client and the messages that it has yet to get.
 *
 * The order of messages: version, own id, memory, the vectors of every other id that was ever
 * given, the own vectors; later the vectors of ids that are given for the first time. Where leaves
 * are announced: of every other id that has a client now; later of ids that come, and leaves.
 */

#ifndef IVSHMEM_SERVER_PEER_H
#define IVSHMEM_SERVER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "slots.h"

/* What a peer is to hear of: the vectors of an id, or that its client left. */
struct ivshmem_notice {
	uint16_t id;
	uint16_t slot;		/* where its vectors are */
	bool left;
};

struct ivshmem_peer {
	int fd;
	struct ivshmem_state_slot *note; /* for a successor, NULL = there can be none */
	uint32_t slot;
	uint32_t id;
	uint32_t life;		/* of the port with the id, 0 = there is none */
	struct ucred cred;	/* as of SO_PEERCRED, when it connected */
	uint64_t sent;		/* messages */
	uint64_t progress_ms;	/* when a message was sent last, or had to wait */
	uint32_t greeting;	/* of the first three messages, those sent */
	uint32_t vector;	/* next vector of the first notice in the queue */
	uint32_t cnt;		/* notices in the queue */
	struct ivshmem_notice *queue;
	bool *told;		/* by slot: queued, or sent */
	bool waits;		/* for its socket to become writable */
	bool starved;		/* the kernel lets no more fds travel; tried again each second */
	bool ending;		/* to be detached, with the next two */
	enum ivshmem_slot_state state;
	uint32_t cause;
};

/* Take over a connection: fd belongs to the peer from here on. Returns NULL without memory. */
struct ivshmem_peer *ivshmem_peer_create(int fd, uint32_t slot, uint32_t id, uint32_t port_cnt);

/*
 * Bring a new peer to where a predecessor was with it, as its note says; the note is not written.
 * Returns 0; -ECONNABORTED when a message was on its way, so that nobody knows whether the client
 * has it; -EUCLEAN when the note is impossible. All eventfds of the slots are there already.
 */
int ivshmem_peer_restore(struct ivshmem_peer *peer, const struct ivshmem_slots *slots);

/* Close the connection and free the peer; NULL is accepted. */
void ivshmem_peer_destroy(struct ivshmem_peer *peer);

/* Queue the vectors of an id, unless the peer was told of its slot already. */
void ivshmem_peer_tell(struct ivshmem_peer *peer, uint32_t slot, uint32_t id);

/*
 * Queue that the client of a slot left, if the peer heard of it; if not, it never will. The slot's
 * next client is somebody to be told of.
 */
void ivshmem_peer_untell(struct ivshmem_peer *peer, uint32_t slot, uint32_t id);

/*
 * Send what can be sent. Returns 0 when the queue is empty, -EAGAIN when the socket is full,
 * -ETOOMANYREFS when the kernel holds too many fds in flight, another -errno when the peer is lost.
 */
int ivshmem_peer_flush(struct ivshmem_peer *peer, const struct ivshmem_slots *slots, int mem_fd,
		       uint64_t now_ms);

/*
 * The socket is readable. Returns 0 when nothing was there, -EPIPE at end of file, -EPROTO when the
 * client sent something, another -errno of its socket.
 */
int ivshmem_peer_listen(struct ivshmem_peer *peer);

/*
 * End the connection, which others may have open, too, and throw away what the client has sent: who
 * closes it last, maybe the service manager, would have to close the files that came along.
 */
void ivshmem_peer_hang_up(const struct ivshmem_peer *peer);

/* Note that the peer is to be detached; the first reason stays. */
void ivshmem_peer_end(struct ivshmem_peer *peer, enum ivshmem_slot_state state, uint32_t cause);

#endif /* IVSHMEM_SERVER_PEER_H */
