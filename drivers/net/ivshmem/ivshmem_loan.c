/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The loan table of an Rx queue: its life, and how loans come back; see ivshmem_loan.h.
 *
 * Ordering: the application's last access to a buffer is before the callback, the enqueue into
 * "freed" publishes it to the drainer, and P7 to the sender.
 */

#include <rte_common.h>
#include <rte_malloc.h>

#include "ivshmem_loan.h"

#define IVSHMEM_LOAN_DRAIN	32u	/* taken from "freed" at once */

RTE_DEFINE_PER_LCORE(struct ivshmem_loan_batch, ivshmem_loan_batch);

struct ivshmem_u32 ivshmem_loans_seen;

void
ivshmem_loans_free(struct ivshmem_loans *loans)
{
	if (loans == NULL)
		return;
	rte_free(loans->rings);
	rte_free(loans->freed);
	rte_free(loans->spare);
	rte_free(loans->table);
	rte_free(loans);
}

struct ivshmem_loans *
ivshmem_loans_create(uint32_t ring_cnt, uint32_t cnt, unsigned int socket)
{
	const unsigned int size = rte_align32pow2(cnt + 1);
	struct ivshmem_loans *loans;

	loans = rte_zmalloc_socket("ivshmem_loans", sizeof(*loans), RTE_CACHE_LINE_SIZE, socket);
	if (loans == NULL)
		return NULL;
	loans->rings = rte_zmalloc_socket("ivshmem_rings", ring_cnt * sizeof(*loans->rings),
					  RTE_CACHE_LINE_SIZE, socket);
	loans->table = rte_zmalloc_socket("ivshmem_loan", cnt * sizeof(*loans->table),
					  RTE_CACHE_LINE_SIZE, socket);
	loans->spare = rte_zmalloc_socket("ivshmem_spare", cnt * sizeof(*loans->spare), 0, socket);
	loans->freed = rte_zmalloc_socket("ivshmem_freed", rte_ring_get_memsize(size),
					  RTE_CACHE_LINE_SIZE, socket);
	if (loans->rings == NULL || loans->table == NULL || loans->spare == NULL ||
	    loans->freed == NULL ||
	    rte_ring_init(loans->freed, "ivshmem_freed", size, RING_F_SC_DEQ) != 0) {
		ivshmem_loans_free(loans);
		return NULL;
	}
	ivshmem_store32(&ivshmem_loans_seen, 1);
	ivshmem_lock_init(&loans->lock);
	loans->cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		struct ivshmem_loan *loan = &loans->table[i];

		loan->loans = loans;
		loan->section = IVSHMEM_LOAN_HOME;
		loan->shinfo.free_cb = ivshmem_loan_free;
		loan->shinfo.fcb_opaque = loan;
		loans->spare[loans->spare_cnt++] = loan;
	}
	return loans;
}

/* One loan back: to its ring's sender while the session lasts. Returns the ring to publish. */
static struct ivshmem_consumer *
ivshmem_loans_take_back(struct ivshmem_loans *loans, const struct ivshmem_loan *loan)
{
	struct ivshmem_consumer *ring = &loans->rings[loan->ring];

	if (loan->session == ring->session) {
		ring->out--;
		ivshmem_consumer_return(ring, loan->cookie);
		return ring;
	}
	ivshmem_consumer_unstale(ring);
	return NULL;
}

void
ivshmem_loans_drain(struct ivshmem_loans *loans)
{
	struct ivshmem_loan *back[IVSHMEM_LOAN_DRAIN];
	struct ivshmem_consumer *last = NULL;
	unsigned int cnt;

	do {
		cnt = rte_ring_sc_dequeue_burst(loans->freed, (void **)back, RTE_DIM(back), NULL);
		for (unsigned int i = 0; i < cnt; i++) {
			struct ivshmem_consumer *ring = NULL;

			if (likely(!loans->closed))
				ring = ivshmem_loans_take_back(loans, back[i]);
			if (ring != last && last != NULL)
				ivshmem_consumer_publish_returns(last);
			last = ring;
			back[i]->section = IVSHMEM_LOAN_HOME;
			loans->spare[loans->spare_cnt++] = back[i];
		}
	} while (cnt == RTE_DIM(back));
	if (last != NULL)
		ivshmem_consumer_publish_returns(last);
}

void
ivshmem_loans_try_drain(struct ivshmem_loans *loans)
{
	uint32_t hold;

	if (rte_ring_empty(loans->freed))	/* the owner stays the owner */
		return;
	hold = ivshmem_lock_try(&loans->lock, false);
	if (hold == IVSHMEM_HOLD_NONE)
		return;
	ivshmem_loans_drain(loans);
	ivshmem_lock_leave(&loans->lock, hold);
}

uint32_t
ivshmem_loans_out(struct ivshmem_loans *const *tables, uint32_t cnt)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		struct ivshmem_loans *loans = tables[i];

		if (loans == NULL)
			continue;
		ivshmem_lock_take(&loans->lock);
		ivshmem_loans_drain(loans);
		out += loans->cnt - loans->spare_cnt;
		ivshmem_lock_give(&loans->lock);
	}
	return out;
}

bool
ivshmem_loans_have_others(struct ivshmem_loans *loans, uint32_t source)
{
	bool found = false;

	ivshmem_lock_take(&loans->lock);
	ivshmem_loans_drain(loans);
	for (uint32_t i = 0; i < loans->cnt && !found; i++) {
		const struct ivshmem_loan *loan = &loans->table[i];

		if (loan->section == IVSHMEM_LOAN_HOME || loan->section == source)
			continue;
		found = loans->rings[loan->ring].slot == source &&
			loans->rings[loan->ring].session != loan->session;
	}
	ivshmem_lock_give(&loans->lock);
	return found;
}

/* Once a loan is in "freed", the table may be freed by others: that comes last. */
void
ivshmem_loan_batch_flush(void)
{
	struct ivshmem_loan_batch *batch = &RTE_PER_LCORE(ivshmem_loan_batch);

	for (uint32_t first = 0; first < batch->cnt;) {
		struct ivshmem_loans *loans = batch->loans[first]->loans;
		uint32_t end = first + 1;

		while (end < batch->cnt && batch->loans[end]->loans == loans)
			end++;
		if (rte_ring_count(loans->freed) >= IVSHMEM_LOAN_BACKLOG)
			ivshmem_loans_try_drain(loans);
		rte_ring_mp_enqueue_bulk(loans->freed, (void **)&batch->loans[first], end - first,
					 NULL);		/* has room for all */
		first = end;
	}
	batch->cnt = 0;
}

void
ivshmem_loan_free(void *addr, void *opaque)
{
	struct ivshmem_loan_batch *batch = &RTE_PER_LCORE(ivshmem_loan_batch);

	RTE_SET_USED(addr);
	batch->loans[batch->cnt++] = opaque;
	if (!batch->open || batch->cnt == IVSHMEM_LOAN_BATCH)
		ivshmem_loan_batch_flush();
}

void
ivshmem_loans_close(struct ivshmem_loans *loans)
{
	ivshmem_lock_take(&loans->lock);
	loans->closed = true;
	loans->dev = NULL;	/* another one may get its address */
	ivshmem_lock_give(&loans->lock);
}
