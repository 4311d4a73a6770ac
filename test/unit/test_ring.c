/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The steps of a burst (ivshmem_ring.h): full and empty, wrap-around of slots and of the 32-bit
 * index, and each index that the other end cannot have.
 */

#include "world.h"

static void
full_and_empty(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_consume(&world, 1), 0);
	CHECK(world.consumer.ready);
	CHECK_EQ(ivshmem_producer_room(&world.producer), 32);
	CHECK_EQ(world_produce(&world, 40), 32);
	CHECK_EQ(world_produce(&world, 1), 0);
	CHECK(world.producer.ready);
	CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 32);
	CHECK_EQ(world_consume(&world, 1), 1);
	CHECK_EQ(world_produce(&world, 2), 1);
	CHECK_EQ(world_consume(&world, 40), 32);
	CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 0);
	CHECK_EQ(ivshmem_producer_refresh(&world.producer), 32);
	CHECK_EQ(world.published, world.delivered);
	world_free(&world);
}

/* The private copy of the other's index is enough as long as it leaves room. */
static void
looks_only_when_short(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 20), 20);
	CHECK_EQ(world_consume(&world, 20), 20);
	CHECK_EQ(ivshmem_producer_room(&world.producer), 12);
	CHECK_EQ(world.producer.cons, 0);
	CHECK_EQ(ivshmem_producer_refresh(&world.producer), 32);
	CHECK_EQ(world.producer.cons, 20);
	world_free(&world);
}

/* Every ring size, in pieces that do not divide it, across the end of the 32-bit index. */
static void
wraps(void)
{
	for (uint32_t slots = 32; slots <= 128; slots *= 2) {
		struct world world;
		uint32_t next = 0;

		if (!world_make(&world, 128))
			return;
		world.slots = slots;
		world_new_producer(&world);
		world_start_producer(&world);
		world_new_consumer(&world);
		ivshmem_consumer_start(&world.consumer);
		if (!world_settle(&world))
			return;
		world_shift(&world, UINT32_MAX - 2 * slots);
		for (uint32_t i = 0; i < 20 * slots; i++) {
			struct ivshmem_consumer *end = &world.consumer;

			world_produce(&world, 1 + i % 7);
			if (i % 3 == 0)
				continue;
			if (ivshmem_consumer_avail(end) > 0)
				CHECK_EQ(end->entries[end->cons & (end->size - 1)].desc.buf, next);
			next += world_consume(&world, 1 + i % 11);
		}
		next += world_consume(&world, UINT32_MAX);
		CHECK_EQ(next, world.published);
		CHECK(world.producer.prod < UINT32_MAX / 2);
		CHECK_EQ(world.producer.bad_index + world.consumer.bad_index, 0);
		world_free(&world);
	}
}

/* What the consumer may say: any index between the last one and prod. All else is a violation. */
static void
consumer_lies(uint32_t start)
{
	static const struct {
		int32_t distance;	/* from prod, with cons = prod - 10 */
		bool fine;
	} cases[] = {
		{ 0, true }, { -1, true }, { -10, true },
		{ 1, false }, { -11, false }, { 32, false }, { -32, false },
		{ INT32_MIN, false }, { INT32_MAX, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		uint32_t room;

		if (!world_ready(&world, 32))
			return;
		world_shift(&world, start);
		CHECK_EQ(world_produce(&world, 10), 10);
		ivshmem_store64(&((struct ivshmem_cons_shm *)world.consumer.own)->cw,
				ivshmem_ring_word(world.consumer.mine,
						  world.producer.prod +
						  (uint32_t)cases[i].distance));
		room = ivshmem_producer_refresh(&world.producer);
		CHECK_EQ(world.producer.ready, cases[i].fine);
		CHECK_EQ(world.producer.violated, !cases[i].fine);
		CHECK_EQ(world.producer.bad_index, !cases[i].fine);
		CHECK_EQ(room, (INT64_C(32) + cases[i].distance) * cases[i].fine);
		CHECK(world.producer.prod - world.producer.cons <= 32);
		world_free(&world);
	}
}

static void
producer_lies(uint32_t start)
{
	static const struct {
		int32_t distance;	/* from cons, with prod seen = cons + 10 */
		bool fine;
	} cases[] = {
		{ 10, true }, { 11, true }, { 32, true },
		{ 9, false }, { 0, false }, { -1, false }, { 33, false },
		{ INT32_MIN, false }, { INT32_MAX, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		uint32_t avail;

		if (!world_ready(&world, 32))
			return;
		world_shift(&world, start);
		CHECK_EQ(world_produce(&world, 10), 10);
		CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 10);
		ivshmem_store64(&world.producer.own->pw,
				ivshmem_ring_word(world.producer.mine,
						  world.consumer.cons +
						  (uint32_t)cases[i].distance));
		avail = ivshmem_consumer_avail(&world.consumer);
		CHECK_EQ(world.consumer.ready, cases[i].fine);
		CHECK_EQ(world.consumer.violated, !cases[i].fine);
		CHECK_EQ(world.consumer.bad_index, !cases[i].fine);
		CHECK_EQ(avail, INT64_C(1) * cases[i].distance * cases[i].fine);
		CHECK(world.consumer.prod - world.consumer.cons <= 32);
		world_free(&world);
	}
}

/* An index under another epoch is no index (R2), be it possible or not. */
static void
other_epoch(void)
{
	for (int32_t distance = -40; distance <= 40; distance += 10) {
		struct world world;

		if (!world_ready(&world, 32))
			return;
		world_produce(&world, 10);
		ivshmem_store64(&((struct ivshmem_cons_shm *)world.consumer.own)->cw,
				ivshmem_ring_word(world.consumer.mine + 1, distance));
		ivshmem_store64(&world.producer.own->pw,
				ivshmem_ring_word(world.producer.mine + 1, distance));
		CHECK_EQ(ivshmem_producer_refresh(&world.producer), 0);
		CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 0);
		CHECK(!world.producer.ready && !world.producer.violated);
		CHECK(!world.consumer.ready && !world.consumer.violated);
		CHECK_EQ(world.producer.bad_index + world.consumer.bad_index, 0);
		CHECK_EQ(world.producer.cons, 0);
		CHECK_EQ(world.consumer.prod, 0);
		world_free(&world);
	}
}

/* The second look (R4). */
static void
second_look(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	world_produce(&world, 10);
	CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 10);
	CHECK(ivshmem_consumer_unchanged(&world.consumer));
	world_produce(&world, 10);
	CHECK(ivshmem_consumer_unchanged(&world.consumer));
	world_new_producer(&world);
	world_start_producer(&world);
	CHECK(!ivshmem_consumer_unchanged(&world.consumer));
	CHECK_EQ(world_consume(&world, 1), 0);
	CHECK(!world.consumer.ready);
	world_free(&world);
}

int
main(void)
{
	static const uint32_t starts[] = { 0, 5, 1u << 31, UINT32_MAX - 31, UINT32_MAX - 9,
					   UINT32_MAX };

	full_and_empty();
	looks_only_when_short();
	wraps();
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		consumer_lies(starts[i]);
		producer_lies(starts[i]);
	}
	other_epoch();
	second_look();
	return check_exit();
}
