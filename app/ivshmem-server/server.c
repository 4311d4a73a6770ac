/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The event loop, and what has to be there before it runs.
 *
 * event                        what follows
 * connection                   clients.c
 * end of file, data, room      clients.c
 * no fd for a connection       none is accepted until the next second
 * a second went by             heartbeat; clients.c looks at its patience; what the service
 *                              manager did not take is given to it again
 * SIGTERM, SIGINT              the loop ends; after SIGTERM with --fd-store without a word
 * another server asks          handover.c; the loop ends without a word
 *
 * Invariants:
 *  E1. One event is taken at a time and clients are destroyed only between events, so an event
 *      never meets one that is gone.
 *  E2. Nothing in the loop blocks but epoll_wait(), and for 5 seconds at most: a service manager
 *      whose queue is full, and another server in the middle of taking over.
 * Threads: one.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clients.h"
#include "handover.h"
#include "inherit.h"
#include "limits.h"
#include "log.h"
#include "notify.h"
#include "server.h"

/* Connections taken at one event, so that a flood of them does not keep the clients waiting. */
#define IVSHMEM_ACCEPT_BURST	16

int
ivshmem_server_watch(const struct ivshmem_server *server, int op, int fd, uint32_t source,
		     uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	return epoll_ctl(server->epoll_fd, op, fd, &event) != 0 ? -errno : 0;
}

bool
ivshmem_server_deafen(const struct ivshmem_server *server, struct ivshmem_listen *listener,
		      uint32_t source, int error)
{
	if (error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPERM)
		return false;
	listener->deaf = true;
	ivshmem_server_watch(server, EPOLL_CTL_MOD, listener->fd, source, 0);
	return true;
}

static void
ivshmem_server_hear(const struct ivshmem_server *server, struct ivshmem_listen *listener,
		    uint32_t source)
{
	if (!listener->deaf)
		return;
	listener->deaf = false;
	ivshmem_server_watch(server, EPOLL_CTL_MOD, listener->fd, source, EPOLLIN);
}

static void
ivshmem_server_pause(struct ivshmem_server *server, int error)
{
	struct ivshmem_fault fault;

	if (!ivshmem_server_deafen(server, &server->listener, IVSHMEM_SOURCE_LISTENER, error))
		return;
	if (!server->deaf_said) {
		ivshmem_limits_explain(error, &fault);
		ivshmem_log(IVSHMEM_LOG_ERROR, "no connection can be accepted: %s; trying again"
			    " each second", fault.text);
	}
	server->deaf_said = true;
}

static void
ivshmem_server_accept(struct ivshmem_server *server)
{
	int fd;

	for (int i = 0; i < IVSHMEM_ACCEPT_BURST; i++) {
		fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			ivshmem_server_pause(server, errno);
			return;
		}
		if (server->deaf_said)
			ivshmem_log(IVSHMEM_LOG_INFO, "connections are accepted again");
		server->deaf_said = false;
		ivshmem_clients_attach(server, fd);
	}
}

void
ivshmem_server_keep(struct ivshmem_server *server, const char *name, int fd)
{
	int ret;

	if (!server->keep || !server->kept)
		return;		/* or all is tried again within a second */
	ret = ivshmem_notify_keep(name, fd, true);
	if (ret == 0)
		return;
	ivshmem_log(IVSHMEM_LOG_ERROR, "--fd-store: the service manager does not take %s: %s;"
		    " clients will notice if this server ends; trying again each second", name,
		    strerror(-ret));
	server->kept = false;
}

static int
ivshmem_server_keep_one(void *arg, const char *name, int fd)
{
	struct ivshmem_server *server = arg;

	ivshmem_server_keep(server, name, fd);
	return 0;
}

static int
ivshmem_server_keep_again(void *arg, const char *name, int fd)
{
	(void)arg;
	return ivshmem_notify_keep(name, fd, false);
}

/* It did not take something: give it all; it knows which files it has. */
static void
ivshmem_server_keep_tick(struct ivshmem_server *server)
{
	if (!server->keep || server->kept ||
	    ivshmem_legacy_each(server, ivshmem_server_keep_again, NULL) != 0)
		return;
	server->kept = true;
	ivshmem_log(IVSHMEM_LOG_INFO, "--fd-store: the service manager has taken all files again");
}

/* Once a second: the beat, the patience with clients, another try to accept. */
static void
ivshmem_server_tick(struct ivshmem_server *server)
{
	uint64_t ticks;

	if (read(server->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	ivshmem_slots_beat(&server->slots);
	ivshmem_clients_tick(server);
	ivshmem_server_keep_tick(server);
	ivshmem_server_hear(server, &server->listener, IVSHMEM_SOURCE_LISTENER);
	ivshmem_server_hear(server, &server->control, IVSHMEM_SOURCE_CONTROL);
}

static void
ivshmem_server_handle(struct ivshmem_server *server, const struct epoll_event *event)
{
	struct signalfd_siginfo signal_info;
	const uint32_t source = event->data.u32;

	switch (source) {
	case IVSHMEM_SOURCE_LISTENER:
		ivshmem_server_accept(server);
		break;
	case IVSHMEM_SOURCE_TIMER:
		ivshmem_server_tick(server);
		break;
	case IVSHMEM_SOURCE_SIGNAL:
		if (read(server->signal_fd, &signal_info, sizeof(signal_info)) < 0)
			break;
		ivshmem_log(IVSHMEM_LOG_INFO, "stop: %s", strsignal(signal_info.ssi_signo));
		server->leave = server->keep && server->kept && signal_info.ssi_signo == SIGTERM;
		server->stop = true;
		break;
	case IVSHMEM_SOURCE_CONTROL:
		ivshmem_handover_accept(server);
		break;
	case IVSHMEM_SOURCE_ASKER:
		ivshmem_handover_hear(server);
		break;
	default:
		ivshmem_clients_hear(server, source, event->events);
		break;
	}
}

int
ivshmem_server_run(struct ivshmem_server *server)
{
	struct epoll_event event;
	int cnt;

	while (!server->stop) {
		cnt = epoll_wait(server->epoll_fd, &event, 1, -1);
		if (cnt < 0 && errno != EINTR)
			return -errno;
		if (cnt == 1)
			ivshmem_server_handle(server, &event);
		ivshmem_clients_reap(server);
	}
	return 0;
}

static int
ivshmem_server_open_sources(struct ivshmem_server *server)
{
	const struct itimerspec second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (server->epoll_fd < 0 || server->timer_fd < 0 || server->signal_fd < 0 ||
	    timerfd_settime(server->timer_fd, 0, &second, NULL) != 0)
		return -errno;
	ret = ivshmem_server_watch(server, EPOLL_CTL_ADD, server->timer_fd, IVSHMEM_SOURCE_TIMER,
				   EPOLLIN);
	if (ret == 0)
		ret = ivshmem_server_watch(server, EPOLL_CTL_ADD, server->signal_fd,
					   IVSHMEM_SOURCE_SIGNAL, EPOLLIN);
	if (ret == 0)
		ret = ivshmem_server_watch(server, EPOLL_CTL_ADD, server->listener.fd,
					   IVSHMEM_SOURCE_LISTENER, EPOLLIN);
	return ret;
}

static void
ivshmem_server_clear(struct ivshmem_server *server, const struct ivshmem_options *options)
{
	*server = (struct ivshmem_server){
		.options = options,
		.region = { .fd = -1, .lock_fd = -1 },
		.listener = { .fd = -1 },
		.control = { .fd = -1 },
		.asker_fd = -1,
		.pid_fd = -1,
		.state_fd = -1,
		.keep = options->fd_store,
		.kept = true,
		.epoll_fd = -1,
		.timer_fd = -1,
		.signal_fd = -1,
	};
}

/* The region, after a look at the socket and the limits: what fails, fails early. */
static int
ivshmem_server_open_region(struct ivshmem_server *server, uint32_t *vectors)
{
	const struct ivshmem_options *options = server->options;
	const struct ivshmem_layout *layout = &server->region.layout;
	struct ivshmem_fault fault;
	int ret;

	ret = ivshmem_listen_probe(options->socket_path, &fault);
	if (ret != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "--socket %s: %s", options->socket_path, fault.text);
		return ret == -EINVAL ? -EIO : ret;
	}
	ret = ivshmem_region_open(options, &server->region, &fault);
	if (ret == -EINVAL)
		ivshmem_options_blame(&fault);
	else if (ret != 0)
		ivshmem_log(IVSHMEM_LOG_ERROR, "%s: %s", server->region.name, fault.text);
	if (ret != 0)
		return ret;
	*vectors = ivshmem_options_vectors(options, layout);
	ivshmem_log(IVSHMEM_LOG_INFO, "%s%s: %" PRIu64 " bytes, %" PRIu32 " ports of %" PRIu32
		    " queues and %" PRIu32 " vectors, rings of %" PRIu32 ", %" PRIu32
		    " buffers of %" PRIu32 " bytes a port", server->region.name,
		    server->region.reused ? ", used on" : "", layout->total_len, layout->port_cnt,
		    layout->queue_cnt, *vectors, layout->ring_slots, layout->buf_cnt,
		    layout->buf_len);
	ret = ivshmem_limits_raise(layout->port_cnt, *vectors, &fault);
	if (ret == 0 && server->keep)
		ret = ivshmem_limits_names(layout->port_cnt, *vectors, &fault);
	if (ret != 0)
		ivshmem_log(IVSHMEM_LOG_ERROR, "%s", fault.text);
	return ret;
}

/* Nobody was there before: region, slots, socket. */
static int
ivshmem_server_open_new(struct ivshmem_server *server)
{
	const struct ivshmem_options *options = server->options;
	struct ivshmem_fault fault = { "" };
	uint32_t vectors;
	int ret;

	ret = ivshmem_server_open_region(server, &vectors);
	if (ret != 0)
		return ret;
	ret = ivshmem_slots_create(&server->slots, server->region.base, &server->region.layout,
				   vectors, options->announce_leave);
	if (ret == 0 && !options->announce_leave)
		ret = ivshmem_inherit_prepare(server);
	if (ret != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "slots: %s", strerror(-ret));
		return ret;
	}
	ret = ivshmem_listen_open(&server->listener, options->socket_path, SOCK_STREAM,
				  options->socket_mode, &fault);
	if (ret != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "--socket %s: %s", options->socket_path,
			    fault.text);
		return ret;
	}
	return ivshmem_legacy_each(server, ivshmem_server_keep_one, server);
}

/* A server runs: take its place. */
static int
ivshmem_server_take_over(struct ivshmem_server *server)
{
	struct ivshmem_legacy legacy = { 0 };
	struct ivshmem_fault fault;
	int fd = -1;
	int ret;

	ret = ivshmem_limits_raise(0, 0, &fault);	/* how many will come is not known yet */
	if (ret == 0) {
		fd = ivshmem_handover_ask(server->options->socket_path, &legacy, &fault);
		ret = fd < 0 ? fd : ivshmem_inherit(server, &legacy, &fault);
	}
	ivshmem_legacy_close(&legacy);
	if (fd >= 0 && ret == 0)
		ret = ivshmem_handover_finish(fd, &fault);
	else if (fd >= 0)
		close(fd);
	if (ret == 0)
		return 0;
	ivshmem_log(IVSHMEM_LOG_ERROR, "--takeover of %s: %s", server->options->socket_path,
		    fault.text);
	server->leave = true;	/* nothing of it is ours to remove */
	return ret == -EINVAL ? -EIO : ret;
}

/*
 * A server ran, and the service manager kept its files. Returns 0 when they were taken up; a
 * positive number when there are none, or none that can be used: then they are given up.
 */
static int
ivshmem_server_revive(struct ivshmem_server *server)
{
	struct ivshmem_legacy legacy = { 0 };
	struct ivshmem_fault fault;
	int ret;

	ret = ivshmem_notify_take(&legacy);
	if (ret != 0 || legacy.cnt == 0) {
		ivshmem_legacy_close(&legacy);
		return ret != 0 ? ret : 1;
	}
	ret = ivshmem_inherit(server, &legacy, &fault);
	if (ret != 0)
		ivshmem_inherit_refuse(server, &legacy);
	for (uint32_t i = 0; i < legacy.cnt; i++)
		if (ret != 0 || legacy.item[i].fd >= 0)
			ivshmem_notify_drop(legacy.item[i].name);
	ivshmem_legacy_close(&legacy);
	if (ret == 0 && !server->listener.adopted) {
		ivshmem_notify_drop("listen");
		ivshmem_server_keep(server, "listen", server->listener.fd);
	}
	if (ret == 0)
		return 0;
	ivshmem_log(IVSHMEM_LOG_ERROR, "--fd-store: what the service manager kept can not be used:"
		    " %s; starting anew", fault.text);
	server->leave = true;
	ivshmem_server_destroy(server, false);
	ivshmem_server_clear(server, server->options);
	return 1;
}

int
ivshmem_server_create(struct ivshmem_server *server, const struct ivshmem_options *options)
{
	bool inherited = options->takeover;	/* then no name is ours to remove */
	int ret;

	ivshmem_server_clear(server, options);
	if (options->takeover) {
		ret = ivshmem_server_take_over(server);
	} else {
		ret = server->keep ? ivshmem_server_revive(server) : 1;
		inherited = ret == 0;
		if (ret > 0)
			ret = ivshmem_server_open_new(server);
	}
	if (ret == 0) {
		ret = ivshmem_server_open_sources(server);
		if (ret == 0 && inherited)
			ret = ivshmem_inherit_begin(server);
		if (ret == 0)
			ret = ivshmem_handover_listen(server);
		if (ret != 0)
			ivshmem_log(IVSHMEM_LOG_ERROR, "event loop: %s", strerror(-ret));
	}
	if (ret == 0)
		return 0;
	server->leave = inherited;	/* what is kept stays, for another try */
	ivshmem_server_destroy(server, !inherited);
	return ret;
}

/* Nobody goes on: the service manager need not keep anything. */
static int
ivshmem_server_drop(void *arg, const char *name, int fd)
{
	(void)arg;
	(void)fd;
	ivshmem_notify_drop(name);
	return 0;
}

void
ivshmem_server_destroy(struct ivshmem_server *server, bool failed)
{
	const int fds[] = { server->epoll_fd, server->timer_fd, server->signal_fd,
			    server->state_fd };

	if (server->keep && !server->leave)
		ivshmem_legacy_each(server, ivshmem_server_drop, NULL);
	ivshmem_handover_close(server);
	if (server->leave)
		ivshmem_listen_leave(&server->listener);
	else
		ivshmem_listen_close(&server->listener);
	ivshmem_clients_destroy(server);
	ivshmem_slots_destroy(&server->slots);
	ivshmem_region_close(&server->region, !server->leave && (failed || server->region.shm));
	ivshmem_state_close(server->state);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
