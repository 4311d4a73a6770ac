/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The port under test.
 *
 * An offload is asked for only when the options need it: MULTI_SEGS for chains, SCATTER for
 * frames larger than an mbuf, MBUF_FAST_FREE on request.  A port that has no name for scattered
 * Rx may still do it, so that alone is a warning.
 *
 * Threads: the main lcore, while no other lcore uses the port.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "frame.h"
#include "port.h"

#define IVSHMEM_PORT_CACHE 256
/* What a frame has beyond its MTU at most: Ethernet header and one VLAN tag. */
#define IVSHMEM_PORT_OVERHEAD 18

#define IVSHMEM_PORT_ERROR(port, ...) \
	ivshmem_port_complain(port, "error", __VA_ARGS__)

static void __rte_format_printf(3, 4)
ivshmem_port_complain(const struct ivshmem_port *port, const char *level, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "ivshmem-traffic: %s: port %u (%s): ", level, port->id,
		port->driver[0] == '\0' ? "none" : port->driver);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static int
ivshmem_port_create_pool(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	/* Frames on a Tx ring have the middle number of pieces, as good as always. */
	uint64_t pieces = RTE_MAX((opt->segments_min + opt->segments_max + 1) / 2,
				  (opt->sizes.largest + opt->mbuf_size - 1) / opt->mbuf_size);
	uint64_t cnt = opt->mbufs;
	int socket = rte_eth_dev_socket_id(port->id);

	if (cnt == 0)
		cnt = opt->queues * (port->rx_desc + port->tx_desc * pieces +
				      2 * opt->burst * RTE_MAX(pieces, opt->segments_max)) +
		      rte_lcore_count() * IVSHMEM_PORT_CACHE * 2 + 1024;
	port->pool = rte_pktmbuf_pool_create("ivshmem_traffic", (unsigned int)cnt,
					     cnt < 4 * IVSHMEM_PORT_CACHE ? 0 : IVSHMEM_PORT_CACHE,
					     0, (uint16_t)(opt->mbuf_size + RTE_PKTMBUF_HEADROOM),
					     socket < 0 ? SOCKET_ID_ANY : socket);
	if (port->pool != NULL)
		return 0;
	IVSHMEM_PORT_ERROR(port, "no memory for %" PRIu64 " mbufs of %" PRIu64
			   " bytes (%s): give EAL more (-m) or ask for less (--mbufs, --desc)",
			   cnt, opt->mbuf_size, rte_strerror(rte_errno));
	return -ENOMEM;
}

/* What frames are made of. */
static int
ivshmem_port_find_pool(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	port->tx_pool = port->pool;
	if (opt->from_port == 0)
		return 0;
	snprintf(port->tx_pool_name, sizeof(port->tx_pool_name), "%s_tx", port->name);
	port->tx_pool = rte_mempool_lookup(port->tx_pool_name);
	if (port->tx_pool == NULL) {
		IVSHMEM_PORT_ERROR(port, "--from port: no mempool is called %s",
				   port->tx_pool_name);
		return -ENOENT;
	}
	if (rte_pktmbuf_data_room_size(port->tx_pool) >= opt->mbuf_size + RTE_PKTMBUF_HEADROOM)
		return 0;
	IVSHMEM_PORT_ERROR(port, "--from port: mbufs of %s hold %u bytes, give --mbuf-size",
			   port->tx_pool_name,
			   rte_pktmbuf_data_room_size(port->tx_pool) - RTE_PKTMBUF_HEADROOM);
	return -EINVAL;
}

static int
ivshmem_port_check(const struct ivshmem_port *port, const struct ivshmem_options *opt,
		   const struct rte_eth_dev_info *info)
{
	if (opt->queues > info->max_rx_queues || opt->queues > info->max_tx_queues) {
		IVSHMEM_PORT_ERROR(port, "--queues %" PRIu64 ": it has at most %u Rx and %u Tx",
				   opt->queues, info->max_rx_queues, info->max_tx_queues);
		return -EINVAL;
	}
	if (opt->mtu != 0 && (opt->mtu < info->min_mtu || opt->mtu > info->max_mtu)) {
		IVSHMEM_PORT_ERROR(port, "--mtu %" PRIu64 ": it takes %u to %u", opt->mtu,
				   info->min_mtu, info->max_mtu);
		return -EINVAL;
	}
	if (opt->mbuf_size + RTE_PKTMBUF_HEADROOM < info->min_rx_bufsize) {
		IVSHMEM_PORT_ERROR(port, "--mbuf-size %" PRIu64 ": it needs at least %u",
				   opt->mbuf_size, info->min_rx_bufsize);
		return -EINVAL;
	}
	return 0;
}

/* The MTU to ask for; 0 leaves the port's own. */
static uint32_t
ivshmem_port_choose_mtu(const struct ivshmem_port *port, const struct ivshmem_options *opt,
			const struct rte_eth_dev_info *info)
{
	uint32_t needs = opt->sizes.largest - IVSHMEM_PORT_OVERHEAD;

	if (opt->mtu != 0)
		return (uint32_t)opt->mtu;
	if (opt->sizes.largest <= RTE_ETHER_MTU + IVSHMEM_PORT_OVERHEAD)
		return 0;
	if (needs <= info->max_mtu &&
	    needs + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN <= info->max_rx_pktlen)
		return needs;
	ivshmem_port_complain(port, "warning", "frames of %" PRIu32 " bytes want an MTU of %" PRIu32
			      ", it takes %u (frames of %" PRIu32 "): MTU left as it is",
			      opt->sizes.largest, needs, info->max_mtu, info->max_rx_pktlen);
	return 0;
}

static int
ivshmem_port_configure(struct ivshmem_port *port, const struct ivshmem_options *opt,
		       const struct rte_eth_dev_info *info)
{
	uint32_t mtu = ivshmem_port_choose_mtu(port, opt, info);
	struct rte_eth_conf conf = {
		.rxmode = { .mtu = mtu },
		.intr_conf = { .rxq = opt->rxq_intr != 0 },
	};
	uint64_t largest = RTE_MAX(mtu + IVSHMEM_PORT_OVERHEAD, opt->sizes.largest);
	bool is_chained = opt->segments_max > 1 || largest > opt->mbuf_size;
	int ret;

	if (largest > opt->mbuf_size && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) != 0)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	else if (largest > opt->mbuf_size)
		ivshmem_port_complain(port, "warning", "does not announce scattered Rx: frames "
				      "above --mbuf-size %" PRIu64 " may not arrive",
				      opt->mbuf_size);
	if (is_chained && (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0) {
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	} else if (ivshmem_role_sends(opt->role) &&
		   (opt->segments_max > 1 || opt->sizes.largest > opt->mbuf_size)) {
		IVSHMEM_PORT_ERROR(port, "--segments %" PRIu64 ", --mbuf-size %" PRIu64 ": it can "
				   "not send chains of mbufs; use --segments 1 and --mbuf-size %"
				   PRIu32, opt->segments_max, opt->mbuf_size, opt->sizes.largest);
		return -ENOTSUP;
	}
	if (opt->fast_free != 0 &&
	    (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) == 0) {
		IVSHMEM_PORT_ERROR(port, "--offloads fast-free: it does not offer MBUF_FAST_FREE");
		return -ENOTSUP;
	}
	if (opt->fast_free != 0)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	ret = rte_eth_dev_configure(port->id, (uint16_t)opt->queues, (uint16_t)opt->queues, &conf);
	if (ret != 0)
		IVSHMEM_PORT_ERROR(port, "refuses %" PRIu64 " queues with MTU %" PRIu32 ": %s",
				   opt->queues, mtu, rte_strerror(-ret));
	return ret;
}

static int
ivshmem_port_adjust_desc(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	int ret;

	port->rx_desc = (uint16_t)opt->desc;
	port->tx_desc = (uint16_t)opt->desc;
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->rx_desc, &port->tx_desc);
	if (ret != 0)
		IVSHMEM_PORT_ERROR(port, "--desc %" PRIu64 ": %s", opt->desc, rte_strerror(-ret));
	return ret;
}

static int
ivshmem_port_setup_queues(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	int ret;

	for (uint16_t i = 0; i < opt->queues; i++) {
		ret = rte_eth_rx_queue_setup(port->id, i, port->rx_desc, SOCKET_ID_ANY, NULL,
					     port->pool);
		if (ret != 0) {
			IVSHMEM_PORT_ERROR(port, "Rx queue %u with %u descriptors: %s", i,
					   port->rx_desc, rte_strerror(-ret));
			return ret;
		}
		ret = rte_eth_tx_queue_setup(port->id, i, port->tx_desc, SOCKET_ID_ANY, NULL);
		if (ret != 0) {
			IVSHMEM_PORT_ERROR(port, "Tx queue %u with %u descriptors: %s", i,
					   port->tx_desc, rte_strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int
ivshmem_port_start(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	int ret = rte_eth_dev_start(port->id);

	if (ret != 0) {
		IVSHMEM_PORT_ERROR(port, "does not start: %s", rte_strerror(-ret));
		return ret;
	}
	port->is_started = true;
	ret = opt->promisc != 0 ? rte_eth_promiscuous_enable(port->id) :
				  rte_eth_promiscuous_disable(port->id);
	if (ret != 0 && ret != -ENOTSUP) {
		IVSHMEM_PORT_ERROR(port, "--promisc %s: %s", opt->promisc != 0 ? "on" : "off",
				   rte_strerror(-ret));
		return ret;
	}
	rte_eth_dev_get_mtu(port->id, &port->mtu);
	rte_eth_macaddr_get(port->id, &port->mac);
	rte_eth_stats_reset(port->id);
	rte_eth_xstats_reset(port->id);
	return 0;
}

int
ivshmem_port_open(struct ivshmem_port *port, const struct ivshmem_options *opt)
{
	struct rte_eth_dev_info info;
	int ret;

	memset(port, 0, sizeof(*port));
	port->id = (uint16_t)opt->port;
	if (rte_eth_dev_is_valid_port(port->id) == 0) {
		IVSHMEM_PORT_ERROR(port, "--port %" PRIu64 ": no such port, EAL found %u "
				   "(see -a, --vdev)", opt->port, rte_eth_dev_count_avail());
		return -ENODEV;
	}
	ret = rte_eth_dev_info_get(port->id, &info);
	if (ret != 0) {
		IVSHMEM_PORT_ERROR(port, "gives no information: %s", rte_strerror(-ret));
		return ret;
	}
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	rte_eth_dev_get_name_by_port(port->id, port->name);
	ret = ivshmem_port_check(port, opt, &info);
	if (ret == 0)
		ret = ivshmem_port_configure(port, opt, &info);
	if (ret == 0)
		ret = ivshmem_port_adjust_desc(port, opt);
	if (ret == 0)
		ret = ivshmem_port_create_pool(port, opt);
	if (ret == 0)
		ret = ivshmem_port_find_pool(port, opt);
	if (ret == 0)
		ret = ivshmem_port_setup_queues(port, opt);
	if (ret == 0)
		ret = ivshmem_port_start(port, opt);
	return ret;
}

bool
ivshmem_port_link_is_up(const struct ivshmem_port *port)
{
	struct rte_eth_link link = { 0 };

	return rte_eth_link_get_nowait(port->id, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

static void
ivshmem_port_read_stats(struct ivshmem_port *port)
{
	int cnt;

	rte_eth_stats_get(port->id, &port->stats);
	cnt = rte_eth_xstats_get_names(port->id, NULL, 0);
	if (cnt <= 0)
		return;
	port->xstat_names = calloc((size_t)cnt, sizeof(*port->xstat_names));
	port->xstats = calloc((size_t)cnt, sizeof(*port->xstats));
	if (port->xstat_names == NULL || port->xstats == NULL ||
	    rte_eth_xstats_get_names(port->id, port->xstat_names, (unsigned int)cnt) != cnt ||
	    rte_eth_xstats_get(port->id, port->xstats, (unsigned int)cnt) != cnt)
		return;
	port->xstat_cnt = cnt;
}

void
ivshmem_port_close(struct ivshmem_port *port)
{
	int ret;

	if (rte_eth_dev_is_valid_port(port->id) != 0) {
		if (port->is_started) {
			ivshmem_port_read_stats(port);
			ret = rte_eth_dev_stop(port->id);
			if (ret != 0)
				IVSHMEM_PORT_ERROR(port, "does not stop: %s", rte_strerror(-ret));
		}
		rte_eth_dev_close(port->id);
	}
	/* a port's pool that it still has after the close lacks mbufs */
	if (port->tx_pool_name[0] != '\0' &&
	    rte_mempool_lookup(port->tx_pool_name) != NULL)
		port->leaked = port->tx_pool->size - rte_mempool_avail_count(port->tx_pool);
	if (port->pool != NULL)
		port->leaked += port->pool->size - rte_mempool_avail_count(port->pool);
}

void
ivshmem_port_release(struct ivshmem_port *port)
{
	free(port->xstat_names);
	free(port->xstats);
	/* A pool that lacks mbufs may still be in somebody's hands: EAL takes it down. */
	if (port->leaked == 0)
		rte_mempool_free(port->pool);
	port->pool = NULL;
}
