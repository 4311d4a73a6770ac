/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ids are slots are port numbers.
 *
 * Invariants:
 *  S1. The eventfds of an id are made once, when it is first given, live as long as the server and
 *      go to every client that gets the id. So nobody has to be told of them twice, and nobody is
 *      ever told that a peer left: QEMU frees memory twice on either.
 *  S2. The table is written before anybody hears of a change: on attach before the newcomer has its
 *      id, on detach before the others are rung.
 *  S3. Lives and the epoch are kept privately; what others may have written into the table is read
 *      once, at the start. A successor takes them from the notes, never from the table.
 *  S4. A slot is given again as soon as its client is gone. That keeps the rule of reuse (nobody
 *      writes to a dead port's buffers while another may still look at them) by the ports
 *      themselves: who copied looks at the ring's epoch again and discards what the slot's next
 *      owner may have overwritten; who lends waits until the others show that nothing of the life
 *      before is in use.
 *
 * With count_up, for clients that know QEMU's example server only, an id is given once and its
 * eventfds go with its client. A slot is then no more than a place for a client; only the first
 * cnt ids are slots as well, and only they are ports and have a row in the table.
 * Threads: one.
 * Trust: a client may have filled its eventfd and made it blocking; it is only written to when that
 *      should not block, and one that was filled just then within a bound.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "ivshmem_atomic.h"
#include "ivshmem_proto.h"

#include "bound.h"
#include "slots.h"
#include "state.h"

int
ivshmem_slots_restore(struct ivshmem_slots *slots, void *base, const struct ivshmem_layout *layout,
		      uint32_t vectors, uint64_t epoch)
{
	*slots = (struct ivshmem_slots){
		.base = base,
		.layout = layout,
		.epoch = epoch,
		.cnt = layout->port_cnt,
		.vectors = vectors,
	};
	slots->slot = calloc(slots->cnt, sizeof(slots->slot[0]));
	if (slots->slot == NULL)
		return -ENOMEM;
	for (uint32_t id = 0; id < slots->cnt; id++)
		slots->slot[id].id = id;
	slots->beat = ivshmem_load64(&ivshmem_layout_superblock(base)->server_beat);
	return 0;
}

int
ivshmem_slots_create(struct ivshmem_slots *slots, void *base, const struct ivshmem_layout *layout,
		     uint32_t vectors, bool count_up)
{
	struct ivshmem_superblock_shm *super = ivshmem_layout_superblock(base);
	struct ivshmem_slot_shm *shm;
	int ret;

	ret = ivshmem_slots_restore(slots, base, layout, vectors, 0);
	if (ret != 0)
		return ret;
	slots->count_up = count_up;
	while (slots->epoch == 0)
		if (getrandom(&slots->epoch, sizeof(slots->epoch), 0) < 0 && errno != EINTR)
			return -errno;
	for (uint32_t id = 0; id < slots->cnt; id++) {
		shm = ivshmem_layout_slot(base, layout, id);
		slots->slot[id].life = ivshmem_load64(&shm->row) >> 32;	/* S3 */
	}
	ivshmem_store64_release(&super->server_epoch, slots->epoch);
	return 0;
}

/* Whether the slot's last port left cleanly. */
static bool
ivshmem_slot_is_reset(const struct ivshmem_slots *slots, uint32_t id)
{
	const struct ivshmem_section_shm *section =
		ivshmem_layout_section(slots->base, slots->layout, id);

	return (uint32_t)ivshmem_load64(&section->row) == IVSHMEM_PORT_RESET;
}

static void
ivshmem_slot_close_fds(struct ivshmem_slot *slot, uint32_t cnt)
{
	for (uint32_t vector = 0; slot->fds != NULL && vector < cnt; vector++)
		close(slot->fds[vector]);
	free(slot->fds);
	slot->fds = NULL;
}

static int
ivshmem_slot_make_fds(const struct ivshmem_slots *slots, struct ivshmem_slot *slot)
{
	uint32_t vector;
	int error;

	slot->fds = calloc(slots->vectors, sizeof(slot->fds[0]));
	if (slot->fds == NULL)
		return -ENOMEM;
	for (vector = 0; vector < slots->vectors; vector++) {
		slot->fds[vector] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (slot->fds[vector] < 0)
			break;
	}
	if (vector == slots->vectors)
		return 0;
	error = errno;
	ivshmem_slot_close_fds(slot, vector);
	return -error;
}

/* The lowest free slot, a clean one if there is any. */
static int
ivshmem_slots_lowest(const struct ivshmem_slots *slots)
{
	int chosen = -ENOSPC;

	for (uint32_t id = 0; id < slots->cnt; id++) {
		if (slots->slot[id].peer != NULL)
			continue;
		if (chosen < 0)
			chosen = id;
		if (ivshmem_slot_is_reset(slots, id))
			return id;
	}
	return chosen;
}

/* count_up: a slot for the next id, the one with its number as long as there is one. */
static int
ivshmem_slots_next(struct ivshmem_slots *slots)
{
	int chosen = slots->next_id;

	if (slots->next_id > IVSHMEM_PROTO_ID_MAX)
		return -EOVERFLOW;
	if (slots->next_id >= slots->cnt)
		chosen = ivshmem_slots_lowest(slots);
	if (chosen >= 0)
		slots->slot[chosen].id = slots->next_id;
	return chosen;
}

int
ivshmem_slots_choose(struct ivshmem_slots *slots)
{
	int chosen = slots->count_up ? ivshmem_slots_next(slots) : ivshmem_slots_lowest(slots);
	int ret;

	if (chosen < 0 || slots->slot[chosen].fds != NULL)
		return chosen;
	ret = ivshmem_slot_make_fds(slots, &slots->slot[chosen]);
	return ret != 0 ? ret : chosen;
}

static void
ivshmem_slot_write(const struct ivshmem_slots *slots, uint32_t slot, enum ivshmem_slot_state state,
		   uint32_t cause)
{
	struct ivshmem_slot_shm *shm = ivshmem_layout_slot(slots->base, slots->layout, slot);

	if (slots->slot[slot].id != slot)
		return;		/* no port */
	ivshmem_store64(&shm->server_epoch, slots->epoch);
	ivshmem_store32(&shm->cause, cause);
	ivshmem_store32(&shm->vectors, slots->vectors);
	ivshmem_store64_release(&shm->row, (uint64_t)slots->slot[slot].life << 32 | state);
}

/* What a successor is to take the slot's row for; see state.h for the order. */
static void
ivshmem_slot_note(const struct ivshmem_slot *slot, enum ivshmem_slot_state state, uint32_t cause)
{
	if (slot->note == NULL)
		return;
	slot->note->life = slot->life;
	slot->note->row = state;
	slot->note->cause = cause;
	ivshmem_store32_release(&slot->note->joined, state == IVSHMEM_SLOT_LIVE);
}

uint32_t
ivshmem_slots_attach(struct ivshmem_slots *slots, uint32_t slot, struct ivshmem_peer *peer)
{
	const bool port = slots->slot[slot].id == slot;

	slots->slot[slot].peer = peer;
	slots->slot[slot].life += port ? 1 : 0;
	slots->next_id++;
	slots->live++;
	ivshmem_slot_note(&slots->slot[slot], IVSHMEM_SLOT_LIVE, 0);
	ivshmem_slot_write(slots, slot, IVSHMEM_SLOT_LIVE, 0);
	return port ? slots->slot[slot].life : 0;
}

void
ivshmem_slots_detach(struct ivshmem_slots *slots, uint32_t slot, enum ivshmem_slot_state state,
		     uint32_t cause)
{
	slots->slot[slot].peer = NULL;
	slots->live--;
	ivshmem_slot_note(&slots->slot[slot], state, cause);
	ivshmem_slot_write(slots, slot, state, cause);
	if (slots->count_up)
		ivshmem_slot_close_fds(&slots->slot[slot], slots->vectors);
}

/* Whether a write would not block: who has a full eventfd has a ring to come anyway. */
static bool
ivshmem_slots_can_ring(int fd)
{
	struct pollfd can = { .fd = fd, .events = POLLOUT };
	int cnt;

	do {
		cnt = poll(&can, 1, 0);
	} while (cnt < 0 && errno == EINTR);
	return cnt == 1 && (can.revents & POLLOUT) != 0;
}

void
ivshmem_slots_ring_others(const struct ivshmem_slots *slots, uint32_t slot)
{
	const uint64_t one = 1;
	int fd;

	if (slots->count_up)
		return;		/* to these clients vector 0 is one of their own */
	ivshmem_bound_begin();
	for (uint32_t other = 0; other < slots->cnt; other++) {
		if (other == slot || slots->slot[other].peer == NULL)
			continue;
		fd = slots->slot[other].fds[0];
		if (ivshmem_slots_can_ring(fd) && write(fd, &one, sizeof(one)) != sizeof(one))
			continue;	/* it was filled just now */
	}
	ivshmem_bound_end();
}

bool
ivshmem_slots_resume(const struct ivshmem_slots *slots)
{
	struct ivshmem_superblock_shm *super = ivshmem_layout_superblock(slots->base);
	bool changed = ivshmem_load64(&super->server_epoch) != slots->epoch;
	const struct ivshmem_state_slot *note;
	const struct ivshmem_slot_shm *shm;
	uint64_t row;

	for (uint32_t slot = 0; slot < slots->cnt; slot++) {
		note = slots->slot[slot].note;
		if (ivshmem_load32(&note->given) == 0)
			continue;	/* whatever is there is older than this line of servers */
		shm = ivshmem_layout_slot(slots->base, slots->layout, slot);
		row = (uint64_t)slots->slot[slot].life << 32 | note->row;
		if (ivshmem_load64(&shm->row) == row &&
		    ivshmem_load64(&shm->server_epoch) == slots->epoch)
			continue;
		changed = true;
		ivshmem_slot_write(slots, slot, note->row, note->cause);
	}
	if (changed)
		ivshmem_store64_release(&super->server_epoch, slots->epoch);
	return changed;
}

void
ivshmem_slots_retire(const struct ivshmem_slots *slots)
{
	ivshmem_store64_release(&ivshmem_layout_superblock(slots->base)->server_epoch, 0);
	ivshmem_slots_ring_others(slots, slots->cnt);	/* all of them */
}

void
ivshmem_slots_destroy(struct ivshmem_slots *slots)
{
	if (slots->slot == NULL)
		return;
	for (uint32_t slot = 0; slot < slots->cnt; slot++)
		ivshmem_slot_close_fds(&slots->slot[slot], slots->vectors);
	free(slots->slot);
	slots->slot = NULL;
}

void
ivshmem_slots_beat(struct ivshmem_slots *slots)
{
	ivshmem_store64(&ivshmem_layout_superblock(slots->base)->server_beat, ++slots->beat);
}
