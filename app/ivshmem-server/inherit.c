/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A predecessor's files become a server.
 *
 * what came                      what follows
 * the state is none              nothing is taken up
 * another file, another size,
 *   another owner, no seals      nothing is taken up
 * an eventfd is missing          nothing is taken up: some client has it and would ring in vain
 * a connection is missing        its slot is LEFT
 * a message was on its way       that client is given up: its slot is DROPPED
 * no socket to listen on         it is made anew
 * anything else                  closed
 *
 * Invariants:
 *  I1. The epoch goes on. It says whose eventfds and whose word the slot table holds, and these
 *      are the predecessor's: to ports nothing has changed.
 *  I2. The region is not asked for anything: its geometry comes from the state, and what clients
 *      may have written into the slot table is not believed but corrected.
 * Threads: one.
 * Trust: the files come from a server of this user or root, or from the service manager; they may
 *      be stale, too few, or of another kind than their names say.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem_atomic.h"
#include "ivshmem_proto.h"

#include "clients.h"
#include "inherit.h"
#include "limits.h"
#include "log.h"
#include "peer.h"

/* The notes go where slots.c and peer.c write them. */
static void
ivshmem_inherit_set_notes(struct ivshmem_server *server)
{
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++)
		server->slots.slot[slot].note = ivshmem_state_slot(server->state, slot);
}

int
ivshmem_inherit_prepare(struct ivshmem_server *server)
{
	const struct ivshmem_region *region = &server->region;
	struct ivshmem_state *state;
	int ret;
	int fd;

	fd = ivshmem_state_create(&region->layout, &state);
	if (fd < 0)
		return fd;
	server->state_fd = fd;
	server->state = state;
	state->vectors = server->slots.vectors;
	state->sealed = region->path == NULL && server->options->mem_path == NULL;
	state->shm = region->shm;
	state->created = region->created;
	ret = ivshmem_region_id(region, &state->dev, &state->ino);
	if (ret != 0)
		return ret;
	state->epoch = server->slots.epoch;
	if (region->path != NULL)
		snprintf(state->path, sizeof(state->path), "%s", region->path);
	ivshmem_inherit_set_notes(server);
	for (uint32_t slot = 0; slot < server->slots.cnt; slot++)
		server->slots.slot[slot].note->life = server->slots.slot[slot].life;
	return 0;
}

static int
ivshmem_inherit_region(struct ivshmem_server *server, struct ivshmem_legacy *legacy,
		       struct ivshmem_fault *fault)
{
	const uint32_t want = server->options->vectors;
	const struct ivshmem_state *state;
	int ret;

	server->state_fd = ivshmem_legacy_take(legacy, "state");
	server->region.fd = ivshmem_legacy_take(legacy, "memory");
	server->region.lock_fd = ivshmem_legacy_take(legacy, "lock");
	if (server->state_fd < 0 || server->region.fd < 0)
		return IVSHMEM_FAULT(fault, -ENOENT, "no %s came with it",
				     server->state_fd < 0 ? "record of clients" : "memory");
	ret = ivshmem_state_open(server->state_fd, &server->state, fault);
	if (ret != 0)
		return ret;
	state = server->state;
	if (state->vectors == 0 || state->vectors > IVSHMEM_PROTO_VECTORS_MAX)
		return IVSHMEM_FAULT(fault, -EUCLEAN, "its record of clients says %" PRIu32
				     " vectors, not 1..%u", state->vectors,
				     IVSHMEM_PROTO_VECTORS_MAX);
	ret = ivshmem_region_inherit(&server->region, server->options, state, fault);
	if (ret != 0)
		return ret;
	if (want != 0 && want != state->vectors)
		return IVSHMEM_FAULT(fault, -EEXIST, "it has --vectors %" PRIu32 ", not %" PRIu32
				     "; leave the option away", state->vectors, want);
	return ivshmem_limits_raise(state->layout.port_cnt, state->vectors, fault);
}

static bool
ivshmem_is_eventfd(int fd)
{
	char link[64];
	char path[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	link[len > 0 ? len : 0] = '\0';
	return strcmp(link, "anon_inode:[eventfd]") == 0;
}

static bool
ivshmem_is_connection(int fd)
{
	socklen_t len = sizeof(int);
	int domain = 0;
	int type = 0;
	int listens = 1;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens == 0;
}

static int
ivshmem_inherit_vectors(struct ivshmem_slots *slots, uint32_t slot, struct ivshmem_legacy *legacy,
			struct ivshmem_fault *fault)
{
	char name[IVSHMEM_LEGACY_NAME_MAX];
	int *fds = malloc(slots->vectors * sizeof(fds[0]));
	bool complete = true;

	if (fds == NULL)
		return IVSHMEM_FAULT(fault, -ENOMEM, "%s", strerror(ENOMEM));
	for (uint32_t vector = 0; vector < slots->vectors; vector++) {
		ivshmem_legacy_name_vector(name, slot, vector);
		fds[vector] = ivshmem_legacy_take(legacy, name);
		complete = complete && ivshmem_is_eventfd(fds[vector]);
	}
	slots->slot[slot].fds = fds;
	if (complete)
		return 0;
	return IVSHMEM_FAULT(fault, -ENOENT, "not all eventfds of id %" PRIu32 " came with it; is"
			     " FileDescriptorStoreMax= of the unit below %" PRIu32 "?", slot,
			     slots->cnt * (1 + slots->vectors) + 4);
}

static int
ivshmem_inherit_client(struct ivshmem_slots *slots, uint32_t slot, struct ivshmem_legacy *legacy,
		       struct ivshmem_fault *fault)
{
	struct ivshmem_slot *own = &slots->slot[slot];
	char name[IVSHMEM_LEGACY_NAME_MAX];
	struct ivshmem_peer *peer;
	int ret;
	int fd;

	ivshmem_legacy_name_client(name, slot, own->life);
	fd = ivshmem_legacy_take(legacy, name);
	if (fd < 0)
		return 0;	/* gone; ivshmem_inherit_begin() says so */
	peer = ivshmem_is_connection(fd) ? ivshmem_peer_create(fd, slot, slot, slots->cnt) : NULL;
	if (peer == NULL) {
		close(fd);
		return 0;
	}
	peer->note = own->note;
	peer->life = own->life;
	peer->cred = (struct ucred){ own->note->pid, own->note->uid, own->note->gid };
	own->peer = peer;
	slots->live++;
	ret = ivshmem_peer_restore(peer, slots);
	if (ret == -ECONNABORTED)
		ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, ECONNABORTED);
	else if (ret != 0)
		return IVSHMEM_FAULT(fault, ret, "its record of clients is broken at id %" PRIu32,
				     slot);
	return 0;
}

static int
ivshmem_inherit_slots(struct ivshmem_server *server, struct ivshmem_legacy *legacy,
		      struct ivshmem_fault *fault)
{
	struct ivshmem_slots *slots = &server->slots;
	int ret;

	ret = ivshmem_slots_restore(slots, server->region.base, &server->region.layout,
				    server->state->vectors, server->state->epoch);
	if (ret != 0)
		return IVSHMEM_FAULT(fault, ret, "%s", strerror(-ret));
	ivshmem_inherit_set_notes(server);
	for (uint32_t slot = 0; slot < slots->cnt && ret == 0; slot++) {
		const struct ivshmem_state_slot *note = slots->slot[slot].note;

		slots->slot[slot].life = note->life;
		if (ivshmem_load32_acquire(&note->given) != 0)
			ret = ivshmem_inherit_vectors(slots, slot, legacy, fault);
	}
	for (uint32_t slot = 0; slot < slots->cnt && ret == 0; slot++)
		if (slots->slot[slot].fds != NULL &&
		    ivshmem_load32_acquire(&slots->slot[slot].note->joined) != 0)
			ret = ivshmem_inherit_client(slots, slot, legacy, fault);
	return ret;
}

int
ivshmem_inherit(struct ivshmem_server *server, struct ivshmem_legacy *legacy,
		struct ivshmem_fault *fault)
{
	const struct ivshmem_options *options = server->options;
	int ret;
	int fd;

	ret = ivshmem_inherit_region(server, legacy, fault);
	if (ret == 0)
		ret = ivshmem_inherit_slots(server, legacy, fault);
	if (ret != 0)
		return ret == -EINVAL ? -EUCLEAN : ret;
	fd = ivshmem_legacy_take(legacy, "listen");
	if (fd >= 0 && ivshmem_listen_adopt(&server->listener, fd, options->socket_path))
		return 0;
	if (fd >= 0)
		close(fd);
	return ivshmem_listen_open(&server->listener, options->socket_path, SOCK_STREAM,
				   options->socket_mode, fault);
}

void
ivshmem_inherit_refuse(struct ivshmem_server *server, struct ivshmem_legacy *legacy)
{
	int fd;

	if (server->region.lock_fd >= 0)
		flock(server->region.lock_fd, LOCK_UN);
	fd = ivshmem_legacy_take(legacy, "listen");
	if (fd >= 0 && !ivshmem_listen_adopt(&server->listener, fd, server->options->socket_path))
		close(fd);
	ivshmem_listen_close(&server->listener);	/* removes its name */
}

/* The slots whose clients went while no server was there to see it. */
static bool
ivshmem_inherit_bury(struct ivshmem_slots *slots)
{
	struct ivshmem_state_slot *note;
	bool any = false;

	for (uint32_t slot = 0; slot < slots->cnt; slot++) {
		note = slots->slot[slot].note;
		if (ivshmem_load32(&note->joined) == 0 || slots->slot[slot].peer != NULL)
			continue;
		any = true;
		note->row = IVSHMEM_SLOT_LEFT;
		note->cause = ECONNRESET;
		ivshmem_store32_release(&note->joined, 0);
		ivshmem_log(IVSHMEM_LOG_INFO, "detach id=%" PRIu32 " life=%" PRIu32 " pid=%d"
			    " state=left: its connection is gone", slot, note->life,
			    (int)note->pid);
	}
	return any;
}

int
ivshmem_inherit_begin(struct ivshmem_server *server)
{
	struct ivshmem_slots *slots = &server->slots;
	const uint32_t live = slots->live;
	bool changed = ivshmem_load32(&server->state->changing) != 0;
	struct ivshmem_peer *peer;
	int ret;

	changed = ivshmem_inherit_bury(slots) || changed;
	changed = ivshmem_slots_resume(slots) || changed;
	for (uint32_t slot = 0; slot < slots->cnt; slot++) {
		peer = slots->slot[slot].peer;
		if (peer == NULL)
			continue;
		ret = ivshmem_server_watch(server, EPOLL_CTL_ADD, peer->fd, slot, EPOLLIN);
		if (ret != 0)
			return ret;
	}
	ivshmem_clients_resume(server);
	ivshmem_clients_reap(server);
	if (changed)
		ivshmem_slots_ring_others(slots, slots->cnt);
	ivshmem_store32_release(&server->state->changing, 0);
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: taken over with %" PRIu32 " client(s)",
		    server->region.name, live);
	return 0;
}
