/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A client's send queue, with the time in the test's hand: when a wait begins, and what ends it;
 * what a client hears of who comes and goes.
 */

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#include "peer.h"

#define PORTS	512
#define VECTORS	4

static int fds[VECTORS];
static struct ivshmem_slot slot[PORTS];
static struct ivshmem_slots slots = { .cnt = PORTS, .vectors = VECTORS, .slot = slot };

static struct ivshmem_peer *
peer_make(int *client)
{
	int ends[2];

	if (!CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0))
		return NULL;
	*client = ends[1];
	return ivshmem_peer_create(ends[0], 7, 7, PORTS);
}

/* Messages that wait at the client's end. */
static unsigned int
client_read(int client, unsigned int most)
{
	unsigned int cnt = 0;
	int64_t value;

	while (cnt < most && read(client, &value, sizeof(value)) == sizeof(value))
		cnt++;
	return cnt;
}

static void
test_wait_begins_when_the_socket_is_full(void)
{
	const struct ivshmem_slots one = { .cnt = PORTS, .vectors = 1, .slot = slot };
	int client;
	struct ivshmem_peer *peer = peer_make(&client);
	uint64_t now = 1000;
	uint64_t sent;
	uint32_t id;
	int ret;

	if (!CHECK(peer != NULL))
		return;
	ret = ivshmem_peer_flush(peer, &one, fds[0], now);
	CHECK_EQ(ret, 0);
	CHECK_EQ(peer->sent, 3);

	/* a message each 100 s: the last one finds the socket full, and only then a wait begins */
	for (id = 0; id < PORTS && ret == 0; id++) {
		ivshmem_peer_tell(peer, id, id);
		now += 100000;
		ret = ivshmem_peer_flush(peer, &one, fds[0], now);
		CHECK_EQ(peer->progress_ms, now);
	}
	CHECK_EQ(ret, -EAGAIN);
	peer->waits = true;

	/* nothing is read: the time counts from there on */
	CHECK_EQ(ivshmem_peer_flush(peer, &one, fds[0], now + 5000), -EAGAIN);
	CHECK_EQ(peer->progress_ms, now);

	/* some is read: it begins anew */
	for (; id < PORTS; id++)
		ivshmem_peer_tell(peer, id, id);
	CHECK_EQ(client_read(client, 4), 4);
	sent = peer->sent;
	ret = ivshmem_peer_flush(peer, &one, fds[0], now + 6000);
	CHECK(ret == -EAGAIN && peer->sent > sent);
	CHECK_EQ(peer->progress_ms, now + 6000);
	ivshmem_peer_destroy(peer);
	close(client);
}

static void
test_everything_once(void)
{
	int client;
	struct ivshmem_peer *peer = peer_make(&client);
	unsigned int heard = 0;
	int ret = -EAGAIN;

	if (!CHECK(peer != NULL))
		return;
	for (unsigned int round = 0; round < 3; round++)
		for (uint32_t id = 0; id < PORTS; id++)
			ivshmem_peer_tell(peer, id, id);
	for (unsigned int tries = 0; ret == -EAGAIN && tries < 10000; tries++) {
		ret = ivshmem_peer_flush(peer, &slots, fds[0], tries);
		heard += client_read(client, UINT32_MAX);
	}
	CHECK_EQ(ret, 0);
	CHECK_EQ(heard, 3 + PORTS * VECTORS);
	CHECK_EQ(peer->sent, heard);
	ivshmem_peer_destroy(peer);
	close(client);
}

/* The values that wait at the client's end are these, in words. */
static void
client_hears(int client, const char *want)
{
	char words[256] = "";
	size_t len = 0;
	int64_t value;

	while (read(client, &value, sizeof(value)) == sizeof(value) && len < sizeof(words))
		len += snprintf(words + len, sizeof(words) - len, " %" PRId64, value);
	CHECK_MSG(strcmp(words, want) == 0, "heard%s, not%s", words, want);
}

static void
test_leaves(void)
{
	int client;
	struct ivshmem_peer *peer = peer_make(&client);

	if (!CHECK(peer != NULL))
		return;
	/* came and left before anything could be said: nothing is */
	ivshmem_peer_tell(peer, 1, 1);
	ivshmem_peer_tell(peer, 2, 2);
	ivshmem_peer_untell(peer, 1, 1);
	CHECK_EQ(ivshmem_peer_flush(peer, &slots, fds[0], 0), 0);
	client_hears(client, " 0 7 -1 2 2 2 2");

	/* somebody else in the slot; each leave is said once */
	ivshmem_peer_untell(peer, 2, 2);
	ivshmem_peer_untell(peer, 2, 2);
	ivshmem_peer_tell(peer, 2, 600);
	ivshmem_peer_untell(peer, 5, 5);
	CHECK_EQ(ivshmem_peer_flush(peer, &slots, fds[0], 0), 0);
	client_hears(client, " 2 600 600 600 600");

	/* two notices for a slot are all that can wait, however many come and go */
	for (uint32_t id = 601; id < 1000; id++) {
		ivshmem_peer_untell(peer, 2, id - 1);
		ivshmem_peer_tell(peer, 2, id);
		CHECK_EQ(peer->cnt, 2);
	}
	CHECK_EQ(ivshmem_peer_flush(peer, &slots, fds[0], 0), 0);
	client_hears(client, " 600 999 999 999 999");
	ivshmem_peer_destroy(peer);
	close(client);
}

/* The socket becomes full in the midst of an id's vectors; then that id leaves. */
static void
test_leave_between_vectors(void)
{
	int client;
	struct ivshmem_peer *peer = peer_make(&client);
	uint32_t id = 0;
	uint32_t heard;
	int ret = 0;

	if (!CHECK(peer != NULL))
		return;
	while (id < PORTS && ret == 0) {
		ivshmem_peer_tell(peer, id, id);
		ret = ivshmem_peer_flush(peer, &slots, fds[0], 0);
		if (ret == -EAGAIN && peer->vector == 0 && client_read(client, 1) == 1)
			ret = ivshmem_peer_flush(peer, &slots, fds[0], 0);
		id++;
	}
	CHECK_EQ(ret, -EAGAIN);
	heard = peer->vector;
	if (!CHECK(heard > 0 && heard < VECTORS))
		return;
	ivshmem_peer_untell(peer, id - 1, id - 1);
	ivshmem_peer_tell(peer, id - 1, 1000);
	while (client_read(client, UINT32_MAX) > 0)
		ret = ivshmem_peer_flush(peer, &slots, fds[0], 0);
	CHECK_EQ(ret, 0);
	CHECK_EQ(peer->sent, 3 + (uint64_t)id * VECTORS + heard + 1);
	ivshmem_peer_destroy(peer);
	close(client);
}

static void
test_end_of_file(void)
{
	int client;
	struct ivshmem_peer *peer = peer_make(&client);

	if (!CHECK(peer != NULL))
		return;
	CHECK_EQ(ivshmem_peer_listen(peer), 0);
	CHECK_EQ(write(client, "x", 1), 1);
	CHECK_EQ(ivshmem_peer_listen(peer), -EPROTO);
	close(client);
	CHECK_EQ(ivshmem_peer_listen(peer), -EPIPE);
	CHECK_EQ(ivshmem_peer_flush(peer, &slots, fds[0], 0), -EPIPE);

	ivshmem_peer_end(peer, IVSHMEM_SLOT_LEFT, 0);
	ivshmem_peer_end(peer, IVSHMEM_SLOT_DROPPED, EPIPE);
	CHECK_EQ(peer->state, IVSHMEM_SLOT_LEFT);	/* the first reason stays */
	ivshmem_peer_destroy(peer);
	ivshmem_peer_destroy(NULL);
}

int
main(void)
{
	for (int i = 0; i < VECTORS; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (int id = 0; id < PORTS; id++)
		slot[id].fds = fds;
	test_wait_begins_when_the_socket_is_full();
	test_everything_once();
	test_leaves();
	test_leave_between_vectors();
	test_end_of_file();
	return check_exit();
}
