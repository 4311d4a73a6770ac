/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The socket protocol between an ivshmem server and its clients.
 *
 * Source: QEMU, docs/specs/ivshmem-spec.rst, "Interrupt client-server protocol", version 0.
 * AF_UNIX, SOCK_STREAM, from the server to the client only. A message is 8 bytes, a little-endian
 * signed integer, with at most one file descriptor in SCM_RIGHTS:
 *
 * 8< messages
 * message      fd       meaning
 * 0            no       protocol version, the first message
 * 0..65535     no       the client's own id, the second message
 * -1           memory   the shared memory
 * id           eventfd  peer id's next vector: the n-th fd for an id is vector n - 1.
 *                       For the own id: the vectors that this client listens on
 * id           no       the peer has left
 * >8
 *
 * Any byte from a client, or its end of file, makes the server give the client up.
 */

#ifndef IVSHMEM_PROTO_H
#define IVSHMEM_PROTO_H

#include <stdint.h>

#define IVSHMEM_PROTO_VERSION	INT64_C(0)
#define IVSHMEM_PROTO_MEMORY	INT64_C(-1)
#define IVSHMEM_PROTO_ID_MAX	INT64_C(65535)
#define IVSHMEM_PROTO_MSG_LEN	8u
#define IVSHMEM_PROTO_VECTORS_MAX	64u	/* our server's limit; QEMU's device takes 2048 */

#endif /* IVSHMEM_PROTO_H */
