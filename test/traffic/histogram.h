/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Histogram of durations in ns: exact below 128, within 1/64 of the value above.
 */

#ifndef IVSHMEM_TRAFFIC_HISTOGRAM_H
#define IVSHMEM_TRAFFIC_HISTOGRAM_H

#include <stdint.h>

#define IVSHMEM_HISTOGRAM_SUB 64
#define IVSHMEM_HISTOGRAM_CNT (IVSHMEM_HISTOGRAM_SUB * 40)

struct ivshmem_histogram {
	uint64_t bucket[IVSHMEM_HISTOGRAM_CNT];
	uint64_t cnt;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
};

static inline void
ivshmem_histogram_add(struct ivshmem_histogram *histogram, uint64_t value)
{
	uint32_t shift = 0;
	uint32_t slot;

	while (value >> shift >= 2 * IVSHMEM_HISTOGRAM_SUB)
		shift++;
	slot = shift * IVSHMEM_HISTOGRAM_SUB + (uint32_t)(value >> shift);
	if (slot >= IVSHMEM_HISTOGRAM_CNT)
		slot = IVSHMEM_HISTOGRAM_CNT - 1;
	histogram->bucket[slot]++;
	if (histogram->cnt == 0 || value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->sum += value;
	histogram->cnt++;
}

/* Value below or at which the share `per_mille` of all samples lies; 0 without samples. */
static inline uint64_t
ivshmem_histogram_at(const struct ivshmem_histogram *histogram, uint32_t per_mille)
{
	uint64_t rank = (histogram->cnt * per_mille + 999) / 1000;
	uint64_t below = 0;

	for (uint32_t slot = 0; slot < IVSHMEM_HISTOGRAM_CNT && histogram->cnt != 0; slot++) {
		uint32_t shift = slot < 2 * IVSHMEM_HISTOGRAM_SUB ?
				 0 : slot / IVSHMEM_HISTOGRAM_SUB - 1;
		uint64_t value = (uint64_t)(slot - shift * IVSHMEM_HISTOGRAM_SUB) << shift;

		below += histogram->bucket[slot];
		if (below >= rank)
			return value < histogram->min ? histogram->min : value;
	}
	return 0;
}

static inline void
ivshmem_histogram_merge(struct ivshmem_histogram *into, const struct ivshmem_histogram *from)
{
	if (from->cnt == 0)
		return;
	for (uint32_t slot = 0; slot < IVSHMEM_HISTOGRAM_CNT; slot++)
		into->bucket[slot] += from->bucket[slot];
	if (into->cnt == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->sum += from->sum;
	into->cnt += from->cnt;
}

#endif /* IVSHMEM_TRAFFIC_HISTOGRAM_H */
