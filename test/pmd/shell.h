/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the parts of ivshmem-shell share: shell.c (ports), shell_frames.c (frames) and shell_pools.c
 * (mempools).
 *
 * Threads: one; the LSC callback runs on EAL's and only counts.
 */

#ifndef IVSHMEM_TEST_SHELL_H
#define IVSHMEM_TEST_SHELL_H

#include <rte_ether.h>
#include <rte_mempool.h>

extern struct rte_mempool *shell_pool;
extern struct rte_mempool *shell_source;	/* of "use"; NULL = shell_pool */

/* Mbufs that drain, hold and take have; released all at once. */
#define SHELL_HELD_MAX 65536u

extern struct rte_mbuf *shell_held[SHELL_HELD_MAX];
extern uint32_t shell_held_cnt;

/* Of shell_pools.c: what frames that are sent are made of. */
struct rte_mbuf *shell_mbuf(uint32_t segment);
struct rte_mbuf *shell_dress(struct rte_mbuf *head);

/* Write a pattern into the private area of each mbuf of shell_pool. */
void shell_mark_pool(void);

int shell_private(int argc, char **argv);
int shell_use(int argc, char **argv);
int shell_kind(int argc, char **argv);
int shell_take(int argc, char **argv);
int shell_mempool(int argc, char **argv);
int shell_done(int argc, char **argv);
int shell_release(int argc, char **argv);

/* Frames: send, recv, forward, gather, hold, drain, dst, ip, src. */
int shell_forward(int argc, char **argv);
int shell_send(int argc, char **argv);
int shell_recv(int argc, char **argv);
int shell_hold(int argc, char **argv);
int shell_look_at_held(int argc, char **argv);
int shell_drain(int argc, char **argv);
int shell_gather(int argc, char **argv);
int shell_dst(int argc, char **argv);
int shell_route(int argc, char **argv);
int shell_src(int argc, char **argv);

#endif /* IVSHMEM_TEST_SHELL_H */
