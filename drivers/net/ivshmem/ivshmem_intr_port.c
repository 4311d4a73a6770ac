/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A port's interrupts: start and stop, the control vector, and the watch for wakeups that did not
 * come; see ivshmem_intr.h. How one queue sleeps is in ivshmem_intr.c.
 *
 * Threads: start and stop in the application's control thread, the rest in EAL's interrupt thread.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "ivshmem_intr.h"
#include "ivshmem_log.h"

#define IVSHMEM_BACKSTOP_MS	1000u
#define IVSHMEM_LOOK_US		1000u	/* for peers that cannot ring */

/* Ports that run and cannot ring us, or we them: their eventfds are another server's. */
static uint32_t
ivshmem_intr_unreachable(const struct ivshmem_dev *dev)
{
	const struct ivshmem_slot_shm *own =
		ivshmem_layout_slot(dev->port.base, &dev->layout, dev->port.slot);
	const uint64_t epoch = ivshmem_load64(&own->server_epoch);
	uint32_t cnt = 0;

	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		const struct ivshmem_slot_shm *shm =
			ivshmem_layout_slot(dev->port.base, &dev->layout, slot);

		if (slot == dev->port.slot || !dev->peers[slot].running)
			continue;
		cnt += (ivshmem_load64(&shm->row) & UINT32_MAX) != IVSHMEM_SLOT_LIVE ||
			ivshmem_load64(&shm->server_epoch) != epoch ||
			ivshmem_load32(&shm->vectors) == 0;
	}
	return cnt;
}

static bool
ivshmem_intr_any_armed(const struct rte_eth_dev *eth_dev)
{
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		if (ivshmem_load32(&rxq->sleep.armed) != 0)
			return true;
	}
	return false;
}

/* For peers that cannot ring: every millisecond, as long as there are some and a queue sleeps. */
static void
ivshmem_intr_look(void *arg)
{
	struct rte_eth_dev *eth_dev = arg;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	dev->looks = dev->unreachable != 0 && ivshmem_intr_any_armed(eth_dev) &&
		rte_eal_alarm_set(IVSHMEM_LOOK_US, ivshmem_intr_look, eth_dev) == 0;
	ivshmem_intr_relay(eth_dev);
}

/*
 * The backstop: a hostile port may read an eventfd's count away. A queue that was due at two looks
 * within the same sleep is woken; an honest wakeup was taken long before.
 */
static void
ivshmem_intr_backstop(struct rte_eth_dev *eth_dev)
{
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];
		const uint32_t armed = ivshmem_load32_acquire(&rxq->sleep.armed);

		if (armed == 0 || !ivshmem_intr_is_due(rxq)) {
			rxq->sleep.suspect = 0;
		} else if (armed == rxq->sleep.suspect) {
			ivshmem_dev(eth_dev)->backstop_wakes++;
			ivshmem_store32(&rxq->sleep.signalled, 0);	/* whatever became of it */
			ivshmem_intr_wake(rxq, armed);
		} else {
			rxq->sleep.suspect = armed;
		}
	}
}

void
ivshmem_intr_tick(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const uint64_t now_ms = ivshmem_now_ms();

	dev->unreachable = ivshmem_intr_unreachable(dev);
	if (!dev->looks && dev->unreachable != 0)
		ivshmem_intr_look(eth_dev);
	if (now_ms - dev->backstop_ms < IVSHMEM_BACKSTOP_MS)
		return;
	dev->backstop_ms = now_ms;
	ivshmem_intr_backstop(eth_dev);
}

static void
ivshmem_intr_unmute(void *arg)
{
	struct ivshmem_dev *dev = arg;

	if (!dev->listens)	/* stopped meanwhile */
		return;
	dev->muted = false;
	dev->transport.ops->mute(&dev->transport, false);
}

/*
 * Vector 0: somebody came or left, or rang for a queue that has no vector of its own. A ring that
 * ends a sleep is none too many.
 */
static void
ivshmem_intr_control(void *arg)
{
	struct rte_eth_dev *eth_dev = arg;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	const uint64_t now_ms = ivshmem_now_ms();
	uint32_t woken = 0;

	if (!dev->listens)	/* stopping: set no alarm that would outlive it */
		return;
	dev->control_interrupts++;
	if (now_ms - dev->control_ms >= 1000) {
		dev->control_ms = now_ms;
		dev->control_cnt = 0;
	}
	if (dev->intr != NULL)
		woken = ivshmem_intr_relay(eth_dev);
	if (woken == 0 && ++dev->control_cnt > IVSHMEM_SPURIOUS_MAX && !dev->muted &&
	    rte_eal_alarm_set(IVSHMEM_MASK_MS * 1000, ivshmem_intr_unmute, dev) == 0) {
		dev->muted = true;
		dev->control_masked++;
		dev->transport.ops->mute(&dev->transport, true);
	}
	ivshmem_link_interrupt(eth_dev);	/* last: the application may close the port there */
}

/* Close the eventfds that were made here, and forget all. */
static void
ivshmem_intr_free(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		struct ivshmem_sleep *sleep =
			&((struct ivshmem_rxq *)eth_dev->data->rx_queues[queue])->sleep;

		if (sleep->own_efd)
			close(sleep->efd);
		sleep->own_efd = false;
		sleep->efd = -1;
	}
	if (dev->intr != NULL) {
		rte_intr_vec_list_free(dev->intr);
		rte_intr_instance_free(dev->intr);
	}
	dev->intr = NULL;
	eth_dev->intr_handle = NULL;
}

/* EAL's view: an eventfd for each queue, which EAL does not read (N2). */
static int
ivshmem_intr_publish(struct rte_eth_dev *eth_dev)
{
	const uint16_t queue_cnt = eth_dev->data->nb_rx_queues;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	struct rte_intr_handle *intr;

	intr = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (intr == NULL)
		return -ENOMEM;
	dev->intr = intr;
	if (rte_intr_type_set(intr, RTE_INTR_HANDLE_VDEV) != 0 ||
	    rte_intr_efd_counter_size_set(intr, 0) != 0 ||
	    rte_intr_nb_efd_set(intr, queue_cnt) != 0 ||
	    rte_intr_max_intr_set(intr, queue_cnt) != 0 ||
	    rte_intr_vec_list_alloc(intr, "ivshmem_vectors", queue_cnt) != 0)
		return -ENOMEM;
	for (uint16_t queue = 0; queue < queue_cnt; queue++) {
		const struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		if (rte_intr_efds_index_set(intr, queue, rxq->sleep.efd) != 0 ||
		    rte_intr_vec_list_index_set(intr, queue, RTE_INTR_VEC_RXTX_OFFSET + queue) != 0)
			return -ENOMEM;
	}
	eth_dev->intr_handle = intr;
	return 0;
}

/* The queue's line says: may sleep, and which vector to ring. */
static int
ivshmem_intr_setup_queue(struct ivshmem_rxq *rxq, const int *fds, uint32_t cnt)
{
	struct ivshmem_sleep *sleep = &rxq->sleep;
	const bool has_vector = rxq->queue_id < cnt;

	sleep->own_efd = !has_vector;
	sleep->efd = has_vector ? fds[rxq->queue_id] : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sleep->efd < 0) {
		sleep->own_efd = false;
		return -errno;
	}
	ivshmem_store32(&sleep->line->vector, has_vector ? 1u + rxq->queue_id : 0);
	ivshmem_store32_release(&sleep->line->may_arm, 1);	/* before consumer_start */
	return 0;
}

/* No queue sleeps, until said otherwise. */
static void
ivshmem_intr_clear(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	for (uint32_t queue = 0; queue < dev->layout.queue_cnt; queue++) {
		struct ivshmem_rxq_shm *line =
			ivshmem_layout_rxq(dev->port.section, &dev->layout, queue);

		ivshmem_store32(&line->arm, 0);
		ivshmem_store32(&line->may_arm, 0);
		ivshmem_store32(&line->vector, 0);
	}
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++) {
		struct ivshmem_rxq *rxq = eth_dev->data->rx_queues[queue];

		rxq->sleep.efd = -1;
		rxq->sleep.line = ivshmem_layout_rxq(dev->port.section, &dev->layout, queue);
		ivshmem_store32(&rxq->sleep.armed, 0);
		ivshmem_store32(&rxq->sleep.signalled, 0);
		ivshmem_store32(&rxq->sleep.masked, 0);
		ivshmem_store32(&rxq->sleep.due, 0);
		ivshmem_store32(&rxq->sleep.seen_cnt, 0);
		rxq->sleep.woken = false;
	}
}

int
ivshmem_intr_start(struct rte_eth_dev *eth_dev)
{
	const struct rte_eth_intr_conf *want = &eth_dev->data->dev_conf.intr_conf;
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);
	struct ivshmem_transport *transport = &dev->transport;
	const uint16_t queue_cnt = eth_dev->data->nb_rx_queues;
	int fds[IVSHMEM_QUEUES_MAX];
	uint32_t cnt = 0;
	int ret;

	ivshmem_intr_clear(eth_dev);
	if ((want->rxq == 0 && want->lsc == 0) || transport->vectors == 0)
		return 0;
	if (want->rxq != 0)
		cnt = RTE_MIN((uint32_t)queue_cnt, transport->vectors - 1);
	ret = transport->ops->listen(transport, fds, cnt, ivshmem_intr_control, eth_dev);
	if (ret != 0)
		return ret;
	dev->listens = true;
	for (uint16_t queue = 0; ret == 0 && want->rxq != 0 && queue < queue_cnt; queue++)
		ret = ivshmem_intr_setup_queue(eth_dev->data->rx_queues[queue], fds, cnt);
	if (ret == 0 && want->rxq != 0)
		ret = ivshmem_intr_publish(eth_dev);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: no Rx interrupts: %s", eth_dev->data->name, strerror(-ret));
		ivshmem_intr_stop(eth_dev);
		return ret;
	}
	if (want->rxq != 0 && cnt == queue_cnt)
		IVSHMEM_LOG(INFO, "%s: Rx interrupts: %u queues, %" PRIu32 " of them with a "
			    "vector of their own", eth_dev->data->name, queue_cnt, cnt);
	else if (want->rxq != 0)
		IVSHMEM_LOG(NOTICE, "%s: Rx interrupts: %u queues, %" PRIu32 " of them with a "
			    "vector of their own, the others share vector 0", eth_dev->data->name,
			    queue_cnt, cnt);
	return 0;
}

void
ivshmem_intr_stop(struct rte_eth_dev *eth_dev)
{
	struct ivshmem_dev *dev = ivshmem_dev(eth_dev);

	if (!dev->listens)
		return;
	dev->listens = false;
	rte_eal_alarm_cancel(ivshmem_intr_unmute, dev);
	rte_eal_alarm_cancel(ivshmem_intr_look, eth_dev);
	for (uint16_t queue = 0; queue < eth_dev->data->nb_rx_queues; queue++)
		rte_eal_alarm_cancel(ivshmem_intr_unmask, eth_dev->data->rx_queues[queue]);
	dev->looks = false;
	dev->unreachable = 0;
	if (dev->intr != NULL)		/* while the eventfds are there to be taken out of epoll */
		rte_intr_free_epoll_fd(dev->intr);
	dev->transport.ops->unlisten(&dev->transport);
	rte_eal_alarm_cancel(ivshmem_intr_unmute, dev);	/* set while vector 0 was still heard */
	dev->muted = false;
	ivshmem_intr_free(eth_dev);
	if (!dev->dead)		/* else the lines are the next owner's */
		ivshmem_intr_clear(eth_dev);
}
