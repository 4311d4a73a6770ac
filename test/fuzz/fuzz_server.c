/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The server between clients that connect, send, stop reading and go in any order, and programs on
 * its control socket that say what they like. The real event loop runs, on this thread, until it
 * has nothing to do; the kernel refuses what the input wants it to refuse.
 *
 * A client reads with the driver's own parser: what a server sends has to be the protocol, to the
 * last client, whatever the others do. No fd may be left of any of them.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

#include "clients.h"
#include "handover.h"
#include "ivshmem_client.h"
#include "log.h"
#include "server.h"

#include "fuzz.h"
#include "fuzz_server.h"
#include "fuzz_wrap.h"

#define CLIENT_CNT 5u
#define SERVER_CNT 3u
#define EVENT_CNT 32		/* of a turn: a client that is not written to has room for ever */
#define EVENT_MAX 2000		/* when nothing is refused any more */

char server_said[512];
static char work[32] = "/tmp/ivshmem-fuzz-XXXXXX";
static char socket_paths[SERVER_CNT][64];
static char control_paths[SERVER_CNT][80];
static char elder_path[64];	/* where we play a server that runs */
static char elder_control[80];
static struct ivshmem_options options[SERVER_CNT];
static struct ivshmem_options heirs[SERVER_CNT];	/* the same with --fd-store */
static bool reborn;			/* the server is not the one that was there before */
static bool misled;			/* and its record was wrong: it may repeat itself */
static struct ivshmem_server servers[SERVER_CNT];
static struct ivshmem_server *server;	/* the one that this input is about */
static uint32_t kind;			/* its number */
static struct ivshmem_client clients[CLIENT_CNT];
static int asker = -1;
static int elder = -1;		/* listens in the place of a server */
static int spare = -1;
static uint64_t now_ms;
static int events_left;
static int refuse;		/* errno of the next sends */
static uint32_t refuse_cnt;
static struct fuzz_input *answers;	/* of a server that is to be taken over from */
static int answerer = -1;

int
__wrap_epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	int cnt = 0;

	(void)timeout;
	if (events_left-- > 0)
		cnt = __real_epoll_wait(fd, events, most, 0);
	server->stop = server->stop || cnt <= 0;
	return cnt;
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (refuse_cnt > 0) {
		refuse_cnt--;
		errno = refuse;
		return -1;
	}
	return __real_sendmsg(fd, msg, flags | MSG_DONTWAIT);	/* as if the time were over */
}

/* Pages of which few are ever touched: to get and clear them takes a third of the time. */
int
__wrap_posix_fallocate64(int fd, off_t off, off_t len)
{
	(void)fd;
	(void)off;
	(void)len;
	return 0;
}

/* The alarm is the fuzzer's own. */
int
__wrap_setitimer(int which, const struct itimerval *value, struct itimerval *old)
{
	(void)which;
	(void)value;
	(void)old;
	return 0;
}

int
__wrap_usleep(useconds_t us)
{
	now_ms += us / 1000;
	return 0;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = now_ms / 1000;
	now->tv_nsec = now_ms % 1000 * 1000000;
	return 0;
}

void
__wrap_ivshmem_log(int level, const char *format, ...)
{
	va_list args;

	(void)level;
	va_start(args, format);
	vsnprintf(server_said, sizeof(server_said), format, args);
	va_end(args);
}

/* Until nothing is to be done, or so many events. Returns false when the server is to end. */
static bool
turn(int events)
{
	events_left = events;
	server->stop = false;
	FUZZ_CHECK(ivshmem_server_run(server) == 0, "the loop ended");
	return !server->leave;
}

static int
connect_to(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
hang_up(void)
{
	if (asker >= 0)
		close(asker);
	asker = -1;
}

static void
disconnect_all(void)
{
	refuse_cnt = 0;
	for (uint32_t i = 0; i < CLIENT_CNT; i++)
		ivshmem_client_close(&clients[i]);
	hang_up();
}

/* A server of this kind, with all eventfds that it will ever have. */
static void
begin(uint32_t want)
{
	const struct itimerspec never = { .it_value.tv_sec = 0 };

	kind = want;
	reborn = false;
	misled = false;
	server = &servers[kind];
	FUZZ_CHECK(ivshmem_server_create(server, &options[kind]) == 0, "no server: %s",
		   server_said);
	timerfd_settime(server->timer_fd, 0, &never, NULL);
	for (uint32_t i = 0; i < CLIENT_CNT; i++)
		ivshmem_client_init(&clients[i], connect_to(socket_paths[kind], SOCK_STREAM));
	turn(EVENT_MAX);
	disconnect_all();
	turn(EVENT_MAX);
	memset(fuzz_fds, 0, sizeof(fuzz_fds));	/* what is open now stays so */
}

static void
end(void)
{
	for (uint32_t i = 0; i < SERVER_CNT; i++)
		ivshmem_server_destroy(&servers[i], true);
	unlink(elder_control);
	rmdir(work);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)argc;
	(void)argv;
	now_ms = 1000;
	FUZZ_CHECK(mkdtemp(work) != NULL, "no directory");
	snprintf(elder_path, sizeof(elder_path), "%s/elder", work);
	snprintf(elder_control, sizeof(elder_control), "%s.control", elder_path);
	for (uint32_t i = 0; i < SERVER_CNT; i++) {
		snprintf(socket_paths[i], sizeof(socket_paths[i]), "%s/%u", work, i);
		snprintf(control_paths[i], sizeof(control_paths[i]), "%s.control",
			 socket_paths[i]);
		options[i] = (struct ivshmem_options){
			.want = { .total_len = 1 << 20, .port_cnt = 3, .ring_slots = 32 },
			.vectors = 2 + i,
			.timeout = 10,
			.socket_mode = 0600,
			.numa_node = IVSHMEM_NUMA_ANY,
			.socket_path = socket_paths[i],
		};
	}
	options[1].announce_leave = true;
	options[2].uids = (struct ivshmem_id_list){ .cnt = 1, .id = { 4321 } };
	options[2].gids = (struct ivshmem_id_list){ .cnt = 1, .id = { 4321 } };
	memcpy(heirs, options, sizeof(heirs));
	for (uint32_t i = 0; i < SERVER_CNT; i++)
		heirs[i].fd_store = true;
	spare = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	elder = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", elder_control);
	FUZZ_CHECK(bind(elder, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		   listen(elder, 8) == 0 && spare >= 0, "no sockets");
	for (uint32_t i = 0; i < CLIENT_CNT; i++)
		ivshmem_client_init(&clients[i], -1);
	for (uint32_t i = 0; i < SERVER_CNT; i++)
		begin(i);
	atexit(end);
	return 0;
}

/* Text or bytes, with the spare fd if wanted. */
static void
say(int fd, const void *bytes, size_t len, bool with_fd)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };

	if (with_fd) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &spare, sizeof(int));
		msg.msg_control = control.raw;
		msg.msg_controllen = sizeof(control.raw);
	}
	(void)!__real_sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A line of the control protocol, or nearly one. */
static void
say_line(int fd, struct fuzz_input *in)
{
	const char *const lines[] = { "take 1", "ready", "yours", "file state", "file memory",
		"file v0.0", "end 0", "end 1", "end 2", "no", "take 2", "file ", "" };
	const uint32_t what = fuzz_u8(in);
	char line[300];

	snprintf(line, sizeof(line), "%s", lines[(what & 31) % 13]);
	if ((what & 32) != 0)
		line[fuzz_u8(in) % 8] = fuzz_u8(in);
	if ((what & 64) != 0)		/* longer than any line */
		memset(line + strlen(line), 'x', sizeof(line) - 1 - strlen(line));
	line[sizeof(line) - 1] = '\0';
	say(fd, line, strlen(line), (what & 128) != 0);
}

/* The one that is to be taken over from answers before each look. */
ssize_t
__wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (answers != NULL) {
		if (answerer < 0)
			answerer = accept4(elder, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (answers->left > 0)
			say_line(answerer, answers);
		else if (answerer >= 0)
			shutdown(answerer, SHUT_RDWR);
	}
	return __real_recvmsg(fd, msg, flags | MSG_DONTWAIT);
}

/* We want to take over from a server that runs. */
static void
take_over(struct fuzz_input *in)
{
	struct ivshmem_legacy legacy = { 0 };
	struct ivshmem_fault fault = { "" };
	int fd;

	answers = in;
	fd = ivshmem_handover_ask(elder_path, &legacy, &fault);
	FUZZ_CHECK(fd >= 0 || fault.text[0] != '\0', "error %d without a word", fd);
	if (fd >= 0) {
		const int taken = ivshmem_legacy_take(&legacy, "state");

		if (taken >= 0)
			close(taken);
		(void)ivshmem_handover_finish(fd, &fault);
	}
	answers = NULL;
	ivshmem_legacy_close(&legacy);
	if (answerer >= 0)
		close(answerer);
	answerer = -1;
	while ((fd = accept4(elder, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* What the client gets is the protocol. */
static void
hear(struct ivshmem_client *client, uint32_t cnt)
{
	struct ivshmem_client_event event = { .type = IVSHMEM_CLIENT_EVENT_STEP };
	struct ivshmem_fault fault;
	int ret;

	for (; cnt > 0 && client->fd >= 0 && event.type != IVSHMEM_CLIENT_EVENT_NONE; cnt--) {
		ret = ivshmem_client_next(client, &event, &fault);
		FUZZ_CHECK(ret == 0 || ret == -EPIPE || ret == -ECONNRESET || misled,
			   "the server does not keep to the protocol: %s", fault.text);
		FUZZ_CHECK(event.type != IVSHMEM_CLIENT_EVENT_LEAVE || kind == 1 || misled,
			   "a leave");
		if (event.fd >= 0)
			close(event.fd);
		if (ret != 0)
			ivshmem_client_close(client);
	}
}

static void
ask(struct fuzz_input *in, uint32_t what)
{
	if (asker < 0)
		asker = connect_to(control_paths[kind], SOCK_SEQPACKET);
	if (asker < 0)
		return;		/* --announce-leave: nobody could go on */
	for (uint32_t i = 0; i < what % 3 + 1; i++)
		say_line(asker, in);
	if ((what & 4) == 0)
		hang_up();
}

/* The kernel says no. */
static void
refuse_next(uint32_t what)
{
	const int errors[] = { EAGAIN, ETOOMANYREFS, EPIPE, ECONNRESET, EINTR, ENOBUFS, EBADF };

	refuse = errors[what % 7];
	refuse_cnt = what >= 200 && refuse != EINTR ? 1000 : what / 8 % 8;
}

static void
step(struct fuzz_input *in)
{
	const uint32_t what = fuzz_u8(in);
	struct ivshmem_client *client = &clients[(what >> 4) % CLIENT_CNT];

	switch (what & 15) {
	default:
		if (client->fd < 0)
			ivshmem_client_init(client, connect_to(socket_paths[kind], SOCK_STREAM));
		break;
	case 4:
	case 5:
		ivshmem_client_close(client);
		break;
	case 6:
		if (client->fd >= 0)
			say(client->fd, &what, 1 + (what >> 6), (what & 128) != 0);
		break;
	case 7:
		if (client->fd >= 0)
			shutdown(client->fd, (what & 128) != 0 ? SHUT_RD : SHUT_WR);
		break;
	case 8:
	case 9:
		hear(client, fuzz_u8(in));
		break;
	case 10:
		refuse_next(fuzz_u8(in));
		break;
	case 11:
		refuse_cnt = 0;
		break;
	case 12:
		now_ms += 50 * fuzz_u8(in);
		ivshmem_clients_tick(server);
		ivshmem_slots_beat(&server->slots);
		break;
	case 13:
		ask(in, what >> 4);
		break;
	case 14:
		take_over(in);
		break;
	case 15:	/* who asks has files of the server that dies, but ends soon */
		if (reborn)
			break;
		hang_up();
		reborn = heir_succeed(server, &heirs[kind], in, what >> 4 & 3);
		misled = (what >> 4 & 3) != 0;
		break;
	}
	/* else the next thing happens at the same time */
	if ((what & 128) == 0 && !turn(EVENT_CNT))
		in->left = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_open(data, size);

	kind = fuzz_pick(&in, SERVER_CNT);
	server = &servers[kind];
	fuzz_fds_note();
	while (in.left > 0)
		step(&in);
	refuse_cnt = 0;
	if (!server->leave && turn(EVENT_MAX))
		for (uint32_t i = 0; i < CLIENT_CNT; i++)
			hear(&clients[i], 200);
	disconnect_all();
	if (server->leave || !turn(EVENT_MAX) || reborn || server->slots.next_id > 65000) {
		FUZZ_CHECK(server->leave || server->slots.live == 0, "clients are left");
		ivshmem_server_destroy(server, false);
		begin(kind);
		return 0;
	}
	FUZZ_CHECK(server->slots.live == 0, "%u clients are left", server->slots.live);
	FUZZ_CHECK(server->asker_fd < 0, "somebody still asks");
	fuzz_fds_check();
	return 0;
}
