/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The border for foreign bytes: what a disk, a backup file, udev or the kernel calls itself is
 * data, whatever is in it.  Nothing else decides what may be shown, written or compared:
 *
 *   where it enters	foreign_text() makes printable text of a label or an identity: valid UTF-8
 *			without control characters.  scan.c, guard.c and the verbs keep only that;
 *			struct remap_super keeps the bytes, because they are written back
 *   where it leaves	for people, the journal and JSON: printable text, which error_set(),
 *			output.c and foreign_escape() guarantee once more;
 *			for a rule of udev: foreign_is_plain(), or no rule is written;
 *			for a path: a UUID that uuid_from_string() took, printed anew;
 *			for the name of a mapped device, which units and links in /dev are made
 *			of: device_name_ok() (util.h)
 *
 * Pure.  Callers: all of daemon/.
 */
#ifndef DM_REMAP_FOREIGN_H
#define DM_REMAP_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "remap_format.h"

/* Room for @n bytes when each of them must be escaped. */
#define FOREIGN_TEXT_BYTES(n) (4 * (n) + 1)

/**
 * struct foreign_text - foreign bytes as printable text
 * @text: valid UTF-8; what is none, and control characters, is \xNN
 */
struct foreign_text {
	char text[FOREIGN_TEXT_BYTES(REMAP_IDENTITY_BYTES)];
};

/* At most @nr_bytes, up to the first NUL: a field need not have one. */
struct foreign_text foreign_text(const void *bytes, size_t nr_bytes);
/* The same of a string, for one call of printf(). */
#define FOREIGN(string) (foreign_text((string), strlen(string)).text)

/*
 * The same for text of any length; cut where @to is full, never inside a character.  What is
 * printable already stays as it is.  Controls are those of ASCII, DEL, the C1 set (also as
 * bytes 0x80 to 0x9f), and characters that turn the direction of what follows.
 */
void foreign_escape(const void *bytes, size_t nr_bytes, char *to, size_t nr_to);

/* Only [A-Za-z0-9_.:-], and at least one: what may stand between quotes in a rule of udev. */
bool foreign_is_plain(const char *text);

/* Of a terminal, or one that turns the direction or ends a line; of those none is printed. */
bool foreign_is_control(uint32_t character);

#endif /* DM_REMAP_FOREIGN_H */
