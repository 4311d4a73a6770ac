/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Files by name.
 *
 * Threads: one.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "legacy.h"
#include "peer.h"
#include "server.h"

int
ivshmem_legacy_add(struct ivshmem_legacy *legacy, const char *name, int fd)
{
	struct ivshmem_legacy_item *item = legacy->item;

	if (legacy->cnt == legacy->room) {
		legacy->room = legacy->room == 0 ? 64 : 2 * legacy->room;
		item = realloc(item, legacy->room * sizeof(*item));
		if (item == NULL) {
			legacy->room = legacy->cnt;
			close(fd);
			return -ENOMEM;
		}
		legacy->item = item;
	}
	item += legacy->cnt++;
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->fd = fd;
	return 0;
}

static int
ivshmem_legacy_compare(const void *a, const void *b)
{
	const struct ivshmem_legacy_item *items[] = { a, b };

	return strcmp(items[0]->name, items[1]->name);
}

void
ivshmem_legacy_sort(struct ivshmem_legacy *legacy)
{
	if (legacy->cnt > 1)
		qsort(legacy->item, legacy->cnt, sizeof(legacy->item[0]), ivshmem_legacy_compare);
}

int
ivshmem_legacy_take(struct ivshmem_legacy *legacy, const char *name)
{
	struct ivshmem_legacy_item key = { .fd = -1 };
	struct ivshmem_legacy_item *item;
	int fd;

	snprintf(key.name, sizeof(key.name), "%s", name);
	item = legacy->cnt == 0 ? NULL : bsearch(&key, legacy->item, legacy->cnt,
						 sizeof(key), ivshmem_legacy_compare);
	if (item == NULL)
		return -1;
	fd = item->fd;
	item->fd = -1;
	return fd;
}

void
ivshmem_legacy_close(struct ivshmem_legacy *legacy)
{
	for (uint32_t i = 0; i < legacy->cnt; i++)
		if (legacy->item[i].fd >= 0)
			close(legacy->item[i].fd);
	free(legacy->item);
	*legacy = (struct ivshmem_legacy){ 0 };
}

void
ivshmem_legacy_name_vector(char name[IVSHMEM_LEGACY_NAME_MAX], uint32_t slot, uint32_t vector)
{
	snprintf(name, IVSHMEM_LEGACY_NAME_MAX, "v%" PRIu32 ".%" PRIu32, slot, vector);
}

void
ivshmem_legacy_name_client(char name[IVSHMEM_LEGACY_NAME_MAX], uint32_t slot, uint32_t life)
{
	snprintf(name, IVSHMEM_LEGACY_NAME_MAX, "c%" PRIu32 ".%" PRIu32, slot, life);
}

/* A slot's eventfds and its client. */
static int
ivshmem_legacy_each_of_slot(const struct ivshmem_slots *slots, uint32_t slot,
			    int (*give)(void *arg, const char *name, int fd), void *arg)
{
	const struct ivshmem_slot *own = &slots->slot[slot];
	char name[IVSHMEM_LEGACY_NAME_MAX];
	int ret = 0;

	for (uint32_t vector = 0; own->fds != NULL && vector < slots->vectors && ret == 0;
	     vector++) {
		ivshmem_legacy_name_vector(name, slot, vector);
		ret = give(arg, name, own->fds[vector]);
	}
	if (ret != 0 || own->peer == NULL)
		return ret;
	ivshmem_legacy_name_client(name, slot, own->peer->life);
	return give(arg, name, own->peer->fd);
}

int
ivshmem_legacy_each(const struct ivshmem_server *server,
		    int (*give)(void *arg, const char *name, int fd), void *arg)
{
	const struct {
		const char *name;
		int fd;
	} files[] = {
		{ "state", server->state_fd },
		{ "memory", server->region.fd },
		{ "lock", server->region.lock_fd },
		{ "listen", server->listener.fd },
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && ret == 0; i++)
		if (files[i].fd >= 0)
			ret = give(arg, files[i].name, files[i].fd);
	for (uint32_t slot = 0; slot < server->slots.cnt && ret == 0; slot++)
		ret = ivshmem_legacy_each_of_slot(&server->slots, slot, give, arg);
	return ret;
}
