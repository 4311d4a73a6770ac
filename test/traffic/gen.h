/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Building test frames for one queue.
 */

#ifndef IVSHMEM_TRAFFIC_GEN_H
#define IVSHMEM_TRAFFIC_GEN_H

#include "queue.h"

/* Prepare the generator of a queue; 0 or -ENOMEM. */
int
ivshmem_gen_init(struct ivshmem_queue *queue);

void
ivshmem_gen_release(struct ivshmem_queue *queue);

/* Put up to `cnt` new frames into the empty queue->tx; fewer when mbufs or sequences run out. */
void
ivshmem_gen_build(struct ivshmem_queue *queue, uint32_t cnt);

#endif /* IVSHMEM_TRAFFIC_GEN_H */
