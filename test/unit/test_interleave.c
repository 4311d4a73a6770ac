/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ring sessions under any interleaving and any crash, without threads: each end is a coroutine that
 * stops before every access to a shared word or descriptor. A seeded scheduler says who goes on,
 * and kills an end now and then: its private state is gone, and a new life starts in its place.
 *
 * For all of it: what is delivered is of this session, in order and whole; no honest end is taken
 * for a liar; no count of losses is too high; left alone, the ends agree again. When only one end
 * dies or starts anew, the losses are exact.
 *
 * The code under test is included here, with its accessors replaced by ones that stop first.
 */

#include <ucontext.h>

#include "ivshmem_atomic.h"

static void stop_here(void);

static uint32_t
step_load32(const struct ivshmem_u32 *word)
{
	stop_here();
	return ivshmem_load32(word);
}

static uint64_t
step_load64(const struct ivshmem_u64 *word)
{
	stop_here();
	return ivshmem_load64(word);
}

static void
step_store32(struct ivshmem_u32 *word, uint32_t value)
{
	stop_here();
	ivshmem_store32(word, value);
}

static void
step_store64(struct ivshmem_u64 *word, uint64_t value)
{
	stop_here();
	ivshmem_store64(word, value);
}

#define ivshmem_load32 step_load32
#define ivshmem_load32_acquire step_load32
#define ivshmem_load64 step_load64
#define ivshmem_load64_acquire step_load64
#define ivshmem_store32 step_store32
#define ivshmem_store32_release step_store32
#define ivshmem_store64 step_store64
#define ivshmem_store64_release step_store64

#include "ivshmem_session.c"
#include "world.h"

#define STACK	(64 * 1024)
#define SLOTS	32	/* of a ring; there is room for two, and each START chooses one */
#define BURST	4

/* Who dies or starts anew while the ends run. */
enum dying { NOBODY = 0, PRODUCER = 1, CONSUMER = 2 };

struct end {
	ucontext_t context;
	char stack[STACK];
	void (*run)(void);
};

static struct world world;
static struct end ends[2];	/* producer, consumer */
static ucontext_t scheduler;
static struct end *running;	/* NULL outside of the coroutines */
static uint32_t dying;
static uint32_t random_state;
static uint64_t buffers[SLOTS];		/* each START may write them, for another ring */
static uint64_t crashes;
static uint64_t broken;

static uint32_t
dice(uint32_t sides)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % sides;
}

static void
stop_here(void)
{
	struct end *self = running;

	if (self == NULL)
		return;
	running = NULL;
	swapcontext(&self->context, &scheduler);
	running = self;
}

/* A descriptor says which session it is of, and its number. */
static struct ivshmem_desc_shm
made_for(uint32_t epoch, uint32_t other, uint32_t number)
{
	return (struct ivshmem_desc_shm){ .section = other, .buf = number, .cookie = epoch };
}

static void
producer_burst(struct ivshmem_producer *end)
{
	uint32_t cnt = 1 + dice(BURST);
	uint32_t room = ivshmem_producer_room(end);

	if (room < cnt || dice(8) == 0)
		room = ivshmem_producer_refresh(end);
	if (!end->ready)
		return;
	cnt = cnt < room ? cnt : room;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint32_t number = end->prod + i;

		stop_here();
		end->entries[number % SLOTS].desc = made_for(end->mine, end->yours, number);
		stop_here();
		buffers[number % SLOTS] = (uint64_t)end->mine << 32 | number;
	}
	ivshmem_producer_publish(end, end->prod + cnt);
	world.published += cnt;
}

/* Buffers may be used for another ring as soon as START is done: consumers look twice. */
static void
producer_start(void)
{
	const uint64_t desc_off = ivshmem_layout_desc_off(&world.layout, 1, 0);

	ivshmem_producer_start(&world.producer, world.source,
			       desc_off + dice(2) * SLOTS * IVSHMEM_ABI_DESC_LEN, SLOTS);
	for (uint32_t cnt = dice(SLOTS); cnt > 0; cnt--) {
		stop_here();
		buffers[dice(SLOTS)] = UINT64_MAX;
	}
}

static void
producer_run(void)
{
	struct ivshmem_producer *end = &world.producer;

	running = &ends[0];
	producer_start();
	for (;;) {
		stop_here();
		if ((dying & PRODUCER) != 0 && dice(200) == 0)
			producer_start();
		if (end->ready || world_step_producer(&world) == IVSHMEM_RING_USE)
			producer_burst(end);
	}
}

static void
consumer_burst(struct ivshmem_consumer *end)
{
	struct ivshmem_desc_shm copies[BURST];
	uint64_t words[BURST];
	uint32_t cnt = 1 + dice(BURST);
	const uint32_t avail = ivshmem_consumer_avail(end);

	if (!end->ready)
		return;
	cnt = cnt < avail ? cnt : avail;
	for (uint32_t i = 0; i < cnt; i++) {
		stop_here();
		copies[i] = end->entries[(end->cons + i) % SLOTS].desc;
		stop_here();
		words[i] = buffers[(end->cons + i) % SLOTS];
	}
	if (!ivshmem_consumer_unchanged(end)) {
		end->ready = false;
		return;
	}
	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_desc_shm want =
			made_for(end->yours, end->mine, end->cons + i);

		broken += memcmp(&copies[i], &want, sizeof(want)) != 0;
		broken += words[i] != ((uint64_t)end->yours << 32 | (end->cons + i));
	}
	ivshmem_consumer_release(end, end->cons + cnt);
	world.delivered += cnt;
}

static void
consumer_run(void)
{
	struct ivshmem_consumer *end = &world.consumer;

	running = &ends[1];
	ivshmem_consumer_start(end);
	for (;;) {
		stop_here();
		if ((dying & CONSUMER) != 0 && dice(200) == 0)
			ivshmem_consumer_start(end);
		if (end->ready || world_step_consumer(&world) == IVSHMEM_RING_USE)
			consumer_burst(end);
	}
}

/* A new process in the end's place. */
static void
live(int which)
{
	struct end *end = &ends[which];

	if (which == 0)
		world_new_producer(&world);
	else
		world_new_consumer(&world);
	getcontext(&end->context);
	end->context.uc_stack.ss_sp = end->stack;
	end->context.uc_stack.ss_size = sizeof(end->stack);
	end->context.uc_link = NULL;
	makecontext(&end->context, end->run, 0);
}

static void
step(int which)
{
	swapcontext(&scheduler, &ends[which].context);
}

/* Runs of one end alternate with fine interleaving; deaths are rarer. */
static void
turmoil(uint32_t steps)
{
	uint32_t favour = 0;

	for (uint32_t i = 0; i < steps; i++) {
		if (dice(64) == 0)
			favour = dice(3);	/* 0 and 1 run alone for a while, 2 is fair */
		step(favour < 2 ? favour : dice(2));
		if (dice(300) != 0)
			continue;
		for (int which = 0; which < 2; which++) {
			if ((dying & (1u << which)) == 0 || dice(2) == 0)
				continue;
			/* several lives in a row may end before they get anywhere */
			do {
				live(which);
				crashes++;
				for (uint32_t more = dice(12); more > 0; more--)
					step(which);
			} while (dice(4) == 0);
		}
	}
}

/* By the shared words: what was published was also counted by the test, and what was consumed. */
static bool
is_empty(void)
{
	return (uint32_t)world.consumer.own->cw.raw == (uint32_t)world.producer.own->pw.raw;
}

/* Nobody dies any more: the ends agree, and the ring is emptied. */
static bool
settle(void)
{
	uint32_t i;

	for (i = 0; i < 5000; i++) {
		step(i % 2);
		if (world.producer.ready && world.consumer.ready &&
		    world.producer.yours == world.consumer.mine &&
		    world.consumer.yours == world.producer.mine)
			break;
	}
	if (!CHECK_MSG(i < 5000, "the ends do not agree: producer %u for %u, consumer %u for %u",
		       world.producer.mine, world.producer.yours, world.consumer.mine,
		       world.consumer.yours))
		return false;
	for (i = 0; i < 5000 && !is_empty(); i++)
		step(1);
	return CHECK(is_empty());
}

static bool
judge(uint32_t seed)
{
	bool fine = CHECK_EQ(broken, 0);

	fine &= CHECK_EQ(world.producer.bad_index + world.consumer.bad_index, 0);
	fine &= CHECK_EQ(world.consumer.bad_dir, 0);
	fine &= CHECK_MSG(world.published >= world.delivered + world_lost(&world),
			  "%" PRIu64 " published, but %" PRIu64 " delivered and %" PRIu64 " lost",
			  world.published, world.delivered, world_lost(&world));
	if (dying != (PRODUCER | CONSUMER))
		fine &= CHECK_EQ(world.published, world.delivered + world_lost(&world));
	if (!fine)
		printf("  seed %u, dying %u\n", seed, dying);
	return fine;
}

/* Two ends that agree; epochs start near their end for every other seed. */
static bool
begin(uint32_t seed)
{
	random_state = seed * 7919;
	broken = 0;
	if (!world_make(&world, 2 * SLOTS))
		return false;
	world_new_producer(&world);
	world_new_consumer(&world);
	if (seed % 2 == 0) {
		world.producer.own->pw.raw = ivshmem_ring_word(UINT32_MAX - 5, 9);
		world.consumer.own->cw.raw = ivshmem_ring_word(UINT32_MAX - 3, 9);
	}
	live(0);
	live(1);
	dying = NOBODY;
	return settle();
}

static void
run(uint32_t who, uint32_t rounds)
{
	uint64_t lost = 0;
	uint64_t delivered = 0;

	crashes = 0;
	for (uint32_t seed = 1; seed <= rounds; seed++) {
		bool fine = begin(seed);

		dying = who;
		turmoil(3000);
		dying = NOBODY;
		fine = fine && settle();
		dying = who;
		fine = fine && judge(seed);
		lost += world_lost(&world);
		delivered += world.delivered;
		world_free(&world);
		if (!fine)
			return;
	}
	printf("dying %u: %" PRIu64 " lives, %" PRIu64 " delivered, %" PRIu64 " lost\n", who,
	       crashes, delivered, lost);
	CHECK(delivered > 0 && (who == NOBODY) == (crashes == 0));
}

static void
steps(int which, uint32_t cnt)
{
	while (cnt-- > 0)
		step(which);
}

/*
 * One end is dead after each number of steps of its START and ADOPT, while the other has come to
 * each point of its own; the survivor goes on with what it finds, then the dead one lives again.
 */
static void
crash_points(int dead)
{
	const int other = 1 - dead;

	for (uint32_t point = 0; point < 30; point++)
		for (uint32_t before = 0; before < 24; before++) {
			bool fine = begin(point + 2 * before + 1);

			steps(dead, 40);
			live(other);
			steps(other, before);
			steps(dead, 250);
			live(dead);
			steps(dead, point);
			steps(other, 150);
			live(dead);
			fine = fine && settle();
			dying = PRODUCER | CONSUMER;
			fine = fine && judge(point);
			world_free(&world);
			if (!fine) {
				printf("  end %d dead after %u steps, the other after %u\n", dead,
				       point, before);
				return;
			}
		}
}

int
main(void)
{
	ends[0].run = producer_run;
	ends[1].run = consumer_run;
	run(NOBODY, 10);
	run(CONSUMER, 100);
	run(PRODUCER, 100);
	run(PRODUCER | CONSUMER, 200);
	crash_points(0);
	crash_points(1);
	return check_exit();
}
