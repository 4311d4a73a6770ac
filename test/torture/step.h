/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What instrument.py puts before each statement; included before all else.
 */

#ifndef IVSHMEM_TORTURE_STEP_H
#define IVSHMEM_TORTURE_STEP_H

void ivshmem_torture_step(unsigned int step);

#endif /* IVSHMEM_TORTURE_STEP_H */
