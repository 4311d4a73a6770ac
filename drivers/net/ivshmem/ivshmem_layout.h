/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Where things are in a region: plan a geometry, format a region, check one that was found.
 *
 * A struct ivshmem_layout is private and already bounded: everything that computes an address in
 * the region does so from it, never from the superblock. Used by the driver, server and tools.
 */

#ifndef IVSHMEM_LAYOUT_H
#define IVSHMEM_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_abi.h"
#include "ivshmem_fault.h"

/* A section needs this many buffers for each queue and other port: one jumbo frame and some. */
#define IVSHMEM_BUFS_PER_RING_MIN	16u

/* What somebody wants; 0 = the default that fits. */
struct ivshmem_geometry {
	uint64_t total_len;	/* bytes of the region; no default */
	uint32_t port_cnt;	/* default 2 */
	uint32_t queue_cnt;	/* default 1 to 4, by the size of a section */
	uint32_t ring_slots;	/* default up to 4096 */
	uint32_t buf_len;	/* default 1920 */
	uint32_t headroom;	/* default 128 */
};

/* A checked geometry. Fields as in the superblock. */
struct ivshmem_layout {
	uint64_t total_len;
	uint64_t section_off;
	uint64_t section_len;
	uint64_t ring_off;
	uint64_t ring_len;
	uint64_t buf_off;
	uint64_t slot_off;
	uint32_t port_cnt;
	uint32_t queue_cnt;
	uint32_t ring_slots;
	uint32_t buf_len;
	uint32_t buf_cnt;
	uint32_t headroom;
	uint32_t rxq_off;
	uint32_t prod_off;
	uint32_t cons_off;
	uint8_t uuid[16];
};

/*
 * Plan a region. Returns 0, or -EINVAL with the fault saying what would fit.
 */
int ivshmem_layout_plan(const struct ivshmem_geometry *want, struct ivshmem_layout *layout,
			struct ivshmem_fault *fault);

/*
 * Format total_len bytes at base. The magic is published last (P6); nothing may use the region
 * before. Only headers, ends and the server's area are written: buffers stay untouched.
 */
void ivshmem_layout_format(void *base, const struct ivshmem_layout *layout,
			   const uint8_t uuid[16]);

/* True when the memory starts with the magic of this format, of whatever version. */
bool ivshmem_layout_is_ours(const void *base, uint64_t mapped_len);

/*
 * Check a region of mapped_len bytes that somebody else formatted. Returns 0 with *layout filled,
 * -ENODEV when it is not a region of this format, -EPROTO when its version or features are not
 * known, -EINVAL when its geometry is impossible or its length differs from mapped_len.
 */
int ivshmem_layout_check(const void *base, uint64_t mapped_len, struct ivshmem_layout *layout,
			 struct ivshmem_fault *fault);

/*
 * Check a private copy of a geometry, without the region that it is of. Returns 0, or -EINVAL when
 * it is impossible.
 */
int ivshmem_layout_check_plan(const struct ivshmem_layout *layout, struct ivshmem_fault *fault);

static inline bool
ivshmem_layout_is_pow2(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Bytes of a section's ring reserve: one ring and one return ring each (destination, Tx queue). */
static inline uint64_t
ivshmem_layout_ring_reserve(const struct ivshmem_layout *layout)
{
	return (uint64_t)layout->port_cnt * layout->queue_cnt * layout->ring_slots *
		(IVSHMEM_ABI_DESC_LEN + IVSHMEM_ABI_RETURN_LEN);
}

/*
 * Pieces that a frame may have on any ring of the region, however the queues are set up: half of
 * the buffers are not used in turn but may be lent.
 */
static inline uint32_t
ivshmem_layout_pieces(const struct ivshmem_layout *layout)
{
	const uint32_t share = layout->buf_cnt / layout->queue_cnt / (layout->port_cnt - 1);
	const uint32_t chain = layout->ring_slots < IVSHMEM_ABI_CHAIN_MAX ?
		layout->ring_slots : IVSHMEM_ABI_CHAIN_MAX;

	return share / 2 < chain ? share / 2 : chain;
}

static inline struct ivshmem_superblock_shm *
ivshmem_layout_superblock(void *base)
{
	return base;
}

/* slot < port_cnt */
static inline struct ivshmem_slot_shm *
ivshmem_layout_slot(void *base, const struct ivshmem_layout *layout, uint32_t slot)
{
	return (struct ivshmem_slot_shm *)((uint8_t *)base + layout->slot_off) + slot;
}

/* slot < port_cnt */
static inline struct ivshmem_section_shm *
ivshmem_layout_section(void *base, const struct ivshmem_layout *layout, uint32_t slot)
{
	return (void *)((uint8_t *)base + layout->section_off + slot * layout->section_len);
}

/* queue < queue_cnt */
static inline struct ivshmem_rxq_shm *
ivshmem_layout_rxq(struct ivshmem_section_shm *section, const struct ivshmem_layout *layout,
		   uint32_t queue)
{
	return (struct ivshmem_rxq_shm *)((uint8_t *)section + layout->rxq_off) + queue;
}

/* Number of the ring end that belongs to port "other", Tx queue and Rx queue. */
static inline uint32_t
ivshmem_layout_end(const struct ivshmem_layout *layout, uint32_t other, uint32_t txq, uint32_t rxq)
{
	return (other * layout->queue_cnt + txq) * layout->queue_cnt + rxq;
}

/* Ring ends of each kind in a section. */
static inline uint32_t
ivshmem_layout_end_cnt(const struct ivshmem_layout *layout)
{
	return layout->port_cnt * layout->queue_cnt * layout->queue_cnt;
}

static inline struct ivshmem_prod_shm *
ivshmem_layout_prod(struct ivshmem_section_shm *section, const struct ivshmem_layout *layout,
		    uint32_t end)
{
	return (struct ivshmem_prod_shm *)((uint8_t *)section + layout->prod_off) + end;
}

static inline struct ivshmem_cons_shm *
ivshmem_layout_cons(struct ivshmem_section_shm *section, const struct ivshmem_layout *layout,
		    uint32_t end)
{
	return (struct ivshmem_cons_shm *)((uint8_t *)section + layout->cons_off) + end;
}

/* Section offset of the descriptors that the ring reserve keeps for (destination, Tx queue). */
static inline uint64_t
ivshmem_layout_desc_off(const struct ivshmem_layout *layout, uint32_t other, uint32_t txq)
{
	return layout->ring_off + ((uint64_t)other * layout->queue_cnt + txq) *
		layout->ring_slots * IVSHMEM_ABI_DESC_LEN;
}

/*
 * Section offset of the returns that the reserve keeps for (source, its Tx queue): ring_slots
 * entries, behind the descriptors of all rings.
 */
static inline uint64_t
ivshmem_layout_return_off(const struct ivshmem_layout *layout, uint32_t other, uint32_t txq)
{
	const uint64_t rings = (uint64_t)layout->port_cnt * layout->queue_cnt;

	return layout->ring_off + rings * layout->ring_slots * IVSHMEM_ABI_DESC_LEN +
		((uint64_t)other * layout->queue_cnt + txq) * layout->ring_slots *
		IVSHMEM_ABI_RETURN_LEN;
}

#endif /* IVSHMEM_LAYOUT_H */
