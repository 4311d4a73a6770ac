/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Parse device arguments out of one table; what is not in it, or not for this front, is refused
 * with the list of what is.
 */

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_kvargs.h>
#include <rte_string_fns.h>

#include "ivshmem_devargs.h"
#include "ivshmem_log.h"

enum ivshmem_arg_type {
	IVSHMEM_ARG_PATH,
	IVSHMEM_ARG_COUNT,	/* a decimal number, low..high */
	IVSHMEM_ARG_SIZE,	/* bytes, with K, M or G */
	IVSHMEM_ARG_MAC,
	IVSHMEM_ARG_FULL,	/* enum ivshmem_full */
};

struct ivshmem_arg {
	const char *key;
	enum ivshmem_arg_type type;
	uint32_t fronts;
	size_t offset;
	uint64_t low;
	uint64_t high;
};

#define IVSHMEM_ARG(field) offsetof(struct ivshmem_devargs, field)

/* 8< devargs */
static const struct ivshmem_arg ivshmem_args[] = {
	{ "socket", IVSHMEM_ARG_PATH, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(socket), 1, 107 },
	{ "path", IVSHMEM_ARG_PATH, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(path), 1, PATH_MAX - 1 },
	{ "port", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV | IVSHMEM_FRONT_PCI, IVSHMEM_ARG(port),
	  0, 1023 },
	{ "mac", IVSHMEM_ARG_MAC, IVSHMEM_FRONT_VDEV | IVSHMEM_FRONT_PCI, IVSHMEM_ARG(mac), 0, 0 },
	{ "full", IVSHMEM_ARG_FULL, IVSHMEM_FRONT_VDEV | IVSHMEM_FRONT_PCI, IVSHMEM_ARG(full),
	  0, 0 },
	{ "zero_copy", IVSHMEM_ARG_COUNT,
	  IVSHMEM_FRONT_VDEV | IVSHMEM_FRONT_PCI, IVSHMEM_ARG(zero_copy), 0, 1 },
	{ "tx_pool", IVSHMEM_ARG_COUNT,
	  IVSHMEM_FRONT_VDEV | IVSHMEM_FRONT_PCI, IVSHMEM_ARG(tx_pool), 0, 1000000 },
	{ "shm", IVSHMEM_ARG_PATH, IVSHMEM_FRONT_PCI, IVSHMEM_ARG(shm), 1, PATH_MAX - 1 },
	{ "create", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(create), 0, 1 },
	{ "size", IVSHMEM_ARG_SIZE, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(size), 1 << 20,
	  UINT64_C(1) << 40 },
	{ "ports", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(ports), 2, 1024 },
	{ "queues", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(queues), 1, 16 },
	{ "ring_size", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(ring_size), 32, 32768 },
	{ "buf_size", IVSHMEM_ARG_COUNT, IVSHMEM_FRONT_VDEV, IVSHMEM_ARG(buf_size), 256, 65472 },
};
/* >8 */

/* "socket=, path=, port=": the arguments that this front takes. */
static const char *
ivshmem_args_valid(enum ivshmem_front front, char *text, size_t len)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < RTE_DIM(ivshmem_args); i++)
		if ((ivshmem_args[i].fronts & front) != 0 && used < len)
			used += snprintf(text + used, len - used, "%s%s=", used == 0 ? "" : ", ",
					 ivshmem_args[i].key);
	return text;
}

static const struct ivshmem_arg *
ivshmem_arg_find(const char *key, enum ivshmem_front front)
{
	for (unsigned int i = 0; i < RTE_DIM(ivshmem_args); i++)
		if ((ivshmem_args[i].fronts & front) != 0 &&
		    strcmp(ivshmem_args[i].key, key) == 0)
			return &ivshmem_args[i];
	return NULL;
}

/* A number, with a unit if sizes are meant; false when it is none or out of range. */
static bool
ivshmem_arg_number(const struct ivshmem_arg *arg, const char *value, uint64_t *number)
{
	unsigned int shift = 0;
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return false;
	errno = 0;
	*number = strtoull(value, &end, 10);
	if (errno != 0)
		return false;
	if (arg->type == IVSHMEM_ARG_SIZE && end[0] != '\0') {
		const char *units = "KMG";
		const char *unit = strchr(units, end[0]);

		if (unit == NULL)
			return false;
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (end[0] != '\0' || *number > arg->high >> shift)
		return false;
	*number <<= shift;
	return *number >= arg->low;
}

static int
ivshmem_arg_store(const char *name, const struct ivshmem_arg *arg, const char *value,
		  struct ivshmem_devargs *conf)
{
	void *field = (uint8_t *)conf + arg->offset;
	uint64_t number;

	switch (arg->type) {
	case IVSHMEM_ARG_PATH:
		if (strlen(value) >= arg->low && strlen(value) <= arg->high) {
			strlcpy(field, value, PATH_MAX);
			return 0;
		}
		IVSHMEM_LOG(ERR, "%s: %s=%s has %zu bytes, allowed are %" PRIu64 "..%" PRIu64, name,
			    arg->key, value, strlen(value), arg->low, arg->high);
		return -EINVAL;
	case IVSHMEM_ARG_MAC:
		if (rte_ether_unformat_addr(value, field) == 0 &&
		    rte_is_valid_assigned_ether_addr(field))
			return 0;
		IVSHMEM_LOG(ERR, "%s: %s=%s is no unicast address such as 02:00:00:00:00:01", name,
			    arg->key, value);
		return -EINVAL;
	case IVSHMEM_ARG_FULL:
		*(uint32_t *)field = strcmp(value, "drop") == 0 ? IVSHMEM_FULL_DROP :
			strcmp(value, "wait") == 0 ? IVSHMEM_FULL_WAIT : IVSHMEM_FULL_DEFAULT;
		if (*(uint32_t *)field != IVSHMEM_FULL_DEFAULT)
			return 0;
		IVSHMEM_LOG(ERR, "%s: %s=%s is neither drop nor wait", name, arg->key, value);
		return -EINVAL;
	default:
		break;
	}
	if (!ivshmem_arg_number(arg, value, &number)) {
		IVSHMEM_LOG(ERR, "%s: %s=%s is no %s in %" PRIu64 "..%" PRIu64, name, arg->key,
			    value, arg->type == IVSHMEM_ARG_SIZE ? "size (64M, 1G)" : "number",
			    arg->low, arg->high);
		return -EINVAL;
	}
	if (arg->type == IVSHMEM_ARG_SIZE)
		*(uint64_t *)field = number;
	else
		*(uint32_t *)field = number;
	return 0;
}

/* Arguments that exclude or need each other. */
static int
ivshmem_devargs_check(const char *name, enum ivshmem_front front,
		      const struct ivshmem_devargs *conf)
{
	const char *wrong = NULL;

	if (conf->tx_pool != 0 && conf->zero_copy == 0)
		wrong = "tx_pool= needs zero_copy=1";
	else if (front == IVSHMEM_FRONT_PCI)
		return 0;
	else if (conf->socket[0] == '\0' && conf->path[0] == '\0')
		wrong = "give socket=PATH of a server, or path=FILE of a region";
	else if (conf->socket[0] != '\0' && conf->path[0] != '\0')
		wrong = "socket= and path= exclude each other";
	else if (conf->socket[0] != '\0' && conf->port != IVSHMEM_PORT_AUTO)
		wrong = "port= is the server's to choose with socket=";
	else if (conf->create == 0 && (conf->size != 0 || conf->ports != 0 || conf->queues != 0 ||
		 conf->ring_size != 0 || conf->buf_size != 0))
		wrong = "size=, ports=, queues=, ring_size= and buf_size= need create=1";
	else if (conf->create != 0 && conf->path[0] == '\0')
		wrong = "create=1 needs path=FILE: with socket= the server makes the region";
	else if (conf->create != 0 && conf->size == 0)
		wrong = "create=1 needs size=, for instance size=64M";
	if (wrong == NULL)
		return 0;
	IVSHMEM_LOG(ERR, "%s: %s", name, wrong);
	return -EINVAL;
}

int
ivshmem_devargs_parse(const char *name, const char *args, enum ivshmem_front front,
		      struct ivshmem_devargs *conf)
{
	uint64_t seen = 0;
	struct rte_kvargs *list;
	char valid[256];
	int ret = 0;

	memset(conf, 0, sizeof(*conf));
	conf->port = IVSHMEM_PORT_AUTO;
	list = rte_kvargs_parse(args == NULL ? "" : args, NULL);
	if (list == NULL) {
		IVSHMEM_LOG(ERR, "%s: arguments \"%s\" are no key=value list; valid: %s", name,
			    args, ivshmem_args_valid(front, valid, sizeof(valid)));
		return -EINVAL;
	}
	for (unsigned int i = 0; ret == 0 && i < list->count; i++) {
		const struct rte_kvargs_pair *pair = &list->pairs[i];
		const struct ivshmem_arg *arg = ivshmem_arg_find(pair->key, front);

		if (arg == NULL || pair->value == NULL ||
		    (seen & RTE_BIT64(arg - ivshmem_args)) != 0) {
			IVSHMEM_LOG(ERR, "%s: argument %s=%s %s; valid: %s", name, pair->key,
				    pair->value == NULL ? "" : pair->value,
				    arg == NULL ? "is not known" : pair->value == NULL ?
				    "has no value" : "is given twice",
				    ivshmem_args_valid(front, valid, sizeof(valid)));
			ret = -EINVAL;
			break;
		}
		seen |= RTE_BIT64(arg - ivshmem_args);
		ret = ivshmem_arg_store(name, arg, pair->value, conf);
	}
	rte_kvargs_free(list);
	if (ret == 0)
		ret = ivshmem_devargs_check(name, front, conf);
	return ret;
}
