/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * ivshmem-server: signals, commands, readiness and the exit status.
 *
 * Exit status: 0 done, 1 failed, 2 wrong option.
 * Threads: one.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "notify.h"
#include "options.h"
#include "privilege.h"
#include "region.h"
#include "server.h"

enum ivshmem_exit {
	IVSHMEM_EXIT_OK = 0,
	IVSHMEM_EXIT_FAILED = 1,
	IVSHMEM_EXIT_OPTION = 2,
};

/* A socket must never become what somebody else writes to as stdout. */
static void
ivshmem_keep_std_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void
ivshmem_interrupt(int number)
{
	(void)number;
}

/*
 * SIGTERM and SIGINT are read where they can be answered; see also ivshmem_memory_reserve().
 * SIGALRM interrupts what blocks; see bound.h.
 */
static void
ivshmem_block_signals(void)
{
	const struct sigaction interrupt = { .sa_handler = ivshmem_interrupt };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGALRM, &interrupt, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static void
ivshmem_print_layout(const struct ivshmem_layout *layout, uint32_t vectors, bool json)
{
	const struct {
		const char *key;
		uint64_t value;
	} lines[] = {
		{ "size", layout->total_len },
		{ "ports", layout->port_cnt },
		{ "queues", layout->queue_cnt },
		{ "vectors", vectors },
		{ "ring_size", layout->ring_slots },
		{ "buf_size", layout->buf_len },
		{ "bufs_per_port", layout->buf_cnt },
		{ "headroom", layout->headroom },
		{ "section_size", layout->section_len },
		{ "ring_reserve", layout->ring_len },
	};
	const size_t cnt = sizeof(lines) / sizeof(lines[0]);

	for (size_t i = 0; i < cnt; i++)
		if (json)
			printf("%s\"%s\": %" PRIu64 "%s", i == 0 ? "{" : " ", lines[i].key,
			       lines[i].value, i == cnt - 1 ? "}\n" : ",");
		else
			printf("%-14s %" PRIu64 "\n", lines[i].key, lines[i].value);
}

static int
ivshmem_dry_run(const struct ivshmem_options *options)
{
	struct ivshmem_layout layout;
	struct ivshmem_fault fault;

	if (ivshmem_region_plan(options, &layout, &fault) != 0) {
		ivshmem_options_blame(&fault);
		return IVSHMEM_EXIT_OPTION;
	}
	ivshmem_print_layout(&layout, ivshmem_options_vectors(options, &layout), options->json);
	return IVSHMEM_EXIT_OK;
}

static int
ivshmem_format_file(const struct ivshmem_options *options)
{
	struct ivshmem_region region;
	struct ivshmem_fault fault;
	int ret;

	ret = ivshmem_region_open(options, &region, &fault);
	if (ret == -EINVAL) {
		ivshmem_options_blame(&fault);
		return IVSHMEM_EXIT_OPTION;
	}
	if (ret != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "%s: %s", region.name, fault.text);
		return IVSHMEM_EXIT_FAILED;
	}
	ivshmem_print_layout(&region.layout, 0, options->json);
	ivshmem_log(IVSHMEM_LOG_DEBUG, "for QEMU: -object memory-backend-file,id=ivshmem0,share=on,"
		    "mem-path=%s,size=%" PRIu64 " -device ivshmem-plain,memdev=ivshmem0",
		    options->mem_path, region.layout.total_len);
	ivshmem_region_close(&region, false);
	return IVSHMEM_EXIT_OK;
}

static void
ivshmem_announce(const struct ivshmem_server *server, int daemon_fd)
{
	const struct ivshmem_layout *layout = &server->region.layout;
	char state[64];

	printf("ready socket=%s size=%" PRIu64 " ports=%" PRIu32 " queues=%" PRIu32 " vectors=%"
	       PRIu32 " id-first=0\n", server->options->socket_path, layout->total_len,
	       layout->port_cnt, layout->queue_cnt, server->slots.vectors);
	fflush(stdout);
	ivshmem_log_stamp();
	snprintf(state, sizeof(state), "READY=1\nMAINPID=%d", (int)getpid());
	ivshmem_notify(state);
	if (daemon_fd >= 0)
		ivshmem_daemon_detach(daemon_fd);
}

/* The server exists: pid file, readiness, service, end. */
static int
ivshmem_serve_ready(struct ivshmem_server *server, int daemon_fd)
{
	const char *path = server->options->pid_file;
	int ret;

	if (path != NULL) {
		server->pid_fd = ivshmem_pid_file_open(path);
		/* clients that were taken over must not suffer from it */
		if (server->pid_fd < 0 && !server->options->takeover) {
			server->leave = server->keep && server->kept;
			ivshmem_server_destroy(server, true);
			return IVSHMEM_EXIT_FAILED;
		}
	}
	ivshmem_announce(server, daemon_fd);
	ret = ivshmem_server_run(server);
	if (ret != 0)
		ivshmem_log(IVSHMEM_LOG_ERROR, "event loop: %s", strerror(-ret));
	ivshmem_notify("STOPPING=1");
	ivshmem_server_destroy(server, false);
	ivshmem_pid_file_close(server->pid_fd, path);
	return ret != 0 ? IVSHMEM_EXIT_FAILED : IVSHMEM_EXIT_OK;
}

static int
ivshmem_serve(const struct ivshmem_options *options)
{
	struct ivshmem_server server;
	struct ivshmem_fault fault;
	int daemon_fd = -1;
	int ret;

	if (options->fd_store && !ivshmem_notify_can()) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --fd-store: there is no service manager"
			    " (NOTIFY_SOCKET); start the server as a unit of Type=notify, or leave"
			    " the option away");
		return IVSHMEM_EXIT_OPTION;
	}
	if (ivshmem_privilege_drop(options->user, &fault) != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --user %s: %s",
			    options->user != NULL ? options->user : "", fault.text);
		return IVSHMEM_EXIT_FAILED;
	}
	if (options->daemonize) {
		daemon_fd = ivshmem_daemon_fork();
		if (daemon_fd < 0) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "--daemonize: %s", strerror(-daemon_fd));
			return IVSHMEM_EXIT_FAILED;
		}
	}
	ret = ivshmem_server_create(&server, options);
	if (ret != 0)
		return ret == -EINVAL ? IVSHMEM_EXIT_OPTION : IVSHMEM_EXIT_FAILED;
	return ivshmem_serve_ready(&server, daemon_fd);
}

int
main(int argc, char **argv)
{
	struct ivshmem_options options;

	ivshmem_keep_std_fds();
	if (ivshmem_options_parse(argc, argv, &options) != 0)
		return IVSHMEM_EXIT_OPTION;
	if (options.verbose > 0)
		ivshmem_log_limit(IVSHMEM_LOG_DEBUG);
	if (options.help) {
		ivshmem_options_help();
		return IVSHMEM_EXIT_OK;
	}
	if (options.version) {
		printf(options.json ? "{\"version\": \"%s\", \"format\": \"%u.%u\"}\n" :
		       "ivshmem-server %s, region format %u.%u\n", IVSHMEM_VERSION,
		       IVSHMEM_ABI_MAJOR, IVSHMEM_ABI_MINOR);
		return IVSHMEM_EXIT_OK;
	}
	if (options.dry_run)
		return ivshmem_dry_run(&options);
	ivshmem_block_signals();
	return options.format ? ivshmem_format_file(&options) : ivshmem_serve(&options);
}
