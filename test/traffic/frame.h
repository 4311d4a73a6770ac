/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The test frame: its layout, and how its bytes follow from its header.
 *
 * Used by the generator (gen.c) and the checker (sink.c); knows neither mbufs nor ethdev.
 *
 * Little-endian, offsets from the start of the Ethernet header:
 *  off len name    meaning
 *    0  12 macs    destination, source; not covered by `check`, a forwarder may rewrite them
 *   12   2 type    0x88b5 (IEEE local experimental), big-endian
 *   14   4 magic   "IVTF"
 *   18   4 run     drawn anew by every generator process: one run is one incarnation
 *   22   2 source  number of the generator     24  2 queue  Tx queue it was sent on
 *   26   2 flags   IVSHMEM_FRAME_*             28  4 check  folds every field from 18 on
 *   32   8 seq     from 0 in each (source, queue, run)
 *   40   4 length  whole frame without FCS     44  4 seed   the generator's --seed
 *   48   8 total   sequences this stream will use, 0 = not known yet
 *   56  ..         payload
 *
 * Payload byte at frame offset o = pattern[o] ^ byte (o % 8) of key, where pattern is a fixed
 * pseudo-random block and key is a 64-bit hash of (seed, run, source, queue, seq).  The block
 * tells offsets apart and the key tells frames apart, so a shifted, stale or foreign stretch of
 * eight bytes passes with a chance of 2^-64.  Building and checking are two streams of 64-bit words
 * and one xor, which compilers turn into vector code; the block stays in the L1 cache.
 */

#ifndef IVSHMEM_TRAFFIC_FRAME_H
#define IVSHMEM_TRAFFIC_FRAME_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_common.h>

#define IVSHMEM_FRAME_MAGIC UINT32_C(0x46545649)
#define IVSHMEM_FRAME_ETHERTYPE 0x88b5
#define IVSHMEM_FRAME_MIN 60
#define IVSHMEM_FRAME_MAX 9618
#define IVSHMEM_FRAME_HDR_LEN 56
#define IVSHMEM_FRAME_LAST UINT16_C(1)	/* last frame of its stream: total = seq + 1 */
#define IVSHMEM_FRAME_PING UINT16_C(2)	/* wants to be echoed */
#define IVSHMEM_FRAME_GOOD UINT32_MAX	/* ivshmem_frame_check(): no bad byte */

struct ivshmem_frame_hdr {
	uint8_t dst[6];
	uint8_t src[6];
	uint8_t type[2];
	uint32_t magic;
	uint32_t run;
	uint16_t source;
	uint16_t queue;
	uint16_t flags;
	uint32_t check;
	uint64_t seq;
	uint32_t length;
	uint32_t seed;
	uint64_t total;
} __rte_packed;

static_assert(sizeof(struct ivshmem_frame_hdr) == IVSHMEM_FRAME_HDR_LEN, "frame header length");
static_assert(offsetof(struct ivshmem_frame_hdr, check) == 28, "frame check offset");
static_assert(offsetof(struct ivshmem_frame_hdr, total) == 48, "frame total offset");
static_assert(IVSHMEM_FRAME_HDR_LEN < IVSHMEM_FRAME_MIN, "header fits the smallest frame");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are little-endian");

/* Filled by ivshmem_frame_init(), read-only afterwards; eight bytes of slack for the tail word. */
extern uint8_t ivshmem_frame_pattern[IVSHMEM_FRAME_MAX + 8];

void
ivshmem_frame_init(void);

/* Offset into `data` of the first byte that differs; call only when one does. */
uint32_t
ivshmem_frame_locate(const uint8_t *data, uint32_t off, uint32_t len, uint64_t key);

static inline uint64_t
ivshmem_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* splitmix64: the one random generator of this program, seeded by --seed. */
static inline uint64_t
ivshmem_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return ivshmem_mix(*state);
}

static inline uint64_t
ivshmem_frame_key(const struct ivshmem_frame_hdr *hdr)
{
	uint64_t base;

	base = ivshmem_mix(((uint64_t)hdr->run << 32 | hdr->seed) + UINT64_C(0x9e3779b97f4a7c15));
	base += (uint64_t)hdr->source << 48 | (uint64_t)hdr->queue << 32;
	return ivshmem_mix(ivshmem_mix(base) + hdr->seq * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint32_t
ivshmem_frame_hdr_check(const struct ivshmem_frame_hdr *hdr, uint64_t key)
{
	uint64_t rest = hdr->total * UINT64_C(0xd6e8feb86659fd93);

	return (uint32_t)(ivshmem_mix(key ^ rest ^ ((uint64_t)hdr->flags << 48 | hdr->length)));
}

static inline uint64_t
ivshmem_frame_key_at(uint64_t key, uint32_t off)
{
	uint32_t shift = 8 * (off % 8);

	return shift == 0 ? key : key >> shift | key << (64 - shift);
}

/* Write the payload bytes that belong at frame offsets [off, off + len). */
static inline void
ivshmem_frame_fill(uint8_t *restrict data, uint32_t off, uint32_t len, uint64_t key)
{
	const uint8_t *pattern = ivshmem_frame_pattern + off;
	uint32_t words = len / 8;
	uint64_t word;

	key = ivshmem_frame_key_at(key, off);
	for (uint32_t i = 0; i < words; i++) {
		memcpy(&word, pattern + 8 * i, 8);
		word ^= key;
		memcpy(data + 8 * i, &word, 8);
	}
	if (len % 8 != 0) {
		memcpy(&word, pattern + 8 * words, 8);
		word ^= key;
		memcpy(data + 8 * words, &word, len % 8);
	}
}

/* Index into `data` of the first wrong byte, or IVSHMEM_FRAME_GOOD. */
static inline uint32_t
ivshmem_frame_check(const uint8_t *data, uint32_t off, uint32_t len, uint64_t key)
{
	const uint8_t *pattern = ivshmem_frame_pattern + off;
	uint64_t key_here = ivshmem_frame_key_at(key, off);
	uint32_t words = len / 8;
	uint64_t diff = 0;
	uint64_t want, have;

	for (uint32_t i = 0; i < words; i++) {
		memcpy(&want, pattern + 8 * i, 8);
		memcpy(&have, data + 8 * i, 8);
		diff |= have ^ want ^ key_here;
	}
	if (len % 8 != 0) {
		have = 0;
		memcpy(&want, pattern + 8 * words, 8);
		memcpy(&have, data + 8 * words, len % 8);
		diff |= (have ^ want ^ key_here) << (64 - 8 * (len % 8));
	}
	if (diff == 0)
		return IVSHMEM_FRAME_GOOD;
	return ivshmem_frame_locate(data, off, len, key);
}

static inline uint8_t
ivshmem_frame_byte(uint32_t off, uint64_t key)
{
	return ivshmem_frame_pattern[off] ^ (uint8_t)(key >> (8 * (off % 8)));
}

#endif /* IVSHMEM_TRAFFIC_FRAME_H */
