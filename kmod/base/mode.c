// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mode word: what a set can do now.  Made of facts that are there, kept nowhere.
 */
#include "base/set.h"

/**
 * remap_mode() - the mode word
 * @set: the set
 *
 * The worst that applies.  Context: any.
 */
const char *remap_mode(const struct remap_set *set)
{
	const struct remap_table *table = &set->table;

	if (test_bit(REMAP_FAILED, &set->flags))
		return "fail";
	if (test_bit(REMAP_READ_ONLY, &set->flags))
		return "ro";
	if (test_bit(REMAP_LOST_CACHE, &set->flags))
		return "lost-cache";
	if (test_bit(REMAP_META_FAIL, &set->flags) || test_bit(REMAP_UNCOMPARED, &set->flags))
		return "meta_fail";
	if (READ_ONCE(table->nr_used) + READ_ONCE(table->nr_bad) + READ_ONCE(table->nr_unusable) >=
	    remap_geometry(set)->slots)
		return "full";
	if (test_bit(REMAP_FROZEN, &set->flags))
		return "frozen";
	return "rw";
}
