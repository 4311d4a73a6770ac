/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Role ping: one round at a time - send --burst frames, wait until an echo returned them all.
 *
 * The clock of a round starts just before its frames are first offered to the port and is read
 * right after the burst that brought a frame back, before the frame is looked at.
 *
 * Invariant: outstanding frames are those of the round under way; one that comes back after
 * --ping-timeout was counted lost is counted overdue, too, and not timed.
 */

#include <rte_cycles.h>

#include "gen.h"
#include "sink.h"
#include "tx.h"

static void
ivshmem_ping_take(struct ivshmem_queue *queue, const struct ivshmem_frame_hdr *hdr, uint64_t now)
{
	struct ivshmem_ping *ping = &queue->ping;

	if (hdr->magic == 0 || hdr->run != queue->gen.hdr.run ||
	    hdr->source != queue->gen.hdr.source || hdr->queue != queue->id)
		return;
	if (hdr->seq < ping->round_seq) {
		ping->overdue++;
		return;
	}
	if (ping->outstanding == 0)
		return;
	ping->outstanding--;
	ping->returned++;
	ivshmem_histogram_add(&ping->rtt, (uint64_t)((double)(now - ping->start) * 1e9 /
						     (double)queue->hz));
}

static uint32_t
ivshmem_ping_receive(struct ivshmem_queue *queue)
{
	uint32_t cnt = ivshmem_sink_receive(queue);
	uint64_t now = rte_rdtsc();
	struct ivshmem_frame_hdr hdr;

	for (uint32_t i = 0; i < cnt; i++) {
		bool is_sound = ivshmem_sink_judge(queue, queue->rx_pkts[i], &hdr);

		ivshmem_ping_take(queue, &hdr, now);
		if (is_sound)
			rte_pktmbuf_free(queue->rx_pkts[i]);
	}
	if (cnt != 0)
		atomic_store_explicit(&queue->shown.bad, queue->sink.bad, memory_order_relaxed);
	return cnt;
}

/* Start the next round, unless all are done, the end was ordered or the rate says wait. */
static void
ivshmem_ping_start(struct ivshmem_queue *queue)
{
	struct ivshmem_ping *ping = &queue->ping;
	struct ivshmem_gen *gen = &queue->gen;
	uint64_t now = rte_rdtsc();

	if (ping->rounds == queue->opt->count ||
	    atomic_load_explicit(queue->phase, memory_order_relaxed) != IVSHMEM_PHASE_RUN) {
		queue->done = true;
		return;
	}
	if (gen->cycles_per_frame != 0 && (double)now < gen->due)
		return;
	gen->due = (double)now + gen->cycles_per_frame * (double)queue->opt->burst;
	ping->round_seq = gen->pos;
	ivshmem_gen_build(queue, (uint32_t)queue->opt->burst);
	ping->outstanding = queue->tx.cnt;
	if (queue->tx.cnt == 0) {
		ivshmem_tx_expire(queue, now);
		return;
	}
	ping->rounds++;
	queue->tx.since = rte_rdtsc();
	ping->start = queue->tx.since;
}

uint32_t
ivshmem_ping_poll(struct ivshmem_queue *queue)
{
	struct ivshmem_ping *ping = &queue->ping;
	uint32_t moved = 0;

	if (queue->done)
		return ivshmem_ping_receive(queue);
	if (ping->outstanding == 0 && queue->tx.cnt == 0)
		ivshmem_ping_start(queue);
	moved += ivshmem_tx_flush(queue);
	moved += ivshmem_ping_receive(queue);
	if (queue->tx.timed_out)
		queue->done = true;
	if (ping->outstanding != 0 && queue->tx.cnt == 0 &&
	    (double)(rte_rdtsc() - ping->start) >
	    queue->opt->ping_timeout * (double)queue->hz) {
		ping->lost += ping->outstanding;
		ping->outstanding = 0;
	}
	return moved;
}
