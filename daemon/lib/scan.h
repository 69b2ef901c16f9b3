/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members: what the block devices of this machine hold of sets.  Reading devices
 * is here; deciding what goes together is in assemble.c, which is pure.
 */
#ifndef DM_REMAP_SCAN_H
#define DM_REMAP_SCAN_H

#include "remap_format.h"
#include "util.h"

enum member_role {
	MEMBER_NONE = 0,
	MEMBER_MAIN,  /* member header (guard), or the mark in the probe chunk */
	MEMBER_SPARE, /* a superblock */
	MEMBER_BOTH,  /* main and spare region on one device */
};

/**
 * struct member - one device that belongs to a set
 * @path: "/dev/sdb1": the kernel's name
 * @devno: device number
 * @nr_sectors: length of the device
 * @role: what it is
 * @uuid: of the set
 * @label: of the set, or empty
 * @identity: rank-ordered identity of the hardware, see identity.h; empty: none
 * @host_id: of the set, zeros: none
 * @guarded: main with a member header
 * @generation: main: what its header or mark says; spare: highest committed number
 * @main_sectors: length of the mapped device
 * @spare_start: spare: first sector of the region (0 if it is the whole device)
 * @spare_sectors: spare: length of the region
 * @recorded_identity: spare: of the main that the set was made with
 * @marked: spare: the set is complete (flag bit 0 of the superblock)
 * @holder: name of what holds the device already, or empty
 * @multipath_path: one path of a multipath device: never used itself
 * @read_only: the device is write-protected
 */
struct member {
	char path[256];
	dev_t devno;
	uint64_t nr_sectors;
	enum member_role role;
	uint8_t uuid[16];
	char label[REMAP_LABEL_BYTES];
	char identity[REMAP_IDENTITY_BYTES];
	uint8_t host_id[16];
	bool guarded;
	uint64_t generation;
	uint64_t main_sectors;
	uint64_t spare_start;
	uint64_t spare_sectors;
	char recorded_identity[REMAP_IDENTITY_BYTES];
	bool marked;
	char holder[64];
	bool multipath_path;
	bool read_only;
};

/*
 * Looks at one device or image.  -ENODATA: no member.  A read error is an error,
 * never "no member".
 */
int member_probe(const char *path, struct member *member, struct error *error);
/* All block devices that udev knows; the caller frees.  Unreadable ones are passed over. */
int scan_members(struct member **members, size_t *nr_members, struct error *error);
/* Mains by recorded identity for sets without a guard: for a spare, its candidates (O11). */
int scan_main_by_identity(const struct member *spare, struct member **candidates,
			  size_t *nr_candidates, struct error *error);
const char *member_role_name(enum member_role role);

#endif /* DM_REMAP_SCAN_H */
