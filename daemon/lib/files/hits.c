// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>

#include "files/hits.h"
#include "util/foreign.h"

static const char *const kind_names[] = {
	[HIT_FILE] = "file",	   [HIT_DIRECTORY] = "directory",
	[HIT_INODE] = "inode",	   [HIT_METADATA] = "metadata",
	[HIT_FREE] = "free",	   [HIT_SWAP] = "swap",
	[HIT_UNUSED] = "unused",   [HIT_NOT_MOUNTED] = "not-mounted",
	[HIT_UNKNOWN] = "unknown",
};

const char *hit_kind_name(enum hit_kind kind)
{
	return kind_names[kind];
}

void hits_done(struct hits *hits)
{
	for (size_t i = 0; i < hits->nr; i++)
		free(hits->at[i].path);
	free(hits->at);
	hits->at = NULL;
	hits->nr = hits->room = 0;
}

static bool has_offset(enum hit_kind kind)
{
	return kind == HIT_FILE || kind == HIT_INODE;
}

static bool goes_on(const struct hit *last, const struct hit *hit)
{
	if (last->sector + last->nr_sectors != hit->sector || last->kind != hit->kind ||
	    last->inode != hit->inode || !streq(last->what, hit->what) ||
	    !streq(last->device, hit->device) || !last->path != !hit->path ||
	    (hit->path && !streq(last->path, hit->path)))
		return false;
	return !has_offset(hit->kind) ||
	       (last->offset == HIT_OFFSET_UNKNOWN && hit->offset == HIT_OFFSET_UNKNOWN) ||
	       last->offset + last->nr_sectors * 512 == hit->offset;
}

int hits_add(struct hits *hits, const struct hit *hit)
{
	struct hit *last = hits->nr ? &hits->at[hits->nr - 1] : NULL;

	if (last && goes_on(last, hit)) {
		last->nr_sectors += hit->nr_sectors;
		return 0;
	}
	if (hits->nr == HITS_MAX) {
		hits->nr_dropped++;
		return 0;
	}
	if (hits->nr == hits->room) {
		size_t room = hits->room ? hits->room * 2 : 64;
		struct hit *bigger = reallocarray(hits->at, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		hits->at = bigger;
		hits->room = room;
	}
	last = &hits->at[hits->nr];
	*last = *hit;
	last->path = hit->path ? strdup(hit->path) : NULL;
	if (hit->path && !last->path)
		return -ENOMEM;
	hits->nr++;
	return 0;
}

int hits_add_runs(struct hits *hits, const struct runs *runs, const struct hit *like)
{
	int r = 0;

	for (size_t i = 0; !r && i < runs->nr; i++) {
		struct hit hit = *like;

		hit.sector = runs->at[i].of_set;
		hit.nr_sectors = runs->at[i].nr;
		r = hits_add(hits, &hit);
	}
	return r;
}

void hits_note(struct hits *hits, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (hits->nr_notes == HIT_NOTES_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	foreign_escape(text, sizeof(text), hits->notes[hits->nr_notes],
		       sizeof(hits->notes[hits->nr_notes]));
	for (size_t i = 0; i < hits->nr_notes; i++)
		if (streq(hits->notes[i], hits->notes[hits->nr_notes]))
			return;
	hits->nr_notes++;
}

static int compare(const void *a, const void *b)
{
	const struct hit *one = a, *other = b;

	if (one->sector != other->sector)
		return one->sector < other->sector ? -1 : 1;
	return one->path && other->path ? strcmp(one->path, other->path) : 0;
}

void hits_sort(struct hits *hits)
{
	if (hits->nr)
		qsort(hits->at, hits->nr, sizeof(*hits->at), compare);
}
