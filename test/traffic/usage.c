/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * --help: the manual of ivshmem-traffic.
 */

#include <string.h>

#include "counter.h"
#include "usage.h"

static const char ivshmem_usage_head[] =
"ivshmem-traffic: sends, judges, returns and times test frames on any ethdev port.\n"
"\n"
"Usage: ivshmem-traffic [EAL options] -- --role ROLE [options]\n"
"\n"
"Every byte of a frame follows from its header, so a sink knows what a frame must hold\n"
"without being told.  A stream is one (source, queue, run); a generator that is started\n"
"anew draws a new run, and the sink takes that as a new stream, not as loss.\n"
"\n"
"Options (defaults in brackets, seconds may have a fraction)\n";

static const char ivshmem_usage_tail[] =
"\n"
"lost        is what is missing below the highest sequence seen, plus what the source\n"
"            announced beyond it (--tail off leaves that out).  late frames are also lost.\n"
"truncated   and overlong compare a frame with the length in its header; badmbuf is a wrong\n"
"            pkt_len, nb_segs, next or refcnt.\n"
"stale       is a frame of an old run after a newer run of the same source and queue began.\n"
"leaked      is what the mbuf pool lacks after the port was stopped and closed.\n"
"By default dropped, misqueued and streams may be anything, a role that sends must have sent\n"
"and one that judges must have received something (sink with --count: count x queues), and\n"
"all others must be 0.\n"
"\n"
"Lcores: the main lcore controls, the others share the queues; with one lcore (-l 0) the\n"
"main lcore does all.  Both --lcores 0@0,1@0 and -l 0,1 work.\n"
"SIGINT and SIGTERM end a run cleanly, with its report; a generator marks its last frame.\n"
"\n"
"Exit status: 0 clean, 1 the verdict is bad (stderr names the first bad frame), 2 usage or\n"
"set-up error.\n"
"\n"
"Examples\n"
"  self test:  ivshmem-traffic -l 0 --no-pci --no-huge -m 64 --vdev net_ring0 -- \\\n"
"                --role gensink --count 100000 --sizes imix --idle 0.2\n"
"  receiver:   ivshmem-traffic -l 0 --no-pci --vdev net_memif0,role=server -- \\\n"
"                --role sink --count 1000000 --json\n"
"  sender:     ivshmem-traffic -l 1 --no-pci --file-prefix b --vdev net_memif0 -- \\\n"
"                --role gen --count 1000000 --sizes 60-1514\n"
"  round trip: the same pair with --role echo and --role ping\n";

static void
ivshmem_usage_option(FILE *out, const struct ivshmem_option *option)
{
	const char *help = option->help;
	const char *arg = option->arg;
	char left[48];

	if (arg == NULL)
		arg = option->kind == IVSHMEM_OPTION_NUMBER ? "N" :
		      option->kind == IVSHMEM_OPTION_SECONDS ? "SEC" : "";
	snprintf(left, sizeof(left), "--%s %s", option->name, arg + strspn(arg, "|"));
	fprintf(out, "  %-24s ", left);
	if (strlen(left) > 24)
		fprintf(out, "\n%27s", "");
	for (; *help != '\0'; help++) {
		fputc(*help, out);
		if (*help == '\n')
			fprintf(out, "%27s", "");
	}
	fputc('\n', out);
}

void
ivshmem_usage(FILE *out)
{
	fputs(ivshmem_usage_head, out);
	for (size_t i = 0; i < ivshmem_option_cnt; i++)
		ivshmem_usage_option(out, &ivshmem_option_table[i]);
	fputs("\nCounters of --expect:", out);
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++)
		fprintf(out, "%s%s", i % 8 == 0 ? "\n  " : " ", ivshmem_counter_names[i]);
	fputc('\n', out);
	fputs(ivshmem_usage_tail, out);
}
