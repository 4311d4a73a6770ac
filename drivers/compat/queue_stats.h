/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The third argument of the stats_get operation for DPDK releases before 25.11, where the
 * counters of the queues are arrays in struct rte_eth_stats.
 *
 * Force-included by drivers/meson.build when <ethdev_driver.h> lacks struct eth_queue_stats.
 * The driver defines, with external linkage, ivshmem_stats_get() of three arguments. The macro
 * below gives that definition (and its prototype) another name; in the table of operations the
 * name stands without parentheses, is no use of the macro, and means the function of two
 * arguments that this header defines: it calls the driver's and copies the queues' counters.
 */

#ifndef COMPAT_QUEUE_STATS_H
#define COMPAT_QUEUE_STATS_H

#include <string.h>

#include <rte_ethdev.h>
#include <ethdev_driver.h>

struct eth_queue_stats {
	uint64_t q_ipackets[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_opackets[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_ibytes[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_obytes[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint64_t q_errors[RTE_ETHDEV_QUEUE_STAT_CNTRS];
};

int ivshmem_stats_get_q(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		struct eth_queue_stats *qstats);

static inline int
ivshmem_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	struct eth_queue_stats queues;
	int ret;

	memset(&queues, 0, sizeof(queues));
	ret = ivshmem_stats_get_q(dev, stats, &queues);
	if (ret != 0)
		return ret;
	memcpy(stats->q_ipackets, queues.q_ipackets, sizeof(stats->q_ipackets));
	memcpy(stats->q_opackets, queues.q_opackets, sizeof(stats->q_opackets));
	memcpy(stats->q_ibytes, queues.q_ibytes, sizeof(stats->q_ibytes));
	memcpy(stats->q_obytes, queues.q_obytes, sizeof(stats->q_obytes));
	memcpy(stats->q_errors, queues.q_errors, sizeof(stats->q_errors));
	return 0;
}

#define ivshmem_stats_get(dev, stats, qstats) ivshmem_stats_get_q(dev, stats, qstats)

#endif /* COMPAT_QUEUE_STATS_H */
