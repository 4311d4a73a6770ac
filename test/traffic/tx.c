/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Handing frames to the port.
 *
 * Invariants:
 *  I1. A frame that was built is accepted by the port (frames), or freed here (dropped).
 *  I2. Nothing waits longer than --tx-timeout, or one second once the end was ordered.
 */

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "tx.h"

void
ivshmem_tx_drop(struct ivshmem_queue *queue)
{
	struct ivshmem_tx *tx = &queue->tx;

	rte_pktmbuf_free_bulk(&tx->pkts[tx->first], tx->cnt);
	tx->dropped += tx->cnt;
	tx->cnt = 0;
}

void
ivshmem_tx_expire(struct ivshmem_queue *queue, uint64_t now)
{
	struct ivshmem_tx *tx = &queue->tx;
	int phase = atomic_load_explicit(queue->phase, memory_order_relaxed);
	double limit = queue->opt->tx_timeout;

	if (phase != IVSHMEM_PHASE_RUN && limit > 1)
		limit = 1;
	if ((double)(now - tx->since) <= limit * (double)queue->hz)
		return;
	tx->timed_out = true;
	tx->stalled = phase == IVSHMEM_PHASE_RUN;
	ivshmem_tx_drop(queue);
}

uint32_t
ivshmem_tx_flush(struct ivshmem_queue *queue)
{
	struct ivshmem_tx *tx = &queue->tx;
	uint32_t lens[IVSHMEM_BURST_MAX];
	uint32_t sent;
	uint64_t now;

	if (tx->cnt == 0)
		return 0;
	/* An accepted mbuf is no longer ours: read the lengths before. */
	for (uint32_t i = 0; i < tx->cnt; i++)
		lens[i] = rte_pktmbuf_pkt_len(tx->pkts[tx->first + i]);
	sent = rte_eth_tx_burst(queue->port, queue->id, &tx->pkts[tx->first], (uint16_t)tx->cnt);
	now = rte_rdtsc();
	if (sent != 0) {
		for (uint32_t i = 0; i < sent; i++)
			tx->bytes += lens[i];
		if (tx->frames == 0)
			tx->first_tsc = now;
		tx->last_tsc = now;
		tx->frames += sent;
		tx->first += sent;
		tx->cnt -= sent;
		tx->since = now;
		atomic_store_explicit(&queue->shown.tx, tx->frames, memory_order_relaxed);
	}
	if (tx->cnt == 0)
		return sent;
	if (queue->opt->tx_drop != 0)
		ivshmem_tx_drop(queue);
	else if (sent == 0)
		ivshmem_tx_expire(queue, now);
	return sent;
}
