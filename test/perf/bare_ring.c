/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frames through a ring between two threads, copied in and copied out, and nothing else.
 *
 * The ring is the best of those that were tried before the driver was written: descriptors of
 * 16 bytes, a buffer of the sender behind each, taken in FIFO order; each side keeps a copy of the
 * other's index and looks at the shared one only when it has run out; a burst is published by one
 * store. It checks nothing, counts nothing, serves one peer and cannot survive its death.
 *
 * Invariants:
 *  I1. prod is written by the producer, cons by the consumer; prod - cons <= slots, a power of two.
 *  I2. It ends: all loops look at the clock.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"

#define BARE_SLOTS_MAX	4096u
#define BARE_CYCLING	(UINT32_C(8) << 20)	/* bytes: more than an L2 cache, less than an L3 */
#define BARE_BURST	32u
#define BARE_PRIVATE	32u	/* buffers that each side cycles through, as warm as a pool's */
#define BARE_RTT_BOUND	20		/* s */

struct bare_desc {
	uint32_t buffer;
	uint32_t length;
	uint64_t flags;
};

struct bare_ring {
	_Alignas(128) _Atomic uint32_t prod;
	_Alignas(128) _Atomic uint32_t cons;
	_Alignas(128) struct bare_desc desc[BARE_SLOTS_MAX];
};

/* One end of a ring, private to its thread. */
struct bare_end {
	struct bare_ring *ring;
	uint8_t *buffers;
	uint8_t *private;
	uint32_t stride;
	uint32_t slots;
	uint32_t index;
	uint32_t other;
	uint32_t turn;
};

struct bare_pair {
	const struct bare_args *args;
	struct bare_end out[2];		/* thread 0 produces into out[0], thread 1 into out[1] */
	struct bare_end in[2];
	uint64_t end_ns;
	_Alignas(128) _Atomic bool stop;
};

static uint8_t *
bare_next_private(struct bare_end *end)
{
	return end->private + (size_t)(end->turn++ % BARE_PRIVATE) * end->stride;
}

/* Copies up to cnt frames in; returns how many. */
static uint32_t
bare_put(struct bare_end *end, uint32_t cnt, uint32_t size)
{
	struct bare_ring *ring = end->ring;

	if (end->slots - (end->index - end->other) < cnt)
		end->other = atomic_load_explicit(&ring->cons, memory_order_acquire);
	if (end->slots - (end->index - end->other) < cnt)
		return 0;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint32_t slot = (end->index + i) & (end->slots - 1);

		memcpy(end->buffers + (size_t)slot * end->stride, bare_next_private(end), size);
		ring->desc[slot] = (struct bare_desc){ .buffer = slot, .length = size };
	}
	end->index += cnt;
	atomic_store_explicit(&ring->prod, end->index, memory_order_release);
	return cnt;
}

/* Copies up to cnt frames out; returns how many. */
static uint32_t
bare_get(struct bare_end *end, uint32_t cnt)
{
	struct bare_ring *ring = end->ring;

	if (end->other == end->index)
		end->other = atomic_load_explicit(&ring->prod, memory_order_acquire);
	if (end->other - end->index < cnt)
		cnt = end->other - end->index;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct bare_desc desc = ring->desc[(end->index + i) & (end->slots - 1)];

		memcpy(bare_next_private(end), end->buffers + (size_t)desc.buffer * end->stride,
		       desc.length);
	}
	end->index += cnt;
	if (cnt != 0)
		atomic_store_explicit(&ring->cons, end->index, memory_order_release);
	return cnt;
}

/* A ring and its two ends; false when there is no memory. */
static bool
bare_make(struct bare_end *out, struct bare_end *in, uint32_t size)
{
	const uint32_t stride = size <= 2048 ? 2048 : (size + 63) / 64 * 64;
	uint8_t *memory = bare_memory(sizeof(struct bare_ring) + BARE_CYCLING);
	uint8_t *private = bare_memory((size_t)BARE_PRIVATE * stride * 2);
	uint32_t slots = BARE_SLOTS_MAX;

	while (slots * stride > BARE_CYCLING)
		slots /= 2;
	if (memory == NULL || private == NULL)
		return false;
	*out = (struct bare_end){
		.ring = (struct bare_ring *)memory, .buffers = memory + sizeof(struct bare_ring),
		.private = private, .stride = stride, .slots = slots,
	};
	*in = *out;
	in->private = private + (size_t)BARE_PRIVATE * stride;
	return true;
}

static void *
bare_producer(void *arg)
{
	struct bare_pair *pair = arg;
	struct bare_end end = pair->out[0];

	while (!atomic_load_explicit(&pair->stop, memory_order_relaxed))
		bare_put(&end, BARE_BURST, pair->args->size);
	return NULL;
}

int
bare_stream(const struct bare_args *args)
{
	static struct bare_pair pair;
	struct bare_end end;
	uint64_t begun, spent, got = 0;
	pthread_t thread;

	pair.args = args;
	if (!bare_make(&pair.out[0], &pair.in[1], args->size) || !bare_pin(args->cpu[1]) ||
	    bare_start(&thread, args->cpu[0], bare_producer, &pair) != 0)
		return 1;
	end = pair.in[1];
	begun = bare_now_ns();
	do {
		for (int i = 0; i < 64; i++)
			got += bare_get(&end, BARE_BURST);
		spent = bare_now_ns() - begun;
	} while (spent < args->number * 1000000);
	atomic_store_explicit(&pair.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	printf("packets=%" PRIu64 " ns=%" PRIu64 "\n", got, spent);
	return got == 0 ? 1 : 0;
}

/* Waits for a frame; false when the time is over. */
static bool
bare_await(struct bare_pair *pair, struct bare_end *end)
{
	for (uint32_t spins = 1; bare_get(end, 1) == 0; spins++) {
		if (spins % 4096 == 0 && bare_now_ns() > pair->end_ns)
			return false;
	}
	return true;
}

static void *
bare_echo(void *arg)
{
	struct bare_pair *pair = arg;
	struct bare_end in = pair->in[1], out = pair->out[1];

	for (uint64_t i = 0; i < pair->args->number && bare_await(pair, &in); i++)
		bare_put(&out, 1, pair->args->size);
	return NULL;
}

int
bare_rtt(const struct bare_args *args)
{
	static struct bare_pair pair;
	uint32_t *ns = calloc(args->number, sizeof(*ns));
	struct bare_end in, out;
	uint64_t then, now, i;
	pthread_t thread;

	pair.args = args;
	pair.end_ns = bare_now_ns() + BARE_RTT_BOUND * BARE_NS_PER_SEC;
	if (ns == NULL || !bare_make(&pair.out[0], &pair.in[1], args->size) ||
	    !bare_make(&pair.out[1], &pair.in[0], args->size) || !bare_pin(args->cpu[0]) ||
	    bare_start(&thread, args->cpu[1], bare_echo, &pair) != 0)
		return 1;
	in = pair.in[0];
	out = pair.out[0];
	then = bare_now_ns();
	for (i = 0; i < args->number; i++) {
		bare_put(&out, 1, args->size);
		if (!bare_await(&pair, &in))
			break;
		now = bare_now_ns();
		ns[i] = now - then;
		then = now;
	}
	pthread_join(thread, NULL);
	if (i == args->number)
		bare_print_quantiles(ns, i);
	free(ns);
	return i == args->number ? 0 : 1;
}
