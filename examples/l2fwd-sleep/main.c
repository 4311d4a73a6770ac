/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Forwards frames between two ports: polls while there is traffic, sleeps when there is none.
 *
 * Usage: l2fwd-sleep [EAL options] -- [IDLE_US]
 *
 * One lcore, one queue a port, any driver that has Rx interrupts. What comes in at one port goes
 * out at the other as it is; what a full ring does not take is dropped and counted. SIGINT and
 * SIGTERM end it with a report.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#define PORTS		2u
#define BURST		32u
#define DESCRIPTORS	1024u
#define MBUFS		(2 * PORTS * DESCRIPTORS + 2 * BURST - 1)
#define IDLE_US		50u	/* about what a wakeup costs */
#define SIGNAL_MS	1000	/* a signal just before the sleep is seen so late at most */

static volatile sig_atomic_t stop;
static uint64_t frames, dropped, polls, sleeps;

static void
on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void
start_port(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = { .intr_conf.rxq = 1 };
	const char *what = "configure";
	int ret;

	ret = rte_eth_dev_configure(port, 1, 1, &conf);
	if (ret == 0) {
		what = "set up the Rx queue of";
		ret = rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
	}
	if (ret == 0) {
		what = "set up the Tx queue of";
		ret = rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	}
	if (ret == 0) {
		what = "start";
		ret = rte_eth_dev_start(port);
	}
	if (ret == 0) {
		what = "listen to interrupts of";
		ret = rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD,
						RTE_INTR_EVENT_ADD, NULL);
	}
	if (ret != 0)
		rte_exit(EXIT_FAILURE, "l2fwd-sleep: can not %s port %u: %s\n", what, port,
			 rte_strerror(-ret));
	rte_eth_promiscuous_enable(port);
}

/* One burst, to the other port. Returns how many frames came. */
static uint16_t
forward(uint16_t from)
{
	struct rte_mbuf *bufs[BURST];
	const uint16_t got = rte_eth_rx_burst(from, 0, bufs, BURST);
	uint16_t sent;

	if (got == 0)
		return 0;
	sent = rte_eth_tx_burst(PORTS - 1 - from, 0, bufs, got);
	rte_pktmbuf_free_bulk(bufs + sent, got - sent);
	frames += sent;
	dropped += got - sent;
	return got;
}

/* 8< sleep */
/*
 * Sleep until a port has a frame. Enable means: tell me once. A frame that came after the last poll
 * and before enable wakes at once, so none is slept through. Which port it was does not matter,
 * all are polled next.
 */
static void
sleep_until_frame(void)
{
	struct rte_epoll_event events[PORTS];

	for (uint16_t port = 0; port < PORTS; port++)
		rte_eth_dev_rx_intr_enable(port, 0);
	rte_epoll_wait_interruptible(RTE_EPOLL_PER_THREAD, events, PORTS, SIGNAL_MS);
	for (uint16_t port = 0; port < PORTS; port++)
		rte_eth_dev_rx_intr_disable(port, 0);
	sleeps++;
}
/* >8 */

/* 8< rule */
/*
 * The rule: poll on for idle cycles after the last frame, then sleep.
 *
 * Going to sleep and waking up costs both sides a system call and this one a wakeup. Who polls for
 * as long as that takes before it sleeps never pays more than twice of what it would have paid had
 * it known when the next frame comes; and in a stream with smaller gaps nobody rings.
 */
static void
run(uint64_t idle)
{
	uint64_t last = rte_rdtsc();

	while (!stop) {
		const uint16_t got = forward(0) + forward(1);

		polls++;
		if (got > 0) {
			last = rte_rdtsc();
		} else if (rte_rdtsc() - last < idle) {
			rte_pause();
		} else {
			sleep_until_frame();
			last = rte_rdtsc();
		}
	}
}
/* >8 */

int
main(int argc, char **argv)
{
	const int used = rte_eal_init(argc, argv);
	struct rte_mempool *pool;
	uint64_t idle_us;

	if (used < 0)
		rte_exit(EXIT_FAILURE, "l2fwd-sleep: EAL does not start: %s\n",
			 rte_strerror(rte_errno));
	idle_us = argc > used + 1 ? strtoull(argv[used + 1], NULL, 10) : IDLE_US;
	if (rte_eth_dev_count_avail() != PORTS)
		rte_exit(EXIT_FAILURE, "l2fwd-sleep: %u ports, %u are needed: use -a or --vdev\n",
			 rte_eth_dev_count_avail(), PORTS);
	pool = rte_pktmbuf_pool_create("l2fwd_sleep", MBUFS, BURST, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "l2fwd-sleep: no memory for %u mbufs: give more by -m\n",
			 MBUFS);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (uint16_t port = 0; port < PORTS; port++)
		start_port(port, pool);
	printf("l2fwd-sleep: forwards, and sleeps after %" PRIu64 " us without a frame\n", idle_us);
	fflush(stdout);
	run(idle_us * rte_get_tsc_hz() / 1000000);
	printf("l2fwd-sleep: frames=%" PRIu64 " dropped=%" PRIu64 " polls=%" PRIu64 " sleeps=%"
	       PRIu64 "\n", frames, dropped, polls, sleeps);
	for (uint16_t port = 0; port < PORTS; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	return rte_eal_cleanup() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
