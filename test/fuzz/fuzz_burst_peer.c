/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The port that attacks. It has an honest half, the driver's own session code, so that rings come
 * up; what it sends, gives back and says of itself is the input's.
 */

#include "fuzz_burst.h"
#include "image.h"

#define PEER_BURST 72u		/* descriptors: more than a chain may have */

static struct {
	uint8_t *base;
	const struct ivshmem_layout *layout;
	struct ivshmem_section_shm *section;
	struct ivshmem_section_shm *victim_section;
	struct ivshmem_producer producer;
	struct ivshmem_consumer consumer;
	uint64_t desc_off;
	uint32_t slot;
	uint32_t victim;
	bool lends;		/* it keeps what it gets, and gives it back by cookie */
} peer;

static const uint8_t mac[8] = { 2, 0, 0, 0, 0, 9 };

const uint8_t *
peer_mac(void)
{
	return mac;
}

/* What a port shows that runs. */
static void
peer_show(uint32_t return_mode)
{
	struct ivshmem_section_shm *section = peer.section;
	struct ivshmem_conf_shm *conf = &section->conf;

	memset(conf, 0, sizeof(*conf));
	conf->max_frame = BURST_FRAME_MAX;
	conf->rxq_cnt = 1;
	conf->txq_cnt = 1;
	conf->mac_cnt = 1;
	conf->return_mode = return_mode;
	conf->feat = return_mode == IVSHMEM_RETURN_RING ? IVSHMEM_FEAT_FOREIGN : 0;
	memcpy(conf->mac[0], mac, sizeof(mac));
	ivshmem_store32(&section->conf_seq, 2);
	ivshmem_store64(&section->nonce, 99);
	ivshmem_store32(&section->owner_kind, IVSHMEM_OWNER_BARE);
	ivshmem_store64(&section->row, UINT64_C(1) << 32 | IVSHMEM_PORT_RUN);
}

void
peer_open(uint8_t *base, const struct ivshmem_layout *layout, uint32_t slot, uint32_t victim,
	  bool lends)
{
	const uint32_t there = ivshmem_layout_end(layout, victim, 0, 0);
	const uint32_t here = ivshmem_layout_end(layout, slot, 0, 0);
	const uint64_t ret_off = ivshmem_layout_return_off(layout, victim, 0);
	const uint32_t ret_cnt = lends ? layout->ring_slots : 0;

	memset(&peer, 0, sizeof(peer));
	peer.base = base;
	peer.layout = layout;
	peer.slot = slot;
	peer.victim = victim;
	peer.lends = lends;
	peer.section = ivshmem_layout_section(base, layout, slot);
	peer.victim_section = ivshmem_layout_section(base, layout, victim);
	peer.desc_off = ivshmem_layout_desc_off(layout, victim, 0);
	peer.producer = (struct ivshmem_producer){
		.own = ivshmem_layout_prod(peer.section, layout, there),
		.peer = ivshmem_layout_cons(peer.victim_section, layout, here),
		.peer_section = (const uint8_t *)peer.victim_section,
		.layout = layout,
		.flight = layout->ring_slots,
	};
	peer.consumer = (struct ivshmem_consumer){
		.own = ivshmem_layout_cons(peer.section, layout, there),
		.peer = ivshmem_layout_prod(peer.victim_section, layout, here),
		.section = (const uint8_t *)peer.victim_section,
		.slot = victim,
		.ret_cnt = ret_cnt,
		.ret_off = ret_off,
		.copybreak = 64,
		.returns = (void *)((uint8_t *)peer.section + ret_off),
	};
	ivshmem_producer_start(&peer.producer, peer.section, peer.desc_off, layout->ring_slots);
	ivshmem_consumer_start(&peer.consumer);
	peer_show(ret_cnt != 0 ? IVSHMEM_RETURN_RING : IVSHMEM_RETURN_COPY);
}

void
peer_beat(void)
{
	ivshmem_store64(&peer.section->beat, ivshmem_load64(&peer.section->beat) + 1);
}

void
peer_settle(void)
{
	struct ivshmem_producer *producer = &peer.producer;
	struct ivshmem_consumer *consumer = &peer.consumer;

	if (producer->ready)
		ivshmem_producer_refresh(producer);
	switch (ivshmem_producer_poll(producer)) {
	case IVSHMEM_RING_ADOPT:
		ivshmem_producer_adopt(producer);
		break;
	case IVSHMEM_RING_BUMP:
		ivshmem_producer_start(producer, peer.section, peer.desc_off,
				       peer.layout->ring_slots);
		break;
	default:
		break;
	}
	if (consumer->ready)
		ivshmem_consumer_avail(consumer);
	switch (ivshmem_consumer_poll(consumer)) {
	case IVSHMEM_RING_ADOPT:
		ivshmem_consumer_adopt(consumer, peer.layout);
		break;
	case IVSHMEM_RING_BUMP:
		ivshmem_consumer_start(consumer);
		break;
	default:
		break;
	}
}

/* A right descriptor. */
static struct ivshmem_desc_shm
peer_desc(struct fuzz_input *in, uint32_t number)
{
	const uint32_t lens[] = { 60, 64, 14, 300, 700, 1500, 1, 256 };
	const struct ivshmem_layout *layout = peer.layout;
	const uint32_t shape = fuzz_u8(in);
	struct ivshmem_desc_shm desc = {
		.section = peer.slot,
		.flags = (shape & 32) != 0 ? IVSHMEM_DESC_MORE : 0,
		.buf = number % layout->buf_cnt,
		.data_off = layout->headroom,
		.data_len = lens[shape & 7],
		.cookie = number << 16 | (shape >> 6),
	};

	if (desc.data_len > layout->buf_len - layout->headroom)
		desc.data_len = layout->buf_len - layout->headroom;
	if ((shape & 8) != 0)
		memcpy((uint8_t *)peer.section + layout->buf_off +
		       (uint64_t)desc.buf * layout->buf_len + desc.data_off,
		       (shape & 16) != 0 ? mac : (const uint8_t *)"\377\377\377\377\377\377", 6);
	return desc;
}

/* One field of it is not. */
static void
peer_break_desc(struct fuzz_input *in, struct ivshmem_desc_shm *desc)
{
	switch (fuzz_u8(in) % 8) {
	case 0:
		desc->section = fuzz_value(in, desc->section);
		break;
	case 1:
		desc->flags = fuzz_value(in, desc->flags);
		break;
	case 2:
		desc->buf = fuzz_value(in, peer.layout->buf_cnt);
		break;
	case 3:
		desc->data_off = fuzz_value(in, desc->data_off);
		break;
	case 4:
		desc->data_len = fuzz_value(in, peer.layout->buf_len - desc->data_off);
		break;
	case 5:
		desc->cookie = fuzz_value(in, desc->cookie);
		break;
	case 6:		/* a frame whose header nobody wrote, at the end of a buffer */
		desc->data_off = peer.layout->buf_len - desc->data_len;
		break;
	default:	/* of the one that gets it */
		desc->section = peer.victim;
		break;
	}
}

void
peer_send(struct fuzz_input *in)
{
	struct ivshmem_producer *end = &peer.producer;
	const uint32_t how = fuzz_u8(in);
	const uint32_t cnt = (how & 64) != 0 ? PEER_BURST : 1 + (how & 31);
	struct ivshmem_desc_shm desc = { 0 };

	if (!end->ready)
		return;
	for (uint32_t i = 0; i < cnt; i++) {
		/* a run of alike ones costs no input */
		if (i < 8)
			desc = peer_desc(in, end->prod + i);
		else
			desc.buf = (end->prod + i) % peer.layout->buf_cnt;
		if ((how & 128) != 0 && i < 8)
			peer_break_desc(in, &desc);
		end->entries[(end->prod + i) & (end->size - 1)].desc = desc;
	}
	ivshmem_producer_publish(end, end->prod + ((how & 32) != 0 ? cnt + 1 : cnt));
	if ((how & 32) == 0 && cnt > ivshmem_producer_room(end))
		ivshmem_producer_refresh(end);
}

/* Takes what was sent to it, and gives back that, or something else. */
void
peer_consume(struct fuzz_input *in)
{
	struct ivshmem_consumer *end = &peer.consumer;
	const uint32_t how = fuzz_u8(in);
	uint32_t cnt;

	if (!end->ready)
		return;
	cnt = ivshmem_consumer_avail(end);
	if (!end->ready)
		return;
	if (cnt > (how & 63))
		cnt = how & 63;
	for (uint32_t i = 0; i < cnt && end->ret_cnt != 0; i++) {
		uint32_t cookie = end->entries[(end->cons + i) & (end->size - 1)].desc.cookie;

		if ((how & 128) != 0)
			cookie = fuzz_value(in, cookie);
		if ((how & 64) == 0 || i % 2 == 0)
			ivshmem_consumer_return(end, cookie);
	}
	ivshmem_consumer_release(end, end->cons + cnt);
	if (end->ret_cnt != 0)
		ivshmem_consumer_publish_returns(end);
}

void
peer_break(struct fuzz_input *in)
{
	const uint32_t where = fuzz_u8(in);

	switch (where % 8) {
	case 0:
		IMAGE_BREAK(in, ivshmem_layout_slot(peer.base, peer.layout, where / 8 %
						    peer.layout->port_cnt), image_slot);
		break;
	case 1:
	case 2:
		IMAGE_BREAK(in, peer.section, image_section);
		break;
	case 3:
		IMAGE_BREAK(in, peer.base, image_super);
		break;
	case 4:
		IMAGE_BREAK(in, peer.consumer.own, image_cons);
		break;
	case 5:
		IMAGE_BREAK(in, peer.producer.own, image_prod);
		break;
	case 6:		/* a new life of its process */
		if (where < 128)
			peer_open(peer.base, peer.layout, peer.slot, peer.victim, peer.lends);
		else
			ivshmem_producer_start(&peer.producer, peer.section, peer.desc_off,
					       where < 192 ? peer.layout->ring_slots : 0);
		break;
	default:	/* in the victim's section, which it has no business in */
		IMAGE_BREAK(in, peer.victim_section, image_section);
		break;
	}
}
