/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Listen on a path of AF_UNIX: never take a living server's, never leave a dead one's in the way.
 *
 * Threads: one.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bound.h"
#include "listen.h"

#define IVSHMEM_BACKLOG		128
#define IVSHMEM_LOCK_TRIES	200	/* a server holds the lock for milliseconds */
#define IVSHMEM_LOCK_PAUSE_US	10000

static int
ivshmem_listen_address(const char *path, struct sockaddr_un *address, struct ivshmem_fault *fault)
{
	const size_t len = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(address->sun_path))
		return IVSHMEM_FAULT(fault, -ENAMETOOLONG, "the path has %zu bytes, at most %zu are"
				     " possible", len, sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, len + 1);
	return 0;
}

/*
 * connect() of a datagram socket as an errno: EPROTOTYPE when a stream socket has the address. So a
 * living server does not notice, where a connection would be a client to it.
 */
static int
ivshmem_listen_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		error = errno;
	close(fd);
	return error;
}

int
ivshmem_listen_probe(const char *path, struct ivshmem_fault *fault)
{
	struct sockaddr_un address;
	struct stat st;
	int error;
	int ret;

	ret = ivshmem_listen_address(path, &address, fault);
	if (ret != 0)
		return ret;
	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return IVSHMEM_FAULT(fault, -EEXIST, "it exists and is no socket; remove it or give"
				     " another --socket");
	error = ivshmem_listen_connect(&address);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	if (error == 0 || error == EPROTOTYPE)
		return IVSHMEM_FAULT(fault, -EADDRINUSE, "a living server listens there; stop it or"
				     " give another --socket");
	return IVSHMEM_FAULT(fault, -error, "%s", strerror(error));
}

static int
ivshmem_listen_bind(struct ivshmem_listen *listener, const struct sockaddr_un *address, mode_t mode)
{
	struct stat st;
	mode_t old;
	int ret;

	listener->fd = socket(AF_UNIX, listener->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return -errno;
	old = umask(0777 & ~mode);	/* no moment with other permissions */
	ret = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address));
	ret = ret != 0 ? -errno : 0;
	umask(old);
	if (ret == 0 && lstat(listener->path, &st) == 0) {
		listener->dev = st.st_dev;
		listener->ino = st.st_ino;
	}
	if (ret == 0 && listen(listener->fd, IVSHMEM_BACKLOG) != 0)
		ret = -errno;
	return ret;
}

/*
 * The lock of the directory that the path is in: between the look at a dead server's socket and its
 * replacement no other server may replace it. It leaves nothing behind, whatever happens. Returns
 * its fd; -1 where the directory or its file system has no lock to give, or somebody who is no
 * server holds on to it: that must not keep a server from starting, and it goes without.
 */
static int
ivshmem_listen_lock(const char *path)
{
	const char *name = strrchr(path, '/');
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
	int fd;

	if (name != NULL)
		snprintf(dir, sizeof(dir), "%.*s", name == path ? 1 : (int)(name - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || tries == IVSHMEM_LOCK_TRIES) {
			close(fd);
			return -1;
		}
		usleep(IVSHMEM_LOCK_PAUSE_US);
	}
	return fd;
}

static int
ivshmem_listen_replace(struct ivshmem_listen *listener, const char *path, mode_t mode,
		       struct ivshmem_fault *fault)
{
	struct sockaddr_un address;
	struct stat st;
	int ret;

	ret = ivshmem_listen_address(path, &address, fault);
	if (ret == 0)
		ret = ivshmem_listen_probe(path, fault);
	if (ret != 0)
		return ret;
	if (lstat(path, &st) == 0 && unlink(path) != 0)
		return IVSHMEM_FAULT(fault, -errno, "the socket of a dead server can not be"
				     " removed: %s", strerror(errno));
	ret = ivshmem_listen_bind(listener, &address, mode);
	if (ret != 0) {
		ivshmem_listen_close(listener);
		return IVSHMEM_FAULT(fault, ret, "%s", strerror(-ret));
	}
	return 0;
}

int
ivshmem_listen_open(struct ivshmem_listen *listener, const char *path, int type, mode_t mode,
		    struct ivshmem_fault *fault)
{
	int lock;
	int ret;

	*listener = (struct ivshmem_listen){ .fd = -1, .type = type, .path = path };
	lock = ivshmem_listen_lock(path);
	ret = ivshmem_listen_replace(listener, path, mode, fault);
	if (lock >= 0)
		close(lock);
	return ret;
}

bool
ivshmem_listen_adopt(struct ivshmem_listen *listener, int fd, const char *path)
{
	struct sockaddr_un bound = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(bound) - 1;	/* so that the path ends */
	socklen_t size = sizeof(int);
	struct stat there;
	struct stat mine;
	int type = 0;
	int listens = 0;

	if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 || bound.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
		return false;
	if (lstat(path, &there) != 0 || !S_ISSOCK(there.st_mode) ||
	    lstat(bound.sun_path, &mine) != 0 || mine.st_dev != there.st_dev ||
	    mine.st_ino != there.st_ino)
		return false;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		return false;
	*listener = (struct ivshmem_listen){
		.fd = fd,
		.type = SOCK_STREAM,
		.adopted = true,
		.path = path,
		.dev = there.st_dev,
		.ino = there.st_ino,
	};
	return true;
}

void
ivshmem_listen_leave(struct ivshmem_listen *listener)
{
	listener->ino = 0;
	ivshmem_listen_close(listener);
}

void
ivshmem_listen_close(struct ivshmem_listen *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (listener->ino != 0 && lstat(listener->path, &st) == 0 &&
	    st.st_dev == listener->dev && st.st_ino == listener->ino)
		unlink(listener->path);
	ivshmem_bound_close(listener->fd);	/* with those whom nobody accepted */
	listener->fd = -1;
}
