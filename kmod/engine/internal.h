/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of engine/ share.
 */
#ifndef DM_REMAP_ENGINE_INTERNAL_H
#define DM_REMAP_ENGINE_INTERNAL_H

#include <linux/completion.h>

#include "engine/engine.h"
#include "meta/meta.h"

/* Pieces (runs of sectors in one chunk) that one round of the worker handles. */
#define REMAP_ROUND_PIECES	512
/* Writes that are confirmed at once: the deadline is looked at between groups. */
#define REMAP_CONFIRM_GROUP	8
/* A round stops confirming after so many jiffies, and relocates what it has (E8). */
#define REMAP_CONFIRM_TIME	(HZ / 2)
/* Slots tried for one chunk before its write fails. */
#define REMAP_SLOT_TRIES	16

struct remap_manual;

/**
 * struct remap_near - good chunks which showed that a main of several disks is alive, see near.c
 * @number: of the window for which they showed it
 * @chunk: one in that window, or one on either side of it
 * @nr: how many
 */
struct remap_near {
	u64 number;
	u64 chunk[2];
	u32 nr;
};

/**
 * struct remap_engine - the worker's; under remap_set.lock
 * @clones: bios of pieces
 * @round: bios of the present round of the worker
 * @parked: bios whose chunk is busy, until it is not
 * @piece: pieces of the present round
 * @nr_pieces: how many
 * @change: changes of the present commit
 * @near: what was asked last
 * @group: number of the present group of piece bios
 * @subs_pending: piece bios not completed yet, plus one for the submitter
 * @subs_done: completed when that drops to zero
 * @tokens: chunks that may be relocated now (E7)
 * @tokens_at: jiffies when @tokens was last refilled
 * @manual: moving sectors by hand, see manual.h
 */
struct remap_engine {
	struct bio_set clones;
	struct bio_list round;
	struct bio_list parked;
	struct remap_piece *piece;
	u32 nr_pieces;
	struct remap_change *change;
	struct remap_near near;
	u32 group;
	atomic_t subs_pending;
	struct completion subs_done;
	u64 tokens;
	unsigned long tokens_at;
	struct remap_manual *manual;
};

enum remap_piece_class {
	REMAP_PIECE_DONE,	/* nothing left to do, see status */
	REMAP_PIECE_SERVE,	/* send it to @dev, @dev_sector */
	REMAP_PIECE_CONFIRM,	/* its write to main failed */
	REMAP_PIECE_BAD,	/* so did another write: a probe must tell that main is alive */
	REMAP_PIECE_RELOCATE,	/* confirmed, or lost sectors, or the slot that it went to fails */
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
 * @change: index into remap_engine.change while being relocated
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

/* pieces.c */
struct remap_piece *remap_next_piece(const struct remap_set *set, struct remap_piece *piece,
				     enum remap_piece_class class);
size_t remap_sub_front_pad(void);
void remap_unpark(struct remap_set *set);
void remap_subs_begin(struct remap_set *set);
void remap_sub_submit(struct remap_set *set, struct remap_piece *piece, struct dm_dev *dev,
		      sector_t sector, blk_opf_t add);
void remap_subs_wait(struct remap_set *set);
void remap_subs_wait_durable(struct remap_set *set);
void remap_give_up(struct remap_set *set, struct remap_piece *piece, u8 reason);
bool remap_is_late(const struct remap_set *set, const struct remap_piece *piece);
bool remap_take_token(struct remap_set *set);

/* near.c */
bool remap_is_one_disk(const struct remap_set *set);
u32 remap_near_window(const struct remap_set *set);
bool remap_ping_near(struct remap_set *set, u64 sector);

/* What the worker does with the pieces of a round, in this order. */
void remap_confirm(struct remap_set *set);
void remap_relocate(struct remap_set *set);

#endif /* DM_REMAP_ENGINE_INTERNAL_H */
