/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A DPDK process that sleeps whenever there is nothing to receive, on public headers.
 *
 * Usage: ivshmem-sleeper [EAL options] -- ROLE [key=value...]
 *   ping   send a frame, sleep until it is back, count=N times
 *   pong   send each frame back, until the link goes down after the first one
 *   burst  bursts of 1..64 frames after random gaps of 0..gap microseconds, for ms=N or until
 *          count=N frames are sent
 *   bounce the same, but sleep after each burst until all of it is back
 *   sink   receive them, until the link goes down or ms=N of silence (then: a lost wakeup)
 * Keys: port=N (0), queues=N (1; all of the port's queues are slept on), silence=MS (5000; with one
 * frame under way this long a wait is a failure), awake=1 (it could sleep, and polls all the time),
 * busy=1 (ping: the same, and a random gap of 0..2 us before each frame, while the other arms),
 * hesitate=1 (pong: such a gap before it arms), spread=N (1400; lengths are 60 to 60 + N - 1),
 * tell=N (say so when it has gone to sleep N times).
 *
 * No wait has a time-out of its own but that of the silence: only an interrupt ends it. Frames are
 * as in pattern.h, numbered from 0, one series a queue; each byte behind the addresses is checked,
 * and the order.
 * Prints one line "result: key=value ..." and exits with 1 when something was wrong; ping's has the
 * median of its first SLEEPER_TIMED round trips. For a port without Rx interrupts it has only the
 * errno of rte_eth_dev_rx_intr_enable(), and the status is 2.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>

#include "pattern.h"

#define SLEEPER_QUEUES_MAX	8u
#define SLEEPER_BURST		64u
#define SLEEPER_POLLS		1u	/* empty polls before it sleeps */
#define SLEEPER_TIMED		10000u
#define SLEEPER_CACHE		256u	/* mbufs; without it each frame takes a cold one */

struct sleeper {
	uint16_t port;
	uint16_t queue_cnt;
	uint64_t count;
	uint64_t ms;
	uint64_t gap_us;
	uint64_t silence_ms;
	uint64_t tell;
	uint32_t spread;
	bool busy;
	bool hesitates;
	struct rte_mempool *pool;
	uint32_t next_in[SLEEPER_QUEUES_MAX];
	uint32_t next_out[SLEEPER_QUEUES_MAX];
	uint64_t sent;
	uint64_t received;
	uint64_t sleeps;
	uint64_t late;		/* sleeps that only the silence ended, though a frame was due */
	uint64_t bad;
	uint64_t order;
	bool awake;
	bool ended;
	uint64_t got_cycles;	/* when the last burst had come, before it was checked */
	uint32_t timed;
	uint32_t cycles[SLEEPER_TIMED];	/* of ping's round trips */
};

static volatile sig_atomic_t sleeper_stop;

static void
sleeper_on_signal(int number)
{
	(void)number;
	sleeper_stop = 1;
}

static uint64_t
sleeper_now_ms(void)
{
	return rte_get_timer_cycles() * 1000 / rte_get_timer_hz();
}

static int
sleeper_fail(const char *what, int ret)
{
	fprintf(stderr, "ivshmem-sleeper: %s: %s\n", what, strerror(ret < 0 ? -ret : ret));
	return -1;
}

/* The queue cannot be slept on: say so, and what the port answers to who tries. */
static int
sleeper_refused(const struct sleeper *s, uint16_t queue, int ret)
{
	printf("result: rx_intr_enable=%d\n", -rte_eth_dev_rx_intr_enable(s->port, queue));
	return sleeper_fail("rx_intr_ctl_q", ret);
}

static int
sleeper_setup(struct sleeper *s)
{
	struct rte_eth_conf conf = { .intr_conf.rxq = 1 };
	int ret;

	s->pool = rte_pktmbuf_pool_create("sleeper", 8191, SLEEPER_CACHE, 0,
					  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (s->pool == NULL)
		return sleeper_fail("mbuf pool", rte_errno);
	ret = rte_eth_dev_configure(s->port, s->queue_cnt, s->queue_cnt, &conf);
	for (uint16_t q = 0; ret == 0 && q < s->queue_cnt; q++)
		ret = rte_eth_rx_queue_setup(s->port, q, 1024, SOCKET_ID_ANY, NULL, s->pool);
	for (uint16_t q = 0; ret == 0 && q < s->queue_cnt; q++)
		ret = rte_eth_tx_queue_setup(s->port, q, 1024, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(s->port);
	if (ret != 0)
		return sleeper_fail("port", ret);
	rte_eth_promiscuous_enable(s->port);
	for (uint16_t q = 0; q < s->queue_cnt; q++) {
		ret = rte_eth_dev_rx_intr_ctl_q(s->port, q, RTE_EPOLL_PER_THREAD,
						RTE_INTR_EVENT_ADD, (void *)(uintptr_t)q);
		if (ret != 0)
			return sleeper_refused(s, q, ret);
	}
	return 0;
}

static bool
sleeper_link_is_up(const struct sleeper *s)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(s->port, &link) == 0 && link.link_status != 0;
}

/* Check what came on a queue; the frames stay the caller's. */
static void
sleeper_judge(struct sleeper *s, uint16_t queue, struct rte_mbuf **bufs, uint16_t cnt)
{
	for (uint16_t i = 0; i < cnt; i++) {
		const int64_t seq = ivshmem_pattern_check(rte_pktmbuf_mtod(bufs[i], uint8_t *),
							  bufs[i]->data_len);

		s->bad += seq < 0 || bufs[i]->nb_segs != 1;
		s->order += seq != s->next_in[queue];
		s->next_in[queue] = seq + 1;
	}
	s->received += cnt;
}

/* Send all of cnt mbufs, however long the ring is full. */
static void
sleeper_send(struct sleeper *s, uint16_t queue, struct rte_mbuf **bufs, uint16_t cnt)
{
	uint16_t done = 0;

	while (done < cnt && !sleeper_stop)
		done += rte_eth_tx_burst(s->port, queue, bufs + done, cnt - done);
	rte_pktmbuf_free_bulk(bufs + done, cnt - done);
	s->sent += done;
}

static struct rte_mbuf *
sleeper_frame(struct sleeper *s, uint16_t queue)
{
	const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	const uint8_t from[6] = { 2, 0, 0, 0, 0, 1 };
	const uint32_t seq = s->next_out[queue]++;
	const uint32_t len = 60 + seq % s->spread;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(s->pool);
	char *data = mbuf == NULL ? NULL : rte_pktmbuf_append(mbuf, len);

	if (data == NULL)
		rte_exit(1, "ivshmem-sleeper: no mbufs\n");
	ivshmem_pattern_write((uint8_t *)data, len, all, from, seq);
	return mbuf;
}

/*
 * Sleep on all queues until an interrupt. Returns false when only the silence ended it. The link is
 * looked at once a second, so that a role ends with its peer.
 */
static bool
sleeper_sleep(struct sleeper *s)
{
	const uint64_t deadline = sleeper_now_ms() + s->silence_ms;
	struct rte_epoll_event events[SLEEPER_QUEUES_MAX];
	int cnt = 0;

	if (s->awake) {
		s->ended = !sleeper_link_is_up(s);
		return true;
	}
	if (++s->sleeps == s->tell) {
		printf("slept %" PRIu64 " times\n", s->sleeps);
		fflush(stdout);
	}
	for (uint16_t q = 0; q < s->queue_cnt; q++)
		if (rte_eth_dev_rx_intr_enable(s->port, q) != 0)
			rte_exit(1, "ivshmem-sleeper: rx_intr_enable failed\n");
	while (cnt == 0 && !sleeper_stop && sleeper_now_ms() < deadline) {
		cnt = rte_epoll_wait_interruptible(RTE_EPOLL_PER_THREAD, events, s->queue_cnt,
						   RTE_MIN(s->silence_ms, 1000u));
		if (cnt == 0 && !sleeper_link_is_up(s)) {
			s->ended = true;
			break;
		}
	}
	for (uint16_t q = 0; q < s->queue_cnt; q++)
		rte_eth_dev_rx_intr_disable(s->port, q);
	return cnt > 0 || s->ended || sleeper_stop;
}

static uint16_t
sleeper_receive(struct sleeper *s, uint16_t queue, struct rte_mbuf **bufs)
{
	const uint16_t cnt = rte_eth_rx_burst(s->port, queue, bufs, SLEEPER_BURST);

	s->got_cycles = rte_rdtsc();
	sleeper_judge(s, queue, bufs, cnt);
	return cnt;
}

/* Receive from all queues that are slept on, or send back what came. */
static uint32_t
sleeper_poll(struct sleeper *s, bool back)
{
	struct rte_mbuf *bufs[SLEEPER_BURST];
	uint32_t got = 0;

	for (uint16_t q = 0; q < s->queue_cnt; q++) {
		const uint16_t cnt = sleeper_receive(s, q, bufs);

		got += cnt;
		if (back)
			sleeper_send(s, q, bufs, cnt);
		else
			rte_pktmbuf_free_bulk(bufs, cnt);
	}
	return got;
}

/* A random gap, of 0 to 2 us. */
static void
sleeper_gap(void)
{
	const uint64_t end = rte_get_timer_cycles() +
		(uint64_t)rand() % (rte_get_timer_hz() / 500000);

	while (rte_get_timer_cycles() < end)
		;
}

/* pong sends back, sink does not. Until something came, for ping and bounce. */
static void
sleeper_answer(struct sleeper *s, bool back, bool once)
{
	const uint64_t deadline = sleeper_now_ms() + s->silence_ms;

	while (!sleeper_stop && !s->ended) {
		if (sleeper_poll(s, back) > 0) {
			if (once)
				return;
			continue;
		}
		if (s->hesitates)
			sleeper_gap();
		if (s->busy ? sleeper_now_ms() > deadline : !sleeper_sleep(s)) {
			s->late++;
			return;
		}
	}
}

static void
sleeper_ping(struct sleeper *s)
{
	struct rte_mbuf *mbuf;
	uint16_t queue = 0;
	uint64_t begun;

	while (s->received < s->count && !sleeper_stop && !s->ended && s->late == 0) {
		mbuf = sleeper_frame(s, queue);
		begun = rte_rdtsc();
		sleeper_send(s, queue, &mbuf, 1);
		sleeper_answer(s, false, true);
		if (s->timed < SLEEPER_TIMED)
			s->cycles[s->timed++] = RTE_MIN(s->got_cycles - begun, UINT32_MAX);
		if (s->busy)
			sleeper_gap();
		queue = (queue + 1) % s->queue_cnt;
	}
}

static void
sleeper_send_burst(struct sleeper *s)
{
	const uint16_t cnt = 1 + rand() % SLEEPER_BURST;
	const uint16_t queue = rand() % s->queue_cnt;
	struct rte_mbuf *bufs[SLEEPER_BURST];

	for (uint16_t i = 0; i < cnt; i++)
		bufs[i] = sleeper_frame(s, queue);
	sleeper_send(s, queue, bufs, cnt);
}

/* burst goes on after each gap, bounce not before all that it sent is back. */
static void
sleeper_burst(struct sleeper *s, bool bounce)
{
	const uint64_t end = sleeper_now_ms() + s->ms;

	while (sleeper_now_ms() < end && s->sent < s->count && !sleeper_stop) {
		const uint64_t gap = s->gap_us == 0 ? 0 : (uint64_t)rand() % s->gap_us;

		sleeper_send_burst(s);
		while (bounce && s->received < s->sent) {
			sleeper_answer(s, false, true);
			if (sleeper_stop || s->ended || s->late != 0)
				return;
		}
		if (gap > 200)
			usleep(gap);
		else
			rte_delay_us_block(gap);
	}
}

static void
sleeper_xstats(const struct sleeper *s)
{
	static struct rte_eth_xstat_name names[1024];
	static struct rte_eth_xstat values[RTE_DIM(names)];
	const int cnt = rte_eth_xstats_get_names(s->port, names, RTE_DIM(names));

	if (cnt < 0 || rte_eth_xstats_get(s->port, values, cnt) != cnt)
		return;
	for (int i = 0; i < cnt; i++)
		if (values[i].value != 0)
			printf(" %s=%" PRIu64, names[values[i].id].name, values[i].value);
}

static int
sleeper_compare(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a;
	const uint32_t right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static int
sleeper_report(struct sleeper *s)
{
	struct rusage usage;
	unsigned int left;

	getrusage(RUSAGE_SELF, &usage);
	printf("result: sent=%" PRIu64 " received=%" PRIu64 " sleeps=%" PRIu64 " late=%" PRIu64
	       " bad=%" PRIu64 " order=%" PRIu64 " cpu_ms=%ld", s->sent, s->received, s->sleeps,
	       s->late, s->bad, s->order,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
	if (s->timed != 0) {
		qsort(s->cycles, s->timed, sizeof(s->cycles[0]), sleeper_compare);
		printf(" p50_ns=%.0f", s->cycles[s->timed / 2] * 1e9 / rte_get_tsc_hz());
	}
	sleeper_xstats(s);
	rte_eth_dev_stop(s->port);
	rte_eth_dev_close(s->port);
	left = rte_mempool_in_use_count(s->pool);
	printf(" leaked=%u\n", left);
	return s->late + s->bad + s->order + left == 0 ? 0 : 1;
}

static uint64_t
sleeper_key(int argc, char **argv, const char *key, uint64_t otherwise)
{
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], key, strlen(key)) == 0 && argv[i][strlen(key)] == '=')
			return strtoull(argv[i] + strlen(key) + 1, NULL, 10);
	return otherwise;
}

int
main(int argc, char **argv)
{
	static struct sleeper s;
	int used = rte_eal_init(argc, argv);

	if (used < 0 || argc - used < 2)
		rte_exit(2, "usage: ivshmem-sleeper [EAL options] -- ROLE [key=value...]\n");
	argc -= used + 1;
	argv += used + 1;
	s.port = sleeper_key(argc, argv, "port", 0);
	s.queue_cnt = RTE_MIN(sleeper_key(argc, argv, "queues", 1), SLEEPER_QUEUES_MAX);
	s.count = sleeper_key(argc, argv, "count", UINT64_MAX);
	s.ms = sleeper_key(argc, argv, "ms", 1000);
	s.gap_us = sleeper_key(argc, argv, "gap", 10000);
	s.spread = sleeper_key(argc, argv, "spread", 1400);
	s.awake = sleeper_key(argc, argv, "awake", 0) != 0;
	s.silence_ms = sleeper_key(argc, argv, "silence", 5000);
	s.tell = sleeper_key(argc, argv, "tell", 0);
	s.busy = sleeper_key(argc, argv, "busy", 0) != 0;
	s.hesitates = sleeper_key(argc, argv, "hesitate", 0) != 0;
	signal(SIGTERM, sleeper_on_signal);
	signal(SIGINT, sleeper_on_signal);
	if (sleeper_setup(&s) != 0)
		return 2;
	for (uint64_t end = sleeper_now_ms() + 30000; !sleeper_link_is_up(&s); usleep(1000))
		if (sleeper_now_ms() > end || sleeper_stop)
			rte_exit(2, "ivshmem-sleeper: no link\n");
	if (strcmp(argv[0], "ping") == 0)
		sleeper_ping(&s);
	else if (strcmp(argv[0], "burst") == 0 || strcmp(argv[0], "bounce") == 0)
		sleeper_burst(&s, strcmp(argv[0], "bounce") == 0);
	else
		sleeper_answer(&s, strcmp(argv[0], "pong") == 0, false);
	return sleeper_report(&s);
}
