/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * One run: queues on their lcores, and the control that ends it.
 */

#ifndef IVSHMEM_TRAFFIC_RUN_H
#define IVSHMEM_TRAFFIC_RUN_H

#include "port.h"
#include "queue.h"

struct ivshmem_run {
	const struct ivshmem_options *opt;
	struct ivshmem_port *port;
	struct ivshmem_queue *queues[IVSHMEM_QUEUES_MAX];
	uint16_t queue_cnt;
	atomic_int phase;
	uint64_t hz;
	uint64_t start_tsc;
	uint64_t end_tsc;
	uint64_t sent_tsc;	/* all queues had sent everything; 0 = not yet */
	uint64_t finish_tsc;	/* phase FINISH began */
	double linger;
	const char *ended;	/* why the run ended */
	char error[256];	/* empty unless the run itself failed */
	struct {
		uint64_t tsc;
		uint64_t rx;
		uint64_t tx;
	} progress;
};

/* Let SIGINT and SIGTERM end the run; a second one kills as usual. */
void
ivshmem_run_catch_signals(void);

/* Make the queues of an opened port; 0 or -errno after a line on stderr. */
int
ivshmem_run_create(struct ivshmem_run *run, const struct ivshmem_options *opt,
		   struct ivshmem_port *port);

/* Wait for the link where the role sends, then move frames until the run ends. */
void
ivshmem_run_execute(struct ivshmem_run *run);

void
ivshmem_run_release(struct ivshmem_run *run);

#endif /* IVSHMEM_TRAFFIC_RUN_H */
