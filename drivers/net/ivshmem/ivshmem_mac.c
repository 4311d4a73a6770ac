/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Ethernet addresses: the port's own one, and who of the others announced which.
 *
 * An address has one owner. The port that was seen with it first keeps it while it runs; of two
 * seen at once it is the lower slot. Another that announces it is counted once each life, and
 * logged at most once a minute: it may have many lives.
 *
 * Threads: alarm thread and the application's control thread, under dev->lock.
 * Trust: a peer's configuration was bounded by ivshmem_peer_look(); what it says is its own affair.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>

#include "ivshmem_ethdev.h"
#include "ivshmem_log.h"

#define IVSHMEM_MAC_WATCH_MS	10u
#define IVSHMEM_CONFLICT_LOG_S	60u

/* Stable over restarts: a hash (FNV-1a) of the region's uuid and the slot, locally administered. */
static void
ivshmem_mac_default(const struct ivshmem_layout *layout, uint32_t slot, struct rte_ether_addr *mac)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned int i = 0; i < sizeof(layout->uuid) + sizeof(slot); i++) {
		hash ^= i < sizeof(layout->uuid) ? layout->uuid[i] :
			slot >> (i - sizeof(layout->uuid)) * 8 & UINT8_MAX;
		hash *= UINT64_C(0x100000001b3);
	}
	for (unsigned int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac->addr_bytes[i] = hash >> i * 8;
	mac->addr_bytes[0] &= (uint8_t)~RTE_ETHER_GROUP_ADDR;
	mac->addr_bytes[0] |= RTE_ETHER_LOCAL_ADMIN_ADDR;
}

static bool
ivshmem_mac_is_announced(const struct ivshmem_peer *peer, const struct rte_ether_addr *mac)
{
	for (uint32_t i = 0; i < peer->conf.mac_cnt; i++)
		if (memcmp(peer->conf.mac[i], mac, sizeof(*mac)) == 0)
			return true;
	return false;
}

/*
 * Whether a port announces the address and lives: it is watched for as long as its heart needs to
 * be seen beating. A look of its own: the link's must not miss a change.
 */
static bool
ivshmem_mac_is_used(const struct ivshmem_dev *dev, struct ivshmem_peer *peer,
		    const struct rte_ether_addr *mac)
{
	for (uint32_t ms = 0; ms < 4 * IVSHMEM_PORT_BEAT_MS; ms += IVSHMEM_MAC_WATCH_MS) {
		ivshmem_peer_look(peer, dev->port.base, &dev->layout, ivshmem_now_ms());
		if (peer->state == IVSHMEM_PORT_RESET || !ivshmem_mac_is_announced(peer, mac))
			return false;
		if (peer->alive)
			return true;
		rte_delay_us_sleep(IVSHMEM_MAC_WATCH_MS * 1000);
	}
	return false;
}

int
ivshmem_mac_check(const struct ivshmem_dev *dev, const struct rte_ether_addr *mac)
{
	for (uint32_t slot = 0; slot < dev->layout.port_cnt; slot++) {
		char text[RTE_ETHER_ADDR_FMT_SIZE];
		struct ivshmem_peer peer;

		ivshmem_peer_init(&peer, slot);
		if (slot == dev->port.slot || !ivshmem_mac_is_used(dev, &peer, mac))
			continue;
		rte_ether_format_addr(text, sizeof(text), mac);
		IVSHMEM_LOG(ERR, "%s: address %s is in use by port %" PRIu32 " of the region, "
			    "life %" PRIu32 "; give another one with mac=", dev->data->name, text,
			    slot, peer.life);
		return -EADDRINUSE;
	}
	return 0;
}

int
ivshmem_mac_choose(struct ivshmem_dev *dev, const struct rte_ether_addr *mac)
{
	struct rte_ether_addr pinned;

	memcpy(&pinned, ivshmem_layout_slot(dev->port.base, &dev->layout, dev->port.slot)->mac,
	       sizeof(pinned));
	if (rte_is_valid_assigned_ether_addr(&pinned))
		dev->mac = pinned;
	else if (!rte_is_zero_ether_addr(mac))
		dev->mac = *mac;
	else
		ivshmem_mac_default(&dev->layout, dev->port.slot, &dev->mac);
	return ivshmem_mac_check(dev, &dev->mac);
}

void
ivshmem_mac_own(struct ivshmem_dev *dev)
{
	const uint64_t key = ivshmem_fdb_key(dev->mac.addr_bytes);

	if (dev->fdb == NULL)
		return;
	ivshmem_fdb_withdraw(dev->fdb, dev->port.slot, &key, 1);
	ivshmem_fdb_announce(dev->fdb, key, dev->port.slot);
}

static void
ivshmem_mac_conflict(struct ivshmem_dev *dev, const uint8_t *mac, const struct ivshmem_peer *peer,
		     uint32_t owner)
{
	struct ivshmem_conflict *told = &dev->conflicts[peer->slot];
	const uint32_t now = ivshmem_now_ms() / 1000;

	if (told->life == peer->life)
		return;
	told->life = peer->life;
	dev->mac_conflicts++;
	if (told->logged != 0 && now - told->logged < IVSHMEM_CONFLICT_LOG_S)
		return;
	told->logged = now;
	IVSHMEM_LOG(WARNING, "%s: port %" PRIu32 " announces address " RTE_ETHER_ADDR_PRT_FMT
		    ", which is port %" PRIu32 "'s: frames for it go to the latter; give one of "
		    "them another address", dev->data->name, peer->slot, mac[0], mac[1], mac[2],
		    mac[3], mac[4], mac[5], owner);
}

void
ivshmem_mac_announced(struct ivshmem_dev *dev, const struct ivshmem_peer *peer, uint32_t changed)
{
	uint64_t keys[IVSHMEM_ABI_MACS_MAX];

	if (dev->fdb == NULL)
		return;
	for (uint32_t i = 0; i < peer->conf.mac_cnt; i++)
		keys[i] = ivshmem_fdb_key(peer->conf.mac[i]);
	if ((changed & IVSHMEM_PEER_CONF) != 0)
		ivshmem_fdb_withdraw(dev->fdb, peer->slot, keys, peer->conf.mac_cnt);
	if ((changed & IVSHMEM_PEER_LINK) != 0 && !peer->running)
		ivshmem_fdb_loosen(dev->fdb, peer->slot);
	if (!peer->running)
		return;
	for (uint32_t i = 0; i < peer->conf.mac_cnt; i++) {
		const uint32_t owner = ivshmem_fdb_owner(dev->fdb, keys[i]);

		if (keys[i] == 0 || (keys[i] & 1) != 0)
			continue;
		if (owner == IVSHMEM_FDB_NONE || owner == peer->slot)
			ivshmem_fdb_announce(dev->fdb, keys[i], peer->slot);
		else
			ivshmem_mac_conflict(dev, peer->conf.mac[i], peer, owner);
	}
}
