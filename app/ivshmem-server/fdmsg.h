/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A file that goes with a message (SCM_RIGHTS, unix(7)).
 */

#ifndef IVSHMEM_SERVER_FDMSG_H
#define IVSHMEM_SERVER_FDMSG_H

#include <string.h>
#include <sys/socket.h>

/* Room for one file; zeroed by whoever declares it, and alive until the message is sent. */
union ivshmem_fdmsg {
	char raw[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* fd = -1 adds none. */
static inline void
ivshmem_fdmsg_add(struct msghdr *msg, union ivshmem_fdmsg *control, int fd)
{
	struct cmsghdr *cmsg;

	if (fd < 0)
		return;
	msg->msg_control = control->raw;
	msg->msg_controllen = sizeof(control->raw);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

#endif /* IVSHMEM_SERVER_FDMSG_H */
