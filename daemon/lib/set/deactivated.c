// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "set/deactivated.h"

#define DEACTIVATED_DIR "/run/dm-remap/let-go"

/* @uuid may come from udev's database or a mapped device: only a UUID is the name of a file. */
static bool note_path(const char *uuid, char *path, size_t nr_bytes)
{
	char text[UUID_STRING_BYTES];
	uint8_t number[16];

	*path = '\0';
	if (uuid_from_string(uuid, number) < 0)
		return false;
	uuid_to_string(number, text);
	snprintf(path, nr_bytes, DEACTIVATED_DIR "/%s", text);
	return true;
}

/* 0: not known.  A partition has that of its disk. */
static uint64_t disk_seq(dev_t devno)
{
	static const char *const places[] = { "diskseq", "../diskseq" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		_cleanup_free_ char *text = NULL;
		char path[64];
		size_t nr_bytes;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(devno), minor(devno),
			 places[i]);
		if (read_file(path, &text, &nr_bytes) == 0)
			return strtoull(text, NULL, 10);
	}
	return 0;
}

/* A line of a note: the device and when it came. */
static void describe(dev_t devno, char *line, size_t nr_bytes)
{
	snprintf(line, nr_bytes, "%u:%u %" PRIu64 "\n", major(devno), minor(devno),
		 disk_seq(devno));
}

/* The disks below the mapped device, a fallback's as well. */
static void describe_members(dev_t devno, FILE *to)
{
	_cleanup_closedir_ DIR *directory = NULL;
	char path[64];
	struct dirent *at;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(devno), minor(devno));
	directory = opendir(path);
	while (directory && (at = readdir(directory))) {
		_cleanup_free_ char *text = NULL;
		unsigned int major_number, minor_number;
		char number[512], line[64];
		size_t nr_bytes;

		snprintf(number, sizeof(number), "/sys/class/block/%s/dev", at->d_name);
		if (*at->d_name == '.' || read_file(number, &text, &nr_bytes) < 0 ||
		    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
			continue;
		describe(makedev(major_number, minor_number), line, sizeof(line));
		fputs(line, to);
	}
}

/* Whole or not at all: half a note would hold nothing back, and make the daemon rely on it. */
static int write_note(const char *uuid, const char *text, size_t nr_bytes)
{
	char path[128];
	int r = 0;

	if (!note_path(uuid, path, sizeof(path)))
		return 0; /* what has no UUID is activated by nobody */
	if (nr_bytes)
		r = write_file_atomic(path, text, nr_bytes, 0600);
	if (!nr_bytes || r < 0)
		unlink(path);
	return r;
}

int deactivated_note(const char *uuid, dev_t devno)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *stream;

	if (mkdir(DEACTIVATED_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	stream = open_memstream(&text, &nr_bytes);
	if (!stream)
		return -ENOMEM;
	describe_members(devno, stream);
	return fclose(stream) ? -ENOMEM : write_note(uuid, text, nr_bytes);
}

int deactivated_note_members(const char *uuid, dev_t main, dev_t spare)
{
	char lines[2][64], text[128];

	if (mkdir(DEACTIVATED_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	describe(main, lines[0], sizeof(lines[0]));
	describe(spare, lines[1], sizeof(lines[1]));
	snprintf(text, sizeof(text), "%s%s", lines[0], lines[1]);
	return write_note(uuid, text, strlen(text));
}

void deactivated_forget(const char *uuid)
{
	char path[128];

	if (note_path(uuid, path, sizeof(path)))
		unlink(path);
}

bool deactivated_noted(const char *uuid)
{
	char path[128];

	return note_path(uuid, path, sizeof(path)) && access(path, F_OK) == 0;
}

bool deactivated_holds(const char *uuid, dev_t main, dev_t spare)
{
	const dev_t members[] = { main, spare };
	_cleanup_free_ char *text = NULL;
	char path[128], line[64];
	size_t nr_bytes;

	if (!note_path(uuid, path, sizeof(path)) || read_file(path, &text, &nr_bytes) < 0)
		return false;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!disk_seq(members[i]))
			return false;
		describe(members[i], line, sizeof(line));
		/* whole lines: "8:1 5" is not in "18:1 5" */
		if (strncmp(text, line, strlen(line)) != 0) {
			char inner[66];

			snprintf(inner, sizeof(inner), "\n%s", line);
			if (!strstr(text, inner))
				return false;
		}
	}
	return true;
}

int deactivated_cannot(const char *name, int r, struct error *error)
{
	return error_set(error, -r,
			 "%s: %s cannot be written (%s): the set may be activated automatically; "
			 "if it is, type dmremap deactivate again when that is repaired",
			 name, DEACTIVATED_DIR, strerror(-r));
}
