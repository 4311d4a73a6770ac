/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ids: who has which, their eventfds, and the slot table in the region that tells the ports.
 */

#ifndef IVSHMEM_SERVER_SLOTS_H
#define IVSHMEM_SERVER_SLOTS_H

#include <stdint.h>

#include "ivshmem_layout.h"

struct ivshmem_peer;

struct ivshmem_slot {
	int *fds;			/* one per vector; NULL = the id was never given */
	struct ivshmem_peer *peer;	/* its client, or NULL */
	uint32_t life;
};

struct ivshmem_slots {
	void *base;			/* the region */
	const struct ivshmem_layout *layout;
	uint64_t epoch;			/* this server's, random, not 0 */
	uint64_t beat;			/* counts in the region */
	uint32_t cnt;
	uint32_t vectors;
	uint32_t live;			/* slots with a peer */
	struct ivshmem_slot *slot;	/* cnt of them */
};

/* Take up the table of a region: its lives go on counting. Returns 0 or -errno. */
int ivshmem_slots_create(struct ivshmem_slots *slots, void *base,
			 const struct ivshmem_layout *layout, uint32_t vectors);

/* Write that no server is there any more, ring every live peer. */
void ivshmem_slots_retire(const struct ivshmem_slots *slots);

/* Close all eventfds. Accepts a zeroed struct. */
void ivshmem_slots_destroy(struct ivshmem_slots *slots);

/*
 * The id for a newcomer, with its eventfds made. Returns it, -ENOSPC when every slot has a client,
 * or another -errno when there are no eventfds to be had.
 */
int ivshmem_slots_choose(struct ivshmem_slots *slots);

/* The peer has the id from now on: visible to the ports on return. */
void ivshmem_slots_attach(struct ivshmem_slots *slots, uint32_t id, struct ivshmem_peer *peer);

/* The peer is gone; state and cause as in the slot table. Visible to the ports on return. */
void ivshmem_slots_detach(struct ivshmem_slots *slots, uint32_t id,
			  enum ivshmem_slot_state state, uint32_t cause);

/* Ring the control vector of every live peer but this one. */
void ivshmem_slots_ring_others(const struct ivshmem_slots *slots, uint32_t id);

/* Show that the server lives. */
void ivshmem_slots_beat(struct ivshmem_slots *slots);

#endif /* IVSHMEM_SERVER_SLOTS_H */
