/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Writes frames where the receiver reads them: no copy on either side.
 *
 * Usage: send-in-place [EAL options] -- send|receive COUNT
 *
 * One port, one queue, frames of FRAME_LEN bytes with a sequence number. The sender allocates from
 * the mempool that is called after its port, or from one of its own where there is none, as on
 * other drivers. The receiver judges number, order and every byte; its port has zero_copy=1, so it
 * reads what the sender wrote. SIGINT and SIGTERM end it before the count is reached.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define BURST		32u
#define DESCRIPTORS	1024u
#define MBUFS		4095u
#define FRAME_LEN	1514u
#define FILL_LEN	(FRAME_LEN - sizeof(struct frame))
#define QUIET_S		10u	/* a receiver that hears nothing for so long gives up */

struct frame {
	struct rte_ether_hdr ether;
	uint8_t unused[2];
	uint64_t seq;
	uint8_t fill[];
};

static volatile sig_atomic_t stop;

static void
on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void
start_port(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = { 0 };
	const char *what = "configure";
	struct rte_eth_link link;
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
	if (ret != 0)
		rte_exit(EXIT_FAILURE, "send-in-place: can not %s port %u: %s\n", what, port,
			 rte_strerror(-ret));
	do {
		rte_delay_ms(1);
		ret = rte_eth_link_get_nowait(port, &link);
	} while (!stop && ret == 0 && link.link_status == RTE_ETH_LINK_DOWN);
}

/* 8< pool */
/* The mempool of the port's own memory, or the application's where the port has none. */
static struct rte_mempool *
pool_of_port(uint16_t port, struct rte_mempool *otherwise)
{
	char device[RTE_ETH_NAME_MAX_LEN];
	char name[sizeof(device) + sizeof("_tx")];
	struct rte_mempool *pool = NULL;

	if (rte_eth_dev_get_name_by_port(port, device) == 0) {
		snprintf(name, sizeof(name), "%s_tx", device);
		pool = rte_mempool_lookup(name);
	}
	return pool == NULL ? otherwise : pool;
}
/* >8 */

static void
write_frame(struct rte_mbuf *mbuf, uint16_t port, uint64_t seq)
{
	struct frame *frame = (struct frame *)rte_pktmbuf_append(mbuf, FRAME_LEN);

	memset(&frame->ether.dst_addr, 0xff, sizeof(frame->ether.dst_addr));
	rte_eth_macaddr_get(port, &frame->ether.src_addr);
	frame->ether.ether_type = rte_cpu_to_be_16(0x88b5);	/* for experiments */
	memset(frame->unused, 0, sizeof(frame->unused));
	frame->seq = rte_cpu_to_be_64(seq);
	memset(frame->fill, (uint8_t)seq, FILL_LEN);
}

/* 8< send */
/*
 * What was sent belongs to the receiver until it frees it, so a pool may be empty for a while. A
 * look at what came back fills it again: each burst has one, and so has rte_eth_tx_done_cleanup().
 */
static uint64_t
send_frames(uint16_t port, struct rte_mempool *pool, uint64_t cnt)
{
	uint64_t sent = 0;

	while (!stop && sent < cnt) {
		struct rte_mbuf *bufs[BURST];
		const uint32_t want = RTE_MIN(cnt - sent, BURST);
		uint16_t took;

		if (rte_pktmbuf_alloc_bulk(pool, bufs, want) != 0) {
			rte_eth_tx_done_cleanup(port, 0, 0);
			continue;
		}
		for (uint32_t i = 0; i < want; i++)
			write_frame(bufs[i], port, sent + i);
		took = rte_eth_tx_burst(port, 0, bufs, want);
		rte_pktmbuf_free_bulk(bufs + took, want - took);
		sent += took;
	}
	return sent;
}
/* >8 */

static int
is_right(const struct rte_mbuf *mbuf, uint64_t seq)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);

	if (mbuf->nb_segs != 1 || mbuf->pkt_len != FRAME_LEN ||
	    rte_be_to_cpu_64(frame->seq) != seq)
		return 0;
	for (uint32_t i = 0; i < FILL_LEN; i++)
		if (frame->fill[i] != (uint8_t)seq)
			return 0;
	return 1;
}

/* Returns how many frames came, all of them in order and whole, or ends the program. */
static uint64_t
receive_frames(uint16_t port, uint64_t cnt)
{
	uint64_t since = rte_rdtsc();
	uint64_t got = 0;

	while (!stop && got < cnt && rte_rdtsc() - since < QUIET_S * rte_get_tsc_hz()) {
		struct rte_mbuf *bufs[BURST];
		const uint16_t came = rte_eth_rx_burst(port, 0, bufs, BURST);

		for (uint16_t i = 0; i < came; i++, got++)
			if (!is_right(bufs[i], got))
				rte_exit(EXIT_FAILURE, "send-in-place: frame %" PRIu64
					 " is wrong\n", got);
		rte_pktmbuf_free_bulk(bufs, came);
		if (came > 0)
			since = rte_rdtsc();
	}
	return got;
}

/* Mbufs come home when the receiver has freed them. */
static uint32_t
wait_until_home(uint16_t port, struct rte_mempool *pool)
{
	for (uint32_t ms = 0; ms < 1000 * QUIET_S && !rte_mempool_full(pool); ms++) {
		rte_eth_tx_done_cleanup(port, 0, 0);
		rte_delay_ms(1);
	}
	return rte_mempool_in_use_count(pool);
}

int
main(int argc, char **argv)
{
	const int used = rte_eal_init(argc, argv);
	struct rte_mempool *pool, *from;
	uint64_t cnt, done;
	uint16_t port;

	if (used < 0)
		rte_exit(EXIT_FAILURE, "send-in-place: EAL does not start: %s\n",
			 rte_strerror(rte_errno));
	if (argc < used + 3 || (strcmp(argv[used + 1], "send") != 0 &&
				strcmp(argv[used + 1], "receive") != 0))
		rte_exit(EXIT_FAILURE, "send-in-place: give -- send|receive COUNT\n");
	port = rte_eth_find_next(0);
	if (port == RTE_MAX_ETHPORTS)
		rte_exit(EXIT_FAILURE, "send-in-place: no port: use -a or --vdev\n");
	cnt = strtoull(argv[used + 2], NULL, 10);
	pool = rte_pktmbuf_pool_create("send_in_place", MBUFS, BURST, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "send-in-place: no memory for %u mbufs: give more by -m\n",
			 MBUFS);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	start_port(port, pool);
	if (strcmp(argv[used + 1], "send") == 0) {
		from = pool_of_port(port, pool);
		printf("send-in-place: %u mbufs of %s\n", from->size, from->name);
		done = send_frames(port, from, cnt);
		printf("send-in-place: sent=%" PRIu64 " out=%u\n", done,
		       wait_until_home(port, from));
	} else {
		done = receive_frames(port, cnt);
		printf("send-in-place: received=%" PRIu64 "\n", done);
	}
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	return rte_eal_cleanup() == 0 && done == cnt ? EXIT_SUCCESS : EXIT_FAILURE;
}
