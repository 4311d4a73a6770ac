/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The transmit burst of a segment: a region of more than two ports.
 *
 * A frame goes to the port that has its destination address; group addresses and addresses that
 * nobody is known to have go to all ports that run. A port that takes no frames costs only the
 * frames for it: they are freed and counted, and no frame behind them waits. With full=wait frames
 * for one port wait for room in its ring; flooded ones never do. A link that is down, because no
 * other port runs, takes nothing, as on a wire.
 *
 * Invariants:
 *  G1. Frames of a burst for one port keep their order, flooded ones included.
 *  G2. What is freed was put into at least one ring or is counted in "dropped", or by its own
 *      reason when no ring could carry it.
 * Ordering: P1 in publish, C2 in refresh; one release a burst and destination.
 * Threads: one thread a queue; the forwarding database is read as others learn.
 */

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_rxtx.h"

/* The destination address as a key; 0, which nobody has, for a frame without one. */
static inline uint64_t
ivshmem_tx_key(const struct rte_mbuf *mbuf)
{
	uint8_t mac[RTE_ETHER_ADDR_LEN];
	const uint8_t *found;

	if (likely(mbuf->data_len >= RTE_ETHER_ADDR_LEN))
		return ivshmem_fdb_key(rte_pktmbuf_mtod(mbuf, const uint8_t *));
	found = rte_pktmbuf_read(mbuf, 0, sizeof(mac), mac);
	return found == NULL ? 0 : ivshmem_fdb_key(found);
}

/* Whether frames can be filled in for the port now. */
static inline bool
ivshmem_tx_is_usable(struct ivshmem_txq *txq, struct ivshmem_dest *dest)
{
	if (dest->next != dest->ring.prod)	/* filled in this burst, in this session */
		return dest->ring.ready;
	if (ivshmem_load32(&dest->open) == 0)
		return false;
	return likely(dest->ring.ready && ivshmem_load32(&dest->want) == dest->want_seen) ||
		ivshmem_tx_session(txq, dest);
}

/* Fill, and remember that the destination has something to publish. */
static inline uint32_t
ivshmem_tx_stage(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		 uint32_t cnt)
{
	const bool fresh = dest->next == dest->ring.prod;
	uint32_t done;

	done = ivshmem_tx_fill(txq, dest, bufs, cnt);
	if (fresh && dest->next != dest->ring.prod)
		txq->touched[txq->touched_cnt++] = dest->slot;
	return done;
}

/* Frames for one port. Returns how many of them are done with; fewer only with full=wait. */
static uint32_t
ivshmem_tx_unicast(struct ivshmem_txq *txq, struct ivshmem_dest *dest, struct rte_mbuf **bufs,
		   uint32_t cnt)
{
	const uint32_t frames = dest->frames;
	const uint64_t bytes = dest->bytes;
	uint64_t *reason = &dest->stats.down;
	uint32_t done = 0;

	if (likely(ivshmem_tx_is_usable(txq, dest))) {
		done = ivshmem_tx_stage(txq, dest, bufs, cnt);
		txq->stats.packets += dest->frames - frames;
		txq->stats.bytes += dest->bytes - bytes;
		reason = &dest->stats.full;
	}
	if (likely(done == cnt))
		return cnt;
	if (txq->dev->wait && ivshmem_load32(&dest->open) != 0) {
		txq->stats.full++;
		return done;
	}
	*reason += cnt - done;
	txq->stats.dropped += cnt - done;
	return cnt;
}

/* A frame for all ports that run. */
static void
ivshmem_tx_flood(struct ivshmem_txq *txq, struct rte_mbuf *mbuf)
{
	const uint32_t port_cnt = txq->dev->layout.port_cnt;
	bool carried = false;

	/* destinations are alike: what the first could not carry none can */
	if (ivshmem_tx_pieces(txq, &txq->dests[txq->slot == 0], mbuf) == 0)
		return;
	for (uint32_t slot = 0; slot < port_cnt; slot++) {
		struct ivshmem_dest *dest = &txq->dests[slot];

		if (ivshmem_load32(&dest->open) == 0)	/* the own one is never open */
			continue;
		if (!ivshmem_tx_is_usable(txq, dest))
			dest->stats.down++;
		else if (ivshmem_tx_stage(txq, dest, &mbuf, 1) == 0)
			dest->stats.full++;
		else
			carried = true;
	}
	if (carried) {
		txq->stats.packets++;
		txq->stats.bytes += mbuf->pkt_len;
	} else {
		txq->stats.dropped++;
	}
}

/* Frames with the same destination address. Returns how many are done with. */
static uint32_t
ivshmem_tx_forward(struct ivshmem_txq *txq, uint64_t key, struct rte_mbuf **bufs, uint32_t cnt)
{
	uint32_t slot = IVSHMEM_FDB_NONE;

	if ((key & 1) == 0)
		slot = ivshmem_fdb_find(txq->dev->fdb, key);
	if (slot == txq->slot) {
		txq->stats.to_self += cnt;
		txq->stats.dropped += cnt;
		return cnt;
	}
	if (likely(slot < txq->dev->layout.port_cnt))
		return ivshmem_tx_unicast(txq, &txq->dests[slot], bufs, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		ivshmem_tx_flood(txq, bufs[i]);
	return cnt;
}

/* Publish what was filled; a ring whose consumer went meanwhile has lost it. */
static void
ivshmem_tx_publish(struct ivshmem_txq *txq, struct ivshmem_dest *dest)
{
	struct ivshmem_producer *ring = &dest->ring;

	if (likely(ring->ready)) {
		ivshmem_producer_publish(ring, dest->next);
		if (dest->may_arm)
			ivshmem_tx_bell(txq, dest);
		dest->stats.packets += dest->frames;
	} else {
		ring->lost += dest->next - ring->prod;
		ivshmem_tx_lend_undo(dest);
	}
	dest->frames = 0;
	dest->bytes = 0;
}

uint16_t
ivshmem_tx_burst_segment(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs)
{
	struct ivshmem_txq *txq = queue;
	uint16_t sent = 0;

	if (ivshmem_load32(&txq->dev->open) == 0)
		return 0;
	txq->touched_cnt = 0;
	while (sent < nb_bufs) {
		const uint64_t key = ivshmem_tx_key(bufs[sent]);
		uint32_t run = 1;
		uint32_t done;

		while (sent + run < nb_bufs && ivshmem_tx_key(bufs[sent + run]) == key)
			run++;
		done = ivshmem_tx_forward(txq, key, bufs + sent, run);
		sent += done;
		if (unlikely(done < run))
			break;
	}
	for (uint32_t i = 0; i < txq->touched_cnt; i++)
		ivshmem_tx_publish(txq, &txq->dests[txq->touched[i]]);
	ivshmem_tx_free(txq, bufs, sent);
	return sent;
}
