/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A port's own row in its section, and what can be told of the others.
 *
 * struct ivshmem_port is the owner's view: claim a slot, publish state, configuration and
 * heartbeat, release it. struct ivshmem_peer is an observer's view of another slot: is it alive, is
 * it running, what is its configuration. For the driver's control thread, tools and tests; no DPDK.
 *
 * state | event                     | who           | next
 * ------|---------------------------|---------------|------
 * RESET | claim                     | new owner     | INIT, life + 1
 * INIT  | rings and conf published  | owner         | RUN (or READY with the link set down)
 * READY | link set up               | owner         | RUN
 * RUN   | link set down             | owner         | READY
 * any   | stop                      | owner         | INIT
 * any   | release                   | owner         | RESET
 * any   | held for dead             | owner         | INIT, life + 1
 * any   | claim of a dead one       | next owner    | INIT, life + 1
 *
 * Forbidden: RUN before the ring ends are started (a peer would use old indices); any state written
 * by another than the owner; a claim of a slot whose heartbeat or nonce moves.
 *
 * Trust: everything of another's section is loaded once and bounded here.
 */

#ifndef IVSHMEM_PORT_H
#define IVSHMEM_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_abi.h"
#include "ivshmem_fault.h"
#include "ivshmem_layout.h"

#define IVSHMEM_PORT_BEAT_MS		50u
#define IVSHMEM_PORT_BEAT_MAX_MS	1000u	/* longer intervals are not believed */
#define IVSHMEM_PORT_SILENCE_MS		2800u	/* at least, and 10 intervals */
#define IVSHMEM_PORT_REJOIN_MS		1000u	/* of beats, then a life held for dead is let in */

struct ivshmem_port {
	void *base;
	const struct ivshmem_layout *layout;
	struct ivshmem_section_shm *section;
	uint32_t slot;
	uint32_t life;
	enum ivshmem_port_state state;
	uint64_t nonce;
	uint64_t beat;
	uint32_t conf_seq;
	uint32_t dir_gen;
	bool wc;		/* base may be mapped write-combining; see ivshmem_ring.h */
};

/*
 * Claim a slot. "kind" is how death of an earlier owner is known; when it is not, the slot is
 * watched for as long as silence must last, 2.8 s to 10 s. Returns 0, -EBUSY when somebody lives
 * there (the fault names its life and process), -EINVAL when slot is not in the region.
 */
int ivshmem_port_claim(struct ivshmem_port *port, void *base, const struct ivshmem_layout *layout,
		       uint32_t slot, enum ivshmem_owner_kind kind, uint64_t nonce,
		       struct ivshmem_fault *fault);

/* Leave: state RESET, then the nonce goes. */
void ivshmem_port_release(struct ivshmem_port *port);

/* Publish the state (P5): all that was written before is visible with it. */
void ivshmem_port_set_state(struct ivshmem_port *port, enum ivshmem_port_state state);

void ivshmem_port_set_conf(struct ivshmem_port *port, const struct ivshmem_conf_shm *conf);

/* Tell the consumers that the directory of producer ends changed. */
void ivshmem_port_bump_dir(struct ivshmem_port *port);

/*
 * Whether a port holds our present life for dead: we stood still for too long. It lets us in again
 * with our next life.
 */
bool ivshmem_port_is_held(const struct ivshmem_port *port, uint32_t by);

/* Take the next life, in state INIT: the ring ends are to start anew before the port runs. */
void ivshmem_port_rejoin(struct ivshmem_port *port);

/* Once an interval. Returns 0, or -ESTALE when another process took the slot over. */
int ivshmem_port_beat(struct ivshmem_port *port);

/*
 * Whether port "by" shows, on all rings from "source" that it gives back by cookie, that nothing of
 * earlier sessions or lives of the source is in use.
 */
bool ivshmem_port_is_clear(const struct ivshmem_port *port, uint32_t source, uint32_t by);

/* The same where the source died: its sessions last, and so does what it passed on in them. */
bool ivshmem_port_is_clear_of_dead(const struct ivshmem_port *port, uint32_t source, uint32_t by);

/* As is_clear but for loans: it takes no more out of earlier sessions. */
bool ivshmem_port_has_parted(const struct ivshmem_port *port, uint32_t source, uint32_t by);

/* What an observer knows of another slot. */
struct ivshmem_peer {
	uint32_t slot;
	uint32_t life;
	enum ivshmem_port_state state;
	enum ivshmem_port_state shown;	/* state while alive and not held, else RESET */
	bool alive;
	bool running;		/* alive and RUN */
	bool left;		/* its socket was closed; alive again only if its heart beats */
	bool held;		/* this life was dead by its silence: not running before the next */
	uint64_t beats_ms;	/* when its heart began to beat again */
	uint64_t beat;
	uint64_t beat_seen_ms;	/* when it last moved, observer's clock */
	uint64_t looked_ms;	/* when it was looked at last */
	uint32_t beat_ms;
	uint32_t conf_seq;
	uint32_t dir_gen;
	struct ivshmem_conf_shm conf;	/* last good copy, bounded */
};

#define IVSHMEM_PEER_LINK	(UINT32_C(1) << 0)	/* running changed, or a new life runs */
#define IVSHMEM_PEER_CONF	(UINT32_C(1) << 1)	/* a new configuration */
#define IVSHMEM_PEER_DIR	(UINT32_C(1) << 2)	/* its rings' directory changed */
#define IVSHMEM_PEER_HELD	(UINT32_C(1) << 3)	/* held changed: tell it */

void ivshmem_peer_init(struct ivshmem_peer *peer, uint32_t slot);

/* Look at the other port again. Returns what changed, IVSHMEM_PEER_*. */
uint32_t ivshmem_peer_look(struct ivshmem_peer *peer, void *base,
			   const struct ivshmem_layout *layout, uint64_t now_ms);

/* Write down, in the observer's own section, whether it holds the other for dead. */
void ivshmem_port_tell_held(struct ivshmem_port *port, const struct ivshmem_peer *peer);

#endif /* IVSHMEM_PORT_H */
