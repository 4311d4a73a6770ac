/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What an observer concludes of another slot, with a clock of the test's own:
 *
 * slot table              | heartbeat | verdict
 * ------------------------|-----------|--------------------------------
 * LIVE                    | moving    | alive
 * LIVE                    | still     | suspect after max(2.8 s, 10 intervals)
 * LEFT                    | still     | dead at once
 * LEFT, or older server   | moving    | alive
 * DROPPED                 | still     | suspect after the time-out, not at once
 * older server            | still     | dead after the time-out
 *
 * Suspect and dead are both "not alive" to the driver: nothing is sent.
 */

#include <stdlib.h>

#include "check.h"
#include "ivshmem_atomic.h"
#include "ivshmem_port.h"

#define TOTAL	(UINT64_C(1) << 20)
#define STEP_MS	50
#define SERVER	UINT64_C(77)

struct scene {
	void *base;
	struct ivshmem_layout layout;
	struct ivshmem_port port;	/* of slot 1, observed */
	struct ivshmem_peer peer;
	uint64_t now_ms;
	uint32_t changed;		/* what the last steps reported */
};

static void
server_says(struct scene *scene, uint64_t epoch, enum ivshmem_slot_state state, uint64_t of)
{
	struct ivshmem_slot_shm *slot = ivshmem_layout_slot(scene->base, &scene->layout, 1);

	ivshmem_store64(&ivshmem_layout_superblock(scene->base)->server_epoch, epoch);
	ivshmem_store64(&slot->server_epoch, of);
	ivshmem_store64_release(&slot->row, (uint64_t)1 << 32 | state);
}

static void
set_conf(struct scene *scene)
{
	const struct ivshmem_conf_shm conf = { .rxq_cnt = 1, .txq_cnt = 1, .mac_cnt = 1 };

	ivshmem_port_set_conf(&scene->port, &conf);
}

/* Let time pass in steps, with or without heartbeats between the looks. */
static void
pass(struct scene *scene, uint32_t ms, bool beats)
{
	scene->changed = 0;
	for (uint32_t at = 0; at < ms; at += STEP_MS) {
		if (beats)
			CHECK_EQ(ivshmem_port_beat(&scene->port), 0);
		scene->now_ms += STEP_MS;
		scene->changed |= ivshmem_peer_look(&scene->peer, scene->base, &scene->layout,
						    scene->now_ms);
	}
}

/* Slot 1 claimed and running, seen alive; the server of epoch SERVER says LIVE. */
static bool
begin(struct scene *scene, bool server)
{
	const struct ivshmem_geometry want = { .total_len = TOTAL };
	const uint8_t uuid[16] = { 1 };
	struct ivshmem_fault fault = { "" };

	memset(scene, 0, sizeof(*scene));
	scene->now_ms = 1000;
	scene->base = aligned_alloc(4096, TOTAL);
	if (!CHECK(scene->base != NULL))
		return false;
	memset(scene->base, 0, TOTAL);
	CHECK_MSG(ivshmem_layout_plan(&want, &scene->layout, &fault) == 0, "%s", fault.text);
	ivshmem_layout_format(scene->base, &scene->layout, uuid);
	if (server)
		server_says(scene, SERVER, IVSHMEM_SLOT_LIVE, SERVER);
	CHECK_EQ(ivshmem_port_claim(&scene->port, scene->base, &scene->layout, 1,
				    IVSHMEM_OWNER_SERVER, 5, &fault), 0);
	set_conf(scene);
	ivshmem_port_set_state(&scene->port, IVSHMEM_PORT_RUN);
	ivshmem_peer_init(&scene->peer, 1);
	pass(scene, 3 * STEP_MS, true);
	return CHECK(scene->peer.alive && scene->peer.running) &&
		CHECK(scene->changed & IVSHMEM_PEER_LINK);
}

static void
end(struct scene *scene)
{
	free(scene->base);
}

struct row {
	const char *name;
	uint64_t server;		/* its epoch in the superblock; 0 = it went away */
	enum ivshmem_slot_state state;
	uint64_t of;			/* epoch of the server that wrote the entry */
	bool beats;
	bool alive_at_once;
	bool alive_later;
};

static const struct row rows[] = {
	{ "LIVE, moving", SERVER, IVSHMEM_SLOT_LIVE, SERVER, true, true, true },
	{ "LIVE, still", SERVER, IVSHMEM_SLOT_LIVE, SERVER, false, true, false },
	{ "LEFT, still", SERVER, IVSHMEM_SLOT_LEFT, SERVER, false, false, false },
	{ "LEFT, moving", SERVER, IVSHMEM_SLOT_LEFT, SERVER, true, true, true },
	{ "DROPPED, still", SERVER, IVSHMEM_SLOT_DROPPED, SERVER, false, true, false },
	{ "DROPPED, moving", SERVER, IVSHMEM_SLOT_DROPPED, SERVER, true, true, true },
	{ "LIVE by an older server, still", SERVER + 1, IVSHMEM_SLOT_LIVE, SERVER, false, true,
	  false },
	{ "LIVE by an older server, moving", SERVER + 1, IVSHMEM_SLOT_LIVE, SERVER, true, true,
	  true },
	{ "LEFT by an older server, moving", SERVER + 1, IVSHMEM_SLOT_LEFT, SERVER, true, true,
	  true },
	{ "no server any more, LIVE, still", 0, IVSHMEM_SLOT_LIVE, SERVER, false, true, false },
	{ "no server any more, LEFT, moving", 0, IVSHMEM_SLOT_LEFT, SERVER, true, true, true },
	{ "no server any more, DROPPED, moving", 0, IVSHMEM_SLOT_DROPPED, SERVER, true, true,
	  true },
};

static void
verdicts(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct scene scene;

		if (!begin(&scene, true))
			return;
		server_says(&scene, row->server, row->state, row->of);
		pass(&scene, STEP_MS, row->beats);
		CHECK_MSG(scene.peer.alive == row->alive_at_once, "%s: alive is %d at once",
			  row->name, scene.peer.alive);
		pass(&scene, IVSHMEM_PORT_SILENCE_MS, row->beats);
		CHECK_MSG(scene.peer.alive == row->alive_later, "%s: alive is %d after the silence",
			  row->name, scene.peer.alive);
		CHECK_EQ(scene.peer.running, row->alive_later);
		/* a heart that beats again is alive, whatever the slot table says */
		pass(&scene, 2 * STEP_MS, true);
		CHECK_MSG(scene.peer.alive, "%s: not alive when it beats", row->name);
		/* but runs again at once only if it was not dead by its silence */
		CHECK_MSG(scene.peer.held == (row->alive_at_once && !row->alive_later),
			  "%s: held is %d", row->name, scene.peer.held);
		CHECK_EQ(scene.peer.running, !scene.peer.held);
		end(&scene);
	}
}

/* The last beat and the server's word of the end are seen in one look: the next one tells. */
static void
left_after_a_beat(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	server_says(&scene, SERVER, IVSHMEM_SLOT_LEFT, SERVER);
	pass(&scene, STEP_MS, true);
	pass(&scene, STEP_MS, false);
	CHECK(!scene.peer.alive && scene.peer.shown == IVSHMEM_PORT_RESET);
	end(&scene);
}

/* Not a moment before the time-out, for each interval that a port may have. */
static void
time_out(void)
{
	static const struct {
		uint32_t beat_ms;
		uint32_t silence_ms;
	} cases[] = {
		{ 50, 2800 }, { 1, 2800 }, { 280, 2800 }, { 281, 2810 }, { 1000, 10000 },
		{ 1001, 2800 }, { 10000, 2800 },
		/* impossible intervals count as the default */
		{ 0, 2800 }, { 10001, 2800 }, { UINT32_MAX, 2800 }, { 429496730, 2800 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene;
		uint64_t seen_ms;

		if (!begin(&scene, false))
			return;
		ivshmem_store32(&scene.port.section->beat_ms, cases[i].beat_ms);
		pass(&scene, STEP_MS, true);
		seen_ms = scene.now_ms;
		for (uint32_t ms = 0; ms < cases[i].silence_ms - 1; ms += STEP_MS)
			ivshmem_peer_look(&scene.peer, scene.base, &scene.layout, seen_ms + ms);
		ivshmem_peer_look(&scene.peer, scene.base, &scene.layout,
				  seen_ms + cases[i].silence_ms - 1);
		CHECK_MSG(scene.peer.alive, "interval %u: dead too early", cases[i].beat_ms);
		scene.changed = ivshmem_peer_look(&scene.peer, scene.base, &scene.layout,
						  seen_ms + cases[i].silence_ms);
		CHECK_MSG(!scene.peer.alive, "interval %u: still alive", cases[i].beat_ms);
		CHECK_EQ(scene.changed, IVSHMEM_PEER_LINK | IVSHMEM_PEER_HELD);
		end(&scene);
	}
}

/* The observer's own section, slot 0, in which it writes whom it holds for dead. */
static void
observe(struct scene *scene, struct ivshmem_port *observer)
{
	struct ivshmem_fault fault = { "" };

	CHECK_EQ(ivshmem_port_claim(observer, scene->base, &scene->layout, 0,
				    IVSHMEM_OWNER_SERVER, 7, &fault), 0);
}

/* Dead by silence: told so, it takes its next life and is let in. */
static void
held_until_next_life(void)
{
	struct ivshmem_port observer;
	struct scene scene;

	if (!begin(&scene, true))
		return;
	observe(&scene, &observer);
	pass(&scene, IVSHMEM_PORT_SILENCE_MS, false);
	CHECK(scene.peer.held && !scene.peer.alive);
	CHECK(scene.changed & IVSHMEM_PEER_HELD);
	CHECK(!ivshmem_port_is_held(&scene.port, 0));	/* not told yet */
	ivshmem_port_tell_held(&observer, &scene.peer);
	CHECK(ivshmem_port_is_held(&scene.port, 0));

	pass(&scene, STEP_MS, true);
	CHECK(scene.peer.alive && !scene.peer.running && scene.peer.shown == IVSHMEM_PORT_RESET);
	ivshmem_port_rejoin(&scene.port);
	CHECK(scene.port.life == 2 && scene.port.state == IVSHMEM_PORT_INIT);
	CHECK(!ivshmem_port_is_held(&scene.port, 0));
	pass(&scene, STEP_MS, true);
	CHECK(!scene.peer.held && !scene.peer.running);
	CHECK(scene.changed & IVSHMEM_PEER_HELD);
	ivshmem_port_tell_held(&observer, &scene.peer);
	ivshmem_port_set_state(&scene.port, IVSHMEM_PORT_RUN);
	pass(&scene, STEP_MS, true);
	CHECK(scene.peer.running && scene.peer.life == 2);
	CHECK(!ivshmem_port_is_held(&scene.port, 0));
	end(&scene);
}

/* One that beats on and takes no other life is let in later; one that leaves is not held. */
static void
held_in_vain(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	pass(&scene, IVSHMEM_PORT_SILENCE_MS, false);
	pass(&scene, IVSHMEM_PORT_REJOIN_MS, true);
	CHECK(scene.peer.held && scene.peer.alive);
	pass(&scene, STEP_MS, true);
	CHECK(!scene.peer.held && scene.peer.running && scene.peer.life == 1);

	pass(&scene, IVSHMEM_PORT_SILENCE_MS, false);
	CHECK(scene.peer.held);
	ivshmem_port_release(&scene.port);
	pass(&scene, STEP_MS, false);
	CHECK(!scene.peer.held && !scene.peer.running);
	end(&scene);
}

/* Only the life that was silent is meant, and a new owner of the observer's slot forgets it. */
static void
held_of_this_life(void)
{
	struct ivshmem_port observer;
	struct scene scene;

	if (!begin(&scene, true))
		return;
	observe(&scene, &observer);
	scene.port.life = UINT32_C(0xffff7fff);		/* the longest that a life can grow */
	ivshmem_port_set_state(&scene.port, IVSHMEM_PORT_RUN);
	pass(&scene, STEP_MS, true);
	pass(&scene, IVSHMEM_PORT_SILENCE_MS, false);
	ivshmem_port_tell_held(&observer, &scene.peer);
	CHECK(ivshmem_port_is_held(&scene.port, 0));
	scene.port.life++;
	CHECK(!ivshmem_port_is_held(&scene.port, 0));
	scene.port.life--;
	observe(&scene, &observer);
	CHECK(!ivshmem_port_is_held(&scene.port, 0));
	end(&scene);
}

/* An observer that stood still itself cannot tell who was silent meanwhile. */
static void
observer_stood_still(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	pass(&scene, STEP_MS, false);
	scene.now_ms += 10 * IVSHMEM_PORT_SILENCE_MS;
	pass(&scene, STEP_MS, false);
	CHECK(scene.peer.running && !scene.peer.held);
	pass(&scene, IVSHMEM_PORT_SILENCE_MS, false);
	CHECK(!scene.peer.running && scene.peer.held);
	end(&scene);
}

/* A region that outlived its ports says RUN: nobody is up before its heart is seen to beat. */
static void
first_sight(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	ivshmem_peer_init(&scene.peer, 1);
	pass(&scene, 10 * STEP_MS, false);
	CHECK(!scene.peer.running && scene.changed == IVSHMEM_PEER_CONF);
	pass(&scene, STEP_MS, true);
	CHECK(scene.peer.running && scene.changed == IVSHMEM_PEER_LINK);
	/* a slot that nobody ever had */
	ivshmem_peer_init(&scene.peer, 0);
	pass(&scene, 10 * STEP_MS, false);
	CHECK(!scene.peer.running && scene.changed == 0);
	end(&scene);
}

/* Only RUN is running, and each change of it is reported once. */
static void
states(void)
{
	static const struct {
		uint32_t state;
		bool running;
		uint32_t changed;
	} steps[] = {
		{ IVSHMEM_PORT_READY, false, IVSHMEM_PEER_LINK },
		{ IVSHMEM_PORT_RUN, true, IVSHMEM_PEER_LINK },
		{ IVSHMEM_PORT_RUN, true, 0 },
		{ IVSHMEM_PORT_INIT, false, IVSHMEM_PEER_LINK },
		{ IVSHMEM_PORT_READY, false, 0 },
		{ IVSHMEM_PORT_RESET, false, 0 },
		{ IVSHMEM_PORT_RUN, true, IVSHMEM_PEER_LINK },
		{ 4, false, IVSHMEM_PEER_LINK },	/* no state of this format */
		{ UINT32_MAX, false, 0 },
	};
	struct scene scene;

	if (!begin(&scene, true))
		return;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ivshmem_port_set_state(&scene.port, steps[i].state);
		pass(&scene, STEP_MS, true);
		CHECK_EQ(scene.peer.running, steps[i].running);
		CHECK_EQ(scene.changed, steps[i].changed);
		CHECK(scene.peer.state <= IVSHMEM_PORT_RUN);
	}
	end(&scene);
}

/* A restart between two looks is seen: the life is another. */
static void
new_life(void)
{
	struct ivshmem_fault fault = { "" };
	struct scene scene;

	if (!begin(&scene, true))
		return;
	CHECK_EQ(scene.peer.life, 1);
	CHECK_EQ(ivshmem_port_claim(&scene.port, scene.base, &scene.layout, 1,
				    IVSHMEM_OWNER_SERVER, 6, &fault), 0);
	set_conf(&scene);
	ivshmem_port_set_state(&scene.port, IVSHMEM_PORT_RUN);
	pass(&scene, STEP_MS, true);
	CHECK_EQ(scene.peer.life, 2);
	CHECK(scene.peer.running);
	CHECK_EQ(scene.changed, IVSHMEM_PEER_LINK | IVSHMEM_PEER_CONF);
	pass(&scene, STEP_MS, true);
	CHECK_EQ(scene.changed, 0);
	end(&scene);
}

/* RUN without a configuration is not running; a changed directory is reported once. */
static void
conf_and_directory(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	ivshmem_port_bump_dir(&scene.port);
	pass(&scene, STEP_MS, true);
	CHECK_EQ(scene.changed, IVSHMEM_PEER_DIR);
	pass(&scene, STEP_MS, true);
	CHECK_EQ(scene.changed, 0);
	set_conf(&scene);
	pass(&scene, STEP_MS, true);
	CHECK_EQ(scene.changed, IVSHMEM_PEER_CONF);
	ivshmem_peer_init(&scene.peer, 1);
	ivshmem_store32(&scene.port.section->conf_seq, scene.port.conf_seq + 1);
	pass(&scene, 3 * STEP_MS, true);
	CHECK(scene.peer.alive && !scene.peer.running);
	set_conf(&scene);
	pass(&scene, STEP_MS, true);
	CHECK(scene.peer.running);
	end(&scene);
}

/*
 * A slot that LEFT lives on by polling (its heart beats). A server that goes away and comes back
 * changes nothing about that, although a look may fall between two beats.
 */
static void
server_comes_back(void)
{
	struct scene scene;

	if (!begin(&scene, true))
		return;
	server_says(&scene, SERVER, IVSHMEM_SLOT_LEFT, SERVER);
	pass(&scene, 2 * STEP_MS, true);
	server_says(&scene, 0, IVSHMEM_SLOT_LEFT, SERVER);
	pass(&scene, 2 * STEP_MS, true);
	CHECK(scene.peer.running);
	server_says(&scene, SERVER + 1, IVSHMEM_SLOT_LEFT, SERVER);
	pass(&scene, STEP_MS, false);
	CHECK_MSG(scene.peer.running, "link down by an entry of an older server");
	end(&scene);
}

int
main(void)
{
	verdicts();
	left_after_a_beat();
	time_out();
	held_until_next_life();
	held_in_vain();
	held_of_this_life();
	observer_stood_still();
	first_sight();
	states();
	new_life();
	conf_and_directory();
	server_comes_back();
	return check_exit();
}
