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
 * @source: copy (2 * replica + place) that load chose
 * @rewrite: bit per copy that is not what it should be on the media: see remap_choice.rewrite;
 *           load writes it before serving (C5)
 * @in_doubt: a commit of it failed, so media may hold more than RAM says (C4)
 * @unwritable: one of its places is dead: nothing in it can change (C8)
 * @failed_copy: where its last failed commit failed: 2 * replica + place
 * @nr_failed: commits that failed there in a row
 */
struct remap_block_state {
	u64 seq;
	u8 good_place[REMAP_REPLICAS];
	u8 source;
	u8 rewrite;
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
 * @known: the highest number that the set itself may have written before; 0: it has its spare,
 *         or has loaded it since
 * @compare_at: jiffies when to compare again what could not be read
 */
struct remap_degraded {
	u64 known;
	unsigned long compare_at;
};

/**
 * struct remap_read - blocks that were read
 * @buffer: @nr_max blocks for each of the four copies
 * @nr_max: how many are read at once
 * @unreadable: per block, the copies that cannot be read, a bit for each
 */
struct remap_read {
	void *buffer;
	u32 nr_max;
	u8 unreadable[BIO_MAX_VECS];
};

/**
 * struct remap_meta - the metadata on the spare
 * @super: the superblock as loaded
 * @block: state of every block of a place: superblock, table, soft state
 * @nr_blocks: length of @block
 * @last_seq: highest sequence number ever given out (C2)
 * @committed: highest sequence number that is complete on both replicas
 * @found: highest one that the last load has found, counters included
 * @loaded: the same of superblock and table
 * @image: one block, for building what is to be written
 * @read: what was read last
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
	u64 found;
	u64 loaded;
	void *image;
	struct remap_read read;
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
void remap_retire_slot(struct remap_set *set, u32 slot);
void remap_clear_doubt(struct remap_set *set, u32 block);
int remap_settle_super(struct remap_set *set);
int remap_super_set_flags(struct remap_set *set, u32 mask, u32 flags);

/* soft.c */
void remap_soft_load(struct remap_set *set);

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
sector_t remap_copy_sector(const struct remap_set *set, unsigned int copy, u32 block);
void remap_read_blocks(struct remap_set *set, const struct remap_geometry *geometry, u32 block,
		       u32 nr);
void remap_get_copies(const struct remap_set *set, u32 i, struct remap_copies *copies);
int remap_judge(const struct remap_set *set, u32 block, u32 i, struct remap_copies *copies);
int remap_read_image(struct remap_set *set, unsigned int copy, u32 block);
int remap_write_copy(struct remap_set *set, unsigned int copy, u32 block);

/* format.c */
int remap_check_blank(struct remap_set *set);
int remap_format(struct remap_set *set);

/* super.c */
int remap_find_super(struct remap_set *set, struct remap_super *super,
		     struct remap_copies *copies);
int remap_check_foreign(struct remap_set *set);
void remap_use_super(struct remap_set *set, const struct remap_super *super);

/* scrub.c */
int remap_compare_media(struct remap_set *set);

#endif /* DM_REMAP_META_INTERNAL_H */
