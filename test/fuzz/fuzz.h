/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the fuzz targets share: an input is read as a list of choices and values, and a promise that
 * does not hold ends the process with words.
 *
 * An input that is too short goes on as zeros, so every input means something.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUZZ_FDS 256	/* the numbers that are looked at for leaks */

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

__attribute__((format(printf, 1, 2), noreturn))
static inline void
fuzz_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "\nfuzz: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

/* A promise of the code under test, or of the machine. */
#define FUZZ_CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "\n%s:%d: not true: %s\n", __FILE__, __LINE__, \
				#condition); \
			fuzz_die(__VA_ARGS__); \
		} \
	} while (0)

static inline struct fuzz_input
fuzz_open(const uint8_t *data, size_t size)
{
	return (struct fuzz_input){ .at = data, .left = size };
}

static inline uint64_t
fuzz_bytes(struct fuzz_input *in, size_t cnt)
{
	uint64_t value = 0;

	if (cnt > in->left)
		cnt = in->left;
	for (size_t i = 0; i < cnt; i++)
		value |= (uint64_t)in->at[i] << 8 * i;
	in->at += cnt;
	in->left -= cnt;
	return value;
}

static inline uint8_t
fuzz_u8(struct fuzz_input *in)
{
	return fuzz_bytes(in, 1);
}

/* One of cnt choices, 1..256. */
static inline uint32_t
fuzz_pick(struct fuzz_input *in, uint32_t cnt)
{
	return fuzz_u8(in) % cnt;
}

/* A value that is likely to be a bound of something, near one, or anything. */
static inline uint64_t
fuzz_value(struct fuzz_input *in, uint64_t now)
{
	const uint32_t kind = fuzz_u8(in);
	const uint64_t power = UINT64_C(1) << (kind & 63);

	switch (kind >> 6) {
	case 0:
		return now + (kind & 63) - 32;
	case 1:
		return power;
	case 2:
		return (kind & 1) != 0 ? power - 1 : now ^ power;
	default:
		return fuzz_bytes(in, 1 + (kind & 7));
	}
}

/* -- open files -- */

static struct pollfd fuzz_fds[FUZZ_FDS];

/* The first from fd on that is open and was not when the first input ran, or -1. */
static inline int
fuzz_fds_open(int fd)
{
	for (; fd < FUZZ_FDS; fd++)
		if (fuzz_fds[fd].fd >= 0 && (fuzz_fds[fd].revents & POLLNVAL) == 0)
			return fd;
	return -1;
}

/* Before each input: the first time it notes what is open, when libFuzzer has what it needs. */
static inline void
fuzz_fds_note(void)
{
	if (fuzz_fds[1].fd != 0)
		return;
	for (int i = 0; i < FUZZ_FDS; i++)
		fuzz_fds[i].fd = i;
	poll(fuzz_fds, FUZZ_FDS, 0);
	for (int fd = fuzz_fds_open(0); fd >= 0; fd = fuzz_fds_open(fd + 1))
		fuzz_fds[fd].fd = -1;
}

/* After each input. Pipes lead to the sanitizers' symbolizer; what is tested makes none. */
static inline void
fuzz_fds_check(void)
{
	struct stat info;
	char name[64];
	char what[256] = "";

	poll(fuzz_fds, FUZZ_FDS, 0);
	for (int fd = fuzz_fds_open(0); fd >= 0; fd = fuzz_fds_open(fd + 1)) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		(void)!readlink(name, what, sizeof(what) - 1);
		FUZZ_CHECK(fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode),
			   "fd %d was left open: %s", fd, what);
		fuzz_fds[fd].fd = -1;
	}
}

/* The lowest number that is free, so the next that is given. */
static inline int
fuzz_fds_next(void)
{
	for (int i = 0; i < FUZZ_FDS; i++)
		if (fuzz_fds[i].fd >= 0)
			return i;
	return FUZZ_FDS;
}

#endif /* FUZZ_H */
