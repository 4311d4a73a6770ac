/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Fault plans: which frames of which queue are broken, and what a sink has to say about it.
 *
 * Invariant: a stream of `count` frames is cut into equal pieces of at least
 * IVSHMEM_INJECT_SPACE, one fault lies inside each piece and never on its first or last two
 * frames; so faults do not meet and every stream begins and ends with a good frame.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "inject.h"

const char *const ivshmem_fault_names[IVSHMEM_FAULT_CNT] = {
	[IVSHMEM_FAULT_NONE] = "none",
	[IVSHMEM_FAULT_CORRUPT] = "corrupt",
	[IVSHMEM_FAULT_HEADER] = "header",
	[IVSHMEM_FAULT_DROP] = "drop",
	[IVSHMEM_FAULT_DUPLICATE] = "duplicate",
	[IVSHMEM_FAULT_REORDER] = "reorder",
	[IVSHMEM_FAULT_TRUNCATE] = "truncate",
	[IVSHMEM_FAULT_OVERLONG] = "overlong",
	[IVSHMEM_FAULT_BADMBUF] = "badmbuf",
	[IVSHMEM_FAULT_FOREIGN] = "foreign",
	[IVSHMEM_FAULT_RESTART] = "restart",
	[IVSHMEM_FAULT_STALE] = "stale",
};

int
ivshmem_inject_parse(const char *text, struct ivshmem_injections *inject, const char **bad)
{
	for (;;) {
		size_t len = strcspn(text, ":,");
		unsigned long cnt;
		char *end;
		int i;

		*bad = text;
		for (i = IVSHMEM_FAULT_NONE + 1; i < IVSHMEM_FAULT_CNT; i++)
			if (strlen(ivshmem_fault_names[i]) == len &&
			    strncmp(ivshmem_fault_names[i], text, len) == 0)
				break;
		if (i == IVSHMEM_FAULT_CNT || text[len] != ':' ||
		    text[len + 1] < '0' || text[len + 1] > '9')
			return -EINVAL;
		cnt = strtoul(text + len + 1, &end, 10);
		if (cnt > 1000000 || inject->sum + cnt > 1000000)
			return -EINVAL;
		inject->cnt[i] += cnt;
		inject->sum += cnt;
		if (*end == '\0')
			return 0;
		if (*end != ',')
			return -EINVAL;
		text = end + 1;
	}
}

uint64_t
ivshmem_inject_needs(const struct ivshmem_injections *inject, uint16_t queues)
{
	return (inject->sum + queues - 1) / queues * IVSHMEM_INJECT_SPACE;
}

/* Fault number i of all queues falls to queue i % queues. */
static uint32_t
ivshmem_inject_deal(struct ivshmem_inject_step *steps, const struct ivshmem_injections *inject,
		    uint16_t queue, uint16_t queues)
{
	uint64_t number = 0;
	uint32_t cnt = 0;

	for (int fault = 0; fault < IVSHMEM_FAULT_CNT; fault++) {
		for (uint64_t i = 0; i < inject->cnt[fault]; i++, number++) {
			if (number % queues == queue)
				steps[cnt++].fault = (enum ivshmem_fault)fault;
		}
	}
	return cnt;
}

int
ivshmem_inject_plan_create(struct ivshmem_inject_plan *plan,
			   const struct ivshmem_injections *inject, uint64_t count,
			   uint16_t queue, uint16_t queues, uint64_t seed)
{
	uint64_t random = ivshmem_mix(seed ^ (uint64_t)(queue + 1) << 40);
	struct ivshmem_inject_step *steps;
	uint64_t piece;

	memset(plan, 0, sizeof(*plan));
	if (inject->sum == 0)
		return 0;
	if (count < ivshmem_inject_needs(inject, queues))
		return -ENOSPC;
	steps = calloc(inject->sum, sizeof(*steps));
	if (steps == NULL)
		return -ENOMEM;
	plan->steps = steps;
	plan->cnt = ivshmem_inject_deal(steps, inject, queue, queues);
	if (plan->cnt == 0)
		return 0;
	for (uint32_t i = plan->cnt - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(ivshmem_random(&random) % (i + 1));
		enum ivshmem_fault fault = steps[i].fault;

		steps[i].fault = steps[j].fault;
		steps[j].fault = fault;
	}
	piece = count / plan->cnt;
	for (uint32_t i = 0; i < plan->cnt; i++) {
		steps[i].pos = i * piece + 2 + ivshmem_random(&random) % (piece - 5);
		steps[i].detail = (uint32_t)(ivshmem_random(&random) >> 32);
	}
	return 0;
}

void
ivshmem_inject_effect(const struct ivshmem_inject_plan *plan, uint64_t *counters)
{
	static const uint8_t effect[IVSHMEM_FAULT_CNT] = {
		[IVSHMEM_FAULT_CORRUPT] = IVSHMEM_COUNTER_CORRUPTED,
		[IVSHMEM_FAULT_HEADER] = IVSHMEM_COUNTER_CORRUPTED,
		[IVSHMEM_FAULT_DROP] = IVSHMEM_COUNTER_LOST,
		[IVSHMEM_FAULT_DUPLICATE] = IVSHMEM_COUNTER_DUPLICATED,
		[IVSHMEM_FAULT_REORDER] = IVSHMEM_COUNTER_REORDERED,
		[IVSHMEM_FAULT_TRUNCATE] = IVSHMEM_COUNTER_TRUNCATED,
		[IVSHMEM_FAULT_OVERLONG] = IVSHMEM_COUNTER_OVERLONG,
		[IVSHMEM_FAULT_BADMBUF] = IVSHMEM_COUNTER_BADMBUF,
		[IVSHMEM_FAULT_FOREIGN] = IVSHMEM_COUNTER_FOREIGN,
		[IVSHMEM_FAULT_RESTART] = IVSHMEM_COUNTER_STREAMS,
		[IVSHMEM_FAULT_STALE] = IVSHMEM_COUNTER_STREAMS,
	};

	for (uint32_t i = 0; i < plan->cnt; i++) {
		const struct ivshmem_inject_step *step = &plan->steps[i];

		if (!step->done)
			continue;
		counters[effect[step->fault]]++;
		if (step->fault == IVSHMEM_FAULT_HEADER || step->fault == IVSHMEM_FAULT_BADMBUF)
			counters[IVSHMEM_COUNTER_LOST]++;
		if (step->fault == IVSHMEM_FAULT_STALE)
			counters[IVSHMEM_COUNTER_STALE]++;
	}
}

void
ivshmem_inject_print(FILE *out, const struct ivshmem_inject_plan *plan, uint16_t queue)
{
	for (uint32_t i = 0; i < plan->cnt; i++) {
		const struct ivshmem_inject_step *step = &plan->steps[i];

		if (!step->done)
			continue;
		fprintf(out, "injected %s: queue %u run 0x%08" PRIx32 " seq %" PRIu64,
			ivshmem_fault_names[step->fault], queue, step->run, step->seq);
		if (step->fault == IVSHMEM_FAULT_CORRUPT)
			fprintf(out, " (byte at offset %" PRIu32 ")", step->detail);
		if (step->fault == IVSHMEM_FAULT_TRUNCATE || step->fault == IVSHMEM_FAULT_OVERLONG)
			fprintf(out, " (by %" PRIu32 " bytes)", step->detail);
		fputc('\n', out);
	}
}
