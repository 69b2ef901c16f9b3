/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How hardware is recognised (O11): a string of words, the best first, separated by
 * spaces:
 *   "partuuid:<uuid>", "wwn:<wwn>[-part<n>]", "serial:<model>_<serial>[-part<n>]",
 *   "dm:<DM_UUID>", "md:<MD_UUID>[-part<n>]".
 * Two disks with the same content (a copy, a snapshot) may share the first, but not all.
 */
#ifndef DM_REMAP_IDENTITY_H
#define DM_REMAP_IDENTITY_H

#include "remap_format.h"
#include "util/util.h"

/**
 * struct hardware - what udev says of a device; NULL where it says nothing
 * @part_uuid: of the partition
 * @wwn: WWN or NGUID of the disk
 * @wwn_is_short: it is the one without vendor extension
 * @serial: short serial of the disk
 * @model: model of the disk
 * @dm_uuid: of a mapped device
 * @md_uuid: of an array
 * @partition: number; 0: a whole device
 */
struct hardware {
	const char *part_uuid;
	const char *wwn;
	bool wwn_is_short;
	const char *serial;
	const char *model;
	const char *dm_uuid;
	const char *md_uuid;
	unsigned int partition;
};

/*
 * Pure.  Empty: nothing that can be believed (all zero, one character repeated,
 * "0123456789ABCDEF").  Words that do not fit are left out.
 */
void identity_of_hardware(const struct hardware *hardware, char identity[REMAP_IDENTITY_BYTES]);
/* By udev's database; empty: none. */
void identity_of_device(dev_t devno, char identity[REMAP_IDENTITY_BYTES]);
/*
 * Pure.  What a udev rule compares to know this hardware again, by the strongest of its names
 * that is plain (foreign.h): a disk is known with all its partitions.  Empty: nothing that can
 * be believed, or that a rule can spell.
 */
void identity_udev_match(const struct hardware *hardware, char *match, size_t nr_bytes);
/* The same by udev's database. */
void identity_udev_match_of_device(dev_t devno, char *match, size_t nr_bytes);
/* Pure: how many words both have. */
unsigned int identity_matches(const char *a, const char *b);
/*
 * Pure: both have words of one kind, and no word of any kind is the same: other hardware, or
 * the same behind another bridge.  The partition's UUID does not count where others can be
 * compared: a copy of the whole disk has it.  Without comparable words: false.
 */
bool identity_contradicts(const char *a, const char *b);
/* Pure: they have a word in common, and differ in none of a kind that both have. */
bool identity_agrees(const char *a, const char *b);

#endif /* DM_REMAP_IDENTITY_H */
