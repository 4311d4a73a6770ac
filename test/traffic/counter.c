/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Names of the counters and the --expect parser.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"

const char *const ivshmem_counter_names[IVSHMEM_COUNTER_CNT] = {
	[IVSHMEM_COUNTER_SENT] = "sent",
	[IVSHMEM_COUNTER_DROPPED] = "dropped",
	[IVSHMEM_COUNTER_RECEIVED] = "received",
	[IVSHMEM_COUNTER_CORRUPTED] = "corrupted",
	[IVSHMEM_COUNTER_LOST] = "lost",
	[IVSHMEM_COUNTER_DUPLICATED] = "duplicated",
	[IVSHMEM_COUNTER_REORDERED] = "reordered",
	[IVSHMEM_COUNTER_TRUNCATED] = "truncated",
	[IVSHMEM_COUNTER_OVERLONG] = "overlong",
	[IVSHMEM_COUNTER_BADMBUF] = "badmbuf",
	[IVSHMEM_COUNTER_LATE] = "late",
	[IVSHMEM_COUNTER_STALE] = "stale",
	[IVSHMEM_COUNTER_FOREIGN] = "foreign",
	[IVSHMEM_COUNTER_MISQUEUED] = "misqueued",
	[IVSHMEM_COUNTER_STREAMS] = "streams",
	[IVSHMEM_COUNTER_LEAKED] = "leaked",
};

void
ivshmem_expect_default(struct ivshmem_expect *expect)
{
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++)
		expect[i] = (struct ivshmem_expect){ 0, 0, false };
	expect[IVSHMEM_COUNTER_SENT].max = UINT64_MAX;
	expect[IVSHMEM_COUNTER_DROPPED].max = UINT64_MAX;
	expect[IVSHMEM_COUNTER_RECEIVED].max = UINT64_MAX;
	expect[IVSHMEM_COUNTER_MISQUEUED].max = UINT64_MAX;
	expect[IVSHMEM_COUNTER_STREAMS].max = UINT64_MAX;
}

static int
ivshmem_expect_range(const char *text, struct ivshmem_expect *expect, const char **end)
{
	char *rest;

	expect->given = true;
	if (strncmp(text, "any", 3) == 0) {
		expect->min = 0;
		expect->max = UINT64_MAX;
		*end = text + 3;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	expect->min = strtoull(text, &rest, 10);
	expect->max = expect->min;
	if (*rest == '-') {
		if (rest[1] < '0' || rest[1] > '9')
			return -EINVAL;
		expect->max = strtoull(rest + 1, &rest, 10);
	}
	*end = rest;
	return expect->max < expect->min ? -EINVAL : 0;
}

int
ivshmem_expect_parse(const char *text, struct ivshmem_expect *expect, const char **bad)
{
	for (;;) {
		size_t len = strcspn(text, "=,");
		int i;

		*bad = text;
		for (i = 0; i < IVSHMEM_COUNTER_CNT; i++)
			if (strlen(ivshmem_counter_names[i]) == len &&
			    strncmp(ivshmem_counter_names[i], text, len) == 0)
				break;
		if (i == IVSHMEM_COUNTER_CNT || text[len] != '=')
			return -EINVAL;
		if (ivshmem_expect_range(text + len + 1, &expect[i], &text) != 0)
			return -EINVAL;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}
