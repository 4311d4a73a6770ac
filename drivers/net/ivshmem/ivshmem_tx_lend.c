/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Transmit steps for consumers that give buffers back by cookie.
 *
 * Frames are copied into own buffers, or passed on where they lie: received ones that are a loan of
 * the same region, when the consumer takes buffers of a third section. Who passes a buffer on holds
 * the mbuf until its cookie is back, and then frees it: so it goes back the way it came.
 *
 * Invariants:
 *  T1. An mbuf that is held has a reference of our own; the caller's is given up as for any other.
 *  T2. Never more is out than the consumer's return ring has entries.
 *  T3. After a session that ended with slots out, these are used again only when the control
 *      thread saw that nothing of earlier sessions is in use by the consumer, or by a port that it
 *      may have passed them on to (protocol: the reuse rule).
 * Ordering: C2 and C7 in room.
 */

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "ivshmem_rx_desc.h"
#include "ivshmem_tx_desc.h"

#define IVSHMEM_LEND_REAP	64u	/* cookies taken back at once */

uint32_t
ivshmem_tx_lend_reap(struct ivshmem_dest *dest, uint32_t cnt)
{
	uint32_t cookies[IVSHMEM_LEND_REAP];
	uint32_t reaped = 0;
	uint32_t got;

	ivshmem_loan_batch_begin();
	do {
		got = ivshmem_producer_returned(&dest->ring, cookies, RTE_DIM(cookies));
		for (uint32_t i = 0; i < got; i++) {
			struct rte_mbuf *held = ivshmem_flight_give(&dest->flight, cookies[i]);

			if (held != NULL)
				rte_pktmbuf_free_seg(held);
		}
		dest->ring.bad_cookies = dest->flight.bad_cookies;
		reaped += got;
	} while (got == RTE_DIM(cookies) && reaped < cnt);
	ivshmem_loan_batch_end();
	return reaped;
}

/* Pieces that may be filled in (T2). */
static inline uint32_t
ivshmem_tx_lend_left(const struct ivshmem_dest *dest)
{
	const uint32_t returns = dest->ring.ret_cnt - dest->flight.out_cnt;
	const uint32_t entries = dest->limit - (dest->next - dest->ring.cons);
	const uint32_t places = RTE_MIN(returns, entries);

	return RTE_MIN(places, ivshmem_flight_room(&dest->flight));
}

/* The same, after a look at the consumer if it is fewer than wanted, or as returns gather. */
static inline uint32_t
ivshmem_tx_lend_room(struct ivshmem_dest *dest, uint32_t want)
{
	const bool low = ivshmem_tx_lend_left(dest) < want;

	if (low)
		ivshmem_producer_refresh(&dest->ring);
	if ((low || dest->flight.out_cnt >= IVSHMEM_LEND_REAP || dest->flight.held_cnt != 0) &&
	    dest->ring.ready)
		ivshmem_tx_lend_reap(dest, 2 * want);
	return dest->ring.ready ? ivshmem_tx_lend_left(dest) : 0;
}

/* The loan behind an mbuf that may be passed on; NULL: copy. */
static inline const struct ivshmem_loan *
ivshmem_tx_loan(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
		const struct rte_mbuf *mbuf)
{
	const struct ivshmem_loan *loan;

	if ((ivshmem_load32(&dest->open) & IVSHMEM_DEST_FOREIGN) == 0)
		return NULL;
	loan = ivshmem_loan_of(mbuf);
	return loan != NULL && loan->loans->dev == txq->dev ? loan : NULL;
}

/*
 * One piece as it lies. A buffer of the own section that came home, and is still out with this
 * port, is sent anew in its own right, so that what it came home by can go back at once; otherwise
 * custody would grow with each round. Any other is held (T1).
 */
static inline void
ivshmem_tx_pass(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf,
		const struct ivshmem_loan *loan, uint32_t flags)
{
	const uint32_t buf = loan->buf - ivshmem_tx_flight_first(dest);
	const bool home = loan->section == txq->slot && ivshmem_flight_share(&dest->flight, buf);
	const struct ivshmem_desc_shm desc = {
		.section = loan->section,
		.flags = flags,
		.buf = loan->buf,
		.data_off = mbuf->data_off,
		.data_len = mbuf->data_len,
		.cookie = ivshmem_flight_take(&dest->flight, dest->next,
					      home ? buf : IVSHMEM_FLIGHT_NONE,
					      home ? NULL : mbuf),
	};

	if (!home)
		rte_mbuf_refcnt_update(mbuf, 1);
	ivshmem_tx_put(dest, &desc);
	dest->next++;
}

/* Whether a whole chain can be passed on. */
static bool
ivshmem_tx_may_pass(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
		    const struct rte_mbuf *mbuf)
{
	if (mbuf->nb_segs > IVSHMEM_ABI_CHAIN_MAX || mbuf->pkt_len > IVSHMEM_FRAME_MAX ||
	    mbuf->data_len < IVSHMEM_ABI_FRAME_MIN)
		return false;
	for (; mbuf != NULL; mbuf = mbuf->next)
		if (mbuf->data_len == 0 || ivshmem_tx_loan(txq, dest, mbuf) == NULL)
			return false;
	return true;
}

/* Any frame: its pieces, 0 when no ring could carry it, UINT32_MAX when it has to wait. */
static __rte_noinline uint32_t
ivshmem_tx_lend_any(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf)
{
	const bool pass = ivshmem_tx_may_pass(txq, dest, mbuf);
	const uint32_t most = RTE_MIN(dest->ring.ret_cnt, dest->flight.usable);
	const uint32_t pieces = pass ? mbuf->nb_segs : ivshmem_tx_pieces(txq, dest, mbuf);

	if (pieces == 0)
		return 0;
	if (pieces > most) {
		txq->stats.too_long++;
		return 0;
	}
	if (ivshmem_tx_lend_room(dest, pieces) < pieces)
		return UINT32_MAX;
	if (!pass) {
		ivshmem_tx_gather(txq, dest, mbuf, pieces);
		return pieces;
	}
	txq->stats.passed++;
	for (; mbuf != NULL; mbuf = mbuf->next)
		ivshmem_tx_pass(txq, dest, mbuf, ivshmem_tx_loan(txq, dest, mbuf),
				mbuf->next != NULL ? IVSHMEM_DESC_MORE : 0);
	return pieces;
}

/* A frame that the consumer copies: its buffer comes back with the index, as in copy mode. */
static inline void
ivshmem_tx_small(struct ivshmem_txq *txq, struct ivshmem_dest *dest, const struct rte_mbuf *mbuf)
{
	const struct ivshmem_desc_shm desc = {
		.section = txq->slot,
		.buf = ivshmem_tx_buffer(dest),
		.data_off = txq->headroom,
		.data_len = mbuf->data_len,
	};

	ivshmem_tx_put(dest, &desc);
	rte_memcpy(ivshmem_tx_data(txq, desc.buf), rte_pktmbuf_mtod(mbuf, const void *),
		   mbuf->data_len);
	dest->next++;
}

static inline void
ivshmem_tx_large(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf,
		 const struct ivshmem_loan *loan)
{
	struct ivshmem_desc_shm desc;

	if (loan != NULL) {
		txq->stats.passed++;
		ivshmem_tx_pass(txq, dest, mbuf, loan, 0);
		return;
	}
	desc = ivshmem_tx_place(txq, dest);
	desc.data_len = mbuf->data_len;
	ivshmem_tx_put(dest, &desc);
	rte_memcpy(ivshmem_tx_data(txq, desc.buf), rte_pktmbuf_mtod(mbuf, const void *),
		   mbuf->data_len);
	dest->next++;
}

uint32_t
ivshmem_tx_fill_lend(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		     uint32_t cnt)
{
	const uint32_t small = RTE_MIN(dest->ring.copybreak, txq->room);
	uint32_t room = ivshmem_tx_lend_room(dest, cnt);
	uint32_t done;

	for (done = 0; done < cnt; done++) {
		struct rte_mbuf *mbuf = bufs[done];
		const uint32_t len = mbuf->data_len;
		const struct ivshmem_loan *loan = NULL;

		if (len > small)
			loan = ivshmem_tx_loan(txq, dest, mbuf);
		if (likely(mbuf->nb_segs == 1 && len >= IVSHMEM_ABI_FRAME_MIN &&
			   (loan != NULL || len <= txq->room))) {
			if (unlikely(room == 0))
				break;
			room--;
			if (len <= small)
				ivshmem_tx_small(txq, dest, mbuf);
			else
				ivshmem_tx_large(txq, dest, mbuf, loan);
		} else {
			const uint32_t pieces = ivshmem_tx_lend_any(txq, dest, mbuf);

			if (pieces == UINT32_MAX)
				break;
			if (pieces == 0)
				continue;
			room = ivshmem_tx_lend_left(dest);
		}
		dest->frames++;
		dest->bytes += mbuf->pkt_len;
	}
	return done;
}

void
ivshmem_tx_lend_undo(struct ivshmem_dest *dest)
{
	const uint32_t first = dest->ring.prod;
	const uint32_t cnt = dest->next - first;

	for (uint32_t i = 0; i < dest->flight.usable && dest->ring.ret_cnt != 0; i++) {
		struct rte_mbuf *held = ivshmem_flight_undo(&dest->flight, i, first, cnt);

		if (held != NULL)
			rte_mbuf_refcnt_update(held, -1);
	}
	dest->next = first;
}

void
ivshmem_tx_lend_bar(struct ivshmem_dest *dest)
{
	if (dest->flight.out_cnt == 0)
		return;
	ivshmem_flight_bar(&dest->flight);
	ivshmem_store32(&dest->bars, ivshmem_load32(&dest->bars) + 1);
}

static void
ivshmem_tx_lend_unbar_all(struct ivshmem_dest *dest)
{
	for (uint32_t i = 0; i < dest->flight.cnt; i++) {
		struct rte_mbuf *held = ivshmem_flight_unbar(&dest->flight, i);

		if (held != NULL)
			rte_pktmbuf_free_seg(held);
	}
}

void
ivshmem_tx_lend_ready(struct ivshmem_dest *dest)
{
	const uint32_t before = dest->cycle_cnt;

	if (dest->flight.barred_cnt != 0 &&
	    ivshmem_load32_acquire(&dest->settled) == ivshmem_load32(&dest->bars))
		ivshmem_tx_lend_unbar_all(dest);		/* T3 */
	/* in copy mode the flight's buffers are used in turn, too, unless some are barred */
	dest->cycle_cnt = dest->buf_cnt;
	if (dest->ring.ret_cnt != 0 || dest->flight.barred_cnt != 0)
		dest->cycle_cnt -= dest->flight.usable;
	if (dest->cycle_cnt == before || dest->ring.prod != 0) {
		dest->cycle_cnt = before;	/* not in mid-session: buffers are out in turn */
		return;
	}
	dest->limit = RTE_MIN(dest->ring.size, dest->cycle_cnt);
	dest->buf_next = dest->buf_first;
}

void
ivshmem_tx_lend_drop(struct ivshmem_dest *dest)
{
	if (dest->flight.slots == NULL)
		return;
	ivshmem_flight_bar(&dest->flight);
	ivshmem_tx_lend_unbar_all(dest);
}
