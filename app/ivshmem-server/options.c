/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Command line of ivshmem-server. Short options are those of QEMU's example server.
 *
 * Invariants:
 *  O1. An option exists in one place: its line in the table, which parsing and help both follow.
 *  O2. A number was in its option's range before anybody else sees it.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem_proto.h"

#include "log.h"
#include "options.h"

enum ivshmem_option_kind {
	IVSHMEM_OPTION_FLAG,	/* bool */
	IVSHMEM_OPTION_COUNT,	/* uint32_t, how often it was given */
	IVSHMEM_OPTION_TEXT,	/* const char * */
	IVSHMEM_OPTION_NUMBER,	/* uint32_t */
	IVSHMEM_OPTION_OCTAL,	/* uint32_t */
	IVSHMEM_OPTION_SIZE,	/* uint64_t with a suffix */
	IVSHMEM_OPTION_IDS,	/* struct ivshmem_id_list: numbers, commas between them */
};

/* Where an option has a meaning. */
#define IVSHMEM_WHERE_SERVE	(UINT32_C(1) << 0)
#define IVSHMEM_WHERE_FORMAT	(UINT32_C(1) << 1)
#define IVSHMEM_WHERE_BOTH	(IVSHMEM_WHERE_SERVE | IVSHMEM_WHERE_FORMAT)

struct ivshmem_option {
	int letter;		/* 0 = long form only */
	const char *name;
	const char *arg;	/* what it takes, for the help; NULL = nothing */
	enum ivshmem_option_kind kind;
	size_t off;		/* of its field in struct ivshmem_options */
	uint64_t min;
	uint64_t max;
	uint32_t where;
	const char *help;
};

#define IVSHMEM_FIELD(field) offsetof(struct ivshmem_options, field)

static const struct ivshmem_option options_table[] = {
	{ 'S', "socket", "PATH", IVSHMEM_OPTION_TEXT, IVSHMEM_FIELD(socket_path), 0, 0,
	  IVSHMEM_WHERE_SERVE, "listen there (default " IVSHMEM_DEFAULT_SOCKET ")" },
	{ 0, "socket-mode", "MODE", IVSHMEM_OPTION_OCTAL, IVSHMEM_FIELD(socket_mode), 0, 0777,
	  IVSHMEM_WHERE_SERVE, "permissions of the socket, octal (default 0660)" },
	{ 0, "allow-uid", "UID[,UID...]", IVSHMEM_OPTION_IDS, IVSHMEM_FIELD(uids), 0,
	  UINT32_MAX - 1, IVSHMEM_WHERE_SERVE,
	  "only these users, and groups of --allow-gid, may connect" },
	{ 0, "allow-gid", "GID[,GID...]", IVSHMEM_OPTION_IDS, IVSHMEM_FIELD(gids), 0,
	  UINT32_MAX - 1, IVSHMEM_WHERE_SERVE,
	  "only these groups, and users of --allow-uid, may connect" },
	{ 'M', "shm", "NAME", IVSHMEM_OPTION_TEXT, IVSHMEM_FIELD(shm_name), 0, 0,
	  IVSHMEM_WHERE_SERVE, "memory: POSIX shared memory object" },
	{ 'm', "mem-path", "PATH", IVSHMEM_OPTION_TEXT, IVSHMEM_FIELD(mem_path), 0, 0,
	  IVSHMEM_WHERE_SERVE, "memory: this file, or an unnamed file in this directory" },
	{ 0, "hugepages", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(hugepages), 0, 0,
	  IVSHMEM_WHERE_SERVE, "memory: sealed memfd of 2 MiB pages (default: of small pages)" },
	{ 0, "numa-node", "N", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(numa_node), 0, 1023,
	  IVSHMEM_WHERE_BOTH, "memory: of this NUMA node only (default: any)" },
	{ 'l', "size", "SIZE", IVSHMEM_OPTION_SIZE, IVSHMEM_FIELD(want.total_len),
	  IVSHMEM_ABI_REGION_MIN, IVSHMEM_ABI_REGION_MAX, IVSHMEM_WHERE_BOTH,
	  "bytes, suffix K, M, G or T, a power of two (default 64M)" },
	{ 0, "ports", "N", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(want.port_cnt),
	  IVSHMEM_ABI_PORTS_MIN, IVSHMEM_ABI_PORTS_MAX, IVSHMEM_WHERE_BOTH,
	  "ports of the region, the most clients at a time (default 2)" },
	{ 0, "queues", "N", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(want.queue_cnt),
	  1, IVSHMEM_ABI_QUEUES_MAX, IVSHMEM_WHERE_BOTH,
	  "Rx and Tx queues a port may have (default by size)" },
	{ 0, "ring-size", "N", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(want.ring_slots),
	  IVSHMEM_ABI_RING_MIN, IVSHMEM_ABI_RING_MAX, IVSHMEM_WHERE_BOTH,
	  "descriptors of the largest ring (default by size)" },
	{ 0, "buf-size", "BYTES", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(want.buf_len),
	  IVSHMEM_ABI_BUF_MIN, IVSHMEM_ABI_BUF_MAX, IVSHMEM_WHERE_BOTH,
	  "bytes of a buffer, a multiple of 64" },
	{ 0, "headroom", "BYTES", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(want.headroom),
	  IVSHMEM_ABI_HEADROOM_MIN, IVSHMEM_ABI_BUF_MAX, IVSHMEM_WHERE_BOTH,
	  "bytes kept free in front of a frame, a multiple of 64" },
	{ 'n', "vectors", "N", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(vectors),
	  1, IVSHMEM_PROTO_VECTORS_MAX, IVSHMEM_WHERE_SERVE,
	  "interrupt vectors of a port (default 1 + queues)" },
	{ 0, "announce-leave", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(announce_leave), 0, 0,
	  IVSHMEM_WHERE_SERVE, "for foreign clients: count ids up, tell who leaves" },
	{ 0, "client-timeout", "SECONDS", IVSHMEM_OPTION_NUMBER, IVSHMEM_FIELD(timeout),
	  1, 3600, IVSHMEM_WHERE_SERVE,
	  "drop a client that leaves its messages unread so long (default 10)" },
	{ 0, "takeover", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(takeover), 0, 0,
	  IVSHMEM_WHERE_SERVE, "replace the server that runs on the socket; clients stay" },
	{ 0, "fd-store", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(fd_store), 0, 0,
	  IVSHMEM_WHERE_SERVE, "survive restarts and crashes under systemd; clients stay" },
	{ 'u', "user", "NAME", IVSHMEM_OPTION_TEXT, IVSHMEM_FIELD(user), 0, 0,
	  IVSHMEM_WHERE_SERVE, "do everything as this user, without capabilities" },
	{ 'p', "pid-file", "PATH", IVSHMEM_OPTION_TEXT, IVSHMEM_FIELD(pid_file), 0, 0,
	  IVSHMEM_WHERE_SERVE, "write the process id there" },
	{ 'F', "foreground", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(foreground), 0, 0,
	  IVSHMEM_WHERE_SERVE, "stay in the foreground (it does anyway)" },
	{ 0, "daemonize", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(daemonize), 0, 0,
	  IVSHMEM_WHERE_SERVE, "go to the background when ready; log to syslog then" },
	{ 0, "force", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(force), 0, 0,
	  IVSHMEM_WHERE_BOTH, "replace a file or object that is in the way" },
	{ 0, "dry-run", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(dry_run), 0, 0,
	  IVSHMEM_WHERE_BOTH, "print the geometry, defaults filled in, and do nothing" },
	{ 0, "json", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(json), 0, 0,
	  IVSHMEM_WHERE_BOTH, "--dry-run, --version and format print JSON" },
	{ 'v', "verbose", NULL, IVSHMEM_OPTION_COUNT, IVSHMEM_FIELD(verbose), 0, 0,
	  IVSHMEM_WHERE_BOTH, "log more" },
	{ 0, "version", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(version), 0, 0,
	  IVSHMEM_WHERE_BOTH, "print the version and exit" },
	{ 'h', "help", NULL, IVSHMEM_OPTION_FLAG, IVSHMEM_FIELD(help), 0, 0,
	  IVSHMEM_WHERE_BOTH, "print this and exit" },
};

#define IVSHMEM_OPTION_CNT (sizeof(options_table) / sizeof(options_table[0]))

/* Digits of the base with an optional suffix; returns -EINVAL on anything else. */
static int
ivshmem_number_parse(const char *text, int base, bool suffixed, uint64_t *value)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	uint32_t shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, base);
	if (errno != 0)
		return -ERANGE;
	if (suffixed && *end != '\0') {
		suffix = strchr(suffixes, *end & ~0x20);
		if (suffix == NULL || *suffix == '\0')
			return -EINVAL;
		shift = (suffix - suffixes + 1) * 10;
		end++;
	}
	if (*end != '\0')
		return -EINVAL;
	if (*value > UINT64_MAX >> shift)
		return -ERANGE;
	*value <<= shift;
	return 0;
}

/* A number in the option's range, or -EINVAL after saying why it is none. */
static int
ivshmem_option_number(const struct ivshmem_option *option, const char *text, uint64_t *number)
{
	const bool octal = option->kind == IVSHMEM_OPTION_OCTAL;
	const bool size = option->kind == IVSHMEM_OPTION_SIZE;
	uint64_t value = 0;
	int ret;

	ret = ivshmem_number_parse(text, octal ? 8 : 10, size, &value);
	if (ret == -EINVAL) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s: '%s' is no %s", option->name, text,
			    octal ? "octal number" : size ?
			    "size: a number with a suffix K, M, G, T or none" : "decimal number");
		return -EINVAL;
	}
	if (ret != 0 || value < option->min || value > option->max) {
		ivshmem_log(IVSHMEM_LOG_ERROR, octal ?
			    "option --%s: %s is not in %" PRIo64 "..%" PRIo64 " (octal)" :
			    "option --%s: %s is not in %" PRIu64 "..%" PRIu64,
			    option->name, text, option->min, option->max);
		return -EINVAL;
	}
	*number = value;
	return 0;
}

/* Append "1,2,3"; the option may come again. */
static int
ivshmem_option_add_ids(const struct ivshmem_option *option, struct ivshmem_id_list *list,
		       const char *text)
{
	char word[16];
	uint64_t value;
	size_t len;

	do {
		len = strcspn(text, ",");
		if (len >= sizeof(word)) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s: '%s' is no list of decimal"
				    " numbers", option->name, text);
			return -EINVAL;
		}
		snprintf(word, sizeof(word), "%.*s", (int)len, text);
		if (ivshmem_option_number(option, word, &value) != 0)
			return -EINVAL;
		if (list->cnt == IVSHMEM_IDS_MAX) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s: %s is one more than the %u"
				    " possible", option->name, word, IVSHMEM_IDS_MAX);
			return -EINVAL;
		}
		list->id[list->cnt++] = value;
		text += len;
	} while (*text++ == ',');
	return 0;
}

static int
ivshmem_option_set(const struct ivshmem_option *option, struct ivshmem_options *options,
		   const char *text)
{
	void *field = (uint8_t *)options + option->off;
	uint64_t value;

	switch (option->kind) {
	case IVSHMEM_OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case IVSHMEM_OPTION_COUNT:
		(*(uint32_t *)field)++;
		return 0;
	case IVSHMEM_OPTION_TEXT:
		if (*text == '\0') {
			ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s: the value is empty, %s needed",
				    option->name, option->arg);
			return -EINVAL;
		}
		*(const char **)field = text;
		return 0;
	case IVSHMEM_OPTION_IDS:
		return ivshmem_option_add_ids(option, field, text);
	default:
		if (ivshmem_option_number(option, text, &value) != 0)
			return -EINVAL;
		if (option->kind == IVSHMEM_OPTION_SIZE)
			*(uint64_t *)field = value;
		else
			*(uint32_t *)field = value;
		return 0;
	}
}

/* The table as getopt_long() wants it: the long option's number is 256 + its line. */
static void
ivshmem_getopt_tables(char *letters, struct option *longs)
{
	*letters++ = ':';	/* a missing value is told apart from an unknown option */
	for (size_t i = 0; i < IVSHMEM_OPTION_CNT; i++) {
		longs[i] = (struct option){
			.name = options_table[i].name,
			.has_arg = options_table[i].arg != NULL ? required_argument : no_argument,
			.val = 256 + i,
		};
		if (options_table[i].letter == 0)
			continue;
		*letters++ = options_table[i].letter;
		if (options_table[i].arg != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[IVSHMEM_OPTION_CNT] = (struct option){ 0 };
}

/* The table's line for what getopt_long() returned, or NULL. */
static const struct ivshmem_option *
ivshmem_option_find(int value)
{
	if (value >= 256 && value < 256 + (int)IVSHMEM_OPTION_CNT)
		return &options_table[value - 256];
	for (size_t i = 0; i < IVSHMEM_OPTION_CNT; i++)
		if (options_table[i].letter != 0 && options_table[i].letter == value)
			return &options_table[i];
	return NULL;
}

/* getopt_long() was not content: say with what. */
static int
ivshmem_getopt_refuse(int value, const char *word)
{
	const struct ivshmem_option *option = ivshmem_option_find(optopt);

	if (option != NULL && value == ':')
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s needs a value: %s", option->name,
			    option->arg);
	else if (option != NULL)
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s takes no value: '%s'", option->name,
			    word);
	else if (optopt != 0)
		ivshmem_log(IVSHMEM_LOG_ERROR, "unknown option '-%c'; --help lists all", optopt);
	else
		ivshmem_log(IVSHMEM_LOG_ERROR, "unknown option '%s'; --help lists all", word);
	return -EINVAL;
}

/* The words that are no options: nothing, or format FILE. */
static int
ivshmem_options_command(char **words, int cnt, struct ivshmem_options *options)
{
	if (cnt == 0)
		return 0;
	if (strcmp(words[0], "format") != 0) {
		ivshmem_log(IVSHMEM_LOG_ERROR,
			    "unexpected argument '%s'; the only command is format FILE", words[0]);
		return -EINVAL;
	}
	if (cnt != 2 && !options->help && !options->version && !options->dry_run) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "format takes one FILE, %d were given", cnt - 1);
		return -EINVAL;
	}
	options->format = true;
	if (options->mem_path == NULL)
		options->mem_path = cnt > 1 ? words[1] : NULL;
	return 0;
}

/* Options about what comes before and after this server. */
static int
ivshmem_options_check_restart(const struct ivshmem_options *options)
{
	const char *restart = options->takeover ? "--takeover" : "--fd-store";
	const char *other = NULL;

	if (!options->takeover && !options->fd_store)
		return 0;
	if (options->takeover && options->fd_store)
		other = "--fd-store";
	else if (options->force)
		other = "--force";
	else if (options->announce_leave)
		other = "--announce-leave";
	else if (options->fd_store && options->daemonize)
		other = "--daemonize";
	if (other != NULL) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "options %s and %s exclude each other", restart,
			    other);
		return -EINVAL;
	}
	return 0;
}

/* Options that contradict each other, or the command. */
static int
ivshmem_options_check(const struct ivshmem_options *options, uint64_t given)
{
	const char *memory = options->shm_name != NULL ? "--shm" : "--mem-path";

	for (size_t i = 0; i < IVSHMEM_OPTION_CNT; i++)
		if (options->format && (given & (UINT64_C(1) << i)) != 0 &&
		    (options_table[i].where & IVSHMEM_WHERE_FORMAT) == 0) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "option --%s has no meaning with format",
				    options_table[i].name);
			return -EINVAL;
		}
	if (options->shm_name != NULL && options->mem_path != NULL) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "options --shm %s and --mem-path %s exclude each"
			    " other", options->shm_name, options->mem_path);
		return -EINVAL;
	}
	if (options->hugepages && (options->shm_name != NULL || options->mem_path != NULL)) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "options --hugepages and %s exclude each other; for"
			    " hugepages in a file give --mem-path a hugetlbfs directory", memory);
		return -EINVAL;
	}
	if (options->hugepages && options->want.total_len != 0 &&
	    options->want.total_len < (UINT64_C(2) << 20)) {
		ivshmem_log(IVSHMEM_LOG_ERROR, "option --size: %" PRIu64
			    " is less than a page of --hugepages, 2097152",
			    options->want.total_len);
		return -EINVAL;
	}
	if (options->foreground && options->daemonize) {
		ivshmem_log(IVSHMEM_LOG_ERROR,
			    "options --foreground and --daemonize exclude each other");
		return -EINVAL;
	}
	return ivshmem_options_check_restart(options);
}

int
ivshmem_options_parse(int argc, char **argv, struct ivshmem_options *options)
{
	char letters[2 * IVSHMEM_OPTION_CNT + 2];
	struct option longs[IVSHMEM_OPTION_CNT + 1];
	const struct ivshmem_option *option;
	uint64_t given = 0;
	int value;

	*options = (struct ivshmem_options){
		.socket_path = IVSHMEM_DEFAULT_SOCKET,
		.socket_mode = IVSHMEM_DEFAULT_SOCKET_MODE,
		.timeout = IVSHMEM_DEFAULT_TIMEOUT,
		.numa_node = IVSHMEM_NUMA_ANY,
	};
	ivshmem_getopt_tables(letters, longs);
	opterr = 0;
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		option = value == '?' || value == ':' ? NULL : ivshmem_option_find(value);
		if (option == NULL)
			return ivshmem_getopt_refuse(value, argv[optind - 1]);
		if (ivshmem_option_set(option, options, optarg) != 0)
			return -EINVAL;
		given |= UINT64_C(1) << (option - options_table);
	}
	if (ivshmem_options_command(argv + optind, argc - optind, options) != 0)
		return -EINVAL;
	return ivshmem_options_check(options, given);
}

void
ivshmem_options_help(void)
{
	const struct ivshmem_option *option;
	char left[64];

	printf("usage: ivshmem-server [OPTION...]\n"
	       "       ivshmem-server format [OPTION...] FILE\n\n"
	       "Gives QEMU's ivshmem-doorbell devices and other clients one shared memory region,\n"
	       "formatted for net_ivshmem, and the doorbells of each other. The second form only\n"
	       "prepares a file for ivshmem-plain.\n\n");
	for (size_t i = 0; i < IVSHMEM_OPTION_CNT; i++) {
		option = &options_table[i];
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s",
			 option->letter != 0 ? '-' : ' ',
			 option->letter != 0 ? option->letter : ' ',
			 option->letter != 0 ? ',' : ' ', option->name,
			 option->arg != NULL ? " " : "", option->arg != NULL ? option->arg : "");
		printf("  %-28s %s\n", left, option->help);
	}
	printf("\nExit status: 0 after SIGTERM or SIGINT, 1 when something failed, 2 for a wrong"
	       " option.\n");
}

void
ivshmem_options_blame(const struct ivshmem_fault *fault)
{
	static const struct {
		const char *start;
		const char *option;
	} blames[] = {
		{ "ports ", "--ports" },
		{ "queues ", "--queues" },
		{ "ring size ", "--ring-size" },
		{ "buffer size ", "--buf-size" },
		{ "headroom ", "--headroom" },
		{ "NUMA node ", "--numa-node" },
	};
	const char *option = "--size";

	for (size_t i = 0; i < sizeof(blames) / sizeof(blames[0]); i++)
		if (strncmp(fault->text, blames[i].start, strlen(blames[i].start)) == 0)
			option = blames[i].option;
	ivshmem_log(IVSHMEM_LOG_ERROR, "option %s: %s", option, fault->text);
}

uint32_t
ivshmem_options_vectors(const struct ivshmem_options *options, const struct ivshmem_layout *layout)
{
	if (options->format)
		return 0;
	return options->vectors != 0 ? options->vectors : 1 + layout->queue_cnt;
}
