/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the driver stands on, wrapped by the linker: the time passes when the input says so, alarms
 * run then, on the thread that fuzzes; memory comes from malloc, so that AddressSanitizer knows of
 * each block; the mapping of the region lies between inaccessible pages.
 */

#include <sys/mman.h>
#include <time.h>

#include <rte_alarm.h>

#include <sanitizer/asan_interface.h>

#include "fuzz_burst.h"
#include "fuzz_wrap.h"
#include "ivshmem_memtype.h"

#define GUARD_LEN (UINT64_C(64) << 20)
#define ALARM_CNT 8

static struct {
	rte_eal_alarm_callback call;
	void *arg;
	uint64_t at_ms;
} alarms[ALARM_CNT];

static uint8_t *mapped;		/* by the driver */
static uint64_t mapped_len;
static uint64_t blocks;
uint64_t below_now_ms;	/* 0 before the first input */

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = below_now_ms / 1000;
	now->tv_nsec = below_now_ms % 1000 * 1000000;
	return 0;
}

int
__wrap_nanosleep(const struct timespec *pause, struct timespec *left)
{
	(void)left;
	below_now_ms += pause->tv_sec * 1000 + (pause->tv_nsec + 999999) / 1000000;
	return 0;
}

/* While the driver looks whether the other one lives. */
void
__wrap_rte_delay_us_sleep(unsigned int us)
{
	below_now_ms += us / 1000;
	peer_beat();
}

ssize_t
__wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 0x6e, len);
	return len;
}

int
__wrap_rte_eal_alarm_set(uint64_t us, rte_eal_alarm_callback call, void *arg)
{
	for (uint32_t i = 0; i < ALARM_CNT; i++) {
		if (alarms[i].call != NULL)
			continue;
		alarms[i].call = call;
		alarms[i].arg = arg;
		alarms[i].at_ms = below_now_ms + us / 1000;
		return 0;
	}
	return -ENOSPC;
}

int
__wrap_rte_eal_alarm_cancel(rte_eal_alarm_callback call, void *arg)
{
	int cnt = 0;

	for (uint32_t i = 0; i < ALARM_CNT; i++)
		if (alarms[i].call == call && (alarms[i].arg == arg || arg == (void *)-1)) {
			alarms[i].call = NULL;
			cnt++;
		}
	return cnt;
}

void
below_pass(uint32_t ms)
{
	below_now_ms += ms;
	for (uint32_t i = 0; i < ALARM_CNT; i++) {
		const rte_eal_alarm_callback call = alarms[i].call;

		if (call == NULL || alarms[i].at_ms > below_now_ms)
			continue;
		alarms[i].call = NULL;
		call(alarms[i].arg);
	}
}

/* As of memory that a cache holds. */
void
__wrap_ivshmem_memtype_measure(const struct ivshmem_u64 *line, struct ivshmem_memtimes *times)
{
	(void)line;
	*times = (struct ivshmem_memtimes){ .region_ns = 10, .private_ns = 10, .load_cnt = 10 };
}

void *
__wrap_rte_malloc(const char *type, size_t size, unsigned int align)
{
	void *block;

	(void)type;
	if (size == 0 || posix_memalign(&block, align > 8 ? align : 8, size) != 0)
		return NULL;
	blocks++;
	return block;
}

void *
__wrap_rte_zmalloc(const char *type, size_t size, unsigned int align)
{
	void *block = __wrap_rte_malloc(type, size, align);

	if (block != NULL)
		memset(block, 0, size);
	return block;
}

/* The port's own struct is named for the port: ethdev frees it. */
void *
__wrap_rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	if (strncmp(type, "ivshmem_", 8) != 0)
		return __real_rte_zmalloc_socket(type, size, align, socket);
	return __wrap_rte_zmalloc(type, size, align);
}

void
__wrap_rte_free(void *block)
{
	blocks -= block != NULL;
	free(block);
}

void *
__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	uint8_t *reserve;

	if (below_now_ms == 0 || fd < 0 || (flags & MAP_SHARED) == 0 || mapped != NULL)
		return __real_mmap64(addr, len, prot, flags, fd, off);
	reserve = __real_mmap64(NULL, GUARD_LEN + len + GUARD_LEN, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FUZZ_CHECK(reserve != MAP_FAILED, "no memory");
	mapped = __real_mmap64(reserve + GUARD_LEN, len, prot, flags | MAP_FIXED, fd, off);
	mapped_len = len;
	FUZZ_CHECK(mapped == reserve + GUARD_LEN, "no memory");
	return mapped;
}

int
__wrap_munmap(void *addr, size_t len)
{
	if (addr != mapped)
		return __real_munmap(addr, len);
	FUZZ_CHECK(len == mapped_len, "%zu bytes are unmapped", len);
	ASAN_UNPOISON_MEMORY_REGION(mapped, mapped_len);
	mapped = NULL;
	return __real_munmap((uint8_t *)addr - GUARD_LEN, GUARD_LEN + len + GUARD_LEN);
}

void
below_guard(const struct ivshmem_layout *layout)
{
	for (uint32_t slot = 0; slot < layout->port_cnt; slot++) {
		const uint64_t used = layout->buf_off +
			(uint64_t)layout->buf_cnt * layout->buf_len;

		ASAN_POISON_MEMORY_REGION((uint8_t *)ivshmem_layout_section(mapped, layout, slot) +
					  used, layout->section_len - used);
	}
}

bool
below_has(const void *from, uint64_t len)
{
	const uint8_t *at = from;

	return mapped != NULL && at >= mapped && len <= mapped_len &&
		(uint64_t)(at - mapped) <= mapped_len - len;
}

void
below_check(void)
{
	for (uint32_t i = 0; i < ALARM_CNT; i++)
		FUZZ_CHECK(alarms[i].call == NULL, "an alarm is left");
	FUZZ_CHECK(mapped == NULL, "the region is still mapped");
	FUZZ_CHECK(blocks == 0, "%" PRIu64 " blocks of memory are left", blocks);
}
