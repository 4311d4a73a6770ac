/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What a restart takes away is counted once: published = delivered + lost, exactly, as long as one
 * of the two ends lives through it; and never more than was published, whatever happens.
 */

#include "world.h"

#define BALANCED(world) \
	CHECK_MSG((world)->published == (world)->delivered + world_lost(world), \
		  "%" PRIu64 " published, %" PRIu64 " delivered, %" PRIu64 " + %" PRIu64 \
		  " lost (producer's + consumer's count)", (world)->published, \
		  (world)->delivered, (world)->producer.lost, (world)->consumer.lost)

/* How many of 20 published descriptors the consumer took, and whether the producer noticed. */
static const struct {
	uint32_t consumed;
	bool producer_looks;
	bool consumer_looks;
} halves[] = {
	{ 0, false, false }, { 0, true, true }, { 7, false, true }, { 7, true, true },
	{ 19, false, true }, { 20, false, true }, { 20, true, true },
};

static void
traffic(struct world *world, size_t half, uint32_t start)
{
	world_shift(world, start);
	CHECK_EQ(world_produce(world, 12), 12);
	if (halves[half].consumer_looks)
		CHECK(ivshmem_consumer_avail(&world->consumer) > 0);
	CHECK_EQ(world_produce(world, 8), 8);
	if (halves[half].consumed > 0)
		CHECK_EQ(world_consume(world, halves[half].consumed), halves[half].consumed);
	if (halves[half].producer_looks)
		ivshmem_producer_refresh(&world->producer);
}

enum who {
	CONSUMER_STOPS,		/* clean: BUMP out of the same process */
	CONSUMER_DIES,		/* only its shared words stay */
	PRODUCER_STOPS,
	PRODUCER_DIES,
};

static void
restart(struct world *world, enum who who)
{
	if (who == CONSUMER_DIES)
		world_new_consumer(world);
	if (who == CONSUMER_DIES || who == CONSUMER_STOPS)
		ivshmem_consumer_start(&world->consumer);
	if (who == PRODUCER_DIES)
		world_new_producer(world);
	if (who == PRODUCER_DIES || who == PRODUCER_STOPS)
		world_start_producer(world);
}

static void
one_end_restarts(enum who who, uint32_t start)
{
	for (size_t half = 0; half < sizeof(halves) / sizeof(halves[0]); half++) {
		struct world world;

		if (!world_ready(&world, 32))
			return;
		traffic(&world, half, start);
		restart(&world, who);
		if (!world_settle(&world))
			return;
		if (!BALANCED(&world))
			printf("  who %d, start %u, case %zu\n", who, start, half);
		CHECK_EQ(world_lost(&world), 20 - halves[half].consumed);
		/* and the next session starts with clean accounts */
		world_produce(&world, 5);
		CHECK_EQ(world_consume(&world, 5), 5);
		restart(&world, who);
		world_settle(&world);
		CHECK_EQ(world_lost(&world), 20 - halves[half].consumed);
		world_free(&world);
	}
}

/* Again and again, one end or the other, each time after the ends have agreed. */
static void
in_turns(void)
{
	struct world world;
	uint32_t random = 1;

	if (!world_ready(&world, 32))
		return;
	for (int i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		world_produce(&world, random >> 27);
		world_consume(&world, random >> 22 & 31);
		if ((random >> 8 & 15) != 0)
			continue;
		restart(&world, random >> 12 & 3);
		if (!world_settle(&world))
			break;
		if (!CHECK_EQ(world.published, world.delivered + world_lost(&world) +
			      (world.producer.prod - world.consumer.cons)))
			break;
	}
	CHECK(world_lost(&world) > 1000 && world.delivered > 1000);
	world_free(&world);
}

/* A violation makes one end BUMP; the other counts. */
static void
violation(bool by_consumer)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 20), 20);
	CHECK_EQ(world_consume(&world, 7), 7);
	world.consumer.violated = !by_consumer;
	world.consumer.ready = by_consumer;
	world.producer.violated = by_consumer;
	world.producer.ready = !by_consumer;
	world_settle(&world);
	BALANCED(&world);
	world_free(&world);
}

/*
 * The consumer restarts and adopts an epoch whose producer died before it could answer. What that
 * producer published went to the consumer's earlier life: it must not be counted as lost here.
 */
static void
never_joined(uint32_t consumed)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 20), 20);
	CHECK_EQ(world_consume(&world, consumed), consumed);
	world_new_consumer(&world);
	ivshmem_consumer_start(&world.consumer);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_ADOPT);
	restart(&world, PRODUCER_DIES);
	world_settle(&world);
	CHECK_MSG(world_lost(&world) <= world.published - world.delivered,
		  "%" PRIu64 " lost of %" PRIu64 " published, of which %" PRIu64
		  " were delivered", world_lost(&world), world.published, world.delivered);
	world_free(&world);
}

/* The producer answered, published and died before the consumer looked: these are its losses. */
static void
joined_unseen(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	world_new_consumer(&world);
	ivshmem_consumer_start(&world.consumer);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_ADOPT);
	ivshmem_producer_refresh(&world.producer);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_USE);
	CHECK_EQ(world_produce(&world, 9), 9);
	restart(&world, PRODUCER_DIES);
	world_settle(&world);
	BALANCED(&world);
	world_free(&world);
}

/*
 * A port that starts marks all its producer ends unused and then starts those that its queues have:
 * two STARTs with nobody looking in between must not hide what was queued.
 */
static void
started_twice(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 12), 12);
	CHECK_EQ(world_consume(&world, 7), 7);
	CHECK_EQ(world_produce(&world, 8), 8);
	world_new_producer(&world);
	ivshmem_producer_start(&world.producer, world.source, 0, 0);
	world_new_producer(&world);
	world_start_producer(&world);
	world_settle(&world);
	BALANCED(&world);
	world_free(&world);
}

/* An end that restarts several times while the other is idle. */
static void
restarts_unseen(enum who who)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 12), 12);
	CHECK_EQ(world_consume(&world, 7), 7);
	CHECK_EQ(world_produce(&world, 8), 8);
	for (int i = 0; i < 3; i++)
		restart(&world, who);
	world_settle(&world);
	if (!BALANCED(&world))
		printf("  who %d restarted three times\n", who);
	world_free(&world);
}

/* Whatever the other end says about its last words, the count stays within the ring. */
static void
hostile_prev(void)
{
	static const uint32_t indices[] = { 0, 1, 6, 7, 8, 19, 20, 21, 33, 52, 1u << 31,
					    UINT32_MAX };

	for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		struct world world;
		struct ivshmem_cons_shm *cons;
		struct ivshmem_prod_shm *prod;

		if (!world_ready(&world, 32))
			return;
		world_produce(&world, 20);
		world_consume(&world, 7);
		cons = world.consumer.own;
		prod = world.producer.own;
		restart(&world, CONSUMER_DIES);
		ivshmem_store64(&cons->prev, ivshmem_ring_word(world.producer.yours, indices[i]));
		world_settle(&world);
		CHECK(world_lost(&world) <= 32);
		world_produce(&world, 20);
		world_consume(&world, 7);
		restart(&world, PRODUCER_DIES);
		ivshmem_store64(&prod->prev, ivshmem_ring_word(world.consumer.yours, indices[i]));
		world_settle(&world);
		CHECK(world_lost(&world) <= 64);
		world_free(&world);
	}
}

int
main(void)
{
	static const uint32_t starts[] = { 0, UINT32_MAX - 10, UINT32_MAX - 15 };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		for (enum who who = CONSUMER_STOPS; who <= PRODUCER_DIES; who++)
			one_end_restarts(who, starts[i]);
	in_turns();
	violation(true);
	violation(false);
	never_joined(20);
	never_joined(13);
	joined_unseen();
	started_twice();
	for (enum who who = CONSUMER_STOPS; who <= PRODUCER_DIES; who++)
		restarts_unseen(who);
	hostile_prev();
	return check_exit();
}
