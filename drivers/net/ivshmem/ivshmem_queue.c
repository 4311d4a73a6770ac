/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Queue setup, release and start: resolves every pointer that the bursts need.
 *
 * Threads: the application's control thread, while no burst runs.
 */

#include <errno.h>
#include <inttypes.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"
#include "ivshmem_session.h"

/* More buffers in a queue's cycle than this fall out of the shared cache (doc/design.rst). */
#define IVSHMEM_CYCLE_MAX	4096u

/* Buffers of a Tx queue: its share of the section's, so that each queue has a cycle of its own. */
static void
ivshmem_txq_share(struct ivshmem_txq *txq, const struct ivshmem_layout *layout, uint16_t txq_cnt,
		  uint32_t desc_cnt)
{
	const uint32_t share = layout->buf_cnt / txq_cnt;
	const uint32_t cycle = RTE_MAX(desc_cnt, IVSHMEM_CYCLE_MAX);

	txq->buf_cnt = RTE_MIN(share, cycle);
	txq->buf_first = share * txq->queue_id;
	txq->buf_next = txq->buf_first;
	txq->limit = RTE_MIN(desc_cnt, txq->buf_cnt);
}

int
ivshmem_rx_queue_setup(struct rte_eth_dev *eth_dev, uint16_t queue, uint16_t desc_cnt,
		       unsigned int socket, const struct rte_eth_rxconf *conf,
		       struct rte_mempool *pool)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct ivshmem_layout *layout = &dev->layout;
	const uint32_t ring_cnt = layout->port_cnt * layout->queue_cnt;
	const uint32_t buf_room = rte_pktmbuf_data_room_size(pool);
	struct ivshmem_rxq *rxq;

	RTE_SET_USED(conf);
	if (buf_room < RTE_PKTMBUF_HEADROOM + IVSHMEM_ABI_LINE) {
		IVSHMEM_LOG(ERR, "%s: mbufs of pool %s have %" PRIu32 " bytes, %u are needed",
			    eth_dev->data->name, pool->name, buf_room,
			    RTE_PKTMBUF_HEADROOM + IVSHMEM_ABI_LINE);
		return -EINVAL;
	}
	rxq = rte_zmalloc_socket("ivshmem_rxq", sizeof(*rxq), RTE_CACHE_LINE_SIZE, socket);
	if (rxq == NULL)
		return -ENOMEM;
	rxq->rings = rte_zmalloc_socket("ivshmem_rings", ring_cnt * sizeof(*rxq->rings),
					RTE_CACHE_LINE_SIZE, socket);
	rxq->list = rte_zmalloc_socket("ivshmem_list", 2 * ring_cnt * sizeof(*rxq->list), 0,
				       socket);
	if (rxq->rings == NULL || rxq->list == NULL) {
		rte_free(rxq->rings);
		rte_free(rxq->list);
		rte_free(rxq);
		return -ENOMEM;
	}
	rxq->dev = dev;
	rxq->pool = pool;
	rxq->list_max = ring_cnt;
	rxq->room = buf_room - RTE_PKTMBUF_HEADROOM;
	rxq->port_id = eth_dev->data->port_id;
	rxq->queue_id = queue;
	rxq->desc_cnt = desc_cnt;
	eth_dev->data->rx_queues[queue] = rxq;
	return 0;
}

void
ivshmem_rx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

	if (rxq == NULL)
		return;
	eth_dev->data->rx_queues[queue] = NULL;
	rte_free(rxq->rings);
	rte_free(rxq->list);
	rte_free(rxq);
}

int
ivshmem_tx_queue_setup(struct rte_eth_dev *eth_dev, uint16_t queue, uint16_t desc_cnt,
		       unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct ivshmem_layout *layout = &dev->layout;
	struct ivshmem_txq *txq;

	RTE_SET_USED(conf);
	txq = rte_zmalloc_socket("ivshmem_txq", sizeof(*txq), RTE_CACHE_LINE_SIZE, socket);
	if (txq == NULL)
		return -ENOMEM;
	txq->dev = dev;
	txq->bufs = (uint8_t *)dev->port.section + layout->buf_off;
	txq->buf_len = layout->buf_len;
	txq->headroom = layout->headroom;
	txq->room = layout->buf_len - layout->headroom;
	txq->slot = dev->port.slot;
	txq->queue_id = queue;
	txq->desc_cnt = desc_cnt;
	eth_dev->data->tx_queues[queue] = txq;
	return 0;
}

void
ivshmem_tx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	rte_free(eth_dev->data->tx_queues[queue]);
	eth_dev->data->tx_queues[queue] = NULL;
}

void
ivshmem_rxq_info_get(struct rte_eth_dev *eth_dev, uint16_t queue, struct rte_eth_rxq_info *info)
{
	const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

	info->mp = rxq->pool;
	info->nb_desc = rxq->desc_cnt;
	info->rx_buf_size = rxq->room;
	info->scattered_rx = eth_dev->data->scattered_rx;
	info->conf.offloads = eth_dev->data->dev_conf.rxmode.offloads;
}

void
ivshmem_txq_info_get(struct rte_eth_dev *eth_dev, uint16_t queue, struct rte_eth_txq_info *info)
{
	const struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

	info->nb_desc = txq->desc_cnt;
	info->conf.offloads = eth_dev->data->dev_conf.txmode.offloads;
}

/* START of every producer end that no queue uses: an earlier life may have left it in use. */
static void
ivshmem_queues_start_unused(struct ivshmem_dev *dev)
{
	const struct ivshmem_layout *layout = &dev->layout;

	for (uint32_t end = 0; end < ivshmem_layout_end_cnt(layout); end++) {
		struct ivshmem_producer unused = {
			.own = ivshmem_layout_prod(dev->port.section, layout, end),
		};

		ivshmem_producer_start(&unused, dev->port.section, 0, 0);
	}
}

static void
ivshmem_txq_start(struct ivshmem_txq *txq, uint16_t txq_cnt, uint16_t rxq_cnt)
{
	struct ivshmem_dev *dev = txq->dev;
	const struct ivshmem_layout *layout = &dev->layout;
	const uint32_t other = dev->other;
	const uint32_t rxq = txq->queue_id % rxq_cnt;
	uint32_t desc_cnt = rte_align32pow2(txq->desc_cnt);

	if (desc_cnt > layout->ring_slots)
		desc_cnt = layout->ring_slots;
	ivshmem_txq_share(txq, layout, txq_cnt, desc_cnt);
	txq->rxq = rxq;
	ivshmem_store32(&txq->want, rxq);
	txq->want_seen = rxq;
	txq->ring = (struct ivshmem_producer){
		.own = ivshmem_layout_prod(dev->port.section, layout,
			ivshmem_layout_end(layout, other, txq->queue_id, rxq)),
		.peer = ivshmem_layout_cons(ivshmem_layout_section(dev->port.base, layout, other),
			layout, ivshmem_layout_end(layout, txq->slot, txq->queue_id, rxq)),
		.lost = txq->ring.lost,
		.bad_index = txq->ring.bad_index,
	};
	ivshmem_producer_start(&txq->ring, dev->port.section,
			       ivshmem_layout_desc_off(layout, other, txq->queue_id), desc_cnt);
}

/* All ends that could lead to the queue; those of other queues of the geometry stay unanswered. */
static void
ivshmem_rxq_start(struct ivshmem_rxq *rxq)
{
	struct ivshmem_dev *dev = rxq->dev;
	const struct ivshmem_layout *layout = &dev->layout;

	for (uint32_t ring = 0; ring < rxq->list_max; ring++) {
		const uint32_t source = ring / layout->queue_cnt;
		const uint32_t txq = ring % layout->queue_cnt;
		struct ivshmem_section_shm *section =
			ivshmem_layout_section(dev->port.base, layout, source);
		struct ivshmem_consumer *end = &rxq->rings[ring];

		*end = (struct ivshmem_consumer){
			.own = ivshmem_layout_cons(dev->port.section, layout,
				ivshmem_layout_end(layout, source, txq, rxq->queue_id)),
			.peer = ivshmem_layout_prod(section, layout,
				ivshmem_layout_end(layout, dev->port.slot, txq, rxq->queue_id)),
			.section = (const uint8_t *)section,
			.lost = end->lost,
			.bad_index = end->bad_index,
			.bad_dir = end->bad_dir,
		};
		ivshmem_consumer_start(end);
	}
	ivshmem_store32(&rxq->list_want, 0);
	ivshmem_store32(&rxq->list_taken, 0);
	rxq->list_cnt = 0;
	rxq->list_sel = 0;
}

static void
ivshmem_queues_start_unused_consumers(struct ivshmem_dev *dev, uint16_t rxq_cnt)
{
	const struct ivshmem_layout *layout = &dev->layout;

	for (uint32_t end = 0; end < ivshmem_layout_end_cnt(layout); end++) {
		struct ivshmem_consumer unused = {
			.own = ivshmem_layout_cons(dev->port.section, layout, end),
		};

		if (end % layout->queue_cnt >= rxq_cnt)
			ivshmem_consumer_start(&unused);
	}
}

void
ivshmem_queues_start(struct rte_eth_dev *eth_dev)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const uint16_t known = dev->peers[dev->other].conf.rxq_cnt;
	const uint16_t rxq_cnt = known != 0 ? known : data->nb_rx_queues;

	ivshmem_queues_start_unused(dev);
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++)
		ivshmem_txq_start(data->tx_queues[queue], data->nb_tx_queues, rxq_cnt);
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		ivshmem_rxq_start(data->rx_queues[queue]);
	ivshmem_queues_start_unused_consumers(dev, data->nb_rx_queues);
	ivshmem_port_bump_dir(&dev->port);
	ivshmem_queues_refilter(eth_dev);
}

void
ivshmem_queues_refilter(struct rte_eth_dev *eth_dev)
{
	struct rte_eth_dev_data *data = eth_dev->data;

	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++) {
		struct ivshmem_rxq *rxq = data->rx_queues[queue];

		if (rxq == NULL)
			continue;
		rxq->frame_max = data->mtu + IVSHMEM_FRAME_OVERHEAD;
		if (data->scattered_rx == 0 && rxq->frame_max > rxq->room)
			rxq->frame_max = rxq->room;
		rxq->filter = data->promiscuous == 0;
	}
}
