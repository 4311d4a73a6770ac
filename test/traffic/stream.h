/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Sequence tracking of one stream: one (source, queue, run) as seen on one Rx queue.
 *
 * Used by sink.c; knows neither frames nor mbufs.
 *
 * Invariants:
 *  I1. `next` is the highest sequence seen plus one and never goes back.
 *  I2. Of the last IVSHMEM_STREAM_WINDOW - 64 sequences below `next`, bit (seq % window) of
 *      `seen` is set when and only when seq arrived: a frame from behind is reordered the first
 *      time and duplicated from then on.  Older ones can not be told apart: `late`.
 *  I3. `unique` counts distinct sequences in [base, next), so lost = end - base - unique.
 * Threads: the lcore that polls the Rx queue; others only after it has stopped.
 */

#ifndef IVSHMEM_TRAFFIC_STREAM_H
#define IVSHMEM_TRAFFIC_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_STREAM_WINDOW UINT64_C(65536)

enum ivshmem_arrival {
	IVSHMEM_ARRIVAL_IN_ORDER,
	IVSHMEM_ARRIVAL_GAP,		/* ahead of `next`: something is missing so far */
	IVSHMEM_ARRIVAL_REORDERED,
	IVSHMEM_ARRIVAL_DUPLICATED,
	IVSHMEM_ARRIVAL_LATE,
};

struct ivshmem_stream {
	uint64_t next;
	uint64_t base;		/* first sequence that counts */
	uint64_t unique;
	uint64_t total;		/* sequences the source said it would use, 0 = unknown */
	uint32_t run;
	uint32_t seed;
	uint16_t source;
	uint16_t queue;
	uint16_t rx_queue;
	bool superseded;	/* a newer run of the same source and queue has begun */
	uint8_t macs[12];	/* addresses of the first frame; all others must have the same */

	uint64_t received;	/* frames, the faulty ones included */
	uint64_t bytes;
	uint64_t corrupted;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t truncated;
	uint64_t overlong;
	uint64_t late;
	uint64_t stale;		/* arrived after a newer run had begun */
	uint64_t gap_seq;	/* first gap: sequences [gap_seq, gap_seq + gap_cnt) */
	uint64_t gap_cnt;

	uint64_t seen[IVSHMEM_STREAM_WINDOW / 64];
};

/* Account for the arrival of `seq` and say what kind of arrival it was. */
enum ivshmem_arrival
ivshmem_stream_track(struct ivshmem_stream *stream, uint64_t seq);

/* Sequences that never came; with `tail` also those the source announced beyond the last one. */
uint64_t
ivshmem_stream_lost(const struct ivshmem_stream *stream, bool tail);

/* Add the figures of the same stream seen on another Rx queue. */
void
ivshmem_stream_merge(struct ivshmem_stream *into, const struct ivshmem_stream *from);

#endif /* IVSHMEM_TRAFFIC_STREAM_H */
