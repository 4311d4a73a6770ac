/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the linker puts in the place of a function, and the function itself: see "wraps" in
 * fuzzers.py for which target has which.
 */

#ifndef FUZZ_WRAP_H
#define FUZZ_WRAP_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

struct ivshmem_legacy;
struct ivshmem_memtimes;
struct ivshmem_u64;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *pause, struct timespec *left);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
void __wrap_ivshmem_memtype_measure(const struct ivshmem_u64 *line, struct ivshmem_memtimes *times);
void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_poll(struct pollfd *fds, nfds_t cnt, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t cnt, int timeout);
int __real_epoll_wait(int fd, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int most, int timeout);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
int __wrap_posix_fallocate64(int fd, off_t off, off_t len);
int __wrap_setitimer(int which, const struct itimerval *value, struct itimerval *old);
int __wrap_usleep(useconds_t us);
void __wrap_ivshmem_log(int level, const char *format, ...);
int __wrap_ivshmem_notify_take(struct ivshmem_legacy *legacy);
int __wrap_ivshmem_notify_keep(const char *name, int fd, bool wait);
void __wrap_ivshmem_notify_drop(const char *name);

/* of DPDK; a callback of an alarm is a rte_eal_alarm_callback */
void __wrap_rte_delay_us_sleep(unsigned int us);
int __wrap_rte_eal_alarm_set(uint64_t us, void (*call)(void *arg), void *arg);
int __wrap_rte_eal_alarm_cancel(void (*call)(void *arg), void *arg);
void *__wrap_rte_malloc(const char *type, size_t size, unsigned int align);
void *__wrap_rte_zmalloc(const char *type, size_t size, unsigned int align);
void *__real_rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket);
void *__wrap_rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket);
void __wrap_rte_free(void *block);

#endif /* FUZZ_WRAP_H */
