/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The whole driver on a region that somebody else formatted, with a port in it that attacks: probe,
 * start, bursts and operations, stop, remove. Each mbuf, block of memory, mapping and open file is
 * given back, whatever the other port did.
 *
 * An input chooses the region's geometry and what is broken in it, the port's arguments, and then
 * steps.
 */

#include <fcntl.h>
#include <sys/mman.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_log.h>

#include "fuzz_burst.h"
#include "image.h"

#define NAME "net_ivshmem_fuzz"

struct victim {
	struct fuzz_input in;
	uint16_t id;
	uint16_t queues;
	bool lends;		/* zero_copy=1 */
	bool started;
	uint32_t slot;
};

static int region_fd;
static uint8_t *region;		/* our own view */
static struct ivshmem_layout plan;

const char *__lsan_default_suppressions(void);

/* What a library of DPDK keeps until the process ends. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:librte_\nleak:libnuma\n";
}

static ssize_t
drop_log(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	(void)text;
	return len;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char lcores[32];
	char *args[10] = { "fuzz", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "-m",
			 "64", "--log-level=4", lcores, NULL };
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = drop_log });

	(void)argc;
	(void)argv;
	snprintf(lcores, sizeof(lcores), "--lcores=0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	region_fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_CHECK(log != NULL && region_fd >= 0 && ftruncate(region_fd, BURST_REGION_LEN) == 0,
		   "no memory");
	region = mmap(NULL, BURST_REGION_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		      region_fd, 0);
	FUZZ_CHECK(region != MAP_FAILED, "no memory");
	FUZZ_CHECK(rte_eal_init(sizeof(args) / sizeof(args[0]) - 1, args) > 0, "no EAL");
	setvbuf(log, NULL, _IOFBF, 4096);
	rte_openlog_stream(log);
	rte_log_set_level_pattern("pmd.net.ivshmem", RTE_LOG_DEBUG);
	mbufs_make();
	return 0;
}

static bool
start(struct victim *victim)
{
	return rte_eth_dev_start(victim->id) == 0;
}

/* Configure with what the input wants of it. False when the region is too small for it. */
static bool
set_up(struct victim *victim)
{
	const uint32_t how = fuzz_u8(&victim->in);
	const struct rte_eth_conf conf = {
		.rxmode.mtu = (how & 1) != 0 ? 1500 : 400,
		.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
		.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
	};
	const uint16_t desc_cnt = 32u << (how >> 1 & 1);

	victim->queues = 1 + (plan.queue_cnt > 1 && (how & 4) != 0);
	if (rte_eth_dev_configure(victim->id, victim->queues, victim->queues, &conf) != 0)
		return false;
	for (uint16_t queue = 0; queue < victim->queues; queue++)
		if (rte_eth_rx_queue_setup(victim->id, queue, desc_cnt, SOCKET_ID_ANY, NULL,
					   mbufs_pool()) != 0 ||
		    rte_eth_tx_queue_setup(victim->id, queue, desc_cnt, SOCKET_ID_ANY, NULL) != 0)
			return false;
	if ((how & 8) != 0)
		rte_eth_promiscuous_enable(victim->id);
	if ((how & 16) != 0)
		rte_eth_allmulticast_enable(victim->id);
	victim->started = start(victim);
	return victim->started;
}

static void
receive(struct victim *victim, uint32_t how)
{
	struct rte_mbuf *bufs[33] = { NULL };
	const uint16_t want = 1 + how % 32;
	const uint16_t cnt = rte_eth_rx_burst(victim->id, how / 32 % victim->queues, bufs, want);

	FUZZ_CHECK(cnt <= want && bufs[want] == NULL, "%u of %u frames", cnt, want);
	for (uint16_t i = 0; i < cnt; i++) {
		mbufs_take(bufs[i], victim->id);
		if ((how & 64) != 0)
			mbufs_hold(bufs[i]);
		else
			rte_pktmbuf_free(bufs[i]);
	}
}

/* Frames made up, or those that were received. */
static void
transmit(struct victim *victim, uint32_t how)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t nobody[6] = { 2, 7, 7, 7, 7, 7 };
	const uint32_t lens[] = { 60, 64, 300, 1500, 1, 14, 2000, 12000 };
	struct rte_ether_addr own;
	const uint8_t *to[] = { all, nobody, peer_mac(), own.addr_bytes };
	struct rte_mbuf *bufs[16];
	uint16_t cnt = 0;
	uint16_t sent;

	rte_eth_macaddr_get(victim->id, &own);
	while (cnt < 1u + how % 16) {
		const uint32_t shape = fuzz_u8(&victim->in);

		bufs[cnt] = (how & 64) != 0 ? mbufs_held(shape) :
			mbufs_frame(&victim->in, to[shape & 3], lens[shape >> 2 & 7] +
				    (shape >> 5));
		if (bufs[cnt] == NULL)
			break;
		cnt++;
	}
	sent = rte_eth_tx_burst(victim->id, how / 16 % victim->queues, bufs, cnt);
	FUZZ_CHECK(sent <= cnt, "%u of %u frames were taken", sent, cnt);
	rte_pktmbuf_free_bulk(bufs + sent, cnt - sent);
}

static void
read_counters(const struct victim *victim)
{
	static struct rte_eth_xstat_name names[512];
	static struct rte_eth_xstat values[512];
	struct rte_eth_stats stats;
	const int cnt = rte_eth_xstats_get(victim->id, values, 512);

	FUZZ_CHECK(cnt > 0 && rte_eth_xstats_get_names(victim->id, names, 512) == cnt &&
		   rte_eth_stats_get(victim->id, &stats) == 0, "no counters");
}

/* What applications do besides bursts. */
static void
operate(struct victim *victim, uint32_t what)
{
	struct rte_ether_addr list[2] = { { { 1, 0, 0x5e, 0, 0, what } },
					  { { 2, 1, 1, 1, 1, 1 } } };

	switch (what % 12) {
	case 0:
		rte_eth_dev_stop(victim->id);
		victim->started = start(victim);
		break;
	case 1:
		rte_eth_dev_set_link_down(victim->id);
		break;
	case 2:
		rte_eth_dev_set_link_up(victim->id);
		break;
	case 3:
		read_counters(victim);
		break;
	case 4:
		rte_eth_stats_reset(victim->id);
		break;
	case 5:
		rte_eth_promiscuous_disable(victim->id);
		break;
	case 6:
		rte_eth_promiscuous_enable(victim->id);
		break;
	case 7:
		rte_eth_dev_set_mtu(victim->id, what < 128 ? 1500 : 68);
		break;
	case 8:
		rte_eth_dev_set_mc_addr_list(victim->id, list, what / 12 % 2);
		break;
	case 9:
		rte_eth_dev_default_mac_addr_set(victim->id, &list[1]);
		break;
	case 10:
		mbufs_free_held();
		break;
	default:
		FUZZ_CHECK(rte_eth_dev_rx_intr_enable(victim->id, 0) != 0, "no vectors, but sleep");
		break;
	}
}

static void
step(struct victim *victim)
{
	const uint32_t what = fuzz_u8(&victim->in);

	switch (what % 8) {
	case 0:
		peer_send(&victim->in);
		receive(victim, what / 8 | 64);
		break;
	case 1:
		receive(victim, fuzz_u8(&victim->in));
		break;
	case 2:
	case 3:
		transmit(victim, fuzz_u8(&victim->in));
		break;
	case 4:
		peer_consume(&victim->in);
		break;
	case 5:
		peer_break(&victim->in);
		break;
	case 6:
		operate(victim, what / 8 + 32 * (what & 7));
		break;
	default:	/* time passes: the other one may stand still */
		if ((what & 128) == 0)
			peer_beat();
		peer_settle();
		below_pass((what & 64) != 0 ? 3000 : 50);
		break;
	}
}

/* As long as two ports need that want to talk. */
static void
meet(struct victim *victim)
{
	for (uint32_t i = 0; i < 4; i++) {
		peer_beat();
		below_pass(50);
		transmit(victim, 0);
		receive(victim, 0);
		peer_settle();
	}
}

static void
use(struct victim *victim)
{
	if (set_up(victim)) {
		meet(victim);
		while (victim->in.left > 0 && victim->started)
			step(victim);
	}
	mbufs_free_held();
}

/* Probe. False when the region or the arguments are refused. */
static bool
probe(struct victim *victim, uint32_t how)
{
	static const char *const fulls[] = { "", "", ",full=drop", ",full=wait" };
	char args[128];

	snprintf(args, sizeof(args), "path=/proc/self/fd/%d,port=%u,zero_copy=%u%s%s", region_fd,
		 victim->slot, victim->lends, fulls[how >> 2 & 3],
		 (how & 16) != 0 ? ",mac=02:00:00:00:00:09" : "");
	return rte_vdev_init(NAME, args) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t uuid[16] = { 1 };
	struct victim victim = { .in = fuzz_open(data, size) };
	const uint32_t how = fuzz_u8(&victim.in);
	struct ivshmem_layout found;
	struct ivshmem_fault fault;

	fuzz_fds_note();
	below_now_ms = 1000;
	victim.lends = (how & 1) != 0;
	image_plan(&victim.in, BURST_REGION_LEN, &plan);
	memset(region, 0, BURST_REGION_LEN);
	ivshmem_layout_format(region, &plan, uuid);
	victim.slot = (how >> 5 & 3) % plan.port_cnt;
	peer_open(region, &plan, (victim.slot + 1) % plan.port_cnt, victim.slot, victim.lends);
	if ((how & 128) != 0)
		image_break_headers(&victim.in, region, &plan);
	if (probe(&victim, how)) {
		FUZZ_CHECK(ivshmem_layout_check(region, BURST_REGION_LEN, &found, &fault) == 0,
			   "attached to what the check refuses: %s", fault.text);
		below_guard(&found);
		FUZZ_CHECK(rte_eth_dev_get_port_by_name(NAME, &victim.id) == 0, "no port");
		use(&victim);
		FUZZ_CHECK(rte_vdev_uninit(NAME) == 0, "the port does not go");
	}
	below_pass(1000);
	below_check();
	mbufs_check();
	fuzz_fds_check();
	return 0;
}
