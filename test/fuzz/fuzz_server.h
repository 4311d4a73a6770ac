/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Parts of the target "server": fuzz_server.c and fuzz_server_heir.c.
 */

#ifndef FUZZ_SERVER_H
#define FUZZ_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct fuzz_input;
struct ivshmem_options;
struct ivshmem_server;

/* What the server logged last. */
extern char server_said[512];

/*
 * Replace a server by its successor, after breaking so many words of the record that it left. False
 * when it is one that can have none.
 */
bool heir_succeed(struct ivshmem_server *server, const struct ivshmem_options *options,
		  struct fuzz_input *in, uint32_t broken);

#endif /* FUZZ_SERVER_H */
