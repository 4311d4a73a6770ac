/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Bursts from one port to another of one process, on one lcore, and nothing else: their cost.
 *
 *   ivshmem-drive [EAL options] -- [from=N] [size=N] [burst=N] [bursts=N] [forward=1] [time=1]
 *
 * They go from port 0 to port 1, or from 1 to 0; with forward=1 what was received is sent back.
 *
 * Other ports are started, have sent one frame, and idle. Each of the bursts (1000) is allocated
 * from a pool, sent, received whole, and freed; one that is forwarded is allocated once.
 *
 * Under callgrind, drive_tx() and drive_rx() enclose rte_eth_tx_burst() and rte_eth_rx_burst(), and
 * are called for the bursts that count and for no other: their inclusive cost is that of the
 * driver. The number of instructions does not depend on the machine's mood, since nothing else runs
 * and every receive finds a whole burst.
 *
 * With time=1 it prints the nanoseconds of a receive of a whole burst, and of an empty one.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#define DRIVE_MBUFS	4095u
#define DRIVE_CACHE	256u
#define DRIVE_DESC	1024u
#define DRIVE_BURST_MAX	256u
#define DRIVE_WARM	64u		/* bursts */
#define DRIVE_EMPTY	16u		/* receives that find nothing, timed together */
#define DRIVE_WAIT_S	60		/* for link and first frames; valgrind is slow */

struct drive {
	struct rte_mempool *pool;
	struct rte_ether_addr to;
	uint16_t from;
	uint16_t dest;
	uint32_t size;
	uint32_t burst;
	uint32_t bursts;
	bool timed;
	bool forward;
	struct rte_mbuf *bufs[DRIVE_BURST_MAX];	/* the burst under way */
	uint64_t *full;		/* cycles */
	uint64_t *empty;
};

typedef uint16_t (*drive_burst_t)(uint16_t port, struct rte_mbuf **bufs, uint16_t cnt);

/* Not inlined, so that a profile has them by name. */
static __rte_noinline uint16_t
drive_tx(uint16_t port, struct rte_mbuf **bufs, uint16_t cnt)
{
	return rte_eth_tx_burst(port, 0, bufs, cnt);
}

static __rte_noinline uint16_t
drive_rx(uint16_t port, struct rte_mbuf **bufs, uint16_t cnt)
{
	return rte_eth_rx_burst(port, 0, bufs, cnt);
}

static __rte_noinline uint16_t
drive_warm_tx(uint16_t port, struct rte_mbuf **bufs, uint16_t cnt)
{
	return rte_eth_tx_burst(port, 0, bufs, cnt);
}

static __rte_noinline uint16_t
drive_warm_rx(uint16_t port, struct rte_mbuf **bufs, uint16_t cnt)
{
	return rte_eth_rx_burst(port, 0, bufs, cnt);
}

static void
drive_port_start(struct drive *drive, uint16_t port)
{
	struct rte_eth_conf conf = { .rxmode.mtu = 0 };
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port, &info);

	if (ret == 0) {
		/* as testpmd does by itself */
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
		ret = rte_eth_dev_configure(port, 1, 1, &conf);
	}
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, DRIVE_DESC, SOCKET_ID_ANY, NULL,
					     drive->pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, DRIVE_DESC, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret != 0)
		rte_exit(2, "ivshmem-drive: port %u does not start: %s\n", port, strerror(-ret));
	rte_eth_promiscuous_enable(port);
}

static void
drive_wait_link(uint16_t port)
{
	struct rte_eth_link link = { 0 };

	for (int i = 0; i < DRIVE_WAIT_S * 100; i++) {
		if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status != 0)
			return;
		usleep(10000);
	}
	rte_exit(2, "ivshmem-drive: no link on port %u\n", port);
}

/* Fill bufs with a burst of frames to the receiving port, or to all. */
static void
drive_make(struct drive *drive, struct rte_mbuf **bufs, uint32_t cnt, bool to_all)
{
	if (rte_pktmbuf_alloc_bulk(drive->pool, bufs, cnt) != 0)
		rte_exit(1, "ivshmem-drive: no mbufs\n");
	for (uint32_t i = 0; i < cnt; i++) {
		struct rte_ether_hdr *eth = (void *)rte_pktmbuf_append(bufs[i], drive->size);

		if (eth == NULL)
			rte_exit(1, "ivshmem-drive: %u bytes do not fit an mbuf\n", drive->size);
		eth->dst_addr = drive->to;
		if (to_all)
			memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
		eth->src_addr = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
		eth->ether_type = rte_cpu_to_be_16(0x88b5);
	}
}

/* Send and receive a burst; exits when it does not arrive. Returns the cycles of its receipt. */
static uint64_t
drive_pass(struct drive *drive, drive_burst_t tx, drive_burst_t rx)
{
	const uint64_t end = rte_get_timer_cycles() + DRIVE_WAIT_S * rte_get_timer_hz();
	struct rte_mbuf **bufs = drive->bufs;
	uint32_t sent = 0, got = 0;
	uint64_t spent;

	if (!drive->forward)
		drive_make(drive, bufs, drive->burst, false);
	while (sent < drive->burst && rte_get_timer_cycles() < end)
		sent += tx(drive->from, bufs + sent, drive->burst - sent);
	spent = rte_rdtsc();
	got = rx(drive->dest, bufs, drive->burst);
	spent = rte_rdtsc() - spent;
	while (got < sent && rte_get_timer_cycles() < end)
		got += rx(drive->dest, bufs + got, drive->burst - got);
	if (got != drive->burst)
		rte_exit(1, "ivshmem-drive: %u of %u frames sent, %u received\n", sent,
			 drive->burst, got);
	if (drive->forward)
		RTE_SWAP(drive->from, drive->dest);
	else
		rte_pktmbuf_free_bulk(bufs, got);
	return spent;
}

/* Receive and free whatever has come, on all ports. */
static void
drive_drain(uint16_t ports)
{
	struct rte_mbuf *bufs[DRIVE_BURST_MAX];
	uint16_t cnt;

	for (uint16_t port = 0; port < ports; port++) {
		cnt = rte_eth_rx_burst(port, 0, bufs, DRIVE_BURST_MAX);
		rte_pktmbuf_free_bulk(bufs, cnt);
	}
}

/*
 * Every port has sent once, so that all rings exist; nothing is left in them. A ring's ends agree
 * in the bursts of both, so the receivers have to poll meanwhile.
 */
static void
drive_wake_all(struct drive *drive, uint16_t ports)
{
	const uint64_t end = rte_get_timer_cycles() + DRIVE_WAIT_S * rte_get_timer_hz();
	struct rte_mbuf *buf;

	for (uint16_t port = 0; port < ports; port++) {
		drive_make(drive, &buf, 1, true);
		while (rte_eth_tx_burst(port, 0, &buf, 1) == 0) {
			if (rte_get_timer_cycles() > end)
				rte_exit(1, "ivshmem-drive: port %u cannot send\n", port);
			drive_drain(ports);
			usleep(1000);
		}
	}
	usleep(1000);
	drive_drain(ports);
}

static int
drive_compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a;
	const uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Mean of the middle half, in nanoseconds: finer than the clock, and blind to interruptions. */
static double
drive_middle_ns(uint64_t *cycles, uint32_t cnt)
{
	const uint32_t first = cnt / 4, end = cnt - cnt / 4;
	double sum = 0;

	qsort(cycles, cnt, sizeof(*cycles), drive_compare);
	for (uint32_t i = first; i < end; i++)
		sum += cycles[i];
	return sum / (end - first) * 1e9 / rte_get_tsc_hz();
}

static void
drive_run(struct drive *drive)
{
	struct rte_mbuf *none[1];
	uint64_t before;

	if (drive->forward)
		drive_make(drive, drive->bufs, drive->burst, false);
	for (uint32_t i = 0; i < DRIVE_WARM; i++)
		drive_pass(drive, drive_warm_tx, drive_warm_rx);
	for (uint32_t i = 0; i < drive->bursts; i++) {
		drive->full[i] = drive_pass(drive, drive_tx, drive_rx);
		if (!drive->timed)
			continue;
		before = rte_rdtsc();
		for (uint32_t j = 0; j < DRIVE_EMPTY; j++)
			drive_warm_rx(drive->dest, none, 1);
		drive->empty[i] = rte_rdtsc() - before;
	}
	if (drive->forward)
		rte_pktmbuf_free_bulk(drive->bufs, drive->burst);
	printf("bursts=%" PRIu32 " burst=%" PRIu32, drive->bursts, drive->burst);
	if (drive->timed)
		printf(" full_ns=%.1f empty_ns=%.2f", drive_middle_ns(drive->full, drive->bursts),
		       drive_middle_ns(drive->empty, drive->bursts) / DRIVE_EMPTY);
	printf("\n");
}

static uint32_t
drive_key(int argc, char **argv, const char *key, uint32_t otherwise)
{
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], key, strlen(key)) == 0 && argv[i][strlen(key)] == '=')
			return strtoul(argv[i] + strlen(key) + 1, NULL, 10);
	return otherwise;
}

int
main(int argc, char **argv)
{
	static struct drive drive;
	const int used = rte_eal_init(argc, argv);
	uint16_t ports;

	if (used < 0 || rte_eth_dev_count_avail() < 2)
		rte_exit(2, "usage: ivshmem-drive [EAL options with two ports] -- [size=N]"
			 " [burst=N] [bursts=N] [forward=1] [time=1]\n");
	ports = rte_eth_dev_count_avail();
	drive.from = drive_key(argc - used, argv + used, "from", 0) != 0;
	drive.dest = !drive.from;
	drive.size = drive_key(argc - used, argv + used, "size", 64);
	drive.burst = drive_key(argc - used, argv + used, "burst", 32);
	drive.bursts = drive_key(argc - used, argv + used, "bursts", 1000);
	drive.timed = drive_key(argc - used, argv + used, "time", 0) != 0;
	drive.forward = drive_key(argc - used, argv + used, "forward", 0) != 0;
	if (drive.burst == 0 || drive.burst > DRIVE_BURST_MAX || drive.bursts == 0 ||
	    drive.size < 60)
		rte_exit(2, "ivshmem-drive: burst is 1..%u, bursts at least 1, size at least 60\n",
			 DRIVE_BURST_MAX);
	drive.full = rte_calloc(NULL, drive.bursts, sizeof(uint64_t), 0);
	drive.empty = rte_calloc(NULL, drive.bursts, sizeof(uint64_t), 0);
	drive.pool = rte_pktmbuf_pool_create("drive", DRIVE_MBUFS, DRIVE_CACHE, 0,
					     RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (drive.full == NULL || drive.empty == NULL || drive.pool == NULL)
		rte_exit(2, "ivshmem-drive: no memory\n");
	for (uint16_t port = 0; port < ports; port++)
		drive_port_start(&drive, port);
	for (uint16_t port = 0; port < ports; port++)
		drive_wait_link(port);
	rte_eth_macaddr_get(drive.dest, &drive.to);
	drive_wake_all(&drive, ports);
	drive_run(&drive);
	for (uint16_t port = 0; port < ports; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	rte_eal_cleanup();
	return 0;
}
