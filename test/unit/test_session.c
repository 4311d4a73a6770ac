/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * START, ADOPT, READY and BUMP, step by step: the table of ivshmem_session.h, epochs at their ends,
 * and an other end that lies about its ring.
 */

#include <errno.h>

#include "world.h"

static uint32_t
epoch_of(const struct ivshmem_u64 *word)
{
	return ivshmem_ring_epoch(ivshmem_load64(word));
}

/* The other end's words, for an other end that lies. */
static struct ivshmem_prod_shm *
prod_of(struct world *world)
{
	return ivshmem_layout_prod(world->source, &world->layout,
				   ivshmem_layout_end(&world->layout, 1, 0, 0));
}

static struct ivshmem_cons_shm *
cons_of(struct world *world)
{
	return ivshmem_layout_cons(world->target, &world->layout,
				   ivshmem_layout_end(&world->layout, 0, 0, 0));
}

/* In a region that nobody used yet, an end waits and touches nothing. */
static void
alone(void)
{
	struct world world;

	if (!world_make(&world, 32))
		return;
	world_new_producer(&world);
	world_new_consumer(&world);
	world_start_producer(&world);
	CHECK_EQ(epoch_of(&prod_of(&world)->pw), 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
	ivshmem_consumer_start(&world.consumer);
	CHECK_EQ(epoch_of(&cons_of(&world)->cw), 1);
	CHECK_EQ(ivshmem_load32(&cons_of(&world)->clear), 1);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_USE);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_USE);
	CHECK_EQ(world.consumer.size, 32);
	CHECK_EQ(world_lost(&world), 0);
	world_free(&world);
}

/* Either side first; each restart of either gives a new epoch, and ends ready again. */
static void
restarts(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	for (uint32_t i = 0; i < 20; i++) {
		const uint32_t mine = world.producer.mine;
		const uint32_t other = world.consumer.mine;
		const bool producer = i % 3 != 0;
		const bool consumer = i % 3 != 1;

		world_produce(&world, i);
		world_consume(&world, i / 2);
		if (producer) {
			world_new_producer(&world);
			world_start_producer(&world);
			CHECK_EQ(world.producer.mine, mine + 1);
			CHECK_EQ(epoch_of(&prod_of(&world)->pw), mine + 1);
			CHECK_EQ((uint32_t)ivshmem_load64(&prod_of(&world)->pw), 0);
			CHECK_EQ(ivshmem_load32(&prod_of(&world)->yours), 0);
		}
		if (consumer) {
			world_new_consumer(&world);
			ivshmem_consumer_start(&world.consumer);
			CHECK_EQ(world.consumer.mine, other + 1);
			CHECK_EQ((uint32_t)ivshmem_load64(&cons_of(&world)->cw), 0);
			CHECK_EQ(ivshmem_load32(&cons_of(&world)->yours), 0);
		}
		if (!world_settle(&world))
			break;
		CHECK_EQ(world.producer.yours, world.consumer.mine);
		CHECK_EQ(world.consumer.yours, world.producer.mine);
		CHECK_EQ(ivshmem_load32(&prod_of(&world)->yours), world.consumer.mine);
		CHECK_EQ(ivshmem_load32(&cons_of(&world)->yours), world.producer.mine);
		CHECK_EQ(world.producer.prod | world.producer.cons, 0);
		CHECK_EQ(world.consumer.prod | world.consumer.cons, 0);
	}
	world_free(&world);
}

/* Epochs pass 2^32 without ever being 0. */
static void
epochs_wrap(void)
{
	struct world world;

	if (!world_make(&world, 32))
		return;
	ivshmem_store64(&prod_of(&world)->pw, ivshmem_ring_word(UINT32_MAX - 2, 7));
	ivshmem_store64(&cons_of(&world)->cw, ivshmem_ring_word(UINT32_MAX - 1, 7));
	for (uint32_t i = 0; i < 5; i++) {
		const uint32_t mine[] = { UINT32_MAX - 1, UINT32_MAX, 1, 2, 3 };

		world_new_producer(&world);
		world_start_producer(&world);
		CHECK_EQ(world.producer.mine, mine[i]);
		world_new_consumer(&world);
		ivshmem_consumer_start(&world.consumer);
		CHECK_EQ(world.consumer.mine, i == 0 ? UINT32_MAX : i);
		if (!world_settle(&world))
			break;
		CHECK_EQ(world_produce(&world, 5), 5);
		CHECK_EQ(world_consume(&world, 5), 5);
		world.producer.violated = true;		/* a BUMP, from the private epoch */
		world.producer.ready = false;
		ivshmem_producer_start(&world.producer, world.source, world.producer.desc_off, 32);
		CHECK_EQ(world.producer.mine, i == 0 ? UINT32_MAX : i == 1 ? 1 : mine[i] + 1);
		ivshmem_store64(&prod_of(&world)->pw, ivshmem_ring_word(mine[i], 0));
	}
	world_free(&world);
}

/* An end that says epoch 0 is none; the other waits, and does not use what it had. */
static void
epoch_zero(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	ivshmem_store64(&cons_of(&world)->cw, 5);
	ivshmem_store64(&prod_of(&world)->pw, 5);
	CHECK_EQ(ivshmem_producer_refresh(&world.producer), 0);
	CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
		CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_WAIT);
	}
	CHECK_EQ(world.producer.bad_index + world.consumer.bad_index, 0);
	world_free(&world);
}

/* Ready takes the other's answer to the own epoch, not just any answer. */
static void
answer_of_another_session(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	world_new_producer(&world);
	world_start_producer(&world);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_ADOPT);
	/* the consumer's answer is still the one to the epoch before */
	CHECK_EQ(ivshmem_load32(&cons_of(&world)->yours), world.producer.mine - 1);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
	CHECK(!world.producer.ready);
	ivshmem_consumer_avail(&world.consumer);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_USE);
	world_free(&world);
}

/* The same for a consumer: what the producer published was for the one before. */
static void
answer_to_another_consumer(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	CHECK_EQ(world_produce(&world, 10), 10);
	world_new_consumer(&world);
	ivshmem_consumer_start(&world.consumer);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_WAIT);
	CHECK(!world.consumer.ready);
	CHECK_EQ(ivshmem_producer_refresh(&world.producer), 0);
	CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_ADOPT);
	CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_USE);
	CHECK_EQ(ivshmem_consumer_avail(&world.consumer), 0);
	CHECK_EQ(world_lost(&world), 10);
	world_free(&world);
}

/* A consumer that returns by cookies is not used by a producer that does not know how. */
static void
return_mode(void)
{
	struct world world;

	if (!world_make(&world, 32))
		return;
	world_new_producer(&world);
	world_start_producer(&world);
	world_new_consumer(&world);
	ivshmem_consumer_start(&world.consumer);
	ivshmem_store32(&cons_of(&world)->return_mode, IVSHMEM_RETURN_RING);
	for (int i = 0; i < 5; i++) {
		world_step_producer(&world);
		world_step_consumer(&world);
	}
	CHECK(!world.producer.ready);
	world_free(&world);
}

/* Each directory that cannot be: refused, counted, answered by a BUMP with back-off. */
static void
directory_lies(void)
{
	struct world world;
	uint64_t ring_off;
	uint64_t end;

	if (!world_ready(&world, 32))
		return;
	ring_off = world.layout.ring_off;
	end = ring_off + world.layout.ring_len;
	const struct {
		uint32_t desc_cnt;
		uint64_t desc_off;
	} lies[] = {
		{ 16, ring_off }, { 33, ring_off }, { 48, ring_off }, { 64, ring_off },
		{ UINT32_MAX, ring_off }, { 1u << 31, ring_off }, { 1, ring_off },
		{ 32, 0 }, { 32, ring_off - 64 }, { 32, ring_off + 32 }, { 32, ring_off + 1 },
		{ 32, end }, { 32, end - 32 * 32 + 64 }, { 32, world.layout.section_len },
		{ 32, UINT64_MAX }, { 32, UINT64_MAX - 63 }, { 32, UINT64_C(1) << 63 },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct ivshmem_prod_shm *prod = prod_of(&world);

		world_new_producer(&world);
		world_start_producer(&world);
		ivshmem_store32(&prod->desc_cnt, lies[i].desc_cnt);
		ivshmem_store64(&prod->desc_off, lies[i].desc_off);
		ivshmem_consumer_avail(&world.consumer);
		while (world.consumer.backoff > 0)
			CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_WAIT);
		CHECK_EQ(ivshmem_consumer_poll(&world.consumer), IVSHMEM_RING_ADOPT);
		CHECK_EQ(ivshmem_consumer_adopt(&world.consumer, &world.layout), -EINVAL);
		CHECK_EQ(world.consumer.bad_dir, i + 1);
		CHECK_EQ(world_step_consumer(&world), IVSHMEM_RING_BUMP);
		CHECK(world.consumer.backoff > 0 && !world.consumer.ready);
	}
	world_new_producer(&world);
	world_start_producer(&world);
	while (world.consumer.backoff > 0)	/* who would sleep now polls on instead */
		CHECK(ivshmem_consumer_can_step(&world.consumer));
	CHECK(world_settle(&world));
	world_free(&world);
}

/* The largest ring at the last place of the reserve is fine. */
static void
directory_at_the_end(void)
{
	struct world world;

	if (!world_ready(&world, 32))
		return;
	world_new_producer(&world);
	ivshmem_producer_start(&world.producer, world.source,
			       world.layout.ring_off + world.layout.ring_len - 32 * 32, 32);
	CHECK(world_settle(&world));
	CHECK_EQ(world.consumer.bad_dir, 0);
	CHECK_EQ(world_produce(&world, 32), 32);
	CHECK_EQ(world_consume(&world, 32), 32);
	world_free(&world);
}

/* An unused ring (desc_cnt 0), and a directory that is just being written, are no lies. */
static void
directory_not_yet(void)
{
	struct world world;
	struct ivshmem_prod_shm *prod;

	if (!world_ready(&world, 32))
		return;
	prod = prod_of(&world);
	world_new_producer(&world);
	ivshmem_producer_start(&world.producer, world.source, 0, 0);
	ivshmem_consumer_avail(&world.consumer);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(ivshmem_consumer_poll(&world.consumer), IVSHMEM_RING_ADOPT);
		CHECK_EQ(ivshmem_consumer_can_step(&world.consumer), i == 0);	/* it parts once */
		CHECK_EQ(ivshmem_consumer_adopt(&world.consumer, &world.layout), -EAGAIN);
		CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
	}
	world_start_producer(&world);
	CHECK(ivshmem_consumer_can_step(&world.consumer));
	ivshmem_store32(&prod->dir_epoch, 0);
	CHECK(!ivshmem_consumer_can_step(&world.consumer));
	CHECK_EQ(ivshmem_consumer_adopt(&world.consumer, &world.layout), -EAGAIN);
	ivshmem_store32(&prod->dir_epoch, world.producer.mine);
	CHECK(world_settle(&world));
	CHECK_EQ(world.consumer.bad_dir, 0);
	world_free(&world);
}

/* A liar waits twice as long each time, up to a bound; then it is heard again. */
static void
back_off(void)
{
	struct world world;
	uint32_t waits = 0;
	uint32_t wanted = 1;

	if (!world_ready(&world, 32))
		return;
	for (int i = 0; i < 20; i++) {
		world_shift(&world, 0);
		ivshmem_store64(&cons_of(&world)->cw,
				ivshmem_ring_word(world.consumer.mine, 1));
		CHECK_EQ(ivshmem_producer_refresh(&world.producer), 0);
		CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_BUMP);
		for (waits = 0; world.producer.backoff > 0; waits++)
			CHECK_EQ(world_step_producer(&world), IVSHMEM_RING_WAIT);
		CHECK_EQ(waits, wanted);
		wanted = wanted < 65536 ? wanted * 2 : 65536;
		ivshmem_store64(&cons_of(&world)->cw,
				ivshmem_ring_word(world.consumer.mine, 0));
		if (!world_settle(&world))
			break;
		CHECK_EQ(world.producer.bad_index, i + 1);
	}
	world_free(&world);
}

int
main(void)
{
	alone();
	restarts();
	epochs_wrap();
	epoch_zero();
	answer_of_another_session();
	answer_to_another_consumer();
	return_mode();
	directory_lies();
	directory_at_the_end();
	directory_not_yet();
	back_off();
	return check_exit();
}
