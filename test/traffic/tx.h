/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Handing frames to the port: retry or drop, and the time-out.
 */

#ifndef IVSHMEM_TRAFFIC_TX_H
#define IVSHMEM_TRAFFIC_TX_H

#include "queue.h"

/*
 * Offer the frames waiting in queue->tx once.  Afterwards none waits with --tx-drop, or when the
 * time-out struck (timed_out is set and they were freed).  Returns the number accepted.
 */
uint32_t
ivshmem_tx_flush(struct ivshmem_queue *queue);

/*
 * Nothing could be built or sent at time `now`: set timed_out and drop what waits when that has
 * lasted too long; stalled as well unless the end had been ordered.
 */
void
ivshmem_tx_expire(struct ivshmem_queue *queue, uint64_t now);

/* Free the frames that still wait and count them as dropped. */
void
ivshmem_tx_drop(struct ivshmem_queue *queue);

#endif /* IVSHMEM_TRAFFIC_TX_H */
