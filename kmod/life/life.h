/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From one table of a mapped device to the next, and the list of active sets.
 */
#ifndef DM_REMAP_LIFE_H
#define DM_REMAP_LIFE_H

#include "base/set.h"

/**
 * struct remap_member_id - a block device, as long as it does not go away
 * @disk_seq: of the disk; a disk that comes back gets another one
 * @start: first sector of the partition
 */
struct remap_member_id {
	u64 disk_seq;
	sector_t start;
};

/**
 * struct remap_handover - what an instance leaves to the one that replaces its table
 * @list: of those that died before another table inherited
 * @md: its mapped device
 * @md_seq: number of its disk
 * @uuid: of the set
 * @known: there was one, and it had loaded the same set
 * @committed: highest number that it knew to be complete on both replicas
 * @generation: highest number that it gave to anything
 * @frozen: by an administrator or a storm
 * @write_cache: enum remap_write_cache
 * @was_degraded: it was without its spare, or the next one has another, and what it knew was not
 *                compared with it since
 * @numbers: remap_highest_own() then
 * @altered: another system had written the set meanwhile
 * @auto_off: a setting
 * @error_threshold: a setting
 * @tokens: what the storm limit left (E7)
 * @counters: of which the media may have an older state
 * @probe_failed: main did not take its last probe
 * @lost_cache: it was in that mode
 * @id: what its members were
 * @unflushed: which of them had writes not flushed
 * @owed: remap_gate.owed of each
 */
struct remap_handover {
	struct list_head list;
	const struct mapped_device *md;
	u64 md_seq;
	u8 uuid[REMAP_UUID_BYTES];
	bool known;
	u64 committed;
	u64 generation;
	bool frozen;
	u8 write_cache;
	bool was_degraded;
	u64 numbers;
	bool altered;
	bool auto_off;
	unsigned int error_threshold;
	u64 tokens;
	struct remap_counters counters;
	bool probe_failed;
	bool lost_cache;
	struct remap_member_id id[REMAP_NR_MEMBERS];
	bool unflushed[REMAP_NR_MEMBERS];
	unsigned long owed[REMAP_NR_MEMBERS];
};

/**
 * struct remap_life - an instance among others
 * @set: whose it is
 * @owners: in the list of active sets, see registry.c
 * @claimed: its UUID is known and no other set's; under the list's lock
 * @instances: in the list of all, see handover.c
 * @id: what the members were when the set was resumed
 * @will: what it leaves when it dies before another table inherits
 * @predecessor: what the instance before this one knew, while this one is resumed
 * @predecessor_stale: another system has written the set since
 * @lost_work: ends REMAP_LOST_CACHE when the device is not open any more
 * @autosave: the timer
 * @mark_at: jiffies when the anchor was last brought up to date by the timer
 */
struct remap_life {
	struct remap_set *set;
	struct list_head owners;
	bool claimed;
	struct list_head instances;
	struct remap_member_id id[REMAP_NR_MEMBERS];
	struct remap_handover *will;
	struct remap_handover predecessor;
	bool predecessor_stale;
	struct delayed_work lost_work;
	struct delayed_work autosave;
	unsigned long mark_at;
};

/* Two tables of one mapped device.  Context: any. */
static inline bool remap_is_same_device(const struct remap_set *a, const struct remap_set *b)
{
	return dm_table_get_md(a->ti->table) == dm_table_get_md(b->ti->table) &&
	       a->ti->table != b->ti->table;
}

/* registry.c */
int remap_own(struct remap_set *set, void (*forget)(struct remap_set *set));
int remap_claim(struct remap_set *set);
void remap_disown(struct remap_set *set);
bool remap_owned_by_other(const struct remap_set *set);
typedef int (*remap_set_fn)(struct remap_set *set, void *data);
void remap_walk_active(remap_set_fn f, void *data, unsigned int *generation);

/* handover.c */
int remap_life_init(struct remap_set *set);
void remap_life_stop(struct remap_set *set);
void remap_life_exit(struct remap_set *set);
void remap_add_instance(struct remap_set *set);
void remap_remove_instance(struct remap_set *set);
void remap_forget_wills(void);
void remap_find_predecessor(struct remap_set *set);
void remap_take_over(struct remap_set *set);
void remap_accept_loss(struct remap_set *set);
void remap_watch_lost(struct remap_set *set);

/* activate.c */
int remap_activate(struct remap_set *set);

/* autosave.c */
void remap_autosave(struct work_struct *work);
void remap_autosave_start(struct remap_set *set);

/* write_cache.c */
void remap_settle_work(struct work_struct *work);
void remap_load_write_cache(struct remap_set *set);
void remap_start_write_cache(struct remap_set *set);
void remap_set_write_cache(struct remap_set *set, enum remap_write_cache write_cache);
int remap_parse_write_cache(const char *word);
const char *remap_write_cache_name(enum remap_write_cache write_cache);

#endif /* DM_REMAP_LIFE_H */
