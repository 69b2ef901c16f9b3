/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of groups and keys, and the drop-ins beside them: which files there are, and their
 * lines.  What a key means is the caller's (config.c).
 */
#ifndef DM_REMAP_INI_H
#define DM_REMAP_INI_H

#include "util/util.h"

/* Where settings are. */
#define CONFIG_NAME "dm-remapd"
#define CONFIG_VENDOR_DIR "/usr/lib/dm-remap"
#define CONFIG_ADMIN_DIR "/etc/dm-remap"

/**
 * struct ini_line - one key as it stands in a file
 * @file: path
 * @number: of the line, from 1; 0: the file as a whole, and the rest is empty
 * @group: without its brackets
 * @key: trimmed
 * @value: trimmed, without a comment behind it
 */
struct ini_line {
	const char *file;
	unsigned int number;
	const char *group;
	const char *key;
	const char *value;
};

/* @mistake: what is wrong with the line; NULL: nothing, it is a key. */
typedef void (*ini_line_f)(void *userdata, const struct ini_line *line, const char *mistake);

/*
 * ADMIN/NAME.conf, or without one VENDOR/NAME.conf; then the drop-ins (*.conf) in NAME.conf.d of
 * both directories in the order of their names, where ADMIN's stands for VENDOR's of the same
 * name.  @f is called for each key and each mistake, in order.  Returns how many mistakes there
 * were that make the file unusable; a negative errno: a file cannot be read (reported as well).
 */
int ini_read(const char *vendor, const char *admin, const char *name, ini_line_f f, void *userdata);

#endif /* DM_REMAP_INI_H */
