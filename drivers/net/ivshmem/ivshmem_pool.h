/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The Tx pool: mbufs whose data lies in the last buffers of the own section, tx_pool=N.
 *
 * It is a mempool like any other, with pinned external data rooms: applications find it by its
 * name and know nothing else of it. Headers are private memory, so nothing that a peer writes
 * leads anywhere.
 *
 * Invariants:
 *  M1. A buffer of the pool belongs to its mbuf, and to no destination's share.
 *  M2. After an earlier life of the port no mbuf can be allocated before the control thread saw
 *      that nobody uses the buffers of that life any more (protocol: the reuse rule).
 *  M3. The mempool and the mapping live until all mbufs are home, also when the port is closed.
 * Threads: find by the Tx queues'; all else by the control thread.
 */

#ifndef IVSHMEM_POOL_H
#define IVSHMEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_reciprocal.h>

#include "ivshmem_layout.h"

#define IVSHMEM_POOL_NONE	UINT32_MAX

struct ivshmem_pool {
	struct rte_mempool *mempool;
	struct rte_mbuf **mbufs;	/* of each buffer, counted from buf_first */
	uint8_t *base;			/* of buffer buf_first */
	uint64_t len;
	struct rte_reciprocal_u64 stride;
	uint32_t buf_len;
	uint32_t buf_first;		/* its number in the section */
	uint32_t cnt;
	bool withheld;			/* M2: all mbufs are kept back */
};

/* 0 where there is no pool. */
static inline uint32_t
ivshmem_pool_cnt(const struct ivshmem_pool *pool)
{
	return pool == NULL ? 0 : pool->cnt;
}

/* Buffers that a pool may have at most: enough for the longest frame stay for each ring. */
uint32_t ivshmem_pool_max(const struct ivshmem_layout *layout);

/*
 * A pool of cnt buffers for the port "device" that owns the section. Returns 0, or a negative
 * errno, logged.
 */
int ivshmem_pool_create(struct ivshmem_pool **pool, const char *device,
			const struct ivshmem_layout *layout, void *section, uint32_t cnt,
			int socket);

/* Keep all mbufs back, of a pool that nobody knows yet; hand them out. */
void ivshmem_pool_withhold(struct ivshmem_pool *pool);
void ivshmem_pool_release(struct ivshmem_pool *pool);

/* Mbufs that are not home. */
uint32_t ivshmem_pool_out(const struct ivshmem_pool *pool);

/* With all mbufs home, or NULL. */
void ivshmem_pool_free(struct ivshmem_pool *pool);

/* Number of the pool's buffer that an mbuf can be sent by; NONE: it has to be copied. */
static inline uint32_t
ivshmem_pool_find(const struct ivshmem_pool *pool, const struct rte_mbuf *mbuf)
{
	const uint64_t offset = (uintptr_t)mbuf->buf_addr - (uintptr_t)pool->base;
	uint32_t number;

	if (offset >= pool->len)
		return IVSHMEM_POOL_NONE;
	number = rte_reciprocal_divide_u64(offset, &pool->stride);
	if (pool->mbufs[number] != mbuf || (uint64_t)number * pool->buf_len != offset ||
	    (uint32_t)mbuf->data_off + mbuf->data_len > pool->buf_len ||
	    rte_mbuf_refcnt_read(mbuf) != 1 || rte_mbuf_ext_refcnt_read(mbuf->shinfo) != 1)
		return IVSHMEM_POOL_NONE;
	return number;
}

#endif /* IVSHMEM_POOL_H */
