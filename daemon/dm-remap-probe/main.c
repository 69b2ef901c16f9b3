// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * udev's prober (O14): is this device a member of a set?  Prints properties for udev's
 * database, or nothing.  Asked only about devices with a protective MBR, and not for a disk that
 * another process waits for already: udev would start one more at each event.
 *
 * Of a disk that another process waits for it says that it was not asked; the rules have --again
 * wait for that process's end, and then for udev to look at the disk anew.
 *
 * And which of a device's links are not named after its content (O5): of a main without guard
 * the others belong to the mapped device.
 */
#include <errno.h>
#include <string.h>

#include "set/asking.h"
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

/* As long as the command waits for an answer. */
#define ANSWER_MS 10000

static struct asking asking = { .fd = -1 };

static void go_on(void)
{
	asking_go_on(&asking);
}

/* As if the disk had come just now: what is on it was not known when it did. */
static int look_again(const char *path)
{
	dev_t devno = device_number(path);

	if (!devno)
		return EXIT_FAILURE;
	asking_wait(devno);
	return scan_tell_udev(devno, "add") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	char uuid[UUID_STRING_BYTES];
	struct member member;
	struct error error = { "" };
	int r;

	keep_standard_files();
	if (argc >= 2 && !strcmp(argv[1], "--keep-links")) {
		print_kept_links(argv + 2);
		return EXIT_SUCCESS;
	}
	if (argc == 3 && !strcmp(argv[1], "--again"))
		return look_again(argv[2]);
	if (argc != 2) {
		fprintf(stderr, "usage: dm-remap-probe [--again] DEVICE | --keep-links LINK...\n");
		return 2;
	}
	if (asking_begin(&asking, device_number(argv[1]), ANSWER_MS, NULL) < 0) {
		fprintf(stderr,
			"dm-remap-probe: %s: another process still waits for this device to "
			"answer\n",
			argv[1]);
		printf("DM_REMAP_UNPROBED=1\n");
		return EXIT_SUCCESS;
	}
	after_read = go_on;
	r = member_probe(argv[1], &member, &error);
	asking_end(&asking);
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
