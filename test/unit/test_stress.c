/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Two threads at the ends of a ring, restarting at random points; also run under ThreadSanitizer.
 *
 * Each descriptor has a number and a buffer whose words follow from number and session. What is
 * delivered must be of the present session, in order, without holes and intact.
 *
 * Variants, by who restarts:
 *   none, consumer  payload and descriptors are plain memory: the protocol orders every access,
 *                   and ThreadSanitizer must find none that it does not.
 *   producer        payload and descriptors are relaxed atomics: a producer that starts anew
 *                   writes while the consumer may still copy. That race is part of the design:
 *                   the second look throws away what was copied.
 * The losses are exact, published = delivered + lost, as long as one end lives through a restart.
 * Where both restart at any time nobody may be left who knows: then there are never too many.
 */

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "world.h"

#define SLOTS		64
#define WORDS		16	/* of a buffer */
#define BURST_MAX	24
#define PHASE_MS	150
#define BOUND_MS	30000
#define RESTARTS	40

struct variant {
	const char *name;
	bool producer;		/* it restarts */
	bool consumer;
	bool in_turns;		/* one restart at a time */
};

/* What the threads share besides the ring. */
struct stress {
	struct world world;
	struct variant variant;
	struct ivshmem_u32 stop;
	_Atomic uint32_t restarting;	/* in turns: the end whose restart is being settled */
	struct ivshmem_u64 producer_at;	/* session that the end is ready in: mine, yours */
	struct ivshmem_u64 consumer_at;
	struct ivshmem_u64 payload[SLOTS][WORDS];
	struct ivshmem_u64 producer_restarts;
	struct ivshmem_u64 consumer_restarts;
	uint64_t discarded;
	uint64_t broken;
};

static uint32_t
dice(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

static void
count(struct ivshmem_u64 *counter)
{
	ivshmem_store64(counter, ivshmem_load64(counter) + 1);
}

static void
put(const struct stress *stress, struct ivshmem_u64 *word, uint64_t value)
{
	if (stress->variant.producer)
		ivshmem_store64(word, value);
	else
		word->raw = value;
}

static uint64_t
get(const struct stress *stress, const struct ivshmem_u64 *word)
{
	return stress->variant.producer ? ivshmem_load64(word) : word->raw;
}

/* Word i of the number-th buffer of the producer's epoch, for the consumer's epoch. */
static uint64_t
pattern(uint32_t epoch, uint32_t other, uint32_t number, uint32_t i)
{
	return ((uint64_t)epoch << 40 ^ (uint64_t)other << 20 ^ number) * 0x9e3779b97f4a7c15 + i;
}

enum end { PRODUCER = 1, CONSUMER };

/* In turns: take the only right to restart; the end gives it back when both have agreed. */
static bool
may_restart(struct stress *stress, uint32_t *random, bool ready, uint32_t who)
{
	uint32_t nobody = 0;

	if (dice(random) % 64 != 0)
		return false;
	if (!stress->variant.in_turns)
		return true;
	return ready && atomic_compare_exchange_strong(&stress->restarting, &nobody, who);
}

/* The end is ready: its restart may be over. */
static void
settled(struct stress *stress, uint32_t who)
{
	const uint64_t producer = ivshmem_load64_acquire(&stress->producer_at);
	const uint64_t consumer = ivshmem_load64_acquire(&stress->consumer_at);

	if (stress->restarting == who && producer == (consumer << 32 | consumer >> 32))
		stress->restarting = 0;
}

static void
produce(struct stress *stress, uint32_t cnt, bool publish)
{
	struct ivshmem_producer *end = &stress->world.producer;
	uint32_t room = ivshmem_producer_room(end);

	if (room < cnt)
		room = ivshmem_producer_refresh(end);
	if (!end->ready)
		return;
	cnt = cnt < room ? cnt : room;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint32_t number = end->prod + i;
		const uint32_t slot = number % SLOTS;

		for (uint32_t j = 0; j < WORDS; j++)
			put(stress, &stress->payload[slot][j],
			    pattern(end->mine, end->yours, number, j));
		put(stress, (struct ivshmem_u64 *)&end->entries[slot].desc,
		    (uint64_t)number << 32 | slot);
	}
	if (!publish)
		return;
	ivshmem_producer_publish(end, end->prod + cnt);
	stress->world.published += cnt;
}

/* After START all buffers may be used again, say for another ring: consumers look twice. */
static void
scribble(struct stress *stress, uint32_t random)
{
	for (uint32_t i = 0; i < SLOTS * WORDS; i++)
		put(stress, &stress->payload[(random + i) % SLOTS][i / SLOTS], random);
}

static void *
producer_thread(void *arg)
{
	struct stress *stress = arg;
	struct world *world = &stress->world;
	struct ivshmem_producer *end = &world->producer;
	uint32_t random = 1;

	while (ivshmem_load32(&stress->stop) == 0) {
		if (stress->variant.producer && may_restart(stress, &random, end->ready,
							     PRODUCER)) {
			if (end->ready)		/* it dies in a burst */
				produce(stress, dice(&random) % BURST_MAX, false);
			if (dice(&random) % 2 == 0)
				world_new_producer(world);
			world_start_producer(world);
			scribble(stress, dice(&random));
			count(&stress->producer_restarts);
		}
		if (!end->ready && world_step_producer(world) != IVSHMEM_RING_USE) {
			sched_yield();
			continue;
		}
		ivshmem_store64_release(&stress->producer_at,
					(uint64_t)end->mine << 32 | end->yours);
		settled(stress, PRODUCER);
		produce(stress, dice(&random) % BURST_MAX, true);
		if (ivshmem_producer_room(end) == 0)
			sched_yield();
	}
	return NULL;
}

static void
consume(struct stress *stress, uint32_t cnt, bool release)
{
	struct ivshmem_consumer *end = &stress->world.consumer;
	static struct ivshmem_u64 copies[BURST_MAX][WORDS];
	static uint64_t descs[BURST_MAX];
	const uint32_t avail = ivshmem_consumer_avail(end);

	if (!end->ready)
		return;
	cnt = cnt < avail ? cnt : avail;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_desc_shm *desc =
			&end->entries[(end->cons + i) & (end->size - 1)].desc;

		descs[i] = get(stress, (const struct ivshmem_u64 *)desc);
		for (uint32_t j = 0; j < WORDS; j++)
			copies[i][j].raw = get(stress, &stress->payload[descs[i] % SLOTS][j]);
	}
	if (!ivshmem_consumer_unchanged(end)) {
		stress->discarded += cnt;
		return;
	}
	if (!release)
		return;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint32_t number = end->cons + i;

		stress->broken += descs[i] >> 32 != number;
		for (uint32_t j = 0; j < WORDS; j++)
			stress->broken += copies[i][j].raw !=
				pattern(end->yours, end->mine, number, j);
	}
	ivshmem_consumer_release(end, end->cons + cnt);
	stress->world.delivered += cnt;
}

static void *
consumer_thread(void *arg)
{
	struct stress *stress = arg;
	struct world *world = &stress->world;
	struct ivshmem_consumer *end = &world->consumer;
	uint32_t random = 99;

	while (ivshmem_load32(&stress->stop) != 2) {
		if (stress->variant.consumer && may_restart(stress, &random, end->ready,
							     CONSUMER)) {
			if (end->ready)
				consume(stress, dice(&random) % BURST_MAX, false);
			if (dice(&random) % 2 == 0)
				world_new_consumer(world);
			ivshmem_consumer_start(end);
			count(&stress->consumer_restarts);
		}
		if (!end->ready && world_step_consumer(world) != IVSHMEM_RING_USE) {
			sched_yield();
			continue;
		}
		ivshmem_store64_release(&stress->consumer_at,
					(uint64_t)end->mine << 32 | end->yours);
		settled(stress, CONSUMER);
		consume(stress, 1 + dice(&random) % BURST_MAX, true);
		if (end->cons == end->prod)
			sched_yield();
	}
	return NULL;
}

static void
verdict(struct stress *stress)
{
	struct world *world = &stress->world;

	/* both threads have ended: settle, and empty the ring */
	world_settle(world);
	while (ivshmem_consumer_avail(&world->consumer) > 0)
		consume(stress, BURST_MAX, true);
	printf("%-32s %9" PRIu64 " published, %9" PRIu64 " delivered, %7" PRIu64 " lost, %" PRIu64
	       " + %" PRIu64 " restarts, %" PRIu64 " discarded\n", stress->variant.name,
	       world->published, world->delivered, world_lost(world),
	       ivshmem_load64(&stress->producer_restarts),
	       ivshmem_load64(&stress->consumer_restarts), stress->discarded);
	CHECK_EQ(stress->broken, 0);
	CHECK_EQ(world->producer.bad_index + world->consumer.bad_index, 0);
	CHECK_EQ(world->consumer.bad_dir, 0);
	CHECK(world->delivered > 0);
	if (stress->variant.in_turns || !stress->variant.producer ||
	    !stress->variant.consumer)
		CHECK_EQ(world->published, world->delivered + world_lost(world));
	else
		CHECK(world->published >= world->delivered + world_lost(world));
}

/* At least PHASE_MS, and until each end that restarts did so often enough; bounded. */
static void
wait_for_restarts(struct stress *stress)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t producer = 0;
	uint64_t consumer = 0;

	for (uint32_t ms = 0; ms < BOUND_MS; ms++) {
		producer = ivshmem_load64(&stress->producer_restarts);
		consumer = ivshmem_load64(&stress->consumer_restarts);
		if (ms >= PHASE_MS && (!stress->variant.producer || producer >= RESTARTS) &&
		    (!stress->variant.consumer || consumer >= RESTARTS))
			return;
		nanosleep(&pause, NULL);
	}
	CHECK_MSG(false, "%s: only %" PRIu64 " + %" PRIu64 " restarts: an end got stuck",
		  stress->variant.name, producer, consumer);
}

static void
run(const struct variant *variant, uint32_t epoch)
{
	static struct stress stress;
	pthread_t producer;
	pthread_t consumer;

	memset(&stress, 0, sizeof(stress));
	stress.variant = *variant;
	if (!world_make(&stress.world, SLOTS))
		return;
	world_new_producer(&stress.world);
	world_new_consumer(&stress.world);
	ivshmem_store64(&stress.world.producer.own->pw, ivshmem_ring_word(epoch, 3));
	ivshmem_store64(&stress.world.consumer.own->cw, ivshmem_ring_word(epoch, 3));
	world_start_producer(&stress.world);
	ivshmem_consumer_start(&stress.world.consumer);
	world_settle(&stress.world);
	world_shift(&stress.world, UINT32_MAX - 1000);
	if (!CHECK(pthread_create(&producer, NULL, producer_thread, &stress) == 0) ||
	    !CHECK(pthread_create(&consumer, NULL, consumer_thread, &stress) == 0))
		return;
	wait_for_restarts(&stress);
	ivshmem_store32(&stress.stop, 1);
	pthread_join(producer, NULL);
	ivshmem_store32(&stress.stop, 2);
	pthread_join(consumer, NULL);
	verdict(&stress);
	world_free(&stress.world);
}

int
main(void)
{
	static const struct variant variants[] = {
		{ "nobody restarts", false, false, false },
		{ "the consumer restarts, in turns", false, true, true },
		{ "the consumer restarts, any time", false, true, false },
		{ "the producer restarts, in turns", true, false, true },
		{ "the producer restarts, any time", true, false, false },
		{ "either restarts, in turns", true, true, true },
		{ "either restarts, any time", true, true, false },
	};

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		run(&variants[i], i % 2 == 0 ? 0 : UINT32_MAX - 20);
	return check_exit();
}
