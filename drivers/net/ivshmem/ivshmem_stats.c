/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Statistics: sums over the queues' counters, each reason for a loss under a name of its own.
 *
 * A reset keeps a copy of the counters and reports the difference, so that it never writes what a
 * burst writes.
 */

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>
#include <rte_string_fns.h>

#include "ivshmem_ethdev.h"

/* What an extended counter is read from. */
enum ivshmem_xstat_source {
	IVSHMEM_XSTAT_RXQ,	/* struct ivshmem_rx_stats, summed over queues */
	IVSHMEM_XSTAT_TXQ,	/* struct ivshmem_tx_stats, summed over queues */
	IVSHMEM_XSTAT_RX_RING,	/* struct ivshmem_consumer, summed over rings */
	IVSHMEM_XSTAT_TX_RING,	/* struct ivshmem_producer, summed over queues and ports */
	IVSHMEM_XSTAT_DEV,	/* struct ivshmem_dev, 64 bit */
	IVSHMEM_XSTAT_DEV32,	/* struct ivshmem_dev, 32 bit */
	IVSHMEM_XSTAT_PEER32,	/* struct ivshmem_peer of one other port */
	IVSHMEM_XSTAT_DEST,	/* struct ivshmem_dest_stats of one other port, over queues */
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
	{ "rx_lent", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, lent) },
	{ "rx_arms", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, arms) },
	{ "rx_wakes", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, wakes) },
	{ "rx_spurious_wakes", IVSHMEM_XSTAT_RXQ,
	  offsetof(struct ivshmem_rx_stats, spurious_wakes) },
	{ "rx_masked", IVSHMEM_XSTAT_RXQ, offsetof(struct ivshmem_rx_stats, masked) },
	{ "tx_ring_full", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, full) },
	{ "tx_too_long", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, too_long) },
	{ "tx_too_short", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, too_short) },
	{ "tx_passed", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, passed) },
	{ "tx_from_pool", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, from_pool) },
	{ "tx_bad_cookies", IVSHMEM_XSTAT_TX_RING,
	  offsetof(struct ivshmem_producer, bad_cookies) },
	{ "tx_dropped", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, dropped) },
	{ "tx_to_self", IVSHMEM_XSTAT_TXQ, offsetof(struct ivshmem_tx_stats, to_self) },
	{ "tx_bad_index", IVSHMEM_XSTAT_TX_RING, offsetof(struct ivshmem_producer, bad_index) },
	{ "tx_lost_on_restart", IVSHMEM_XSTAT_TX_RING, offsetof(struct ivshmem_producer, lost) },
	{ "link_changes", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, link_changes) },
	{ "peer_restarts", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, peer_restarts) },
	{ "reclaims", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, reclaims) },
	{ "port_rejoins", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, rejoins_cnt) },
	{ "mac_conflicts", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, mac_conflicts) },
	{ "memory_load_ns", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, load_ns) },
	{ "memory_uncached", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, uncached) },
	{ "control_interrupts", IVSHMEM_XSTAT_DEV,
	  offsetof(struct ivshmem_dev, control_interrupts) },
	{ "control_masked", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, control_masked) },
	{ "backstop_wakes", IVSHMEM_XSTAT_DEV, offsetof(struct ivshmem_dev, backstop_wakes) },
	{ "unreachable_ports", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, unreachable) },
	{ "port_slot", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, port.slot) },
	{ "port_life", IVSHMEM_XSTAT_DEV32, offsetof(struct ivshmem_dev, port.life) },
};

/* Of each other port, after "port" and its number; on a wire the first three. */
static const struct ivshmem_xstat ivshmem_port_xstats[] = {
	{ "state", IVSHMEM_XSTAT_PEER32, offsetof(struct ivshmem_peer, shown) },
	{ "life", IVSHMEM_XSTAT_PEER32, offsetof(struct ivshmem_peer, life) },
	{ "tx_doorbells", IVSHMEM_XSTAT_DEST, offsetof(struct ivshmem_dest_stats, doorbells) },
	{ "tx_packets", IVSHMEM_XSTAT_DEST, offsetof(struct ivshmem_dest_stats, packets) },
	{ "tx_full", IVSHMEM_XSTAT_DEST, offsetof(struct ivshmem_dest_stats, full) },
	{ "tx_down", IVSHMEM_XSTAT_DEST, offsetof(struct ivshmem_dest_stats, down) },
};
/* >8 */

#define IVSHMEM_WIRE_XSTATS	3u

/* One extended statistic of a port: its line in a table, and the other port it is about. */
struct ivshmem_xstat_at {
	const struct ivshmem_xstat *line;
	uint32_t slot;
};

static unsigned int
ivshmem_xstats_each(const struct ivshmem_dev *dev)
{
	return dev->layout.port_cnt == IVSHMEM_ABI_PORTS_MIN ? IVSHMEM_WIRE_XSTATS :
		RTE_DIM(ivshmem_port_xstats);
}

unsigned int
ivshmem_xstats_cnt(const struct ivshmem_dev *dev)
{
	return RTE_DIM(ivshmem_xstats) + (dev->layout.port_cnt - 1) * ivshmem_xstats_each(dev);
}

/* i < ivshmem_xstats_cnt() */
static struct ivshmem_xstat_at
ivshmem_xstat_at(const struct ivshmem_dev *dev, unsigned int i)
{
	const unsigned int each = ivshmem_xstats_each(dev);
	struct ivshmem_xstat_at at = { .slot = 0 };

	if (i < RTE_DIM(ivshmem_xstats)) {
		at.line = &ivshmem_xstats[i];
		return at;
	}
	i -= RTE_DIM(ivshmem_xstats);
	at.line = &ivshmem_port_xstats[i % each];
	at.slot = i / each < dev->port.slot ? i / each : i / each + 1;
	return at;
}

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
		for (uint32_t ring = 0; ring < rxq->ring_cnt; ring++)
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
		if (xstat->source == IVSHMEM_XSTAT_TXQ) {
			sum += ivshmem_u64_at(&txq->stats, xstat->offset) -
				ivshmem_u64_at(&txq->base, xstat->offset);
			continue;
		}
		for (uint32_t slot = 0; slot < txq->dev->layout.port_cnt; slot++)
			sum += ivshmem_u64_at(&txq->dests[slot].ring, xstat->offset);
	}
	return sum;
}

static uint64_t
ivshmem_dest_sum(const struct rte_eth_dev *eth_dev, const struct ivshmem_xstat_at *at)
{
	uint64_t sum = 0;

	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++) {
		const struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

		if (txq != NULL)
			sum += ivshmem_u64_at(&txq->dests[at->slot].stats, at->line->offset);
	}
	return sum;
}

static uint64_t
ivshmem_xstat_raw(const struct rte_eth_dev *eth_dev, const struct ivshmem_xstat_at *at)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	switch (at->line->source) {
	case IVSHMEM_XSTAT_RXQ:
	case IVSHMEM_XSTAT_RX_RING:
		return ivshmem_rxq_sum(eth_dev, at->line);
	case IVSHMEM_XSTAT_TXQ:
	case IVSHMEM_XSTAT_TX_RING:
		return ivshmem_txq_sum(eth_dev, at->line);
	case IVSHMEM_XSTAT_DEV:
		return ivshmem_u64_at(dev, at->line->offset);
	case IVSHMEM_XSTAT_DEV32:
		return ivshmem_u32_at(dev, at->line->offset);
	case IVSHMEM_XSTAT_PEER32:
		return ivshmem_u32_at(&dev->peers[at->slot], at->line->offset);
	case IVSHMEM_XSTAT_DEST:
		return ivshmem_dest_sum(eth_dev, at);
	}
	return 0;
}

int
ivshmem_xstats_get(struct rte_eth_dev *eth_dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const unsigned int cnt = ivshmem_xstats_cnt(dev);

	if (xstats == NULL || n < cnt)
		return cnt;
	for (unsigned int i = 0; i < cnt; i++) {
		const struct ivshmem_xstat_at at = ivshmem_xstat_at(dev, i);
		const uint64_t raw = ivshmem_xstat_raw(eth_dev, &at);

		xstats[i].id = i;
		/* since the last reset; queues that were set up anew have counted from 0 since */
		xstats[i].value = raw >= dev->xstats_base[i] ? raw - dev->xstats_base[i] : raw;
	}
	return cnt;
}

int
ivshmem_xstats_get_names(struct rte_eth_dev *eth_dev, struct rte_eth_xstat_name *names,
			 unsigned int n)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const unsigned int cnt = ivshmem_xstats_cnt(dev);

	if (names == NULL || n < cnt)
		return cnt;
	for (unsigned int i = 0; i < cnt; i++) {
		const struct ivshmem_xstat_at at = ivshmem_xstat_at(dev, i);

		if (i < RTE_DIM(ivshmem_xstats))
			strlcpy(names[i].name, at.line->name, sizeof(names[i].name));
		else
			snprintf(names[i].name, sizeof(names[i].name), "port%" PRIu32 "_%s",
				 at.slot, at.line->name);
	}
	return cnt;
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
			txq->stats.too_short - txq->base.too_short +
			txq->stats.dropped - txq->base.dropped;
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
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

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
	for (unsigned int i = 0; i < ivshmem_xstats_cnt(dev); i++) {
		const struct ivshmem_xstat_at at = ivshmem_xstat_at(dev, i);
		const enum ivshmem_xstat_source source = at.line->source;

		if (source == IVSHMEM_XSTAT_RX_RING || source == IVSHMEM_XSTAT_TX_RING ||
		    source == IVSHMEM_XSTAT_DEV || source == IVSHMEM_XSTAT_DEST)
			dev->xstats_base[i] = ivshmem_xstat_raw(eth_dev, &at);
	}
	return 0;
}
