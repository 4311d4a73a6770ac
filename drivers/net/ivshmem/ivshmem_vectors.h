/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The eventfds that a server hands out: to hear by, and to ring others by.
 *
 * The k-th fd for an id is its vector k - 1. With our server the id is the slot, an id is announced
 * once and its eventfds live as long as the region: nothing is closed before the table is. For host
 * processes; no DPDK.
 *
 * Threads: one that adds, any number that ring.
 */

#ifndef IVSHMEM_VECTORS_H
#define IVSHMEM_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_atomic.h"

struct ivshmem_vectors {
	uint32_t port_cnt;
	uint32_t each;			/* fds that are kept of a port */
	struct ivshmem_u32 *cnt;	/* fds that each port has */
	int *fds;
};

/* Room for "each" fds of each port. Returns 0 or -ENOMEM. */
int ivshmem_vectors_init(struct ivshmem_vectors *vectors, uint32_t port_cnt, uint32_t each);

/* The next fd of the port; it is taken over, or closed when there is no room or no such port. */
void ivshmem_vectors_add(struct ivshmem_vectors *vectors, int64_t id, int fd);

/* Fds that the port has. slot < port_cnt */
uint32_t ivshmem_vectors_cnt(const struct ivshmem_vectors *vectors, uint32_t slot);

/* slot < port_cnt, vector < ivshmem_vectors_cnt() */
int ivshmem_vectors_fd(const struct ivshmem_vectors *vectors, uint32_t slot, uint32_t vector);

/* Ring the port; its vector 0 when it has no such vector. False when it has none at all. */
bool ivshmem_vectors_ring(const struct ivshmem_vectors *vectors, uint32_t slot, uint32_t vector);

/*
 * Ring an eventfd that has room; a full one has rung. False when it is none. Only a peer that fills
 * a blocking one between the look and the write can make this wait.
 */
bool ivshmem_vector_ring(int fd);

/* Read the count of rings away and return it: 0 at once when there is none, also if fd blocks. */
uint64_t ivshmem_vector_drain(int fd);

void ivshmem_vectors_close(struct ivshmem_vectors *vectors);

#endif /* IVSHMEM_VECTORS_H */
