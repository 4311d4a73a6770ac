/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Prints the region format as this compiler sees it: constants, then each struct with offset,
 * length and name of every field. t_abi.py compares that with layout.golden and with the tables.
 */

#include <inttypes.h>
#include <stdio.h>

#include "ivshmem_abi.h"
#include "ivshmem_proto.h"
#include "ivshmem_regs.h"

#define CONSTANT(name) printf("%s = 0x%" PRIx64 "\n", #name, (uint64_t)(name))

/* The macros name the struct as STRUCT. */
#define BEGIN(table) \
	printf("\n%s: struct %s, %zu bytes\n", table, NAME(STRUCT), sizeof(struct STRUCT))
#define FIELD(field) \
	printf("%4zu %4zu %s\n", offsetof(struct STRUCT, field), \
	       sizeof(((struct STRUCT *)NULL)->field), #field)
#define NAME(name) NAME_OF(name)
#define NAME_OF(name) #name

static void
constants(void)
{
	CONSTANT(IVSHMEM_ABI_MAGIC);
	CONSTANT(IVSHMEM_ABI_SECTION_MAGIC);
	CONSTANT(IVSHMEM_ABI_MAJOR);
	CONSTANT(IVSHMEM_ABI_MINOR);
	CONSTANT(IVSHMEM_ABI_LINE);
	CONSTANT(IVSHMEM_ABI_HOT);
	CONSTANT(IVSHMEM_ABI_GRANULE);
	CONSTANT(IVSHMEM_ABI_REGION_MIN);
	CONSTANT(IVSHMEM_ABI_REGION_MAX);
	CONSTANT(IVSHMEM_ABI_PORTS_MIN);
	CONSTANT(IVSHMEM_ABI_PORTS_MAX);
	CONSTANT(IVSHMEM_ABI_QUEUES_MAX);
	CONSTANT(IVSHMEM_ABI_RING_MIN);
	CONSTANT(IVSHMEM_ABI_RING_MAX);
	CONSTANT(IVSHMEM_ABI_BUF_MIN);
	CONSTANT(IVSHMEM_ABI_BUF_MAX);
	CONSTANT(IVSHMEM_ABI_HEADROOM_MIN);
	CONSTANT(IVSHMEM_ABI_CHAIN_MAX);
	CONSTANT(IVSHMEM_ABI_FRAME_MIN);
	CONSTANT(IVSHMEM_ABI_MACS_MAX);
	CONSTANT(IVSHMEM_ABI_RSS_KEY_MAX);
	CONSTANT(IVSHMEM_ABI_RETA_MAX);
	CONSTANT(IVSHMEM_ABI_HELD);
	CONSTANT(IVSHMEM_SLOT_FREE);
	CONSTANT(IVSHMEM_SLOT_LIVE);
	CONSTANT(IVSHMEM_SLOT_LEFT);
	CONSTANT(IVSHMEM_SLOT_DROPPED);
	CONSTANT(IVSHMEM_PORT_RESET);
	CONSTANT(IVSHMEM_PORT_INIT);
	CONSTANT(IVSHMEM_PORT_READY);
	CONSTANT(IVSHMEM_PORT_RUN);
	CONSTANT(IVSHMEM_OWNER_NONE);
	CONSTANT(IVSHMEM_OWNER_SERVER);
	CONSTANT(IVSHMEM_OWNER_LOCK);
	CONSTANT(IVSHMEM_OWNER_BARE);
	CONSTANT(IVSHMEM_RETURN_COPY);
	CONSTANT(IVSHMEM_RETURN_RING);
	CONSTANT(IVSHMEM_CONF_PROMISC);
	CONSTANT(IVSHMEM_CONF_ALLMULTI);
	CONSTANT(IVSHMEM_FEAT_FOREIGN);
	CONSTANT(IVSHMEM_DESC_MORE);
	CONSTANT(IVSHMEM_DESC_META);
	CONSTANT(IVSHMEM_DESC_KNOWN);
	CONSTANT(IVSHMEM_ABI_DESC_LEN);
	CONSTANT(IVSHMEM_ABI_RETURN_LEN);
}

static void
constants_of_device(void)
{
	CONSTANT(IVSHMEM_PROTO_VERSION);
	CONSTANT(IVSHMEM_PROTO_MEMORY);
	CONSTANT(IVSHMEM_PROTO_ID_MAX);
	CONSTANT(IVSHMEM_PROTO_MSG_LEN);
	CONSTANT(IVSHMEM_PROTO_VECTORS_MAX);
	CONSTANT(IVSHMEM_PCI_VENDOR_ID);
	CONSTANT(IVSHMEM_PCI_DEVICE_ID);
	CONSTANT(IVSHMEM_PCI_SUBSYSTEM_VENDOR_ID);
	CONSTANT(IVSHMEM_PCI_SUBSYSTEM_ID);
	CONSTANT(IVSHMEM_BAR_REGS);
	CONSTANT(IVSHMEM_BAR_MSIX);
	CONSTANT(IVSHMEM_BAR_MEMORY);
	CONSTANT(IVSHMEM_REG_LEN);
	CONSTANT(IVSHMEM_REG_INTRMASK);
	CONSTANT(IVSHMEM_REG_INTRSTATUS);
	CONSTANT(IVSHMEM_REG_IVPOSITION);
	CONSTANT(IVSHMEM_REG_DOORBELL);
	CONSTANT(IVSHMEM_REG_DOORBELL_PEER_SHIFT);
}

static void
superblock(void)
{
#define STRUCT ivshmem_superblock_shm
	BEGIN("superblock");
	FIELD(magic);
	FIELD(major);
	FIELD(minor);
	FIELD(hdr_len);
	FIELD(feat_compat);
	FIELD(feat_ro);
	FIELD(feat_incompat);
	FIELD(uuid);
	FIELD(total_len);
	FIELD(section_off);
	FIELD(section_len);
	FIELD(port_cnt);
	FIELD(queue_cnt);
	FIELD(line_len);
	FIELD(granule);
	FIELD(ring_slots);
	FIELD(buf_len);
	FIELD(buf_cnt);
	FIELD(headroom);
	FIELD(rxq_off);
	FIELD(prod_off);
	FIELD(cons_off);
	FIELD(slot_len);
	FIELD(ring_off);
	FIELD(ring_len);
	FIELD(buf_off);
	FIELD(slot_off);
	FIELD(reserved0);
	FIELD(server_epoch);
	FIELD(server_beat);
	FIELD(reserved1);
#undef STRUCT
}

static void
slot(void)
{
#define STRUCT ivshmem_slot_shm
	BEGIN("slot");
	FIELD(row);
	FIELD(server_epoch);
	FIELD(cause);
	FIELD(vectors);
	FIELD(mac);
	FIELD(reserved0);
	FIELD(reserved1);
#undef STRUCT
}

static void
section(void)
{
#define STRUCT ivshmem_section_shm
	BEGIN("section");
	FIELD(magic);
	FIELD(slot);
	FIELD(hdr_len);
	FIELD(section_len);
	FIELD(rxq_off);
	FIELD(prod_off);
	FIELD(cons_off);
	FIELD(ring_slots);
	FIELD(ring_off);
	FIELD(ring_len);
	FIELD(buf_off);
	FIELD(buf_len);
	FIELD(buf_cnt);
	FIELD(headroom);
	FIELD(reserved0);
	FIELD(nonce);
	FIELD(owner_kind);
	FIELD(pid);
	FIELD(reserved1);
	FIELD(row);
	FIELD(beat);
	FIELD(beat_ms);
	FIELD(dir_gen);
	FIELD(pool_cnt);
	FIELD(reserved2);
	FIELD(conf_seq);
	FIELD(reserved3);
	FIELD(conf);
	FIELD(held);
#undef STRUCT
}

static void
conf(void)
{
#define STRUCT ivshmem_conf_shm
	BEGIN("conf");
	FIELD(feat);
	FIELD(max_frame);
	FIELD(flags);
	FIELD(rxq_cnt);
	FIELD(txq_cnt);
	FIELD(mac_cnt);
	FIELD(rss_key_len);
	FIELD(return_mode);
	FIELD(reta_cnt);
	FIELD(reserved0);
	FIELD(rss_types);
	FIELD(rx_offloads);
	FIELD(tx_offloads);
	FIELD(mac);
	FIELD(rss_key);
	FIELD(reserved1);
	FIELD(reta);
	FIELD(reserved2);
#undef STRUCT
}

static void
ends(void)
{
#define STRUCT ivshmem_rxq_shm
	BEGIN("rxq");
	FIELD(arm);
	FIELD(may_arm);
	FIELD(vector);
	FIELD(reserved);
#undef STRUCT
#define STRUCT ivshmem_prod_shm
	BEGIN("prod");
	FIELD(pw);
	FIELD(yours);
	FIELD(space_arm);
	FIELD(reserved0);
	FIELD(dir_epoch);
	FIELD(desc_cnt);
	FIELD(desc_off);
	FIELD(prev);
	FIELD(frames);
	FIELD(bytes);
	FIELD(prev_yours);
	FIELD(flight);
	FIELD(reserved1);
#undef STRUCT
#define STRUCT ivshmem_cons_shm
	BEGIN("cons");
	FIELD(cw);
	FIELD(rw);
	FIELD(yours);
	FIELD(clear);
	FIELD(reserved0);
	FIELD(dir_epoch);
	FIELD(ret_cnt);
	FIELD(ret_off);
	FIELD(return_mode);
	FIELD(copybreak);
	FIELD(prev);
	FIELD(frames);
	FIELD(refused);
	FIELD(reserved1);
#undef STRUCT
}

static void
entries(void)
{
#define STRUCT ivshmem_desc_shm
	BEGIN("desc");
	FIELD(section);
	FIELD(flags);
	FIELD(buf);
	FIELD(data_off);
	FIELD(data_len);
	FIELD(cookie);
#undef STRUCT
#define STRUCT ivshmem_meta_shm
	BEGIN("meta");
	FIELD(pkt_len);
	FIELD(hash);
	FIELD(vlan);
	FIELD(mss);
	FIELD(lens);
#undef STRUCT
#define STRUCT ivshmem_entry_shm
	BEGIN("entry");
	FIELD(desc);
	FIELD(meta);
#undef STRUCT
}

int
main(void)
{
	constants();
	constants_of_device();
	superblock();
	slot();
	section();
	conf();
	ends();
	entries();
	return 0;
}
