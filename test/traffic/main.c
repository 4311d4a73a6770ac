/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * ivshmem-traffic: test frames through any ethdev port.  See --help for what it does.
 *
 * Reads its own options before EAL starts.  Standard output carries nothing but the report:
 * whatever EAL and drivers print goes to standard error.
 *
 * Exit status: 0 clean, 1 bad verdict, 2 usage or set-up error.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "frame.h"
#include "options.h"
#include "port.h"
#include "report.h"
#include "run.h"
#include "usage.h"
#include "verdict.h"

#define IVSHMEM_EXIT_CLEAN 0
#define IVSHMEM_EXIT_BAD 1
#define IVSHMEM_EXIT_SETUP 2

/* Keep standard output for the report; NULL when that fails. */
static FILE *
ivshmem_main_take_stdout(void)
{
	int fd = dup(STDOUT_FILENO);

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return NULL;
	return fdopen(fd, "w");
}

/* Options stand behind "--"; --help is understood without it. */
static int
ivshmem_main_parse(int argc, char **argv, struct ivshmem_options *opt)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	if (at == argc && argc == 2 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		ivshmem_usage(stdout);
		return 1;
	}
	if (at == argc) {
		fprintf(stderr, "ivshmem-traffic: no \"--\": give EAL options, then -- --role ROLE "
			"(see --help)\n");
		return -1;
	}
	return ivshmem_options_parse(argc - at, argv + at, opt);
}

/* Run, close, judge, report. */
static int
ivshmem_main_run(const struct ivshmem_options *opt, struct ivshmem_port *port, FILE *out)
{
	struct ivshmem_verdict verdict;
	struct ivshmem_run run;
	int status = IVSHMEM_EXIT_SETUP;

	if (ivshmem_run_create(&run, opt, port) != 0) {
		ivshmem_port_close(port);
		goto out_release;
	}
	ivshmem_run_execute(&run);
	ivshmem_port_close(port);
	if (ivshmem_verdict_create(&verdict, &run) != 0) {
		fprintf(stderr, "ivshmem-traffic: no memory for the report\n");
		goto out_release;
	}
	if (opt->json != 0)
		ivshmem_report_json(out, &run, &verdict);
	else
		ivshmem_report_text(out, &run, &verdict);
	fflush(out);
	if (!verdict.is_passed)
		ivshmem_report_faults(stderr, &run, &verdict);
	status = verdict.is_passed ? IVSHMEM_EXIT_CLEAN : IVSHMEM_EXIT_BAD;
	ivshmem_verdict_release(&verdict);
out_release:
	ivshmem_run_release(&run);
	return status;
}

int
main(int argc, char **argv)
{
	struct ivshmem_options opt;
	struct ivshmem_port port;
	int status = IVSHMEM_EXIT_SETUP;
	FILE *out;
	int ret;

	ret = ivshmem_main_parse(argc, argv, &opt);
	if (ret != 0)
		return ret > 0 ? IVSHMEM_EXIT_CLEAN : IVSHMEM_EXIT_SETUP;
	out = ivshmem_main_take_stdout();
	if (out == NULL) {
		perror("ivshmem-traffic: standard output");
		return IVSHMEM_EXIT_SETUP;
	}
	ivshmem_frame_init();
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "ivshmem-traffic: EAL does not start: %s\n",
			rte_strerror(rte_errno));
		return IVSHMEM_EXIT_SETUP;
	}
	ivshmem_run_catch_signals();
	if (ivshmem_port_open(&port, &opt) == 0)
		status = ivshmem_main_run(&opt, &port, out);
	else
		ivshmem_port_close(&port);
	ivshmem_port_release(&port);
	rte_eal_cleanup();
	return status;
}
