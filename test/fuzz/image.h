/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A region's image made of an input: formatted as the input's geometry says, then some fields are
 * broken. So an input can be right in everything but one field, which random bytes never are.
 */

#ifndef IMAGE_H
#define IMAGE_H

#include "fuzz.h"
#include "ivshmem_layout.h"

struct image_field {
	uint16_t off;
	uint16_t len;
};

#define IMAGE_FIELD(type, field) { offsetof(struct type, field), sizeof(((struct type *)0)->field) }

static const struct image_field image_super[] = {
	IMAGE_FIELD(ivshmem_superblock_shm, magic),
	IMAGE_FIELD(ivshmem_superblock_shm, major),
	IMAGE_FIELD(ivshmem_superblock_shm, minor),
	IMAGE_FIELD(ivshmem_superblock_shm, hdr_len),
	IMAGE_FIELD(ivshmem_superblock_shm, feat_compat),
	IMAGE_FIELD(ivshmem_superblock_shm, feat_ro),
	IMAGE_FIELD(ivshmem_superblock_shm, feat_incompat),
	IMAGE_FIELD(ivshmem_superblock_shm, total_len),
	IMAGE_FIELD(ivshmem_superblock_shm, section_off),
	IMAGE_FIELD(ivshmem_superblock_shm, section_len),
	IMAGE_FIELD(ivshmem_superblock_shm, port_cnt),
	IMAGE_FIELD(ivshmem_superblock_shm, queue_cnt),
	IMAGE_FIELD(ivshmem_superblock_shm, line_len),
	IMAGE_FIELD(ivshmem_superblock_shm, granule),
	IMAGE_FIELD(ivshmem_superblock_shm, ring_slots),
	IMAGE_FIELD(ivshmem_superblock_shm, buf_len),
	IMAGE_FIELD(ivshmem_superblock_shm, buf_cnt),
	IMAGE_FIELD(ivshmem_superblock_shm, headroom),
	IMAGE_FIELD(ivshmem_superblock_shm, rxq_off),
	IMAGE_FIELD(ivshmem_superblock_shm, prod_off),
	IMAGE_FIELD(ivshmem_superblock_shm, cons_off),
	IMAGE_FIELD(ivshmem_superblock_shm, slot_len),
	IMAGE_FIELD(ivshmem_superblock_shm, ring_off),
	IMAGE_FIELD(ivshmem_superblock_shm, ring_len),
	IMAGE_FIELD(ivshmem_superblock_shm, buf_off),
	IMAGE_FIELD(ivshmem_superblock_shm, slot_off),
	IMAGE_FIELD(ivshmem_superblock_shm, server_epoch),
	IMAGE_FIELD(ivshmem_superblock_shm, server_beat),
};

static const struct image_field image_section[] = {
	IMAGE_FIELD(ivshmem_section_shm, magic),
	IMAGE_FIELD(ivshmem_section_shm, slot),
	IMAGE_FIELD(ivshmem_section_shm, hdr_len),
	IMAGE_FIELD(ivshmem_section_shm, section_len),
	IMAGE_FIELD(ivshmem_section_shm, rxq_off),
	IMAGE_FIELD(ivshmem_section_shm, prod_off),
	IMAGE_FIELD(ivshmem_section_shm, cons_off),
	IMAGE_FIELD(ivshmem_section_shm, ring_slots),
	IMAGE_FIELD(ivshmem_section_shm, ring_off),
	IMAGE_FIELD(ivshmem_section_shm, ring_len),
	IMAGE_FIELD(ivshmem_section_shm, buf_off),
	IMAGE_FIELD(ivshmem_section_shm, buf_len),
	IMAGE_FIELD(ivshmem_section_shm, buf_cnt),
	IMAGE_FIELD(ivshmem_section_shm, headroom),
	IMAGE_FIELD(ivshmem_section_shm, nonce),
	IMAGE_FIELD(ivshmem_section_shm, owner_kind),
	IMAGE_FIELD(ivshmem_section_shm, pid),
	IMAGE_FIELD(ivshmem_section_shm, row),
	IMAGE_FIELD(ivshmem_section_shm, beat),
	IMAGE_FIELD(ivshmem_section_shm, beat_ms),
	IMAGE_FIELD(ivshmem_section_shm, dir_gen),
	IMAGE_FIELD(ivshmem_section_shm, conf_seq),
	IMAGE_FIELD(ivshmem_section_shm, conf.feat),
	IMAGE_FIELD(ivshmem_section_shm, conf.max_frame),
	IMAGE_FIELD(ivshmem_section_shm, conf.flags),
	IMAGE_FIELD(ivshmem_section_shm, conf.rxq_cnt),
	IMAGE_FIELD(ivshmem_section_shm, conf.txq_cnt),
	IMAGE_FIELD(ivshmem_section_shm, conf.mac_cnt),
	IMAGE_FIELD(ivshmem_section_shm, conf.rss_key_len),
	IMAGE_FIELD(ivshmem_section_shm, conf.return_mode),
	IMAGE_FIELD(ivshmem_section_shm, conf.reta_cnt),
	IMAGE_FIELD(ivshmem_section_shm, conf.mac[0]),
	IMAGE_FIELD(ivshmem_section_shm, conf.mac[1]),
	IMAGE_FIELD(ivshmem_section_shm, held[0]),
	IMAGE_FIELD(ivshmem_section_shm, held[1]),
	IMAGE_FIELD(ivshmem_section_shm, held[2]),
};

static const struct image_field image_prod[] = {
	IMAGE_FIELD(ivshmem_prod_shm, pw),
	IMAGE_FIELD(ivshmem_prod_shm, yours),
	IMAGE_FIELD(ivshmem_prod_shm, dir_epoch),
	IMAGE_FIELD(ivshmem_prod_shm, desc_cnt),
	IMAGE_FIELD(ivshmem_prod_shm, desc_off),
	IMAGE_FIELD(ivshmem_prod_shm, prev),
	IMAGE_FIELD(ivshmem_prod_shm, prev_yours),
	IMAGE_FIELD(ivshmem_prod_shm, flight),
};

static const struct image_field image_cons[] = {
	IMAGE_FIELD(ivshmem_cons_shm, cw),
	IMAGE_FIELD(ivshmem_cons_shm, rw),
	IMAGE_FIELD(ivshmem_cons_shm, yours),
	IMAGE_FIELD(ivshmem_cons_shm, clear),
	IMAGE_FIELD(ivshmem_cons_shm, dir_epoch),
	IMAGE_FIELD(ivshmem_cons_shm, ret_cnt),
	IMAGE_FIELD(ivshmem_cons_shm, ret_off),
	IMAGE_FIELD(ivshmem_cons_shm, return_mode),
	IMAGE_FIELD(ivshmem_cons_shm, copybreak),
	IMAGE_FIELD(ivshmem_cons_shm, prev),
};

static const struct image_field image_slot[] = {
	IMAGE_FIELD(ivshmem_slot_shm, row),
	IMAGE_FIELD(ivshmem_slot_shm, server_epoch),
	IMAGE_FIELD(ivshmem_slot_shm, cause),
	IMAGE_FIELD(ivshmem_slot_shm, vectors),
	IMAGE_FIELD(ivshmem_slot_shm, mac),
};

#define IMAGE_BREAK(in, base, fields) \
	image_break(in, base, fields, sizeof(fields) / sizeof((fields)[0]))

/* Give one of the fields of what lies at base another value. */
static inline void
image_break(struct fuzz_input *in, void *base, const struct image_field *fields, uint32_t cnt)
{
	const struct image_field *field = &fields[fuzz_pick(in, cnt)];
	uint8_t *at = (uint8_t *)base + field->off;
	uint64_t value = 0;

	memcpy(&value, at, field->len);
	value = fuzz_value(in, value);
	memcpy(at, &value, field->len);
}

/* What the input wants, or the smallest region when that does not fit. */
static inline void
image_plan(struct fuzz_input *in, uint64_t total_len, struct ivshmem_layout *layout)
{
	const uint32_t shape = fuzz_u8(in);
	const uint32_t size = fuzz_u8(in);
	const uint32_t bufs[] = { 0, 256, 512, 1920, 2048, 9728, 65472, 320 };
	struct ivshmem_geometry want = {
		.total_len = total_len,
		.port_cnt = 2 + (shape & 3),
		.queue_cnt = 1 + (shape >> 2 & 1),
		.ring_slots = 32u << (size & 3),
		.buf_len = bufs[size >> 2 & 7],
		.headroom = 128u << (shape >> 3 & 1),
	};
	struct ivshmem_fault fault;

	if (ivshmem_layout_plan(&want, layout, &fault) == 0)
		return;
	want = (struct ivshmem_geometry){ .total_len = total_len, .ring_slots = 32 };
	FUZZ_CHECK(ivshmem_layout_plan(&want, layout, &fault) == 0, "%s", fault.text);
}

/* What the superblock says now stands in the sections' headers, too. */
static inline void
image_repeat(void *base, const struct ivshmem_layout *layout)
{
	const struct ivshmem_superblock_shm *super = base;

	for (uint32_t slot = 0; slot < layout->port_cnt; slot++) {
		struct ivshmem_section_shm *section = ivshmem_layout_section(base, layout, slot);

		section->section_len = super->section_len;
		section->rxq_off = super->rxq_off;
		section->prod_off = super->prod_off;
		section->cons_off = super->cons_off;
		section->ring_slots = super->ring_slots;
		section->ring_off = super->ring_off;
		section->ring_len = super->ring_len;
		section->buf_off = super->buf_off;
		section->buf_len = super->buf_len;
		section->buf_cnt = super->buf_cnt;
		section->headroom = super->headroom;
	}
}

/* Break some fields of headers, counted by the input. */
static inline void
image_break_headers(struct fuzz_input *in, void *base, const struct ivshmem_layout *layout)
{
	const uint32_t how = fuzz_u8(in);

	for (uint32_t cnt = how % 5; cnt > 0; cnt--) {
		const uint32_t where = fuzz_u8(in);

		if (where < 192)
			IMAGE_BREAK(in, base, image_super);
		else if (where < 224)
			IMAGE_BREAK(in, ivshmem_layout_section(base, layout, where %
							       layout->port_cnt), image_section);
		else
			IMAGE_BREAK(in, ivshmem_layout_slot(base, layout, where %
							    layout->port_cnt), image_slot);
	}
	if (how >= 96)
		image_repeat(base, layout);
}

#endif /* IMAGE_H */
