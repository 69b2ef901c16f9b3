/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad sectors as other tools name them: badlist.c has the lists with nothing else in them
 * (badblocks, ddrescue's map files, md's lists, ranges), badlist-log.c those whose lines stand
 * among others (the kernel's log, smartctl), badlist-json.c smartctl's JSON, badlist-add.c what both need, and badlist-write.c writes them.
 * Parses text; knows no device.
 */
#ifndef DM_REMAP_BADLIST_H
#define DM_REMAP_BADLIST_H

#include <stdio.h>

#include "util/util.h"

/* What is understood, for sentences. */
#define BADLIST_FORMATS "badblocks, ddrescue, ranges, bytes, kernel, smartctl, mdadm"

enum badlist_format {
	BADLIST_GUESS,
	BADLIST_BADBLOCKS, /* a block number a line */
	BADLIST_DDRESCUE,  /* "POS SIZE STATUS" in bytes */
	BADLIST_RANGES,	   /* "SECTOR COUNT" as md's bad_blocks, "FIRST-LAST", or "SECTOR" */
	BADLIST_BYTES,	   /* "OFFSET LENGTH", "FIRST-LAST" in bytes; never guessed */
	BADLIST_KERNEL,	   /* "I/O error, dev sdb, sector N": of the whole disk */
	BADLIST_SMARTCTL,  /* self-test and error logs, also JSON: logical blocks of the disk */
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
 * @nr_other_errors: errors of a log that say nothing of the medium (cable, timeout), passed over
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
	uint32_t nr_other_errors;
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
/* Sorts the places, joins those that touch, and counts. */
void badlist_join(struct badlist *list);
/* Decimal, or hexadecimal with 0x; a leading 0 is not octal.  Moves @at behind it. */
bool badlist_take_number(const char **at, uint64_t *number);

/* badlist-log.c: one line.  1: it names a bad place; 0: it is another one. */
int badlist_take_kernel(struct badlist *list, const char *line);
int badlist_take_smartctl(struct badlist *list, const char *line);
/* "Error: UNC 8 sectors at LBA = 0x0000c350 = 50000"; 1: it was added; 0: it names no bad place. */
int badlist_take_ata_error(struct badlist *list, const char *text);
/* badlist-json.c: all of what `smartctl --json` printed.  -EBADMSG: it is no JSON. */
int badlist_take_json(struct badlist *list, const char *text);
int badlist_add_lbas(struct badlist *list, uint64_t lba, uint64_t nr, uint32_t lba_bytes);
/* Whether a line is one that only such a log has. */
bool badlist_is_kernel(const char *line);
bool badlist_is_smartctl(const char *line);

/*
 * Writes a joined list as badblocks, ddrescue or ranges: @format.  @start: of the device that the
 * numbers are written for, the sector that is sector 0 of the list; @nr_sectors: of what the list
 * is about.  Of badblocks a block (@block_bytes) is bad when a part of it is.
 */
void badlist_write(FILE *to, const struct badlist *list, enum badlist_format format, uint64_t start,
		   uint64_t nr_sectors);

#endif /* DM_REMAP_BADLIST_H */
