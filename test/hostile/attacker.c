/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A hostile peer: joins a region's file as one of its ports and attacks the others, port 0 first.
 *
 * Usage: ivshmem-attacker FILE SLOT KIND own|all SEED WRITES CELL SECONDS PROGRESS
 *   KIND      random, fields, rewrite, replay, claim, flood; rate-scribble and rate-share measure
 *             what others lose, until SECONDS are over
 *   own|all   stores go only to the own section, or everywhere in the region
 *   SEED      the same seed makes the same stores in the same order; when is the scheduler's affair
 *   WRITES    hostile stores, at least; it also goes on until some thousand of the victim's packets
 *             have passed
 *   CELL      fields: stores of each field and value while the victim's packets advance, at least
 *   SECONDS   bound; exit status 3 when it ends the attack
 *   PROGRESS  file with the victim's count of packets, see victim.h
 * No DPDK, and no order in what it does but the compiler's. The last line says what was done.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "attacker.h"

#define HOSTILE_PACKETS_MIN 10000u
#define HOSTILE_PACKETS_MIN_ALL 1000u	/* most of the time nobody can send */
#define HOSTILE_CALM_BATCHES 2048u

static const struct {
	const char *name;
	void (*batch)(struct hostile *attacker);
} hostile_kinds[] = {
	{ "random", kind_random },
	{ "fields", kind_fields },
	{ "rewrite", kind_rewrite },
	{ "replay", kind_replay },
	{ "claim", kind_claim },
	{ "flood", kind_flood },
	{ "rate-scribble", rate_scribble },
	{ "rate-share", rate_share },
};

uint64_t
hostile_random(struct hostile *attacker)
{
	attacker->random ^= attacker->random >> 12;	/* xorshift64* */
	attacker->random ^= attacker->random << 25;
	attacker->random ^= attacker->random >> 27;
	return attacker->random * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t
hostile_below(struct hostile *attacker, uint64_t limit)
{
	return (hostile_random(attacker) >> 16) % limit;
}

uint64_t
hostile_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Everything but the buffers' bytes. */
static bool
hostile_is_control(const struct hostile *attacker, const void *place)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	const uint64_t off = (const uint8_t *)place - attacker->base;

	return off < layout->section_off ||
		(off - layout->section_off) % layout->section_len < layout->buf_off;
}

void
hostile_store(struct hostile *attacker, void *place, uint32_t len, uint64_t value)
{
	if (attacker->shadow != NULL) {
		place = attacker->shadow + ((uint8_t *)place - attacker->base);
	} else {
		attacker->writes++;
		attacker->control += hostile_is_control(attacker, place);
	}
	switch (len) {
	case 1:
		*(volatile uint8_t *)place = value;
		break;
	case 2:
		*(volatile uint16_t *)place = value;
		break;
	case 4:
		*(volatile uint32_t *)place = value;
		break;
	default:
		*(volatile uint64_t *)place = value;
		break;
	}
}

uint64_t
hostile_load(const void *place, uint32_t len)
{
	switch (len) {
	case 1:
		return *(const volatile uint8_t *)place;
	case 2:
		return *(const volatile uint16_t *)place;
	case 4:
		return *(const volatile uint32_t *)place;
	default:
		return *(const volatile uint64_t *)place;
	}
}

uint32_t
hostile_other(struct hostile *attacker)
{
	uint32_t other = hostile_below(attacker, 2) == 0 ? 0 :
		hostile_below(attacker, attacker->layout.port_cnt);

	return other == attacker->port.slot ? 0 : other;
}

struct ivshmem_section_shm *
hostile_section(struct hostile *attacker)
{
	if (!attacker->everywhere)
		return attacker->port.section;
	return ivshmem_layout_section(attacker->base, &attacker->layout,
				      hostile_below(attacker, attacker->layout.port_cnt));
}

static const volatile uint64_t *
hostile_map_progress(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static void
hostile_report(const struct hostile *attacker, uint64_t progress, bool done)
{
	uint64_t taken = 0;

	for (uint32_t i = 0; i < HOSTILE_PORTS_MAX; i++)
		taken += attacker->way[i].taken;
	printf("done=%d writes=%" PRIu64 " control=%" PRIu64 " victim_packets=%" PRIu64
	       " frames_sent=%" PRIu32 " frames_taken=%" PRIu64 "\n", done, attacker->writes,
	       attacker->control, *attacker->progress - progress, attacker->seq, taken);
}

int
main(int argc, char **argv)
{
	static struct hostile attacker;
	void (*batch)(struct hostile *attacker) = NULL;
	uint64_t writes;
	uint64_t end_ms;
	uint64_t packets;
	uint64_t progress;
	bool done = false;
	bool rates;

	for (size_t i = 0; argc == 10 && i < sizeof(hostile_kinds) / sizeof(*hostile_kinds); i++)
		if (strcmp(argv[3], hostile_kinds[i].name) == 0)
			batch = hostile_kinds[i].batch;
	if (batch == NULL) {
		fprintf(stderr, "usage: ivshmem-attacker FILE SLOT KIND own|all SEED WRITES CELL "
			"SECONDS PROGRESS\n");
		return 2;
	}
	attacker.everywhere = strcmp(argv[4], "all") == 0;
	packets = attacker.everywhere ? HOSTILE_PACKETS_MIN_ALL : HOSTILE_PACKETS_MIN;
	attacker.random = strtoull(argv[5], NULL, 0) * 2 + 1;
	writes = strtoull(argv[6], NULL, 0);
	attacker.cell_min = strtoull(argv[7], NULL, 0);
	end_ms = hostile_now_ms() + strtoull(argv[8], NULL, 0) * 1000;
	attacker.progress = hostile_map_progress(argv[9]);
	if (attacker.progress == NULL) {
		perror(argv[9]);
		return 2;
	}
	if (honest_join(&attacker, argv[1], strtoul(argv[2], NULL, 0)) != 0)
		return 1;
	progress = *attacker.progress;
	rates = batch == rate_scribble || batch == rate_share;
	for (uint64_t batches = 1; !done && hostile_now_ms() < end_ms; batches++) {
		batch(&attacker);
		if (attacker.everywhere && batches % HOSTILE_CALM_BATCHES == 0)
			honest_calm(&attacker);
		done = !rates && attacker.writes >= writes &&
			*attacker.progress - progress >= packets &&
			(batch != kind_fields || cells_done(&attacker));
	}
	if (batch == kind_fields)
		cells_print(&attacker);
	hostile_report(&attacker, progress, done);
	if (rates)
		rate_print();
	return done || rates ? 0 : 3;
}
