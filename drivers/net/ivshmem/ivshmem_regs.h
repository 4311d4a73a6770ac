/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The PCI device: ids, BARs and registers.
 *
 * Source: QEMU, docs/specs/ivshmem-spec.rst (revision 1 of the device, QEMU 2.6 and later).
 * Registers are 32 bits, little-endian, accessed by 4 bytes. INTRMASK and INTRSTATUS belong to
 * INTx, which revision 1 does not have: they are never touched.
 */

#ifndef IVSHMEM_REGS_H
#define IVSHMEM_REGS_H

/* 8< ids */
#define IVSHMEM_PCI_VENDOR_ID		0x1af4
#define IVSHMEM_PCI_DEVICE_ID		0x1110
/* 1af4:1104 is the Accelerated Virtual Port of net_avp, with the same device id */
#define IVSHMEM_PCI_SUBSYSTEM_VENDOR_ID	0x1af4
#define IVSHMEM_PCI_SUBSYSTEM_ID	0x1100
/* >8 */

/* 8< bars */
#define IVSHMEM_BAR_REGS	0	/* 256 bytes */
#define IVSHMEM_BAR_MSIX	1	/* only on ivshmem-doorbell */
#define IVSHMEM_BAR_MEMORY	2	/* the region, 64-bit prefetchable */
/* >8 */

/* 8< registers */
#define IVSHMEM_REG_LEN		256u
#define IVSHMEM_REG_INTRMASK	0u	/* rw, reserved */
#define IVSHMEM_REG_INTRSTATUS	4u	/* rw, reserved; a read clears it */
#define IVSHMEM_REG_IVPOSITION	8u	/* ro, own peer id; 0 without interrupts, too */
#define IVSHMEM_REG_DOORBELL	12u	/* wo, peer << 16 | vector */

#define IVSHMEM_REG_DOORBELL_PEER_SHIFT	16
/* >8 */

#endif /* IVSHMEM_REGS_H */
