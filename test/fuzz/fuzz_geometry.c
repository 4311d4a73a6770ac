/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Whatever geometry is wanted: a plan that is made can be formatted, and passes the check; one that
 * is refused says what would fit, and that does (ivshmem_layout.c, L1 and L2).
 */

#include <sys/mman.h>

#include "fuzz.h"
#include "ivshmem_layout.h"
#include "../unit/region.h"

#define MAP_LEN (UINT64_C(8) << 20)

static uint8_t *map;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	map = mmap(NULL, MAP_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FUZZ_CHECK(map != MAP_FAILED, "no memory");
	return 0;
}

/* The number behind a word of the text. */
static uint64_t
number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	FUZZ_CHECK(at != NULL, "no \"%s\" in \"%s\"", word, text);
	return strtoull(at + strlen(word), NULL, 10);
}

/* L2: ask for what the refusal offers. */
static void
take_the_offer(struct ivshmem_geometry want, const char *text)
{
	struct ivshmem_layout layout;
	struct ivshmem_fault fault;

	if (strstr(text, "does not fit") == NULL)
		return;
	want.ring_slots = number_after(text, "rings of ");
	if (strncmp(text, "queues ", 7) == 0) {
		want.queue_cnt = number_after(text, "ports of ");
	} else if (strncmp(text, "ports ", 6) == 0) {
		want.port_cnt = number_after(text, "bytes hold ");
		want.queue_cnt = 1;
	} else if (strncmp(text, "buffer size ", 12) == 0) {
		want.port_cnt = 2;
		want.queue_cnt = 1;
		want.buf_len = number_after(text, "buffers of ");
	}
	if (want.headroom >= want.buf_len && want.buf_len != 0)
		return;
	FUZZ_CHECK(ivshmem_layout_plan(&want, &layout, &fault) == 0,
		   "\"%s\" was believed: \"%s\"", text, fault.text);
}

static void
use_the_plan(const struct ivshmem_layout *plan)
{
	const uint8_t uuid[16] = { 7 };
	struct ivshmem_layout found;
	struct ivshmem_fault fault;

	FUZZ_CHECK(region_check(plan), "the plan's pieces do not fit");
	if (plan->total_len > MAP_LEN)
		return;
	ivshmem_layout_format(map, plan, uuid);
	FUZZ_CHECK(ivshmem_layout_check(map, plan->total_len, &found, &fault) == 0,
		   "formatted, and refused: %s", fault.text);
	found.uuid[0] = 0;
	FUZZ_CHECK(memcmp(&found, plan, sizeof(found)) == 0, "another layout was found");
	madvise(map, MAP_LEN, MADV_DONTNEED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_open(data, size);
	struct ivshmem_geometry want;
	struct ivshmem_layout layout;
	struct ivshmem_fault fault = { "" };
	int ret;

	memset(&want, 0, sizeof(want));
	want.total_len = fuzz_value(&in, UINT64_C(1) << 20);
	want.port_cnt = fuzz_value(&in, 32);
	want.queue_cnt = fuzz_value(&in, 32);
	want.ring_slots = fuzz_value(&in, 32);
	want.buf_len = fuzz_value(&in, 2048) * (fuzz_u8(&in) % 2 != 0 ? IVSHMEM_ABI_LINE : 1);
	want.headroom = fuzz_value(&in, 32) * (fuzz_u8(&in) % 2 != 0 ? IVSHMEM_ABI_LINE : 1);
	ret = ivshmem_layout_plan(&want, &layout, &fault);
	if (ret == 0) {
		use_the_plan(&layout);
	} else {
		FUZZ_CHECK(ret == -EINVAL && fault.text[0] != '\0', "refused with %d", ret);
		take_the_offer(want, fault.text);
	}
	return 0;
}
