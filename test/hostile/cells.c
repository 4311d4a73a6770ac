/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * (b) Knows the format: every field gets every edge value, at every moment.
 *
 * A cell is a field and a value. A batch of stores of one cell is counted as live when the victim's
 * packets advanced between its start and its end; the cell with the fewest is next. The superblock
 * and the slots belong to nobody's section and are attacked only by who attacks everything.
 */

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "attacker.h"
#include "fields.h"

#define CELLS_BATCH 250u
#define CELLS_WAIT_MS 50u	/* for the victim, which shares the CPU with others */
#define CELLS_FIELDS (sizeof(hostile_fields) / sizeof(hostile_fields[0]))

static const char *const cells_values[] = {
	"0", "1", "max", "max-1", "half", "half+1", "now+1", "now-1", "idx=0", "idx=max",
	"now+ring", "now+ring+1", "epoch+1", "bufs", "buf_len", "any",
};

#define CELLS_VALUES (sizeof(cells_values) / sizeof(cells_values[0]))

static uint64_t cells_live[CELLS_FIELDS][CELLS_VALUES];

static uint64_t
cells_value(struct hostile *attacker, uint32_t number, uint32_t len, uint64_t now)
{
	const uint64_t max = len >= 8 ? UINT64_MAX : (UINT64_C(1) << len * 8) - 1;
	const uint32_t half = len * 4;
	const uint64_t low = (UINT64_C(1) << half) - 1;

	switch (number) {
	case 0:
	case 1:
		return number;
	case 2:
	case 3:
		return max - (number - 2);
	case 4:
	case 5:
		return max / 2 + (number - 4);
	case 6:
		return now + 1;
	case 7:
		return now - 1;
	case 8:
		return now & ~low;
	case 9:
		return now | low;
	case 10:
	case 11:
		return now + attacker->layout.ring_slots + (number - 10);
	case 12:
		return now + low + 1;
	case 13:
		return attacker->layout.buf_cnt - hostile_below(attacker, 2);
	case 14:
		return attacker->layout.buf_len - hostile_below(attacker, 2);
	default:
		return hostile_random(attacker);
	}
}

/* Where a field is; its struct may be there many times. */
static uint8_t *
cells_place(struct hostile *attacker, const struct hostile_field *field)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_section_shm *section = hostile_section(attacker);
	const uint32_t other = hostile_other(attacker);
	const uint32_t end = ivshmem_layout_end(layout, other, 0, 0);
	const struct ivshmem_producer *ring = &attacker->way[other].producer;
	uint32_t idx;

	switch (field->where) {
	case HOSTILE_SUPERBLOCK:
		return attacker->base + field->off;
	case HOSTILE_SLOT:
		return (uint8_t *)ivshmem_layout_slot(attacker->base, layout, other) + field->off;
	case HOSTILE_SECTION:
		return (uint8_t *)section + field->off;
	case HOSTILE_CONF:
		return (uint8_t *)&section->conf + field->off;
	case HOSTILE_RXQ:
		return (uint8_t *)ivshmem_layout_rxq(section, layout, 0) + field->off;
	case HOSTILE_PROD:
		return (uint8_t *)ivshmem_layout_prod(section, layout, end) + field->off;
	case HOSTILE_CONS:
		return (uint8_t *)ivshmem_layout_cons(section, layout, end) + field->off;
	default:	/* of what was published last, and of what will be next */
		idx = ring->prod + 4 - hostile_below(attacker, 32);
		return (uint8_t *)&ring->entries[idx & (ring->size - 1)] + field->off +
			(field->where == HOSTILE_META ? sizeof(struct ivshmem_desc_shm) : 0);
	}
}

/*
 * Who attacks from the own section only leaves alone what is nobody's, and the word that another
 * port was taken for dead: that one starts its rings anew, and the pair's frames are not judged.
 */
static bool
cells_is_wanted(const struct hostile *attacker, const struct hostile_field *field)
{
	return attacker->everywhere || (field->where != HOSTILE_SUPERBLOCK &&
		field->where != HOSTILE_SLOT && strcmp(field->name, "section.held") != 0);
}

/* One store of a cell, at any moment of what goes on; the old value comes back at times. */
static void
cells_strike(struct hostile *attacker, const struct hostile_field *field, uint32_t number)
{
	uint32_t len = field->len;
	uint8_t *place = cells_place(attacker, field);
	uint64_t now;

	if (len > 8 || (len & (len - 1)) != 0) {	/* an array: one of its words */
		const uint32_t unit = len % 8 == 0 ? 8 : len % 4 == 0 ? 4 : 2;

		place += hostile_below(attacker, len / unit) * unit;
		len = unit;
	}
	now = hostile_load(place, len);
	hostile_store(attacker, place, len, cells_value(attacker, number, len, now));
	if (field->where == HOSTILE_CONF) {	/* else nobody would look */
		attacker->port.conf_seq += 2;
		ivshmem_store32_release(&attacker->port.section->conf_seq,
					attacker->port.conf_seq);
	}
	for (volatile uint64_t i = hostile_below(attacker, 128); i > 0; i--)
		;
	switch (hostile_below(attacker, 8)) {
	case 0:
		honest_live(attacker, HONEST_TAKE_RETURN);
		break;
	case 1:
		honest_send(attacker, hostile_other(attacker), 4);
		break;
	default:
		break;
	}
	if (hostile_below(attacker, 4) != 0)
		hostile_store(attacker, place, len, now);
}

static void
cells_choose(const struct hostile *attacker, size_t *field, size_t *value)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < CELLS_FIELDS; i++)
		for (size_t v = 0; v < CELLS_VALUES; v++)
			if (cells_live[i][v] < least &&
			    cells_is_wanted(attacker, &hostile_fields[i])) {
				least = cells_live[i][v];
				*field = i;
				*value = v;
			}
}

void
kind_fields(struct hostile *attacker)
{
	const uint64_t before = *attacker->progress;
	const uint64_t end_ms = hostile_now_ms() + CELLS_WAIT_MS;
	size_t field = 0;
	size_t value = 0;

	cells_choose(attacker, &field, &value);
	honest_live(attacker, HONEST_TAKE_RETURN);
	honest_send(attacker, 0, 8);
	for (uint32_t i = 0; i < CELLS_BATCH; i++)
		cells_strike(attacker, &hostile_fields[field], value);
	while (*attacker->progress == before && hostile_now_ms() < end_ms)
		sched_yield();
	if (*attacker->progress != before)
		cells_live[field][value] += CELLS_BATCH;
	else if (attacker->everywhere)
		honest_calm(attacker);
	else
		honest_restart(attacker);
}

bool
cells_done(const struct hostile *attacker)
{
	for (size_t i = 0; i < CELLS_FIELDS; i++)
		for (size_t v = 0; v < CELLS_VALUES; v++)
			if (cells_live[i][v] < attacker->cell_min &&
			    cells_is_wanted(attacker, &hostile_fields[i]))
				return false;
	return true;
}

void
cells_print(const struct hostile *attacker)
{
	printf("%-24s", "stores while packets pass");
	for (size_t v = 0; v < CELLS_VALUES; v++)
		printf(" %10s", cells_values[v]);
	printf("\n");
	for (size_t i = 0; i < CELLS_FIELDS; i++) {
		if (!cells_is_wanted(attacker, &hostile_fields[i]))
			continue;
		printf("%-25s", hostile_fields[i].name);
		for (size_t v = 0; v < CELLS_VALUES; v++)
			printf(" %10" PRIu64, cells_live[i][v]);
		printf("\n");
	}
}
