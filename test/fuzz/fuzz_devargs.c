/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Device arguments: what is accepted is in its range, whatever the text; what is refused is logged.
 *
 * An input is a list of arguments, each a key and a value; most keys are known ones.
 */

#include <rte_kvargs.h>
#include <rte_log.h>

#include "fuzz.h"
#include "ivshmem_devargs.h"
#include "ivshmem_log.h"

#define TEXT_MAX 8192u

RTE_LOG_REGISTER_DEFAULT(ivshmem_logtype, DEBUG);

static const char *const words[] = {
	"socket=", "path=", "port=", "mac=", "full=", "zero_copy=", "shm=", "create=", "size=",
	"ports=", "queues=", "ring_size=", "buf_size=", ",", "=", "0", "1", "2", "32", "64M", "1G",
	"1T", "drop", "wait", "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "/dev/shm/r", "1023",
	"1024", "65472", "18446744073709551616", "K", "-1", "0x10", " ", "[", "]", "\"", "auto",
	"256", "16", "999999999999G",
};

static uint64_t logged;

static ssize_t
count_log(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	(void)text;
	logged += len;
	return len;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = count_log });

	(void)argc;
	(void)argv;
	FUZZ_CHECK(log != NULL, "no log");
	setvbuf(log, NULL, _IONBF, 0);
	rte_openlog_stream(log);
	return 0;
}

/* Known words, one byte each, but for bytes that stand for themselves, and runs of one byte. */
static void
make_text(struct fuzz_input *in, char *text)
{
	const uint32_t word_cnt = sizeof(words) / sizeof(words[0]);
	size_t len = 0;

	while (in->left > 0 && len + 4200 < TEXT_MAX) {
		const uint8_t byte = fuzz_u8(in);

		if (byte >= 128 && byte - 128u < word_cnt) {
			strcpy(text + len, words[byte - 128]);
			len += strlen(text + len);
		} else if (byte >= 250) {
			const size_t run = (size_t)fuzz_u8(in) << (byte - 250);

			memset(text + len, 'a', run < 4200 ? run : 4200);
			len += run < 4200 ? run : 4200;
		} else {
			text[len++] = byte;
		}
	}
	text[len] = '\0';
}

static bool
is_path(const char *path, size_t most)
{
	return memchr(path, '\0', PATH_MAX) != NULL && strlen(path) <= most;
}

static bool
is_in(uint64_t value, uint64_t unset, uint64_t low, uint64_t high)
{
	return value == unset || (value >= low && value <= high);
}

static void
check_accepted(const struct ivshmem_devargs *conf, enum ivshmem_front front)
{
	const bool vdev = front == IVSHMEM_FRONT_VDEV;

	FUZZ_CHECK(is_path(conf->socket, 107) && is_path(conf->path, PATH_MAX - 1) &&
		   is_path(conf->shm, PATH_MAX - 1), "a path is too long");
	FUZZ_CHECK(is_in(conf->port, IVSHMEM_PORT_AUTO, 0, 1023), "port=%u", conf->port);
	FUZZ_CHECK(conf->full <= IVSHMEM_FULL_WAIT, "full=%u", conf->full);
	FUZZ_CHECK(conf->zero_copy <= 1 && conf->create <= 1, "no flag");
	FUZZ_CHECK(is_in(conf->size, 0, 1 << 20, UINT64_C(1) << 40), "size=%" PRIu64, conf->size);
	FUZZ_CHECK(is_in(conf->ports, 0, 2, 1024) && is_in(conf->queues, 0, 1, 16) &&
		   is_in(conf->ring_size, 0, 32, 32768) && is_in(conf->buf_size, 0, 256, 65472),
		   "a count is out of range");
	FUZZ_CHECK(rte_is_zero_ether_addr(&conf->mac) ||
		   rte_is_valid_assigned_ether_addr(&conf->mac), "no unicast address");
	FUZZ_CHECK(vdev ? conf->shm[0] == '\0' : conf->socket[0] == '\0' && conf->path[0] == '\0',
		   "an argument of the other front");
	FUZZ_CHECK(!vdev || (conf->socket[0] == '\0') != (conf->path[0] == '\0'),
		   "neither or both of socket= and path=");
	FUZZ_CHECK(!vdev || conf->create == 0 || conf->size != 0, "create=1 without size=");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX];
	static struct ivshmem_devargs conf;
	struct fuzz_input in = fuzz_open(data, size);
	const uint8_t front = fuzz_u8(&in);
	const enum ivshmem_front fronts[] = { IVSHMEM_FRONT_VDEV, IVSHMEM_FRONT_PCI };
	const uint64_t before = logged;
	int ret;

	make_text(&in, text);
	memset(&conf, 0xa5, sizeof(conf));
	ret = ivshmem_devargs_parse("fuzz", front == 255 ? NULL : text, fronts[front % 2], &conf);
	if (ret == 0)
		check_accepted(&conf, fronts[front % 2]);
	else
		FUZZ_CHECK(ret == -EINVAL && logged > before, "%d, and nothing was logged", ret);
	return 0;
}
