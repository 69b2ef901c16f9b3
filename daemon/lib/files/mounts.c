// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/sysmacros.h>

#include "files/mounts.h"

static bool is_octal(const char *at)
{
	for (int i = 0; i < 3; i++)
		if (at[i] < '0' || at[i] > '7')
			return false;
	return true;
}

/* A word up to the next blank, with \040 and the like as the characters that they are. */
static const char *read_word(const char *at, char *word, size_t nr_bytes)
{
	size_t length = 0;

	while (*at && *at != ' ' && *at != '\n') {
		char c = *at++;

		if (c == '\\' && is_octal(at)) {
			c = (char)((at[0] - '0') * 64 + (at[1] - '0') * 8 + (at[2] - '0'));
			at += 3;
		}
		if (length + 1 < nr_bytes)
			word[length++] = c;
	}
	word[length] = '\0';
	return *at == ' ' ? at + 1 : at;
}

/* "36 35 98:0 /root /place rw,noatime shared:1 - ext4 /dev/sda1 rw" */
static bool parse_line(const char *line, struct mount *mount)
{
	unsigned int major_number, minor_number;
	char word[64];

	line = read_word(line, word, sizeof(word));
	line = read_word(line, word, sizeof(word));
	line = read_word(line, word, sizeof(word));
	if (sscanf(word, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	mount->devno = makedev(major_number, minor_number);
	line = read_word(line, mount->root, sizeof(mount->root));
	line = read_word(line, mount->place, sizeof(mount->place));
	do {
		if (!*line || *line == '\n')
			return false;
		line = read_word(line, word, sizeof(word));
	} while (!streq(word, "-"));
	read_word(line, mount->type, sizeof(mount->type));
	return true;
}

bool mounts_next(const char **at, struct mount *mount)
{
	bool is_one = false;

	while (!is_one && **at) {
		is_one = parse_line(*at, mount);
		*at += strcspn(*at, "\n");
		*at += **at == '\n';
	}
	return is_one;
}

int mounts_find(const char *text, dev_t devno, struct mount *mount)
{
	struct mount *one = malloc(sizeof(*one));
	bool is_found = false;

	if (!one)
		return -ENOMEM;
	while (mounts_next(&text, one)) {
		if (one->devno != devno || (is_found && strlen(one->root) >= strlen(mount->root)))
			continue;
		*mount = *one;
		is_found = true;
	}
	free(one);
	return is_found ? 0 : -ENOENT;
}
