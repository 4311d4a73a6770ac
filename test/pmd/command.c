/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Lines in, answers out; see command.h.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static char ivshmem_said[8192];

void
ivshmem_say(const char *format, ...)
{
	size_t used = strlen(ivshmem_said);
	va_list args;

	if (used + 2 >= sizeof(ivshmem_said))
		return;
	ivshmem_said[used++] = ' ';
	va_start(args, format);
	vsnprintf(ivshmem_said + used, sizeof(ivshmem_said) - used, format, args);
	va_end(args);
}

uint64_t
ivshmem_number(const char *text)
{
	return strtoull(text, NULL, 0);
}

bool
ivshmem_command_run(const struct ivshmem_command *table, char *line)
{
	char *words[IVSHMEM_ARGS_MAX + 1];
	char *save = NULL;
	int ret = -ENOSYS;
	int cnt = 0;

	for (char *word = strtok_r(line, "\n ", &save); word != NULL && cnt < IVSHMEM_ARGS_MAX;
	     word = strtok_r(NULL, "\n ", &save)) {
		if (strcmp(word, "-") == 0)
			word[0] = '\0';
		words[cnt++] = word;
	}
	if (cnt == 0)
		return true;
	ivshmem_said[0] = '\0';
	for (; table->name != NULL; table++) {
		if (strcmp(table->name, words[0]) != 0)
			continue;
		ret = cnt - 1 < table->args_min ? -EINVAL : table->run(cnt - 1, words + 1);
		break;
	}
	fflush(stderr);
	putchar('\n');		/* what a library logged last may lack its end */
	if (ret == 0)
		printf("reply: ok%s\n", ivshmem_said);
	else
		printf("reply: error %d%s\n", -ret, ivshmem_said);
	fflush(stdout);
	return strcmp(words[0], "quit") != 0;
}
