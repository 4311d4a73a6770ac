/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The application's mbufs. What is in front of and behind an mbuf's room is poisoned for
 * AddressSanitizer; the pool has no cache, so all mbufs that are not out are counted.
 */

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <sanitizer/asan_interface.h>

#include "fuzz_burst.h"

#define POOL_CNT 255u
#define POOL_TAIL 64u
#define HELD_MAX 64u

static struct rte_mempool *pool;
static struct rte_mbuf *held[HELD_MAX];

static void
guard_mbuf(struct rte_mempool *mempool, void *opaque, void *object, unsigned int number)
{
	struct rte_mbuf *mbuf = object;

	(void)mempool;
	(void)opaque;
	mbuf->buf_len -= POOL_TAIL;
	*(uint64_t *)rte_mbuf_to_priv(mbuf) = number;
	ASAN_POISON_MEMORY_REGION(mbuf->buf_addr, RTE_PKTMBUF_HEADROOM);
	ASAN_POISON_MEMORY_REGION((uint8_t *)mbuf->buf_addr + mbuf->buf_len, POOL_TAIL);
}

void
mbufs_make(void)
{
	struct rte_pktmbuf_pool_private *conf;

	pool = rte_pktmbuf_pool_create("fuzz", POOL_CNT, 0, sizeof(uint64_t),
		RTE_PKTMBUF_HEADROOM + BURST_ROOM + POOL_TAIL, SOCKET_ID_ANY);
	FUZZ_CHECK(pool != NULL, "no pool: %s", rte_strerror(rte_errno));
	conf = rte_mempool_get_priv(pool);
	conf->mbuf_data_room_size -= POOL_TAIL;
	rte_mempool_obj_iter(pool, guard_mbuf, NULL);
}

struct rte_mempool *
mbufs_pool(void)
{
	return pool;
}

static void *
own_room(const struct rte_mbuf *mbuf)
{
	return (uint8_t *)(uintptr_t)mbuf + sizeof(*mbuf) + sizeof(uint64_t);
}

void
mbufs_take(struct rte_mbuf *mbuf, uint16_t port)
{
	uint32_t bytes = 0;
	uint32_t cnt = 0;
	uint8_t sum = 0;

	FUZZ_CHECK(mbuf != NULL, "a burst returned NULL");
	for (const struct rte_mbuf *part = mbuf; part != NULL; part = part->next) {
		FUZZ_CHECK(++cnt <= mbuf->nb_segs && part->pool == pool, "segments");
		FUZZ_CHECK(rte_mbuf_refcnt_read(part) == 1, "refcnt");
		FUZZ_CHECK(RTE_MBUF_HAS_EXTBUF(part) ? below_has(part->buf_addr, part->buf_len) :
			   part->buf_addr == own_room(part), "an mbuf with another's room");
		FUZZ_CHECK((uint32_t)part->data_off + part->data_len <= part->buf_len,
			   "%u bytes at %u in %u", part->data_len, part->data_off, part->buf_len);
		bytes += part->data_len;
		for (uint32_t i = 0; i < part->data_len; i += 61)
			sum ^= rte_pktmbuf_mtod(part, const uint8_t *)[i];
	}
	FUZZ_CHECK(cnt == mbuf->nb_segs && bytes == mbuf->pkt_len,
		   "%u segments of %u bytes say that they are %u of %u", cnt, bytes, mbuf->nb_segs,
		   mbuf->pkt_len);
	FUZZ_CHECK(mbuf->port == port, "of port %u", mbuf->port);
	FUZZ_CHECK(mbuf->data_len >= RTE_ETHER_HDR_LEN && bytes <= BURST_FRAME_MAX,
		   "a frame of %u bytes, the first %u", bytes, mbuf->data_len);
	*(volatile uint8_t *)&sum;
}

struct rte_mbuf *
mbufs_frame(struct fuzz_input *in, const uint8_t *to, uint32_t len)
{
	const uint32_t part = 1 + (fuzz_u8(in) * 8u) % BURST_ROOM;
	struct rte_mbuf *head = NULL;

	do {
		const uint32_t room = head == NULL && part < 64 && len >= 64 ? 64 : part;
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		uint8_t *data;

		if (mbuf == NULL || (head != NULL && rte_pktmbuf_chain(head, mbuf) != 0)) {
			rte_pktmbuf_free(mbuf);
			rte_pktmbuf_free(head);
			return NULL;
		}
		data = (uint8_t *)rte_pktmbuf_append(mbuf, RTE_MIN(len, room));
		memset(data, 0x5a, mbuf->data_len);
		memcpy(data, to, RTE_MIN(mbuf->data_len, RTE_ETHER_ADDR_LEN));
		len -= mbuf->data_len;
		if (head == NULL)
			head = mbuf;
		else
			head->pkt_len += mbuf->data_len;	/* chained while it was empty */
	} while (len > 0);
	return head;
}

void
mbufs_hold(struct rte_mbuf *mbuf)
{
	const uint64_t number = *(uint64_t *)rte_mbuf_to_priv(mbuf);

	if (held[number % HELD_MAX] != NULL)
		rte_pktmbuf_free(held[number % HELD_MAX]);
	held[number % HELD_MAX] = mbuf;
}

struct rte_mbuf *
mbufs_held(uint32_t which)
{
	for (uint32_t i = 0; i < HELD_MAX; i++) {
		struct rte_mbuf *mbuf = held[(which + i) % HELD_MAX];

		held[(which + i) % HELD_MAX] = NULL;
		if (mbuf != NULL)
			return mbuf;
	}
	return NULL;
}

void
mbufs_free_held(void)
{
	for (uint32_t i = 0; i < HELD_MAX; i++) {
		rte_pktmbuf_free(held[i]);
		held[i] = NULL;
	}
}

void
mbufs_check(void)
{
	static struct rte_mbuf *all[POOL_CNT];
	bool seen[POOL_CNT] = { false };

	FUZZ_CHECK(rte_mempool_avail_count(pool) == POOL_CNT, "%u of %u mbufs are back",
		   rte_mempool_avail_count(pool), POOL_CNT);
	FUZZ_CHECK(rte_mempool_get_bulk(pool, (void **)all, POOL_CNT) == 0, "mbufs");
	for (uint32_t i = 0; i < POOL_CNT; i++) {
		const struct rte_mbuf *mbuf = all[i];
		const uint64_t number = *(uint64_t *)rte_mbuf_to_priv(all[i]);

		FUZZ_CHECK(number < POOL_CNT && !seen[number], "an mbuf came back twice");
		seen[number] = true;
		FUZZ_CHECK(mbuf->buf_addr == own_room(mbuf) && mbuf->next == NULL &&
			   mbuf->nb_segs == 1 && rte_mbuf_refcnt_read(mbuf) == 1 &&
			   !RTE_MBUF_HAS_EXTBUF(mbuf), "a free mbuf is not as it was made");
	}
	rte_mempool_put_bulk(pool, (void **)all, POOL_CNT);
}
