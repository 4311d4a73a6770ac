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

#define PHASE_MS	1500	/* at least, and until the counts are reached */
#define BOUND_MS	60000
#define STEP_MS		10
#define OWNER_COUNT	1000
#define RIVAL_COUNT	10
#define LINGER_EACH	2000
#define LINGER		100000
#define TRY_EACH	100000	/* rounds: the other one owns it again meanwhile */

struct race {
	struct ivshmem_lock lock;
	struct ivshmem_u32 stop;
	uint64_t first;		/* under the lock */
	uint64_t last;
	struct ivshmem_u64 got_by_owner;	/* each written by one thread */
	struct ivshmem_u64 got_owning;		/* of them */
	struct ivshmem_u64 got_by_rival;
	struct ivshmem_u32 wanted;		/* as the rival that tries saw it last */
	_Atomic uint64_t broken;
};

static void
race_count(struct ivshmem_u64 *counter)
{
	ivshmem_store64(counter, ivshmem_load64(counter) + 1);
}

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
		race_inside(race, ivshmem_load64(&race->got_by_owner) % LINGER_EACH == 0 ?
			    LINGER : 0);
		ivshmem_lock_leave(&race->lock, hold);
		race_count(&race->got_by_owner);
		if (hold < RTE_MAX_LCORE)
			race_count(&race->got_owning);
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
		ivshmem_store32(&race->wanted, race->lock.wanted);
		ivshmem_lock_leave(&race->lock, hold);
		race_count(&race->got_by_rival);
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
		race_count(&race->got_by_rival);
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

/* The owner owned it again each time, and the rival got it often enough. */
static bool
race_is_shown(const struct race *race, bool displaces)
{
	const uint64_t owner = ivshmem_load64(&race->got_by_owner);

	return owner > OWNER_COUNT && ivshmem_load64(&race->got_owning) > owner / 2 &&
		ivshmem_load64(&race->got_by_rival) > RIVAL_COUNT &&
		(!displaces || ivshmem_load32(&race->wanted) == IVSHMEM_LOCK_STREAK_MAX);
}

static void
race_run(void *(*rival)(void *arg), bool displaces)
{
	const struct timespec step = { 0, STEP_MS * 1000000 };
	struct race race = { .broken = 0 };
	pthread_t threads[2];
	uint64_t by_owner, by_rival;
	bool shown = false;

	ivshmem_lock_init(&race.lock);
	pthread_create(&threads[0], NULL, race_owner, &race);
	while (ivshmem_load32(&race.lock.owner) == IVSHMEM_LOCK_SHARED)
		rte_pause();
	pthread_create(&threads[1], NULL, rival, &race);
	for (int ms = 0; ms < PHASE_MS || (ms < BOUND_MS && !shown); ms += STEP_MS) {
		nanosleep(&step, NULL);
		shown = race_is_shown(&race, displaces);
	}
	ivshmem_store32(&race.stop, 1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	by_owner = ivshmem_load64(&race.got_by_owner);
	by_rival = ivshmem_load64(&race.got_by_rival);
	printf("owner %" PRIu64 " (owning %" PRIu64 "), rival %" PRIu64 "\n", by_owner,
	       ivshmem_load64(&race.got_owning), by_rival);
	CHECK_EQ(race.broken, 0);
	CHECK_EQ(race.first, by_owner + by_rival);
	CHECK_EQ(race.last, race.first);
	CHECK(shown);
	CHECK_EQ(race.lock.wanted, displaces ? IVSHMEM_LOCK_STREAK_MAX : IVSHMEM_LOCK_STREAK_MIN);
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
