// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "badlist.h"

#define SECTOR_BYTES 512

/**
 * struct list - ranges while they are collected
 * @at: them
 * @nr: how many
 * @room: how many fit
 */
struct list {
	struct bad_range *at;
	size_t nr;
	size_t room;
};

/* A part of a sector is bad: all of it is. */
static int add(struct list *list, uint64_t offset, uint64_t nr_bytes)
{
	uint64_t first = offset / SECTOR_BYTES, end;

	if (!nr_bytes)
		return 0;
	if (nr_bytes > UINT64_MAX - SECTOR_BYTES || offset > UINT64_MAX - SECTOR_BYTES - nr_bytes)
		return -ERANGE;
	end = (offset + nr_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
	if (list->nr == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct bad_range *bigger = reallocarray(list->at, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->at = bigger;
		list->room = room;
	}
	list->at[list->nr++] = (struct bad_range){ first, end - first };
	return 0;
}

/* Decimal, or hexadecimal with 0x, as ddrescue writes. */
static bool take_number(const char **at, uint64_t *number)
{
	char *end;

	while (isblank((unsigned char)**at))
		(*at)++;
	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	*number = strtoull(*at, &end, strncasecmp(*at, "0x", 2) ? 10 : 16);
	if (errno || (*end && !isspace((unsigned char)*end)))
		return false;
	*at = end;
	return true;
}

static bool at_end(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return !*at || *at == '#';
}

static int take_badblocks(struct list *list, const char *line, uint32_t block_bytes)
{
	uint64_t block;

	if (!take_number(&line, &block) || !at_end(line))
		return -EINVAL;
	if (block > UINT64_MAX / block_bytes)
		return -ERANGE;
	return add(list, block * block_bytes, block_bytes);
}

/*
 * "POS SIZE STATUS": '-' is bad, '/' and '*' are not yet tried to the end, '?' not at all,
 * '+' was read.  The first line that is no comment is ddrescue's own position.
 */
static int take_ddrescue(struct list *list, const char *line, bool *position_seen)
{
	uint64_t offset, nr_bytes;

	if (!*position_seen) {
		*position_seen = true;
		return take_number(&line, &offset) ? 0 : -EINVAL;
	}
	if (!take_number(&line, &offset) || !take_number(&line, &nr_bytes))
		return -EINVAL;
	while (isblank((unsigned char)*line))
		line++;
	if (!*line || !strchr("?*/-+", *line) || !at_end(line + 1))
		return -EINVAL;
	return *line == '-' ? add(list, offset, nr_bytes) : 0;
}

static int compare(const void *a, const void *b)
{
	const struct bad_range *x = a, *y = b;

	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

static void join(struct list *list)
{
	size_t kept = 0;

	if (!list->nr)
		return;
	qsort(list->at, list->nr, sizeof(*list->at), compare);
	for (size_t i = 1; i < list->nr; i++) {
		struct bad_range *last = &list->at[kept], *next = &list->at[i];
		uint64_t end = last->sector + last->nr_sectors;

		if (next->sector > end)
			list->at[++kept] = *next;
		else if (next->sector + next->nr_sectors > end)
			last->nr_sectors = next->sector + next->nr_sectors - last->sector;
	}
	list->nr = kept + 1;
}

static enum badlist_format guess(const char *text)
{
	return strncmp(text, "# Mapfile", 9) && strncmp(text, "# Rescue Logfile", 16) ?
		       BADLIST_BADBLOCKS :
		       BADLIST_DDRESCUE;
}

int badlist_parse(const char *text, enum badlist_format format, uint32_t block_bytes,
		  struct bad_range **ranges, size_t *nr_ranges, struct error *error)
{
	struct list list = { NULL, 0, 0 };
	bool position_seen = false;
	unsigned int number = 0;
	int r = 0;

	if (format == BADLIST_GUESS)
		format = guess(text);
	while (!r && *text) {
		size_t length = strcspn(text, "\n");
		char line[128];

		number++;
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		text += length + (text[length] ? 1 : 0);
		if (at_end(line))
			continue;
		if (length >= sizeof(line))
			r = -EINVAL;
		else if (format == BADLIST_DDRESCUE)
			r = take_ddrescue(&list, line, &position_seen);
		else
			r = take_badblocks(&list, line, block_bytes);
		if (r < 0)
			error_set(error, -r, "line %u, \"%.60s\", is not of a list of %s", number,
				  line, format == BADLIST_DDRESCUE ? "ddrescue" : "badblocks");
	}
	if (r < 0) {
		free(list.at);
		return r;
	}
	join(&list);
	*ranges = list.at;
	*nr_ranges = list.nr;
	return 0;
}
