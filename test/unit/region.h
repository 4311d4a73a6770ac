/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What a layout says lies where, as a list of pieces that an independent eye can judge: all inside
 * the region, none over another. Computes nothing by the code under test but single addresses.
 */

#ifndef REGION_H
#define REGION_H

#include "check.h"
#include "ivshmem_layout.h"

struct region_piece {
	const char *name;
	uint64_t from;
	uint64_t len;
	uint64_t align;
};

/* One piece; false when it lies outside, is not aligned, or starts before *end. Moves *end on. */
static inline bool
region_piece(const struct region_piece *piece, uint64_t limit, uint64_t *end)
{
	const bool fits = piece->from >= *end && piece->len <= limit &&
		piece->from <= limit - piece->len && piece->from % piece->align == 0;

	CHECK_MSG(fits, "%s: %" PRIu64 " bytes at %" PRIu64 ", alignment %" PRIu64
		  ", free from %" PRIu64 " to %" PRIu64, piece->name, piece->len, piece->from,
		  piece->align, *end, limit);
	*end = piece->from + piece->len;
	return fits;
}

/* The pieces of a section, from its own start. */
static inline bool
region_check_section(const struct ivshmem_layout *layout)
{
	const uint64_t queues = layout->queue_cnt;
	const uint64_t ends = (uint64_t)layout->port_cnt * queues * queues;
	const uint64_t rings = (uint64_t)layout->port_cnt * queues * layout->ring_slots;
	const struct region_piece pieces[] = {
		{ "section header", 0, 4096, 4096 },
		{ "Rx queue lines", layout->rxq_off, 128 * queues, 128 },
		{ "producer ends", layout->prod_off, 128 * ends, 128 },
		{ "consumer ends", layout->cons_off, 128 * ends, 128 },
		{ "descriptors", layout->ring_off, 32 * rings, 64 },
		{ "return rings", layout->ring_off + 32 * rings, 4 * rings, 64 },
		{ "rest of the reserve", layout->ring_off + layout->ring_len, 0, 1 },
		{ "buffers", layout->buf_off, (uint64_t)layout->buf_cnt * layout->buf_len, 64 },
	};
	uint64_t end = 0;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (!region_piece(&pieces[i], layout->section_len, &end))
			return false;
	return true;
}

/* Everything that a checked or planned layout promises. */
static inline bool
region_check(const struct ivshmem_layout *layout)
{
	const struct region_piece server[] = {
		{ "superblock", 0, 256, 4096 },
		{ "slot table", layout->slot_off, 64 * (uint64_t)layout->port_cnt, 64 },
	};
	uint64_t end = 0;

	for (size_t i = 0; i < sizeof(server) / sizeof(server[0]); i++)
		if (!region_piece(&server[i], layout->total_len, &end))
			return false;
	if (!CHECK(layout->section_len > 0 && layout->port_cnt >= 2 && layout->port_cnt <= 1024))
		return false;
	for (uint32_t slot = 0; slot < layout->port_cnt; slot++) {
		const struct region_piece section = {
			"section", layout->section_off + slot * layout->section_len,
			layout->section_len, 4096,
		};

		if (!region_piece(&section, layout->total_len, &end))
			return false;
	}
	return region_check_section(layout) && CHECK(layout->buf_cnt > 0) &&
		CHECK(layout->headroom >= 128 && layout->headroom < layout->buf_len);
}

#endif /* REGION_H */
