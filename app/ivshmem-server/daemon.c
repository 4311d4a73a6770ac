/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Daemon and pid file.
 *
 * Threads: one.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

/* The parent's part: as ready, or as dead, as its child. */
static void
ivshmem_daemon_wait(int fd, pid_t child)
{
	int status = 0;
	ssize_t len;
	char byte;

	do {
		len = read(fd, &byte, 1);
	} while (len < 0 && errno == EINTR);
	if (len == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int
ivshmem_daemon_fork(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	fflush(NULL);
	child = fork();
	if (child < 0) {
		close(ends[0]);
		close(ends[1]);
		return -errno;
	}
	if (child > 0) {
		close(ends[1]);
		ivshmem_daemon_wait(ends[0], child);
	}
	close(ends[0]);
	prctl(PR_SET_PDEATHSIG, SIGTERM);	/* nobody waits any more: stop the start */
	return ends[1];
}

void
ivshmem_daemon_detach(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	ivshmem_log_to_syslog();
	for (int std = 0; null >= 0 && std <= 2; std++)
		dup2(null, std);
	if (null > 2)
		close(null);
	if (write(fd, "1", 1) != 1)
		ivshmem_log(IVSHMEM_LOG_DEBUG, "the starting process is gone");
	close(fd);
}

static int
ivshmem_pid_file_make(const char *path, struct ivshmem_fault *fault)
{
	char text[16];
	struct stat st;
	ssize_t len;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size >= (off_t)sizeof(text)) {
		close(fd);
		return IVSHMEM_FAULT(fault, -EEXIST, "it exists and is no pid file; remove it or"
				     " give another --pid-file");
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		len = pread(fd, text, sizeof(text) - 1, 0);
		text[len > 0 ? len : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		close(fd);
		return IVSHMEM_FAULT(fault, -EBUSY, "process %s holds it; stop that one or give"
				     " another --pid-file", text);
	}
	len = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, len, 0) != len) {
		ivshmem_pid_file_close(fd, path);
		return IVSHMEM_FAULT(fault, -EIO, "it can not be written");
	}
	return fd;
}

int
ivshmem_pid_file_open(const char *path)
{
	struct ivshmem_fault fault;
	int fd = ivshmem_pid_file_make(path, &fault);

	if (fd < 0)
		ivshmem_log(IVSHMEM_LOG_ERROR, "--pid-file %s: %s", path, fault.text);
	return fd;
}

void
ivshmem_pid_file_close(int fd, const char *path)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}
