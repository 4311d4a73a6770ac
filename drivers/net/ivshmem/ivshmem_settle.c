/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Buffers that were lent: when they may be used again after a restart, and who waits for them.
 *
 * A buffer comes back by its cookie. One that was out when a session or a life ended never does:
 * the port that had it may have died, or passed it on. It is used again when the ports that are
 * there show that nothing of earlier sessions is in use (S5), which is looked at here, once a
 * heartbeat; or after IVSHMEM_RECLAIM_MS to twice that, counted: then who still looks at it may see
 * other frames.
 *
 * Threads: alarm thread and the application's control thread, under dev->lock.
 */

#include <time.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"
#include "ivshmem_settle.h"

#define IVSHMEM_RECLAIM_MS	60000u
#define IVSHMEM_CLOSE_MS	1000u	/* what closing waits for loans */
#define IVSHMEM_CLOSE_STEP_NS	1000000

/* Nobody is in the slot: it left, or the server saw its end; not before it was looked at once. */
static bool
ivshmem_settle_is_gone(const struct ivshmem_dev *dev, uint32_t slot)
{
	const struct ivshmem_peer *peer = &dev->peers[slot];

	return slot != dev->port.slot && peer->looked_ms != 0 &&
		(peer->state == IVSHMEM_PORT_RESET || (!peer->alive && peer->left));
}

/*
 * The own port may use buffers of the source's own section: it holds those that were to go back to
 * the source by itself, until this very settling.
 */
static bool
ivshmem_settle_own_is_clear(const struct ivshmem_dev *dev, uint32_t source)
{
	if (!ivshmem_port_has_parted(&dev->port, source, dev->port.slot))
		return false;
	for (uint32_t queue = 0; queue < IVSHMEM_QUEUES_MAX; queue++)
		if (dev->loans[queue] != NULL &&
		    ivshmem_loans_have_others(dev->loans[queue], source))
			return false;
	return true;
}

/* It died, and had no life since: what it passed on is out in sessions that nobody ended. */
static bool
ivshmem_settle_died(const struct ivshmem_dev *dev, uint32_t slot)
{
	const struct ivshmem_peer *peer = &dev->peers[slot];

	return slot != dev->port.slot && !peer->alive &&
		(peer->looked_ms == 0 || peer->state != IVSHMEM_PORT_RESET);
}

/* All other ports that are there show that nothing of the source's earlier sessions is in use. */
static bool
ivshmem_settle_others_are_clear(const struct ivshmem_dev *dev, uint32_t source)
{
	const bool died = ivshmem_settle_died(dev, source);

	for (uint32_t by = 0; by < dev->layout.port_cnt; by++)
		if (by != source && by != dev->port.slot && !ivshmem_settle_is_gone(dev, by) &&
		    !(died ? ivshmem_port_is_clear_of_dead(&dev->port, source, by) :
		      ivshmem_port_is_clear(&dev->port, source, by)))
			return false;
	return true;
}

static bool
ivshmem_settle_is_overdue(struct ivshmem_dev *dev, const char *what, uint32_t slot,
			  uint64_t since_ms)
{
	if (ivshmem_now_ms() - since_ms < IVSHMEM_RECLAIM_MS)
		return false;
	dev->reclaims++;
	IVSHMEM_LOG(WARNING, "%s: buffers lent %s %" PRIu32 " did not come back for %u s: they are "
		    "used again; who still looks at them may see other frames",
		    dev->data->name, what, slot, IVSHMEM_RECLAIM_MS / 1000);
	return true;
}

/*
 * Own buffers that were out in an earlier life, with anybody: asked only when the queues share them
 * out in another way than then, so that a port can hold up no more than what goes to it; and by the
 * Tx pool, whose buffers may go to anybody.
 */
static void
ivshmem_settle_own(struct ivshmem_dev *dev)
{
	const uint32_t own = dev->port.slot;
	bool clear = true;

	/* each, or its last life, may have passed them on; a dead one to this port, too */
	for (uint32_t slot = 0; clear && slot < dev->layout.port_cnt; slot++)
		clear = ivshmem_settle_others_are_clear(dev, slot) &&
			(slot == own || dev->peers[slot].alive ||
			 ivshmem_settle_own_is_clear(dev, slot));
	if (clear || ivshmem_settle_is_overdue(dev, "in an earlier life of port", own,
					       dev->settling_ms)) {
		dev->settling = false;
		if (!dev->dead)		/* else the section is another's */
			ivshmem_store32(&dev->port.section->pool_cnt, ivshmem_pool_cnt(dev->pool));
		if (dev->pool != NULL)
			ivshmem_pool_release(dev->pool);
	}
}

/* Somebody waits for that. */
static bool
ivshmem_settle_is_asked(const struct ivshmem_dev *dev)
{
	return dev->settling || (dev->pool != NULL && dev->pool->withheld);
}

/*
 * Nobody uses what was out with a port in sessions that ended. A port that is gone says nothing any
 * more; but on a wire there is no other that it may have passed them on to.
 */
static bool
ivshmem_settle_is_done(const struct ivshmem_dev *dev, uint32_t slot)
{
	if (ivshmem_settle_is_gone(dev, slot))
		return dev->layout.port_cnt == IVSHMEM_ABI_PORTS_MIN;
	return ivshmem_port_is_clear(&dev->port, dev->port.slot, slot) &&
		ivshmem_settle_own_is_clear(dev, slot) &&
		ivshmem_settle_others_are_clear(dev, slot);
}

/* Slots that were out with a port whose session ended. */
static void
ivshmem_settle_dest(struct ivshmem_dev *dev, struct ivshmem_dest *dest)
{
	const uint32_t bars = ivshmem_load32_acquire(&dest->bars);	/* lend_tell_barred */

	if (bars == ivshmem_load32(&dest->settled)) {
		dest->unsettled_ms = 0;
		return;
	}
	if (dest->unsettled_ms == 0) {
		dest->unsettled_bars = bars;
		dest->unsettled_ms = ivshmem_now_ms();
	}
	if (ivshmem_settle_is_done(dev, dest->slot)) {
		ivshmem_store32_release(&dest->settled, bars);	/* pairs with lend_settled */
	} else if (ivshmem_settle_is_overdue(dev, "to port", dest->slot, dest->unsettled_ms)) {
		/* what was barred since then has its own time, which begins now */
		ivshmem_store32_release(&dest->settled, dest->unsettled_bars);
		dest->unsettled_ms = 0;
	}
	if (ivshmem_load32(&dest->settled) != 0)
		dest->gated = false;
}

int
ivshmem_settle_make_pool(struct ivshmem_dev *dev, uint32_t cnt)
{
	int ret;

	if (cnt == 0)
		return 0;
	ret = ivshmem_pool_create(&dev->pool, dev->data->name, &dev->layout, dev->port.section, cnt,
				  dev->data->numa_node);
	if (ret == 0 && dev->port.section->conf.txq_cnt != 0)
		ivshmem_pool_withhold(dev->pool);	/* M2 */
	return ret;
}

void
ivshmem_settle_start(struct ivshmem_dev *dev, uint16_t txq_cnt_before)
{
	struct ivshmem_section_shm *own = dev->port.section;
	const uint32_t pool_cnt = ivshmem_pool_cnt(dev->pool);
	const bool was_settling = dev->settling;

	dev->settling = txq_cnt_before != 0 && (txq_cnt_before != dev->data->nb_tx_queues ||
						ivshmem_load32(&own->pool_cnt) != pool_cnt);
	/* a port that is started again and again has its buffers back as soon as any other */
	if (dev->settling_ms == 0 || dev->settling != was_settling)
		dev->settling_ms = ivshmem_now_ms();
	/* a life that ends while it settles leaves that to the next one */
	ivshmem_store32(&own->pool_cnt, dev->settling ? UINT32_MAX : pool_cnt);
	if (ivshmem_settle_is_asked(dev))
		ivshmem_settle_own(dev);
}

bool
ivshmem_settle_port(struct rte_eth_dev *eth_dev, uint32_t slot)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	bool settled = !dev->settling;

	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++) {
		struct ivshmem_txq *txq = eth_dev->data->tx_queues[queue];

		ivshmem_settle_dest(dev, &txq->dests[slot]);	/* the time of all runs */
		settled = settled && !txq->dests[slot].gated;
	}
	return settled;
}

/* Tx queues that there are no more: what they held is let go of by nobody else. */
static void
ivshmem_settle_unused(struct ivshmem_dev *dev, struct ivshmem_dest *dests)
{
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		if (dests[slot].flight.held_cnt == 0)
			continue;
		ivshmem_settle_dest(dev, &dests[slot]);
		ivshmem_tx_lend_settled(&dests[slot]);
	}
}

/* A dead port's words stand still: only with a new session they tell of it. */
static bool
ivshmem_settle_is_dead(const struct ivshmem_dev *dev, uint32_t slot)
{
	const struct ivshmem_peer *peer = &dev->peers[slot];

	return !peer->alive || peer->state == IVSHMEM_PORT_RESET;
}

/* The session is over, and no burst sees that: the port's next life does not run yet. */
static bool
ivshmem_settle_is_cut(const struct ivshmem_dest *dest)
{
	return ivshmem_load32(&dest->open) == 0 && (dest->outlived || !dest->ring.ready);
}

/* Whether a ring that seems ready leads to a life that is over. */
static void
ivshmem_settle_note_life(struct ivshmem_dest *dest, const struct ivshmem_peer *peer)
{
	if (dest->life != peer->life)
		dest->outlived = dest->life != 0;
	else if (peer->running)
		dest->outlived = false;
	dest->life = peer->life;
}

/*
 * What a Tx queue holds comes home also when its ports are dead, or the application sends nothing
 * to them: it may wait for these very mbufs. It may try to get them all the time: wait for the
 * lock.
 */
static void
ivshmem_settle_queue(struct ivshmem_dev *dev, struct ivshmem_txq *txq)
{
	const uint32_t bursts = ivshmem_load32(&txq->bursts);
	const bool idle = bursts == txq->bursts_seen;

	if (!dev->zero_copy)
		return;
	txq->bursts_seen = bursts;
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++)
		ivshmem_settle_note_life(&txq->dests[slot], &dev->peers[slot]);
	if (!ivshmem_tx_is_holding(txq))
		return;
	ivshmem_lock_take(&txq->lock);
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		struct ivshmem_dest *dest = &txq->dests[slot];

		if (dest->flight.held_cnt == 0)
			continue;
		if (ivshmem_settle_is_dead(dev, slot) || ivshmem_settle_is_cut(dest)) {
			dest->outlived = false;
			ivshmem_tx_lend_leave(txq, dest, ivshmem_settle_is_gone(dev, slot));
			ivshmem_settle_dest(dev, dest);
			ivshmem_tx_lend_settled(dest);
		} else if (idle || dest->ring.prod == dest->prod_seen) {
			ivshmem_tx_lend_tend(txq, dest, dest->flight.cnt);
		}
		dest->prod_seen = dest->ring.prod;
	}
	ivshmem_lock_give(&txq->lock);
}

/* Also of a stopped port, and of queues that it has no more: their sources wait for them. */
void
ivshmem_settle_loans(struct ivshmem_dev *dev)
{
	for (uint16_t queue = 0; queue < IVSHMEM_QUEUES_MAX; queue++) {
		struct ivshmem_loans *loans = dev->loans[queue];

		if (loans == NULL)
			continue;
		if (loans->bursts == loans->bursts_seen)	/* nobody polls: give back here */
			ivshmem_loans_try_drain(loans);
		loans->bursts_seen = loans->bursts;
	}
}

void
ivshmem_settle_tick(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	if (ivshmem_settle_is_asked(dev))
		ivshmem_settle_own(dev);
	for (uint16_t queue = 0; queue < eth_dev->data->nb_tx_queues; queue++)
		ivshmem_settle_queue(dev, eth_dev->data->tx_queues[queue]);
	for (uint16_t queue = eth_dev->data->nb_tx_queues; queue < IVSHMEM_QUEUES_MAX; queue++)
		if (dev->dests[queue] != NULL)
			ivshmem_settle_unused(dev, dev->dests[queue]);
}

/* Take back what is returned; no burst runs any more. What is still held, or lent up. */
static uint32_t
ivshmem_settle_left(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	uint32_t left = 0;

	for (uint16_t queue = 0; queue < IVSHMEM_QUEUES_MAX; queue++) {
		if (dev->dests[queue] == NULL)
			continue;
		for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
			struct ivshmem_dest *dest = &dev->dests[queue][slot];

			if (dest->flight.held_cnt != 0 && dest->ring.ready)
				ivshmem_tx_lend_reap(dest, dest->flight.cnt);
			left += dest->flight.held_cnt;
		}
	}
	left += ivshmem_loans_out(dev->loans, RTE_DIM(dev->loans));
	if (dev->pool != NULL)
		left += ivshmem_pool_out(dev->pool);
	return left;
}

uint32_t
ivshmem_settle_wait(struct rte_eth_dev *eth_dev)
{
	const struct timespec pause = { .tv_nsec = IVSHMEM_CLOSE_STEP_NS };
	const uint64_t began_ms = ivshmem_now_ms();
	uint32_t left;

	do {
		left = ivshmem_settle_left(eth_dev);
		if (left == 0)
			break;
		nanosleep(&pause, NULL);
	} while (ivshmem_now_ms() - began_ms < IVSHMEM_CLOSE_MS);
	return left;
}
