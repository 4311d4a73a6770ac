/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The victim's frames: to everybody from port 0, and between ports 1 and 2, which are honest.
 */

#include <string.h>

#include <rte_ethdev.h>

#include "../pmd/pattern.h"
#include "victim.h"

#define FRAMES_WINDOW 128u	/* of the pair: a ring holds more, so nothing is dropped */
#define FRAMES_BURST 16u

static bool frames_judged = true;

void
victim_judge_pair(bool judged)
{
	if (judged && !frames_judged)
		for (uint32_t i = 1; i < victim_port_cnt; i++)
			victim_ports[i].next = victim_ports[i].expected = 0;
	frames_judged = judged;
}

/* Bytes of the frame that a room holds are looked at where they are, others as a copy. */
static int64_t
frames_pattern(const struct rte_mbuf *mbuf)
{
	uint8_t copy[VICTIM_FRAME_MAX + RTE_VLAN_HLEN];

	return ivshmem_pattern_check(rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, copy),
				     mbuf->pkt_len);
}

/* A frame of port 1 or 2: is it from the other one, and the next? */
static void
frames_judge(struct victim_port *port, const struct rte_mbuf *mbuf, int64_t seq)
{
	const struct victim_port *from = &victim_ports[3 - (port - victim_ports)];
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);

	if (!rte_is_same_ether_addr(&ether->src_addr, &from->mac) ||
	    !rte_is_same_ether_addr(&ether->dst_addr, &port->mac))
		return;
	if (!frames_judged || (seq == 0 && port->expected == 1))	/* the first, once more */
		return;
	if (seq != port->expected)
		victim_die("port %u expected frame %u of its honest neighbor, not %jd", port->id,
			   port->expected, (intmax_t)seq);
	port->expected++;
	port->honest++;
}

uint32_t
victim_receive(struct victim_port *port)
{
	struct rte_mbuf *bufs[VICTIM_BURST_MAX + 1];
	const uint16_t want = 1 + victim_random(VICTIM_BURST_MAX);
	uint16_t cnt;

	memset(bufs, 0, sizeof(bufs));
	cnt = rte_eth_rx_burst(port->id, 0, bufs, want);
	if (cnt > want)
		victim_die("asked for %u frames, got %u", want, cnt);
	if (bufs[VICTIM_BURST_MAX] != NULL)
		victim_die("a burst wrote past its array");
	for (uint16_t i = 0; i < cnt; i++) {
		int64_t seq;

		victim_take(bufs[i], port->id);
		seq = frames_pattern(bufs[i]);
		port->patterns += seq >= 0;
		if (port != victim_ports)
			frames_judge(port, bufs[i], seq);
		if (victim_random(4) == 0)
			victim_hold(bufs[i]);
		else
			victim_free(bufs[i]);
	}
	port->received += cnt;
	return cnt;
}

/* len bytes as in pattern.h, in as many mbufs as that needs. */
static struct rte_mbuf *
frames_make(const struct rte_ether_addr *to, const struct rte_ether_addr *from, uint32_t len,
	    uint32_t seq)
{
	uint8_t bytes[VICTIM_FRAME_MAX];
	struct rte_mbuf *head = NULL;

	ivshmem_pattern_write(bytes, len, to->addr_bytes, from->addr_bytes, seq);
	for (uint32_t done = 0; done < len;) {
		const uint32_t part = RTE_MIN(len - done, VICTIM_ROOM);
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(victim_pool());

		if (mbuf == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		memcpy(rte_pktmbuf_append(mbuf, part), bytes + done, part);
		done += part;
		if (head == NULL)
			head = mbuf;
		else if (rte_pktmbuf_chain(head, mbuf) != 0)
			victim_die("too many segments");
	}
	return head;
}

uint32_t
victim_send(struct victim_port *port)
{
	static const struct rte_ether_addr all = { { 255, 255, 255, 255, 255, 255 } };
	static const struct rte_ether_addr nobody = { { 2, 7, 7, 7, 7, 7 } };
	struct rte_ether_addr attacker = { { 2, 0, 0, 0, 0, victim_port_cnt } };
	const struct rte_ether_addr *targets[] = { &all, &nobody, &attacker, &attacker,
		&victim_ports[victim_random(victim_port_cnt)].mac };
	struct rte_mbuf *bufs[VICTIM_BURST_MAX];
	const uint16_t want = victim_random(VICTIM_BURST_MAX / 2);
	uint16_t cnt = 0;
	uint16_t sent;

	while (cnt < want) {
		bufs[cnt] = frames_make(targets[victim_random(RTE_DIM(targets))], &port->mac,
					60 + victim_random(victim_random(8) == 0 ? 1400 : 100),
					port->sent + cnt);
		if (bufs[cnt] == NULL)
			break;
		cnt++;
	}
	sent = rte_eth_tx_burst(port->id, 0, bufs, cnt);
	if (sent > cnt)
		victim_die("offered %u frames, %u were taken", cnt, sent);
	rte_pktmbuf_free_bulk(bufs + sent, cnt - sent);
	port->sent += sent;
	return sent;
}

/* How many frames the pair may send: the first is repeated until the way is open. */
static uint32_t
frames_window(const struct victim_port *from, const struct victim_port *to)
{
	const uint32_t on_way = from->next - to->expected;

	if (!frames_judged)
		return FRAMES_BURST;
	if (to->expected == 0)
		return 1;
	return on_way < FRAMES_WINDOW ? RTE_MIN(FRAMES_WINDOW - on_way, FRAMES_BURST) : 0;
}

void
victim_send_pair(struct victim_port *from, struct victim_port *to)
{
	const uint32_t window = frames_window(from, to);
	struct rte_mbuf *bufs[FRAMES_BURST];
	uint16_t cnt = 0;
	uint16_t sent;

	if (to->expected == 0)
		from->next = 0;
	while (cnt < window) {
		bufs[cnt] = frames_make(&to->mac, &from->mac, 60 + victim_random(900),
					from->next + cnt);
		if (bufs[cnt] == NULL)
			break;
		cnt++;
	}
	sent = rte_eth_tx_burst(from->id, 0, bufs, cnt);
	if (sent > cnt)
		victim_die("offered %u frames, %u were taken", cnt, sent);
	rte_pktmbuf_free_bulk(bufs + sent, cnt - sent);
	from->next += sent;
	from->sent += sent;
}
