/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk as a picture: main and the spare are cut into cells of equal size, and a cell shows the
 * worst that is in it.  Pure, but for the file that is written to; disk-map.c counts and draws with
 * characters, disk-map-svg.c draws as SVG.
 */
#ifndef DM_REMAP_DISK_MAP_H
#define DM_REMAP_DISK_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "system/events.h"

/* Levels of density between nothing and most of a cell. */
#define DISK_MAP_DENSITIES 4
#define DISK_MAP_COLUMNS_MIN 16
#define DISK_MAP_COLUMNS_MAX 1024

enum disk_map_mark {
	MARK_NONE,
	MARK_SCRUBBED,	 /* the last scrub read all of it */
	MARK_OWN,	 /* only what dm-remap moved for itself: the guard and the probe chunk */
	MARK_USED,	 /* remapped sectors, or slots that serve sectors; by density */
	MARK_SUSPICIOUS, /* the last scrub could not read something, or only slowly */
	MARK_WORST,	 /* a lost sector, or a slot that is bad */
};

/**
 * struct disk_map_cell - what is in a cell of a strip
 * @used: sectors of main that are remapped and not lost; slots of the spare in use
 * @worst: sectors that are lost; slots that are bad
 * @own: sectors that dm-remap moved for itself
 * @suspicious: that the last scrub could not read, or only slowly; of slots: their sectors
 * @scrubbed: that it could read; the same
 */
struct disk_map_cell {
	uint64_t used;
	uint64_t worst;
	uint64_t own;
	uint64_t suspicious;
	uint64_t scrubbed;
};

/**
 * struct disk_map_strip - main, or the slots of the spare
 * @nr_units: sectors, or slots
 * @unit_bytes: size of one
 * @nr_cells: how many, at most @nr_units
 * @cell: what is in them
 * @total: what is in all of them
 */
struct disk_map_strip {
	uint64_t nr_units;
	uint32_t unit_bytes;
	unsigned int nr_cells;
	struct disk_map_cell *cell;
	struct disk_map_cell total;
};

/**
 * struct disk_map - a set
 * @main: the main device
 * @spare: the slots of the spare
 * @columns: cells in a line
 */
struct disk_map {
	struct disk_map_strip main;
	struct disk_map_strip spare;
	unsigned int columns;
};

/* In lines of @columns cells; the caller calls disk_map_done(), also after an error. */
int disk_map_init(struct disk_map *map, uint64_t nr_sectors, uint64_t nr_slots,
		  unsigned int columns);
void disk_map_done(struct disk_map *map);
/* A slot that is used or bad; what is not inside is passed over. */
void disk_map_add(struct disk_map *map, const struct remap_slot *slot);

/* What the last scrub says of sectors of main, or (@is_spare) of slots: from the first one's start. */
void disk_map_add_scrub(struct disk_map *map, bool is_spare, uint64_t sector, uint64_t nr,
			bool is_suspicious);

/* The first unit of a cell; that of the cell behind the last one: the number of units. */
uint64_t disk_map_first(const struct disk_map_strip *strip, unsigned int cell);
/* What the cell shows, and (MARK_USED) how dense, 0 to DISK_MAP_DENSITIES - 1. */
enum disk_map_mark disk_map_mark(const struct disk_map_strip *strip, unsigned int cell,
				 unsigned int *density);

/* @name: of the set, printable. */
void disk_map_text(FILE *to, const char *name, const struct disk_map *map, bool is_unicode);
void disk_map_svg(FILE *to, const char *name, const struct disk_map *map);

#endif /* DM_REMAP_DISK_MAP_H */
