/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Plan and format a region; ivshmem_check.c checks one that somebody else made.
 *
 * Called by the server, the format tool and vdevs with create=1. Knows nothing of sockets, files or
 * DPDK.
 *
 * Invariants:
 *  L1. A planned layout keeps every ring end, ring and buffer of every section inside total_len, in
 *      64-bit arithmetic without overflow.
 *  L2. What a refusal says would fit does fit.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ivshmem_atomic.h"
#include "ivshmem_layout.h"

#define IVSHMEM_DEFAULT_RING_SLOTS	4096u
/* No power of two: buffers of 2048 bytes share too few cache sets (doc/design.rst). */
#define IVSHMEM_DEFAULT_BUF_LEN		1920u

static uint64_t
ivshmem_round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Largest power of two <= value; value is not 0. */
static uint64_t
ivshmem_pow2_below(uint64_t value)
{
	while (!ivshmem_layout_is_pow2(value))
		value &= value - 1;
	return value;
}

/* Offsets that follow from the counts; the ring reserve last, then the buffers. */
static void
ivshmem_plan_offsets(struct ivshmem_layout *layout)
{
	uint64_t ends_len = (uint64_t)ivshmem_layout_end_cnt(layout) *
		sizeof(struct ivshmem_prod_shm);

	layout->rxq_off = sizeof(struct ivshmem_section_shm);
	layout->prod_off = layout->rxq_off + layout->queue_cnt * sizeof(struct ivshmem_rxq_shm);
	layout->cons_off = layout->prod_off + ends_len;
	layout->ring_off = layout->cons_off + ends_len;
	layout->ring_len = ivshmem_layout_ring_reserve(layout);
	layout->buf_off = ivshmem_round_up(layout->ring_off + layout->ring_len,
					   IVSHMEM_ABI_GRANULE);
	layout->buf_cnt = 0;
	if (layout->buf_off < layout->section_len)
		layout->buf_cnt = (layout->section_len - layout->buf_off) / layout->buf_len;
}

/* Whether each ring has buffers, and a port that uses one queue can fill half of each ring. */
static bool
ivshmem_plan_fits(const struct ivshmem_layout *layout)
{
	const uint32_t other_cnt = layout->port_cnt - 1;

	return layout->buf_cnt / other_cnt >= layout->ring_slots / (other_cnt > 1 ? 2 : 1) &&
		layout->buf_cnt / other_cnt / layout->queue_cnt >= IVSHMEM_BUFS_PER_RING_MIN;
}

/* Halve the rings until they fit, at most a quarter of the section unless the caller insists. */
static bool
ivshmem_plan_rings(struct ivshmem_layout *layout, uint32_t most)
{
	for (layout->ring_slots = most; layout->ring_slots >= IVSHMEM_ABI_RING_MIN;
	     layout->ring_slots /= 2) {
		ivshmem_plan_offsets(layout);
		if (ivshmem_plan_fits(layout) && layout->ring_len <= layout->section_len / 4)
			return true;
	}
	return false;
}

static int
ivshmem_plan_counts(const struct ivshmem_geometry *want, struct ivshmem_fault *fault)
{
	uint64_t below;

	if (want->total_len < IVSHMEM_ABI_REGION_MIN || want->total_len > IVSHMEM_ABI_REGION_MAX)
		return IVSHMEM_FAULT(fault, -EINVAL,
			"size %" PRIu64 " is not in %" PRIu64 "..%" PRIu64 " (1M..1T)",
			want->total_len, IVSHMEM_ABI_REGION_MIN, IVSHMEM_ABI_REGION_MAX);
	if (!ivshmem_layout_is_pow2(want->total_len)) {
		below = ivshmem_pow2_below(want->total_len);
		return IVSHMEM_FAULT(fault, -EINVAL, "size %" PRIu64
			" is no power of two; the nearest are %" PRIu64 " and %" PRIu64,
			want->total_len, below, below * 2);
	}
	if (want->port_cnt != 0 && (want->port_cnt < IVSHMEM_ABI_PORTS_MIN ||
	    want->port_cnt > IVSHMEM_ABI_PORTS_MAX))
		return IVSHMEM_FAULT(fault, -EINVAL, "ports %" PRIu32 " is not in %u..%u",
			want->port_cnt, IVSHMEM_ABI_PORTS_MIN, IVSHMEM_ABI_PORTS_MAX);
	if (want->queue_cnt > IVSHMEM_ABI_QUEUES_MAX)
		return IVSHMEM_FAULT(fault, -EINVAL, "queues %" PRIu32 " is not in 1..%u",
			want->queue_cnt, IVSHMEM_ABI_QUEUES_MAX);
	if (want->ring_slots != 0 && (!ivshmem_layout_is_pow2(want->ring_slots) ||
	    want->ring_slots < IVSHMEM_ABI_RING_MIN || want->ring_slots > IVSHMEM_ABI_RING_MAX))
		return IVSHMEM_FAULT(fault, -EINVAL,
			"ring size %" PRIu32 " is no power of two in %u..%u", want->ring_slots,
			IVSHMEM_ABI_RING_MIN, IVSHMEM_ABI_RING_MAX);
	if (want->buf_len != 0 && (want->buf_len % IVSHMEM_ABI_LINE != 0 ||
	    want->buf_len < IVSHMEM_ABI_BUF_MIN || want->buf_len > IVSHMEM_ABI_BUF_MAX))
		return IVSHMEM_FAULT(fault, -EINVAL,
			"buffer size %" PRIu32 " is no multiple of %u in %u..%u", want->buf_len,
			IVSHMEM_ABI_LINE, IVSHMEM_ABI_BUF_MIN, IVSHMEM_ABI_BUF_MAX);
	if (want->headroom != 0 && (want->headroom % IVSHMEM_ABI_LINE != 0 ||
	    want->headroom < IVSHMEM_ABI_HEADROOM_MIN))
		return IVSHMEM_FAULT(fault, -EINVAL,
			"headroom %" PRIu32 " is no multiple of %u from %u on", want->headroom,
			IVSHMEM_ABI_LINE, IVSHMEM_ABI_HEADROOM_MIN);
	return 0;
}

/* Names the first option that is too large and, together, values that would have fitted. */
static int
ivshmem_plan_refuse(const struct ivshmem_geometry *want, struct ivshmem_layout *layout,
		    struct ivshmem_fault *fault)
{
	const uint32_t most = want->ring_slots != 0 ? want->ring_slots :
		IVSHMEM_DEFAULT_RING_SLOTS;
	const uint32_t ports = layout->port_cnt;
	const uint32_t queues = layout->queue_cnt;

	if (want->ring_slots != 0 && ivshmem_plan_rings(layout, most))
		return IVSHMEM_FAULT(fault, -EINVAL, "ring size %" PRIu32
			" does not fit: %" PRIu32 " ports of %" PRIu32 " queues in %" PRIu64
			" bytes leave room for rings of %" PRIu32
			"; take that, a larger size or fewer queues", want->ring_slots, ports,
			queues, want->total_len, layout->ring_slots);
	for (layout->queue_cnt = queues - 1; layout->queue_cnt > 0; layout->queue_cnt--)
		if (ivshmem_plan_rings(layout, most))
			return IVSHMEM_FAULT(fault, -EINVAL, "queues %" PRIu32
				" does not fit: %" PRIu64 " bytes hold %" PRIu32
				" ports of %" PRIu32 " queues with rings of %" PRIu32
				"; take that or a larger size", queues, want->total_len, ports,
				layout->queue_cnt, layout->ring_slots);
	layout->queue_cnt = 1;
	for (layout->port_cnt = ports - 1; layout->port_cnt >= 2; layout->port_cnt--) {
		layout->section_len = want->total_len /
			(ivshmem_pow2_below(layout->port_cnt) * 2);
		if (ivshmem_plan_rings(layout, most))
			return IVSHMEM_FAULT(fault, -EINVAL, "ports %" PRIu32
				" does not fit: %" PRIu64 " bytes hold %" PRIu32
				" ports of 1 queues with rings of %" PRIu32
				"; take that or a larger size", ports, want->total_len,
				layout->port_cnt, layout->ring_slots);
	}
	layout->port_cnt = IVSHMEM_ABI_PORTS_MIN;
	layout->section_len = want->total_len / 4;
	while (layout->buf_len > IVSHMEM_ABI_BUF_MIN &&
	       !ivshmem_plan_rings(layout, IVSHMEM_ABI_RING_MIN))
		layout->buf_len -= IVSHMEM_ABI_LINE;
	return IVSHMEM_FAULT(fault, -EINVAL, "buffer size %" PRIu32 " does not fit: %" PRIu64
		" bytes hold 2 ports of 1 queues with rings of %u and buffers of %" PRIu32
		"; take that or a larger size", want->buf_len, want->total_len,
		IVSHMEM_ABI_RING_MIN, layout->buf_len);
}

/* Rings as wanted, or the largest that fit. */
static bool
ivshmem_plan_queues(const struct ivshmem_geometry *want, struct ivshmem_layout *layout)
{
	if (want->ring_slots == 0)
		return ivshmem_plan_rings(layout, IVSHMEM_DEFAULT_RING_SLOTS);
	layout->ring_slots = want->ring_slots;
	ivshmem_plan_offsets(layout);
	return ivshmem_plan_fits(layout);
}

int
ivshmem_layout_plan(const struct ivshmem_geometry *want, struct ivshmem_layout *layout,
		    struct ivshmem_fault *fault)
{
	uint64_t server_len;
	bool fits;
	int ret;

	memset(layout, 0, sizeof(*layout));
	ret = ivshmem_plan_counts(want, fault);
	if (ret != 0)
		return ret;

	layout->total_len = want->total_len;
	layout->port_cnt = want->port_cnt != 0 ? want->port_cnt : IVSHMEM_ABI_PORTS_MIN;
	layout->buf_len = want->buf_len != 0 ? want->buf_len : IVSHMEM_DEFAULT_BUF_LEN;
	layout->headroom = want->headroom != 0 ? want->headroom : IVSHMEM_ABI_HEADROOM_MIN;
	if (layout->headroom >= layout->buf_len)
		return IVSHMEM_FAULT(fault, -EINVAL,
			"headroom %" PRIu32 " leaves nothing of a buffer of %" PRIu32 " bytes",
			layout->headroom, layout->buf_len);

	/* The server's area takes the place of section 0, so all sections are aligned. */
	layout->slot_off = IVSHMEM_ABI_GRANULE;
	server_len = layout->slot_off + layout->port_cnt * sizeof(struct ivshmem_slot_shm);
	layout->section_len = want->total_len / (ivshmem_pow2_below(layout->port_cnt) * 2);
	layout->section_off = layout->section_len;
	layout->queue_cnt = want->queue_cnt;
	if (layout->queue_cnt == 0)
		layout->queue_cnt = layout->section_len >= (4u << 20) ? 4 :
			layout->section_len >= (1u << 20) ? 2 : 1;

	fits = ivshmem_plan_queues(want, layout);
	while (!fits && want->queue_cnt == 0 && layout->queue_cnt > 1) {
		layout->queue_cnt /= 2;
		fits = ivshmem_plan_queues(want, layout);
	}
	if (!fits || server_len > layout->section_off)
		return ivshmem_plan_refuse(want, layout, fault);
	return 0;
}

static void
ivshmem_format_section(struct ivshmem_section_shm *section, const struct ivshmem_layout *layout,
		       uint32_t slot)
{
	memset(section, 0, layout->ring_off);
	section->magic = IVSHMEM_ABI_SECTION_MAGIC;
	section->slot = slot;
	section->hdr_len = sizeof(*section);
	section->section_len = layout->section_len;
	section->rxq_off = layout->rxq_off;
	section->prod_off = layout->prod_off;
	section->cons_off = layout->cons_off;
	section->ring_slots = layout->ring_slots;
	section->ring_off = layout->ring_off;
	section->ring_len = layout->ring_len;
	section->buf_off = layout->buf_off;
	section->buf_len = layout->buf_len;
	section->buf_cnt = layout->buf_cnt;
	section->headroom = layout->headroom;
}

void
ivshmem_layout_format(void *base, const struct ivshmem_layout *layout, const uint8_t uuid[16])
{
	struct ivshmem_superblock_shm *super = ivshmem_layout_superblock(base);

	ivshmem_store64(&super->magic, 0);
	ivshmem_fence_release();
	memset(super, 0, layout->slot_off + layout->port_cnt * sizeof(struct ivshmem_slot_shm));
	super->major = IVSHMEM_ABI_MAJOR;
	super->minor = IVSHMEM_ABI_MINOR;
	super->hdr_len = sizeof(*super);
	memcpy(super->uuid, uuid, sizeof(super->uuid));
	super->total_len = layout->total_len;
	super->section_off = layout->section_off;
	super->section_len = layout->section_len;
	super->port_cnt = layout->port_cnt;
	super->queue_cnt = layout->queue_cnt;
	super->line_len = IVSHMEM_ABI_LINE;
	super->granule = IVSHMEM_ABI_GRANULE;
	super->ring_slots = layout->ring_slots;
	super->buf_len = layout->buf_len;
	super->buf_cnt = layout->buf_cnt;
	super->headroom = layout->headroom;
	super->rxq_off = layout->rxq_off;
	super->prod_off = layout->prod_off;
	super->cons_off = layout->cons_off;
	super->slot_len = sizeof(struct ivshmem_slot_shm);
	super->ring_off = layout->ring_off;
	super->ring_len = layout->ring_len;
	super->buf_off = layout->buf_off;
	super->slot_off = layout->slot_off;
	for (uint32_t slot = 0; slot < layout->port_cnt; slot++)
		ivshmem_format_section(ivshmem_layout_section(base, layout, slot), layout, slot);
	ivshmem_store64_release(&super->magic, IVSHMEM_ABI_MAGIC);	/* P6 */
}
