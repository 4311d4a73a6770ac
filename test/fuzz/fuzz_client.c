/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The driver's client of the server: bytes and fds come in any order and in any pieces, the server
 * goes away, is mute, or was never there. Every fd that came is closed in the end, or the caller's.
 */

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "fuzz_wrap.h"
#include "ivshmem_client.h"
#include "ivshmem_vectors.h"

#define PORTS 8u
#define EACH 3u
#define FDS_MAX 8u

static char work[32] = "/tmp/ivshmem-fuzz-XXXXXX";
static int spare = -1;
static int listener = -1;
static uint64_t now_ms;

/* What a handshake waits for comes, or the time goes by at once. */
static struct fuzz_input *waiting;
static int server = -1;

static void send_some(struct fuzz_input *in, int fd);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	if (waiting == NULL)
		return __real_clock_gettime(clock, now);
	now->tv_sec = now_ms / 1000;
	now->tv_nsec = now_ms % 1000 * 1000000;
	return 0;
}

int
__wrap_poll(struct pollfd *fds, nfds_t cnt, int timeout)
{
	if (waiting == NULL || timeout == 0)
		return __real_poll(fds, cnt, timeout);
	FUZZ_CHECK(timeout > 0, "a wait without a bound");
	if (waiting->left > 0 && server >= 0) {
		now_ms += fuzz_u8(waiting);
		send_some(waiting, server);
		return __real_poll(fds, cnt, 0);
	}
	now_ms += timeout;
	return 0;
}

/* The path of a name in the work directory. */
static const char *
path_of(const char *name)
{
	static char path[sizeof(work) + 16];

	snprintf(path, sizeof(path), "%s/%s", work, name);
	return path;
}

static void
clean(void)
{
	unlink(path_of("listens"));
	unlink(path_of("deaf"));
	unlink(path_of("file"));
	rmdir(work);
}

static int
bound_socket(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, path_of(name));
	FUZZ_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0,
		   "%s is not bound", name);
	return fd;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	FUZZ_CHECK(mkdtemp(work) != NULL, "no directory");
	atexit(clean);
	spare = eventfd(0, EFD_NONBLOCK);
	listener = bound_socket("listens");
	FUZZ_CHECK(spare >= 0 && listen(listener, 1) == 0, "no server");
	close(bound_socket("deaf"));
	close(open(path_of("file"), O_CREAT | O_RDWR, 0600));
	return 0;
}

/* Bytes, most of them whole messages that mean something, and some fds with them. */
static void
send_some(struct fuzz_input *in, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = { { 0 } };
	const uint32_t shape = fuzz_u8(in);
	const uint32_t fds = (shape & 1) != 0 ? fuzz_pick(in, FDS_MAX + 1) : (shape >> 1) & 1;
	int64_t value = (int8_t)fuzz_u8(in);
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if ((shape & 4) != 0)
		value = fuzz_value(in, value);
	if ((shape & 8) != 0)
		iov.iov_len = 1 + (shape >> 4) % sizeof(value);
	if (fds > 0) {
		struct cmsghdr *cmsg = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		for (uint32_t i = 0; i < fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &spare, sizeof(int));
	}
	(void)!sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* As a socket's tick does. Returns false when the connection is over. */
static bool
take(struct ivshmem_client *client, struct ivshmem_vectors *vectors)
{
	struct ivshmem_client_event event;
	struct ivshmem_fault fault = { "" };
	const int ret = ivshmem_client_next(client, &event, &fault);

	if (ret != 0) {
		FUZZ_CHECK(ret < 0 && fault.text[0] != '\0', "error %d without a word", ret);
		FUZZ_CHECK(event.fd < 0, "an error with an fd");
		return false;
	}
	switch (event.type) {
	case IVSHMEM_CLIENT_EVENT_VECTOR:
		FUZZ_CHECK(event.fd >= 0 && event.id >= 0 && event.id <= IVSHMEM_PROTO_ID_MAX,
			   "vector of %" PRId64, event.id);
		ivshmem_vectors_add(vectors, event.id, event.fd);
		break;
	case IVSHMEM_CLIENT_EVENT_MEMORY:
		FUZZ_CHECK(event.fd >= 0 && client->id >= 0, "no memory, or no id before it");
		close(event.fd);
		break;
	default:
		FUZZ_CHECK(event.fd < 0, "an fd that nobody expects");
		break;
	}
	return true;
}

static void
shake_hands(struct ivshmem_client *client, struct fuzz_input *in)
{
	struct ivshmem_fault fault = { "" };
	int fd;

	now_ms = 1000;
	waiting = in;
	fd = ivshmem_client_handshake(client, 1 + fuzz_u8(in), &fault);
	waiting = NULL;
	FUZZ_CHECK(fd >= 0 || fault.text[0] != '\0', "error %d without a word", fd);
	if (fd >= 0)
		close(fd);
}

/* To somebody, or to nobody: the names of the work directory, or one that the input makes up. */
static void
connect_somewhere(struct fuzz_input *in)
{
	static const char *const names[] = { "listens", "deaf", "file", "nothing", "file/below" };
	struct ivshmem_client client;
	struct ivshmem_fault fault = { "" };
	char path[256] = "";
	const uint32_t kind = fuzz_pick(in, 6);
	int ret;

	if (kind < 5)
		strcpy(path, path_of(names[kind]));
	else
		memset(path, 'a', fuzz_u8(in) % sizeof(path));
	ret = ivshmem_client_connect(&client, path, &fault);
	FUZZ_CHECK(ret == 0 || fault.text[0] != '\0', "error %d without a word", ret);
	FUZZ_CHECK((ret == 0) <= (kind == 0), "connected to %s", path);
	if (ret != 0)
		return;
	ivshmem_client_close(&client);
	while ((ret = accept(listener, NULL, NULL)) >= 0)
		close(ret);
}

/* Few fds may be open for a moment: the kernel drops those that come. */
static bool
take_with_few(struct ivshmem_client *client, struct ivshmem_vectors *vectors, uint32_t few)
{
	struct rlimit before;
	struct rlimit tight;
	bool open;

	getrlimit(RLIMIT_NOFILE, &before);
	tight = before;
	tight.rlim_cur = fuzz_fds_next() + few;
	setrlimit(RLIMIT_NOFILE, &tight);
	open = take(client, vectors);
	setrlimit(RLIMIT_NOFILE, &before);
	return open;
}

static bool
step(struct fuzz_input *in, struct ivshmem_client *client, struct ivshmem_vectors *vectors)
{
	const uint32_t what = fuzz_u8(in);

	switch (what & 15) {
	default:
		send_some(in, server);
		return take(client, vectors);
	case 8:
		return take(client, vectors);
	case 9:
		shutdown(server, SHUT_WR);
		return take(client, vectors);
	case 10:
		shake_hands(client, in);
		return true;
	case 11:
		connect_somewhere(in);
		return true;
	case 12:
		ivshmem_vectors_ring(vectors, fuzz_u8(in) % PORTS, fuzz_u8(in));
		return true;
	case 13:
		for (uint32_t i = 0; i < ivshmem_vectors_cnt(vectors, what >> 5); i++)
			ivshmem_vector_drain(ivshmem_vectors_fd(vectors, what >> 5, i));
		return true;
	case 14:
		send_some(in, server);
		return take_with_few(client, vectors, what >> 4);
	case 15:
		send_some(in, server);
		return true;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_open(data, size);
	struct ivshmem_vectors vectors;
	struct ivshmem_client client;
	int ends[2];

	fuzz_fds_note();
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 &&
		   ivshmem_vectors_init(&vectors, PORTS, EACH) == 0, "no socket");
	server = ends[1];
	ivshmem_client_init(&client, ends[0]);
	while (in.left > 0 && step(&in, &client, &vectors))
		;
	ivshmem_client_close(&client);
	ivshmem_vectors_close(&vectors);
	close(server);
	server = -1;
	fuzz_fds_check();
	return 0;
}
