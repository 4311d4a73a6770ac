/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * START, ADOPT and READY of ring ends; see ivshmem_session.h for the states.
 *
 * Invariants:
 *  S1. An epoch is never 0 and grows with each START of an end, also over the lives of a port.
 *  S2. Nothing is written to descriptors or buffers of a session before its START is visible: the
 *      release fence after it pairs with the consumer's second look.
 *  S3. What the directory says is bounded before it becomes an address.
 *  S4. prev stays as it is when the epoch that ends moved nothing: the other end may have missed
 *      that epoch, and still has to learn how the one before ended.
 *  S5. clear is 0 before yours changes and 1 when no loan of an earlier session is out: who sees
 *      the present epoch in yours and then 1 in clear knows that nothing from before is in use.
 * Ordering: P3 <-> C3 (yours), P4 <-> C4 (directory), P1, P2 as in ivshmem_ring.h.
 */

#include <errno.h>

#include "ivshmem_session.h"

#define IVSHMEM_BACKOFF_MAX	(UINT32_C(1) << 16)

static uint32_t
ivshmem_epoch_next(uint32_t epoch)
{
	return epoch == UINT32_MAX ? 1 : epoch + 1;
}

/*
 * A liar's next session waits twice as many polls as the one before: while a queue polls, the time
 * of some milliseconds at most; and who sends seldom is let off by the heartbeat (tx_session).
 */
static void
ivshmem_backoff_arm(bool *violated, uint32_t *backoff, uint32_t *backoff_cnt)
{
	if (!*violated)
		return;
	*violated = false;
	*backoff_cnt = *backoff_cnt == 0 ? 1 :
		*backoff_cnt < IVSHMEM_BACKOFF_MAX ? *backoff_cnt * 2 : IVSHMEM_BACKOFF_MAX;
	*backoff = *backoff_cnt;
}

void
ivshmem_producer_start(struct ivshmem_producer *end, void *section, uint64_t desc_off,
		       uint32_t desc_cnt)
{
	struct ivshmem_prod_shm *own = end->own;
	uint64_t prev = ivshmem_ring_word(end->mine, end->prod);
	uint32_t prev_yours = end->yours;

	if (end->mine == 0) {	/* a new life goes on where the last one ended (R3) */
		prev = ivshmem_load64(&own->pw);
		prev_yours = ivshmem_load32(&own->yours);
	}
	end->mine = ivshmem_epoch_next(ivshmem_ring_epoch(prev));
	ivshmem_backoff_arm(&end->violated, &end->backoff, &end->backoff_cnt);

	ivshmem_store32_release(&own->dir_epoch, 0);
	ivshmem_ring_order(end->wc);
	ivshmem_fence_release();	/* no new size under the old dir_epoch */
	ivshmem_store32(&own->desc_cnt, desc_cnt);
	ivshmem_store64(&own->desc_off, desc_off);
	ivshmem_store32(&own->flight, end->flight);
	if ((uint32_t)prev != 0 && prev_yours != 0) {	/* S4; else a START that died saved it */
		ivshmem_store64(&own->prev, prev);
		ivshmem_store32(&own->prev_yours, prev_yours);
	}
	ivshmem_ring_order(end->wc);
	ivshmem_store32_release(&own->dir_epoch, end->mine);			/* P4 */
	ivshmem_store32_release(&own->yours, 0);	/* after prev_yours, before pw */
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&own->pw, ivshmem_ring_word(end->mine, 0));	/* P1 */
	ivshmem_fence_release();	/* S2 */

	end->yours = 0;
	end->prod = 0;
	end->cons = 0;
	end->ready = false;
	end->size = desc_cnt;
	end->desc_off = desc_off;
	end->entries = (void *)((uint8_t *)section + desc_off);
}

/*
 * How the consumer of this epoch gives buffers back. 0, -EAGAIN while it is not told, -EINVAL when
 * it is impossible (S3), -ENOTSUP when this end can not send in that way.
 */
static int
ivshmem_producer_learn_mode(struct ivshmem_producer *end, uint32_t epoch)
{
	const struct ivshmem_cons_shm *peer = end->peer;
	const struct ivshmem_layout *layout = end->layout;
	uint32_t copybreak;
	uint64_t ret_off;
	uint32_t ret_cnt;
	uint32_t mode;

	if (ivshmem_ring_load32(&peer->dir_epoch, end->wc) != epoch)		/* C4 <- P4 */
		return -EAGAIN;
	mode = ivshmem_load32(&peer->return_mode);
	ret_cnt = ivshmem_load32(&peer->ret_cnt);
	ret_off = ivshmem_load64(&peer->ret_off);
	copybreak = ivshmem_load32(&peer->copybreak);
	ivshmem_fence_acquire();
	ivshmem_ring_order(end->wc);
	if (ivshmem_load32(&peer->dir_epoch) != epoch)
		return -EAGAIN;
	end->ret_cnt = 0;
	end->ret = 0;
	end->copybreak = copybreak;
	if (mode == IVSHMEM_RETURN_COPY)
		return 0;
	if (mode != IVSHMEM_RETURN_RING || layout == NULL || end->flight == 0)
		return -ENOTSUP;
	if (ret_cnt < IVSHMEM_ABI_RING_MIN || ret_cnt > layout->ring_slots ||
	    (ret_cnt & (ret_cnt - 1)) != 0 || ret_off % IVSHMEM_ABI_LINE != 0 ||
	    ret_off < layout->ring_off ||
	    ret_off > layout->ring_off + layout->ring_len - ret_cnt * IVSHMEM_ABI_RETURN_LEN)
		return -EINVAL;
	end->ret_cnt = ret_cnt;
	end->returns = (const void *)(end->peer_section + ret_off);
	return 0;
}

enum ivshmem_ring_todo
ivshmem_producer_poll(struct ivshmem_producer *end)
{
	uint32_t epoch;
	int ret;

	if (end->ready)
		return IVSHMEM_RING_USE;
	if (end->violated)
		return IVSHMEM_RING_BUMP;
	if (end->size == 0)
		return IVSHMEM_RING_WAIT;
	if (end->backoff > 0) {
		end->backoff--;
		return IVSHMEM_RING_WAIT;
	}
	epoch = ivshmem_ring_epoch(ivshmem_ring_load64(&end->peer->cw, end->wc)); /* C2 <- P2 */
	if (epoch == 0)
		return IVSHMEM_RING_WAIT;
	if (epoch != end->yours)
		return IVSHMEM_RING_ADOPT;
	if (ivshmem_ring_load32(&end->peer->yours, end->wc) != end->mine)	/* C3 <- P3 */
		return IVSHMEM_RING_WAIT;
	ret = ivshmem_producer_learn_mode(end, epoch);
	if (ret == -EINVAL) {
		end->bad_index++;
		end->violated = true;
		return IVSHMEM_RING_BUMP;
	}
	if (ret != 0)
		return IVSHMEM_RING_WAIT;
	end->ready = true;
	return IVSHMEM_RING_USE;
}

/* Published by us, never consumed by the session that ends: exact if it said so, else at most. */
static uint32_t
ivshmem_producer_left_behind(const struct ivshmem_producer *end)
{
	const uint64_t prev = ivshmem_load64(&end->peer->prev);
	const uint32_t left = end->prod - end->cons;
	const uint32_t exact = end->prod - (uint32_t)prev;

	if (end->yours == 0 || end->prod == end->cons)
		return 0;
	if (ivshmem_ring_epoch(prev) == end->yours && exact <= left)
		return exact;
	return left;
}

void
ivshmem_producer_adopt(struct ivshmem_producer *end)
{
	struct ivshmem_prod_shm *own = end->own;
	const uint64_t word = ivshmem_ring_load64(&end->peer->cw, end->wc);	/* C2 <- P2 */

	end->lost += ivshmem_producer_left_behind(end);
	end->yours = ivshmem_ring_epoch(word);
	end->prod = 0;
	end->cons = 0;
	end->ready = false;
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&own->pw, ivshmem_ring_word(end->mine, 0));	/* P1 */
	ivshmem_ring_order(end->wc);
	ivshmem_store32_release(&own->yours, end->yours);			/* P3 */
}

/* Loans of the session that ends are stale. */
static void
ivshmem_consumer_end_session(struct ivshmem_consumer *end)
{
	end->session++;
	end->stale += end->out;
	end->out = 0;
	end->ret = 0;
	ivshmem_store32_release(&end->own->clear, 0);	/* S5 */
	ivshmem_ring_order(end->wc);
}

void
ivshmem_consumer_start(struct ivshmem_consumer *end)
{
	struct ivshmem_cons_shm *own = end->own;
	uint64_t prev = ivshmem_ring_word(end->mine, end->cons);

	if (end->mine == 0)
		prev = ivshmem_load64(&own->cw);
	end->mine = ivshmem_epoch_next(ivshmem_ring_epoch(prev));
	ivshmem_backoff_arm(&end->violated, &end->backoff, &end->backoff_cnt);

	ivshmem_consumer_end_session(end);
	ivshmem_store32_release(&own->yours, 0);
	ivshmem_store32_release(&own->dir_epoch, 0);
	ivshmem_ring_order(end->wc);
	ivshmem_fence_release();
	ivshmem_store32(&own->ret_cnt, end->ret_cnt);
	ivshmem_store64(&own->ret_off, end->ret_off);
	ivshmem_store32(&own->copybreak, end->copybreak);
	ivshmem_store32(&own->return_mode, end->ret_cnt != 0 ? IVSHMEM_RETURN_RING :
			IVSHMEM_RETURN_COPY);
	if ((uint32_t)prev != 0)	/* S4 */
		ivshmem_store64(&own->prev, prev);
	ivshmem_ring_order(end->wc);
	ivshmem_store32_release(&own->dir_epoch, end->mine);			/* P4 */
	ivshmem_store64_release(&own->rw, ivshmem_ring_word(end->mine, 0));
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&own->cw, ivshmem_ring_word(end->mine, 0));	/* P2 */
	if (end->stale == 0)
		ivshmem_store32_release(&own->clear, 1);

	end->yours = 0;
	end->cons = 0;
	end->prod = 0;
	end->size = 0;
	end->ready = false;
}

enum ivshmem_ring_todo
ivshmem_consumer_poll(struct ivshmem_consumer *end)
{
	uint32_t epoch;

	if (end->ready)
		return IVSHMEM_RING_USE;
	if (end->violated)
		return IVSHMEM_RING_BUMP;
	if (end->backoff > 0) {
		end->backoff--;
		return IVSHMEM_RING_WAIT;
	}
	epoch = ivshmem_ring_epoch(ivshmem_ring_load64(&end->peer->pw, end->wc)); /* C1 <- P1 */
	if (epoch == 0)
		return IVSHMEM_RING_WAIT;
	if (epoch != end->yours)
		return IVSHMEM_RING_ADOPT;
	if (ivshmem_ring_load32(&end->peer->yours, end->wc) != end->mine)	/* C3 <- P3 */
		return IVSHMEM_RING_WAIT;
	end->ready = true;
	return IVSHMEM_RING_USE;
}

bool
ivshmem_consumer_can_step(struct ivshmem_consumer *end)
{
	const bool backs_off = end->backoff > 0;
	const enum ivshmem_ring_todo todo = ivshmem_consumer_poll(end);
	const struct ivshmem_prod_shm *peer = end->peer;

	if (backs_off)
		return true;	/* nobody would wake it when that is over */
	if (todo != IVSHMEM_RING_ADOPT)
		return todo != IVSHMEM_RING_WAIT;
	if (ivshmem_ring_load32(&peer->dir_epoch, end->wc) !=			/* C4 <- P4 */
	    ivshmem_ring_epoch(ivshmem_load64(&peer->pw)))
		return false;
	return end->yours != 0 || ivshmem_load32(&peer->desc_cnt) != 0;
}

/* Published to us, never read: exact if the producer's next life said so, else what was seen. */
static uint32_t
ivshmem_consumer_left_behind(const struct ivshmem_consumer *end)
{
	const uint64_t prev = ivshmem_load64(&end->peer->prev);
	const uint32_t exact = (uint32_t)prev - end->cons;

	if (end->yours == 0)
		return 0;
	if (ivshmem_ring_epoch(prev) == end->yours && exact <= end->size &&
	    ivshmem_load32(&end->peer->prev_yours) == end->mine)
		return exact;
	return end->prod - end->cons;
}

/* The producer leads its ring elsewhere: show that nothing of it is in use, as soon as it is so. */
static void
ivshmem_consumer_part(struct ivshmem_consumer *end)
{
	ivshmem_consumer_end_session(end);
	ivshmem_store32_release(&end->own->yours, 0);
	if (end->stale == 0)
		ivshmem_store32_release(&end->own->clear, 1);
}

int
ivshmem_consumer_adopt(struct ivshmem_consumer *end, const struct ivshmem_layout *layout)
{
	struct ivshmem_cons_shm *own = end->own;
	const uint32_t epoch = ivshmem_ring_epoch(ivshmem_ring_load64(&end->peer->pw, end->wc));
	uint64_t desc_off;
	uint32_t desc_cnt;
	uint32_t flight;
	uint32_t lost;

	if (ivshmem_ring_load32(&end->peer->dir_epoch, end->wc) != epoch)	/* C4 <- P4 */
		return -EAGAIN;
	desc_cnt = ivshmem_load32(&end->peer->desc_cnt);
	desc_off = ivshmem_load64(&end->peer->desc_off);
	lost = ivshmem_consumer_left_behind(end);
	ivshmem_fence_acquire();
	ivshmem_ring_order(end->wc);
	if (ivshmem_load32(&end->peer->dir_epoch) != epoch)
		return -EAGAIN;

	end->lost += lost;
	end->yours = 0;
	end->ready = false;
	if (desc_cnt < IVSHMEM_ABI_RING_MIN || desc_cnt > layout->ring_slots ||
	    (desc_cnt & (desc_cnt - 1)) != 0 || desc_off % IVSHMEM_ABI_LINE != 0 ||
	    desc_off < layout->ring_off ||
	    desc_off > layout->ring_off + layout->ring_len - desc_cnt * IVSHMEM_ABI_DESC_LEN) {
		if (desc_cnt == 0) {	/* unused: nothing wrong */
			ivshmem_consumer_part(end);
			return -EAGAIN;
		}
		end->bad_dir++;
		end->violated = true;
		return -EINVAL;
	}
	end->entries = (const void *)(end->section + desc_off);
	end->size = desc_cnt;
	end->cons = 0;
	end->prod = 0;
	flight = ivshmem_load32(&end->peer->flight);	/* a lie costs speed, no more */
	end->out_max = (flight < end->ret_cnt ? flight : end->ret_cnt) / 2;
	ivshmem_consumer_end_session(end);
	ivshmem_store64_release(&own->rw, ivshmem_ring_word(end->mine, 0));
	ivshmem_ring_order(end->wc);
	ivshmem_store64_release(&own->cw, ivshmem_ring_word(end->mine, 0));	/* P2 */
	end->yours = epoch;
	ivshmem_ring_order(end->wc);
	ivshmem_store32_release(&own->yours, epoch);				/* P3 */
	if (end->stale == 0)
		ivshmem_store32_release(&own->clear, 1);
	return 0;
}
