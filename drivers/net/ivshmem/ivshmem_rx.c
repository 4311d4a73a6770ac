/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The receive bursts: check descriptors, copy payload into mbufs or lend it up, look again.
 *
 * Stages of a ring's turn: (1) load and check descriptors into a private array, asking for their
 * payload; (2) copy each frame into mbufs; (3) second look at the epoch; (4) give the descriptors
 * back. A descriptor that breaks a rule is counted by reason, consumed and dropped. With
 * zero_copy=1 frames above IVSHMEM_COPYBREAK at even addresses are lent in step (2); buffers of
 * frames above it are given back by cookie.
 *
 * Invariants:
 *  X1. A descriptor is loaded into private memory and checked there; payload addresses come from
 *      checked values only, in 64-bit arithmetic, inside the section that it names. Frames that
 *      are no plain piece are loaded anew, whole, and checked anew.
 *  X2. Frames are handed up only after the second look (R4).
 *  X3. Work of a burst is bounded by nb_bufs * IVSHMEM_ABI_CHAIN_MAX descriptors a ring.
 * Ordering: C1 in avail, P2 in release; one of each a ring's turn.
 * Threads: one thread a queue.
 */

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "ivshmem_rx_desc.h"
#include "ivshmem_session.h"

#define IVSHMEM_RX_REAP_POLLS	16u	/* empty polls between looks for what was returned */

bool
ivshmem_rx_list_offer(struct ivshmem_rxq *rxq, const uint16_t *list, uint32_t cnt)
{
	const uint32_t want = ivshmem_load32(&rxq->list_want);
	const uint32_t next = (want >> 16) + 1;
	uint16_t *target = rxq->list + (next & 1) * rxq->ring_cnt;

	if (ivshmem_load32_acquire(&rxq->list_taken) != want)	/* pairs with list_take */
		return false;
	if (cnt == (want & UINT16_MAX) && ivshmem_load32(&rxq->anew) == rxq->anew_offered &&
	    memcmp(rxq->list + (want >> 16 & 1) * rxq->ring_cnt, list, cnt * sizeof(*list)) == 0)
		return true;
	memcpy(target, list, cnt * sizeof(*list));
	rxq->anew_offered = ivshmem_load32(&rxq->anew);
	ivshmem_store32_release(&rxq->list_want, next << 16 | cnt);
	return true;
}

static __rte_noinline void
ivshmem_rx_list_take(struct ivshmem_rxq *rxq)
{
	const uint32_t want = ivshmem_load32_acquire(&rxq->list_want);	/* pairs with list_offer */

	rxq->list_sel = want >> 16 & 1;
	rxq->list_cnt = rxq->dev->dead ? 0 : want & UINT16_MAX;	/* else offered before that */
	rxq->list_at = 0;
	if (ivshmem_load32(&rxq->anew) != rxq->anew_done && !rxq->dev->dead) {
		rxq->anew_done = ivshmem_load32(&rxq->anew);
		for (uint32_t ring = 0; ring < rxq->ring_cnt; ring++)
			ivshmem_consumer_start(&rxq->rings[ring]);
	}
	ivshmem_store32_release(&rxq->list_taken, want);
}

/* The ring is not ready: take the next step. True when it may be used. */
static __rte_noinline bool
ivshmem_rx_session(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring)
{
	switch (ivshmem_consumer_poll(ring)) {
	case IVSHMEM_RING_USE:
		return true;
	case IVSHMEM_RING_ADOPT:
		ivshmem_consumer_adopt(ring, &rxq->dev->layout);
		break;
	case IVSHMEM_RING_BUMP:
		ivshmem_consumer_start(ring);
		break;
	case IVSHMEM_RING_WAIT:
		break;
	}
	return false;
}

/* Segment: remember which port the source addresses belong to, at most once a tick each. */
static __rte_noinline void
ivshmem_rx_learn(struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring,
		 struct rte_mbuf **bufs, uint32_t cnt)
{
	struct ivshmem_fdb *fdb = rxq->dev->fdb;
	uint64_t *learned = &rxq->learned[ring - rxq->rings];

	for (uint32_t i = 0; i < cnt; i++) {
		const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(bufs[i],
								     const struct rte_ether_hdr *);
		const uint64_t key = ivshmem_fdb_key(ether->src_addr.addr_bytes);
		const uint64_t lesson = key << 16 | ivshmem_load32(&fdb->tick);

		if (lesson == *learned)
			continue;
		ivshmem_fdb_learn(fdb, key, ring->slot);
		*learned = lesson;
	}
}

/* As many raw mbufs as there are, up to cnt. */
static inline uint32_t
ivshmem_rx_mbufs(struct ivshmem_rxq *rxq, struct rte_mbuf **bufs, uint32_t cnt)
{
	while (unlikely(rte_mempool_get_bulk(rxq->pool, (void **)bufs, cnt) != 0)) {
		cnt /= 2;
		if (cnt == 0) {
			rxq->stats.nombuf++;
			break;
		}
	}
	return cnt;
}

/*
 * Make a raw mbuf a frame of one segment: the pool keeps "next", and as other drivers count on,
 * nothing of the second cache line needs to be set.
 */
static inline void
ivshmem_rx_init(struct rte_mbuf *mbuf, struct ivshmem_rx_fresh fresh, uint32_t len)
{
	memcpy(&mbuf->rearm_data, &fresh, sizeof(fresh));
	mbuf->packet_type = 0;
	mbuf->pkt_len = len;
	mbuf->data_len = len;
}

/* zero_copy=1, above the copybreak: lend it, or copy it. False when it is a case for rx_frame. */
static inline bool
ivshmem_rx_large(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring,
		 const struct ivshmem_rx_piece *piece, struct rte_mbuf *mbuf)
{
	const struct ivshmem_desc_shm *desc = &piece->desc;

	if (likely(ivshmem_rx_may_lend(rxq, ring, desc, piece->len, 1))) {
		rxq->stats.lent++;
		ivshmem_loan_lend(rxq->loans, ring, desc, (uint8_t *)(uintptr_t)piece->data -
				  desc->data_off, rxq->dev->layout.buf_len, mbuf);
		return true;
	}
	if (piece->len > rxq->plain_max)
		return false;
	ivshmem_copy((uint8_t *)mbuf->buf_addr + RTE_PKTMBUF_HEADROOM, piece->data, piece->len);
	ivshmem_consumer_return(ring, desc->cookie);
	return true;
}

/* The run of plain pieces that begins here: copied into mbufs, or lent. Returns how many. */
static __rte_always_inline uint32_t	/* measured: 96 instructions a packet, else 109 */
ivshmem_rx_run(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring,
	       const struct ivshmem_rx_piece *stage, uint32_t cnt, struct rte_mbuf **bufs,
	       uint64_t *bytes, bool lend)
{
	const struct ivshmem_rx_fresh fresh = rxq->fresh;
	const uint32_t copy_max = RTE_MIN(rxq->plain_max, IVSHMEM_COPYBREAK);
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < cnt && stage[i].data != NULL; i++) {
		const uint32_t len = stage[i].len;
		struct rte_mbuf *mbuf = bufs[i];

		ivshmem_rx_init(mbuf, fresh, len);
		if (!lend || len <= copy_max)
			ivshmem_copy((uint8_t *)mbuf->buf_addr + RTE_PKTMBUF_HEADROOM,
				     stage[i].data, len);
		else if (unlikely(!ivshmem_rx_large(rxq, ring, &stage[i], mbuf)))
			break;
		sum += len;
	}
	*bytes += sum;
	return i;
}

/* Not promiscuous: whether the frame is not for us, and dropped. */
static __rte_noinline bool
ivshmem_rx_drop_foreign(struct ivshmem_rxq *rxq, struct rte_mbuf *mbuf, uint64_t *bytes)
{
	if (!ivshmem_rx_is_foreign(rxq, mbuf))
		return false;
	*bytes -= mbuf->pkt_len;
	ivshmem_rx_empty(mbuf);
	return true;
}

/* A frame that is no plain piece, at *idx, which moves on behind it unless it stays. */
static __rte_noinline enum ivshmem_rx_fate
ivshmem_rx_odd(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring, uint32_t *idx,
	       struct rte_mbuf *mbuf)
{
	enum ivshmem_rx_fate fate;

	ivshmem_rx_init(mbuf, rxq->fresh, 0);
	fate = ivshmem_rx_frame(rxq, ring, idx, mbuf);
	if (rxq->filter && fate == IVSHMEM_RX_TAKEN && ivshmem_rx_is_foreign(rxq, mbuf))
		fate = IVSHMEM_RX_DROPPED;
	if (fate != IVSHMEM_RX_TAKEN)
		ivshmem_rx_empty(mbuf);
	return fate;
}

/* The session ended while they were copied: they may be anything. */
static __rte_noinline void
ivshmem_rx_discard(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring, struct rte_mbuf **bufs,
		   uint32_t cnt)
{
	rte_pktmbuf_free_bulk(bufs, cnt);
	rxq->stats.discarded += cnt;
	ring->ready = false;
}

/* One ring's turn: up to nb_bufs frames. */
static __rte_always_inline uint32_t	/* measured: 137 instructions a packet, else 145 */
ivshmem_rx_ring(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring, struct rte_mbuf **bufs,
		uint32_t nb_bufs, bool lend)
{
	struct ivshmem_rx_piece stage[IVSHMEM_RX_STAGE];
	enum ivshmem_rx_fate fate = IVSHMEM_RX_TAKEN;
	uint32_t batch = IVSHMEM_RX_STAGE;
	const uint32_t returned = ring->ret;
	const bool filter = rxq->filter;
	uint32_t idx = ring->cons;
	uint32_t frames = 0;
	uint64_t bytes = 0;

	if (ring->prod - idx < nb_bufs && ivshmem_consumer_avail(ring) == 0)
		return 0;
	while (frames < nb_bufs && idx != ring->prod && fate != IVSHMEM_RX_NOMBUF &&
	       idx - ring->cons < nb_bufs * IVSHMEM_ABI_CHAIN_MAX) {	/* X3 */
		const uint32_t want = RTE_MIN(nb_bufs - frames, ring->prod - idx);
		const uint32_t first = idx;
		const uint32_t cnt = ivshmem_rx_mbufs(rxq, bufs + frames, RTE_MIN(want, batch));
		const uint32_t fresh = frames + cnt;

		if (unlikely(cnt == 0))
			break;
		ivshmem_rx_stage(rxq, ring, first, cnt, stage, lend);
		/* a chain moves idx past what was staged: then stage anew */
		for (uint32_t i = 0; i < cnt && idx == first + i && fate != IVSHMEM_RX_NOMBUF;
		     i++) {
			const uint32_t most = filter ? 1 : cnt - i;
			const uint32_t run = ivshmem_rx_run(rxq, ring, stage + i, most,
							    bufs + frames, &bytes, lend);

			frames += run;
			idx += run;
			if (unlikely(filter) && run != 0) {
				frames -= ivshmem_rx_drop_foreign(rxq, bufs[frames - 1], &bytes);
				continue;
			}
			i += run;
			if (likely(i == cnt))
				break;
			fate = ivshmem_rx_odd(rxq, ring, &idx, bufs[frames]);
			if (likely(fate == IVSHMEM_RX_TAKEN))
				bytes += bufs[frames++]->pkt_len;
		}
		if (unlikely(fresh > frames))
			rte_pktmbuf_free_bulk(bufs + frames, fresh - frames);
		if (unlikely(fate == IVSHMEM_RX_NOMBUF) && cnt > 1) {
			fate = IVSHMEM_RX_TAKEN;	/* again, without the others' mbufs */
			batch = 1;
		}
	}
	if (unlikely(!ivshmem_consumer_unchanged(ring))) {
		ivshmem_rx_discard(rxq, ring, bufs, frames);
		return 0;
	}
	ivshmem_consumer_release(ring, idx);
	if (lend && ring->ret != returned)
		ivshmem_consumer_publish_returns(ring);
	if (rxq->learned != NULL)
		ivshmem_rx_learn(rxq, ring, bufs, frames);
	rxq->stats.packets += frames;
	rxq->stats.bytes += bytes;
	return frames;
}

static __rte_always_inline uint16_t	/* measured: the same */
ivshmem_rx_rings(struct ivshmem_rxq *rxq, struct rte_mbuf **bufs, uint16_t nb_bufs, bool lend)
{
	uint32_t received = 0;

	if (unlikely(ivshmem_load32(&rxq->list_want) != ivshmem_load32(&rxq->list_taken)))
		ivshmem_rx_list_take(rxq);
	for (uint32_t i = 0; i < rxq->list_cnt && received < nb_bufs; i++) {
		const uint16_t *list = rxq->list + rxq->list_sel * rxq->ring_cnt;
		struct ivshmem_consumer *ring = &rxq->rings[list[rxq->list_at]];

		if (++rxq->list_at == rxq->list_cnt)
			rxq->list_at = 0;
		if (likely(ring->ready) || ivshmem_rx_session(rxq, ring))
			received += ivshmem_rx_ring(rxq, ring, bufs + received,
						    nb_bufs - received, lend);
	}
	return received;
}

uint16_t
ivshmem_rx_burst(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	return ivshmem_rx_rings(queue, bufs, nb_bufs, false);
}

/* Nothing came: a forwarder sends nothing then, and what it sent before may be back. */
static __rte_noinline void
ivshmem_rx_idle(struct ivshmem_rxq *rxq)
{
	struct rte_eth_dev_data *data = rxq->dev->data;
	struct ivshmem_txq *txq;
	uint32_t bursts;

	if (++rxq->idle_cnt % IVSHMEM_RX_REAP_POLLS != 0 || rxq->queue_id >= data->nb_tx_queues)
		return;
	txq = data->tx_queues[rxq->queue_id];
	bursts = ivshmem_load32(&txq->bursts);
	/* else its own bursts do, on another lcore */
	if ((ivshmem_lock_is_own(&txq->lock) || bursts == rxq->tx_bursts_seen) &&
	    ivshmem_tx_is_holding(txq))
		ivshmem_tx_done_cleanup(txq, 0);
	rxq->tx_bursts_seen = bursts;
}

uint16_t
ivshmem_rx_burst_lend(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	struct ivshmem_rxq *rxq = queue;
	const uint32_t hold = ivshmem_lock_try(&rxq->loans->lock, true);
	uint16_t received;

	if (unlikely(hold == IVSHMEM_HOLD_NONE))
		return 0;	/* somebody gives loans back just now */
	rxq->loans->bursts++;
	ivshmem_loans_drain(rxq->loans);
	received = ivshmem_rx_rings(rxq, bufs, nb_bufs, true);
	ivshmem_lock_leave(&rxq->loans->lock, hold);
	if (received == 0)
		ivshmem_rx_idle(rxq);
	return received;
}
