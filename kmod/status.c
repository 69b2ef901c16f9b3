// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `dmsetup status`, `dmsetup table` and the message `metadata_status` show.
 * Facts only, read without the lock: a number may be a moment old.
 */
#include "dm-remap.h"

static unsigned int emit_counters(const struct remap_set *set, unsigned int first,
				  unsigned int end, char *result, unsigned int sz,
				  unsigned int maxlen)
{
	unsigned int i;

	for (i = first; i < end; i++)
		DMEMIT(" %s=%lld", remap_counter_info[i].name,
		       (s64)atomic64_read(&set->counters.nr[i]));
	return sz;
}

/**
 * remap_status() - device-mapper's status operation
 * @ti: the target
 * @type: INFO, TABLE or IMA
 * @status_flags: DM_STATUS_NOFLUSH_FLAG makes no difference: nothing is flushed here
 * @result: the text
 * @maxlen: its room in bytes
 *
 * INFO is "MODE USED/TOTAL key=value ...": keys are only ever appended.
 */
void remap_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
		  char *result, unsigned int maxlen)
{
	struct remap_set *set = ti->private;
	const struct remap_table *table = &set->table;
	unsigned int sz = 0;
	bool has_deadline;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%s %u/%u", remap_mode(set), READ_ONCE(table->nr_used),
		       remap_geometry(set)->slots);
		DMEMIT(" lost_sectors=%u bad_slots=%u retired_slots=%u",
		       READ_ONCE(table->nr_lost), READ_ONCE(table->nr_bad),
		       READ_ONCE(table->nr_retired));
		sz = emit_counters(set, REMAP_READ_ERRORS, REMAP_SAVES_OK, result, sz, maxlen);
		DMEMIT(" generation=%llu", READ_ONCE(set->meta.generation));
		sz = emit_counters(set, REMAP_SAVES_OK, REMAP_NR_COUNTERS, result, sz, maxlen);
		DMEMIT(" blocks_in_doubt=%u commit_failures=%llu repaired=%llu",
		       READ_ONCE(set->meta.nr_in_doubt), READ_ONCE(set->meta.nr_failures),
		       READ_ONCE(set->meta.nr_repaired));
		DMEMIT(" probe=%s", READ_ONCE(set->meta.probe_failed) ? "failed" : "ok");
		if (READ_ONCE(set->meta.out) < 0)
			DMEMIT(" replica_out=none");
		else
			DMEMIT(" replica_out=%d", READ_ONCE(set->meta.out));
		DMEMIT(" frozen_blocks=%u reserved_slots=%u", READ_ONCE(set->meta.nr_frozen),
		       READ_ONCE(table->nr_reserved));
		DMEMIT(" write_cache=%s", remap_write_cache_name(remap_write_cache(set)));
		break;

	case STATUSTYPE_TABLE:
		DMEMIT("%s %s %llu %llu", set->main->name, set->spare->name,
		       (u64)set->spare_start, (u64)set->spare_sectors);
		has_deadline = set->deadline_seconds != REMAP_DEADLINE_SECONDS;
		if (has_deadline || set->force_rw || set->has_write_cache)
			DMEMIT(" %u", 2 * has_deadline + set->force_rw + 2 * set->has_write_cache);
		if (has_deadline)
			DMEMIT(" deadline %u", set->deadline_seconds);
		if (set->force_rw)
			DMEMIT(" force_rw");
		if (set->has_write_cache)
			DMEMIT(" write_cache %s", remap_write_cache_name(remap_write_cache(set)));
		break;

	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",main_device=%s,spare_device=%s,spare_start=%llu,spare_len=%llu",
		       set->main->name, set->spare->name, (u64)set->spare_start,
		       (u64)set->spare_sectors);
		DMEMIT(",uuid=%pU,read_only=%c,force_rw=%c,deadline=%u,write_cache=%s;",
		       set->meta.super.uuid,
		       test_bit(REMAP_READ_ONLY, &set->flags) ? 'y' : 'n',
		       set->force_rw ? 'y' : 'n', set->deadline_seconds,
		       remap_write_cache_name(remap_write_cache(set)));
		break;
	}
}

/* Whether load found blocks of a replica damaged or behind, and could not repair them. */
static bool is_incomplete(const struct remap_set *set, unsigned int replica)
{
	u32 block;

	for (block = 0; block <= remap_geometry(set)->table_blocks; block++) {
		const struct remap_block_state *state = &set->meta.block[block];

		if (READ_ONCE(state->repair[replica]) ||
		    (READ_ONCE(state->unreadable) >> (REMAP_PLACES * replica)) & 3)
			return true;
	}
	return false;
}

/**
 * remap_metadata_status() - one line for the message `metadata_status`
 * @set: the set
 * @result: the text
 * @maxlen: its room in bytes
 *
 * Without the lock: a disk that is slow keeps nobody from asking (D20).  Each number is a
 * fact of its own, and may be a moment old.  Context: any.
 */
void remap_metadata_status(struct remap_set *set, char *result, unsigned int maxlen)
{
	const struct remap_meta *meta = &set->meta;
	time64_t last_save = READ_ONCE(set->last_save);
	u32 nr_in_doubt = READ_ONCE(meta->nr_in_doubt);
	int out = READ_ONCE(meta->out);
	unsigned int sz = 0, replica;

	DMEMIT("%s uuid=%pU generation=%llu committed=%llu", remap_mode(set), meta->super.uuid,
	       READ_ONCE(meta->generation), READ_ONCE(meta->committed));
	for (replica = 0; replica < REMAP_REPLICAS; replica++)
		DMEMIT(" replica%u=%s replica%u_errors=%llu", replica,
		       out == replica ? "out" :
		       nr_in_doubt || is_incomplete(set, replica) ? "unsure" : "ok",
		       replica, READ_ONCE(meta->replica_errors[replica]));
	DMEMIT(" blocks_in_doubt=%u commit_failures=%llu repaired=%llu", nr_in_doubt,
	       READ_ONCE(meta->nr_failures), READ_ONCE(meta->nr_repaired));
	if (last_save)
		DMEMIT(" last_save=%lld", last_save);
	else
		DMEMIT(" last_save=never");
	emit_counters(set, REMAP_SAVES_OK, REMAP_NR_COUNTERS, result, sz, maxlen);
}
