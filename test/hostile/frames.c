/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The victim's frames: to everybody from port 0, and between ports 1 and 2, which are honest. Some
 * of what a port receives it sends on, where it lies if it was lent.
 *
 * Who takes buffers of third sections gets frames of an honest neighbor also by the attacker's
 * descriptors: too early, twice or in parts. With zero-copy such frames count as forged, as others
 * do that bear another port's address, and the neighbor's own must arrive all the same.
 *
 * A port that says that another was taken for dead has it start its rings anew, which loses frames.
 * That is counted, and the pair is not judged for a while.
 */

#include <string.h>
#include <time.h>

#include <rte_ethdev.h>

#include "../pmd/pattern.h"
#include "victim.h"

/* Of the pair: with what goes that way besides, and is lent up, fewer than there are buffers. */
#define FRAMES_WINDOW 32u
#define FRAMES_BURST 16u
#define FRAMES_FORWARD 4u	/* of a burst, and only while few of the pair are on their way */

static const struct rte_ether_addr frames_all = { { 255, 255, 255, 255, 255, 255 } };
static const struct rte_ether_addr frames_nobody = { { 2, 7, 7, 7, 7, 7 } };
#define FRAMES_RESUME_MS 3000u	/* after a port of the pair started its rings anew */

/*
 * Frames of the pair: the low bits of the number of the period, judged or not, and of their own,
 * which begins anew within a second.
 */
#define FRAMES_PERIOD_SHIFT 16
#define FRAMES_PERIOD_MASK 0xffffu
#define FRAMES_SEQ_MASK 0xffffu

static bool frames_judged = true;
static uint32_t frames_period;		/* so that frames from before it are known as such */
static uint64_t frames_rejoins;		/* of ports 1 and 2, so far */
static uint64_t frames_resume_ms;	/* when the pair is judged again */
static uint64_t frames_burst_ns;

static uint64_t
frames_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

uint64_t
victim_burst_us(void)
{
	return frames_burst_ns / 1000;
}

static uint16_t
frames_rx(const struct victim_port *port, struct rte_mbuf **bufs, uint16_t want)
{
	const uint64_t began = frames_cpu_ns();
	const uint16_t cnt = rte_eth_rx_burst(port->id, 0, bufs, want);

	frames_burst_ns = RTE_MAX(frames_burst_ns, frames_cpu_ns() - began);
	if (cnt > want)
		victim_die("asked for %u frames, got %u", want, cnt);
	return cnt;
}

/* Send; frees what was not taken. */
static uint16_t
frames_tx(const struct victim_port *port, struct rte_mbuf **bufs, uint16_t cnt)
{
	const uint64_t began = frames_cpu_ns();
	const uint16_t sent = rte_eth_tx_burst(port->id, 0, bufs, cnt);

	frames_burst_ns = RTE_MAX(frames_burst_ns, frames_cpu_ns() - began);
	if (sent > cnt)
		victim_die("offered %u frames, %u were taken", cnt, sent);
	rte_pktmbuf_free_bulk(bufs + sent, cnt - sent);
	return sent;
}

void
victim_judge_pair(bool judged)
{
	if (judged != frames_judged) {
		for (uint32_t i = 1; i < victim_port_cnt; i++)
			victim_ports[i].next = victim_ports[i].expected = 0;
		frames_period++;
	}
	frames_judged = judged;
	frames_resume_ms = 0;
}

/* How often ports 1 and 2 were made to start their rings anew. */
static uint64_t
frames_count_rejoins(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 1; i < victim_port_cnt; i++) {
		uint64_t id;
		uint64_t value;

		if (!victim_ports[i].up)
			continue;
		if (rte_eth_xstats_get_id_by_name(victim_ports[i].id, "port_rejoins", &id) != 0 ||
		    rte_eth_xstats_get_by_id(victim_ports[i].id, &id, &value, 1) != 1)
			victim_die("no port_rejoins");
		sum += value;
	}
	return sum;
}

void
victim_look_at_pair(uint64_t now_ms)
{
	const uint64_t rejoins = frames_count_rejoins();

	if (rejoins > frames_rejoins && (frames_judged || frames_resume_ms != 0)) {
		victim_judge_pair(false);
		frames_resume_ms = now_ms + FRAMES_RESUME_MS;
	} else if (frames_resume_ms != 0 && now_ms >= frames_resume_ms) {
		victim_judge_pair(true);
	}
	frames_rejoins = rejoins;
}

/* Bytes of the frame that a room holds are looked at where they are, others as a copy. */
static int64_t
frames_pattern(const struct rte_mbuf *mbuf)
{
	uint8_t copy[VICTIM_FRAME_MAX + RTE_VLAN_HLEN];

	return ivshmem_pattern_check(rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, copy),
				     mbuf->pkt_len);
}

static uint32_t
frames_pair_seq(uint32_t next)
{
	return (frames_period & FRAMES_PERIOD_MASK) << FRAMES_PERIOD_SHIFT |
		(next & FRAMES_SEQ_MASK);
}

/* From before the period, or nobody can say. */
static bool
frames_is_old(const struct victim_port *port, int64_t seq)
{
	if (seq < 0)
		return port->expected == 0;
	return seq >> FRAMES_PERIOD_SHIFT != (frames_period & FRAMES_PERIOD_MASK);
}

/* A frame of port 1 or 2: is it from the other one, and the next? */
static void
frames_judge(struct victim_port *port, const struct rte_mbuf *mbuf, int64_t seq)
{
	const struct victim_port *from = &victim_ports[3 - (port - victim_ports)];
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	const uint32_t expected = frames_pair_seq(port->expected);

	if (!rte_is_same_ether_addr(&ether->src_addr, &from->mac) ||
	    !rte_is_same_ether_addr(&ether->dst_addr, &port->mac))
		return;
	if (!frames_judged || frames_is_old(port, seq) ||
	    (seq == frames_pair_seq(0) && port->expected == 1))	/* the first, once more */
		return;
	if (seq != expected && frames_count_rejoins() != frames_rejoins)
		return;
	if (seq != expected && port->lent != 0) {
		port->forged++;
		return;
	}
	if (seq != expected)
		victim_die("port %u expected frame 0x%x of its honest neighbor, not 0x%jx",
			   port->id, expected, (intmax_t)seq);
	port->expected++;
	port->honest++;
}

/* Any port but the one that sends, the attacker half of the time. */
static uint32_t
frames_target(const struct victim_port *from)
{
	const uint32_t slot = victim_random(victim_port_cnt);

	return victim_random(2) == 0 || &victim_ports[slot] == from ? victim_port_cnt : slot;
}

static struct rte_ether_addr
frames_mac(uint32_t slot)
{
	const struct rte_ether_addr attacker = { { 2, 0, 0, 0, 0, victim_port_cnt } };

	return slot == victim_port_cnt ? attacker : victim_ports[slot].mac;
}

/*
 * Where a received frame is sent on to, -1 = nowhere. A buffer that was out on a circle of ports
 * when one of them started its rings anew comes back only after 60 s: so none goes to its owner,
 * and all go up the slots, of which the attacker has the last. Nor one of a pool of the pair's: by
 * the attacker's descriptors it may be here too early, and the new header would hit that frame.
 */
static int
frames_next(const struct victim_port *from, const struct rte_mbuf *mbuf)
{
	const uint32_t own = from - victim_ports;
	int owner;
	int slot;

	if (!RTE_MBUF_HAS_EXTBUF(mbuf))
		return frames_target(from);
	slot = own + 1 + victim_random(victim_port_cnt - own);
	owner = victim_guard_owner(mbuf->buf_addr, mbuf->buf_len);
	if (owner > 0 && owner < (int)victim_port_cnt && victim_ports[owner].tx_pool != NULL)
		return -1;
	return slot == owner ? -1 : slot;
}

/* Whether the pair leaves room for other frames in its rings. */
static bool
frames_may_forward(const struct victim_port *port)
{
	const struct victim_port *to = &victim_ports[3 - (port - victim_ports)];

	return port == victim_ports || !frames_judged ||
		port->next - to->expected <= FRAMES_WINDOW / 2;
}

/* Send received frames on by the same port: they may lie anywhere in the region. */
static void
frames_forward(struct victim_port *port, struct rte_mbuf **bufs, uint16_t cnt)
{
	for (uint16_t i = 0; i < cnt; i++)
		victim_give(bufs[i]);
	port->forwarded += frames_tx(port, bufs, cnt);
}

/* What becomes of a received frame; true when it is ready to be sent on. */
static bool
frames_dispose(struct victim_port *port, struct rte_mbuf *mbuf, bool may_forward)
{
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const int next = may_forward && victim_random(4) == 0 ? frames_next(port, mbuf) : -1;

	if (next >= 0) {
		ether->dst_addr = frames_mac(next);
		ether->src_addr = frames_nobody;
		return true;
	}
	if (victim_random(4) == 0)
		victim_hold(mbuf);
	else
		victim_free(mbuf);
	return false;
}

uint32_t
victim_receive(struct victim_port *port)
{
	struct rte_mbuf *bufs[VICTIM_BURST_MAX + 1];
	struct rte_mbuf *forward[FRAMES_FORWARD];
	const bool may_forward = frames_may_forward(port);
	uint16_t forward_cnt = 0;
	uint16_t cnt;

	memset(bufs, 0, sizeof(bufs));
	cnt = frames_rx(port, bufs, 1 + victim_random(VICTIM_BURST_MAX));
	if (bufs[VICTIM_BURST_MAX] != NULL)
		victim_die("a burst wrote past its array");
	for (uint16_t i = 0; i < cnt; i++) {
		int64_t seq;

		victim_take(bufs[i], port->id);
		port->lent += RTE_MBUF_HAS_EXTBUF(bufs[i]) != 0;
		seq = frames_pattern(bufs[i]);
		port->patterns += seq >= 0;
		if (port != victim_ports)
			frames_judge(port, bufs[i], seq);
		if (frames_dispose(port, bufs[i], may_forward && forward_cnt < FRAMES_FORWARD))
			forward[forward_cnt++] = bufs[i];
	}
	frames_forward(port, forward, forward_cnt);
	port->received += cnt;
	return cnt;
}

/* Of the port's own pool as often as not, as long as it has any. */
static struct rte_mbuf *
frames_alloc(const struct victim_port *port)
{
	struct rte_mbuf *mbuf = NULL;

	if (port->tx_pool != NULL && victim_random(2) == 0)
		mbuf = rte_pktmbuf_alloc(port->tx_pool);
	return mbuf != NULL ? mbuf : rte_pktmbuf_alloc(victim_pool());
}

/* len bytes as in pattern.h, in as many mbufs as that needs. */
static struct rte_mbuf *
frames_make(const struct victim_port *port, const struct rte_ether_addr *to, uint32_t len,
	    uint32_t seq)
{
	uint8_t bytes[VICTIM_FRAME_MAX];
	struct rte_mbuf *head = NULL;

	ivshmem_pattern_write(bytes, len, to->addr_bytes, port->mac.addr_bytes, seq);
	for (uint32_t done = 0; done < len;) {
		const uint32_t part = RTE_MIN(len - done, VICTIM_ROOM);
		struct rte_mbuf *mbuf = frames_alloc(port);

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
	const struct rte_ether_addr target = frames_mac(frames_target(port));
	const struct rte_ether_addr *targets[] = { &frames_all, &frames_nobody, &port->mac,
		&target, &target };
	struct rte_mbuf *bufs[VICTIM_BURST_MAX];
	const uint16_t want = victim_random(VICTIM_BURST_MAX / 2);
	uint16_t cnt = 0;
	uint16_t sent;

	while (cnt < want) {
		bufs[cnt] = frames_make(port, targets[victim_random(RTE_DIM(targets))],
					60 + victim_random(victim_random(4) == 0 ? 1400 : 100),
					port->sent + cnt);
		if (bufs[cnt] == NULL)
			break;
		cnt++;
	}
	sent = frames_tx(port, bufs, cnt);
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
		bufs[cnt] = frames_make(from, &to->mac, 60 + victim_random(900),
					frames_pair_seq(from->next + cnt));
		if (bufs[cnt] == NULL)
			break;
		cnt++;
	}
	sent = frames_tx(from, bufs, cnt);
	from->next += sent;
	from->sent += sent;
}
