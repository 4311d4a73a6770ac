/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Eventfds by port and vector; see ivshmem_vectors.h.
 *
 * Ordering: cnt is stored after the fd (release) and loaded before it (acquire).
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ivshmem_vectors.h"

int
ivshmem_vectors_init(struct ivshmem_vectors *vectors, uint32_t port_cnt, uint32_t each)
{
	vectors->port_cnt = port_cnt;
	vectors->each = each;
	vectors->cnt = calloc(port_cnt, sizeof(*vectors->cnt));
	vectors->fds = calloc((size_t)port_cnt * each, sizeof(*vectors->fds));
	if (vectors->cnt != NULL && vectors->fds != NULL)
		return 0;
	ivshmem_vectors_close(vectors);
	return -ENOMEM;
}

void
ivshmem_vectors_add(struct ivshmem_vectors *vectors, int64_t id, int fd)
{
	uint32_t cnt;

	if (id < 0 || id >= vectors->port_cnt) {
		close(fd);
		return;
	}
	cnt = ivshmem_load32(&vectors->cnt[id]);
	if (cnt == vectors->each) {
		close(fd);
		return;
	}
	vectors->fds[id * vectors->each + cnt] = fd;
	ivshmem_store32_release(&vectors->cnt[id], cnt + 1);	/* pairs with vectors_cnt */
}

uint32_t
ivshmem_vectors_cnt(const struct ivshmem_vectors *vectors, uint32_t slot)
{
	return ivshmem_load32_acquire(&vectors->cnt[slot]);	/* pairs with vectors_add */
}

int
ivshmem_vectors_fd(const struct ivshmem_vectors *vectors, uint32_t slot, uint32_t vector)
{
	return vectors->fds[(size_t)slot * vectors->each + vector];
}

bool
ivshmem_vectors_ring(const struct ivshmem_vectors *vectors, uint32_t slot, uint32_t vector)
{
	const uint32_t cnt = ivshmem_vectors_cnt(vectors, slot);
	return cnt != 0 &&
		ivshmem_vector_ring(ivshmem_vectors_fd(vectors, slot, vector < cnt ? vector : 0));
}

/* A counter at its end is a wakeup that is due already; other errors find nobody. */
bool
ivshmem_vector_ring(int fd)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	const uint64_t one = 1;

	return poll(&room, 1, 0) == 0 || write(fd, &one, sizeof(one)) == sizeof(one) ||
		errno == EAGAIN;
}

uint64_t
ivshmem_vector_drain(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint64_t rings = 0;
	const struct iovec vec = { .iov_base = &rings, .iov_len = sizeof(rings) };

	/* an eventfd takes RWF_NOWAIT since Linux 5.12 */
	if (preadv2(fd, &vec, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP &&
	    poll(&ready, 1, 0) == 1 && read(fd, &rings, sizeof(rings)) < 0)
		return 0;
	return rings;
}

void
ivshmem_vectors_close(struct ivshmem_vectors *vectors)
{
	if (vectors->cnt != NULL && vectors->fds != NULL)
		for (uint32_t slot = 0; slot < vectors->port_cnt; slot++)
			for (uint32_t i = 0; i < ivshmem_vectors_cnt(vectors, slot); i++)
				close(ivshmem_vectors_fd(vectors, slot, i));
	free(vectors->cnt);
	free(vectors->fds);
	memset(vectors, 0, sizeof(*vectors));
}
