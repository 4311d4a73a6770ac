/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * How an Rx queue arms, sleeps and is woken; see ivshmem_intr.h.
 *
 * Ordering: A1 <-> A2, full barriers here and in ivshmem_tx_bell().
 * Threads: enable and disable run in the thread that owns the queue, what wakes it in any.
 */

#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_epoll.h>
#include <rte_interrupts.h>
#include <rte_malloc.h>

#include "ivshmem_intr.h"
#include "ivshmem_log.h"
#include "ivshmem_session.h"
#include "ivshmem_vectors.h"

#define IVSHMEM_TELL_MS		60000u

/* Once a sleep: a second time would end the next one. */
bool
ivshmem_intr_wake(struct ivshmem_rxq *rxq, uint32_t armed)
{
	if (ivshmem_load32(&rxq->sleep.signalled) == armed ||
	    ivshmem_load32(&rxq->sleep.masked) != 0)
		return false;
	ivshmem_store32(&rxq->sleep.signalled, armed);
	ivshmem_vector_ring(rxq->sleep.efd);
	return true;
}

/* Note what stands in the rings, for the control thread: what differs later is new. */
static void
ivshmem_intr_note(struct ivshmem_rxq *rxq)
{
	const uint16_t *list = rxq->list + rxq->list_sel * rxq->ring_cnt;
	struct ivshmem_seen *seen = rxq->sleep.seen;

	for (uint32_t i = 0; i < rxq->list_cnt; i++) {
		const struct ivshmem_prod_shm *peer = rxq->rings[list[i]].peer;

		ivshmem_store32(&seen[i].ring, list[i]);
		ivshmem_store32(&seen[i].yours, ivshmem_load32(&peer->yours));
		ivshmem_store64(&seen[i].word, ivshmem_load64(&peer->pw));
	}
	ivshmem_store32_release(&rxq->sleep.seen_cnt, rxq->list_cnt);
}

/* The second look, by the queue's thread. */
static bool
ivshmem_intr_has_work(struct ivshmem_rxq *rxq)
{
	const uint16_t *list = rxq->list + rxq->list_sel * rxq->ring_cnt;
	bool work;

	work = ivshmem_load32(&rxq->list_want) != ivshmem_load32(&rxq->list_taken);
	for (uint32_t i = 0; i < rxq->list_cnt && !work; i++) {
		struct ivshmem_consumer *ring = &rxq->rings[list[i]];

		work = ring->ready ? ivshmem_load64_acquire(&ring->peer->pw) !=	/* C1 <- P1 */
			ivshmem_ring_word(ring->yours, ring->cons) :
			ivshmem_consumer_can_step(ring);
	}
	return work;
}

/* Whether something was published since the queue armed, ADOPT and START included. Any thread. */
bool
ivshmem_intr_is_due(const struct ivshmem_rxq *rxq)
{
	const struct ivshmem_sleep *sleep = &rxq->sleep;
	const uint32_t cnt = ivshmem_load32_acquire(&sleep->seen_cnt);
	const uint32_t due = ivshmem_load32(&sleep->due);

	if (due != 0 && due == ivshmem_load32(&sleep->armed))
		return true;	/* what came just before is in seen[] */
	if (ivshmem_load32(&rxq->list_want) != ivshmem_load32(&rxq->list_taken))
		return true;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_seen *seen = &sleep->seen[i];
		const struct ivshmem_prod_shm *peer = rxq->rings[ivshmem_load32(&seen->ring)].peer;

		if (ivshmem_load64(&peer->pw) != ivshmem_load64(&seen->word) ||
		    ivshmem_load32(&peer->yours) != ivshmem_load32(&seen->yours))
			return true;
	}
	return false;
}

/* Wake the queue if it sleeps and has work. Any thread. */
static bool
ivshmem_intr_relay_to(struct ivshmem_rxq *rxq)
{
	const uint32_t armed = ivshmem_load32_acquire(&rxq->sleep.armed);

	return armed != 0 && ivshmem_intr_is_due(rxq) && ivshmem_intr_wake(rxq, armed);
}

/* Have epoll look at the queue's eventfd, or not. */
static void
ivshmem_intr_watch(struct ivshmem_rxq *rxq, bool on)
{
	struct rte_intr_handle *handle = rxq->dev->intr;
	struct rte_epoll_event *rev = rte_intr_elist_index_get(handle, rxq->queue_id);
	struct epoll_event event = { .events = 0 };

	if (rev == NULL || rev->status == RTE_EPOLL_INVALID)
		return;		/* the application watches the fd by its own means */
	event.data.ptr = rev;
	if (on)
		event.events = rev->epdata.event;
	epoll_ctl(rev->epfd, EPOLL_CTL_MOD, rev->fd, &event);
}

void
ivshmem_intr_unmask(void *arg)
{
	struct ivshmem_rxq *rxq = arg;

	ivshmem_store32(&rxq->sleep.masked, 0);
	ivshmem_fence_full();	/* pairs with rx_queue_intr_enable */
	ivshmem_intr_watch(rxq, true);
	ivshmem_intr_relay_to(rxq);
}

/*
 * The queue was woken: for a frame, or for nothing. A doorbell that comes late ends a sleep for
 * nothing now and then; more than the useful ones, and many, come from a peer that rings unasked.
 */
static void
ivshmem_intr_judge(struct ivshmem_rxq *rxq)
{
	struct ivshmem_sleep *sleep = &rxq->sleep;
	const uint64_t now_ms = ivshmem_now_ms();

	if (now_ms - sleep->window_ms >= 1000) {
		sleep->window_ms = now_ms;
		sleep->spurious_cnt = 0;
		sleep->useful_cnt = 0;
	}
	if (rxq->stats.packets != sleep->packets) {
		sleep->useful_cnt++;
		return;
	}
	rxq->stats.spurious_wakes++;
	if (++sleep->spurious_cnt <= IVSHMEM_SPURIOUS_MAX ||
	    sleep->spurious_cnt <= sleep->useful_cnt || ivshmem_load32(&sleep->masked) != 0)
		return;
	ivshmem_store32(&sleep->masked, 1);
	ivshmem_intr_watch(rxq, false);
	/* last: this thread may stand still for longer than that, here or before */
	if (rte_eal_alarm_set(IVSHMEM_MASK_MS * 1000, ivshmem_intr_unmask, rxq) != 0) {
		ivshmem_intr_unmask(rxq);
		return;
	}
	rxq->stats.masked++;
	if (now_ms - sleep->told_ms < IVSHMEM_TELL_MS && sleep->told_ms != 0)
		return;
	sleep->told_ms = now_ms;
	IVSHMEM_LOG(WARNING, "%s: Rx queue %u was woken more than %u times a second for nothing: "
		    "some port of the region rings without cause; it is let sleep for %u ms "
		    "each time", rxq->dev->data->name, rxq->queue_id, IVSHMEM_SPURIOUS_MAX,
		    IVSHMEM_MASK_MS);
}

/* Whoever wakes up calls enable or disable next: what woke it is read away there. */
static void
ivshmem_intr_drain(struct ivshmem_rxq *rxq)
{
	struct ivshmem_sleep *sleep = &rxq->sleep;

	if (ivshmem_vector_drain(sleep->efd) == 0)
		return;
	rxq->stats.wakes++;
	sleep->woken = true;
}

int
ivshmem_rx_queue_intr_enable(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];
	struct ivshmem_sleep *sleep = &rxq->sleep;

	if (sleep->efd < 0)
		return -ENOTSUP;
	if (rxq->dev->dead)	/* the line is another's */
		return -EIO;
	if (ivshmem_load32(&sleep->armed) != 0)	/* else disable, or listen, has drained */
		ivshmem_intr_drain(rxq);	/* before arm: what rings from now on wakes */
	if (sleep->woken)
		ivshmem_intr_judge(rxq);
	sleep->woken = false;
	sleep->packets = rxq->stats.packets;
	if (++sleep->seq == 0)
		sleep->seq = 1;
	rxq->stats.arms++;
	if (rxq->loans != NULL)
		ivshmem_loans_try_drain(rxq->loans);
	ivshmem_intr_note(rxq);
	ivshmem_store32_release(&sleep->armed, sleep->seq);	/* relay must not miss a ring */
	ivshmem_store32_release(&sleep->line->arm, sleep->seq);	/* after cw: pairs with tx_bell */
	ivshmem_fence_full();							/* A1 */
	if (ivshmem_intr_has_work(rxq)) {
		ivshmem_store32(&sleep->due, sleep->seq);
		ivshmem_fence_full();	/* who unmasks, and has not seen this, is seen here */
		ivshmem_intr_wake(rxq, sleep->seq);
	}
	return 0;
}

int
ivshmem_rx_queue_intr_disable(struct rte_eth_dev *eth_dev, uint16_t queue)
{
	struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];
	struct ivshmem_sleep *sleep = &rxq->sleep;

	if (sleep->efd < 0)
		return -ENOTSUP;
	if (ivshmem_load32(&sleep->armed) == 0)
		return 0;
	if (!rxq->dev->dead)
		ivshmem_store32(&sleep->line->arm, 0);
	ivshmem_store32(&sleep->armed, 0);
	ivshmem_intr_drain(rxq);
	return 0;
}

static int
ivshmem_intr_moved(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return value == opaque[0] ? 0 : -1;
}

int
ivshmem_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond)
{
	struct ivshmem_rxq *rxq = queue;
	const struct ivshmem_layout *layout = &rxq->dev->layout;
	const uint16_t *list = rxq->list + rxq->list_sel * rxq->ring_cnt;
	const uint32_t other = rxq->dev->port.slot == 0;
	const struct ivshmem_consumer *ring;

	/* one address cannot watch several rings */
	if (layout->port_cnt != IVSHMEM_ABI_PORTS_MIN || rxq->list_cnt > 1)
		return -ENOTSUP;
	ring = &rxq->rings[rxq->list_cnt == 1 ? list[0] :
			   other * layout->queue_cnt + rxq->queue_id];
	cond->addr = (volatile void *)(uintptr_t)&ring->peer->pw;
	cond->size = sizeof(ring->peer->pw);
	cond->fn = ivshmem_intr_moved;
	cond->opaque[0] = ivshmem_ring_word(ring->yours, ring->cons);
	return 0;
}

uint32_t
ivshmem_intr_relay(struct rte_eth_dev *eth_dev)
{
	uint32_t woken = 0;

	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++)
		woken += ivshmem_intr_relay_to(eth_dev->data->rx_queues[queue]);
	return woken;
}
