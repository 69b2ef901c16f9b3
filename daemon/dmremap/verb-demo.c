// SPDX-License-Identifier: GPL-2.0-or-later
/* demo: runs the script of the demonstration, which calls this program. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "verbs.h"

#define DEMO "/usr/lib/dm-remap/demo"

int verb_demo(struct invocation *invocation, struct error *error)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return error_set(error, errno, "/proc is not mounted");
	self[n] = '\0';
	execl(DEMO, DEMO, self, (char *)NULL);
	return error_set(error, errno, "%s cannot be run: %s", DEMO, strerror(errno));
}
