/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A region that somebody else formatted, and what stands in it while it is attached to: the check
 * of its geometry, the claim of a slot, the look at another port, the sessions of two rings.
 *
 * Port "me" is under test. At port "other" there is an honest life, so that rings become ready, and
 * a hostile one, which breaks words in between. The region ends where its last page ends, so that
 * a step too far is a fault.
 */

#include <sys/mman.h>
#include <time.h>

#include "fuzz.h"
#include "fuzz_wrap.h"
#include "image.h"
#include "ivshmem_port.h"
#include "ivshmem_session.h"
#include "../unit/region.h"

#define MAP_LEN (UINT64_C(2) << 20)
#define GUARD_LEN (UINT64_C(1) << 30)	/* more than most wrong offsets reach */

/* Both ends of the ring in one direction. */
struct ring {
	struct ivshmem_producer producer;
	struct ivshmem_consumer consumer;
	void *from;		/* section of the producer */
	uint64_t desc_off;
	uint32_t desc_cnt;
};

struct world {
	struct fuzz_input in;
	uint8_t *base;
	struct ivshmem_layout layout;
	struct ivshmem_port port;
	struct ivshmem_peer peer;
	uint32_t me;
	uint32_t other;
	uint64_t now_ms;
	struct ring out;	/* me -> other */
	struct ring back;	/* other -> me */
};

static uint8_t *map;
static struct world *sleeper;

/* The other one moves while we watch. */
int
__wrap_nanosleep(const struct timespec *pause, struct timespec *left)
{
	struct world *world = sleeper;

	(void)pause;
	(void)left;
	if (world != NULL && world->in.left > 0 && fuzz_u8(&world->in) >= 192)
		IMAGE_BREAK(&world->in, ivshmem_layout_section(world->base, &world->layout,
							       world->me), image_section);
	return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	uint8_t *reserve = mmap(NULL, GUARD_LEN + MAP_LEN + GUARD_LEN, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)argc;
	(void)argv;
	FUZZ_CHECK(reserve != MAP_FAILED, "no memory");
	map = reserve + GUARD_LEN;
	FUZZ_CHECK(mprotect(map, MAP_LEN, PROT_READ | PROT_WRITE) == 0, "no memory");
	return 0;
}

static void
ring_init(struct ring *ring, struct world *world, uint32_t from, uint32_t to)
{
	const struct ivshmem_layout *layout = &world->layout;
	struct ivshmem_section_shm *source = ivshmem_layout_section(world->base, layout, from);
	struct ivshmem_section_shm *target = ivshmem_layout_section(world->base, layout, to);
	const uint32_t there = ivshmem_layout_end(layout, to, 0, 0);
	const uint32_t here = ivshmem_layout_end(layout, from, 0, 0);
	const bool lends = fuzz_u8(&world->in) % 2 != 0;
	const uint64_t ret_off = ivshmem_layout_return_off(layout, from, 0);

	ring->from = source;
	ring->desc_off = ivshmem_layout_desc_off(layout, to, 0);
	ring->desc_cnt = layout->ring_slots;
	ring->producer = (struct ivshmem_producer){
		.own = ivshmem_layout_prod(source, layout, there),
		.peer = ivshmem_layout_cons(target, layout, here),
		.peer_section = (const uint8_t *)target,
		.layout = layout,
		.flight = lends ? 16 : 0,
	};
	ring->consumer = (struct ivshmem_consumer){
		.own = ivshmem_layout_cons(target, layout, here),
		.peer = ivshmem_layout_prod(source, layout, there),
		.section = (const uint8_t *)source,
		.slot = from,
		.ret_cnt = lends ? layout->ring_slots : 0,
		.ret_off = ret_off,
		.returns = (void *)((uint8_t *)target + ret_off),
	};
}

/* What a burst does before it uses an end. */
static void
produce(struct ring *ring, uint32_t cnt)
{
	struct ivshmem_producer *end = &ring->producer;
	uint32_t cookies[8];

	switch (ivshmem_producer_poll(end)) {
	case IVSHMEM_RING_ADOPT:
		ivshmem_producer_adopt(end);
		return;
	case IVSHMEM_RING_BUMP:
		ivshmem_producer_start(end, ring->from, ring->desc_off, ring->desc_cnt);
		return;
	case IVSHMEM_RING_WAIT:
		return;
	default:
		break;
	}
	ivshmem_producer_refresh(end);
	if (end->ready && end->ret_cnt != 0)
		FUZZ_CHECK(ivshmem_producer_returned(end, cookies, 8) <= 8, "too many cookies");
	FUZZ_CHECK(end->prod - end->cons <= end->size, "%u descriptors are out", end->prod -
		   end->cons);
	if (!end->ready)
		return;
	if (cnt > ivshmem_producer_room(end))
		cnt = ivshmem_producer_room(end);
	for (uint32_t i = 0; i < cnt; i++)
		end->entries[(end->prod + i) & (end->size - 1)].desc.buf = i;
	ivshmem_producer_publish(end, end->prod + cnt);
}

static void
consume(struct ring *ring, const struct ivshmem_layout *layout, uint32_t cnt)
{
	struct ivshmem_consumer *end = &ring->consumer;
	uint32_t avail;
	int ret;

	switch (ivshmem_consumer_poll(end)) {
	case IVSHMEM_RING_ADOPT:
		ret = ivshmem_consumer_adopt(end, layout);
		FUZZ_CHECK(ret == 0 || !end->ready, "a refused ring is ready");
		return;
	case IVSHMEM_RING_BUMP:
		ivshmem_consumer_start(end);
		return;
	case IVSHMEM_RING_WAIT:
		return;
	default:
		break;
	}
	avail = ivshmem_consumer_avail(end);
	FUZZ_CHECK(avail <= end->size && end->prod - end->cons <= end->size,
		   "%u descriptors of %u", avail, end->size);
	if (!end->ready)
		return;
	cnt = cnt < avail ? cnt : avail;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_entry_shm *entry =
			&end->entries[(end->cons + i) & (end->size - 1)];

		if (end->ret_cnt != 0)
			ivshmem_consumer_return(end, entry->desc.cookie);
	}
	if (!ivshmem_consumer_unchanged(end))
		return;
	ivshmem_consumer_release(end, end->cons + cnt);
	if (end->ret_cnt != 0)
		ivshmem_consumer_publish_returns(end);
	if (end->stale > 0)
		ivshmem_consumer_unstale(end);
	else if (end->out < end->out_max)
		end->out++;		/* a loan */
}

/* A word of the other one's section, or of the server's, gets another value. */
static void
break_word(struct world *world, uint32_t where)
{
	const struct ivshmem_layout *layout = &world->layout;
	struct ivshmem_section_shm *other =
		ivshmem_layout_section(world->base, layout, world->other);

	switch (where & 7) {
	case 0:
		ivshmem_store64(&ivshmem_layout_superblock(world->base)->server_epoch,
				fuzz_u8(&world->in) % 3);
		break;
	case 1:
		IMAGE_BREAK(&world->in, ivshmem_layout_slot(world->base, layout, world->other),
			    image_slot);
		break;
	case 2:
	case 3:
		IMAGE_BREAK(&world->in, other, image_section);
		break;
	case 4:
	case 5:
		IMAGE_BREAK(&world->in, (void *)(uintptr_t)world->out.producer.peer, image_cons);
		break;
	default:
		IMAGE_BREAK(&world->in, (void *)(uintptr_t)world->back.consumer.peer, image_prod);
		break;
	}
}

/* What the owner of a section does besides its rings. */
static void
operate(struct world *world, uint32_t what)
{
	struct ivshmem_port *port = &world->port;
	struct ivshmem_conf_shm conf = { .rxq_cnt = 1, .txq_cnt = 1, .mac_cnt = 1 };

	switch (what % 8) {
	case 0:
		ivshmem_port_set_state(port, what / 8 % 4);
		break;
	case 1:
		ivshmem_port_set_conf(port, &conf);
		FUZZ_CHECK(ivshmem_load32(&port->section->conf_seq) % 2 == 0, "odd");
		break;
	case 2:
		ivshmem_port_bump_dir(port);
		break;
	case 3:
		ivshmem_port_rejoin(port);
		break;
	case 4:
		ivshmem_port_tell_held(port, &world->peer);
		break;
	case 5:
		(void)ivshmem_port_is_held(port, world->other);
		break;
	case 6:
		(void)ivshmem_port_is_clear(port, world->me, world->other);
		break;
	default:
		FUZZ_CHECK(ivshmem_port_beat(port) == 0 ||
			   ivshmem_load64(&port->section->nonce) != port->nonce, "a lost slot");
		break;
	}
}

/* The honest life of the other one: its row lives, its rings answer. */
static void
other_lives(struct world *world)
{
	struct ivshmem_section_shm *other =
		ivshmem_layout_section(world->base, &world->layout, world->other);
	const uint64_t row = ivshmem_load64(&other->row);

	ivshmem_store64(&other->row, row >> 32 << 32 | IVSHMEM_PORT_RUN);
	ivshmem_store64(&other->beat, ivshmem_load64(&other->beat) + 1);
	consume(&world->out, &world->layout, 4);
	produce(&world->back, 3);
}

static void
step(struct world *world)
{
	const uint32_t what = fuzz_u8(&world->in);
	const uint32_t arg = what >> 3;

	switch (what & 7) {
	case 0:
		break_word(world, arg);
		break;
	case 1:
		operate(world, arg);
		break;
	case 2:
		world->now_ms += arg < 16 ? arg * 10 : (uint64_t)arg * 200;
		ivshmem_peer_look(&world->peer, world->base, &world->layout, world->now_ms);
		FUZZ_CHECK(!world->peer.running || (world->peer.conf.rxq_cnt >= 1 &&
			   world->peer.conf.rxq_cnt <= world->layout.queue_cnt), "rxq_cnt");
		break;
	case 3:
		produce(&world->out, arg);
		break;
	case 4:
		consume(&world->back, &world->layout, arg);
		break;
	case 5:
		other_lives(world);
		break;
	case 6:		/* one of the four ends starts anew, or its ring is not used any more */
		if (arg % 4 == 0)
			ivshmem_consumer_start(&world->back.consumer);
		else if (arg % 4 == 1)
			ivshmem_consumer_start(&world->out.consumer);
		else
			ivshmem_producer_start(arg % 4 == 2 ? &world->out.producer :
				&world->back.producer, arg % 4 == 2 ? world->out.from :
				world->back.from, arg % 4 == 2 ? world->out.desc_off :
				world->back.desc_off, arg < 28 ? world->out.desc_cnt : 0);
		break;
	default:	/* as many rounds as two ends ever need to agree */
		for (uint32_t i = 0; i < 8; i++) {
			other_lives(world);
			produce(&world->out, 1);
			consume(&world->back, &world->layout, 1);
		}
		break;
	}
}

static void
attach(struct world *world)
{
	const enum ivshmem_owner_kind kind = fuzz_pick(&world->in, 4);
	struct ivshmem_fault fault = { "" };
	const uint32_t slot = fuzz_u8(&world->in);
	int ret;

	world->me = slot % world->layout.port_cnt;
	world->other = (world->me + 1) % world->layout.port_cnt;
	sleeper = world;
	ret = ivshmem_port_claim(&world->port, world->base, &world->layout, slot >= 240 ? slot :
				 world->me, kind, 0x1234567, &fault);
	sleeper = NULL;
	FUZZ_CHECK(ret == 0 || fault.text[0] != '\0', "error %d without a word", ret);
	if (ret != 0)
		return;
	FUZZ_CHECK(world->port.slot == world->me || slot >= 240, "another slot");
	world->me = world->port.slot;
	world->other = (world->me + 1) % world->layout.port_cnt;
	ivshmem_peer_init(&world->peer, world->other);
	world->now_ms = 1;
	ring_init(&world->out, world, world->me, world->other);
	ring_init(&world->back, world, world->other, world->me);
	ivshmem_producer_start(&world->out.producer, world->out.from, world->out.desc_off,
			       world->out.desc_cnt);
	ivshmem_consumer_start(&world->back.consumer);
	ivshmem_producer_start(&world->back.producer, world->back.from, world->back.desc_off,
			       world->back.desc_cnt);
	ivshmem_consumer_start(&world->out.consumer);
	while (world->in.left > 0)
		step(world);
	ivshmem_port_release(&world->port);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { .in = fuzz_open(data, size) };
	const uint32_t cut = fuzz_u8(&world.in);
	uint64_t len = UINT64_C(1) << (20 + (cut >> 7));
	const uint8_t uuid[16] = { 1 };
	struct ivshmem_layout plan;
	struct ivshmem_fault fault = { "" };
	int ret;

	image_plan(&world.in, len, &plan);
	world.base = map + MAP_LEN - len;
	ivshmem_layout_format(world.base, &plan, uuid);
	image_break_headers(&world.in, world.base, &plan);
	if ((cut & 31) == 31) {		/* a file that was cut short */
		len = fuzz_bytes(&world.in, 2) * 8 % len;
		memmove(map + MAP_LEN - len, world.base, len);
		world.base = map + MAP_LEN - len;
	}
	ret = ivshmem_layout_check(world.base, len, &world.layout, &fault);
	FUZZ_CHECK(ret == 0 || fault.text[0] != '\0', "error %d without a word", ret);
	if (ret == 0) {
		FUZZ_CHECK(region_check(&world.layout) && world.layout.total_len == len,
			   "a layout passed that does not fit");
		attach(&world);
	}
	madvise(map, MAP_LEN, MADV_DONTNEED);
	return 0;
}
