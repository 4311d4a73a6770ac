/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The limits of a machine: what two CPUs can do with as little code as possible.
 *
 *   ivshmem-bare stream CPU CPU SIZE MS      frames through a ring, one way
 *   ivshmem-bare rtt CPU CPU SIZE ROUNDS     one frame there and back, both polling
 *   ivshmem-bare wake CPU CPU 0 ROUNDS       eventfd there and back, both sleeping in epoll_wait
 *
 * Prints one line of key=value words.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bare.h"

#define BARE_HUGEPAGE	(UINT64_C(2) << 20)

uint64_t
bare_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * BARE_NS_PER_SEC + now.tv_nsec;
}

bool
bare_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return true;
	fprintf(stderr, "ivshmem-bare: cannot run on CPU %d: %s\n", cpu, strerror(errno));
	return false;
}

int
bare_start(pthread_t *thread, int cpu, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (ret == 0)
		ret = pthread_create(thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	if (ret != 0)
		fprintf(stderr, "ivshmem-bare: no thread on CPU %d: %s\n", cpu, strerror(ret));
	return ret;
}

void *
bare_memory(size_t len)
{
	const size_t whole = (len + BARE_HUGEPAGE - 1) / BARE_HUGEPAGE * BARE_HUGEPAGE;
	void *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		memory = mmap(NULL, whole, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory != MAP_FAILED)
		return memory;
	fprintf(stderr, "ivshmem-bare: no memory for %zu bytes: %s\n", whole, strerror(errno));
	return NULL;
}

static int
bare_compare(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a;
	const uint32_t right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

void
bare_print_quantiles(uint32_t *ns, uint64_t cnt)
{
	qsort(ns, cnt, sizeof(ns[0]), bare_compare);
	printf("p50_ns=%" PRIu32 " p99_ns=%" PRIu32 " p99_9_ns=%" PRIu32 " count=%" PRIu64 "\n",
	       ns[cnt / 2], ns[cnt * 99 / 100], ns[cnt * 999 / 1000], cnt);
}

/* A decimal number in low..high, or -1. */
static int64_t
bare_parse(const char *text, int64_t low, int64_t high)
{
	char *end;
	int64_t value;

	errno = 0;
	value = strtoll(text, &end, 10);
	return errno != 0 || end == text || *end != '\0' || value < low || value > high ?
	       -1 : value;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct bare_args *args);
		int64_t size_min;
		int64_t number_max;
	} modes[] = {
		{ "stream", bare_stream, 16, 10000 },
		{ "rtt", bare_rtt, 16, 10000000 },
		{ "wake", bare_wake, 0, 1000000 },
	};
	struct bare_args args;
	int64_t size, number;

	for (size_t i = 0; argc == 6 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		args.cpu[0] = bare_parse(argv[2], 0, CPU_SETSIZE - 1);
		args.cpu[1] = bare_parse(argv[3], 0, CPU_SETSIZE - 1);
		size = bare_parse(argv[4], modes[i].size_min, 16384);
		number = bare_parse(argv[5], 1, modes[i].number_max);
		if (args.cpu[0] < 0 || args.cpu[1] < 0 || size < 0 || number < 0)
			break;
		args.size = size;
		args.number = number;
		return modes[i].run(&args);
	}
	fprintf(stderr, "usage: ivshmem-bare stream|rtt|wake CPU CPU SIZE MS|ROUNDS"
		"  (SIZE 16..16384, 0 for wake)\n");
	return 2;
}
