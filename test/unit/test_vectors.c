/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Eventfds by port and vector: who is rung, what is closed, and what a full or foreign fd does.
 */

#include <dirent.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem_vectors.h"

#define PORTS 3u
#define EACH 2u

static unsigned int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int cnt = 0;

	while (dir != NULL && readdir(dir) != NULL)
		cnt++;
	if (dir != NULL)
		closedir(dir);
	return cnt;
}

static int
new_eventfd(void)
{
	const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* Fds of ports that are not there, and more than are kept, are closed; at the end all are. */
static void
table_owns_its_fds(void)
{
	static const int64_t ids[] = { -1, PORTS, INT64_MAX, INT64_MIN };
	const unsigned int before = open_fds();
	struct ivshmem_vectors vectors;

	if (!CHECK_EQ(ivshmem_vectors_init(&vectors, PORTS, EACH), 0))
		return;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ivshmem_vectors_add(&vectors, ids[i], new_eventfd());
	CHECK_EQ(open_fds(), before);
	for (uint32_t i = 0; i < EACH + 2; i++)
		ivshmem_vectors_add(&vectors, 1, new_eventfd());
	CHECK_EQ(ivshmem_vectors_cnt(&vectors, 0), 0);
	CHECK_EQ(ivshmem_vectors_cnt(&vectors, 1), EACH);
	CHECK_EQ(open_fds(), before + EACH);
	ivshmem_vectors_close(&vectors);
	CHECK_EQ(open_fds(), before);
	ivshmem_vectors_close(&vectors);	/* nothing is left to close */
	CHECK_EQ(open_fds(), before);
}

/* The vector asked for, or 0 of a port that has less; nobody where there is none. */
static void
rings_who_is_meant(void)
{
	struct ivshmem_vectors vectors;
	int fds[EACH];

	if (!CHECK_EQ(ivshmem_vectors_init(&vectors, PORTS, EACH), 0))
		return;
	CHECK(!ivshmem_vectors_ring(&vectors, 2, 0));
	for (uint32_t i = 0; i < EACH; i++) {
		fds[i] = new_eventfd();
		ivshmem_vectors_add(&vectors, 2, fds[i]);
		CHECK_EQ(ivshmem_vectors_fd(&vectors, 2, i), fds[i]);
	}
	CHECK(ivshmem_vectors_ring(&vectors, 2, 1));
	CHECK_EQ(ivshmem_vector_drain(fds[0]), 0);
	CHECK_EQ(ivshmem_vector_drain(fds[1]), 1);
	CHECK(ivshmem_vectors_ring(&vectors, 2, EACH));
	CHECK(ivshmem_vectors_ring(&vectors, 2, UINT32_MAX));
	CHECK_EQ(ivshmem_vector_drain(fds[0]), 2);
	CHECK_EQ(ivshmem_vector_drain(fds[0]), 0);
	CHECK_EQ(ivshmem_vector_drain(fds[1]), 0);
	ivshmem_vectors_close(&vectors);
}

/* A full one has rung already; it is not written to, which would wait where fds block. */
static void
full_has_rung(void)
{
	const uint64_t most = UINT64_MAX - 1;
	const int fd = eventfd(0, EFD_CLOEXEC);	/* blocks, as QEMU may have made it */

	CHECK_EQ(ivshmem_vector_drain(fd), 0);
	CHECK_EQ(write(fd, &most, sizeof(most)), sizeof(most));
	CHECK(ivshmem_vector_ring(fd));
	CHECK_EQ(ivshmem_vector_drain(fd), most);
	CHECK(ivshmem_vector_ring(fd));
	CHECK_EQ(ivshmem_vector_drain(fd), 1);
	close(fd);
	CHECK(!ivshmem_vector_ring(fd));
	CHECK_EQ(ivshmem_vector_drain(fd), 0);
}

int
main(void)
{
	alarm(10);	/* a ring that waits ends the test */
	table_owns_its_fds();
	rings_who_is_meant();
	full_has_rung();
	return check_exit();
}
