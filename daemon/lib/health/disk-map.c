// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "health/disk-map.h"
#include "remap_format.h"

#define MAIN_LINES 12
#define SPARE_LINES 3

static int init_strip(struct disk_map_strip *strip, uint64_t nr_units, uint32_t unit_bytes,
		      unsigned int nr_cells)
{
	strip->nr_units = nr_units;
	strip->unit_bytes = unit_bytes;
	strip->nr_cells = nr_units < nr_cells ? (unsigned int)nr_units : nr_cells;
	strip->cell = calloc(strip->nr_cells + 1, sizeof(*strip->cell));
	return strip->cell ? 0 : -ENOMEM;
}

int disk_map_init(struct disk_map *map, uint64_t nr_sectors, uint64_t nr_slots,
		  unsigned int columns)
{
	uint64_t nr_chunks = (nr_sectors + REMAP_CHUNK_SECTORS - 1) / REMAP_CHUNK_SECTORS;
	unsigned int nr_cells = columns * MAIN_LINES;
	int r;

	*map = (struct disk_map){ .columns = columns };
	/* a cell is a chunk or more: less is never remapped */
	r = init_strip(&map->main, nr_sectors, REMAP_SECTOR_BYTES,
		       nr_chunks < nr_cells ? (unsigned int)nr_chunks : nr_cells);
	return r ? r : init_strip(&map->spare, nr_slots, REMAP_CHUNK_BYTES, columns * SPARE_LINES);
}

void disk_map_done(struct disk_map *map)
{
	free(map->main.cell);
	free(map->spare.cell);
	*map = (struct disk_map){ .columns = 0 };
}

static unsigned int cell_of(const struct disk_map_strip *strip, uint64_t unit)
{
	return (unsigned int)((__uint128_t)unit * strip->nr_cells / strip->nr_units);
}

uint64_t disk_map_first(const struct disk_map_strip *strip, unsigned int cell)
{
	return (uint64_t)(((__uint128_t)cell * strip->nr_units + strip->nr_cells - 1) /
			  strip->nr_cells);
}

static void add_sector(struct disk_map *map, const struct remap_slot *slot, uint64_t sector,
		       uint32_t bit)
{
	bool is_own = slot->cause == REMAP_CAUSE_GUARD || slot->cause == REMAP_CAUSE_PROBE;
	struct disk_map_cell one = {
		.worst = !!(slot->lost & bit),
		.own = is_own && !(slot->lost & bit),
		.used = !is_own && !(slot->lost & bit),
	};
	struct disk_map_cell *cell;

	if (!((slot->redirected | slot->lost) & bit) || sector >= map->main.nr_units)
		return;
	cell = &map->main.cell[cell_of(&map->main, sector)];
	for (int i = 0; i < 2; i++, cell = &map->main.total) {
		cell->worst += one.worst;
		cell->own += one.own;
		cell->used += one.used;
	}
}

void disk_map_add(struct disk_map *map, const struct remap_slot *slot)
{
	bool is_used = slot->state == REMAP_ENTRY_USED;
	struct disk_map_cell *cell;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS && is_used; i++)
		add_sector(map, slot, slot->chunk * REMAP_CHUNK_SECTORS + i, 1U << i);
	if (slot->slot >= map->spare.nr_units)
		return;
	cell = &map->spare.cell[cell_of(&map->spare, slot->slot)];
	cell->used += is_used;
	cell->worst += !is_used;
	map->spare.total.used += is_used;
	map->spare.total.worst += !is_used;
}

static uint64_t sectors_of(const struct disk_map_strip *strip)
{
	return strip->unit_bytes / REMAP_SECTOR_BYTES;
}

static void add_scrub(struct disk_map_cell *cell, uint64_t nr, bool is_suspicious)
{
	*(is_suspicious ? &cell->suspicious : &cell->scrubbed) += nr;
}

void disk_map_add_scrub(struct disk_map *map, bool is_spare, uint64_t sector, uint64_t nr,
			bool is_suspicious)
{
	struct disk_map_strip *strip = is_spare ? &map->spare : &map->main;
	uint64_t unit = sectors_of(strip), end = sector + nr;

	if (end > strip->nr_units * unit)
		end = strip->nr_units * unit;
	while (sector < end) {
		unsigned int at = cell_of(strip, sector / unit);
		uint64_t cell_end = disk_map_first(strip, at + 1) * unit;
		uint64_t until = end < cell_end ? end : cell_end;

		add_scrub(&strip->cell[at], until - sector, is_suspicious);
		add_scrub(&strip->total, until - sector, is_suspicious);
		sector = until;
	}
}

/* Remaps are rare: the steps are a 64th, an eighth and a half of the cell. */
enum disk_map_mark disk_map_mark(const struct disk_map_strip *strip, unsigned int cell,
				 unsigned int *density)
{
	uint64_t nr = disk_map_first(strip, cell + 1) - disk_map_first(strip, cell);
	const struct disk_map_cell *at = &strip->cell[cell];

	*density = (at->used * 64 > nr) + (at->used * 8 > nr) + (at->used * 2 > nr);
	if (at->worst)
		return MARK_WORST;
	if (at->suspicious)
		return MARK_SUSPICIOUS;
	if (at->used)
		return MARK_USED;
	if (at->own)
		return MARK_OWN;
	return at->scrubbed && at->scrubbed >= nr * sectors_of(strip) ? MARK_SCRUBBED : MARK_NONE;
}

/**
 * struct signs - the characters of a map
 * @none: nothing
 * @scrubbed: see MARK_SCRUBBED
 * @own: see MARK_OWN
 * @used: by density
 * @suspicious: see MARK_SUSPICIOUS
 * @worst: see MARK_WORST
 * @edge: left of each line
 */
static const struct signs {
	const char *none;
	const char *scrubbed;
	const char *own;
	const char *used[DISK_MAP_DENSITIES];
	const char *suspicious;
	const char *worst;
	const char *edge;
} ascii = { ".", ":", "o", { "-", "+", "*", "#" }, "?", "X", "|" },
  unicode = { "·", ":", "○", { "░", "▒", "▓", "█" }, "?", "╳", "│" };

static void print_strip(FILE *to, const struct disk_map_strip *strip, unsigned int columns,
			const struct signs *signs)
{
	unsigned int density;
	char size[16];

	for (unsigned int i = 0; i < strip->nr_cells; i++) {
		if (i % columns == 0) {
			format_size(disk_map_first(strip, i) * strip->unit_bytes, size,
				    sizeof(size));
			fprintf(to, "%s%9s %s", i ? "\n" : "", size, signs->edge);
		}
		switch (disk_map_mark(strip, i, &density)) {
		case MARK_NONE:
			fputs(signs->none, to);
			break;
		case MARK_SCRUBBED:
			fputs(signs->scrubbed, to);
			break;
		case MARK_OWN:
			fputs(signs->own, to);
			break;
		case MARK_USED:
			fputs(signs->used[density], to);
			break;
		case MARK_SUSPICIOUS:
			fputs(signs->suspicious, to);
			break;
		case MARK_WORST:
			fputs(signs->worst, to);
			break;
		}
	}
	fputc('\n', to);
}

static void print_suspicious(FILE *to, const struct disk_map_strip *strip)
{
	uint64_t nr = strip->total.suspicious;

	if (nr)
		fprintf(to, ", %" PRIu64 " suspicious sector%s", nr, plural(nr));
}

static void print_cell_size(FILE *to, const struct disk_map_strip *strip)
{
	char size[16];

	format_size(strip->nr_cells ? strip->nr_units * strip->unit_bytes / strip->nr_cells : 0,
		    size, sizeof(size));
	fprintf(to, "; each mark is %s\n", size);
}

void disk_map_text(FILE *to, const char *name, const struct disk_map *map, bool is_unicode)
{
	const struct signs *signs = is_unicode ? &unicode : &ascii;
	const struct disk_map_cell *main = &map->main.total, *spare = &map->spare.total;
	char size[16];

	format_size(map->main.nr_units * map->main.unit_bytes, size, sizeof(size));
	fprintf(to, "%s: %s, %" PRIu64 " sector%s remapped, %" PRIu64 " lost", name, size,
		main->used, plural(main->used), main->worst);
	print_suspicious(to, &map->main);
	print_cell_size(to, &map->main);
	print_strip(to, &map->main, map->columns, signs);
	fprintf(to, "spare: %" PRIu64 " of %" PRIu64 " slots used, %" PRIu64 " bad", spare->used,
		map->spare.nr_units, spare->worst);
	print_suspicious(to, &map->spare);
	print_cell_size(to, &map->spare);
	print_strip(to, &map->spare, map->columns, signs);
	fprintf(to,
		"%s nothing   remapped or used: %s to 1/64 %s to 1/8 %s to 1/2 %s more\n"
		"%s lost, or a bad slot   %s moved by dm-remap for itself\n"
		"last scrub: %s read all   %s could not read all, or only slowly\n",
		signs->none, signs->used[0], signs->used[1], signs->used[2], signs->used[3],
		signs->worst, signs->own, signs->scrubbed, signs->suspicious);
}
