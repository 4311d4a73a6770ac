/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Measures how far two CPUs are apart: the round trip of one cache line.
 *
 *   pingpong CPU CPU [WINDOWS]
 *
 * Two pinned threads hand one word to and fro. Prints the median over short windows of the
 * nanoseconds that a round trip takes, so that windows in which a thread was away do not count.
 *
 * Invariants:
 *  I1. Only the thread whose turn it is writes the word: even = first thread, odd = second.
 *  I2. It ends: a wait gives up when the time of the whole run is over.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WINDOWS_DEFAULT	40
#define WINDOWS_MAX	10000
#define ROUNDS		1000		/* of a window: 100 to 500 us */
#define WARM_WINDOWS	2
#define SECONDS_MAX	5

struct line {
	_Alignas(128) _Atomic uint64_t turn;
	_Alignas(128) uint64_t rounds;	/* read only once the threads run */
	uint64_t end_ns;
	int cpu[2];
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* Returns false when the time is over. */
static bool
wait_turn(const struct line *line, uint64_t turn)
{
	for (uint32_t spins = 0;; spins++) {
		if (atomic_load_explicit(&line->turn, memory_order_acquire) == turn)
			return true;
		if (spins >= 100000) {
			if (now_ns() > line->end_ns)
				return false;
			spins = 0;
		}
	}
}

static void *
second_thread(void *arg)
{
	struct line *line = arg;

	for (uint64_t turn = 1; turn < 2 * line->rounds; turn += 2) {
		if (!wait_turn(line, turn))
			return NULL;
		atomic_store_explicit(&line->turn, turn + 1, memory_order_release);
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Fills took[] with the nanoseconds of each window; returns how many are there. */
static uint32_t
first_thread(struct line *line, uint64_t *took, uint32_t windows)
{
	uint64_t turn = 0;

	for (uint32_t window = 0; window < windows; window++) {
		const uint64_t begun = now_ns();

		for (uint32_t round = 0; round < ROUNDS; round++, turn += 2) {
			atomic_store_explicit(&line->turn, turn + 1, memory_order_release);
			if (!wait_turn(line, turn + 2))
				return window;
		}
		took[window] = now_ns() - begun;
	}
	return windows;
}

/* A decimal number in low..high, or -1. */
static int
parse(const char *text, int low, int high)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
		return -1;
	return value;
}

/* Pins this thread and starts the other on its CPU: where it was created it might never run. */
static int
start(struct line *line, pthread_t *thread)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	CPU_ZERO(&set);
	CPU_SET(line->cpu[0], &set);
	ret = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (ret != 0)
		return ret;
	CPU_ZERO(&set);
	CPU_SET(line->cpu[1], &set);
	pthread_attr_init(&attr);
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (ret == 0)
		ret = pthread_create(thread, &attr, second_thread, line);
	pthread_attr_destroy(&attr);
	return ret;
}

static int
measure(struct line *line, int windows)
{
	static uint64_t took[WINDOWS_MAX + WARM_WINDOWS];
	pthread_t thread;
	uint32_t cnt;
	int ret;

	ret = start(line, &thread);
	if (ret != 0) {
		fprintf(stderr, "pingpong: cannot run on CPUs %d and %d: %s\n", line->cpu[0],
			line->cpu[1], strerror(ret));
		return 1;
	}
	cnt = first_thread(line, took, windows + WARM_WINDOWS);
	pthread_join(thread, NULL);
	if (cnt <= WARM_WINDOWS) {
		fprintf(stderr, "pingpong: CPUs %d and %d did not both run within %d s\n",
			line->cpu[0], line->cpu[1], SECONDS_MAX);
		return 1;
	}
	cnt -= WARM_WINDOWS;
	qsort(took + WARM_WINDOWS, cnt, sizeof(took[0]), compare);
	printf("%.1f\n", (double)took[WARM_WINDOWS + cnt / 2] / ROUNDS);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct line line;
	int windows = WINDOWS_DEFAULT;

	if (argc == 4)
		windows = parse(argv[3], 1, WINDOWS_MAX);
	line.cpu[0] = argc >= 3 ? parse(argv[1], 0, CPU_SETSIZE - 1) : -1;
	line.cpu[1] = argc >= 3 ? parse(argv[2], 0, CPU_SETSIZE - 1) : -1;
	if (argc > 4 || windows < 0 || line.cpu[0] < 0 || line.cpu[1] < 0) {
		fprintf(stderr, "usage: pingpong CPU CPU [WINDOWS]  (CPUs below %d, at most %d"
			" windows)\n", CPU_SETSIZE, WINDOWS_MAX);
		return 2;
	}
	line.rounds = (uint64_t)(windows + WARM_WINDOWS) * ROUNDS;
	line.end_ns = now_ns() + SECONDS_MAX * UINT64_C(1000000000);
	return measure(&line, windows);
}
