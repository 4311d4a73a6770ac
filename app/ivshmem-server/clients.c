/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Clients come, get their messages and go.
 *
 * event                        what follows
 * connection, a slot is free   slot LIVE; the others are told, then the newcomer; the others rung
 * connection, none is free     closed, logged
 * connection, not allowed      closed, logged
 * end of file from a client    slot LEFT; the others rung
 * data from a client           slot DROPPED; the others rung
 * client does not read         slot DROPPED after --client-timeout; the others rung
 *
 * With --announce-leave the others are told of a leave, and nobody is rung.
 *
 * Invariants:
 *  E1 (server.c). What goes wrong with a client is noted; only ivshmem_clients_reap() destroys,
 *      when nobody holds a peer.
 * Threads: one.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "ivshmem_atomic.h"

#include "bound.h"
#include "clients.h"
#include "limits.h"
#include "log.h"
#include "notify.h"
#include "peer.h"

#define IVSHMEM_REFUSED_LOG_MS	1000

static uint64_t
ivshmem_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A change begins or is over: a successor has to know whether everybody heard of it. */
static void
ivshmem_clients_note_change(struct ivshmem_server *server, bool changing)
{
	if (server->state != NULL)
		ivshmem_store32_release(&server->state->changing, changing);
}

/* Send the peer what it can take; note it for the end if it is lost. */
static void
ivshmem_client_pump(struct ivshmem_server *server, struct ivshmem_peer *peer)
{
	const bool waited = peer->waits;
	int ret;

	if (peer->ending)
		return;
	ret = ivshmem_peer_flush(peer, &server->slots, server->region.fd, ivshmem_now_ms());
	peer->waits = ret == -EAGAIN;
	peer->starved = ret == -ETOOMANYREFS;
	if (peer->starved)
		ivshmem_log(IVSHMEM_LOG_DEBUG, "id=%" PRIu32 " waits for fds in flight", peer->id);
	if (ret == -EPIPE || ret == -ECONNRESET) {
		/* its receiving half is closed: only an end of file says that all of it is */
		if (ivshmem_peer_listen(peer) == 0)
			ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, -ret);
		else
			ivshmem_peer_end(peer, IVSHMEM_SLOT_LEFT, -ret);
	} else if (ret != 0 && !peer->waits && !peer->starved) {
		ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, -ret);
	}
	if (peer->waits == waited)
		return;
	ret = ivshmem_server_watch(server, EPOLL_CTL_MOD, peer->fd, peer->slot,
				   EPOLLIN | (peer->waits ? EPOLLOUT : 0));
	if (ret != 0)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, -ret);
}

/* Say who was turned away, but not a thousand times a second. */
static void
ivshmem_clients_say_refused(struct ivshmem_server *server)
{
	struct ivshmem_refusals *refused = &server->refused;
	const uint64_t now = ivshmem_now_ms();

	if (refused->cnt == 0 ||
	    (refused->said_ms != 0 && now - refused->said_ms < IVSHMEM_REFUSED_LOG_MS))
		return;
	ivshmem_log(IVSHMEM_LOG_INFO, "refused %" PRIu64 " connection(s), the last of pid=%d"
		    " uid=%d gid=%d: %s", refused->cnt, (int)refused->cred.pid,
		    (int)refused->cred.uid, (int)refused->cred.gid, refused->why.text);
	refused->cnt = 0;
	refused->said_ms = now;
}

/* The lists say who may connect; without any everybody may whom the socket's mode lets. */
static bool
ivshmem_clients_may(const struct ivshmem_options *options, const struct ucred *cred)
{
	if (options->uids.cnt == 0 && options->gids.cnt == 0)
		return true;
	for (uint32_t i = 0; i < options->uids.cnt; i++)
		if (options->uids.id[i] == cred->uid)
			return true;
	for (uint32_t i = 0; i < options->gids.cnt; i++)
		if (options->gids.id[i] == cred->gid)
			return true;
	return false;
}

/* Tell the others of the newcomer and the newcomer of all, in the protocol's order. */
static void
ivshmem_clients_introduce(struct ivshmem_server *server, struct ivshmem_peer *peer)
{
	const struct ivshmem_slots *slots = &server->slots;

	for (uint32_t i = 0; i < slots->cnt; i++) {
		const struct ivshmem_slot *slot = &slots->slot[i];

		if (i == peer->slot || slot->fds == NULL || (slots->count_up && slot->peer == NULL))
			continue;
		ivshmem_peer_tell(peer, i, slot->id);
		if (slot->peer == NULL)
			continue;
		ivshmem_peer_tell(slot->peer, peer->slot, peer->id);
		ivshmem_client_pump(server, slot->peer);
	}
	ivshmem_peer_tell(peer, peer->slot, peer->id);
	ivshmem_client_pump(server, peer);
}

/* Tell the others that who had the slot left. */
static void
ivshmem_clients_part(struct ivshmem_server *server, uint32_t slot, uint32_t id)
{
	const struct ivshmem_slots *slots = &server->slots;

	for (uint32_t i = 0; i < slots->cnt; i++) {
		if (slots->slot[i].peer == NULL)
			continue;
		ivshmem_peer_untell(slots->slot[i].peer, slot, id);
		ivshmem_client_pump(server, slots->slot[i].peer);
	}
}

void
ivshmem_clients_hear(struct ivshmem_server *server, uint32_t slot, uint32_t events)
{
	struct ivshmem_peer *peer = server->slots.slot[slot].peer;
	int ret = 0;

	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		ret = ivshmem_peer_listen(peer);
	if (ret == -EPIPE)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_LEFT, 0);
	else if (ret == -ECONNRESET)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_LEFT, ECONNRESET);
	else if (ret != 0)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, -ret);
	else if ((events & EPOLLOUT) != 0)
		ivshmem_client_pump(server, peer);
}

static const char *
ivshmem_cause_text(const struct ivshmem_peer *peer)
{
	if (peer->cause == 0)
		return "closed by the client";
	if (peer->cause == EPROTO)
		return "the client sent data";
	if (peer->cause == ECONNABORTED)
		return "the last server ended while it sent a message to it";
	if (peer->cause == ETIMEDOUT)
		return "the client does not read its messages";
	return strerror(peer->cause);
}

static void
ivshmem_client_detach(struct ivshmem_server *server, struct ivshmem_peer *peer)
{
	struct ivshmem_slots *slots = &server->slots;
	char name[IVSHMEM_LEGACY_NAME_MAX];

	ivshmem_clients_note_change(server, true);
	ivshmem_slots_detach(slots, peer->slot, peer->state, peer->cause);
	ivshmem_log(IVSHMEM_LOG_INFO, "detach id=%" PRIu32 " life=%" PRIu32 " pid=%d state=%s"
		    " sent=%" PRIu64 " clients=%" PRIu32 "/%" PRIu32 ": %s", peer->id,
		    peer->life, (int)peer->cred.pid,
		    peer->state == IVSHMEM_SLOT_LEFT ? "left" : "dropped", peer->sent,
		    slots->live, slots->cnt, ivshmem_cause_text(peer));
	if (slots->count_up)
		ivshmem_clients_part(server, peer->slot, peer->id);
	ivshmem_slots_ring_others(slots, peer->slot);
	ivshmem_clients_note_change(server, false);
	/* close() would not do it: the service manager has the connection open, too */
	ivshmem_server_watch(server, EPOLL_CTL_DEL, peer->fd, peer->slot, 0);
	ivshmem_peer_hang_up(peer);
	if (server->keep) {
		ivshmem_legacy_name_client(name, peer->slot, peer->life);
		ivshmem_notify_drop(name);
	}
	ivshmem_peer_destroy(peer);
}

void
ivshmem_clients_reap(struct ivshmem_server *server)
{
	struct ivshmem_peer *peer;

	for (uint32_t slot = 0; slot < server->slots.cnt; slot++) {
		peer = server->slots.slot[slot].peer;
		if (peer != NULL && peer->ending)
			ivshmem_client_detach(server, peer);
	}
}

/* A client may be gone without its end of file having been looked at: its slot is free then. */
static void
ivshmem_clients_hear_all(struct ivshmem_server *server)
{
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++)
		if (server->slots.slot[slot].peer != NULL)
			ivshmem_clients_hear(server, slot, EPOLLIN);
	ivshmem_clients_reap(server);
}

/* A slot for who connected, or -errno and why there is none. */
static int
ivshmem_clients_admit(struct ivshmem_server *server, const struct ucred *cred,
		      struct ivshmem_fault *why)
{
	struct ivshmem_slots *slots = &server->slots;
	int slot;

	if (!ivshmem_clients_may(server->options, cred))
		return IVSHMEM_FAULT(why, -EPERM, "neither --allow-uid nor --allow-gid names it");
	slot = ivshmem_slots_choose(slots);
	if (slot == -ENOSPC) {
		ivshmem_clients_hear_all(server);
		slot = ivshmem_slots_choose(slots);
	}
	if (slot == -ENOSPC)
		return IVSHMEM_FAULT(why, slot, "all %" PRIu32 " ports are taken; stop a client, or"
				     " start the server with more --ports", slots->cnt);
	if (slot == -EOVERFLOW)
		return IVSHMEM_FAULT(why, slot, "all %" PRIu32 " ids were given, --announce-leave"
				     " gives none twice; start server and clients anew",
				     slots->next_id);
	return slot < 0 ? ivshmem_limits_explain(-slot, why) : slot;
}

/* What a successor needs of a newcomer is noted and kept before the newcomer gets anything. */
static void
ivshmem_clients_keep(struct ivshmem_server *server, struct ivshmem_peer *peer)
{
	struct ivshmem_slot *slot = &server->slots.slot[peer->slot];
	struct ivshmem_state_slot *note = slot->note;
	char name[IVSHMEM_LEGACY_NAME_MAX];

	if (note == NULL)
		return;
	for (uint32_t vector = 0; ivshmem_load32(&note->given) == 0 &&
	     vector < server->slots.vectors; vector++) {
		ivshmem_legacy_name_vector(name, peer->slot, vector);
		ivshmem_server_keep(server, name, slot->fds[vector]);
	}
	ivshmem_store32_release(&note->given, 1);
	note->pid = peer->cred.pid;
	note->uid = peer->cred.uid;
	note->gid = peer->cred.gid;
	ivshmem_store32(&note->told_cnt, 0);
	ivshmem_store64(&note->sent, 0);
	peer->note = note;
	ivshmem_legacy_name_client(name, peer->slot, slot->life + 1);
	ivshmem_server_keep(server, name, peer->fd);
}

/* The connection of somebody who is let in becomes a peer. */
static struct ivshmem_peer *
ivshmem_clients_make_peer(struct ivshmem_server *server, int fd)
{
	struct ivshmem_refusals *refused = &server->refused;
	struct ivshmem_slots *slots = &server->slots;
	struct ucred cred = { .pid = -1, .uid = -1, .gid = -1 };
	socklen_t len = sizeof(cred);
	struct ivshmem_peer *peer = NULL;
	int slot;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		cred.pid = -1;
	slot = ivshmem_clients_admit(server, &cred, &refused->why);
	if (slot >= 0)
		peer = ivshmem_peer_create(fd, slot, slots->slot[slot].id, slots->cnt);
	if (peer == NULL) {
		if (slot >= 0)
			ivshmem_limits_explain(ENOMEM, &refused->why);
		refused->cnt++;
		refused->cred = cred;
		ivshmem_clients_say_refused(server);
		return NULL;
	}
	peer->cred = cred;
	ivshmem_clients_keep(server, peer);
	return peer;
}

void
ivshmem_clients_attach(struct ivshmem_server *server, int fd)
{
	struct ivshmem_slots *slots = &server->slots;
	struct ivshmem_peer *peer = ivshmem_clients_make_peer(server, fd);
	int ret;

	if (peer == NULL) {
		ivshmem_bound_close(fd);
		return;
	}
	ivshmem_clients_note_change(server, true);
	peer->life = ivshmem_slots_attach(slots, peer->slot, peer);
	ivshmem_log(IVSHMEM_LOG_INFO, "attach id=%" PRIu32 " life=%" PRIu32 " pid=%d uid=%d"
		    " clients=%" PRIu32 "/%" PRIu32, peer->id, peer->life, (int)peer->cred.pid,
		    (int)peer->cred.uid, slots->live, slots->cnt);
	ret = ivshmem_server_watch(server, EPOLL_CTL_ADD, fd, peer->slot, EPOLLIN);
	if (ret != 0)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, -ret);
	ivshmem_clients_introduce(server, peer);
	ivshmem_slots_ring_others(slots, peer->slot);
	ivshmem_clients_note_change(server, false);
}

void
ivshmem_clients_resume(struct ivshmem_server *server)
{
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++)
		if (server->slots.slot[slot].peer != NULL)
			ivshmem_clients_introduce(server, server->slots.slot[slot].peer);
}

void
ivshmem_clients_tick(struct ivshmem_server *server)
{
	const uint64_t limit_ms = (uint64_t)server->options->timeout * 1000;
	const uint64_t now = ivshmem_now_ms();
	struct ivshmem_peer *peer;

	ivshmem_clients_say_refused(server);
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++) {
		peer = server->slots.slot[slot].peer;
		if (peer == NULL)
			continue;
		if (peer->starved || peer->waits)	/* EPOLLOUT says "half empty" */
			ivshmem_client_pump(server, peer);
		if (peer->waits && now > peer->progress_ms && now - peer->progress_ms >= limit_ms)
			ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, ETIMEDOUT);
	}
}

void
ivshmem_clients_destroy(struct ivshmem_server *server)
{
	if (server->slots.slot == NULL)
		return;
	if (!server->leave)
		ivshmem_slots_retire(&server->slots);
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++) {
		ivshmem_peer_destroy(server->slots.slot[slot].peer);
		server->slots.slot[slot].peer = NULL;
	}
}
