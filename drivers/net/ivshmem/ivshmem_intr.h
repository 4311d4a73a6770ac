/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Rx interrupts: how a queue sleeps and is woken.
 *
 * A doorbell is a wakeup and carries nothing. A queue that wants to sleep arms: it writes a new
 * sequence number into its line of the region, and looks at all its rings once more. A producer
 * that has published looks at the line, and rings once for each sequence number. The full barriers
 * between the two steps of each side let one of them see the other's store, so no wakeup is lost;
 * test/model has the proof.
 *
 * state | event                          | who                | next
 * ------|--------------------------------|--------------------|-------
 * awake | rx_queue_intr_enable           | the queue's thread | armed, with the next number
 * armed | work found in the second look  | the queue's thread | its eventfd is signalled
 * armed | published                      | producer           | it is rung, once
 * armed | vector 0, link, backstop       | control thread     | it is woken if there is work
 * armed | rx_queue_intr_disable          | the queue's thread | awake
 *
 * Invariants:
 *  N1. A queue that polls (line 0) is never rung, and its producers need no barrier where
 *      may_arm is 0.
 *  N2. A queue's eventfd is read here, by the queue's thread, and not by EAL, which would spin on
 *      one that somebody else has emptied.
 *  N3. A wakeup too many is harmless and counted; more than IVSHMEM_SPURIOUS_MAX a second are cut
 *      off for IVSHMEM_MASK_MS.
 */

#ifndef IVSHMEM_INTR_H
#define IVSHMEM_INTR_H

#include "ivshmem_ethdev.h"

#define IVSHMEM_SPURIOUS_MAX	1000u	/* wakeups for nothing, a second */
#define IVSHMEM_MASK_MS		10u

/*
 * At start, before any ring end: hear vectors if the application asked for interrupts and there are
 * some, and fill the queues' lines. Returns 0 or a negative errno, logged.
 */
int ivshmem_intr_start(struct rte_eth_dev *eth_dev);

/* At stop: nobody is woken any more. Without dev->lock. */
void ivshmem_intr_stop(struct rte_eth_dev *eth_dev);

int ivshmem_rx_queue_intr_enable(struct rte_eth_dev *eth_dev, uint16_t queue);
int ivshmem_rx_queue_intr_disable(struct rte_eth_dev *eth_dev, uint16_t queue);
int ivshmem_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond);

/* Control thread: wake the queues that are armed and have work. Returns how many. */
uint32_t ivshmem_intr_relay(struct rte_eth_dev *eth_dev);
/* Whether something was published since the queue armed. Any thread. */
bool ivshmem_intr_is_due(const struct ivshmem_rxq *rxq);
/* End the sleep "armed" of the queue, at most once; whether it did. Any thread. */
bool ivshmem_intr_wake(struct ivshmem_rxq *rxq, uint32_t armed);
/* Alarm: the queue may be woken again. */
void ivshmem_intr_unmask(void *rxq);

/*
 * Control thread, under dev->lock, while started; once a heartbeat: the backstop, and peers that
 * cannot ring.
 */
void ivshmem_intr_tick(struct rte_eth_dev *eth_dev);

#endif /* IVSHMEM_INTR_H */
