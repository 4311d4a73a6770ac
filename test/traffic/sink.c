/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The sink: mbuf, header, length, payload, sequence - in this order, each checked before the
 * next one is believed.
 *
 * Invariants:
 *  I1. A frame is blamed on a stream only after its header check was right.
 *  I2. The first bad frame of the queue is kept with what was wrong; later ones are only counted.
 *  I3. Of two runs of one (source, queue) the one whose first frame came later is the newer.
 * Trust: the PMD under test made the mbuf; its chain is walked at most IVSHMEM_SINK_SEGMENTS far.
 */

#include <inttypes.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "sink.h"

#define IVSHMEM_SINK_SEGMENTS 1024

static void
ivshmem_sink_bad(struct ivshmem_queue *queue, enum ivshmem_counter kind, const char *what,
		 const struct rte_mbuf *pkt, const struct ivshmem_frame_hdr *hdr,
		 uint32_t off, uint64_t want, uint64_t have)
{
	struct ivshmem_bad *bad = &queue->sink.first_bad;

	queue->sink.bad++;
	if (bad->what != NULL)
		return;
	*bad = (struct ivshmem_bad){
		.kind = kind, .what = what, .tsc = rte_rdtsc(), .pkt_len = pkt->pkt_len,
		.off = off, .want = want, .have = have, .known = hdr != NULL,
	};
	if (hdr == NULL)
		return;
	bad->source = hdr->source;
	bad->queue = hdr->queue;
	bad->run = hdr->run;
	bad->seq = hdr->seq;
	bad->length = hdr->length;
}

/* Walk the chain: NULL when all is right, else what is wrong. */
static const char *
ivshmem_sink_walk(const struct rte_mbuf *pkt, uint64_t *want, uint64_t *have,
		  enum ivshmem_mbuf_state *state)
{
	const struct rte_mbuf *seg = pkt;
	uint32_t len = 0, segs = 0;

	*state = IVSHMEM_MBUF_UNSOUND;
	for (; seg != NULL && segs < IVSHMEM_SINK_SEGMENTS; seg = seg->next, segs++) {
		*want = 1;
		*have = rte_mbuf_refcnt_read(seg);
		if (*have != 1)
			return "refcnt of a segment";
		*want = seg->buf_len;
		*have = (uint64_t)seg->data_off + seg->data_len;
		if (*have > *want)
			return "data_off + data_len against buf_len";
		len += seg->data_len;
	}
	*want = pkt->nb_segs;
	*have = segs;
	if (seg != NULL)
		return "end of the chain (next) after nb_segs";
	*state = IVSHMEM_MBUF_WRONG;
	if (segs != pkt->nb_segs)
		return "segments in the chain against nb_segs";
	*want = len;
	*have = pkt->pkt_len;
	if (len != pkt->pkt_len)
		return "pkt_len against the sum of data_len";
	*state = IVSHMEM_MBUF_GOOD;
	return NULL;
}

enum ivshmem_mbuf_state
ivshmem_sink_check_mbuf(struct ivshmem_queue *queue, const struct rte_mbuf *pkt)
{
	enum ivshmem_mbuf_state state;
	uint64_t want = 0, have = 0;
	const char *what;

	if (likely(pkt->nb_segs == 1 && pkt->next == NULL && pkt->pkt_len == pkt->data_len &&
		   pkt->data_off + pkt->data_len <= pkt->buf_len &&
		   rte_mbuf_refcnt_read(pkt) == 1))
		return IVSHMEM_MBUF_GOOD;
	what = ivshmem_sink_walk(pkt, &want, &have, &state);
	if (state == IVSHMEM_MBUF_GOOD)
		return state;
	queue->sink.badmbuf++;
	ivshmem_sink_bad(queue, IVSHMEM_COUNTER_BADMBUF, what, pkt, NULL, 0, want, have);
	return state;
}

/* Begin a stream; NULL when there is no room or memory for it. */
static struct ivshmem_stream *
ivshmem_sink_open_stream(struct ivshmem_queue *queue, const struct ivshmem_frame_hdr *hdr)
{
	struct ivshmem_sink *sink = &queue->sink;
	struct ivshmem_stream *stream;

	if (sink->stream_cnt == IVSHMEM_STREAMS_MAX)
		return NULL;
	stream = calloc(1, sizeof(*stream));
	if (stream == NULL)
		return NULL;
	for (uint32_t i = 0; i < sink->stream_cnt; i++)
		if (sink->streams[i]->source == hdr->source &&
		    sink->streams[i]->queue == hdr->queue)
			sink->streams[i]->superseded = true;
	stream->source = hdr->source;
	stream->queue = hdr->queue;
	stream->run = hdr->run;
	stream->seed = hdr->seed;
	stream->rx_queue = queue->id;
	memcpy(stream->macs, hdr, sizeof(stream->macs));
	if (queue->opt->first_any != 0) {
		stream->base = hdr->seq;
		stream->next = hdr->seq;
	}
	sink->streams[sink->stream_cnt++] = stream;
	return stream;
}

static struct ivshmem_stream *
ivshmem_sink_find_stream(struct ivshmem_queue *queue, const struct ivshmem_frame_hdr *hdr)
{
	struct ivshmem_sink *sink = &queue->sink;
	struct ivshmem_stream *stream = sink->last;

	if (likely(stream != NULL && stream->run == hdr->run && stream->source == hdr->source &&
		   stream->queue == hdr->queue))
		return stream;
	for (uint32_t i = 0; i < sink->stream_cnt; i++) {
		stream = sink->streams[i];
		if (stream->run == hdr->run && stream->source == hdr->source &&
		    stream->queue == hdr->queue) {
			sink->last = stream;
			return stream;
		}
	}
	sink->last = ivshmem_sink_open_stream(queue, hdr);
	return sink->last;
}

static uint32_t
ivshmem_sink_newest_run(const struct ivshmem_sink *sink, const struct ivshmem_frame_hdr *hdr)
{
	uint32_t i = sink->stream_cnt;

	while (i-- > 0)
		if (sink->streams[i]->source == hdr->source &&
		    sink->streams[i]->queue == hdr->queue)
			return sink->streams[i]->run;
	return 0;
}

/* Read the header; false, counted and recorded, when the frame can not be told to be whose. */
static bool
ivshmem_sink_read_header(struct ivshmem_queue *queue, const struct rte_mbuf *pkt,
			 struct ivshmem_frame_hdr *hdr, uint64_t *key)
{
	struct ivshmem_sink *sink = &queue->sink;
	uint32_t len = RTE_MIN(pkt->pkt_len, (uint32_t)sizeof(*hdr));
	const void *data = rte_pktmbuf_read(pkt, 0, len, hdr);
	uint32_t check, type;

	if (data != NULL && data != hdr)
		memcpy(hdr, data, len);
	type = len < 18 ? 0 : (uint32_t)hdr->type[0] << 8 | hdr->type[1];
	if (type != IVSHMEM_FRAME_ETHERTYPE || hdr->magic != IVSHMEM_FRAME_MAGIC) {
		bool is_type = type != IVSHMEM_FRAME_ETHERTYPE;

		sink->foreign++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_FOREIGN, is_type ? "ethertype" : "magic",
				 pkt, NULL, is_type ? 12 : 14,
				 is_type ? IVSHMEM_FRAME_ETHERTYPE : IVSHMEM_FRAME_MAGIC,
				 is_type ? type : hdr->magic);
		return false;
	}
	sink->received++;
	if (len < sizeof(*hdr)) {
		sink->truncated++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_TRUNCATED, "frame length for the header",
				 pkt, NULL, 0, sizeof(*hdr), len);
		return false;
	}
	*key = ivshmem_frame_key(hdr);
	check = ivshmem_frame_hdr_check(hdr, *key);
	if (check != hdr->check) {
		sink->corrupted++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_CORRUPTED, "header check", pkt, hdr,
				 offsetof(struct ivshmem_frame_hdr, check), check, hdr->check);
		return false;
	}
	return true;
}

/* Compare the payload, piece by piece; true when all of it is right. */
static bool
ivshmem_sink_check_payload(struct ivshmem_queue *queue, const struct rte_mbuf *pkt,
			   const struct ivshmem_frame_hdr *hdr, uint64_t key)
{
	uint32_t len = RTE_MIN(pkt->pkt_len, hdr->length);
	uint32_t end = RTE_MIN(len, (uint32_t)IVSHMEM_FRAME_MAX);
	uint32_t off = 0;

	for (const struct rte_mbuf *seg = pkt; seg != NULL; seg = seg->next) {
		const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);
		uint32_t from = off < IVSHMEM_FRAME_HDR_LEN ? IVSHMEM_FRAME_HDR_LEN - off : 0;
		uint32_t to = RTE_MIN((uint32_t)seg->data_len, end > off ? end - off : 0);
		uint32_t bad;

		if (from < to) {
			bad = ivshmem_frame_check(data + from, off + from, to - from, key);
			if (unlikely(bad != IVSHMEM_FRAME_GOOD)) {
				bad += from;
				ivshmem_sink_bad(queue, IVSHMEM_COUNTER_CORRUPTED, "payload byte",
						 pkt, hdr, off + bad,
						 ivshmem_frame_byte(off + bad, key), data[bad]);
				return false;
			}
		}
		off += seg->data_len;
	}
	return true;
}

/* Bytes and length of a frame whose header is right. */
static void
ivshmem_sink_check_frame(struct ivshmem_queue *queue, struct ivshmem_stream *stream,
			 const struct rte_mbuf *pkt, const struct ivshmem_frame_hdr *hdr,
			 uint64_t key)
{
	stream->received++;
	stream->bytes += pkt->pkt_len;
	if (unlikely(pkt->pkt_len < hdr->length)) {
		stream->truncated++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_TRUNCATED, "frame length", pkt, hdr, 0,
				 hdr->length, pkt->pkt_len);
	} else if (unlikely(pkt->pkt_len > hdr->length)) {
		stream->overlong++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_OVERLONG, "frame length", pkt, hdr, 0,
				 hdr->length, pkt->pkt_len);
	}
	if (unlikely(!ivshmem_sink_check_payload(queue, pkt, hdr, key))) {
		stream->corrupted++;
	} else if (unlikely(memcmp(stream->macs, hdr, sizeof(stream->macs)) != 0)) {
		const uint8_t *macs = hdr->dst;
		uint32_t at = 0;

		while (stream->macs[at] == macs[at])
			at++;
		stream->corrupted++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_CORRUPTED,
				 "address byte (against the first frame of the stream)",
				 pkt, hdr, at, stream->macs[at], macs[at]);
	}
}

/* Place of a frame in its stream. */
static void
ivshmem_sink_check_sequence(struct ivshmem_queue *queue, struct ivshmem_stream *stream,
			    const struct rte_mbuf *pkt, const struct ivshmem_frame_hdr *hdr)
{
	uint64_t expected = stream->next;
	enum ivshmem_arrival arrival = ivshmem_stream_track(stream, hdr->seq);

	if ((hdr->flags & IVSHMEM_FRAME_LAST) != 0 || stream->total == 0)
		stream->total = hdr->total;
	if (arrival == IVSHMEM_ARRIVAL_REORDERED)
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_REORDERED, "sequence", pkt, hdr, 0,
				 expected, hdr->seq);
	else if (arrival == IVSHMEM_ARRIVAL_DUPLICATED)
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_DUPLICATED, "sequence", pkt, hdr, 0,
				 expected, hdr->seq);
	else if (arrival == IVSHMEM_ARRIVAL_LATE)
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_LATE, "sequence", pkt, hdr, 0,
				 expected, hdr->seq);
	if (unlikely(stream->superseded)) {
		stream->stale++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_STALE, "run (a newer one had begun)",
				 pkt, hdr, 0, ivshmem_sink_newest_run(&queue->sink, hdr), hdr->run);
	}
	if (unlikely(hdr->queue != queue->id))
		queue->sink.misqueued++;
}

bool
ivshmem_sink_judge(struct ivshmem_queue *queue, const struct rte_mbuf *pkt,
		   struct ivshmem_frame_hdr *hdr)
{
	enum ivshmem_mbuf_state state = ivshmem_sink_check_mbuf(queue, pkt);
	struct ivshmem_stream *stream;
	uint64_t key = 0;

	hdr->magic = 0;
	if (unlikely(state != IVSHMEM_MBUF_GOOD))
		return state == IVSHMEM_MBUF_WRONG;
	if (unlikely(!ivshmem_sink_read_header(queue, pkt, hdr, &key))) {
		hdr->magic = 0;
		return true;
	}
	stream = ivshmem_sink_find_stream(queue, hdr);
	if (unlikely(stream == NULL)) {
		queue->sink.foreign++;
		ivshmem_sink_bad(queue, IVSHMEM_COUNTER_FOREIGN, "number of streams on a queue",
				 pkt, hdr, 0, IVSHMEM_STREAMS_MAX, IVSHMEM_STREAMS_MAX + 1);
		return true;
	}
	ivshmem_sink_check_frame(queue, stream, pkt, hdr, key);
	ivshmem_sink_check_sequence(queue, stream, pkt, hdr);
	return true;
}

uint32_t
ivshmem_sink_receive(struct ivshmem_queue *queue)
{
	uint32_t cnt = rte_eth_rx_burst(queue->port, queue->id, queue->rx_pkts,
					(uint16_t)queue->opt->burst);
	uint64_t now;

	if (cnt == 0)
		return 0;
	now = rte_rdtsc();
	if (queue->rx_frames == 0)
		queue->rx_first_tsc = now;
	queue->rx_last_tsc = now;
	queue->rx_frames += cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(queue->rx_pkts[i], void *));
		queue->rx_bytes += queue->rx_pkts[i]->pkt_len;
	}
	atomic_store_explicit(&queue->shown.rx, queue->rx_frames, memory_order_relaxed);
	atomic_store_explicit(&queue->shown.rx_last_tsc, now, memory_order_relaxed);
	return cnt;
}

uint32_t
ivshmem_sink_poll(struct ivshmem_queue *queue)
{
	uint32_t cnt = ivshmem_sink_receive(queue);
	struct ivshmem_frame_hdr hdr;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		struct rte_mbuf *pkt = queue->rx_pkts[i];

		if (likely(ivshmem_sink_judge(queue, pkt, &hdr)))
			queue->rx_pkts[kept++] = pkt;
	}
	rte_pktmbuf_free_bulk(queue->rx_pkts, kept);
	if (cnt != 0)
		atomic_store_explicit(&queue->shown.bad, queue->sink.bad, memory_order_relaxed);
	return cnt;
}

uint32_t
ivshmem_gensink_poll(struct ivshmem_queue *queue)
{
	return ivshmem_sink_poll(queue) + ivshmem_gen_poll(queue);
}

void
ivshmem_sink_release(struct ivshmem_queue *queue)
{
	for (uint32_t i = 0; i < queue->sink.stream_cnt; i++)
		free(queue->sink.streams[i]);
	queue->sink.stream_cnt = 0;
}
