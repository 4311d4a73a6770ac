/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Faults the generator puts into its own stream, so that a sink can be seen to find them.
 */

#ifndef IVSHMEM_TRAFFIC_INJECT_H
#define IVSHMEM_TRAFFIC_INJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "counter.h"

/* Positions a fault needs for itself, so that no two faults touch the same frames. */
#define IVSHMEM_INJECT_SPACE 8

enum ivshmem_fault {
	IVSHMEM_FAULT_NONE,
	IVSHMEM_FAULT_CORRUPT,		/* one payload byte changed */
	IVSHMEM_FAULT_HEADER,		/* one bit of the sequence changed: corrupted and lost */
	IVSHMEM_FAULT_DROP,		/* sequence skipped */
	IVSHMEM_FAULT_DUPLICATE,	/* frame sent twice */
	IVSHMEM_FAULT_REORDER,		/* two frames change places */
	IVSHMEM_FAULT_TRUNCATE,		/* cut short by 1 to 64 bytes */
	IVSHMEM_FAULT_OVERLONG,		/* longer than its header says by 1 to 4 bytes */
	IVSHMEM_FAULT_BADMBUF,		/* pkt_len one too large: badmbuf and lost; see --help */
	IVSHMEM_FAULT_FOREIGN,		/* extra frame with another magic */
	IVSHMEM_FAULT_RESTART,		/* new run begins at sequence 0 */
	IVSHMEM_FAULT_STALE,		/* restart, then one more frame of the old run */
	IVSHMEM_FAULT_CNT,
};

/* How often each fault was asked for, over all queues. */
struct ivshmem_injections {
	uint64_t cnt[IVSHMEM_FAULT_CNT];
	uint64_t sum;
};

/* One planned fault of one queue. */
struct ivshmem_inject_step {
	uint64_t pos;		/* turn of the generator at which it strikes */
	uint64_t seq;		/* filled in when done */
	uint32_t run;
	uint32_t detail;	/* offset, bytes cut or added; by fault */
	enum ivshmem_fault fault;
	bool done;
};

struct ivshmem_inject_plan {
	struct ivshmem_inject_step *steps;	/* ascending pos */
	uint32_t cnt;
	uint32_t next;
};

extern const char *const ivshmem_fault_names[IVSHMEM_FAULT_CNT];

/* Parse "kind:N,kind:N", adding up; 0, or -EINVAL with *bad at the faulty part. */
int
ivshmem_inject_parse(const char *text, struct ivshmem_injections *inject, const char **bad);

/*
 * Spread the faults over `queues` streams of `count` frames and plan those of `queue`.
 * Returns 0, -ENOMEM, or -ENOSPC when count is too small for them; the caller frees plan->steps.
 */
int
ivshmem_inject_plan_create(struct ivshmem_inject_plan *plan,
			   const struct ivshmem_injections *inject, uint64_t count,
			   uint16_t queue, uint16_t queues, uint64_t seed);

/* Frames of `count` a queue needs for all faults that may fall to it. */
uint64_t
ivshmem_inject_needs(const struct ivshmem_injections *inject, uint16_t queues);

/* Add what a clean wire makes a sink report for the faults of the plan that were done. */
void
ivshmem_inject_effect(const struct ivshmem_inject_plan *plan, uint64_t *counters);

/* One line a fault that was done. */
void
ivshmem_inject_print(FILE *out, const struct ivshmem_inject_plan *plan, uint16_t queue);

#endif /* IVSHMEM_TRAFFIC_INJECT_H */
