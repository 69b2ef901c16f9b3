// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk with a volatile write cache, see cache_model.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../next_random.h"
#include "cache_model.h"

struct version {
	struct version *older;
	const char *data;
};

/* Versions that are not in use; the program ends before they are given back. */
static struct version *spare_versions;

static struct version *new_version(void)
{
	struct version *version = spare_versions;
	int i;

	if (version) {
		spare_versions = version->older;
		return version;
	}
	version = calloc(4096, sizeof(*version));
	if (!version)
		abort();
	for (i = 1; i < 4096; i++) {
		version[i].older = spare_versions;
		spare_versions = &version[i];
	}
	return version;
}

static void drop_versions(struct version *version)
{
	while (version) {
		struct version *older = version->older;

		version->older = spare_versions;
		spare_versions = version;
		version = older;
	}
}

int cache_init(struct cache_model *disk, uint64_t sectors)
{
	*disk = (struct cache_model){ .sectors = sectors };
	disk->view = calloc(sectors, sizeof(disk->view[0]));
	disk->durable = calloc(sectors, sizeof(disk->durable[0]));
	disk->unflushed = calloc(sectors, sizeof(disk->unflushed[0]));
	disk->dirty = calloc(sectors, sizeof(disk->dirty[0]));
	disk->listed = calloc(sectors, sizeof(disk->listed[0]));
	disk->changed = calloc(CACHE_VIEW_CHANGES * sectors, sizeof(disk->changed[0]));
	if (!disk->view || !disk->durable || !disk->unflushed || !disk->dirty || !disk->listed ||
	    !disk->changed)
		return -ENOMEM;
	return 0;
}

void cache_done(struct cache_model *disk)
{
	free(disk->view);
	free(disk->durable);
	free(disk->unflushed);
	free(disk->dirty);
	free(disk->listed);
	free(disk->changed);
}

void cache_set_initial(struct cache_model *disk, uint64_t sector, const char *data)
{
	disk->durable[sector] = data;
	disk->view[sector] = data;
}

/* The dirty list may keep sectors that a FUA write made clean: they have no version. */
static void write_sector(struct cache_model *disk, uint64_t sector, const char *data, bool durable)
{
	struct version *version;

	if (durable) {
		drop_versions(disk->unflushed[sector]);
		disk->unflushed[sector] = NULL;
		cache_set_initial(disk, sector, data);
		return;
	}
	version = new_version();
	version->older = disk->unflushed[sector];
	version->data = data;
	if (!disk->listed[sector]) {
		disk->listed[sector] = true;
		disk->dirty[disk->nr_dirty++] = sector;
	}
	disk->unflushed[sector] = version;
}

void cache_write(struct cache_model *disk, uint64_t sector, uint64_t nr, const char *data,
		 bool durable)
{
	uint64_t i;

	for (i = 0; i < nr; i++)
		write_sector(disk, sector + i, data + i * 512, durable);
}

void cache_flush(struct cache_model *disk)
{
	uint64_t i;

	for (i = 0; i < disk->nr_dirty; i++) {
		uint64_t sector = disk->dirty[i];
		struct version *newest = disk->unflushed[sector];

		disk->listed[sector] = false;
		if (!newest)
			continue;
		cache_set_initial(disk, sector, newest->data);
		drop_versions(newest);
		disk->unflushed[sector] = NULL;
	}
	disk->nr_dirty = 0;
}

/* The disk has dropped what was not flushed: the sectors are what was durable. */
void cache_lose(struct cache_model *disk, uint64_t sector, uint64_t nr)
{
	uint64_t i;

	for (i = sector; i < sector + nr; i++) {
		drop_versions(disk->unflushed[i]);
		disk->unflushed[i] = NULL;
	}
}

void cache_view_sector(struct cache_model *disk, uint64_t sector, const char *data)
{
	if (disk->view[sector] == disk->durable[sector])
		disk->changed[disk->nr_changed++] = sector;
	disk->view[sector] = data;
}

void cache_view_random(struct cache_model *disk, unsigned int keep, uint64_t *random)
{
	uint64_t i;

	for (i = 0; i < disk->nr_dirty; i++) {
		struct version *version = disk->unflushed[disk->dirty[i]];

		if (!version)
			continue;
		if (keep < 256 && (next_random(random) & 255) >= keep)
			continue;
		/* The newest mostly; an older one may have been written back early. */
		while (keep < 256 && version->older && !(next_random(random) & 3))
			version = version->older;
		cache_view_sector(disk, disk->dirty[i], version->data);
	}
}

bool cache_view_is_torn(const struct cache_model *disk, uint64_t sector, uint64_t nr)
{
	bool is_new = false, is_old = false;
	uint64_t i;

	for (i = sector; i < sector + nr; i++) {
		if (!disk->unflushed[i])
			continue;
		if (disk->view[i] == disk->unflushed[i]->data)
			is_new = true;
		else
			is_old = true;
	}
	return is_new && is_old;
}

void cache_view_end(struct cache_model *disk)
{
	uint64_t i;

	for (i = 0; i < disk->nr_changed; i++)
		disk->view[disk->changed[i]] = disk->durable[disk->changed[i]];
	disk->nr_changed = 0;
}
