/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables and JSON through libsmartcols: the only file that includes it.
 */
#ifndef DM_REMAP_OUTPUT_H
#define DM_REMAP_OUTPUT_H

#include "util.h"

/**
 * struct column - one column of a table
 * @name: heading, and key in JSON
 * @number: right-aligned, a number in JSON
 * @json_only: not in the table for people
 */
struct column {
	const char *name;
	bool number;
	bool json_only;
};

struct output;

/* @columns is ended by one without a name. */
int output_open(struct output **output, const char *name, const struct column *columns, bool json);
void output_close_p(struct output **output);
int output_line(struct output *output);
/* Sets the next cell of the present line; NULL or "": nothing (null in JSON). */
int output_text(struct output *output, const char *text);
int output_number(struct output *output, uint64_t number);
/* Prints @text as a string of JSON, for lines that cannot wait for the end of a table. */
void output_json_string(const char *text);
int output_print(struct output *output);

#define _cleanup_output_ _cleanup_(output_close_p)

#endif /* DM_REMAP_OUTPUT_H */
