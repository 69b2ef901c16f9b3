// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <sys/stat.h>

#include "output.h"
#include "util/foreign.h"

/* Lines that are laid out together; a longer table is printed in parts, each in its turn. */
#define MOST_LINES 10000

/**
 * struct output - a table being filled
 * @table: libsmartcols' table: what is not printed yet
 * @line: present line
 * @cell: index of the next cell
 */
struct output {
	struct libscols_table *table;
	struct libscols_line *line;
	unsigned int cell;
};

void output_close_p(struct output **output)
{
	if (!*output)
		return;
	scols_unref_table((*output)->table);
	free(*output);
}

int output_open(struct output **result, const struct column *columns)
{
	_cleanup_output_ struct output *output = calloc(1, sizeof(*output));

	if (!output)
		return -ENOMEM;
	scols_init_debug(0);
	output->table = scols_new_table();
	if (!output->table)
		return -ENOMEM;
	for (unsigned int i = 0; columns[i].name; i++) {
		struct libscols_column *column = scols_table_new_column(
			output->table, columns[i].name, 0, columns[i].number ? SCOLS_FL_RIGHT : 0);

		/* output_text() has escaped what is in a cell */
		if (!column || scols_column_set_safechars(column, "\\") < 0)
			return -ENOMEM;
	}
	*result = output;
	output = NULL;
	return 0;
}

/* What there is so far: a million lines take 700 MiB. */
static int print_part(struct output *output)
{
	int r = scols_print_table(output->table);

	if (r < 0)
		return r;
	scols_table_remove_lines(output->table);
	return scols_table_enable_noheadings(output->table, 1);
}

int output_line(struct output *output)
{
	if (scols_table_get_nlines(output->table) == MOST_LINES) {
		int r = print_part(output);

		if (r < 0)
			return r;
	}
	output->line = scols_table_new_line(output->table, NULL);
	output->cell = 0;
	return output->line ? 0 : -ENOMEM;
}

int output_text(struct output *output, const char *text)
{
	unsigned int at = output->cell++;
	_cleanup_free_ char *printable = NULL;
	size_t nr_bytes = text ? FOREIGN_TEXT_BYTES(strlen(text)) : 0;

	if (!text || !*text)
		return 0;
	printable = malloc(nr_bytes);
	if (!printable)
		return -ENOMEM;
	foreign_escape(text, strlen(text), printable, nr_bytes);
	return scols_line_set_data(output->line, at, printable);
}

int output_number(struct output *output, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return output_text(output, text);
}

int output_print(struct output *output)
{
	return scols_print_table(output->table);
}

bool output_is_empty(const struct output *output)
{
	return scols_table_get_nlines(output->table) == 0;
}

int output_to_file(const char *path, const char *text, size_t nr_bytes, struct error *error)
{
	struct stat st;
	int r;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(error, EINVAL,
				 "%s is not a regular file; nothing was written. Give the name of "
				 "one, or of a new one",
				 path);
	r = write_file_atomic(path, text, nr_bytes, 0644);
	return r < 0 ? error_set(error, -r, "%s: cannot write it: %s", path, strerror(-r)) : 0;
}
