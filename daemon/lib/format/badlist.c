// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "format/badlist.h"

#define SECTOR_BYTES 512
#define AREA_TYPES "?*/-+"

static const char *const format_names[] = {
	[BADLIST_BADBLOCKS] = "badblocks", [BADLIST_DDRESCUE] = "ddrescue",
	[BADLIST_RANGES] = "ranges",	   [BADLIST_BYTES] = "bytes",
	[BADLIST_KERNEL] = "kernel",	   [BADLIST_SMARTCTL] = "smartctl",
	[BADLIST_MDADM] = "mdadm",
};
#define NR_FORMATS (sizeof(format_names) / sizeof(format_names[0]))

const char *badlist_format_name(enum badlist_format format)
{
	return format_names[format];
}

int badlist_format_of(const char *name, enum badlist_format *format)
{
	for (size_t i = 1; i < NR_FORMATS; i++)
		if (streq(name, format_names[i])) {
			*format = (enum badlist_format)i;
			return 0;
		}
	return -EINVAL;
}

static int add_blocks(struct badlist *list, uint64_t block, uint64_t nr, uint32_t block_bytes)
{
	if (block > UINT64_MAX / block_bytes || nr > UINT64_MAX / block_bytes)
		return -ERANGE;
	return badlist_add(list, block * block_bytes, nr * block_bytes);
}

/* A number that something else than a letter ends. */
static bool take_word(const char **at, uint64_t *number)
{
	return badlist_take_number(at, number) && (!**at || isspace((unsigned char)**at));
}

static bool at_end(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return !*at || *at == '#';
}

static int take_badblocks(struct badlist *list, const char *line)
{
	uint64_t block;

	if (!take_word(&line, &block) || !at_end(line))
		return -EINVAL;
	return add_blocks(list, block, 1, list->block_bytes);
}

/* "SECTOR", "SECTOR COUNT", "FIRST-LAST"; or the same of bytes. */
static int take_range(struct badlist *list, const char *line, uint32_t unit_bytes)
{
	uint64_t first, other, nr = 1;

	if (!badlist_take_number(&line, &first))
		return -EINVAL;
	while (isblank((unsigned char)*line))
		line++;
	if (*line == '-') {
		line++;
		if (!take_word(&line, &other) || other < first)
			return -EINVAL;
		nr = other - first + 1;
		if (!nr)
			return -ERANGE;
	} else if (!at_end(line) && (!take_word(&line, &nr) || !nr)) {
		return -EINVAL;
	}
	return at_end(line) ? add_blocks(list, first, nr, unit_bytes) : -EINVAL;
}

/* "    SECTOR for COUNT sectors"; other lines are titles. */
static int take_mdadm(struct badlist *list, const char *line)
{
	uint64_t first, nr;

	if (!badlist_take_number(&line, &first) || strncmp(line, " for ", 5) != 0)
		return 0;
	line += 5;
	if (!badlist_take_number(&line, &nr) || strncmp(line, " sectors", 8) != 0)
		return 0;
	return add_blocks(list, first, nr, SECTOR_BYTES);
}

/* ddrescue reads a leading 0 as octal, and never writes one. */
static bool is_octal(const char *at)
{
	while (isblank((unsigned char)*at))
		at++;
	return at[0] == '0' && isdigit((unsigned char)at[1]);
}

/* "POS STATUS [PASS]": ddrescue's own position. */
static bool is_position(const char *line)
{
	uint64_t number;

	if (is_octal(line) || !take_word(&line, &number))
		return false;
	while (isblank((unsigned char)*line))
		line++;
	if (!*line || !strchr(AREA_TYPES "FG", *line))
		return false;
	line++;
	return at_end(line) || (take_word(&line, &number) && at_end(line));
}

/**
 * struct map_state - a map while it is read
 * @position_seen: the line of ddrescue's own position, which comes first
 * @end: of the last area, in bytes
 */
struct map_state {
	bool position_seen;
	uint64_t end;
};

static uint64_t sectors_of(uint64_t nr_bytes)
{
	return nr_bytes / SECTOR_BYTES + (nr_bytes % SECTOR_BYTES != 0);
}

static int add_area(struct badlist *list, uint64_t offset, uint64_t nr_bytes, char type)
{
	if (strchr(list->areas ? list->areas : "-", type))
		return badlist_add(list, offset, nr_bytes);
	list->untried += type == '?' ? sectors_of(nr_bytes) : 0;
	list->untrimmed += type == '*' ? sectors_of(nr_bytes) : 0;
	list->unscraped += type == '/' ? sectors_of(nr_bytes) : 0;
	return 0;
}

/* "POS SIZE STATUS", in order; what no line names was not tried. */
static int take_ddrescue(struct badlist *list, const char *line, struct map_state *state)
{
	uint64_t offset, nr_bytes;
	int r = 0;

	if (!state->position_seen) {
		state->position_seen = true;
		return is_position(line) ? 0 : -EINVAL;
	}
	if (is_octal(line) || !take_word(&line, &offset) || is_octal(line) ||
	    !take_word(&line, &nr_bytes))
		return -EINVAL;
	while (isblank((unsigned char)*line))
		line++;
	if (!*line || !strchr(AREA_TYPES, *line) || !at_end(line + 1))
		return -EINVAL;
	if (nr_bytes > UINT64_MAX - SECTOR_BYTES || offset > UINT64_MAX - SECTOR_BYTES - nr_bytes)
		return -ERANGE;
	if (offset < state->end) /* as ddrescuelog */
		return -EEXIST;
	if (offset > state->end)
		r = add_area(list, state->end, offset - state->end, '?');
	state->end = offset + nr_bytes;
	list->end = state->end / SECTOR_BYTES;
	return r ? r : add_area(list, offset, nr_bytes, *line);
}

/* The next line, without its end; NULL: there is none.  The caller frees. */
static char *next_line(const char **text)
{
	size_t length = strcspn(*text, "\n");
	char *line;

	if (!**text)
		return NULL;
	line = strndup(*text, length);
	*text += length + ((*text)[length] ? 1 : 0);
	return line;
}

static bool is_json(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '{';
}

/* By the first line that tells. */
static enum badlist_format guess(const char *text)
{
	if (is_json(text))
		return BADLIST_SMARTCTL;
	for (;;) {
		_cleanup_free_ char *line = next_line(&text);
		const char *at = line;
		uint64_t number;

		if (!line)
			return BADLIST_BADBLOCKS;
		if (!strncmp(line, "# Mapfile", 9) || !strncmp(line, "# Rescue Logfile", 16))
			return BADLIST_DDRESCUE;
		if (badlist_is_smartctl(line))
			return BADLIST_SMARTCTL;
		if (badlist_is_kernel(line))
			return BADLIST_KERNEL;
		if (!strncmp(line, "Bad-blocks ", 11))
			return BADLIST_MDADM;
		if (at_end(line))
			continue;
		if (is_position(line))
			return BADLIST_DDRESCUE;
		if (!badlist_take_number(&at, &number))
			continue;
		return at_end(at)	   ? BADLIST_BADBLOCKS :
		       strstr(at, " for ") ? BADLIST_MDADM :
					     BADLIST_RANGES;
	}
}

/* -EINVAL: the line is not of this format. */
static int take_line(struct badlist *list, const char *line, struct map_state *state)
{
	int r;

	switch (list->format) {
	case BADLIST_KERNEL:
		r = badlist_take_kernel(list, line);
		return r < 0 ? r : 0;
	case BADLIST_SMARTCTL:
		r = badlist_take_smartctl(list, line);
		return r < 0 ? r : 0;
	case BADLIST_MDADM:
		return take_mdadm(list, line);
	case BADLIST_DDRESCUE:
		return at_end(line) ? 0 : take_ddrescue(list, line, state);
	case BADLIST_RANGES:
		return at_end(line) ? 0 : take_range(list, line, SECTOR_BYTES);
	case BADLIST_BYTES:
		return at_end(line) ? 0 : take_range(list, line, 1);
	default:
		return at_end(line) ? 0 : take_badblocks(list, line);
	}
}

static int refuse_line(const struct badlist *list, unsigned int number, const char *line, int r,
		       bool guessed, struct error *error)
{
	const char *name = badlist_format_name(list->format);

	if (r == -EEXIST)
		return error_set(error, EINVAL,
				 "line %u (\"%.60s\"): the area begins before the end of the "
				 "previous one",
				 number, line);
	if (r == -ERANGE)
		return error_set(error, EINVAL, "line %u (\"%.60s\"): the number is too large",
				 number, line);
	return error_set(
		error, -r,
		"line %u (\"%.60s\"): not a line of a %s list%s; set --format to one of " BADLIST_FORMATS,
		number, line, name, guessed ? ", the format that was detected" : "");
}

int badlist_parse(const char *text, struct badlist *list, struct error *error)
{
	bool guessed = list->format == BADLIST_GUESS;
	struct map_state state = { 0 };
	unsigned int number = 0;
	int r = 0;

	if (!strncmp(text, "\xef\xbb\xbf", 3)) /* a byte order mark */
		text += 3;
	if (guessed)
		list->format = guess(text);
	list->is_of_disk = list->format == BADLIST_KERNEL || list->format == BADLIST_SMARTCTL;
	if (list->format == BADLIST_SMARTCTL && is_json(text)) {
		r = badlist_take_json(list, text);
		text = "";
		if (r < 0)
			error_set(error, EINVAL, "it begins as JSON, and is none of smartctl");
	}
	while (!r) {
		_cleanup_free_ char *line = next_line(&text);

		if (!line)
			break;
		number++;
		r = take_line(list, line, &state);
		if (r < 0)
			refuse_line(list, number, line, r, guessed, error);
	}
	if (r < 0) {
		badlist_done(list);
		return r == -EEXIST || r == -EBADMSG || r == -ERANGE ? -EINVAL : r;
	}
	badlist_join(list);
	return 0;
}

void badlist_done(struct badlist *list)
{
	free(list->range);
	list->range = NULL;
	list->nr_ranges = 0;
}
