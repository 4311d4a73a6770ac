/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The forwarding database: what is learned, announced, loosened and aged; and that a flood of
 * invented addresses evicts no announced one.
 */

#include "check.h"
#include "ivshmem_fdb.h"

static struct ivshmem_fdb fdb;

static uint64_t
key(uint32_t number)
{
	const uint8_t mac[6] = { 2, 0, (uint8_t)(number >> 24), (uint8_t)(number >> 16),
		(uint8_t)(number >> 8), (uint8_t)number };

	return ivshmem_fdb_key(mac);
}

static void
clear(void)
{
	memset(&fdb, 0, sizeof(fdb));
}

static void
age(uint32_t ticks)
{
	while (ticks-- > 0)
		ivshmem_fdb_age(&fdb);
}

static void
test_learn(void)
{
	const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 };

	clear();
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == IVSHMEM_FDB_NONE);
	ivshmem_fdb_learn(&fdb, key(1), 7);
	ivshmem_fdb_learn(&fdb, key(2), 1023);
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 7);
	CHECK(ivshmem_fdb_find(&fdb, key(2)) == 1023);
	ivshmem_fdb_learn(&fdb, key(1), 8);	/* it moved */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 8);
	ivshmem_fdb_learn(&fdb, ivshmem_fdb_key(group), 3);
	CHECK(ivshmem_fdb_find(&fdb, ivshmem_fdb_key(group)) == IVSHMEM_FDB_NONE);
	ivshmem_fdb_learn(&fdb, 0, 3);
	CHECK(ivshmem_fdb_find(&fdb, 0) == IVSHMEM_FDB_NONE);
	CHECK(ivshmem_fdb_owner(&fdb, key(1)) == IVSHMEM_FDB_NONE);
}

/* Learned addresses are forgotten AGE_MAX ticks after they were seen last, at any tick. */
static void
test_age(void)
{
	for (uint32_t start = 0; start < 130; start++) {
		clear();
		age(start);
		ivshmem_fdb_learn(&fdb, key(1), 1);
		CHECK(ivshmem_fdb_announce(&fdb, key(2), 2) == 0);
		age(IVSHMEM_FDB_AGE_MAX / 2);
		ivshmem_fdb_learn(&fdb, key(3), 3);
		age(IVSHMEM_FDB_AGE_MAX / 2);
		CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);
		age(1);
		CHECK(ivshmem_fdb_find(&fdb, key(1)) == IVSHMEM_FDB_NONE);
		CHECK(ivshmem_fdb_find(&fdb, key(3)) == 3);
		ivshmem_fdb_learn(&fdb, key(3), 3);	/* seen again */
		age(IVSHMEM_FDB_AGE_MAX);
		CHECK(ivshmem_fdb_find(&fdb, key(3)) == 3);
		age(100);
		CHECK(ivshmem_fdb_find(&fdb, key(3)) == IVSHMEM_FDB_NONE);
		CHECK(ivshmem_fdb_find(&fdb, key(2)) == 2);
	}
}

static void
test_announce(void)
{
	uint64_t keep;

	clear();
	ivshmem_fdb_learn(&fdb, key(1), 5);
	CHECK(ivshmem_fdb_announce(&fdb, key(1), 1) == 0);	/* wins over a learned one */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);
	CHECK(ivshmem_fdb_owner(&fdb, key(1)) == 1);
	ivshmem_fdb_learn(&fdb, key(1), 5);			/* and stays */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);

	ivshmem_fdb_loosen(&fdb, 1);	/* gone: frames for it still find it */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);
	CHECK(ivshmem_fdb_owner(&fdb, key(1)) == IVSHMEM_FDB_NONE);
	ivshmem_fdb_learn(&fdb, key(1), 5);	/* until somebody else uses the address */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 5);
	CHECK(ivshmem_fdb_announce(&fdb, key(1), 1) == 0);	/* it is back */
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);

	CHECK(ivshmem_fdb_announce(&fdb, key(2), 1) == 0);
	CHECK(ivshmem_fdb_announce(&fdb, key(3), 2) == 0);
	ivshmem_fdb_learn(&fdb, key(4), 1);
	keep = key(2);
	ivshmem_fdb_withdraw(&fdb, 1, &keep, 1);
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == IVSHMEM_FDB_NONE);
	CHECK(ivshmem_fdb_find(&fdb, key(2)) == 1);
	CHECK(ivshmem_fdb_find(&fdb, key(3)) == 2);
	CHECK(ivshmem_fdb_find(&fdb, key(4)) == 1);	/* learned, not announced */
}

/* An address that two threads learned into two ways at one moment is cleaned up. */
static void
test_twice(void)
{
	struct ivshmem_fdb_bucket *bucket;

	clear();
	bucket = &fdb.bucket[ivshmem_fdb_hash(key(1))];
	bucket->entry[2].raw = key(1) << 16 | 4;
	bucket->entry[5].raw = key(1) << 16 | 6;
	CHECK(ivshmem_fdb_announce(&fdb, key(1), 1) == 0);
	CHECK(bucket->entry[2].raw >> 16 == key(1) && bucket->entry[5].raw == 0);
	CHECK(ivshmem_fdb_find(&fdb, key(1)) == 1);
}

/* F1: a million invented addresses leave every announced one, and the size, as they were. */
static void
test_flood(void)
{
	uint32_t refused = 0;

	clear();
	for (uint32_t i = 0; i < 1024; i++)
		CHECK(ivshmem_fdb_announce(&fdb, key(i), i % 1024) == 0);
	for (uint32_t i = 0; i < 1000000; i++)
		ivshmem_fdb_learn(&fdb, key(0x1000000 + i), i % 1024);
	for (uint32_t i = 0; i < 1024; i++)
		CHECK(ivshmem_fdb_find(&fdb, key(i)) == i % 1024);
	CHECK(ivshmem_fdb_find(&fdb, key(0x1000000 + 999999)) == 999999 % 1024);
	/* and more announced ones than there is room for are refused, not mixed up */
	for (uint32_t i = 1024; i < 3 * IVSHMEM_FDB_SIZE; i++)
		refused += ivshmem_fdb_announce(&fdb, key(i), 1) != 0;
	CHECK(refused >= 3 * IVSHMEM_FDB_SIZE - IVSHMEM_FDB_SIZE);
	for (uint32_t i = 0; i < 1024; i++)
		CHECK(ivshmem_fdb_find(&fdb, key(i)) == i % 1024);
}

int
main(void)
{
	test_learn();
	test_age();
	test_announce();
	test_twice();
	test_flood();
	return check_exit();
}
