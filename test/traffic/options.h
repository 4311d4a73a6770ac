/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the user asked for, parsed and within limits.
 *
 * Filled once by ivshmem_options_parse() before EAL starts; read-only for everybody else.
 */

#ifndef IVSHMEM_TRAFFIC_OPTIONS_H
#define IVSHMEM_TRAFFIC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "counter.h"
#include "inject.h"
#include "sizes.h"

#define IVSHMEM_QUEUES_MAX 16
#define IVSHMEM_BURST_MAX 512
#define IVSHMEM_SEGMENTS_MAX 32

enum ivshmem_role {
	IVSHMEM_ROLE_NONE,
	IVSHMEM_ROLE_GEN,
	IVSHMEM_ROLE_SINK,
	IVSHMEM_ROLE_GENSINK,
	IVSHMEM_ROLE_ECHO,
	IVSHMEM_ROLE_PING,
};

enum ivshmem_idle_poll {
	IVSHMEM_POLL_BUSY,
	IVSHMEM_POLL_YIELD,
	IVSHMEM_POLL_SLEEP,
};

/* Numbers are 64 bits and choices are ints, so that one table can describe them all. */
struct ivshmem_options {
	int role;
	uint64_t port;
	uint64_t queues;
	uint64_t source;
	uint64_t run;		/* drawn at random unless given */
	uint64_t seed;
	struct rte_ether_addr src_mac;
	struct rte_ether_addr dst_mac;
	bool src_mac_set;
	struct ivshmem_sizes sizes;
	uint64_t segments_min;
	uint64_t segments_max;
	uint64_t rate;
	uint64_t count;
	uint64_t burst;
	uint64_t desc;
	uint64_t mtu;		/* 0 = from the sizes */
	uint64_t mbufs;		/* 0 = computed */
	uint64_t mbuf_size;
	double time;
	double wait;
	double idle;		/* < 0 = default of the role */
	double linger;
	double tx_timeout;
	double ping_timeout;
	int tx_drop;
	int promisc;
	int rxq_intr;
	int fast_free;
	int from_port;
	int first_any;
	int tail;
	int idle_poll;
	int json;
	int quiet;
	struct ivshmem_injections inject;
	struct ivshmem_expect expect[IVSHMEM_COUNTER_CNT];
};

/*
 * Parse the arguments behind "--"; argv[0] is ignored.  Returns 0, 1 when --help was printed,
 * or -EINVAL after one line on stderr that names option, value and limit.
 */
int
ivshmem_options_parse(int argc, char **argv, struct ivshmem_options *opt);

/* Name of a role as --role takes it. */
const char *
ivshmem_role_name(int role);

/* Does the role send frames of its own (gen, gensink, ping)? */
static inline bool
ivshmem_role_sends(int role)
{
	return role == IVSHMEM_ROLE_GEN || role == IVSHMEM_ROLE_GENSINK ||
	       role == IVSHMEM_ROLE_PING;
}

/* Does the role judge what it receives (sink, gensink, ping)? */
static inline bool
ivshmem_role_judges(int role)
{
	return role == IVSHMEM_ROLE_SINK || role == IVSHMEM_ROLE_GENSINK ||
	       role == IVSHMEM_ROLE_PING;
}

#endif /* IVSHMEM_TRAFFIC_OPTIONS_H */
