/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The shape of the option table (options.c), from which --help is printed.
 */

#ifndef IVSHMEM_TRAFFIC_USAGE_H
#define IVSHMEM_TRAFFIC_USAGE_H

#include <stddef.h>
#include <stdio.h>

/* Kinds from IVSHMEM_OPTION_SET on take no value. */
enum ivshmem_option_kind {
	IVSHMEM_OPTION_NUMBER,		/* uint64_t within min..max */
	IVSHMEM_OPTION_SECONDS,		/* double within min..max */
	IVSHMEM_OPTION_CHOICE,		/* int: index into arg, "a|b|c" */
	IVSHMEM_OPTION_MAC,
	IVSHMEM_OPTION_SIZES,
	IVSHMEM_OPTION_SEGMENTS,
	IVSHMEM_OPTION_INJECT,
	IVSHMEM_OPTION_EXPECT,
	IVSHMEM_OPTION_SET,
	IVSHMEM_OPTION_CLEAR,
	IVSHMEM_OPTION_HELP,
};

struct ivshmem_option {
	const char *name;
	enum ivshmem_option_kind kind;
	size_t off;		/* member of struct ivshmem_options */
	double min;
	double max;
	const char *arg;	/* how help shows the value; CHOICE: the choices */
	const char *help;
};

extern const struct ivshmem_option ivshmem_option_table[];
extern const size_t ivshmem_option_cnt;

void
ivshmem_usage(FILE *out);

#endif /* IVSHMEM_TRAFFIC_USAGE_H */
