/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Entries of the forwarding database; see ivshmem_fdb.h.
 */

#include <errno.h>
#include <stdbool.h>

#include "ivshmem_fdb.h"

/* Marks: ticks 0..61 of learned addresses, and two more. */
#define IVSHMEM_FDB_TICKS	62u
#define IVSHMEM_FDB_LOOSE	62u	/* announced by a port that is gone */
#define IVSHMEM_FDB_FIRM	63u	/* announced */

static uint64_t
ivshmem_fdb_entry(uint64_t key, uint32_t mark, uint32_t slot)
{
	return key << 16 | mark << 10 | slot;
}

static uint32_t
ivshmem_fdb_mark(uint64_t entry)
{
	return entry >> 10 & 0x3f;
}

/* What is given up first: free ones, then learned ones by age, then loose ones; firm ones never. */
static uint32_t
ivshmem_fdb_worth(const struct ivshmem_fdb *fdb, uint64_t entry)
{
	const uint32_t mark = ivshmem_fdb_mark(entry);

	if (entry == 0)
		return 0;
	if (mark == IVSHMEM_FDB_FIRM)
		return UINT32_MAX;
	if (mark == IVSHMEM_FDB_LOOSE)
		return IVSHMEM_FDB_TICKS + 1;
	return IVSHMEM_FDB_TICKS -
		(ivshmem_load32(&fdb->tick) + IVSHMEM_FDB_TICKS - mark) % IVSHMEM_FDB_TICKS;
}

/* The way that holds the key, or else the one to give up; NULL when all are firm. */
static struct ivshmem_u64 *
ivshmem_fdb_place(struct ivshmem_fdb *fdb, uint64_t key)
{
	struct ivshmem_fdb_bucket *bucket = &fdb->bucket[ivshmem_fdb_hash(key)];
	struct ivshmem_u64 *place = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t way = 0; way < IVSHMEM_FDB_WAYS; way++) {
		const uint64_t entry = ivshmem_load64(&bucket->entry[way]);
		const uint32_t worth = ivshmem_fdb_worth(fdb, entry);

		if (entry >> 16 == key)
			return &bucket->entry[way];
		if (worth < least) {
			least = worth;
			place = &bucket->entry[way];
		}
	}
	return place;
}

uint32_t
ivshmem_fdb_owner(const struct ivshmem_fdb *fdb, uint64_t key)
{
	const struct ivshmem_fdb_bucket *bucket = &fdb->bucket[ivshmem_fdb_hash(key)];

	for (uint32_t way = 0; way < IVSHMEM_FDB_WAYS; way++) {
		const uint64_t entry = ivshmem_load64(&bucket->entry[way]);

		if (entry >> 16 == key && ivshmem_fdb_mark(entry) == IVSHMEM_FDB_FIRM)
			return entry & IVSHMEM_FDB_SLOT_MAX;
	}
	return IVSHMEM_FDB_NONE;
}

void
ivshmem_fdb_learn(struct ivshmem_fdb *fdb, uint64_t key, uint32_t slot)
{
	const uint64_t entry = ivshmem_fdb_entry(key, ivshmem_load32(&fdb->tick), slot);
	struct ivshmem_u64 *place;
	uint64_t found;

	if (key == 0 || (key & 1) != 0)
		return;
	place = ivshmem_fdb_place(fdb, key);
	if (place == NULL)
		return;
	found = ivshmem_load64(place);
	if (found >> 16 == key && (ivshmem_fdb_mark(found) == IVSHMEM_FDB_FIRM || found == entry))
		return;
	ivshmem_store64(place, entry);
}

int
ivshmem_fdb_announce(struct ivshmem_fdb *fdb, uint64_t key, uint32_t slot)
{
	const uint64_t entry = ivshmem_fdb_entry(key, IVSHMEM_FDB_FIRM, slot);
	struct ivshmem_fdb_bucket *bucket = &fdb->bucket[ivshmem_fdb_hash(key)];
	struct ivshmem_u64 *place = ivshmem_fdb_place(fdb, key);

	if (place == NULL)
		return -ENOSPC;
	if (ivshmem_load64(place) == entry)
		return 0;
	ivshmem_store64(place, entry);
	/* two that learned it at one moment may have left it twice */
	for (uint32_t way = 0; way < IVSHMEM_FDB_WAYS; way++)
		if (&bucket->entry[way] != place &&
		    ivshmem_load64(&bucket->entry[way]) >> 16 == key)
			ivshmem_store64(&bucket->entry[way], 0);
	return 0;
}

static struct ivshmem_u64 *
ivshmem_fdb_nth(struct ivshmem_fdb *fdb, uint32_t i)
{
	return &fdb->bucket[i / IVSHMEM_FDB_WAYS].entry[i % IVSHMEM_FDB_WAYS];
}

static bool
ivshmem_fdb_is_announced(uint64_t entry, uint32_t slot)
{
	return entry != 0 && (entry & IVSHMEM_FDB_SLOT_MAX) == slot &&
		ivshmem_fdb_mark(entry) >= IVSHMEM_FDB_LOOSE;
}

void
ivshmem_fdb_loosen(struct ivshmem_fdb *fdb, uint32_t slot)
{
	for (uint32_t i = 0; i < IVSHMEM_FDB_SIZE; i++) {
		struct ivshmem_u64 *place = ivshmem_fdb_nth(fdb, i);
		const uint64_t entry = ivshmem_load64(place);

		if (ivshmem_fdb_is_announced(entry, slot))
			ivshmem_store64(place, ivshmem_fdb_entry(entry >> 16, IVSHMEM_FDB_LOOSE,
								 slot));
	}
}

void
ivshmem_fdb_withdraw(struct ivshmem_fdb *fdb, uint32_t slot, const uint64_t *keep,
		     uint32_t keep_cnt)
{
	for (uint32_t i = 0; i < IVSHMEM_FDB_SIZE; i++) {
		struct ivshmem_u64 *place = ivshmem_fdb_nth(fdb, i);
		const uint64_t entry = ivshmem_load64(place);
		bool kept = false;

		for (uint32_t k = 0; k < keep_cnt; k++)
			kept |= keep[k] == entry >> 16;
		if (!kept && ivshmem_fdb_is_announced(entry, slot))
			ivshmem_store64(place, 0);
	}
}

void
ivshmem_fdb_age(struct ivshmem_fdb *fdb)
{
	const uint32_t tick = (ivshmem_load32(&fdb->tick) + 1) % IVSHMEM_FDB_TICKS;

	ivshmem_store32(&fdb->tick, tick);
	for (uint32_t i = 0; i < IVSHMEM_FDB_SIZE; i++) {
		struct ivshmem_u64 *place = ivshmem_fdb_nth(fdb, i);
		const uint64_t entry = ivshmem_load64(place);
		const uint32_t mark = ivshmem_fdb_mark(entry);

		if (entry != 0 && mark < IVSHMEM_FDB_TICKS &&
		    (tick + IVSHMEM_FDB_TICKS - mark) % IVSHMEM_FDB_TICKS > IVSHMEM_FDB_AGE_MAX)
			ivshmem_store64(place, 0);
	}
}
