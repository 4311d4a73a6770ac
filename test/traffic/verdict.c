/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Adds up the queues, joins streams that arrived on several Rx queues, compares with --expect.
 *
 * Invariant: a stream is counted once, under its first Rx queue; the figures of other queues are
 * merged into it before anything is derived from it (lost can not be added up).
 */

#include <errno.h>
#include <stdlib.h>

#include "verdict.h"

static void
ivshmem_verdict_add_stream(struct ivshmem_verdict *verdict, struct ivshmem_stream *stream)
{
	for (uint32_t i = 0; i < verdict->stream_cnt; i++) {
		struct ivshmem_stream *known = verdict->streams[i];

		if (known->source == stream->source && known->queue == stream->queue &&
		    known->run == stream->run) {
			ivshmem_stream_merge(known, stream);
			return;
		}
	}
	verdict->streams[verdict->stream_cnt++] = stream;
}

static void
ivshmem_verdict_add_sink(struct ivshmem_verdict *verdict, const struct ivshmem_queue *queue)
{
	const struct ivshmem_sink *sink = &queue->sink;
	uint64_t *counter = verdict->counter;

	counter[IVSHMEM_COUNTER_RECEIVED] += sink->received;
	counter[IVSHMEM_COUNTER_CORRUPTED] += sink->corrupted;
	counter[IVSHMEM_COUNTER_TRUNCATED] += sink->truncated;
	counter[IVSHMEM_COUNTER_BADMBUF] += sink->badmbuf;
	counter[IVSHMEM_COUNTER_FOREIGN] += sink->foreign;
	counter[IVSHMEM_COUNTER_MISQUEUED] += sink->misqueued;
	for (uint32_t i = 0; i < sink->stream_cnt; i++)
		ivshmem_verdict_add_stream(verdict, sink->streams[i]);
	if (sink->first_bad.what != NULL && (verdict->first_bad == NULL ||
					     sink->first_bad.tsc < verdict->first_bad->tsc)) {
		verdict->first_bad = &sink->first_bad;
		verdict->first_bad_queue = queue->id;
	}
}

static void
ivshmem_verdict_add_queues(struct ivshmem_verdict *verdict, const struct ivshmem_run *run)
{
	uint64_t tx_first = UINT64_MAX, tx_last = 0, rx_first = UINT64_MAX, rx_last = 0;

	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		const struct ivshmem_queue *queue = run->queues[i];

		ivshmem_verdict_add_sink(verdict, queue);
		ivshmem_inject_effect(&queue->gen.plan, verdict->injected);
		ivshmem_histogram_merge(&verdict->ping.rtt, &queue->ping.rtt);
		verdict->ping.rounds += queue->ping.rounds;
		verdict->ping.lost += queue->ping.lost + queue->ping.outstanding;
		verdict->ping.returned += queue->ping.returned;
		verdict->ping.overdue += queue->ping.overdue;
		verdict->counter[IVSHMEM_COUNTER_SENT] += queue->tx.frames;
		verdict->counter[IVSHMEM_COUNTER_DROPPED] += queue->tx.dropped;
		verdict->tx.bytes += queue->tx.bytes;
		verdict->rx.frames += queue->rx_frames;
		verdict->rx.bytes += queue->rx_bytes;
		if (queue->tx.frames != 0) {
			tx_first = RTE_MIN(tx_first, queue->tx.first_tsc);
			tx_last = RTE_MAX(tx_last, queue->tx.last_tsc);
		}
		if (queue->rx_frames != 0) {
			rx_first = RTE_MIN(rx_first, queue->rx_first_tsc);
			rx_last = RTE_MAX(rx_last, queue->rx_last_tsc);
		}
	}
	verdict->tx.frames = verdict->counter[IVSHMEM_COUNTER_SENT];
	if (tx_last > tx_first)
		verdict->tx.seconds = (double)(tx_last - tx_first) / (double)run->hz;
	if (rx_last > rx_first)
		verdict->rx.seconds = (double)(rx_last - rx_first) / (double)run->hz;
}

static void
ivshmem_verdict_add_streams(struct ivshmem_verdict *verdict, const struct ivshmem_options *opt)
{
	uint64_t *counter = verdict->counter;

	for (uint32_t i = 0; i < verdict->stream_cnt; i++) {
		const struct ivshmem_stream *stream = verdict->streams[i];

		counter[IVSHMEM_COUNTER_LOST] += ivshmem_stream_lost(stream, opt->tail != 0);
		counter[IVSHMEM_COUNTER_CORRUPTED] += stream->corrupted;
		counter[IVSHMEM_COUNTER_DUPLICATED] += stream->duplicated;
		counter[IVSHMEM_COUNTER_REORDERED] += stream->reordered;
		counter[IVSHMEM_COUNTER_TRUNCATED] += stream->truncated;
		counter[IVSHMEM_COUNTER_OVERLONG] += stream->overlong;
		counter[IVSHMEM_COUNTER_LATE] += stream->late;
		counter[IVSHMEM_COUNTER_STALE] += stream->stale;
	}
	counter[IVSHMEM_COUNTER_STREAMS] = verdict->stream_cnt;
}

int
ivshmem_verdict_create(struct ivshmem_verdict *verdict, const struct ivshmem_run *run)
{
	const struct ivshmem_options *opt = run->opt;

	memset(verdict, 0, sizeof(*verdict));
	verdict->streams = calloc((size_t)run->queue_cnt * IVSHMEM_STREAMS_MAX + 1,
				  sizeof(*verdict->streams));
	if (verdict->streams == NULL)
		return -ENOMEM;
	ivshmem_verdict_add_queues(verdict, run);
	ivshmem_verdict_add_streams(verdict, opt);
	verdict->counter[IVSHMEM_COUNTER_LEAKED] = run->port->leaked;
	if (opt->inject.sum != 0)
		verdict->injected[IVSHMEM_COUNTER_STREAMS] += run->queue_cnt;
	/* A ping that was not answered in time is lost, even if its echo is merely overdue. */
	if (opt->role == IVSHMEM_ROLE_PING)
		verdict->counter[IVSHMEM_COUNTER_LOST] = verdict->ping.lost;
	verdict->is_passed = run->error[0] == '\0';
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++) {
		verdict->is_wrong[i] = verdict->counter[i] < opt->expect[i].min ||
				       verdict->counter[i] > opt->expect[i].max;
		verdict->is_passed = verdict->is_passed && !verdict->is_wrong[i];
	}
	return 0;
}

void
ivshmem_verdict_release(struct ivshmem_verdict *verdict)
{
	free(verdict->streams);
	verdict->streams = NULL;
}
