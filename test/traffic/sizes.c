/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frame sizes: parsing and picking.  Limits are those of the test frame (frame.h).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "sizes.h"

/* Simple IMIX: 7 x 64, 4 x 594, 1 x 1518. */
static const char ivshmem_sizes_imix[] = "64,594,64,64,594,64,1518,64,594,64,594,64";

static int
ivshmem_size_parse(const char **text, uint16_t *size)
{
	unsigned long value;
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	value = strtoul(*text, &end, 10);
	if (value < IVSHMEM_FRAME_MIN || value > IVSHMEM_FRAME_MAX)
		return -EINVAL;
	*size = (uint16_t)value;
	*text = end;
	return 0;
}

int
ivshmem_sizes_parse(const char *text, struct ivshmem_sizes *sizes, const char **bad)
{
	if (strcmp(text, "imix") == 0)
		text = ivshmem_sizes_imix;
	memset(sizes, 0, sizeof(*sizes));
	for (;;) {
		uint16_t min, max;

		*bad = text;
		if (sizes->cnt == IVSHMEM_SIZES_MAX || ivshmem_size_parse(&text, &min) != 0)
			return -EINVAL;
		max = min;
		if (*text == '-') {
			text++;
			if (ivshmem_size_parse(&text, &max) != 0 || max < min)
				return -EINVAL;
		}
		sizes->entry[sizes->cnt].min = min;
		sizes->entry[sizes->cnt].max = max;
		sizes->cnt++;
		if (max > sizes->largest)
			sizes->largest = max;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}

uint32_t
ivshmem_sizes_pick(const struct ivshmem_sizes *sizes, uint64_t turn, uint64_t *random)
{
	uint32_t i = sizes->cnt == 1 ? 0 : (uint32_t)(turn % sizes->cnt);
	uint32_t min = sizes->entry[i].min;
	uint32_t span = sizes->entry[i].max - min + 1;

	return span == 1 ? min : min + (uint32_t)((ivshmem_random(random) >> 32) * span >> 32);
}
