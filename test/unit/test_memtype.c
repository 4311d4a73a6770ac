/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Cached or not: the judge against times of real and thinkable machines, and the measurement
 * against memory that must not be written and words that change under it.
 */

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem_atomic.h"
#include "ivshmem_memtype.h"

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *what;
	struct ivshmem_memtimes times;
	enum ivshmem_memtype type;
	uint32_t load_ns;
} cases[] = {
	{ "a host process", { 311, 310, 128 }, IVSHMEM_MEMTYPE_CACHED, 3 },
	{ "a guest under TCG", { 871, 861, 128 }, IVSHMEM_MEMTYPE_CACHED, 7 },
	{ "a guest under a slow TCG", { 12800, 6400, 128 }, IVSHMEM_MEMTYPE_CACHED, 100 },
	{ "everything takes 1 us", { 128000, 128000, 128 }, IVSHMEM_MEMTYPE_CACHED, 1000 },
	{ "faster than private memory", { 100, 300, 128 }, IVSHMEM_MEMTYPE_CACHED, 1 },
	{ "155 ns, as reported", { 155 * 128, 256, 128 }, IVSHMEM_MEMTYPE_UNCACHED, 155 },
	{ "a fast memory, a slow core", { 60 * 128, 5 * 128, 128 }, IVSHMEM_MEMTYPE_UNCACHED, 60 },
	{ "every load leaves the guest", { 2560000, 256, 128 }, IVSHMEM_MEMTYPE_UNCACHED, 20000 },
	{ "no end", { UINT64_MAX, 1, 1 }, IVSHMEM_MEMTYPE_UNCACHED, UINT32_MAX },
	{ "a little under 4 times", { 399, 100, 1 }, IVSHMEM_MEMTYPE_CACHED, 399 },
	{ "4 times", { 400, 100, 1 }, IVSHMEM_MEMTYPE_UNKNOWN, 400 },
	{ "a little under 8 times", { 799, 100, 1 }, IVSHMEM_MEMTYPE_UNKNOWN, 799 },
	{ "8 times", { 800, 100, 1 }, IVSHMEM_MEMTYPE_UNCACHED, 800 },
	{ "10 times, but 29 ns", { 29 * 128 + 127, 300, 128 }, IVSHMEM_MEMTYPE_UNKNOWN, 30 },
	{ "10 times and 30 ns", { 30 * 128, 300, 128 }, IVSHMEM_MEMTYPE_UNCACHED, 30 },
	{ "a clock that stands", { 0, 0, 128 }, IVSHMEM_MEMTYPE_UNKNOWN, 0 },
	{ "a clock that stands now and then", { 20000, 0, 128 }, IVSHMEM_MEMTYPE_UNKNOWN, 157 },
	{ "the same", { 0, 300, 128 }, IVSHMEM_MEMTYPE_UNKNOWN, 0 },
	{ "no loads", { 20000, 300, 0 }, IVSHMEM_MEMTYPE_UNKNOWN, 0 },
};

static void
test_judge(void)
{
	for (size_t i = 0; i < CNT(cases); i++) {
		const enum ivshmem_memtype type = ivshmem_memtype_judge(&cases[i].times);
		const uint32_t ns = ivshmem_memtype_load_ns(&cases[i].times);

		CHECK_MSG(type == cases[i].type, "%s: type %d, not %d", cases[i].what, type,
			  cases[i].type);
		CHECK_MSG(ns == cases[i].load_ns, "%s: %" PRIu32 " ns a load, not %" PRIu32,
			  cases[i].what, ns, cases[i].load_ns);
	}
}

static atomic_bool stop;

static void *
change_words(void *arg)
{
	struct ivshmem_u64 *words = arg;

	for (uint64_t i = 0; !stop; i++) {
		ivshmem_store64(&words[0], i);
		ivshmem_store64(&words[1], ~i);
	}
	return NULL;
}

/* Two words at the end of a page, nothing behind; whatever they hold, nothing else is loaded. */
static void
test_measure(void)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	uint8_t *base = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	struct ivshmem_u64 *words;
	struct ivshmem_memtimes times = { 0 };
	pthread_t thread;

	if (!CHECK_MSG(base != MAP_FAILED, "mmap") ||
	    !CHECK_MSG(mprotect(base + page, page, PROT_NONE) == 0, "mprotect"))
		return;
	words = (struct ivshmem_u64 *)(base + page) - 2;
	CHECK_EQ(pthread_create(&thread, NULL, change_words, words), 0);
	for (int i = 0; i < 1000; i++)
		ivshmem_memtype_measure(words, &times);
	stop = true;
	pthread_join(thread, NULL);

	CHECK_EQ(mprotect(base, page, PROT_READ), 0);
	ivshmem_memtype_measure(words, &times);
	CHECK_EQ(times.load_cnt, 128);
	CHECK_MSG(times.region_ns != UINT64_MAX && times.private_ns != UINT64_MAX, "no times");
	CHECK_MSG(ivshmem_memtype_judge(&times) != IVSHMEM_MEMTYPE_UNCACHED,
		  "ordinary memory looks uncached: %" PRIu64 " ns, private %" PRIu64 " ns",
		  times.region_ns, times.private_ns);
	munmap(base, 2 * page);
}

int
main(void)
{
	test_judge();
	test_measure();
	return check_exit();
}
