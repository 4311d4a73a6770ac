/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What others lose: frames from port 0 that port 1 consumed, as its ring's end says, by slices of
 * time. Slices of both sorts take turns and cost the attacker the same CPU time, so that a machine
 * with few CPUs, or busy ones, does not count as harm.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "attacker.h"

#define RATE_SLICE_MS 100u
#define RATE_BURST 96u
#define RATE_LEN 60u

static struct {
	uint64_t end_ms;	/* of the slice */
	uint64_t began_ms;
	uint64_t word;		/* of port 1's consumer when the slice began */
	bool scribbles;
	uint64_t frames[2];	/* of port 0: in slices without, and with scribbling */
	uint64_t ms[2];
	uint64_t consumed;	/* the attacker's, in all */
	uint64_t consumed_before;	/* when the slice began */
	uint64_t sent;		/* the attacker's that were consumed in slices */
} rate;

/* Epoch and index of port 1's end of the ring from port 0. */
static uint64_t
rate_word(const struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_section_shm *section = ivshmem_layout_section(attacker->base, layout, 1);

	return hostile_load(&ivshmem_layout_cons(section, layout,
						 ivshmem_layout_end(layout, 0, 0, 0))->cw, 8);
}

/* True when another slice has begun. */
static bool
rate_slice(const struct hostile *attacker)
{
	const uint64_t now = hostile_now_ms();
	uint64_t word;

	if (now < rate.end_ms)
		return false;
	word = rate_word(attacker);	/* only then: to look all the time would be harm, too */
	if (rate.end_ms != 0 && word >> 32 == rate.word >> 32) {
		rate.frames[rate.scribbles] += (uint32_t)(word - rate.word);
		rate.ms[rate.scribbles] += now - rate.began_ms;
		rate.sent += rate.consumed - rate.consumed_before;
	}
	rate.consumed_before = rate.consumed;
	rate.word = word;
	rate.began_ms = now;
	rate.end_ms = now + RATE_SLICE_MS;
	return true;
}

void
rate_scribble(struct hostile *attacker)
{
	static uint8_t *shadow;

	if (shadow == NULL)
		shadow = calloc(1, attacker->layout.total_len);
	if (shadow == NULL)
		return;
	if (rate_slice(attacker)) {
		rate.scribbles = !rate.scribbles;
		attacker->shadow = rate.scribbles ? NULL : shadow;
	}
	kind_scribble(attacker);
}

void
rate_share(struct hostile *attacker)
{
	struct hostile_way *way = &attacker->way[1];
	const uint32_t cons = way->producer.cons;
	const uint32_t mine = way->producer.mine;

	rate_slice(attacker);
	if (!way->producer.ready || hostile_now_ms() - attacker->last_beat_ms >=
	    IVSHMEM_PORT_BEAT_MS)
		honest_live(attacker, HONEST_TAKE_RETURN);
	if (!way->producer.ready)
		return;
	honest_fill(attacker, way, RATE_BURST, RATE_LEN);
	if (way->producer.mine == mine)
		rate.consumed += way->producer.cons - cons;
}

void
rate_print(void)
{
	printf("quiet_frames=%" PRIu64 " quiet_ms=%" PRIu64 " frames=%" PRIu64 " ms=%" PRIu64
	       " attacker_frames=%" PRIu64 "\n", rate.frames[0], rate.ms[0], rate.frames[1],
	       rate.ms[1], rate.sent);
}
