/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Kinds of attack; each call is a batch of some hundred stores, with honest steps between.
 */

#include <sched.h>
#include <stddef.h>

#include "attacker.h"

#define KIND_BATCH 512u

/* Values that code is most likely to get wrong, and any other. */
static uint64_t
kind_value(struct hostile *attacker)
{
	const uint64_t small = hostile_below(attacker, 70);

	switch (hostile_below(attacker, 8)) {
	case 0:
		return small;
	case 1:
		return UINT64_MAX - small;
	case 2:
		return (UINT64_C(1) << hostile_below(attacker, 64)) - (small & 1);
	case 3:
		return attacker->layout.buf_cnt - 1 + (small & 1);
	case 4:
		return attacker->layout.buf_len - small;
	default:
		return hostile_random(attacker);
	}
}

/* A random word at a random place; more than half of them in front of the buffers. */
static void
kind_random_word(struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	const uint32_t len = 1u << hostile_below(attacker, 4);
	uint8_t *from = (uint8_t *)hostile_section(attacker);
	uint64_t bytes = layout->section_len;

	switch (hostile_below(attacker, 8)) {
	case 0:
		if (attacker->everywhere) {	/* the superblock and the slots, too */
			from = attacker->base;
			bytes = layout->section_off;
		}
		break;
	case 1:
	case 2:
		break;
	case 3:
	case 4:		/* rings */
		bytes = layout->buf_off;
		break;
	default:	/* headers, queue lines and ends */
		bytes = layout->ring_off;
		break;
	}
	hostile_store(attacker, from + hostile_below(attacker, bytes / len) * len, len,
		      kind_value(attacker));
}

void
kind_scribble(struct hostile *attacker)
{
	honest_live(attacker, HONEST_TAKE_NONE);
	for (uint32_t i = 0; i < KIND_BATCH; i++)
		kind_random_word(attacker);
}

/* (a) Random words, and the honest half between them. */
void
kind_random(struct hostile *attacker)
{
	for (uint32_t i = 0; i < KIND_BATCH; i++) {
		kind_random_word(attacker);
		if (i % 64 == 63) {
			honest_live(attacker, HONEST_TAKE_RETURN);
			honest_send(attacker, hostile_other(attacker), 16);
		}
	}
	if (hostile_below(attacker, 64) == 0)
		honest_restart(attacker);
}

/* A descriptor of the attacker's rings, and a word of it. */
static void
kind_rewrite_entry(struct hostile *attacker, const struct hostile_way *way, uint32_t idx)
{
	struct ivshmem_entry_shm *entry = &way->producer.entries[idx & (way->producer.size - 1)];
	struct ivshmem_desc_shm *desc = &entry->desc;
	const uint64_t value = kind_value(attacker);

	switch (hostile_below(attacker, 7)) {
	case 0:
		hostile_store(attacker, &desc->section, 2, value % attacker->layout.port_cnt);
		break;
	case 1:
		hostile_store(attacker, &desc->flags, 2, value & 3);
		break;
	case 2:
		hostile_store(attacker, &desc->buf, 4, value);
		break;
	case 3:
		hostile_store(attacker, &desc->data_off, 2, value);
		break;
	case 4:
		hostile_store(attacker, &desc->data_len, 2, value);
		break;
	case 5:
		hostile_store(attacker, &desc->cookie, 4, value);
		break;
	default:
		hostile_store(attacker, &entry->meta.pkt_len, 4, value);
		break;
	}
}

/* (c) Publish, and write to what was published while it is read. */
void
kind_rewrite(struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	const uint32_t other = hostile_other(attacker);
	struct hostile_way *way = &attacker->way[other];
	uint8_t *bufs = (uint8_t *)attacker->port.section + layout->buf_off;

	honest_live(attacker, HONEST_TAKE_RETURN);
	honest_send(attacker, other, 64);
	for (uint32_t i = 0; i < KIND_BATCH; i++) {
		const uint32_t idx = way->producer.prod - 1 - hostile_below(attacker, 64);
		const uint64_t buf = honest_buf(attacker, idx);

		if (i % 3 != 0)
			kind_rewrite_entry(attacker, way, idx);
		else
			hostile_store(attacker, bufs + buf * layout->buf_len +
				      (hostile_below(attacker, layout->buf_len) & ~7ul), 8,
				      hostile_random(attacker));
	}
}

/* An index that was, will be, or can not be. */
static uint64_t
kind_index(struct hostile *attacker, uint32_t now)
{
	const uint32_t size = attacker->layout.ring_slots;

	switch (hostile_below(attacker, 6)) {
	case 0:
		return (uint32_t)(now + size);
	case 1:
		return (uint32_t)(now + size + 1 + hostile_below(attacker, size));
	case 2:
		return (uint32_t)(now - 1 - hostile_below(attacker, size));
	case 3:
		return (uint32_t)(now + (UINT32_C(1) << 31) + hostile_below(attacker, 3));
	case 4:
		return hostile_below(attacker, 3);
	default:
		return (uint32_t)(now + hostile_below(attacker, size));	/* old ones once more */
	}
}

/* A cookie that came with a buffer, whether it was returned or not; or any. */
static uint32_t
kind_cookie(struct hostile *attacker, const struct hostile_way *way)
{
	if (way->cookie_cnt != 0 && hostile_below(attacker, 4) != 0)
		return way->cookies[hostile_below(attacker, HOSTILE_COOKIES) % way->cookie_cnt];
	return hostile_below(attacker, attacker->layout.ring_slots) << 16 |
		hostile_below(attacker, 4);
}

/* Indices that break the rules: the victim waits longer each time before it talks again. */
static void
kind_replay_indices(struct hostile *attacker, struct hostile_way *way)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_prod_shm *prod = way->producer.own;
	struct ivshmem_cons_shm *cons = way->consumer.own;

	for (uint32_t i = 0; i < KIND_BATCH / 8; i++) {
		const uint64_t mine = (uint64_t)way->producer.mine << 32;
		const uint64_t theirs = (uint64_t)way->consumer.mine << 32;

		honest_live(attacker, i % 2 == 0 ? HONEST_TAKE_RETURN : HONEST_TAKE_NONE);
		honest_send(attacker, way->other, 16);
		hostile_store(attacker, &prod->pw, 8,
			      mine | kind_index(attacker, way->producer.prod));
		hostile_store(attacker, &cons->cw, 8,
			      theirs | kind_index(attacker, way->consumer.cons));
		hostile_store(attacker, &cons->ret_cnt, 4, layout->ring_slots);
		hostile_store(attacker, &cons->ret_off, 8,
			      ivshmem_layout_return_off(layout, way->other, 0));
		hostile_store(attacker, &cons->rw, 8,
			      theirs | kind_index(attacker, way->consumer.ret));
		hostile_store(attacker, &cons->clear, 4, i & 1);
	}
}

/* Cookies once more, late, in another order, or of nothing: as many as leave the index true. */
static void
kind_replay_cookies(struct hostile *attacker, struct hostile_way *way)
{
	struct ivshmem_consumer *end = &way->consumer;

	for (uint32_t i = 0; i < KIND_BATCH / 8; i++) {
		const uint64_t taken = way->taken;

		honest_live(attacker, i % 4 != 0 ? HONEST_TAKE_RETURN : HONEST_TAKE_KEEP);
		honest_send(attacker, way->other, 16);
		if (way->taken == taken || end->ret_cnt == 0) {
			sched_yield();
			continue;
		}
		for (uint32_t twice = 0; twice < 2; twice++)
			hostile_store(attacker, &end->returns[end->ret++ & (end->ret_cnt - 1)], 4,
				      kind_cookie(attacker, way));
		hostile_store(attacker, &end->own->rw, 8, ivshmem_ring_word(end->mine, end->ret));
	}
}

/* (d) Replay, wrap and rewind indices; return what was returned, and what never was lent. */
void
kind_replay(struct hostile *attacker)
{
	struct hostile_way *way = &attacker->way[hostile_other(attacker)];

	if (hostile_below(attacker, 4) == 0)
		kind_replay_indices(attacker, way);
	else
		kind_replay_cookies(attacker, way);
	if (hostile_below(attacker, 64) == 0)
		honest_restart(attacker);
}

/* (e) Whoever lives there: claims, steals, other states and incarnations. */
void
kind_claim(struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_superblock_shm *super = ivshmem_layout_superblock(attacker->base);

	for (uint32_t i = 0; i < KIND_BATCH / 8; i++) {
		struct ivshmem_section_shm *section = hostile_section(attacker);
		const uint64_t life = hostile_load(&section->row, 8) >> 32;
		const uint64_t lives[] = { life, life + 1, life - 1, 0, UINT32_MAX };
		struct ivshmem_slot_shm *slot = ivshmem_layout_slot(attacker->base, layout,
			hostile_below(attacker, layout->port_cnt));

		hostile_store(attacker, &section->row, 8, lives[hostile_below(attacker, 5)] << 32 |
			      hostile_below(attacker, 6));
		hostile_store(attacker, &section->beat, 8, kind_value(attacker));
		hostile_store(attacker, &section->beat_ms, 4, kind_value(attacker));
		hostile_store(attacker, &section->owner_kind, 4, hostile_below(attacker, 5));
		hostile_store(attacker, &section->pid, 4, kind_value(attacker));
		hostile_store(attacker, &section->conf_seq, 4, kind_value(attacker));
		hostile_store(attacker, &section->dir_gen, 4, kind_value(attacker));
		/* a stolen port stops: not too often */
		if (section == attacker->port.section || hostile_below(attacker, 4096) == 0)
			hostile_store(attacker, &section->nonce, 8, kind_value(attacker));
		if (attacker->everywhere) {
			hostile_store(attacker, &slot->row, 8, lives[hostile_below(attacker, 5)] <<
				      32 | hostile_below(attacker, 5));
			hostile_store(attacker, &slot->server_epoch, 8, i & 3);
			hostile_store(attacker, &super->server_epoch, 8, i & 3);
		}
		if (i % 8 == 7) {
			honest_live(attacker, HONEST_TAKE_RETURN);
			honest_send(attacker, hostile_other(attacker), 16);
		}
	}
}

/* (f) Never take, never give back, and send as much as there is room for, good or not. */
void
kind_flood(struct hostile *attacker)
{
	const uint32_t other = hostile_other(attacker);
	struct hostile_way *way = &attacker->way[other];
	const uint64_t mine = (uint64_t)way->producer.mine << 32;

	honest_live(attacker, hostile_below(attacker, 8) == 0 ? HONEST_TAKE_KEEP :
		    HONEST_TAKE_NONE);
	honest_send(attacker, other, KIND_BATCH);
	/* all that is free, with whatever stands there */
	if (way->producer.ready && hostile_below(attacker, 2) == 0) {
		for (uint32_t i = 0; i < KIND_BATCH; i++)
			kind_rewrite_entry(attacker, way, way->producer.prod + i);
		hostile_store(attacker, &way->producer.own->pw, 8, mine |
			      (uint32_t)(way->producer.cons + way->producer.size));
		way->producer.prod = way->producer.cons + way->producer.size;
	}
}
