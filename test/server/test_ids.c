/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Which slot and which id a newcomer gets, up to the last id.
 */

#include <errno.h>
#include <stdlib.h>

#include "check.h"

#include "ivshmem_proto.h"

#include "peer.h"

#define PORTS	3
#define BYTES	(UINT64_C(1) << 20)

static struct ivshmem_peer somebody;

static void
test_ids(void *base, const struct ivshmem_layout *layout, bool count_up)
{
	const uint32_t want[] = { 0, 1, 2, count_up ? 3 : 0 };
	struct ivshmem_slots slots;
	int slot;

	if (!CHECK_EQ(ivshmem_slots_create(&slots, base, layout, 2, count_up), 0))
		return;
	for (int i = 0; i < PORTS; i++) {
		slot = ivshmem_slots_choose(&slots);
		CHECK_EQ(slot, i);
		CHECK_EQ(slots.slot[slot].id, want[i]);
		CHECK(ivshmem_slots_attach(&slots, slot, &somebody) > 0);
	}
	CHECK_EQ(ivshmem_slots_choose(&slots), -ENOSPC);
	ivshmem_slots_detach(&slots, 0, IVSHMEM_SLOT_LEFT, 0);
	CHECK((slots.slot[0].fds == NULL) == count_up);
	slot = ivshmem_slots_choose(&slots);
	CHECK_EQ(slot, 0);
	CHECK_EQ(slots.slot[0].id, want[PORTS]);
	CHECK((ivshmem_slots_attach(&slots, 0, &somebody) == 0) == count_up);

	/* no id is given twice, also not when there are no more */
	slots.next_id = IVSHMEM_PROTO_ID_MAX;
	ivshmem_slots_detach(&slots, 1, IVSHMEM_SLOT_LEFT, 0);
	CHECK_EQ(ivshmem_slots_choose(&slots), 1);
	CHECK_EQ(slots.slot[1].id, count_up ? IVSHMEM_PROTO_ID_MAX : 1);
	ivshmem_slots_attach(&slots, 1, &somebody);
	ivshmem_slots_detach(&slots, 1, IVSHMEM_SLOT_LEFT, 0);
	CHECK_EQ(ivshmem_slots_choose(&slots), count_up ? -EOVERFLOW : 1);
	ivshmem_slots_destroy(&slots);
}

int
main(void)
{
	const struct ivshmem_geometry want = { .total_len = BYTES, .port_cnt = PORTS };
	const uint8_t uuid[16] = { 1 };
	struct ivshmem_layout layout;
	struct ivshmem_fault fault;
	void *base = aligned_alloc(4096, BYTES);

	if (CHECK(base != NULL) && CHECK_EQ(ivshmem_layout_plan(&want, &layout, &fault), 0)) {
		ivshmem_layout_format(base, &layout, uuid);
		test_ids(base, &layout, false);
		test_ids(base, &layout, true);
	}
	free(base);
	return check_exit();
}
