/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The transmit burst of a wire, copy mode, and the steps that a segment's burst is made of, too:
 * mbufs into own buffers, descriptors into the ring.
 *
 * On a wire a full ring, a missing peer and a link that is down are back-pressure: the burst takes
 * fewer frames than offered and nothing is lost. Frames that no wire could carry are freed and
 * counted by reason.
 *
 * Ordering: P1 in publish, C2 in refresh; one of each a burst.
 * Threads: one thread a queue.
 */

#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "ivshmem_session.h"
#include "ivshmem_tx_desc.h"

/* Lead the ring to another Rx queue of the other port: its queue count changed. */
static void
ivshmem_tx_lead(struct ivshmem_txq *txq, struct ivshmem_dest *dest, uint32_t rxq)
{
	const struct ivshmem_layout *layout = &txq->dev->layout;
	struct ivshmem_section_shm *own = txq->dev->port.section;
	struct ivshmem_producer *ring = &dest->ring;
	const uint32_t desc_cnt = ring->size;
	const uint64_t desc_off = ring->desc_off;
	struct ivshmem_section_shm *other;
	bool barred;

	ring->ready = false;
	barred = ivshmem_tx_lend_bar(dest);
	if (ivshmem_producer_poll(ring) == IVSHMEM_RING_ADOPT)
		ivshmem_producer_adopt(ring);	/* counts what the old Rx queue left behind */
	ivshmem_producer_start(ring, own, desc_off, 0);
	other = ivshmem_layout_section(txq->dev->port.base, layout, dest->slot);
	ring->own = ivshmem_layout_prod(own, layout,
		ivshmem_layout_end(layout, dest->slot, txq->queue_id, rxq));
	ring->peer = ivshmem_layout_cons(other, layout,
		ivshmem_layout_end(layout, txq->slot, txq->queue_id, rxq));
	ring->mine = 0;
	ivshmem_producer_start(ring, own, desc_off, desc_cnt);
	if (barred)
		ivshmem_tx_lend_tell_barred(dest);
	dest->rxq = rxq;
	dest->line = ivshmem_layout_rxq(other, layout, rxq);
	ivshmem_store32_release(&txq->dir_gen, ivshmem_load32(&txq->dir_gen) + 1);
}

/*
 * Full barrier between the published index and the look at arm (A2); it pairs with the one between
 * the store of arm and the second look (A1, ivshmem_intr.c): one of both sees the other's store.
 */
__rte_noinline void
ivshmem_tx_bell(struct ivshmem_txq *txq, struct ivshmem_dest *dest)
{
	struct ivshmem_transport *transport = &txq->dev->transport;
	const struct ivshmem_producer *ring = &dest->ring;
	uint32_t arm;

	ivshmem_fence_full();							/* A2 */
	arm = ivshmem_load32_acquire(&dest->line->arm);		/* pairs with intr_enable */
	if (arm == 0 || arm == dest->rung)
		return;
	/*
	 * Read before it armed: a ring now would end no sleep on a shared vector, whose relay finds
	 * nothing new, and be the only one of this sleep.
	 */
	if (ring->ready && ivshmem_load64(&ring->peer->cw) ==
	    ivshmem_ring_word(ring->yours, ring->prod))
		return;
	dest->rung = arm;
	if (transport->ops->ring(transport, dest->slot, ivshmem_load32(&dest->line->vector)))
		dest->stats.doorbells++;
}

/*
 * The session begins, or took a step that the other end may sleep through: look at it anew. If it
 * knows of the step already, the ring ends no sleep: the first frame rings, too.
 */
static void
ivshmem_tx_meet(struct ivshmem_txq *txq, struct ivshmem_dest *dest)
{
	dest->rung = 0;
	dest->may_arm = txq->dev->transport.ops->ring != NULL &&
		ivshmem_load32(&dest->line->may_arm) != 0;
	if (dest->may_arm)
		ivshmem_tx_bell(txq, dest);
	dest->rung = 0;
}

__rte_noinline bool
ivshmem_tx_session(struct ivshmem_txq *txq, struct ivshmem_dest *dest)
{
	const uint32_t want = ivshmem_load32_acquire(&dest->want);	/* pairs with lead_queues */
	const uint32_t anew = ivshmem_load32(&txq->anew);
	struct ivshmem_producer *ring = &dest->ring;
	enum ivshmem_ring_todo todo;
	bool barred = false;

	if ((want & UINT16_MAX) != dest->rxq)
		ivshmem_tx_lead(txq, dest, want & UINT16_MAX);
	else if (want != dest->want_seen && ring->ready)
		ivshmem_producer_refresh(ring);		/* Q3 */
	if (want != dest->want_seen)
		ring->backoff = 0;	/* bursts may be rare, and the liar gone */
	dest->want_seen = want;
	todo = anew != dest->anew_done ? IVSHMEM_RING_BUMP : ivshmem_producer_poll(ring);
	dest->anew_done = anew;
	if (todo == IVSHMEM_RING_BUMP || todo == IVSHMEM_RING_ADOPT)
		barred = ivshmem_tx_lend_bar(dest);
	if (todo == IVSHMEM_RING_BUMP) {
		ivshmem_producer_start(ring, txq->dev->port.section, ring->desc_off, ring->size);
		ivshmem_tx_meet(txq, dest);
	} else if (todo == IVSHMEM_RING_ADOPT) {
		ivshmem_producer_adopt(ring);
		ivshmem_tx_meet(txq, dest);
		/* it may have adopted us already: then the first burst gets through */
		todo = ivshmem_producer_poll(ring);
	}
	if (barred)
		ivshmem_tx_lend_tell_barred(dest);
	dest->next = ring->prod;
	if (todo == IVSHMEM_RING_USE)
		ivshmem_tx_lend_ready(dest);
	return todo == IVSHMEM_RING_USE;
}

/* Descriptors that may be filled; asks the consumer if there are fewer than wanted. */
static inline uint32_t
ivshmem_tx_room(struct ivshmem_dest *dest, uint32_t want)
{
	if (ivshmem_tx_left(dest) < want)
		ivshmem_producer_refresh(&dest->ring);
	return ivshmem_tx_left(dest);
}

uint32_t
ivshmem_tx_pieces(struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
		  const struct rte_mbuf *mbuf)
{
	uint32_t pieces = 1;

	if (mbuf->pkt_len < IVSHMEM_ABI_FRAME_MIN) {
		txq->stats.too_short++;
		return 0;
	}
	for (uint64_t carried = txq->room;
	     carried < RTE_MIN(mbuf->pkt_len, IVSHMEM_FRAME_MAX); carried += txq->room)
		pieces++;
	if (mbuf->pkt_len > IVSHMEM_FRAME_MAX || pieces > IVSHMEM_ABI_CHAIN_MAX ||
	    pieces > dest->cycle_cnt) {
		txq->stats.too_long++;
		return 0;
	}
	return pieces;
}

void
ivshmem_tx_gather(struct ivshmem_txq *txq, struct ivshmem_dest *dest,
		  const struct rte_mbuf *mbuf, uint32_t pieces)
{
	const bool small = ivshmem_tx_is_small(dest, mbuf->pkt_len, pieces);
	const struct rte_mbuf *segment = mbuf;
	uint32_t left = mbuf->pkt_len;
	uint32_t taken = 0;

	for (; pieces > 0; pieces--, dest->next++) {
		const uint32_t len = RTE_MIN(left, txq->room);
		struct ivshmem_desc_shm desc = ivshmem_tx_place(txq, dest, small);
		uint8_t *data = ivshmem_tx_data(txq, desc.buf);

		/* the first descriptor of a frame holds its header: room >= 128 > 14 */
		for (uint32_t filled = 0; filled < len && segment != NULL;) {
			const uint32_t part = RTE_MIN(len - filled, segment->data_len - taken);

			ivshmem_copy(data + filled,
				     rte_pktmbuf_mtod_offset(segment, const void *, taken), part);
			filled += part;
			taken += part;
			if (taken == segment->data_len) {
				segment = segment->next;
				taken = 0;
			}
		}
		left -= len;
		desc.data_len = len;
		desc.flags = left > 0 ? IVSHMEM_DESC_MORE : 0;
		ivshmem_tx_put(dest, &desc);
	}
}

/* Any frame: returns its pieces, 0 when no ring could carry it, UINT32_MAX when it has to wait. */
static __rte_noinline uint32_t
ivshmem_tx_any(struct ivshmem_txq *txq, struct ivshmem_dest *dest, const struct rte_mbuf *mbuf)
{
	const uint32_t pieces = ivshmem_tx_pieces(txq, dest, mbuf);

	txq->odd = true;
	if (pieces == 0)
		return 0;
	if (ivshmem_tx_room(dest, pieces) < pieces)
		return UINT32_MAX;
	ivshmem_tx_gather(txq, dest, mbuf, pieces);
	return pieces;
}

void
ivshmem_tx_free(struct ivshmem_txq *txq, struct rte_mbuf **bufs, uint32_t cnt)
{
	if (txq->fast_free && !txq->odd && cnt != 0 && ivshmem_load32(&ivshmem_loans_seen) == 0) {
		rte_mempool_put_bulk(bufs[0]->pool, (void **)bufs, cnt);
		return;
	}
	ivshmem_loan_batch_begin();
	if (txq->stats.passed != txq->passed_seen) {	/* some of them, since the last burst */
		ivshmem_tx_free_bulk(bufs, cnt, true);
		txq->passed_seen = txq->stats.passed;
	} else {
		ivshmem_tx_free_bulk(bufs, cnt, false);
	}
	ivshmem_loan_batch_end();
	if (txq->odd)
		txq->odd = false;
}

/*
 * Frames that are copied. For a consumer that lends only plain ones of up to small bytes: returns
 * at the first that is another.
 */
static uint32_t
ivshmem_tx_fill_copy(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		     uint32_t cnt, uint32_t small, bool lends, uint32_t room)
{
	/* copies: a store to the region would have the compiler load them again */
	struct ivshmem_entry_shm *const entries = dest->ring.entries;
	const struct ivshmem_tx_template words = ivshmem_tx_template(txq, dest);
	const uint32_t mask = dest->ring.size - 1;
	const uint32_t len_max = RTE_MIN(small, txq->room);
	const uint32_t buf_len = txq->buf_len;
	const uint32_t buf_end = dest->buf_first + dest->cycle_cnt;
	const uint32_t ahead = dest->ahead;
	const bool asks = dest->asks;
	uint32_t buf = dest->buf_next;
	uint8_t *data = ivshmem_tx_data(txq, buf);
	uint32_t next = dest->next;
	uint32_t frames = 0;
	uint64_t bytes = 0;
	uint32_t done;

	for (done = 0; done < cnt; done++) {
		const struct rte_mbuf *mbuf = bufs[done];
		const uint32_t len = mbuf->data_len;

		if (likely(mbuf->nb_segs == 1 && len >= IVSHMEM_ABI_FRAME_MIN && len <= len_max)) {
			if (unlikely(room == 0))
				break;
			ivshmem_tx_describe(entries, words, next & mask, buf, len, 0);
			ivshmem_copy(data, rte_pktmbuf_mtod(mbuf, const void *), len);
			if (asks)
				ivshmem_tx_ask_frame(&entries[next & mask], data + ahead, len);
			data += buf_len;
			if (unlikely(++buf == buf_end)) {
				buf = dest->buf_first;
				data = ivshmem_tx_data(txq, buf);
			}
			next++;
			room--;
		} else {
			uint32_t pieces;

			if (lends)
				break;
			dest->buf_next = buf;
			dest->next = next;
			pieces = ivshmem_tx_any(txq, dest, mbuf);
			if (pieces == UINT32_MAX)
				break;
			next = dest->next;
			room = ivshmem_tx_left(dest);
			buf = dest->buf_next;
			data = ivshmem_tx_data(txq, buf);
			if (pieces == 0)
				continue;
		}
		frames++;
		bytes += mbuf->pkt_len;
	}
	dest->buf_next = buf;
	dest->next = next;
	dest->frames += frames;
	dest->bytes += bytes;
	return done;
}

static __rte_always_inline uint32_t	/* measured: 73 stores a burst of 1, else 83 */
ivshmem_tx_fill_dest(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		     uint32_t cnt)
{
	uint32_t done = 0;

	/* by the first frame: to look at each costs 5 instructions a frame */
	dest->asks = cnt >= IVSHMEM_TX_ASK_BURST &&
		(cnt >= IVSHMEM_TX_ASK_SMALL || bufs[0]->data_len > RTE_CACHE_LINE_MIN_SIZE);
	if (dest->ring.ret_cnt == 0)
		return ivshmem_tx_fill_copy(txq, dest, bufs, cnt, IVSHMEM_FRAME_MAX, false,
					    ivshmem_tx_room(dest, cnt));
	if (cnt != 0 && bufs[0]->data_len <= dest->ring.copybreak)
		done = ivshmem_tx_fill_copy(txq, dest, bufs, cnt, dest->ring.copybreak, true,
					    ivshmem_tx_lend_look(dest, cnt));
	if (done == cnt)
		return cnt;
	txq->odd = true;
	return done + ivshmem_tx_fill_lend(txq, dest, bufs + done, cnt - done);
}

uint32_t
ivshmem_tx_fill(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		uint32_t cnt)
{
	return ivshmem_tx_fill_dest(txq, dest, bufs, cnt);
}

static __rte_always_inline uint16_t	/* measured: as fill_dest */
ivshmem_tx_wire(struct ivshmem_txq *txq, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	struct ivshmem_dest *dest = txq->wire;
	struct ivshmem_producer *ring = &dest->ring;
	uint16_t sent;

	if (ivshmem_load32(&dest->open) == 0)
		return 0;
	if (unlikely(!ring->ready || ivshmem_load32(&dest->want) != dest->want_seen) &&
	    !ivshmem_tx_session(txq, dest))
		return 0;
	sent = ivshmem_tx_fill_dest(txq, dest, bufs, nb_bufs);
	if (likely(ring->ready)) {
		if (dest->next != ring->prod) {
			ivshmem_producer_publish(ring, dest->next);
			if (dest->may_arm)
				ivshmem_tx_bell(txq, dest);
		}
		ivshmem_tx_free(txq, bufs, sent);
		txq->stats.packets += dest->frames;
		txq->stats.bytes += dest->bytes;
		if (sent < nb_bufs)
			txq->stats.full++;
	} else {	/* the peer went while we wrote: the frames stay the caller's */
		ivshmem_tx_lend_undo(dest);
		sent = 0;
	}
	dest->frames = 0;
	dest->bytes = 0;
	return sent;
}

uint16_t
ivshmem_tx_burst(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	return ivshmem_tx_wire(queue, bufs, nb_bufs);
}

uint16_t
ivshmem_tx_burst_lend(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	struct ivshmem_txq *txq = queue;
	const uint32_t hold = ivshmem_lock_try(&txq->lock, true);
	uint16_t sent;

	if (unlikely(hold == IVSHMEM_HOLD_NONE))
		return 0;	/* the control thread takes back what is returned just now */
	ivshmem_store32(&txq->bursts, ivshmem_load32(&txq->bursts) + 1);
	sent = txq->dev->fdb == NULL ? ivshmem_tx_wire(queue, bufs, nb_bufs) :
		ivshmem_tx_burst_segment(queue, bufs, nb_bufs);
	ivshmem_lock_leave(&txq->lock, hold);
	return sent;
}
