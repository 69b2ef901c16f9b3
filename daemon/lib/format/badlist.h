/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad sectors as other tools name them: badlist.c has the lists with nothing else in them
 * (badblocks, ddrescue's map files, md's lists, ranges), badlist-log.c those whose lines stand
 * among others (the kernel's log, smartctl), badlist-add.c what both need.  Parses text; knows no device.
 */
#ifndef DM_REMAP_BADLIST_H
#define DM_REMAP_BADLIST_H

#include "util/util.h"

/* What is understood, for sentences. */
#define BADLIST_FORMATS "badblocks, ddrescue, ranges, kernel, smartctl, mdadm"

enum badlist_format {
	BADLIST_GUESS,
	BADLIST_BADBLOCKS, /* a block number a line */
	BADLIST_DDRESCUE,  /* "POS SIZE STATUS" in bytes */
	BADLIST_RANGES,	   /* "SECTOR COUNT" as md's bad_blocks, "FIRST-LAST", or "SECTOR" */
	BADLIST_KERNEL,	   /* "I/O error, dev sdb, sector N": of the whole disk */
	BADLIST_SMARTCTL,  /* self-test and error logs: logical blocks of the whole disk */
	BADLIST_MDADM,	   /* --examine-badblocks: "SECTOR for COUNT sectors" */
};

/**
 * struct bad_range - sectors that are bad
 * @sector: first
 * @nr_sectors: how many
 */
struct bad_range {
	uint64_t sector;
	uint64_t nr_sectors;
};

/**
 * struct badlist - what a list says; the first part is the caller's
 * @format: as given, then as found
 * @block_bytes: of badblocks' numbers
 * @lba_bytes: of a logical block of the disk, for smartctl's numbers
 * @areas: which of ddrescue's areas count, of "?*" "/-"; NULL: those that are bad ("-")
 * @disk: the only disk whose lines of the kernel's log count ("sdb"); NULL: any one
 *
 * @range: sorted, apart
 * @nr_ranges: how many
 * @nr_sectors: all of them together
 * @is_of_disk: numbers are of the whole disk
 * @found_disk: whose lines the kernel's log has
 * @nr_other_disks: lines about other disks, passed over
 * @nr_elsewhere: for the caller: places that are not on its device
 * @nr_merged: places that others overlap
 * @untried: sectors of a map that ddrescue has not tried ('?', and gaps), not in @range
 * @untrimmed: '*'
 * @unscraped: '/'
 * @end: of a map: sectors from here on are not in it
 */
struct badlist {
	enum badlist_format format;
	uint32_t block_bytes;
	uint32_t lba_bytes;
	const char *areas;
	const char *disk;

	struct bad_range *range;
	size_t nr_ranges;
	uint64_t nr_sectors;
	bool is_of_disk;
	char found_disk[32];
	uint32_t nr_other_disks;
	size_t nr_elsewhere;
	size_t nr_merged;
	uint64_t untried;
	uint64_t untrimmed;
	uint64_t unscraped;
	uint64_t end;
};

/* -EINVAL with the number of the line, and what is understood. */
int badlist_parse(const char *text, struct badlist *list, struct error *error);
void badlist_done(struct badlist *list);
const char *badlist_format_name(enum badlist_format format);
/* -EINVAL: there is none of that name. */
int badlist_format_of(const char *name, enum badlist_format *format);

/* badlist-add.c, for the other two: adds bytes; a part of a sector is bad: all of it is. */
int badlist_add(struct badlist *list, uint64_t offset, uint64_t nr_bytes);
/* Decimal, or hexadecimal with 0x; a leading 0 is not octal.  Moves @at behind it. */
bool badlist_take_number(const char **at, uint64_t *number);

/* badlist-log.c: one line.  1: it names a bad place; 0: it is another one. */
int badlist_take_kernel(struct badlist *list, const char *line);
int badlist_take_smartctl(struct badlist *list, const char *line);
/* Whether a line is one that only such a log has. */
bool badlist_is_kernel(const char *line);
bool badlist_is_smartctl(const char *line);

#endif /* DM_REMAP_BADLIST_H */
