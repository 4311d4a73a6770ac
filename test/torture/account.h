/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Where a port's buffers, loans and held mbufs are, read from the driver's private memory.
 */

#ifndef IVSHMEM_TORTURE_ACCOUNT_H
#define IVSHMEM_TORTURE_ACCOUNT_H

#include <stdint.h>

struct torture_account {
	uint32_t unread;	/* published, and not consumed yet */
	uint32_t out;		/* slots of flights that are out */
	uint32_t ended;		/* of sessions that ended; taken back with the next frame there */
	uint32_t returned;	/* of them: given back, but not taken back yet */
	uint32_t held;		/* mbufs that wait for their cookie */
	uint32_t barred;	/* slots of sessions that ended */
	uint32_t lost_slots;	/* neither free, out nor barred */
	uint32_t lost_bufs;	/* neither free nor carried by a slot */
	uint32_t loans;		/* that are out */
	uint32_t lost_loans;	/* out, but of no ring, or the reverse */
	uint32_t stale;		/* loans of earlier sessions that are out */
};

/* In the thread that polls the port. */
void torture_account(uint16_t port, struct torture_account *account);

#endif /* IVSHMEM_TORTURE_ACCOUNT_H */
