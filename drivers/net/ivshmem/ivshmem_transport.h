/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * How a port reaches its region and its peers: the seam between the fronts (PCI, vdev) and the
 * rest.
 *
 * Interrupts: a port hears vectors 0..vectors-1. Vector 0 is for control: it means "look at
 * everything". Vector 1 + n is Rx queue n's own, where there are so many.
 */

#ifndef IVSHMEM_TRANSPORT_H
#define IVSHMEM_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_interrupts.h>

#include "ivshmem_port.h"

struct ivshmem_transport;

struct ivshmem_transport_ops {
	const char *name;
	/* Once a heartbeat, from the alarm thread: read what the other side said. */
	void (*tick)(struct ivshmem_transport *transport);
	/*
	 * Ring a vector of another port, or its vector 0 when that cannot be reached. Any thread.
	 * False when the port cannot be rung.
	 */
	bool (*ring)(struct ivshmem_transport *transport, uint32_t slot, uint32_t vector);
	/*
	 * Begin to hear: vector 0 calls control(arg) on EAL's interrupt thread, vector 1 + i
	 * signals the eventfd that is stored in fds[i], for i < cnt < vectors. Returns 0 or a
	 * negative errno, logged.
	 */
	int (*listen)(struct ivshmem_transport *transport, int *fds, uint32_t cnt,
		      void (*control)(void *arg), void *arg);
	void (*unlisten)(struct ivshmem_transport *transport);
	/* Vector 0 rings without end: do not hear it, or hear it again. Any thread. */
	void (*mute)(struct ivshmem_transport *transport, bool muted);
	/* Unmap, close, unlock. Never fails. */
	void (*detach)(struct ivshmem_transport *transport);
};

struct ivshmem_transport {
	const struct ivshmem_transport_ops *ops;
	void *front;			/* the front's own */
	void (*control)(void *arg);	/* what vector 0 calls while the port listens */
	void *control_arg;
	void *base;			/* the region */
	uint64_t len;
	uint32_t slot;
	uint32_t vectors;		/* that the port can hear; 0 = no interrupts at all */
	uint32_t reach;			/* PCI: vectors of others that the device can ring */
	enum ivshmem_owner_kind kind;
	bool wc;			/* base may be mapped write-combining */
};

/* Take a callback back, from any thread: also from the callback itself, when it ends. */
static inline void
ivshmem_transport_unhear(const struct rte_intr_handle *handle, rte_intr_callback_fn callback,
			 void *arg)
{
	if (!rte_thread_is_intr())
		rte_intr_callback_unregister_sync(handle, callback, arg);
	else if (rte_intr_callback_unregister(handle, callback, arg) == -EAGAIN)
		rte_intr_callback_unregister_pending(handle, callback, arg, NULL);
}

#endif /* IVSHMEM_TRANSPORT_H */
