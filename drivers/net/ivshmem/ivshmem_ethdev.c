/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The ethdev operations, and the common part of attach and detach.
 *
 * Threads: the application's control thread; what the alarm thread looks at, too, changes under
 * dev->lock.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include <rte_alarm.h>
#include <rte_common.h>
#include <rte_malloc.h>

#include "ivshmem_estate.h"
#include "ivshmem_ethdev.h"
#include "ivshmem_intr.h"
#include "ivshmem_log.h"
#include "ivshmem_memtype.h"
#include "ivshmem_settle.h"

RTE_LOG_REGISTER_DEFAULT(ivshmem_logtype, NOTICE);

static int
ivshmem_configure(struct rte_eth_dev *eth_dev)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct rte_eth_dev_data *data = eth_dev->data;

	if (data->nb_rx_queues == 0 || data->nb_tx_queues == 0) {
		IVSHMEM_LOG(ERR, "%s: %u Rx queues and %u Tx queues: one of each is needed, "
			    "also for one way", data->name, data->nb_rx_queues, data->nb_tx_queues);
		return -EINVAL;
	}
	if (data->dev_conf.intr_conf.rxq != 0 && dev->transport.vectors == 0)
		IVSHMEM_LOG(NOTICE, "%s: no Rx interrupts: this port has no vectors; they need "
			    "ivshmem-doorbell bound to vfio-pci, or socket=, and ivshmem-server",
			    data->name);
	return 0;
}

/* Small buffers and small rings hold less than the longest frame of the driver. */
static uint32_t
ivshmem_frame_max(const struct ivshmem_layout *layout)
{
	return RTE_MIN(ivshmem_layout_pieces(layout) * (layout->buf_len - layout->headroom),
		       IVSHMEM_FRAME_MAX);
}

static int
ivshmem_infos_get(struct rte_eth_dev *eth_dev, struct rte_eth_dev_info *info)
{
	const struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct ivshmem_layout *layout = &dev->layout;
	const struct rte_eth_desc_lim desc_lim = {
		.nb_max = IVSHMEM_ABI_RING_MAX,
		.nb_min = IVSHMEM_ABI_RING_MIN,
		.nb_align = 1,
		.nb_seg_max = IVSHMEM_ABI_CHAIN_MAX,
		.nb_mtu_seg_max = IVSHMEM_ABI_CHAIN_MAX,
	};

	info->max_rx_pktlen = ivshmem_frame_max(layout);
	info->min_rx_bufsize = IVSHMEM_ABI_LINE;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = ivshmem_frame_max(layout) - IVSHMEM_FRAME_OVERHEAD;
	info->max_rx_queues = RTE_MIN(layout->queue_cnt, IVSHMEM_QUEUES_MAX);
	info->max_tx_queues = RTE_MIN(layout->queue_cnt, IVSHMEM_QUEUES_MAX);
	info->max_mac_addrs = 1;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (!dev->zero_copy)	/* else mbufs wait for their buffers, or are loans */
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->rx_desc_lim = desc_lim;
	info->tx_desc_lim = desc_lim;
	info->default_rxportconf.ring_size = ivshmem_desc_default(layout);
	info->default_txportconf.ring_size = ivshmem_desc_default(layout);
	info->default_rxportconf.burst_size = IVSHMEM_RX_STAGE;
	info->default_txportconf.burst_size = IVSHMEM_RX_STAGE;
	info->default_rxportconf.nb_queues = 1;
	info->default_txportconf.nb_queues = 1;
	info->speed_capa = RTE_ETH_LINK_SPEED_100G;
	return 0;
}

/* Whether the longest frame needs more than one mbuf on some queue. */
static bool
ivshmem_must_scatter(const struct rte_eth_dev *eth_dev, uint16_t mtu)
{
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		if (rxq != NULL && mtu + IVSHMEM_FRAME_OVERHEAD > rxq->room)
			return true;
	}
	return false;
}

static void
ivshmem_set_queue_states(struct rte_eth_dev_data *data, uint8_t state)
{
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		data->rx_queue_state[queue] = state;
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++)
		data->tx_queue_state[queue] = state;
}

static int
ivshmem_start(struct rte_eth_dev *eth_dev)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	int ret;

	if (dev->dead) {
		IVSHMEM_LOG(ERR, "%s: port %" PRIu32 " of the region belongs to another process "
			    "now; close and probe it again", data->name, dev->port.slot);
		return -ESTALE;
	}
	if (!ivshmem_queues_are_set_up(eth_dev))
		return -EINVAL;
	data->scattered_rx = ivshmem_must_scatter(eth_dev, data->mtu) ||
		(data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	ret = ivshmem_intr_start(eth_dev);
	if (ret != 0)
		return ret;
	rte_spinlock_lock(&dev->lock);
	ivshmem_queues_start(eth_dev);
	ivshmem_settle_start(dev, dev->port.section->conf.txq_cnt);
	ivshmem_link_publish_conf(dev);
	dev->started = true;
	dev->lists_due = true;
	ivshmem_port_set_state(&dev->port, dev->admin_up ? IVSHMEM_PORT_RUN : IVSHMEM_PORT_READY);
	rte_spinlock_unlock(&dev->lock);
	ivshmem_set_queue_states(data, RTE_ETH_QUEUE_STATE_STARTED);
	ivshmem_link_update(eth_dev, 0);
	return 0;
}

static int
ivshmem_stop(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	rte_spinlock_lock(&dev->lock);
	dev->started = false;
	ivshmem_link_close(eth_dev);
	if (!dev->dead)
		ivshmem_port_set_state(&dev->port, IVSHMEM_PORT_INIT);
	rte_spinlock_unlock(&dev->lock);
	ivshmem_intr_stop(eth_dev);
	eth_dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	ivshmem_set_queue_states(eth_dev->data, RTE_ETH_QUEUE_STATE_STOPPED);
	return 0;
}

/* Tell the other ports, and the queues, what the configuration is now. */
static void
ivshmem_reconfigure(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	rte_spinlock_lock(&dev->lock);
	ivshmem_queues_refilter(eth_dev);
	if (dev->started && !dev->dead)
		ivshmem_link_publish_conf(dev);
	rte_spinlock_unlock(&dev->lock);
}

static int
ivshmem_set_rx_mode(struct rte_eth_dev *eth_dev, int promiscuous, int all_multicast)
{
	eth_dev->data->promiscuous = promiscuous;
	eth_dev->data->all_multicast = all_multicast;
	ivshmem_reconfigure(eth_dev);
	return 0;
}

static int
ivshmem_promiscuous_enable(struct rte_eth_dev *eth_dev)
{
	return ivshmem_set_rx_mode(eth_dev, 1, eth_dev->data->all_multicast);
}

static int
ivshmem_promiscuous_disable(struct rte_eth_dev *eth_dev)
{
	return ivshmem_set_rx_mode(eth_dev, 0, eth_dev->data->all_multicast);
}

static int
ivshmem_allmulticast_enable(struct rte_eth_dev *eth_dev)
{
	return ivshmem_set_rx_mode(eth_dev, eth_dev->data->promiscuous, 1);
}

static int
ivshmem_allmulticast_disable(struct rte_eth_dev *eth_dev)
{
	return ivshmem_set_rx_mode(eth_dev, eth_dev->data->promiscuous, 0);
}

static int
ivshmem_mac_addr_set(struct rte_eth_dev *eth_dev, struct rte_ether_addr *mac)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const int ret = ivshmem_mac_check(dev, mac);

	if (ret != 0)
		return ret;
	rte_spinlock_lock(&dev->lock);
	rte_ether_addr_copy(mac, &dev->mac);
	ivshmem_mac_own(dev);
	rte_spinlock_unlock(&dev->lock);
	ivshmem_reconfigure(eth_dev);
	return 0;
}

static int
ivshmem_set_mc_addr_list(struct rte_eth_dev *eth_dev, struct rte_ether_addr *list, uint32_t cnt)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	if (cnt > RTE_DIM(dev->mc)) {
		IVSHMEM_LOG(ERR, "%s: %" PRIu32 " multicast addresses, at most %zu are filtered; "
			    "use allmulticast", eth_dev->data->name, cnt, RTE_DIM(dev->mc));
		return -ENOSPC;
	}
	dev->mc_cnt = 0;
	for (uint32_t i = 0; i < cnt; i++)
		rte_ether_addr_copy(&list[i], &dev->mc[i]);
	dev->mc_cnt = cnt;
	return 0;
}

static int
ivshmem_mtu_set(struct rte_eth_dev *eth_dev, uint16_t mtu)
{
	if (eth_dev->data->dev_started != 0 && eth_dev->data->scattered_rx == 0 &&
	    ivshmem_must_scatter(eth_dev, mtu)) {
		IVSHMEM_LOG(ERR, "%s: MTU %" PRIu16 " needs frames of several mbufs: stop the "
			    "port, set it and start again", eth_dev->data->name, mtu);
		return -EBUSY;
	}
	eth_dev->data->mtu = mtu;
	ivshmem_reconfigure(eth_dev);
	return 0;
}

static const struct eth_dev_ops ivshmem_ops = {
	.dev_configure = ivshmem_configure,
	.dev_start = ivshmem_start,
	.dev_stop = ivshmem_stop,
	.dev_close = ivshmem_dev_close,
	.dev_infos_get = ivshmem_infos_get,
	.dev_set_link_up = ivshmem_link_set_up,
	.dev_set_link_down = ivshmem_link_set_down,
	.link_update = ivshmem_link_update,
	.promiscuous_enable = ivshmem_promiscuous_enable,
	.promiscuous_disable = ivshmem_promiscuous_disable,
	.allmulticast_enable = ivshmem_allmulticast_enable,
	.allmulticast_disable = ivshmem_allmulticast_disable,
	.mac_addr_set = ivshmem_mac_addr_set,
	.set_mc_addr_list = ivshmem_set_mc_addr_list,
	.mtu_set = ivshmem_mtu_set,
	.stats_get = ivshmem_stats_get,
	.stats_reset = ivshmem_stats_reset,
	.xstats_get = ivshmem_xstats_get,
	.xstats_get_names = ivshmem_xstats_get_names,
	.xstats_reset = ivshmem_stats_reset,
	.rx_queue_setup = ivshmem_rx_queue_setup,
	.rx_queue_release = ivshmem_rx_queue_release,
	.tx_queue_setup = ivshmem_tx_queue_setup,
	.tx_queue_release = ivshmem_tx_queue_release,
	.tx_done_cleanup = ivshmem_tx_done_cleanup,
	.rx_queue_intr_enable = ivshmem_rx_queue_intr_enable,
	.rx_queue_intr_disable = ivshmem_rx_queue_intr_disable,
	.get_monitor_addr = ivshmem_get_monitor_addr,
	.rxq_info_get = ivshmem_rxq_info_get,
	.txq_info_get = ivshmem_txq_info_get,
};

/* Check the region and claim the slot: everything that needs no ethdev. */
static int
ivshmem_dev_attach(struct ivshmem_dev *dev, const char *name)
{
	const struct ivshmem_transport *transport = &dev->transport;
	struct ivshmem_fault fault;
	uint64_t nonce = 0;
	int ret;

	ret = ivshmem_layout_check(transport->base, transport->len, &dev->layout, &fault);
	if (ret == 0 && getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
		ret = IVSHMEM_FAULT(&fault, -EIO, "no random numbers: %s", strerror(errno));
	if (ret == 0)
		ret = ivshmem_port_claim(&dev->port, transport->base, &dev->layout,
					 transport->slot, transport->kind, nonce | 1, &fault);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: %s", name, fault.text);
		return ret;
	}
	dev->port.wc = transport->wc;
	/* a vector that the server made no eventfd for is never heard */
	dev->transport.vectors = RTE_MIN(transport->vectors,
		ivshmem_load32(&ivshmem_layout_slot(transport->base, &dev->layout,
						    transport->slot)->vectors));
	return 0;
}

static void
ivshmem_dev_free(struct ivshmem_dev *dev)
{
	rte_free(dev->peers);
	rte_free(dev->lives);
	rte_free(dev->conflicts);
	rte_free(dev->list);
	rte_free(dev->xstats_base);
	rte_free(dev->fdb);
	ivshmem_pool_free(dev->pool);
	dev->pool = NULL;
	dev->peers = NULL;
	dev->lives = NULL;
	dev->conflicts = NULL;
	dev->list = NULL;
	dev->xstats_base = NULL;
	dev->fdb = NULL;
}

/* What the number of ports decides the size of. */
static int
ivshmem_dev_alloc(struct ivshmem_dev *dev)
{
	const uint32_t port_cnt = dev->layout.port_cnt;

	dev->peers = rte_zmalloc("ivshmem_peers", port_cnt * sizeof(*dev->peers), 0);
	dev->lives = rte_zmalloc("ivshmem_lives", port_cnt * sizeof(*dev->lives), 0);
	dev->conflicts = rte_zmalloc("ivshmem_conflicts", port_cnt * sizeof(*dev->conflicts), 0);
	dev->list = rte_zmalloc("ivshmem_list",
				port_cnt * dev->layout.queue_cnt * sizeof(*dev->list), 0);
	if (port_cnt > IVSHMEM_ABI_PORTS_MIN)
		dev->fdb = rte_zmalloc("ivshmem_fdb", sizeof(*dev->fdb), RTE_CACHE_LINE_SIZE);
	dev->xstats_base = rte_zmalloc("ivshmem_xstats", ivshmem_xstats_cnt(dev) *
				       sizeof(*dev->xstats_base), 0);
	if (dev->peers == NULL || dev->lives == NULL || dev->conflicts == NULL ||
	    dev->list == NULL || dev->xstats_base == NULL ||
	    (dev->fdb == NULL && port_cnt > IVSHMEM_ABI_PORTS_MIN))
		return -ENOMEM;
	for (uint32_t slot = 0; slot < port_cnt; slot++)
		ivshmem_peer_init(&dev->peers[slot], slot);
	return 0;
}

/* What a full ring means: on a wire the sender waits, in a segment the frame is dropped. */
static int
ivshmem_dev_choose_full(struct ivshmem_dev *dev, enum ivshmem_full full)
{
	const bool wire = dev->layout.port_cnt == IVSHMEM_ABI_PORTS_MIN;

	if (wire && full == IVSHMEM_FULL_DROP) {
		IVSHMEM_LOG(ERR, "%s: full=drop needs a region of more than %u ports: in one of %u "
			    "a full ring holds the sender back; leave full= away",
			    dev->data->name, IVSHMEM_ABI_PORTS_MIN, IVSHMEM_ABI_PORTS_MIN);
		return -EINVAL;
	}
	dev->wait = full == IVSHMEM_FULL_WAIT;
	return 0;
}

static void
ivshmem_dev_announce(const struct ivshmem_dev *dev)
{
	const struct ivshmem_layout *layout = &dev->layout;

	IVSHMEM_LOG(INFO, "%s: port %" PRIu32 " of %" PRIu32 " (%s), region of %" PRIu64
		    " bytes, %" PRIu32 " queues, rings of %" PRIu32 ", %" PRIu32
		    " buffers of %" PRIu32 " bytes", dev->data->name, dev->port.slot,
		    layout->port_cnt, dev->transport.ops->name, layout->total_len,
		    layout->queue_cnt, layout->ring_slots, layout->buf_cnt, layout->buf_len);
}

/* Nobody writes the first line of a region while it is in use. */
static void
ivshmem_dev_measure(struct ivshmem_dev *dev)
{
	const struct ivshmem_superblock_shm *super = dev->transport.base;
	const char *const words[] = {
		[IVSHMEM_MEMTYPE_UNKNOWN] = "of a memory type that the times do not tell",
		[IVSHMEM_MEMTYPE_CACHED] = "cached",
		[IVSHMEM_MEMTYPE_UNCACHED] = "uncached",
	};
	struct ivshmem_memtimes times;
	enum ivshmem_memtype type;

	ivshmem_memtype_measure(&super->magic, &times);
	type = ivshmem_memtype_judge(&times);
	dev->load_ns = ivshmem_memtype_load_ns(&times);
	dev->uncached = type == IVSHMEM_MEMTYPE_UNCACHED;
	IVSHMEM_LOG(INFO, "%s: memory is %s: %" PRIu64 " ns for %" PRIu32 " loads of a line, %"
		    PRIu64 " ns in private memory", dev->data->name, words[type], times.region_ns,
		    times.load_cnt, times.private_ns);
	if (type == IVSHMEM_MEMTYPE_UNCACHED)
		IVSHMEM_LOG(WARNING, "%s: a load from the region takes %" PRIu32 " ns, as from "
			    "uncached memory: traffic will be slow; in a guest give the device "
			    "shm=PATH of a cached mapping such as /dev/dax0.0 (see \"Memory Type\" "
			    "in the guide)", dev->data->name, dev->load_ns);
}

int
ivshmem_dev_create(struct rte_eth_dev *eth_dev, const struct ivshmem_transport *transport,
		   const struct ivshmem_devargs *conf)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = data->dev_private;
	int ret;

	memset(dev, 0, sizeof(*dev));
	dev->data = data;
	dev->transport = *transport;
	dev->admin_up = true;
	dev->zero_copy = conf->zero_copy != 0;
	rte_spinlock_init(&dev->lock);
	ret = ivshmem_dev_attach(dev, data->name);
	if (ret != 0)
		goto err_detach;
	ret = ivshmem_dev_alloc(dev);
	if (ret == 0)
		ret = ivshmem_dev_choose_full(dev, conf->full);
	if (ret == 0)
		ret = ivshmem_mac_choose(dev, &conf->mac);
	if (ret == 0)
		ret = ivshmem_settle_make_pool(dev, conf->tx_pool);
	if (ret != 0)
		goto err_release;
	ivshmem_mac_own(dev);
	data->mac_addrs = &dev->mac;
	data->dev_link.link_speed = RTE_ETH_SPEED_NUM_100G;
	data->dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS | RTE_ETH_DEV_INTR_LSC;
	eth_dev->intr_handle = NULL;	/* an own one while there are Rx interrupts */
	eth_dev->dev_ops = &ivshmem_ops;
	eth_dev->rx_pkt_burst = dev->zero_copy ? ivshmem_rx_burst_lend : ivshmem_rx_burst;
	eth_dev->tx_pkt_burst = dev->zero_copy ? ivshmem_tx_burst_lend :
		dev->fdb == NULL ? ivshmem_tx_burst : ivshmem_tx_burst_segment;
	ret = rte_eal_alarm_set(IVSHMEM_PORT_BEAT_MS * 1000, ivshmem_link_tick, eth_dev);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: no alarm for the heartbeat: %s", data->name,
			    strerror(-ret));
		goto err_mac;
	}
	ivshmem_dev_announce(dev);
	ivshmem_dev_measure(dev);
	return 0;

err_mac:
	data->mac_addrs = NULL;
err_release:
	ivshmem_dev_free(dev);
	ivshmem_port_release(&dev->port);
err_detach:
	dev->transport.ops->detach(&dev->transport);
	dev->transport.ops = NULL;
	return ret;
}

int
ivshmem_dev_close(struct rte_eth_dev *eth_dev)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	uint32_t left;

	if (dev->transport.ops == NULL)
		return 0;
	rte_eal_alarm_cancel(ivshmem_link_tick, eth_dev);
	if (dev->started)
		ivshmem_stop(eth_dev);
	left = ivshmem_settle_wait(eth_dev);
	if (left != 0)
		IVSHMEM_LOG(WARNING, "%s: closed with %" PRIu32 " buffers in use: the region stays "
			    "mapped until the last mbuf is freed", data->name, left);
	ivshmem_loans_leave(dev);	/* before custody ends: none goes back too soon */
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		ivshmem_rx_queue_release(eth_dev, queue);
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++)
		ivshmem_tx_queue_release(eth_dev, queue);
	ivshmem_dests_free(dev);
	ivshmem_estate_leave(data->name, &dev->port, dev->loans, RTE_DIM(dev->loans), dev->pool,
			     &dev->transport);
	dev->pool = NULL;
	ivshmem_dev_free(dev);
	data->mac_addrs = NULL;		/* lies in dev_private */
	dev->transport.ops = NULL;
	return 0;
}
