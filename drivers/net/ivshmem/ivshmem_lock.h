/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A lock that costs the thread which nearly always takes it no barrier: an atomic exchange would
 * have each burst wait until its stores have reached the lines that the peer has just read.
 *
 * An lcore that took it in many bursts, and nobody else meanwhile, owns it. The owner says that it
 * is inside by a plain store, and looks whether it is still the owner. Who wants the lock as well
 * takes it from the owner first, and has the kernel put a barrier into all threads (membarrier):
 * then either the owner has seen that, or its store is seen.
 *
 * owner    | event                                    | next
 * ---------|------------------------------------------|-----------------------------------------
 * SHARED   | as many bursts of one lcore as need be   | that lcore
 * an lcore | another thread tries it                  | SHARED, and the next needs twice as many
 * an lcore | another thread waits for it              | CLAIMED; that lcore, when it is given
 *
 * Invariants:
 *  L1. Each lcore has an "inside" of its own, and stores to no other: one that has lost the lock
 *      may still do so before it sees that. Other threads never own it.
 *  L2. Everybody else is inside only with "others" locked, and after the last owner's "inside" was
 *      seen to be 0 since the barrier. Owner is stored only with "others" locked.
 * Model: test/model/lock.pml.
 */

#ifndef IVSHMEM_LOCK_H
#define IVSHMEM_LOCK_H

#include <stdbool.h>

#include <rte_branch_prediction.h>
#include <rte_lcore.h>
#include <rte_spinlock.h>

#include "ivshmem_atomic.h"

#define IVSHMEM_LOCK_STREAK_MIN	32u	/* bursts */
#define IVSHMEM_LOCK_STREAK_MAX	16384u
#define IVSHMEM_LOCK_BARRIER_US	1000u	/* in the place of a barrier that the kernel refused */
/* Owner: an lcore, or one of these. */
#define IVSHMEM_LOCK_SHARED	RTE_MAX_LCORE
#define IVSHMEM_LOCK_CLAIMED	(RTE_MAX_LCORE + 1)

/* How a thread is inside: its lcore as the owner, or one of these. */
#define IVSHMEM_HOLD_OTHER	RTE_MAX_LCORE
#define IVSHMEM_HOLD_NONE	(RTE_MAX_LCORE + 1)	/* not at all: somebody else is */

struct ivshmem_lock {
	struct ivshmem_u32 owner;
	rte_spinlock_t others;
	/* under "others": */
	uint32_t claimed;		/* owner before it was claimed */
	uint32_t last;			/* the last owner; SHARED: none yet */
	uint32_t lcore;			/* that took it in a burst last */
	uint32_t streak;		/* bursts of that one */
	uint32_t wanted;		/* bursts until it owns it; 0: no membarrier, never */
	struct ivshmem_u32 inside[RTE_MAX_LCORE];
};

/* Without membarrier in the kernel it is an ordinary lock. */
void ivshmem_lock_init(struct ivshmem_lock *lock);

/* Wait for it. Not in a burst. */
void ivshmem_lock_take(struct ivshmem_lock *lock);
void ivshmem_lock_give(struct ivshmem_lock *lock);

/* What try is for a thread that is not the owner. */
uint32_t ivshmem_lock_try_other(struct ivshmem_lock *lock, bool burst);

/*
 * Returns how the thread is inside. Never waits, and fails within itself: freeing an mbuf in a
 * burst may come here, too.
 */
static inline uint32_t
ivshmem_lock_try(struct ivshmem_lock *lock, bool burst)
{
	const uint32_t lcore = rte_lcore_id();

	if (unlikely(ivshmem_load32(&lock->owner) != lcore))
		return ivshmem_lock_try_other(lock, burst);
	if (unlikely(ivshmem_load32(&lock->inside[lcore]) != 0))
		return IVSHMEM_HOLD_NONE;
	ivshmem_store32(&lock->inside[lcore], 1);
	ivshmem_fence_light();		/* pairs with membarrier */
	if (likely(ivshmem_load32_acquire(&lock->owner) == lcore))	/* pairs with give */
		return lcore;
	ivshmem_store32(&lock->inside[lcore], 0);
	return IVSHMEM_HOLD_NONE;
}

/* The calling lcore is the owner: to try it disturbs nobody. */
static inline bool
ivshmem_lock_is_own(const struct ivshmem_lock *lock)
{
	return ivshmem_load32(&lock->owner) == rte_lcore_id();
}

static inline void
ivshmem_lock_leave(struct ivshmem_lock *lock, uint32_t hold)
{
	if (likely(hold < RTE_MAX_LCORE))
		ivshmem_store32_release(&lock->inside[hold], 0);	/* pairs with is_empty */
	else
		rte_spinlock_unlock(&lock->others);
}

#endif /* IVSHMEM_LOCK_H */
