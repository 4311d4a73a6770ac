/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the parts of ivshmem-bare share: pinned threads, a clock, and a bound on every wait.
 */

#ifndef IVSHMEM_BARE_H
#define IVSHMEM_BARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BARE_NS_PER_SEC	UINT64_C(1000000000)

struct bare_args {
	int cpu[2];
	uint32_t size;		/* bytes a frame */
	uint64_t number;	/* round trips, or milliseconds */
};

uint64_t
bare_now_ns(void);

/* Pins the calling thread; false with a message when that is impossible. */
bool
bare_pin(int cpu);

/*
 * A thread that is born on its CPU: beside a real-time thread that spins it would never come to
 * pin itself. Returns 0 or an errno, with a message.
 */
int
bare_start(pthread_t *thread, int cpu, void *(*run)(void *), void *arg);

/* Memory that two threads share, on hugepages when there are free ones; NULL when there is none. */
void *
bare_memory(size_t len);

/* Sorts; prints "p50_ns=... p99_ns=... p99_9_ns=... count=...". */
void
bare_print_quantiles(uint32_t *ns, uint64_t cnt);

/* The modes. Each returns the exit status. */
int
bare_stream(const struct bare_args *args);

int
bare_rtt(const struct bare_args *args);

int
bare_wake(const struct bare_args *args);

#endif /* IVSHMEM_BARE_H */
