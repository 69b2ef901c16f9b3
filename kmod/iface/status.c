// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `dmsetup status`, `dmsetup table` and the message `metadata_status` show.
 * Facts only, read without the lock: a number may be a moment old.
 */
#include "iface/iface.h"
#include "life/life.h"
#include "meta/meta.h"

/* Counters from FIRST on, before END. */
static unsigned int emit_counters(const struct remap_set *set, unsigned int first,
				  unsigned int end, char *result, unsigned int sz,
				  unsigned int maxlen)
{
	for (; first < end; first++)
		DMEMIT(" %s=%lld", remap_counter_info[first].name,
		       (s64)atomic64_read(&set->counters.nr[first]));
	return sz;
}

static void emit_info(const struct remap_set *set, char *result, unsigned int maxlen)
{
	const struct remap_table *table = &set->table;
	struct remap_report report;
	unsigned int sz = 0;

	remap_meta_report(set, &report);
	DMEMIT("%s %u/%u", remap_mode(set), READ_ONCE(table->nr_used), remap_geometry(set)->slots);
	DMEMIT(" lost_sectors=%u bad_slots=%u retired_slots=%u", READ_ONCE(table->nr_lost),
	       READ_ONCE(table->nr_bad), READ_ONCE(table->nr_retired));
	sz = emit_counters(set, 0, REMAP_SAVES_OK, result, sz, maxlen);
	DMEMIT(" generation=%llu", report.last_seq);
	sz = emit_counters(set, REMAP_SAVES_OK, REMAP_SAVES_FAILED + 1, result, sz, maxlen);
	DMEMIT(" blocks_in_doubt=%u commit_failures=%llu repaired=%llu", report.nr_in_doubt,
	       report.nr_failures, report.nr_repaired);
	DMEMIT(" probe=%s", report.probe_failed ? "failed" : "ok");
	if (report.out < 0)
		DMEMIT(" replica_out=none");
	else
		DMEMIT(" replica_out=%d", report.out);
	DMEMIT(" frozen_blocks=%u reserved_slots=%u write_cache=%s", report.nr_unwritable,
	       READ_ONCE(table->nr_reserved), remap_write_cache_name(remap_write_cache(set)));
	/* Keys are only ever appended, so these come last. */
	emit_counters(set, REMAP_SAVES_FAILED + 1, REMAP_NR_COUNTERS, result, sz, maxlen);
}

static void emit_table(const struct remap_set *set, char *result, unsigned int maxlen)
{
	bool has_deadline = set->options.deadline_seconds != REMAP_DEADLINE_SECONDS;
	bool force_rw = set->options.force_rw, has_write_cache = set->options.has_write_cache;
	unsigned int sz = 0;

	DMEMIT("%s %s %llu %llu", set->main->name, set->spare->name, (u64)set->spare_start,
	       (u64)set->spare_sectors);
	if (has_deadline || force_rw || has_write_cache)
		DMEMIT(" %u", 2 * has_deadline + force_rw + 2 * has_write_cache);
	if (has_deadline)
		DMEMIT(" deadline %u", set->options.deadline_seconds);
	if (force_rw)
		DMEMIT(" force_rw");
	if (has_write_cache)
		DMEMIT(" write_cache %s", remap_write_cache_name(remap_write_cache(set)));
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
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		emit_info(set, result, maxlen);
		break;

	case STATUSTYPE_TABLE:
		emit_table(set, result, maxlen);
		break;

	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",main_device=%s,spare_device=%s,spare_start=%llu,spare_len=%llu",
		       set->main->name, set->spare->name, (u64)set->spare_start,
		       (u64)set->spare_sectors);
		DMEMIT(",uuid=%pU,read_only=%c,force_rw=%c,deadline=%u,write_cache=%s;",
		       remap_uuid(set),
		       test_bit(REMAP_READ_ONLY, &set->flags) ? 'y' : 'n',
		       set->options.force_rw ? 'y' : 'n', set->options.deadline_seconds,
		       remap_write_cache_name(remap_write_cache(set)));
		break;
	}
}

/**
 * remap_metadata_status() - one line for the message `metadata_status`
 * @set: the set
 * @result: the text
 * @maxlen: its room in bytes
 *
 * Without the lock: a slow disk keeps no one waiting here (D20).  Each number is a
 * fact of its own, and may be a moment old.  Context: any.
 */
void remap_metadata_status(struct remap_set *set, char *result, unsigned int maxlen)
{
	struct remap_report report;
	unsigned int sz = 0, replica;

	remap_meta_report(set, &report);
	DMEMIT("%s uuid=%pU generation=%llu committed=%llu", remap_mode(set), remap_uuid(set),
	       report.last_seq, report.committed);
	for (replica = 0; replica < REMAP_REPLICAS; replica++)
		DMEMIT(" replica%u=%s replica%u_errors=%llu", replica,
		       report.out == replica ? "out" :
		       report.nr_in_doubt || remap_is_incomplete(set, replica) ? "unsure" : "ok",
		       replica, report.replica_errors[replica]);
	DMEMIT(" blocks_in_doubt=%u commit_failures=%llu repaired=%llu", report.nr_in_doubt,
	       report.nr_failures, report.nr_repaired);
	if (report.last_save)
		DMEMIT(" last_save=%lld", report.last_save);
	else
		DMEMIT(" last_save=never");
	emit_counters(set, REMAP_SAVES_OK, REMAP_SAVES_FAILED + 1, result, sz, maxlen);
}
