/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Received frames that are not one plain piece: chains, and what is dropped.
 *
 * A chain is loaded and checked whole before anything is made of it; then it is copied into mbufs,
 * or lent up, an mbuf for each piece. A chain ends within what was published, or it is no chain:
 * chains are published whole.
 */

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "ivshmem_rx_desc.h"

/* A checked chain, in private memory. */
struct ivshmem_rx_chain {
	struct ivshmem_desc_shm descs[IVSHMEM_ABI_CHAIN_MAX];
	const uint8_t *data[IVSHMEM_ABI_CHAIN_MAX];
	uint32_t pieces;
	uint32_t len;
	uint32_t end;		/* index behind it */
};

/* False, counted by reason, when the frame has to be dropped. */
static bool
ivshmem_rx_check(struct ivshmem_rxq *rxq, const struct ivshmem_consumer *ring, uint32_t at,
		 struct ivshmem_rx_chain *chain)
{
	uint32_t len_min = IVSHMEM_ABI_FRAME_MIN;
	bool good = true;
	uint32_t flags;

	chain->pieces = 0;
	chain->len = 0;
	do {
		struct ivshmem_desc_shm *desc = &chain->descs[chain->pieces];

		chain->end = at;
		if (chain->pieces == IVSHMEM_ABI_CHAIN_MAX || at == ring->prod) {
			rxq->stats.bad_chain += good;
			return false;
		}
		*desc = ivshmem_rx_load(&ring->entries[at++ & (ring->size - 1)]);
		flags = desc->flags;
		if (good) {
			const uint8_t *data = ivshmem_rx_payload(rxq, ring, desc, len_min);

			chain->data[chain->pieces] = data;
			chain->len += desc->data_len;
			good = data != NULL;
			if (good && chain->len > rxq->frame_max) {
				rxq->stats.too_long++;
				good = false;
			}
		}
		chain->pieces++;
		len_min = 1;
	} while ((flags & IVSHMEM_DESC_MORE) != 0);
	chain->end = at;
	return good;
}

/* Ring mode: the buffers of the chain are not needed any more. */
static void
ivshmem_rx_give_back(struct ivshmem_consumer *ring, const struct ivshmem_rx_chain *chain)
{
	if (ring->ret_cnt == 0 || (chain->pieces == 1 && chain->len <= IVSHMEM_COPYBREAK))
		return;
	for (uint32_t i = 0; i < chain->pieces; i++)
		ivshmem_consumer_return(ring, chain->descs[i].cookie);
}

/* Append bytes to a frame, adding mbufs as they fill up. False when there is no mbuf. */
static bool
ivshmem_rx_append(struct ivshmem_rxq *rxq, struct rte_mbuf *head, struct rte_mbuf **tail,
		  const uint8_t *data, uint32_t len)
{
	while (len > 0) {
		uint32_t part = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(*tail));

		if (part == 0) {
			struct rte_mbuf *next = rte_pktmbuf_alloc(rxq->pool);

			if (next == NULL)
				return false;
			(*tail)->next = next;
			*tail = next;
			head->nb_segs++;
			continue;
		}
		ivshmem_copy(rte_pktmbuf_mtod_offset(*tail, uint8_t *, (*tail)->data_len), data,
			     part);
		(*tail)->data_len += part;
		head->pkt_len += part;
		data += part;
		len -= part;
	}
	return true;
}

static bool
ivshmem_rx_copy(struct ivshmem_rxq *rxq, const struct ivshmem_rx_chain *chain,
		struct rte_mbuf *head)
{
	struct rte_mbuf *tail = head;

	for (uint32_t i = 0; i < chain->pieces; i++)
		if (!ivshmem_rx_append(rxq, head, &tail, chain->data[i],
				       chain->descs[i].data_len))
			return false;
	return true;
}

/* False when there are not enough mbufs: then nothing was lent. */
static bool
ivshmem_rx_lend(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring,
		const struct ivshmem_rx_chain *chain, struct rte_mbuf *head)
{
	const uint32_t buf_len = rxq->dev->layout.buf_len;
	struct rte_mbuf *mbufs[IVSHMEM_ABI_CHAIN_MAX];

	mbufs[0] = head;
	if (chain->pieces > 1 &&
	    rte_pktmbuf_alloc_bulk(rxq->pool, mbufs + 1, chain->pieces - 1) != 0)
		return false;
	for (uint32_t i = 0; i < chain->pieces; i++) {
		const uint8_t *data = chain->data[i];

		ivshmem_loan_lend(rxq->loans, ring, &chain->descs[i],
				  (uint8_t *)(uintptr_t)data - chain->descs[i].data_off, buf_len,
				  mbufs[i]);
		if (i > 0)
			mbufs[i - 1]->next = mbufs[i];
	}
	head->nb_segs = chain->pieces;
	head->pkt_len = chain->len;
	rxq->stats.lent++;
	return true;
}

enum ivshmem_rx_fate
ivshmem_rx_frame(struct ivshmem_rxq *rxq, struct ivshmem_consumer *ring, uint32_t *idx,
		 struct rte_mbuf *head)
{
	struct ivshmem_rx_chain chain;
	bool lend;

	if (!ivshmem_rx_check(rxq, ring, *idx, &chain)) {
		ivshmem_rx_give_back(ring, &chain);
		*idx = chain.end;
		return IVSHMEM_RX_DROPPED;
	}
	/* without scattered Rx the application knows of no chains: one is copied into one mbuf */
	lend = ring->ret_cnt != 0 && (chain.pieces == 1 || rxq->dev->data->scattered_rx) &&
		ivshmem_rx_may_lend(rxq, ring, &chain.descs[0], chain.len, chain.pieces);
	if (lend ? !ivshmem_rx_lend(rxq, ring, &chain, head) :
	    !ivshmem_rx_copy(rxq, &chain, head)) {
		rxq->stats.nombuf++;
		return IVSHMEM_RX_NOMBUF;
	}
	if (!lend)
		ivshmem_rx_give_back(ring, &chain);
	*idx = chain.end;
	return IVSHMEM_RX_TAKEN;
}

bool
ivshmem_rx_is_foreign(struct ivshmem_rxq *rxq, const struct rte_mbuf *mbuf)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	const struct ivshmem_dev *dev = rxq->dev;

	if (rte_is_same_ether_addr(&ether->dst_addr, &dev->mac) ||
	    rte_is_broadcast_ether_addr(&ether->dst_addr))
		return false;
	if (rte_is_multicast_ether_addr(&ether->dst_addr)) {
		if (dev->data->all_multicast)
			return false;
		for (uint32_t i = 0; i < dev->mc_cnt; i++)
			if (rte_is_same_ether_addr(&ether->dst_addr, &dev->mc[i]))
				return false;
	}
	rxq->stats.not_mine++;
	return true;
}

void
ivshmem_rx_empty(struct rte_mbuf *head)
{
	rte_pktmbuf_free(head->next);
	if (!RTE_MBUF_DIRECT(head))
		rte_pktmbuf_detach(head);	/* the loan comes back by itself */
	rte_pktmbuf_reset(head);
}
