/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The lock of a queue, on real CPUs: an owner in a loop, and somebody who waits for it, or who
 * tries now and then.
 *
 * Whoever is inside adds one to two plain words and looks at the first in between; nobody may have
 * changed it, and no addition may be lost. That an owner and a claim meet is rare, so the owner
 * does little else.
 */

#include <pthread.h>
#include <time.h>

#include <rte_common.h>
#include <rte_pause.h>

#include "check.h"
#include "ivshmem_lock.h"

#define PHASE_MS	1500
#define LINGER_EACH	2000
#define LINGER		100000
#define TRY_EACH	100000	/* rounds: the other one owns it again meanwhile */

struct race {
	struct ivshmem_lock lock;
	struct ivshmem_u32 stop;
	uint64_t first;		/* under the lock */
	uint64_t last;
	uint64_t got_by_owner;	/* each written by one thread */
	uint64_t got_owning;	/* of them */
	uint64_t got_by_waiter;
	uint64_t got_by_other;
	_Atomic uint64_t broken;
};

/* What EAL does for its threads; to the lock all others are LCORE_ID_ANY. */
static void
be_lcore(unsigned int lcore)
{
	RTE_PER_LCORE(_lcore_id) = lcore;
}

static void
race_inside(struct race *race, uint32_t linger)
{
	const uint64_t before = race->first;

	race->first = before + 1;
	do
		atomic_signal_fence(memory_order_seq_cst);
	while (linger-- > 0);
	if (race->last != before || race->first != before + 1)
		race->broken++;
	race->last = before + 1;
}

static void *
race_owner(void *arg)
{
	struct race *race = arg;

	be_lcore(1);
	while (ivshmem_load32(&race->stop) == 0) {
		const uint32_t hold = ivshmem_lock_try(&race->lock, true);

		if (hold == IVSHMEM_HOLD_NONE)
			continue;
		/* now and then for longer than a membarrier takes */
		race_inside(race, race->got_by_owner % LINGER_EACH == 0 ? LINGER : 0);
		ivshmem_lock_leave(&race->lock, hold);
		race->got_by_owner++;
		race->got_owning += hold < RTE_MAX_LCORE;
	}
	return NULL;
}

static void *
race_other(void *arg)
{
	struct race *race = arg;

	for (uint32_t round = 0; ivshmem_load32(&race->stop) == 0; round++) {
		uint32_t hold;

		if (round % TRY_EACH != 0) {
			rte_pause();
			continue;
		}
		hold = ivshmem_lock_try(&race->lock, false);
		if (hold == IVSHMEM_HOLD_NONE)
			continue;
		race_inside(race, 0);
		ivshmem_lock_leave(&race->lock, hold);
		race->got_by_other++;
	}
	return NULL;
}

static void *
race_waiter(void *arg)
{
	struct race *race = arg;

	while (ivshmem_load32(&race->stop) == 0) {
		ivshmem_lock_take(&race->lock);
		race_inside(race, 0);
		ivshmem_lock_give(&race->lock);
		race->got_by_waiter++;
	}
	return NULL;
}

/* As many bursts as are wanted until the lcore owns the lock. */
static void
own(struct ivshmem_lock *lock)
{
	const uint32_t wanted = lock->wanted;

	for (uint32_t i = 0; i < wanted; i++) {
		const uint32_t hold = ivshmem_lock_try(lock, true);

		CHECK_EQ(hold, i < wanted - 1 ? IVSHMEM_HOLD_OTHER : rte_lcore_id());
		CHECK_EQ(ivshmem_lock_try(lock, true), IVSHMEM_HOLD_NONE);	/* within itself */
		ivshmem_lock_leave(lock, hold);
	}
}

static void
race_run(void *(*rival)(void *arg), bool displaces)
{
	const struct timespec phase = { PHASE_MS / 1000, PHASE_MS % 1000 * 1000000 };
	struct race race = { .broken = 0 };
	pthread_t threads[2];

	ivshmem_lock_init(&race.lock);
	pthread_create(&threads[0], NULL, race_owner, &race);
	while (ivshmem_load32(&race.lock.owner) == IVSHMEM_LOCK_SHARED)
		rte_pause();
	pthread_create(&threads[1], NULL, rival, &race);
	nanosleep(&phase, NULL);
	ivshmem_store32(&race.stop, 1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK_EQ(race.broken, 0);
	CHECK_EQ(race.first, race.got_by_owner + race.got_by_waiter + race.got_by_other);
	CHECK_EQ(race.last, race.first);
	CHECK(race.got_by_owner > 1000);
	CHECK(race.got_owning > race.got_by_owner / 2);	/* each time it owns it again */
	CHECK(race.got_by_waiter + race.got_by_other > 10);
	CHECK_EQ(race.lock.wanted, displaces ? IVSHMEM_LOCK_STREAK_MAX : IVSHMEM_LOCK_STREAK_MIN);
	printf("owner %" PRIu64 " (owning %" PRIu64 "), waiter %" PRIu64 ", other %" PRIu64 "\n",
	       race.got_by_owner, race.got_owning, race.got_by_waiter, race.got_by_other);
}

static void *
one_try(void *arg)
{
	struct ivshmem_lock *lock = arg;
	const uint32_t hold = ivshmem_lock_try(lock, true);

	CHECK_EQ(hold, IVSHMEM_HOLD_OTHER);
	ivshmem_lock_leave(lock, hold);
	return NULL;
}

/* One thread after the other. */
static void
in_turns(void)
{
	struct ivshmem_lock lock;
	pthread_t thread;

	ivshmem_lock_init(&lock);
	for (uint32_t wanted = IVSHMEM_LOCK_STREAK_MIN; wanted <= 2 * IVSHMEM_LOCK_STREAK_MAX;
	     wanted *= 2) {
		CHECK_EQ(lock.wanted, RTE_MIN(wanted, IVSHMEM_LOCK_STREAK_MAX));
		own(&lock);
		CHECK_EQ(ivshmem_load32(&lock.owner), rte_lcore_id());
		for (int burst = 0; burst < 2; burst++) {
			const uint32_t hold = ivshmem_lock_try(&lock, burst);

			CHECK_EQ(hold, rte_lcore_id());
			CHECK_EQ(ivshmem_lock_try(&lock, burst), IVSHMEM_HOLD_NONE);
			ivshmem_lock_leave(&lock, hold);
			ivshmem_lock_take(&lock);
			CHECK_EQ(ivshmem_lock_try(&lock, burst), IVSHMEM_HOLD_NONE);
			ivshmem_lock_give(&lock);
		}
		pthread_create(&thread, NULL, one_try, &lock);
		pthread_join(thread, NULL);
		CHECK_EQ(ivshmem_load32(&lock.owner), IVSHMEM_LOCK_SHARED);
	}
}

/* Who frees mbufs meanwhile, or is no lcore, or has no membarrier, does not own it. */
static void
shared(unsigned int lcore, uint32_t no_burst_each, uint32_t wanted)
{
	struct ivshmem_lock lock;

	be_lcore(lcore);
	ivshmem_lock_init(&lock);
	lock.wanted = wanted;
	for (uint32_t i = 0; i < 4 * IVSHMEM_LOCK_STREAK_MIN; i++) {
		const uint32_t hold = ivshmem_lock_try(&lock, i % no_burst_each != 0);

		CHECK_EQ(hold, IVSHMEM_HOLD_OTHER);
		CHECK_EQ(ivshmem_lock_try(&lock, true), IVSHMEM_HOLD_NONE);
		ivshmem_lock_leave(&lock, hold);
	}
}

int
main(void)
{
	shared(0, IVSHMEM_LOCK_STREAK_MIN, IVSHMEM_LOCK_STREAK_MIN);
	shared(0, UINT32_MAX, 0);
	shared(LCORE_ID_ANY, UINT32_MAX, IVSHMEM_LOCK_STREAK_MIN);
	be_lcore(0);
	in_turns();
	race_run(race_waiter, false);
	race_run(race_other, true);
	return check_exit();
}
