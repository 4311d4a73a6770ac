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
ivshmem_rx_load(const struct ivshmem_consumer *ring, uint32_t idx)
{
	const uint64_t *shm = (const uint64_t *)&ring->entries[idx & (ring->size - 1)].desc;
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
	if (unlikely(desc->data_len < len_min ||
		     (uint32_t)desc->data_off + desc->data_len > layout->buf_len)) {
		rxq->stats.bad_length++;
		return NULL;
	}
	return bufs + (uint64_t)desc->buf * layout->buf_len + desc->data_off;
}

/* Private copies of up to cnt descriptors; payload that will be copied is asked for. */
static inline void
ivshmem_rx_stage(const struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring, uint32_t idx,
		 uint32_t cnt, struct ivshmem_desc_shm *stage, bool lend)
{
	const struct ivshmem_layout *layout = &rxq->dev->layout;
	const uint8_t *bufs = ring->section + layout->buf_off;

	for (uint32_t i = 0; i < cnt; i++) {
		stage[i] = ivshmem_rx_load(ring, idx + i);
		if (likely(stage[i].buf < layout->buf_cnt) &&
		    (!lend || stage[i].data_len <= IVSHMEM_COPYBREAK))
			rte_prefetch0(bufs + (uint64_t)stage[i].buf * layout->buf_len +
				      stage[i].data_off);
	}
}

/* Whether a buffer of len bytes may be lent now: the sender keeps half of its buffers. */
static inline bool
ivshmem_rx_may_lend(const struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring,
		    uint32_t len, uint32_t pieces)
{
	return len > IVSHMEM_COPYBREAK && rxq->loans->spare_cnt >= pieces &&
		ring->out + pieces <= ring->out_max;
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
