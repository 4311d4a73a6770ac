/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Sequence tracking: a window of bits tells lost, reordered and duplicated frames apart.
 *
 * I1 to I3 are those of stream.h.  The window moves in whole 64-bit words: a word is cleared
 * when `next` enters it, so the oldest word of the window is always given up early.
 */

#include <string.h>

#include "stream.h"

#define IVSHMEM_STREAM_WORDS (IVSHMEM_STREAM_WINDOW / 64)

/* Make room for `seq` >= next: clear the words between, at most the whole window. */
static void
ivshmem_stream_advance(struct ivshmem_stream *stream, uint64_t seq)
{
	uint64_t word = (stream->next + 63) / 64;
	uint64_t last = seq / 64;

	if (last >= word + IVSHMEM_STREAM_WORDS) {
		memset(stream->seen, 0, sizeof(stream->seen));
	} else {
		for (; word <= last; word++)
			stream->seen[word % IVSHMEM_STREAM_WORDS] = 0;
	}
	stream->next = seq + 1;
}

enum ivshmem_arrival
ivshmem_stream_track(struct ivshmem_stream *stream, uint64_t seq)
{
	uint64_t *word = &stream->seen[seq / 64 % IVSHMEM_STREAM_WORDS];
	uint64_t bit = UINT64_C(1) << (seq % 64);
	uint64_t expected = stream->next;

	if (seq >= expected) {
		ivshmem_stream_advance(stream, seq);
		*word |= bit;
		stream->unique++;
		if (seq == expected)
			return IVSHMEM_ARRIVAL_IN_ORDER;
		if (stream->gap_cnt == 0) {
			stream->gap_seq = expected;
			stream->gap_cnt = seq - expected;
		}
		return IVSHMEM_ARRIVAL_GAP;
	}
	if (seq < stream->base || seq / 64 + IVSHMEM_STREAM_WORDS <= (expected - 1) / 64) {
		stream->late++;
		return IVSHMEM_ARRIVAL_LATE;
	}
	if ((*word & bit) != 0) {
		stream->duplicated++;
		return IVSHMEM_ARRIVAL_DUPLICATED;
	}
	*word |= bit;
	stream->unique++;
	stream->reordered++;
	return IVSHMEM_ARRIVAL_REORDERED;
}

uint64_t
ivshmem_stream_lost(const struct ivshmem_stream *stream, bool tail)
{
	uint64_t end = stream->next;
	uint64_t due;

	/* A run that was replaced ended where it ended: what it had still planned is not lost. */
	if (tail && !stream->superseded && stream->total > end)
		end = stream->total;
	due = end - stream->base;
	return due > stream->unique ? due - stream->unique : 0;
}

void
ivshmem_stream_merge(struct ivshmem_stream *into, const struct ivshmem_stream *from)
{
	if (from->next > into->next)
		into->next = from->next;
	if (from->base < into->base)
		into->base = from->base;
	if (from->total > into->total)
		into->total = from->total;
	into->superseded = into->superseded && from->superseded;
	into->unique += from->unique;
	into->received += from->received;
	into->bytes += from->bytes;
	into->corrupted += from->corrupted;
	into->duplicated += from->duplicated;
	into->reordered += from->reordered;
	into->truncated += from->truncated;
	into->overlong += from->overlong;
	into->late += from->late;
	into->stale += from->stale;
}
