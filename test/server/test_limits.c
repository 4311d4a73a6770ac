/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Whether a service manager can hand over the names of so many files, counted and written out.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#include "limits.h"

#define STRING_MAX	131072	/* of execve(2), the end included */

/* What systemd would put into the environment, in the worst case. */
static size_t
names_len(uint32_t ports, uint32_t vectors)
{
	size_t len = strlen("LISTEN_FDNAMES=state:memory:lock:listen") + 1;
	char name[64];

	for (uint32_t slot = 0; slot < ports; slot++) {
		for (uint32_t vector = 0; vector < vectors; vector++)
			len += snprintf(name, sizeof(name), ":v%" PRIu32 ".%" PRIu32, slot, vector);
		len += snprintf(name, sizeof(name), ":c%" PRIu32 ".%" PRIu32, slot, UINT32_MAX);
	}
	return len;
}

static void
test_names(uint32_t ports, uint32_t vectors)
{
	const size_t len = names_len(ports, vectors);
	struct ivshmem_fault fault = { "" };
	const int ret = ivshmem_limits_names(ports, vectors, &fault);
	char text[64];

	if (len + 8 < STRING_MAX)	/* it may be stricter by some bytes */
		CHECK_EQ(ret, 0);
	if (len <= STRING_MAX)
		return;
	CHECK_EQ(ret, -E2BIG);
	snprintf(text, sizeof(text), "--ports %" PRIu32 " and --vectors %" PRIu32 " needs", ports,
		 vectors);
	CHECK(strstr(fault.text, text) != NULL);
}

int
main(void)
{
	uint32_t fit = 0;
	struct ivshmem_fault fault;

	for (uint32_t ports = 2; ports <= 1024; ports += ports < 120 ? 1 : 17)
		for (uint32_t vectors = 1; vectors <= 64; vectors++) {
			test_names(ports, vectors);
			fit += ivshmem_limits_names(ports, vectors, &fault) == 0;
		}
	CHECK(fit > 1000);
	CHECK_EQ(ivshmem_limits_names(1024, 15, &fault), 0);
	CHECK_EQ(ivshmem_limits_names(1024, 17, &fault), -E2BIG);
	CHECK_EQ(ivshmem_limits_names(256, 64, &fault), 0);
	return check_exit();
}
