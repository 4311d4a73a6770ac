/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * A region behind a server: join it, hear the own eventfds, ring those of others.
 *
 * The server's id is the slot. When the server goes away, memory and eventfds stay: traffic and
 * doorbells go on without it.
 *
 * Invariants:
 *  K1. Nobody waits for an eventfd that a peer has emptied, filled or made a blocking one.
 *  K2. Vector 0 is read by EAL's interrupt thread, the others by whoever waits for the queue.
 *  K3. Messages are taken under the lock: a start waits for them beside the heartbeat's look.
 * Threads: the application's control thread, EAL's interrupt thread; ring() from any.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_interrupts.h>
#include <rte_malloc.h>
#include <rte_spinlock.h>

#include "ivshmem_client.h"
#include "ivshmem_log.h"
#include "ivshmem_vdev.h"
#include "ivshmem_vectors.h"

#define IVSHMEM_HANDSHAKE_MS	5000u
#define IVSHMEM_VECTORS_MS	1000u	/* for the own eventfds, which come after the memory */
#define IVSHMEM_VECTORS_EACH	(1u + IVSHMEM_ABI_QUEUES_MAX)

struct ivshmem_socket {
	rte_spinlock_t lock;		/* K3 */
	struct ivshmem_client client;	/* fd -1 when the server is gone */
	struct ivshmem_vectors vectors;
	struct rte_intr_handle *intr;	/* vector 0 while we listen */
};

/* Take what the server says: eventfds, of the own port and of others. */
static void
ivshmem_socket_take(struct ivshmem_socket *sock)
{
	struct ivshmem_client_event event;
	struct ivshmem_fault fault;
	int ret;

	while (sock->client.fd >= 0) {
		ret = ivshmem_client_next(&sock->client, &event, &fault);
		if (ret == 0 && event.type == IVSHMEM_CLIENT_EVENT_NONE)
			return;
		if (event.type == IVSHMEM_CLIENT_EVENT_VECTOR)
			ivshmem_vectors_add(&sock->vectors, event.id, event.fd);
		else if (event.fd >= 0)
			close(event.fd);
		if (ret != 0) {
			IVSHMEM_LOG(WARNING, "%s; traffic goes on without the server", fault.text);
			ivshmem_client_close(&sock->client);
		}
	}
}

static void
ivshmem_socket_tick(struct ivshmem_transport *transport)
{
	struct ivshmem_socket *sock = transport->front;

	rte_spinlock_lock(&sock->lock);
	ivshmem_socket_take(sock);
	rte_spinlock_unlock(&sock->lock);
}

static bool
ivshmem_socket_ring(struct ivshmem_transport *transport, uint32_t slot, uint32_t vector)
{
	const struct ivshmem_socket *sock = transport->front;

	return ivshmem_vectors_ring(&sock->vectors, slot, vector);
}

static void
ivshmem_socket_control(void *arg)
{
	struct ivshmem_transport *transport = arg;
	struct ivshmem_socket *sock = transport->front;

	ivshmem_vector_drain(ivshmem_vectors_fd(&sock->vectors, transport->slot, 0));	/* K1 */
	transport->control(transport->control_arg);
}

/* The own eventfds follow the memory; what earlier owners of the slot left in them is read away. */
static int
ivshmem_socket_await(struct ivshmem_transport *transport, uint32_t cnt)
{
	struct ivshmem_socket *sock = transport->front;

	for (uint32_t ms = 0; ms < IVSHMEM_VECTORS_MS; ms++) {
		ivshmem_socket_tick(transport);
		if (ivshmem_vectors_cnt(&sock->vectors, transport->slot) >= cnt)
			break;
		rte_delay_us_sleep(1000);
	}
	if (ivshmem_vectors_cnt(&sock->vectors, transport->slot) < cnt) {
		IVSHMEM_LOG(ERR, "the server sent %" PRIu32 " of %" PRIu32 " eventfds within %u ms",
			    ivshmem_vectors_cnt(&sock->vectors, transport->slot), cnt,
			    IVSHMEM_VECTORS_MS);
		return -ETIMEDOUT;
	}
	for (uint32_t vector = 0; vector < cnt; vector++)
		ivshmem_vector_drain(ivshmem_vectors_fd(&sock->vectors, transport->slot, vector));
	return 0;
}

static int
ivshmem_socket_listen(struct ivshmem_transport *transport, int *fds, uint32_t cnt,
		      void (*control)(void *arg), void *arg)
{
	struct ivshmem_socket *sock = transport->front;
	int ret;

	ret = ivshmem_socket_await(transport, 1 + cnt);
	if (ret != 0)
		return ret;
	for (uint32_t i = 0; i < cnt; i++)
		fds[i] = ivshmem_vectors_fd(&sock->vectors, transport->slot, 1 + i);
	transport->control = control;
	transport->control_arg = arg;
	sock->intr = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (sock->intr == NULL)
		return -ENOMEM;
	if (rte_intr_fd_set(sock->intr,
			    ivshmem_vectors_fd(&sock->vectors, transport->slot, 0)) != 0 ||
	    rte_intr_type_set(sock->intr, RTE_INTR_HANDLE_EXT) != 0)
		ret = -EINVAL;
	if (ret == 0)
		ret = rte_intr_callback_register(sock->intr, ivshmem_socket_control, transport);
	if (ret == 0)
		return 0;
	IVSHMEM_LOG(ERR, "vector 0 cannot be heard: %s", strerror(-ret));
	rte_intr_instance_free(sock->intr);
	sock->intr = NULL;
	return ret;
}

static void
ivshmem_socket_unlisten(struct ivshmem_transport *transport)
{
	struct ivshmem_socket *sock = transport->front;

	ivshmem_transport_unhear(sock->intr, ivshmem_socket_control, transport);
	rte_intr_instance_free(sock->intr);
	sock->intr = NULL;
}

static void
ivshmem_socket_mute(struct ivshmem_transport *transport, bool muted)
{
	struct ivshmem_socket *sock = transport->front;

	if (muted)
		rte_intr_callback_unregister_pending(sock->intr, ivshmem_socket_control, transport,
						     NULL);
	else
		rte_intr_callback_register(sock->intr, ivshmem_socket_control, transport);
}

static void
ivshmem_socket_free(struct ivshmem_socket *sock)
{
	ivshmem_client_close(&sock->client);
	ivshmem_vectors_close(&sock->vectors);
	rte_free(sock);
}

static void
ivshmem_socket_detach(struct ivshmem_transport *transport)
{
	munmap(transport->base, transport->len);
	ivshmem_socket_free(transport->front);
}

static const struct ivshmem_transport_ops ivshmem_socket_ops = {
	.name = "socket",
	.tick = ivshmem_socket_tick,
	.ring = ivshmem_socket_ring,
	.listen = ivshmem_socket_listen,
	.unlisten = ivshmem_socket_unlisten,
	.mute = ivshmem_socket_mute,
	.detach = ivshmem_socket_detach,
};

static int
ivshmem_socket_attach(struct ivshmem_socket *sock, const char *path,
		      struct ivshmem_transport *transport, struct ivshmem_fault *fault)
{
	int memory;
	int ret;

	ret = ivshmem_client_connect(&sock->client, path, fault);
	if (ret != 0)
		return ret;
	memory = ivshmem_client_handshake(&sock->client, IVSHMEM_HANDSHAKE_MS, fault);
	if (memory < 0)
		return memory;
	ret = ivshmem_vdev_map(transport, memory, fault);
	close(memory);
	if (ret != 0)
		return ret;
	ret = ivshmem_vectors_init(&sock->vectors, IVSHMEM_ABI_PORTS_MAX, IVSHMEM_VECTORS_EACH);
	if (ret != 0)
		return IVSHMEM_FAULT(fault, ret, "no memory");
	return 0;
}

int
ivshmem_socket_join(const struct ivshmem_devargs *conf, struct ivshmem_transport *transport,
		    struct ivshmem_fault *fault)
{
	struct ivshmem_socket *sock = rte_zmalloc("ivshmem_socket", sizeof(*sock), 0);
	int ret;

	if (sock == NULL)
		return IVSHMEM_FAULT(fault, -ENOMEM, "no memory");
	ivshmem_client_init(&sock->client, -1);
	ret = ivshmem_socket_attach(sock, conf->socket, transport, fault);
	if (ret != 0) {
		if (transport->base != NULL)
			munmap(transport->base, transport->len);
		ivshmem_socket_free(sock);
		return ret;
	}
	transport->ops = &ivshmem_socket_ops;
	transport->front = sock;
	transport->slot = sock->client.id;
	transport->kind = IVSHMEM_OWNER_SERVER;
	transport->vectors = IVSHMEM_VECTORS_EACH;
	return 0;
}
