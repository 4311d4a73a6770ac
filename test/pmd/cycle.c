/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Makes, starts, stops and closes a port over and over, and reports what that leaves behind.
 *
 * Usage: ivshmem-cycle [EAL options] -- ARGS CYCLES PROBES LINKS
 *   ARGS    device arguments of the port, net_ivshmem0
 *   CYCLES  of configure, queue setup, start, a burst, stop; each with other numbers of queues and
 *           descriptors; every 10th closes the port, too, and probes it again
 *   PROBES  of rte_dev_probe() and rte_dev_remove(), of a port that was never configured and of
 *           one that runs, in turn
 *   LINKS   every so many cycles the link has to come up and frames have to leave; 0 = never
 * Counted before and after, with a warm-up before: open files, mappings, blocks and bytes of EAL's
 * heaps, mbufs, armed alarms. Exit status 1 names what grew.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "heap.h"

#define CYCLE_NAME "net_ivshmem0"
#define CYCLE_WARM_UP 20
#define CYCLE_BURST 8
#define CYCLE_LINK_MS 5000

/* What must not grow. */
struct cycle_usage {
	uint64_t files;
	uint64_t mapped_files;
	uint64_t mapped_memory;
	uint64_t blocks;
	uint64_t bytes;
	uint64_t mbufs;
	uint64_t alarms;
};

static struct rte_mempool *cycle_pool;
static uint32_t cycle_links;
static uint64_t cycle_sent;

static void
cycle_count_mappings(struct cycle_usage *usage)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];

	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strchr(line, '/') != NULL)
			usage->mapped_files++;
		else
			usage->mapped_memory++;
	}
	fclose(file);
}

/* Timers of this process that are armed: EAL's alarms stand behind one. */
static bool
cycle_is_armed(const char *fd)
{
	unsigned long long sec = 0;
	unsigned long long nsec = 0;
	char path[300];
	char line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", fd);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "it_value: (%llu, %llu)", &sec, &nsec) == 2)
			break;
	fclose(file);
	return sec != 0 || nsec != 0;
}

static void
cycle_measure(struct cycle_usage *usage)
{
	struct dirent *entry;
	DIR *dir;

	memset(usage, 0, sizeof(*usage));
	usleep(200000);		/* a leftover alarm has fired by then, and armed itself again */
	dir = opendir("/proc/self/fd");
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		usage->files++;
		usage->alarms += cycle_is_armed(entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	cycle_count_mappings(usage);
	ivshmem_heap_count(&usage->blocks, &usage->bytes);
	usage->mbufs = rte_mempool_in_use_count(cycle_pool);
}

static int
cycle_compare(const struct cycle_usage *before, const struct cycle_usage *after)
{
	const struct {
		const char *what;
		uint64_t before;
		uint64_t after;
		uint64_t slack;
	} lines[] = {
		{ "open files", before->files, after->files, 0 },
		{ "mappings of files", before->mapped_files, after->mapped_files, 0 },
		/* the C library makes a few for threads that have not allocated before */
		{ "other mappings", before->mapped_memory, after->mapped_memory, 16 },
		{ "blocks of EAL's heaps", before->blocks, after->blocks, 0 },
		{ "bytes of EAL's heaps", before->bytes, after->bytes, 0 },
		{ "mbufs in use", before->mbufs, after->mbufs, 0 },
		{ "armed timers", before->alarms, after->alarms, 0 },
	};
	int leaks = 0;

	for (size_t i = 0; i < RTE_DIM(lines); i++) {
		printf("%s: %" PRIu64 " before, %" PRIu64 " after%s\n", lines[i].what,
		       lines[i].before, lines[i].after,
		       lines[i].after > lines[i].before + lines[i].slack ? ": LEAKED" : "");
		leaks += lines[i].after > lines[i].before + lines[i].slack;
	}
	return leaks;
}

/* Send and receive a little; where the link is waited for, frames have to leave. */
static int
cycle_burst(uint16_t port, uint16_t txq, uint16_t rxq, bool wait)
{
	struct rte_eth_link link = { .link_status = RTE_ETH_LINK_DOWN };
	struct rte_mbuf *bufs[CYCLE_BURST];
	uint16_t sent = 0;

	for (uint16_t i = 0; i < CYCLE_BURST; i++) {
		bufs[i] = rte_pktmbuf_alloc(cycle_pool);
		if (bufs[i] == NULL || rte_pktmbuf_append(bufs[i], 64) == NULL)
			return -ENOMEM;
	}
	for (uint32_t ms = 0; ms < CYCLE_LINK_MS; ms++) {
		rte_eth_link_get_nowait(port, &link);
		sent += rte_eth_tx_burst(port, txq, bufs + sent, CYCLE_BURST - sent);
		if (!wait || sent == CYCLE_BURST)
			break;
		usleep(1000);
	}
	rte_pktmbuf_free_bulk(bufs + sent, CYCLE_BURST - sent);
	cycle_sent += sent;
	if (wait && (link.link_status == RTE_ETH_LINK_DOWN || sent < CYCLE_BURST))
		return -ETIMEDOUT;
	rte_pktmbuf_free_bulk(bufs, rte_eth_rx_burst(port, rxq, bufs, CYCLE_BURST));
	return 0;
}

/* Configure and start with numbers that depend on the turn. */
static int
cycle_run_port(uint16_t port, uint32_t turn)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = turn % 2 };
	struct rte_eth_dev_info info;
	uint16_t desc = 32 << turn % 6;
	uint16_t rxqs;
	uint16_t txqs;
	int ret;

	ret = rte_eth_dev_info_get(port, &info);
	if (ret != 0)
		return ret;
	rxqs = 1 + turn % info.max_rx_queues;
	txqs = 1 + turn / 2 % info.max_tx_queues;
	ret = rte_eth_dev_configure(port, rxqs, txqs, &conf);
	for (uint16_t i = 0; ret == 0 && i < rxqs; i++)
		ret = rte_eth_rx_queue_setup(port, i, desc, SOCKET_ID_ANY, NULL, cycle_pool);
	for (uint16_t i = 0; ret == 0 && i < txqs; i++)
		ret = rte_eth_tx_queue_setup(port, i, desc, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret != 0)
		return ret;
	ret = cycle_burst(port, turn % txqs, turn % rxqs,
			  cycle_links != 0 && turn % cycle_links == 0);
	if (ret != 0)
		return ret;
	return rte_eth_dev_stop(port);
}

static int
cycle_probe(const char *devargs, uint16_t *port)
{
	int ret = rte_dev_probe(devargs);

	return ret != 0 ? ret : rte_eth_dev_get_port_by_name(CYCLE_NAME, port);
}

static int
cycle_remove(uint16_t port)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port, &info);

	return ret != 0 ? ret : rte_dev_remove(info.device);
}

/* CYCLES of a port; close leaves the device to its bus, which has to remove it before a new one. */
static int
cycle_cycles(const char *devargs, uint32_t cnt)
{
	struct rte_eth_dev_info info;
	uint16_t port = 0;
	int ret;

	ret = cycle_probe(devargs, &port);
	for (uint32_t turn = 0; ret == 0 && turn < cnt; turn++) {
		ret = cycle_run_port(port, turn);
		if (ret != 0 || turn % 10 != 9)
			continue;
		rte_eth_dev_info_get(port, &info);
		ret = rte_eth_dev_close(port);
		if (ret == 0)
			ret = rte_dev_remove(info.device);
		if (ret == 0)
			ret = cycle_probe(devargs, &port);
	}
	return ret != 0 ? ret : cycle_remove(port);
}

static int
cycle_probes(const char *devargs, uint32_t cnt)
{
	uint16_t port = 0;
	int ret = 0;

	for (uint32_t turn = 0; ret == 0 && turn < cnt; turn++) {
		ret = cycle_probe(devargs, &port);
		if (ret == 0 && turn % 2 != 0)
			ret = cycle_run_port(port, turn);
		if (ret == 0)
			ret = cycle_remove(port);
	}
	return ret;
}

int
main(int argc, char **argv)
{
	struct cycle_usage before;
	struct cycle_usage after;
	char devargs[4096];
	int used;
	int ret;

	used = rte_eal_init(argc, argv);
	if (used < 0 || argc - used < 5) {
		fprintf(stderr, "usage: ivshmem-cycle [EAL options] -- ARGS CYCLES PROBES LINKS\n");
		return 2;
	}
	argv += used;
	snprintf(devargs, sizeof(devargs), "vdev:" CYCLE_NAME ",%s", argv[1]);
	cycle_pool = rte_pktmbuf_pool_create("cycle", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					     SOCKET_ID_ANY);
	if (cycle_pool == NULL) {
		fprintf(stderr, "ivshmem-cycle: no memory for mbufs\n");
		return 2;
	}
	cycle_links = strtoul(argv[4], NULL, 0);
	ret = cycle_cycles(devargs, CYCLE_WARM_UP);
	if (ret == 0)
		ret = cycle_probes(devargs, 2);
	cycle_measure(&before);
	if (ret == 0)
		ret = cycle_cycles(devargs, strtoul(argv[2], NULL, 0));
	if (ret == 0)
		ret = cycle_probes(devargs, strtoul(argv[3], NULL, 0));
	cycle_measure(&after);
	if (ret != 0) {
		fprintf(stderr, "ivshmem-cycle: a step failed: %s\n", strerror(-ret));
		return 1;
	}
	printf("sent: %" PRIu64 "\n", cycle_sent);
	ret = cycle_compare(&before, &after) == 0 ? 0 : 1;
	return rte_eal_cleanup() == 0 ? ret : 1;
}
