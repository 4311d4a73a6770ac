/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Why something was refused: a text that names the field or option, its value and the limit.
 *
 * The DPDK-free layers never log; they hand the reason to the layer that decides.
 */

#ifndef IVSHMEM_FAULT_H
#define IVSHMEM_FAULT_H

#include <stdio.h>

struct ivshmem_fault {
	char text[256];
};

/* Write the reason and yield the error: return IVSHMEM_FAULT(fault, -EINVAL, "...", ...); */
#define IVSHMEM_FAULT(fault, error, ...) \
	(snprintf((fault)->text, sizeof((fault)->text), __VA_ARGS__), (error))

#endif /* IVSHMEM_FAULT_H */
