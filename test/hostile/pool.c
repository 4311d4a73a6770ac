/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The victim's mbufs: each has canaries in front of and behind its room, and a private copy of what
 * its header must be when it comes back.
 *
 * The pool is told of a smaller room than there is, so a driver that keeps to it leaves the
 * canaries alone. In an mbuf's private area stands its number in the table of copies.
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "victim.h"

#define POOL_CNT 4095u
#define POOL_HELD_MAX 256u
#define POOL_CANARY_LEN 64u
#define POOL_CANARY 0xc5

struct pool_mbuf {
	struct rte_mbuf *mbuf;
	void *buf_addr;
	bool out;		/* in the application's hands */
};

static struct rte_mempool *pool;
static struct rte_mempool pool_copy;
static struct rte_pktmbuf_pool_private pool_conf_copy;
static struct pool_mbuf pool_mbufs[POOL_CNT];
static struct rte_mbuf *pool_held[POOL_HELD_MAX];

static void
pool_make_mbuf(struct rte_mempool *mempool, void *opaque, void *object, unsigned int number)
{
	struct rte_mbuf *mbuf = object;

	(void)mempool;
	(void)opaque;
	mbuf->buf_len -= POOL_CANARY_LEN;
	memset(mbuf->buf_addr, POOL_CANARY, RTE_PKTMBUF_HEADROOM);
	memset((uint8_t *)mbuf->buf_addr + mbuf->buf_len, POOL_CANARY, POOL_CANARY_LEN);
	*(uint64_t *)rte_mbuf_to_priv(mbuf) = number;
	pool_mbufs[number].mbuf = mbuf;
	pool_mbufs[number].buf_addr = mbuf->buf_addr;
}

void
victim_pool_make(void)
{
	struct rte_pktmbuf_pool_private *conf;

	pool = rte_pktmbuf_pool_create("victim", POOL_CNT, 0, sizeof(uint64_t),
		RTE_PKTMBUF_HEADROOM + VICTIM_ROOM + POOL_CANARY_LEN, SOCKET_ID_ANY);
	if (pool == NULL)
		victim_die("no pool: %s", rte_strerror(rte_errno));
	conf = rte_mempool_get_priv(pool);
	conf->mbuf_data_room_size -= POOL_CANARY_LEN;
	rte_mempool_obj_iter(pool, pool_make_mbuf, NULL);
	pool_copy = *pool;
	pool_conf_copy = *conf;
}

struct rte_mempool *
victim_pool(void)
{
	return pool;
}

static struct pool_mbuf *
pool_find(const struct rte_mbuf *mbuf)
{
	const uint64_t number = *(const uint64_t *)rte_mbuf_to_priv((struct rte_mbuf *)
		(uintptr_t)mbuf);

	if (number >= POOL_CNT || pool_mbufs[number].mbuf != mbuf)
		victim_die("mbuf %p is none of the pool's", (const void *)mbuf);
	return &pool_mbufs[number];
}

static bool
pool_is_canary(const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (bytes[i] != POOL_CANARY)
			return false;
	return true;
}

/* What belongs to the mbuf for life; its own room, also while it points into the region. */
static void
pool_check_room(const struct pool_mbuf *copy)
{
	const struct rte_mbuf *mbuf = copy->mbuf;
	const uint8_t *room = copy->buf_addr;

	if (mbuf->pool != pool)
		victim_die("an mbuf has another pool");
	if (!pool_is_canary(room, RTE_PKTMBUF_HEADROOM) ||
	    !pool_is_canary(room + RTE_PKTMBUF_HEADROOM + VICTIM_ROOM, POOL_CANARY_LEN))
		victim_die("a canary of mbuf %p is dead", (const void *)mbuf);
}

static void
pool_check_segment(const struct rte_mbuf *mbuf)
{
	struct pool_mbuf *copy = pool_find(mbuf);

	pool_check_room(copy);
	if (copy->out)
		victim_die("mbuf %p was received twice", (const void *)mbuf);
	copy->out = true;
	if (rte_mbuf_refcnt_read(mbuf) != 1)
		victim_die("a received mbuf has %u references", rte_mbuf_refcnt_read(mbuf));
	if (RTE_MBUF_HAS_EXTBUF(mbuf)) {
		if (victim_guard_owner(mbuf->buf_addr, mbuf->buf_len) < 0)
			victim_die("an mbuf points to no buffer of the region");
	} else if (mbuf->buf_addr != copy->buf_addr ||
		   mbuf->buf_len != RTE_PKTMBUF_HEADROOM + VICTIM_ROOM) {
		victim_die("the room of mbuf %p has changed", (const void *)mbuf);
	}
	if ((uint32_t)mbuf->data_off + mbuf->data_len > mbuf->buf_len)
		victim_die("%u bytes at %u in a room of %u", mbuf->data_len, mbuf->data_off,
			   mbuf->buf_len);
}

void
victim_take(struct rte_mbuf *mbuf, uint16_t port)
{
	uint32_t bytes = 0;
	uint32_t cnt = 0;

	if (mbuf == NULL)
		victim_die("a burst returned a NULL mbuf");
	for (const struct rte_mbuf *part = mbuf; part != NULL && cnt <= mbuf->nb_segs;
	     part = part->next) {
		pool_check_segment(part);
		bytes += part->data_len;
		cnt++;
	}
	if (cnt != mbuf->nb_segs || bytes != mbuf->pkt_len)
		victim_die("%u segments of %u bytes say that they are %u of %u", cnt, bytes,
			   mbuf->nb_segs, mbuf->pkt_len);
	if (rte_pktmbuf_mtod(mbuf, uintptr_t) % 2 != 0)
		victim_die("a frame starts at an odd address");
	if (mbuf->port != port)
		victim_die("port %u delivered an mbuf of port %u", port, mbuf->port);
	if (mbuf->pkt_len < RTE_ETHER_HDR_LEN || mbuf->data_len < RTE_ETHER_HDR_LEN ||
	    mbuf->pkt_len > VICTIM_FRAME_MAX + RTE_VLAN_HLEN)
		victim_die("a frame of %u bytes was delivered", mbuf->pkt_len);
}

void
victim_give(struct rte_mbuf *mbuf)
{
	for (; mbuf != NULL; mbuf = mbuf->next)
		pool_find(mbuf)->out = false;
}

void
victim_free(struct rte_mbuf *mbuf)
{
	victim_give(mbuf);
	rte_pktmbuf_free(mbuf);
}

void
victim_hold(struct rte_mbuf *mbuf)
{
	struct rte_mbuf **place = &pool_held[victim_random(POOL_HELD_MAX)];

	if (*place != NULL)
		victim_free(*place);
	*place = mbuf;
}

void
victim_release_held(void)
{
	for (uint32_t i = 0; i < POOL_HELD_MAX; i++) {
		if (pool_held[i] != NULL)
			victim_free(pool_held[i]);
		pool_held[i] = NULL;
	}
}

void
victim_pool_check(void)
{
	if (memcmp(&pool_copy, pool, sizeof(pool_copy)) != 0 ||
	    memcmp(&pool_conf_copy, rte_mempool_get_priv(pool), sizeof(pool_conf_copy)) != 0)
		victim_die("the pool's header has changed");
	if (rte_mempool_avail_count(pool) > POOL_CNT)
		victim_die("the pool has %u mbufs", rte_mempool_avail_count(pool));
	for (uint32_t i = 0; i < POOL_CNT; i++)
		pool_check_room(&pool_mbufs[i]);
}

void
victim_pool_audit(void)
{
	static struct rte_mbuf *all[POOL_CNT];
	struct rte_mbuf *more;

	rte_mempool_audit(pool);
	victim_pool_check();
	if (rte_mempool_avail_count(pool) != POOL_CNT)
		victim_die("%u of %u mbufs are in the pool", rte_mempool_avail_count(pool),
			   POOL_CNT);
	if (rte_mempool_get_bulk(pool, (void **)all, POOL_CNT) != 0 ||
	    rte_mempool_get(pool, (void **)&more) == 0)
		victim_die("the pool's free list has another length than %u", POOL_CNT);
	for (uint32_t i = 0; i < POOL_CNT; i++) {
		struct pool_mbuf *copy = pool_find(all[i]);

		pool_check_room(copy);
		if (copy->out)
			victim_die("the pool's free list has an mbuf twice");
		copy->out = true;
		if (all[i]->buf_addr != copy->buf_addr || all[i]->next != NULL ||
		    all[i]->nb_segs != 1 || rte_mbuf_refcnt_read(all[i]) != 1 ||
		    all[i]->buf_len != RTE_PKTMBUF_HEADROOM + VICTIM_ROOM ||
		    RTE_MBUF_HAS_EXTBUF(all[i]))
			victim_die("a free mbuf is not as it was made");
	}
}
