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

#include "ivshmem_devargs.h"
#include "ivshmem_fdb.h"
#include "ivshmem_layout.h"
#include "ivshmem_port.h"
#include "ivshmem_rxtx.h"
#include "ivshmem_transport.h"

/* Of a port that announces an address which is another's. */
struct ivshmem_conflict {
	uint32_t life;		/* that was counted last */
	uint32_t logged;	/* when, s; 0 = never */
};

struct ivshmem_dev {
	struct rte_eth_dev_data *data;
	struct ivshmem_transport transport;
	struct ivshmem_layout layout;
	struct ivshmem_port port;
	struct ivshmem_peer *peers;	/* port_cnt of them; the own one is unused */
	struct ivshmem_fdb *fdb;	/* NULL in a region of 2 ports: a wire has no addresses */
	bool wait;			/* segment: a full ring is waited for, full=wait */
	struct ivshmem_u32 open;	/* 1 = link up: Tx may send */
	rte_spinlock_t lock;
	struct rte_ether_addr mac;
	struct rte_ether_addr mc[IVSHMEM_ABI_MACS_MAX];
	uint32_t mc_cnt;
	bool started;
	bool admin_up;
	bool zero_copy;
	bool settling;			/* own buffers of an earlier life may be in use: no Tx */
	struct ivshmem_pool *pool;	/* tx_pool=N; NULL = none */
	uint64_t settling_ms;		/* since when */
	uint64_t reclaims;		/* times that lent buffers were given up */
	struct ivshmem_loans *loans[IVSHMEM_QUEUES_MAX];	/* of each Rx queue, zero_copy=1 */
	struct ivshmem_dest *dests[IVSHMEM_QUEUES_MAX];	/* of each Tx queue that there ever was */
	bool dead;			/* another process took the slot */
	bool rejoins;			/* in INIT with a new life, RUN at the next heartbeat */
	uint64_t rejoined_ms;		/* when it took that life */
	uint64_t rejoins_cnt;		/* lives taken because others held the last one for dead */
	bool lists_due;			/* an Rx queue has not taken its new list yet */
	uint64_t link_changes;
	uint64_t peer_restarts;
	uint64_t mac_conflicts;
	uint32_t load_ns;		/* of one load in the region, at probe */
	uint32_t uncached;		/* 1 = the region looks so */
	struct rte_intr_handle *intr;	/* Rx interrupts as EAL sees them; NULL = none */
	bool listens;			/* the transport hears vectors */
	bool looks;			/* the 1 ms alarm runs */
	bool muted;			/* vector 0 is not heard for a while */
	uint32_t unreachable;		/* ports that run and cannot ring us, or we them */
	uint32_t control_cnt;		/* of vector 0, in the second from control_ms on */
	uint64_t control_ms;
	uint64_t backstop_ms;		/* when the backstop looked last */
	uint64_t control_interrupts;
	uint64_t control_masked;	/* times that vector 0 was not heard for a while */
	uint64_t backstop_wakes;
	uint64_t fdb_aged_ms;		/* when the forwarding database was aged last */
	uint32_t *lives;		/* of each port, as seen last; 0 = not yet */
	struct ivshmem_conflict *conflicts;	/* of each port */
	uint16_t *list;			/* for the link: rings of an Rx queue */
	uint64_t *xstats_base;		/* of rings and ports, at the last reset */
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
		       const struct ivshmem_devargs *conf);

/* Common part of a remove; idempotent. */
int ivshmem_dev_close(struct rte_eth_dev *eth_dev);

/* ivshmem_link.c */
uint64_t ivshmem_now_ms(void);
void ivshmem_link_tick(void *arg);
/* Vector 0 rang: look at once. */
void ivshmem_link_interrupt(struct rte_eth_dev *eth_dev);
int ivshmem_link_update(struct rte_eth_dev *eth_dev, int wait_to_complete);
int ivshmem_link_set_up(struct rte_eth_dev *eth_dev);
int ivshmem_link_set_down(struct rte_eth_dev *eth_dev);
void ivshmem_link_publish_conf(struct ivshmem_dev *dev);
/* The port stops: no queue sends any more. */
void ivshmem_link_close(struct rte_eth_dev *eth_dev);

/* ivshmem_mac.c */

/*
 * Take the server's address for the slot, else "mac" unless all zero, else the default. Returns 0
 * or -EADDRINUSE, logged, when another port has it.
 */
int ivshmem_mac_choose(struct ivshmem_dev *dev, const struct rte_ether_addr *mac);
/* Whether no other port that lives has the address: 0 or -EADDRINUSE, logged. */
int ivshmem_mac_check(const struct ivshmem_dev *dev, const struct rte_ether_addr *mac);
/* Enter the own address into the forwarding database. */
void ivshmem_mac_own(struct ivshmem_dev *dev);
/* Enter what the peer announces; "changed" is what ivshmem_peer_look() found. */
void ivshmem_mac_announced(struct ivshmem_dev *dev, const struct ivshmem_peer *peer,
			   uint32_t changed);

/* ivshmem_dest.c */
/* The ways from a Tx queue, port_cnt of them; made at its first set-up. NULL without memory. */
struct ivshmem_dest *ivshmem_dests_get(struct ivshmem_dev *dev, uint16_t queue,
				       unsigned int socket);
/* The sessions of Tx queues from "first" on have ended, and nobody polls them any more. */
void ivshmem_dests_end(struct ivshmem_dev *dev, uint16_t first);
/* The port closes: let everything go, whoever uses it. */
void ivshmem_dests_free(struct ivshmem_dev *dev);

/* ivshmem_queue.c */
/* Descriptors of a queue where the application names no number. */
uint16_t ivshmem_desc_default(const struct ivshmem_layout *layout);
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
/* Whether all queues were set up: ethdev starts a port without them, too. Logged if not. */
bool ivshmem_queues_are_set_up(const struct rte_eth_dev *eth_dev);
/* START of all ring ends: producers, then consumers. No burst may run. */
void ivshmem_queues_start(struct rte_eth_dev *eth_dev);
/* The section is no longer ours: loans that come back are given to nobody. */
void ivshmem_loans_leave(struct ivshmem_dev *dev);
/* Longest frame and address filter of each Rx queue, from the port's configuration. */
void ivshmem_queues_refilter(struct rte_eth_dev *eth_dev);

/* ivshmem_stats.c */
/* Extended statistics that a port of the region has. */
unsigned int ivshmem_xstats_cnt(const struct ivshmem_dev *dev);
int ivshmem_stats_get(struct rte_eth_dev *eth_dev, struct rte_eth_stats *stats,
		      struct eth_queue_stats *queues);
int ivshmem_stats_reset(struct rte_eth_dev *eth_dev);
int ivshmem_xstats_get(struct rte_eth_dev *eth_dev, struct rte_eth_xstat *xstats, unsigned int n);
int ivshmem_xstats_get_names(struct rte_eth_dev *eth_dev, struct rte_eth_xstat_name *names,
			     unsigned int n);

#endif /* IVSHMEM_ETHDEV_H */
