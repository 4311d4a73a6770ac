/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Descriptors as the transmit bursts write them: which buffer is next, and what says so.
 */

#ifndef IVSHMEM_TX_DESC_H
#define IVSHMEM_TX_DESC_H

#include <string.h>

#include <rte_prefetch.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_rxtx.h"

/* Descriptors that may be filled before another look at the consumer's index (Q1). */
static inline uint32_t
ivshmem_tx_left(const struct ivshmem_dest *dest)
{
	return dest->cycle_cnt - (dest->next - dest->ring.cons);
}

/* The next buffer of the cycle (Q1). */
static inline uint32_t
ivshmem_tx_buffer(struct ivshmem_dest *dest)
{
	const uint32_t buf = dest->buf_next;

	dest->buf_next = buf + 1 == dest->buf_first + dest->cycle_cnt ? dest->buf_first : buf + 1;
	return buf;
}

/*
 * A descriptor as two words: the burst loop stores these and nothing else, and what does not change
 * from frame to frame is in the template already.
 */
struct ivshmem_tx_template {
	uint64_t low;		/* section; flags and buffer are added */
	uint64_t high;		/* offset and generation; length and slot are added */
};

static inline struct ivshmem_tx_template
ivshmem_tx_template(const struct ivshmem_txq *txq, const struct ivshmem_dest *dest)
{
	return (struct ivshmem_tx_template) {
		.low = txq->slot,
		.high = txq->headroom | (uint64_t)(dest->ring.mine & UINT16_MAX) << 32,
	};
}

/*
 * Ask for a line that will be written. The consumer has read it, so a store would have to take it
 * from another CPU, and x86 lets stores wait for each other. The compiler has this instruction only
 * with flags that go beyond x86-64; processors without it do nothing.
 */
static inline void
ivshmem_tx_ask(const void *line)
{
#ifdef RTE_ARCH_X86
	__asm__ ("prefetchw %0" : : "m" (*(const char *)line));
#else
	rte_prefetch0(line);
#endif
}

/*
 * The entry that is written so many later; not much later, or the consumer's own prefetcher takes
 * the line back. At the ring's end it is some other line, once a round.
 */
static inline void
ivshmem_tx_ask_entry(const struct ivshmem_entry_shm *entry)
{
	ivshmem_tx_ask(entry + IVSHMEM_TX_AHEAD);
}

static inline void
ivshmem_tx_describe(struct ivshmem_entry_shm *entries, struct ivshmem_tx_template words,
		    uint32_t slot, uint32_t buf, uint32_t len, uint32_t flags)
{
	words.low |= flags << 16 | (uint64_t)buf << 32;
	words.high |= (uint64_t)len << 16 | (uint64_t)slot << 48;
	memcpy(&entries[slot].desc, &words, sizeof(words));
}

static inline uint8_t *
ivshmem_tx_data(const struct ivshmem_txq *txq, uint32_t buf)
{
	return txq->bufs + (uint64_t)buf * txq->buf_len + txq->headroom;
}

/* A descriptor ahead, and the lines of a frame of len bytes at data, which is ahead, too. */
static inline void
ivshmem_tx_ask_frame(const struct ivshmem_entry_shm *entry, const uint8_t *data, uint32_t len)
{
	ivshmem_tx_ask_entry(entry);
	ivshmem_tx_ask(data);
	if (len <= RTE_CACHE_LINE_MIN_SIZE)
		return;
	len = RTE_MIN(len, IVSHMEM_TX_ASK_MAX);
	for (uint32_t off = RTE_CACHE_LINE_MIN_SIZE; off < len; off += RTE_CACHE_LINE_MIN_SIZE)
		ivshmem_tx_ask(data + off);
}

/* The first of the buffers that the flight has, behind those that are used in turn. */
static inline uint32_t
ivshmem_tx_flight_first(const struct ivshmem_dest *dest)
{
	return dest->buf_first + dest->buf_cnt - dest->flight.usable;
}

/* A frame that the consumer copies, and gives back by the index alone. */
static inline bool
ivshmem_tx_is_small(const struct ivshmem_dest *dest, uint32_t len, uint32_t pieces)
{
	return pieces == 1 && len <= dest->ring.copybreak;
}

/* A buffer for the next piece, and its descriptor but for length and flags. */
static inline struct ivshmem_desc_shm
ivshmem_tx_place(const struct ivshmem_txq *txq, struct ivshmem_dest *dest, bool small)
{
	struct ivshmem_desc_shm desc = {
		.section = txq->slot,
		.data_off = txq->headroom,
	};

	if (dest->ring.ret_cnt != 0 && !small) {
		const uint32_t buf = ivshmem_flight_buf(&dest->flight);

		desc.cookie = ivshmem_flight_take(&dest->flight, dest->next, buf, NULL);
		desc.buf = ivshmem_tx_flight_first(dest) + buf;
	} else {
		desc.cookie = (dest->next & (dest->ring.size - 1)) << 16 |
			(dest->ring.mine & UINT16_MAX);
		desc.buf = ivshmem_tx_buffer(dest);
	}
	return desc;
}

static inline void
ivshmem_tx_put(const struct ivshmem_dest *dest, const struct ivshmem_desc_shm *desc)
{
	struct ivshmem_entry_shm *entry = &dest->ring.entries[dest->next & (dest->ring.size - 1)];

	memcpy(&entry->desc, desc, sizeof(*desc));
	if (dest->asks)
		ivshmem_tx_ask_entry(entry);
}

/* Gather a frame's segments into as many buffers as it needs; there is room for them. */
void ivshmem_tx_gather(struct ivshmem_txq *txq, struct ivshmem_dest *dest,
		       const struct rte_mbuf *mbuf, uint32_t pieces);

/*
 * Runs of one pool go back in one call, which costs a quarter of the instructions of
 * rte_pktmbuf_free_bulk(). lent: some may be loans.
 */
static __rte_always_inline void	/* measured: 103 instructions a packet, else 108 */
ivshmem_tx_free_bulk(struct rte_mbuf **bufs, uint32_t cnt, bool lent)
{
	uint32_t first = 0;	/* of the run that ends before i */
	uint32_t i;

	for (i = 0; i < cnt; i++) {
		struct rte_mbuf *mbuf = bufs[i];
		uint32_t next = i;

		if (unlikely(mbuf->nb_segs != 1)) {
			rte_pktmbuf_free(mbuf);
			next++;
		} else if (!(lent && ivshmem_loan_prefree(mbuf)) &&
			   unlikely(rte_pktmbuf_prefree_seg(mbuf) == NULL)) {
			next++;
		} else if (likely(i == first || mbuf->pool == bufs[first]->pool)) {
			continue;
		}
		if (i > first)
			rte_mempool_put_bulk(bufs[first]->pool, (void **)&bufs[first], i - first);
		first = next;
	}
	if (cnt > first)
		rte_mempool_put_bulk(bufs[first]->pool, (void **)&bufs[first], cnt - first);
}

#endif /* IVSHMEM_TX_DESC_H */
