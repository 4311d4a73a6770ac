/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The ways into a lock that are not its owner's. All here happens with "others" locked.
 */

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>

#include <rte_pause.h>

#include "ivshmem_lock.h"

static bool
ivshmem_lock_is_empty(const struct ivshmem_lock *lock)
{
	return lock->owner_cnt == 0 ||
		ivshmem_load32_acquire(&lock->inside[lock->owner_cnt - 1]) == 0; /* <- leave */
}

/* From here on a thread that owned it sees that it does not, or its "inside" is seen. */
static void
ivshmem_lock_displace(struct ivshmem_lock *lock, uint32_t owner)
{
	ivshmem_store32(&lock->owner, owner);
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* A thread is inside. Returns whether it should own the lock. */
static bool
ivshmem_lock_counts(struct ivshmem_lock *lock, uint32_t self, bool burst)
{
	if (!burst || lock->last != self)
		lock->streak = 0;
	lock->last = burst ? self : 0;
	lock->streak++;
	return lock->streak >= IVSHMEM_LOCK_STREAK && lock->owner_cnt < IVSHMEM_LOCK_OWNERS &&
		self <= IVSHMEM_LOCK_THREAD;
}

void
ivshmem_lock_init(struct ivshmem_lock *lock)
{
	memset(lock, 0, sizeof(*lock));
	rte_spinlock_init(&lock->others);
	ivshmem_store32(&lock->owner, IVSHMEM_LOCK_SHARED);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
		lock->owner_cnt = IVSHMEM_LOCK_OWNERS;
}

uint32_t
ivshmem_lock_try_other(struct ivshmem_lock *lock, bool burst)
{
	const uint32_t self = rte_gettid();
	uint32_t thread;
	uint32_t number;

	if (rte_spinlock_trylock(&lock->others) == 0)
		return IVSHMEM_HOLD_NONE;
	thread = ivshmem_load32(&lock->owner) & IVSHMEM_LOCK_THREAD;
	if (thread != 0 && thread != self)
		ivshmem_lock_displace(lock, IVSHMEM_LOCK_SHARED);
	if (thread == self || !ivshmem_lock_is_empty(lock)) {	/* self: given just now */
		rte_spinlock_unlock(&lock->others);
		return IVSHMEM_HOLD_NONE;
	}
	if (!ivshmem_lock_counts(lock, self, burst))
		return IVSHMEM_HOLD_OTHER;
	number = lock->owner_cnt++;
	lock->streak = 0;
	ivshmem_store32(&lock->inside[number], 1);
	ivshmem_store32(&lock->owner, number << IVSHMEM_LOCK_NUMBER | self);
	rte_spinlock_unlock(&lock->others);
	return 1 + number;
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
