/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A one-way ring of descriptors: the private views of its two ends, and the steps of a burst.
 *
 * The burst functions and the tests call the inline steps below; how the two ends agree after a
 * restart is in ivshmem_session.c. Nobody else touches ring indices.
 *
 * Indices are free-running 32-bit counts of descriptors, masked on access; differences are
 * unsigned.
 *
 * Invariants:
 *  R1. prod - cons <= size, in both views; an index that says otherwise is a violation.
 *  R2. A loaded word is used only while its epoch is the one that this end adopted.
 *  R3. An end never reads back its own shared words, but for the epoch found when a life starts.
 *  R4. A frame copied out is delivered only if the epoch is unchanged after the copy.
 * Ordering: P1 <-> C1 (descriptors and payload), P2 <-> C2 (they may be written again).
 * Threads: an end belongs to the thread that owns the queue.
 * Trust: the other end's words are hostile; bounded in avail() and refresh().
 */

#ifndef IVSHMEM_RING_H
#define IVSHMEM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_abi.h"
#include "ivshmem_atomic.h"
#include "ivshmem_layout.h"

/* What an end has to do before it can be used (again). */
enum ivshmem_ring_todo {
	IVSHMEM_RING_USE,	/* ready */
	IVSHMEM_RING_WAIT,	/* the other end has to move */
	IVSHMEM_RING_ADOPT,	/* the other end started anew: settle, then adopt */
	IVSHMEM_RING_BUMP,	/* the other end broke a rule: settle, then start anew */
};

struct ivshmem_producer {
	struct ivshmem_prod_shm *own;
	const struct ivshmem_cons_shm *peer;
	struct ivshmem_entry_shm *entries;
	uint32_t size;		/* descriptors, a power of two */
	uint32_t prod;		/* next to write */
	uint32_t cons;		/* the consumer's index when last looked at */
	uint32_t mine;		/* own epoch */
	uint32_t yours;		/* adopted epoch, 0 = none */
	bool ready;
	bool violated;
	uint32_t backoff;	/* polls to let pass before the next BUMP's session */
	uint32_t backoff_cnt;
	uint64_t desc_off;
	uint64_t bad_index;	/* impossible indices seen */
	uint64_t lost;		/* descriptors that an earlier consumer left behind */
};

struct ivshmem_consumer {
	struct ivshmem_cons_shm *own;
	const struct ivshmem_prod_shm *peer;
	const struct ivshmem_entry_shm *entries;
	uint32_t size;
	uint32_t cons;		/* next to read */
	uint32_t prod;		/* the producer's index when last looked at */
	uint32_t mine;
	uint32_t yours;
	bool ready;
	bool violated;
	uint32_t backoff;
	uint32_t backoff_cnt;
	const uint8_t *section;	/* the producer's */
	uint32_t slot;		/* its number */
	uint64_t bad_index;
	uint64_t bad_dir;	/* impossible ring sizes or offsets seen */
	uint64_t lost;		/* descriptors that an earlier producer took away */
};

static inline uint64_t
ivshmem_ring_word(uint32_t epoch, uint32_t idx)
{
	return (uint64_t)epoch << 32 | idx;
}

static inline uint32_t
ivshmem_ring_epoch(uint64_t word)
{
	return word >> 32;
}

/* Descriptors that may be written without looking at the consumer again. */
static inline uint32_t
ivshmem_producer_room(const struct ivshmem_producer *end)
{
	return end->size - (end->prod - end->cons);
}

/*
 * Look at the consumer's index. Returns the room; 0 with ready = false when the consumer started
 * anew or lied.
 */
static inline uint32_t
ivshmem_producer_refresh(struct ivshmem_producer *end)
{
	const uint64_t word = ivshmem_load64_acquire(&end->peer->cw);	/* C2 <- P2 */
	const uint32_t idx = (uint32_t)word;

	if (ivshmem_ring_epoch(word) != end->yours) {
		end->ready = false;
		return 0;
	}
	if (idx - end->cons > end->prod - end->cons) {
		end->ready = false;
		end->violated = true;
		end->bad_index++;
		return 0;
	}
	end->cons = idx;
	return ivshmem_producer_room(end);
}

/* Publish the descriptors up to prod, and everything written before. */
static inline void
ivshmem_producer_publish(struct ivshmem_producer *end, uint32_t prod)
{
	end->prod = prod;
	ivshmem_store64_release(&end->own->pw, ivshmem_ring_word(end->mine, prod));	/* P1 */
}

/* Descriptors that can be read; 0 with ready = false when the producer started anew or lied. */
static inline uint32_t
ivshmem_consumer_avail(struct ivshmem_consumer *end)
{
	const uint64_t word = ivshmem_load64_acquire(&end->peer->pw);	/* C1 <- P1 */
	const uint32_t avail = (uint32_t)word - end->cons;

	if (ivshmem_ring_epoch(word) != end->yours) {
		end->ready = false;
		return 0;
	}
	if (avail > end->size || avail < end->prod - end->cons) {
		end->ready = false;
		end->violated = true;
		end->bad_index++;
		return 0;
	}
	end->prod = (uint32_t)word;
	return avail;
}

/* The second look (R4): whether what was copied since avail() may be delivered. */
static inline bool
ivshmem_consumer_unchanged(const struct ivshmem_consumer *end)
{
	ivshmem_fence_acquire();	/* copies before the look; pairs with START's fence (S2) */
	return ivshmem_ring_epoch(ivshmem_load64(&end->peer->pw)) == end->yours;
}

/* Give the descriptors before cons, and in copy mode their buffers, back to the producer. */
static inline void
ivshmem_consumer_release(struct ivshmem_consumer *end, uint32_t cons)
{
	end->cons = cons;
	ivshmem_store64_release(&end->own->cw, ivshmem_ring_word(end->mine, cons));	/* P2 */
}

#endif /* IVSHMEM_RING_H */
