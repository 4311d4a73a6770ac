/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * ivshmem_layout_check() against regions that somebody damaged or made up: it refuses and names
 * the field, or what it accepts lies inside the region. The mapping ends at a page that cannot be
 * read, so that a look past mapped_len ends the program.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region.h"

#define TOTAL	(UINT64_C(1) << 20)
#define PAGE	4096

struct field {
	const char *name;
	size_t off;
	size_t len;
};

#define SUPER(name) { #name, offsetof(struct ivshmem_superblock_shm, name), \
		      sizeof(((struct ivshmem_superblock_shm *)NULL)->name) }
#define SECTION(name) { #name, offsetof(struct ivshmem_section_shm, name), \
			sizeof(((struct ivshmem_section_shm *)NULL)->name) }

static const struct field super_fields[] = {
	SUPER(hdr_len), SUPER(total_len), SUPER(section_off), SUPER(section_len), SUPER(port_cnt),
	SUPER(queue_cnt), SUPER(line_len), SUPER(granule), SUPER(ring_slots), SUPER(buf_len),
	SUPER(buf_cnt), SUPER(headroom), SUPER(rxq_off), SUPER(prod_off), SUPER(cons_off),
	SUPER(slot_len), SUPER(ring_off), SUPER(ring_len), SUPER(buf_off), SUPER(slot_off),
};

static const struct field section_fields[] = {
	SECTION(magic), SECTION(slot), SECTION(hdr_len), SECTION(section_len), SECTION(rxq_off),
	SECTION(prod_off), SECTION(cons_off), SECTION(ring_slots), SECTION(ring_off),
	SECTION(ring_len), SECTION(buf_off), SECTION(buf_len), SECTION(buf_cnt), SECTION(headroom),
};

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t *guard;		/* first byte that cannot be read */
static uint8_t *region;		/* TOTAL bytes before it */
static uint8_t *good;		/* a private copy of the headers */
static struct ivshmem_layout planned;
static uint64_t headers_len;
static uint64_t accepted;
static uint64_t refused;

static uint64_t
get(const uint8_t *at, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, at, len);
	return value;
}

static void
restore(void)
{
	memcpy(region, good, headers_len);
}

static bool
setup(void)
{
	const struct ivshmem_geometry want = { .total_len = TOTAL, .port_cnt = 3, .queue_cnt = 2 };
	const uint8_t uuid[16] = { 1 };
	struct ivshmem_fault fault = { "" };

	region = mmap(NULL, TOTAL + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (!CHECK(region != MAP_FAILED))
		return false;
	guard = region + TOTAL;
	if (!CHECK(mprotect(guard, PAGE, PROT_NONE) == 0) ||
	    !CHECK_MSG(ivshmem_layout_plan(&want, &planned, &fault) == 0, "%s", fault.text))
		return false;
	ivshmem_layout_format(region, &planned, uuid);
	headers_len = planned.section_off + planned.port_cnt * planned.section_len;
	good = malloc(headers_len);
	if (!CHECK(good != NULL))
		return false;
	memcpy(good, region, headers_len);
	return true;
}

static bool
names_a_field(const char *text)
{
	for (size_t i = 0; i < CNT(super_fields); i++)
		if (strstr(text, super_fields[i].name) != NULL)
			return true;
	return strstr(text, "magic") != NULL || strstr(text, "slot ") != NULL;
}

/* Check the region; what is accepted must lie inside. Returns what check said. */
static int
look(struct ivshmem_fault *fault)
{
	struct ivshmem_layout layout;
	int ret;

	fault->text[0] = '\0';
	ret = ivshmem_layout_check(region, TOTAL, &layout, fault);
	if (ret == 0) {
		accepted++;
		region_check(&layout);
		return 0;
	}
	refused++;
	CHECK_MSG(strlen(fault->text) > 0 && strlen(fault->text) < sizeof(fault->text) - 1,
		  "error %d with text \"%s\"", ret, fault->text);
	return ret;
}

/* Values at the edges of types, limits and of the good value. */
static size_t
edges(uint64_t value, uint64_t *out)
{
	const uint64_t list[] = {
		0, 1, 2, 3, 15, 16, 17, 31, 32, 63, 64, 127, 128, 129, 255, 256, 4095, 4096, 4097,
		8192, 32768, 65472, 65536, TOTAL / 2, TOTAL - 4096, TOTAL - 64, TOTAL - 1, TOTAL,
		TOTAL + 1, TOTAL + 4096, TOTAL * 2, INT32_MAX, UINT64_C(1) << 31, UINT32_MAX - 4095,
		UINT32_MAX - 63, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63,
		UINT64_MAX - 4095, UINT64_MAX - 63, UINT64_MAX,
		value - 4096, value - 128, value - 64, value - 1, value + 1, value + 64,
		value + 128, value + 4096, value / 2, value * 2, value * 3, ~value, value << 16,
		value << 32,
	};

	memcpy(out, list, sizeof(list));
	return CNT(list);
}

/* Each field of the superblock, alone. */
static void
superblock(void)
{
	for (size_t i = 0; i < CNT(super_fields); i++) {
		const struct field *field = &super_fields[i];
		const uint64_t value = get(region + field->off, field->len);
		uint64_t values[64];
		const size_t cnt = edges(value, values);

		for (size_t j = 0; j < cnt; j++) {
			struct ivshmem_fault fault;
			int ret;

			memcpy(region + field->off, &values[j], field->len);
			ret = look(&fault);
			if (get(region + field->off, field->len) == value)
				CHECK_EQ(ret, 0);
			else if (ret != 0)
				CHECK_MSG(ret == -EINVAL && names_a_field(fault.text),
					  "%s %" PRIu64 ": error %d names no field: %s",
					  field->name, values[j], ret, fault.text);
			memcpy(region + field->off, &value, field->len);
		}
	}
}

/* Each field of each section's header: it differs from the superblock. */
static void
sections(void)
{
	for (uint32_t slot = 0; slot < planned.port_cnt; slot++)
		for (size_t i = 0; i < CNT(section_fields); i++) {
			const struct field *field = &section_fields[i];
			uint8_t *at = (uint8_t *)ivshmem_layout_section(region, &planned, slot) +
				field->off;
			const uint64_t value = get(at, field->len);
			uint64_t values[64];
			const size_t cnt = edges(value, values);
			char section[24];

			snprintf(section, sizeof(section), "section %u", slot);
			for (size_t j = 0; j < cnt; j++) {
				struct ivshmem_fault fault;

				memcpy(at, &values[j], field->len);
				if (get(at, field->len) == value) {
					CHECK_EQ(look(&fault), 0);
					continue;
				}
				CHECK_EQ(look(&fault), -EINVAL);
				CHECK_HAS(fault.text, section);
				CHECK_HAS(fault.text, field->name);
			}
			memcpy(at, &value, field->len);
		}
}

/* Write the section headers that fit a made-up superblock, as far as they lie in the region. */
static void
match_sections(void)
{
	const struct ivshmem_superblock_shm *super = (const void *)region;

	for (uint64_t slot = 0; slot < super->port_cnt && slot < 1024; slot++) {
		const uint64_t off = super->section_off + slot * super->section_len;
		struct ivshmem_section_shm *section;

		if (off % 8 != 0 || off < sizeof(*super) || off > TOTAL - sizeof(*section))
			continue;
		section = (void *)(region + off);
		section->magic = IVSHMEM_ABI_SECTION_MAGIC;
		section->slot = slot;
		section->hdr_len = sizeof(*section);
		section->section_len = super->section_len;
		section->rxq_off = super->rxq_off;
		section->prod_off = super->prod_off;
		section->cons_off = super->cons_off;
		section->ring_slots = super->ring_slots;
		section->ring_off = super->ring_off;
		section->ring_len = super->ring_len;
		section->buf_off = super->buf_off;
		section->buf_len = super->buf_len;
		section->buf_cnt = super->buf_cnt;
		section->headroom = super->headroom;
	}
}

/* A formatter that makes up several fields, and headers that fit them. */
static void
made_up(void)
{
	uint64_t random = 12345;
	uint64_t before;

	restore();
	before = accepted;
	for (int i = 0; i < 20000; i++) {
		struct ivshmem_fault fault;

		for (int fields = 1 + i % 3; fields > 0; fields--) {
			const struct field *field;
			uint64_t values[64];
			size_t cnt;

			random = random * 6364136223846793005 + 1442695040888963407;
			field = &super_fields[(random >> 33) % CNT(super_fields)];
			cnt = edges(get(good + field->off, field->len), values);
			memcpy(region + field->off, &values[(random >> 45) % cnt], field->len);
		}
		match_sections();
		if (look(&fault) != 0)
			CHECK_MSG(names_a_field(fault.text), "names no field: %s", fault.text);
		restore();
	}
	CHECK(accepted - before > 100);
}

/*
 * A region of which no frame could be sent: the first piece of a frame has 14 bytes at least, and
 * all have to fit behind the headroom.
 */
static void
no_room_for_a_frame(void)
{
	struct ivshmem_superblock_shm *super = (void *)region;

	for (uint32_t room = 1; room < IVSHMEM_ABI_FRAME_MIN; room++) {
		struct ivshmem_fault fault = { "" };

		restore();
		super->headroom = super->buf_len - room;
		match_sections();
		CHECK_MSG(look(&fault) == -EINVAL, "accepted: headroom %u of buffers of %u",
			  super->headroom, super->buf_len);
	}
	restore();
}

static void
reserved_is_ignored(void)
{
	struct ivshmem_superblock_shm *super = (void *)region;
	struct ivshmem_section_shm *section = ivshmem_layout_section(region, &planned, 1);
	struct ivshmem_fault fault;

	memset(super->reserved0, 0xff, sizeof(super->reserved0));
	memset(super->reserved1, 0xff, sizeof(super->reserved1));
	memset(section->reserved0, 0xff, sizeof(section->reserved0));
	memset(&section->nonce, 0xff, sizeof(*section) - offsetof(struct ivshmem_section_shm,
								  nonce));
	super->server_epoch.raw = UINT64_MAX;
	super->minor = 9;
	super->feat_compat = UINT64_MAX;
	super->hdr_len = 512;
	CHECK_EQ(look(&fault), 0);
	restore();
}

static void
versions(void)
{
	struct ivshmem_superblock_shm *super = (void *)region;
	struct ivshmem_fault fault;

	super->major = 2;
	super->minor = 7;
	CHECK_EQ(look(&fault), -EPROTO);
	CHECK_HAS(fault.text, "2.7");
	super->major = 0;
	CHECK_EQ(look(&fault), -EPROTO);
	restore();
	for (int bit = 0; bit < 64; bit++) {
		char word[24];

		snprintf(word, sizeof(word), "0x%" PRIx64, UINT64_C(1) << bit);
		super->feat_ro = UINT64_C(1) << bit;
		CHECK_EQ(look(&fault), -EPROTO);
		CHECK_HAS(fault.text, word);
		super->feat_ro = 0;
		super->feat_incompat = UINT64_C(1) << bit;
		CHECK_EQ(look(&fault), -EPROTO);
		CHECK_HAS(fault.text, word);
		super->feat_incompat = 0;
	}
	restore();
}

/* Somebody else's memory: no region at all, whatever stands behind the first 8 bytes. */
static void
foreign(void)
{
	const uint64_t magics[] = { 0, UINT64_MAX, 0x4956534d4d454e54, 0x4956534853484d45,
				    IVSHMEM_ABI_MAGIC ^ 1, IVSHMEM_ABI_SECTION_MAGIC,
				    __builtin_bswap64(IVSHMEM_ABI_MAGIC) };
	struct ivshmem_fault fault;
	uint32_t random = 1;

	for (size_t i = 0; i < CNT(magics); i++) {
		memcpy(region, &magics[i], sizeof(magics[i]));
		CHECK(!ivshmem_layout_is_ours(region, TOTAL));
		CHECK_EQ(look(&fault), -ENODEV);
	}
	for (size_t i = 0; i < headers_len; i++) {
		random = random * 1664525 + 1013904223;
		region[i] = random >> 24;
	}
	CHECK_EQ(look(&fault), -ENODEV);
	restore();
	CHECK(ivshmem_layout_is_ours(region, TOTAL));
}

/* Less is mapped than was formatted: refused without a look past the mapping. */
static void
truncated(void)
{
	static const uint64_t lens[] = { 0, 8, 16, 128, 248, 256, 264, 4088, 4096, 4104, 8192,
					 65536, TOTAL / 2, TOTAL - 4096, TOTAL - 8 };

	for (size_t i = 0; i < CNT(lens); i++) {
		uint8_t *base = guard - lens[i];
		struct ivshmem_fault fault = { "" };
		struct ivshmem_layout layout;
		int ret;

		memcpy(base, good, lens[i] < headers_len ? lens[i] : headers_len);
		CHECK_EQ(ivshmem_layout_is_ours(base, lens[i]), lens[i] >= 256);
		ret = ivshmem_layout_check(base, lens[i], &layout, &fault);
		CHECK_MSG(ret == (lens[i] < 256 ? -ENODEV : -EINVAL), "%" PRIu64
			  " bytes: error %d, %s", lens[i], ret, fault.text);
		if (lens[i] >= 256) {
			CHECK_HAS(fault.text, "1048576");
			CHECK_HAS(fault.text, "total_len");
		}
		restore();
	}
}

/* More is mapped than was formatted, or a superblock that claims more than is mapped. */
static void
wrong_total(void)
{
	struct ivshmem_superblock_shm *super = (void *)region;
	struct ivshmem_fault fault;

	restore();
	super->total_len = TOTAL / 2;
	CHECK_EQ(look(&fault), -EINVAL);
	CHECK_HAS(fault.text, "total_len 524288");
	super->total_len = TOTAL * 2;
	CHECK_EQ(look(&fault), -EINVAL);
	CHECK_HAS(fault.text, "total_len 2097152");
	restore();
	CHECK_EQ(look(&fault), 0);
}

/* The format has only powers of two from 1 MiB on, even where everything lies inside. */
static void
odd_total(void)
{
	static const uint32_t sections[] = { 3, 4 };

	for (size_t i = 0; i < CNT(sections); i++) {
		struct ivshmem_superblock_shm *super = (void *)region;
		struct ivshmem_fault fault = { "" };
		struct ivshmem_layout layout;

		restore();
		super->section_len = i == 0 ? planned.section_len : planned.section_len / 2;
		super->section_off = super->section_len;
		super->port_cnt = 2;
		super->buf_cnt = 32;
		super->total_len = sections[i] * super->section_len;
		match_sections();
		CHECK_MSG(ivshmem_layout_check(region, super->total_len, &layout, &fault) ==
			  -EINVAL, "accepted: total_len %" PRIu64, super->total_len);
		CHECK_HAS(fault.text, "total_len");
	}
	restore();
}

int
main(void)
{
	if (setup()) {
		superblock();
		sections();
		made_up();
		no_room_for_a_frame();
		reserved_is_ignored();
		versions();
		foreign();
		truncated();
		wrong_total();
		odd_total();
		printf("%" PRIu64 " accepted, %" PRIu64 " refused\n", accepted, refused);
		munmap(region, TOTAL + PAGE);
		free(good);
	}
	return check_exit();
}
