/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The attacker's honest half: without it the victim would soon stop talking to the attacker, and
 * most attacks would hit words that nobody reads.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../pmd/pattern.h"
#include "attacker.h"

#define HONEST_NONCE UINT64_C(0x686f7374696c6521)
#define HONEST_GEOMETRY 128u	/* bytes of a section's header that only the formatter writes */
#define HONEST_HEAD_MAX 65536u
#define HONEST_STUCK_MS 10u
#define HONEST_BUFS 32u
#define HONEST_CALM_PACKETS 200u
#define HONEST_CALM_MS 15000u	/* for a victim that lost its port, to make it anew */

static struct {
	uint8_t head[HONEST_HEAD_MAX];
	uint8_t geometry[HOSTILE_PORTS_MAX][HONEST_GEOMETRY];
} honest_saved;

/* The superblock and the slots. */
static uint64_t
honest_head_len(const struct ivshmem_layout *layout)
{
	return layout->slot_off + layout->port_cnt * sizeof(struct ivshmem_slot_shm);
}

/* What the formatter wrote. */
static void
honest_save(const struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;

	memcpy(honest_saved.head, attacker->base, honest_head_len(layout));
	for (uint32_t i = 0; i < layout->port_cnt; i++)
		memcpy(honest_saved.geometry[i],
		       ivshmem_layout_section(attacker->base, layout, i), HONEST_GEOMETRY);
}

static void
honest_find_ends(struct hostile *attacker, struct hostile_way *way)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_section_shm *other =
		ivshmem_layout_section(attacker->base, layout, way->other);
	const uint32_t mine = ivshmem_layout_end(layout, way->other, 0, 0);
	const uint32_t theirs = ivshmem_layout_end(layout, attacker->port.slot, 0, 0);

	way->producer.own = ivshmem_layout_prod(attacker->port.section, layout, mine);
	way->producer.peer = ivshmem_layout_cons(other, layout, theirs);
	way->producer.peer_section = (const uint8_t *)other;
	way->producer.layout = layout;
	way->producer.flight = layout->ring_slots;
	way->consumer.own = ivshmem_layout_cons(attacker->port.section, layout, mine);
	way->consumer.peer = ivshmem_layout_prod(other, layout, theirs);
	way->consumer.section = (const uint8_t *)other;
	way->consumer.slot = way->other;
}

void
honest_row(struct hostile *attacker)
{
	struct ivshmem_conf_shm conf = {
		.feat = IVSHMEM_FEAT_FOREIGN,
		.max_frame = 1518,
		.rxq_cnt = 1,
		.txq_cnt = 1,
		.mac_cnt = 1,
	};

	memcpy(conf.mac[0], attacker->mac, sizeof(attacker->mac));
	ivshmem_store64_release(&attacker->port.section->nonce, HONEST_NONCE);
	ivshmem_store32(&attacker->port.section->beat_ms, IVSHMEM_PORT_BEAT_MS);
	ivshmem_port_set_conf(&attacker->port, &conf);
	ivshmem_port_set_state(&attacker->port, IVSHMEM_PORT_RUN);
	ivshmem_port_bump_dir(&attacker->port);
}

static void
honest_restart_way(struct hostile *attacker, struct hostile_way *way)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	struct ivshmem_consumer *consumer = &way->consumer;
	const bool by_cookie = hostile_below(attacker, 4) != 0;

	consumer->ret_cnt = by_cookie ? layout->ring_slots : 0;
	consumer->ret_off = by_cookie ? ivshmem_layout_return_off(layout, way->other, 0) : 0;
	consumer->returns = (void *)((uint8_t *)attacker->port.section + consumer->ret_off);
	consumer->copybreak = by_cookie ? HOSTILE_COPYBREAK : 0;
	ivshmem_producer_start(&way->producer, attacker->port.section,
			       ivshmem_layout_desc_off(layout, way->other, 0),
			       layout->ring_slots);
	ivshmem_consumer_start(consumer);
	way->staged = 0;
	way->moved_ms = hostile_now_ms();
	ivshmem_port_bump_dir(&attacker->port);
}

void
honest_restart(struct hostile *attacker)
{
	for (uint32_t i = 0; i < attacker->layout.port_cnt; i++)
		if (i != attacker->port.slot)
			honest_restart_way(attacker, &attacker->way[i]);
	attacker->port.life++;
	honest_row(attacker);
}

int
honest_join(struct hostile *attacker, const char *path, uint32_t slot)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	const int file = open(path, O_RDWR | O_CLOEXEC);
	struct ivshmem_fault fault;
	struct stat info;

	if (file < 0 || fstat(file, &info) != 0) {
		perror(path);
		return -1;
	}
	attacker->base = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (attacker->base == MAP_FAILED) {
		perror(path);
		return -1;
	}
	if (ivshmem_layout_check(attacker->base, info.st_size, &attacker->layout, &fault) != 0 ||
	    attacker->layout.port_cnt > HOSTILE_PORTS_MAX ||
	    honest_head_len(&attacker->layout) > HONEST_HEAD_MAX) {
		fprintf(stderr, "%s is no region for this attacker\n", path);
		return -1;
	}
	lock.l_start = attacker->layout.section_off + slot * attacker->layout.section_len;
	if (fcntl(file, F_OFD_SETLK, &lock) != 0 ||
	    ivshmem_port_claim(&attacker->port, attacker->base, &attacker->layout, slot,
			       IVSHMEM_OWNER_LOCK, HONEST_NONCE, &fault) != 0) {
		fprintf(stderr, "slot %u is taken\n", slot);
		return -1;
	}
	honest_save(attacker);
	memcpy(attacker->mac, "\x02\0\0\0\0", 5);
	attacker->mac[5] = slot;
	for (uint32_t i = 0; i < attacker->layout.port_cnt; i++) {
		attacker->way[i].other = i;
		honest_find_ends(attacker, &attacker->way[i]);
	}
	honest_restart(attacker);
	return 0;
}

/* An attack may have broken the session for good: nothing was read for long. */
static void
honest_mend(struct hostile *attacker, struct hostile_way *way, uint64_t now)
{
	if (way->producer.ready && way->producer.cons != way->seen) {
		way->seen = way->producer.cons;
		way->moved_ms = now;
	}
	if (now - way->moved_ms >= HONEST_STUCK_MS)
		honest_restart_way(attacker, way);
}

/* The next step of both ends, whether they think that they are ready or not. */
static void
honest_step(struct hostile *attacker, struct hostile_way *way)
{
	way->producer.ready = false;
	way->producer.violated = false;
	way->producer.backoff = 0;
	switch (ivshmem_producer_poll(&way->producer)) {
	case IVSHMEM_RING_ADOPT:
		ivshmem_producer_adopt(&way->producer);
		way->staged = 0;
		break;
	default:
		break;
	}
	way->consumer.ready = false;
	way->consumer.violated = false;
	way->consumer.backoff = 0;
	if (ivshmem_consumer_poll(&way->consumer) == IVSHMEM_RING_ADOPT)
		ivshmem_consumer_adopt(&way->consumer, &attacker->layout);
}

/* Read what came; in ring mode the cookies of what is no small frame of one piece go back. */
static void
honest_read(struct hostile_way *way, uint32_t avail, enum honest_take take)
{
	struct ivshmem_consumer *end = &way->consumer;
	bool more = false;

	for (uint32_t i = 0; i < avail && end->ret_cnt != 0; i++) {
		const struct ivshmem_desc_shm desc =
			end->entries[(end->cons + i) & (end->size - 1)].desc;
		const bool alone = !more && (desc.flags & IVSHMEM_DESC_MORE) == 0;

		more = (desc.flags & IVSHMEM_DESC_MORE) != 0;
		if (alone && desc.data_len <= HOSTILE_COPYBREAK)
			continue;
		way->cookies[way->cookie_cnt++ % HOSTILE_COOKIES] = desc.cookie;
		if (take == HONEST_TAKE_RETURN)
			ivshmem_consumer_return(end, desc.cookie);
	}
	way->taken += avail;
	ivshmem_consumer_release(end, end->cons + avail);
	if (end->ret_cnt != 0)
		ivshmem_consumer_publish_returns(end);
}

void
honest_live(struct hostile *attacker, enum honest_take take)
{
	const uint64_t now = hostile_now_ms();

	if (now - attacker->last_beat_ms >= IVSHMEM_PORT_BEAT_MS) {
		attacker->last_beat_ms = now;
		honest_row(attacker);	/* what an attack broke of it, too */
		ivshmem_port_beat(&attacker->port);
	}
	for (uint32_t i = 0; i < attacker->layout.port_cnt; i++) {
		struct hostile_way *way = &attacker->way[i];
		uint32_t avail;

		if (i == attacker->port.slot)
			continue;
		honest_step(attacker, way);
		honest_mend(attacker, way, now);
		if (take == HONEST_TAKE_NONE || !way->consumer.ready)
			continue;
		avail = ivshmem_consumer_avail(&way->consumer);
		if (avail != 0)
			honest_read(way, avail, take);
	}
}

uint32_t
honest_buf(const struct hostile *attacker, uint32_t idx)
{
	return attacker->layout.buf_cnt - 1 - idx % HONEST_BUFS;
}

/* A frame of pieces buffers; to all, or to nobody that is known. */
static void
honest_put(struct hostile *attacker, struct hostile_way *way, uint32_t pieces, uint32_t len)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	const uint8_t to[6] = { 255, 255, 255, 255, 255, 255 };

	for (uint32_t i = 0; i < pieces; i++) {
		const uint32_t buf = honest_buf(attacker, way->staged);
		uint8_t *data = (uint8_t *)attacker->port.section + layout->buf_off +
			(uint64_t)buf * layout->buf_len + layout->headroom;

		if (i == 0)
			ivshmem_pattern_write(data, len, to, attacker->mac, attacker->seq++);
		way->producer.entries[way->staged++ & (way->producer.size - 1)].desc =
			(struct ivshmem_desc_shm){
				.section = attacker->port.slot,
				.flags = i + 1 < pieces ? IVSHMEM_DESC_MORE : 0,
				.buf = buf,
				.data_off = layout->headroom,
				.data_len = len,
				.cookie = way->staged,
			};
	}
}

void
honest_send(struct hostile *attacker, uint32_t other, uint32_t cnt)
{
	struct hostile_way *way = &attacker->way[other];
	const uint32_t room = way->producer.ready ? ivshmem_producer_refresh(&way->producer) : 0;
	const uint32_t end = way->producer.prod + room;

	if (!way->producer.ready)
		return;
	way->staged = way->producer.prod;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint32_t pieces = i % 8 == 7 ? 1 + hostile_below(attacker, 5) : 1;

		if (end - way->staged < pieces)
			break;
		/* small ones are copied, large ones lent up where that is asked for */
		honest_put(attacker, way, pieces, 60 +
			   hostile_below(attacker, i % 2 == 0 ? 200 : 1400 / pieces));
	}
	ivshmem_producer_publish(&way->producer, way->staged);
}

void
honest_fill(struct hostile *attacker, struct hostile_way *way, uint32_t cnt, uint32_t len)
{
	const uint32_t room = ivshmem_producer_refresh(&way->producer);

	if (!way->producer.ready)
		return;
	way->staged = way->producer.prod;
	for (uint32_t i = 0; i < cnt && i < room; i++)
		honest_put(attacker, way, 1, len);
	ivshmem_producer_publish(&way->producer, way->staged);
}

void
honest_calm(struct hostile *attacker)
{
	const struct ivshmem_layout *layout = &attacker->layout;
	const uint64_t before = *attacker->progress;
	const uint64_t end_ms = hostile_now_ms() + HONEST_CALM_MS;

	memcpy(attacker->base, honest_saved.head, honest_head_len(layout));
	for (uint32_t i = 0; i < layout->port_cnt; i++) {
		struct ivshmem_section_shm *section =
			ivshmem_layout_section(attacker->base, layout, i);

		memcpy(section, honest_saved.geometry[i], HONEST_GEOMETRY);
		/* else its next owner has to watch it for long before it is sure */
		ivshmem_store32(&section->owner_kind, IVSHMEM_OWNER_LOCK);
		ivshmem_store32(&section->beat_ms, IVSHMEM_PORT_BEAT_MS);
	}
	while (*attacker->progress - before < HONEST_CALM_PACKETS && hostile_now_ms() < end_ms) {
		honest_live(attacker, HONEST_TAKE_RETURN);
		honest_send(attacker, 0, 8);
		usleep(100);
	}
}
