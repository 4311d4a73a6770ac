/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Transmit steps for consumers that give buffers back by cookie.
 *
 * Frames are copied into own buffers, or sent where they lie: those of the own Tx pool, and
 * received ones that are a loan of the same region, when the consumer takes buffers of a third
 * section. Who sends a buffer in this way holds the mbuf until its cookie is back, and then frees
 * it: so it goes back the way it came.
 *
 * Invariants:
 *  T1. An mbuf that is held has a reference of our own for each slot; the caller's is given up as
 *      for any other.
 *  T2. Never more is out than the consumer's return ring has entries.
 *  T3. After a session that ended with slots out, these are used again only when the control
 *      thread saw that nothing of earlier sessions is in use by the consumer, or by a port that it
 *      may have passed them on to (protocol: the reuse rule).
 * Ordering: C2 and C7 in room.
 * Threads: the queue's, and with zero_copy=1 the control thread; whoever has the queue's try-lock.
 */

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "ivshmem_rx_desc.h"
#include "ivshmem_session.h"
#include "ivshmem_tx_desc.h"

#define IVSHMEM_LEND_REAP	64u	/* cookies taken back at once */

uint32_t
ivshmem_tx_lend_reap(struct ivshmem_dest *dest, uint32_t cnt)
{
	struct rte_mbuf *back[IVSHMEM_LEND_REAP];
	uint32_t cookies[IVSHMEM_LEND_REAP];
	uint32_t reaped = 0;
	uint32_t got;

	ivshmem_loan_batch_begin();
	do {
		uint32_t cnt_back = 0;

		got = ivshmem_producer_returned(&dest->ring, cookies, RTE_DIM(cookies));
		for (uint32_t i = 0; i < got; i++) {
			struct rte_mbuf *held = ivshmem_flight_give(&dest->flight, cookies[i]);

			if (held != NULL && likely(held->nb_segs == 1))
				back[cnt_back++] = held;
			else if (held != NULL)
				rte_pktmbuf_free_seg(held);
		}
		ivshmem_tx_free_bulk(back, cnt_back, true);
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
	const uint32_t places = RTE_MIN(returns, ivshmem_tx_left(dest));

	return RTE_MIN(places, ivshmem_flight_room(&dest->flight));
}

/* The same, after a look at the consumer if it is fewer than wanted, or as returns gather. */
static uint32_t
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

uint32_t
ivshmem_tx_lend_look(struct ivshmem_dest *dest, uint32_t want)
{
	ivshmem_tx_lend_room(dest, want);
	return dest->ring.ready ? ivshmem_tx_left(dest) : 0;
}

/* Where a piece lies that can be sent as it is. */
struct ivshmem_tx_spot {
	uint32_t buf;
	uint16_t section;
	bool pool;		/* an mbuf of the Tx pool */
};

/* False: the piece has to be copied. */
static __rte_always_inline bool	/* measured: else 377 instructions a packet that is passed on */
ivshmem_tx_find(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
		const struct rte_mbuf *mbuf, bool pool, struct ivshmem_tx_spot *spot)
{
	const struct ivshmem_loan *loan;
	uint32_t number;

	if (pool) {
		number = ivshmem_pool_find(txq->pool, mbuf);
		if (number != IVSHMEM_POOL_NONE) {
			spot->buf = txq->pool->buf_first + number;
			spot->section = txq->slot;
			spot->pool = true;
			return mbuf->data_len <= IVSHMEM_FRAME_MAX;
		}
	}
	if ((ivshmem_load32(&dest->open) & IVSHMEM_DEST_FOREIGN) == 0)
		return false;
	loan = ivshmem_loan_of(mbuf);
	if (loan == NULL || loan->loans->dev != txq->dev)
		return false;
	spot->buf = loan->buf;
	spot->section = loan->section;
	spot->pool = false;
	return true;
}

/* The flight's number of a buffer of the own section; IVSHMEM_FLIGHT_NONE when it is not its. */
static inline uint32_t
ivshmem_tx_flight_number(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
			 const struct ivshmem_tx_spot *spot, bool pool)
{
	const uint32_t number = spot->buf - ivshmem_tx_flight_first(dest);

	if (spot->section != txq->slot)
		return IVSHMEM_FLIGHT_NONE;
	if (number < dest->flight.usable)
		return number;
	if (pool && spot->buf - txq->pool->buf_first < txq->pool->cnt)
		return dest->flight.cnt + (spot->buf - txq->pool->buf_first);
	return IVSHMEM_FLIGHT_NONE;
}

/*
 * One piece as it lies. A buffer of the own section that came home, and is still out with this
 * port, is sent anew in its own right, so that what it came home by can go back at once; otherwise
 * custody would grow with each round. Any other is held (T1).
 */
static __rte_always_inline void	/* measured: as find */
ivshmem_tx_pass(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf,
		const struct ivshmem_tx_spot *spot, bool pool, uint32_t flags)
{
	struct ivshmem_flight *flight = &dest->flight;
	uint32_t number = ivshmem_tx_flight_number(txq, dest, spot, pool);
	struct ivshmem_desc_shm desc = {
		.section = spot->section,
		.flags = flags,
		.buf = spot->buf,
		.data_off = mbuf->data_off,
		.data_len = mbuf->data_len,
	};
	struct rte_mbuf *held = mbuf;

	if (pool && spot->pool)
		flight->refs[number] = 1;	/* the caller had the only reference */
	else if (!ivshmem_flight_share(flight, number))
		number = IVSHMEM_FLIGHT_NONE;
	else if (pool && number >= flight->cnt)
		held = txq->pool->mbufs[number - flight->cnt];
	else
		held = NULL;
	if (held != NULL)
		rte_mbuf_refcnt_update(held, 1);
	desc.cookie = ivshmem_flight_take(flight, dest->next, number, held);
	ivshmem_tx_put(dest, &desc);
	dest->next++;
}

/* Of a chain the first piece decides. */
static inline void
ivshmem_tx_count_passed(struct ivshmem_txq *txq, const struct ivshmem_tx_spot *spot, bool pool)
{
	if (pool && spot->pool)
		txq->stats.from_pool++;
	else
		txq->stats.passed++;
}

/* Whether a whole chain can be sent as it lies; where its pieces do. */
static bool
ivshmem_tx_may_pass(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
		    const struct rte_mbuf *mbuf, struct ivshmem_tx_spot *spot)
{
	const uint32_t segs = mbuf->nb_segs;
	uint32_t found;

	if (segs > IVSHMEM_ABI_CHAIN_MAX || mbuf->pkt_len > IVSHMEM_FRAME_MAX ||
	    mbuf->data_len < IVSHMEM_ABI_FRAME_MIN ||
	    ivshmem_tx_is_small(dest, mbuf->pkt_len, mbuf->nb_segs))	/* no cookie comes back */
		return false;
	for (found = 0; mbuf != NULL; mbuf = mbuf->next, found++)
		if (found == segs || mbuf->data_len == 0 ||
		    !ivshmem_tx_find(txq, dest, mbuf, txq->pool != NULL, &spot[found]))
			return false;
	return found == segs;
}

/* Any frame: its pieces, 0 when no ring could carry it, UINT32_MAX when it has to wait. */
static __rte_noinline uint32_t
ivshmem_tx_lend_any(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf)
{
	const bool pool = txq->pool != NULL;
	const uint32_t most = RTE_MIN(dest->ring.ret_cnt, dest->flight.usable);
	/* once: the port may be closed meanwhile */
	struct ivshmem_tx_spot spots[IVSHMEM_ABI_CHAIN_MAX];
	const bool pass = mbuf->nb_segs <= most && ivshmem_tx_may_pass(txq, dest, mbuf, spots);
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
	ivshmem_tx_count_passed(txq, &spots[0], pool);
	for (uint32_t i = 0; mbuf != NULL && i < pieces; mbuf = mbuf->next, i++)
		ivshmem_tx_pass(txq, dest, mbuf, &spots[i], pool,
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
	ivshmem_copy(ivshmem_tx_data(txq, desc.buf), rte_pktmbuf_mtod(mbuf, const void *),
		     mbuf->data_len);
	dest->next++;
}

static __rte_always_inline void	/* measured: as find */
ivshmem_tx_large(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf *mbuf,
		 const struct ivshmem_tx_spot *spot, bool pool)
{
	struct ivshmem_desc_shm desc;

	if (spot != NULL) {
		ivshmem_tx_count_passed(txq, spot, pool);
		ivshmem_tx_pass(txq, dest, mbuf, spot, pool, 0);
		return;
	}
	desc = ivshmem_tx_place(txq, dest, false);
	desc.data_len = mbuf->data_len;
	ivshmem_tx_put(dest, &desc);
	ivshmem_copy(ivshmem_tx_data(txq, desc.buf), rte_pktmbuf_mtod(mbuf, const void *),
		     mbuf->data_len);
	dest->next++;
}

static __rte_always_inline uint32_t	/* measured: as find */
ivshmem_tx_fill_any(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		    uint32_t cnt, bool pool)
{
	const uint32_t small = RTE_MIN(dest->ring.copybreak, txq->room);
	uint32_t room = ivshmem_tx_lend_room(dest, cnt);
	uint32_t done;

	for (done = 0; done < cnt; done++) {
		struct rte_mbuf *mbuf = bufs[done];
		const uint32_t len = mbuf->data_len;
		const bool plain = mbuf->nb_segs == 1 && len >= IVSHMEM_ABI_FRAME_MIN;
		struct ivshmem_tx_spot spot;
		bool pass = false;

		if (len > dest->ring.copybreak)
			pass = ivshmem_tx_find(txq, dest, mbuf, pool, &spot);
		if (likely(plain && len <= small)) {
			if (unlikely(room == 0))
				break;
			room--;
			ivshmem_tx_small(txq, dest, mbuf);
		} else if (likely(plain && (pass || len <= txq->room))) {
			if (unlikely(room == 0))
				break;
			room--;
			ivshmem_tx_large(txq, dest, mbuf, pass ? &spot : NULL, pool);
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

uint32_t
ivshmem_tx_fill_lend(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		     uint32_t cnt)
{
	if (txq->pool != NULL)
		return ivshmem_tx_fill_any(txq, dest, bufs, cnt, true);
	return ivshmem_tx_fill_any(txq, dest, bufs, cnt, false);
}

void
ivshmem_tx_lend_undo(struct ivshmem_dest *dest)
{
	const uint32_t first = dest->ring.prod;
	const uint32_t cnt = dest->next - first;

	for (uint32_t i = 0; i < dest->flight.usable && dest->ring.ret_cnt != 0; i++) {
		struct rte_mbuf *held = ivshmem_flight_undo(&dest->flight, i, first, cnt);

		if (held != NULL)	/* what the caller has stays alive */
			rte_pktmbuf_free_seg(held);
	}
	dest->next = first;
}

bool
ivshmem_tx_lend_bar(struct ivshmem_dest *dest)
{
	if (dest->flight.out_cnt == 0)
		return false;
	ivshmem_flight_bar(&dest->flight, ivshmem_load32(&dest->bars) + 1);
	return true;
}

void
ivshmem_tx_lend_tell_barred(struct ivshmem_dest *dest)
{
	/* pairs with settle_dest */
	ivshmem_store32_release(&dest->bars, ivshmem_load32(&dest->bars) + 1);
}

static void
ivshmem_tx_lend_unbar(struct ivshmem_dest *dest, uint32_t bar)
{
	for (uint32_t i = 0; i < dest->flight.cnt; i++) {
		struct rte_mbuf *held = ivshmem_flight_unbar(&dest->flight, i, bar);

		if (held != NULL)
			rte_pktmbuf_free_seg(held);
	}
}

void
ivshmem_tx_lend_leave(struct ivshmem_txq *txq, struct ivshmem_dest *dest, bool gone)
{
	struct ivshmem_producer *ring = &dest->ring;

	if (!ivshmem_tx_lend_bar(dest) && !ring->ready)
		return;		/* left before */
	/* nobody else can count them; who is silent may still do so, when it goes on */
	if (gone && ring->ready) {
		ivshmem_producer_refresh(ring);
		if (ring->ready)
			ring->lost += ring->prod - ring->cons;
	}
	/* at once: what the port said of the session that ends says nothing of these loans */
	if (!txq->dev->dead)	/* else the section is another's */
		ivshmem_producer_start(ring, txq->dev->port.section, ring->desc_off, ring->size);
	ring->ready = false;
	dest->next = ring->prod;
	ivshmem_tx_lend_tell_barred(dest);
}

void
ivshmem_tx_lend_settled(struct ivshmem_dest *dest)
{
	const uint32_t settled = ivshmem_load32_acquire(&dest->settled);	/* settle_dest */

	if (dest->flight.barred_cnt != 0 && settled != dest->unbarred)
		ivshmem_tx_lend_unbar(dest, settled);		/* T3 */
	dest->unbarred = settled;
}

void
ivshmem_tx_lend_ready(struct ivshmem_dest *dest)
{
	const uint32_t before = dest->cycle_cnt;

	ivshmem_tx_lend_settled(dest);
	/* in copy mode the flight's buffers are used in turn, too, unless some are barred */
	dest->cycle_cnt = dest->buf_cnt;
	if (dest->ring.ret_cnt != 0 || dest->flight.barred_cnt != 0)
		dest->cycle_cnt -= dest->flight.usable;
	dest->cycle_cnt = RTE_MIN(dest->cycle_cnt, dest->ring.size);
	if (dest->cycle_cnt == before || dest->ring.prod != 0) {
		dest->cycle_cnt = before;	/* not in mid-session: buffers are out in turn */
		return;
	}
	dest->buf_next = dest->buf_first;
}

void
ivshmem_tx_lend_drop(struct ivshmem_dest *dest)
{
	if (dest->flight.slots == NULL)
		return;
	ivshmem_flight_bar(&dest->flight, ivshmem_load32(&dest->bars));
	ivshmem_tx_lend_unbar(dest, ivshmem_load32(&dest->bars));
}

uint32_t
ivshmem_tx_lend_tend(struct ivshmem_txq *txq, struct ivshmem_dest *dest, uint32_t cnt)
{
	const uint32_t held = dest->flight.held_cnt;

	if (held == 0)
		return 0;
	if (dest->ring.ready)
		ivshmem_tx_lend_reap(dest, cnt);
	if (!dest->ring.ready && ivshmem_load32(&dest->open) != 0)
		ivshmem_tx_session(txq, dest);
	if (dest->ring.ready)
		ivshmem_tx_lend_settled(dest);
	return held - dest->flight.held_cnt;
}

bool
ivshmem_tx_is_holding(const struct ivshmem_txq *txq)
{
	for (uint32_t slot = 0; slot < txq->dev->layout.port_cnt; slot++)
		if (txq->dests[slot].flight.held_cnt != 0)
			return true;
	return false;
}

int
ivshmem_tx_done_cleanup(void *queue, uint32_t cnt)
{
	struct ivshmem_txq *txq = queue;
	const uint32_t hold = ivshmem_lock_try(&txq->lock, false);
	uint32_t done = 0;

	if (hold == IVSHMEM_HOLD_NONE)
		return 0;
	for (uint32_t slot = 0; slot < txq->dev->layout.port_cnt; slot++) {
		struct ivshmem_dest *dest = &txq->dests[slot];

		if (cnt == 0 || done < cnt)
			done += ivshmem_tx_lend_tend(txq, dest,
						     cnt != 0 ? cnt - done : dest->flight.cnt);
	}
	ivshmem_lock_leave(&txq->lock, hold);
	return done;
}
