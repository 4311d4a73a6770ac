/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A lock that costs the thread which nearly always takes it no barrier: an atomic exchange would
 * have each burst wait until its stores have reached the lines that the peer has just read.
 *
 * A thread that took it in many bursts, and nobody else meanwhile, owns it. The owner says that it
 * is inside by a plain store, and looks whether it is still the owner. Who wants the lock as well
 * takes it from the owner first, and has the kernel put a barrier into all threads (membarrier):
 * then either the owner has seen that, or its store is seen.
 *
 * owner    | event                                      | next
 * ---------|--------------------------------------------|----------------------------------------
 * SHARED   | IVSHMEM_LOCK_STREAK bursts of one thread   | that thread
 * a thread | another one tries it                       | SHARED
 * a thread | another one waits for it                   | CLAIMED; that thread, when it is given
 *
 * Invariants:
 *  L1. Each owner has an "inside" of its own, and stores to no other: a thread that has lost the
 *      lock may still do so before it sees that. After IVSHMEM_LOCK_OWNERS there is none any more.
 *  L2. Everybody else is inside only with "others" locked, and after the last owner's "inside" was
 *      seen to be 0 since the barrier. Owner is stored only with "others" locked.
 * Model: test/model/lock.pml.
 */

#ifndef IVSHMEM_LOCK_H
#define IVSHMEM_LOCK_H

#include <rte_branch_prediction.h>
#include <rte_eal.h>
#include <rte_spinlock.h>

#include "ivshmem_atomic.h"

#define IVSHMEM_LOCK_OWNERS	8u
#define IVSHMEM_LOCK_STREAK	32u
/* Owner: thread id, less than 2^22 in Linux, and the number of its "inside"; or one of these. */
#define IVSHMEM_LOCK_SHARED	0u
#define IVSHMEM_LOCK_CLAIMED	(1u << 31)
#define IVSHMEM_LOCK_THREAD	((1u << 22) - 1)
#define IVSHMEM_LOCK_NUMBER	22	/* shift */

/* How a thread is inside: 1 + number of its "inside" as the owner, or one of these. */
#define IVSHMEM_HOLD_NONE	0u	/* not at all: somebody else is */
#define IVSHMEM_HOLD_OTHER	UINT32_MAX

struct ivshmem_lock {
	struct ivshmem_u32 owner;
	struct ivshmem_u32 inside[IVSHMEM_LOCK_OWNERS];
	rte_spinlock_t others;
	/* under "others": */
	uint32_t owner_cnt;		/* that there were */
	uint32_t claimed;		/* owner before it was claimed */
	uint32_t last;			/* thread that took it in a burst last */
	uint32_t streak;		/* bursts of that one */
};

/* Without membarrier in the kernel it is an ordinary lock. */
void ivshmem_lock_init(struct ivshmem_lock *lock);

/* Wait for it. Not in a burst. */
void ivshmem_lock_take(struct ivshmem_lock *lock);
void ivshmem_lock_give(struct ivshmem_lock *lock);

/* try of a thread that is not the owner. */
uint32_t ivshmem_lock_try_other(struct ivshmem_lock *lock, bool burst);

/*
 * Returns how the thread is inside. Never waits, and fails within itself: freeing an mbuf in a
 * burst may come here, too.
 */
static inline uint32_t
ivshmem_lock_try(struct ivshmem_lock *lock, bool burst)
{
	const uint32_t owner = ivshmem_load32(&lock->owner);
	struct ivshmem_u32 *inside;

	if (unlikely((owner & IVSHMEM_LOCK_THREAD) != (uint32_t)rte_gettid()))
		return ivshmem_lock_try_other(lock, burst);
	inside = &lock->inside[owner >> IVSHMEM_LOCK_NUMBER];
	if (unlikely(ivshmem_load32(inside) != 0))
		return IVSHMEM_HOLD_NONE;
	ivshmem_store32(inside, 1);
	ivshmem_fence_light();		/* pairs with membarrier */
	if (likely(ivshmem_load32_acquire(&lock->owner) == owner))	/* pairs with give */
		return 1 + (owner >> IVSHMEM_LOCK_NUMBER);
	ivshmem_store32(inside, 0);
	return IVSHMEM_HOLD_NONE;
}

static inline void
ivshmem_lock_leave(struct ivshmem_lock *lock, uint32_t hold)
{
	if (likely(hold != IVSHMEM_HOLD_OTHER))
		ivshmem_store32_release(&lock->inside[hold - 1], 0);	/* pairs with is_empty */
	else
		rte_spinlock_unlock(&lock->others);
}

#endif /* IVSHMEM_LOCK_H */
