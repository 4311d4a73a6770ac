/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Plan, format and check a region.
 *
 * Called by the server, the format tool and vdevs with create=1 (plan, format) and by everybody who
 * attaches (check). Knows nothing of sockets, files or DPDK.
 *
 * Invariants:
 *  L1. A layout that plan or check returned keeps every ring end, ring and buffer of every section
 *      inside total_len, in 64-bit arithmetic without overflow.
 *  L2. check reads the superblock and each section header once, into a private copy.
 * Trust: check takes every byte as hostile.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ivshmem_atomic.h"
#include "ivshmem_layout.h"

#define IVSHMEM_DEFAULT_RING_SLOTS	4096u
/* No power of two: buffers of 2048 bytes share too few cache sets (doc/design.rst). */
#define IVSHMEM_DEFAULT_BUF_LEN		1920u

/* A section needs this many buffers for each queue, for one jumbo frame and some. */
#define IVSHMEM_BUFS_PER_QUEUE_MIN	16u

static uint64_t
ivshmem_round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static bool
ivshmem_is_pow2(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Largest power of two <= value; value is not 0. */
static uint64_t
ivshmem_pow2_below(uint64_t value)
{
	while (!ivshmem_is_pow2(value))
		value &= value - 1;
	return value;
}

static uint64_t
ivshmem_ring_reserve(const struct ivshmem_layout *layout)
{
	return (uint64_t)layout->port_cnt * layout->queue_cnt * layout->ring_slots *
		(IVSHMEM_ABI_DESC_LEN + IVSHMEM_ABI_RETURN_LEN);
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
	layout->ring_len = ivshmem_ring_reserve(layout);
	layout->buf_off = ivshmem_round_up(layout->ring_off + layout->ring_len,
					   IVSHMEM_ABI_GRANULE);
	layout->buf_cnt = 0;
	if (layout->buf_off < layout->section_len)
		layout->buf_cnt = (layout->section_len - layout->buf_off) / layout->buf_len;
}

/* Whether each queue has buffers and each ring can be filled. */
static bool
ivshmem_plan_fits(const struct ivshmem_layout *layout)
{
	return layout->buf_cnt >= layout->ring_slots &&
		layout->buf_cnt >= layout->queue_cnt * IVSHMEM_BUFS_PER_QUEUE_MIN;
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
	if (!ivshmem_is_pow2(want->total_len)) {
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
	if (want->ring_slots != 0 && (!ivshmem_is_pow2(want->ring_slots) ||
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

/* Names the largest value of each option that would have fitted. */
static int
ivshmem_plan_refuse(const struct ivshmem_geometry *want, struct ivshmem_layout *layout,
		    struct ivshmem_fault *fault)
{
	const uint32_t ports = layout->port_cnt;
	const uint32_t queues = layout->queue_cnt;

	if (want->ring_slots != 0 && ivshmem_plan_rings(layout, want->ring_slots))
		return IVSHMEM_FAULT(fault, -EINVAL, "ring size %" PRIu32
			" does not fit: %" PRIu32 " ports of %" PRIu32 " queues in %" PRIu64
			" bytes leave room for rings of %" PRIu32
			"; take that, a larger size or fewer queues", want->ring_slots, ports,
			queues, want->total_len, layout->ring_slots);
	for (layout->queue_cnt = queues - 1; layout->queue_cnt > 0; layout->queue_cnt--)
		if (ivshmem_plan_rings(layout, IVSHMEM_DEFAULT_RING_SLOTS))
			return IVSHMEM_FAULT(fault, -EINVAL, "queues %" PRIu32
				" does not fit: %" PRIu64 " bytes hold %" PRIu32
				" ports of %" PRIu32 " queues; take that or a larger size",
				queues, want->total_len, ports, layout->queue_cnt);
	layout->queue_cnt = 1;
	for (layout->port_cnt = ports / 2; layout->port_cnt >= 2; layout->port_cnt /= 2) {
		layout->section_len = want->total_len /
			(ivshmem_pow2_below(layout->port_cnt) * 2);
		if (ivshmem_plan_rings(layout, IVSHMEM_DEFAULT_RING_SLOTS))
			return IVSHMEM_FAULT(fault, -EINVAL, "ports %" PRIu32
				" does not fit: %" PRIu64 " bytes hold %" PRIu32
				" ports; take that or a larger size", ports, want->total_len,
				layout->port_cnt);
	}
	return IVSHMEM_FAULT(fault, -EINVAL,
		"buffer size %" PRIu32 " does not fit: a section of %" PRIu64 " bytes holds fewer "
		"than %u of them; take smaller buffers or a larger size", layout->buf_len,
		want->total_len / 4, IVSHMEM_ABI_RING_MIN);
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

	if (want->ring_slots != 0) {
		layout->ring_slots = want->ring_slots;
		ivshmem_plan_offsets(layout);
		fits = ivshmem_plan_fits(layout);
	} else {
		fits = ivshmem_plan_rings(layout, IVSHMEM_DEFAULT_RING_SLOTS);
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

bool
ivshmem_layout_is_ours(const void *base, uint64_t mapped_len)
{
	const struct ivshmem_superblock_shm *super = base;

	return mapped_len >= sizeof(*super) &&
		ivshmem_load64_acquire(&super->magic) == IVSHMEM_ABI_MAGIC;	/* C6 <- P6 */
}

/* One line of the check: the field's value must lie in low..high. */
static int
ivshmem_check_range(struct ivshmem_fault *fault, const char *field, uint64_t value, uint64_t low,
		    uint64_t high)
{
	if (value >= low && value <= high)
		return 0;
	return IVSHMEM_FAULT(fault, -EINVAL, "%s is %" PRIu64 ", not in %" PRIu64 "..%" PRIu64,
			      field, value, low, high);
}

/* Offsets inside a section: in order, aligned, none past its end. All sums in 64 bit. */
static int
ivshmem_check_section_plan(const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	const uint64_t ends_len = (uint64_t)ivshmem_layout_end_cnt(layout) *
		sizeof(struct ivshmem_prod_shm);
	const uint64_t end = layout->section_len;
	uint64_t low;
	int ret;

	low = sizeof(struct ivshmem_section_shm);
	ret = ivshmem_check_range(fault, "rxq_off", layout->rxq_off, low, end);
	if (ret != 0)
		return ret;
	low = (uint64_t)layout->rxq_off + layout->queue_cnt * sizeof(struct ivshmem_rxq_shm);
	ret = ivshmem_check_range(fault, "prod_off", layout->prod_off, low, end);
	if (ret != 0)
		return ret;
	ret = ivshmem_check_range(fault, "cons_off", layout->cons_off, layout->prod_off + ends_len,
				  end);
	if (ret != 0)
		return ret;
	ret = ivshmem_check_range(fault, "ring_off", layout->ring_off, layout->cons_off + ends_len,
				  end);
	if (ret != 0)
		return ret;
	ret = ivshmem_check_range(fault, "ring_len", layout->ring_len,
				  ivshmem_ring_reserve(layout), end - layout->ring_off);
	if (ret != 0)
		return ret;
	ret = ivshmem_check_range(fault, "buf_off", layout->buf_off,
				  layout->ring_off + layout->ring_len, end);
	if (ret != 0)
		return ret;
	ret = ivshmem_check_range(fault, "buf_cnt", layout->buf_cnt, 1,
				  (end - layout->buf_off) / layout->buf_len);
	if (ret != 0)
		return ret;
	if (layout->rxq_off % IVSHMEM_ABI_HOT != 0 || layout->prod_off % IVSHMEM_ABI_HOT != 0 ||
	    layout->cons_off % IVSHMEM_ABI_HOT != 0 || layout->ring_off % IVSHMEM_ABI_LINE != 0 ||
	    layout->buf_off % IVSHMEM_ABI_LINE != 0)
		return IVSHMEM_FAULT(fault, -EINVAL, "an offset is not aligned: rxq_off %" PRIu32
			", prod_off %" PRIu32 ", cons_off %" PRIu32 " to %u, ring_off %" PRIu64
			", buf_off %" PRIu64 " to %u", layout->rxq_off, layout->prod_off,
			layout->cons_off, IVSHMEM_ABI_HOT, layout->ring_off, layout->buf_off,
			IVSHMEM_ABI_LINE);
	return 0;
}

/* Counts and lengths; after it no product of them overflows 64 bits. */
static int
ivshmem_check_counts(const struct ivshmem_superblock_shm *super,
		     const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	const struct {
		const char *field;
		uint64_t value;
		uint64_t low;
		uint64_t high;
	} checks[] = {
		{ "hdr_len", super->hdr_len, sizeof(*super), IVSHMEM_ABI_GRANULE },
		{ "line_len", super->line_len, IVSHMEM_ABI_LINE, IVSHMEM_ABI_LINE },
		{ "granule", super->granule, IVSHMEM_ABI_GRANULE, IVSHMEM_ABI_GRANULE },
		{ "slot_len", super->slot_len, sizeof(struct ivshmem_slot_shm),
		  sizeof(struct ivshmem_slot_shm) },
		{ "port_cnt", layout->port_cnt, IVSHMEM_ABI_PORTS_MIN, IVSHMEM_ABI_PORTS_MAX },
		{ "queue_cnt", layout->queue_cnt, 1, IVSHMEM_ABI_QUEUES_MAX },
		{ "ring_slots", layout->ring_slots, IVSHMEM_ABI_RING_MIN, IVSHMEM_ABI_RING_MAX },
		{ "buf_len", layout->buf_len, IVSHMEM_ABI_BUF_MIN, IVSHMEM_ABI_BUF_MAX },
		{ "headroom", layout->headroom, IVSHMEM_ABI_HEADROOM_MIN, layout->buf_len - 1 },
		{ "section_len", layout->section_len, IVSHMEM_ABI_GRANULE, layout->total_len / 2 },
		{ "slot_off", layout->slot_off, sizeof(*super), layout->total_len },
		{ "section_off", layout->section_off, layout->slot_off +
		  layout->port_cnt * sizeof(struct ivshmem_slot_shm), layout->total_len },
	};
	int ret;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		ret = ivshmem_check_range(fault, checks[i].field, checks[i].value, checks[i].low,
					  checks[i].high);
		if (ret != 0)
			return ret;
	}
	if (!ivshmem_is_pow2(layout->ring_slots) || !ivshmem_is_pow2(layout->section_len))
		return IVSHMEM_FAULT(fault, -EINVAL, "no power of two: ring_slots %" PRIu32
			", section_len %" PRIu64, layout->ring_slots, layout->section_len);
	if (layout->buf_len % IVSHMEM_ABI_LINE != 0 || layout->slot_off % IVSHMEM_ABI_LINE != 0 ||
	    layout->section_off % IVSHMEM_ABI_GRANULE != 0)
		return IVSHMEM_FAULT(fault, -EINVAL, "not aligned: buf_len %" PRIu32
			", slot_off %" PRIu64 " to %u, section_off %" PRIu64 " to %u",
			layout->buf_len, layout->slot_off, IVSHMEM_ABI_LINE,
			layout->section_off, IVSHMEM_ABI_GRANULE);
	return ivshmem_check_range(fault, "port_cnt", layout->port_cnt, IVSHMEM_ABI_PORTS_MIN,
			(layout->total_len - layout->section_off) / layout->section_len);
}

static int
ivshmem_check_version(const struct ivshmem_superblock_shm *super, struct ivshmem_fault *fault)
{
	if (super->major != IVSHMEM_ABI_MAJOR)
		return IVSHMEM_FAULT(fault, -EPROTO,
			"region format version %u.%u is not known, only %u.x is", super->major,
			super->minor, IVSHMEM_ABI_MAJOR);
	if ((super->feat_ro | super->feat_incompat) != 0)
		return IVSHMEM_FAULT(fault, -EPROTO, "region features are not known: feat_ro 0x%"
			PRIx64 ", feat_incompat 0x%" PRIx64, super->feat_ro, super->feat_incompat);
	return 0;
}

/* Format 1.0: each section header repeats the superblock. */
static int
ivshmem_check_section(const struct ivshmem_section_shm *shm, const struct ivshmem_layout *layout,
		      uint32_t slot, struct ivshmem_fault *fault)
{
	const struct ivshmem_section_shm want = {
		.magic = IVSHMEM_ABI_SECTION_MAGIC,
		.slot = slot,
		.hdr_len = sizeof(want),
		.section_len = layout->section_len,
		.rxq_off = layout->rxq_off,
		.prod_off = layout->prod_off,
		.cons_off = layout->cons_off,
		.ring_slots = layout->ring_slots,
		.ring_off = layout->ring_off,
		.ring_len = layout->ring_len,
		.buf_off = layout->buf_off,
		.buf_len = layout->buf_len,
		.buf_cnt = layout->buf_cnt,
		.headroom = layout->headroom,
	};

	if (memcmp(shm, &want, offsetof(struct ivshmem_section_shm, reserved0)) == 0)
		return 0;
	return IVSHMEM_FAULT(fault, -EINVAL,
		"header of section %" PRIu32 " differs from the superblock", slot);
}

int
ivshmem_layout_check(const void *base, uint64_t mapped_len, struct ivshmem_layout *layout,
		     struct ivshmem_fault *fault)
{
	struct ivshmem_superblock_shm super;
	int ret;

	if (!ivshmem_layout_is_ours(base, mapped_len))
		return IVSHMEM_FAULT(fault, -ENODEV,
			"not a region of this format: no magic in %" PRIu64 " bytes", mapped_len);
	memcpy(&super, base, sizeof(super));
	ivshmem_fence_acquire();	/* the copy is not read again (L2) */
	ret = ivshmem_check_version(&super, fault);
	if (ret != 0)
		return ret;
	if (super.total_len != mapped_len)
		return IVSHMEM_FAULT(fault, -EINVAL, "region says total_len %" PRIu64
			", but %" PRIu64 " bytes are mapped", super.total_len, mapped_len);
	memset(layout, 0, sizeof(*layout));
	layout->total_len = super.total_len;
	layout->section_off = super.section_off;
	layout->section_len = super.section_len;
	layout->ring_off = super.ring_off;
	layout->ring_len = super.ring_len;
	layout->buf_off = super.buf_off;
	layout->slot_off = super.slot_off;
	layout->port_cnt = super.port_cnt;
	layout->queue_cnt = super.queue_cnt;
	layout->ring_slots = super.ring_slots;
	layout->buf_len = super.buf_len;
	layout->buf_cnt = super.buf_cnt;
	layout->headroom = super.headroom;
	layout->rxq_off = super.rxq_off;
	layout->prod_off = super.prod_off;
	layout->cons_off = super.cons_off;
	memcpy(layout->uuid, super.uuid, sizeof(layout->uuid));
	ret = ivshmem_check_counts(&super, layout, fault);
	if (ret == 0)
		ret = ivshmem_check_section_plan(layout, fault);
	for (uint32_t slot = 0; ret == 0 && slot < layout->port_cnt; slot++)
		ret = ivshmem_check_section(ivshmem_layout_section((void *)(uintptr_t)base, layout,
								   slot), layout, slot, fault);
	return ret;
}
