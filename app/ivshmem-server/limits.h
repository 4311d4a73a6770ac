/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Open files: as many as a region needs, and words for the operator when there are no more.
 */

#ifndef IVSHMEM_SERVER_LIMITS_H
#define IVSHMEM_SERVER_LIMITS_H

#include <stdint.h>

#include "ivshmem_fault.h"

/*
 * Allow this process as many open files as the system lets it have. Returns 0, or -EMFILE with the
 * fault when they do not suffice for so many ports and vectors.
 */
int ivshmem_limits_raise(uint32_t ports, uint32_t vectors, struct ivshmem_fault *fault);

/* Why no fd could be made: for EMFILE and ENFILE with limit and remedy. Returns -error. */
int ivshmem_limits_explain(int error, struct ivshmem_fault *fault);

/*
 * A service manager hands over the names of all files in one string, LISTEN_FDNAMES: whether that
 * can be as long. Returns 0 or -E2BIG.
 */
int ivshmem_limits_names(uint32_t ports, uint32_t vectors, struct ivshmem_fault *fault);

#endif /* IVSHMEM_SERVER_LIMITS_H */
