/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The region format, version 1.0: every byte that two ports share.
 *
 * This is the only copy. It includes nothing but the C library's integer types, so that it compiles
 * alone as C11 and C++17, in 32 and 64 bit. test/abi pins every offset.
 *
 * Invariants:
 *  I1. All values are little-endian. A big-endian reader sees a wrong magic and refuses.
 *  I2. Every byte has one writer, named in the tables. Nobody stores into another's section.
 *  I3. No read-modify-write: aligned loads, aligned stores and barriers only.
 *  I4. References are (section, buffer) or offsets from the start of a section, never from the
 *      start of the region and never pointers.
 *  I5. Reserved bytes are written as 0 and ignored when read.
 *  I6. A section is never zeroed while the region lives: epochs and lives go on counting.
 *
 * Ordering: P1..P7 name a release store; the acquire that pairs with it carries C1..C7.
 *  P1 pw     descriptors and payload before the producer's index
 *  P2 cw     reads of descriptors and payload before the consumer's index
 *  P3 yours  everything reset for the other end's epoch before the answer
 *  P4 dir    sizes and offsets of a ring before dir_epoch
 *  P5 row    a started port's rings and configuration before its state
 *  P6 magic  the whole format before the region's magic
 *  P7 rw     reads of lent buffers, and cookies, before the return ring's index
 *
 * Trust: everything that another port or an unknown formatter wrote is hostile. A reader loads a
 * word once into a private copy, bounds it with 64-bit arithmetic and then uses it.
 *
 * Versions: another major is refused. A higher minor with unknown bits in feat_compat is accepted;
 * unknown bits in feat_ro allow watching only, unknown bits in feat_incompat allow nothing.
 */

#ifndef IVSHMEM_ABI_H
#define IVSHMEM_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* "IVSHMNET" and "IVSECTON" as little-endian 64-bit words */
#define IVSHMEM_ABI_MAGIC		UINT64_C(0x54454e4d48535649)
#define IVSHMEM_ABI_SECTION_MAGIC	UINT64_C(0x4e4f544345535649)

#define IVSHMEM_ABI_MAJOR		1u
#define IVSHMEM_ABI_MINOR		0u

#define IVSHMEM_ABI_LINE		64u	/* unit of sharing and alignment */
#define IVSHMEM_ABI_HOT			128u	/* distance of hot words of different writers */
#define IVSHMEM_ABI_GRANULE		4096u	/* sections start and end on this */

#define IVSHMEM_ABI_REGION_MIN		(UINT64_C(1) << 20)
#define IVSHMEM_ABI_REGION_MAX		(UINT64_C(1) << 40)
#define IVSHMEM_ABI_PORTS_MIN		2u
#define IVSHMEM_ABI_PORTS_MAX		1024u
#define IVSHMEM_ABI_QUEUES_MAX		16u	/* Rx and Tx queues of a port, each */
#define IVSHMEM_ABI_RING_MIN		32u	/* descriptors of a ring, a power of two */
#define IVSHMEM_ABI_RING_MAX		32768u
#define IVSHMEM_ABI_BUF_MIN		256u	/* bytes of a buffer, a multiple of the line */
#define IVSHMEM_ABI_BUF_MAX		65472u
#define IVSHMEM_ABI_HEADROOM_MIN	128u
#define IVSHMEM_ABI_CHAIN_MAX		64u	/* descriptors of one frame */
#define IVSHMEM_ABI_FRAME_MIN		14u	/* bytes in the first descriptor of a frame */
#define IVSHMEM_ABI_MACS_MAX		16u
#define IVSHMEM_ABI_RSS_KEY_MAX		52u
#define IVSHMEM_ABI_RETA_MAX		512u
#define IVSHMEM_ABI_HELD		0x8000u	/* an entry of a section's held names a life */

/* Shared words: a type of their own, so that no expression reads one by accident. */
struct ivshmem_u16 { uint16_t raw; };
struct ivshmem_u32 { uint32_t raw; };
struct ivshmem_u64 { uint64_t raw; };

/*
 * Superblock, at offset 0 of the region. Written once by the formatter; server_epoch is the
 * server's own and changes whenever a server starts or goes away, unless another one takes over.
 *
 * 8< superblock
 * off  len  writer     name           meaning / valid range
 *   0    8  formatter  magic          IVSHMEM_ABI_MAGIC, stored last                        (P6)
 *   8    2  formatter  major          1
 *  10    2  formatter  minor          0
 *  12    4  formatter  hdr_len        bytes of this struct, 256 or more
 *  16    8  formatter  feat_compat    feature bits that a reader may ignore
 *  24    8  formatter  feat_ro        feature bits that must be known to write
 *  32    8  formatter  feat_incompat  feature bits that must be known to look
 *  40   16  formatter  uuid           random; the same in every mapping of the region
 *  56    8  formatter  total_len      bytes of the region, a power of two, 2^20..2^40
 *  64    8  formatter  section_off    offset of section 0, a multiple of the granule
 *  72    8  formatter  section_len    bytes of a section, a power of two >= granule
 *  80    4  formatter  port_cnt       sections, 2..1024
 *  84    4  formatter  queue_cnt      Rx and Tx queues a port may have, 1..16
 *  88    4  formatter  line_len       64
 *  92    4  formatter  granule        4096
 *  96    4  formatter  ring_slots     largest ring, descriptors, a power of two, 32..32768
 * 100    4  formatter  buf_len        bytes of a buffer, a multiple of 64, 256..65472
 * 104    4  formatter  buf_cnt        buffers of a section
 * 108    4  formatter  headroom       bytes kept free at a buffer's start, 128..buf_len - 14
 * 112    4  formatter  rxq_off        section offset of the Rx queue lines
 * 116    4  formatter  prod_off       section offset of the producer ends
 * 120    4  formatter  cons_off       section offset of the consumer ends
 * 124    4  formatter  slot_len       bytes of a slot table entry, 64
 * 128    8  formatter  ring_off       section offset of the ring reserve
 * 136    8  formatter  ring_len       bytes of the ring reserve
 * 144    8  formatter  buf_off        section offset of buffer 0, a multiple of 64
 * 152    8  formatter  slot_off       region offset of the slot table
 * 160   32  -          reserved0
 * 192    8  server     server_epoch   random, not 0, while a server runs; 0 without one
 * 200    8  server     server_beat    counts up while the server runs
 * 208   48  -          reserved1
 * >8
 */
struct ivshmem_superblock_shm {
	struct ivshmem_u64 magic;
	uint16_t major;
	uint16_t minor;
	uint32_t hdr_len;
	uint64_t feat_compat;
	uint64_t feat_ro;
	uint64_t feat_incompat;
	uint8_t uuid[16];
	uint64_t total_len;
	uint64_t section_off;
	uint64_t section_len;
	uint32_t port_cnt;
	uint32_t queue_cnt;
	uint32_t line_len;
	uint32_t granule;
	uint32_t ring_slots;
	uint32_t buf_len;
	uint32_t buf_cnt;
	uint32_t headroom;
	uint32_t rxq_off;
	uint32_t prod_off;
	uint32_t cons_off;
	uint32_t slot_len;
	uint64_t ring_off;
	uint64_t ring_len;
	uint64_t buf_off;
	uint64_t slot_off;
	uint8_t reserved0[32];
	struct ivshmem_u64 server_epoch;
	struct ivshmem_u64 server_beat;
	uint8_t reserved1[48];
};

static_assert(sizeof(struct ivshmem_superblock_shm) == 256, "superblock");
static_assert(offsetof(struct ivshmem_superblock_shm, server_epoch) == 192, "server_epoch");

/* Who gave the slot's last client up, and how. */
enum ivshmem_slot_state {
	IVSHMEM_SLOT_FREE = 0,		/* never given */
	IVSHMEM_SLOT_LIVE = 1,		/* its client is connected */
	IVSHMEM_SLOT_LEFT = 2,		/* its client closed the socket: it died or left */
	IVSHMEM_SLOT_DROPPED = 3,	/* the server gave its client up, which may live on */
};

/*
 * Slot table entry; the slot is the port's number and, with our server, the peer's id.
 *
 * 8< slot
 * off  len  writer  name          meaning / valid range
 *   0    8  server  row           life << 32 | enum ivshmem_slot_state, one store
 *   8    8  server  server_epoch  epoch of the server that wrote this entry
 *  16    4  server  cause         errno-like cause of the last leave, 0 = closed by the client
 *  20    4  server  vectors       eventfds that this slot owns, 0..2048
 *  24    6  server  mac           pinned address, or 00:00:00:00:00:00
 *  30    2  -       reserved0
 *  32   32  -       reserved1
 * >8
 */
struct ivshmem_slot_shm {
	struct ivshmem_u64 row;
	struct ivshmem_u64 server_epoch;
	struct ivshmem_u32 cause;
	struct ivshmem_u32 vectors;
	uint8_t mac[6];
	uint8_t reserved0[2];
	uint8_t reserved1[32];
};

static_assert(sizeof(struct ivshmem_slot_shm) == 64, "slot");

/* A port's life, from slot claim to release; see doc/region-format.rst for who moves when. */
enum ivshmem_port_state {
	IVSHMEM_PORT_RESET = 0,		/* nobody, or left cleanly */
	IVSHMEM_PORT_INIT = 1,		/* claimed; its rings are not to be used */
	IVSHMEM_PORT_READY = 2,		/* rings started, link set down */
	IVSHMEM_PORT_RUN = 3,		/* passes traffic */
};

/* How the owner of a section holds it. */
enum ivshmem_owner_kind {
	IVSHMEM_OWNER_NONE = 0,
	IVSHMEM_OWNER_SERVER = 1,	/* client of our server: the slot table tells */
	IVSHMEM_OWNER_LOCK = 2,		/* OFD lock on the file: a free lock tells of its death */
	IVSHMEM_OWNER_BARE = 3,		/* neither: only the heartbeat tells */
};

/* How a port consumes, and so when a sender has its buffer back. */
enum ivshmem_return_mode {
	IVSHMEM_RETURN_COPY = 0,	/* by the consumer's index; looks twice at the epoch */
	IVSHMEM_RETURN_RING = 1,	/* by cookies in the return ring */
};

/*
 * Section header, at offset 0 of each section. The first 128 bytes repeat the superblock's
 * geometry, so that a section describes itself; in format 1.0 they must be equal.
 *
 * 8< section
 * off  len  writer     name         meaning / valid range
 *   0    8  formatter  magic        IVSHMEM_ABI_SECTION_MAGIC
 *   8    4  formatter  slot         number of this section
 *  12    4  formatter  hdr_len      bytes of this struct, 4096
 *  16    8  formatter  section_len  as the superblock
 *  24    4  formatter  rxq_off      as the superblock
 *  28    4  formatter  prod_off     as the superblock
 *  32    4  formatter  cons_off     as the superblock
 *  36    4  formatter  ring_slots   as the superblock
 *  40    8  formatter  ring_off     as the superblock
 *  48    8  formatter  ring_len     as the superblock
 *  56    8  formatter  buf_off      as the superblock
 *  64    4  formatter  buf_len      as the superblock
 *  68    4  formatter  buf_cnt      as the superblock
 *  72    4  formatter  headroom     as the superblock
 *  76   52  -          reserved0
 * 128    8  owner      nonce        random, not 0, of the process that holds the slot
 * 136    4  owner      owner_kind   enum ivshmem_owner_kind
 * 140    4  owner      pid          process id, for people only
 * 144  112  -          reserved1
 * 256    8  owner      row          life << 32 | enum ivshmem_port_state, one store           (P5)
 * 264    8  owner      beat         counts up once an interval while the owner lives
 * 272    4  owner      beat_ms      interval of the heartbeat, milliseconds, 1..1000
 * 276    4  owner      dir_gen      counts changes of the producer ends' directory
 * 280    4  owner      pool_cnt     buffers at the end, for its mbufs; 2^32 - 1 until it settled
 * 284  100  -          reserved2
 * 384    4  owner      conf_seq     odd while conf is being written
 * 388  124  -          reserved3
 * 512 1536  owner      conf         struct ivshmem_conf_shm, under conf_seq
 * 2048 2048 owner      held         2 bytes a slot: 0x8000 | 15 bits of a life held for dead
 * >8
 */

/*
 * Port configuration. Read between two equal even values of conf_seq, at most 8 tries, else the
 * reader keeps its last good copy.
 *
 * 8< conf
 * off  len  writer  name        meaning / valid range
 *   0    8  owner   feat        optional features offered; effective = AND of both ports
 *   8    4  owner   max_frame   longest frame accepted, Ethernet header to payload, bytes
 *  12    4  owner   flags       IVSHMEM_CONF_*
 *  16    2  owner   rxq_cnt     Rx queues in use, 1..queue_cnt
 *  18    2  owner   txq_cnt     Tx queues in use, 1..queue_cnt
 *  20    2  owner   mac_cnt     addresses in mac, 1..16; the first is the port's own
 *  22    2  owner   rss_key_len bytes in rss_key, 0..52; 0 = queue by Tx queue number
 *  24    4  owner   return_mode enum ivshmem_return_mode
 *  28    2  owner   reta_cnt    entries in reta, 0..512
 *  30    2  -       reserved0
 *  32    8  owner   rss_types   hash types
 *  40    8  owner   rx_offloads receive offloads in use, bits of this format
 *  48    8  owner   tx_offloads transmit offloads in use, bits of this format
 *  56  128  owner   mac         16 addresses of 6 bytes, each in 8
 * 184   52  owner   rss_key
 * 236   20  -       reserved1
 * 256 1024  owner   reta        512 entries of 2 bytes: Rx queue
 * 1280 256  -       reserved2
 * >8
 */
struct ivshmem_conf_shm {
	uint64_t feat;
	uint32_t max_frame;
	uint32_t flags;
	uint16_t rxq_cnt;
	uint16_t txq_cnt;
	uint16_t mac_cnt;
	uint16_t rss_key_len;
	uint32_t return_mode;
	uint16_t reta_cnt;
	uint16_t reserved0;
	uint64_t rss_types;
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	uint8_t mac[IVSHMEM_ABI_MACS_MAX][8];
	uint8_t rss_key[IVSHMEM_ABI_RSS_KEY_MAX];
	uint8_t reserved1[20];
	uint16_t reta[IVSHMEM_ABI_RETA_MAX];
	uint8_t reserved2[256];
};

#define IVSHMEM_CONF_PROMISC	(UINT32_C(1) << 0)
#define IVSHMEM_CONF_ALLMULTI	(UINT32_C(1) << 1)
#define IVSHMEM_FEAT_FOREIGN	(UINT64_C(1) << 0)	/* takes buffers of a third section */

static_assert(sizeof(struct ivshmem_conf_shm) == 1536, "conf");
static_assert(offsetof(struct ivshmem_conf_shm, reta) == 256, "reta");

struct ivshmem_section_shm {
	uint64_t magic;
	uint32_t slot;
	uint32_t hdr_len;
	uint64_t section_len;
	uint32_t rxq_off;
	uint32_t prod_off;
	uint32_t cons_off;
	uint32_t ring_slots;
	uint64_t ring_off;
	uint64_t ring_len;
	uint64_t buf_off;
	uint32_t buf_len;
	uint32_t buf_cnt;
	uint32_t headroom;
	uint8_t reserved0[52];
	struct ivshmem_u64 nonce;
	struct ivshmem_u32 owner_kind;
	struct ivshmem_u32 pid;
	uint8_t reserved1[112];
	struct ivshmem_u64 row;
	struct ivshmem_u64 beat;
	struct ivshmem_u32 beat_ms;
	struct ivshmem_u32 dir_gen;
	struct ivshmem_u32 pool_cnt;
	uint8_t reserved2[100];
	struct ivshmem_u32 conf_seq;
	uint8_t reserved3[124];
	struct ivshmem_conf_shm conf;
	struct ivshmem_u16 held[IVSHMEM_ABI_PORTS_MAX];
};

static_assert(sizeof(struct ivshmem_section_shm) == 4096, "section");
static_assert(offsetof(struct ivshmem_section_shm, row) == 256, "row");
static_assert(offsetof(struct ivshmem_section_shm, conf) == 512, "conf");

/*
 * Rx queue line, one each queue, at rxq_off + queue * 128 of the receiver's section.
 *
 * 8< rxq
 * off  len  writer  name      meaning / valid range
 *   0    4  owner   arm       sequence number of the sleep, 0 = awake
 *   4    4  owner   may_arm   1 = the owner may sleep in this session, fixed while it lasts
 *   8    4  owner   vector    vector to ring
 *  12  116  -       reserved
 * >8
 */
struct ivshmem_rxq_shm {
	struct ivshmem_u32 arm;
	struct ivshmem_u32 may_arm;
	struct ivshmem_u32 vector;
	uint8_t reserved[116];
};

static_assert(sizeof(struct ivshmem_rxq_shm) == 128, "rxq");

/*
 * Producer end of a ring, in the source's section, at prod_off + 128 * index with
 * index = (destination slot * queue_cnt + Tx queue) * queue_cnt + Rx queue.
 * The destination may be the source itself: the loopback ring.
 *
 * 8< prod
 * off  len  writer    name       meaning / valid range
 *   0    8  producer  pw         epoch << 32 | free-running index of the next descriptor      (P1)
 *   8    4  producer  yours      consumer's epoch that this end was reset for, 0 = none       (P3)
 *  12    4  producer  space_arm  reserved for producers that sleep until there is room
 *  16   48  -         reserved0
 *  64    4  producer  dir_epoch  epoch that the next two fields belong to                     (P4)
 *  68    4  producer  desc_cnt   descriptors of the ring, a power of two, 0 = unused
 *  72    8  producer  desc_off   section offset of the descriptors, a multiple of 64
 *  80    8  producer  prev       pw as the last epoch ended that published, to count losses by
 *  88    8  producer  frames     frames published, for tools
 *  96    8  producer  bytes      their bytes, for tools
 * 104    4  producer  prev_yours consumer's epoch that prev was published for
 * 108    4  producer  flight     buffers that may be out on this ring at a time
 * 112   16  -         reserved1
 * >8
 */
struct ivshmem_prod_shm {
	struct ivshmem_u64 pw;
	struct ivshmem_u32 yours;
	struct ivshmem_u32 space_arm;
	uint8_t reserved0[48];
	struct ivshmem_u32 dir_epoch;
	struct ivshmem_u32 desc_cnt;
	struct ivshmem_u64 desc_off;
	struct ivshmem_u64 prev;
	struct ivshmem_u64 frames;
	struct ivshmem_u64 bytes;
	struct ivshmem_u32 prev_yours;
	struct ivshmem_u32 flight;
	uint8_t reserved1[16];
};

static_assert(sizeof(struct ivshmem_prod_shm) == 128, "prod");

/*
 * Consumer end of a ring, in the destination's section, at cons_off + 128 * index with
 * index = (source slot * queue_cnt + Tx queue) * queue_cnt + Rx queue.
 *
 * 8< cons
 * off  len  writer    name         meaning / valid range
 *   0    8  consumer  cw           epoch << 32 | free-running index of the next to consume    (P2)
 *   8    8  consumer  rw           epoch << 32 | free-running index of the return ring     (P7)
 *  16    4  consumer  yours        producer's epoch that this end was reset for, 0 = none     (P3)
 *  20    4  consumer  clear        1 = no loan of an earlier session is out
 *  24   40  -         reserved0
 *  64    4  consumer  dir_epoch    epoch that the next three fields belong to                 (P4)
 *  68    4  consumer  ret_cnt      entries of the return ring, a power of two, 0 = none
 *  72    8  consumer  ret_off      section offset of the return ring, a multiple of 64
 *  80    4  consumer  return_mode  enum ivshmem_return_mode
 *  84    4  consumer  copybreak    frames of one piece up to this come back by cw, bytes
 *  88    8  consumer  prev         cw as the last epoch ended that consumed, to count losses by
 *  96    8  consumer  frames       frames delivered, for tools
 * 104    8  consumer  refused      descriptors refused, for tools
 * 112   16  -         reserved1
 * >8
 */
struct ivshmem_cons_shm {
	struct ivshmem_u64 cw;
	struct ivshmem_u64 rw;
	struct ivshmem_u32 yours;
	struct ivshmem_u32 clear;
	uint8_t reserved0[40];
	struct ivshmem_u32 dir_epoch;
	struct ivshmem_u32 ret_cnt;
	struct ivshmem_u64 ret_off;
	struct ivshmem_u32 return_mode;
	struct ivshmem_u32 copybreak;
	struct ivshmem_u64 prev;
	struct ivshmem_u64 frames;
	struct ivshmem_u64 refused;
	uint8_t reserved1[16];
};

static_assert(sizeof(struct ivshmem_cons_shm) == 128, "cons");
static_assert(offsetof(struct ivshmem_cons_shm, dir_epoch) == 64, "dir_epoch");

/*
 * Descriptor: one piece of a frame, in a ring entry of 32 bytes. The second half of the entry,
 * the meta, is valid, and looked at, only where the first half says so: plain frames move 16 bytes.
 *
 * 8< desc
 * off  len  writer    name      meaning / valid range
 *   0    2  producer  section   slot whose section holds the buffer
 *   2    2  producer  flags     IVSHMEM_DESC_*
 *   4    4  producer  buf       number of the buffer, < buf_cnt
 *   8    2  producer  data_off  first byte of data in the buffer
 *  10    2  producer  data_len  bytes of data, >= 1, in a frame's first descriptor >= 14
 *  12    4  producer  cookie    slot << 16 | generation of the sender's private in-flight table
 * >8
 */
struct ivshmem_desc_shm {
	uint16_t section;
	uint16_t flags;
	uint32_t buf;
	uint16_t data_off;
	uint16_t data_len;
	uint32_t cookie;
};

#define IVSHMEM_DESC_MORE	(UINT32_C(1) << 0)	/* the frame goes on in the next one */
#define IVSHMEM_DESC_META	(UINT32_C(1) << 1)	/* the meta is valid; first piece only */
#define IVSHMEM_DESC_KNOWN	(IVSHMEM_DESC_MORE | IVSHMEM_DESC_META)

static_assert(sizeof(struct ivshmem_desc_shm) == 16, "desc");

/*
 * Meta: what a frame carries besides its bytes.
 *
 * 8< meta
 * off  len  writer    name     meaning / valid range
 *   0    4  producer  pkt_len  bytes of the whole frame; must equal the sum of its pieces
 *   4    4  producer  hash     RSS hash
 *   8    2  producer  vlan     stripped VLAN tag
 *  10    2  producer  mss      bytes of a segment of a large send, 0 = none
 *  12    4  producer  lens     l2 bits 0-6, l3 7-15, l4 16-23, checksum state 24-31
 * >8
 */
struct ivshmem_meta_shm {
	uint32_t pkt_len;
	uint32_t hash;
	uint16_t vlan;
	uint16_t mss;
	uint32_t lens;
};

static_assert(sizeof(struct ivshmem_meta_shm) == 16, "meta");

struct ivshmem_entry_shm {
	struct ivshmem_desc_shm desc;
	struct ivshmem_meta_shm meta;
};

static_assert(sizeof(struct ivshmem_entry_shm) == 32, "entry");

/* A return ring's entry is the bare cookie. */
#define IVSHMEM_ABI_DESC_LEN	(sizeof(struct ivshmem_entry_shm))
#define IVSHMEM_ABI_RETURN_LEN	(sizeof(uint32_t))

#endif /* IVSHMEM_ABI_H */
