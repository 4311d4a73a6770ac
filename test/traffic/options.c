/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The command line: one table holds every option with its limits and its help text.
 *
 * Runs before EAL, so that a wrong option costs nothing and its message stands alone.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "options.h"
#include "usage.h"

static const char *const ivshmem_roles[] = {
	[IVSHMEM_ROLE_GEN] = "gen", [IVSHMEM_ROLE_SINK] = "sink",
	[IVSHMEM_ROLE_GENSINK] = "gensink", [IVSHMEM_ROLE_ECHO] = "echo",
	[IVSHMEM_ROLE_PING] = "ping",
};

#define IVSHMEM_OPTION(member) offsetof(struct ivshmem_options, member)

const struct ivshmem_option ivshmem_option_table[] = {
	{ "role", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(role), 0, 0,
	  "|gen|sink|gensink|echo|ping", "what to do; gensink = both at once" },
	{ "port", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(port), 0, 65535,
	  NULL, "ethdev port number (0)" },
	{ "queues", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(queues), 1, IVSHMEM_QUEUES_MAX,
	  NULL, "Rx and Tx queue pairs (1)" },
	{ "sizes", IVSHMEM_OPTION_SIZES, IVSHMEM_OPTION(sizes), 0, 0,
	  "LIST", "frame sizes without FCS: 64,128 or 60-1518 or a mix, or imix (64)" },
	{ "segments", IVSHMEM_OPTION_SEGMENTS, IVSHMEM_OPTION(segments_min), 0, 0,
	  "N[-M]", "mbufs a sent frame is split into, cut at random places (1)" },
	{ "count", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(count), 0, 1e15,
	  NULL, "frames PER QUEUE, 0 = no limit (0): gen, gensink: to send; ping: rounds\n"
	  "(10000); echo: to return; sink: ends when all came, fails on fewer" },
	{ "rate", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(rate), 0, 1e9,
	  NULL, "frames a second over all queues, 0 = as fast as possible (0)" },
	{ "burst", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(burst), 1, IVSHMEM_BURST_MAX,
	  NULL, "frames a burst; ping: frames a round (32; ping 1)" },
	{ "source", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(source), 0, 65535,
	  NULL, "source number put into frames (0); generators that feed one sink at the\n"
	  "same time need different ones" },
	{ "run", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(run), 0, UINT32_MAX,
	  NULL, "run number put into frames (random: every start is a new run)" },
	{ "seed", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(seed), 0, UINT32_MAX,
	  NULL, "seed of sizes, splits, faults and payload (1)" },
	{ "src-mac", IVSHMEM_OPTION_MAC, IVSHMEM_OPTION(src_mac), 0, 0,
	  "MAC", "source address (the port's own)" },
	{ "dst-mac", IVSHMEM_OPTION_MAC, IVSHMEM_OPTION(dst_mac), 0, 0,
	  "MAC", "destination address (ff:ff:ff:ff:ff:ff)" },
	{ "desc", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(desc), 1, 32768,
	  NULL, "descriptors a queue, adjusted to what the port takes (1024)" },
	{ "mtu", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(mtu), 68, 65535,
	  NULL, "MTU to set (largest size - 18 where that exceeds 1500)" },
	{ "mbufs", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(mbufs), 64, 16777216,
	  NULL, "mbufs in the pool (enough for all queues)" },
	{ "mbuf-size", IVSHMEM_OPTION_NUMBER, IVSHMEM_OPTION(mbuf_size), 128, 65000,
	  NULL, "data bytes an mbuf holds behind its headroom (2048)" },
	{ "offloads", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(fast_free), 0, 0,
	  "none|fast-free", "fast-free asks for MBUF_FAST_FREE (none)" },
	{ "from", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(from_port), 0, 0,
	  "own|port", "port: frames are made of the mempool <name of the port>_tx (own)" },
	{ "promisc", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(promisc), 0, 0,
	  "off|on", "promiscuous mode (on)" },
	{ "rxq-intr", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(rxq_intr), 0, 0,
	  "off|on", "on: ask for Rx interrupts, and poll all the same (off)" },
	{ "tx-retry", IVSHMEM_OPTION_CLEAR, IVSHMEM_OPTION(tx_drop), 0, 0,
	  NULL, "offer a refused frame again until --tx-timeout (default)" },
	{ "tx-drop", IVSHMEM_OPTION_SET, IVSHMEM_OPTION(tx_drop), 0, 0,
	  NULL, "free refused frames at once; the sink sees their sequence as lost" },
	{ "tx-timeout", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(tx_timeout), 0.001, 3600,
	  NULL, "a port that accepts nothing for so long is an error (10)" },
	{ "time", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(time), 0, 1e6,
	  NULL, "end after so long, 0 = no limit (0)" },
	{ "wait", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(wait), 0, 1e6,
	  NULL, "wait so long for link up and for the first frame, 0 = for ever (10); echo\n"
	  "waits for its first frame without limit" },
	{ "idle", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(idle), 0, 1e6,
	  NULL, "end so long after the last frame, 0 = never (sink, gensink 2; echo 0)" },
	{ "linger", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(linger), 0, 3600,
	  NULL, "keep the port up so long after the last sent frame (1)" },
	{ "ping-timeout", IVSHMEM_OPTION_SECONDS, IVSHMEM_OPTION(ping_timeout), 0.000001, 3600,
	  NULL, "a frame not back after so long is lost (1)" },
	{ "first", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(first_any), 0, 0,
	  "zero|any", "any: a stream may begin anywhere, for a sink that joins late (zero)" },
	{ "tail", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(tail), 0, 0,
	  "off|on", "off: frames that a source announced but never sent are not lost (on)" },
	{ "inject", IVSHMEM_OPTION_INJECT, IVSHMEM_OPTION(inject), 0, 0,
	  "KIND:N,...", "break N frames of the generator, spread over its queues; kinds: corrupt\n"
	  "header drop duplicate reorder truncate overlong badmbuf foreign restart stale;\n"
	  "needs --count; badmbuf only on ports that pass mbufs through, such as net_ring" },
	{ "expect", IVSHMEM_OPTION_EXPECT, IVSHMEM_OPTION(expect), 0, 0,
	  "NAME=N,...", "exit 0 exactly when the counters match: N, N-M or any; names below" },
	{ "poll", IVSHMEM_OPTION_CHOICE, IVSHMEM_OPTION(idle_poll), 0, 0,
	  "busy|yield|sleep", "what an lcore does after 256 empty polls (yield)" },
	{ "json", IVSHMEM_OPTION_SET, IVSHMEM_OPTION(json), 0, 0,
	  NULL, "report as one JSON object on stdout" },
	{ "quiet", IVSHMEM_OPTION_SET, IVSHMEM_OPTION(quiet), 0, 0,
	  NULL, "no progress line each second on stderr" },
	{ "help", IVSHMEM_OPTION_HELP, 0, 0, 0, NULL, "print this and exit" },
};

const size_t ivshmem_option_cnt = RTE_DIM(ivshmem_option_table);

const char *
ivshmem_role_name(int role)
{
	return ivshmem_roles[role];
}

static int
ivshmem_option_bad(const struct ivshmem_option *option, const char *value, const char *limit)
{
	fprintf(stderr, "ivshmem-traffic: --%s %s: must be %s\n", option->name, value, limit);
	return -EINVAL;
}

static int
ivshmem_option_number(const struct ivshmem_option *option, const char *value, void *target)
{
	char limit[80];
	char *end;

	errno = 0;
	if (option->kind == IVSHMEM_OPTION_SECONDS) {
		double seconds = strtod(value, &end);

		if (end == value || *end != '\0' || !isfinite(seconds) ||
		    seconds < option->min || seconds > option->max) {
			snprintf(limit, sizeof(limit), "a number of seconds from %g to %g",
				 option->min, option->max);
			return ivshmem_option_bad(option, value, limit);
		}
		*(double *)target = seconds;
		return 0;
	}
	*(uint64_t *)target = strtoull(value, &end, 0);
	if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 ||
	    *(uint64_t *)target < option->min || *(uint64_t *)target > option->max) {
		snprintf(limit, sizeof(limit), "a whole number from %.0f to %.0f",
			 option->min, option->max);
		return ivshmem_option_bad(option, value, limit);
	}
	return 0;
}

static int
ivshmem_option_choice(const struct ivshmem_option *option, const char *value, int *target)
{
	const char *name = option->arg;
	char limit[80];

	for (int i = 0; ; i++) {
		size_t len = strcspn(name, "|");

		if (len != 0 && strlen(value) == len && strncmp(name, value, len) == 0) {
			*target = i;
			return 0;
		}
		if (name[len] == '\0')
			break;
		name += len + 1;
	}
	snprintf(limit, sizeof(limit), "one of %s", option->arg + strspn(option->arg, "|"));
	return ivshmem_option_bad(option, value, limit);
}

static int
ivshmem_option_segments(const struct ivshmem_option *option, const char *value,
			struct ivshmem_options *opt)
{
	char *end;

	opt->segments_min = strtoull(value, &end, 10);
	opt->segments_max = opt->segments_min;
	if (end != value && *end == '-' && end[1] >= '0' && end[1] <= '9')
		opt->segments_max = strtoull(end + 1, &end, 10);
	if (*value < '0' || *value > '9' || *end != '\0' || opt->segments_min < 1 ||
	    opt->segments_max < opt->segments_min || opt->segments_max > IVSHMEM_SEGMENTS_MAX)
		return ivshmem_option_bad(option, value, "N or N-M with 1 <= N <= M <= "
					  RTE_STR(IVSHMEM_SEGMENTS_MAX));
	return 0;
}

static int
ivshmem_option_text(const struct ivshmem_option *option, const char *value,
		    struct ivshmem_options *opt)
{
	const char *bad = value;

	switch (option->kind) {
	case IVSHMEM_OPTION_SIZES:
		if (ivshmem_sizes_parse(value, &opt->sizes, &bad) == 0)
			return 0;
		return ivshmem_option_bad(option, bad, "imix, or at most "
			RTE_STR(IVSHMEM_SIZES_MAX) " sizes or ranges from "
			RTE_STR(IVSHMEM_FRAME_MIN) " to " RTE_STR(IVSHMEM_FRAME_MAX));
	case IVSHMEM_OPTION_INJECT:
		if (ivshmem_inject_parse(value, &opt->inject, &bad) == 0)
			return 0;
		return ivshmem_option_bad(option, bad,
					  "KIND:N, at most 1000000 faults (see --help)");
	case IVSHMEM_OPTION_EXPECT:
		if (ivshmem_expect_parse(value, opt->expect, &bad) == 0)
			return 0;
		return ivshmem_option_bad(option, bad, "COUNTER=N, N-M or any (see --help)");
	default:
		return ivshmem_option_segments(option, value, opt);
	}
}

static int
ivshmem_option_mac(const struct ivshmem_option *option, const char *value,
		   struct ivshmem_options *opt)
{
	bool is_src = option->off == offsetof(struct ivshmem_options, src_mac);

	if (rte_ether_unformat_addr(value, is_src ? &opt->src_mac : &opt->dst_mac) != 0)
		return ivshmem_option_bad(option, value, "an address such as 02:00:00:00:00:01");
	opt->src_mac_set = opt->src_mac_set || is_src;
	return 0;
}

static int
ivshmem_option_apply(const struct ivshmem_option *option, const char *value,
		     struct ivshmem_options *opt)
{
	void *target = (char *)opt + option->off;

	switch (option->kind) {
	case IVSHMEM_OPTION_NUMBER:
	case IVSHMEM_OPTION_SECONDS:
		return ivshmem_option_number(option, value, target);
	case IVSHMEM_OPTION_CHOICE:
		return ivshmem_option_choice(option, value, target);
	case IVSHMEM_OPTION_SET:
	case IVSHMEM_OPTION_CLEAR:
		*(int *)target = option->kind == IVSHMEM_OPTION_SET;
		return 0;
	case IVSHMEM_OPTION_MAC:
		return ivshmem_option_mac(option, value, opt);
	case IVSHMEM_OPTION_HELP:
		ivshmem_usage(stdout);
		return 1;
	default:
		return ivshmem_option_text(option, value, opt);
	}
}

static void
ivshmem_options_default(struct ivshmem_options *opt)
{
	const char *bad;
	struct timespec now;
	uint64_t state;

	memset(opt, 0, sizeof(*opt));
	clock_gettime(CLOCK_REALTIME, &now);
	state = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 40;
	opt->run = ivshmem_random(&state) & UINT32_MAX;
	opt->queues = 1;
	opt->seed = 1;
	memset(&opt->dst_mac, 0xff, sizeof(opt->dst_mac));
	ivshmem_sizes_parse("64", &opt->sizes, &bad);
	opt->segments_min = 1;
	opt->segments_max = 1;
	opt->desc = 1024;
	opt->mbuf_size = 2048;
	opt->wait = 10;
	opt->idle = -1;
	opt->linger = 1;
	opt->tx_timeout = 10;
	opt->ping_timeout = 1;
	opt->promisc = 1;
	opt->tail = 1;
	opt->idle_poll = IVSHMEM_POLL_YIELD;
	ivshmem_expect_default(opt->expect);
}

/* Defaults that depend on the role, and rules that tie options together. */
static int
ivshmem_options_finish(struct ivshmem_options *opt)
{
	uint64_t needs = ivshmem_inject_needs(&opt->inject, (uint16_t)opt->queues);

	if (opt->role == IVSHMEM_ROLE_NONE) {
		fprintf(stderr, "ivshmem-traffic: --role is missing: say -- --role gen, sink, "
			"gensink, echo or ping (see --help)\n");
		return -EINVAL;
	}
	if (opt->burst == 0)
		opt->burst = opt->role == IVSHMEM_ROLE_PING ? 1 : 32;
	if (opt->count == 0 && opt->role == IVSHMEM_ROLE_PING)
		opt->count = 10000;
	if (opt->idle < 0)
		opt->idle = opt->role == IVSHMEM_ROLE_ECHO ? 0 : 2;
	if (opt->inject.sum != 0 && opt->role != IVSHMEM_ROLE_GEN &&
	    opt->role != IVSHMEM_ROLE_GENSINK) {
		fprintf(stderr, "ivshmem-traffic: --inject with --role %s: only gen and gensink "
			"can break frames\n", ivshmem_role_name(opt->role));
		return -EINVAL;
	}
	if (opt->count < needs) {
		fprintf(stderr, "ivshmem-traffic: --count %" PRIu64 ": --inject of %" PRIu64
			" faults over %" PRIu64 " queues needs at least %" PRIu64 "\n",
			opt->count, opt->inject.sum, opt->queues, needs);
		return -EINVAL;
	}
	if (ivshmem_role_sends(opt->role) && !opt->expect[IVSHMEM_COUNTER_SENT].given)
		opt->expect[IVSHMEM_COUNTER_SENT].min = 1;
	if (ivshmem_role_judges(opt->role) && !opt->expect[IVSHMEM_COUNTER_RECEIVED].given)
		opt->expect[IVSHMEM_COUNTER_RECEIVED].min =
			opt->role == IVSHMEM_ROLE_SINK && opt->count != 0 ?
			opt->count * opt->queues : 1;
	return 0;
}

int
ivshmem_options_parse(int argc, char **argv, struct ivshmem_options *opt)
{
	struct option longs[RTE_DIM(ivshmem_option_table) + 1] = { 0 };
	int index, ret;

	for (size_t i = 0; i < ivshmem_option_cnt; i++) {
		enum ivshmem_option_kind kind = ivshmem_option_table[i].kind;

		longs[i].name = ivshmem_option_table[i].name;
		longs[i].has_arg = kind < IVSHMEM_OPTION_SET ? required_argument : no_argument;
		longs[i].val = 1;
	}
	ivshmem_options_default(opt);
	optind = 1;
	opterr = 0;
	for (;;) {
		int at = optind;
		int got = getopt_long(argc, argv, "+:", longs, &index);

		if (got == -1)
			break;
		if (got != 1) {
			fprintf(stderr, "ivshmem-traffic: option '%s' %s (see --help)\n", argv[at],
				got == ':' ? "lacks its value" :
				"is unknown, ambiguous or takes no value");
			return -EINVAL;
		}
		ret = ivshmem_option_apply(&ivshmem_option_table[index], optarg, opt);
		if (ret != 0)
			return ret;
	}
	if (optind < argc) {
		fprintf(stderr, "ivshmem-traffic: stray argument '%s' (see --help)\n",
			argv[optind]);
		return -EINVAL;
	}
	return ivshmem_options_finish(opt);
}
