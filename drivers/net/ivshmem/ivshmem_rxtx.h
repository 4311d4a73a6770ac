/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Queues and bursts.
 *
 * A Tx queue has a destination for each other port: the producer end of the ring that leads there,
 * and a share of the own section's buffers that no other destination can use up. An Rx queue owns
 * the consumer ends of all rings that lead to it and polls those that are in use.
 *
 * Invariants:
 *  Q1. Buffers of a destination are used in a fixed cycle, and come back in that order with the
 *      consumer's index; so at most cycle_cnt descriptors are out and no free list exists. For a
 *      consumer that keeps buffers half of them are the flight's.
 *  Q2. The thread in a burst owns the queue; the control thread leaves requests in want and the
 *      ring list, which the burst takes up at its next start. With zero_copy=1 who has the queue's
 *      lock owns it, which nobody waits for but the control thread.
 *  Q3. A destination with room does not look at the consumer by itself; the control thread has it
 *      look once a heartbeat, so that frames do not fill the ring of a consumer that is gone.
 */

#ifndef IVSHMEM_RXTX_H
#define IVSHMEM_RXTX_H

#include <stdint.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>

#include "ivshmem_abi.h"
#include "ivshmem_flight.h"
#include "ivshmem_loan.h"
#include "ivshmem_pool.h"
#include "ivshmem_ring.h"

#define IVSHMEM_QUEUES_MAX	8u	/* Rx and Tx queues of a port, each */
#define IVSHMEM_RX_STAGE	32u	/* descriptors looked at before their payload is copied */
#define IVSHMEM_FRAME_OVERHEAD	18u	/* Ethernet header and a VLAN tag */
#define IVSHMEM_COPYBREAK	256u	/* frames up to this are copied, also with zero_copy=1 */
#define IVSHMEM_COPY_INLINE	256u	/* frames above it are copied by the C library */
#define IVSHMEM_TX_AHEAD	8u	/* descriptors that are asked for ahead */
#define IVSHMEM_TX_AHEAD_BYTES	16384u	/* asked for ahead: half of the nearest cache */
#define IVSHMEM_TX_ASK_BURST	8u	/* fewer: the consumer is close behind */
#define IVSHMEM_TX_ASK_SMALL	32u	/* the same for frames of one line */
#define IVSHMEM_TX_ASK_MAX	2048u	/* copying more takes the lines in its own way */
#define IVSHMEM_LEND_ALIGN	2u	/* and frames that start elsewhere */
#define IVSHMEM_MTU_MAX		9600u
#define IVSHMEM_FRAME_MAX	(IVSHMEM_MTU_MAX + IVSHMEM_FRAME_OVERHEAD)

struct ivshmem_dev;

/*
 * Payload. rte_memcpy() has the vectors that the driver was built for, the C library those of the
 * machine; fewer and wider stores let more lines be on their way between the CPUs. The shortest
 * frames are one line, for which rte_memcpy() would look at the length four times. A peer can forge
 * a frame to lie where it is copied to when it is sent on: then it may be garbled, no more.
 */
static __rte_always_inline void	/* measured: 1518 B between far CPUs 4.0 Mpps, else 3.5 */
ivshmem_copy(void *dst, const void *src, size_t len)
{
	if (len - 48 <= 16) {
		rte_mov32(dst, src);
		rte_mov16((uint8_t *)dst + 32, (const uint8_t *)src + 32);
		rte_mov16((uint8_t *)dst + len - 16, (const uint8_t *)src + len - 16);
	} else if (len <= IVSHMEM_COPY_INLINE) {
		rte_memcpy(dst, src, len);
	} else {
		memmove(dst, src, len);		/* the C library's memcpy() by another name */
	}
}

/* Counters of an Rx queue, written by its thread only. Each refusal has a reason of its own. */
struct ivshmem_rx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t nombuf;		/* no mbuf: the frame stays in the ring */
	uint64_t bad_flags;		/* unknown flag, or meta that contradicts */
	uint64_t bad_section;		/* buffer in a section that is not the sender's */
	uint64_t bad_buffer;		/* buffer number not below buf_cnt */
	uint64_t bad_length;		/* data outside the buffer, or too short */
	uint64_t bad_chain;		/* frame of more than 64 pieces, or without an end */
	uint64_t too_long;		/* frame longer than the MTU allows, or than one mbuf */
	uint64_t not_mine;		/* not promiscuous, and for another address */
	uint64_t discarded;		/* the sender started anew while its frames were copied */
	uint64_t lent;			/* frames whose buffers went up to the application */
	uint64_t arms;			/* times that the queue armed */
	uint64_t wakes;			/* times that its eventfd was signalled meanwhile */
	uint64_t spurious_wakes;	/* of them: nothing was received until it armed again */
	uint64_t masked;		/* times that spurious wakes were cut off */
};

/* Counters of a Tx queue, written by its thread only. */
struct ivshmem_tx_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t full;			/* bursts cut short: no descriptor or no buffer */
	uint64_t too_long;		/* frame longer than IVSHMEM_FRAME_MAX or than 64 pieces */
	uint64_t too_short;		/* frame shorter than an Ethernet header */
	uint64_t passed;		/* frames passed on where they lay */
	uint64_t from_pool;		/* frames sent where they lay, in the Tx pool */
	uint64_t dropped;		/* segment: frames that no port got */
	uint64_t to_self;		/* of them: for an address of the own port */
};

/* What became of the frames for one port; in a segment only. Written by the queue's thread. */
struct ivshmem_dest_stats {
	uint64_t packets;		/* a flooded frame counts at each port */
	uint64_t full;			/* dropped: no descriptor or no buffer */
	uint64_t down;			/* dropped: the port does not run, or not yet */
	uint64_t doorbells;		/* rung, on a wire, too */
};

/* What stood in a ring when its queue went to sleep. */
struct ivshmem_seen {
	struct ivshmem_u64 word;	/* pw */
	struct ivshmem_u32 yours;
	struct ivshmem_u32 ring;	/* its number */
};

/* An Rx queue's sleep; see ivshmem_intr.h. */
struct ivshmem_sleep {
	struct ivshmem_rxq_shm *line;	/* own, in the region */
	int efd;			/* what epoll watches; -1 = no interrupts */
	bool own_efd;			/* made here, not the transport's */
	bool woken;			/* signalled since it armed */
	uint32_t seq;			/* of the last time that the queue armed */
	struct ivshmem_u32 armed;	/* seq while armed, 0 = awake */
	struct ivshmem_u32 signalled;	/* the last sleep that was woken from here */
	struct ivshmem_u32 due;		/* the last sleep whose second look found work */
	struct ivshmem_u32 masked;	/* 1 = is not woken for a while */
	struct ivshmem_u32 seen_cnt;
	struct ivshmem_seen *seen;	/* of each ring in the list, when it armed */
	uint32_t suspect;		/* control thread: seq that looked missed */
	uint32_t spurious_cnt;		/* within the window */
	uint32_t useful_cnt;
	uint64_t window_ms;		/* when the window began */
	uint64_t told_ms;		/* when the mask was logged last */
	uint64_t packets;		/* received when it armed */
};

/* What an empty mbuf of an Rx queue's pool has from rearm_data on. */
struct ivshmem_rx_fresh {
	uint64_t rearm;
	uint64_t ol_flags;		/* the pool's kind */
};

struct ivshmem_rxq {
	struct ivshmem_dev *dev;
	struct ivshmem_consumer *rings;	/* all that could lead here: source slot, Tx queue */
	struct rte_mempool *pool;
	struct ivshmem_loans *loans;	/* zero_copy=1, with the rings; else NULL */
	uint64_t *learned;		/* segment: what each ring's last frame taught */
	uint16_t *list;			/* rings in use: two lists of ring_cnt, see list_sel */
	uint32_t ring_cnt;
	uint32_t list_sel;
	uint32_t list_cnt;
	uint32_t list_at;		/* whose turn it is */
	uint32_t room;			/* data bytes of an empty mbuf */
	uint32_t frame_max;
	uint32_t plain_max;		/* the longest frame that one mbuf holds */
	struct ivshmem_rx_fresh fresh;
	uint16_t queue_id;
	bool filter;			/* not promiscuous: look at the address */
	uint32_t idle_cnt;		/* zero_copy=1: empty polls */
	uint32_t tx_bursts_seen;	/* of the Tx queue of the same number */
	struct ivshmem_u32 list_want;	/* seq << 16 | count, set by the control thread */
	struct ivshmem_u32 list_taken;	/* the list_want that the burst works with */
	struct ivshmem_u32 anew;	/* counts wishes of the control thread: START all rings */
	uint32_t anew_offered;		/* control thread: with the last list */
	uint32_t anew_done;
	struct ivshmem_sleep sleep;
	struct ivshmem_rx_stats stats;
	struct ivshmem_rx_stats base;	/* stats at the last reset */
	uint16_t desc_cnt;		/* as asked for at setup */
};

#define IVSHMEM_DEST_OPEN	1u	/* it runs: frames may be sent */
#define IVSHMEM_DEST_FOREIGN	2u	/* and may lie in a third port's section */

#define IVSHMEM_BAR_FIRST	1u	/* what a life of another process may have had out */

/* The way from a Tx queue to one other port. */
struct ivshmem_dest {
	struct ivshmem_producer ring;
	uint32_t next;			/* filled up to here, published up to ring.prod */
	uint32_t frames;		/* filled and not published */
	uint64_t bytes;			/* their bytes */
	uint32_t buf_first;		/* the destination's share of the section's buffers */
	uint32_t buf_cnt;
	uint32_t cycle_cnt;		/* of them, the first so many are used in turn (Q1) */
	uint32_t ahead;			/* bytes from a buffer to the one to ask for meanwhile */
	bool asks;			/* in this burst */
	uint32_t buf_next;
	uint32_t slot;			/* the port at the other end */
	uint32_t rxq;			/* its Rx queue that the ring leads to */
	struct ivshmem_u32 open;	/* IVSHMEM_DEST_*, by control thread */
	struct ivshmem_u32 want;	/* looks << 16 | Rx queue to lead to; by control thread */
	uint32_t want_seen;
	uint32_t anew_done;
	bool may_arm;			/* its Rx queue may sleep in this session */
	uint32_t rung;			/* the sleep that it was rung for last */
	const struct ivshmem_rxq_shm *line;	/* of that Rx queue */
	struct ivshmem_dest_stats stats;
	struct ivshmem_flight flight;	/* of a consumer in ring mode */
	struct ivshmem_u32 bars;	/* counts sessions that ended with slots out */
	struct ivshmem_u32 settled;	/* the last of bars that nobody uses any more; by control */
	uint32_t unbarred;		/* the last of settled that slots were freed by */
	uint64_t unsettled_ms;		/* control thread: since when all up to this is not: */
	uint32_t unsettled_bars;
	uint32_t prod_seen;		/* the heartbeat saw the ring there last, under txq->lock */
	uint32_t life;			/* control thread: of the port, at the last heartbeat */
	bool outlived;			/* control thread: that life is later than the session */
	bool gated;			/* control thread: the first of bars is not settled */
};

struct ivshmem_txq {
	struct ivshmem_dev *dev;
	struct ivshmem_dest *wire;	/* region of 2 ports: the only destination */
	const struct ivshmem_pool *pool;	/* NULL = none */
	uint8_t *bufs;			/* first buffer of the own section */
	uint32_t buf_len;
	uint32_t headroom;
	uint32_t room;			/* data bytes of a buffer */
	uint16_t slot;
	uint16_t queue_id;
	struct ivshmem_dest *dests;	/* the port's, port_cnt of them; the own one is unused */
	uint16_t *touched;		/* segment: destinations that this burst filled */
	uint32_t touched_cnt;
	struct ivshmem_lock lock;	/* zero_copy=1 (Q2) */
	struct ivshmem_u32 bursts;	/* counted under the lock */
	uint32_t bursts_seen;		/* and looked at by the control thread */
	struct ivshmem_u32 anew;	/* counts wishes of the control thread: START all rings */
	struct ivshmem_u32 dir_gen;	/* counts own changes of the directory */
	uint32_t dir_seen;		/* control thread: dir_gen when last told */
	struct ivshmem_tx_stats stats;
	struct ivshmem_tx_stats base;
	uint64_t passed_seen;		/* stats.passed at the end of the last burst */
	bool fast_free;			/* wire, offload MBUF_FAST_FREE: of one pool, not shared */
	bool odd;			/* a frame of the burst was no plain copy of one segment */
	uint16_t desc_cnt;
};

uint16_t ivshmem_rx_burst(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs);
/* zero_copy=1 */
uint16_t ivshmem_rx_burst_lend(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs);
/* Region of 2 ports, a wire. */
uint16_t ivshmem_tx_burst(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs);
/* More ports, a segment. */
uint16_t ivshmem_tx_burst_segment(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs);

/* zero_copy=1: either of these, under the lock. */
uint16_t ivshmem_tx_burst_lend(void *queue, struct rte_mbuf **bufs, uint16_t nb_bufs);
int ivshmem_tx_done_cleanup(void *queue, uint32_t cnt);

/* It waits for mbufs that it has sent; also without its lock, when it may be over already. */
bool ivshmem_tx_is_holding(const struct ivshmem_txq *txq);

/* Steps of a Tx burst, ivshmem_tx.c. */

/*
 * The destination's ring is not ready, or something is wanted; nothing that was filled waits to be
 * published. True when the ring may be used.
 */
bool ivshmem_tx_session(struct ivshmem_txq *txq, struct ivshmem_dest *dest);
/* Something was published to a port whose queue may sleep: ring it if it does. */
void ivshmem_tx_bell(struct ivshmem_txq *txq, struct ivshmem_dest *dest);
/* In how many buffers the frame travels; 0, counted by reason, when no ring could carry it. */
uint32_t ivshmem_tx_pieces(struct ivshmem_txq *txq, const struct ivshmem_dest *dest,
			   const struct rte_mbuf *mbuf);
/*
 * Copy frames into buffers of the destination and describe them, as long as there is room. Returns
 * how many were dealt with, those that no ring could carry included. Nothing is published yet; when
 * the ring is not ready any more afterwards, what was filled cannot be.
 */
uint32_t ivshmem_tx_fill(struct ivshmem_txq *txq, struct ivshmem_dest *dest,
			 struct rte_mbuf **bufs, uint32_t cnt);
/* Give back the mbufs of frames that are in the region. */
void ivshmem_tx_free(struct ivshmem_txq *txq, struct rte_mbuf **bufs, uint32_t cnt);

/* Steps for consumers in ring mode, ivshmem_tx_lend.c. */

/*
 * Take back what was returned, as it gathers or is wanted. Returns the descriptors that small
 * frames may fill, which need no place for a loan.
 */
uint32_t ivshmem_tx_lend_look(struct ivshmem_dest *dest, uint32_t want);
/* As ivshmem_tx_fill(). Mbufs whose buffer was passed on are held; tx_free() leaves them alive. */
uint32_t ivshmem_tx_fill_lend(struct ivshmem_txq *txq, struct ivshmem_dest *dest,
			      struct rte_mbuf **bufs, uint32_t cnt);
/* What was filled since the last publish is not going to be: as if it never was. */
void ivshmem_tx_lend_undo(struct ivshmem_dest *dest);
/* What was barred is free if the control thread saw that nobody uses it any more. */
void ivshmem_tx_lend_settled(struct ivshmem_dest *dest);
/* The ring is ready: which buffers serve which frames. */
void ivshmem_tx_lend_ready(struct ivshmem_dest *dest);
/*
 * The ring's session ends: what is out is not used again before it is settled. True when something
 * is: then tell the control thread as soon as the next session has begun, not before.
 */
bool ivshmem_tx_lend_bar(struct ivshmem_dest *dest) __rte_warn_unused_result;
void ivshmem_tx_lend_tell_barred(struct ivshmem_dest *dest);
/* Whatever a burst would do to get back what is held, about cnt of it. Returns how many. */
uint32_t ivshmem_tx_lend_tend(struct ivshmem_txq *txq, struct ivshmem_dest *dest, uint32_t cnt);
/* The consumer is dead, and may be gone for good: leave it. */
void ivshmem_tx_lend_leave(struct ivshmem_txq *txq, struct ivshmem_dest *dest, bool gone);
/* Take back what the consumer returned, about cnt buffers. Returns how many. */
uint32_t ivshmem_tx_lend_reap(struct ivshmem_dest *dest, uint32_t cnt);
/* Let everything go, whoever uses it: the port closes. */
void ivshmem_tx_lend_drop(struct ivshmem_dest *dest);

/*
 * Control thread: have the Rx queue poll the rings numbered in list, and do what else was left for
 * it; false when it is too soon.
 */
bool ivshmem_rx_list_offer(struct ivshmem_rxq *rxq, const uint16_t *list, uint32_t cnt);

#endif /* IVSHMEM_RXTX_H */
