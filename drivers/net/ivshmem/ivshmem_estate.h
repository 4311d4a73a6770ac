/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What outlives a closed port while the application has mbufs whose data lies in the region: the
 * mapping, the loan tables and the Tx pool (B3, M3).
 *
 * Threads: the control thread; then EAL's alarm thread.
 */

#ifndef IVSHMEM_ESTATE_H
#define IVSHMEM_ESTATE_H

#include "ivshmem_loan.h"
#include "ivshmem_pool.h"
#include "ivshmem_port.h"
#include "ivshmem_transport.h"

/*
 * The port "name" closes: detach the transport and free the tables (cnt of them, some NULL) and the
 * pool (or NULL), now or when the last mbuf is free. The slot is left now, or when the last buffer
 * of another port is no longer used: that one takes a port that has left for one that uses nothing.
 */
void ivshmem_estate_leave(const char *name, struct ivshmem_port *port,
			  struct ivshmem_loans **tables, uint32_t cnt,
			  struct ivshmem_pool *pool, const struct ivshmem_transport *transport);

/* Whether the device may go: 0, or -EBUSY, logged, while something of its port is in use. */
int ivshmem_estate_check(const char *name);

#endif /* IVSHMEM_ESTATE_H */
