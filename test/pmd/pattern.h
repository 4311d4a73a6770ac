/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frames of ivshmem-shell and ivshmem-odd-peer: every byte follows from the sequence number.
 *
 * off  len  what
 *   0    6  destination
 *   6    6  source
 *  12    2  EtherType 0x88b5
 *  14    4  sequence number, little-endian, where the frame is long enough
 *  18    -  (sequence + offset * 7) % 256
 */

#ifndef IVSHMEM_TEST_PATTERN_H
#define IVSHMEM_TEST_PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define IVSHMEM_PATTERN_HEAD 18u

static inline void
ivshmem_pattern_write(uint8_t *data, uint32_t len, const uint8_t dst[6], const uint8_t src[6],
		      uint32_t seq)
{
	const uint8_t rest[] = { 0x88, 0xb5, (uint8_t)seq, (uint8_t)(seq >> 8),
		(uint8_t)(seq >> 16), (uint8_t)(seq >> 24) };

	for (uint32_t i = 0; i < len; i++)
		data[i] = i < 6 ? dst[i] : i < 12 ? src[i - 6] :
			i < IVSHMEM_PATTERN_HEAD ? rest[i - 12] : (uint8_t)(seq + i * 7);
}

/* The frame's sequence number, or -1 when a byte is wrong. */
static inline int64_t
ivshmem_pattern_check(const uint8_t *data, uint32_t len)
{
	uint8_t want[9618];
	uint32_t seq;

	if (len < IVSHMEM_PATTERN_HEAD || len > sizeof(want))
		return -1;
	memcpy(&seq, data + 14, sizeof(seq));
	ivshmem_pattern_write(want, len, data, data + 6, seq);
	return memcmp(data, want, len) == 0 ? (int64_t)seq : -1;
}

#endif /* IVSHMEM_TEST_PATTERN_H */
