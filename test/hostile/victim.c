/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The victim: an application on the driver, both built with AddressSanitizer and UBSan, that checks
 * all it gets while a hostile peer is at work.
 *
 * Usage: ivshmem-victim [EAL options] -- PROGRESS calm|revive ARGS...
 *   PROGRESS  file of 4096 bytes, for the attacker; see victim.h
 *   revive    a port whose slot was stolen, or that passes nothing, is made anew
 *   ARGS      devices of the ports; port 0 talks to all, ports 1 and 2, if any, to each other
 * Commands on standard input: counts; judge 0|1; restart (all ports anew); usage; xstats
 * PORT; quit.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "../pmd/command.h"
#include "victim.h"

#define VICTIM_HANG_S 30u	/* a burst or an operation that takes so long never ends */
#define VICTIM_IDLE_MS 400u
#define VICTIM_LEAVE_MS 20000u

struct victim_port victim_ports[VICTIM_PORTS_MAX];
uint32_t victim_port_cnt;

static volatile struct victim_progress *victim_progress;
static bool victim_revives;
static uint64_t victim_revived;
static uint64_t victim_refused;
static uint64_t victim_turns;

void
victim_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "\nvictim: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	_exit(4);
}

uint32_t
victim_random(uint32_t limit)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (state >> 33) % limit;
}

static uint64_t
victim_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
victim_start(struct victim_port *port)
{
	const struct rte_eth_conf conf = {
		.rxmode.mtu = 1500,
		.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
		.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
	};
	char pool_name[RTE_MEMPOOL_NAMESIZE];
	int ret = rte_eal_hotplug_add("vdev", port->name, port->args);

	if (ret != 0)
		return ret;
	snprintf(pool_name, sizeof(pool_name), "%s_tx", port->name);
	port->tx_pool = rte_mempool_lookup(pool_name);
	if (rte_eth_dev_get_port_by_name(port->name, &port->id) != 0 ||
	    rte_eth_dev_configure(port->id, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup(port->id, 0, 512, SOCKET_ID_ANY, NULL, victim_pool()) != 0 ||
	    rte_eth_tx_queue_setup(port->id, 0, 512, SOCKET_ID_ANY, NULL) != 0)
		victim_die("%s is not configured", port->name);
	victim_guard();
	ret = rte_eth_dev_start(port->id);
	if (ret != 0) {		/* its slot was stolen between both */
		rte_eal_hotplug_remove("vdev", port->name);
		return ret;
	}
	rte_eth_promiscuous_enable(port->id);
	rte_eth_macaddr_get(port->id, &port->mac);
	port->up = true;
	port->idle_ms = 0;
	return 0;
}

static void
victim_stop(struct victim_port *port)
{
	victim_release_held();
	if (!port->up)
		return;
	port->up = false;
	if (rte_eth_dev_stop(port->id) != 0 || rte_eal_hotplug_remove("vdev", port->name) != 0)
		victim_die("%s does not go", port->name);
}

/* A port that passes nothing is made anew; an attacker may have made the region unusable. */
static void
victim_revive(struct victim_port *port, uint32_t passed)
{
	const uint64_t now = victim_now_ms();

	if (passed > 0 || port->idle_ms == 0)
		port->idle_ms = now;
	if (!victim_revives || now - port->idle_ms < VICTIM_IDLE_MS)
		return;
	victim_stop(port);
	if (victim_start(port) == 0) {
		victim_revived++;
	} else {
		victim_refused++;
		port->idle_ms = now;
	}
}

/* What applications do besides bursts. */
static void
victim_operate(struct victim_port *port)
{
	static struct rte_eth_xstat xstats[512];
	struct rte_eth_stats stats;
	struct rte_eth_link link;

	if (!port->up)
		return;
	if (rte_eth_link_get_nowait(port->id, &link) != 0 ||
	    rte_eth_stats_get(port->id, &stats) != 0 ||
	    rte_eth_xstats_get(port->id, xstats, RTE_DIM(xstats)) < 0)
		victim_die("an operation failed");
	if (port != victim_ports)
		return;
	switch (victim_random(16)) {
	case 0:
		rte_eth_promiscuous_disable(port->id);
		break;
	case 1:
		rte_eth_dev_set_link_down(port->id);
		break;
	case 2:		/* often: it forgives a neighbor that broke its ring */
	case 3:
	case 4:
	case 5:
		rte_eth_dev_stop(port->id);
		port->up = rte_eth_dev_start(port->id) == 0;
		victim_release_held();	/* only now: what was lent in the life before is stale */
		if (!port->up)
			rte_eal_hotplug_remove("vdev", port->name);
		break;
	default:
		rte_eth_promiscuous_enable(port->id);
		rte_eth_dev_set_link_up(port->id);
		break;
	}
}

static void
victim_turn(void)
{
	uint32_t passed;

	for (uint32_t i = 0; i < victim_port_cnt; i++) {
		struct victim_port *port = &victim_ports[i];

		passed = port->up ? victim_receive(port) : 0;
		if (i == 0 && port->up)
			passed += victim_send(port);
		else if (port->up && victim_ports[3 - i].up)
			victim_send_pair(port, &victim_ports[3 - i]);
		victim_revive(port, passed);
	}
	victim_progress->packets = victim_ports[0].received + victim_ports[0].sent;
	if (++victim_turns % 128 == 0)
		victim_operate(&victim_ports[victim_random(victim_port_cnt)]);
	if (victim_turns % 64 == 0) {
		alarm(VICTIM_HANG_S);
		victim_look_at_pair(victim_now_ms());
	}
	if (victim_turns % 256 == 0)
		victim_pool_check();
	sched_yield();
}

/* counts: how much passed; all of it was checked. */
static int
victim_counts(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ivshmem_say("turns=%" PRIu64 " revived=%" PRIu64 " refused=%" PRIu64 " burst_us=%" PRIu64,
		    victim_turns, victim_revived, victim_refused, victim_burst_us());
	for (uint32_t i = 0; i < victim_port_cnt; i++)
		ivshmem_say("up%u=%d received%u=%" PRIu64 " sent%u=%" PRIu64 " honest%u=%" PRIu64
			    " patterns%u=%" PRIu64 " lent%u=%" PRIu64 " forwarded%u=%" PRIu64
			    " forged%u=%" PRIu64, i, victim_ports[i].up, i,
			    victim_ports[i].received, i, victim_ports[i].sent, i,
			    victim_ports[i].honest, i, victim_ports[i].patterns, i,
			    victim_ports[i].lent, i, victim_ports[i].forwarded, i,
			    victim_ports[i].forged);
	return 0;
}

/* xstats PORT */
static int
victim_xstats(int argc, char **argv)
{
	static struct rte_eth_xstat_name names[512];
	static struct rte_eth_xstat values[RTE_DIM(names)];
	const uint16_t port = victim_ports[ivshmem_number(argv[0]) % VICTIM_PORTS_MAX].id;
	int cnt;

	(void)argc;
	cnt = rte_eth_xstats_get_names(port, names, RTE_DIM(names));
	if (cnt < 0 || rte_eth_xstats_get(port, values, RTE_DIM(values)) != cnt)
		return -EIO;
	for (int i = 0; i < cnt; i++)
		if (values[i].value != 0)
			ivshmem_say("%s=%" PRIu64, names[values[i].id].name, values[i].value);
	return 0;
}

/* judge 0|1: whether the pair's traffic has to be complete. */
static int
victim_judge(int argc, char **argv)
{
	(void)argc;
	victim_judge_pair(ivshmem_number(argv[0]) != 0);
	return 0;
}

/*
 * restart: all ports anew, as an operator would after an attack. One that had buffers lent up or
 * passed on leaves its slot a moment after it was closed.
 */
static int
victim_restart(int argc, char **argv)
{
	uint64_t end_ms;
	int ret = 0;

	(void)argc;
	(void)argv;
	for (uint32_t i = 0; i < victim_port_cnt; i++)
		victim_stop(&victim_ports[i]);
	end_ms = victim_now_ms() + VICTIM_LEAVE_MS;
	for (uint32_t i = 0; i < victim_port_cnt; i++)
		while ((ret = victim_start(&victim_ports[i])) != 0) {
			if (victim_now_ms() > end_ms)
				return ret;
			usleep(10000);
		}
	return ret;
}

static int
victim_quit(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct ivshmem_command victim_commands[] = {
	{ "counts", 0, victim_counts },
	{ "judge", 1, victim_judge },
	{ "quit", 0, victim_quit },
	{ "restart", 0, victim_restart },
	{ "usage", 0, victim_usage },
	{ "xstats", 1, victim_xstats },
	{ NULL, 0, NULL },
};

static void
victim_open(int argc, char **argv)
{
	const int fd = open(argv[1], O_RDWR | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_POPULATE, fd, 0);

	if (map == MAP_FAILED)
		victim_die("%s cannot be mapped", argv[1]);
	close(fd);
	victim_progress = map;
	victim_revives = strcmp(argv[2], "revive") == 0;
	victim_pool_make();
	for (int i = 3; i < argc && victim_port_cnt < VICTIM_PORTS_MAX; i++) {
		struct victim_port *port = &victim_ports[victim_port_cnt];

		snprintf(port->name, sizeof(port->name), "net_ivshmem%u", victim_port_cnt++);
		port->args = argv[i];
		if (victim_start(port) != 0)
			victim_die("%s does not start", port->name);
	}
}

int
main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	const int used = rte_eal_init(argc, argv);
	char line[256];

	if (used < 0 || argc - used < 4)
		victim_die("usage: ivshmem-victim [EAL options] -- PROGRESS calm|revive ARGS...");
	victim_open(argc - used, argv + used);
	setvbuf(stdin, NULL, _IONBF, 0);	/* so that poll() knows what is there */
	printf("reply: ok ports=%u\n", victim_port_cnt);
	fflush(stdout);
	for (;;) {
		victim_turn();
		if (victim_turns % 16 == 0 && poll(&input, 1, 0) > 0 &&
		    (fgets(line, sizeof(line), stdin) == NULL ||
		     !ivshmem_command_run(victim_commands, line)))
			break;
	}
	for (uint32_t i = 0; i < victim_port_cnt; i++)
		victim_stop(&victim_ports[i]);
	victim_pool_audit();
	printf("victim: %u mbufs are back and as they were\n",
	       rte_mempool_in_use_count(victim_pool()));
	return rte_eal_cleanup() == 0 ? 0 : 1;
}
