/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spare region read (and, for create, written) from userspace: a device or an
 * image, active or not.  All knowledge of bytes is in common/remap_format.c.
 * Callers: everything offline (check, dump, backup, create, release), scan.c.
 */
#ifndef DM_REMAP_REGION_H
#define DM_REMAP_REGION_H

#include "remap_format.h"
#include "util/progress.h"
#include "util/util.h"

/**
 * struct region - an opened spare region
 * @fd: of the device or image; borrowed
 * @start: first sector of the region on it
 * @nr_sectors: length of the region
 * @super: the chosen superblock
 * @verdict: of the four superblocks, index 2 * replica + place
 * @choice: which of them counts
 * @in_doubt: after a failed region_write_super(): the new one may count, or the old one
 * @progress: of region_read_table(), in region_table_steps(); NULL: not shown
 */
struct region {
	int fd;
	uint64_t start;
	uint64_t nr_sectors;
	struct remap_super super;
	enum remap_verdict verdict[REMAP_COPIES];
	struct remap_choice choice;
	bool in_doubt;
	struct progress *progress;
};

/**
 * struct region_table - all entries of a region
 * @entry: one per slot
 * @nr_slots: length of @entry
 * @unloadable: per block of a place, index 0 the superblock: it counts in @nr_unloadable
 * @generation: highest committed number that was seen
 * @age: the numbers of all blocks, to compare with main's mark
 * @newest: highest number of any copy that is whole, those of saved counters included
 * @nr_damaged: copies that are not what they should be
 * @nr_unloadable: blocks without any valid copy, with a conflict, or of which only older
 *                 content is left, or may be: newer content would be where nothing can be read
 * @nr_contradictions: chunks that more than one slot claims and no generation decides
 */
struct region_table {
	struct remap_entry *entry;
	uint32_t nr_slots;
	bool *unloadable;
	uint64_t generation;
	struct remap_age age;
	uint64_t newest;
	uint32_t nr_damaged;
	uint32_t nr_unloadable;
	uint32_t nr_contradictions;
};

/* One copy of one block, as `check` and `dump` show it. */
typedef int (*region_copy_f)(void *userdata, uint32_t block, unsigned int replica,
			     unsigned int place, enum remap_verdict verdict, uint64_t seq,
			     bool chosen);

/*
 * Reads the superblocks.  -ENODATA: no set there (nothing of ours at all);
 * -ENOTSUP: a version or feature this release does not know; -EUCLEAN: ours, but
 * no superblock can be believed.
 */
int region_open(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region *region,
		struct error *error);
/*
 * Reads all entries; @f (or NULL) is called for every copy.  Damage is counted, not an error:
 * what is left can be shown.  Of an active set on a device the page cache may be behind:
 * open it with O_DIRECT.
 */
int region_read_table(const struct region *region, struct region_table *table, region_copy_f f,
		      void *userdata, struct error *error);
void region_table_done(struct region_table *table);
static inline uint64_t region_table_steps(const struct remap_geometry *geometry)
{
	return 1 + geometry->table_blocks + geometry->soft_blocks;
}

/* Counters; -ENODATA: no valid copy. */
int region_read_soft(const struct region *region, struct remap_soft_disk *soft);

/**
 * struct segment - a run of sectors of main and who serves them (O9)
 * @start: first sector of the mapped device
 * @nr_sectors: length
 * @kind: who
 * @spare_sector: on the spare device (not the region), for SEGMENT_SPARE
 */
struct segment {
	uint64_t start;
	uint64_t nr_sectors;
	enum segment_kind {
		SEGMENT_MAIN,
		SEGMENT_SPARE,
		SEGMENT_LOST,
	} kind;
	uint64_t spare_sector;
};

/* More of them make no table: device-mapper's limit (DM_MAX_TARGETS). */
#define SEGMENTS_MOST 1048576U

/*
 * The whole mapped device as segments, in order, without gaps; the caller frees.
 * -EFBIG when there are more than SEGMENTS_MOST; -EUCLEAN when blocks of the table are missing or contradict: sectors that they named
 * would be read from main, where their data is old (P2).
 */
int region_segments(const struct region *region, const struct region_table *table,
		    struct segment **segments, size_t *nr_segments, struct error *error);

/**
 * struct region_plan - what create writes to a blank or agreed-upon region
 * @super: uuid, main_sectors, probe_chunk, host_id, label, identity, flags, and the number that
 *         all blocks get, 0: the first; when it was created, 0: now; the rest is filled in
 * @soft: counters to begin with; NULL: zero
 * @entry: entries for the first @nr_entries slots; slot 0 is the probe chunk's
 * @nr_entries: how many
 * @data: @nr_data chunks: what the first slots hold; aligned if @fd is opened for direct I/O
 * @read: instead of @data: fills in what a slot holds, an aligned chunk; NULL: @data has it
 * @userdata: its argument
 * @nr_data: how many, of the others nothing is written
 * @laid_out: the caller has wiped all places of metadata, and put into super.dead those that take
 *            no write; slots that are not used get no data
 * @note: until the first superblock is written a note in its place says that one is to come, or
 *        what is half-written would look like a damaged spare whose slots hold data
 * @is_new: with @note: the set is only being made, so that what is half-written may be
 *          overwritten: region_is_half_made()
 * @progress: one step for each block of the tables; NULL: not shown
 */
struct region_plan {
	struct remap_super super;
	const struct remap_soft_disk *soft;
	struct remap_entry *entry;
	uint32_t nr_entries;
	uint8_t *data;
	int (*read)(void *userdata, uint32_t slot, uint8_t *chunk);
	void *userdata;
	uint32_t nr_data;
	bool laid_out;
	bool note;
	bool is_new;
	struct progress *progress;
};

/*
 * Whether there is such a note of that set: no superblock on the device counts.  *@super (may be
 * NULL): the one that is to take its place.
 */
bool region_has_note(int fd, uint64_t start_sector, const uint8_t uuid[REMAP_UUID_BYTES],
		     struct remap_super *super);
/* What a create that was cut short left before its set counted: nothing needs it. */
bool region_is_half_made(int fd, uint64_t start_sector);
/*
 * Formats a region by the rules of FORMAT.md section 8, superblock without flag bit 0
 * last: the kernel writes the mark at the first activation.  Wipes every place of
 * metadata first, so that nothing of an earlier life counts.
 */
int region_format(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region_plan *plan,
		  struct error *error);
/* The same in two steps: all but the superblocks, and these. */
int region_prepare(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region_plan *plan,
		   struct error *error);
int region_complete(int fd, uint64_t start_sector, const struct remap_super *super,
		    struct error *error);
/*
 * A restored block, with a number above all others, into both replicas, but not into a dead
 * place; what was in its places, which could not be believed, is gone afterwards.
 */
int region_replace_block(const struct region *region, uint32_t block, void *data,
			 struct error *error);
/*
 * Commits one table block with these entries of all slots, as the kernel does: into the place
 * that does not hold the last committed copy, one replica after the other, each durably.  @seq
 * must be a number that no block has yet.  -EROFS: a place of it is dead.  After another error
 * the old content may count, or the new one.
 */
int region_commit_table(const struct region *region, uint32_t block, uint64_t seq,
			const struct remap_entry *entry, uint32_t nr_entries, struct error *error);
/*
 * Per entry of a table block: whether all of its copies say that the slot is free, so that none
 * that may come to count names it (C11).  With a dead place, none is.
 */
int region_find_unnamed(const struct region *region, uint32_t block,
			bool usable[REMAP_ENTRIES_PER_BLOCK]);
/* The four copies of a block, read and chosen from; @buffer: REMAP_COPIES aligned blocks. */
int region_read_copies(const struct region *region, uint32_t block, uint64_t newest,
		       uint8_t *buffer, struct remap_copies *copies);
/* The entries of one table block, sealed, with number @seq. */
void region_encode_table(const struct remap_super *super, uint32_t block, uint64_t seq,
			 const struct remap_entry *entry, uint32_t nr_entries, void *data);
/*
 * Replaces the superblock, one replica after the other, as a commit does; @super->seq must
 * be a number that no block has yet (C2), and the one after it must be free, too: after a
 * failure the old content is written again under that, and region->super has it.  Where
 * that fails as well, region->in_doubt is set.
 */
int region_write_super(struct region *region, struct remap_super *super, struct error *error);
/*
 * Makes the region no set any more, and a blank one: all places of metadata, its first and
 * last MiB become zero, durably.  May be repeated: the newest superblock goes last.
 */
int region_wipe(const struct region *region, struct error *error);
/* Whether region_wipe() had begun: one superblock is left, and zeros are where the others were. */
bool region_is_half_wiped(const struct region *region);
/*
 * The same for a spare that another one has taken the place of: its superblocks go first, so
 * that it is never found with slots that are wiped already.  One that cannot be written keeps
 * the others from nothing.
 */
int region_discard(const struct region *region, struct error *error);

/* What others find at the end of a device that is longer than the region becomes zero. */
int region_wipe_device_end(int fd, uint64_t region_end_sector, uint64_t device_sectors,
			   struct error *error);

#endif /* DM_REMAP_REGION_H */
