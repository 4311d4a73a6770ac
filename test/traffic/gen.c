/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The generator: decides which frame comes next, builds it, breaks it where the plan says so.
 *
 * A stream of --count turns is numbered by `pos`; a turn spends one sequence and normally makes
 * one frame.  Faults make a turn produce none (drop) or two (duplicate, reorder, stale); the
 * second one waits in gen->extra.
 *
 * Invariants:
 *  I1. Sequences start at 0 in every run and every one is spent exactly once.
 *  I2. Sizes and splits depend only on seed, queue and turn, not on what the port accepted.
 *  I3. The last frame of a stream carries LAST, whether the count or an order ended it.
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "gen.h"
#include "tx.h"

int
ivshmem_gen_init(struct ivshmem_queue *queue)
{
	const struct ivshmem_options *opt = queue->opt;
	struct ivshmem_gen *gen = &queue->gen;
	struct ivshmem_frame_hdr *hdr = &gen->hdr;

	memcpy(hdr->dst, &opt->dst_mac, 6);
	memcpy(hdr->src, opt->src_mac_set ? &opt->src_mac : &queue->mac, 6);
	hdr->type[0] = IVSHMEM_FRAME_ETHERTYPE >> 8;
	hdr->type[1] = IVSHMEM_FRAME_ETHERTYPE & 0xff;
	hdr->magic = IVSHMEM_FRAME_MAGIC;
	hdr->run = (uint32_t)opt->run;
	hdr->source = (uint16_t)opt->source;
	hdr->queue = queue->id;
	hdr->seed = (uint32_t)opt->seed;
	hdr->total = opt->count;
	if (opt->role == IVSHMEM_ROLE_PING) {
		hdr->flags = IVSHMEM_FRAME_PING;
		hdr->total = opt->count * opt->burst;
	}
	gen->random = ivshmem_mix(opt->seed << 16 ^ queue->id);
	if (opt->rate != 0)
		gen->cycles_per_frame = (double)queue->hz * (double)opt->queues /
					(double)opt->rate;
	gen->due = (double)rte_rdtsc();
	return ivshmem_inject_plan_create(&gen->plan, &opt->inject, opt->count, queue->id,
					  (uint16_t)opt->queues, opt->seed);
}

void
ivshmem_gen_release(struct ivshmem_queue *queue)
{
	free(queue->gen.plan.steps);
	memset(&queue->gen.plan, 0, sizeof(queue->gen.plan));
}

/* A chain of mbufs with room for `len` bytes, cut at random places; NULL when the pool is dry. */
static struct rte_mbuf *
ivshmem_gen_chain(struct ivshmem_queue *queue, uint32_t len)
{
	const struct ivshmem_options *opt = queue->opt;
	uint32_t room = (uint32_t)opt->mbuf_size;
	uint32_t span = (uint32_t)(opt->segments_max - opt->segments_min + 1);
	uint32_t pieces = (uint32_t)opt->segments_min;
	struct rte_mbuf *pkts[IVSHMEM_FRAME_MAX / 128 + IVSHMEM_SEGMENTS_MAX];

	if (span > 1)
		pieces += (uint32_t)(ivshmem_random(&queue->gen.random) % span);
	if (pieces * room < len)
		pieces = (len + room - 1) / room;
	if (rte_pktmbuf_alloc_bulk(queue->pool, pkts, pieces) != 0)
		return NULL;
	pkts[0]->nb_segs = (uint16_t)pieces;
	pkts[0]->pkt_len = len;
	for (uint32_t i = 0; i < pieces; i++) {
		uint32_t after = pieces - i - 1;
		uint32_t min = i == 0 ? RTE_ETHER_HDR_LEN : 1;
		uint32_t max = RTE_MIN(room, len - after);
		uint32_t piece;

		if (len > after * room + min)
			min = len - after * room;
		piece = min + (uint32_t)(ivshmem_random(&queue->gen.random) % (max - min + 1));
		pkts[i]->data_len = (uint16_t)piece;
		if (after != 0)
			pkts[i]->next = pkts[i + 1];
		len -= piece;
	}
	return pkts[0];
}

/* Write header and payload into the chain, wherever its pieces end. */
static void
ivshmem_gen_write(struct rte_mbuf *pkt, const struct ivshmem_frame_hdr *hdr, uint64_t key)
{
	uint32_t off = 0;

	for (struct rte_mbuf *seg = pkt; seg != NULL; seg = seg->next) {
		uint8_t *data = rte_pktmbuf_mtod(seg, uint8_t *);
		uint32_t len = seg->data_len;

		if (off < IVSHMEM_FRAME_HDR_LEN) {
			uint32_t head = RTE_MIN(len, IVSHMEM_FRAME_HDR_LEN - off);

			memcpy(data, (const uint8_t *)hdr + off, head);
			data += head;
			off += head;
			len -= head;
		}
		ivshmem_frame_fill(data, off, len, key);
		off += len;
	}
}

/* Change one payload byte; returns its offset in the frame. */
static uint32_t
ivshmem_gen_corrupt(struct rte_mbuf *pkt, uint32_t random)
{
	uint32_t off = IVSHMEM_FRAME_HDR_LEN +
		       (random >> 8) % (pkt->pkt_len - IVSHMEM_FRAME_HDR_LEN);
	struct rte_mbuf *seg = pkt;
	uint32_t at = off;

	for (; at >= seg->data_len; seg = seg->next)
		at -= seg->data_len;
	*rte_pktmbuf_mtod_offset(seg, uint8_t *, at) ^= (uint8_t)(1 + random % 255);
	return off;
}

/* Fill in what differs from frame to frame, apply the fault, write the bytes. */
static void
ivshmem_gen_finish(struct ivshmem_gen *gen, struct rte_mbuf *pkt, struct ivshmem_frame_hdr *hdr,
		   struct ivshmem_inject_step *step)
{
	enum ivshmem_fault fault = step == NULL ? IVSHMEM_FAULT_NONE : step->fault;
	uint32_t random = step == NULL ? 0 : step->detail;
	uint64_t key = ivshmem_frame_key(hdr);

	hdr->length = pkt->pkt_len;
	if (fault == IVSHMEM_FAULT_TRUNCATE) {
		step->detail = 1 + random % 64;
		hdr->length += step->detail;
	} else if (fault == IVSHMEM_FAULT_OVERLONG) {
		step->detail = 1 + random % 4;
		hdr->length -= step->detail;
	}
	hdr->check = ivshmem_frame_hdr_check(hdr, key);
	if (fault == IVSHMEM_FAULT_HEADER)
		hdr->seq ^= UINT64_C(1) << random % 64;
	ivshmem_gen_write(pkt, hdr, key);
	if (fault == IVSHMEM_FAULT_HEADER)
		hdr->seq ^= UINT64_C(1) << random % 64;
	if (fault == IVSHMEM_FAULT_CORRUPT)
		step->detail = ivshmem_gen_corrupt(pkt, random);
	if (fault == IVSHMEM_FAULT_BADMBUF)
		pkt->pkt_len++;
	gen->built++;
}

/* Begin a new run at the current turn. */
static void
ivshmem_gen_restart(struct ivshmem_gen *gen)
{
	gen->hdr.run++;
	gen->hdr.total -= gen->pos - gen->run_pos;
	gen->run_pos = gen->pos;
}

/*
 * Choose the next frame: its header goes to *hdr, and *step is set when that frame itself has to
 * be broken.  Faults that concern the order of frames are carried out here.
 */
static void
ivshmem_gen_next(struct ivshmem_gen *gen, struct ivshmem_frame_hdr *hdr,
		 struct ivshmem_inject_step **step)
{
	struct ivshmem_inject_plan *plan = &gen->plan;
	struct ivshmem_frame_hdr old = gen->hdr;

	*step = NULL;
	old.seq = gen->pos - gen->run_pos;
	while (plan->next < plan->cnt && plan->steps[plan->next].pos == gen->pos) {
		*step = &plan->steps[plan->next++];
		(*step)->done = true;
		if ((*step)->fault == IVSHMEM_FAULT_RESTART ||
		    (*step)->fault == IVSHMEM_FAULT_STALE)
			ivshmem_gen_restart(gen);
		(*step)->seq = gen->pos - gen->run_pos;
		(*step)->run = gen->hdr.run;
		if ((*step)->fault != IVSHMEM_FAULT_DROP)
			break;
		gen->pos++;
		*step = NULL;
	}
	gen->hdr.seq = gen->pos++ - gen->run_pos;
	*hdr = gen->hdr;
	if (*step == NULL)
		return;
	gen->extra.pending = true;
	gen->extra.hdr = gen->hdr;
	switch ((*step)->fault) {
	case IVSHMEM_FAULT_DUPLICATE:
		break;
	case IVSHMEM_FAULT_FOREIGN:
		gen->extra.hdr.magic ^= 1;
		break;
	case IVSHMEM_FAULT_REORDER:
		hdr->seq++;
		gen->pos++;
		break;
	case IVSHMEM_FAULT_STALE:
		gen->extra.hdr = old;
		break;
	default:
		gen->extra.pending = false;
		break;
	}
}

/* Build one frame; false when there is no mbuf for it or nothing left to build. */
static bool
ivshmem_gen_one(struct ivshmem_queue *queue, struct rte_mbuf **pkt)
{
	const struct ivshmem_options *opt = queue->opt;
	struct ivshmem_gen *gen = &queue->gen;
	struct ivshmem_inject_step *step = NULL;
	struct ivshmem_frame_hdr hdr;
	uint64_t random = gen->random;
	uint32_t size;

	if (!gen->extra.pending && opt->role != IVSHMEM_ROLE_PING && opt->count != 0 &&
	    gen->pos >= opt->count)
		return false;
	size = gen->size;
	if (size == 0)
		size = ivshmem_sizes_pick(&opt->sizes, gen->built, &gen->random);
	if (opt->segments_max == 1 && size <= opt->mbuf_size) {
		*pkt = rte_pktmbuf_alloc(queue->pool);
		if (*pkt != NULL) {
			(*pkt)->data_len = (uint16_t)size;
			(*pkt)->pkt_len = size;
		}
	} else {
		*pkt = ivshmem_gen_chain(queue, size);
	}
	if (*pkt == NULL) {
		gen->random = random;
		return false;
	}
	gen->size = 0;
	if (gen->extra.pending) {
		gen->extra.pending = false;
		hdr = gen->extra.hdr;
	} else {
		ivshmem_gen_next(gen, &hdr, &step);
	}
	if (step != NULL && step->fault == IVSHMEM_FAULT_DUPLICATE)
		gen->size = size;
	if (hdr.total != 0 && hdr.seq + 1 == hdr.total) {
		hdr.flags |= IVSHMEM_FRAME_LAST;
		gen->last_sent = true;
	}
	ivshmem_gen_finish(gen, *pkt, &hdr, step);
	return true;
}

void
ivshmem_gen_build(struct ivshmem_queue *queue, uint32_t cnt)
{
	struct ivshmem_tx *tx = &queue->tx;

	tx->first = 0;
	while (tx->cnt < cnt && ivshmem_gen_one(queue, &tx->pkts[tx->cnt]))
		tx->cnt++;
	if (tx->cnt < cnt && queue->opt->from_port != 0)	/* dry: what was sent may be back */
		rte_eth_tx_done_cleanup(queue->port, queue->id, 0);
}

/* Frames that may be built now: the burst, limited by --rate. */
static uint32_t
ivshmem_gen_allowance(struct ivshmem_queue *queue, uint64_t now)
{
	struct ivshmem_gen *gen = &queue->gen;
	uint32_t burst = (uint32_t)queue->opt->burst;
	double behind;

	if (gen->cycles_per_frame == 0)
		return burst;
	behind = (double)now - gen->due;
	if (behind < 0)
		return 0;
	/* What could not be sent for more than 10 ms is not made up for. */
	if (behind > (double)queue->hz / 100 && behind > gen->cycles_per_frame)
		gen->due = (double)now;
	return (uint32_t)RTE_MIN((double)burst, behind / gen->cycles_per_frame + 1);
}

/* The end was ordered: send the one frame that tells the sink where the stream ended (I3). */
static void
ivshmem_gen_close_stream(struct ivshmem_queue *queue)
{
	struct ivshmem_gen *gen = &queue->gen;

	if (gen->last_sent || gen->pos == gen->run_pos) {
		queue->done = true;
		return;
	}
	gen->hdr.total = gen->pos - gen->run_pos + 1;
	gen->plan.cnt = gen->plan.next;
	gen->extra.pending = false;
	ivshmem_gen_build(queue, 1);
}

/* Have something to send, if the phase, the count, the rate and the pool allow it. */
static void
ivshmem_gen_refill(struct ivshmem_queue *queue)
{
	const struct ivshmem_options *opt = queue->opt;
	struct ivshmem_gen *gen = &queue->gen;
	struct ivshmem_tx *tx = &queue->tx;
	uint64_t now = rte_rdtsc();
	uint32_t allowed;

	if (atomic_load_explicit(queue->phase, memory_order_relaxed) != IVSHMEM_PHASE_RUN) {
		ivshmem_gen_close_stream(queue);
	} else if (opt->count != 0 && gen->pos >= opt->count && !gen->extra.pending) {
		queue->done = true;
	} else {
		allowed = ivshmem_gen_allowance(queue, now);
		if (allowed == 0) {
			tx->since = now;
			return;
		}
		ivshmem_gen_build(queue, allowed);
		gen->due += gen->cycles_per_frame * tx->cnt;
	}
	if (tx->cnt != 0)
		tx->since = now;
	else if (!queue->done)
		ivshmem_tx_expire(queue, now);
}

uint32_t
ivshmem_gen_poll(struct ivshmem_queue *queue)
{
	uint32_t sent;

	if (queue->done)
		return 0;
	if (queue->tx.cnt == 0)
		ivshmem_gen_refill(queue);
	sent = ivshmem_tx_flush(queue);
	queue->done = queue->done || queue->tx.timed_out;
	return sent;
}
