/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The ways into a lock that are not its owner's. All here happens with "others" locked.
 */

#include <string.h>
#include <unistd.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_pause.h>

#include "ivshmem_lock.h"

static bool
ivshmem_lock_is_empty(const struct ivshmem_lock *lock)
{
	return lock->last == IVSHMEM_LOCK_SHARED ||
		ivshmem_load32_acquire(&lock->inside[lock->last]) == 0;	/* pairs with leave */
}

/* From here on an lcore that owned it sees that it does not, or its "inside" is seen. */
static void
ivshmem_lock_displace(struct ivshmem_lock *lock, uint32_t owner)
{
	ivshmem_store32(&lock->owner, owner);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		return;
	/* Forbidden since the registration, or no memory: no store is on its way for so long. */
	rte_delay_us_sleep(IVSHMEM_LOCK_BARRIER_US);
	lock->wanted = 0;
	lock->claimed = IVSHMEM_LOCK_SHARED;
}

/* A thread is inside. Returns whether it should own the lock. */
static bool
ivshmem_lock_counts(struct ivshmem_lock *lock, uint32_t lcore, bool burst)
{
	if (!burst || lock->lcore != lcore)
		lock->streak = 0;
	lock->lcore = burst ? lcore : LCORE_ID_ANY;
	lock->streak++;
	return lock->lcore != LCORE_ID_ANY && lock->wanted != 0 && lock->streak >= lock->wanted;
}

void
ivshmem_lock_init(struct ivshmem_lock *lock)
{
	memset(lock, 0, sizeof(*lock));
	rte_spinlock_init(&lock->others);
	ivshmem_store32(&lock->owner, IVSHMEM_LOCK_SHARED);
	lock->last = IVSHMEM_LOCK_SHARED;
	lock->lcore = LCORE_ID_ANY;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
		lock->wanted = IVSHMEM_LOCK_STREAK_MIN;
}

uint32_t
ivshmem_lock_try_other(struct ivshmem_lock *lock, bool burst)
{
	const uint32_t lcore = rte_lcore_id();
	uint32_t owner;

	if (rte_spinlock_trylock(&lock->others) == 0)
		return IVSHMEM_HOLD_NONE;
	owner = ivshmem_load32(&lock->owner);
	if (owner != IVSHMEM_LOCK_SHARED && owner != lcore) {
		ivshmem_lock_displace(lock, IVSHMEM_LOCK_SHARED);
		lock->wanted = RTE_MIN(2 * lock->wanted, IVSHMEM_LOCK_STREAK_MAX);
		owner = IVSHMEM_LOCK_SHARED;
	}
	if (owner != IVSHMEM_LOCK_SHARED || !ivshmem_lock_is_empty(lock)) {
		rte_spinlock_unlock(&lock->others);	/* or it was given back just now */
		return IVSHMEM_HOLD_NONE;
	}
	if (!ivshmem_lock_counts(lock, lcore, burst))
		return IVSHMEM_HOLD_OTHER;
	lock->last = lcore;
	lock->streak = 0;
	ivshmem_store32(&lock->inside[lcore], 1);
	ivshmem_store32(&lock->owner, lcore);
	rte_spinlock_unlock(&lock->others);
	return lcore;
}

void
ivshmem_lock_take(struct ivshmem_lock *lock)
{
	rte_spinlock_lock(&lock->others);
	lock->claimed = ivshmem_load32(&lock->owner);
	if (lock->claimed != IVSHMEM_LOCK_SHARED)
		ivshmem_lock_displace(lock, IVSHMEM_LOCK_CLAIMED);
	while (!ivshmem_lock_is_empty(lock))
		rte_pause();
}

void
ivshmem_lock_give(struct ivshmem_lock *lock)
{
	ivshmem_store32_release(&lock->owner, lock->claimed);	/* pairs with try */
	rte_spinlock_unlock(&lock->others);
}
