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

#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"

RTE_LOG_REGISTER_DEFAULT(ivshmem_logtype, NOTICE);

static int
ivshmem_configure(struct rte_eth_dev *eth_dev)
{
	RTE_SET_USED(eth_dev);
	return 0;
}

/* Small buffers and small rings hold less than the longest frame of the driver. */
static uint32_t
ivshmem_frame_max(const struct ivshmem_layout *layout)
{
	const uint32_t pieces = RTE_MIN(layout->ring_slots, IVSHMEM_ABI_CHAIN_MAX);

	return RTE_MIN(pieces * (layout->buf_len - layout->headroom), IVSHMEM_FRAME_MAX);
}

static int
ivshmem_infos_get(struct rte_eth_dev *eth_dev, struct rte_eth_dev_info *info)
{
	const struct ivshmem_layout *layout = &ivshmem_dev(eth_dev)->layout;
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
	info->rx_desc_lim = desc_lim;
	info->tx_desc_lim = desc_lim;
	info->default_rxportconf.ring_size = layout->ring_slots;
	info->default_txportconf.ring_size = layout->ring_slots;
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

	if (dev->dead) {
		IVSHMEM_LOG(ERR, "%s: port %" PRIu32 " of the region belongs to another process "
			    "now; close and probe it again", data->name, dev->port.slot);
		return -ESTALE;
	}
	data->scattered_rx = ivshmem_must_scatter(eth_dev, data->mtu);
	rte_spinlock_lock(&dev->lock);
	ivshmem_queues_start(eth_dev);
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
	ivshmem_store32(&dev->open, 0);
	if (!dev->dead)
		ivshmem_port_set_state(&dev->port, IVSHMEM_PORT_INIT);
	rte_spinlock_unlock(&dev->lock);
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
	rte_ether_addr_copy(mac, &ivshmem_dev(eth_dev)->mac);
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
	.rxq_info_get = ivshmem_rxq_info_get,
	.txq_info_get = ivshmem_txq_info_get,
};

/* Stable over restarts: a hash (FNV-1a) of the region's uuid and the slot, locally administered. */
static void
ivshmem_default_mac(const struct ivshmem_layout *layout, uint32_t slot, struct rte_ether_addr *mac)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned int i = 0; i < sizeof(layout->uuid) + sizeof(slot); i++) {
		hash ^= i < sizeof(layout->uuid) ? layout->uuid[i] :
			slot >> (i - sizeof(layout->uuid)) * 8 & UINT8_MAX;
		hash *= UINT64_C(0x100000001b3);
	}
	for (unsigned int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac->addr_bytes[i] = hash >> i * 8;
	mac->addr_bytes[0] &= (uint8_t)~RTE_ETHER_GROUP_ADDR;
	mac->addr_bytes[0] |= RTE_ETHER_LOCAL_ADMIN_ADDR;
}

/* The server's word wins, then the device argument, then the default. */
static void
ivshmem_choose_mac(struct ivshmem_dev *dev, const struct rte_ether_addr *mac)
{
	struct rte_ether_addr pinned;

	memcpy(&pinned, ivshmem_layout_slot(dev->port.base, &dev->layout, dev->port.slot)->mac,
	       sizeof(pinned));
	if (rte_is_valid_assigned_ether_addr(&pinned))
		dev->mac = pinned;
	else if (!rte_is_zero_ether_addr(mac))
		dev->mac = *mac;
	else
		ivshmem_default_mac(&dev->layout, dev->port.slot, &dev->mac);
}

/* Check the region and claim the slot: everything that needs no ethdev. */
static int
ivshmem_dev_attach(struct ivshmem_dev *dev, const char *name)
{
	const struct ivshmem_transport *transport = &dev->transport;
	struct ivshmem_fault fault;
	uint64_t nonce = 0;
	int ret;

	ret = ivshmem_layout_check(transport->base, transport->len, &dev->layout, &fault);
	if (ret == 0 && dev->layout.port_cnt != IVSHMEM_ABI_PORTS_MIN)
		ret = IVSHMEM_FAULT(&fault, -ENOTSUP, "the region has %" PRIu32
				    " ports; this driver takes regions of %u", dev->layout.port_cnt,
				    IVSHMEM_ABI_PORTS_MIN);
	if (ret == 0 && getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
		ret = IVSHMEM_FAULT(&fault, -EIO, "no random numbers: %s", strerror(errno));
	if (ret == 0)
		ret = ivshmem_port_claim(&dev->port, transport->base, &dev->layout,
					 transport->slot, transport->kind, nonce | 1, &fault);
	if (ret != 0)
		IVSHMEM_LOG(ERR, "%s: %s", name, fault.text);
	return ret;
}

int
ivshmem_dev_create(struct rte_eth_dev *eth_dev, const struct ivshmem_transport *transport,
		   const struct rte_ether_addr *mac)
{
	struct rte_eth_dev_data *data = eth_dev->data;
	struct ivshmem_dev *dev = data->dev_private;
	int ret;

	memset(dev, 0, sizeof(*dev));
	dev->data = data;
	dev->transport = *transport;
	dev->admin_up = true;
	rte_spinlock_init(&dev->lock);
	ret = ivshmem_dev_attach(dev, data->name);
	if (ret != 0)
		goto err_detach;
	dev->other = 1 - dev->port.slot;
	dev->peers = rte_zmalloc("ivshmem_peers", dev->layout.port_cnt * sizeof(*dev->peers), 0);
	if (dev->peers == NULL) {
		ret = -ENOMEM;
		goto err_release;
	}
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++)
		ivshmem_peer_init(&dev->peers[slot], slot);
	ivshmem_choose_mac(dev, mac);
	data->mac_addrs = &dev->mac;
	data->dev_link.link_speed = RTE_ETH_SPEED_NUM_100G;
	data->dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS | RTE_ETH_DEV_INTR_LSC;
	eth_dev->dev_ops = &ivshmem_ops;
	eth_dev->rx_pkt_burst = ivshmem_rx_burst;
	eth_dev->tx_pkt_burst = ivshmem_tx_burst;
	ret = rte_eal_alarm_set(IVSHMEM_PORT_BEAT_MS * 1000, ivshmem_link_tick, eth_dev);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: no alarm for the heartbeat: %s", data->name,
			    strerror(-ret));
		goto err_peers;
	}
	IVSHMEM_LOG(INFO, "%s: port %" PRIu32 " of %" PRIu32 " (%s), region of %" PRIu64
		    " bytes, %" PRIu32 " queues, rings of %" PRIu32 ", %" PRIu32
		    " buffers of %" PRIu32 " bytes", data->name, dev->port.slot,
		    dev->layout.port_cnt, transport->ops->name, dev->layout.total_len,
		    dev->layout.queue_cnt, dev->layout.ring_slots, dev->layout.buf_cnt,
		    dev->layout.buf_len);
	return 0;

err_peers:
	rte_free(dev->peers);
	data->mac_addrs = NULL;
err_release:
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

	if (dev->transport.ops == NULL)
		return 0;
	rte_eal_alarm_cancel(ivshmem_link_tick, eth_dev);
	if (dev->started)
		ivshmem_stop(eth_dev);
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		ivshmem_rx_queue_release(eth_dev, queue);
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++)
		ivshmem_tx_queue_release(eth_dev, queue);
	ivshmem_port_release(&dev->port);
	rte_free(dev->peers);
	dev->peers = NULL;
	data->mac_addrs = NULL;		/* lies in dev_private */
	dev->transport.ops->detach(&dev->transport);
	dev->transport.ops = NULL;
	return 0;
}
