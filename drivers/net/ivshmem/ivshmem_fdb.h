/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The forwarding database of a segment: which port has which Ethernet address.
 *
 * Addresses are announced by ports in their configuration, or learned from the frames they send. An
 * announced address wins over a learned one for as long as its port runs. Private to a process; no
 * DPDK.
 *
 * Each entry is one 64-bit word: address << 16 | mark << 10 | slot, 0 = free. The mark is the tick
 * at which the address was learned, or says that it was announced.
 *
 * Invariants:
 *  F1. The size is fixed: a peer that invents addresses evicts learned ones, never announced ones.
 *  F2. A word is stored whole, so a reader finds the old entry or the new one.
 * Threads: any number that find and learn; one, the control thread, that announces and ages. Two
 * that write the same bucket may lose one of both entries: it is learned or announced again soon.
 */

#ifndef IVSHMEM_FDB_H
#define IVSHMEM_FDB_H

#include <stdint.h>
#include <string.h>

#include "ivshmem_atomic.h"

#define IVSHMEM_FDB_NONE	UINT32_MAX
#define IVSHMEM_FDB_BUCKETS	512u	/* a power of two */
#define IVSHMEM_FDB_WAYS	8u	/* entries of a bucket: one cache line */
#define IVSHMEM_FDB_SIZE	(IVSHMEM_FDB_BUCKETS * IVSHMEM_FDB_WAYS)
#define IVSHMEM_FDB_SLOT_MAX	0x3ffu	/* the slot's bits in an entry */
#define IVSHMEM_FDB_TICK_MS	10000u
#define IVSHMEM_FDB_AGE_MAX	30u	/* ticks a learned address lives: 5 minutes, as in 802.1D */

struct ivshmem_fdb_bucket {
	struct ivshmem_u64 entry[IVSHMEM_FDB_WAYS];
};

struct ivshmem_fdb {
	struct ivshmem_fdb_bucket bucket[IVSHMEM_FDB_BUCKETS];
	struct ivshmem_u32 tick;	/* advanced by ivshmem_fdb_age() */
};

/* The address as a number; the group bit is its bit 0. */
static inline uint64_t
ivshmem_fdb_key(const uint8_t mac[6])
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	return key;
}

static_assert(IVSHMEM_ABI_PORTS_MAX - 1 <= IVSHMEM_FDB_SLOT_MAX, "slots fit in an entry");

static inline uint32_t
ivshmem_fdb_hash(uint64_t key)
{
	return (key * UINT64_C(0x9e3779b97f4a7c15)) >> 55;	/* 2^64 / golden ratio; 9 bits */
}

/* The port that has the address, or IVSHMEM_FDB_NONE. None has 0, which a free entry looks like. */
static inline uint32_t
ivshmem_fdb_find(const struct ivshmem_fdb *fdb, uint64_t key)
{
	const struct ivshmem_fdb_bucket *bucket = &fdb->bucket[ivshmem_fdb_hash(key)];

	for (uint32_t way = 0; way < IVSHMEM_FDB_WAYS; way++) {
		const uint64_t entry = ivshmem_load64(&bucket->entry[way]);

		if (entry >> 16 == key && entry != 0)
			return entry & IVSHMEM_FDB_SLOT_MAX;
	}
	return IVSHMEM_FDB_NONE;
}

/* The port that announced the address and was not loosened since, or IVSHMEM_FDB_NONE. */
uint32_t ivshmem_fdb_owner(const struct ivshmem_fdb *fdb, uint64_t key);

/* A frame from the port carried this source address. Group addresses and 0 are not learned. */
void ivshmem_fdb_learn(struct ivshmem_fdb *fdb, uint64_t key, uint32_t slot);

/*
 * The port announces the address: it is the port's until somebody else is given it here, or the
 * port is withdrawn. Returns 0, or -ENOSPC when its bucket is full of announced ones.
 */
int ivshmem_fdb_announce(struct ivshmem_fdb *fdb, uint64_t key, uint32_t slot);

/* The port is gone: its addresses stay, but whoever uses one from now on gets it. */
void ivshmem_fdb_loosen(struct ivshmem_fdb *fdb, uint32_t slot);

/* Forget what the port announced, but for the keys in keep. */
void ivshmem_fdb_withdraw(struct ivshmem_fdb *fdb, uint32_t slot, const uint64_t *keep,
			  uint32_t keep_cnt);

/* Once every IVSHMEM_FDB_TICK_MS: forget learned addresses that were not seen for long. */
void ivshmem_fdb_age(struct ivshmem_fdb *fdb);

#endif /* IVSHMEM_FDB_H */
