/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the server tells its operator: one line each, to stderr, later maybe to syslog.
 */

#ifndef IVSHMEM_SERVER_LOG_H
#define IVSHMEM_SERVER_LOG_H

#include <stdbool.h>

enum ivshmem_log_level {
	IVSHMEM_LOG_ERROR,	/* the operator must act */
	IVSHMEM_LOG_INFO,	/* once per start, attach, detach */
	IVSHMEM_LOG_DEBUG,	/* -v */
};

/* Lines above this level are not printed. The default is IVSHMEM_LOG_INFO. */
void ivshmem_log_limit(enum ivshmem_log_level level);

/* From now on lines carry the time: a server runs, where before a command failed. */
void ivshmem_log_stamp(void);

/* From now on lines go to syslog: nobody reads a daemon's stderr. */
void ivshmem_log_to_syslog(void);

void ivshmem_log(enum ivshmem_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* IVSHMEM_SERVER_LOG_H */
