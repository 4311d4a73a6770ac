/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Statistics: sums over the queues' counters, each reason for a loss under a name of its own.
 *
 * A reset keeps a copy of the counters and reports the difference, so that it never writes what a
 * burst writes.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_common.h>
#include <rte_string_fns.h>

#include "ivshmem_ethdev.h"

/* What an extended counter is read from. */
enum ivshmem_xstat_source {
	IVSHMEM_XSTAT_RXQ,	/* struct ivshmem_rx_stats, summed over queues */
	IVSHMEM_XSTAT_TXQ,	/* struct ivshmem_tx_stats, summed over queues */
	IVSHMEM_XSTAT_RX_RING,	/* struct ivshmem_consumer, summed over rings */
	IVSHMEM_XSTAT_TX_RING,	/* struct ivshmem_producer, summed over queues */
	IVSHMEM_XSTAT_DEV,	/* struct ivshmem_dev, 64 bit */
	IVSHMEM_XSTAT_DEV32,	/* struct ivshmem_dev, 32 bit */
	IVSHMEM_XSTAT_PEER32,	/* struct ivshmem_peer at the other end */
};

struct ivshmem_xstat {
	const char *name;
	enum ivshmem_xstat_source source;
	size_t offset;
};

/* 8< xstats */
static const struct ivshmem_xstat ivshmem_xstats[] = {
	{ "rx_bad_flags", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, bad_flags) },
	{ "rx_bad_section", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, bad_section) },
	{ "rx_bad_buffer", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, bad_buffer) },
	{ "rx_bad_length", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, bad_length) },
	{ "rx_bad_chain", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, bad_chain) },
	{ "rx_too_long", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, too_long) },
	{ "rx_not_mine", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, not_mine) },
	{ "rx_discarded_on_restart", IVSHMEM_XSTAT_RXQ,
	  offsetof(struct ivshmem_rx_stats, discarded) },
	{ "rx_bad_index", IVSHMEM_XSTAT_RX_RING, offsetof(struct ivshmem_consumer, bad_index) },
	{ "rx_bad_ring", IVSHMEM_XSTAT_RX_RING, offsetof(struct ivshmem_consumer, bad_dir) },
	{ "rx_lost_on_restart", IVSHMEM_XSTAT_RX_RING, offsetof(struct ivshmem_consumer, lost) },
	{ "tx_ring_full", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, full) },
	{ "tx_too_long", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, too_long) },
	{ "tx_too_short", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, too_short) },
	{ "tx_bad_index", IVSHMEM_XSTAT_TX_RING, offsetof(struct ivshmem_producer, bad_index) },
	{ "tx_lost_on_restart", IVSHMEM_XSTAT_TX_RING, offsetof(struct ivshmem_producer, lost) },
	{ "link_changes", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, link_changes) },
	{ "peer_restarts", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, peer_restarts) },
	{ "port_slot", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, port.slot) },
	{ "port_life", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, port.life) },
	{ "peer_state", IVSHMEM_XSTAT_PEER32, offsetof(struct ivshmem_peer, state) },
	{ "peer_life", IVSHMEM_XSTAT_PEER32, offsetof(struct ivshmem_peer, life) },
};
/* >8 */

static uint64_t
ivshmem_u64_at(const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)object + offset, sizeof(value));
	return value;
}

static uint32_t
ivshmem_u32_at(const void *object, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)object + offset, sizeof(value));
	return value;
}

static uint64_t
ivshmem_rxq_sum(const struct rte_eth_dev *eth_dev, const struct ivshmem_xstat *xstat)
{
	uint64_t sum = 0;

	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		if (rxq == NULL)
			continue;
		if (xstat->source == IVSHMEM_XSTAT_RXQ) {
			sum += ivshmem_u64_at(&rxq->stats, xstat->offset) -
				ivshmem_u64_at(&rxq->base, xstat->offset);
			continue;
		}
		for (uint32_t ring = 0; ring < rxq->list_max; ring++)
			sum += ivshmem_u64_at(&rxq->rings[ring], xstat->offset);
	}
	return sum;
}

static uint64_t
ivshmem_txq_sum(const struct rte_eth_dev *eth_dev, const struct ivshmem_xstat *xstat)
{
	uint64_t sum = 0;

	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++) {
		const struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

		if (txq == NULL)
			continue;
		if (xstat->source == IVSHMEM_XSTAT_TXQ)
			sum += ivshmem_u64_at(&txq->stats, xstat->offset) -
				ivshmem_u64_at(&txq->base, xstat->offset);
		else
			sum += ivshmem_u64_at(&txq->ring, xstat->offset);
	}
	return sum;
}

static uint64_t
ivshmem_xstat_raw(const struct rte_eth_dev *eth_dev, const struct ivshmem_xstat *xstat)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	switch (xstat->source) {
	case IVSHMEM_XSTAT_RXQ:
	case IVSHMEM_XSTAT_RX_RING:
		return ivshmem_rxq_sum(eth_dev, xstat);
	case IVSHMEM_XSTAT_TXQ:
	case IVSHMEM_XSTAT_TX_RING:
		return ivshmem_txq_sum(eth_dev, xstat);
	case IVSHMEM_XSTAT_DEV:
		return ivshmem_u64_at(dev, xstat->offset);
	case IVSHMEM_XSTAT_DEV32:
		return ivshmem_u32_at(dev, xstat->offset);
	case IVSHMEM_XSTAT_PEER32:
		return ivshmem_u32_at(&dev->peers[dev->other], xstat->offset);
	}
	return 0;
}

/* Since the last reset; queues that were set up anew have counted from 0 since. */
static uint64_t
ivshmem_xstat_value(const struct rte_eth_dev *eth_dev, unsigned int i)
{
	const uint64_t raw = ivshmem_xstat_raw(eth_dev, &ivshmem_xstats[i]);
	const uint64_t base = ivshmem_dev(eth_dev)->xstats_base[i];

	return raw >= base ? raw - base : raw;
}

int
ivshmem_xstats_get(struct rte_eth_dev *eth_dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	if (xstats == NULL || n < RTE_DIM(ivshmem_xstats))
		return RTE_DIM(ivshmem_xstats);
	for (unsigned int i = 0; i < RTE_DIM(ivshmem_xstats); i++) {
		xstats[i].id = i;
		xstats[i].value = ivshmem_xstat_value(eth_dev, i);
	}
	return RTE_DIM(ivshmem_xstats);
}

int
ivshmem_xstats_get_names(struct rte_eth_dev *eth_dev, struct rte_eth_xstat_name *names,
			 unsigned int n)
{
	RTE_SET_USED(eth_dev);
	if (names == NULL || n < RTE_DIM(ivshmem_xstats))
		return RTE_DIM(ivshmem_xstats);
	for (unsigned int i = 0; i < RTE_DIM(ivshmem_xstats); i++)
		strlcpy(names[i].name, ivshmem_xstats[i].name, sizeof(names[i].name));
	return RTE_DIM(ivshmem_xstats);
}

/* Descriptors and frames that an Rx queue refused, whatever the reason. */
static uint64_t
ivshmem_rx_errors(const struct ivshmem_rx_stats *stats)
{
	return stats->bad_flags + stats->bad_section + stats->bad_buffer + stats->bad_length +
		stats->bad_chain + stats->too_long;
}

int
ivshmem_stats_get(struct rte_eth_dev *eth_dev, struct rte_eth_stats *stats,
		  struct eth_queue_stats *queues)
{
	for (uint16_t i = 0; i < eth_dev->data->nb_rx_queues; i++) {
		const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[i];
		uint64_t packets;
		uint64_t bytes;

		if (rxq == NULL)
			continue;
		packets = rxq->stats.packets - rxq->base.packets;
		bytes = rxq->stats.bytes - rxq->base.bytes;
		stats->ipackets += packets;
		stats->ibytes += bytes;
		stats->ierrors += ivshmem_rx_errors(&rxq->stats) - ivshmem_rx_errors(&rxq->base);
		stats->rx_nombuf += rxq->stats.nombuf - rxq->base.nombuf;
		if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_ipackets[i] = packets;
			queues->q_ibytes[i] = bytes;
		}
	}
	for (uint16_t i = 0; i < eth_dev->data->nb_tx_queues; i++) {
		const struct ivshmem_txq *txq = eth_dev->data->tx_queues[i];
		uint64_t packets;
		uint64_t bytes;

		if (txq == NULL)
			continue;
		packets = txq->stats.packets - txq->base.packets;
		bytes = txq->stats.bytes - txq->base.bytes;
		stats->opackets += packets;
		stats->obytes += bytes;
		stats->oerrors += txq->stats.too_long - txq->base.too_long +
			txq->stats.too_short - txq->base.too_short;
		if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_opackets[i] = packets;
			queues->q_obytes[i] = bytes;
		}
	}
	return 0;
}

int
ivshmem_stats_reset(struct rte_eth_dev *eth_dev)
{
	static_assert(RTE_DIM(ivshmem_xstats) <= IVSHMEM_XSTATS_MAX, "xstats_base");

	for (uint16_t i = 0; i < eth_dev->data->nb_rx_queues; i++) {
		struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[i];

		if (rxq != NULL)
			rxq->base = rxq->stats;
	}
	for (uint16_t i = 0; i < eth_dev->data->nb_tx_queues; i++) {
		struct ivshmem_txq *txq = eth_dev->data->tx_queues[i];

		if (txq != NULL)
			txq->base = txq->stats;
	}
	for (unsigned int i = 0; i < RTE_DIM(ivshmem_xstats); i++) {
		const enum ivshmem_xstat_source source = ivshmem_xstats[i].source;

		if (source == IVSHMEM_XSTAT_RX_RING || source == IVSHMEM_XSTAT_TX_RING ||
		    source == IVSHMEM_XSTAT_DEV)
			ivshmem_dev(eth_dev)->xstats_base[i] =
				ivshmem_xstat_raw(eth_dev, &ivshmem_xstats[i]);
	}
	return 0;
}
