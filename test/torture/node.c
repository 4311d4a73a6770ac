/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * An end of a wire, or a hop of a chain, that is tortured: frames of ivshmem-traffic, judged as
 * there, and questions answered while they pass.
 *
 * Usage: ivshmem-torture-node [EAL options] -- [forward=MAC] [sleep=1] OPTIONS, those of
 * ivshmem-traffic. One lcore. forward passes on what comes to that address, instead of the role's
 * echo; sleep waits for an interrupt when nothing moves. Commands come on standard input, see
 * command.h; its end ends the node.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_interrupts.h>

#include "account.h"
#include "command.h"
#include "heap.h"
#include "options.h"
#include "port.h"
#include "run.h"
#include "sink.h"
#include "tx.h"

#define NODE_EMPTY_POLLS 64u	/* before it rests or sleeps */
#define NODE_PING_MS 100	/* how often a ping that waits looks at its clock */
#define NODE_BLOCKED_US 100

struct node {
	struct ivshmem_options opt;
	struct ivshmem_port port;
	struct ivshmem_run run;
	bool forwards;
	bool sleeps;
	bool paused;
	bool ended;
	uint64_t sleep_cnt;
	uint64_t looked_tsc;
	size_t line_len;
	char line[256];
};

static struct node node;
static struct rte_ether_addr node_next_hop;

/* What comes goes on to the next hop, payload and source address as they are. */
static uint32_t
node_forward_poll(struct ivshmem_queue *queue)
{
	struct ivshmem_tx *tx = &queue->tx;
	uint32_t cnt;

	if (tx->cnt == 0) {
		cnt = ivshmem_sink_receive(queue);
		tx->first = 0;
		tx->since = rte_rdtsc();
		for (uint32_t i = 0; i < cnt; i++) {
			struct rte_mbuf *pkt = queue->rx_pkts[i];

			if (ivshmem_sink_check_mbuf(queue, pkt) != IVSHMEM_MBUF_GOOD)
				continue;	/* counted: the test fails */
			rte_ether_addr_copy(&node_next_hop,
				&rte_pktmbuf_mtod(pkt, struct rte_ether_hdr *)->dst_addr);
			tx->pkts[tx->cnt++] = pkt;
		}
	}
	return ivshmem_tx_flush(queue);
}

/* One turn while no new frame is to be made: what was begun is finished. */
static uint32_t
node_poll_paused(struct ivshmem_queue *queue)
{
	const int role = node.opt.role;

	if (role == IVSHMEM_ROLE_ECHO || role == IVSHMEM_ROLE_SINK)
		return queue->poll(queue);
	if (role == IVSHMEM_ROLE_PING && (queue->ping.outstanding != 0 || queue->tx.cnt != 0))
		return queue->poll(queue);
	return ivshmem_tx_flush(queue) +
		(role == IVSHMEM_ROLE_GEN ? 0 : ivshmem_sink_poll(queue));
}

/* state: frames so far, and whether the stream of the newest run of a source is among them. */
static int
node_state(int argc, char **argv)
{
	uint64_t sent = 0, got = 0, good = 0, bad = 0, lost = 0, newest = 0, waiting = 0;
	uint32_t outstanding = 0, run = 0;

	(void)argc;
	(void)argv;
	for (uint16_t q = 0; q < node.run.queue_cnt; q++) {
		const struct ivshmem_queue *queue = node.run.queues[q];
		const struct ivshmem_sink *sink = &queue->sink;

		sent += queue->tx.frames;
		waiting += queue->tx.cnt;
		outstanding += queue->ping.outstanding;
		got += queue->rx_frames;
		bad += sink->bad;
		for (uint32_t i = 0; i < sink->stream_cnt; i++) {
			good += sink->streams[i]->received;
			lost += ivshmem_stream_lost(sink->streams[i], false);
		}
		if (sink->stream_cnt != 0) {
			run = sink->streams[sink->stream_cnt - 1]->run;
			newest += sink->streams[sink->stream_cnt - 1]->received;
		}
		if (sink->first_bad.what != NULL)
			fprintf(stderr, "node: first bad frame: %s, %s, run %" PRIu32 " seq %"
				PRIu64 " length %" PRIu32 " at %" PRIu32 ": %" PRIx64 " for %"
				PRIx64 "\n", ivshmem_counter_names[sink->first_bad.kind],
				sink->first_bad.what, sink->first_bad.run, sink->first_bad.seq,
				sink->first_bad.length, sink->first_bad.off, sink->first_bad.have,
				sink->first_bad.want);
	}
	ivshmem_say("sent=%" PRIu64 " waiting=%" PRIu64 " outstanding=%" PRIu32 " got=%" PRIu64
		    " good=%" PRIu64 " bad=%" PRIu64 " lost=%" PRIu64 " run=%" PRIu32 " run_good=%"
		    PRIu64 " sleeps=%" PRIu64 " link=%d", sent, waiting, outstanding, got, good,
		    bad, lost, run, newest, node.sleep_cnt, ivshmem_port_link_is_up(&node.port));
	return 0;
}

/* account: mbufs that the pool lacks, and where buffers and loans are. */
static int
node_account(int argc, char **argv)
{
	struct torture_account found;

	(void)argc;
	(void)argv;
	torture_account(node.port.id, &found);
	ivshmem_say("missing=%u unread=%" PRIu32 " out=%" PRIu32 " ended=%" PRIu32 " returned=%"
		    PRIu32 " held=%" PRIu32 " barred=%" PRIu32 " lost_slots=%" PRIu32
		    " lost_bufs=%" PRIu32 " loans=%" PRIu32 " lost_loans=%" PRIu32 " stale=%"
		    PRIu32, node.port.pool->size - rte_mempool_avail_count(node.port.pool),
		    found.unread, found.out, found.ended, found.returned, found.held, found.barred,
		    found.lost_slots, found.lost_bufs, found.loans, found.lost_loans, found.stale);
	return 0;
}

/* Calls each(name, value) for the extended statistics. */
static int
node_each_xstat(void (*each)(const char *name, uint64_t value))
{
	static struct rte_eth_xstat_name names[1024];
	static struct rte_eth_xstat values[RTE_DIM(names)];
	const int cnt = rte_eth_xstats_get_names(node.port.id, names, RTE_DIM(names));

	if (cnt < 0 || cnt > (int)RTE_DIM(names) ||
	    rte_eth_xstats_get(node.port.id, values, cnt) != cnt)
		return -EIO;
	for (int i = 0; i < cnt; i++)
		each(names[values[i].id].name, values[i].value);
	return 0;
}

static void
node_say_xstat(const char *name, uint64_t value)
{
	if (value != 0)
		ivshmem_say("%s=%" PRIu64, name, value);
}

/* xstats: those that are not 0. */
static int
node_xstats(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return node_each_xstat(node_say_xstat);
}

static uint64_t node_lost_sum;

static void
node_add_lost(const char *name, uint64_t value)
{
	if (strcmp(name, "rx_lost_on_restart") == 0 || strcmp(name, "tx_lost_on_restart") == 0)
		node_lost_sum += value;
}

/* What the port counts as lost by restarts now. */
static uint64_t
node_lost(void)
{
	node_lost_sum = 0;
	node_each_xstat(node_add_lost);
	return node_lost_sum;
}

/* pause and resume: whether new frames are made. */
static int
node_pause(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	node.paused = true;
	return 0;
}

static int
node_resume(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	node.paused = false;
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		node.run.queues[q]->tx.since = rte_rdtsc();
	return 0;
}

/* Have each queue's interrupt end a sleep, or not. */
static int
node_watch_queues(int op)
{
	int ret = 0;

	for (uint16_t q = 0; node.sleeps && ret == 0 && q < node.run.queue_cnt; q++)
		ret = rte_eth_dev_rx_intr_ctl_q(node.port.id, q, RTE_EPOLL_PER_THREAD, op, NULL);
	return ret;
}

/* restart: stop and start the port as it is. */
static int
node_restart(int argc, char **argv)
{
	int ret = node_watch_queues(RTE_INTR_EVENT_DEL);

	(void)argc;
	(void)argv;
	if (ret == 0)
		ret = rte_eth_dev_stop(node.port.id);
	if (ret == 0)
		ret = rte_eth_dev_start(node.port.id);
	return ret != 0 ? ret : node_watch_queues(RTE_INTR_EVENT_ADD);
}

/*
 * requeue RXQ DESC: stop the port, give it so many queues, those that are used among them, of so
 * many descriptors, and start it. Says how many lost frames are not counted any more: ring ends may
 * go with their queues.
 */
static int
node_requeue(int argc, char **argv)
{
	const struct rte_eth_conf conf = { .intr_conf.rxq = node.sleeps };
	const uint16_t cnt = ivshmem_number(argv[0]);
	const uint16_t desc = ivshmem_number(argv[1]);
	int ret = node_watch_queues(RTE_INTR_EVENT_DEL);
	uint64_t lost;

	(void)argc;
	if (ret == 0)
		ret = rte_eth_dev_stop(node.port.id);
	lost = node_lost();
	if (ret == 0)
		ret = rte_eth_dev_configure(node.port.id, cnt, cnt, &conf);
	for (uint16_t q = 0; ret == 0 && q < cnt; q++) {
		ret = rte_eth_rx_queue_setup(node.port.id, q, desc, SOCKET_ID_ANY, NULL,
					     node.port.pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(node.port.id, q, desc, SOCKET_ID_ANY, NULL);
	}
	ivshmem_say("forgotten=%" PRIu64, lost - node_lost());
	if (ret == 0)
		ret = rte_eth_dev_start(node.port.id);
	return ret != 0 ? ret : node_watch_queues(RTE_INTR_EVENT_ADD);
}

/* memory: blocks and bytes of EAL's heaps. */
static int
node_memory(int argc, char **argv)
{
	uint64_t bytes, blocks;

	(void)argc;
	(void)argv;
	ivshmem_heap_count(&blocks, &bytes);
	ivshmem_say("bytes=%" PRIu64 " blocks=%" PRIu64, bytes, blocks);
	return 0;
}

/* flap up|down: the link, as an administrator sets it. */
static int
node_flap(int argc, char **argv)
{
	(void)argc;
	return strcmp(argv[0], "up") == 0 ? rte_eth_dev_set_link_up(node.port.id) :
		rte_eth_dev_set_link_down(node.port.id);
}

static int
node_quit(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	node.ended = true;
	return 0;
}

static const struct ivshmem_command node_commands[] = {
	{ "account", 0, node_account },
	{ "flap", 1, node_flap },
	{ "memory", 0, node_memory },
	{ "pause", 0, node_pause },
	{ "quit", 0, node_quit },
	{ "requeue", 2, node_requeue },
	{ "restart", 0, node_restart },
	{ "resume", 0, node_resume },
	{ "state", 0, node_state },
	{ "xstats", 0, node_xstats },
	{ NULL, 0, NULL },
};

/* Run the commands that have come; never waits. */
static void
node_listen(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char *end;
	ssize_t got;

	if (poll(&in, 1, 0) <= 0)
		return;
	got = read(STDIN_FILENO, node.line + node.line_len, sizeof(node.line) - 1 - node.line_len);
	if (got <= 0) {
		node.ended = true;
		return;
	}
	node.line_len += got;
	node.line[node.line_len] = '\0';
	while ((end = strchr(node.line, '\n')) != NULL) {
		*end++ = '\0';
		ivshmem_command_run(node_commands, node.line);
		node.line_len -= end - node.line;
		memmove(node.line, end, node.line_len + 1);
	}
}

/* How long a sleep may last: -1 until an interrupt, which the peer or the test owes. */
static int
node_patience(void)
{
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		if (node.run.queues[q]->ping.outstanding != 0)
			return NODE_PING_MS;
	return -1;
}

/* Frames wait for room or a link, of which no interrupt tells; an echo reads nothing meanwhile. */
static bool
node_is_blocked(void)
{
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		if (node.run.queues[q]->tx.cnt != 0)
			return true;
	return false;
}

/* Nothing moved: rest, or arm and sleep until a frame or a command comes. */
static void
node_rest(void)
{
	struct rte_epoll_event events[IVSHMEM_QUEUES_MAX + 1];

	if (!node.sleeps) {
		sched_yield();
		return;
	}
	if (node_is_blocked()) {
		usleep(NODE_BLOCKED_US);
		return;
	}
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		rte_eth_dev_rx_intr_enable(node.port.id, q);
	rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, RTE_DIM(events), node_patience());
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		rte_eth_dev_rx_intr_disable(node.port.id, q);
	node.sleep_cnt++;
	node.looked_tsc = 0;
}

static void
node_work(void)
{
	uint32_t empty = 0;

	while (!node.ended) {
		uint32_t moved = 0;

		for (uint16_t q = 0; q < node.run.queue_cnt; q++) {
			struct ivshmem_queue *queue = node.run.queues[q];

			moved += node.paused ? node_poll_paused(queue) : queue->poll(queue);
		}
		empty = moved != 0 ? 0 : empty + 1;
		if (empty > NODE_EMPTY_POLLS)
			node_rest();
		if (rte_rdtsc() - node.looked_tsc > node.run.hz / 1000) {
			node.looked_tsc = rte_rdtsc();
			node_listen();
		}
	}
}

/* Have each queue's interrupt, and standard input, end a sleep. */
static int
node_watch(void)
{
	static struct rte_epoll_event input = { .epdata.event = EPOLLIN };
	int ret = rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_ADD, STDIN_FILENO, &input);

	return ret != 0 ? ret : node_watch_queues(RTE_INTR_EVENT_ADD);
}

/* Own keys stand before the options. Returns how many there are. */
static int
node_keys(int argc, char **argv)
{
	int used = 0;

	for (; used < argc && argv[used][0] != '-'; used++) {
		if (strcmp(argv[used], "sleep=1") == 0)
			node.sleeps = true;
		else if (strncmp(argv[used], "forward=", 8) == 0 &&
			 rte_ether_unformat_addr(argv[used] + 8, &node_next_hop) == 0)
			node.forwards = true;
		else
			rte_exit(2, "ivshmem-torture-node: what is %s?\n", argv[used]);
	}
	return used;
}

int
main(int argc, char **argv)
{
	const int eal = rte_eal_init(argc, argv);
	int keys;

	if (eal < 0)
		rte_exit(2, "ivshmem-torture-node: EAL does not start: %s\n",
			 rte_strerror(rte_errno));
	keys = node_keys(argc - eal - 1, argv + eal + 1);
	ivshmem_frame_init();
	/* the last argument before the options stands for the program's name */
	if (ivshmem_options_parse(argc - eal - keys, argv + eal + keys, &node.opt) != 0)
		return 2;
	node.opt.rxq_intr = node.sleeps;
	if (ivshmem_port_open(&node.port, &node.opt) != 0 ||
	    ivshmem_run_create(&node.run, &node.opt, &node.port) != 0)
		return 2;
	for (uint16_t q = 0; node.forwards && q < node.run.queue_cnt; q++)
		node.run.queues[q]->poll = node_forward_poll;
	if (node.sleeps && node_watch() != 0)
		rte_exit(2, "ivshmem-torture-node: no interrupts\n");
	printf("reply: ok port=%u\n", node.port.id);
	fflush(stdout);
	node_work();
	for (uint16_t q = 0; q < node.run.queue_cnt; q++)
		ivshmem_tx_drop(node.run.queues[q]);
	ivshmem_port_close(&node.port);
	if (node.port.leaked != 0)
		printf("node: %" PRIu64 " mbufs are missing\n", node.port.leaked);
	ivshmem_run_release(&node.run);
	ivshmem_port_release(&node.port);
	return rte_eal_cleanup() == 0 && node.port.leaked == 0 ? 0 : 1;
}
