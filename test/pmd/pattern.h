/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frames of ivshmem-shell and ivshmem-odd-peer: each byte behind the addresses follows from the
 * sequence number, and is checked.
 *
 * off  len  what
 *   0    6  destination
 *   6    6  source
 *  12    2  EtherType 0x88b5
 *  14    4  sequence number, little-endian, where the frame is long enough
 *  18    -  (sequence + offset * 7) % 256
 *
 * A frame that is to be routed has an IPv4 header behind its EtherType 0x0800, and the sequence
 * number behind that. A router may change the header's time to live and checksum.
 */

#ifndef IVSHMEM_TEST_PATTERN_H
#define IVSHMEM_TEST_PATTERN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define IVSHMEM_PATTERN_HEAD 18u
#define IVSHMEM_PATTERN_IP_OFF 14u
#define IVSHMEM_PATTERN_IP_LEN 20u
#define IVSHMEM_PATTERN_IP_TTL 8u
#define IVSHMEM_PATTERN_IP_SUM 10u
#define IVSHMEM_PATTERN_IP_DST 16u
#define IVSHMEM_PATTERN_IP_SEQ (IVSHMEM_PATTERN_IP_OFF + IVSHMEM_PATTERN_IP_LEN)

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

/* Turn what was written into IPv4 for a destination; len >= IVSHMEM_PATTERN_IP_SEQ + 4. */
static inline void
ivshmem_pattern_route(uint8_t *data, uint32_t len, const uint8_t dst[4])
{
	const uint32_t ip_len = len - IVSHMEM_PATTERN_IP_OFF;
	uint8_t ip[IVSHMEM_PATTERN_IP_LEN] = { 0x45, 0, (uint8_t)(ip_len >> 8), (uint8_t)ip_len,
		0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1 };	/* 253: for experiments */
	uint32_t sum = 0;

	memcpy(ip + IVSHMEM_PATTERN_IP_DST, dst, 4);
	for (uint32_t i = 0; i < sizeof(ip); i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	ip[IVSHMEM_PATTERN_IP_SUM] = (uint8_t)(sum >> 8);
	ip[IVSHMEM_PATTERN_IP_SUM + 1] = (uint8_t)sum;
	memcpy(data + IVSHMEM_PATTERN_IP_SEQ, data + 14, 4);
	memcpy(data + IVSHMEM_PATTERN_IP_OFF, ip, sizeof(ip));
	data[12] = 0x08;
	data[13] = 0x00;
}

/* The frame's sequence number, or -1 when a byte behind the addresses is wrong. */
static inline int64_t
ivshmem_pattern_check(const uint8_t *data, uint32_t len)
{
	const uint8_t *ip = data + IVSHMEM_PATTERN_IP_OFF;
	uint8_t *want_ip;
	uint8_t want[9618];
	uint32_t seq;
	bool routed;

	if (len < IVSHMEM_PATTERN_HEAD || len > sizeof(want))
		return -1;
	routed = data[12] == 0x08 && data[13] == 0x00;
	if (routed && len < IVSHMEM_PATTERN_IP_SEQ + sizeof(seq))
		return -1;
	memcpy(&seq, data + (routed ? IVSHMEM_PATTERN_IP_SEQ : IVSHMEM_PATTERN_IP_OFF),
	       sizeof(seq));
	ivshmem_pattern_write(want, len, data, data + 6, seq);
	if (routed) {
		want_ip = want + IVSHMEM_PATTERN_IP_OFF;
		ivshmem_pattern_route(want, len, ip + IVSHMEM_PATTERN_IP_DST);
		want_ip[IVSHMEM_PATTERN_IP_TTL] = ip[IVSHMEM_PATTERN_IP_TTL];
		memcpy(want_ip + IVSHMEM_PATTERN_IP_SUM, ip + IVSHMEM_PATTERN_IP_SUM, 2);
	}
	return memcmp(data, want, len) == 0 ? (int64_t)seq : -1;
}

#endif /* IVSHMEM_TEST_PATTERN_H */
