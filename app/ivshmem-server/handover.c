/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Both sides of --takeover, see handover.h.
 *
 * Invariants:
 *  H1. Never do both serve: the running one goes on until it has read "ready", the new one begins
 *      after "yours", or at the end of the connection if "ready" was read: then the other one died.
 *  H2. What the running one has removed is made again by the new one: pid file, control socket.
 * Threads: one.
 * Trust: the other side is of our user or root, as the kernel says; it may be slow, dead or of
 *      another version. That is why no wait is without a bound.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "fdmsg.h"
#include "handover.h"
#include "log.h"

#define IVSHMEM_HANDOVER_WAIT_S	5
#define IVSHMEM_HANDOVER_SUFFIX	".control"
#define IVSHMEM_HANDOVER_TRIES	5000	/* of a millisecond, for fds to arrive */
#define IVSHMEM_HANDOVER_LINE	256
#define IVSHMEM_HANDOVER_ASK	"take 1"

struct ivshmem_handover_giving {
	int fd;
	uint32_t cnt;
};

/* Send a line; file = -1 sends no file with it. */
static int
ivshmem_handover_send(int fd, const char *line, int file)
{
	union ivshmem_fdmsg control = { 0 };
	struct iovec data = { .iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line) };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	int tries = 0;
	ssize_t len;

	ivshmem_fdmsg_add(&msg, &control, file);
	for (;;) {
		len = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (len >= 0)
			return 0;
		if (errno != EINTR && errno != ETOOMANYREFS)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (tries++ == IVSHMEM_HANDOVER_TRIES)
			return -ETOOMANYREFS;
		usleep(1000);	/* fds on their way are limited; they arrive */
	}
}

/* Receive a line and maybe a file, else file = -1. Returns 0, or -errno: -EPIPE at its end. */
static int
ivshmem_handover_receive(int fd, char line[IVSHMEM_HANDOVER_LINE], int *file)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = { .iov_base = line, .iov_len = IVSHMEM_HANDOVER_LINE - 1 };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.raw,
		.msg_controllen = sizeof(control.raw),
	};
	const struct cmsghdr *cmsg;
	ssize_t len;

	*file = -1;
	do {
		len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	line[len] = '\0';
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(file, CMSG_DATA(cmsg), sizeof(*file));
	if ((msg.msg_flags & MSG_CTRUNC) != 0)
		return -EMFILE;
	return len == 0 ? -EPIPE : 0;
}

/* Bound every wait on the connection. */
static int
ivshmem_handover_bound(int fd)
{
	const struct timeval wait = { .tv_sec = IVSHMEM_HANDOVER_WAIT_S };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0)
		return -errno;
	return 0;
}

/* The path of the control socket; returns false when it is too long. */
static bool
ivshmem_handover_path(const char *socket_path, char path[IVSHMEM_LISTEN_PATH_MAX])
{
	return snprintf(path, IVSHMEM_LISTEN_PATH_MAX, "%s" IVSHMEM_HANDOVER_SUFFIX,
			socket_path) < IVSHMEM_LISTEN_PATH_MAX;
}

int
ivshmem_handover_listen(struct ivshmem_server *server)
{
	struct ivshmem_fault fault;

	if (server->state == NULL)
		return 0;	/* --announce-leave: nobody could go on with it */
	if (!ivshmem_handover_path(server->options->socket_path, server->control_path)) {
		ivshmem_log(IVSHMEM_LOG_INFO, "--takeover will not be possible: the path of the"
			    " socket with " IVSHMEM_HANDOVER_SUFFIX " is too long");
		return 0;
	}
	if (ivshmem_listen_open(&server->control, server->control_path, SOCK_SEQPACKET, 0600,
				&fault) != 0) {
		ivshmem_log(IVSHMEM_LOG_INFO, "--takeover will not be possible: %s: %s",
			    server->control_path, fault.text);
		return 0;
	}
	return ivshmem_server_watch(server, EPOLL_CTL_ADD, server->control.fd,
				    IVSHMEM_SOURCE_CONTROL, EPOLLIN);
}

static void
ivshmem_handover_hang_up(struct ivshmem_server *server)
{
	if (server->asker_fd >= 0)
		close(server->asker_fd);
	server->asker_fd = -1;
}

void
ivshmem_handover_close(struct ivshmem_server *server)
{
	ivshmem_handover_hang_up(server);
	ivshmem_listen_close(&server->control);
}

/* Whether the kernel says that the other side is root or this user. */
static bool
ivshmem_handover_trusts(int fd, struct ucred *cred)
{
	socklen_t len = sizeof(*cred);

	*cred = (struct ucred){ .pid = -1, .uid = -1, .gid = -1 };
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == 0 &&
		(cred->uid == 0 || cred->uid == geteuid());
}

void
ivshmem_handover_accept(struct ivshmem_server *server)
{
	struct ucred cred;
	int fd;

	fd = accept4(server->control.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		ivshmem_server_deafen(server, &server->control, IVSHMEM_SOURCE_CONTROL, errno);
		return;
	}
	if (!ivshmem_handover_trusts(fd, &cred)) {
		ivshmem_log(IVSHMEM_LOG_INFO, "refused --takeover by pid=%d uid=%d: neither root"
			    " nor user %u", (int)cred.pid, (int)cred.uid, (unsigned int)geteuid());
		close(fd);
		return;
	}
	ivshmem_handover_hang_up(server);	/* one at a time, the last one */
	if (ivshmem_handover_bound(fd) != 0 ||
	    ivshmem_server_watch(server, EPOLL_CTL_ADD, fd, IVSHMEM_SOURCE_ASKER, EPOLLIN) != 0)
		close(fd);
	else
		server->asker_fd = fd;
}

static int
ivshmem_handover_give_file(void *arg, const char *name, int file)
{
	struct ivshmem_handover_giving *giving = arg;
	char line[IVSHMEM_LEGACY_NAME_MAX + 8];

	snprintf(line, sizeof(line), "file %s", name);
	giving->cnt++;
	return ivshmem_handover_send(giving->fd, line, file);
}

/* Everything up to "yours". */
static int
ivshmem_handover_give(struct ivshmem_server *server)
{
	struct ivshmem_handover_giving giving = { .fd = server->asker_fd };
	char line[IVSHMEM_HANDOVER_LINE];
	int file;
	int ret;

	ret = ivshmem_handover_receive(giving.fd, line, &file);
	if (file >= 0)
		close(file);
	if (ret != 0)
		return ret;
	if (strcmp(line, IVSHMEM_HANDOVER_ASK) != 0) {
		ivshmem_handover_send(giving.fd, "no " IVSHMEM_VERSION " speaks version 1", -1);
		return -EPROTO;
	}
	ret = ivshmem_legacy_each(server, ivshmem_handover_give_file, &giving);
	if (ret != 0)
		return ret;
	snprintf(line, sizeof(line), "end %" PRIu32, giving.cnt);
	ret = ivshmem_handover_send(giving.fd, line, -1);
	if (ret == 0)
		ret = ivshmem_handover_receive(giving.fd, line, &file);
	if (file >= 0)
		close(file);
	if (ret != 0)
		return ret;
	return strcmp(line, "ready") == 0 ? 0 : -EPROTO;
}

/* The other side died in the last moment: make again what was removed for it (H2). */
static void
ivshmem_handover_keep(struct ivshmem_server *server)
{
	ivshmem_handover_listen(server);
	if (server->options->pid_file != NULL)
		server->pid_fd = ivshmem_pid_file_open(server->options->pid_file);
}

void
ivshmem_handover_hear(struct ivshmem_server *server)
{
	int ret;

	ret = ivshmem_handover_give(server);
	if (ret == 0) {
		/* H2 */
		ivshmem_listen_close(&server->control);
		ivshmem_pid_file_close(server->pid_fd, server->options->pid_file);
		server->pid_fd = -1;
		ret = ivshmem_handover_send(server->asker_fd, "yours", -1);
	}
	if (ret == 0) {
		ivshmem_log(IVSHMEM_LOG_INFO, "handed over to another server with %" PRIu32
			    " client(s)", server->slots.live);
		server->leave = true;
		server->stop = true;
	} else {
		ivshmem_log(IVSHMEM_LOG_INFO, "not handed over, going on: %s", strerror(-ret));
		if (server->control.fd < 0)
			ivshmem_handover_keep(server);
	}
	ivshmem_handover_hang_up(server);
}

static int
ivshmem_handover_connect(const char *path, struct ivshmem_fault *fault)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred cred;
	int error;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (ivshmem_handover_bound(fd) != 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		error = errno;
		close(fd);
		return IVSHMEM_FAULT(fault, -error, "no server to take over from: %s; start without"
				     " --takeover if none runs", strerror(error));
	}
	if (ivshmem_handover_trusts(fd, &cred))
		return fd;
	close(fd);
	return IVSHMEM_FAULT(fault, -EPERM, "the server there is user %u's, this is user %u: start"
			     " this one as that user (--user)", (unsigned int)cred.uid,
			     (unsigned int)geteuid());
}

/* One line of the running server. Returns 1 when all has come. */
static int
ivshmem_handover_take(int fd, struct ivshmem_legacy *legacy, struct ivshmem_fault *fault)
{
	char line[IVSHMEM_HANDOVER_LINE];
	int file;
	int ret;

	ret = ivshmem_handover_receive(fd, line, &file);
	if (ret == 0 && strncmp(line, "file ", 5) == 0 && file >= 0) {
		ret = ivshmem_legacy_add(legacy, line + 5, file);
		return ret == 0 ? 0 : IVSHMEM_FAULT(fault, ret, "%s", strerror(-ret));
	}
	if (file >= 0)
		close(file);
	if (ret != 0)
		return IVSHMEM_FAULT(fault, ret, "the running server does not give: %s",
				     strerror(-ret));
	if (strncmp(line, "end ", 4) == 0 && strtoul(line + 4, NULL, 10) == legacy->cnt)
		return 1;
	return IVSHMEM_FAULT(fault, -EPROTO, "the running server says \"%.100s\"", line);
}

int
ivshmem_handover_ask(const char *socket_path, struct ivshmem_legacy *legacy,
		     struct ivshmem_fault *fault)
{
	char path[IVSHMEM_LISTEN_PATH_MAX];
	int ret;
	int fd;

	if (!ivshmem_handover_path(socket_path, path))
		return IVSHMEM_FAULT(fault, -ENAMETOOLONG, "no server can have a control socket"
				     " there: the path is too long");
	fd = ivshmem_handover_connect(path, fault);
	if (fd < 0)
		return fd;
	ret = ivshmem_handover_send(fd, IVSHMEM_HANDOVER_ASK, -1);
	if (ret != 0)
		ret = IVSHMEM_FAULT(fault, ret, "%s", strerror(-ret));
	while (ret == 0)
		ret = ivshmem_handover_take(fd, legacy, fault);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	ivshmem_legacy_sort(legacy);
	return fd;
}

int
ivshmem_handover_finish(int fd, struct ivshmem_fault *fault)
{
	char line[IVSHMEM_HANDOVER_LINE] = "";
	bool was_sent;
	int file = -1;
	int ret;

	ret = ivshmem_handover_send(fd, "ready", -1);
	was_sent = ret == 0;
	if (was_sent)
		ret = ivshmem_handover_receive(fd, line, &file);
	if (file >= 0)
		close(file);
	close(fd);
	if (ret == 0 && strcmp(line, "yours") == 0)
		return 0;
	if (was_sent && ret == -EPIPE)
		return 0;	/* H1: a connection with unread data ends with ECONNRESET */
	return IVSHMEM_FAULT(fault, ret != 0 ? ret : -EPROTO, "the running server does not let go:"
			     " %.100s", ret != 0 ? strerror(-ret) : line);
}
