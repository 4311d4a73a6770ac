/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Small static program for test guests: what busybox cannot do.
 *
 *   vmtool exit VALUE                     end QEMU through isa-debug-exit
 *   vmtool get FILE OFFSET                print the 32-bit word of a BAR
 *   vmtool put FILE OFFSET VALUE          store a word
 *   vmtool wait FILE OFFSET VALUE SECONDS wait until the word has the value
 *   vmtool naps COUNT MS                  time out so often; print the CPU seconds that cost
 *   vmtool lines ID                       pass stdin on, each line behind "ID o "
 *
 * lines: an unfinished line is shown behind "ID p " when no more comes, so that
 * the host sees prompts; RS and a number at the end of a line are the status of
 * the job, passed on as "ID x STATUS". Each line leaves in one write, so that
 * several jobs can share the serial line.
 *
 * FILE is a sysfs resource file (or any file that can be mapped); numbers in
 * C notation. Exit status 0, 1 when a wait ran out, 2 for everything else.
 *
 * Trust: a word of the BAR is only compared and printed.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXIT_PORT 0xf4
#define POLL_NS 1000000
#define LINE_MAX_LEN 3900
#define PROMPT_MS 20
enum { STATUS_MARK = '\036' };

static int
number_parse(const char *text, const char *what, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0') {
		fprintf(stderr, "vmtool: %s '%s' is no number\n", what, text);
		return -1;
	}
	return 0;
}

static int
vm_exit(const char *text)
{
	uint64_t value;

	if (number_parse(text, "exit value", &value) != 0)
		return 2;
	if (ioperm(EXIT_PORT, 1, 1) != 0) {
		fprintf(stderr, "vmtool: ioperm: %s\n", strerror(errno));
		return 2;
	}
	outb((uint8_t)value, EXIT_PORT);
	sleep(1);
	fprintf(stderr, "vmtool: still alive: QEMU has no isa-debug-exit at 0x%x\n", EXIT_PORT);
	return 2;
}

/* Maps the page that holds the word at `offset`; it stays mapped until exit. */
static _Atomic uint32_t *
word_map(const char *path, uint64_t offset)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat info;
	void *base;
	int fd;

	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0 || fstat(fd, &info) != 0) {
		fprintf(stderr, "vmtool: %s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (offset % 4 != 0 || offset >= (uint64_t)info.st_size) {
		fprintf(stderr,
			"vmtool: offset %#llx is unaligned or beyond the %lld bytes of %s\n",
			(unsigned long long)offset, (long long)info.st_size, path);
		return NULL;
	}
	base = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		(off_t)(offset & ~(page - 1)));
	if (base == MAP_FAILED) {
		fprintf(stderr, "vmtool: cannot map %s: %s\n", path, strerror(errno));
		return NULL;
	}
	close(fd);
	return (_Atomic uint32_t *)((char *)base + (offset & (page - 1)));
}

static int
word_wait(_Atomic uint32_t *word, uint32_t value, uint64_t seconds)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct timespec now, end;
	uint32_t seen;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)seconds;
	do {
		seen = atomic_load(word);
		if (seen == value)
			return 0;
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	fprintf(stderr, "vmtool: the word is %#x, not %#x, after %llu s\n", seen, value,
		(unsigned long long)seconds);
	return 1;
}

/* What bare time-outs cost on this machine. */
static int
naps_take(const char *count_text, const char *ms_text)
{
	struct timespec cpu;
	uint64_t count, ms;

	if (number_parse(count_text, "count", &count) != 0 ||
	    number_parse(ms_text, "time", &ms) != 0)
		return 2;
	for (uint64_t i = 0; i < count; i++)
		poll(NULL, 0, (int)ms);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%.3f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
	return 0;
}

static int
line_put(const char *id, char kind, const char *text, size_t len)
{
	char out[LINE_MAX_LEN + 64];
	int head;

	head = snprintf(out, sizeof(out) - LINE_MAX_LEN - 1, "%.16s %c ", id, kind);
	memcpy(out + head, text, len);
	out[head + len] = '\n';
	return write(STDOUT_FILENO, out, head + len + 1) < 0 ? -1 : 0;
}

/* One whole line: output, a status, or output with a status behind it. */
static int
line_end(const char *id, const char *text, size_t len)
{
	const char *mark = memrchr(text, STATUS_MARK, len);
	size_t before;

	if (mark == NULL)
		return line_put(id, 'o', text, len);
	before = (size_t)(mark - text);
	if (before > 0 && line_put(id, 'o', text, before) != 0)
		return -1;
	return line_put(id, 'x', mark + 1, len - before - 1);
}

static int
lines_pass(const char *id)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	static char line[LINE_MAX_LEN], data[65536];
	size_t len = 0, shown = 0;
	ssize_t got;

	for (;;) {
		if (len != shown && poll(&input, 1, PROMPT_MS) == 0) {
			line_put(id, 'p', line, len);
			shown = len;
		}
		got = read(STDIN_FILENO, data, sizeof(data));
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++) {
			if (data[i] != '\n')
				line[len++] = data[i];
			if (data[i] != '\n' && len < sizeof(line))
				continue;
			if (line_end(id, line, len) != 0)
				return 2;
			len = shown = 0;
		}
	}
	if (len > 0)
		line_end(id, line, len);
	return 0;
}

static int
help_print(void)
{
	fprintf(stderr, "usage: vmtool exit VALUE | get FILE OFFSET | put FILE OFFSET VALUE | "
		"wait FILE OFFSET VALUE SECONDS | naps COUNT MS | lines ID\n");
	return 2;
}

int
main(int argc, char **argv)
{
	uint64_t offset, value = 0, seconds = 0;
	_Atomic uint32_t *word;

	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return vm_exit(argv[2]);
	if (argc == 3 && strcmp(argv[1], "lines") == 0)
		return lines_pass(argv[2]);
	if (argc == 4 && strcmp(argv[1], "naps") == 0)
		return naps_take(argv[2], argv[3]);
	if (argc < 4 || number_parse(argv[3], "offset", &offset) != 0)
		return help_print();
	if (argc >= 5 && number_parse(argv[4], "value", &value) != 0)
		return 2;
	if (argc >= 6 && number_parse(argv[5], "time", &seconds) != 0)
		return 2;
	if (value > UINT32_MAX) {
		fprintf(stderr, "vmtool: value %s does not fit 32 bits\n", argv[4]);
		return 2;
	}
	word = word_map(argv[2], offset);
	if (word == NULL)
		return 2;
	if (argc == 4 && strcmp(argv[1], "get") == 0) {
		printf("0x%08x\n", atomic_load(word));
		return 0;
	}
	if (argc == 5 && strcmp(argv[1], "put") == 0) {
		atomic_store(word, (uint32_t)value);
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "wait") == 0)
		return word_wait(word, (uint32_t)value, seconds);
	return help_print();
}
