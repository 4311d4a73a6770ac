/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Mempools by their name, as an application finds them, and what frames are made of.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "command.h"
#include "shell.h"

/* How the mbufs of a frame are referenced. */
enum shell_kind {
	SHELL_PLAIN,
	SHELL_SHARED,		/* a second reference of the mbuf, which is kept */
	SHELL_CLONED,		/* one of the shell's pool is attached to it, and it is kept */
	SHELL_ORPHAN,		/* the same, and it is not kept */
	SHELL_MIXED,		/* from the second segment on of the shell's pool */
};

struct rte_mempool *shell_source;
static enum shell_kind shell_how;

/* use [NAME]: frames that follow are made of this mempool; without a name of the shell's. */
int
shell_use(int argc, char **argv)
{
	shell_source = NULL;
	if (argc == 0)
		return 0;
	shell_source = rte_mempool_lookup(argv[0]);
	return shell_source == NULL ? -ENOENT : 0;
}

/* kind plain|shared|cloned|orphan|mixed: of the frames that follow. */
int
shell_kind(int argc, char **argv)
{
	static const char *const names[] = {
		[SHELL_PLAIN] = "plain",
		[SHELL_SHARED] = "shared",
		[SHELL_CLONED] = "cloned",
		[SHELL_ORPHAN] = "orphan",
		[SHELL_MIXED] = "mixed",
	};

	(void)argc;
	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		if (strcmp(argv[0], names[i]) == 0) {
			shell_how = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* An mbuf for a frame's segment. */
struct rte_mbuf *
shell_mbuf(uint32_t segment)
{
	const bool own = shell_source == NULL || (shell_how == SHELL_MIXED && segment > 0);

	return rte_pktmbuf_alloc(own ? shell_pool : shell_source);
}

/* What is sent of a frame; NULL, and it is freed, without mbufs. */
struct rte_mbuf *
shell_dress(struct rte_mbuf *head)
{
	struct rte_mbuf *clone;

	if (shell_how == SHELL_PLAIN || shell_how == SHELL_MIXED)
		return head;
	if (shell_how != SHELL_ORPHAN && shell_held_cnt == SHELL_HELD_MAX) {
		rte_pktmbuf_free(head);
		return NULL;
	}
	if (shell_how == SHELL_SHARED) {
		rte_pktmbuf_refcnt_update(head, 1);
		shell_held[shell_held_cnt++] = head;
		return head;
	}
	clone = rte_pktmbuf_clone(head, shell_pool);
	if (clone == NULL || shell_how == SHELL_ORPHAN)
		rte_pktmbuf_free(head);
	else
		shell_held[shell_held_cnt++] = head;
	return clone;
}

/* take CNT: so many mbufs of the mempool that frames are made of, or as many as there are. */
int
shell_take(int argc, char **argv)
{
	const uint32_t cnt = ivshmem_number(argv[0]);
	uint32_t took = 0;

	(void)argc;
	while (took < cnt && shell_held_cnt < SHELL_HELD_MAX) {
		shell_held[shell_held_cnt] = shell_mbuf(0);
		if (shell_held[shell_held_cnt] == NULL)
			break;
		shell_held_cnt++;
		took++;
	}
	ivshmem_say("took=%" PRIu32, took);
	return 0;
}

/* mempool NAME: how many mbufs are there, and what they are like. */
int
shell_mempool(int argc, char **argv)
{
	struct rte_mempool *pool = rte_mempool_lookup(argv[0]);

	(void)argc;
	if (pool == NULL)
		return -ENOENT;
	ivshmem_say("free=%u of=%u room=%u priv=%u", rte_mempool_avail_count(pool), pool->size,
		    rte_pktmbuf_data_room_size(pool), rte_pktmbuf_priv_size(pool));
	return 0;
}

static uint8_t
shell_private_byte(const struct rte_mbuf *mbuf, uint32_t i)
{
	return ((uintptr_t)mbuf >> 6) + 7 * i + 1;
}

static void
shell_mark(struct rte_mempool *pool, void *arg, void *object, unsigned int number)
{
	uint8_t *area = rte_mbuf_to_priv(object);

	(void)arg;
	(void)number;
	for (uint32_t i = 0; i < rte_pktmbuf_priv_size(pool); i++)
		area[i] = shell_private_byte(object, i);
}

void
shell_mark_pool(void)
{
	rte_mempool_obj_iter(shell_pool, shell_mark, NULL);
}

static void
shell_check(struct rte_mempool *pool, void *arg, void *object, unsigned int number)
{
	const uint8_t *area = rte_mbuf_to_priv(object);
	uint64_t *bad = arg;

	(void)number;
	for (uint32_t i = 0; i < rte_pktmbuf_priv_size(pool); i++)
		*bad += area[i] != shell_private_byte(object, i);
}

/* private: bytes of private areas of the shell's pool, and how many are not as they were. */
int
shell_private(int argc, char **argv)
{
	uint64_t bad = 0;

	(void)argc;
	(void)argv;
	rte_mempool_obj_iter(shell_pool, shell_check, &bad);
	ivshmem_say("bytes=%" PRIu64 " bad=%" PRIu64, (uint64_t)shell_pool->size *
		    rte_pktmbuf_priv_size(shell_pool), bad);
	return 0;
}

/* done PORT QUEUE [CNT]: tx_done_cleanup. */
int
shell_done(int argc, char **argv)
{
	int ret = rte_eth_tx_done_cleanup(ivshmem_number(argv[0]), ivshmem_number(argv[1]),
					  argc > 2 ? ivshmem_number(argv[2]) : 0);

	ivshmem_say("done=%d", ret);
	return ret < 0 ? ret : 0;
}

/* release: give back all that drain, hold and take have taken, and what was kept of frames. */
int
shell_release(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	rte_pktmbuf_free_bulk(shell_held, shell_held_cnt);
	shell_held_cnt = 0;
	return 0;
}
