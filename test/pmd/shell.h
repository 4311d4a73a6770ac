/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the two halves of ivshmem-shell share: shell.c (ports) and shell_frames.c (frames).
 *
 * Threads: one; the LSC callback runs on EAL's and only counts.
 */

#ifndef IVSHMEM_TEST_SHELL_H
#define IVSHMEM_TEST_SHELL_H

#include <rte_ether.h>
#include <rte_mempool.h>

extern struct rte_mempool *shell_pool;

/* Frames: send, recv, gather, hold, release, drain, dst, ip, src. */
int shell_send(int argc, char **argv);
int shell_recv(int argc, char **argv);
int shell_hold(int argc, char **argv);
int shell_release(int argc, char **argv);
int shell_drain(int argc, char **argv);
int shell_gather(int argc, char **argv);
int shell_dst(int argc, char **argv);
int shell_route(int argc, char **argv);
int shell_src(int argc, char **argv);

#endif /* IVSHMEM_TEST_SHELL_H */
