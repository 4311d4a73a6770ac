/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The Tx pool: how it is made and unmade; see ivshmem_pool.h.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "ivshmem_log.h"
#include "ivshmem_pool.h"

#define IVSHMEM_POOL_CACHE_MAX	256u

uint32_t
ivshmem_pool_max(const struct ivshmem_layout *layout)
{
	const uint64_t kept = (uint64_t)layout->queue_cnt * (layout->port_cnt - 1) *
		IVSHMEM_ABI_CHAIN_MAX;

	return layout->buf_cnt > kept ? layout->buf_cnt - kept : 0;
}

static void
ivshmem_pool_enter(struct rte_mempool *mempool, void *opaque, void *object, unsigned int i)
{
	struct ivshmem_pool *pool = opaque;
	struct rte_mbuf *mbuf = object;

	RTE_SET_USED(mempool);
	RTE_SET_USED(i);
	pool->mbufs[((uint8_t *)mbuf->buf_addr - pool->base) / pool->buf_len] = mbuf;
}

static int
ivshmem_pool_check(const char *device, const struct ivshmem_layout *layout, uint32_t cnt)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	if (cnt > ivshmem_pool_max(layout)) {
		IVSHMEM_LOG(ERR, "%s: tx_pool=%" PRIu32 " of %" PRIu32 " buffers: at most %" PRIu32
			    ", the others are for what is copied; take fewer or a larger region",
			    device, cnt, layout->buf_cnt, ivshmem_pool_max(layout));
		return -EINVAL;
	}
	if (snprintf(name, sizeof(name), "%s_tx", device) >= (int)sizeof(name)) {
		IVSHMEM_LOG(ERR, "%s: with tx_pool= a device's name has at most %zu bytes: its "
			    "mempool is called after it", device, sizeof(name) - sizeof("_tx"));
		return -ENAMETOOLONG;
	}
	if (rte_mempool_lookup(name) != NULL) {
		IVSHMEM_LOG(ERR, "%s: there is a mempool %s already: free the mbufs that an "
			    "earlier port of this name left in use, or take another name", device,
			    name);
		return -EEXIST;
	}
	return 0;
}

/* The mempool, and which mbuf has which buffer. */
static int
ivshmem_pool_fill(struct ivshmem_pool *pool, const char *device, int socket)
{
	const struct rte_pktmbuf_extmem memory = {
		.buf_ptr = pool->base,
		.buf_iova = RTE_BAD_IOVA,
		.buf_len = pool->len,
		.elt_size = pool->buf_len,
	};
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_tx", device);
	pool->mbufs = rte_zmalloc_socket("ivshmem_mbufs", pool->cnt * sizeof(*pool->mbufs), 0,
					 socket);
	if (pool->mbufs == NULL)
		return -ENOMEM;
	pool->mempool = rte_pktmbuf_pool_create_extbuf(name, pool->cnt,
		RTE_MIN(pool->cnt / 8, IVSHMEM_POOL_CACHE_MAX), 0, pool->buf_len, socket, &memory,
		1);
	if (pool->mempool == NULL)
		return -rte_errno;
	rte_mempool_obj_iter(pool->mempool, ivshmem_pool_enter, pool);
	return 0;
}

int
ivshmem_pool_create(struct ivshmem_pool **pool, const char *device,
		    const struct ivshmem_layout *layout, void *section, uint32_t cnt, int socket)
{
	struct ivshmem_pool *made;
	int ret;

	ret = ivshmem_pool_check(device, layout, cnt);
	if (ret != 0)
		return ret;
	made = rte_zmalloc_socket("ivshmem_pool", sizeof(*made), RTE_CACHE_LINE_SIZE, socket);
	if (made == NULL)
		return -ENOMEM;
	made->cnt = cnt;
	made->buf_first = layout->buf_cnt - cnt;
	made->buf_len = layout->buf_len;
	made->base = (uint8_t *)section + layout->buf_off +
		(uint64_t)made->buf_first * layout->buf_len;
	made->len = (uint64_t)cnt * layout->buf_len;
	made->stride = rte_reciprocal_value_u64(layout->buf_len);
	ret = ivshmem_pool_fill(made, device, socket);
	if (ret != 0) {
		IVSHMEM_LOG(ERR, "%s: no mempool for tx_pool=%" PRIu32 ": %s", device, cnt,
			    rte_strerror(-ret));
		ivshmem_pool_free(made);
		return ret;
	}
	*pool = made;
	return 0;
}

void
ivshmem_pool_withhold(struct ivshmem_pool *pool)
{
	/* whatever order they come in: there is one entry for each */
	pool->withheld = rte_mempool_generic_get(pool->mempool, (void **)pool->mbufs, pool->cnt,
						 NULL) == 0;
	rte_mempool_obj_iter(pool->mempool, ivshmem_pool_enter, pool);
}

void
ivshmem_pool_release(struct ivshmem_pool *pool)
{
	if (!pool->withheld)
		return;
	rte_mempool_generic_put(pool->mempool, (void *const *)pool->mbufs, pool->cnt, NULL);
	pool->withheld = false;
}

uint32_t
ivshmem_pool_out(const struct ivshmem_pool *pool)
{
	return pool->withheld ? 0 : pool->cnt - rte_mempool_avail_count(pool->mempool);
}

void
ivshmem_pool_free(struct ivshmem_pool *pool)
{
	if (pool == NULL)
		return;
	rte_mempool_free(pool->mempool);
	rte_free(pool->mbufs);
	rte_free(pool);
}
