// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding the superblock, and what there is instead of one.  Nothing is written here.
 *
 * Rules kept here:
 *   P7  what is not this set, or of an unknown format, is refused and not written
 *   C16 every superblock is checked whole, wherever it was found
 */
#include "meta/internal.h"

/* Read the four superblocks where a layout says; the one that counts to *super. */
static int read_super(struct remap_set *set, const struct remap_geometry *geometry,
		      struct remap_super *super, struct remap_copies *copies)
{
	remap_read_blocks(set, geometry, 0, 1);
	remap_get_copies(set, 0, copies);
	return remap_judge_supers(copies, super);
}

static const char *explain(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		return "the set was made by a newer dm-remap: load a newer module";
	case -EBADMSG:
		return "all superblocks are damaged: run 'dmremap check' for details";
	case -EUCLEAN:
		return "the superblocks contradict each other: 'dmremap check' shows them";
	}
	return "superblocks cannot be read, and the others are not valid";
}

/* Whether a superblock goes with the table line. */
static int check_super(struct remap_set *set, const struct remap_super *super)
{
	switch (remap_super_fit(super, set->ti->len, set->spare_sectors)) {
	case REMAP_FITS:
		return 0;
	case REMAP_OTHER_MAIN:
		remap_err(set, "%s belongs to a main device of %llu sectors, not %llu",
			  set->spare->name, super->main_sectors, (u64)set->ti->len);
		return -EINVAL;
	case REMAP_OTHER_REGION:
		remap_err(set, "%s: the set's region has %llu sectors, not %llu", set->spare->name,
			  super->geometry.region_sectors, (u64)set->spare_sectors);
		return -EINVAL;
	case REMAP_UNFINISHED:
		remap_err(set, "%s: %s of this set was interrupted: run 'dmremap activate %s' to repair it",
			  set->spare->name,
			  super->flags & REMAP_SUPER_CREATING ? "the creation" : "the release",
			  set->spare->name);
	}
	return -EBUSY;
}

/**
 * remap_find_super() - find the superblock
 * @set: the set; nothing of it is changed
 * @super: set to the best copy
 * @copies: of it
 *
 * Where the formula puts the four copies, and then, if the best of them has another layout,
 * where that says.  Both are held to the same rules, and the second one must lie where it says
 * itself (C16).  The layout of a valid one is never larger than what was allocated for.
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0; -ENODATA: there is nothing of ours; or another negative errno, with a line in the
 * log.
 */
int remap_find_super(struct remap_set *set, struct remap_super *super,
		     struct remap_copies *copies)
{
	struct remap_geometry formula;
	struct remap_super first;
	int r = remap_geometry_compute(set->spare_sectors, &formula) ?:
		read_super(set, &formula, super, copies);

	if (r && r != -ENODATA)
		remap_err(set, "%s: %s", set->spare->name, explain(r));
	r = r ?: check_super(set, super);
	if (r || !memcmp(&super->geometry, &formula, sizeof(formula)))
		return r;
	first = *super;
	r = read_super(set, &first.geometry, super, copies);
	if (!r && remap_super_same_layout(super, &first))
		return check_super(set, super);
	remap_err(set, "%s: a superblock contradicts the layout that locates it: activation refused",
		  set->spare->name);
	return -EUCLEAN;
}

/**
 * remap_check_foreign() - whether a region without superblock holds what is known to be another's
 * @set: the set; remap_find_super() found nothing
 *
 * Context: remap_set.lock held, may sleep.  Return: 0, or -EEXIST with a line in the log.
 */
int remap_check_foreign(struct remap_set *set)
{
	u32 nr_sectors = min_t(u64, set->spare_sectors, REMAP_FOREIGN_BYTES >> SECTOR_SHIFT);
	void *start = set->meta->read.buffer;
	const char *name;

	if (remap_rw(set, set->spare, set->spare_start, start, nr_sectors, REQ_OP_READ))
		return 0;
	name = remap_foreign_name(start, nr_sectors << SECTOR_SHIFT);
	/* Half-formatted by us, perhaps: remap_check_blank() looks closer (C14). */
	if (!name || remap_is_initial(remap_geometry(set), REMAP_BLOCK_SECTORS,
				      start + REMAP_BLOCK_BYTES))
		return 0;
	remap_err(set, "%s: the spare region holds %s: left as it is", set->spare->name, name);
	return -EEXIST;
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
 *
 * Writes nothing and keeps nothing: load looks again.  It is called so that a wrong table line is
 * refused before the old table is suspended.
 *
 * Context: may sleep, takes remap_set.lock.  Return: 0 or a negative errno, with a line in the
 * log.
 */
int remap_probe_spare(struct remap_set *set)
{
	struct remap_copies copies;
	struct remap_super super;
	int r;

	mutex_lock(&set->lock);
	r = remap_find_super(set, &super, &copies);
	if (r == -ENODATA) {
		r = remap_check_foreign(set);
	} else if (!r && super.flags & REMAP_SUPER_MARKED) {
		remap_use_super(set, &super);
		r = remap_check_anchor(set, NULL);
	}
	remap_unlock(set);
	return r;
}
