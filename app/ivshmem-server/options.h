/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The command line: one table says what options there are, what they take and where they belong.
 */

#ifndef IVSHMEM_SERVER_OPTIONS_H
#define IVSHMEM_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_layout.h"

#define IVSHMEM_DEFAULT_SOCKET		"/tmp/ivshmem_socket"	/* as QEMU's example server */
#define IVSHMEM_DEFAULT_SIZE		(UINT64_C(64) << 20)
#define IVSHMEM_DEFAULT_TIMEOUT		10u			/* seconds */
#define IVSHMEM_DEFAULT_SOCKET_MODE	0660u

#define IVSHMEM_NUMA_ANY		UINT32_MAX
#define IVSHMEM_IDS_MAX			64u

struct ivshmem_id_list {
	uint32_t cnt;
	uint32_t id[IVSHMEM_IDS_MAX];
};

struct ivshmem_options {
	bool format;		/* the command "format FILE"; FILE is in mem_path */
	bool help;
	bool version;
	bool dry_run;
	bool json;
	bool force;
	bool foreground;
	bool daemonize;
	bool hugepages;
	bool announce_leave;
	bool takeover;
	bool fd_store;
	uint32_t verbose;
	uint32_t vectors;	/* 0 = one for control and one per queue */
	uint32_t timeout;	/* seconds that a client may leave its messages unread */
	uint32_t socket_mode;
	uint32_t numa_node;	/* IVSHMEM_NUMA_ANY = where the kernel likes */
	struct ivshmem_id_list uids;	/* who may connect; none = everybody */
	struct ivshmem_id_list gids;
	const char *socket_path;
	const char *shm_name;	/* POSIX shm object, or NULL */
	const char *mem_path;	/* file or directory, or NULL */
	const char *pid_file;	/* or NULL */
	const char *user;	/* to become, or NULL */
	struct ivshmem_geometry want;	/* 0 where the option was not given */
};

/*
 * Parse the command line; the strings of argv are referred to, not copied. Returns 0, or -EINVAL
 * after an error line that names option, value and limit.
 */
int ivshmem_options_parse(int argc, char **argv, struct ivshmem_options *options);

/* Print the help text to stdout. */
void ivshmem_options_help(void);

/* Log a fault of a wrong option with the option's name, which the start of the text tells. */
void ivshmem_options_blame(const struct ivshmem_fault *fault);

/* Vectors of a port in such a region: none for the command format. */
uint32_t ivshmem_options_vectors(const struct ivshmem_options *options,
				 const struct ivshmem_layout *layout);

#endif /* IVSHMEM_SERVER_OPTIONS_H */
