/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Descriptors as the receive bursts see them: loaded once, checked, turned into an address.
 *
 * Trust: everything that is loaded here is the peer's. A descriptor that breaks a rule is counted
 * by reason; its caller consumes and drops it.
 */

#ifndef IVSHMEM_RX_DESC_H
#define IVSHMEM_RX_DESC_H

#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_rxtx.h"

/* What became of a frame. */
enum ivshmem_rx_fate {
	IVSHMEM_RX_TAKEN,
	IVSHMEM_RX_DROPPED,
	IVSHMEM_RX_NOMBUF,	/* stays in the ring */
	IVSHMEM_RX_ODD,		/* not looked at yet: no plain piece */
};

/* Load a descriptor once. */
static inline struct ivshmem_desc_shm
ivshmem_rx_load(const struct ivshmem_entry_shm *entry)
{
	const uint64_t *shm = (const uint64_t *)&entry->desc;
	struct ivshmem_desc_shm desc;
	uint64_t words[2];

	words[0] = ivshmem_load64((const struct ivshmem_u64 *)&shm[0]);
	words[1] = ivshmem_load64((const struct ivshmem_u64 *)&shm[1]);
	memcpy(&desc, words, sizeof(desc));
	return desc;
}

/* First byte of the buffers of the section that a descriptor names; NULL when it may not. */
static inline const uint8_t *
ivshmem_rx_section(const struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring,
		   uint32_t section)
{
	const struct ivshmem_layout *layout = &rxq->dev->layout;

	if (likely(section == ring->slot))
		return ring->section + layout->buf_off;
	if (rxq->loans == NULL || section >= layout->port_cnt)
		return NULL;
	return (const uint8_t *)ivshmem_layout_section(rxq->dev->port.base, layout, section) +
		layout->buf_off;
}

/* Whether a piece ends inside its buffer. */
static inline bool
ivshmem_rx_is_inside(const struct ivshmem_desc_shm *desc, uint32_t buf_len)
{
	return (uint32_t)desc->data_off + desc->data_len <= buf_len;
}

/* The payload of a private descriptor; NULL, counted by reason, when it breaks a rule. */
static inline const uint8_t *
ivshmem_rx_payload(struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring,
		   const struct ivshmem_desc_shm *desc, uint32_t len_min)
{
	const struct ivshmem_layout *layout = &rxq->dev->layout;
	const uint8_t *bufs;

	if (unlikely((desc->flags & ~IVSHMEM_DESC_KNOWN) != 0)) {
		rxq->stats.bad_flags++;
		return NULL;
	}
	bufs = ivshmem_rx_section(rxq, ring, desc->section);
	if (unlikely(bufs == NULL)) {
		rxq->stats.bad_section++;
		return NULL;
	}
	if (unlikely(desc->buf >= layout->buf_cnt)) {
		rxq->stats.bad_buffer++;
		return NULL;
	}
	if (unlikely(desc->data_len < len_min || !ivshmem_rx_is_inside(desc, layout->buf_len))) {
		rxq->stats.bad_length++;
		return NULL;
	}
	return bufs + (uint64_t)desc->buf * layout->buf_len + desc->data_off;
}

/* A loaded descriptor: where its payload is when that is a frame, whole. */
struct ivshmem_rx_piece {
	const uint8_t *data;		/* NULL: something else, to be looked at closer */
	uint32_t len;
	struct ivshmem_desc_shm desc;	/* only filled where buffers are lent */
};

/*
 * Load up to cnt descriptors, and ask for payload that will be copied. One look at all that makes a
 * plain piece: no flag, and the rules of ivshmem_rx_payload(); without lending, the ring's own
 * section and a frame that fits one mbuf, too.
 */
static __rte_always_inline void	/* measured: as ivshmem_rx_run() */
ivshmem_rx_stage(const struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring, uint32_t idx,
		 uint32_t cnt, struct ivshmem_rx_piece *stage, bool lend)
{
	const struct ivshmem_layout *layout = &rxq->dev->layout;
	const uint32_t len_max = lend ? rxq->frame_max : rxq->plain_max;
	const uint32_t buf_cnt = layout->buf_cnt;
	const uint32_t buf_len = layout->buf_len;
	const uint32_t mask = ring->size - 1;

	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_desc_shm desc = ivshmem_rx_load(&ring->entries[(idx + i) &
										    mask]);
		const uint8_t *bufs = lend ? ivshmem_rx_section(rxq, ring, desc.section) :
			ring->section + layout->buf_off;
		const uint32_t section = lend ? 0 : desc.section ^ ring->slot;
		const uint32_t len = desc.data_len;

		stage[i].data = NULL;
		stage[i].len = len;
		if (lend)
			stage[i].desc = desc;
		if (likely((section | desc.flags) == 0 && bufs != NULL &&
			   len - IVSHMEM_ABI_FRAME_MIN <= len_max - IVSHMEM_ABI_FRAME_MIN &&
			   desc.buf < buf_cnt && ivshmem_rx_is_inside(&desc, buf_len))) {
			stage[i].data = bufs + (uint64_t)desc.buf * buf_len + desc.data_off;
			if (!lend || len <= IVSHMEM_COPYBREAK)
				rte_prefetch0(stage[i].data);
		}
	}
}

/*
 * Whether a frame of len bytes, first piece desc, may be lent now: applications read its headers
 * as 16-bit words, and the sender keeps half of its buffers.
 */
static inline bool
ivshmem_rx_may_lend(const struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring,
		    const struct ivshmem_desc_shm *desc, uint32_t len, uint32_t pieces)
{
	return len > IVSHMEM_COPYBREAK && desc->data_off % IVSHMEM_LEND_ALIGN == 0 &&
		rxq->loans->spare_cnt >= pieces && ring->out + pieces <= ring->out_max;
}

/* ivshmem_rx_frame.c */

/*
 * The slow path: any frame that starts at *idx, into head, an empty mbuf. Moves *idx behind the
 * frame unless it stays.
 */
enum ivshmem_rx_fate ivshmem_rx_frame(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring,
				      uint32_t *idx, struct rte_mbuf *head);
/* Whether a frame is for somebody else; only asked when the port is not promiscuous. */
bool ivshmem_rx_is_foreign(struct ivshmem_rxq *rxq, const struct rte_mbuf *mbuf);
/* Give a head mbuf back its empty state after a frame was dropped half-way. */
void ivshmem_rx_empty(struct rte_mbuf *head);

#endif /* IVSHMEM_RX_DESC_H */
