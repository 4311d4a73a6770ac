/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * What the victim has open, mapped and allocated in EAL's heaps, where LeakSanitizer looks for
 * nothing: an attack must not add to it.
 */

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../pmd/command.h"
#include "../pmd/heap.h"
#include "victim.h"

/* Open files; that of the directory itself is always one of them. */
static void
usage_say_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t cnt = 0;

	if (dir == NULL)
		victim_die("the open files can not be counted");
	while (readdir(dir) != NULL)
		cnt++;
	closedir(dir);
	ivshmem_say("files=%" PRIu32, cnt - 2);		/* . and .. */
}

/* Mappings of the region, a guarded one is two of them, and of everything. */
static void
usage_say_maps(void)
{
	const char *path = strstr(victim_ports[0].args, "path=");
	FILE *file = fopen("/proc/self/maps", "r");
	uint32_t region = 0;
	uint32_t all = 0;
	char name[256];
	char line[512];

	if (file == NULL || path == NULL || sscanf(path, "path=%255[^,]", name) != 1)
		victim_die("the mappings can not be counted");
	while (fgets(line, sizeof(line), file) != NULL) {
		all++;
		region += strstr(line, name) != NULL;
	}
	fclose(file);
	ivshmem_say("region=%" PRIu32 " maps=%" PRIu32, region, all);
}

static void
usage_say_heaps(void)
{
	uint64_t blocks;
	uint64_t bytes;

	ivshmem_heap_count(&blocks, &bytes);
	ivshmem_say("blocks=%" PRIu64 " bytes=%" PRIu64, blocks, bytes);
}

int
victim_usage(int argc, char **argv)
{
	uint32_t up = 0;

	(void)argc;
	(void)argv;
	for (uint32_t i = 0; i < victim_port_cnt; i++)
		up += victim_ports[i].up;
	ivshmem_say("up=%" PRIu32, up);
	usage_say_files();
	usage_say_maps();
	usage_say_heaps();
	return 0;
}
