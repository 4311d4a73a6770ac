/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The port's heart, and the link: who is at the other end, and what follows from it.
 *
 * ivshmem_link_tick runs every IVSHMEM_PORT_BEAT_MS on EAL's alarm thread. It beats, looks at the
 * other ports' rows, and leaves requests for the queues; it never touches a ring end.
 *
 * Threads: alarm thread and the application's control thread, under dev->lock.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <rte_alarm.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_intr.h"
#include "ivshmem_log.h"
#include "ivshmem_settle.h"

#define IVSHMEM_LINK_REJOIN_MS	2000u

uint64_t
ivshmem_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The ring went out of use, but the Rx queue has not counted yet what was lost with it. */
static bool
ivshmem_link_is_owed(const struct ivshmem_rxq *rxq, uint32_t ring)
{
	return ivshmem_load32((const struct ivshmem_u32 *)&rxq->rings[ring].yours) != 0;
}

/* The rings of the other ports that lead to an Rx queue, as their directories say. */
static uint32_t
ivshmem_link_find_rings(struct ivshmem_dev *dev, const struct ivshmem_rxq *rxq, uint16_t *list)
{
	const struct ivshmem_layout *layout = &dev->layout;
	uint32_t cnt = 0;

	if (dev->dead)		/* the section is another's: nothing is written there any more */
		return 0;
	for (uint32_t source = 0; source < layout->port_cnt; source++) {
		struct ivshmem_section_shm *section =
			ivshmem_layout_section(dev->port.base, layout, source);

		if (source == dev->port.slot)
			continue;
		for (uint32_t txq = 0; txq < layout->queue_cnt; txq++) {
			const uint32_t ring = source * layout->queue_cnt + txq;
			const uint32_t end = ivshmem_layout_end(layout, dev->port.slot, txq,
								rxq->queue_id);
			const bool used = ivshmem_load32(&ivshmem_layout_prod(section, layout,
									      end)->desc_cnt) != 0;

			if (!used && !ivshmem_link_is_owed(rxq, ring))
				continue;
			list[cnt++] = ring;
			dev->lists_due |= !used;
		}
	}
	return cnt;
}

/* Offer each Rx queue the rings that it is to poll; again later where a queue was not ready. */
static void
ivshmem_link_offer_lists(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	uint32_t cnt;

	dev->lists_due = false;
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		cnt = ivshmem_link_find_rings(dev, rxq, dev->list);
		if (!ivshmem_rx_list_offer(rxq, dev->list, cnt))
			dev->lists_due = true;
	}
	/* a queue that sleeps takes its list, and the sessions of a life that rang nobody yet */
	ivshmem_intr_relay(eth_dev);
}

/*
 * Open or close the ways to a port (IVSHMEM_DEST_*). Each Tx queue also looks at its consumer there
 * (Q3), and leads to one of rxq_cnt queues unless 0.
 */
static void
ivshmem_link_lead_queues(struct rte_eth_dev *eth_dev, uint32_t slot, uint32_t open,
			 uint16_t rxq_cnt)
{
	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++) {
		struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];
		struct ivshmem_dest *dest = &txq->dests[slot];
		const uint32_t want = ivshmem_load32(&dest->want);
		const uint32_t rxq = rxq_cnt != 0 ? queue % rxq_cnt : want & UINT16_MAX;

		ivshmem_store32_release(&dest->want, ((want >> 16) + 1) << 16 | rxq);
		ivshmem_store32(&dest->open, open);
	}
}

/* A Tx queue led a ring elsewhere: tell the consumers to look for it. */
static void
ivshmem_link_tell_moves(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues && !dev->dead; queue++) {
		struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];
		const uint32_t gen = ivshmem_load32_acquire(&txq->dir_gen);	/* tx_lead */

		if (gen == txq->dir_seen)
			continue;
		txq->dir_seen = gen;
		ivshmem_port_bump_dir(&dev->port);
	}
}

/* Set the link: up while any other port runs. Returns true when it changed. */
static bool
ivshmem_link_apply(struct rte_eth_dev *eth_dev, bool up)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_100G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	ivshmem_store32(&dev->open, up);
	if (rte_eth_linkstatus_set(eth_dev, &link) != 0)
		return false;
	dev->link_changes++;
	return true;
}

/* Lives since the one that was seen last; one where the number went back, which nobody may do. */
static uint32_t
ivshmem_link_lives(uint32_t last, uint32_t now)
{
	return now - last <= INT32_MAX ? now - last : 1;
}

/* Look at one other port and act on what changed there. Returns what changed, IVSHMEM_PEER_*. */
static uint32_t
ivshmem_link_look_at(struct rte_eth_dev *eth_dev, struct ivshmem_peer *peer, uint64_t now_ms)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	uint32_t open = 0;
	uint32_t *life = &dev->lives[peer->slot];
	uint32_t changed;

	changed = ivshmem_peer_look(peer, dev->port.base, &dev->layout, now_ms);
	if (*life != 0)		/* a life may end before anybody looked */
		dev->peer_restarts += ivshmem_link_lives(*life, peer->life);
	*life = peer->life;
	if ((changed & IVSHMEM_PEER_HELD) != 0 && !dev->dead)
		ivshmem_port_tell_held(&dev->port, peer);
	ivshmem_mac_announced(dev, peer, changed);
	/* also while the own section settles: both may take their 60 s, at the same time */
	if (dev->started && !dev->dead && peer->running &&
	    ivshmem_settle_port(eth_dev, peer->slot) && dev->admin_up)
		open = IVSHMEM_DEST_OPEN | (dev->zero_copy &&
			(peer->conf.feat & IVSHMEM_FEAT_FOREIGN) != 0 ? IVSHMEM_DEST_FOREIGN : 0);
	if (dev->started)
		ivshmem_link_lead_queues(eth_dev, peer->slot, open,
					 (changed & IVSHMEM_PEER_CONF) != 0 ?
					 peer->conf.rxq_cnt : 0);
	if ((changed & IVSHMEM_PEER_LINK) != 0)
		IVSHMEM_LOG(INFO, "%s: port %" PRIu32 " %s, life %" PRIu32, eth_dev->data->name,
			    peer->slot, peer->running ? "runs" : "is gone", peer->life);
	return changed;
}

/* Look at the other ports and act on what changed. Returns true when the link changed. */
static bool
ivshmem_link_look(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const uint64_t now_ms = ivshmem_now_ms();
	uint32_t changed = 0;
	bool up = false;

	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		if (slot == dev->port.slot)
			continue;
		changed |= ivshmem_link_look_at(eth_dev, &dev->peers[slot], now_ms);
		up |= dev->peers[slot].running;
	}
	if (dev->fdb != NULL && now_ms - dev->fdb_aged_ms >= IVSHMEM_FDB_TICK_MS) {
		ivshmem_fdb_age(dev->fdb);
		dev->fdb_aged_ms = now_ms;
	}
	if (!dev->started)
		return false;
	if (changed != 0 || dev->lists_due)
		ivshmem_link_offer_lists(eth_dev);
	ivshmem_link_tell_moves(eth_dev);
	return ivshmem_link_apply(eth_dev, up && dev->admin_up && !dev->dead);
}

void
ivshmem_link_close(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	ivshmem_store32(&dev->open, 0);
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++)
		ivshmem_link_lead_queues(eth_dev, slot, 0, 0);
}

/* LSC callbacks run without the lock: the application may call any operation from them. */
static void
ivshmem_link_report(struct rte_eth_dev *eth_dev)
{
	const bool up = eth_dev->data->dev_link.link_status == RTE_ETH_LINK_UP;

	IVSHMEM_LOG(INFO, "%s: link %s", eth_dev->data->name, up ? "up" : "down");
	if (eth_dev->data->dev_conf.intr_conf.lsc != 0)
		rte_eth_dev_callback_process(eth_dev, RTE_ETH_EVENT_INTR_LSC, NULL);
}

static bool
ivshmem_link_is_held(const struct ivshmem_dev *dev)
{
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++)
		if (slot != dev->port.slot && dev->peers[slot].alive &&
		    ivshmem_port_is_held(&dev->port, slot))
			return true;
	return false;
}

/*
 * We stood still for so long that another port took us for dead: come back with a new life and new
 * sessions on all rings, each when its queue is polled next. A port that says so without cause
 * costs us a restart each IVSHMEM_LINK_REJOIN_MS.
 */
static void
ivshmem_link_rejoin(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const uint64_t now_ms = ivshmem_now_ms();

	if (dev->rejoins) {
		dev->rejoins = false;
		if (dev->started)
			ivshmem_port_set_state(&dev->port, dev->admin_up ? IVSHMEM_PORT_RUN :
					       IVSHMEM_PORT_READY);
		return;
	}
	if (!ivshmem_link_is_held(dev) || (dev->rejoined_ms != 0 &&
	    now_ms - dev->rejoined_ms < IVSHMEM_LINK_REJOIN_MS))
		return;
	dev->rejoins = true;
	dev->rejoins_cnt++;
	dev->rejoined_ms = now_ms;
	ivshmem_port_rejoin(&dev->port);
	IVSHMEM_LOG(NOTICE, "%s: port %" PRIu32 " stood still and was taken for dead: it goes on "
		    "with life %" PRIu32, eth_dev->data->name, dev->port.slot, dev->port.life);
	if (!dev->started)
		return;
	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++) {
		struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

		ivshmem_store32(&txq->anew, ivshmem_load32(&txq->anew) + 1);
	}
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		ivshmem_store32(&rxq->anew, ivshmem_load32(&rxq->anew) + 1);
	}
	dev->lists_due = true;
}

void
ivshmem_link_tick(void *arg)
{
	struct rte_eth_dev *eth_dev = arg;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	bool changed;

	rte_spinlock_lock(&dev->lock);
	if (!dev->dead && ivshmem_port_beat(&dev->port) != 0) {
		dev->dead = true;
		dev->lists_due = true;		/* empty ones */
		ivshmem_loans_leave(dev);
		IVSHMEM_LOG(ERR, "%s: another process took port %" PRIu32
			    " of the region over; this one stops", eth_dev->data->name,
			    dev->port.slot);
	}
	if (!dev->dead)
		ivshmem_link_rejoin(eth_dev);
	changed = ivshmem_link_look(eth_dev);
	if (dev->transport.ops->tick != NULL)
		dev->transport.ops->tick(&dev->transport);
	if (!dev->dead)
		ivshmem_settle_loans(dev);
	if (dev->started)
		ivshmem_settle_tick(eth_dev);
	if (dev->started && dev->intr != NULL)
		ivshmem_intr_tick(eth_dev);
	rte_spinlock_unlock(&dev->lock);
	rte_eal_alarm_set(IVSHMEM_PORT_BEAT_MS * 1000, ivshmem_link_tick, eth_dev);
	if (changed)		/* last: the application may close the port there */
		ivshmem_link_report(eth_dev);
}

void
ivshmem_link_interrupt(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	bool changed;

	rte_spinlock_lock(&dev->lock);
	if (dev->transport.ops->tick != NULL)
		dev->transport.ops->tick(&dev->transport);
	changed = ivshmem_link_look(eth_dev);
	rte_spinlock_unlock(&dev->lock);
	if (changed)
		ivshmem_link_report(eth_dev);
}

int
ivshmem_link_update(struct rte_eth_dev *eth_dev, int wait_to_complete)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	bool changed;

	RTE_SET_USED(wait_to_complete);
	rte_spinlock_lock(&dev->lock);
	changed = ivshmem_link_look(eth_dev);
	rte_spinlock_unlock(&dev->lock);
	if (changed)
		ivshmem_link_report(eth_dev);
	return changed ? 0 : -1;
}

void
ivshmem_link_publish_conf(struct ivshmem_dev *dev)
{
	const struct rte_eth_dev_data *data = dev->data;
	struct ivshmem_conf_shm conf;

	memset(&conf, 0, sizeof(conf));
	conf.max_frame = data->mtu + IVSHMEM_FRAME_OVERHEAD;
	conf.flags = (data->promiscuous != 0 ? IVSHMEM_CONF_PROMISC : 0) |
		(data->all_multicast != 0 ? IVSHMEM_CONF_ALLMULTI : 0);
	conf.rxq_cnt = data->nb_rx_queues;
	conf.txq_cnt = data->nb_tx_queues;
	conf.feat = dev->zero_copy ? IVSHMEM_FEAT_FOREIGN : 0;
	conf.return_mode = dev->zero_copy ? IVSHMEM_RETURN_RING : IVSHMEM_RETURN_COPY;
	conf.mac_cnt = 1;
	memcpy(conf.mac[0], dev->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	ivshmem_port_set_conf(&dev->port, &conf);
}

static int
ivshmem_link_set(struct rte_eth_dev *eth_dev, bool up)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	bool changed;

	rte_spinlock_lock(&dev->lock);
	dev->admin_up = up;
	if (dev->started && !dev->dead)
		ivshmem_port_set_state(&dev->port, up ? IVSHMEM_PORT_RUN : IVSHMEM_PORT_READY);
	changed = ivshmem_link_look(eth_dev);
	rte_spinlock_unlock(&dev->lock);
	if (changed)
		ivshmem_link_report(eth_dev);
	return 0;
}

int
ivshmem_link_set_up(struct rte_eth_dev *eth_dev)
{
	return ivshmem_link_set(eth_dev, true);
}

int
ivshmem_link_set_down(struct rte_eth_dev *eth_dev)
{
	return ivshmem_link_set(eth_dev, false);
}
