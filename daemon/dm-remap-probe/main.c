// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udev's prober (O14): is this device a member of a set?  Prints properties for udev's
 * database, or nothing.  Asked only about devices with a protective MBR.
 *
 * And which of a device's links are not named after its content (O5): of a main without guard
 * the others belong to the mapped device.
 */
#include <errno.h>
#include <string.h>

#include "set/scan.h"

static bool is_by_content(const char *link)
{
	static const char *const folders[] = {
		"disk/by-uuid/",
		"disk/by-label/",
		"disk/by-partuuid/",
		"disk/by-partlabel/",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		if (!strncmp(link, folders[i], strlen(folders[i])))
			return true;
	}
	return false;
}

/* @link: as udev names them, without /dev, spaces or quotes */
static void print_kept_links(char **link)
{
	unsigned int nr = 0;

	for (; *link; link++) {
		if (!is_by_content(*link))
			printf("DM_REMAP_LINK_%u=%s\n", ++nr, *link);
	}
}

int main(int argc, char **argv)
{
	char uuid[UUID_STRING_BYTES];
	struct member member;
	struct error error = { "" };
	int r;

	if (argc >= 2 && !strcmp(argv[1], "--keep-links")) {
		print_kept_links(argv + 2);
		return EXIT_SUCCESS;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: dm-remap-probe DEVICE | --keep-links LINK...\n");
		return 2;
	}
	r = member_probe(argv[1], &member, &error);
	if (r == -ENODATA)
		return EXIT_SUCCESS;
	if (r < 0) {
		fprintf(stderr, "dm-remap-probe: %s\n", error.text);
		return EXIT_FAILURE;
	}
	uuid_to_string(member.uuid, uuid);
	printf("DM_REMAP_ROLE=%s\n"
	       "DM_REMAP_UUID=%s\n"
	       "ID_FS_TYPE=dm_remap_member\n"
	       "ID_FS_USAGE=raid\n"
	       "ID_FS_UUID=%s\n"
	       "ID_FS_UUID_ENC=%s\n",
	       member_role_name(member.role), uuid, uuid, uuid);
	/* what a disk calls itself goes no further than this unless it is harmless */
	if (device_name_ok(member.label))
		printf("ID_FS_LABEL=%s\nID_FS_LABEL_ENC=%s\n", member.label, member.label);
	return EXIT_SUCCESS;
}
