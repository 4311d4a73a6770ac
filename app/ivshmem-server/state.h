/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What a successor has to know and no file descriptor tells: who has which slot, and what each
 * client was told. It lies in a memfd of its own that no client ever gets, so that it outlives the
 * process whenever that ends, and nobody but a server has written it.
 *
 * A server can end between any two instructions. So
 *  - what a word says was done before the word says it: told[] before told_cnt, a slot's eventfds
 *    before given, everything about a client before joined;
 *  - a message that is on its way is marked: if the server ends there, nobody knows whether it was
 *    sent, and that client is given up;
 *  - what several clients have to hear of is derived: everybody of every id that was given.
 */

#ifndef IVSHMEM_SERVER_STATE_H
#define IVSHMEM_SERVER_STATE_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_abi.h"
#include "ivshmem_layout.h"

#define IVSHMEM_STATE_MAGIC	UINT64_C(0x5453535652455349)	/* "ISERVSST" */
#define IVSHMEM_STATE_VERSION	2u
#define IVSHMEM_STATE_SENDING	UINT64_C(1)	/* in "sent": one more is on its way */

struct ivshmem_state_slot {
	uint32_t life;
	uint32_t row;			/* enum ivshmem_slot_state of its last client */
	uint32_t cause;
	struct ivshmem_u32 given;	/* its eventfds exist */
	struct ivshmem_u32 joined;	/* it has a client */
	struct ivshmem_u32 told_cnt;
	struct ivshmem_u64 sent;	/* messages << 1 | IVSHMEM_STATE_SENDING */
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
	uint16_t told[];		/* slots its client hears of, in this order; one per port */
};

struct ivshmem_state {
	uint64_t magic;
	uint32_t version;
	uint32_t vectors;
	uint32_t sealed;		/* the memory is a memfd */
	uint32_t shm;			/* path is the name of a POSIX shm object */
	uint32_t created;		/* path was made by the first of these servers */
	uint64_t dev;			/* of the memory, as by fstat() */
	uint64_t ino;
	uint64_t epoch;
	struct ivshmem_layout layout;	/* of the memory, whatever clients have written there */
	struct ivshmem_u32 changing;	/* some clients heard of a change, others not yet */
	char path[PATH_MAX];		/* of the memory, empty = it has no name */
};

/* Make the state of a region, zero but for its layout. Returns its fd, or -errno. */
int ivshmem_state_create(const struct ivshmem_layout *layout, struct ivshmem_state **state);

/*
 * Map a state that a predecessor left. Returns 0, or -errno with the fault when it is none, or not
 * the property of this user or of root.
 */
int ivshmem_state_open(int fd, struct ivshmem_state **state, struct ivshmem_fault *fault);

/* NULL is accepted. */
void ivshmem_state_close(struct ivshmem_state *state);

/* The slot's part; NULL without a state. */
struct ivshmem_state_slot *ivshmem_state_slot(struct ivshmem_state *state, uint32_t slot);

#endif /* IVSHMEM_SERVER_STATE_H */
