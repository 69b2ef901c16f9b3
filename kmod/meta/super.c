// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding the superblock, and what there is instead of one.  Nothing is written here.
 *
 * Rules kept here:
 *   P7  what is not this set, or of an unknown format, is refused and not written
 *   C16 every superblock is checked whole, wherever it was found
 */
#include "meta/internal.h"

/*
 * A superblock of another set among ours is damage like any other (P4): the
 * set that more copies name is the one.  Returns -EUCLEAN when two are equal.
 */
static int set_aside_strangers(struct remap_set *set, const void *copy[REMAP_COPIES],
			       enum remap_verdict verdict[REMAP_COPIES])
{
	const struct remap_block_header *header, *own = NULL;
	unsigned int c, other, votes, most = 0;
	bool tie = false;

	for (c = 0; c < REMAP_COPIES; c++) {
		header = copy[c];
		if (verdict[c] != REMAP_OK || (own && !memcmp(header->uuid, own->uuid,
							      REMAP_UUID_BYTES)))
			continue;
		for (other = 0, votes = 0; other < REMAP_COPIES; other++) {
			const struct remap_block_header *theirs = copy[other];

			votes += verdict[other] == REMAP_OK &&
				 !memcmp(header->uuid, theirs->uuid, REMAP_UUID_BYTES);
		}
		tie = votes == most || (tie && votes < most);
		if (votes > most) {
			most = votes;
			own = header;
		}
	}
	if (tie) {
		remap_err(set, "%s: superblocks of two sets lie in one region: activation refused",
			  set->spare->name);
		return -EUCLEAN;
	}
	for (c = 0; c < REMAP_COPIES; c++) {
		header = copy[c];
		if (verdict[c] == REMAP_OK && memcmp(header->uuid, own->uuid, REMAP_UUID_BYTES))
			verdict[c] = REMAP_OTHER_SET;
	}
	return 0;
}

/* Read the four superblocks where a layout says; best of them to *super. */
static int read_super(struct remap_set *set, const struct remap_geometry *geometry,
		      struct remap_super *super, struct remap_choice *choice,
		      enum remap_verdict verdict[REMAP_COPIES])
{
	const void *copy[REMAP_COPIES];
	u64 unknown_seq = 0;
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		void *data = remap_copy_buffer(set, c, 0);
		u64 sector = remap_block_sector(geometry, c / REMAP_PLACES, c % REMAP_PLACES, 0);

		copy[c] = data;
		if (remap_rw(set, set->spare, set->spare_start + sector, data,
			     REMAP_BLOCK_SECTORS, REQ_OP_READ))
			verdict[c] = REMAP_UNREADABLE;
		else
			verdict[c] = remap_super_decode(data, super);
		if (verdict[c] == REMAP_BAD_VERSION)
			unknown_seq = max(unknown_seq, remap_block_seq(data));
	}
	if (set_aside_strangers(set, copy, verdict))
		return -EUCLEAN;
	remap_choose(copy, verdict, choice);
	/* An older place, without what we do not know, is no way around it (P7). */
	if (choice->best >= 0 && unknown_seq > choice->seq)
		return -ENOENT;
	if (choice->conflict || choice->best < 0)
		return choice->conflict ? -EUCLEAN : -ENOENT;
	remap_super_decode(copy[choice->best], super);
	return 0;
}

/**
 * remap_explain_no_super() - what there is instead of a superblock
 * @set: the set; remap_find_super() found none
 * @verdict: of the four places
 * @error: set to a sentence when refused
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0: nothing that is known; or a negative errno, with a line in the log.
 */
int remap_explain_no_super(struct remap_set *set, const enum remap_verdict verdict[REMAP_COPIES],
			   char **error)
{
	unsigned int c, nr_unreadable = 0;
	const char *name;

	for (c = 0; c < REMAP_COPIES; c++) {
		nr_unreadable += verdict[c] == REMAP_UNREADABLE;
		if (verdict[c] == REMAP_BAD_VERSION) {
			remap_err(set, "%s: the set was made by a newer dm-remap: a newer module is needed",
				  set->spare->name);
			*error = "Spare was formatted by a newer dm-remap";
			return -EOPNOTSUPP;
		}
		if (verdict[c] == REMAP_BAD_CRC || verdict[c] == REMAP_BAD_FIELD) {
			remap_err(set, "%s: all superblocks are damaged: activation refused. 'dmremap check' can say more",
				  set->spare->name);
			*error = "All superblocks on the spare are damaged";
			return -EUCLEAN;
		}
	}
	if (nr_unreadable) {
		remap_err(set, "%s: %u of 4 superblocks cannot be read and the others are not valid",
			  set->spare->name, nr_unreadable);
		*error = "Superblocks on the spare cannot be read";
		return -EIO;
	}
	/* As much of the start of the region as fits in the buffer. */
	if (!remap_rw(set, set->spare, set->spare_start, set->meta->buffer,
		      min_t(u64, set->spare_sectors, REMAP_FOREIGN_BYTES >> SECTOR_SHIFT),
		      REQ_OP_READ)) {
		name = remap_foreign_name(set->meta->buffer,
					  min_t(u64, set->spare_sectors << SECTOR_SHIFT,
						REMAP_FOREIGN_BYTES));
		/* Half-formatted by us, perhaps: remap_check_blank() looks closer (C14). */
		if (name && !remap_is_initial(set, REMAP_BLOCK_SECTORS,
					      set->meta->buffer + REMAP_BLOCK_BYTES)) {
			remap_err(set, "%s: the spare region holds %s: left as it is",
				  set->spare->name, name);
			*error = "Spare region holds foreign content";
			return -EEXIST;
		}
	}
	return 0;
}

/* Whether a superblock goes with the table line. */
static int check_super(struct remap_set *set, const struct remap_super *super, char **error)
{
	switch (remap_super_fit(super, set->ti->len, set->spare_sectors)) {
	case REMAP_FITS:
		break;
	case REMAP_OTHER_MAIN:
		remap_err(set, "%s belongs to a main device of %llu sectors, not %llu",
			  set->spare->name, super->main_sectors, (u64)set->ti->len);
		*error = "Spare belongs to a main device of another length";
		return -EINVAL;
	case REMAP_OTHER_REGION:
		remap_err(set, "%s: the set's region has %llu sectors, not %llu", set->spare->name,
			  super->geometry.region_sectors, (u64)set->spare_sectors);
		*error = "SPARE_LEN is not that of the set";
		return -EINVAL;
	case REMAP_UNFINISHED:
		remap_err(set, "%s: %s of this set was interrupted: 'dmremap activate %s' mends it",
			  set->spare->name,
			  super->flags & REMAP_SUPER_CREATING ? "the creation" : "the release",
			  set->spare->name);
		*error = "Creation or release of the set was interrupted";
		return -EBUSY;
	default:
		*error = "Spare has superblocks that contradict each other";
		return -EUCLEAN;
	}
	/* A valid layout of this length never has more than was allocated for. */
	if (WARN_ON_ONCE(super->geometry.slots > set->table.nr_slots ||
			 1 + super->geometry.table_blocks + super->geometry.soft_blocks >
			 set->meta->nr_blocks))
		return -EUCLEAN;
	return 0;
}

/**
 * remap_find_super() - find the superblock
 * @set: the set; nothing of it is changed
 * @super: set to the best copy
 * @choice: which one that is
 * @verdict: of the four places
 * @error: set to a sentence when refused
 *
 * Where the formula puts the four copies, and then, if the best of them has another layout,
 * where that says.  Both are held to the same rules, and the second one must lie where it says
 * itself (C16).
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0; -ENOENT: there is none; or another negative errno.
 */
int remap_find_super(struct remap_set *set, struct remap_super *super,
		     struct remap_choice *choice, enum remap_verdict verdict[REMAP_COPIES],
		     char **error)
{
	struct remap_super first;
	struct remap_geometry formula;
	int r = remap_geometry_compute(set->spare_sectors, &formula) ?:
		read_super(set, &formula, &first, choice, verdict);

	*error = "Superblocks on the spare contradict each other";
	if (r)
		return r;
	r = check_super(set, &first, error);
	if (r)
		return r;
	*super = first;
	if (!memcmp(&first.geometry, &formula, sizeof(formula)))
		return 0;
	r = read_super(set, &first.geometry, super, choice, verdict);
	if (!r)
		r = check_super(set, super, error);
	if (!r && remap_super_same_layout(super, &first))
		return 0;
	remap_err(set, "%s: a superblock names another layout than the one that leads to it: activation refused",
		  set->spare->name);
	return r && r != -ENOENT ? r : -EUCLEAN;
}

/**
 * remap_use_super() - from now on this is the set's superblock
 * @set: the set; nothing is mapped
 * @super: it was checked
 *
 * Context: remap_set.lock held.
 */
void remap_use_super(struct remap_set *set, const struct remap_super *super)
{
	set->meta->super = *super;
	set->geometry = super->geometry;
}

/**
 * remap_probe_spare() - a first look at the spare, for the constructor
 * @set: the set; another instance may own the media and write now
 * @error: set to a sentence when refused
 *
 * Writes nothing and keeps nothing: remap_load() looks again.  It is here so
 * that a wrong table line is refused before the old table is suspended.
 *
 * Context: may sleep, takes remap_set.lock.  Return: 0 or a negative errno.
 */
int remap_probe_spare(struct remap_set *set, char **error)
{
	enum remap_verdict verdict[REMAP_COPIES];
	struct remap_super super = { };
	struct remap_choice choice;
	int r;

	mutex_lock(&set->lock);
	r = remap_find_super(set, &super, &choice, verdict, error);
	if (!r && super.flags & REMAP_SUPER_MARKED) {
		remap_use_super(set, &super);
		r = remap_check_anchor(set, NULL);
		if (r)
			*error = "Main device is not that of the set";
	} else if (r == -ENOENT) {
		r = remap_explain_no_super(set, verdict, error);
	}
	remap_unlock(set);
	return r;
}
