/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The counters a verdict rests on, their names, and what --expect says about them.
 */

#ifndef IVSHMEM_TRAFFIC_COUNTER_H
#define IVSHMEM_TRAFFIC_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

enum ivshmem_counter {
	IVSHMEM_COUNTER_SENT,		/* frames the port accepted */
	IVSHMEM_COUNTER_DROPPED,	/* built, but not accepted by the port */
	IVSHMEM_COUNTER_RECEIVED,	/* frames of ours, faulty ones included */
	IVSHMEM_COUNTER_CORRUPTED,	/* a header, address or payload byte is wrong */
	IVSHMEM_COUNTER_LOST,		/* sequences that never came */
	IVSHMEM_COUNTER_DUPLICATED,	/* sequence seen before */
	IVSHMEM_COUNTER_REORDERED,	/* came after a later sequence */
	IVSHMEM_COUNTER_TRUNCATED,	/* shorter than its header says */
	IVSHMEM_COUNTER_OVERLONG,	/* longer than its header says */
	IVSHMEM_COUNTER_BADMBUF,	/* pkt_len, nb_segs, next or refcnt is wrong */
	IVSHMEM_COUNTER_LATE,		/* too far behind to tell reordered from duplicated */
	IVSHMEM_COUNTER_STALE,		/* of an old run, after a newer one had begun */
	IVSHMEM_COUNTER_FOREIGN,	/* not of this program */
	IVSHMEM_COUNTER_MISQUEUED,	/* received on another queue than sent on */
	IVSHMEM_COUNTER_STREAMS,	/* distinct (source, queue, run) */
	IVSHMEM_COUNTER_LEAKED,		/* mbufs missing from the pool after close */
	IVSHMEM_COUNTER_CNT,
};

/* Accepted range of a counter; `given` when --expect named it. */
struct ivshmem_expect {
	uint64_t min;
	uint64_t max;
	bool given;
};

extern const char *const ivshmem_counter_names[IVSHMEM_COUNTER_CNT];

/* Nothing wrong is accepted; sent, dropped, received, misqueued and streams may be anything. */
void
ivshmem_expect_default(struct ivshmem_expect *expect);

/* Parse "name=N,name=N-M,name=any"; 0, or -EINVAL with *bad at the faulty part. */
int
ivshmem_expect_parse(const char *text, struct ivshmem_expect *expect, const char **bad);

#endif /* IVSHMEM_TRAFFIC_COUNTER_H */
