/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files below the root of a struct doctor_world.  What a symbolic link with an absolute target
 * leads to is on this machine, so tests make none but those to /dev/null.
 */
#ifndef DM_REMAP_DOCTOR_FILES_H
#define DM_REMAP_DOCTOR_FILES_H

#include "doctor.h"

#define FULL_PATH_BYTES 4096

/* The path with the root before it. */
void path_below(const struct doctor_world *world, char path[FULL_PATH_BYTES], const char *format,
		...) _printf_(3, 4);
bool exists_below(const struct doctor_world *world, const char *format, ...) _printf_(2, 3);
bool is_program_below(const struct doctor_world *world, const char *path);
/* A link to /dev/null, or an empty file: as systemd and udev have something masked. */
bool is_masked_below(const struct doctor_world *world, const char *path);
/* The first line; empty: it cannot be read. */
void first_line_below(const struct doctor_world *world, char *text, size_t nr_bytes,
		      const char *format, ...) _printf_(4, 5);
/* All of it; the caller frees.  NULL: it cannot be read. */
char *read_below(const struct doctor_world *world, size_t *nr_bytes, const char *format, ...)
	_printf_(3, 4);
/* The last by name that fits a pattern of the shell, without the root; empty: none does. */
void last_match_below(const struct doctor_world *world, char *path, size_t nr_bytes,
		      const char *format, ...) _printf_(4, 5);

#endif /* DM_REMAP_DOCTOR_FILES_H */
