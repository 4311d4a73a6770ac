/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ids: who has which, their eventfds, and the slot table in the region that tells the ports.
 */

#ifndef IVSHMEM_SERVER_SLOTS_H
#define IVSHMEM_SERVER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_layout.h"

struct ivshmem_peer;
struct ivshmem_state_slot;

struct ivshmem_slot {
	int *fds;			/* one per vector; NULL = nobody has to hear of the id */
	struct ivshmem_peer *peer;	/* its client, or NULL */
	uint32_t id;			/* of its client: the slot's number, unless count_up */
	uint32_t life;			/* of the port with the slot's number */
	struct ivshmem_state_slot *note; /* for a successor, NULL = there can be none */
};

struct ivshmem_slots {
	void *base;			/* the region */
	const struct ivshmem_layout *layout;
	uint64_t epoch;			/* this server's, random, not 0 */
	uint64_t beat;			/* counts in the region */
	uint32_t cnt;
	uint32_t vectors;
	uint32_t live;			/* slots with a peer */
	bool count_up;			/* --announce-leave: no id is given twice */
	uint32_t next_id;		/* count_up: the next one */
	struct ivshmem_slot *slot;	/* cnt of them */
};

/* Take up the table of a region: its lives go on counting. Returns 0 or -errno. */
int ivshmem_slots_create(struct ivshmem_slots *slots, void *base,
			 const struct ivshmem_layout *layout, uint32_t vectors, bool count_up);

/*
 * As ivshmem_slots_create(), with a predecessor's epoch and without writing anything: lives,
 * eventfds and peers are the caller's to fill in. Returns 0 or -errno.
 */
int ivshmem_slots_restore(struct ivshmem_slots *slots, void *base,
			  const struct ivshmem_layout *layout, uint32_t vectors, uint64_t epoch);

/*
 * Write what the table has to be after ivshmem_slots_restore(), from the notes. Returns whether it
 * was something else.
 */
bool ivshmem_slots_resume(const struct ivshmem_slots *slots);

/* Write that no server is there any more, ring every live peer. */
void ivshmem_slots_retire(const struct ivshmem_slots *slots);

/* Close all eventfds. Accepts a zeroed struct. */
void ivshmem_slots_destroy(struct ivshmem_slots *slots);

/*
 * The slot for a newcomer, with its id and its eventfds. Returns it, -ENOSPC when every slot has a
 * client, -EOVERFLOW when no id is left, or another -errno when there are no eventfds to be had.
 */
int ivshmem_slots_choose(struct ivshmem_slots *slots);

/*
 * The peer has the slot and its id from now on: visible to the ports on return. Returns the life of
 * the port, 0 when the region has no port with that id.
 */
uint32_t ivshmem_slots_attach(struct ivshmem_slots *slots, uint32_t slot,
			      struct ivshmem_peer *peer);

/* The peer is gone; state and cause as in the slot table. Visible to the ports on return. */
void ivshmem_slots_detach(struct ivshmem_slots *slots, uint32_t slot,
			  enum ivshmem_slot_state state, uint32_t cause);

/* Ring the control vector of every live peer but this one. With count_up nobody is rung. */
void ivshmem_slots_ring_others(const struct ivshmem_slots *slots, uint32_t slot);

/* Show that the server lives. */
void ivshmem_slots_beat(struct ivshmem_slots *slots);

#endif /* IVSHMEM_SERVER_SLOTS_H */
