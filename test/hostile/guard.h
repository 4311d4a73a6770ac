/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Names that the linker makes of --wrap=mmap64 and --wrap=munmap; see guard.c.
 */

#ifndef IVSHMEM_TEST_GUARD_H
#define IVSHMEM_TEST_GUARD_H

#include <stddef.h>
#include <sys/types.h>

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);

#endif /* IVSHMEM_TEST_GUARD_H */
