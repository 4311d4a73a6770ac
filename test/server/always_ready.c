/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/* Preloaded: whatever is asked for is ready, as when somebody was faster than who asked. */

#include <poll.h>

int
poll(struct pollfd *fds, nfds_t cnt, int timeout)
{
	(void)timeout;
	for (nfds_t i = 0; i < cnt; i++)
		fds[i].revents = POLLIN | POLLOUT;
	return cnt;
}
