/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Parts of the target "burst": the application and its steps (fuzz_burst.c), its mbufs
 * (fuzz_burst_mbufs.c), the port that attacks (fuzz_burst_peer.c), and the machine below the driver
 * (fuzz_burst_below.c): memory, time and alarms, which all are in the input's hand.
 */

#ifndef FUZZ_BURST_H
#define FUZZ_BURST_H

#include <rte_mbuf.h>

#include "fuzz.h"
#include "ivshmem_session.h"

#define BURST_REGION_LEN (UINT64_C(1) << 20)
#define BURST_FRAME_MAX 1522u	/* with MTU 1500 */
#define BURST_ROOM 512u		/* of an mbuf: longer frames are scattered, or lent */

/* -- fuzz_burst_below.c -- */
extern uint64_t below_now_ms;
/* The time goes on, and what is due by then runs. */
void below_pass(uint32_t ms);
/* Nobody has business behind the last buffer of a section. */
void below_guard(const struct ivshmem_layout *layout);
/* Whether bytes lie in the driver's mapping. */
bool below_has(const void *from, uint64_t len);
/* After a port is gone: alarms that it left, mappings and memory. */
void below_check(void);

/* -- fuzz_burst_mbufs.c -- */
void mbufs_make(void);
struct rte_mempool *mbufs_pool(void);
/* The mbuf came out of the port: its header and its rooms are as they should. */
void mbufs_take(struct rte_mbuf *mbuf, uint16_t port);
/* A frame of so many bytes, to an address, in rooms of the pool; NULL when it is empty. */
struct rte_mbuf *mbufs_frame(struct fuzz_input *in, const uint8_t *to, uint32_t len);
void mbufs_hold(struct rte_mbuf *mbuf);
/* One of those held, or NULL. */
struct rte_mbuf *mbufs_held(uint32_t which);
void mbufs_free_held(void);
/* After a port is gone: each mbuf is back once, and as it was made. */
void mbufs_check(void);

/* -- fuzz_burst_peer.c -- */
/* The port "slot" of the region at base, which is our own view of it, attacks port "victim". */
void peer_open(uint8_t *base, const struct ivshmem_layout *layout, uint32_t slot, uint32_t victim,
	       bool lends);
void peer_beat(void);
/* Its honest half: both rings come up. */
void peer_settle(void);
void peer_send(struct fuzz_input *in);
void peer_consume(struct fuzz_input *in);
void peer_break(struct fuzz_input *in);
const uint8_t *peer_mac(void);

#endif /* FUZZ_BURST_H */
