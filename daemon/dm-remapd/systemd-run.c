// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "systemd-run.h"

int systemd_run_quote(const char **argv, char **room)
{
	size_t nr_bytes = 1;
	char *to;

	for (int i = 0; argv[i]; i++)
		nr_bytes += 2 * strlen(argv[i]) + 1;
	to = *room = malloc(nr_bytes);
	if (!to)
		return -ENOMEM;
	for (; *argv; argv++) {
		const char *from = *argv;

		*argv = to;
		for (; *from; from++) {
			if (*from == '$')
				*to++ = '$';
			*to++ = *from;
		}
		*to++ = '\0';
	}
	return 0;
}
