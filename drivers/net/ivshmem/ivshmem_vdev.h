/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the parts of the host's front share: ivshmem_vdev.c and ivshmem_socket.c.
 */

#ifndef IVSHMEM_VDEV_H
#define IVSHMEM_VDEV_H

#include "ivshmem_devargs.h"
#include "ivshmem_transport.h"

/* Map all of an open region. The caller keeps the fd. */
int ivshmem_vdev_map(struct ivshmem_transport *transport, int fd, struct ivshmem_fault *fault);

/*
 * Join a region through a server's socket. Returns 0 with the transport filled, or a negative errno
 * with the fault, and nothing left open.
 */
int ivshmem_socket_join(const struct ivshmem_devargs *conf, struct ivshmem_transport *transport,
			struct ivshmem_fault *fault);

#endif /* IVSHMEM_VDEV_H */
