/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Check a region that somebody else formatted, before anything in it is used.
 *
 * Called by everybody who attaches.
 *
 * Invariants:
 *  V1. A layout that passed keeps every ring end, ring and buffer of every section inside
 *      total_len, in 64-bit arithmetic without overflow.
 *  V2. The superblock and each section header are read once, into a private copy.
 * Trust: every byte is hostile.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ivshmem_atomic.h"
#include "ivshmem_layout.h"

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

/*
 * Offsets inside a section: in order, aligned, none past its end. All sums in 64 bit; a bound is
 * only looked at when the lines before it are true. The fault names the bound's origin, too: it may
 * be that which is wrong.
 */
static int
ivshmem_check_section_plan(const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	const uint64_t ends_len = (uint64_t)ivshmem_layout_end_cnt(layout) *
		sizeof(struct ivshmem_prod_shm);
	const uint64_t end = layout->section_len;
	const struct {
		const char *field;
		uint64_t value;
		uint64_t low;
		uint64_t high;
		const char *origin;
	} checks[] = {
		{ "rxq_off", layout->rxq_off, sizeof(struct ivshmem_section_shm), end,
		  "the section header" },
		{ "prod_off", layout->prod_off, (uint64_t)layout->rxq_off +
		  layout->queue_cnt * sizeof(struct ivshmem_rxq_shm), end, "rxq_off, queue_cnt" },
		{ "cons_off", layout->cons_off, layout->prod_off + ends_len, end,
		  "prod_off, port_cnt, queue_cnt" },
		{ "ring_off", layout->ring_off, layout->cons_off + ends_len, end,
		  "cons_off, port_cnt, queue_cnt" },
		{ "ring_len", layout->ring_len, ivshmem_layout_ring_reserve(layout),
		  end - layout->ring_off, "ring_slots, port_cnt, queue_cnt, ring_off" },
		{ "buf_off", layout->buf_off, layout->ring_off + layout->ring_len, end,
		  "ring_off, ring_len" },
		{ "buf_cnt", layout->buf_cnt, (uint64_t)layout->queue_cnt *
		  (layout->port_cnt - 1) * IVSHMEM_BUFS_PER_RING_MIN,
		  (end - layout->buf_off) / layout->buf_len,
		  "queue_cnt, port_cnt, buf_off, buf_len" },
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].value < checks[i].low || checks[i].value > checks[i].high)
			return IVSHMEM_FAULT(fault, -EINVAL, "%s is %" PRIu64 ", not in %" PRIu64
				"..%" PRIu64 " as %s and section_len %" PRIu64 " want it",
				checks[i].field, checks[i].value, checks[i].low, checks[i].high,
				checks[i].origin, end);
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

/* What is the same in all regions of this format. */
static int
ivshmem_check_fixed(const struct ivshmem_superblock_shm *super, struct ivshmem_fault *fault)
{
	int ret = ivshmem_check_range(fault, "hdr_len", super->hdr_len, sizeof(*super),
				      IVSHMEM_ABI_GRANULE);

	if (ret == 0)
		ret = ivshmem_check_range(fault, "line_len", super->line_len, IVSHMEM_ABI_LINE,
					  IVSHMEM_ABI_LINE);
	if (ret == 0)
		ret = ivshmem_check_range(fault, "granule", super->granule, IVSHMEM_ABI_GRANULE,
					  IVSHMEM_ABI_GRANULE);
	if (ret == 0)
		ret = ivshmem_check_range(fault, "slot_len", super->slot_len,
					  sizeof(struct ivshmem_slot_shm),
					  sizeof(struct ivshmem_slot_shm));
	return ret;
}

/* Counts and lengths; after it no product of them overflows 64 bits. */
static int
ivshmem_check_counts(const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	const struct {
		const char *field;
		uint64_t value;
		uint64_t low;
		uint64_t high;
	} checks[] = {
		{ "total_len", layout->total_len, IVSHMEM_ABI_REGION_MIN, IVSHMEM_ABI_REGION_MAX },
		{ "port_cnt", layout->port_cnt, IVSHMEM_ABI_PORTS_MIN, IVSHMEM_ABI_PORTS_MAX },
		{ "queue_cnt", layout->queue_cnt, 1, IVSHMEM_ABI_QUEUES_MAX },
		{ "ring_slots", layout->ring_slots, IVSHMEM_ABI_RING_MIN, IVSHMEM_ABI_RING_MAX },
		{ "buf_len", layout->buf_len, IVSHMEM_ABI_BUF_MIN, IVSHMEM_ABI_BUF_MAX },
		{ "headroom", layout->headroom, IVSHMEM_ABI_HEADROOM_MIN,
		  layout->buf_len - IVSHMEM_ABI_FRAME_MIN },
		{ "section_len", layout->section_len, IVSHMEM_ABI_GRANULE, layout->total_len / 2 },
		{ "slot_off", layout->slot_off, sizeof(struct ivshmem_superblock_shm),
		  layout->total_len },
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
	if (!ivshmem_layout_is_pow2(layout->ring_slots) ||
	    !ivshmem_layout_is_pow2(layout->section_len) ||
	    !ivshmem_layout_is_pow2(layout->total_len))
		return IVSHMEM_FAULT(fault, -EINVAL, "no power of two: ring_slots %" PRIu32
			", section_len %" PRIu64 ", total_len %" PRIu64, layout->ring_slots,
			layout->section_len, layout->total_len);
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
	struct ivshmem_section_shm found;

	memcpy(&found, shm, sizeof(found));
	ivshmem_fence_acquire();	/* V2 */

	const struct {
		const char *field;
		uint64_t is;
		uint64_t should;
	} checks[] = {
		{ "slot", found.slot, slot },
		{ "hdr_len", found.hdr_len, sizeof(found) },
		{ "section_len", found.section_len, layout->section_len },
		{ "rxq_off", found.rxq_off, layout->rxq_off },
		{ "prod_off", found.prod_off, layout->prod_off },
		{ "cons_off", found.cons_off, layout->cons_off },
		{ "ring_slots", found.ring_slots, layout->ring_slots },
		{ "ring_off", found.ring_off, layout->ring_off },
		{ "ring_len", found.ring_len, layout->ring_len },
		{ "buf_off", found.buf_off, layout->buf_off },
		{ "buf_len", found.buf_len, layout->buf_len },
		{ "buf_cnt", found.buf_cnt, layout->buf_cnt },
		{ "headroom", found.headroom, layout->headroom },
	};

	if (found.magic != IVSHMEM_ABI_SECTION_MAGIC)
		return IVSHMEM_FAULT(fault, -EINVAL, "section %" PRIu32 ": magic is %" PRIu64
			", not %" PRIu64 ": it was overwritten, or section_off %" PRIu64
			" is wrong", slot, found.magic, IVSHMEM_ABI_SECTION_MAGIC,
			layout->section_off);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].is != checks[i].should)
			return IVSHMEM_FAULT(fault, -EINVAL, "section %" PRIu32 ": %s is %" PRIu64
				", not %" PRIu64 " as in the superblock", slot, checks[i].field,
				checks[i].is, checks[i].should);
	return 0;
}

int
ivshmem_layout_check_plan(const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	const int ret = ivshmem_check_counts(layout, fault);

	return ret != 0 ? ret : ivshmem_check_section_plan(layout, fault);
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
	ivshmem_fence_acquire();	/* the copy is not read again (V2) */
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
	ret = ivshmem_check_fixed(&super, fault);
	if (ret == 0)
		ret = ivshmem_layout_check_plan(layout, fault);
	for (uint32_t slot = 0; ret == 0 && slot < layout->port_cnt; slot++)
		ret = ivshmem_check_section(ivshmem_layout_section((void *)(uintptr_t)base, layout,
								   slot), layout, slot, fault);
	return ret;
}
