/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Log lines: "ivshmem-server: error: ..." from a command, "2026-01-31 12:00:00.123 ..." from a
 * running server, syslog from a daemon.
 *
 * Threads: one.
 */

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "log.h"

static enum ivshmem_log_level log_limit = IVSHMEM_LOG_INFO;
static bool log_stamped;
static bool log_syslog;

void
ivshmem_log_limit(enum ivshmem_log_level level)
{
	log_limit = level;
}

void
ivshmem_log_stamp(void)
{
	log_stamped = true;
}

void
ivshmem_log_to_syslog(void)
{
	openlog("ivshmem-server", LOG_PID, LOG_DAEMON);
	log_syslog = true;
}

static void
ivshmem_log_prefix(void)
{
	char text[32] = "";
	struct timespec now;
	struct tm local;

	if (!log_stamped) {
		fputs("ivshmem-server: ", stderr);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &local) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
	fprintf(stderr, "%s.%03ld ", text, now.tv_nsec / 1000000);
}

void
ivshmem_log(enum ivshmem_log_level level, const char *format, ...)
{
	static const int priorities[] = {
		[IVSHMEM_LOG_ERROR] = LOG_ERR,
		[IVSHMEM_LOG_INFO] = LOG_INFO,
		[IVSHMEM_LOG_DEBUG] = LOG_DEBUG,
	};
	va_list args;

	if (level > log_limit)
		return;
	va_start(args, format);
	if (log_syslog) {
		vsyslog(priorities[level], format, args);
	} else {
		flockfile(stderr);
		ivshmem_log_prefix();
		if (level == IVSHMEM_LOG_ERROR)
			fputs("error: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
		funlockfile(stderr);
	}
	va_end(args);
}
