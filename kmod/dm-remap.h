/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal interface of the dm-remap module.
 *
 * Who does what:
 *   target.c    the device-mapper operations: map, end_io, suspend, resume
 *   construct.c the constructor and the destructor
 *   table.c     lookup from main chunk to slot, without locks for readers
 *   slow.c      the worker: bios that failed, found a lost sector, or had to wait
 *   relocate.c  failed writes: confirm, probe, relocate (E1-E7)
 *   move.c      entries whose spare chunk went bad (C13)
 *   manual.c    `remap`, `unremap`, `clear`: busy, drain, copy, commit, publish (D3, D4)
 *   request.c   what was asked for: the next chunk, the size of a batch, events
 *   copy.c      the copying of those, without the lock; pass.c: its reading and writing
 *   commit.c    making table entries durable (C1-C4, C9-C11)
 *   frozen.c    table blocks that can no longer be written (C8)
 *   load.c      choosing, checking and repairing at activation (C5, C6)
 *   check.c     the same comparison while active: `restore`, and after a degraded resume
 *   format.c    formatting a blank spare (C14)
 *   mark.c      the probe chunk of main and the mark on it (E5, O6)
 *   soft.c      counters on the spare, autosave
 *   owner.c     one set, one owner (D12, O8); what a table leaves to the next one (D10)
 *   degraded.c  a set that is resumed without its spare (D22)
 *   cache.c     members that vanish with what was in their caches (D10, O18)
 *   message.c   the verbs; status.c: what `dmsetup status` shows
 *   sysfs.c     the same facts, one a file
 *   netlink.c   events, and dumps for the daemon
 *   trace.h     tracepoints of the slow path
 *   io.c        synchronous I/O with preallocated memory
 *   flow.c      I/O in flight, and what is in the members' volatile caches
 *   through.c   whether main is written through its cache (D18)
 *   scan.c      what a failed flush may have lost
 *   confirm.c   which sectors of failed writes are bad (E1-E6)
 *
 * Locking: remap_set.lock is held by whoever changes the table or the metadata
 * ("the one writer"): the worker, messages, soft saves, load.  Readers of the
 * table are in RCU sections.  The queue of the worker has a spinlock of its
 * own, taken from end_io.  Sectors that are moved by hand are copied without
 * remap_set.lock, under remap_manual.lock, which is taken before it.
 */
#ifndef DM_REMAP_H
#define DM_REMAP_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/dm-ioctl.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

#include "counters.h"
#include "flow.h"
#include "remap_format.h"

#define DM_MSG_PREFIX "remap"
#define DM_REMAP_VERSION "1.0.0"

#if BITS_PER_LONG != 64
#error "dm-remap publishes an entry by one 64-bit store (rule D2) and needs a 64-bit kernel"
#endif

/* Pieces (runs of sectors in one chunk) that one round of the worker handles. */
#define REMAP_ROUND_PIECES	512
/* Seconds that a failed write may take until it is given up (E4). */
#define REMAP_DEADLINE_SECONDS	60
/* Writes that are confirmed at once: the deadline is looked at between groups. */
#define REMAP_CONFIRM_GROUP	8
/* A command that takes longer than this (jiffies) makes a disk a slow one. */
#define REMAP_SLOW_COMMAND	(HZ / 4)
/* A round stops confirming after so many jiffies, and relocates what it has (E8). */
#define REMAP_CONFIRM_TIME	(HZ / 2)
/* Fresh slots tried for one chunk before its write fails. */
#define REMAP_SLOT_TRIES	16
/* Chunks from main's end that are tried for the probe. */
#define REMAP_PROBE_TRIES	64
/* Attempts to write the same bytes to the same place before a commit has failed. */
#define REMAP_WRITE_TRIES	2

/*
 * A slot's word: everything a reader must see at once (D2).
 * bits 0-39 main chunk, 40-47 redirected, 48-55 lost, 56-57 generation, flags.
 * A free slot is zero.
 */
#define REMAP_WORD_CHUNK	((1ULL << 40) - 1)
#define REMAP_WORD_REDIRECTED(w) ((u8)((w) >> 40))
#define REMAP_WORD_LOST(w)	((u8)((w) >> 48))
#define REMAP_WORD_GENERATION(w) ((u8)(((w) >> 56) & 3))
#define REMAP_WORD_LINKED	BIT_ULL(58) /* in a hash chain */
#define REMAP_WORD_BUSY		BIT_ULL(59) /* being copied: writes wait (D3) */
#define REMAP_WORD_DOUBT	BIT_ULL(60) /* a commit failed: see REMAP_PROV_DOUBT (C4) */
#define REMAP_WORD_BAD		BIT_ULL(61) /* the spare chunk itself is bad */
#define REMAP_WORD_RETIRED	BIT_ULL(62) /* freed; media may still name it (C11) */
#define REMAP_WORD_RESERVED	BIT_ULL(63) /* allocated, not published yet */

static inline u64 remap_word(u64 chunk, u8 redirected, u8 lost, u8 generation, u64 flags)
{
	return chunk | (u64)redirected << 40 | (u64)lost << 48 | (u64)generation << 56 | flags;
}

/*
 * A slot's provenance: bits 0-31 when, 32-39 cause, 40-47 status, 48-55 errors,
 * 56-63 the sectors in doubt.  For a retired slot: the number of the commit
 * that freed it.
 */
#define REMAP_PROV_DOUBT(p)	((u8)((p) >> 56))

static inline u64 remap_prov(u32 when, u8 cause, u8 status, u8 errors, u8 doubt)
{
	return when | (u64)cause << 32 | (u64)status << 40 | (u64)errors << 48 |
	       (u64)doubt << 56;
}

/**
 * struct remap_table - lookup from main chunk to slot
 * @nr_slots: length of @word, @next and @prov
 * @head_bits: log2 of the length of @heads
 * @heads: per hash of (chunk / 8): 1 + first slot of the chain, 0: empty
 * @next: per slot: 1 + next slot of the chain, kept after removal until a grace period is over
 * @word: per slot: REMAP_WORD_*
 * @prov: per slot: REMAP_PROV_*; read and written under remap_set.lock only
 * @hash_key: odd and random, so that nobody can make an image whose chunks share a chain
 * @regions: one bit per 128 KiB of main, set when a chunk in it was ever mapped
 * @nr_regions: bits in @regions
 * @nr_removed: entries taken out of it so far: a dump that sees this change is no snapshot
 * @nr_used: slots that serve sectors
 * @nr_bad: slots whose spare chunk is bad
 * @nr_retired: slots that wait to be used again
 * @nr_reserved: slots taken for what is on its way
 * @nr_lost: lost sectors
 * @nr_frozen: slots that are not in use and cannot be (C8)
 * @free_hint: no free slot lies before it
 */
struct remap_table {
	u32 nr_slots;
	u32 head_bits;
	u64 hash_key;
	u32 *heads;
	u32 *next;
	u64 *word;
	u64 *prov;
	unsigned long *regions;
	u64 nr_regions;
	u32 nr_removed;
	u32 nr_used;
	u32 nr_bad;
	u32 nr_retired;
	u32 nr_reserved;
	u32 nr_lost;
	u32 nr_frozen;
	u32 free_hint;
};

#define REMAP_REGION_SHIFT	8	/* sectors to region: 128 KiB */

/*
 * Whether no chunk was ever mapped in the regions of these sectors (at least
 * one).  A bit that is set stays: a read needs no RCU section, a write is
 * counted in the same one (see remap_drain()).
 */
static inline bool remap_table_is_clean(const struct remap_table *table, u64 sector,
					u32 nr_sectors)
{
	u64 first = sector >> REMAP_REGION_SHIFT;
	u64 last = (sector + nr_sectors - 1) >> REMAP_REGION_SHIFT;

	if (likely(first == last))
		return !test_bit(first, table->regions);
	return find_next_bit(table->regions, last + 1, first) > last;
}

enum remap_place_kind {
	REMAP_PLACE_MAIN,
	REMAP_PLACE_SPARE,
	REMAP_PLACE_LOST,
	REMAP_PLACE_SLOW,	/* busy or in doubt: ask the worker */
};

/**
 * struct remap_place - answer of a lookup
 * @kind: who serves the first @nr_sectors sectors
 * @slot: of the entry, unless @kind is REMAP_PLACE_MAIN
 * @nr_sectors: how many sectors from the first one share this answer
 */
struct remap_place {
	enum remap_place_kind kind;
	u32 slot;
	u32 nr_sectors;
};

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
 * @frozen: one of its places is dead: nothing in it can change (C8)
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
	bool frozen;
	u8 failed_copy;
	u8 nr_failed;
};

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
	enum remap_commit_result {
		REMAP_COMMITTED,	/* durable on both replicas, not yet published */
		REMAP_NOT_WRITTEN,	/* no copy of it was ever submitted */
		REMAP_IN_DOUBT,		/* it may or may not be on the media (C4) */
	} result;
	bool handled;
};

/**
 * struct remap_meta - the metadata on the spare
 * @super: the superblock as loaded
 * @block: state of every block of a place: superblock, table, soft state
 * @nr_blocks: length of @block
 * @generation: highest sequence number ever given out (C2)
 * @committed: highest sequence number that is complete on both replicas
 * @loaded: highest one that the last load has found in the superblock and the table
 * @marked: the number that main's mark carries (O6)
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
 * @nr_frozen: blocks that are frozen
 * @nr_stale: blocks of which newer content was committed and is lost, or may have been; plus
 *            one for a table that is older than main's mark says
 * @probe_failed: main did not take the last probe
 * @mark_damaged: load found sectors of the mark unreadable or overwritten
 * @nr_failures: commits that failed since activation
 * @nr_repaired: copies that the last load rewrote
 * @replica_errors: failed writes to each replica
 * @out: the replica that is not written, -1: none; an administrator said so (C5)
 */
struct remap_meta {
	struct remap_super super;
	struct remap_block_state *block;
	u32 nr_blocks;
	u64 generation;
	u64 committed;
	u64 loaded;
	u64 marked;
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
	u32 nr_frozen;
	u32 nr_stale;
	bool probe_failed;
	bool mark_damaged;
	u64 nr_failures;
	u64 nr_repaired;
	u64 replica_errors[REMAP_REPLICAS];
	int out;
};

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
	REMAP_UNCOMPARED,	/* resumed without the spare: nothing of the set is written (D22) */
	REMAP_ALTERED,		/* REMAP_FAILED until nobody has the device open (D22) */
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

struct remap_piece;
struct remap_scan;
struct remap_manual;

/**
 * struct remap_io - memory for one synchronous request at a time
 * @bio: not in use between requests
 * @vecs: BIO_MAX_VECS vectors
 */
struct remap_io {
	struct bio *bio;
	struct bio_vec *vecs;
};

/* Events that wait to be sent; more at once are dropped, visibly. */
#define REMAP_NOTES	256

/**
 * struct remap_note - one event
 * @seq: its number
 * @time: nanoseconds since 1970 UTC
 * @sector: first sector concerned, if @nr_sectors
 * @mode: the mode word then
 * @old_mode: the one before, or NULL
 * @kind: enum dm_remap_event
 * @nr_sectors: 0: none concerned
 * @slot: if @has_slot
 * @nr_used: slots in use then
 * @number: lost sectors, percent or copies, as the kind has it
 * @has_slot: whether a slot is concerned
 * @status: enum remap_status_class
 * @member: enum dm_remap_member, or 0
 * @reason: enum dm_remap_reason, or 0
 * @cause: enum remap_cause, or 0
 */
struct remap_note {
	u64 seq;
	u64 time;
	u64 sector;
	const char *mode;
	const char *old_mode;
	u32 kind;
	u32 nr_sectors;
	u32 slot;
	u32 nr_used;
	u32 number;
	bool has_slot;
	u8 status;
	u8 member;
	u8 reason;
	u8 cause;
};

/**
 * struct remap_near - good chunks that told that a main of several disks lives, see near.c
 * @number: of the window for which they told it
 * @chunk: one in that window, or one on either side of it
 * @nr: how many
 */
struct remap_near {
	u64 number;
	u64 chunk[2];
	u32 nr;
};

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
 * struct remap_forebear - what an instance leaves to the one that replaces its table
 * @known: there was one, and it had loaded the same set
 * @committed: highest number that it knew to be complete on both replicas
 * @generation: highest number that it gave to anything
 * @frozen: by an administrator or a storm
 * @was_degraded: it was without its spare, and what it knew was not compared with it since
 * @numbers: remap_known() then
 * @altered: somebody else had written the set meanwhile
 * @auto_off: a setting
 * @error_threshold: a setting
 * @tokens: what the storm limit left (E7)
 * @counters: of which the media may have an older state
 * @probe_failed: main did not take its last probe
 * @lost_cache: it was in that mode
 * @main: what was its main device
 * @spare: the same of the spare
 * @unflushed_main: that had writes not flushed
 * @unflushed_spare: the same of the spare
 * @owed: remap_gate.owed of each member
 */
struct remap_forebear {
	bool known;
	u64 committed;
	u64 generation;
	bool frozen;
	bool was_degraded;
	u64 numbers;
	bool altered;
	bool auto_off;
	unsigned int error_threshold;
	u64 tokens;
	struct remap_counters counters;
	bool probe_failed;
	bool lost_cache;
	struct remap_member_id main;
	struct remap_member_id spare;
	bool unflushed_main;
	bool unflushed_spare;
	unsigned long owed[REMAP_NR_MEMBERS];
};

/**
 * struct remap_set - one instance of the target
 * @ti: device-mapper's side of it
 * @main: the main device
 * @spare: the spare device
 * @spare_start: first sector of the region on @spare
 * @spare_sectors: length of the region
 * @deadline_seconds: feature argument, see REMAP_DEADLINE_SECONDS
 * @force_rw: feature argument: go on with one replica when the other cannot be repaired
 * @flags: enum remap_flag
 * @has_write_cache: feature argument: @write_cache is not that of the superblock
 * @write_cache: enum remap_write_cache
 * @flow: I/O in flight, and what is in the caches
 * @scan: what a failed flush may have lost, see scan.c
 * @table: the lookup
 * @forebear: what the instance before this one knew, while this one is resumed
 * @forebear_stale: somebody else has written the set since
 * @settle_work: after a change of @write_cache
 * @lost_work: ends REMAP_LOST_CACHE when nobody has the device open any more
 * @counters: soft state
 * @lock: held by the one writer
 * @meta: metadata, under @lock
 * @queue_lock: protects @queue; taken from end_io
 * @queue: bios for the worker, in order of arrival
 * @work: the worker
 * @event_work: tells device-mapper's listeners of a change of mode
 * @wq: runs @work and nothing else
 * @soft_wq: runs @autosave and @lost_work, which may wait for @lock, and beside
 *           them @event_work and @note_work, which do not
 * @autosave: saves soft state now and then
 * @soft_saved: the sum of the error counters when they were last saved
 * @soft_saved_at: jiffies when they were last saved, or tried to be
 * @mark_at: jiffies when the mark was last brought up to date by the timer
 * @last_save: seconds since 1970 UTC, 0: never
 * @clones: bios of pieces
 * @round: bios of the present round of the worker
 * @piece: pieces of the present round
 * @nr_pieces: how many
 * @change: changes of the present commit
 * @group: number of the present group of piece bios
 * @near: what was asked last
 * @is_slow: a command that failed took its time: what is confirmed goes one by one (E8)
 * @subs_pending: piece bios not completed yet, plus one for the submitter
 * @subs_done: completed when that drops to zero
 * @parked: bios whose chunk is busy, until it is not; under @lock
 * @manual: moving sectors by hand, see manual.h
 * @rw_bio: for synchronous I/O, with @rw_vecs; under @lock
 * @rw_vecs: BIO_MAX_VECS vectors
 * @chunk_buffer: one chunk, for copies; under @lock
 * @probe_buffer: two chunks, for the probe; under @lock
 * @nr_probe: number of the last probe
 * @tokens: chunks that may be relocated now (E7)
 * @tokens_at: jiffies when @tokens was last refilled
 * @owners: in the list of active sets, see owner.c
 * @claimed: its UUID is known and nobody else's; under the list's lock
 * @instances: in the list of all, see owner.c
 * @main_id: what @main was when the set was resumed
 * @spare_id: the same of @spare
 * @will: what it leaves when it dies before anybody inherits, see owner.c
 * @directory: in sysfs, while active
 * @name: of the mapped device when it was resumed; for events of its end
 * @note_lock: protects the ring of events; taken from end_io
 * @note: the ring
 * @note_head: next event goes here
 * @note_tail: next one to be sent
 * @note_seq: number of the last event
 * @note_work: sends them
 * @mode_told: mode that listeners know
 * @step_told: use of the spare, in percent, that listeners know; under @lock
 * @error_threshold: a setting kept for the daemon; the kernel relocates at the first error
 * @was_degraded: it was without its spare, and nothing was loaded since
 * @known: with @was_degraded: remap_known() before
 * @compare_at: jiffies when to compare again what could not be read
 */
struct remap_set {
	struct dm_target *ti;
	struct dm_dev *main;
	struct dm_dev *spare;
	sector_t spare_start;
	sector_t spare_sectors;
	unsigned int deadline_seconds;
	bool force_rw;
	unsigned long flags;
	bool has_write_cache;
	u8 write_cache;
	struct remap_flow flow;
	struct remap_scan *scan;
	struct remap_table table;
	struct remap_forebear forebear;
	bool forebear_stale;
	struct work_struct settle_work;
	struct delayed_work lost_work;
	struct remap_counters counters;

	struct mutex lock; /* the one writer */
	struct remap_meta meta;

	spinlock_t queue_lock; /* protects queue */
	struct bio_list queue;
	struct work_struct work;
	struct work_struct event_work;
	struct workqueue_struct *wq;
	struct workqueue_struct *soft_wq;
	struct delayed_work autosave;
	u64 soft_saved;
	unsigned long soft_saved_at;
	unsigned long mark_at;
	time64_t last_save;

	struct bio_set clones;
	struct bio_list round;
	struct remap_piece *piece;
	u32 nr_pieces;
	struct remap_change *change;
	struct remap_near near;
	u32 group;
	bool is_slow;
	atomic_t subs_pending;
	struct completion subs_done;

	struct bio_list parked;
	struct remap_manual *manual;

	struct bio rw_bio;
	struct bio_vec *rw_vecs;
	void *chunk_buffer;
	void *probe_buffer;
	u64 nr_probe;
	u64 tokens;
	unsigned long tokens_at;
	struct list_head owners;
	bool claimed;
	struct list_head instances;
	struct remap_member_id main_id;
	struct remap_member_id spare_id;
	struct remap_will *will;
	struct kobject *directory;
	char name[DM_NAME_LEN];
	spinlock_t note_lock; /* protects note, note_head, note_tail, note_seq */
	struct remap_note *note;
	u32 note_head;
	u32 note_tail;
	u64 note_seq;
	struct work_struct note_work;
	const char *mode_told;
	u32 step_told;
	unsigned int error_threshold;
	bool was_degraded;
	u64 known;
	unsigned long compare_at;
};

/**
 * struct remap_bio - per-bio data
 * @iter: as mapped, bi_sector counting from the start of the mapped device
 * @error: why it came to the worker, when @failed
 * @status: first error that the worker met
 * @start: jiffies when it was mapped; when it failed, if @failed: its time is limited (E4)
 * @nr_taken: sectors of it that the worker has already dealt with
 * @slot: that it was sent to, when @kind is REMAP_PLACE_SPARE
 * @flush_sum: remap_gate.nr_failed when it was mapped, if REMAP_BIO_GATED
 * @bi_flags: as mapped: bio_endio() is called a second time (by us)
 * @kind: enum remap_place_kind it was sent to
 * @flags: REMAP_BIO_*; zero: at its end there is nothing to do, unless it failed
 * @counted: where it is counted, if REMAP_BIO_COUNTED
 * @failed: it is in the worker because its lower I/O failed
 * @has_left: some of it goes on in the next round
 * @parked: its next sector is in a busy chunk
 */
struct remap_bio {
	struct bvec_iter iter;
	blk_status_t error;
	blk_status_t status;
	unsigned long start;
	u32 nr_taken;
	u32 slot;
	u64 flush_sum;
	u64 __percpu *counted;
	unsigned short bi_flags;
	u8 kind;
	u8 flags;
	bool failed;
	bool has_left;
	bool parked;
};

/* The fast path looks at all of them at once. */
#define REMAP_BIO_COUNTED	BIT(0)	/* until its lower I/O ends, see remap_drain() */
#define REMAP_BIO_ENDED		BIT(1)	/* by the worker, or in map: end_io has nothing to do */
#define REMAP_BIO_SPARE_WRITE	BIT(2)	/* sectors are written to the spare (D9) */
#define REMAP_BIO_SPARE		BIT(3)	/* it goes to the spare */
#define REMAP_BIO_GATED		BIT(4)	/* it is acknowledged after a flush of ours (D17) */
#define REMAP_BIO_NOT_CACHED	BIT(5)	/* its end leaves nothing in main's cache (D10) */
#define REMAP_BIO_WRITTEN_BACK	BIT(6)	/* its end leaves it in main's cache only, see scan.c */

static inline struct remap_bio *remap_bio(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct remap_bio));
}

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
	return &set->meta.super.geometry;
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

/**
 * struct remap_sink - who gets the events
 * @is_listened: whether anybody wants any; any context
 * @send: one of them; may sleep, but waits for no I/O of ours
 */
struct remap_sink {
	bool (*is_listened)(void);
	void (*send)(struct remap_set *set, const struct remap_note *note);
};

/* events.c */
void remap_set_sink(const struct remap_sink *to);
bool remap_listened(void);
void remap_notify(struct remap_set *set, struct remap_note *note);
void remap_send_notes(struct work_struct *work);
void remap_note_use(struct remap_set *set);
bool remap_status_confirmable(blk_status_t status);
u8 remap_status_class(blk_status_t status);
void remap_note_error(struct remap_set *set, u32 kind, u64 sector, u32 nr_sectors,
		      bool on_spare, blk_status_t error);
void remap_notice_mode(struct remap_set *set);
void remap_unlock(struct remap_set *set);
void remap_event_work(struct work_struct *work);

/* construct.c */
int remap_ctr(struct dm_target *ti, unsigned int argc, char **argv);
void remap_dtr(struct dm_target *ti);

/* table.c */
int remap_table_init(struct remap_table *table, u32 nr_slots, u64 main_sectors);
u64 remap_table_bytes(u32 nr_slots, u64 main_sectors);
void remap_table_exit(struct remap_table *table);
void remap_table_clear(struct remap_table *table);
void remap_table_lookup(const struct remap_table *table, u64 sector, u32 nr_sectors,
			u64 slow_flags, struct remap_place *place);
s64 remap_table_slot(const struct remap_table *table, u64 sector, u32 nr_sectors,
		     u64 slow_flags);
s64 remap_table_find(const struct remap_table *table, u64 chunk);
s64 remap_table_peek(const struct remap_table *table, u64 chunk, u64 *word, u64 *prov);
void remap_table_set(struct remap_table *table, u32 slot, u64 word);
void remap_table_insert(struct remap_table *table, u32 slot, u64 word);
void remap_table_remove(struct remap_table *table, u32 slot, u64 word);

/* io.c */
int remap_io_rw(struct remap_set *set, const struct remap_io *io, struct dm_dev *dev,
		sector_t sector, void *buffer, u32 nr_sectors, blk_opf_t opf);
int remap_rw(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
	     u32 nr_sectors, blk_opf_t opf);
int remap_rw_chunk(struct remap_set *set, struct dm_dev *dev, sector_t start, u8 mask,
		   unsigned int unit, blk_opf_t opf, u8 *failed);

/* queue.c */
void remap_queue(struct remap_set *set, struct bio *bio);
void remap_end_bio(struct bio *bio, blk_status_t status);
void remap_bio_failed(struct remap_set *set, struct remap_bio *pb, blk_status_t error);
void remap_suspect(struct remap_set *set, struct bio *bio);

/* commit.c */
int remap_commit(struct remap_set *set, struct remap_change *change, u32 nr_changes);
int remap_commit_block(struct remap_set *set, u32 block);
int remap_write_block(struct remap_set *set, u32 block);
void remap_resolve_doubt(struct remap_set *set, bool now);
s64 remap_slot_alloc(struct remap_set *set);
void remap_slot_release(struct remap_set *set, u32 slot);
int remap_super_commit(struct remap_set *set);
int remap_settle_super(struct remap_set *set);
int remap_super_set_flags(struct remap_set *set, u32 mask, u32 flags);
u64 remap_next_seq(struct remap_set *set);
void remap_image_table_block(struct remap_set *set, u32 block,
			     const struct remap_change *change, u32 nr_changes);
void remap_clear_doubt(struct remap_set *set, u32 block);
bool remap_may_write(const struct remap_set *set);

/* frozen.c */
int remap_freeze_block(struct remap_set *set, u32 block, unsigned int copy);
void remap_freeze_if_dead(struct remap_set *set, u32 block);
void remap_count_frozen(struct remap_set *set);
bool remap_is_frozen(const struct remap_set *set, u32 slot);
bool remap_is_pinned(const struct remap_set *set, u64 chunk);
int remap_thaw_block(struct remap_set *set, u32 block);

/**
 * struct remap_load - between the steps of loading
 * @formatted: the set was made just now
 * @age: the numbers on the media
 * @committed: the highest number that was ever known to be complete
 */
struct remap_load {
	bool formatted;
	struct remap_age age;
	u64 committed;
};

/* load.c */
int remap_probe_spare(struct remap_set *set, char **error);
int remap_load_super(struct remap_set *set, struct remap_load *load);
int remap_load_tables(struct remap_set *set, struct remap_load *load);
int remap_load_finish(struct remap_set *set, const struct remap_load *load);
int remap_activate(struct remap_set *set);
int remap_find_super(struct remap_set *set, struct remap_super *super,
		     struct remap_choice *choice, enum remap_verdict verdict[REMAP_COPIES],
		     char **error);
int remap_explain_no_super(struct remap_set *set, const enum remap_verdict verdict[REMAP_COPIES],
			   char **error);
sector_t remap_copy_sector(const struct remap_set *set, unsigned int copy, u32 block);
int remap_dead_copy(const struct remap_set *set, u32 block);
bool remap_write_anchor(struct remap_set *set);
void remap_inherit_probe(struct remap_set *set, bool failed);
bool remap_is_unknown_to(const struct remap_set *set, u64 newest);
u64 remap_highest_own(const struct remap_set *set);
bool remap_soft_is_due(struct remap_set *set, unsigned long interval);
void *remap_copy_buffer(const struct remap_set *set, unsigned int copy, u32 i);
void remap_read_copy(struct remap_set *set, unsigned int copy, u32 block, u32 nr,
		     unsigned long *unreadable);
enum remap_verdict remap_check_super_copy(const struct remap_set *set, const void *data,
					  struct remap_super *super);
enum remap_verdict remap_check_table_copy(const struct remap_set *set, u32 block,
					  const void *data);

/* check.c */
int remap_check_media(struct remap_set *set, bool alone, u32 *nr_repaired);
int remap_compare_media(struct remap_set *set);
bool remap_is_spare_gone(struct remap_set *set);

/* degraded.c */
void remap_recompare(struct remap_set *set);
bool remap_has_been_degraded(const struct remap_set *set);
void remap_end_degraded(struct remap_set *set);
bool remap_resume_degraded(struct remap_set *set);
void remap_refuse_altered(struct remap_set *set);

/* Whether it was resumed without its spare, and is not compared yet (D22).  Context: any. */
static inline bool remap_is_degraded(const struct remap_set *set)
{
	return test_bit(REMAP_UNCOMPARED, &set->flags);
}

/* format.c */
int remap_check_blank(struct remap_set *set);
bool remap_is_initial(const struct remap_set *set, u64 region_sector, const void *data);
int remap_format(struct remap_set *set);

/* mark.c */
void remap_age_of(const struct remap_set *set, struct remap_age *age);
int remap_check_mark(struct remap_set *set, const struct remap_age *age);
int remap_write_mark(struct remap_set *set);
bool remap_main_alive(struct remap_set *set);
void remap_update_mark(struct remap_set *set);
int remap_find_probe_chunk(struct remap_set *set, u64 *chunk);
void remap_mend_probe(struct remap_set *set);
void remap_note_probe(struct remap_set *set);
int remap_save_chunk(struct remap_set *set, u64 chunk, u32 slot, u8 cause);

/* slow.c */
size_t remap_sub_front_pad(void);
void remap_unpark(struct remap_set *set);
void remap_worker(struct work_struct *work);
void remap_subs_begin(struct remap_set *set);
void remap_sub_submit(struct remap_set *set, struct remap_piece *piece, struct dm_dev *dev,
		      sector_t sector, blk_opf_t add);
void remap_subs_wait(struct remap_set *set);
void remap_subs_wait_durable(struct remap_set *set);

enum remap_piece_class {
	REMAP_PIECE_DONE,	/* nothing left to do, see status */
	REMAP_PIECE_SERVE,	/* send it to @dev, @sector */
	REMAP_PIECE_MAIN_WRITE,	/* a write to main, relocated when it fails */
	REMAP_PIECE_CONFIRM,	/* its write to main failed */
	REMAP_PIECE_BAD,	/* so did another write: a probe must tell that main is alive */
	REMAP_PIECE_RELOCATE,	/* confirmed, or the sectors are lost ones */
	REMAP_PIECE_MOVE,	/* its slot does not take it */
};

/**
 * struct remap_piece - a run of sectors of one bio in one chunk, served alike
 * @bio: the bio it is part of
 * @class: what to do with it
 * @offset: sectors from the start of the bio
 * @nr_sectors: 1 to 8
 * @sector: first sector on the mapped device
 * @dev: where it goes, or was sent last; else NULL
 * @dev_sector: the sector on @dev
 * @group: the group of piece bios in which it was sent last
 * @on_spare: @dev is the spare
 * @is_fua: it was sent with FUA
 * @status: the outcome
 * @change: index into remap_set.change while being relocated
 */
struct remap_piece {
	struct bio *bio;
	enum remap_piece_class class;
	u32 offset;
	u32 nr_sectors;
	u64 sector;
	struct dm_dev *dev;
	sector_t dev_sector;
	u32 group;
	bool on_spare;
	bool is_fua;
	blk_status_t status;
	u32 change;
};

/* scan.c */
int remap_scan_init(struct remap_set *set, work_func_t work);
void remap_scan_work(struct work_struct *work);
void remap_scan_exit(struct remap_set *set);
void remap_scan_written(struct remap_set *set, u64 sector, u32 nr_sectors);
void remap_scan_begin(struct remap_set *set);
void remap_scan_end(struct remap_set *set, bool failed);
void remap_scan_stop(struct remap_set *set);
void remap_scan_resume(struct remap_set *set);

/* near.c */
bool remap_is_one_disk(const struct remap_set *set);
u32 remap_near_window(const struct remap_set *set);
bool remap_near_alive(struct remap_set *set, u64 sector);

/* confirm.c */
void remap_confirm(struct remap_set *set);

/* relocate.c */
void remap_give_up(struct remap_set *set, struct remap_piece *piece, u8 reason);
bool remap_is_late(const struct remap_set *set, const struct remap_piece *piece);
bool remap_take_token(struct remap_set *set);
void remap_relocate(struct remap_set *set);

/* move.c */
void remap_move(struct remap_set *set);

/**
 * struct remap_cursor - where a request stands
 * @index: range, or slot
 * @done: sectors of the range
 */
struct remap_cursor {
	u32 index;
	u64 done;
};

/**
 * struct remap_request - sectors to move by hand
 * @back: from the spare to main
 * @all: whatever can be; else:
 * @nr_ranges: how many ranges
 * @range: the range number @index, inside the mapped device, at least one sector
 * @data: for @range
 * @cause: to be recorded: enum remap_cause
 * @nr_lost: out: sectors that could not be read
 * @at: the next chunk
 * @behind: where to go on when the chunk at @at cannot be done
 * @is_done: nothing is left
 * @rest: the present batch copies the rest of physical blocks to the spare
 * @nr_tries: slots in a row that turned out to be bad
 */
struct remap_request {
	bool back;
	bool all;
	u32 nr_ranges;
	void (*range)(const struct remap_request *request, u32 index, u64 *sector,
		      u64 *nr_sectors);
	const void *data;
	u8 cause;
	u64 nr_lost;
	struct remap_cursor at;
	struct remap_cursor behind;
	bool is_done;
	bool rest;
	u32 nr_tries;
};

/* manual.c */
int remap_do_request(struct remap_set *set, struct remap_request *request);
int remap_clear(struct remap_set *set, u32 *nr_kept, u32 *nr_guard);
void remap_wait_for_manual(struct remap_set *set);

/* soft.c */
int remap_soft_load(struct remap_set *set);
int remap_soft_save(struct remap_set *set);
bool remap_spare_alive(struct remap_set *set);
void remap_soft_start(struct remap_set *set);
void remap_autosave(struct work_struct *work);

/* cache.c */
void remap_take_over(struct remap_set *set);
void remap_accept_loss(struct remap_set *set);
void remap_watch_lost(struct remap_set *set);
void remap_lost_work(struct work_struct *work);

/* through.c */
void remap_error_seen(struct remap_set *set);
void remap_settle_work(struct work_struct *work);
void remap_load_write_cache(struct remap_set *set);
void remap_set_write_cache(struct remap_set *set, enum remap_write_cache write_cache);
int remap_parse_write_cache(const char *word);
const char *remap_write_cache_name(enum remap_write_cache write_cache);

static inline bool remap_is_same_device(const struct remap_set *a, const struct remap_set *b)
{
	return dm_table_get_md(a->ti->table) == dm_table_get_md(b->ti->table) &&
	       a->ti->table != b->ti->table;
}

static inline bool remap_is_same_set(const struct remap_set *set, const u8 *uuid)
{
	return !memcmp(set->meta.super.uuid, uuid, REMAP_UUID_BYTES);
}

/* owner.c */
int remap_add_instance(struct remap_set *set);
void remap_remove_instance(struct remap_set *set);
void remap_find_forebear(struct remap_set *set);
void remap_identify(struct remap_set *set);
bool remap_is_member(const struct remap_member_id *id, const struct dm_dev *dev);
void remap_forget_wills(const struct remap_set *set);
int remap_own(struct remap_set *set);
int remap_claim(struct remap_set *set);
void remap_disown(struct remap_set *set);
bool remap_owned_by_other(const struct remap_set *set);
typedef int (*remap_set_fn)(struct remap_set *set, void *data);
void remap_walk_active(remap_set_fn f, void *data, unsigned int *generation);

/* mode.c */
const char *remap_mode(const struct remap_set *set);

/* status.c */
void remap_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
		  char *result, unsigned int maxlen);
void remap_metadata_status(struct remap_set *set, char *result, unsigned int maxlen);

/* sysfs.c */
void remap_sysfs_add(struct remap_set *set);
void remap_sysfs_remove(struct remap_set *set);
void remap_sysfs_init(void);

/* netlink.c */
int remap_netlink_init(void);
void remap_netlink_exit(void);

/* message.c */
int remap_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		  unsigned int maxlen);

#endif /* DM_REMAP_H */
