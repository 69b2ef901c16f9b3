/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The volatile write cache of the disks under main (D18).  A disk that gets a spare is known to be
 * bad, and behind a cache a write error comes without its write; so where a set is written
 * through (the kernel adds FUA by itself), the disk's own cache is turned off as well, where the
 * kernel offers that: then a write needs no second command.  What cannot be turned off stays on,
 * and nothing depends on it.
 *
 * Which disks were changed, what they were, and for which sets, stands in
 * /run/dm-remap/write-cache/MAJOR:MINOR, one file for a disk: the last set that leaves puts it
 * back.  The file comes before the change, so that a crash in between only leaves a file.  A set
 * that shares the disk waits: each file has a lock, in the file "lock" beside it.
 *
 * Callers: activate.c, the verbs about sets.
 */
#ifndef DM_REMAP_WRITE_CACHE_H
#define DM_REMAP_WRITE_CACHE_H

#include <sys/types.h>

#include "util/util.h"

/**
 * enum write_cache - what becomes of writes behind main's volatile cache
 * @WRITE_CACHE_THROUGH: each is durable before it is acknowledged; the default
 * @WRITE_CACHE_KEEP: the cache has them until a flush
 * @WRITE_CACHE_AUTO: so until the first error of main
 */
enum write_cache {
	WRITE_CACHE_THROUGH,
	WRITE_CACHE_KEEP,
	WRITE_CACHE_AUTO,
};

const char *write_cache_name(enum write_cache write_cache);
/* -EINVAL: none of them. */
int write_cache_parse(const char *text, enum write_cache *write_cache);
/* As flags of the superblock. */
uint32_t write_cache_flags(uint32_t flags, enum write_cache write_cache);
enum write_cache write_cache_of_flags(uint32_t flags);

/**
 * struct cache_world - where disks are found; other than the default in tests
 * @sys: "/sys"
 * @dev: "/dev"
 * @run: "/run/dm-remap/write-cache"
 * @nvme: gets (@set: 0) or sets the volatile-write-cache feature of the namespace @node: *@on
 */
struct cache_world {
	const char *sys;
	const char *dev;
	const char *run;
	int (*nvme)(const char *node, bool set, bool *on);
};

extern const struct cache_world this_world;

/**
 * struct disk_cache - the cache of one disk
 * @devno: of the whole disk
 * @node: its device node
 * @kind: how it is turned off; CACHE_NONE: no volatile cache, or no way
 * @attribute: CACHE_SCSI: of sysfs
 * @value: what it is now, in the kernel's words; empty: not known
 * @was: what it was before a set changed it; empty: nothing was changed
 */
struct disk_cache {
	dev_t devno;
	char node[300];
	enum cache_kind {
		CACHE_NONE,
		CACHE_SCSI,
		CACHE_NVME,
	} kind;
	char attribute[4200];
	char value[40];
	char was[40];
};

/*
 * The whole disks at the bottom of a device: of a partition its disk, of a stack (dm, md) all
 * that it is made of.  The caller frees.
 */
int disk_caches_of(const struct cache_world *world, dev_t devno, struct disk_cache **disks,
		   size_t *nr_disks);

/*
 * Turns the caches of the disks under @main off for the set @uuid; @told: a sentence when one was
 * on, and what came of it; else empty.  Again where it is on again: a power cycle does that.
 */
void write_cache_off(const struct cache_world *world, const char *uuid, dev_t main,
		     struct error *told);
/* The set does not need it any more: a disk that no other set needs is as it was. */
void write_cache_let_go(const struct cache_world *world, const char *uuid);
/* Off again on a disk that is noted for some set. */
void write_cache_again(const struct cache_world *world, dev_t disk, struct error *told);

#endif /* DM_REMAP_WRITE_CACHE_H */
