/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Access to shared words: the only file that names a memory order.
 *
 * Loads and stores are single-copy atomic on naturally aligned 4 and 8 byte words; there is no
 * read-modify-write (ivshmem_abi.h, I3). Each caller of an acquire names the release that it pairs
 * with (P1..P6). The same accessors serve private words that two threads of a process share.
 */

#ifndef IVSHMEM_ATOMIC_H
#define IVSHMEM_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "ivshmem_abi.h"

static inline uint16_t
ivshmem_load16(const struct ivshmem_u16 *word)
{
	return atomic_load_explicit((const _Atomic uint16_t *)&word->raw, memory_order_relaxed);
}

static inline void
ivshmem_store16(struct ivshmem_u16 *word, uint16_t value)
{
	atomic_store_explicit((_Atomic uint16_t *)&word->raw, value, memory_order_relaxed);
}

static inline uint32_t
ivshmem_load32(const struct ivshmem_u32 *word)
{
	return atomic_load_explicit((const _Atomic uint32_t *)&word->raw, memory_order_relaxed);
}

static inline uint32_t
ivshmem_load32_acquire(const struct ivshmem_u32 *word)
{
	return atomic_load_explicit((const _Atomic uint32_t *)&word->raw, memory_order_acquire);
}

static inline void
ivshmem_store32(struct ivshmem_u32 *word, uint32_t value)
{
	atomic_store_explicit((_Atomic uint32_t *)&word->raw, value, memory_order_relaxed);
}

static inline void
ivshmem_store32_release(struct ivshmem_u32 *word, uint32_t value)
{
	atomic_store_explicit((_Atomic uint32_t *)&word->raw, value, memory_order_release);
}

static inline uint64_t
ivshmem_load64(const struct ivshmem_u64 *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)&word->raw, memory_order_relaxed);
}

static inline uint64_t
ivshmem_load64_acquire(const struct ivshmem_u64 *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)&word->raw, memory_order_acquire);
}

static inline void
ivshmem_store64(struct ivshmem_u64 *word, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)&word->raw, value, memory_order_relaxed);
}

static inline void
ivshmem_store64_release(struct ivshmem_u64 *word, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)&word->raw, value, memory_order_release);
}

/* Loads before it are done before any load or store after it. */
static inline void
ivshmem_fence_acquire(void)
{
	atomic_thread_fence(memory_order_acquire);
}

/* Loads and stores before it are done before any store after it. */
static inline void
ivshmem_fence_release(void)
{
	atomic_thread_fence(memory_order_release);
}

/* Not moved by the compiler; the barrier is another thread's, by membarrier. */
static inline void
ivshmem_fence_light(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* Stores before it are seen by others before any load after it is done; costs ~45 cycles on x86. */
static inline void
ivshmem_fence_full(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

#endif /* IVSHMEM_ATOMIC_H */
