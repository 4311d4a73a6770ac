/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * RTE_LOG_LINE_PREFIX and friends for DPDK releases before 24.11.
 *
 * Force-included by drivers/meson.build when <rte_log.h> lacks the macro, so that the driver
 * itself is written to the newest API. One call is one line: prefix, text, newline.
 */

#ifndef COMPAT_LOG_LINE_PREFIX_H
#define COMPAT_LOG_LINE_PREFIX_H

#include <assert.h>

#include <rte_common.h>
#include <rte_log.h>

/* Lets one macro argument carry several prefix arguments: __func__ RTE_LOG_COMMA __LINE__. */
#ifndef RTE_LOG_COMMA
#define RTE_LOG_COMMA ,
#endif

/*
 * RTE_FMT() ends the format with "%.0s" and the arguments with "", which makes a format without
 * arguments legal; the newline must therefore be part of the format handed to it. The text
 * brings no newline of its own: the assert refuses one, where the compiler takes the search in a
 * literal for a constant; clang does not.
 */
#ifndef __clang__
#define COMPAT_LOG_NO_NEWLINE(format) \
	static_assert(!__builtin_strchr(format, '\n'), \
		"a log line ends by itself: remove the newline")
#else
#define COMPAT_LOG_NO_NEWLINE(format) RTE_SET_USED(format)
#endif

#define RTE_LOG_LINE_PREFIX(level, type, prefix, args, ...) do { \
	COMPAT_LOG_NO_NEWLINE(RTE_FMT_HEAD(__VA_ARGS__ ,)); \
	RTE_LOG(level, type, RTE_FMT(prefix RTE_FMT_HEAD(__VA_ARGS__ ,) "\n", \
		args RTE_LOG_COMMA RTE_FMT_TAIL(__VA_ARGS__ ,))); \
} while (0)

#ifndef RTE_LOG_LINE
#define RTE_LOG_LINE(level, type, ...) \
	RTE_LOG_LINE_PREFIX(level, type, "%s", "", __VA_ARGS__)
#endif

#endif /* COMPAT_LOG_LINE_PREFIX_H */
