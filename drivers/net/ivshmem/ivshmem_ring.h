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
	bool wc;		/* the region may be mapped write-combining */
	uint32_t backoff;	/* polls to let pass before the next BUMP's session */
	uint32_t backoff_cnt;
	uint64_t desc_off;
	uint32_t flight;	/* buffers that may be out in ring mode; 0 = copy mode only */
	uint32_t ret_cnt;	/* entries of the consumer's return ring; 0 = copy mode */
	uint32_t ret;		/* next to read there */
	uint32_t copybreak;	/* frames of one piece up to this come back by its index */
	const struct ivshmem_u32 *returns;
	uint64_t bad_cookies;	/* returns that were not out, or of another session */
	const struct ivshmem_layout *layout;	/* to bound the return ring with */
	const uint8_t *peer_section;	/* the consumer's */
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
	bool wc;		/* the region may be mapped write-combining */
	uint32_t backoff;
	uint32_t backoff_cnt;
	const uint8_t *section;	/* the producer's */
	uint32_t slot;		/* its number */
	uint32_t ret_cnt;	/* entries of the own return ring; 0 = copy mode */
	uint32_t ret;		/* next to write there */
	uint32_t copybreak;	/* frames of one piece up to this are not given back by cookie */
	uint64_t ret_off;
	struct ivshmem_u32 *returns;
	uint32_t session;	/* counts STARTs and ADOPTs: loans belong to one */
	uint32_t out;		/* loans of this session that are out */
	uint32_t stale;		/* of earlier ones */
	uint32_t out_max;	/* more are copied: the producer keeps some buffers */
	uint64_t bad_index;
	uint64_t bad_dir;	/* impossible ring sizes or offsets seen */
	uint64_t lost;		/* descriptors that an earlier producer took away */
};

/*
 * Before a store that publishes earlier ones, and after a load that later ones must not pass. The
 * region may be mapped write-combining, shm=: there release and acquire order nothing on x86.
 */
static inline void
ivshmem_ring_order(bool wc)
{
	if (wc)
		ivshmem_fence_full();
}

static inline uint64_t
ivshmem_ring_load64(const struct ivshmem_u64 *from, bool wc)
{
	const uint64_t value = ivshmem_load64_acquire(from);

	ivshmem_ring_order(wc);
	return value;
}

static inline uint32_t
ivshmem_ring_load32(const struct ivshmem_u32 *from, bool wc)
{
	const uint32_t value = ivshmem_load32_acquire(from);

	ivshmem_ring_order(wc);
	return value;
}

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
	const uint64_t word = ivshmem_ring_load64(&end->peer->cw, end->wc);	/* C2 <- P2 */
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

/*
 * Ring mode: cookies that came back since the last call, up to cnt; 0 with ready = false when the
 * consumer started anew or lied. Which of them are true is the caller's to judge.
 */
static inline uint32_t
ivshmem_producer_returned(struct ivshmem_producer *end, uint32_t *cookies, uint32_t cnt)
{
	const uint64_t word = ivshmem_ring_load64(&end->peer->rw, end->wc);	/* C7 <- P7 */
	const uint32_t avail = (uint32_t)word - end->ret;

	if (ivshmem_ring_epoch(word) != end->yours) {
		end->ready = false;
		return 0;
	}
	if (avail > end->ret_cnt) {
		end->ready = false;
		end->violated = true;
		end->bad_index++;
		return 0;
	}
	if (cnt > avail)
		cnt = avail;
	for (uint32_t i = 0; i < cnt; i++)
		cookies[i] = ivshmem_load32(&end->returns[(end->ret + i) & (end->ret_cnt - 1)]);
	end->ret += cnt;
	return cnt;
}

/* Publish the descriptors up to prod, and everything written before. */
static inline void
ivshmem_producer_publish(struct ivshmem_producer *end, uint32_t prod)
{
	end->prod = prod;
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&end->own->pw, ivshmem_ring_word(end->mine, prod));	/* P1 */
}

/* Descriptors that can be read; 0 with ready = false when the producer started anew or lied. */
static inline uint32_t
ivshmem_consumer_avail(struct ivshmem_consumer *end)
{
	const uint64_t word = ivshmem_ring_load64(&end->peer->pw, end->wc);	/* C1 <- P1 */
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
	ivshmem_ring_order(end->wc);
	return ivshmem_ring_epoch(ivshmem_load64(&end->peer->pw)) == end->yours;
}

/* Ring mode: give the buffer of a descriptor back, visible with the next publish_returns(). */
static inline void
ivshmem_consumer_return(struct ivshmem_consumer *end, uint32_t cookie)
{
	ivshmem_store32(&end->returns[end->ret++ & (end->ret_cnt - 1)], cookie);
}

static inline void
ivshmem_consumer_publish_returns(struct ivshmem_consumer *end)
{
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&end->own->rw, ivshmem_ring_word(end->mine, end->ret));	/* P7 */
}

/* Ring mode: a loan of an earlier session came back. */
static inline void
ivshmem_consumer_unstale(struct ivshmem_consumer *end)
{
	if (--end->stale == 0)
		ivshmem_store32_release(&end->own->clear, 1);	/* pairs with port_is_clear */
}

/* Give the descriptors before cons, and in copy mode their buffers, back to the producer. */
static inline void
ivshmem_consumer_release(struct ivshmem_consumer *end, uint32_t cons)
{
	end->cons = cons;
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&end->own->cw, ivshmem_ring_word(end->mine, cons));	/* P2 */
}

#endif /* IVSHMEM_RING_H */
