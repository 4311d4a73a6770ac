/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Programs that a test drives by lines on their standard input.
 *
 * A line is a command and its arguments, apart by blanks; "-" is an empty argument. Each is
 * answered by one line that starts with "reply: ", so that it is found between what libraries log.
 * A command returns 0, or a negative errno that ends up in the reply; it prints its results with
 * ivshmem_say() as key=value. "quit" is the last command, whatever else it does.
 */

#ifndef IVSHMEM_TEST_COMMAND_H
#define IVSHMEM_TEST_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_ARGS_MAX 24

struct ivshmem_command {
	const char *name;
	int args_min;
	int (*run)(int argc, char **argv);	/* argv[0] is the first argument */
};

/* Add "key=value" to the reply. */
void ivshmem_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Decimal, or hexadecimal after 0x. */
uint64_t ivshmem_number(const char *text);

/* Run a line; the table ends with a NULL name. Returns false when it was "quit". */
bool ivshmem_command_run(const struct ivshmem_command *table, char *line);

#endif /* IVSHMEM_TEST_COMMAND_H */
