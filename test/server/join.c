/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Join a region through a server's socket as the driver's socket= does, and leave again. Prints the
 * port, or the driver's words for why not.
 */

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ivshmem_client.h"
#include "ivshmem_layout.h"
#include "ivshmem_port.h"

#define TIMEOUT_MS	10000

static int
join(struct ivshmem_client *client, const char *path, struct ivshmem_fault *fault)
{
	struct ivshmem_layout layout;
	struct ivshmem_port port;
	struct stat info;
	void *base;
	int memory;
	int ret;

	ret = ivshmem_client_connect(client, path, fault);
	if (ret != 0)
		return ret;
	memory = ivshmem_client_handshake(client, TIMEOUT_MS, fault);
	if (memory < 0)
		return memory;
	if (fstat(memory, &info) != 0)
		return IVSHMEM_FAULT(fault, -1, "fstat");
	base = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (base == MAP_FAILED)
		return IVSHMEM_FAULT(fault, -1, "mmap");
	ret = ivshmem_layout_check(base, info.st_size, &layout, fault);
	if (ret != 0)
		return ret;
	ret = ivshmem_port_claim(&port, base, &layout, client->id, IVSHMEM_OWNER_SERVER, 1, fault);
	if (ret == 0)
		ivshmem_port_release(&port);
	return ret;
}

int
main(int argc, char **argv)
{
	struct ivshmem_client client;
	struct ivshmem_fault fault;

	if (argc != 2)
		return 2;
	if (join(&client, argv[1], &fault) != 0) {
		printf("refused: %s\n", fault.text);
		return 1;
	}
	printf("joined: port %d\n", (int)client.id);
	return 0;
}
