/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The files that go from a server to its successor, by name, whichever way they go:
 *
 * 8< files
 * name                  what                                     how many
 * state                 the record of clients, see state.h       1
 * memory                the region                               1
 * lock                  the lock on a named region               0 or 1
 * listen                the socket that clients connect to       1
 * v<slot>.<vector>      an eventfd                               all of each slot ever given
 * c<slot>.<life>        the connection of a client               one for each client
 * >8
 */

#ifndef IVSHMEM_SERVER_LEGACY_H
#define IVSHMEM_SERVER_LEGACY_H

#include <stdint.h>

#include "ivshmem_fault.h"

#define IVSHMEM_LEGACY_NAME_MAX	32

struct ivshmem_server;

struct ivshmem_legacy_item {
	char name[IVSHMEM_LEGACY_NAME_MAX];
	int fd;			/* -1 = was taken out */
};

struct ivshmem_legacy {
	uint32_t cnt;
	uint32_t room;
	struct ivshmem_legacy_item *item;
};

/* The legacy owns the fd from here on; it is closed if there is no memory. Returns 0, -ENOMEM. */
int ivshmem_legacy_add(struct ivshmem_legacy *legacy, const char *name, int fd);

/* All is there: ivshmem_legacy_take() may be called from here on. */
void ivshmem_legacy_sort(struct ivshmem_legacy *legacy);

/* Take the fd with that name out. Returns it, or -1 when there is none. */
int ivshmem_legacy_take(struct ivshmem_legacy *legacy, const char *name);

/* Close what was not taken. */
void ivshmem_legacy_close(struct ivshmem_legacy *legacy);

/* Names of an eventfd and of a connection. */
void ivshmem_legacy_name_vector(char name[IVSHMEM_LEGACY_NAME_MAX], uint32_t slot,
				uint32_t vector);
void ivshmem_legacy_name_client(char name[IVSHMEM_LEGACY_NAME_MAX], uint32_t slot, uint32_t life);

/*
 * Call give for each file of a running server. Returns 0, or the first other value that give
 * returned, which ends it.
 */
int ivshmem_legacy_each(const struct ivshmem_server *server,
			int (*give)(void *arg, const char *name, int fd), void *arg);

#endif /* IVSHMEM_SERVER_LEGACY_H */
