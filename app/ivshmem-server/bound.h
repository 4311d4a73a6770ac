/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * System calls that strangers could make last: an eventfd that was filled and made blocking, or a
 * file that came along with bytes, and whose last reference goes here. A TCP socket with SO_LINGER
 * takes as long to close as its owner likes; but a signal ends the wait. main.c handles SIGALRM.
 */

#ifndef IVSHMEM_SERVER_BOUND_H
#define IVSHMEM_SERVER_BOUND_H

/* From here on a call that blocks is interrupted within a millisecond, again and again. */
void ivshmem_bound_begin(void);

void ivshmem_bound_end(void);

/* Close a client's connection, and whatever it sent along that nobody received. */
void ivshmem_bound_close(int fd);

#endif /* IVSHMEM_SERVER_BOUND_H */
