/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The client's parser against scripted servers at the other end of a socketpair: every message in
 * and out of order, whole and byte by byte, with and without fds; no fd is ever left open.
 */

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem_client.h"

#define FDS_MAX	16

static int spare;	/* an fd to send copies of */

static int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int cnt = 0;

	if (!CHECK(dir != NULL))
		return -1;
	while (readdir(dir) != NULL)
		cnt++;
	closedir(dir);
	return cnt;
}

/* Send len bytes with cnt copies of the spare fd. */
static void
send_bytes(int fd, const void *bytes, size_t len, int cnt)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (cnt > 0) {
		struct cmsghdr *cmsg;
		int fds[FDS_MAX];

		for (int i = 0; i < cnt; i++)
			fds[i] = spare;
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * cnt);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * cnt);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * cnt);
	}
	CHECK_EQ(sendmsg(fd, &msg, MSG_NOSIGNAL), len);
}

static void
encode(uint8_t bytes[8], int64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint64_t)value >> 8 * i;
}

static void
send_msg(int fd, int64_t value, int fds)
{
	uint8_t bytes[8];

	encode(bytes, value);
	send_bytes(fd, bytes, sizeof(bytes), fds);
}

/* A message of a script, and what next() must make of it. */
struct line {
	int64_t value;
	int fds;
	int ret;
	enum ivshmem_client_event_type type;
};

#define STEP	{ 0, 0, 0, IVSHMEM_CLIENT_EVENT_STEP }
#define MEMORY	{ -1, 1, 0, IVSHMEM_CLIENT_EVENT_MEMORY }
#define ERROR(value, fds) { value, fds, -EPROTO, IVSHMEM_CLIENT_EVENT_NONE }
#define LINES	8

struct script {
	const char *name;
	const char *word;		/* in the text of an error */
	struct line lines[LINES];	/* up to the first error, or value, fds, ... all 0 */
	int cnt;
};

static const struct script scripts[] = {
	{ "good", NULL, { STEP, { 3, 0, 0, IVSHMEM_CLIENT_EVENT_STEP }, MEMORY,
	  { 5, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR }, { 5, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR },
	  { 3, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR }, { 5, 0, 0, IVSHMEM_CLIENT_EVENT_LEAVE },
	  { 65535, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR } }, 8 },
	{ "vectors before the memory", NULL, { STEP, { 65535, 0, 0, IVSHMEM_CLIENT_EVENT_STEP },
	  { 0, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR }, { 1, 1, 0, IVSHMEM_CLIENT_EVENT_VECTOR },
	  MEMORY }, 5 },
	{ "version 1", "version 1", { ERROR(1, 0) }, 1 },
	{ "version -1", "version -1", { ERROR(-1, 0) }, 1 },
	{ "garbage", "version 5134475494695585057", { ERROR(INT64_C(0x4741524241474521), 0) }, 1 },
	{ "version with an fd", "fd", { ERROR(0, 1) }, 1 },
	{ "memory first", "version -1", { ERROR(-1, 1) }, 1 },
	{ "id -1", "id -1", { STEP, ERROR(-1, 0) }, 2 },
	{ "id 65536", "id 65536", { STEP, ERROR(65536, 0) }, 2 },
	{ "id minimum", "id -9223372036854775808", { STEP, ERROR(INT64_MIN, 0) }, 2 },
	{ "id with an fd", "fd", { STEP, ERROR(3, 1) }, 2 },
	{ "memory for an id", "id -1", { STEP, ERROR(-1, 1) }, 2 },
	{ "memory without an fd", "without an fd", { STEP, STEP, ERROR(-1, 0) }, 3 },
	{ "memory twice", "twice", { STEP, STEP, MEMORY, ERROR(-1, 1) }, 4 },
	{ "memory twice, no fd", "memory", { STEP, STEP, MEMORY, ERROR(-1, 0) }, 4 },
	{ "message -2", "message -2", { STEP, STEP, MEMORY, ERROR(-2, 0) }, 4 },
	{ "message -2 with an fd", "message -2", { STEP, STEP, MEMORY, ERROR(-2, 1) }, 4 },
	{ "peer 65536", "message 65536", { STEP, STEP, MEMORY, ERROR(65536, 1) }, 4 },
	{ "early garbage", "message 4294967296", { STEP, STEP, ERROR(INT64_C(1) << 32, 1) }, 3 },
};

static bool
begin(struct ivshmem_client *client, int *server)
{
	int pair[2];

	if (!CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0))
		return false;
	*server = pair[1];
	ivshmem_client_init(client, pair[0]);
	return true;
}

/* next() and the checks that hold for every event. Closes the event's fd. */
static int
next(struct ivshmem_client *client, struct ivshmem_client_event *event, struct ivshmem_fault *fault)
{
	int ret;

	fault->text[0] = '\0';
	ret = ivshmem_client_next(client, event, fault);
	CHECK_EQ(ret != 0, fault->text[0] != '\0');
	CHECK_EQ(event->fd >= 0, ret == 0 && (event->type == IVSHMEM_CLIENT_EVENT_MEMORY ||
					      event->type == IVSHMEM_CLIENT_EVENT_VECTOR));
	if (event->fd >= 0)
		CHECK_EQ(close(event->fd), 0);
	return ret;
}

/* Send a line in pieces of "piece" bytes, its fds with the "with"-th; what comes of it. */
static void
play_line(struct ivshmem_client *client, int server, const struct script *script,
	  const struct line *line, uint32_t piece, uint32_t with)
{
	struct ivshmem_client_event event;
	struct ivshmem_fault fault;
	uint8_t bytes[8];
	int ret = 0;

	encode(bytes, line->value);
	for (uint32_t at = 0; at < 8; at += piece) {
		CHECK_EQ(next(client, &event, &fault), 0);
		CHECK_EQ(event.type, IVSHMEM_CLIENT_EVENT_NONE);
		send_bytes(server, bytes + at, 8 - at < piece ? 8 - at : piece,
			   at / piece == with ? line->fds : 0);
		if (at + piece < 8)
			continue;
		ret = next(client, &event, &fault);
	}
	CHECK_MSG(ret == line->ret, "%s: value %" PRId64 " gives %d, not %d", script->name,
		  line->value, ret, line->ret);
	if (ret != 0) {
		CHECK_HAS(fault.text, script->word);
		return;
	}
	CHECK_EQ(event.type, line->type);
	CHECK_EQ(event.id, line->value);
}

static void
play(const struct script *script, uint32_t piece, uint32_t with)
{
	const int before = open_fds();
	struct ivshmem_client client;
	int server;

	if (!begin(&client, &server))
		return;
	for (int i = 0; i < script->cnt; i++)
		play_line(&client, server, script, &script->lines[i], piece, with);
	ivshmem_client_close(&client);
	ivshmem_client_close(&client);	/* twice is once */
	close(server);
	CHECK_MSG(open_fds() == before, "%s, pieces of %u bytes: fds left open", script->name,
		  piece);
}

/* All messages in one go: they are taken one by one, each fd with its own message. */
static void
burst(void)
{
	const int before = open_fds();
	struct ivshmem_client client;
	struct ivshmem_client_event event;
	struct ivshmem_fault fault;
	int server;

	if (!begin(&client, &server))
		return;
	for (int i = 0; i < 5; i++)
		send_msg(server, scripts[0].lines[i].value, scripts[0].lines[i].fds);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(next(&client, &event, &fault), 0);
		CHECK_EQ(event.type, scripts[0].lines[i].type);
	}
	CHECK_EQ(client.id, 3);
	CHECK_EQ(next(&client, &event, &fault), 0);
	CHECK_EQ(event.type, IVSHMEM_CLIENT_EVENT_NONE);
	/* taken or not, nothing stays open */
	send_msg(server, 5, 1);
	send_msg(server, 6, 3);
	ivshmem_client_close(&client);
	close(server);
	CHECK_EQ(open_fds(), before);
}

/* More than one fd with a message: at most one is taken, none stays open. */
static void
many_fds(void)
{
	const int before = open_fds();
	struct ivshmem_client client;
	struct ivshmem_client_event event;
	struct ivshmem_fault fault;
	int server;

	if (!begin(&client, &server))
		return;
	send_msg(server, 0, 0);
	send_msg(server, 1, 0);
	send_msg(server, -1, FDS_MAX);
	for (int i = 0; i < 3; i++)
		next(&client, &event, &fault);
	CHECK_EQ(open_fds(), before + 2);
	ivshmem_client_close(&client);
	close(server);
	CHECK_EQ(open_fds(), before);
}

/* End of file after every number of bytes of a good script. */
static void
end_of_file(void)
{
	for (int bytes = 0; bytes < 40; bytes++) {
		const int before = open_fds();
		struct ivshmem_client client;
		struct ivshmem_client_event event;
		struct ivshmem_fault fault;
		uint8_t msg[8];
		int server;
		int ret;

		if (!begin(&client, &server))
			return;
		for (int i = 0; i * 8 < bytes; i++) {
			const int left = bytes - i * 8;

			encode(msg, scripts[0].lines[i].value);
			send_bytes(server, msg, left < 8 ? left : 8, scripts[0].lines[i].fds);
		}
		close(server);
		do
			ret = next(&client, &event, &fault);
		while (ret == 0 && event.type != IVSHMEM_CLIENT_EVENT_NONE);
		if (bytes % 8 != 0 && ret == 0)		/* half a message was taken in */
			ret = next(&client, &event, &fault);
		CHECK_MSG(ret == -EPIPE, "end of file after %d bytes: %d", bytes, ret);
		CHECK_HAS(fault.text, "closed the connection");
		CHECK_EQ(strstr(fault.text, "before it gave memory") != NULL, bytes < 24);
		ivshmem_client_close(&client);
		CHECK_EQ(open_fds(), before);
	}
}

/* The process may not open more: an error, not a message that came without its fd. */
static void
no_fd_left(int64_t value, int messages)
{
	struct rlimit limit;
	struct rlimit none;
	struct ivshmem_client client;
	struct ivshmem_client_event event;
	struct ivshmem_fault fault;
	int server;
	int ret;

	if (!begin(&client, &server))
		return;
	for (int i = 0; i < messages; i++) {
		send_msg(server, scripts[0].lines[i].value, scripts[0].lines[i].fds);
		CHECK_EQ(next(&client, &event, &fault), 0);
	}
	send_msg(server, value, 1);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	ret = ivshmem_client_next(&client, &event, &fault);
	setrlimit(RLIMIT_NOFILE, &limit);
	CHECK_MSG(ret == -EMFILE, "value %" PRId64 ", no fd to be had: %d, event %d", value, ret,
		  event.type);
	if (ret == -EMFILE)
		CHECK_HAS(fault.text, "open files");
	ivshmem_client_close(&client);
	close(server);
}

static void *
chatty_server(void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint8_t bytes[8];
	int fd = *(int *)arg;

	/* an endless handshake: vectors, but never the memory; until the client hangs up */
	send_msg(fd, 0, 0);
	send_msg(fd, 1, 0);
	encode(bytes, 2);
	for (int i = 0; i < 10000 && send(fd, bytes, 8, MSG_NOSIGNAL) == 8; i++)
		nanosleep(&pause, NULL);
	return NULL;
}

static void
handshake(void)
{
	const int before = open_fds();
	struct ivshmem_client client;
	struct ivshmem_fault fault;
	pthread_t thread;
	int server;
	int fd;

	/* good, with vectors on the way */
	if (!begin(&client, &server))
		return;
	send_msg(server, 0, 0);
	send_msg(server, 7, 0);
	send_msg(server, 2, 1);
	send_msg(server, -1, 1);
	fd = ivshmem_client_handshake(&client, 10000, &fault);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK_EQ(client.id, 7);
	ivshmem_client_close(&client);
	close(server);
	CHECK_EQ(open_fds(), before);

	/* mute, at once and after half a message */
	for (int i = 0; i < 2 && begin(&client, &server); i++) {
		if (i == 1)
			send_bytes(server, "\0\0\0", 3, 0);
		CHECK_EQ(ivshmem_client_handshake(&client, 30, &fault), -ETIMEDOUT);
		CHECK_HAS(fault.text, "30 ms");
		ivshmem_client_close(&client);
		close(server);
	}

	/* talks for ever */
	if (!begin(&client, &server) ||
	    !CHECK(pthread_create(&thread, NULL, chatty_server, &server) == 0))
		return;
	CHECK_EQ(ivshmem_client_handshake(&client, 50, &fault), -ETIMEDOUT);
	ivshmem_client_close(&client);
	pthread_join(thread, NULL);
	close(server);

	/* garbage, and gone */
	if (!begin(&client, &server))
		return;
	send_bytes(server, "HTTP/1.1", 8, 0);
	CHECK_EQ(ivshmem_client_handshake(&client, 10000, &fault), -EPROTO);
	close(server);
	CHECK_EQ(ivshmem_client_handshake(&client, 10000, &fault), -EPIPE);
	ivshmem_client_close(&client);
	CHECK_EQ(open_fds(), before);
}

static void
refused(const char *path, int error, const char *word, const char *way_out)
{
	const int before = open_fds();
	struct ivshmem_client client;
	struct ivshmem_fault fault = { "" };
	char name[100];

	CHECK_EQ(ivshmem_client_connect(&client, path, &fault), -error);
	snprintf(name, sizeof(name), "%s", path);
	CHECK_HAS(fault.text, name);
	CHECK_HAS(fault.text, word);
	CHECK_HAS(fault.text, way_out);
	CHECK_EQ(open_fds(), before);
}

static int
listener(const char *path, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

static void
connecting(void)
{
	char dir[] = "/tmp/ivshmem-unit-XXXXXX";
	struct ivshmem_client client;
	struct ivshmem_fault fault;
	char path[200];
	char word[24];
	int fd;

	if (!CHECK(mkdtemp(dir) != NULL))
		return;
	snprintf(path, sizeof(path), "%s/socket", dir);
	refused(path, ENOENT, "does not exist", "start ivshmem-server");
	refused(dir, ENOTSOCK, "not a socket", "");
	refused("/dev/null", ENOTSOCK, "not a socket", "");
	refused("/dev/null/socket", ENOTDIR, "", "");
	fd = listener(path, SOCK_STREAM);
	refused(path, ECONNREFUSED, "no server", "start ivshmem-server");
	if (CHECK(listen(fd, 0) == 0)) {
		CHECK_EQ(ivshmem_client_connect(&client, path, &fault), 0);
		CHECK_EQ(client.step, IVSHMEM_CLIENT_VERSION);
		refused(path, EAGAIN, "backlog", "");
		ivshmem_client_close(&client);
	}
	close(fd);
	unlink(path);
	fd = listener(path, SOCK_DGRAM);
	refused(path, EPROTOTYPE, "", "");
	close(fd);
	unlink(path);
	rmdir(dir);

	/* 107 bytes are the longest path; its text still says what to do */
	refused("", ENAMETOOLONG, "0 bytes", "1..107");
	for (size_t len = 107; len < sizeof(path); len += 46) {
		memset(path, 'x', len);
		path[0] = '/';
		path[len] = '\0';
		snprintf(word, sizeof(word), "%zu bytes", len);
		refused(path, len > 107 ? ENAMETOOLONG : ENOENT,
			len > 107 ? word : "does not exist",
			len > 107 ? "1..107" : " first");
	}
}

int
main(void)
{
	spare = dup(STDERR_FILENO);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		play(&scripts[i], 8, 0);
		play(&scripts[i], 1, 0);
		play(&scripts[i], 1, 7);
		play(&scripts[i], 3, 1);
	}
	burst();
	many_fds();
	end_of_file();
	no_fd_left(-1, 2);
	no_fd_left(5, 3);
	handshake();
	connecting();
	close(spare);
	return check_exit();
}
