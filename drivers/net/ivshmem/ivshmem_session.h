/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ring sessions: how the two ends of a ring agree after any restart of either.
 *
 * Each end has an epoch that only it changes. It STARTs with a new epoch, ADOPTs the other's, and
 * is ready when the other has adopted its own. Every step is enabled by a fact that no third party
 * can undo, so the ends cannot wait for each other; nobody writes the other's memory.
 *
 * state   | sees                      | next    | does
 * --------|---------------------------|---------|------------------------------
 * any     | new life, or BUMP         | waiting | START: yours 0, new epoch
 * waiting | other epoch not adopted   | waiting | ADOPT: index 0, yours = other
 * waiting | other.yours == own epoch  | ready   | -
 * ready   | other epoch changed       | waiting | ADOPT
 * ready   | impossible index          | waiting | BUMP
 *
 * Forbidden: an index used without its epoch, epoch and index loaded apart, use before ready,
 * consumer ends started before producer ends, testing only other.yours. Each let frames of one
 * session into another in an exhaustive exploration.
 *
 * Threads: the thread that owns the queue, at a burst boundary; or the control thread while no
 * burst can run.
 */

#ifndef IVSHMEM_SESSION_H
#define IVSHMEM_SESSION_H

#include "ivshmem_ring.h"

/*
 * START, or BUMP. *end holds own, peer, and for a later call mine; the caller has settled: no
 * buffer of the ring is in use by the caller. desc_cnt descriptors lie at desc_off of the own
 * section at "section"; desc_cnt 0 marks the ring unused.
 */
void ivshmem_producer_start(struct ivshmem_producer *end, void *section, uint64_t desc_off,
			    uint32_t desc_cnt);

/*
 * What to do next; looks at the consumer's words when the end is not ready. A consumer in ring mode
 * is waited for unless the end has a layout and buffers for it; then ret_cnt is not 0 when ready.
 */
enum ivshmem_ring_todo ivshmem_producer_poll(struct ivshmem_producer *end);

/* ADOPT. The caller has settled. Counts in "lost" what the earlier consumer left behind. */
void ivshmem_producer_adopt(struct ivshmem_producer *end);

/*
 * START, or BUMP. ret_cnt, ret_off and returns say which mode; loans of earlier sessions are stale
 * from then on.
 */
void ivshmem_consumer_start(struct ivshmem_consumer *end);

enum ivshmem_ring_todo ivshmem_consumer_poll(struct ivshmem_consumer *end);

/*
 * Whether a ring that is not ready takes a step when it is polled next. A producer that died in its
 * START, or leads its ring elsewhere, leaves one that asks for ADOPT and gets no further.
 */
bool ivshmem_consumer_can_step(struct ivshmem_consumer *end);

/*
 * ADOPT: takes the ring's place and size from the producer's directory. Returns 0, -EAGAIN when
 * the producer was just changing it, -EINVAL when it is impossible (counted in bad_dir).
 */
int ivshmem_consumer_adopt(struct ivshmem_consumer *end, const struct ivshmem_layout *layout);

#endif /* IVSHMEM_SESSION_H */
