/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The attacker's parts: its hostile stores (attacker.c), what it does while it seems honest
 * (honest.c), the kinds of attack (kinds.c, cells.c), and what others lose meanwhile (rates.c).
 *
 * Every hostile store goes through hostile_store(), which counts it. What the honest half stores is
 * not counted.
 *
 * Threads: one.
 */

#ifndef IVSHMEM_TEST_ATTACKER_H
#define IVSHMEM_TEST_ATTACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_layout.h"
#include "ivshmem_port.h"
#include "ivshmem_session.h"

#define HOSTILE_PORTS_MAX 8u
#define HOSTILE_COOKIES 256u	/* of those seen last, a power of two */
#define HOSTILE_COPYBREAK 256u

/* What a field is part of; also the order of layout.golden. */
enum hostile_struct {
	HOSTILE_SUPERBLOCK,
	HOSTILE_SLOT,
	HOSTILE_SECTION,
	HOSTILE_CONF,
	HOSTILE_RXQ,
	HOSTILE_PROD,
	HOSTILE_CONS,
	HOSTILE_DESC,
	HOSTILE_META,
};

struct hostile_field {
	enum hostile_struct where;
	const char *name;
	uint32_t off;
	uint32_t len;
};

/* The attacker's ring ends with one other port, queue 0 of both. */
struct hostile_way {
	struct ivshmem_producer producer;
	struct ivshmem_consumer consumer;
	uint32_t staged;	/* behind the last descriptor written */
	uint32_t other;
	uint32_t cookies[HOSTILE_COOKIES];	/* that were to be returned, or were */
	uint32_t cookie_cnt;
	uint64_t taken;
	uint32_t seen;		/* producer.cons when it last moved, and the time */
	uint64_t moved_ms;
};

struct hostile {
	struct ivshmem_layout layout;
	struct ivshmem_port port;
	struct hostile_way way[HOSTILE_PORTS_MAX];
	uint8_t *base;
	uint8_t *shadow;		/* if not NULL, stores go there instead of the region */
	bool everywhere;		/* the whole region, not only the own section */
	uint64_t random;
	uint64_t writes;
	uint64_t control;		/* of them: outside of buffers */
	const volatile uint64_t *progress;	/* the victim's packets, counted by itself */
	uint64_t cell_min;		/* live writes that each field and value has to get */
	uint32_t seq;
	uint64_t last_beat_ms;
	uint8_t mac[6];
};

/* -- attacker.c -- */
uint64_t hostile_random(struct hostile *attacker);
/* Below limit, which is not 0. */
uint64_t hostile_below(struct hostile *attacker, uint64_t limit);
/* Store 1, 2, 4 or 8 bytes at a place of the region that is aligned for them. */
void hostile_store(struct hostile *attacker, void *place, uint32_t len, uint64_t value);
uint64_t hostile_load(const void *place, uint32_t len);
uint64_t hostile_now_ms(void);
/* A port other than the own one; the victim, port 0, half of the time. */
uint32_t hostile_other(struct hostile *attacker);
/* The section that is written to: the own one, or any. */
struct ivshmem_section_shm *hostile_section(struct hostile *attacker);

/* -- honest.c -- */
/* Map the region, claim the slot and start the ring ends. Returns 0, or -1 after a message. */
int honest_join(struct hostile *attacker, const char *path, uint32_t slot);
enum honest_take {
	HONEST_TAKE_NONE,
	HONEST_TAKE_KEEP,	/* and give no buffer back that is to come back by its cookie */
	HONEST_TAKE_RETURN,
};

/* A heartbeat when one is due, the next step of each session, and what came is taken. */
void honest_live(struct hostile *attacker, enum honest_take take);
/* Publish up to cnt frames to a port, some as chains. */
void honest_send(struct hostile *attacker, uint32_t other, uint32_t cnt);
/* Publish up to cnt frames of one piece and len bytes. */
void honest_fill(struct hostile *attacker, struct hostile_way *way, uint32_t cnt, uint32_t len);
/* The buffer of a descriptor: one of the last, so that whoever reads too far leaves the section. */
uint32_t honest_buf(const struct hostile *attacker, uint32_t idx);
/* State, configuration and nonce, as a port that runs has them. */
void honest_row(struct hostile *attacker);
/* START of all ring ends, as a new life does. */
void honest_restart(struct hostile *attacker);
/*
 * Put right what the formatter wrote, and behave until some packets of the victim have passed: it
 * may have lost its port, and a region without its geometry lets nobody in.
 */
void honest_calm(struct hostile *attacker);

/* -- kinds.c: each call is a batch of some hundred stores -- */
void kind_random(struct hostile *attacker);
void kind_rewrite(struct hostile *attacker);
void kind_replay(struct hostile *attacker);
void kind_claim(struct hostile *attacker);
void kind_flood(struct hostile *attacker);
/* Random words only, and no frames. */
void kind_scribble(struct hostile *attacker);

/* -- cells.c -- */
/* A batch of one field and one value, whichever had the fewest. */
void kind_fields(struct hostile *attacker);
/* Whether each field and value had cell_min stores while the victim's packets advanced. */
bool cells_done(const struct hostile *attacker);
void cells_print(const struct hostile *attacker);

/* -- rates.c: what ports 0 and 1 lose; port 0 sends to port 1 as fast as it can -- */
/* Frames of port 0 that arrive while the attacker scribbles, and while it does so elsewhere. */
void rate_scribble(struct hostile *attacker);
/* Frames of port 0 and of the attacker, which sends to port 1, too, as fast as it can. */
void rate_share(struct hostile *attacker);
void rate_print(void);

#endif /* IVSHMEM_TEST_ATTACKER_H */
