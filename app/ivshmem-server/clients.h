/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the server does for its clients; the loop calls this, one event at a time.
 */

#ifndef IVSHMEM_SERVER_CLIENTS_H
#define IVSHMEM_SERVER_CLIENTS_H

#include <stdint.h>

#include "server.h"

/* A connection: takes over the fd. It gets a slot, or is closed when it may not or none is free. */
void ivshmem_clients_attach(struct ivshmem_server *server, int fd);

/* Events on the connection of the client that has the slot. */
void ivshmem_clients_hear(struct ivshmem_server *server, uint32_t slot, uint32_t events);

/* Once a second: try again what the kernel refused, give up who does not read, log refusals. */
void ivshmem_clients_tick(struct ivshmem_server *server);

/* Detach the clients that are to be given up: slot table, log, ring, close. */
void ivshmem_clients_reap(struct ivshmem_server *server);

/* Clients of a predecessor: tell them what they have yet to hear. */
void ivshmem_clients_resume(struct ivshmem_server *server);

/* The server ends: say so in the region, ring and close all. Their slots stay as they are. */
void ivshmem_clients_destroy(struct ivshmem_server *server);

#endif /* IVSHMEM_SERVER_CLIENTS_H */
