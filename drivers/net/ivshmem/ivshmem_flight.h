/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What a producer has lent on a ring whose consumer gives buffers back by cookie.
 *
 * A slot stands for a piece that was lent: slot and generation make the cookie that comes back. It
 * carries a buffer of the producer's own, and may hold an mbuf, which is let go of when the cookie
 * is back. A buffer that came home and is sent again is carried by two slots for a moment.
 * Slots and buffers that came back last are used first: then they are in this core's cache, and the
 * consumer, who lends them up, may never have looked at them.
 *
 * state    | event                        | next
 * ---------|------------------------------|------------------------------------------------
 * out      | its cookie, or undo          | free
 * out      | bar: the session ended       | barred, with the next generation
 * barred   | nobody uses it: unbar        | free (protocol: the reuse rule)
 * free     | take                         | out
 *
 * Invariants:
 *  F1. A buffer is in the stack when its count of slots is 0, and only then. Those of the pool are
 *      in none: the slots that carry one hold its mbuf.
 *  F2. Everything here is private memory; only cookies come from the peer.
 * Threads: the Tx queue's.
 */

#ifndef IVSHMEM_FLIGHT_H
#define IVSHMEM_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_FLIGHT_NONE	UINT32_MAX	/* no own buffer */

enum ivshmem_flight_state {
	IVSHMEM_FLIGHT_FREE = 0,
	IVSHMEM_FLIGHT_OUT = 1,
	IVSHMEM_FLIGHT_BARRED = 2,
};

struct ivshmem_flight_slot {
	void *held;
	uint32_t buf;		/* own, from the flight's first on; from cnt on a pool's */
	uint32_t idx;		/* of the descriptor; when barred, of the bar */
	uint16_t generation;
	uint8_t state;		/* enum ivshmem_flight_state */
};

struct ivshmem_flight {
	struct ivshmem_flight_slot *slots;
	uint16_t *free_slots;	/* stacks of cnt */
	uint16_t *free_bufs;
	uint8_t *refs;		/* slots that carry a buffer */
	uint32_t cnt;		/* slots, and own buffers, that there may be */
	uint32_t pool_cnt;	/* behind them in refs: buffers that are mbufs of the Tx pool */
	uint32_t usable;	/* of them, the first so many are used */
	uint32_t slot_cnt;	/* free */
	uint32_t buf_cnt;	/* free */
	uint32_t out_cnt;
	uint32_t held_cnt;
	uint32_t barred_cnt;
	uint64_t bad_cookies;	/* not out, or of another time */
};

/* Pieces in own buffers that can be taken. */
static inline uint32_t
ivshmem_flight_room(const struct ivshmem_flight *flight)
{
	return flight->slot_cnt < flight->buf_cnt ? flight->slot_cnt : flight->buf_cnt;
}

/* Take a slot for descriptor idx; there is room. Returns its cookie, slot << 16 | generation. */
static inline uint32_t
ivshmem_flight_take(struct ivshmem_flight *flight, uint32_t idx, uint32_t buf, void *held)
{
	const uint32_t number = flight->free_slots[--flight->slot_cnt];
	struct ivshmem_flight_slot *slot = &flight->slots[number];

	slot->state = IVSHMEM_FLIGHT_OUT;
	slot->generation++;
	slot->idx = idx;
	slot->buf = buf;
	slot->held = held;
	flight->out_cnt++;
	flight->held_cnt += held != NULL;
	return number << 16 | slot->generation;
}

/* The next free buffer, for one slot. */
static inline uint32_t
ivshmem_flight_buf(struct ivshmem_flight *flight)
{
	const uint32_t buf = flight->free_bufs[--flight->buf_cnt];

	flight->refs[buf] = 1;
	return buf;
}

/* Carry a buffer once more that is out; false when it is not. */
static inline bool
ivshmem_flight_share(struct ivshmem_flight *flight, uint32_t buf)
{
	if (buf == IVSHMEM_FLIGHT_NONE || flight->refs[buf] == 0 || flight->refs[buf] == UINT8_MAX)
		return false;
	flight->refs[buf]++;
	return true;
}

/* The slot is free again. Returns what it held. */
static inline void *
ivshmem_flight_release(struct ivshmem_flight *flight, uint32_t number)
{
	struct ivshmem_flight_slot *slot = &flight->slots[number];
	void *held = slot->held;

	if (slot->buf != IVSHMEM_FLIGHT_NONE && --flight->refs[slot->buf] == 0 &&
	    slot->buf < flight->usable)
		flight->free_bufs[flight->buf_cnt++] = slot->buf;
	slot->state = IVSHMEM_FLIGHT_FREE;
	slot->held = NULL;
	flight->held_cnt -= held != NULL;
	if (number < flight->usable)
		flight->free_slots[flight->slot_cnt++] = number;
	return held;
}

/* A cookie came back. Returns what the slot held, NULL for nothing or a false cookie (counted). */
static inline void *
ivshmem_flight_give(struct ivshmem_flight *flight, uint32_t cookie)
{
	const uint32_t number = cookie >> 16;

	if (number >= flight->cnt || flight->slots[number].state != IVSHMEM_FLIGHT_OUT ||
	    flight->slots[number].generation != (cookie & UINT16_MAX)) {
		flight->bad_cookies++;
		return NULL;
	}
	flight->out_cnt--;
	return ivshmem_flight_release(flight, number);
}

/* The slot is not used after all if it was taken for descriptor first or a later one. */
static inline void *
ivshmem_flight_undo(struct ivshmem_flight *flight, uint32_t number, uint32_t first, uint32_t cnt)
{
	if (flight->slots[number].state != IVSHMEM_FLIGHT_OUT ||
	    flight->slots[number].idx - first >= cnt)
		return NULL;
	flight->out_cnt--;
	return ivshmem_flight_release(flight, number);
}

/* The session ended: what is out comes back by no cookie any more. Bars are counted, round. */
static inline void
ivshmem_flight_bar(struct ivshmem_flight *flight, uint32_t bar)
{
	for (uint32_t i = 0; i < flight->cnt && flight->out_cnt > 0; i++) {
		struct ivshmem_flight_slot *slot = &flight->slots[i];

		if (slot->state != IVSHMEM_FLIGHT_OUT)
			continue;
		slot->state = IVSHMEM_FLIGHT_BARRED;
		slot->idx = bar;
		slot->generation++;
		flight->barred_cnt++;
		flight->out_cnt--;
	}
}

/* Free the slot if it was barred by that bar or an earlier one. Returns what it held. */
static inline void *
ivshmem_flight_unbar(struct ivshmem_flight *flight, uint32_t number, uint32_t bar)
{
	if (flight->slots[number].state != IVSHMEM_FLIGHT_BARRED ||
	    bar - flight->slots[number].idx > INT32_MAX)
		return NULL;
	flight->barred_cnt--;
	return ivshmem_flight_release(flight, number);
}

/* A new life: all that was out is barred, and the first "usable" slots and buffers are used. */
static inline void
ivshmem_flight_start(struct ivshmem_flight *flight, uint32_t usable, uint32_t bar)
{
	ivshmem_flight_bar(flight, bar);
	flight->usable = usable;
	flight->slot_cnt = 0;
	flight->buf_cnt = 0;
	for (uint32_t i = usable; i-- > 0;) {
		if (flight->slots[i].state == IVSHMEM_FLIGHT_FREE)
			flight->free_slots[flight->slot_cnt++] = i;
		if (flight->refs[i] == 0)
			flight->free_bufs[flight->buf_cnt++] = i;
	}
}

#endif /* IVSHMEM_FLIGHT_H */
