/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Another user, for good. It is done before anything is made or opened, so that all of it belongs
 * to that user: memory, sockets and pid file.
 *
 * Threads: one.
 */

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "privilege.h"

/* By name, or by number for a user that has an entry. */
static const struct passwd *
ivshmem_privilege_find(const char *user)
{
	const struct passwd *entry = getpwnam(user);
	unsigned long uid;
	char *end;

	if (entry != NULL || user[0] < '0' || user[0] > '9')
		return entry;
	uid = strtoul(user, &end, 10);
	return *end == '\0' && uid < UINT32_MAX ? getpwuid(uid) : NULL;
}

/* No capability, none that a program could gain. */
static int
ivshmem_privilege_drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return syscall(SYS_capset, &head, none) != 0 ? -errno : 0;
}

static int
ivshmem_privilege_become(const struct passwd *entry)
{
	/* the kernel knows fewer than 64 and refuses the rest */
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) != 0 && errno != EPERM)
			return -errno;
	if (initgroups(entry->pw_name, entry->pw_gid) != 0 ||
	    setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0)
		return -errno;
	if (entry->pw_uid != 0 && setresuid(-1, 0, -1) == 0)
		return -EPERM;	/* there was a way back */
	return ivshmem_privilege_drop_capabilities();
}

int
ivshmem_privilege_drop(const char *user, struct ivshmem_fault *fault)
{
	const struct passwd *entry;
	int ret = 0;

	if (user != NULL) {
		entry = ivshmem_privilege_find(user);
		if (entry == NULL)
			return IVSHMEM_FAULT(fault, -ENOENT, "no such user; make it with useradd"
					     " --system, or give another one");
		if (geteuid() != 0 && geteuid() != entry->pw_uid)
			return IVSHMEM_FAULT(fault, -EPERM, "this process is user %u: only root can"
					     " become another one; start it as root",
					     (unsigned int)geteuid());
		ret = geteuid() == 0 ? ivshmem_privilege_become(entry) :
			ivshmem_privilege_drop_capabilities();
	}
	if (ret == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		ret = -errno;
	if (ret != 0)
		return IVSHMEM_FAULT(fault, ret, "privileges can not be dropped: %s",
				     strerror(-ret));
	return 0;
}
