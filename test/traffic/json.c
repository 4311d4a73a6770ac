/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The report as one JSON object.  Keys keep their names and meanings; new ones may be added.
 */

#include <inttypes.h>

#include "report.h"

static void
ivshmem_json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void
ivshmem_json_rate(FILE *out, const char *key, const struct ivshmem_rate *rate)
{
	double seconds = rate->seconds;

	fprintf(out, "\"%s\":{\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,"
		"\"pps\":%.0f,\"bps\":%.0f},", key, rate->frames, rate->bytes, seconds,
		seconds > 0 ? (double)rate->frames / seconds : 0,
		seconds > 0 ? (double)rate->bytes * 8 / seconds : 0);
}

static void
ivshmem_json_counters(FILE *out, const char *key, const uint64_t *counter)
{
	fprintf(out, "\"%s\":{", key);
	for (int i = 0; i < IVSHMEM_COUNTER_CNT; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", ivshmem_counter_names[i],
			counter[i]);
	fprintf(out, "},");
}

static void
ivshmem_json_streams(FILE *out, const struct ivshmem_verdict *verdict, bool tail)
{
	fprintf(out, "\"streams\":[");
	for (uint32_t i = 0; i < verdict->stream_cnt; i++) {
		const struct ivshmem_stream *stream = verdict->streams[i];

		fprintf(out, "%s{\"source\":%u,\"queue\":%u,\"run\":%" PRIu32 ",\"seed\":%" PRIu32
			",\"rx_queue\":%u,\"superseded\":%s,\"first_seq\":%" PRIu64
			",\"next_seq\":%" PRIu64 ",\"total\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"received\":%" PRIu64 ",\"corrupted\":%" PRIu64 ",\"lost\":%" PRIu64
			",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64
			",\"truncated\":%" PRIu64 ",\"overlong\":%" PRIu64 ",\"late\":%" PRIu64
			",\"stale\":%" PRIu64 "}", i == 0 ? "" : ",", stream->source, stream->queue,
			stream->run, stream->seed, stream->rx_queue,
			stream->superseded ? "true" : "false", stream->base, stream->next,
			stream->total, stream->bytes, stream->received, stream->corrupted,
			ivshmem_stream_lost(stream, tail), stream->duplicated, stream->reordered,
			stream->truncated, stream->overlong, stream->late, stream->stale);
	}
	fprintf(out, "],");
}

static void
ivshmem_json_first_bad(FILE *out, const struct ivshmem_verdict *verdict)
{
	const struct ivshmem_bad *bad = verdict->first_bad;

	if (bad == NULL) {
		fprintf(out, "\"first_bad\":null,");
		return;
	}
	fprintf(out, "\"first_bad\":{\"kind\":\"%s\",\"what\":", ivshmem_counter_names[bad->kind]);
	ivshmem_json_string(out, bad->what);
	fprintf(out, ",\"rx_queue\":%u,\"pkt_len\":%" PRIu32 ",\"offset\":%" PRIu32
		",\"expected\":%" PRIu64 ",\"got\":%" PRIu64, verdict->first_bad_queue,
		bad->pkt_len, bad->off, bad->want, bad->have);
	if (bad->known)
		fprintf(out, ",\"source\":%u,\"queue\":%u,\"run\":%" PRIu32 ",\"seq\":%" PRIu64
			",\"len\":%" PRIu32, bad->source, bad->queue, bad->run, bad->seq,
			bad->length);
	fprintf(out, "},");
}

static void
ivshmem_json_ping(FILE *out, const struct ivshmem_verdict *verdict)
{
	const struct ivshmem_histogram *rtt = &verdict->ping.rtt;

	fprintf(out, "\"ping\":{\"rounds\":%" PRIu64 ",\"returned\":%" PRIu64 ",\"lost\":%" PRIu64
		",\"overdue\":%" PRIu64 ",\"rtt_ns\":{\"min\":%" PRIu64 ",\"mean\":%" PRIu64
		",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p99_9\":%" PRIu64 ",\"max\":%" PRIu64
		"}},", verdict->ping.rounds, verdict->ping.returned, verdict->ping.lost,
		verdict->ping.overdue, rtt->min, rtt->cnt == 0 ? 0 : rtt->sum / rtt->cnt,
		ivshmem_histogram_at(rtt, 500), ivshmem_histogram_at(rtt, 990),
		ivshmem_histogram_at(rtt, 999), rtt->max);
}

static void
ivshmem_json_injections(FILE *out, const struct ivshmem_run *run)
{
	const char *comma = "";

	fprintf(out, "\"injections\":[");
	for (uint16_t i = 0; i < run->queue_cnt; i++) {
		const struct ivshmem_inject_plan *plan = &run->queues[i]->gen.plan;

		for (uint32_t j = 0; j < plan->cnt; j++) {
			const struct ivshmem_inject_step *step = &plan->steps[j];

			if (!step->done)
				continue;
			fprintf(out, "%s{\"kind\":\"%s\",\"queue\":%u,\"run\":%" PRIu32
				",\"seq\":%" PRIu64 ",\"detail\":%" PRIu32 "}", comma,
				ivshmem_fault_names[step->fault], i, step->run, step->seq,
				step->detail);
			comma = ",";
		}
	}
	fprintf(out, "],");
}

static void
ivshmem_json_port(FILE *out, const struct ivshmem_port *port)
{
	const struct rte_eth_stats *stats = &port->stats;
	const char *comma = "";

	fprintf(out, "\"port\":{\"id\":%u,\"name\":", port->id);
	ivshmem_json_string(out, port->name);
	fprintf(out, ",\"driver\":");
	ivshmem_json_string(out, port->driver);
	fprintf(out, ",\"mtu\":%u,\"rx_desc\":%u,\"tx_desc\":%u,\"stats\":{\"ipackets\":%" PRIu64
		",\"opackets\":%" PRIu64 ",\"ibytes\":%" PRIu64 ",\"obytes\":%" PRIu64
		",\"imissed\":%" PRIu64 ",\"ierrors\":%" PRIu64 ",\"oerrors\":%" PRIu64
		",\"rx_nombuf\":%" PRIu64 "},\"xstats\":{", port->mtu, port->rx_desc, port->tx_desc,
		stats->ipackets, stats->opackets, stats->ibytes, stats->obytes, stats->imissed,
		stats->ierrors, stats->oerrors, stats->rx_nombuf);
	for (int i = 0; i < port->xstat_cnt; i++) {
		const struct rte_eth_xstat *xstat = &port->xstats[i];

		if (xstat->value == 0 || xstat->id >= (uint64_t)port->xstat_cnt)
			continue;
		fputs(comma, out);
		ivshmem_json_string(out, port->xstat_names[xstat->id].name);
		fprintf(out, ":%" PRIu64, xstat->value);
		comma = ",";
	}
	fprintf(out, "}},");
}

void
ivshmem_report_json(FILE *out, const struct ivshmem_run *run,
		    const struct ivshmem_verdict *verdict)
{
	fprintf(out, "{\"role\":\"%s\",\"result\":\"%s\",\"ended\":\"%s\",\"error\":",
		ivshmem_role_name(run->opt->role), verdict->is_passed ? "pass" : "fail",
		run->ended);
	ivshmem_json_string(out, run->error);
	fprintf(out, ",\"queues\":%u,\"source\":%" PRIu64 ",\"run\":%" PRIu64 ",\"seed\":%" PRIu64
		",\"seconds\":%.6f,", run->queue_cnt, run->opt->source, run->opt->run,
		run->opt->seed, (double)(run->end_tsc - run->start_tsc) / (double)run->hz);
	ivshmem_json_port(out, run->port);
	ivshmem_json_rate(out, "tx", &verdict->tx);
	ivshmem_json_rate(out, "rx", &verdict->rx);
	ivshmem_json_counters(out, "totals", verdict->counter);
	ivshmem_json_counters(out, "injected", verdict->injected);
	ivshmem_json_injections(out, run);
	ivshmem_json_streams(out, verdict, run->opt->tail != 0);
	if (run->opt->role == IVSHMEM_ROLE_PING)
		ivshmem_json_ping(out, verdict);
	ivshmem_json_first_bad(out, verdict);
	fprintf(out, "\"exit\":%d}\n", verdict->is_passed ? 0 : 1);
}
