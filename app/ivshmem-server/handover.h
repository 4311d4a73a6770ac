/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * --takeover: a running server gives everything to a new one, over a socket of its own beside the
 * clients', PATH.control. Only root and the server's own user may ask.
 *
 * 8< handover
 * new server             running server
 * take 1                                          version of what follows
 *                        file NAME   + descriptor for each file of legacy.h
 *                        end N                    N files were sent
 * ready                                           all of it was understood
 *                        yours                    from here on the new one serves
 *
 *                        no REASON                instead of any of its lines
 * >8
 *
 * Until "yours" the running server can go on as if nothing had happened, and does so when the new
 * one closes the socket, says something else, or nothing for 5 seconds. It serves nobody meanwhile.
 */

#ifndef IVSHMEM_SERVER_HANDOVER_H
#define IVSHMEM_SERVER_HANDOVER_H

#include "legacy.h"
#include "server.h"

/* Be ready to be asked. That it can not is only logged. Returns 0, or -errno of the event loop. */
int ivshmem_handover_listen(struct ivshmem_server *server);

/* Somebody connected. */
void ivshmem_handover_accept(struct ivshmem_server *server);

/* Who connected said something, or is gone. The server is to stop when it gave everything away. */
void ivshmem_handover_hear(struct ivshmem_server *server);

/* Nobody can ask any more. */
void ivshmem_handover_close(struct ivshmem_server *server);

/*
 * Ask the server that listens on socket_path. Returns the connection, on which it waits for
 * ivshmem_handover_finish(), or -errno with the fault.
 */
int ivshmem_handover_ask(const char *socket_path, struct ivshmem_legacy *legacy,
			 struct ivshmem_fault *fault);

/*
 * Say that everything is understood, close the connection. Returns 0 when the other one stopped, or
 * -errno with the fault when it may be serving still.
 */
int ivshmem_handover_finish(int fd, struct ivshmem_fault *fault);

#endif /* IVSHMEM_SERVER_HANDOVER_H */
