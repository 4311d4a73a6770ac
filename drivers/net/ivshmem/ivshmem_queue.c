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
#include <string.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"
#include "ivshmem_session.h"

/* What cycles by default, in bytes and in frames: doc/perf.rst has the sweep. */
#define IVSHMEM_CYCLE_BYTES	(4u << 20)
#define IVSHMEM_CYCLE_MIN	512u

uint16_t
ivshmem_desc_default(const struct ivshmem_layout *layout)
{
	uint32_t fit = rte_align32prevpow2(IVSHMEM_CYCLE_BYTES / layout->buf_len);

	fit = RTE_MAX(fit, IVSHMEM_CYCLE_MIN);
	return RTE_MIN(fit, layout->ring_slots);
}

/*
 * Buffers of a destination: its share of the section's, so that each has a cycle of its own and who
 * gives nothing back gets no more. As many as the ring has descriptors are used in turn: memory
 * that cycles should stay in the shared cache (doc/design.rst).
 */
static void
ivshmem_dest_share(struct ivshmem_dest *dest, const struct ivshmem_txq *txq, uint16_t txq_cnt,
		   uint32_t desc_cnt)
{
	const struct ivshmem_layout *layout = &txq->dev->layout;
	const uint32_t other_cnt = layout->port_cnt - 1;
	const uint32_t number = dest->slot < txq->slot ? dest->slot : dest->slot - 1;
	const uint32_t pool_cnt = ivshmem_pool_cnt(txq->pool);
	const uint32_t share = (layout->buf_cnt - pool_cnt) / txq_cnt / other_cnt;

	dest->buf_cnt = RTE_MIN(share, 2 * layout->ring_slots);	/* half may be lent */
	dest->cycle_cnt = RTE_MIN(dest->buf_cnt, desc_cnt);
	dest->buf_first = share * (txq->queue_id * other_cnt + number);
	dest->buf_next = dest->buf_first;
	dest->ahead = RTE_MAX(IVSHMEM_TX_AHEAD_BYTES / layout->buf_len, 1u) * layout->buf_len;
}

/* With zero_copy=1: entries of the queue's part of each return ring. */
static uint32_t
ivshmem_return_cnt(const struct rte_eth_dev *eth_dev)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	return dev->zero_copy ? dev->layout.ring_slots /
		rte_align32pow2(eth_dev->data->nb_rx_queues) : 0;
}

/* The loans of a queue, with the consumer ends; those of an earlier set-up may still be out. */
static struct ivshmem_loans *
ivshmem_loans_get(struct rte_eth_dev *eth_dev, uint16_t queue, uint32_t ring_cnt,
		  unsigned int socket)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	struct ivshmem_loans *loans = dev->loans[queue];

	if (loans == NULL)
		loans = ivshmem_loans_create(ring_cnt, dev->layout.ring_slots, socket);
	if (loans == NULL)
		return NULL;
	loans->dev = dev;
	rte_spinlock_lock(&dev->lock);	/* the heartbeat looks at it */
	dev->loans[queue] = loans;
	rte_spinlock_unlock(&dev->lock);
	return loans;
}

/* What a raw mbuf of the pool is given to be an empty one: see ivshmem_rx_init(). */
static void
ivshmem_rxq_freshen(struct ivshmem_rxq *rxq, uint16_t port_id)
{
	struct rte_mbuf fresh = {
		.data_off = RTE_PKTMBUF_HEADROOM,
		.nb_segs = 1,
		.port = port_id,
	};

	rte_mbuf_refcnt_set(&fresh, 1);
	if ((rte_pktmbuf_priv_flags(rxq->pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0)
		fresh.ol_flags = RTE_MBUF_F_EXTERNAL;
	memcpy(&rxq->fresh, (const uint8_t *)&fresh + offsetof(struct rte_mbuf, data_off),
	       sizeof(rxq->fresh));
}

/* Queues start with their port: peers lead frames to all that the port says it has. */
static int
ivshmem_refuse_deferred(const struct rte_eth_dev *eth_dev, const char *kind, uint16_t queue)
{
	IVSHMEM_LOG(ERR, "%s: %s queue %u: no deferred start: queues start with their port",
		    eth_dev->data->name, kind, queue);
	return -EINVAL;
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

	if (conf->rx_deferred_start != 0)
		return ivshmem_refuse_deferred(eth_dev, "Rx", queue);
	if (buf_room < RTE_PKTMBUF_HEADROOM + IVSHMEM_ABI_LINE) {
		IVSHMEM_LOG(ERR, "%s: mbufs of pool %s have %" PRIu32 " bytes, %u are needed",
			    eth_dev->data->name, pool->name, buf_room,
			    RTE_PKTMBUF_HEADROOM + IVSHMEM_ABI_LINE);
		return -EINVAL;
	}
	if (dev->zero_copy &&
	    (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0) {
		IVSHMEM_LOG(ERR, "%s: mbufs of pool %s have pinned external buffers, to which "
			    "zero_copy=1 can attach no others", eth_dev->data->name, pool->name);
		return -EINVAL;
	}
	if (dev->zero_copy && ivshmem_return_cnt(eth_dev) < IVSHMEM_ABI_RING_MIN) {
		IVSHMEM_LOG(ERR, "%s: zero_copy=1 with %u Rx queues needs rings of %u, the region "
			    "has %" PRIu32 "; take fewer queues or a larger ring_size",
			    eth_dev->data->name, eth_dev->data->nb_rx_queues,
			    IVSHMEM_ABI_RING_MIN * rte_align32pow2(eth_dev->data->nb_rx_queues),
			    layout->ring_slots);
		return -EINVAL;
	}
	rxq = rte_zmalloc_socket("ivshmem_rxq", sizeof(*rxq), RTE_CACHE_LINE_SIZE, socket);
	if (rxq == NULL)
		return -ENOMEM;
	rxq->sleep.efd = -1;
	rxq->sleep.seen = rte_zmalloc_socket("ivshmem_seen",
					     ring_cnt * sizeof(*rxq->sleep.seen), 0, socket);
	if (dev->zero_copy) {
		rxq->loans = ivshmem_loans_get(eth_dev, queue, ring_cnt, socket);
		rxq->rings = rxq->loans == NULL ? NULL : rxq->loans->rings;
	} else {
		rxq->rings = rte_zmalloc_socket("ivshmem_rings", ring_cnt * sizeof(*rxq->rings),
						RTE_CACHE_LINE_SIZE, socket);
	}
	rxq->list = rte_zmalloc_socket("ivshmem_list", 2 * ring_cnt * sizeof(*rxq->list), 0,
				       socket);
	if (dev->fdb != NULL)
		rxq->learned = rte_zmalloc_socket("ivshmem_learned",
						  ring_cnt * sizeof(*rxq->learned), 0, socket);
	eth_dev->data->rx_queues[queue] = rxq;
	if (rxq->rings == NULL || rxq->list == NULL || rxq->sleep.seen == NULL ||
	    (dev->fdb != NULL && rxq->learned == NULL)) {
		ivshmem_rx_queue_release(eth_dev, queue);
		return -ENOMEM;
	}
	rxq->dev = dev;
	rxq->pool = pool;
	rxq->ring_cnt = ring_cnt;
	rxq->room = buf_room - RTE_PKTMBUF_HEADROOM;
	ivshmem_rxq_freshen(rxq, eth_dev->data->port_id);
	rxq->queue_id = queue;
	rxq->desc_cnt = desc_cnt;
	return 0;
}

void
ivshmem_rx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

	if (rxq == NULL)
		return;
	eth_dev->data->rx_queues[queue] = NULL;
	if (rxq->loans == NULL)
		rte_free(rxq->rings);
	rte_free(rxq->list);
	rte_free(rxq->learned);
	rte_free(rxq->sleep.seen);
	rte_free(rxq);
}

int
ivshmem_tx_queue_setup(struct rte_eth_dev *eth_dev, uint16_t queue, uint16_t desc_cnt,
		       unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct ivshmem_layout *layout = &dev->layout;
	struct ivshmem_txq *txq;

	if (conf->tx_deferred_start != 0)
		return ivshmem_refuse_deferred(eth_dev, "Tx", queue);
	txq = rte_zmalloc_socket("ivshmem_txq", sizeof(*txq), RTE_CACHE_LINE_SIZE, socket);
	if (txq == NULL)
		return -ENOMEM;
	txq->dests = ivshmem_dests_get(dev, queue, socket);
	txq->touched = rte_zmalloc_socket("ivshmem_touched",
					  layout->port_cnt * sizeof(*txq->touched), 0, socket);
	eth_dev->data->tx_queues[queue] = txq;
	if (txq->dests == NULL || txq->touched == NULL) {
		ivshmem_tx_queue_release(eth_dev, queue);
		return -ENOMEM;
	}
	txq->wire = &txq->dests[dev->port.slot == 0];
	ivshmem_lock_init(&txq->lock);
	txq->dev = dev;
	txq->pool = dev->pool;
	txq->bufs = (uint8_t *)dev->port.section + layout->buf_off;
	txq->buf_len = layout->buf_len;
	txq->headroom = layout->headroom;
	txq->room = layout->buf_len - layout->headroom;
	txq->slot = dev->port.slot;
	txq->queue_id = queue;
	txq->desc_cnt = desc_cnt;
	/* a segment drops frames without a look at their segments */
	txq->fast_free = layout->port_cnt == IVSHMEM_ABI_PORTS_MIN &&
		((conf->offloads | eth_dev->data->dev_conf.txmode.offloads) &
		 RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0;
	return 0;
}

void
ivshmem_tx_queue_release(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

	if (txq == NULL)
		return;
	eth_dev->data->tx_queues[queue] = NULL;
	rte_free(txq->touched);
	rte_free(txq);
}

void
ivshmem_loans_leave(struct ivshmem_dev *dev)
{
	for (uint16_t queue = 0; queue < IVSHMEM_QUEUES_MAX; queue++)
		if (dev->loans[queue] != NULL)
			ivshmem_loans_close(dev->loans[queue]);
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
			.wc = dev->transport.wc,
			.own = ivshmem_layout_prod(dev->port.section, layout, end),
		};

		ivshmem_producer_start(&unused, dev->port.section, 0, 0);
	}
}

static void
ivshmem_dest_start(struct ivshmem_txq *txq, struct ivshmem_dest *dest, uint16_t txq_cnt,
		   uint16_t rxq_cnt)
{
	struct ivshmem_dev *dev = txq->dev;
	const struct ivshmem_layout *layout = &dev->layout;
	struct ivshmem_section_shm *other =
		ivshmem_layout_section(dev->port.base, layout, dest->slot);
	const uint32_t bar = ivshmem_load32(&dest->bars) + 1;
	const uint32_t rxq = txq->queue_id % rxq_cnt;
	uint32_t desc_cnt = rte_align32pow2(txq->desc_cnt);

	desc_cnt = RTE_MAX(desc_cnt, IVSHMEM_ABI_CHAIN_MAX);	/* the longest frame fits */
	desc_cnt = RTE_MIN(desc_cnt, layout->ring_slots);
	ivshmem_dest_share(dest, txq, txq_cnt, desc_cnt);
	dest->next = 0;
	dest->rxq = rxq;
	ivshmem_store32(&dest->want, rxq);
	dest->want_seen = rxq;
	dest->anew_done = ivshmem_load32(&txq->anew);
	dest->may_arm = false;
	dest->rung = 0;
	dest->line = ivshmem_layout_rxq(other, layout, rxq);
	dest->ring = (struct ivshmem_producer){
		.wc = dev->transport.wc,
		.own = ivshmem_layout_prod(dev->port.section, layout,
			ivshmem_layout_end(layout, dest->slot, txq->queue_id, rxq)),
		.peer = ivshmem_layout_cons(other, layout,
			ivshmem_layout_end(layout, txq->slot, txq->queue_id, rxq)),
		.flight = RTE_MIN(dest->buf_cnt / 2, dest->flight.cnt),
		.layout = layout,
		.peer_section = (const uint8_t *)other,
		.lost = dest->ring.lost,
		.bad_index = dest->ring.bad_index,
		.bad_cookies = dest->ring.bad_cookies,
	};
	dest->gated |= bar == IVSHMEM_BAR_FIRST;
	ivshmem_flight_start(&dest->flight, dest->ring.flight, bar);
	ivshmem_store32(&dest->bars, bar);
	ivshmem_producer_start(&dest->ring, dev->port.section,
			       ivshmem_layout_desc_off(layout, dest->slot, txq->queue_id),
			       desc_cnt);
}

static void
ivshmem_txq_start(struct ivshmem_txq *txq, const struct rte_eth_dev_data *data)
{
	const struct ivshmem_dev *dev = txq->dev;

	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		const uint16_t known = dev->peers[slot].conf.rxq_cnt;

		if (slot != txq->slot)
			ivshmem_dest_start(txq, &txq->dests[slot], data->nb_tx_queues,
					   known != 0 ? known : data->nb_rx_queues);
	}
}

/* All ends that could lead to the queue; those of other queues of the geometry stay unanswered. */
static void
ivshmem_rxq_start(struct ivshmem_rxq *rxq, uint32_t ret_cnt)
{
	struct ivshmem_dev *dev = rxq->dev;
	const struct ivshmem_layout *layout = &dev->layout;

	if (rxq->loans != NULL)
		ivshmem_lock_take(&rxq->loans->lock);
	for (uint32_t ring = 0; ring < rxq->ring_cnt; ring++) {
		const uint32_t source = ring / layout->queue_cnt;
		const uint32_t txq = ring % layout->queue_cnt;
		struct ivshmem_section_shm *section =
			ivshmem_layout_section(dev->port.base, layout, source);
		struct ivshmem_consumer *end = &rxq->rings[ring];

		*end = (struct ivshmem_consumer){
			.wc = dev->transport.wc,
			.own = ivshmem_layout_cons(dev->port.section, layout,
				ivshmem_layout_end(layout, source, txq, rxq->queue_id)),
			.peer = ivshmem_layout_prod(section, layout,
				ivshmem_layout_end(layout, dev->port.slot, txq, rxq->queue_id)),
			.section = (const uint8_t *)section,
			.slot = source,
			.ret_cnt = ret_cnt,
			.ret_off = ret_cnt == 0 ? 0 :
				ivshmem_layout_return_off(layout, source, txq) +
				rxq->queue_id * ret_cnt * IVSHMEM_ABI_RETURN_LEN,
			.copybreak = ret_cnt == 0 ? 0 : IVSHMEM_COPYBREAK,
			.session = end->session,
			.out = end->out,
			.stale = end->stale,
			.lost = end->lost,
			.bad_index = end->bad_index,
			.bad_dir = end->bad_dir,
		};
		end->returns = (void *)((uint8_t *)dev->port.section + end->ret_off);
		ivshmem_consumer_start(end);
	}
	if (rxq->loans != NULL)
		ivshmem_lock_give(&rxq->loans->lock);
	ivshmem_store32(&rxq->list_want, 0);
	ivshmem_store32(&rxq->list_taken, 0);
	rxq->anew_done = ivshmem_load32(&rxq->anew);
	rxq->list_cnt = 0;
	rxq->list_sel = 0;
}

/* A queue that was in use before may have loans out; false when it was set up and never started. */
static bool
ivshmem_unused_loans_start(struct ivshmem_dev *dev, uint32_t end)
{
	struct ivshmem_loans *loans = dev->loans[end % dev->layout.queue_cnt];
	struct ivshmem_consumer *ring = &loans->rings[end / dev->layout.queue_cnt];

	if (ring->own == NULL)
		return false;
	ivshmem_lock_take(&loans->lock);
	ivshmem_consumer_start(ring);
	ivshmem_lock_give(&loans->lock);
	return true;
}

static void
ivshmem_queues_start_unused_consumers(struct ivshmem_dev *dev, uint16_t rxq_cnt)
{
	const struct ivshmem_layout *layout = &dev->layout;

	for (uint32_t end = 0; end < ivshmem_layout_end_cnt(layout); end++) {
		struct ivshmem_consumer unused = {
			.wc = dev->transport.wc,
			.own = ivshmem_layout_cons(dev->port.section, layout, end),
		};

		if (end % layout->queue_cnt < rxq_cnt)
			continue;
		if (!dev->zero_copy || end % layout->queue_cnt >= IVSHMEM_QUEUES_MAX ||
		    dev->loans[end % layout->queue_cnt] == NULL ||
		    !ivshmem_unused_loans_start(dev, end))
			ivshmem_consumer_start(&unused);
	}
}

/* The first that is missing, or cnt. */
static uint16_t
ivshmem_queues_missing(void *const *queues, uint16_t cnt)
{
	uint16_t queue = 0;

	while (queue < cnt && queues[queue] != NULL)
		queue++;
	return queue;
}

bool
ivshmem_queues_are_set_up(const struct rte_eth_dev *eth_dev)
{
	const struct rte_eth_dev_data *data = eth_dev->data;
	const uint16_t rxq = ivshmem_queues_missing(data->rx_queues, data->nb_rx_queues);
	const uint16_t txq = ivshmem_queues_missing(data->tx_queues, data->nb_tx_queues);

	if (rxq == data->nb_rx_queues && txq == data->nb_tx_queues)
		return true;
	IVSHMEM_LOG(ERR, "%s: %s queue %u was not set up: set up all queues, or configure fewer",
		    data->name, rxq != data->nb_rx_queues ? "Rx" : "Tx",
		    rxq != data->nb_rx_queues ? rxq : txq);
	return false;
}

void
ivshmem_queues_start(struct rte_eth_dev *eth_dev)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	ivshmem_queues_start_unused(dev);
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++)
		ivshmem_txq_start(data->tx_queues[queue], data);
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		ivshmem_rxq_start(data->rx_queues[queue], ivshmem_return_cnt(eth_dev));
	ivshmem_queues_start_unused_consumers(dev, data->nb_rx_queues);
	ivshmem_dests_end(dev, data->nb_tx_queues);
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
		rxq->plain_max = RTE_MIN((uint32_t)data->mtu + IVSHMEM_FRAME_OVERHEAD, rxq->room);
		rxq->filter = data->promiscuous == 0;
	}
}
