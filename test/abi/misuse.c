/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ways to read a shared word by accident. None may compile; t_abi.py compiles each CASE alone.
 * CASE 0 is the right way, and must compile.
 */

#include "ivshmem_atomic.h"

uint64_t misuse(struct ivshmem_prod_shm *ring, struct ivshmem_cons_shm *other, uint64_t value);

uint64_t
misuse(struct ivshmem_prod_shm *ring, struct ivshmem_cons_shm *other, uint64_t value)
{
#if CASE == 0
	ivshmem_store64(&ring->pw, value + ivshmem_load32(&other->yours));
	return ivshmem_load64(&ring->pw) + 1;
#elif CASE == 1
	return ring->pw + 1;
#elif CASE == 2
	return ring->pw;
#elif CASE == 3
	value = other->yours;
	return value;
#elif CASE == 4
	ring->pw = value;
	return 0;
#elif CASE == 5
	return ring->yours == 0;
#elif CASE == 6
	return ring->yours ? 1 : value;
#elif CASE == 7
	return ivshmem_load32(&ring->pw);
#elif CASE == 8
	return ivshmem_load64(&other->yours);
#elif CASE == 9
	return (uint32_t)other->clear;
#elif CASE == 10
	return ++other->cw;
#elif CASE == 11
	ivshmem_store64(&ring->yours, value);
	return 0;
#else
#error "no such case"
#endif
}
