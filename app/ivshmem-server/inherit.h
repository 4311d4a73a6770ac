/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * To go on where a predecessor stopped, with its files: nobody else notices.
 */

#ifndef IVSHMEM_SERVER_INHERIT_H
#define IVSHMEM_SERVER_INHERIT_H

#include "legacy.h"
#include "server.h"

/*
 * Make the record that a successor will need, for a server that has a region and slots and no
 * client yet. Returns 0 or -errno.
 */
int ivshmem_inherit_prepare(struct ivshmem_server *server);

/*
 * Take up region, slots, clients and socket from the legacy. Nothing is written anywhere and nobody
 * is sent anything, so that the predecessor can still go on instead. Returns 0, or -errno with the
 * fault; what was taken up then is in the server, for ivshmem_server_destroy().
 */
int ivshmem_inherit(struct ivshmem_server *server, struct ivshmem_legacy *legacy,
		    struct ivshmem_fault *fault);

/*
 * ivshmem_inherit() failed and nobody else will go on: lock and socket must not be in the way of a
 * new beginning, although the service manager may have them open still.
 */
void ivshmem_inherit_refuse(struct ivshmem_server *server, struct ivshmem_legacy *legacy);

/* The predecessor is gone for good: serve. Returns 0 or -errno. */
int ivshmem_inherit_begin(struct ivshmem_server *server);

#endif /* IVSHMEM_SERVER_INHERIT_H */
