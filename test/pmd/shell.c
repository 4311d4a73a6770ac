/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A DPDK process that makes the ethdev calls that a test tells it, one by one, on public headers.
 *
 * Usage: ivshmem-shell [EAL options]; then commands on standard input, see command.h. One lcore,
 * and nothing happens between two commands: so a test knows which frame is where.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_power_intrinsics.h>

#include "command.h"
#include "heap.h"
#include "shell.h"

struct rte_mempool *shell_pool;

static atomic_uint shell_events;

static uint16_t
shell_port(char **argv)
{
	return ivshmem_number(argv[0]);
}

/* probe NAME ARGS: says the port's number. */
static int
shell_probe(int argc, char **argv)
{
	uint16_t port;
	int ret;

	ret = rte_eal_hotplug_add("vdev", argv[0], argc > 1 ? argv[1] : "");
	if (ret == 0 && rte_eth_dev_get_port_by_name(argv[0], &port) == 0)
		ivshmem_say("port=%u", port);
	return ret;
}

static int
shell_remove(int argc, char **argv)
{
	(void)argc;
	return rte_eal_hotplug_remove("vdev", argv[0]);
}

/*
 * pool CNT ROOM [PRIV]: the mbufs of ports that are configured from now on, with a private area of
 * PRIV bytes.
 */
static int
shell_pool_make(int argc, char **argv)
{
	static int number;
	char name[32];

	snprintf(name, sizeof(name), "shell%d", number++);
	shell_pool = rte_pktmbuf_pool_create(name, ivshmem_number(argv[0]), 0,
		argc > 2 ? ivshmem_number(argv[2]) : 0,
		RTE_PKTMBUF_HEADROOM + ivshmem_number(argv[1]), SOCKET_ID_ANY);
	if (shell_pool == NULL)
		return -rte_errno;
	shell_mark_pool();
	return 0;
}

static int
shell_on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *result)
{
	struct rte_eth_link link = { 0 };

	(void)type;
	(void)result;
	atomic_fetch_add(&shell_events, 1);
	if (arg == NULL || rte_eth_link_get_nowait(port, &link) != 0 || link.link_status != 0)
		return 0;
	if (rte_eth_dev_stop(port) == 0 && rte_eth_dev_close(port) == 0)
		fprintf(stderr, "the callback closed port %u\n", port);
	return 0;
}

/* The value of "key=number" among the arguments. */
static uint64_t
shell_option(int argc, char **argv, const char *key, uint64_t otherwise)
{
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], key, strlen(key)) == 0 && argv[i][strlen(key)] == '=')
			return ivshmem_number(argv[i] + strlen(key) + 1);
	return otherwise;
}

/*
 * configure PORT RXQ TXQ [mtu=N] [scatter=1] [segs=1] [lsc=1|2] [desc=N] [source=1]: and its
 * queues; lsc=2: the callback closes the port when the link goes down; source=1: Rx queues get the
 * pool of "use".
 */
static int
shell_configure(int argc, char **argv)
{
	const uint16_t port = shell_port(argv);
	const uint16_t desc = shell_option(argc, argv, "desc", 1024);
	struct rte_mempool *pool = shell_option(argc, argv, "source", 0) != 0 ? shell_source :
		shell_pool;
	struct rte_eth_conf conf = {
		.rxmode.mtu = shell_option(argc, argv, "mtu", 0),
		.rxmode.offloads = shell_option(argc, argv, "scatter", 0) != 0 ?
			RTE_ETH_RX_OFFLOAD_SCATTER : 0,
		.txmode.offloads = shell_option(argc, argv, "segs", 0) != 0 ?
			RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0,
		.intr_conf.lsc = shell_option(argc, argv, "lsc", 0) != 0,
	};
	void *close = shell_option(argc, argv, "lsc", 0) == 2 ? &shell_events : NULL;
	/* bit 0 for Rx queues, bit 1 for Tx queues; skip: the last one is not set up */
	const uint64_t deferred = shell_option(argc, argv, "deferred", 0);
	const uint64_t skip = shell_option(argc, argv, "skip", 0);
	const struct rte_eth_rxconf rx = { .rx_deferred_start = deferred & 1 };
	const struct rte_eth_txconf tx = { .tx_deferred_start = deferred >> 1 };
	int ret;

	ret = rte_eth_dev_configure(port, ivshmem_number(argv[1]), ivshmem_number(argv[2]), &conf);
	if (ret == 0 && conf.intr_conf.lsc != 0)
		ret = rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, shell_on_link,
						    close);
	for (uint16_t i = 0; ret == 0 && i + (skip & 1) < ivshmem_number(argv[1]); i++)
		ret = rte_eth_rx_queue_setup(port, i, desc, SOCKET_ID_ANY,
					     deferred != 0 ? &rx : NULL, pool);
	for (uint16_t i = 0; ret == 0 && i + (skip >> 1) < ivshmem_number(argv[2]); i++)
		ret = rte_eth_tx_queue_setup(port, i, desc, SOCKET_ID_ANY,
					     deferred != 0 ? &tx : NULL);
	return ret;
}

static int
shell_start(int argc, char **argv)
{
	(void)argc;
	return rte_eth_dev_start(shell_port(argv));
}

static int
shell_stop(int argc, char **argv)
{
	(void)argc;
	return rte_eth_dev_stop(shell_port(argv));
}

static int
shell_close(int argc, char **argv)
{
	(void)argc;
	return rte_eth_dev_close(shell_port(argv));
}

/* link PORT [up|down MS]: the link, and how often the callback fired; waits for it at most MS. */
static int
shell_link(int argc, char **argv)
{
	const int want = argc > 1 ? strcmp(argv[1], "up") == 0 : -1;
	struct rte_eth_link link;
	int ret;

	for (uint64_t ms = argc > 2 ? ivshmem_number(argv[2]) : 0;; ms--) {
		ret = rte_eth_link_get_nowait(shell_port(argv), &link);
		if (ret != 0 || link.link_status == want || ms == 0)
			break;
		usleep(1000);
	}
	ivshmem_say("link=%s speed=%u duplex=%u events=%u", link.link_status ? "up" : "down",
		    link.link_speed, link.link_duplex, atomic_load(&shell_events));
	return ret;
}

/* set-link PORT up|down */
static int
shell_set_link(int argc, char **argv)
{
	(void)argc;
	return strcmp(argv[1], "up") == 0 ? rte_eth_dev_set_link_up(shell_port(argv)) :
		rte_eth_dev_set_link_down(shell_port(argv));
}

static int
shell_stats(int argc, char **argv)
{
	struct rte_eth_stats stats;
	int ret = rte_eth_stats_get(shell_port(argv), &stats);

	(void)argc;
	ivshmem_say("ipackets=%" PRIu64 " opackets=%" PRIu64 " ibytes=%" PRIu64 " obytes=%" PRIu64
		    " imissed=%" PRIu64 " ierrors=%" PRIu64 " oerrors=%" PRIu64 " rx_nombuf=%"
		    PRIu64, stats.ipackets, stats.opackets, stats.ibytes, stats.obytes,
		    stats.imissed, stats.ierrors, stats.oerrors, stats.rx_nombuf);
	return ret;
}

static int
shell_xstats(int argc, char **argv)
{
	static struct rte_eth_xstat_name names[1024];
	static struct rte_eth_xstat values[RTE_DIM(names)];
	int cnt;

	(void)argc;
	cnt = rte_eth_xstats_get_names(shell_port(argv), names, RTE_DIM(names));
	if (cnt < 0 || cnt > (int)RTE_DIM(names) ||
	    rte_eth_xstats_get(shell_port(argv), values, RTE_DIM(values)) != cnt)
		return -EIO;
	for (int i = 0; i < cnt; i++)
		ivshmem_say("%s=%" PRIu64, names[values[i].id].name, values[i].value);
	return 0;
}

/* reset PORT: both kinds of statistics. */
static int
shell_reset(int argc, char **argv)
{
	int ret = rte_eth_stats_reset(shell_port(argv));

	(void)argc;
	return ret != 0 ? ret : rte_eth_xstats_reset(shell_port(argv));
}

/* mac PORT [ADDRESS] */
static int
shell_mac(int argc, char **argv)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	struct rte_ether_addr mac;
	int ret = 0;

	if (argc > 1) {
		ret = rte_ether_unformat_addr(argv[1], &mac);
		if (ret == 0)
			ret = rte_eth_dev_default_mac_addr_set(shell_port(argv), &mac);
	}
	rte_eth_macaddr_get(shell_port(argv), &mac);
	rte_ether_format_addr(text, sizeof(text), &mac);
	ivshmem_say("mac=%s", text);
	return ret;
}

/* promisc PORT on|off, allmulti PORT on|off */
static int
shell_promisc(int argc, char **argv)
{
	(void)argc;
	return strcmp(argv[1], "on") == 0 ? rte_eth_promiscuous_enable(shell_port(argv)) :
		rte_eth_promiscuous_disable(shell_port(argv));
}

static int
shell_allmulti(int argc, char **argv)
{
	(void)argc;
	return strcmp(argv[1], "on") == 0 ? rte_eth_allmulticast_enable(shell_port(argv)) :
		rte_eth_allmulticast_disable(shell_port(argv));
}

/* mclist PORT [ADDRESS...] */
static int
shell_mclist(int argc, char **argv)
{
	struct rte_ether_addr list[IVSHMEM_ARGS_MAX];

	for (int i = 1; i < argc; i++)
		if (rte_ether_unformat_addr(argv[i], &list[i - 1]) != 0)
			return -EINVAL;
	return rte_eth_dev_set_mc_addr_list(shell_port(argv), list, argc - 1);
}

/* mtu PORT [BYTES] */
static int
shell_mtu(int argc, char **argv)
{
	uint16_t mtu = 0;
	int ret = argc > 1 ? rte_eth_dev_set_mtu(shell_port(argv), ivshmem_number(argv[1])) : 0;

	rte_eth_dev_get_mtu(shell_port(argv), &mtu);
	ivshmem_say("mtu=%u", mtu);
	return ret;
}

/* info PORT: what the port says of itself, and of its queue 0 when it has one. */
static int
shell_info(int argc, char **argv)
{
	const uint16_t port = shell_port(argv);
	struct rte_eth_dev_info info;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	int ret = rte_eth_dev_info_get(port, &info);

	(void)argc;
	if (ret != 0)
		return ret;
	ivshmem_say("driver=%s min_mtu=%u max_mtu=%u max_rx_pktlen=%" PRIu32 " max_rx_queues=%u"
		    " max_tx_queues=%u desc_min=%u desc_max=%u rx_offloads=%" PRIu64
		    " tx_offloads=%" PRIu64 " lsc=%d", info.driver_name, info.min_mtu, info.max_mtu,
		    info.max_rx_pktlen, info.max_rx_queues, info.max_tx_queues,
		    info.rx_desc_lim.nb_min, info.rx_desc_lim.nb_max, info.rx_offload_capa,
		    info.tx_offload_capa, (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0);
	if (info.nb_rx_queues > 0 && rte_eth_rx_queue_info_get(port, 0, &rxq) == 0)
		ivshmem_say("rx_desc=%u scattered=%u rx_buf=%u rx_state=%u", rxq.nb_desc,
			    rxq.scattered_rx, rxq.rx_buf_size, rxq.queue_state);
	if (info.nb_tx_queues > 0 && rte_eth_tx_queue_info_get(port, 0, &txq) == 0)
		ivshmem_say("tx_desc=%u tx_state=%u", txq.nb_desc, txq.queue_state);
	return 0;
}

/* memory: of EAL's heaps, and mbufs of the pool. */
static int
shell_memory(int argc, char **argv)
{
	uint64_t bytes, cnt;

	(void)argc;
	(void)argv;
	ivshmem_heap_count(&cnt, &bytes);
	ivshmem_say("bytes=%" PRIu64 " blocks=%" PRIu64 " mbufs=%u of=%u", bytes, cnt,
		    shell_pool == NULL ? 0 : rte_mempool_avail_count(shell_pool),
		    shell_pool == NULL ? 0 : shell_pool->size);
	return 0;
}

static struct rte_power_monitor_cond shell_cond;

/* monitor PORT QUEUE: have an address to wait at, as rte_power would before it halts the CPU. */
static int
shell_monitor(int argc, char **argv)
{
	(void)argc;
	return rte_eth_get_monitor_addr(shell_port(argv), ivshmem_number(argv[1]), &shell_cond);
}

/* monitored: the callback's verdict on what stands there now; 0 = wait on. */
static int
shell_monitored(int argc, char **argv)
{
	uint64_t value;

	(void)argc;
	(void)argv;
	if (shell_cond.fn == NULL || shell_cond.size != sizeof(value))
		return -EINVAL;
	value = *(const volatile uint64_t *)shell_cond.addr;
	ivshmem_say("verdict=%d", shell_cond.fn(value, shell_cond.opaque));
	return 0;
}

static int
shell_quit(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct ivshmem_command shell_commands[] = {
	{ "allmulti", 2, shell_allmulti },
	{ "close", 1, shell_close },
	{ "configure", 3, shell_configure },
	{ "done", 2, shell_done },
	{ "drain", 1, shell_drain },
	{ "dst", 1, shell_dst },
	{ "forward", 3, shell_forward },
	{ "gather", 2, shell_gather },
	{ "held", 0, shell_look_at_held },
	{ "hold", 3, shell_hold },
	{ "info", 1, shell_info },
	{ "ip", 1, shell_route },
	{ "kind", 1, shell_kind },
	{ "link", 1, shell_link },
	{ "mac", 1, shell_mac },
	{ "mclist", 1, shell_mclist },
	{ "memory", 0, shell_memory },
	{ "mempool", 1, shell_mempool },
	{ "monitor", 2, shell_monitor },
	{ "monitored", 0, shell_monitored },
	{ "mtu", 1, shell_mtu },
	{ "pool", 2, shell_pool_make },
	{ "private", 0, shell_private },
	{ "probe", 1, shell_probe },
	{ "promisc", 2, shell_promisc },
	{ "quit", 0, shell_quit },
	{ "recv", 3, shell_recv },
	{ "release", 0, shell_release },
	{ "remove", 1, shell_remove },
	{ "reset", 1, shell_reset },
	{ "send", 4, shell_send },
	{ "set-link", 2, shell_set_link },
	{ "src", 1, shell_src },
	{ "start", 1, shell_start },
	{ "stats", 1, shell_stats },
	{ "stop", 1, shell_stop },
	{ "take", 1, shell_take },
	{ "use", 0, shell_use },
	{ "xstats", 1, shell_xstats },
	{ NULL, 0, NULL },
};

int
main(int argc, char **argv)
{
	char line[4096];
	uint16_t port;

	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "ivshmem-shell: EAL does not start: %s\n", rte_strerror(rte_errno));
		return 2;
	}
	printf("reply: ok ports=%u\n", rte_eth_dev_count_avail());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL &&
	       ivshmem_command_run(shell_commands, line))
		;
	RTE_ETH_FOREACH_DEV(port) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	return rte_eal_cleanup() == 0 ? 0 : 1;
}
