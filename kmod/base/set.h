/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One instance of the target, and the lowest layer: events and the mode, the worker's queue,
 * synchronous I/O, counters, and what is in flight and in caches (flow.h).
 *
 * Layers, each of which calls only those before it (tests/lint has the table):
 *   map/      lookup from main chunk to slot, without locks for readers
 *   base/     this one
 *   meta/     the metadata on the spare: blocks, commit, anchor, load, scrub
 *   engine/   failed writes, and what is moved by hand
 *   life/     from one table of the mapped device to the next
 *   iface/    status, sysfs, netlink, messages
 *   construct.c, target.c    device-mapper's operations
 *
 * Locking: remap_set.lock is held by the one who changes the table or the metadata ("the one
 * writer"): the worker, messages, soft saves, load; remap_unlock() lets go of it.  Readers of
 * the table are in RCU sections, and what only reads (verify, status, sysfs, dumps) takes no lock
 * that is held over a disk command.  The queue of the worker and the ring of events have
 * spinlocks of their own, taken from end_io.  Sectors that are moved by hand are copied without
 * remap_set.lock, under remap_manual.lock, which is taken before it.
 */
#ifndef DM_REMAP_SET_H
#define DM_REMAP_SET_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "base/counters.h"
#include "base/events.h"
#include "base/flow.h"
#include "base/io.h"
#include "base/queue.h"
#include "map/table.h"
#include "remap_format.h"

#define DM_MSG_PREFIX "remap"
#define DM_REMAP_VERSION "1.0.0"

/* remap_set.flags */
enum remap_flag {
	REMAP_ACTIVE,		/* between preresume and postsuspend: owns the media */
	REMAP_FROZEN,		/* no new remaps: storm or message */
	REMAP_META_FAIL,	/* the last commit failed */
	REMAP_READ_ONLY,	/* nothing may be written */
	REMAP_FAILED,		/* metadata on media contradicts what was acknowledged */
	REMAP_LOADED,		/* this instance loaded the metadata before */
	REMAP_SUSPENDING,	/* long messages must stop (D12) */
	REMAP_AUTO_OFF,		/* failed writes are not relocated: a setting */
	REMAP_LOST_CACHE,	/* a member came back without its cache: flushes fail (D10) */
	REMAP_NOFLUSH,		/* being suspended without flushing: a member may hang (D11) */
	REMAP_UNCOMPARED,	/* the spare could not be read: not compared, not written (D22) */
	REMAP_ALTERED,		/* REMAP_FAILED until the device is closed (D22) */
	REMAP_HELD,		/* writes wait for the worker: see remap_hold_main() */
};

/* What the slots hold may have been written by others (D22). */
#define REMAP_SLOTS_UNKNOWN	(BIT(REMAP_UNCOMPARED) | BIT(REMAP_ALTERED))

/* What becomes of writes to a main with a volatile cache (D18). */
enum remap_write_cache {
	REMAP_WRITE_THROUGH,	/* each is acknowledged when it is durable */
	REMAP_WRITE_KEEP,	/* when the cache has it, as without us */
	REMAP_WRITE_AUTO,	/* so until the first error of main, durable from then on */
};

/**
 * struct remap_options - what the table line says, and a setting
 * @deadline_seconds: feature argument, see REMAP_DEADLINE_SECONDS
 * @error_threshold: kept for the daemon; the kernel relocates at the first error
 * @force_rw: feature argument: go on with one replica when the other cannot be repaired
 * @has_write_cache: feature argument: remap_set.write_cache is not that of the superblock
 */
struct remap_options {
	unsigned int deadline_seconds;
	unsigned int error_threshold;
	bool force_rw;
	bool has_write_cache;
};

/* Seconds that a failed write may take until it is given up (E4). */
#define REMAP_DEADLINE_SECONDS	60

/* What became of an entry that was to be committed; tracepoints name it. */
enum remap_commit_result {
	REMAP_COMMITTED,	/* durable on both replicas, not yet published */
	REMAP_NOT_WRITTEN,	/* no copy of it was ever submitted */
	REMAP_IN_DOUBT,		/* it may or may not be on the media (C4) */
};

struct kobject;
struct remap_engine;
struct remap_life;
struct remap_meta;
struct remap_scan;

/**
 * struct remap_set - one instance of the target
 * @ti: device-mapper's side of it
 * @main: the main device
 * @spare: the spare device
 * @spare_start: first sector of the region on @spare
 * @spare_sectors: length of the region
 * @geometry: of the region, as in the superblock
 * @options: what the table line says
 * @flags: enum remap_flag
 * @write_cache: enum remap_write_cache
 * @table: the lookup
 * @flow: I/O in flight, and what is in the caches
 * @scan: what a failed flush may have lost, see written.c
 * @counters: soft state
 * @lock: held by the one writer
 * @queue: bios for the worker
 * @scratch: memory of the one writer
 * @events: events and the mode that listeners know
 * @aux_wq: runs timers, which may wait for @lock, and beside them the works of @events, which
 *          do not
 * @settle_work: after a change of @write_cache
 * @directory: in sysfs, while active
 * @meta: the metadata, under @lock
 * @engine: the worker's, under @lock
 * @life: its place among instances and active sets
 */
struct remap_set {
	struct dm_target *ti;
	struct dm_dev *main;
	struct dm_dev *spare;
	sector_t spare_start;
	sector_t spare_sectors;
	struct remap_geometry geometry;
	struct remap_options options;
	unsigned long flags;
	u8 write_cache;
	struct remap_table table;
	struct remap_flow flow;
	struct remap_scan *scan;
	struct remap_counters counters;
	struct mutex lock; /* the one writer */
	struct remap_queue queue;
	struct remap_scratch scratch;
	struct remap_events events;
	struct workqueue_struct *aux_wq;
	struct work_struct settle_work;
	struct kobject *directory;
	struct remap_meta *meta;
	struct remap_engine *engine;
	struct remap_life *life;
};

static inline enum remap_write_cache remap_write_cache(const struct remap_set *set)
{
	return READ_ONCE(set->write_cache);
}

/* Context: any. */
static inline void remap_count_up(struct remap_set *set, enum remap_counter counter)
{
	atomic64_inc(&set->counters.nr[counter]);
}

static inline const char *remap_name(const struct remap_set *set)
{
	return dm_table_device_name(set->ti->table);
}

static inline const struct remap_geometry *remap_geometry(const struct remap_set *set)
{
	return &set->geometry;
}

/* First sector of a slot on the spare device. */
static inline sector_t remap_slot_start(const struct remap_set *set, u32 slot)
{
	return set->spare_start + remap_slot_sector(remap_geometry(set), slot);
}

#define remap_err(set, fmt, ...) DMERR("%s: " fmt, remap_name(set), ##__VA_ARGS__)
#define remap_warn(set, fmt, ...) DMWARN("%s: " fmt, remap_name(set), ##__VA_ARGS__)
#define remap_warn_ratelimited(set, fmt, ...) \
	DMWARN_LIMIT("%s: " fmt, remap_name(set), ##__VA_ARGS__)
#define remap_info(set, fmt, ...) DMINFO("%s: " fmt, remap_name(set), ##__VA_ARGS__)

/*
 * Whether its spare could not be read, at a resume or when it was to be compared (remap_compare()),
 * and was not compared since (D22).  Context: any.
 */
static inline bool remap_is_degraded(const struct remap_set *set)
{
	return test_bit(REMAP_UNCOMPARED, &set->flags);
}

/*
 * Whether metadata and slots of the set may be written.  Context: any; with remap_set.lock held
 * the answer stays true.
 */
static inline bool remap_may_write(const struct remap_set *set)
{
	return !(READ_ONCE(set->flags) & (BIT(REMAP_READ_ONLY) | BIT(REMAP_FAILED) |
					  BIT(REMAP_UNCOMPARED)));
}

#endif /* DM_REMAP_SET_H */
