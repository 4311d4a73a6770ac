/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Role echo: sends every frame back to where it came from, whatever it holds.
 *
 * Checks the mbufs it was given, not the bytes: the ping or gensink at the other end does that.
 * Takes new frames only when the old ones have left, so frames wait in the Rx ring, not here.
 */

#include <rte_cycles.h>
#include <rte_ether.h>

#include "sink.h"
#include "tx.h"

/* Swap the addresses; a frame sent to a group is answered from the port's own address. */
static void
ivshmem_echo_turn(const struct ivshmem_queue *queue, struct rte_mbuf *pkt)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(pkt, struct rte_ether_hdr *);
	struct rte_ether_addr to = eth->src_addr;

	if (rte_is_multicast_ether_addr(&eth->dst_addr))
		rte_ether_addr_copy(&queue->mac, &eth->src_addr);
	else
		rte_ether_addr_copy(&eth->dst_addr, &eth->src_addr);
	rte_ether_addr_copy(&to, &eth->dst_addr);
}

uint32_t
ivshmem_echo_poll(struct ivshmem_queue *queue)
{
	struct ivshmem_tx *tx = &queue->tx;
	uint32_t cnt, sent;

	if (queue->done)
		return 0;
	if (tx->cnt == 0) {
		cnt = ivshmem_sink_receive(queue);
		tx->first = 0;
		for (uint32_t i = 0; i < cnt; i++) {
			struct rte_mbuf *pkt = queue->rx_pkts[i];
			enum ivshmem_mbuf_state state = ivshmem_sink_check_mbuf(queue, pkt);

			if (state == IVSHMEM_MBUF_GOOD &&
			    pkt->data_len >= sizeof(struct rte_ether_hdr)) {
				ivshmem_echo_turn(queue, pkt);
				tx->pkts[tx->cnt++] = pkt;
			} else if (state != IVSHMEM_MBUF_UNSOUND) {
				rte_pktmbuf_free(pkt);
			}
		}
		if (cnt != 0) {
			tx->since = rte_rdtsc();
			atomic_store_explicit(&queue->shown.bad, queue->sink.bad,
					      memory_order_relaxed);
		}
	}
	sent = ivshmem_tx_flush(queue);
	queue->done = tx->timed_out ||
		      (tx->cnt == 0 && queue->opt->count != 0 && tx->frames >= queue->opt->count) ||
		      (tx->cnt == 0 && atomic_load_explicit(queue->phase, memory_order_relaxed) !=
		       IVSHMEM_PHASE_RUN);
	return sent;
}
