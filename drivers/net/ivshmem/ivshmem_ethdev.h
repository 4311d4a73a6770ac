/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A port: what the fronts (PCI, vdev) attach and the ethdev operations work on.
 *
 * Threads: the application's control thread, and EAL's alarm thread for heartbeat and link; both
 * hold "lock" while they look at or change what is not a queue's own.
 */

#ifndef IVSHMEM_ETHDEV_H
#define IVSHMEM_ETHDEV_H

#include <stdint.h>

#include <ethdev_driver.h>
#include <rte_ether.h>
#include <rte_spinlock.h>

#include "ivshmem_layout.h"
#include "ivshmem_port.h"
#include "ivshmem_rxtx.h"
#include "ivshmem_transport.h"

#define IVSHMEM_XSTATS_MAX	32u

struct ivshmem_dev {
	struct rte_eth_dev_data *data;
	struct ivshmem_transport transport;
	struct ivshmem_layout layout;
	struct ivshmem_port port;
	struct ivshmem_peer *peers;	/* port_cnt of them; the own one is unused */
	uint32_t other;			/* the slot at the other end of the wire */
	struct ivshmem_u32 open;	/* 1 = link up: Tx may send */
	rte_spinlock_t lock;
	struct rte_ether_addr mac;
	struct rte_ether_addr mc[IVSHMEM_ABI_MACS_MAX];
	uint32_t mc_cnt;
	bool started;
	bool admin_up;
	bool dead;			/* another process took the slot */
	bool lists_due;			/* an Rx queue has not taken its new list yet */
	uint64_t link_changes;
	uint64_t peer_restarts;
	uint32_t peer_life;
	uint64_t xstats_base[IVSHMEM_XSTATS_MAX];	/* of rings and port, at the last reset */
};

static inline struct ivshmem_dev *
ivshmem_dev(const struct rte_eth_dev *eth_dev)
{
	return eth_dev->data->dev_private;
}

/*
 * Common part of a probe: checks the region, claims the slot, registers operations and alarm. Owns
 * the transport from then on, also on failure. Returns 0, -ENODEV for a region that is not ours,
 * or another negative errno, logged.
 */
int ivshmem_dev_create(struct rte_eth_dev *eth_dev, const struct ivshmem_transport *transport,
		       const struct rte_ether_addr *mac);

/* Common part of a remove; idempotent. */
int ivshmem_dev_close(struct rte_eth_dev *eth_dev);

/* ivshmem_link.c */
void ivshmem_link_tick(void *arg);
int ivshmem_link_update(struct rte_eth_dev *eth_dev, int wait_to_complete);
int ivshmem_link_set_up(struct rte_eth_dev *eth_dev);
int ivshmem_link_set_down(struct rte_eth_dev *eth_dev);
void ivshmem_link_publish_conf(struct ivshmem_dev *dev);

/* ivshmem_queue.c */
int ivshmem_rx_queue_setup(struct rte_eth_dev *eth_dev, uint16_t queue, uint16_t desc_cnt,
			   unsigned int socket, const struct rte_eth_rxconf *conf,
			   struct rte_mempool *pool);
void ivshmem_rx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue);
int ivshmem_tx_queue_setup(struct rte_eth_dev *eth_dev, uint16_t queue, uint16_t desc_cnt,
			   unsigned int socket, const struct rte_eth_txconf *conf);
void ivshmem_tx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue);
void ivshmem_rxq_info_get(struct rte_eth_dev *eth_dev, uint16_t queue,
			  struct rte_eth_rxq_info *info);
void ivshmem_txq_info_get(struct rte_eth_dev *eth_dev, uint16_t queue,
			  struct rte_eth_txq_info *info);
/* START of all ring ends: producers, then consumers. No burst may run. */
void ivshmem_queues_start(struct rte_eth_dev *eth_dev);
/* Longest frame and address filter of each Rx queue, from the port's configuration. */
void ivshmem_queues_refilter(struct rte_eth_dev *eth_dev);

/* ivshmem_stats.c */
int ivshmem_stats_get(struct rte_eth_dev *eth_dev, struct rte_eth_stats *stats,
		      struct eth_queue_stats *queues);
int ivshmem_stats_reset(struct rte_eth_dev *eth_dev);
int ivshmem_xstats_get(struct rte_eth_dev *eth_dev, struct rte_eth_xstat *xstats, unsigned int n);
int ivshmem_xstats_get_names(struct rte_eth_dev *eth_dev, struct rte_eth_xstat_name *names,
			     unsigned int n);

#endif /* IVSHMEM_ETHDEV_H */
