// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udev's prober (O14): is this device a member of a set?  Prints properties for udev's
 * database, or nothing.  Asked only about devices with a protective MBR.
 */
#include <errno.h>

#include "set/scan.h"

int main(int argc, char **argv)
{
	char uuid[UUID_STRING_BYTES];
	struct member member;
	struct error error = { "" };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: dm-remap-probe DEVICE\n");
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
