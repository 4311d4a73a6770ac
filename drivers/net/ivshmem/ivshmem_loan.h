/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Loans: buffers of other ports that lie in the application's mbufs, zero_copy=1.
 *
 * A frame that is lent up is an mbuf of the queue's pool with the peer's buffer attached, and a
 * loan: a private record of whose buffer it is. When the application frees the mbuf, on whatever
 * thread, the loan goes into "freed"; whoever drains that gives the cookie back to the sender and
 * the loan to the table.
 *
 * Invariants:
 *  B1. A loan belongs to one mbuf, whatever the peer announced, and to one session of one ring.
 *  B2. Everything but "freed" is touched only under the lock, which the polling thread owns; nobody
 *      waits for it but the control thread.
 *  B3. The table and the mapping live until the last loan came back, also when the port is closed.
 * Threads: free callback any; drain whoever gets the lock.
 */

#ifndef IVSHMEM_LOAN_H
#define IVSHMEM_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_per_lcore.h>
#include <rte_ring.h>

#include "ivshmem_lock.h"
#include "ivshmem_ring.h"

#define IVSHMEM_LOAN_BATCH	64u
#define IVSHMEM_LOAN_HOME	UINT16_MAX	/* section of a loan that is not out */
#define IVSHMEM_LOAN_BACKLOG	32u	/* freed loans that a freeing thread leaves to others */

struct ivshmem_dev;
struct ivshmem_loans;

struct ivshmem_loan {
	struct rte_mbuf_ext_shared_info shinfo;
	struct ivshmem_loans *loans;
	struct rte_mbuf *mbuf;	/* it was attached to, which had this address before: */
	rte_iova_t iova;
	uint32_t cookie;
	uint32_t session;	/* of the ring, when it was lent */
	uint32_t buf;		/* the buffer is number buf of ... */
	uint16_t section;	/* ... this one, or HOME */
	uint16_t ring;		/* index in the queue's rings */
} __rte_cache_aligned;

/* Loans that a thread of ours frees within one burst: they go into "freed" all at once. */
struct ivshmem_loan_batch {
	bool open;
	uint32_t cnt;
	struct ivshmem_loan *loans[IVSHMEM_LOAN_BATCH];
};

RTE_DECLARE_PER_LCORE(struct ivshmem_loan_batch, ivshmem_loan_batch);

extern struct ivshmem_u32 ivshmem_loans_seen;	/* 1: a port of the process lends, or did */

/* Of one Rx queue; outlives it while loans are out. */
struct ivshmem_loans {
	struct ivshmem_lock lock;
	const struct ivshmem_dev *dev;	/* whose region the buffers lie in */
	bool closed;			/* the region is left: nothing is given back any more */
	struct ivshmem_consumer *rings;	/* ring_cnt: the queue's consumer ends */
	struct ivshmem_loan **spare;	/* a stack of spare_cnt */
	struct ivshmem_loan *table;
	struct rte_ring *freed;
	uint32_t spare_cnt;
	uint32_t cnt;
	uint32_t bursts;		/* counted by the queue */
	uint32_t bursts_seen;		/* and looked at by the control thread */
};

/* A table of cnt loans, and ring_cnt consumer ends. Returns NULL without memory. */
struct ivshmem_loans *ivshmem_loans_create(uint32_t ring_cnt, uint32_t cnt, unsigned int socket);

/* Loans that are out of cnt tables, some NULL. Control thread. */
uint32_t ivshmem_loans_out(struct ivshmem_loans *const *tables, uint32_t cnt);

/*
 * Whether a loan of an earlier session of the source's is out that lies in another section than
 * its. Control thread.
 */
bool ivshmem_loans_have_others(struct ivshmem_loans *loans, uint32_t source);

/* Take back what was freed. Under the lock. */
void ivshmem_loans_drain(struct ivshmem_loans *loans);

/* The same for whoever has no lock yet; does nothing when somebody else is at it. */
void ivshmem_loans_try_drain(struct ivshmem_loans *loans);

/* With no loan out, or NULL. */
void ivshmem_loans_free(struct ivshmem_loans *loans);

/* The port closes: nothing is given back any more. */
void ivshmem_loans_close(struct ivshmem_loans *loans);

/* Free callback of an attached buffer. */
void ivshmem_loan_free(void *addr, void *loan);

/* Attach a peer's buffer of buf_len bytes to an empty mbuf. Under the lock, with a spare loan. */
static inline void
ivshmem_loan_lend(struct ivshmem_loans *loans, struct ivshmem_consumer *ring,
		  const struct ivshmem_desc_shm *desc, uint8_t *buf, uint16_t buf_len,
		  struct rte_mbuf *mbuf)
{
	struct ivshmem_loan *loan = loans->spare[--loans->spare_cnt];

	loan->cookie = desc->cookie;
	loan->session = ring->session;
	loan->buf = desc->buf;
	loan->section = desc->section;
	loan->ring = ring - loans->rings;
	loan->mbuf = mbuf;
	loan->iova = rte_mbuf_iova_get(mbuf);
	rte_mbuf_ext_refcnt_set(&loan->shinfo, 1);
	rte_pktmbuf_attach_extbuf(mbuf, buf, RTE_BAD_IOVA, buf_len, &loan->shinfo);
	mbuf->data_off = desc->data_off;
	mbuf->data_len = desc->data_len;
	ring->out++;
}

/* Between the two, loans that this thread frees are gathered. */
static inline void
ivshmem_loan_batch_begin(void)
{
	RTE_PER_LCORE(ivshmem_loan_batch).open = true;
}

void ivshmem_loan_batch_flush(void);

static inline void
ivshmem_loan_batch_end(void)
{
	struct ivshmem_loan_batch *batch = &RTE_PER_LCORE(ivshmem_loan_batch);

	batch->open = false;
	if (batch->cnt != 0)
		ivshmem_loan_batch_flush();
}

/* The loan behind an mbuf; NULL when its data is not lent, or to more than this mbuf. */
static inline struct ivshmem_loan *
ivshmem_loan_of(const struct rte_mbuf *mbuf)
{
	if ((mbuf->ol_flags & (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT)) !=
	    RTE_MBUF_F_EXTERNAL || mbuf->shinfo->free_cb != ivshmem_loan_free ||
	    rte_mbuf_refcnt_read(mbuf) != 1 || rte_mbuf_ext_refcnt_read(mbuf->shinfo) != 1)
		return NULL;
	return mbuf->shinfo->fcb_opaque;
}

/*
 * As rte_pktmbuf_prefree_seg() of an mbuf that nobody else refers to, for one with a loan whose
 * buffer nobody else refers to. False: it has none, or is not the one that it was lent to.
 */
static inline bool
ivshmem_loan_prefree(struct rte_mbuf *mbuf)
{
	struct ivshmem_loan *loan = ivshmem_loan_of(mbuf);

	if (loan == NULL || loan->mbuf != mbuf)
		return false;
	mbuf->buf_addr = (uint8_t *)(mbuf + 1) + mbuf->priv_size;
	mbuf->buf_len = rte_pktmbuf_data_room_size(mbuf->pool);
	rte_mbuf_iova_set(mbuf, loan->iova);
	rte_pktmbuf_reset_headroom(mbuf);
	mbuf->data_len = 0;
	mbuf->ol_flags = 0;
	mbuf->next = NULL;
	mbuf->nb_segs = 1;
	ivshmem_loan_free(NULL, loan);
	return true;
}

#endif /* IVSHMEM_LOAN_H */
