/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A peer that does what a test tells it, right or wrong: attaches to a region's file as one of its
 * ports and publishes descriptors, indices, directories and states as asked.
 *
 * Usage: ivshmem-odd-peer FILE SLOT [OTHER SLOT]; then commands on standard input, see command.h.
 * Between them its heart beats. No DPDK: it is made of the layers that the driver shares with other
 * programs. It has one Tx and one Rx queue, which meet queue 0 of the other port.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "ivshmem_layout.h"
#include "ivshmem_port.h"
#include "ivshmem_session.h"
#include "pattern.h"

static struct ivshmem_layout odd_layout;
static struct ivshmem_port odd_port;
static struct ivshmem_producer odd_producer;
static struct ivshmem_consumer odd_consumer;
static void *odd_base;
static uint32_t odd_other;
static uint32_t odd_staged;	/* index behind the last descriptor that was written */
static uint32_t odd_seq;
static bool odd_beats = true;
static uint8_t odd_mac[6] = { 2, 0, 0, 0, 0, 1 };

static uint64_t
odd_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
odd_beat(void)
{
	static uint64_t last;
	const uint64_t now = odd_now_ms();

	if (!odd_beats || now - last < IVSHMEM_PORT_BEAT_MS)
		return;
	last = now;
	ivshmem_port_beat(&odd_port);
}

static void
odd_publish_conf(uint16_t rxq_cnt, uint16_t txq_cnt)
{
	struct ivshmem_conf_shm conf = {
		.max_frame = 1518,
		.rxq_cnt = rxq_cnt,
		.txq_cnt = txq_cnt,
		.mac_cnt = 1,
	};

	memcpy(conf.mac[0], odd_mac, sizeof(odd_mac));
	ivshmem_port_set_conf(&odd_port, &conf);
}

/* conf RXQ TXQ [MAC]: the configuration that the other port reads. */
static int
odd_conf(int argc, char **argv)
{
	if (argc > 2)
		for (int i = 0; i < 6; i++)
			odd_mac[i] = strtoul(argv[2] + 3 * i, NULL, 16);
	odd_publish_conf(ivshmem_number(argv[0]), ivshmem_number(argv[1]));
	return 0;
}

static void
odd_start_producer(uint64_t desc_off, uint32_t desc_cnt)
{
	ivshmem_producer_start(&odd_producer, odd_port.section, desc_off, desc_cnt);
	odd_staged = 0;
	ivshmem_port_bump_dir(&odd_port);
}

/* produce [CNT [OFF]]: START of the producer's end, of a directory that may be impossible. */
static int
odd_produce(int argc, char **argv)
{
	uint64_t off = ivshmem_layout_desc_off(&odd_layout, odd_other, 0);
	uint32_t cnt = odd_layout.ring_slots;

	if (argc > 0)
		cnt = ivshmem_number(argv[0]);
	if (argc > 1)
		off = ivshmem_number(argv[1]);
	odd_start_producer(off, cnt);
	ivshmem_say("epoch=%" PRIu32, odd_producer.mine);
	return 0;
}

/* consume: START of the consumer's end. */
static int
odd_consume(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ivshmem_consumer_start(&odd_consumer);
	ivshmem_say("epoch=%" PRIu32, odd_consumer.mine);
	return 0;
}

/* start: both ends, then RUN. */
static int
odd_start(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	odd_produce(0, NULL);
	odd_consume(0, NULL);
	odd_publish_conf(1, 1);
	ivshmem_port_set_state(&odd_port, IVSHMEM_PORT_RUN);
	return 0;
}

/* state N: the row's state, whatever it is. */
static int
odd_state(int argc, char **argv)
{
	(void)argc;
	ivshmem_port_set_state(&odd_port, (enum ivshmem_port_state)ivshmem_number(argv[0]));
	return 0;
}

static void
odd_step(void)
{
	if (ivshmem_producer_poll(&odd_producer) == IVSHMEM_RING_ADOPT) {
		ivshmem_producer_adopt(&odd_producer);
		odd_staged = 0;
	}
	if (ivshmem_consumer_poll(&odd_consumer) == IVSHMEM_RING_ADOPT)
		ivshmem_consumer_adopt(&odd_consumer, &odd_layout);
	odd_beat();
}

/* ready MS: take the session's steps until both ends are ready. */
static int
odd_ready(int argc, char **argv)
{
	const uint64_t end = odd_now_ms() + ivshmem_number(argv[0]);

	(void)argc;
	for (;;) {
		odd_producer.ready = false;
		odd_consumer.ready = false;
		odd_step();
		if (odd_producer.ready && odd_consumer.ready)
			return 0;
		if (odd_now_ms() > end)
			break;
		usleep(1000);
	}
	ivshmem_say("producer=%d consumer=%d", odd_producer.ready, odd_consumer.ready);
	return -ETIMEDOUT;
}

/* put SECTION FLAGS BUF OFF LEN: write the next descriptor, do not publish it. */
static int
odd_put(int argc, char **argv)
{
	struct ivshmem_entry_shm *entry =
		&odd_producer.entries[odd_staged++ & (odd_producer.size - 1)];

	(void)argc;
	entry->desc = (struct ivshmem_desc_shm){
		.section = ivshmem_number(argv[0]),
		.flags = ivshmem_number(argv[1]),
		.buf = ivshmem_number(argv[2]),
		.data_off = ivshmem_number(argv[3]),
		.data_len = ivshmem_number(argv[4]),
	};
	return 0;
}

static uint8_t *
odd_data(uint32_t buf)
{
	return (uint8_t *)odd_port.section + odd_layout.buf_off +
		(uint64_t)buf * odd_layout.buf_len;
}

/* A good frame of one piece at an offset of the buffer of its own index. */
static void
odd_put_good(uint32_t len, uint32_t seq, uint32_t off)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	const uint32_t buf = odd_staged % odd_layout.buf_cnt;

	ivshmem_pattern_write(odd_data(buf) + off, len, all, odd_mac, seq);
	odd_producer.entries[odd_staged++ & (odd_producer.size - 1)].desc =
		(struct ivshmem_desc_shm){
			.section = odd_port.slot,
			.buf = buf,
			.data_off = off,
			.data_len = len,
		};
}

/* good CNT LEN [OFF]: write frames that break no rule. */
static int
odd_good(int argc, char **argv)
{
	const uint32_t off = argc > 2 ? ivshmem_number(argv[2]) : odd_layout.headroom;

	ivshmem_say("first=%" PRIu32, odd_seq);
	for (uint64_t i = 0; i < ivshmem_number(argv[0]); i++)
		odd_put_good(ivshmem_number(argv[1]), odd_seq++, off);
	return 0;
}

/* publish: all that was put. */
static int
odd_publish(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ivshmem_producer_publish(&odd_producer, odd_staged);
	return 0;
}

/* index N: publish an index, whatever it is. */
static int
odd_index(int argc, char **argv)
{
	(void)argc;
	ivshmem_store64_release(&odd_producer.own->pw,
				ivshmem_ring_word(odd_producer.mine, ivshmem_number(argv[0])));
	return 0;
}

/* consumed N: publish a consumer's index, whatever it is. */
static int
odd_consumed(int argc, char **argv)
{
	(void)argc;
	ivshmem_store64_release(&odd_consumer.own->cw,
				ivshmem_ring_word(odd_consumer.mine, ivshmem_number(argv[0])));
	return 0;
}

/* Consume at most max, checking frames of one piece. */
static uint32_t
odd_consume_some(uint32_t max, uint32_t *bad)
{
	uint32_t cnt = ivshmem_consumer_avail(&odd_consumer);

	if (cnt > max)
		cnt = max;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct ivshmem_desc_shm *desc = &odd_consumer.entries[
			(odd_consumer.cons + i) & (odd_consumer.size - 1)].desc;
		const uint8_t *data = odd_consumer.section + odd_layout.buf_off +
			(uint64_t)desc->buf * odd_layout.buf_len + desc->data_off;

		*bad += desc->section != odd_other || desc->flags != 0 ||
			ivshmem_pattern_check(data, desc->data_len) < 0;
	}
	if (cnt > 0)
		ivshmem_consumer_release(&odd_consumer, odd_consumer.cons + cnt);
	return cnt;
}

/* take MAX: consume what is there. */
static int
odd_take(int argc, char **argv)
{
	uint32_t bad = 0;
	const uint32_t cnt = odd_consume_some(ivshmem_number(argv[0]), &bad);

	(void)argc;
	ivshmem_say("taken=%" PRIu32 " bad=%" PRIu32, cnt, bad);
	return 0;
}

/* may-arm VECTOR: before start, the queue's line says that it may sleep, and what to ring then. */
static int
odd_may_arm(int argc, char **argv)
{
	struct ivshmem_rxq_shm *line = ivshmem_layout_rxq(odd_port.section, &odd_layout, 0);

	(void)argc;
	ivshmem_store32(&line->vector, ivshmem_number(argv[0]));
	ivshmem_store32_release(&line->may_arm, 1);
	return 0;
}

/* flip MS: the wake word has a new value all the time, and what comes is taken. */
static int
odd_flip(int argc, char **argv)
{
	struct ivshmem_rxq_shm *line = ivshmem_layout_rxq(odd_port.section, &odd_layout, 0);
	const uint64_t end = odd_now_ms() + ivshmem_number(argv[0]);
	uint32_t flips = 0;
	uint32_t taken = 0;
	uint32_t bad = 0;

	(void)argc;
	while (odd_now_ms() < end) {
		ivshmem_store32(&line->arm, ++flips);
		if (odd_consumer.ready)
			taken += odd_consume_some(UINT32_MAX, &bad);
		else
			odd_step();
		odd_beat();
	}
	ivshmem_say("flips=%" PRIu32 " taken=%" PRIu32 " bad=%" PRIu32, flips, taken, bad);
	return 0;
}

/* return-mode N: what the consumer's end says of how it gives buffers back. */
static int
odd_return_mode(int argc, char **argv)
{
	(void)argc;
	ivshmem_store32(&odd_consumer.own->return_mode, ivshmem_number(argv[0]));
	return 0;
}

/* beat 0|1: stop the heart, or let it beat again. */
static int
odd_heart(int argc, char **argv)
{
	(void)argc;
	odd_beats = ivshmem_number(argv[0]) != 0;
	return 0;
}

/* steal: put another nonce into the other port's section, as a second owner of it would. */
static int
odd_steal(int argc, char **argv)
{
	struct ivshmem_section_shm *section =
		ivshmem_layout_section(odd_base, &odd_layout, odd_other);

	(void)argc;
	(void)argv;
	ivshmem_store64(&section->nonce, ivshmem_load64(&section->nonce) + 2);
	return 0;
}

/*
 * storm MS SPIN: sessions without end, each with as many frames of 1500 bytes as the ring holds,
 * ended after SPIN rounds of a loop: while the other port copies.
 */
static int
odd_storm(int argc, char **argv)
{
	const uint64_t end = odd_now_ms() + ivshmem_number(argv[0]);
	const uint64_t spin = ivshmem_number(argv[1]);
	uint32_t sessions = 0;
	uint32_t frames;

	(void)argc;
	frames = odd_layout.ring_slots < odd_layout.buf_cnt ? odd_layout.ring_slots :
		odd_layout.buf_cnt;
	while (odd_now_ms() < end) {
		odd_start_producer(ivshmem_layout_desc_off(&odd_layout, odd_other, 0),
				   odd_layout.ring_slots);
		while (ivshmem_producer_poll(&odd_producer) != IVSHMEM_RING_USE &&
		       odd_now_ms() < end)
			odd_step();
		for (uint32_t i = 0; i < frames; i++)
			odd_put_good(1500, odd_seq++, odd_layout.headroom);
		ivshmem_producer_publish(&odd_producer, odd_staged);
		for (volatile uint64_t i = 0; i < spin; i++)
			;
		sessions++;
	}
	ivshmem_say("sessions=%" PRIu32, sessions);
	return 0;
}

/* quit: leave in order. */
static int
odd_quit(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ivshmem_port_release(&odd_port);
	return 0;
}

static const struct ivshmem_command odd_commands[] = {
	{ "beat", 1, odd_heart },
	{ "conf", 2, odd_conf },
	{ "consume", 0, odd_consume },
	{ "consumed", 1, odd_consumed },
	{ "flip", 1, odd_flip },
	{ "good", 2, odd_good },
	{ "index", 1, odd_index },
	{ "may-arm", 1, odd_may_arm },
	{ "produce", 0, odd_produce },
	{ "publish", 0, odd_publish },
	{ "put", 5, odd_put },
	{ "quit", 0, odd_quit },
	{ "ready", 1, odd_ready },
	{ "return-mode", 1, odd_return_mode },
	{ "start", 0, odd_start },
	{ "state", 1, odd_state },
	{ "steal", 0, odd_steal },
	{ "storm", 2, odd_storm },
	{ "take", 1, odd_take },
	{ NULL, 0, NULL },
};

/* Map the region and lock the slot as the driver's path= does. */
static int
odd_attach(const char *path, uint32_t slot, struct ivshmem_fault *fault)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	const int file = open(path, O_RDWR | O_CLOEXEC);
	struct stat info;
	int ret;

	if (file < 0 || fstat(file, &info) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s: %s", path, strerror(errno));
	odd_base = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (odd_base == MAP_FAILED)
		return IVSHMEM_FAULT(fault, -errno, "map %s: %s", path, strerror(errno));
	ret = ivshmem_layout_check(odd_base, info.st_size, &odd_layout, fault);
	if (ret != 0)
		return ret;
	lock.l_start = odd_layout.section_off + slot * odd_layout.section_len;
	if (fcntl(file, F_OFD_SETLK, &lock) != 0)
		return IVSHMEM_FAULT(fault, -errno, "slot %" PRIu32 " is locked", slot);
	return ivshmem_port_claim(&odd_port, odd_base, &odd_layout, slot, IVSHMEM_OWNER_LOCK,
				  odd_now_ms() << 1 | 1, fault);
}

static void
odd_find_ends(void)
{
	struct ivshmem_section_shm *other =
		ivshmem_layout_section(odd_base, &odd_layout, odd_other);
	const uint32_t mine = ivshmem_layout_end(&odd_layout, odd_other, 0, 0);
	const uint32_t theirs = ivshmem_layout_end(&odd_layout, odd_port.slot, 0, 0);

	odd_producer.own = ivshmem_layout_prod(odd_port.section, &odd_layout, mine);
	odd_producer.peer = ivshmem_layout_cons(other, &odd_layout, theirs);
	odd_producer.peer_section = (const uint8_t *)other;
	odd_producer.layout = &odd_layout;
	odd_producer.flight = odd_layout.buf_cnt;	/* a consumer may lend buffers up */
	odd_consumer.own = ivshmem_layout_cons(odd_port.section, &odd_layout, mine);
	odd_consumer.peer = ivshmem_layout_prod(other, &odd_layout, theirs);
	odd_consumer.section = (const uint8_t *)other;
}

int
main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct ivshmem_fault fault;
	char line[512];

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: ivshmem-odd-peer FILE SLOT [OTHER SLOT]\n");
		return 2;
	}
	if (odd_attach(argv[1], ivshmem_number(argv[2]), &fault) != 0) {
		fprintf(stderr, "ivshmem-odd-peer: %s\n", fault.text);
		return 1;
	}
	odd_other = argc == 4 ? ivshmem_number(argv[3]) : odd_port.slot == 0;
	odd_find_ends();
	setvbuf(stdin, NULL, _IONBF, 0);	/* so that poll() knows what is there */
	printf("reply: ok slots=%" PRIu32 " bufs=%" PRIu32 " buf_len=%" PRIu32 " life=%" PRIu32
	       "\n", odd_layout.ring_slots, odd_layout.buf_cnt, odd_layout.buf_len, odd_port.life);
	fflush(stdout);
	for (;;) {
		odd_beat();
		if (poll(&input, 1, 5) <= 0)
			continue;
		if (fgets(line, sizeof(line), stdin) == NULL ||
		    !ivshmem_command_run(odd_commands, line))
			return 0;
	}
}
