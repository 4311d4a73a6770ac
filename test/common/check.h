/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Checks of a test program: each failure is one line with place and values, main() ends with
 * return check_exit(). A check returns whether it held; the counts may be used by any thread.
 */

#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHECK_PRINT_MAX 20	/* failures that are printed; all are counted */

static _Atomic unsigned int check_done;
static _Atomic unsigned int check_failed;

__attribute__((format(printf, 4, 5)))
static inline bool
check_that(bool holds, const char *file, int line, const char *format, ...)
{
	va_list args;

	check_done++;
	if (holds)
		return true;
	if (check_failed++ < CHECK_PRINT_MAX) {
		va_start(args, format);
		printf("%s:%d: ", file, line);
		vprintf(format, args);
		putchar('\n');
		va_end(args);
	}
	return false;
}

#define CHECK(condition) CHECK_MSG(condition, "not true: %s", #condition)

/* With words of the caller's, printed only on failure. */
#define CHECK_MSG(condition, ...) check_that(condition, __FILE__, __LINE__, __VA_ARGS__)

/* Two integers, compared in 64 bit, sign-extended. */
#define CHECK_EQ(got, want) \
	check_eq((uint64_t)(got), (uint64_t)(want), #got, #want, __FILE__, __LINE__)

/* The text has the word in it. */
#define CHECK_HAS(text, word) \
	CHECK_MSG(strstr(text, word) != NULL, "no \"%s\" in \"%s\"", word, text)

static inline bool
check_eq(uint64_t got, uint64_t want, const char *what, const char *wanted, const char *file,
	 int line)
{
	return check_that(got == want, file, line, "%s is %" PRId64 " (0x%" PRIx64 "), not %s = %"
			  PRId64 " (0x%" PRIx64 ")", what, (int64_t)got, got, wanted,
			  (int64_t)want, want);
}

static inline int
check_exit(void)
{
	printf("%u checks, %u failed\n", check_done, check_failed);
	return check_failed == 0 && check_done > 0 ? 0 : 1;
}

#endif /* CHECK_H */
