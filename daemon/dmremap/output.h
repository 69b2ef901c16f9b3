/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables for people through libsmartcols: the only file that includes it.  JSON: json.h.
 */
#ifndef DM_REMAP_OUTPUT_H
#define DM_REMAP_OUTPUT_H

#include "util/util.h"

/**
 * struct column - one column of a table
 * @name: heading
 * @number: right-aligned
 */
struct column {
	const char *name;
	bool number;
};

struct output;

/* @columns is ended by one without a name. */
int output_open(struct output **output, const struct column *columns);
void output_close_p(struct output **output);
int output_line(struct output *output);
/* Sets the next cell of the present line; NULL or "": nothing. */
int output_text(struct output *output, const char *text);
int output_number(struct output *output, uint64_t number);
/* Whether there is no line. */
bool output_is_empty(const struct output *output);
int output_print(struct output *output);

/*
 * What a user wants in a file that he names: as a whole or not at all.  Such a file takes the place
 * of the one before, so that a device or a link of that name is refused, /dev/stdout among them.
 */
int output_to_file(const char *path, const char *text, size_t nr_bytes, struct error *error);

#define _cleanup_output_ _cleanup_(output_close_p)

#endif /* DM_REMAP_OUTPUT_H */
