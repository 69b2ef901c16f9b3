// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>

#include "foreign.h"
#include "output.h"

#define COLUMNS_MAX 48

/**
 * struct output - a table being filled
 * @table: libsmartcols' table
 * @line: present line
 * @cell: index of the next cell
 * @position: libsmartcols' number of each column, -1: not shown
 */
struct output {
	struct libscols_table *table;
	struct libscols_line *line;
	unsigned int cell;
	int position[COLUMNS_MAX];
};

void output_close_p(struct output **output)
{
	if (!*output)
		return;
	scols_unref_table((*output)->table);
	free(*output);
}

int output_open(struct output **result, const char *name, const struct column *columns, bool json)
{
	_cleanup_output_ struct output *output = calloc(1, sizeof(*output));
	int nr = 0;

	if (!output)
		return -ENOMEM;
	scols_init_debug(0);
	output->table = scols_new_table();
	if (!output->table)
		return -ENOMEM;
	scols_table_set_name(output->table, name);
	scols_table_enable_json(output->table, json);
	for (unsigned int i = 0; columns[i].name && i < COLUMNS_MAX; i++) {
		struct libscols_column *column;

		output->position[i] = -1;
		if (columns[i].json_only && !json)
			continue;
		column = scols_table_new_column(output->table, columns[i].name, 0,
						columns[i].number ? SCOLS_FL_RIGHT : 0);
		if (!column)
			return -ENOMEM;
		scols_column_set_json_type(column, columns[i].number ? SCOLS_JSON_NUMBER :
								       SCOLS_JSON_STRING);
		output->position[i] = nr++;
	}
	*result = output;
	output = NULL;
	return 0;
}

int output_line(struct output *output)
{
	output->line = scols_table_new_line(output->table, NULL);
	output->cell = 0;
	return output->line ? 0 : -ENOMEM;
}

int output_text(struct output *output, const char *text)
{
	int at = output->position[output->cell++];
	_cleanup_free_ char *printable = NULL;
	size_t nr_bytes = text ? FOREIGN_TEXT_BYTES(strlen(text)) : 0;

	if (at < 0 || !text || !*text)
		return 0;
	printable = malloc(nr_bytes);
	if (!printable)
		return -ENOMEM;
	foreign_escape(text, strlen(text), printable, nr_bytes);
	return scols_line_set_data(output->line, (size_t)at, printable);
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

void output_json_string(const char *text)
{
	_cleanup_free_ char *printable = malloc(FOREIGN_TEXT_BYTES(strlen(text)));

	if (printable)
		foreign_escape(text, strlen(text), printable, FOREIGN_TEXT_BYTES(strlen(text)));
	putchar('"');
	for (const char *at = printable; at && *at; at++) {
		if (*at == '"' || *at == '\\')
			putchar('\\');
		putchar(*at);
	}
	putchar('"');
}
