/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Two processes wake each other in turn: one write to the other's eventfd, one epoll_wait, one
 * read. That is the least a sleeper's round trip can cost.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"

#define BARE_WAKE_MS	5000

/* An epoll instance that waits for the eventfd; negative on failure. */
static int
bare_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	int epfd = epoll_create1(0);

	return epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) != 0 ? -1 : epfd;
}

static bool
bare_ring_bell(int fd)
{
	const uint64_t one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one);
}

static bool
bare_sleep(int epfd, int fd)
{
	struct epoll_event event;
	uint64_t value;

	return epoll_wait(epfd, &event, 1, BARE_WAKE_MS) == 1 &&
	       read(fd, &value, sizeof(value)) == sizeof(value);
}

static int
bare_wake_child(const struct bare_args *args, const int *fds)
{
	const int epfd = bare_epoll(fds[1]);

	if (epfd < 0 || !bare_pin(args->cpu[1]))
		return 1;
	for (uint64_t i = 0; i < args->number; i++)
		if (!bare_sleep(epfd, fds[1]) || !bare_ring_bell(fds[0]))
			return 1;
	return 0;
}

int
bare_wake(const struct bare_args *args)
{
	const int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	uint32_t *ns = calloc(args->number, sizeof(*ns));
	const int epfd = bare_epoll(fds[0]);
	uint64_t then, now, i;
	int status = -1;
	pid_t child;

	if (ns == NULL || epfd < 0 || fds[1] < 0)
		return 1;
	child = fork();
	if (child == 0)
		_exit(bare_wake_child(args, fds));
	if (child < 0 || !bare_pin(args->cpu[0]))
		return 1;
	then = bare_now_ns();
	for (i = 0; i < args->number; i++) {
		if (!bare_ring_bell(fds[1]) || !bare_sleep(epfd, fds[0])) {
			fprintf(stderr, "ivshmem-bare: no answer within %d ms\n", BARE_WAKE_MS);
			break;
		}
		now = bare_now_ns();
		ns[i] = now - then;
		then = now;
	}
	waitpid(child, &status, 0);
	if (i == args->number && status == 0)
		bare_print_quantiles(ns, i);
	free(ns);
	return i == args->number && status == 0 ? 0 : 1;
}
