/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of meta/ share.
 */
#ifndef DM_REMAP_META_INTERNAL_H
#define DM_REMAP_META_INTERNAL_H

#include "meta/meta.h"

/**
 * struct remap_block_state - what is known of one metadata block
 * @seq: number of its last committed content
 * @good_place: per replica, the place that holds that content (C3)
 * @repair: per replica, whether load must write that place before serving (C5)
 * @source: copy (2 * replica + place) that load chose
 * @unreadable: bit per copy that load could not read, or that was newer and is damaged: it
 *              may hold anything, even a number that was burnt, so it is written over
 *              before serving (C2)
 * @in_doubt: a commit of it failed, so media may hold more than RAM says (C4)
 * @unwritable: one of its places is dead: nothing in it can change (C8)
 * @failed_copy: where its last failed commit failed: 2 * replica + place
 * @nr_failed: commits that failed there in a row
 */
struct remap_block_state {
	u64 seq;
	u8 good_place[REMAP_REPLICAS];
	bool repair[REMAP_REPLICAS];
	u8 source;
	u8 unreadable;
	bool in_doubt;
	bool unwritable;
	u8 failed_copy;
	u8 nr_failed;
};

/**
 * struct remap_anchor - the chunk of main that is the set's own
 * @marked: the number that the mark carries (O6)
 * @nr_ping: number of the last probe
 * @ping_failed: main did not take the last probe
 * @damaged: load found sectors of the mark unreadable or overwritten
 */
struct remap_anchor {
	u64 marked;
	u64 nr_ping;
	bool ping_failed;
	bool damaged;
};

/**
 * struct remap_saved - the last save of the counters
 * @sum: their sum then
 * @tried_at: jiffies when they were last saved, or tried to be
 * @time: seconds since 1970 UTC, 0: never
 */
struct remap_saved {
	u64 sum;
	unsigned long tried_at;
	time64_t time;
};

/**
 * struct remap_degraded - a set that was resumed without its spare (D22)
 * @was_degraded: and nothing was loaded since
 * @known: with @was_degraded: the highest number that the set itself may have written
 * @compare_at: jiffies when to compare again what could not be read
 */
struct remap_degraded {
	bool was_degraded;
	u64 known;
	unsigned long compare_at;
};

/**
 * struct remap_meta - the metadata on the spare
 * @super: the superblock as loaded
 * @block: state of every block of a place: superblock, table, soft state
 * @nr_blocks: length of @block
 * @last_seq: highest sequence number ever given out (C2)
 * @committed: highest sequence number that is complete on both replicas
 * @loaded: highest one that the last load has found in the superblock and the table
 * @image: one block, for building what is to be written
 * @buffer: load_blocks blocks for each of the four copies
 * @load_blocks: blocks that are read at once
 * @nr_in_doubt: blocks in doubt
 * @doubt_next: the block in doubt that was last tried
 * @drained: slots freed by commits with lower numbers are known to no I/O (C11)
 * @retry_at: jiffies before which doubt is not tried to be resolved
 * @retry_delay: the back-off in jiffies
 * @has_table: remap_set.table is what was last known to be committed
 * @moved_chunk: of an unfinished move that load found, or U64_MAX
 * @nr_unwritable: blocks with a dead place
 * @nr_stale: blocks of which newer content was committed and is lost, or may have been; plus
 *            one for a table that is older than main's mark says
 * @nr_failures: commits that failed since activation
 * @nr_repaired: copies that the last load rewrote
 * @replica_errors: failed writes to each replica
 * @anchor: what is known of main's anchor
 * @saved: what is known of the last save of the counters
 * @degraded: of a resume without the spare
 * @out: the replica that is not written, -1: none; an administrator said so (C5)
 */
struct remap_meta {
	struct remap_super super;
	struct remap_block_state *block;
	u32 nr_blocks;
	u64 last_seq;
	u64 committed;
	u64 loaded;
	void *image;
	void *buffer;
	u32 load_blocks;
	u32 nr_in_doubt;
	u32 doubt_next;
	u64 drained;
	unsigned long retry_at;
	unsigned long retry_delay;
	bool has_table;
	u64 moved_chunk;
	u32 nr_unwritable;
	u32 nr_stale;
	u64 nr_failures;
	u64 nr_repaired;
	u64 replica_errors[REMAP_REPLICAS];
	struct remap_anchor anchor;
	struct remap_saved saved;
	struct remap_degraded degraded;
	int out;
};

/* block.c */
u64 remap_next_seq(struct remap_set *set);
int remap_write_block(struct remap_set *set, u32 block);
void remap_image_table_block(struct remap_set *set, u32 block,
			     const struct remap_change *change, u32 nr_changes);
void remap_clear_doubt(struct remap_set *set, u32 block);
int remap_settle_super(struct remap_set *set);

/* soft.c */
int remap_soft_load(struct remap_set *set);

/* unwritable.c */
int remap_make_unwritable(struct remap_set *set, u32 block, unsigned int copy);
void remap_give_up_place(struct remap_set *set, u32 block);
int remap_retry_unwritable(struct remap_set *set, u32 block);

/* anchor.c */
void remap_age_of(const struct remap_set *set, struct remap_age *age);
int remap_check_anchor(struct remap_set *set, const struct remap_age *age);
int remap_write_first_anchor(struct remap_set *set);
bool remap_write_anchor(struct remap_set *set);

/* anchor_chunk.c */
int remap_find_anchor_chunk(struct remap_set *set, u64 *chunk);
void remap_mend_anchor(struct remap_set *set);

/* copies.c */
void *remap_copy_buffer(const struct remap_set *set, unsigned int copy, u32 i);
sector_t remap_copy_sector(const struct remap_set *set, unsigned int copy, u32 block);
void remap_read_copy(struct remap_set *set, unsigned int copy, u32 block, u32 nr,
		     unsigned long *unreadable);
enum remap_verdict remap_check_super_copy(const struct remap_set *set, const void *data,
					  struct remap_super *super);
enum remap_verdict remap_check_table_copy(const struct remap_set *set, u32 block,
					  const void *data);
int remap_dead_copy(const struct remap_set *set, u32 block);

/* format.c */
int remap_check_blank(struct remap_set *set);
bool remap_is_initial(const struct remap_set *set, u64 region_sector, const void *data);
int remap_format(struct remap_set *set);

/* super.c */
int remap_find_super(struct remap_set *set, struct remap_super *super,
		     struct remap_choice *choice, enum remap_verdict verdict[REMAP_COPIES],
		     char **error);
void remap_use_super(struct remap_set *set, const struct remap_super *super);
int remap_explain_no_super(struct remap_set *set, const enum remap_verdict verdict[REMAP_COPIES],
			   char **error);

/* scrub.c */
int remap_check_media(struct remap_set *set, bool alone, u32 *nr_repaired);
int remap_compare_media(struct remap_set *set);
bool remap_is_spare_gone(struct remap_set *set);

/* degraded.c */
void remap_end_degraded(struct remap_set *set);

#endif /* DM_REMAP_META_INTERNAL_H */
