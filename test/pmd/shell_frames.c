/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Frames in and out of a port, exactly as many as the test says; their bytes are as in pattern.h.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "command.h"
#include "pattern.h"
#include "shell.h"

#define SHELL_BURST 32u

static struct rte_ether_addr shell_from = { { 2, 0, 0, 0, 0, 1 } };
static struct rte_ether_addr shell_to = { { 255, 255, 255, 255, 255, 255 } };
struct rte_mbuf *shell_held[SHELL_HELD_MAX];
uint32_t shell_held_cnt;
static uint32_t shell_seq;
static uint8_t shell_ip[4];		/* of frames that are to be routed; 0.0.0.0 = none are */

/* dst MAC: where the frames that follow go. */
int
shell_dst(int argc, char **argv)
{
	(void)argc;
	return rte_ether_unformat_addr(argv[0], &shell_to);
}

/* src MAC: what the frames that follow say where they come from. */
int
shell_src(int argc, char **argv)
{
	(void)argc;
	return rte_ether_unformat_addr(argv[0], &shell_from);
}

/* ip ADDRESS: the frames that follow are IPv4 for that destination. */
int
shell_route(int argc, char **argv)
{
	(void)argc;
	return inet_pton(AF_INET, argv[0], shell_ip) == 1 ? 0 : -EINVAL;
}

/* A frame of len bytes in segs mbufs of about the same length. */
static struct rte_mbuf *
shell_frame(uint32_t len, uint32_t segs, uint32_t seq)
{
	struct rte_mbuf *head = NULL;
	uint8_t bytes[UINT16_MAX];
	uint32_t done = 0;

	ivshmem_pattern_write(bytes, len, shell_to.addr_bytes, shell_from.addr_bytes, seq);
	if (shell_ip[0] != 0 && len >= IVSHMEM_PATTERN_IP_SEQ + sizeof(seq))
		ivshmem_pattern_route(bytes, len, shell_ip);
	for (uint32_t i = 0; i < segs; i++) {
		const uint32_t part = i + 1 == segs ? len - done : len / segs;
		struct rte_mbuf *mbuf = shell_mbuf(i);
		char *data;

		data = mbuf == NULL ? NULL : rte_pktmbuf_append(mbuf, part);
		if (data == NULL || (head != NULL && rte_pktmbuf_chain(head, mbuf) != 0)) {
			rte_pktmbuf_free(mbuf);
			rte_pktmbuf_free(head);
			return NULL;
		}
		memcpy(data, bytes + done, part);
		done += part;
		if (head == NULL)
			head = mbuf;
	}
	return shell_dress(head);
}

/*
 * send PORT QUEUE CNT LEN [SEGS [MS]]: until all are sent, or the port took none for MS (0). Says
 * how many bursts took any.
 */
int
shell_send(int argc, char **argv)
{
	const uint16_t port = ivshmem_number(argv[0]);
	const uint16_t queue = ivshmem_number(argv[1]);
	const uint64_t cnt = ivshmem_number(argv[2]);
	const uint32_t len = ivshmem_number(argv[3]);
	const uint32_t segs = argc > 4 ? ivshmem_number(argv[4]) : 1;
	const uint64_t patience = argc > 5 ? ivshmem_number(argv[5]) * rte_get_tsc_hz() / 1000 : 0;
	const uint32_t first = shell_seq;
	uint64_t since = rte_rdtsc();
	uint64_t bursts = 0;
	uint64_t sent = 0;

	if (len > UINT16_MAX || segs == 0)
		return -EINVAL;
	while (sent < cnt) {
		struct rte_mbuf *bufs[SHELL_BURST];
		const uint32_t want = RTE_MIN(cnt - sent, SHELL_BURST);
		uint32_t made;
		uint16_t took;

		for (made = 0; made < want; made++) {
			bufs[made] = shell_frame(len, segs, shell_seq + made);
			if (bufs[made] == NULL)
				break;
		}
		took = rte_eth_tx_burst(port, queue, bufs, made);
		rte_pktmbuf_free_bulk(bufs + took, made - took);
		sent += took;
		shell_seq += took;
		bursts += took > 0;
		if (took > 0)
			since = rte_rdtsc();
		else if (rte_rdtsc() - since >= patience)
			break;
	}
	ivshmem_say("sent=%" PRIu64 " bursts=%" PRIu64 " first=%" PRIu32, sent, bursts, first);
	return 0;
}

/* A frame's sequence number, or -1 when a byte or its chain is wrong. */
static int64_t
shell_judge(const struct rte_mbuf *mbuf)
{
	static uint8_t bytes[UINT16_MAX];
	const void *data;
	uint32_t len = 0;
	uint32_t segs = 0;

	for (const struct rte_mbuf *seg = mbuf; seg != NULL; seg = seg->next, segs++)
		len += seg->data_len;
	if (len != mbuf->pkt_len || segs != mbuf->nb_segs)
		return -1;
	data = rte_pktmbuf_read(mbuf, 0, len, bytes);
	return data == NULL ? -1 : ivshmem_pattern_check(data, len);
}

/*
 * recv PORT QUEUE MAX [MS]: until MAX frames came or none came for MS (1000). Says how many, how
 * many had a wrong byte, were out of order or lie at an odd address, the first and the last number,
 * the most segments.
 */
int
shell_recv(int argc, char **argv)
{
	const uint64_t max = ivshmem_number(argv[2]);
	const uint64_t quiet = (argc > 3 ? ivshmem_number(argv[3]) : 1000) *
		rte_get_tsc_hz() / 1000;
	uint64_t since = rte_rdtsc();
	int64_t first = -1;
	int64_t last = -1;
	uint64_t got = 0;
	uint32_t segs = 0;
	uint32_t bad = 0;
	uint32_t gaps = 0;
	uint32_t odd = 0;

	while (got < max) {
		struct rte_mbuf *bufs[SHELL_BURST];
		uint16_t cnt = rte_eth_rx_burst(ivshmem_number(argv[0]), ivshmem_number(argv[1]),
						bufs, RTE_MIN(max - got, SHELL_BURST));

		for (uint16_t i = 0; i < cnt; i++) {
			const int64_t seq = shell_judge(bufs[i]);

			bad += seq < 0;
			gaps += last >= 0 && seq != last + 1;
			odd += rte_pktmbuf_mtod(bufs[i], uintptr_t) % 2;
			first = first < 0 ? seq : first;
			last = seq;
			segs = RTE_MAX(segs, (uint32_t)bufs[i]->nb_segs);
		}
		rte_pktmbuf_free_bulk(bufs, cnt);
		got += cnt;
		if (cnt > 0)
			since = rte_rdtsc();
		else if (rte_rdtsc() - since >= quiet)
			break;
	}
	ivshmem_say("got=%" PRIu64 " bad=%" PRIu32 " gaps=%" PRIu32 " odd=%" PRIu32 " first=%"
		    PRId64 " last=%" PRId64 " segs=%" PRIu32, got, bad, gaps, odd, first, last,
		    segs);
	return 0;
}

/* forward PORT MAC MS: what comes at the port's queue 0 leaves by it, for that address. */
int
shell_forward(int argc, char **argv)
{
	const uint16_t port = ivshmem_number(argv[0]);
	const uint64_t span = ivshmem_number(argv[2]) * rte_get_tsc_hz() / 1000;
	const uint64_t since = rte_rdtsc();
	struct rte_ether_addr own;
	struct rte_ether_addr to;
	uint64_t forwarded = 0;
	uint64_t dropped = 0;

	(void)argc;
	if (rte_ether_unformat_addr(argv[1], &to) != 0 || rte_eth_macaddr_get(port, &own) != 0)
		return -EINVAL;
	while (rte_rdtsc() - since < span) {
		struct rte_mbuf *bufs[SHELL_BURST];
		const uint16_t cnt = rte_eth_rx_burst(port, 0, bufs, SHELL_BURST);
		uint16_t sent;

		for (uint16_t i = 0; i < cnt; i++) {
			struct rte_ether_hdr *ether = rte_pktmbuf_mtod(bufs[i],
								       struct rte_ether_hdr *);

			ether->dst_addr = to;
			ether->src_addr = own;
		}
		sent = rte_eth_tx_burst(port, 0, bufs, cnt);
		rte_pktmbuf_free_bulk(bufs + sent, cnt - sent);
		forwarded += sent;
		dropped += cnt - sent;
	}
	ivshmem_say("forwarded=%" PRIu64 " dropped=%" PRIu64, forwarded, dropped);
	return 0;
}

/*
 * gather PORTS MS [QUEUE]: from ports 0..PORTS-1 in turn, until none came for MS. Says how many
 * each port received that received any ("3=17"), and of them all how many were bad, or behind a
 * frame with a higher number on the same port.
 */
int
shell_gather(int argc, char **argv)
{
	const uint64_t quiet = ivshmem_number(argv[1]) * rte_get_tsc_hz() / 1000;
	const uint16_t queue = argc > 2 ? ivshmem_number(argv[2]) : 0;
	int64_t last[RTE_MAX_ETHPORTS];
	uint32_t got[RTE_MAX_ETHPORTS] = { 0 };
	const uint32_t ports = RTE_MIN(ivshmem_number(argv[0]), RTE_DIM(got));
	uint64_t since = rte_rdtsc();
	bool over = false;
	uint32_t late = 0;
	uint32_t bad = 0;

	memset(last, 0xff, sizeof(last));
	while (!over) {
		over = rte_rdtsc() - since >= quiet;	/* and all are looked at once more */
		for (uint32_t port = 0; port < ports; port++) {
			struct rte_mbuf *bufs[SHELL_BURST];
			uint16_t cnt = rte_eth_rx_burst(port, queue, bufs, SHELL_BURST);

			for (uint16_t i = 0; i < cnt; i++) {
				const int64_t seq = shell_judge(bufs[i]);

				bad += seq < 0;
				late += seq <= last[port];
				last[port] = seq;
			}
			rte_pktmbuf_free_bulk(bufs, cnt);
			got[port] += cnt;
			if (cnt > 0) {
				since = rte_rdtsc();
				over = false;
			}
		}
	}
	for (uint32_t port = 0; port < ports; port++)
		if (got[port] != 0)
			ivshmem_say("%" PRIu32 "=%" PRIu32, port, got[port]);
	ivshmem_say("bad=%" PRIu32 " late=%" PRIu32, bad, late);
	return 0;
}

/* hold PORT QUEUE MAX: one burst, whose mbufs are kept. */
int
shell_hold(int argc, char **argv)
{
	const uint32_t max = RTE_MIN(ivshmem_number(argv[2]), SHELL_HELD_MAX - shell_held_cnt);
	uint16_t cnt;

	(void)argc;
	cnt = rte_eth_rx_burst(ivshmem_number(argv[0]), ivshmem_number(argv[1]),
			       shell_held + shell_held_cnt, max);
	shell_held_cnt += cnt;
	ivshmem_say("got=%u", cnt);
	return 0;
}

/* held: how many are held, how many have a wrong byte, the sum of the others' numbers. */
int
shell_look_at_held(int argc, char **argv)
{
	uint32_t bad = 0;
	int64_t sum = 0;

	(void)argc;
	(void)argv;
	for (uint32_t i = 0; i < shell_held_cnt; i++) {
		const int64_t seq = shell_judge(shell_held[i]);

		bad += seq < 0;
		sum += RTE_MAX(seq, 0);
	}
	ivshmem_say("held=%" PRIu32 " bad=%" PRIu32 " sum=%" PRId64, shell_held_cnt, bad, sum);
	return 0;
}

/* drain LEFT: take mbufs out of the pool until it has so many. */
int
shell_drain(int argc, char **argv)
{
	(void)argc;
	while (shell_held_cnt < SHELL_HELD_MAX &&
	       rte_mempool_avail_count(shell_pool) > ivshmem_number(argv[0])) {
		shell_held[shell_held_cnt] = rte_pktmbuf_alloc(shell_pool);
		if (shell_held[shell_held_cnt] == NULL)
			break;
		shell_held_cnt++;
	}
	ivshmem_say("held=%" PRIu32, shell_held_cnt);
	return 0;
}
