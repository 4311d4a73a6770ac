/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A server dies, and a successor goes on with the files that the service manager kept: some of them
 * missing, and the record of clients as no server would have left it.
 */

#include <sys/timerfd.h>

#include "ivshmem_atomic.h"
#include "legacy.h"
#include "server.h"
#include "state.h"

#include "fuzz.h"
#include "fuzz_server.h"
#include "fuzz_wrap.h"

static struct ivshmem_legacy kept;

int
__wrap_ivshmem_notify_take(struct ivshmem_legacy *legacy)
{
	*legacy = kept;
	kept = (struct ivshmem_legacy){ 0 };
	ivshmem_legacy_sort(legacy);
	return 0;
}

int
__wrap_ivshmem_notify_keep(const char *name, int fd, bool wait)
{
	(void)wait;
	FUZZ_CHECK(strlen(name) < IVSHMEM_LEGACY_NAME_MAX && fd >= 0, "%s is kept", name);
	return 0;
}

void
__wrap_ivshmem_notify_drop(const char *name)
{
	FUZZ_CHECK(strlen(name) < IVSHMEM_LEGACY_NAME_MAX, "%s is dropped", name);
}

static int
keep(void *arg, const char *name, int fd)
{
	const int copy = dup(fd);

	(void)arg;
	FUZZ_CHECK(copy >= 0, "no fd");
	return ivshmem_legacy_add(&kept, name, copy);
}

/* A word of the record of clients says what it never should. */
static void
break_record(struct ivshmem_server *server, struct fuzz_input *in)
{
	struct ivshmem_state *state = server->state;
	const uint32_t what = fuzz_u8(in);
	struct ivshmem_state_slot *note = ivshmem_state_slot(state, what >> 6 & 1);

	switch (what % 7) {
	case 0:
		ivshmem_store64(&note->sent, fuzz_value(in, ivshmem_load64(&note->sent)));
		break;
	case 1:
		ivshmem_store32(&note->told_cnt, fuzz_value(in, 2));
		break;
	case 2:
		note->told[0] = fuzz_value(in, 2);
		break;
	case 3:
		ivshmem_store32(&note->joined, fuzz_pick(in, 2));
		break;
	case 4:
		ivshmem_store32(&note->given, fuzz_pick(in, 2));
		break;
	case 5:
		note->life = fuzz_value(in, note->life);
		break;
	default:
		ivshmem_store32(&state->changing, 1);
		break;
	}
}

/* Of what no server changes once it is there: when the one that made it is gone. */
static void
break_head(struct fuzz_input *in)
{
	const off_t at = fuzz_u8(in) % offsetof(struct ivshmem_state, changing);
	const uint8_t byte = fuzz_u8(in);

	FUZZ_CHECK(pwrite(kept.item[0].fd, &byte, 1, at) == 1, "no record");
}

bool
heir_succeed(struct ivshmem_server *server, const struct ivshmem_options *options,
	     struct fuzz_input *in, uint32_t broken)
{
	const struct itimerspec never = { .it_value.tv_sec = 0 };

	if (server->state == NULL)
		return false;
	for (uint32_t i = 0; i < broken; i++)
		break_record(server, in);
	ivshmem_legacy_each(server, keep, NULL);
	if (broken > 0 && (in->left & 1) != 0)
		strcpy(kept.item[fuzz_u8(in) % kept.cnt].name, "v9.9");
	server->leave = true;
	ivshmem_server_destroy(server, false);
	if (broken == 3)
		break_head(in);
	FUZZ_CHECK(ivshmem_server_create(server, options) == 0, "no successor: %s",
		   server_said);
	timerfd_settime(server->timer_fd, 0, &never, NULL);
	FUZZ_CHECK(kept.cnt == 0, "it took nothing");
	return true;
}
