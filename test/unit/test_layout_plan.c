/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * ivshmem_layout_plan() over all that can be asked for: what it plans fits, and is what format
 * writes and check accepts; what it refuses it explains, and its advice can be followed.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "region.h"

/* Formats that write more than this are left out, they only repeat the others. */
#define HEADERS_MAX	(UINT64_C(1) << 20)

static const uint32_t rings[] = { 0, 32, 64, 256, 1024, 4096, 32768 };

static uint64_t planned;
static uint64_t refused;
static uint64_t formatted;

static const char *
told(const struct ivshmem_geometry *want)
{
	static char text[160];

	snprintf(text, sizeof(text),
		 "size %" PRIu64 " ports %u queues %u ring %u buf %u headroom %u", want->total_len,
		 want->port_cnt, want->queue_cnt, want->ring_slots, want->buf_len, want->headroom);
	return text;
}

/* What was asked for is what was planned. */
static bool
kept(const struct ivshmem_geometry *want, const struct ivshmem_layout *layout)
{
	return layout->total_len == want->total_len &&
		layout->port_cnt == (want->port_cnt != 0 ? want->port_cnt : 2) &&
		(want->queue_cnt == 0 || layout->queue_cnt == want->queue_cnt) &&
		(want->ring_slots == 0 || layout->ring_slots == want->ring_slots) &&
		(want->buf_len == 0 || layout->buf_len == want->buf_len) &&
		(want->headroom == 0 || layout->headroom == want->headroom);
}

/* The number that follows the word, or 0. */
static uint64_t
number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at == NULL ? 0 : strtoull(at + strlen(word), NULL, 10);
}

/* The number before the last occurrence of the word that has one; 0 when none has. */
static uint64_t
number_before(const char *text, const char *word)
{
	uint64_t number = 0;

	for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
		const char *digits = at;

		while (digits > text && digits[-1] >= '0' && digits[-1] <= '9')
			digits--;
		if (digits < at)
			number = strtoull(digits, NULL, 10);
	}
	return number;
}

/* The option that the text blames: its value in the text, and as it was asked for. */
static uint32_t
blamed(const struct ivshmem_geometry *want, const char *text, uint64_t *value)
{
	const struct {
		const char *word;
		uint32_t given;
	} options[] = {
		{ "ring size ", want->ring_slots }, { "queues ", want->queue_cnt },
		{ "ports ", want->port_cnt }, { "buffer size ", want->buf_len },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strncmp(text, options[i].word, strlen(options[i].word)) == 0) {
			*value = number_after(text, options[i].word);
			return options[i].given;
		}
	}
	return 0;
}

/*
 * The text starts with an option that was given and its value, and ends with "N ports", "N queues",
 * "rings of N" or "buffers of N" that fit, all that it names together.
 */
static void
check_advice(const struct ivshmem_geometry *want, const struct ivshmem_fault *fault)
{
	const uint64_t ports = number_before(fault->text, " ports");
	const uint64_t queues = number_before(fault->text, " queues");
	const uint64_t ring = number_after(fault->text, "rings of ");
	const uint64_t buf = number_after(fault->text, "buffers of ");
	struct ivshmem_geometry other = *want;
	struct ivshmem_fault again = { "" };
	struct ivshmem_layout layout;
	uint64_t value = 0;
	const uint32_t given = blamed(want, fault->text, &value);

	CHECK_MSG(given != 0 && given == value, "%s: blames nothing that was asked for: %s",
		  told(want), fault->text);
	CHECK_MSG(strlen(fault->text) < sizeof(fault->text) - 1, "cut off: %s", fault->text);
	other.port_cnt = ports != 0 ? ports : want->port_cnt;
	other.queue_cnt = queues != 0 ? queues : want->queue_cnt;
	other.ring_slots = ring != 0 ? ring : want->ring_slots;
	other.buf_len = buf != 0 ? buf : want->buf_len;
	CHECK_MSG(ivshmem_layout_plan(&other, &layout, &again) == 0,
		  "%s: advice \"%s\"; followed: \"%s\"", told(want), fault->text, again.text);
}

/* Format sparse memory, check it as a stranger would. */
static void
check_format(const struct ivshmem_geometry *want, const struct ivshmem_layout *layout)
{
	static const uint8_t uuid[16] = { 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	struct ivshmem_fault fault = { "" };
	struct ivshmem_layout found;
	void *base;

	if (layout->ring_off * layout->port_cnt > HEADERS_MAX)
		return;
	base = mmap(NULL, layout->total_len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!CHECK(base != MAP_FAILED))
		return;
	formatted++;
	ivshmem_layout_format(base, layout, uuid);
	memset(&found, 0xff, sizeof(found));
	CHECK_MSG(ivshmem_layout_check(base, layout->total_len, &found, &fault) == 0, "%s: %s",
		  told(want), fault.text);
	CHECK(memcmp(found.uuid, uuid, sizeof(uuid)) == 0);
	memcpy(found.uuid, layout->uuid, sizeof(found.uuid));
	CHECK_MSG(memcmp(&found, layout, sizeof(found)) == 0, "%s: found another layout",
		  told(want));
	munmap(base, layout->total_len);
}

static int
plan(const struct ivshmem_geometry *want, struct ivshmem_layout *layout)
{
	struct ivshmem_fault fault = { "" };
	const int ret = ivshmem_layout_plan(want, layout, &fault);

	if (ret != 0) {
		refused++;
		CHECK_EQ(ret, -EINVAL);
		check_advice(want, &fault);
		return ret;
	}
	planned++;
	if (!region_check(layout) || !CHECK(kept(want, layout)) ||
	    !CHECK(layout->buf_cnt >= layout->ring_slots))
		printf("  %s\n", told(want));
	return 0;
}

/* All sizes, ports, queues and rings. */
static void
plans(void)
{
	for (uint64_t size = 1 << 20; size <= 1 << 30; size *= 2)
		for (uint32_t ports = 0; ports <= 64; ports += ports == 0 ? 2 : 1)
			for (uint32_t queues = 0; queues <= 16; queues++)
				for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
					const struct ivshmem_geometry want = {
						.total_len = size, .port_cnt = ports,
						.queue_cnt = queues, .ring_slots = rings[i],
					};
					struct ivshmem_layout layout;

					if (plan(&want, &layout) == 0 && i % 3 == 0 &&
					    (ports & (ports - 1)) == 0)
						check_format(&want, &layout);
				}
}

static void
buffers(void)
{
	static const uint32_t lens[] = { 256, 1920, 2048, 9728, 65472 };
	static const uint32_t headrooms[] = { 0, 128, 192 };

	for (uint64_t size = 1 << 20; size <= 1 << 30; size *= 4)
		for (uint32_t ports = 2; ports <= 32; ports *= 2)
			for (uint32_t queues = 1; queues <= 16; queues *= 4)
				for (size_t i = 0; i < 5 * 3; i++) {
					const struct ivshmem_geometry want = {
						.total_len = size, .port_cnt = ports,
						.queue_cnt = queues, .buf_len = lens[i % 5],
						.headroom = headrooms[i / 5],
					};
					struct ivshmem_layout layout;

					plan(&want, &layout);
				}
}

/* Large regions of many ports get the queues that fit, if the caller leaves it open. */
static void
defaults(void)
{
	for (uint64_t size = 1 << 20; size <= UINT64_C(1) << 40; size *= 2)
		for (uint32_t ports = 2; ports <= 1024; ports *= 2) {
			struct ivshmem_geometry want = { .total_len = size, .port_cnt = ports };
			struct ivshmem_fault fault = { "" };
			struct ivshmem_layout layout;
			int one;

			want.queue_cnt = 1;
			one = ivshmem_layout_plan(&want, &layout, &fault);
			want.queue_cnt = 0;
			if (one == 0)
				CHECK_MSG(ivshmem_layout_plan(&want, &layout, &fault) == 0,
					  "%s: one queue fits, but the default is refused: %s",
					  told(&want), fault.text);
			else
				plan(&want, &layout);
		}
}

/* Values that no size could make possible: the text has the option, the value and the limits. */
static void
impossible(void)
{
	static const struct {
		struct ivshmem_geometry want;
		const char *words[4];
	} cases[] = {
		{ { .total_len = 0 }, { "size 0", "1M", "1T" } },
		{ { .total_len = 4096 }, { "size 4096", "1048576" } },
		{ { .total_len = (1 << 20) - 1 }, { "size 1048575", "1048576" } },
		{ { .total_len = 3 << 20 }, { "size 3145728", "2097152", "4194304" } },
		{ { .total_len = (64 << 20) + 1 }, { "size 67108865", "67108864", "134217728" } },
		{ { .total_len = UINT64_C(1) << 41 }, { "size 2199023255552", "1099511627776" } },
		{ { .total_len = UINT64_MAX }, { "size 18446744073709551615", "1T" } },
		{ { .total_len = 1 << 20, .port_cnt = 1 }, { "ports 1 ", "2..1024" } },
		{ { .total_len = 1 << 20, .port_cnt = 1025 }, { "ports 1025 ", "2..1024" } },
		{ { .total_len = 1 << 20, .port_cnt = UINT32_MAX }, { "ports 4294967295 " } },
		{ { .total_len = 1 << 20, .queue_cnt = 17 }, { "queues 17 ", "1..16" } },
		{ { .total_len = 1 << 20, .ring_slots = 100 }, { "ring size 100 ", "32..32768" } },
		{ { .total_len = 1 << 20, .ring_slots = 16 }, { "ring size 16 ", "32..32768" } },
		{ { .total_len = 1 << 20, .ring_slots = 65536 }, { "ring size 65536 " } },
		{ { .total_len = 1 << 20, .buf_len = 1900 }, { "buffer size 1900 ", "64" } },
		{ { .total_len = 1 << 20, .buf_len = 192 }, { "buffer size 192 ", "256..65472" } },
		{ { .total_len = 1 << 20, .buf_len = 65536 }, { "buffer size 65536 ", "65472" } },
		{ { .total_len = 1 << 20, .headroom = 64 }, { "headroom 64 ", "128" } },
		{ { .total_len = 1 << 20, .headroom = 130 }, { "headroom 130 ", "64" } },
		{ { .total_len = 1 << 20, .headroom = 1920 }, { "headroom 1920 ", "1920" } },
		{ { .total_len = 1 << 20, .buf_len = 256, .headroom = 256 }, { "headroom 256 " } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ivshmem_fault fault = { "" };
		struct ivshmem_layout layout;

		CHECK_MSG(ivshmem_layout_plan(&cases[i].want, &layout, &fault) == -EINVAL,
			  "accepted: %s", told(&cases[i].want));
		for (int j = 0; j < 4 && cases[i].words[j] != NULL; j++)
			CHECK_HAS(fault.text, cases[i].words[j]);
	}
}

int
main(void)
{
	plans();
	buffers();
	defaults();
	impossible();
	printf("%" PRIu64 " planned, %" PRIu64 " refused, %" PRIu64 " formatted\n", planned,
	       refused, formatted);
	CHECK(planned > 10000 && refused > 1000 && formatted > 100);
	return check_exit();
}
