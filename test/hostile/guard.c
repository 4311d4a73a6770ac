/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Guards around the region, and inside of it where nobody has business.
 *
 * The program is linked with --wrap for mmap64, which mmap is where files may be large, and munmap:
 * a shared mapping of a file that the driver makes ends up between inaccessible pages. What lies
 * behind the last buffer of a section is poisoned for AddressSanitizer, and inaccessible behind the
 * last section.
 */

#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <sanitizer/asan_interface.h>

#include "ivshmem_layout.h"
#include "guard.h"
#include "victim.h"

#define GUARD_LEN (UINT64_C(4) << 20)
#define GUARD_ALIGN (UINT64_C(2) << 20)		/* of a file in hugetlbfs */
#define GUARD_MAPS_MAX 8u

static struct guard_map {
	uint8_t *base;
	uint64_t len;
	uint8_t *reserve;
	uint64_t reserve_len;
	uint64_t page;
} guard_maps[GUARD_MAPS_MAX];

/* What a mapping of the file can be cut by: in hugetlbfs a block is a page. */
static uint64_t
guard_page(int fd)
{
	struct statfs info;

	return fstatfs(fd, &info) == 0 && info.f_bsize > 4096 ? (uint64_t)info.f_bsize : 4096;
}

static struct ivshmem_layout guard_layout;	/* as it was before anybody attacked */

void *
__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	struct guard_map *map = guard_maps;
	const uint64_t whole = len + 2 * GUARD_LEN + GUARD_ALIGN;
	uint8_t *reserve;
	uint8_t *base;

	while (map < guard_maps + GUARD_MAPS_MAX && map->base != NULL)
		map++;
	if (addr != NULL || fd < 0 || (flags & MAP_SHARED) == 0 || len < IVSHMEM_ABI_REGION_MIN ||
	    map == guard_maps + GUARD_MAPS_MAX)
		return __real_mmap64(addr, len, prot, flags, fd, off);
	reserve = __real_mmap64(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
	if (reserve == MAP_FAILED)
		return MAP_FAILED;
	base = (uint8_t *)(((uintptr_t)reserve + GUARD_LEN + GUARD_ALIGN - 1) &
			   ~(GUARD_ALIGN - 1));
	if (__real_mmap64(base, len, prot, flags | MAP_FIXED, fd, off) == MAP_FAILED) {
		__real_munmap(reserve, whole);
		return MAP_FAILED;
	}
	*map = (struct guard_map){
		.base = base,
		.len = len,
		.reserve = reserve,
		.reserve_len = whole,
		.page = guard_page(fd),
	};
	return base;
}

int
__wrap_munmap(void *addr, size_t len)
{
	for (uint32_t i = 0; i < GUARD_MAPS_MAX; i++) {
		struct guard_map map = guard_maps[i];

		if (map.base != addr || map.len != len)
			continue;
		ASAN_UNPOISON_MEMORY_REGION(map.base, map.len);
		memset(&guard_maps[i], 0, sizeof(map));
		return __real_munmap(map.reserve, map.reserve_len);
	}
	return __real_munmap(addr, len);
}

static void
guard_map_inside(const struct guard_map *map)
{
	const struct ivshmem_layout *layout = &guard_layout;
	uint8_t *end = map->base + map->len;
	uint8_t *gap = NULL;
	uint8_t *page;

	for (uint32_t slot = 0; slot < layout->port_cnt; slot++) {
		gap = (uint8_t *)ivshmem_layout_section(map->base, layout, slot) +
			layout->buf_off + (uint64_t)layout->buf_cnt * layout->buf_len;
		ASAN_POISON_MEMORY_REGION(gap, layout->section_len - layout->buf_off -
					  (uint64_t)layout->buf_cnt * layout->buf_len);
	}
	page = (uint8_t *)(((uintptr_t)gap + map->page - 1) & ~(uintptr_t)(map->page - 1));
	if (page < end && mprotect(page, end - page, PROT_NONE) != 0)
		victim_die("no guard behind the last section");
}

void
victim_guard(void)
{
	struct ivshmem_fault fault;
	uint32_t found = 0;

	for (uint32_t i = 0; i < GUARD_MAPS_MAX; i++) {
		if (guard_maps[i].base == NULL)
			continue;
		if (guard_layout.total_len == 0 &&
		    ivshmem_layout_check(guard_maps[i].base, guard_maps[i].len, &guard_layout,
					 &fault) != 0)
			victim_die("region: %s", fault.text);
		guard_map_inside(&guard_maps[i]);
		found++;
	}
	if (found == 0)
		victim_die("the driver's mapping has no guards");
}

int
victim_guard_owner(const void *from, uint64_t len)
{
	const struct ivshmem_layout *layout = &guard_layout;

	for (uint32_t i = 0; i < GUARD_MAPS_MAX; i++) {
		const uint64_t at = (uintptr_t)from - (uintptr_t)guard_maps[i].base -
			layout->section_off;
		const uint64_t in = at % layout->section_len - layout->buf_off;

		if (guard_maps[i].base != NULL && len == layout->buf_len &&
		    at / layout->section_len < layout->port_cnt && in % layout->buf_len == 0 &&
		    in / layout->buf_len < layout->buf_cnt)
			return at / layout->section_len;
	}
	return -1;
}
