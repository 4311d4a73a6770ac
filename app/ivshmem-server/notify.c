/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * sd_notify(3)'s protocol: a datagram of lines to $NOTIFY_SOCKET, with at most one file here; and
 * sd_listen_fds(3)'s: files from 3 on, counted and named by the environment.
 *
 * Threads: one.
 * Trust: the service manager's word. Files that it gives back are looked at by inherit.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fdmsg.h"
#include "log.h"
#include "notify.h"

#define IVSHMEM_LISTEN_FDS_START	3
#define IVSHMEM_NOTIFY_WAIT_S		5	/* its queue may be full */

/* The address of $NOTIFY_SOCKET; returns its length, 0 = there is none. */
static socklen_t
ivshmem_notify_address(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return 0;
	len = strlen(path);
	if (len < 2 || len >= sizeof(address->sun_path))
		return 0;
	memcpy(address->sun_path, path, len);
	if (path[0] == '@')
		address->sun_path[0] = '\0';	/* the abstract name space */
	return offsetof(struct sockaddr_un, sun_path) + len;
}

/* fd = -1 sends none. Without a service manager it is no error. */
static int
ivshmem_notify_send(const char *text, int fd, int flags)
{
	const struct timeval wait = { .tv_sec = IVSHMEM_NOTIFY_WAIT_S };
	union ivshmem_fdmsg control = { 0 };
	struct sockaddr_un address;
	struct iovec data = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_name = &address, .msg_iov = &data, .msg_iovlen = 1 };
	int error = 0;
	int sock;

	msg.msg_namelen = ivshmem_notify_address(&address);
	if (msg.msg_namelen == 0)
		return 0;
	ivshmem_fdmsg_add(&msg, &control, fd);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    sendmsg(sock, &msg, MSG_NOSIGNAL | flags) < 0)
		error = errno;
	close(sock);
	return -error;
}

void
ivshmem_notify(const char *state)
{
	int ret = ivshmem_notify_send(state, -1, MSG_DONTWAIT);

	if (ret != 0)
		ivshmem_log(IVSHMEM_LOG_INFO, "no notice to the service manager at %s: %s",
			    getenv("NOTIFY_SOCKET"), strerror(-ret));
}

bool
ivshmem_notify_can(void)
{
	struct sockaddr_un address;

	return ivshmem_notify_address(&address) != 0;
}

/* FDPOLL=0: what becomes of a file is ours to see. */
int
ivshmem_notify_keep(const char *name, int fd, bool wait)
{
	char text[IVSHMEM_LEGACY_NAME_MAX + 32];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return ivshmem_notify_send(text, fd, wait ? 0 : MSG_DONTWAIT);
}

void
ivshmem_notify_drop(const char *name)
{
	char text[IVSHMEM_LEGACY_NAME_MAX + 32];
	int ret;

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	ret = ivshmem_notify_send(text, -1, 0);
	if (ret != 0)
		ivshmem_log(IVSHMEM_LOG_INFO, "no notice to the service manager at %s: %s",
			    getenv("NOTIFY_SOCKET"), strerror(-ret));
}

/* The number in the environment; 0 when there is none. */
static long
ivshmem_notify_number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? strtol(text, NULL, 10) : 0;
}

int
ivshmem_notify_take(struct ivshmem_legacy *legacy)
{
	const long cnt = ivshmem_notify_number("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	char name[IVSHMEM_LEGACY_NAME_MAX];
	int ret;
	size_t len;
	int fd;

	if (ivshmem_notify_number("LISTEN_PID") != getpid() || names == NULL)
		return 0;
	for (long i = 0; i < cnt && i < INT32_MAX - IVSHMEM_LISTEN_FDS_START; i++) {
		fd = IVSHMEM_LISTEN_FDS_START + i;
		len = strcspn(names, ":");
		snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : 0), names);
		names += len + (names[len] == ':' ? 1 : 0);
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return -errno;	/* so many were not given */
		ret = ivshmem_legacy_add(legacy, name, fd);
		if (ret != 0)
			return ret;
	}
	ivshmem_legacy_sort(legacy);
	return 0;
}
