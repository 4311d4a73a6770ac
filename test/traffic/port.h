/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The port under test: configured from the options, started, read out, closed.
 *
 * Public ethdev calls only, so that it works on every PMD.
 */

#ifndef IVSHMEM_TRAFFIC_PORT_H
#define IVSHMEM_TRAFFIC_PORT_H

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "options.h"

struct ivshmem_port {
	uint16_t id;
	bool is_started;
	char driver[64];
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t rx_desc;
	uint16_t tx_desc;
	uint16_t mtu;
	struct rte_ether_addr mac;
	struct rte_mempool *pool;
	char tx_pool_name[RTE_ETH_NAME_MAX_LEN + 3];
	struct rte_mempool *tx_pool;	/* of what is sent: pool, or one that is the port's */
	struct rte_eth_stats stats;	/* after ivshmem_port_close() */
	struct rte_eth_xstat_name *xstat_names;
	struct rte_eth_xstat *xstats;
	int xstat_cnt;
	uint64_t leaked;
};

/* Returns 0, or -errno after one line on stderr that says what the port does not take. */
int
ivshmem_port_open(struct ivshmem_port *port, const struct ivshmem_options *opt);

/* Is the link up now? */
bool
ivshmem_port_link_is_up(const struct ivshmem_port *port);

/* Read the statistics, stop and close the port, count the mbufs that are missing. */
void
ivshmem_port_close(struct ivshmem_port *port);

/* Free what ivshmem_port_close() left for the report. */
void
ivshmem_port_release(struct ivshmem_port *port);

#endif /* IVSHMEM_TRAFFIC_PORT_H */
