/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What outlives a closed port; see ivshmem_estate.h.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_spinlock.h>
#include <rte_string_fns.h>

#include "ivshmem_estate.h"
#include "ivshmem_log.h"

#define IVSHMEM_ESTATE_US	100000u	/* between looks for the last mbuf */
#define IVSHMEM_ESTATE_PUT_US	1000u	/* longer than a put into a mempool */

struct ivshmem_estate {
	struct ivshmem_estate *next;
	char name[RTE_DEV_NAME_MAX_LEN];
	struct ivshmem_port port;	/* section = NULL: it has left */
	struct ivshmem_transport transport;
	struct ivshmem_pool *pool;
	bool home;		/* at the last look nothing was out */
	uint32_t cnt;
	struct ivshmem_loans *tables[];
};

static rte_spinlock_t ivshmem_estates_lock = RTE_SPINLOCK_INITIALIZER;
static struct ivshmem_estate *ivshmem_estates;
static pid_t ivshmem_estates_pid;	/* a child of it has no port */

static uint32_t
ivshmem_estate_out(const struct ivshmem_estate *estate)
{
	return ivshmem_loans_out(estate->tables, estate->cnt) +
		(estate->pool == NULL ? 0 : ivshmem_pool_out(estate->pool));
}

static void
ivshmem_estate_list(struct ivshmem_estate *estate)
{
	rte_spinlock_lock(&ivshmem_estates_lock);
	estate->next = ivshmem_estates;
	ivshmem_estates = estate;
	rte_spinlock_unlock(&ivshmem_estates_lock);
}

/* Under the lock. */
static void
ivshmem_estate_unlist(const struct ivshmem_estate *estate)
{
	struct ivshmem_estate **at;

	for (at = &ivshmem_estates; *at != NULL; at = &(*at)->next) {
		if (*at == estate) {
			*at = estate->next;
			break;
		}
	}
}

/* Alarm: the last mbuf may be free. */
static void
ivshmem_estate_settle(void *arg)
{
	struct ivshmem_estate *estate = arg;

	const bool was_home = estate->home;

	estate->home = ivshmem_estate_out(estate) == 0;
	if (!estate->home || !was_home) {	/* looked at twice: a put is not one step */
		rte_eal_alarm_set(IVSHMEM_ESTATE_US, ivshmem_estate_settle, estate);
		return;
	}
	/* who finds it listed no more unmaps the region, or makes the port anew */
	rte_spinlock_lock(&ivshmem_estates_lock);
	ivshmem_estate_unlist(estate);
	if (estate->port.section != NULL)
		ivshmem_port_release(&estate->port);
	for (uint32_t i = 0; i < estate->cnt; i++)
		ivshmem_loans_free(estate->tables[i]);
	ivshmem_pool_free(estate->pool);
	estate->transport.ops->detach(&estate->transport);
	rte_spinlock_unlock(&ivshmem_estates_lock);
	free(estate);
}

void
ivshmem_estate_leave(const char *name, struct ivshmem_port *port, struct ivshmem_loans **tables,
		     uint32_t cnt, struct ivshmem_pool *pool,
		     const struct ivshmem_transport *transport)
{
	const bool leaves = ivshmem_loans_out(tables, cnt) == 0;
	struct ivshmem_estate *estate;

	if (leaves)
		ivshmem_port_release(port);
	/* not of EAL's memory, which may be gone when the process ends */
	estate = calloc(1, sizeof(*estate) + cnt * sizeof(estate->tables[0]));
	if (estate == NULL)	/* then mapping and tables stay for good: never too soon */
		return;
	ivshmem_estates_pid = getpid();
	strlcpy(estate->name, name, sizeof(estate->name));
	if (!leaves)
		estate->port = *port;
	estate->transport = *transport;
	estate->pool = pool;
	estate->cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		estate->tables[i] = tables[i];
		tables[i] = NULL;
	}
	ivshmem_estate_list(estate);
	estate->home = ivshmem_estate_out(estate) == 0;
	if (estate->home && pool != NULL)	/* a put that is under way ends meanwhile */
		rte_delay_us_sleep(IVSHMEM_ESTATE_PUT_US);
	ivshmem_estate_settle(estate);
}

/* The process ends, and with it whoever looks at mbufs: others need not wait for them. */
RTE_FINI(ivshmem_estates_end)
{
	struct ivshmem_estate *estate;

	if (getpid() != ivshmem_estates_pid)
		return;
	rte_spinlock_lock(&ivshmem_estates_lock);
	for (estate = ivshmem_estates; estate != NULL; estate = estate->next)
		if (estate->port.section != NULL)
			ivshmem_port_release(&estate->port);
	rte_spinlock_unlock(&ivshmem_estates_lock);
}

int
ivshmem_estate_check(const char *name)
{
	const struct ivshmem_estate *estate;
	uint32_t out = 0;

	rte_spinlock_lock(&ivshmem_estates_lock);
	for (estate = ivshmem_estates; estate != NULL; estate = estate->next)
		if (strcmp(estate->name, name) == 0)
			out += RTE_MAX(ivshmem_estate_out(estate), 1u);
	rte_spinlock_unlock(&ivshmem_estates_lock);
	if (out == 0)
		return 0;
	IVSHMEM_LOG(ERR, "%s: %" PRIu32 " mbufs of the closed port are in use: free them and "
		    "remove it again", name, out);
	return -EBUSY;
}
