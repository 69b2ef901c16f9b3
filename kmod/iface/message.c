// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verbs of `dmsetup message`.  Each parses all of its arguments before it
 * writes a reply, because device-mapper's reply buffer is the argument buffer.
 * Replies stay under 4 KiB (O20).  A failing verb says why in the log: dm gives
 * no reply to a failed message.
 */
#include <linux/sched/mm.h>

#include "base/written.h"
#include "engine/engine.h"
#include "iface/iface.h"
#include "life/life.h"
#include "meta/meta.h"

/* Larger ranges go in several messages; so do longer lists. */
#define RANGE_MAX_SECTORS	((u64)SZ_1G >> SECTOR_SHIFT)
#define LIST_MAX_RANGES		1024

/**
 * struct verb - one message
 * @name: first word
 * @arguments: of the verb, for `help` and for counting
 * @min_args: arguments it needs
 * @max_args: arguments it takes
 * @active: whether the set must own its media
 * @looks: it only looks, so it waits for no disk: it takes no lock, and compares nothing (D20)
 * @run: does it; arguments without the verb; returns 1 with a reply, or a negative errno
 */
struct verb {
	const char *name;
	const char *arguments;
	unsigned int min_args;
	unsigned int max_args;
	bool active;
	bool looks;
	int (*run)(struct remap_set *set, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen);
};

static int parse_range(struct remap_set *set, unsigned int argc, char **argv, u64 *sector,
		       u64 *nr_sectors)
{
	u64 end = set->ti->len;

	*nr_sectors = 1;
	if (kstrtoull(argv[0], 10, sector) ||
	    (argc > 1 && kstrtoull(argv[1], 10, nr_sectors)) || !*nr_sectors) {
		remap_err(set, "a sector, and a count of at least 1, must be decimal numbers");
		return -EINVAL;
	}
	if (*sector >= end || *nr_sectors > end - *sector) {
		remap_err(set, "sectors %llu+%llu do not lie in the device, which has %llu",
			  *sector, *nr_sectors, end);
		return -ERANGE;
	}
	if (*nr_sectors > RANGE_MAX_SECTORS) {
		remap_err(set, "at most %llu sectors go in one message", RANGE_MAX_SECTORS);
		return -E2BIG;
	}
	return 0;
}

/* Asked again under the lock: removal does not wait for messages (D12). */
static int still_active(const struct remap_set *set)
{
	return test_bit(REMAP_ACTIVE, &set->flags) ? 0 : -EBUSY;
}

static int run_ping(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("pong");
	return 1;
}

/* Why a user asks: recorded as provenance. Other causes are the kernel's own. */
static int parse_cause(struct remap_set *set, const char *word, u8 *cause)
{
	if (!strcmp(word, "manual"))
		*cause = REMAP_CAUSE_MANUAL;
	else if (!strcmp(word, "rescue"))
		*cause = REMAP_CAUSE_RESCUE;
	else if (!strcmp(word, "import"))
		*cause = REMAP_CAUSE_IMPORT;
	else
		*cause = REMAP_CAUSE_NONE;
	if (*cause)
		return 0;
	remap_err(set, "unknown cause '%s'; known are: manual, rescue, import", word);
	return -EINVAL;
}

static void one_range(const struct remap_request *request, u32 index, u64 *sector,
		      u64 *nr_sectors)
{
	const u64 *range = request->data;

	*sector = range[0];
	*nr_sectors = range[1];
}

static int run_remap(struct remap_set *set, unsigned int argc, char **argv, char *result,
		     unsigned int maxlen)
{
	unsigned int sz = 0;
	u64 range[2];
	struct remap_request request = {
		.nr_ranges = 1, .range = one_range, .data = range, .cause = REMAP_CAUSE_MANUAL,
	};
	int r;

	r = parse_range(set, argc, argv, &range[0], &range[1]);
	if (!r && argc > 2)
		r = parse_cause(set, argv[2], &request.cause);
	if (r)
		return r;
	r = remap_do_request(set, &request);
	if (r) {
		remap_err(set, "remap of sectors %llu+%llu failed: %d", range[0], range[1], r);
		return r;
	}
	DMEMIT("remapped %llu+%llu lost_sectors=%llu", range[0], range[1], request.nr_lost);
	if (request.nr_lost)
		DMEMIT(" (they could not be read: they read as errors until written)");
	return 1;
}

/* A word of a list: S or S:N. */
static int parse_word(const char *word, u64 *sector, u64 *nr_sectors)
{
	char text[48];
	char *count;

	if (strscpy(text, word, sizeof(text)) < 0)
		return -EINVAL;
	count = strchr(text, ':');
	*nr_sectors = 1;
	if (count)
		*count++ = '\0';
	return kstrtoull(text, 10, sector) || (count && kstrtoull(count, 10, nr_sectors)) ?
	       -EINVAL : 0;
}

/* Parsed again: there is no memory to keep a thousand of them in. */
static void list_range(const struct remap_request *request, u32 index, u64 *sector,
		       u64 *nr_sectors)
{
	char *const *words = request->data;

	parse_word(words[index], sector, nr_sectors);
}

/* Nothing is done when one of them is wrong. */
static int check_list(struct remap_set *set, unsigned int nr, char **words, u64 *total)
{
	u64 sector, nr_sectors;
	unsigned int i;

	*total = 0;
	for (i = 0; i < nr; i++) {
		if (parse_word(words[i], &sector, &nr_sectors) || !nr_sectors) {
			remap_err(set, "'%s' is not SECTOR or SECTOR:COUNT in decimal numbers",
				  words[i]);
			return -EINVAL;
		}
		if (sector >= set->ti->len || nr_sectors > set->ti->len - sector) {
			remap_err(set, "sectors %llu+%llu do not lie in the device, which has %llu",
				  sector, nr_sectors, (u64)set->ti->len);
			return -ERANGE;
		}
		*total += nr_sectors;
		if (*total > RANGE_MAX_SECTORS) {
			remap_err(set, "at most %llu sectors go in one message", RANGE_MAX_SECTORS);
			return -E2BIG;
		}
	}
	return 0;
}

static int run_remap_list(struct remap_set *set, unsigned int argc, char **argv, char *result,
			  unsigned int maxlen)
{
	unsigned int sz = 0;
	u64 total;
	struct remap_request request = {
		.nr_ranges = argc - 1, .range = list_range, .data = argv + 1,
	};
	int r;

	r = parse_cause(set, argv[0], &request.cause) ?:
	    check_list(set, argc - 1, argv + 1, &total);
	if (r)
		return r;
	r = remap_do_request(set, &request);
	if (r) {
		remap_err(set, "remap of a list of %u ranges failed: %d", argc - 1, r);
		return r;
	}
	DMEMIT("remapped ranges=%u sectors=%llu lost_sectors=%llu", request.nr_ranges, total,
	       request.nr_lost);
	return 1;
}

static int run_unremap(struct remap_set *set, unsigned int argc, char **argv, char *result,
		       unsigned int maxlen)
{
	unsigned int sz = 0;
	u64 range[2];
	struct remap_request request = {
		.back = true, .nr_ranges = 1, .range = one_range, .data = range,
	};
	int r;

	r = parse_range(set, argc, argv, &range[0], &range[1]);
	if (r)
		return r;
	r = remap_do_request(set, &request);
	if (r) {
		remap_err(set, "unremap of sectors %llu+%llu failed: %d", range[0], range[1], r);
		return r;
	}
	DMEMIT("unremapped %llu+%llu", range[0], range[1]);
	return 1;
}

static int run_clear(struct remap_set *set, unsigned int argc, char **argv, char *result,
		     unsigned int maxlen)
{
	unsigned int sz = 0;
	u32 nr_kept, nr_guard;
	int r;

	r = remap_clear(set, &nr_kept, &nr_guard);
	if (r) {
		remap_err(set, "clear stopped: %d", r);
		return r;
	}
	DMEMIT("cleared kept=%u", nr_kept);
	if (nr_guard)
		DMEMIT(" guard=%u (they hide the main device's signatures)", nr_guard);
	return 1;
}

static int run_verify(struct remap_set *set, unsigned int argc, char **argv, char *result,
		      unsigned int maxlen)
{
	unsigned int sz = 0, bit;
	u64 sector, nr_sectors;
	bool redirected, lost, in_doubt;
	u64 word, prov;
	s64 slot;
	int r;

	r = parse_range(set, argc, argv, &sector, &nr_sectors);
	if (r)
		return r;
	bit = sector & (REMAP_CHUNK_SECTORS - 1);
	slot = remap_table_peek(&set->table, sector / REMAP_CHUNK_SECTORS, &word, &prov);
	redirected = slot >= 0 && REMAP_WORD_REDIRECTED(word) & BIT(bit);
	lost = redirected && REMAP_WORD_LOST(word) & BIT(bit);
	in_doubt = slot >= 0 && word & REMAP_WORD_DOUBT && REMAP_PROV_DOUBT(prov) & BIT(bit);
	if (in_doubt)
		DMEMIT("%llu in doubt: its last commit failed", sector);
	else if (lost)
		DMEMIT("%llu lost slot=%lld", sector, slot);
	else if (redirected)
		DMEMIT("%llu remapped slot=%lld spare_sector=%llu", sector, slot,
		       (u64)remap_slot_start(set, slot) + bit);
	else
		DMEMIT("%llu not remapped", sector);
	return 1;
}

static int run_save(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	unsigned int sz = 0;
	int r;

	mutex_lock(&set->lock);
	r = still_active(set);
	if (!r)
		remap_resolve_doubt(set, true);
	if (!r)
		r = remap_has_table_doubt(set) ? -EIO : remap_soft_save(set);
	if (!r)
		remap_update_anchor(set);
	if (!r)
		DMEMIT("saved generation=%llu", remap_last_seq(set));
	remap_unlock(set);
	if (r) {
		remap_err(set, "save failed: %d", r);
		return r;
	}
	return 1;
}

/*
 * Two commits of a block rewrite both places of both replicas, and at no moment is the only
 * good copy of anything written over.
 */
static int sync_block(struct remap_set *set, u32 block)
{
	unsigned int place;
	int r = 0;

	mutex_lock(&set->lock);
	for (place = 0; place < REMAP_PLACES && !r; place++) {
		r = still_active(set);
		if (r)
			break;
		r = remap_rewrite_block(set, block);
	}
	remap_unlock(set);
	return r;
}

static int run_sync(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	u32 block, failed = 0, nr_blocks = 1 + remap_geometry(set)->table_blocks;
	unsigned int sz = 0;
	int r = 0;

	for (block = 0; block < nr_blocks; block++) {
		int error = sync_block(set, block);

		if (!error)
			continue;
		r = error;
		failed = block;
		/* One that stays frozen keeps those behind it from nothing. */
		if (!remap_is_block_unwritable(set, block) || error == -EBUSY)
			break;
	}
	if (r) {
		remap_err(set, "sync failed at metadata block %u: %d", failed, r);
		return r;
	}
	DMEMIT("synced blocks=%u copies=%u", nr_blocks, nr_blocks * REMAP_COPIES);
	return 1;
}

static int run_restore(struct remap_set *set, unsigned int argc, char **argv, char *result,
		       unsigned int maxlen)
{
	unsigned int sz = 0;
	u32 nr_repaired;
	int r;

	mutex_lock(&set->lock);
	r = still_active(set);
	if (!r && test_bit(REMAP_READ_ONLY, &set->flags))
		r = -EROFS;
	/* What is in memory is the old one then, whatever the media look like (D22). */
	if (!r && test_bit(REMAP_ALTERED, &set->flags))
		r = -ESTALE;
	if (!r)
		r = remap_restore(set, &nr_repaired);
	if (!r)
		DMEMIT("restored generation=%llu repaired=%u", remap_last_seq(set), nr_repaired);
	remap_unlock(set);
	if (r) {
		remap_err(set, "restore failed: %d%s", r, r == -EROFS ?
			  ": suspend and resume to try a read-only set again" : "");
		return r;
	}
	return 1;
}

static int run_compare(struct remap_set *set, unsigned int argc, char **argv, char *result,
		       unsigned int maxlen)
{
	unsigned int sz = 0;
	int r;

	mutex_lock(&set->lock);
	r = still_active(set);
	if (!r)
		r = remap_compare(set);
	if (!r)
		DMEMIT("compared generation=%llu", remap_last_seq(set));
	remap_unlock(set);
	return r ?: 1;
}

static int run_metadata_status(struct remap_set *set, unsigned int argc, char **argv,
			       char *result, unsigned int maxlen)
{
	remap_metadata_status(set, result, maxlen);
	return 1;
}

static int run_freeze(struct remap_set *set, unsigned int argc, char **argv, char *result,
		      unsigned int maxlen)
{
	unsigned int sz = 0;
	int r;

	mutex_lock(&set->lock);
	r = still_active(set);
	if (!r) {
		set_bit(REMAP_FROZEN, &set->flags);
		r = remap_super_set_flags(set, REMAP_SUPER_FROZEN, REMAP_SUPER_FROZEN);
	}
	remap_unlock(set);
	if (r == -EBUSY)
		return r;
	DMEMIT("frozen: no automatic remaps%s; 'remap' by hand still works",
	       r ? ", until a restart" : "");
	return 1;
}

static int run_thaw(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	unsigned int sz = 0;
	int r;

	mutex_lock(&set->lock);
	r = still_active(set);
	if (!r) {
		clear_bit(REMAP_FROZEN, &set->flags);
		remap_set_tokens(set, U64_MAX);	/* as many as the bucket holds */
		r = remap_super_set_flags(set, REMAP_SUPER_FROZEN, 0);
		remap_scan_resume(set);
	}
	remap_unlock(set);
	if (r == -EBUSY)
		return r;
	DMEMIT("thawed%s", r ? ", until a restart" : "");
	return 1;
}

static int run_accept_loss(struct remap_set *set, unsigned int argc, char **argv, char *result,
			   unsigned int maxlen)
{
	unsigned int sz = 0;

	if (!test_bit(REMAP_LOST_CACHE, &set->flags)) {
		remap_err(set, "accept_loss: no cache was lost");
		return -EINVAL;
	}
	remap_accept_loss(set);
	DMEMIT("accepted: flushes succeed again; what was lost is lost");
	return 1;
}

static int run_write_cache(struct remap_set *set, unsigned int argc, char **argv, char *result,
			   unsigned int maxlen)
{
	int write_cache = argc ? remap_parse_write_cache(argv[0]) : remap_write_cache(set);
	unsigned int sz = 0;

	if (write_cache < 0) {
		remap_err(set, "write_cache must be through, keep or auto");
		return write_cache;
	}
	if (argc)
		remap_set_write_cache(set, write_cache);
	DMEMIT("write_cache %s", remap_write_cache_name(write_cache));
	return 1;
}

static int run_stats_clear(struct remap_set *set, unsigned int argc, char **argv, char *result,
			   unsigned int maxlen)
{
	unsigned int sz = 0;

	remap_counters_clear(&set->counters);
	DMEMIT("counters are zero");
	return 1;
}

static int run_help(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen);

static const struct verb verbs[] = {
	{ "ping",		"",		0, 0, false, true, run_ping },
	{ "help",		"",		0, 0, false, true, run_help },
	{ "remap",		"S [COUNT [CAUSE]]",	1, 3, true, false, run_remap },
	{ "remap_list",		"CAUSE S[:COUNT]...",	2, 1 + LIST_MAX_RANGES, true, false,
	  run_remap_list },
	{ "unremap",		"S [COUNT]",	1, 2, true, false, run_unremap },
	{ "clear",		"",		0, 0, true, false, run_clear },
	{ "verify",		"S",		1, 1, true, true, run_verify },
	{ "save",		"",		0, 0, true, false, run_save },
	{ "sync",		"",		0, 0, true, false, run_sync },
	{ "restore",		"",		0, 0, true, false, run_restore },
	{ "compare",		"",		0, 0, true, false, run_compare },
	{ "metadata_status",	"",		0, 0, true, true, run_metadata_status },
	{ "freeze",		"",		0, 0, true, false, run_freeze },
	{ "thaw",		"",		0, 0, true, false, run_thaw },
	{ "accept_loss",	"",		0, 0, true, false, run_accept_loss },
	{ "stats_clear",	"",		0, 0, true, true, run_stats_clear },
	{ "write_cache",	"[through|keep|auto]",	0, 1, true, false, run_write_cache },
};

static unsigned int list_verbs(char *result, unsigned int maxlen)
{
	unsigned int sz = 0, i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		DMEMIT("%s%s%s%s", i ? ", " : "", verbs[i].name, *verbs[i].arguments ? " " : "",
		       verbs[i].arguments);
	return sz;
}

static int run_help(struct remap_set *set, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	list_verbs(result, maxlen);
	return 1;
}

/**
 * remap_message() - device-mapper's message operation
 * @ti: the target
 * @argc: words
 * @argv: the verb and its arguments
 * @result: for the reply; device-mapper's argument buffer is the same memory
 * @maxlen: its room in bytes
 *
 * Context: may sleep; holds the table's SRCU, so a suspend waits for it.
 * Return: 1 with a reply, or a negative errno.
 */
int remap_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		  unsigned int maxlen)
{
	struct remap_set *set = ti->private;
	const struct verb *verb = NULL;
	char known[256];
	unsigned int i, noio;
	int r;

	for (i = 0; argc && i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(argv[0], verbs[i].name))
			verb = &verbs[i];
	}
	if (!verb) {
		list_verbs(known, sizeof(known));
		remap_err(set, "unknown message '%s'; known are: %s", argc ? argv[0] : "", known);
		return -EINVAL;
	}
	argc--;
	argv++;
	if (argc < verb->min_args || argc > verb->max_args) {
		remap_err(set, "usage: %s %s", verb->name, verb->arguments);
		return -EINVAL;
	}
	if (verb->active && !test_bit(REMAP_ACTIVE, &set->flags)) {
		remap_err(set, "message '%s': the device is suspended", verb->name);
		return -EBUSY;
	}
	/* The worker waits for the lock that a message holds (P6, D13). */
	noio = memalloc_noio_save();
	if (unlikely(remap_is_degraded(set)) && !verb->looks) {
		mutex_lock(&set->lock);
		remap_recompare(set);
		remap_unlock(set);
	}
	r = verb->run(set, argc, argv, result, maxlen);
	memalloc_noio_restore(noio);
	if (r > 0 && strlen(result) + 1 >= maxlen)
		return -ENOSPC;
	return r;
}
