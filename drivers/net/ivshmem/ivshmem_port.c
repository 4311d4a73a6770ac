/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Own row and the others' rows; see ivshmem_port.h for the states.
 *
 * Invariants:
 *  O1. A slot is written only by the process whose nonce stands in it.
 *  O2. An observer's verdict needs no clock of the other side: a heartbeat is compared by change.
 *  O3. Who was dead by its silence runs again with its next life, so that both sides agree on what
 *      was before; one that beats and takes none is let in after IVSHMEM_PORT_REJOIN_MS.
 * Ordering: P5 <-> C5 (row). conf_seq: odd while written, fences on both sides.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem_atomic.h"
#include "ivshmem_port.h"
#include "ivshmem_ring.h"

#define IVSHMEM_CONF_TRIES	8
#define IVSHMEM_WATCH_STEP_MS	10u
#define IVSHMEM_RACE_MS		30u	/* two claimers see each other's nonce within this */

static uint64_t
ivshmem_row(uint32_t life, enum ivshmem_port_state state)
{
	return (uint64_t)life << 32 | (uint32_t)state;
}

static void
ivshmem_sleep_ms(uint32_t ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

/* How long silence must last before it means anything. */
static uint32_t
ivshmem_silence_ms(uint32_t beat_ms)
{
	if (beat_ms == 0 || beat_ms > IVSHMEM_PORT_BEAT_MAX_MS)
		beat_ms = IVSHMEM_PORT_BEAT_MS;
	return beat_ms * 10 > IVSHMEM_PORT_SILENCE_MS ? beat_ms * 10 : IVSHMEM_PORT_SILENCE_MS;
}

/* Whether somebody moves in the slot while it is watched. */
static bool
ivshmem_port_moves(const struct ivshmem_section_shm *section, uint32_t watch_ms)
{
	const uint64_t beat = ivshmem_load64(&section->beat);
	const uint64_t nonce = ivshmem_load64(&section->nonce);

	for (uint32_t ms = 0; ms < watch_ms; ms += IVSHMEM_WATCH_STEP_MS) {
		ivshmem_sleep_ms(IVSHMEM_WATCH_STEP_MS);
		if (ivshmem_load64(&section->beat) != beat ||
		    ivshmem_load64(&section->nonce) != nonce)
			return true;
		if ((ivshmem_load64_acquire(&section->row) & UINT32_MAX) == IVSHMEM_PORT_RESET)
			return false;	/* left while we watched */
	}
	return false;
}

/*
 * How long to watch before the slot is taken. Left cleanly, or locked by its last owner as by us
 * now: not at all. Given by the server: its last owner is gone, unless it outlived an earlier
 * server; then it beats soon. Else only long silence tells.
 */
static uint32_t
ivshmem_port_watch_ms(const struct ivshmem_section_shm *section, enum ivshmem_owner_kind kind)
{
	const uint32_t last = ivshmem_load32(&section->owner_kind);

	if ((ivshmem_load64_acquire(&section->row) & UINT32_MAX) == IVSHMEM_PORT_RESET)
		return 0;
	if (kind == IVSHMEM_OWNER_LOCK && last == IVSHMEM_OWNER_LOCK)
		return 0;
	if (kind == IVSHMEM_OWNER_SERVER && last == IVSHMEM_OWNER_SERVER)
		return 4 * IVSHMEM_PORT_BEAT_MS;
	return ivshmem_silence_ms(ivshmem_load32(&section->beat_ms));
}

int
ivshmem_port_claim(struct ivshmem_port *port, void *base, const struct ivshmem_layout *layout,
		   uint32_t slot, enum ivshmem_owner_kind kind, uint64_t nonce,
		   struct ivshmem_fault *fault)
{
	struct ivshmem_section_shm *section;
	uint64_t row;

	if (slot >= layout->port_cnt)
		return IVSHMEM_FAULT(fault, -EINVAL, "port %" PRIu32
			" is not in the region: it has ports 0..%" PRIu32, slot,
			layout->port_cnt - 1);
	section = ivshmem_layout_section(base, layout, slot);
	row = ivshmem_load64_acquire(&section->row);
	if (ivshmem_port_moves(section, ivshmem_port_watch_ms(section, kind)))
		return IVSHMEM_FAULT(fault, -EBUSY, "port %" PRIu32 " is taken: life %" PRIu32
			", process %" PRIu32 ", its heart beats; take another port or stop it",
			slot, (uint32_t)(row >> 32), ivshmem_load32(&section->pid));

	memset(port, 0, sizeof(*port));
	port->base = base;
	port->layout = layout;
	port->section = section;
	port->slot = slot;
	port->nonce = nonce;
	ivshmem_store64_release(&section->nonce, nonce);
	if (kind == IVSHMEM_OWNER_BARE) {
		ivshmem_sleep_ms(IVSHMEM_RACE_MS);
		if (ivshmem_load64_acquire(&section->nonce) != nonce)
			return IVSHMEM_FAULT(fault, -EBUSY,
				"port %" PRIu32 " was claimed by another process just now",
				slot);
	}
	ivshmem_store32(&section->owner_kind, kind);
	ivshmem_store32(&section->pid, getpid());
	ivshmem_store32(&section->beat_ms, IVSHMEM_PORT_BEAT_MS);
	for (uint32_t other = 0; other < IVSHMEM_ABI_PORTS_MAX; other++)
		ivshmem_store16(&section->held[other], 0);
	port->beat = ivshmem_load64(&section->beat);
	port->dir_gen = ivshmem_load32(&section->dir_gen);
	port->conf_seq = (ivshmem_load32(&section->conf_seq) + 1) & ~UINT32_C(1);
	port->life = (uint32_t)(ivshmem_load64(&section->row) >> 32) + 1;
	ivshmem_port_set_state(port, IVSHMEM_PORT_INIT);
	return 0;
}

void
ivshmem_port_release(struct ivshmem_port *port)
{
	if (ivshmem_load64(&port->section->nonce) != port->nonce)
		return;
	ivshmem_port_set_state(port, IVSHMEM_PORT_RESET);
	ivshmem_store64_release(&port->section->nonce, 0);
}

void
ivshmem_port_set_state(struct ivshmem_port *port, enum ivshmem_port_state state)
{
	port->state = state;
	ivshmem_ring_order(port->wc);
	ivshmem_store64_release(&port->section->row, ivshmem_row(port->life, state));	/* P5 */
}

void
ivshmem_port_set_conf(struct ivshmem_port *port, const struct ivshmem_conf_shm *conf)
{
	struct ivshmem_section_shm *section = port->section;

	ivshmem_store32(&section->conf_seq, port->conf_seq + 1);
	ivshmem_fence_release();
	ivshmem_ring_order(port->wc);
	memcpy(&section->conf, conf, sizeof(*conf));
	port->conf_seq += 2;
	ivshmem_ring_order(port->wc);
	ivshmem_store32_release(&section->conf_seq, port->conf_seq);
}

void
ivshmem_port_bump_dir(struct ivshmem_port *port)
{
	ivshmem_store32_release(&port->section->dir_gen, ++port->dir_gen);
}

static uint16_t
ivshmem_held(uint32_t life)
{
	return IVSHMEM_ABI_HELD | (life & (IVSHMEM_ABI_HELD - 1));
}

bool
ivshmem_port_is_held(const struct ivshmem_port *port, uint32_t by)
{
	const struct ivshmem_section_shm *section =
		ivshmem_layout_section(port->base, port->layout, by);

	return ivshmem_load16(&section->held[port->slot]) == ivshmem_held(port->life);
}

void
ivshmem_port_rejoin(struct ivshmem_port *port)
{
	port->life++;
	ivshmem_port_set_state(port, IVSHMEM_PORT_INIT);
}

void
ivshmem_port_tell_held(struct ivshmem_port *port, const struct ivshmem_peer *peer)
{
	ivshmem_store16(&port->section->held[peer->slot],
			peer->held ? ivshmem_held(peer->life) : 0);
}

int
ivshmem_port_beat(struct ivshmem_port *port)
{
	if (ivshmem_load64(&port->section->nonce) != port->nonce)
		return -ESTALE;
	ivshmem_store64(&port->section->beat, ++port->beat);
	return 0;
}

/* What an end has to show: no session that ended; no loans of one; no session that lasts either. */
enum ivshmem_clear {
	IVSHMEM_CLEAR_PARTED,
	IVSHMEM_CLEAR_LOANS,
	IVSHMEM_CLEAR_ALL,
};

/* S5: first yours, then clear. */
static bool
ivshmem_end_is_clear(const struct ivshmem_cons_shm *cons, const struct ivshmem_prod_shm *prod,
		     bool wc, enum ivshmem_clear want)
{
	const uint32_t epoch = ivshmem_ring_load64(&prod->pw, wc) >> 32;	/* C1 <- P1 */
	const uint32_t yours = ivshmem_ring_load32(&cons->yours, wc);		/* C3 <- P3 */

	if (ivshmem_load32(&cons->return_mode) == IVSHMEM_RETURN_COPY)
		return true;
	if (yours != 0 && (yours != epoch || want == IVSHMEM_CLEAR_ALL))
		return false;
	return want == IVSHMEM_CLEAR_PARTED || ivshmem_load32_acquire(&cons->clear) == 1;
}

/* On all rings from the source to the other port. */
static bool
ivshmem_ends_are_clear(const struct ivshmem_port *port, uint32_t source, uint32_t by,
		       enum ivshmem_clear want)
{
	const struct ivshmem_layout *layout = port->layout;
	struct ivshmem_section_shm *from = ivshmem_layout_section(port->base, layout, source);
	struct ivshmem_section_shm *to = ivshmem_layout_section(port->base, layout, by);

	for (uint32_t txq = 0; txq < layout->queue_cnt; txq++)
		for (uint32_t rxq = 0; rxq < layout->queue_cnt; rxq++)
			if (!ivshmem_end_is_clear(ivshmem_layout_cons(to, layout,
				ivshmem_layout_end(layout, source, txq, rxq)),
			    ivshmem_layout_prod(from, layout,
				ivshmem_layout_end(layout, by, txq, rxq)), port->wc, want))
				return false;
	return true;
}

bool
ivshmem_port_is_clear(const struct ivshmem_port *port, uint32_t source, uint32_t by)
{
	return ivshmem_ends_are_clear(port, source, by, IVSHMEM_CLEAR_LOANS);
}

bool
ivshmem_port_is_clear_of_dead(const struct ivshmem_port *port, uint32_t source, uint32_t by)
{
	return ivshmem_ends_are_clear(port, source, by, IVSHMEM_CLEAR_ALL);
}

bool
ivshmem_port_has_parted(const struct ivshmem_port *port, uint32_t source, uint32_t by)
{
	return ivshmem_ends_are_clear(port, source, by, IVSHMEM_CLEAR_PARTED);
}

void
ivshmem_peer_init(struct ivshmem_peer *peer, uint32_t slot)
{
	memset(peer, 0, sizeof(*peer));
	peer->slot = slot;
}

/* Counts that later bound a loop or an index. */
static bool
ivshmem_conf_is_valid(const struct ivshmem_conf_shm *conf, const struct ivshmem_layout *layout)
{
	return conf->rxq_cnt >= 1 && conf->rxq_cnt <= layout->queue_cnt &&
		conf->txq_cnt >= 1 && conf->txq_cnt <= layout->queue_cnt &&
		conf->mac_cnt >= 1 && conf->mac_cnt <= IVSHMEM_ABI_MACS_MAX &&
		conf->rss_key_len <= IVSHMEM_ABI_RSS_KEY_MAX &&
		conf->reta_cnt <= IVSHMEM_ABI_RETA_MAX;
}

/* A new, consistent and possible configuration replaces the last good copy. */
static bool
ivshmem_peer_read_conf(struct ivshmem_peer *peer, const struct ivshmem_section_shm *section,
		       const struct ivshmem_layout *layout)
{
	struct ivshmem_conf_shm conf;
	uint32_t seq;

	for (int i = 0; i < IVSHMEM_CONF_TRIES; i++) {
		seq = ivshmem_load32_acquire(&section->conf_seq);
		if (seq == peer->conf_seq)
			return false;
		if (seq % 2 != 0)
			continue;
		memcpy(&conf, &section->conf, sizeof(conf));
		ivshmem_fence_acquire();
		if (ivshmem_load32(&section->conf_seq) != seq)
			continue;
		peer->conf_seq = seq;
		if (!ivshmem_conf_is_valid(&conf, layout))
			return false;
		peer->conf = conf;
		return true;
	}
	return false;
}

/* Dead by the server's word, or by silence; alive when the heart beats. now_ms is not 0. */
static void
ivshmem_peer_judge(struct ivshmem_peer *peer, const struct ivshmem_section_shm *section,
		   const struct ivshmem_slot_shm *slot, uint64_t server, uint64_t now_ms)
{
	const uint64_t beat = ivshmem_load64(&section->beat);
	const uint64_t row = ivshmem_load64_acquire(&slot->row);
	const bool left = server != 0 && (row & UINT32_MAX) == IVSHMEM_SLOT_LEFT &&
		ivshmem_load64(&slot->server_epoch) == server;	/* an older one's word is old */
	const bool first = peer->beat_seen_ms == 0;

	peer->beat_ms = ivshmem_load32(&section->beat_ms);
	if (beat != peer->beat || first) {
		if (!peer->alive)
			peer->beats_ms = now_ms;
		peer->alive = !first;	/* at first sight nobody is */
		peer->beat = beat;
		peer->beat_seen_ms = now_ms;
		if (!first && !peer->left)
			return;		/* it may have beaten before it left: the next look tells */
	} else if (left && !peer->left) {
		peer->alive = false;
	} else if (now_ms - peer->looked_ms > IVSHMEM_PORT_SILENCE_MS / 2) {
		peer->beat_seen_ms = now_ms;	/* the observer stood still itself */
	} else if (now_ms - peer->beat_seen_ms >= ivshmem_silence_ms(peer->beat_ms)) {
		peer->alive = false;
	}
	peer->left = left;
}

/* Dead by silence, in the middle of its life: from then on held, until O3 says otherwise. */
static bool
ivshmem_peer_is_held(const struct ivshmem_peer *peer, uint64_t row, bool was_alive,
		     uint64_t now_ms)
{
	if ((uint32_t)(row >> 32) != peer->life || (row & UINT32_MAX) == IVSHMEM_PORT_RESET)
		return false;
	if (peer->held)
		return !peer->alive || now_ms - peer->beats_ms < IVSHMEM_PORT_REJOIN_MS;
	return was_alive && !peer->alive && !peer->left;
}

uint32_t
ivshmem_peer_look(struct ivshmem_peer *peer, void *base, const struct ivshmem_layout *layout,
		  uint64_t now_ms)
{
	const struct ivshmem_section_shm *section =
		ivshmem_layout_section(base, layout, peer->slot);
	const struct ivshmem_superblock_shm *super = ivshmem_layout_superblock(base);
	const uint64_t server = ivshmem_load64(&super->server_epoch);
	const uint64_t row = ivshmem_load64_acquire(&section->row);	/* C5 <- P5 */
	const uint32_t life = row >> 32;
	const uint32_t dir_gen = ivshmem_load32_acquire(&section->dir_gen);
	const bool was_alive = peer->alive;
	uint32_t changed = 0;
	bool running;
	bool held;

	ivshmem_peer_judge(peer, section, ivshmem_layout_slot(base, layout, peer->slot), server,
			   now_ms);
	if (ivshmem_peer_read_conf(peer, section, layout))
		changed |= IVSHMEM_PEER_CONF;
	if (dir_gen != peer->dir_gen)
		changed |= IVSHMEM_PEER_DIR;
	peer->dir_gen = dir_gen;

	peer->state = (uint32_t)row <= IVSHMEM_PORT_RUN ? (uint32_t)row : IVSHMEM_PORT_RESET;
	held = ivshmem_peer_is_held(peer, row, was_alive, now_ms);
	if (held != peer->held)
		changed |= IVSHMEM_PEER_HELD;
	peer->held = held;
	peer->shown = peer->alive && !held ? peer->state : IVSHMEM_PORT_RESET;
	running = peer->alive && !held && peer->state == IVSHMEM_PORT_RUN &&
		peer->conf.rxq_cnt != 0;
	if (running != peer->running || (running && life != peer->life))
		changed |= IVSHMEM_PEER_LINK;
	peer->running = running;
	peer->life = life;
	peer->looked_ms = now_ms;
	return changed;
}
