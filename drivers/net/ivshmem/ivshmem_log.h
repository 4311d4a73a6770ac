/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The driver's log type, pmd.net.ivshmem.
 *
 * ERR: the user must act. WARNING: works, but less well. NOTICE, INFO: once an attach or event.
 * DEBUG: the rest. The bursts never log.
 */

#ifndef IVSHMEM_LOG_H
#define IVSHMEM_LOG_H

#include <rte_log.h>

extern int ivshmem_logtype;
#define RTE_LOGTYPE_IVSHMEM ivshmem_logtype

#define IVSHMEM_LOG(level, ...) \
	RTE_LOG_LINE_PREFIX(level, IVSHMEM, "%s", "ivshmem: ", __VA_ARGS__)

#endif /* IVSHMEM_LOG_H */
