// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>

#include "identity.h"
#include "mask.h"

#define RULES_DIRECTORY "/etc/udev/rules.d"

/* Before 66-dm-remap.rules, which does what the rule asks for. */
static void path_of(const uint8_t uuid[16], char *path, size_t nr_bytes)
{
	char text[UUID_STRING_BYTES];

	uuid_to_string(uuid, text);
	snprintf(path, nr_bytes, RULES_DIRECTORY "/65-dm-remap-%s.rules", text);
}

/*
 * The only place where text becomes a rule: a rule runs programs as root.  The keys are
 * identity.c's, the values plain; no label is in it.
 */
int mask_write(const uint8_t uuid[16], dev_t main, struct error *error)
{
	char path[PATH_MAX], match[600], text[1200], uuid_text[UUID_STRING_BYTES];
	int r;

	identity_udev_match_of_device(main, match, sizeof(match));
	if (!*match)
		return error_set(error, ENODATA, "main has no name by which udev would know it");
	path_of(uuid, path, sizeof(path));
	uuid_to_string(uuid, uuid_text);
	snprintf(
		text, sizeof(text),
		"# Main of the dm-remap set %s,\n"
		"# which has no guard: to be used through the mapped device only. Written by dmremap\n"
		"# create --no-guard, removed by dmremap release.\n"
		"SUBSYSTEM==\"block\", %s, ENV{DM_REMAP_MASKED}=\"1\"\n",
		uuid_text, match);
	r = write_file_atomic(path, text, strlen(text), 0644);
	return r < 0 ? error_set(error, -r, "%s: cannot write it: %s", path, strerror(-r)) : 0;
}

int mask_remove(const uint8_t uuid[16], struct error *error)
{
	char path[PATH_MAX];

	path_of(uuid, path, sizeof(path));
	if (access(path, F_OK) < 0) /* where nothing can be written unlink() would not say so */
		return 0;
	if (unlink(path) < 0)
		return error_set(error, errno,
				 "the set has ended, but %s, which hides its main device, cannot "
				 "be removed: %s",
				 path, strerror(errno));
	return 0;
}
