/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata on the spare.  struct remap_meta is this layer's own; what others want of it they
 * ask here.  All functions are called with remap_set.lock held and may sleep, for as long as a
 * disk takes, but where it says otherwise; none allocates memory (P6).
 */
#ifndef DM_REMAP_META_H
#define DM_REMAP_META_H

#include "base/set.h"

/* Chunks from main's end that are tried for the anchor. */
#define REMAP_PROBE_TRIES	64
/* Attempts to write the same bytes to the same place before a commit has failed. */
#define REMAP_WRITE_TRIES	2

/**
 * struct remap_change - one entry that a commit is to make durable
 * @slot: its slot
 * @word: the word to publish
 * @prov: the provenance to record
 * @add: sectors that this change redirects or gives content to again
 * @newly: those of @add that were served by main before
 * @fresh: @slot was free before
 * @data_failed: @slot does not take data
 * @again: it was tried a second time
 * @status: error of its data write, or of the commit
 * @result: filled in by remap_commit()
 * @handled: for use by remap_commit()
 */
struct remap_change {
	u32 slot;
	u64 word;
	u64 prov;
	u8 add;
	u8 newly;
	bool fresh;
	bool data_failed;
	bool again;
	blk_status_t status;
	enum remap_commit_result result;
	bool handled;
};

/**
 * struct remap_load - between the steps of loading
 * @formatted: the set was made just now
 * @ping_failed: the instance before knew that main does not take a probe
 * @committed: the highest number that was ever known to be complete
 * @burnt: the highest number that the instance before has given out (C2)
 * @newest: set to the highest number of superblock and table on the media
 */
struct remap_load {
	bool formatted;
	bool ping_failed;
	u64 committed;
	u64 burnt;
	u64 newest;
};

/**
 * struct remap_report - what status shows of the metadata; each a fact of its own
 * @last_seq: highest number ever given out
 * @committed: highest number that is complete on both replicas
 * @nr_failures: commits that failed since activation
 * @nr_repaired: copies that the last load rewrote
 * @replica_errors: failed writes to each replica
 * @last_save: seconds since 1970 UTC, 0: never
 * @nr_in_doubt: blocks in doubt
 * @nr_unwritable: blocks with a dead place
 * @out: the replica that is not written, -1: none
 * @probe_failed: main did not take the last probe
 */
struct remap_report {
	u64 last_seq;
	u64 committed;
	u64 nr_failures;
	u64 nr_repaired;
	u64 replica_errors[REMAP_REPLICAS];
	time64_t last_save;
	u32 nr_in_doubt;
	u32 nr_unwritable;
	int out;
	bool probe_failed;
};

/* meta.c: no lock, any context, but for init and exit */
int remap_meta_init(struct remap_set *set);
void remap_meta_exit(struct remap_set *set);
void remap_meta_report(const struct remap_set *set, struct remap_report *report);
const u8 *remap_uuid(const struct remap_set *set);
bool remap_is_incomplete(const struct remap_set *set, unsigned int replica);
u64 remap_last_seq(const struct remap_set *set);
u64 remap_probe_chunk(const struct remap_set *set);
u32 remap_super_flags(const struct remap_set *set);
bool remap_has_doubt(const struct remap_set *set);
bool remap_has_table_doubt(const struct remap_set *set);

/* block.c */
int remap_store_settings(struct remap_set *set);
int remap_super_commit(struct remap_set *set);

/* soft.c */
int remap_soft_save(struct remap_set *set);
bool remap_soft_is_due(struct remap_set *set, unsigned long interval);
bool remap_ping_spare(struct remap_set *set);

/* unwritable.c: these write nothing */
bool remap_is_block_unwritable(const struct remap_set *set, u32 block);
bool remap_is_unwritable(const struct remap_set *set, u32 slot);
bool remap_is_pinned(const struct remap_set *set, u64 chunk);
void remap_count_unwritable(struct remap_set *set);

/* anchor.c: bios to main */
bool remap_ping_main(struct remap_set *set);
void remap_update_anchor(struct remap_set *set);
void remap_record_ping(struct remap_set *set);

/*
 * commit.c: flush, block, publish (C1).  Crash states are at the top of the file; not beside
 * another commit of the set, nor from where an I/O of the set is waited for.
 */
int remap_commit(struct remap_set *set, struct remap_change *change, u32 nr_changes);
int remap_commit_block(struct remap_set *set, u32 block);
void remap_resolve_doubt(struct remap_set *set, bool now);
s64 remap_slot_alloc(struct remap_set *set);

/* anchor_chunk.c */
int remap_save_chunk(struct remap_set *set, u64 chunk, u32 slot, u8 cause);

/* super.c: takes remap_set.lock */
int remap_probe_spare(struct remap_set *set);

/* load.c: preresume, the two steps of an activation in this order */
int remap_load_super(struct remap_set *set, struct remap_load *load);
int remap_load(struct remap_set *set, struct remap_load *load);

/* scrub.c */
int remap_restore(struct remap_set *set, u32 *nr_repaired);
void remap_refuse_altered(struct remap_set *set);
int remap_rewrite_block(struct remap_set *set, u32 block);

/* degraded.c */
void remap_recompare(struct remap_set *set, bool now);
int remap_compare(struct remap_set *set);
bool remap_has_been_degraded(const struct remap_set *set);
u64 remap_highest_own(const struct remap_set *set);
bool remap_resume_degraded(struct remap_set *set);

#endif /* DM_REMAP_META_H */
