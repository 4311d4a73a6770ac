/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Lcores and control.
 *
 *  phase  | left when                                            | by    | next
 *  RUN    | signal, time, error, or the role's own end           | main  | FINISH
 *  FINISH | all senders are done and --linger is over            | main  | STOP
 *  STOP   | -                                                    | -     | lcores return
 *
 * With worker lcores the main lcore sleeps and looks every few milliseconds; with a single lcore
 * it polls all queues itself and looks every millisecond.
 *
 * Invariant: FINISH lasts at most --linger plus IVSHMEM_RUN_FINISH_MAX seconds.
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "gen.h"
#include "run.h"
#include "sink.h"
#include "tx.h"

#define IVSHMEM_RUN_FINISH_MAX 5.0
#define IVSHMEM_RUN_EMPTY_POLLS 256
/* Quiet time after which a sink that has its --count believes that nothing follows. */
#define IVSHMEM_RUN_COUNT_QUIET 0.2

struct ivshmem_run_sums {
	uint64_t rx;
	uint64_t tx;
	uint64_t bad;
	uint64_t rx_last_tsc;
	bool done;
	bool failed;
};

struct ivshmem_run_lcore {
	struct ivshmem_run *run;
	uint16_t first;		/* queues first, first + step, ... */
	uint16_t step;
	bool controls;
};

static volatile sig_atomic_t ivshmem_run_signal;

static void
ivshmem_run_on_signal(int number)
{
	ivshmem_run_signal = number;
}

void
ivshmem_run_catch_signals(void)
{
	struct sigaction action = {
		.sa_handler = ivshmem_run_on_signal,
		.sa_flags = (int)SA_RESETHAND,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int
ivshmem_run_create(struct ivshmem_run *run, const struct ivshmem_options *opt,
		   struct ivshmem_port *port)
{
	static uint32_t (*const polls[])(struct ivshmem_queue *queue) = {
		[IVSHMEM_ROLE_GEN] = ivshmem_gen_poll,
		[IVSHMEM_ROLE_SINK] = ivshmem_sink_poll,
		[IVSHMEM_ROLE_GENSINK] = ivshmem_gensink_poll,
		[IVSHMEM_ROLE_ECHO] = ivshmem_echo_poll,
		[IVSHMEM_ROLE_PING] = ivshmem_ping_poll,
	};

	memset(run, 0, sizeof(*run));
	run->opt = opt;
	run->port = port;
	run->hz = rte_get_tsc_hz();
	for (uint16_t i = 0; i < opt->queues; i++) {
		struct ivshmem_queue *queue = rte_zmalloc("queue", sizeof(*queue),
							  RTE_CACHE_LINE_SIZE);

		if (queue == NULL) {
			fprintf(stderr, "ivshmem-traffic: no memory for queue %u\n", i);
			return -ENOMEM;
		}
		run->queues[run->queue_cnt++] = queue;
		queue->opt = opt;
		queue->phase = &run->phase;
		queue->pool = port->tx_pool;
		queue->poll = polls[opt->role];
		queue->port = port->id;
		queue->id = i;
		queue->hz = run->hz;
		queue->mac = port->mac;
		if (ivshmem_gen_init(queue) != 0) {
			fprintf(stderr, "ivshmem-traffic: no memory for --inject\n");
			return -ENOMEM;
		}
	}
	return 0;
}

static double
ivshmem_run_seconds(const struct ivshmem_run *run, uint64_t from, uint64_t to)
{
	/* Time stamps of two lcores may be a little out of step. */
	return to <= from ? 0 : (double)(to - from) / (double)run->hz;
}

static struct ivshmem_run_sums
ivshmem_run_sum(const struct ivshmem_run *run)
{
	struct ivshmem_run_sums sums = { .done = true };

	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		struct ivshmem_queue *queue = run->queues[i];
		uint64_t last = atomic_load_explicit(&queue->shown.rx_last_tsc,
						     memory_order_relaxed);

		sums.rx += atomic_load_explicit(&queue->shown.rx, memory_order_relaxed);
		sums.tx += atomic_load_explicit(&queue->shown.tx, memory_order_relaxed);
		sums.bad += atomic_load_explicit(&queue->shown.bad, memory_order_relaxed);
		sums.done &= atomic_load_explicit(&queue->shown.done, memory_order_relaxed);
		sums.failed |= atomic_load_explicit(&queue->shown.failed, memory_order_relaxed);
		sums.rx_last_tsc = RTE_MAX(sums.rx_last_tsc, last);
	}
	return sums;
}

static void
ivshmem_run_show_progress(struct ivshmem_run *run, const struct ivshmem_run_sums *sums,
			  uint64_t now)
{
	double seconds = ivshmem_run_seconds(run, run->progress.tsc, now);

	if (run->opt->quiet != 0 || seconds < 1)
		return;
	fprintf(stderr, "ivshmem-traffic: %s %.0f s: sent %" PRIu64 " (%.3f Mpps) received %" PRIu64
		" (%.3f Mpps) bad %" PRIu64 "\n", ivshmem_role_name(run->opt->role),
		ivshmem_run_seconds(run, run->start_tsc, now),
		sums->tx, (double)(sums->tx - run->progress.tx) / seconds / 1e6,
		sums->rx, (double)(sums->rx - run->progress.rx) / seconds / 1e6, sums->bad);
	run->progress.tsc = now;
	run->progress.rx = sums->rx;
	run->progress.tx = sums->tx;
}

/* Has the receiving side seen its end?  NULL or the reason. */
static const char *
ivshmem_run_receiver_end(const struct ivshmem_run *run, const struct ivshmem_run_sums *sums,
			 uint64_t now)
{
	const struct ivshmem_options *opt = run->opt;
	uint64_t since = RTE_MAX(sums->rx_last_tsc, run->sent_tsc);
	double quiet = opt->idle;

	if (sums->rx == 0) {
		if (opt->role != IVSHMEM_ROLE_ECHO && opt->wait > 0 &&
		    ivshmem_run_seconds(run, run->start_tsc, now) > opt->wait)
			return "no frame came within --wait";
		return NULL;
	}
	if (opt->role == IVSHMEM_ROLE_SINK && opt->count != 0 &&
	    sums->rx >= opt->count * opt->queues && (quiet == 0 || quiet > IVSHMEM_RUN_COUNT_QUIET))
		quiet = IVSHMEM_RUN_COUNT_QUIET;
	if (quiet > 0 && ivshmem_run_seconds(run, since, now) > quiet)
		return quiet == opt->idle ? "idle" : "count";
	return NULL;
}

/* Why the run is to end now; NULL while it goes on. */
static const char *
ivshmem_run_end(const struct ivshmem_run *run, const struct ivshmem_run_sums *sums, uint64_t now)
{
	const struct ivshmem_options *opt = run->opt;

	if (ivshmem_run_signal != 0)
		return "signal";
	if (sums->failed)
		return "error";
	if (opt->time > 0 && ivshmem_run_seconds(run, run->start_tsc, now) > opt->time)
		return "time";
	switch (opt->role) {
	case IVSHMEM_ROLE_GEN:
	case IVSHMEM_ROLE_PING:
		return sums->done ? "count" : NULL;
	case IVSHMEM_ROLE_GENSINK:
		return sums->done ? ivshmem_run_receiver_end(run, sums, now) : NULL;
	case IVSHMEM_ROLE_ECHO:
		return sums->done ? "count" : ivshmem_run_receiver_end(run, sums, now);
	default:
		return ivshmem_run_receiver_end(run, sums, now);
	}
}

/* How long the port has to stay up for frames that the peer has not taken yet. */
static double
ivshmem_run_linger(const struct ivshmem_run *run)
{
	int role = run->opt->role;

	if (role == IVSHMEM_ROLE_SINK || role == IVSHMEM_ROLE_PING ||
	    strcmp(run->ended, "idle") == 0)
		return 0;
	return run->opt->linger;
}

static void
ivshmem_run_control(struct ivshmem_run *run)
{
	struct ivshmem_run_sums sums = ivshmem_run_sum(run);
	uint64_t now = rte_rdtsc();
	int phase = atomic_load_explicit(&run->phase, memory_order_relaxed);
	bool is_sending = ivshmem_role_sends(run->opt->role) ||
			  run->opt->role == IVSHMEM_ROLE_ECHO;

	ivshmem_run_show_progress(run, &sums, now);
	if (is_sending && sums.done && run->sent_tsc == 0)
		run->sent_tsc = now;
	if (phase == IVSHMEM_PHASE_RUN) {
		run->ended = ivshmem_run_end(run, &sums, now);
		if (run->ended == NULL)
			return;
		run->finish_tsc = now;
		run->linger = ivshmem_run_linger(run);
		phase = IVSHMEM_PHASE_FINISH;
	} else if (!is_sending ||
		   (sums.done && ivshmem_run_seconds(run, run->sent_tsc, now) >= run->linger) ||
		   ivshmem_run_seconds(run, run->finish_tsc, now) >
		   run->linger + IVSHMEM_RUN_FINISH_MAX) {
		phase = IVSHMEM_PHASE_STOP;
	}
	atomic_store_explicit(&run->phase, phase, memory_order_relaxed);
}

static void
ivshmem_run_rest(int how)
{
	if (how == IVSHMEM_POLL_YIELD)
		sched_yield();
	else if (how == IVSHMEM_POLL_SLEEP)
		usleep(50);
}

static int
ivshmem_run_poll_queues(void *arg)
{
	const struct ivshmem_run_lcore *lcore = arg;
	struct ivshmem_run *run = lcore->run;
	uint64_t look = rte_rdtsc();
	uint32_t empty = 0;

	while (atomic_load_explicit(&run->phase, memory_order_relaxed) != IVSHMEM_PHASE_STOP) {
		uint32_t moved = 0;

		for (uint16_t i = lcore->first; i < run->queue_cnt; i += lcore->step) {
			struct ivshmem_queue *queue = run->queues[i];

			moved += queue->poll(queue);
			if (queue->done) {
				atomic_store_explicit(&queue->shown.failed, queue->tx.stalled,
						      memory_order_relaxed);
				atomic_store_explicit(&queue->shown.done, true,
						      memory_order_relaxed);
			}
		}
		empty = moved != 0 ? 0 : empty + 1;
		if (empty > IVSHMEM_RUN_EMPTY_POLLS)
			ivshmem_run_rest(run->opt->idle_poll);
		if (lcore->controls && rte_rdtsc() - look > run->hz / 1000) {
			ivshmem_run_control(run);
			look = rte_rdtsc();
		}
	}
	return 0;
}

/* False, with the reason in run->error, when the link does not come up. */
static bool
ivshmem_run_wait_link(struct ivshmem_run *run)
{
	uint64_t start = rte_rdtsc();
	uint64_t said = start;

	while (!ivshmem_port_link_is_up(run->port)) {
		uint64_t now = rte_rdtsc();

		if (ivshmem_run_signal != 0) {
			run->ended = "signal";
			return false;
		}
		if (run->opt->wait > 0 && ivshmem_run_seconds(run, start, now) > run->opt->wait) {
			run->ended = "link";
			snprintf(run->error, sizeof(run->error), "link of port %u (%s) still down "
				 "after --wait %g s: start the other end, or wait longer",
				 run->port->id, run->port->driver, run->opt->wait);
			return false;
		}
		if (run->opt->quiet == 0 && ivshmem_run_seconds(run, said, now) >= 1) {
			fprintf(stderr, "ivshmem-traffic: waiting for link of port %u\n",
				run->port->id);
			said = now;
		}
		usleep(1000);
	}
	return true;
}

static void
ivshmem_run_move_frames(struct ivshmem_run *run)
{
	struct ivshmem_run_lcore lcores[IVSHMEM_QUEUES_MAX];
	unsigned int workers = RTE_MIN(rte_lcore_count() - 1, (unsigned int)run->queue_cnt);
	unsigned int lcore_id;
	uint16_t i = 0;

	if (workers == 0) {
		lcores[0] = (struct ivshmem_run_lcore){ run, 0, 1, true };
		ivshmem_run_poll_queues(&lcores[0]);
		return;
	}
	RTE_LCORE_FOREACH_WORKER(lcore_id) {
		if (i == workers)
			break;
		lcores[i] = (struct ivshmem_run_lcore){ run, i, (uint16_t)workers, false };
		if (rte_eal_remote_launch(ivshmem_run_poll_queues, &lcores[i], lcore_id) != 0) {
			snprintf(run->error, sizeof(run->error), "lcore %u is busy", lcore_id);
			run->ended = "error";
			atomic_store(&run->phase, IVSHMEM_PHASE_STOP);
			break;
		}
		i++;
	}
	while (atomic_load_explicit(&run->phase, memory_order_relaxed) != IVSHMEM_PHASE_STOP) {
		usleep(2000);
		ivshmem_run_control(run);
	}
	rte_eal_mp_wait_lcore();
}

void
ivshmem_run_execute(struct ivshmem_run *run)
{
	run->start_tsc = rte_rdtsc();
	run->end_tsc = run->start_tsc;
	if (ivshmem_role_sends(run->opt->role) && !ivshmem_run_wait_link(run))
		return;
	run->start_tsc = rte_rdtsc();
	run->progress.tsc = run->start_tsc;
	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		run->queues[i]->tx.since = run->start_tsc;
		run->queues[i]->gen.due = (double)run->start_tsc;
	}
	ivshmem_run_move_frames(run);
	run->end_tsc = rte_rdtsc();
	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		struct ivshmem_queue *queue = run->queues[i];

		ivshmem_tx_drop(queue);
		if (queue->tx.stalled && run->error[0] == '\0')
			snprintf(run->error, sizeof(run->error), "Tx queue %u of port %u (%s) "
				 "accepted nothing for --tx-timeout %g s after %" PRIu64 " frames",
				 i, run->port->id, run->port->driver, run->opt->tx_timeout,
				 queue->tx.frames);
	}
	if (run->error[0] == '\0' && strcmp(run->ended, "no frame came within --wait") == 0)
		snprintf(run->error, sizeof(run->error), "no frame came within --wait %g s",
			 run->opt->wait);
}

void
ivshmem_run_release(struct ivshmem_run *run)
{
	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		ivshmem_gen_release(run->queues[i]);
		ivshmem_sink_release(run->queues[i]);
		rte_free(run->queues[i]);
	}
	run->queue_cnt = 0;
}
