/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The report at the end of a run, for people and for programs.
 */

#ifndef IVSHMEM_TRAFFIC_REPORT_H
#define IVSHMEM_TRAFFIC_REPORT_H

#include <stdio.h>

#include "verdict.h"

/* What is wrong and the first bad frame, one line each. */
void
ivshmem_report_faults(FILE *out, const struct ivshmem_run *run,
		      const struct ivshmem_verdict *verdict);

/* The whole report as text. */
void
ivshmem_report_text(FILE *out, const struct ivshmem_run *run,
		    const struct ivshmem_verdict *verdict);

/* The whole report as one JSON object on one line. */
void
ivshmem_report_json(FILE *out, const struct ivshmem_run *run,
		    const struct ivshmem_verdict *verdict);

#endif /* IVSHMEM_TRAFFIC_REPORT_H */
