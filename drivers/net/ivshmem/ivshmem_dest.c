/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The ways from a Tx queue to the other ports: their memory.
 *
 * They outlive the queue, as what is out does: an application that sets a queue up anew may do so
 * while other ports still look at what was sent before.
 *
 * Threads: the application's control thread, while no burst runs.
 */

#include <errno.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_session.h"

/* Buffers that may be out on a ring whose consumer keeps them, whatever the number of queues. */
static uint32_t
ivshmem_flight_max(const struct ivshmem_layout *layout)
{
	return RTE_MIN(layout->ring_slots, layout->buf_cnt / (layout->port_cnt - 1));
}

static int
ivshmem_flight_create(struct ivshmem_flight *flight, uint32_t cnt, uint32_t pool_cnt,
		      unsigned int socket)
{
	flight->slots = rte_zmalloc_socket("ivshmem_flight", cnt * sizeof(*flight->slots),
					   RTE_CACHE_LINE_SIZE, socket);
	flight->free_slots = rte_zmalloc_socket("ivshmem_free_slots",
						cnt * sizeof(*flight->free_slots), 0, socket);
	flight->free_bufs = rte_zmalloc_socket("ivshmem_free_bufs",
					       cnt * sizeof(*flight->free_bufs), 0, socket);
	flight->refs = rte_zmalloc_socket("ivshmem_refs",
					  (cnt + pool_cnt) * sizeof(*flight->refs), 0, socket);
	flight->cnt = cnt;
	flight->pool_cnt = pool_cnt;
	return flight->slots == NULL || flight->free_slots == NULL ||
		flight->free_bufs == NULL || flight->refs == NULL ? -ENOMEM : 0;
}

static void
ivshmem_dest_free(struct ivshmem_dest *dest)
{
	ivshmem_tx_lend_drop(dest);
	rte_free(dest->flight.slots);
	rte_free(dest->flight.free_slots);
	rte_free(dest->flight.free_bufs);
	rte_free(dest->flight.refs);
}

void
ivshmem_dests_end(struct ivshmem_dev *dev, uint16_t first)
{
	for (uint16_t queue = first; queue < IVSHMEM_QUEUES_MAX; queue++) {
		if (dev->dests[queue] == NULL)
			continue;
		for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
			struct ivshmem_dest *dest = &dev->dests[queue][slot];

			dest->ring.ready = false;
			if (ivshmem_tx_lend_bar(dest))
				ivshmem_tx_lend_tell_barred(dest);
		}
	}
}

void
ivshmem_dests_free(struct ivshmem_dev *dev)
{
	for (uint16_t queue = 0; queue < IVSHMEM_QUEUES_MAX; queue++) {
		if (dev->dests[queue] == NULL)
			continue;
		for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
			struct ivshmem_dest *dest = &dev->dests[queue][slot];

			/* who has it still ends a session, and shows when it has let go of it */
			if (dest->flight.held_cnt != 0 && !dev->dead)
				ivshmem_producer_start(&dest->ring, dev->port.section,
						       dest->ring.desc_off, dest->ring.size);
			ivshmem_dest_free(dest);
		}
		rte_free(dev->dests[queue]);
		dev->dests[queue] = NULL;
	}
}

struct ivshmem_dest *
ivshmem_dests_get(struct ivshmem_dev *dev, uint16_t queue, unsigned int socket)
{
	const uint32_t port_cnt = dev->layout.port_cnt;
	const uint32_t cnt = ivshmem_flight_max(&dev->layout);
	const uint32_t pool_cnt = ivshmem_pool_cnt(dev->pool);
	struct ivshmem_dest *dests = dev->dests[queue];
	bool good = true;

	if (dests != NULL)
		return dests;
	dests = rte_zmalloc_socket("ivshmem_dests", port_cnt * sizeof(*dests),
				   RTE_CACHE_LINE_SIZE, socket);
	if (dests == NULL)
		return NULL;
	for (uint32_t slot = 0; slot < port_cnt; slot++) {
		dests[slot].slot = slot;
		good &= slot == dev->port.slot ||
			ivshmem_flight_create(&dests[slot].flight, cnt, pool_cnt, socket) == 0;
	}
	if (good) {
		dev->dests[queue] = dests;
		return dests;
	}
	for (uint32_t slot = 0; slot < port_cnt; slot++)
		ivshmem_dest_free(&dests[slot]);
	rte_free(dests);
	return NULL;
}
