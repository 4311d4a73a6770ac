/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * One ring in a small region of two ports: port 0 produces, port 1 consumes; each with the private
 * view that a life of its process has.
 */

#ifndef WORLD_H
#define WORLD_H

#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "ivshmem_layout.h"
#include "ivshmem_session.h"

#define WORLD_ROUNDS 64		/* more than two ends ever need to agree */

struct world {
	void *base;
	struct ivshmem_layout layout;
	struct ivshmem_section_shm *source;
	struct ivshmem_section_shm *target;
	uint32_t slots;
	struct ivshmem_producer producer;
	struct ivshmem_consumer consumer;
	uint64_t published;	/* descriptors, by all lives */
	uint64_t delivered;
};

static inline bool
world_make(struct world *world, uint32_t slots)
{
	const struct ivshmem_geometry want = { .total_len = 1 << 20, .ring_slots = slots };
	const uint8_t uuid[16] = { 1, 2, 3 };
	struct ivshmem_fault fault = { "" };

	memset(world, 0, sizeof(*world));
	if (!CHECK_MSG(ivshmem_layout_plan(&want, &world->layout, &fault) == 0, "%s", fault.text))
		return false;
	world->base = mmap(NULL, world->layout.total_len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(world->base != MAP_FAILED))
		return false;
	ivshmem_layout_format(world->base, &world->layout, uuid);
	world->source = ivshmem_layout_section(world->base, &world->layout, 0);
	world->target = ivshmem_layout_section(world->base, &world->layout, 1);
	world->slots = slots;
	return true;
}

static inline void
world_free(struct world *world)
{
	munmap(world->base, world->layout.total_len);
}

/* A new life of the producer's process, or a restart of its port: only the counters stay. */
static inline void
world_new_producer(struct world *world)
{
	const struct ivshmem_layout *layout = &world->layout;

	world->producer = (struct ivshmem_producer){
		.own = ivshmem_layout_prod(world->source, layout,
					   ivshmem_layout_end(layout, 1, 0, 0)),
		.peer = ivshmem_layout_cons(world->target, layout,
					    ivshmem_layout_end(layout, 0, 0, 0)),
		.lost = world->producer.lost,
		.bad_index = world->producer.bad_index,
	};
}

static inline void
world_start_producer(struct world *world)
{
	ivshmem_producer_start(&world->producer, world->source,
			       ivshmem_layout_desc_off(&world->layout, 1, 0), world->slots);
}

static inline void
world_new_consumer(struct world *world)
{
	const struct ivshmem_layout *layout = &world->layout;

	world->consumer = (struct ivshmem_consumer){
		.own = ivshmem_layout_cons(world->target, layout,
					   ivshmem_layout_end(layout, 0, 0, 0)),
		.peer = ivshmem_layout_prod(world->source, layout,
					    ivshmem_layout_end(layout, 1, 0, 0)),
		.section = (const uint8_t *)world->source,
		.lost = world->consumer.lost,
		.bad_index = world->consumer.bad_index,
		.bad_dir = world->consumer.bad_dir,
	};
}

/* One step of an end, as a burst takes it. Returns what poll said. */
static inline enum ivshmem_ring_todo
world_step_producer(struct world *world)
{
	const enum ivshmem_ring_todo todo = ivshmem_producer_poll(&world->producer);

	if (todo == IVSHMEM_RING_ADOPT)
		ivshmem_producer_adopt(&world->producer);
	else if (todo == IVSHMEM_RING_BUMP)
		world_start_producer(world);
	return todo;
}

static inline enum ivshmem_ring_todo
world_step_consumer(struct world *world)
{
	const enum ivshmem_ring_todo todo = ivshmem_consumer_poll(&world->consumer);

	if (todo == IVSHMEM_RING_ADOPT)
		ivshmem_consumer_adopt(&world->consumer, &world->layout);
	else if (todo == IVSHMEM_RING_BUMP)
		ivshmem_consumer_start(&world->consumer);
	return todo;
}

/* Both ends look at the other and step until both are ready. */
static inline bool
world_settle(struct world *world)
{
	for (uint32_t i = 0; i < WORLD_ROUNDS; i++) {
		/* an epoch that changed is only noticed by the look at the index */
		if (world->producer.ready)
			ivshmem_producer_refresh(&world->producer);
		if (world->consumer.ready)
			ivshmem_consumer_avail(&world->consumer);
		if (world->producer.ready && world->consumer.ready)
			return true;
		world_step_producer(world);
		world_step_consumer(world);
	}
	return CHECK(world->producer.ready && world->consumer.ready);
}

/* Two fresh ends that agree. */
static inline bool
world_ready(struct world *world, uint32_t slots)
{
	if (!world_make(world, slots))
		return false;
	world_new_producer(world);
	world_start_producer(world);
	world_new_consumer(world);
	ivshmem_consumer_start(&world->consumer);
	return world_settle(world);
}

/* As if index descriptors had passed: both ends of a ready ring go on from there. */
static inline void
world_shift(struct world *world, uint32_t index)
{
	world->producer.prod = index;
	world->producer.cons = index;
	world->consumer.prod = index;
	world->consumer.cons = index;
	ivshmem_producer_publish(&world->producer, index);
	ivshmem_consumer_release(&world->consumer, index);
}

/* Write and publish up to cnt descriptors, numbered in "buf"; returns how many had room. */
static inline uint32_t
world_produce(struct world *world, uint32_t cnt)
{
	struct ivshmem_producer *end = &world->producer;
	uint32_t room = ivshmem_producer_room(end);

	if (room < cnt)
		room = ivshmem_producer_refresh(end);
	if (!end->ready)
		return 0;
	cnt = cnt < room ? cnt : room;
	for (uint32_t i = 0; i < cnt; i++)
		end->entries[(end->prod + i) & (end->size - 1)].desc = (struct ivshmem_desc_shm){
			.buf = (uint32_t)(world->published + i),
			.cookie = end->mine,
		};
	ivshmem_producer_publish(end, end->prod + cnt);
	world->published += cnt;
	return cnt;
}

/* Read up to cnt descriptors and give them back; returns how many were delivered. */
static inline uint32_t
world_consume(struct world *world, uint32_t cnt)
{
	struct ivshmem_consumer *end = &world->consumer;
	const uint32_t avail = ivshmem_consumer_avail(end);

	if (!end->ready)
		return 0;
	cnt = cnt < avail ? cnt : avail;
	for (uint32_t i = 0; i < cnt; i++)
		CHECK_EQ(end->entries[(end->cons + i) & (end->size - 1)].desc.cookie, end->yours);
	if (!ivshmem_consumer_unchanged(end))
		return 0;
	ivshmem_consumer_release(end, end->cons + cnt);
	world->delivered += cnt;
	return cnt;
}

static inline uint64_t
world_lost(const struct world *world)
{
	return world->producer.lost + world->consumer.lost;
}

#endif /* WORLD_H */
