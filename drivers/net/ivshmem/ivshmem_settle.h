/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/* When lent buffers may be used again; see ivshmem_settle.c. */

#ifndef IVSHMEM_SETTLE_H
#define IVSHMEM_SETTLE_H

#include "ivshmem_ethdev.h"

/* The Tx pool of cnt buffers, unless 0: before the port's first start. 0 or an errno, logged. */
int ivshmem_settle_make_pool(struct ivshmem_dev *dev, uint32_t cnt);

/*
 * The port starts: own buffers may be out from before, when it had txq_cnt_before Tx queues, 0 if
 * it never ran. What of them is not shared out as then waits until they are settled, and so does
 * the Tx pool in the first life of a process.
 */
void ivshmem_settle_start(struct ivshmem_dev *dev, uint16_t txq_cnt_before);

/*
 * The port in that slot runs: see whether what was out with it is settled. True when frames may be
 * sent to it; after the first time in the life of the process only what was barred waits.
 */
bool ivshmem_settle_port(struct rte_eth_dev *eth_dev, uint32_t slot);

/* Once a heartbeat: what the application has freed goes back. */
void ivshmem_settle_loans(struct ivshmem_dev *dev);

/* Once a heartbeat, while started. */
void ivshmem_settle_tick(struct rte_eth_dev *eth_dev);

/*
 * The port is stopped and will close: wait up to a second for what others, or the application,
 * still use. Returns how many buffers that is in the end.
 */
uint32_t ivshmem_settle_wait(struct rte_eth_dev *eth_dev);

#endif /* IVSHMEM_SETTLE_H */
