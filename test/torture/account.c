/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Counts what a port has lent and borrowed. Knows the driver's private structs, and calls none of
 * its functions: those are in a plugin and hidden.
 *
 * Trust: none needed, the peers are honest.
 */

#include <string.h>

#include <ethdev_driver.h>

#include "account.h"
#include "ivshmem_ethdev.h"

static void
torture_account_dest(const struct ivshmem_dest *dest, struct torture_account *account)
{
	const struct ivshmem_flight *flight = &dest->flight;
	const struct ivshmem_producer *ring = &dest->ring;
	const uint64_t cw = ivshmem_load64_acquire(&ring->peer->cw);
	const uint64_t rw = ivshmem_load64_acquire(&ring->peer->rw);
	const bool lasts = ring->ready && ivshmem_ring_epoch(cw) == ring->yours;
	uint32_t carried = 0;

	if (lasts)
		account->unread += ring->prod - (uint32_t)cw;
	if (flight->slots == NULL)
		return;
	if (lasts && ring->ret_cnt != 0)
		account->returned += (uint32_t)rw - ring->ret;
	for (uint32_t i = 0; i < flight->usable; i++)
		carried += flight->refs[i] != 0;
	*(lasts ? &account->out : &account->ended) += flight->out_cnt;
	account->held += flight->held_cnt;
	account->barred += flight->barred_cnt;
	account->lost_slots += flight->usable - flight->slot_cnt - flight->out_cnt -
		flight->barred_cnt;
	account->lost_bufs += flight->usable - flight->buf_cnt - carried;
}

static void
torture_account_loans(const struct ivshmem_rxq *rxq, struct torture_account *account)
{
	struct ivshmem_loans *loans = rxq->loans;
	uint32_t of_rings = 0;
	uint32_t out;

	if (loans == NULL)
		return;
	rte_spinlock_lock(&loans->lock.others);	/* this thread is the owner */
	for (uint32_t i = 0; i < rxq->ring_cnt; i++) {
		account->stale += rxq->rings[i].stale;
		of_rings += rxq->rings[i].out + rxq->rings[i].stale;
	}
	out = loans->cnt - loans->spare_cnt;
	account->loans += out;
	account->lost_loans += out - of_rings;
	rte_spinlock_unlock(&loans->lock.others);
}

void
torture_account(uint16_t port, struct torture_account *account)
{
	const struct rte_eth_dev_data *data = rte_eth_devices[port].data;
	const struct ivshmem_dev *dev = data->dev_private;

	memset(account, 0, sizeof(*account));
	for (uint16_t queue = 0; queue < data->nb_tx_queues; queue++) {
		const struct ivshmem_txq *txq = data->tx_queues[queue];

		for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++)
			if (slot != dev->port.slot)
				torture_account_dest(&txq->dests[slot], account);
	}
	for (uint16_t queue = 0; queue < data->nb_rx_queues; queue++)
		torture_account_loans(data->rx_queues[queue], account);
}
