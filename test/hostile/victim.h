/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The victim's parts: ports and commands (victim.c), frames out and in (frames.c), mbufs and their
 * private copies (pool.c), guards around the region (guard.c), what is open, mapped and allocated
 * (usage.c).
 *
 * A check that fails ends the process by victim_die(): the test reads the words.
 *
 * Threads: one, and EAL's alarm thread inside of the driver.
 */

#ifndef IVSHMEM_TEST_VICTIM_H
#define IVSHMEM_TEST_VICTIM_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#define VICTIM_PORTS_MAX 3u
#define VICTIM_BURST_MAX 64u
#define VICTIM_ROOM 512u	/* of an mbuf: longer frames are scattered */
#define VICTIM_FRAME_MAX 1518u

/* The file that the attacker reads: packets of port 0, received and sent. */
struct victim_progress {
	uint64_t packets;
};

struct victim_port {
	uint16_t id;
	bool up;
	char name[32];
	const char *args;
	struct rte_ether_addr mac;
	struct rte_mempool *tx_pool;	/* over its own section; NULL without tx_pool= */
	uint64_t received;
	uint64_t sent;
	uint64_t honest;	/* received from the honest neighbor, in order */
	uint32_t expected;	/* its next sequence number */
	uint32_t next;		/* the own one to it */
	uint64_t patterns;	/* received, by anybody, and every byte as in pattern.h */
	uint64_t lent;		/* received where they lie */
	uint64_t forwarded;	/* sent on by the port that they came from */
	uint64_t forged;	/* zero-copy: of the honest neighbor's, but from somebody else */
	uint64_t idle_ms;	/* since when nothing passed */
};

extern struct victim_port victim_ports[VICTIM_PORTS_MAX];
extern uint32_t victim_port_cnt;

void victim_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
uint32_t victim_random(uint32_t limit);

/* -- frames.c -- */
/* A burst of each kind; returns how many frames passed. Checks all that came. */
uint32_t victim_receive(struct victim_port *port);
uint32_t victim_send(struct victim_port *port);
/* Ports 1 and 2 send each other frames: not one may be missing, damaged or out of order. */
void victim_send_pair(struct victim_port *from, struct victim_port *to);
/* Whether the pair is checked; while it is not, both start anew. */
void victim_judge_pair(bool judged);
/* Now and then: whether a port of the pair started its rings anew. */
void victim_look_at_pair(uint64_t now_ms);
/* The longest that a burst took so far, of this thread's CPU time. */
uint64_t victim_burst_us(void);

/* -- pool.c -- */
void victim_pool_make(void);
struct rte_mempool *victim_pool(void);
/* The mbuf came out of a port: its header, room and canaries are as they should. */
void victim_take(struct rte_mbuf *mbuf, uint16_t port);
/* It is given back, or away to a port. */
void victim_give(struct rte_mbuf *mbuf);
void victim_free(struct rte_mbuf *mbuf);
/* Keep some received mbufs for a while, and free others. */
void victim_hold(struct rte_mbuf *mbuf);
void victim_release_held(void);
/* The pool's own words are as they were made, and all canaries alive. */
void victim_pool_check(void);
/* After all ports are closed: every mbuf is there once, and as it was made. */
void victim_pool_audit(void);

/* -- guard.c -- */
/* The region was mapped; nobody has business between the buffers' end and the sections' end. */
void victim_guard(void);
/* The slot in whose section these are the bytes of one buffer; -1 when they are not. */
int victim_guard_owner(const void *from, uint64_t len);

/* -- usage.c -- */
/* Command: how many ports are up; open files, mappings, and what of EAL's heaps is allocated. */
int victim_usage(int argc, char **argv);

#endif /* IVSHMEM_TEST_VICTIM_H */
