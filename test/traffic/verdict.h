/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * From the queues of a finished run to totals, streams and a verdict.
 */

#ifndef IVSHMEM_TRAFFIC_VERDICT_H
#define IVSHMEM_TRAFFIC_VERDICT_H

#include "run.h"

struct ivshmem_rate {
	uint64_t frames;
	uint64_t bytes;
	double seconds;		/* from the first burst to the last */
};

struct ivshmem_verdict {
	uint64_t counter[IVSHMEM_COUNTER_CNT];
	bool is_wrong[IVSHMEM_COUNTER_CNT];	/* outside of what --expect allows */
	bool is_passed;
	uint64_t injected[IVSHMEM_COUNTER_CNT];	/* what a sink has to report for our faults */
	struct ivshmem_stream **streams;	/* borrowed from the queues, merged, by age */
	uint32_t stream_cnt;
	const struct ivshmem_bad *first_bad;	/* NULL = none */
	uint16_t first_bad_queue;
	struct ivshmem_rate tx;
	struct ivshmem_rate rx;
	struct ivshmem_ping ping;		/* all queues together */
};

/* Needs the port closed and the run not yet released; 0 or -ENOMEM. */
int
ivshmem_verdict_create(struct ivshmem_verdict *verdict, const struct ivshmem_run *run);

void
ivshmem_verdict_release(struct ivshmem_verdict *verdict);

#endif /* IVSHMEM_TRAFFIC_VERDICT_H */
