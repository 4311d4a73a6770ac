/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * One queue pair of the port and what the roles keep for it.
 *
 * run.c owns the queues and calls poll() of the role on the lcore a queue belongs to.
 *
 * Threads: the polling lcore writes everything; the main lcore reads `shown` at any time, writes
 * `phase`, and reads the rest only after all lcores have returned.
 */

#ifndef IVSHMEM_TRAFFIC_QUEUE_H
#define IVSHMEM_TRAFFIC_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "frame.h"
#include "histogram.h"
#include "inject.h"
#include "options.h"
#include "stream.h"

#define IVSHMEM_STREAMS_MAX 256

enum ivshmem_phase {
	IVSHMEM_PHASE_RUN,
	IVSHMEM_PHASE_FINISH,	/* senders mark their last frame and are done; receivers go on */
	IVSHMEM_PHASE_STOP,
};

/* The first frame found bad, with what was wrong in it. */
struct ivshmem_bad {
	enum ivshmem_counter kind;
	const char *what;	/* NULL: no bad frame so far */
	uint64_t tsc;
	bool known;		/* the header could be read: source .. length are valid */
	uint16_t source;
	uint16_t queue;
	uint32_t run;
	uint64_t seq;
	uint32_t length;
	uint32_t pkt_len;
	uint32_t off;
	uint64_t want;
	uint64_t have;
};

struct ivshmem_sink {
	struct ivshmem_stream *streams[IVSHMEM_STREAMS_MAX];
	uint32_t stream_cnt;
	struct ivshmem_stream *last;	/* stream of the frame before */
	uint64_t received;		/* frames that could be told to be ours */
	uint64_t corrupted;		/* the rest of these: frames no stream can be blamed for */
	uint64_t truncated;
	uint64_t badmbuf;
	uint64_t foreign;
	uint64_t misqueued;
	uint64_t bad;			/* everything wrong so far, for the progress line */
	struct ivshmem_bad first_bad;
};

struct ivshmem_gen {
	struct ivshmem_frame_hdr hdr;	/* of the running stream; seq, length, flags per frame */
	struct ivshmem_inject_plan plan;
	uint64_t random;
	uint64_t pos;			/* next turn, 0 .. count */
	uint64_t run_pos;		/* turn at which the run began: seq = pos - run_pos */
	uint64_t built;
	uint32_t size;			/* fixed for the next frame, 0 = to be drawn */
	struct {			/* extra frame that follows the one just built */
		struct ivshmem_frame_hdr hdr;
		bool pending;
	} extra;
	double due;			/* TSC at which the next frame may leave */
	double cycles_per_frame;	/* 0 = no limit */
	bool last_sent;
};

struct ivshmem_ping {
	struct ivshmem_histogram rtt;
	uint64_t rounds;
	uint64_t round_seq;		/* first sequence of the round under way */
	uint64_t start;			/* TSC at which it was handed to the port */
	uint32_t outstanding;
	uint64_t lost;
	uint64_t returned;
	uint64_t overdue;		/* came back after they were given up */
};

/* Frames built or taken over, and not yet accepted by the port. */
struct ivshmem_tx {
	struct rte_mbuf *pkts[IVSHMEM_BURST_MAX];
	uint32_t first;
	uint32_t cnt;
	uint64_t since;			/* TSC of the last progress */
	uint64_t frames;
	uint64_t bytes;
	uint64_t dropped;
	uint64_t first_tsc;
	uint64_t last_tsc;
	bool timed_out;			/* given up */
	bool stalled;			/* given up while the run was still on: an error */
};

struct ivshmem_queue {
	const struct ivshmem_options *opt;
	const atomic_int *phase;
	struct rte_mempool *pool;
	/* One turn; returns the number of frames moved. */
	uint32_t (*poll)(struct ivshmem_queue *queue);
	uint16_t port;
	uint16_t id;
	bool done;			/* nothing more to send */
	uint64_t hz;
	uint64_t rx_frames;
	uint64_t rx_bytes;
	uint64_t rx_first_tsc;
	uint64_t rx_last_tsc;
	struct rte_ether_addr mac;
	struct ivshmem_tx tx;
	struct ivshmem_gen gen;
	struct ivshmem_sink sink;
	struct ivshmem_ping ping;
	struct rte_mbuf *rx_pkts[IVSHMEM_BURST_MAX];
	struct {
		_Atomic uint64_t rx;
		_Atomic uint64_t rx_last_tsc;
		_Atomic uint64_t tx;
		_Atomic uint64_t bad;
		atomic_bool done;
		atomic_bool failed;
	} shown __rte_cache_aligned;
};

uint32_t
ivshmem_gen_poll(struct ivshmem_queue *queue);
uint32_t
ivshmem_sink_poll(struct ivshmem_queue *queue);
uint32_t
ivshmem_gensink_poll(struct ivshmem_queue *queue);
uint32_t
ivshmem_echo_poll(struct ivshmem_queue *queue);
uint32_t
ivshmem_ping_poll(struct ivshmem_queue *queue);

#endif /* IVSHMEM_TRAFFIC_QUEUE_H */
