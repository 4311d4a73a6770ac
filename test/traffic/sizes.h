/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frame sizes: a list that is cycled, each entry one size or a range drawn at random.
 */

#ifndef IVSHMEM_TRAFFIC_SIZES_H
#define IVSHMEM_TRAFFIC_SIZES_H

#include <stdint.h>

#define IVSHMEM_SIZES_MAX 64

struct ivshmem_sizes {
	struct {
		uint16_t min;
		uint16_t max;
	} entry[IVSHMEM_SIZES_MAX];
	uint32_t cnt;
	uint32_t largest;
};

/* Parse "64,128", "60-1518", a mix of both, or "imix"; 0, or -EINVAL with *bad at the fault. */
int
ivshmem_sizes_parse(const char *text, struct ivshmem_sizes *sizes, const char **bad);

/* Size of the frame number `turn`; `random` advances only for ranges. */
uint32_t
ivshmem_sizes_pick(const struct ivshmem_sizes *sizes, uint64_t turn, uint64_t *random);

#endif /* IVSHMEM_TRAFFIC_SIZES_H */
