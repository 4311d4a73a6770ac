/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The report as text, and the lines that say what is wrong.
 */

#include <inttypes.h>

#include "report.h"

static void
ivshmem_report_bad(FILE *out, const struct ivshmem_bad *bad, uint16_t rx_queue)
{
	fprintf(out, "first bad frame: %s on Rx queue %u: ", ivshmem_counter_names[bad->kind],
		rx_queue);
	if (bad->known)
		fprintf(out, "source %u queue %u run 0x%08" PRIx32 " seq %" PRIu64 " len %" PRIu32
			" (pkt_len %" PRIu32 "): ", bad->source, bad->queue, bad->run, bad->seq,
			bad->length, bad->pkt_len);
	else
		fprintf(out, "pkt_len %" PRIu32 ": ", bad->pkt_len);
	fprintf(out, "%s", bad->what);
	if (bad->off != 0)
		fprintf(out, " at offset %" PRIu32, bad->off);
	if (bad->kind == IVSHMEM_COUNTER_CORRUPTED || bad->kind == IVSHMEM_COUNTER_FOREIGN ||
	    bad->kind == IVSHMEM_COUNTER_STALE)
		fprintf(out, ": expected 0x%02" PRIx64 ", got 0x%02" PRIx64 "\n",
			bad->want, bad->have);
	else
		fprintf(out, ": expected %" PRIu64 ", got %" PRIu64 "\n", bad->want, bad->have);
}

/* Where the first missing frames of a stream are; the gap may have been filled since. */
static void
ivshmem_report_gap(FILE *out, const struct ivshmem_stream *stream, bool tail)
{
	fprintf(out, "first gap: source %u queue %u run 0x%08" PRIx32 ": ", stream->source,
		stream->queue, stream->run);
	if (stream->gap_cnt != 0)
		fprintf(out, "seq %" PRIu64 " to %" PRIu64 " did not come in their place\n",
			stream->gap_seq, stream->gap_seq + stream->gap_cnt - 1);
	else
		fprintf(out, "nothing after seq %" PRIu64 " of %" PRIu64 "%s\n",
			stream->next - 1, stream->total, tail ? "" : " (not counted)");
}

void
ivshmem_report_faults(FILE *out, const struct ivshmem_run *run,
		      const struct ivshmem_verdict *verdict)
{
	const struct ivshmem_expect *expect = run->opt->expect;
	bool tail = run->opt->tail != 0;

	if (run->error[0] != '\0')
		fprintf(out, "ivshmem-traffic: %s\n", run->error);
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++) {
		if (!verdict->is_wrong[i])
			continue;
		fprintf(out, "ivshmem-traffic: %s: %" PRIu64 ", expected ",
			ivshmem_counter_names[i], verdict->counter[i]);
		if (expect[i].max == UINT64_MAX)
			fprintf(out, "at least %" PRIu64 "\n", expect[i].min);
		else if (expect[i].max > expect[i].min)
			fprintf(out, "%" PRIu64 " to %" PRIu64 "\n", expect[i].min, expect[i].max);
		else
			fprintf(out, "%" PRIu64 "\n", expect[i].min);
	}
	if (verdict->first_bad != NULL)
		ivshmem_report_bad(out, verdict->first_bad, verdict->first_bad_queue);
	for (uint32_t i = 0; i < verdict->stream_cnt; i++) {
		if (ivshmem_stream_lost(verdict->streams[i], tail) != 0) {
			ivshmem_report_gap(out, verdict->streams[i], tail);
			break;
		}
	}
}

static void
ivshmem_report_rate(FILE *out, const char *what, const struct ivshmem_rate *rate)
{
	double seconds = rate->seconds > 0 ? rate->seconds : 1;

	if (rate->frames == 0)
		return;
	fprintf(out, "%-9s %" PRIu64 " frames, %" PRIu64
		" bytes in %.3f s: %.3f Mpps, %.3f Gbit/s\n", what, rate->frames, rate->bytes,
		rate->seconds,
		(double)rate->frames / seconds / 1e6, (double)rate->bytes * 8 / seconds / 1e9);
}

static void
ivshmem_report_streams(FILE *out, const struct ivshmem_verdict *verdict, bool tail)
{
	for (uint32_t i = 0; i < verdict->stream_cnt; i++) {
		const struct ivshmem_stream *stream = verdict->streams[i];

		fprintf(out, "stream    source %u queue %u run 0x%08" PRIx32 ": received %" PRIu64
			" corrupted %" PRIu64 " lost %" PRIu64 " duplicated %" PRIu64
			" reordered %" PRIu64 " truncated %" PRIu64 " overlong %" PRIu64
			" late %" PRIu64 " stale %" PRIu64 "\n", stream->source, stream->queue,
			stream->run, stream->received, stream->corrupted,
			ivshmem_stream_lost(stream, tail), stream->duplicated, stream->reordered,
			stream->truncated, stream->overlong, stream->late, stream->stale);
	}
}

static void
ivshmem_report_injected(FILE *out, const struct ivshmem_run *run,
			const struct ivshmem_verdict *verdict)
{
	char comma = ' ';

	if (run->opt->inject.sum == 0)
		return;
	for (uint16_t i = 0; i < run->queue_cnt; i++)
		ivshmem_inject_print(out, &run->queues[i]->gen.plan, i);
	fprintf(out, "injected: on a clean wire this passes: --expect");
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++) {
		if (verdict->injected[i] == 0)
			continue;
		fprintf(out, "%c%s=%" PRIu64, comma, ivshmem_counter_names[i],
			verdict->injected[i]);
		comma = ',';
	}
	fputc('\n', out);
}

void
ivshmem_report_text(FILE *out, const struct ivshmem_run *run,
		    const struct ivshmem_verdict *verdict)
{
	const struct ivshmem_histogram *rtt = &verdict->ping.rtt;

	fprintf(out, "ivshmem-traffic %s, port %u %s (%s), %u queues, run 0x%08" PRIx64 ", seed %"
		PRIu64 ", ended by %s\n", ivshmem_role_name(run->opt->role), run->port->id,
		run->port->name, run->port->driver, run->queue_cnt, run->opt->run, run->opt->seed,
		run->ended);
	ivshmem_report_rate(out, "sent", &verdict->tx);
	ivshmem_report_rate(out, "received", &verdict->rx);
	ivshmem_report_injected(out, run, verdict);
	ivshmem_report_streams(out, verdict, run->opt->tail != 0);
	if (run->opt->role == IVSHMEM_ROLE_PING)
		fprintf(out, "round trip %" PRIu64 " rounds, %" PRIu64 " returned, %" PRIu64
			" lost, %" PRIu64 " overdue, ns: min %" PRIu64 " p50 %" PRIu64
			" p99 %" PRIu64 " p99.9 %" PRIu64 " max %" PRIu64 "\n",
			verdict->ping.rounds, verdict->ping.returned, verdict->ping.lost,
			verdict->ping.overdue, rtt->min,
			ivshmem_histogram_at(rtt, 500), ivshmem_histogram_at(rtt, 990),
			ivshmem_histogram_at(rtt, 999), rtt->max);
	fprintf(out, "totals   ");
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++)
		fprintf(out, " %s %" PRIu64, ivshmem_counter_names[i], verdict->counter[i]);
	fprintf(out, "\n%s\n", verdict->is_passed ? "PASS" : "FAIL");
}
