/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The host's front: a vdev that joins a region through a server's socket (ivshmem_socket.c), or by
 * its file.
 *
 * With a server the slot is the peer id. By the file it is port=N, or the first slot whose lock on
 * the file is free: an open file description lock on the first byte of the slot's section, held
 * for the port's life, proves to the next owner that this one is gone.
 *
 * Trust: the file may be anything; it is checked by ivshmem_layout_check after its size was taken
 * from fstat, so that no access is past its end.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bus_vdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_common.h>
#include <rte_malloc.h>

#include "ivshmem_devargs.h"
#include "ivshmem_estate.h"
#include "ivshmem_ethdev.h"
#include "ivshmem_file.h"
#include "ivshmem_log.h"
#include "ivshmem_vdev.h"

#define IVSHMEM_FORMAT_MS	5000u	/* for another process to end formatting */

static void
ivshmem_path_detach(struct ivshmem_transport *transport)
{
	int *file = transport->front;

	munmap(transport->base, transport->len);
	close(*file);		/* and its locks */
	rte_free(file);
}

static const struct ivshmem_transport_ops ivshmem_path_ops = {
	.name = "path",
	.detach = ivshmem_path_detach,
};

int
ivshmem_vdev_map(struct ivshmem_transport *transport, int fd, struct ivshmem_fault *fault)
{
	struct stat info;
	void *base;

	if (fstat(fd, &info) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (info.st_size < (off_t)sizeof(struct ivshmem_superblock_shm))
		return IVSHMEM_FAULT(fault, -ENODEV, "%jd bytes are no region: format it with "
				     "ivshmem-server format, or give create=1,size=",
				     (intmax_t)info.st_size);
	base = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return IVSHMEM_FAULT(fault, -errno, "map %jd bytes: %s",
				     (intmax_t)info.st_size, strerror(errno));
	transport->base = base;
	transport->len = info.st_size;
	return 0;
}

/* An open file description lock: kept by the fd, gone with the last process that has it. */
static bool
ivshmem_vdev_lock(int file, short type, uint64_t byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	return fcntl(file, F_OFD_SETLK, &lock) == 0;
}

/* An empty file becomes a region. */
static int
ivshmem_vdev_fill(int file, const struct ivshmem_devargs *conf,
		  const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	uint8_t uuid[16];
	void *base;
	int ret;

	if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid))
		return IVSHMEM_FAULT(fault, -EIO, "no random numbers: %s", strerror(errno));
	ret = posix_fallocate(file, 0, conf->size);
	if (ret != 0)
		return IVSHMEM_FAULT(fault, -ret, "reserve %" PRIu64 " bytes: %s", conf->size,
				     strerror(ret));
	base = mmap(NULL, conf->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (base == MAP_FAILED)
		return IVSHMEM_FAULT(fault, -errno, "map %" PRIu64 " bytes: %s", conf->size,
				     strerror(errno));
	ivshmem_layout_format(base, layout, uuid);
	munmap(base, conf->size);
	return 0;
}

/* Under the lock on the first byte: a file that is not empty may be in use, and stays as it is. */
static int
ivshmem_vdev_format(int file, const struct ivshmem_devargs *conf,
		    const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	struct stat info;
	int ret;

	if (fstat(file, &info) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (info.st_nlink == 0)
		return IVSHMEM_FAULT(fault, -EAGAIN, "was removed at this moment; try again");
	if (info.st_size != 0 && (uint64_t)info.st_size != conf->size)
		return IVSHMEM_FAULT(fault, -ENOTEMPTY, "has %jd bytes already, not size=%" PRIu64
				     ": remove it, or leave create=1 away",
				     (intmax_t)info.st_size, conf->size);
	if (info.st_size != 0)
		return 0;
	ret = ivshmem_vdev_fill(file, conf, layout, fault);
	if (ret != 0 && ftruncate(file, 0) != 0)
		ret = -errno;	/* keep nothing half-made */
	return ret;
}

static int
ivshmem_vdev_create_file(int file, bool is_new, const struct ivshmem_devargs *conf,
			 const struct ivshmem_layout *layout, struct ivshmem_fault *fault)
{
	struct stat info;
	int ret;

	for (unsigned int tries = 0; !ivshmem_vdev_lock(file, F_WRLCK, 0); tries++) {
		if (tries == IVSHMEM_FORMAT_MS / 10)
			return IVSHMEM_FAULT(fault, -EBUSY,
				"is being formatted by another process for too long");
		usleep(10000);
	}
	ret = ivshmem_vdev_format(file, conf, layout, fault);
	if (ret != 0 && is_new && fstat(file, &info) == 0 && info.st_size == 0)
		unlink(conf->path);	/* else another process made it a region */
	ivshmem_vdev_lock(file, F_UNLCK, 0);
	return ret;
}

static int
ivshmem_vdev_check_port(uint32_t port, const struct ivshmem_layout *layout,
			struct ivshmem_fault *fault)
{
	if (port == IVSHMEM_PORT_AUTO || port < layout->port_cnt)
		return 0;
	return IVSHMEM_FAULT(fault, -EINVAL, "port=%" PRIu32 " is not in the region: it has ports "
			     "0..%" PRIu32, port, layout->port_cnt - 1);
}

/* Nobody holds it: left cleanly, or its last owner held it by the lock that is ours now. */
static bool
ivshmem_vdev_is_free(const struct ivshmem_section_shm *section)
{
	return (ivshmem_load64(&section->row) & UINT32_MAX) == IVSHMEM_PORT_RESET ||
		ivshmem_load32(&section->owner_kind) == IVSHMEM_OWNER_LOCK;
}

/* Lock port=N, or the first port that is free. */
static int
ivshmem_vdev_take_slot(int file, const struct ivshmem_devargs *conf,
		       struct ivshmem_transport *transport, struct ivshmem_fault *fault)
{
	struct ivshmem_layout layout;
	uint32_t slot = conf->port;
	int ret;

	ret = ivshmem_layout_check(transport->base, transport->len, &layout, fault);
	if (ret == 0)
		ret = ivshmem_vdev_check_port(slot, &layout, fault);
	if (ret != 0)
		return ret;
	if (ivshmem_load64(&ivshmem_layout_superblock(transport->base)->server_epoch) != 0)
		return IVSHMEM_FAULT(fault, -EBUSY, "a server numbers this region's ports: use "
				     "socket=, or start and stop ivshmem-server if it was killed");
	transport->kind = IVSHMEM_OWNER_LOCK;
	for (transport->slot = slot != IVSHMEM_PORT_AUTO ? slot : 0;
	     transport->slot < layout.port_cnt; transport->slot++) {
		const struct ivshmem_section_shm *section =
			ivshmem_layout_section(transport->base, &layout, transport->slot);
		const uint64_t byte = layout.section_off + transport->slot * layout.section_len;

		if (ivshmem_vdev_lock(file, F_WRLCK, byte)) {
			if (slot != IVSHMEM_PORT_AUTO || ivshmem_vdev_is_free(section))
				return 0;
			ivshmem_vdev_lock(file, F_UNLCK, byte);
		}
		if (slot != IVSHMEM_PORT_AUTO)
			return IVSHMEM_FAULT(fault, -EBUSY, "port=%" PRIu32 " is taken: life %"
				PRIu64 ", process %" PRIu32 "; take another port or stop it", slot,
				ivshmem_load64(&section->row) >> 32,
				ivshmem_load32(&section->pid));
	}
	return IVSHMEM_FAULT(fault, -EBUSY, "all %" PRIu32 " ports of the region are taken",
			     layout.port_cnt);
}

/* With create=1: open the file, or make and format it. A refused one is not left behind. */
static int
ivshmem_vdev_create(const struct ivshmem_devargs *conf, struct ivshmem_fault *fault)
{
	const struct ivshmem_geometry want = {
		.total_len = conf->size,
		.port_cnt = conf->ports,
		.queue_cnt = conf->queues,
		.ring_slots = conf->ring_size,
		.buf_len = conf->buf_size,
	};
	struct ivshmem_layout layout;
	bool is_new;
	int file;
	int ret;

	ret = ivshmem_layout_plan(&want, &layout, fault);
	if (ret == 0)
		ret = ivshmem_vdev_check_port(conf->port, &layout, fault);
	if (ret != 0)
		return ret;
	file = open(conf->path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
	is_new = file >= 0;
	if (!is_new && errno == EEXIST)
		file = open(conf->path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	ret = ivshmem_file_check_owner(file, fault);	/* before anything is written to it */
	if (ret == 0)
		ret = ivshmem_vdev_create_file(file, is_new, conf, &layout, fault);
	if (ret == 0)
		return file;
	close(file);
	return ret;
}

/* Without a server: the file, and a lock for the slot. Returns the fd. */
static int
ivshmem_vdev_open(const struct ivshmem_devargs *conf, struct ivshmem_fault *fault)
{
	int file;

	if (conf->create != 0)
		return ivshmem_vdev_create(conf, fault);
	file = open(conf->path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return IVSHMEM_FAULT(fault, -errno, "%s%s", strerror(errno),
				     errno == ENOENT ? "; give create=1,size= to make it" : "");
	return file;
}

static int
ivshmem_vdev_use_path(const struct ivshmem_devargs *conf, struct ivshmem_transport *transport,
		      struct ivshmem_fault *fault)
{
	int *front;
	int file;
	int ret;

	file = ivshmem_vdev_open(conf, fault);
	if (file < 0)
		return file;
	front = rte_malloc("ivshmem_path", sizeof(*front), 0);
	ret = front == NULL ? IVSHMEM_FAULT(fault, -ENOMEM, "no memory") :
		ivshmem_file_check_owner(file, fault);
	if (ret == 0)
		ret = ivshmem_vdev_map(transport, file, fault);
	if (ret == 0)
		ret = ivshmem_vdev_take_slot(file, conf, transport, fault);
	if (ret != 0) {
		if (transport->base != NULL)
			munmap(transport->base, transport->len);
		close(file);
		rte_free(front);
		return ret;
	}
	*front = file;
	transport->front = front;
	transport->ops = &ivshmem_path_ops;
	return 0;
}

/* Reach the region. On success the transport owns what was opened. */
static int
ivshmem_vdev_attach(const char *name, const struct ivshmem_devargs *conf,
		    struct ivshmem_transport *transport)
{
	struct ivshmem_fault fault;
	int ret;

	memset(transport, 0, sizeof(*transport));
	if (conf->socket[0] != '\0')
		ret = ivshmem_socket_join(conf, transport, &fault);
	else
		ret = ivshmem_vdev_use_path(conf, transport, &fault);
	if (ret == 0)
		return 0;
	if (conf->path[0] != '\0')
		IVSHMEM_LOG(ERR, "%s: path=%s: %s", name, conf->path, fault.text);
	else
		IVSHMEM_LOG(ERR, "%s: %s", name, fault.text);
	return ret;
}

static int
ivshmem_vdev_probe(struct rte_vdev_device *device)
{
	const char *name = rte_vdev_device_name(device);
	struct ivshmem_transport transport;
	struct ivshmem_devargs *conf;
	struct rte_eth_dev *eth_dev;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		IVSHMEM_LOG(ERR, "%s: secondary processes are not supported; give the secondary a "
			    "port of its own", name);
		return -ENOTSUP;
	}
	conf = rte_zmalloc("ivshmem_devargs", sizeof(*conf), 0);
	if (conf == NULL)
		return -ENOMEM;
	ret = ivshmem_devargs_parse(name, rte_vdev_device_args(device), IVSHMEM_FRONT_VDEV, conf);
	if (ret == 0)
		ret = ivshmem_vdev_attach(name, conf, &transport);
	if (ret != 0)
		goto out;
	eth_dev = rte_eth_vdev_allocate(device, sizeof(struct ivshmem_dev));
	if (eth_dev == NULL) {
		IVSHMEM_LOG(ERR, "%s: no room for another ethdev port", name);
		transport.ops->detach(&transport);
		ret = -ENOMEM;
		goto out;
	}
	ret = ivshmem_dev_create(eth_dev, &transport, conf);
	if (ret == 0)
		rte_eth_dev_probing_finish(eth_dev);
	else
		rte_eth_dev_release_port(eth_dev);
out:
	rte_free(conf);
	return ret;
}

static int
ivshmem_vdev_remove(struct rte_vdev_device *device)
{
	const char *name = rte_vdev_device_name(device);
	struct rte_eth_dev *eth_dev = rte_eth_dev_allocated(name);

	if (eth_dev != NULL) {
		ivshmem_dev_close(eth_dev);
		rte_eth_dev_release_port(eth_dev);
	}
	return ivshmem_estate_check(name);
}

static struct rte_vdev_driver ivshmem_vdev_driver = {
	.probe = ivshmem_vdev_probe,
	.remove = ivshmem_vdev_remove,
};

RTE_PMD_REGISTER_VDEV(net_ivshmem, ivshmem_vdev_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_ivshmem,
	"socket=<path> "
	"path=<file> "
	"port=<0-1023> "
	"mac=<address> "
	"full=<drop|wait> "
	"zero_copy=<0|1> "
	"tx_pool=<0-1000000> "
	"create=<0|1> "
	"size=<bytes>[K|M|G] "
	"ports=<2-1024> "
	"queues=<1-16> "
	"ring_size=<32-32768> "
	"buf_size=<256-65472>");
