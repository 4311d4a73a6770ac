/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The memfd with the server's memory of its clients.
 *
 * Threads: one.
 * Trust: only servers of one user write it, but it may be of another version, or a stranger's: it
 *      is taken up only if it is sealed, has an owner we trust and the length that it should have.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ivshmem_file.h"

#include "state.h"

#define IVSHMEM_STATE_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static size_t
ivshmem_state_slot_len(uint32_t ports)
{
	const size_t len = sizeof(struct ivshmem_state_slot) + ports * sizeof(uint16_t);

	return (len + 7) / 8 * 8;
}

static size_t
ivshmem_state_len(uint32_t ports)
{
	return sizeof(struct ivshmem_state) + ports * ivshmem_state_slot_len(ports);
}

int
ivshmem_state_create(const struct ivshmem_layout *layout, struct ivshmem_state **state)
{
	const size_t len = ivshmem_state_len(layout->port_cnt);
	void *base;
	int error;
	int fd;

	fd = memfd_create("ivshmem-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) != 0 || ftruncate(fd, len) != 0 ||
	    fcntl(fd, F_ADD_SEALS, IVSHMEM_STATE_SEALS) != 0)
		goto err_close;
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		goto err_close;
	*state = base;
	(*state)->magic = IVSHMEM_STATE_MAGIC;
	(*state)->version = IVSHMEM_STATE_VERSION;
	(*state)->layout = *layout;
	return fd;

err_close:
	error = errno;
	close(fd);
	return -error;
}

/* The head, before so much is mapped as it asks for. */
static int
ivshmem_state_check(int fd, uint32_t *ports, struct ivshmem_fault *fault)
{
	struct ivshmem_state head;
	struct stat st;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & IVSHMEM_STATE_SEALS) != IVSHMEM_STATE_SEALS ||
	    fstat(fd, &st) != 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    head.magic != IVSHMEM_STATE_MAGIC)
		return IVSHMEM_FAULT(fault, -EUCLEAN, "its record of clients is none");
	if (head.version != IVSHMEM_STATE_VERSION)
		return IVSHMEM_FAULT(fault, -EPROTONOSUPPORT, "its record of clients has version %"
				     PRIu32 ", this program reads %u; stop that one and its clients"
				     " and start anew", head.version, IVSHMEM_STATE_VERSION);
	*ports = head.layout.port_cnt;
	if (ivshmem_layout_check_plan(&head.layout, fault) != 0)
		return -EUCLEAN;
	if ((uint64_t)st.st_size != ivshmem_state_len(*ports))
		return IVSHMEM_FAULT(fault, -EUCLEAN, "its record of clients has %jd bytes, not %zu"
				     " for %" PRIu32 " ports", (intmax_t)st.st_size,
				     ivshmem_state_len(*ports), *ports);
	if (memchr(head.path, '\0', sizeof(head.path)) == NULL || head.epoch == 0 ||
	    (head.path[0] == '\0' && (head.shm != 0 || head.created != 0)))
		return IVSHMEM_FAULT(fault, -EUCLEAN, "its record of clients has no epoch, or no"
				     " name of the memory");
	return ivshmem_file_check_owner(fd, fault);
}

int
ivshmem_state_open(int fd, struct ivshmem_state **state, struct ivshmem_fault *fault)
{
	uint32_t ports;
	void *base;
	int ret;

	ret = ivshmem_state_check(fd, &ports, fault);
	if (ret != 0)
		return ret;
	base = mmap(NULL, ivshmem_state_len(ports), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return IVSHMEM_FAULT(fault, -errno, "its record of clients can not be mapped: %s",
				     strerror(errno));
	*state = base;
	return 0;
}

void
ivshmem_state_close(struct ivshmem_state *state)
{
	if (state != NULL)
		munmap(state, ivshmem_state_len(state->layout.port_cnt));
}

struct ivshmem_state_slot *
ivshmem_state_slot(struct ivshmem_state *state, uint32_t slot)
{
	if (state == NULL)
		return NULL;
	return (struct ivshmem_state_slot *)((uint8_t *)(state + 1) +
					     slot * ivshmem_state_slot_len(state->layout.port_cnt));
}
