/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The pattern block behind the test frame, and the slow search for a bad byte.
 *
 * The block is the same in every process: it is drawn from a constant, never from --seed, so
 * that a sink can check any generator without being told anything.
 */

#include "frame.h"

uint8_t ivshmem_frame_pattern[IVSHMEM_FRAME_MAX + 8] __rte_cache_aligned;

void
ivshmem_frame_init(void)
{
	uint64_t state = UINT64_C(0x6976736874726166);

	for (size_t i = 0; i < sizeof(ivshmem_frame_pattern); i++)
		ivshmem_frame_pattern[i] = (uint8_t)ivshmem_random(&state);
}

uint32_t
ivshmem_frame_locate(const uint8_t *data, uint32_t off, uint32_t len, uint64_t key)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != ivshmem_frame_byte(off + i, key))
			return i;
	return IVSHMEM_FRAME_GOOD;
}
