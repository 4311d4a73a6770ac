/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Parser of the server's messages; see ivshmem_client.h and ivshmem_proto.h.
 *
 * Invariants:
 *  K1. An fd that arrives is handed to the caller or closed, on every path.
 *  K2. No call blocks but handshake, which is bounded.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem_client.h"

/* Linux gives at most 253 fds with one message; all but one are closed. */
#define IVSHMEM_CLIENT_FDS_MAX	253

void
ivshmem_client_init(struct ivshmem_client *client, int fd)
{
	memset(client, 0, sizeof(*client));
	client->fd = fd;
	client->id = -1;
	client->msg_fd = -1;
}

static int
ivshmem_client_refused(const char *path, int error, struct ivshmem_fault *fault)
{
	struct stat info;

	if (error == ENOENT)
		return IVSHMEM_FAULT(fault, -error, "socket %s does not exist: "
				     "start ivshmem-server -S with it first", path);
	if (stat(path, &info) == 0 && !S_ISSOCK(info.st_mode))
		return IVSHMEM_FAULT(fault, -ENOTSOCK, "%s is not a socket", path);
	if (error == ECONNREFUSED)
		return IVSHMEM_FAULT(fault, -error,
			"socket %s has no server behind it: start ivshmem-server again", path);
	if (error == EACCES || error == EPERM)
		return IVSHMEM_FAULT(fault, -error,
			"no permission for socket %s: see ivshmem-server --socket-mode", path);
	if (error == EAGAIN)
		return IVSHMEM_FAULT(fault, -error,
			"the server at %s takes no connection: its backlog is full", path);
	return IVSHMEM_FAULT(fault, -error, "connect to socket %s: %s", path, strerror(error));
}

int
ivshmem_client_connect(struct ivshmem_client *client, const char *path,
		       struct ivshmem_fault *fault)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int error;
	int fd;

	if (path[0] == '\0' || strlen(path) >= sizeof(addr.sun_path))
		return IVSHMEM_FAULT(fault, -ENAMETOOLONG,
			"socket path of %zu bytes is not in 1..%zu: %s", strlen(path),
			sizeof(addr.sun_path) - 1, path);
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
		error = errno;
		close(fd);
		return ivshmem_client_refused(path, error, fault);
	}
	ivshmem_client_init(client, fd);
	return 0;
}

/* Keep the first fd of the ancillary data, close the rest. */
static void
ivshmem_client_take_fds(struct ivshmem_client *client, struct msghdr *msg)
{
	int fds[IVSHMEM_CLIENT_FDS_MAX];
	size_t cnt;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		cnt = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(cmsg), cnt * sizeof(int));
		for (size_t i = 0; i < cnt; i++) {
			if (client->msg_fd < 0)
				client->msg_fd = fds[i];
			else
				close(fds[i]);
		}
	}
}

/* Read up to the end of one message. Returns 1 when it is whole, 0 when not yet. */
static int
ivshmem_client_fill(struct ivshmem_client *client, struct ivshmem_fault *fault)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * IVSHMEM_CLIENT_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {
		.iov_base = client->buf + client->buf_len,
		.iov_len = sizeof(client->buf) - client->buf_len,
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len;

	len = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (len < 0)
		return IVSHMEM_FAULT(fault, -errno, "read from the server: %s", strerror(errno));
	ivshmem_client_take_fds(client, &msg);
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		return IVSHMEM_FAULT(fault, -EMFILE, "an fd from the server was dropped: the limit "
				     "of open files is reached, see ulimit -n");
	if (len == 0)
		return IVSHMEM_FAULT(fault, -EPIPE, "the server closed the connection%s",
			client->step == IVSHMEM_CLIENT_OPEN ? "" :
			" before it gave memory: all its ports may be taken, or this user not"
			" allowed (--allow-uid); see its log");
	client->buf_len += len;
	return client->buf_len == sizeof(client->buf);
}

static int64_t
ivshmem_client_decode(const uint8_t buf[IVSHMEM_PROTO_MSG_LEN])
{
	uint64_t value = 0;

	for (int i = IVSHMEM_PROTO_MSG_LEN - 1; i >= 0; i--)
		value = value << 8 | buf[i];
	return (int64_t)value;
}

/* Version, own id, then the memory; vectors of others may come before the memory. */
static int
ivshmem_client_parse(struct ivshmem_client *client, int64_t value, int fd,
		     struct ivshmem_client_event *event, struct ivshmem_fault *fault)
{
	const bool has_fd = fd >= 0;

	event->fd = fd;
	event->id = value;
	switch (client->step) {
	case IVSHMEM_CLIENT_VERSION:
		if (value != IVSHMEM_PROTO_VERSION || has_fd)
			return IVSHMEM_FAULT(fault, -EPROTO, "the server speaks protocol version %"
				PRId64 "%s, this is %" PRId64, value, has_fd ? " (with an fd)" : "",
				IVSHMEM_PROTO_VERSION);
		client->step = IVSHMEM_CLIENT_ID;
		event->type = IVSHMEM_CLIENT_EVENT_STEP;
		return 0;
	case IVSHMEM_CLIENT_ID:
		if (value < 0 || value > IVSHMEM_PROTO_ID_MAX || has_fd)
			return IVSHMEM_FAULT(fault, -EPROTO, "the server gave id %" PRId64
				"%s, not in 0..%" PRId64, value, has_fd ? " (with an fd)" : "",
				IVSHMEM_PROTO_ID_MAX);
		client->id = value;
		client->step = IVSHMEM_CLIENT_MEMORY;
		event->type = IVSHMEM_CLIENT_EVENT_STEP;
		return 0;
	default:
		break;
	}
	if (value == IVSHMEM_PROTO_MEMORY) {
		if (!has_fd || client->step == IVSHMEM_CLIENT_OPEN)
			return IVSHMEM_FAULT(fault, -EPROTO, "the server sent memory %s",
				has_fd ? "twice" : "without an fd");
		client->step = IVSHMEM_CLIENT_OPEN;
		event->type = IVSHMEM_CLIENT_EVENT_MEMORY;
		return 0;
	}
	if (value < 0 || value > IVSHMEM_PROTO_ID_MAX)
		return IVSHMEM_FAULT(fault, -EPROTO,
			"the server sent message %" PRId64 ", not in -1..%" PRId64, value,
			IVSHMEM_PROTO_ID_MAX);
	event->type = has_fd ? IVSHMEM_CLIENT_EVENT_VECTOR : IVSHMEM_CLIENT_EVENT_LEAVE;
	return 0;
}

int
ivshmem_client_next(struct ivshmem_client *client, struct ivshmem_client_event *event,
		    struct ivshmem_fault *fault)
{
	int64_t value;
	int ret;
	int fd;

	*event = (struct ivshmem_client_event){ .type = IVSHMEM_CLIENT_EVENT_NONE, .fd = -1 };
	ret = ivshmem_client_fill(client, fault);
	if (ret <= 0)
		return ret;
	value = ivshmem_client_decode(client->buf);
	fd = client->msg_fd;
	client->buf_len = 0;
	client->msg_fd = -1;
	ret = ivshmem_client_parse(client, value, fd, event, fault);
	if (ret != 0 && fd >= 0) {
		close(fd);
		event->fd = -1;
	}
	return ret;
}

static uint64_t
ivshmem_client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
ivshmem_client_handshake(struct ivshmem_client *client, uint32_t timeout_ms,
			 struct ivshmem_fault *fault)
{
	const uint64_t deadline = ivshmem_client_now_ms() + timeout_ms;
	struct pollfd wait = { .fd = client->fd, .events = POLLIN };
	struct ivshmem_client_event event;
	uint64_t now;
	int ret;

	for (;;) {
		ret = ivshmem_client_next(client, &event, fault);
		if (ret != 0)
			return ret;
		if (event.type == IVSHMEM_CLIENT_EVENT_MEMORY)
			return event.fd;
		if (event.fd >= 0)
			close(event.fd);
		now = ivshmem_client_now_ms();
		if (now >= deadline)
			return IVSHMEM_FAULT(fault, -ETIMEDOUT,
				"the server said %s for %" PRIu32 " ms: is it an ivshmem server?",
				client->step == IVSHMEM_CLIENT_VERSION ? "nothing" : "too little",
				timeout_ms);
		if (event.type == IVSHMEM_CLIENT_EVENT_NONE)
			poll(&wait, 1, deadline - now);
	}
}

void
ivshmem_client_close(struct ivshmem_client *client)
{
	if (client->msg_fd >= 0)
		close(client->msg_fd);
	if (client->fd >= 0)
		close(client->fd);
	client->msg_fd = -1;
	client->fd = -1;
}
