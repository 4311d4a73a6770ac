/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * How a port reaches its region: the seam between the fronts (PCI, vdev) and the rest.
 */

#ifndef IVSHMEM_TRANSPORT_H
#define IVSHMEM_TRANSPORT_H

#include <stdint.h>

#include "ivshmem_port.h"

struct ivshmem_transport;

struct ivshmem_transport_ops {
	const char *name;
	/* Once a heartbeat, from the alarm thread: read what the other side said. */
	void (*tick)(struct ivshmem_transport *transport);
	/* Unmap, close, unlock. Never fails. */
	void (*detach)(struct ivshmem_transport *transport);
};

struct ivshmem_transport {
	const struct ivshmem_transport_ops *ops;
	void *front;			/* the front's own */
	void *base;			/* the region */
	uint64_t len;
	uint32_t slot;
	enum ivshmem_owner_kind kind;
};

#endif /* IVSHMEM_TRANSPORT_H */
