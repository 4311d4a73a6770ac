/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The transmit burst, copy mode: mbufs into own buffers, descriptors into the ring.
 *
 * On a wire a full ring, a missing peer and a link that is down are back-pressure: the burst takes
 * fewer frames than offered and nothing is lost. Frames that no wire could carry are freed and
 * counted by reason.
 *
 * Ordering: P1 in publish, C2 in refresh; one of each a burst.
 * Threads: one thread a queue.
 */

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_rxtx.h"
#include "ivshmem_session.h"

/* Lead the queue's ring to another Rx queue of the other port: its queue count changed. */
static void
ivshmem_tx_lead(struct ivshmem_txq *txq, uint32_t rxq)
{
	const struct ivshmem_layout *layout = &txq->dev->layout;
	struct ivshmem_section_shm *own = txq->dev->port.section;
	struct ivshmem_producer *ring = &txq->ring;
	const uint32_t desc_cnt = ring->size;
	const uint64_t desc_off = ring->desc_off;
	struct ivshmem_section_shm *other;

	ring->ready = false;
	if (ivshmem_producer_poll(ring) == IVSHMEM_RING_ADOPT)
		ivshmem_producer_adopt(ring);	/* counts what the old Rx queue left behind */
	ivshmem_producer_start(ring, own, desc_off, 0);
	other = ivshmem_layout_section(txq->dev->port.base, layout, txq->dev->other);
	ring->own = ivshmem_layout_prod(own, layout,
		ivshmem_layout_end(layout, txq->dev->other, txq->queue_id, rxq));
	ring->peer = ivshmem_layout_cons(other, layout,
		ivshmem_layout_end(layout, txq->slot, txq->queue_id, rxq));
	ring->mine = 0;
	ivshmem_producer_start(ring, own, desc_off, desc_cnt);
	txq->rxq = rxq;
	ivshmem_store32_release(&txq->dir_gen, ivshmem_load32(&txq->dir_gen) + 1);
}

/* The ring is not ready, or something is wanted: take the next step. True when it may be used. */
static __rte_noinline bool
ivshmem_tx_session(struct ivshmem_txq *txq)
{
	const uint32_t want = ivshmem_load32(&txq->want);
	struct ivshmem_producer *ring = &txq->ring;

	if ((want & UINT16_MAX) != txq->rxq)
		ivshmem_tx_lead(txq, want & UINT16_MAX);
	else if (want != txq->want_seen && ring->ready)
		ivshmem_producer_refresh(ring);		/* Q3 */
	txq->want_seen = want;
	switch (ivshmem_producer_poll(ring)) {
	case IVSHMEM_RING_USE:
		return true;
	case IVSHMEM_RING_ADOPT:
		ivshmem_producer_adopt(ring);
		break;
	case IVSHMEM_RING_BUMP:
		ivshmem_producer_start(ring, txq->dev->port.section, ring->desc_off, ring->size);
		break;
	case IVSHMEM_RING_WAIT:
		break;
	}
	return false;
}

/* Descriptors that may be filled from prod on; asks the consumer if there are fewer than want. */
static inline uint32_t
ivshmem_tx_room(struct ivshmem_txq *txq, uint32_t prod, uint32_t want)
{
	struct ivshmem_producer *ring = &txq->ring;

	if (txq->limit - (prod - ring->cons) < want)
		ivshmem_producer_refresh(ring);
	return txq->limit - (prod - ring->cons);
}

/* The next buffer of the cycle (Q1). */
static inline uint32_t
ivshmem_tx_buffer(struct ivshmem_txq *txq)
{
	const uint32_t buf = txq->buf_next;

	txq->buf_next = buf + 1 == txq->buf_first + txq->buf_cnt ? txq->buf_first : buf + 1;
	return buf;
}

static inline void
ivshmem_tx_describe(struct ivshmem_txq *txq, uint32_t prod, uint32_t buf, uint32_t len,
		    uint32_t flags)
{
	const uint32_t slot = prod & (txq->ring.size - 1);

	txq->ring.entries[slot].desc = (struct ivshmem_desc_shm) {
		.section = txq->slot,
		.flags = flags,
		.buf = buf,
		.data_off = txq->headroom,
		.data_len = len,
		.cookie = slot << 16 | (txq->ring.mine & UINT16_MAX),
	};
}

static inline uint8_t *
ivshmem_tx_data(const struct ivshmem_txq *txq, uint32_t buf)
{
	return txq->bufs + (uint64_t)buf * txq->buf_len + txq->headroom;
}

/* In how many buffers the frame travels; 0, counted by reason, when no wire could carry it. */
static uint32_t
ivshmem_tx_pieces(struct ivshmem_txq *txq, const struct rte_mbuf *mbuf)
{
	uint32_t pieces = 1;

	if (mbuf->pkt_len < IVSHMEM_ABI_FRAME_MIN) {
		txq->stats.too_short++;
		return 0;
	}
	for (uint64_t carried = txq->room; carried < mbuf->pkt_len; carried += txq->room)
		pieces++;
	if (mbuf->pkt_len > IVSHMEM_FRAME_MAX || pieces > IVSHMEM_ABI_CHAIN_MAX ||
	    pieces > txq->limit) {
		txq->stats.too_long++;
		return 0;
	}
	return pieces;
}

/* Any frame: gather its segments into as many buffers as it needs. */
static __rte_noinline void
ivshmem_tx_gather(struct ivshmem_txq *txq, const struct rte_mbuf *mbuf, uint32_t prod,
		  uint32_t pieces)
{
	const struct rte_mbuf *segment = mbuf;
	uint32_t left = mbuf->pkt_len;
	uint32_t taken = 0;

	for (; pieces > 0; pieces--, prod++) {
		const uint32_t len = RTE_MIN(left, txq->room);
		const uint32_t buf = ivshmem_tx_buffer(txq);
		uint8_t *data = ivshmem_tx_data(txq, buf);

		/* the first descriptor of a frame holds its header: room >= 128 > 14 */
		for (uint32_t filled = 0; filled < len && segment != NULL;) {
			const uint32_t part = RTE_MIN(len - filled, segment->data_len - taken);

			rte_memcpy(data + filled,
				   rte_pktmbuf_mtod_offset(segment, const uint8_t *, taken), part);
			filled += part;
			taken += part;
			if (taken == segment->data_len) {
				segment = segment->next;
				taken = 0;
			}
		}
		left -= len;
		ivshmem_tx_describe(txq, prod, buf, len, left > 0 ? IVSHMEM_DESC_MORE : 0);
	}
}

uint16_t
ivshmem_tx_burst(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	struct ivshmem_txq *txq = queue;
	struct ivshmem_producer *ring = &txq->ring;
	uint64_t packets = 0;
	uint64_t bytes = 0;
	uint16_t sent;
	uint32_t prod;
	uint32_t room;

	if (ivshmem_load32(&txq->dev->open) == 0)
		return 0;
	if (unlikely(!ring->ready || ivshmem_load32(&txq->want) != txq->want_seen) &&
	    !ivshmem_tx_session(txq))
		return 0;

	prod = ring->prod;
	room = ivshmem_tx_room(txq, prod, nb_bufs);
	for (sent = 0; sent < nb_bufs; sent++) {
		const struct rte_mbuf *mbuf = bufs[sent];
		uint32_t pieces = 1;

		if (likely(mbuf->nb_segs == 1 && mbuf->data_len <= txq->room &&
			   mbuf->data_len >= IVSHMEM_ABI_FRAME_MIN)) {
			uint32_t buf;

			if (unlikely(room == 0))
				break;
			buf = ivshmem_tx_buffer(txq);
			rte_memcpy(ivshmem_tx_data(txq, buf),
				   rte_pktmbuf_mtod(mbuf, const void *), mbuf->data_len);
			ivshmem_tx_describe(txq, prod, buf, mbuf->data_len, 0);
		} else {
			pieces = ivshmem_tx_pieces(txq, mbuf);
			if (pieces == 0)
				continue;
			if (pieces > room)
				room = ivshmem_tx_room(txq, prod, pieces);
			if (pieces > room)
				break;
			ivshmem_tx_gather(txq, mbuf, prod, pieces);
		}
		prod += pieces;
		room -= pieces;
		packets++;
		bytes += mbuf->pkt_len;
	}
	if (unlikely(!ring->ready))	/* the peer went while we wrote: nothing was published */
		return 0;
	if (prod != ring->prod)
		ivshmem_producer_publish(ring, prod);
	rte_pktmbuf_free_bulk(bufs, sent);
	txq->stats.packets += packets;
	txq->stats.bytes += bytes;
	txq->stats.full += sent < nb_bufs;
	return sent;
}
