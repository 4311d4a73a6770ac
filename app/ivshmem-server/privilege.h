/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * To be nobody special: no other user's rights, no capabilities, and no way back to them.
 */

#ifndef IVSHMEM_SERVER_PRIVILEGE_H
#define IVSHMEM_SERVER_PRIVILEGE_H

#include "ivshmem_fault.h"

/*
 * Become the user, a name or a number, with its groups and without any capability; NULL = stay who
 * we are. Never gain privileges from here on. Returns 0, or -errno with the fault.
 */
int ivshmem_privilege_drop(const char *user, struct ivshmem_fault *fault);

#endif /* IVSHMEM_SERVER_PRIVILEGE_H */
