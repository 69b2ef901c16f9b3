// SPDX-License-Identifier: GPL-2.0-or-later
/* What all formats of bad-sector lists need: a number read, a place added, places joined. */
#include <ctype.h>
#include <errno.h>

#include "format/badlist.h"

#define SECTOR_BYTES 512

static int add_range(struct badlist *list, uint64_t first, uint64_t nr)
{
	/* room is the next power of two */
	if (!(list->nr_ranges & (list->nr_ranges - 1))) {
		size_t room = list->nr_ranges ? list->nr_ranges * 2 : 1;
		struct bad_range *bigger = reallocarray(list->range, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->range = bigger;
	}
	list->range[list->nr_ranges++] = (struct bad_range){ first, nr };
	return 0;
}

int badlist_add(struct badlist *list, uint64_t offset, uint64_t nr_bytes)
{
	uint64_t first = offset / SECTOR_BYTES, end;

	if (!nr_bytes)
		return 0;
	if (nr_bytes > UINT64_MAX - SECTOR_BYTES || offset > UINT64_MAX - SECTOR_BYTES - nr_bytes)
		return -ERANGE;
	end = (offset + nr_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
	return add_range(list, first, end - first);
}

bool badlist_take_number(const char **at, uint64_t *number)
{
	char *end;

	while (isblank((unsigned char)**at))
		(*at)++;
	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	*number = strtoull(*at, &end, strncasecmp(*at, "0x", 2) ? 10 : 16);
	if (errno)
		return false;
	*at = end;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct bad_range *x = a, *y = b;

	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

void badlist_join(struct badlist *list)
{
	size_t kept = 0;

	if (!list->nr_ranges)
		return;
	qsort(list->range, list->nr_ranges, sizeof(*list->range), compare);
	for (size_t i = 1; i < list->nr_ranges; i++) {
		struct bad_range *last = &list->range[kept], *next = &list->range[i];
		uint64_t end = last->sector + last->nr_sectors;

		list->nr_merged += next->sector < end;
		if (next->sector > end)
			list->range[++kept] = *next;
		else if (next->sector + next->nr_sectors > end)
			last->nr_sectors = next->sector + next->nr_sectors - last->sector;
	}
	list->nr_ranges = kept + 1;
	for (size_t i = 0; i < list->nr_ranges; i++)
		list->nr_sectors += list->range[i].nr_sectors;
}
