/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The owner's side of a port's row: who may claim a slot, states and lives, and the configuration
 * under a writer that dies or never stops. The writers that run meanwhile are processes of their
 * own: a configuration is read while it is written, by design.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem_atomic.h"
#include "ivshmem_port.h"

#define TOTAL	(UINT64_C(1) << 20)

static void *base;		/* shared with children */
static struct ivshmem_layout layout;

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
sleep_ms(uint32_t ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

static void
format(void)
{
	const struct ivshmem_geometry want = { .total_len = TOTAL, .queue_cnt = 2 };
	const uint8_t uuid[16] = { 1 };
	struct ivshmem_fault fault = { "" };

	CHECK_MSG(ivshmem_layout_plan(&want, &layout, &fault) == 0, "%s", fault.text);
	ivshmem_layout_format(base, &layout, uuid);
}

static struct ivshmem_section_shm *
section(uint32_t slot)
{
	return ivshmem_layout_section(base, &layout, slot);
}

static int
claim(struct ivshmem_port *port, enum ivshmem_owner_kind kind, uint64_t nonce)
{
	struct ivshmem_fault fault = { "" };
	const int ret = ivshmem_port_claim(port, base, &layout, 0, kind, nonce, &fault);

	CHECK_EQ(ret == 0, fault.text[0] == '\0');
	if (ret == -EBUSY)
		CHECK_HAS(fault.text, "port 0");
	return ret;
}

static void
out_of_range(void)
{
	struct ivshmem_fault fault = { "" };
	struct ivshmem_port port;

	for (uint64_t slot = 2; slot <= UINT32_MAX; slot = slot * 7 + 1) {
		CHECK_EQ(ivshmem_port_claim(&port, base, &layout, slot, IVSHMEM_OWNER_BARE, 1,
					    &fault), -EINVAL);
		CHECK_HAS(fault.text, "0..1");
	}
}

/* A slot that nobody has: taken at once, by any kind; each life has the next number. */
static void
free_slot(void)
{
	static const enum ivshmem_owner_kind kinds[] = { IVSHMEM_OWNER_SERVER, IVSHMEM_OWNER_LOCK,
							 IVSHMEM_OWNER_BARE };

	format();
	for (uint32_t i = 0; i < 6; i++) {
		struct ivshmem_port port;

		if (!CHECK_EQ(claim(&port, kinds[i % 3], 100 + i), 0))
			return;
		CHECK_EQ(port.life, i + 1);
		CHECK_EQ(ivshmem_load64(&section(0)->row),
			 (uint64_t)(i + 1) << 32 | IVSHMEM_PORT_INIT);
		CHECK_EQ(ivshmem_load64(&section(0)->nonce), 100 + i);
		CHECK_EQ(ivshmem_load32(&section(0)->owner_kind), kinds[i % 3]);
		CHECK_EQ(ivshmem_load32(&section(0)->pid), getpid());
		CHECK_EQ(ivshmem_load32(&section(0)->beat_ms), IVSHMEM_PORT_BEAT_MS);
		for (uint32_t state = IVSHMEM_PORT_RESET; state <= IVSHMEM_PORT_RUN; state++) {
			ivshmem_port_set_state(&port, state);
			CHECK_EQ(ivshmem_load64(&section(0)->row), (uint64_t)(i + 1) << 32 | state);
		}
		CHECK_EQ(ivshmem_port_beat(&port), 0);
		CHECK_EQ(ivshmem_load64(&section(0)->beat), i + 1);
		ivshmem_port_release(&port);
		CHECK_EQ(ivshmem_load64(&section(0)->nonce), 0);
		CHECK_EQ(ivshmem_load64(&section(0)->row) & UINT32_MAX, IVSHMEM_PORT_RESET);
	}
	CHECK_EQ(ivshmem_load64(&section(1)->row), 0);
}

/* Server or lock prove the death of an owner of the same kind. */
static void
proven_dead(enum ivshmem_owner_kind kind)
{
	struct ivshmem_port first;
	struct ivshmem_port second;

	format();
	CHECK_EQ(claim(&first, kind, 1), 0);
	ivshmem_port_set_state(&first, IVSHMEM_PORT_RUN);
	CHECK_EQ(claim(&second, kind, 2), 0);
	CHECK_EQ(second.life, 2);
	/* the first one learns it, and touches nothing any more */
	CHECK_EQ(ivshmem_port_beat(&first), -ESTALE);
	ivshmem_port_release(&first);
	CHECK_EQ(ivshmem_load64(&section(0)->nonce), 2);
	CHECK_EQ(ivshmem_load64(&section(0)->row), UINT64_C(2) << 32 | IVSHMEM_PORT_INIT);
	CHECK_EQ(ivshmem_port_beat(&second), 0);
}

static void *
beat_thread(void *arg)
{
	struct ivshmem_port *port = arg;

	for (int i = 0; i < 40; i++) {
		ivshmem_port_beat(port);
		sleep_ms(10);
	}
	return NULL;
}

/* No proof, and the heart beats: refused, and nothing was touched. */
static void
beating(enum ivshmem_owner_kind first_kind, enum ivshmem_owner_kind second_kind)
{
	struct ivshmem_fault fault = { "" };
	struct ivshmem_port first;
	struct ivshmem_port second;
	pthread_t thread;
	char word[32];

	format();
	CHECK_EQ(claim(&first, first_kind, 1), 0);
	ivshmem_port_set_state(&first, IVSHMEM_PORT_RUN);
	if (!CHECK(pthread_create(&thread, NULL, beat_thread, &first) == 0))
		return;
	CHECK_EQ(ivshmem_port_claim(&second, base, &layout, 0, second_kind, 2, &fault), -EBUSY);
	pthread_join(thread, NULL);
	CHECK_HAS(fault.text, "port 0");
	CHECK_HAS(fault.text, "life 1");
	snprintf(word, sizeof(word), "process %d", getpid());
	CHECK_HAS(fault.text, word);
	CHECK_EQ(ivshmem_load64(&section(0)->row), UINT64_C(1) << 32 | IVSHMEM_PORT_RUN);
	CHECK_EQ(ivshmem_load32(&section(0)->owner_kind), first_kind);
	CHECK_EQ(ivshmem_port_beat(&first), 0);
}

struct claimer {
	enum ivshmem_owner_kind kind;
	uint64_t nonce;
	int ret;
	struct ivshmem_port port;
};

static void *
claim_thread(void *arg)
{
	struct claimer *claimer = arg;
	struct ivshmem_fault fault = { "" };

	claimer->ret = ivshmem_port_claim(&claimer->port, base, &layout, 0, claimer->kind,
					  claimer->nonce, &fault);
	return NULL;
}

/* No proof and no heartbeat: taken after 2.8 s of watching, with the next life. */
static void
silent(void)
{
	const uint64_t begin = now_ms();
	struct ivshmem_port first;
	struct ivshmem_port second;

	format();
	CHECK_EQ(claim(&first, IVSHMEM_OWNER_SERVER, 1), 0);
	ivshmem_port_set_state(&first, IVSHMEM_PORT_RUN);
	CHECK_EQ(claim(&second, IVSHMEM_OWNER_LOCK, 2), 0);
	CHECK(now_ms() - begin >= IVSHMEM_PORT_SILENCE_MS);
	CHECK_EQ(second.life, 2);
	CHECK_EQ(ivshmem_port_beat(&first), -ESTALE);
}

/* The owner leaves while somebody waits for its silence. */
static void
leaves_while_watched(void)
{
	struct claimer claimer = { .kind = IVSHMEM_OWNER_BARE, .nonce = 2 };
	struct ivshmem_port first;
	pthread_t thread;

	format();
	CHECK_EQ(claim(&first, IVSHMEM_OWNER_LOCK, 1), 0);
	if (!CHECK(pthread_create(&thread, NULL, claim_thread, &claimer) == 0))
		return;
	sleep_ms(50);
	ivshmem_port_set_state(&first, IVSHMEM_PORT_RESET);
	pthread_join(thread, NULL);
	CHECK_EQ(claimer.ret, 0);
	CHECK_EQ(claimer.port.life, 2);
}

/* Two at the same moment: exactly one has the slot then, whatever the other believes. */
static void
race(uint64_t round)
{
	struct claimer claimers[2] = {
		{ .kind = IVSHMEM_OWNER_BARE, .nonce = round * 2 + 1 },
		{ .kind = IVSHMEM_OWNER_BARE, .nonce = round * 2 + 2 },
	};
	pthread_t threads[2];
	int owners = 0;

	format();
	for (int i = 0; i < 2; i++)
		if (!CHECK(pthread_create(&threads[i], NULL, claim_thread, &claimers[i]) == 0))
			return;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		CHECK(claimers[i].ret == 0 || claimers[i].ret == -EBUSY);
		owners += claimers[i].ret == 0 && ivshmem_port_beat(&claimers[i].port) == 0;
	}
	CHECK_EQ(owners, 1);
}

/* A configuration all of whose values follow from one number. */
static void
conf_fill(struct ivshmem_conf_shm *conf, uint32_t number)
{
	memset(conf, 0, sizeof(*conf));
	conf->feat = number;
	conf->max_frame = number;
	conf->rxq_cnt = 1 + number % 2;
	conf->txq_cnt = 1;
	conf->mac_cnt = 1 + number % IVSHMEM_ABI_MACS_MAX;
	conf->rss_key_len = number % (IVSHMEM_ABI_RSS_KEY_MAX + 1);
	conf->reta_cnt = number % (IVSHMEM_ABI_RETA_MAX + 1);
	for (uint32_t i = 0; i < IVSHMEM_ABI_MACS_MAX; i++)
		memset(conf->mac[i], number + i, 6);
	memset(conf->rss_key, number, sizeof(conf->rss_key));
	for (uint32_t i = 0; i < IVSHMEM_ABI_RETA_MAX; i++)
		conf->reta[i] = number + i;
	conf->tx_offloads = ~(uint64_t)number;
}

static bool
conf_is(const struct ivshmem_conf_shm *conf, uint32_t number)
{
	struct ivshmem_conf_shm want;

	conf_fill(&want, number);
	return memcmp(conf, &want, sizeof(want)) == 0;
}

/* A child that writes configurations until it is killed. */
static pid_t
writer(struct ivshmem_port *port)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	const pid_t child = fork();
	struct ivshmem_conf_shm conf;

	if (child != 0)
		return child;
	alarm(20);
	for (uint32_t number = 2;; number++) {
		conf_fill(&conf, number);
		ivshmem_port_set_conf(port, &conf);
		if (number % 4 == 0)
			nanosleep(&pause, NULL);
	}
}

static void
conf_never_torn(void)
{
	struct ivshmem_conf_shm conf;
	struct ivshmem_port port;
	struct ivshmem_peer peer;
	uint64_t end = now_ms() + 300;
	uint32_t taken = 0;
	pid_t child;

	format();
	CHECK_EQ(claim(&port, IVSHMEM_OWNER_SERVER, 1), 0);
	ivshmem_peer_init(&peer, 0);
	child = writer(&port);
	if (!CHECK(child > 0))
		return;
	/* at least so long, and until enough were seen; bounded */
	for (uint64_t last = end + 10000; now_ms() < end || (taken < 20 && now_ms() < last);) {
		if ((ivshmem_peer_look(&peer, base, &layout, now_ms()) & IVSHMEM_PEER_CONF) == 0)
			continue;
		taken++;
		if (!CHECK(conf_is(&peer.conf, peer.conf.max_frame)))
			break;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK(taken >= 20);

	/* the next owner starts over, also if the last one died in the middle */
	CHECK_EQ(claim(&port, IVSHMEM_OWNER_SERVER, 2), 0);
	conf_fill(&conf, 77);
	ivshmem_port_set_conf(&port, &conf);
	CHECK(ivshmem_peer_look(&peer, base, &layout, now_ms()) & IVSHMEM_PEER_CONF);
	CHECK(conf_is(&peer.conf, 77));
}

/* A writer that dies while the count is odd: the last good copy stays, until the next owner. */
static void
conf_dies_odd(void)
{
	struct ivshmem_conf_shm conf;
	struct ivshmem_port port;
	struct ivshmem_peer peer;

	format();
	CHECK_EQ(claim(&port, IVSHMEM_OWNER_SERVER, 1), 0);
	ivshmem_peer_init(&peer, 0);
	conf_fill(&conf, 5);
	ivshmem_port_set_conf(&port, &conf);
	CHECK(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF);
	ivshmem_store32(&section(0)->conf_seq, port.conf_seq + 1);
	section(0)->conf.feat++;	/* possible, but half-written */
	for (int i = 0; i < 10; i++)
		CHECK_EQ(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF, 0);
	CHECK(conf_is(&peer.conf, 5));
	CHECK_EQ(claim(&port, IVSHMEM_OWNER_SERVER, 2), 0);
	CHECK_EQ(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF, 0);
	conf_fill(&conf, 6);
	ivshmem_port_set_conf(&port, &conf);
	CHECK_EQ(ivshmem_load32(&section(0)->conf_seq) % 2, 0);
	CHECK(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF);
	CHECK(conf_is(&peer.conf, 6));
}

/* Counts that would bound a loop or an index are not taken over when they are impossible. */
static void
conf_impossible(void)
{
	struct ivshmem_port port;
	struct ivshmem_peer peer;

	format();
	CHECK_EQ(claim(&port, IVSHMEM_OWNER_SERVER, 1), 0);
	for (int i = 0; i < 9; i++) {
		struct ivshmem_conf_shm conf;

		ivshmem_peer_init(&peer, 0);
		conf_fill(&conf, 5);
		ivshmem_port_set_conf(&port, &conf);
		CHECK(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF);
		conf.rxq_cnt = i == 0 ? 0 : i == 1 ? layout.queue_cnt + 1 : conf.rxq_cnt;
		conf.txq_cnt = i == 2 ? 0 : i == 3 ? UINT16_MAX : conf.txq_cnt;
		conf.mac_cnt = i == 4 ? 0 : i == 5 ? IVSHMEM_ABI_MACS_MAX + 1 : conf.mac_cnt;
		conf.rss_key_len = i == 6 ? IVSHMEM_ABI_RSS_KEY_MAX + 1 : conf.rss_key_len;
		conf.reta_cnt = i == 7 ? IVSHMEM_ABI_RETA_MAX + 1 : conf.reta_cnt;
		ivshmem_port_set_conf(&port, &conf);
		CHECK_EQ(ivshmem_peer_look(&peer, base, &layout, 1000) & IVSHMEM_PEER_CONF,
			 i == 8 ? IVSHMEM_PEER_CONF : 0);
		CHECK(conf_is(&peer.conf, 5));
	}
}

int
main(void)
{
	base = mmap(NULL, TOTAL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(base != MAP_FAILED))
		return check_exit();
	format();
	out_of_range();
	free_slot();
	proven_dead(IVSHMEM_OWNER_SERVER);
	proven_dead(IVSHMEM_OWNER_LOCK);
	beating(IVSHMEM_OWNER_SERVER, IVSHMEM_OWNER_BARE);
	beating(IVSHMEM_OWNER_BARE, IVSHMEM_OWNER_SERVER);
	beating(IVSHMEM_OWNER_BARE, IVSHMEM_OWNER_BARE);
	beating(IVSHMEM_OWNER_LOCK, IVSHMEM_OWNER_SERVER);
	leaves_while_watched();
	for (uint64_t round = 0; round < 5; round++)
		race(round);
	conf_never_torn();
	conf_dies_odd();
	conf_impossible();
	silent();
	munmap(base, TOTAL);
	return check_exit();
}
