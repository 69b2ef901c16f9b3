// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verbs of `dmsetup message`.  Each parses all of its arguments before it replies, because
 * device-mapper's reply buffer is the argument buffer.  Replies stay under 4 KiB (O20).  A
 * failing verb says why in the log: dm gives no reply to a failed message.
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
 * struct message - one message that is being answered
 * @set: the set
 * @verb: what it asks for
 * @argc: arguments, without the verb
 * @argv: the arguments; overwritten by the first reply()
 * @result: the reply
 * @maxlen: its room in bytes
 * @length: of the reply so far
 * @is_explained: the log says why it fails
 */
struct message {
	struct remap_set *set;
	const struct verb *verb;
	unsigned int argc;
	char **argv;
	char *result;
	unsigned int maxlen;
	unsigned int length;
	bool is_explained;
};

enum verb_flag {
	ACTIVE = 1,	/* the set must own its media */
	LOCKED = 2,	/* runs under remap_set.lock */
	LOOKS = 4,	/* only looks, so it waits for no disk: no lock, no comparison (D20) */
};

/**
 * struct verb - one verb
 * @name: first word
 * @arguments: for `help` and for the error of a wrong call
 * @min_args: arguments it needs
 * @max_args: arguments it takes
 * @flags: of enum verb_flag
 * @run: does it; returns reply(), refuse(), or another negative errno
 */
struct verb {
	const char *name;
	const char *arguments;
	unsigned int min_args;
	unsigned int max_args;
	unsigned int flags;
	int (*run)(struct message *m);
};

/* Appends to the reply. */
static __printf(2, 3) int reply(struct message *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	m->length += vscnprintf(m->result + m->length, m->maxlen - m->length, format, args);
	va_end(args);
	return 1;
}

/* Says why a message fails with the errno R. */
static __printf(3, 4) int refuse(struct message *m, int r, const char *format, ...)
{
	struct va_format text = { .fmt = format };
	va_list args;

	va_start(args, format);
	text.va = &args;
	remap_err(m->set, "message '%s': %pV", m->verb->name, &text);
	va_end(args);
	m->is_explained = true;
	return r;
}

static bool is_active(const struct remap_set *set)
{
	return test_bit(REMAP_ACTIVE, &set->flags);
}

/* @total: sectors of the message so far. */
static int check_range(struct message *m, u64 sector, u64 nr_sectors, u64 *total)
{
	u64 end = m->set->ti->len;

	if (sector >= end || nr_sectors > end - sector)
		return refuse(m, -ERANGE,
			      "sectors %llu+%llu exceed the device, which has %llu",
			      sector, nr_sectors, end);
	*total += nr_sectors;
	if (*total > RANGE_MAX_SECTORS)
		return refuse(m, -E2BIG, "at most %llu sectors are allowed in one message",
			      RANGE_MAX_SECTORS);
	return 0;
}

/* SECTOR [COUNT] */
static int parse_range(struct message *m, u64 range[2])
{
	u64 total = 0;

	range[1] = 1;
	if (kstrtoull(m->argv[0], 10, &range[0]) ||
	    (m->argc > 1 && kstrtoull(m->argv[1], 10, &range[1])) || !range[1])
		return refuse(m, -EINVAL,
			      "a sector, and a count of at least 1, must be decimal numbers");
	return check_range(m, range[0], range[1], &total);
}

/* Why a user asks: recorded as provenance. Other causes are the kernel's own. */
static int parse_cause(struct message *m, const char *word, u8 *cause)
{
	if (!strcmp(word, "manual"))
		*cause = REMAP_CAUSE_MANUAL;
	else if (!strcmp(word, "rescue"))
		*cause = REMAP_CAUSE_RESCUE;
	else if (!strcmp(word, "import"))
		*cause = REMAP_CAUSE_IMPORT;
	else
		return refuse(m, -EINVAL, "unknown cause '%s': use manual, rescue or import",
			      word);
	return 0;
}

static int run_ping(struct message *m)
{
	return reply(m, "pong");
}

static void one_range(const struct remap_request *request, u32 index, u64 *sector,
		      u64 *nr_sectors)
{
	const u64 *range = request->data;

	*sector = range[0];
	*nr_sectors = range[1];
}

static int run_remap(struct message *m)
{
	u64 range[2];
	struct remap_request request = {
		.nr_ranges = 1, .range = one_range, .data = range, .cause = REMAP_CAUSE_MANUAL,
	};
	int r;

	r = parse_range(m, range);
	if (!r && m->argc > 2)
		r = parse_cause(m, m->argv[2], &request.cause);
	if (!r)
		r = remap_do_request(m->set, &request);
	if (r)
		return r;
	reply(m, "remapped %llu+%llu lost_sectors=%llu", range[0], range[1], request.nr_lost);
	if (request.nr_lost)
		reply(m, " (they could not be read: they read as errors until written)");
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
static int check_list(struct message *m, unsigned int nr, char **words, u64 *total)
{
	u64 sector, nr_sectors;
	unsigned int i;
	int r = 0;

	*total = 0;
	for (i = 0; i < nr && !r; i++) {
		if (parse_word(words[i], &sector, &nr_sectors) || !nr_sectors)
			return refuse(m, -EINVAL,
				      "'%s' is not SECTOR or SECTOR:COUNT in decimal numbers",
				      words[i]);
		r = check_range(m, sector, nr_sectors, total);
	}
	return r;
}

static int run_remap_list(struct message *m)
{
	u64 total;
	struct remap_request request = {
		.nr_ranges = m->argc - 1, .range = list_range, .data = m->argv + 1,
	};
	int r;

	r = parse_cause(m, m->argv[0], &request.cause) ?:
	    check_list(m, m->argc - 1, m->argv + 1, &total) ?:
	    remap_do_request(m->set, &request);
	if (r)
		return r;
	return reply(m, "remapped ranges=%u sectors=%llu lost_sectors=%llu", request.nr_ranges,
		     total, request.nr_lost);
}

static int run_unremap(struct message *m)
{
	u64 range[2];
	struct remap_request request = {
		.back = true, .nr_ranges = 1, .range = one_range, .data = range,
	};
	int r;

	r = parse_range(m, range) ?: remap_do_request(m->set, &request);
	if (r)
		return r;
	return reply(m, "unremapped %llu+%llu", range[0], range[1]);
}

static int run_clear(struct message *m)
{
	u32 nr_kept, nr_guard;
	int r;

	r = remap_clear(m->set, &nr_kept, &nr_guard);
	if (r)
		return r;
	reply(m, "cleared kept=%u", nr_kept);
	if (nr_guard)
		reply(m, " guard=%u (they hide the main device's signatures)", nr_guard);
	return 1;
}

static int run_verify(struct message *m)
{
	struct remap_set *set = m->set;
	u64 range[2], word, prov;
	unsigned int bit;
	u8 mask;
	s64 slot;
	int r;

	r = parse_range(m, range);
	if (r)
		return r;
	bit = range[0] & (REMAP_CHUNK_SECTORS - 1);
	mask = BIT(bit);
	slot = remap_table_peek(&set->table, range[0] / REMAP_CHUNK_SECTORS, &word, &prov);
	if (slot >= 0 && word & REMAP_WORD_DOUBT && REMAP_PROV_DOUBT(prov) & mask)
		return reply(m, "%llu in doubt: its last commit failed", range[0]);
	if (slot < 0 || !(REMAP_WORD_REDIRECTED(word) & mask))
		return reply(m, "%llu not remapped", range[0]);
	if (REMAP_WORD_LOST(word) & mask)
		return reply(m, "%llu lost slot=%lld", range[0], slot);
	return reply(m, "%llu remapped slot=%lld spare_sector=%llu", range[0], slot,
		     (u64)remap_slot_start(set, slot) + bit);
}

static int run_save(struct message *m)
{
	struct remap_set *set = m->set;
	int r;

	remap_resolve_doubt(set, true);
	r = remap_has_table_doubt(set) ? -EIO : remap_soft_save(set);
	if (r)
		return r;
	remap_update_anchor(set);
	return reply(m, "saved generation=%llu", remap_last_seq(set));
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
	for (place = 0; place < REMAP_PLACES && !r; place++)
		r = is_active(set) ? remap_rewrite_block(set, block) : -EBUSY;
	remap_unlock(set);
	return r;
}

static int run_sync(struct message *m)
{
	u32 block, failed = 0, nr_blocks = 1 + remap_geometry(m->set)->table_blocks;
	int error, r = 0;

	for (block = 0; block < nr_blocks; block++) {
		error = sync_block(m->set, block);
		if (!error)
			continue;
		r = error;
		failed = block;
		/* Those behind a block that cannot be written are synced nevertheless. */
		if (!remap_is_block_unwritable(m->set, block) || error == -EBUSY)
			break;
	}
	if (r)
		return refuse(m, r, "metadata block %u cannot be written: %d", failed, r);
	return reply(m, "synced blocks=%u copies=%u", nr_blocks, nr_blocks * REMAP_COPIES);
}

static int run_restore(struct message *m)
{
	struct remap_set *set = m->set;
	u32 nr_repaired;
	int r;

	if (test_bit(REMAP_READ_ONLY, &set->flags))
		return refuse(m, -EROFS,
			      "the set is read-only: suspend and resume to try it again");
	/* What is in memory is the old one then, whatever the media look like (D22). */
	if (test_bit(REMAP_ALTERED, &set->flags))
		return -ESTALE;
	r = remap_restore(set, &nr_repaired);
	if (r)
		return r;
	return reply(m, "restored generation=%llu repaired=%u", remap_last_seq(set), nr_repaired);
}

static int run_compare(struct message *m)
{
	int r = remap_compare(m->set);

	return r ?: reply(m, "compared generation=%llu", remap_last_seq(m->set));
}

static int run_metadata_status(struct message *m)
{
	remap_metadata_status(m->set, m->result, m->maxlen);
	return 1;
}

static int run_freeze(struct message *m)
{
	set_bit(REMAP_FROZEN, &m->set->flags);
	return reply(m, "frozen: no automatic remaps%s; the message 'remap' still works",
		     remap_store_settings(m->set) ? " (not stored yet)" : "");
}

static int run_thaw(struct message *m)
{
	struct remap_set *set = m->set;

	clear_bit(REMAP_FROZEN, &set->flags);
	remap_set_tokens(set, U64_MAX);	/* as many as the bucket holds */
	remap_scan_resume(set);
	return reply(m, "thawed%s", remap_store_settings(set) ? " (not stored yet)" : "");
}

static int run_accept_loss(struct message *m)
{
	if (!test_bit(REMAP_LOST_CACHE, &m->set->flags))
		return refuse(m, -EINVAL, "no cache was lost");
	remap_accept_loss(m->set);
	return reply(m, "accepted: flushes succeed again; lost writes stay lost");
}

static int run_write_cache(struct message *m)
{
	struct remap_set *set = m->set;
	int write_cache = m->argc ? remap_parse_write_cache(m->argv[0]) : remap_write_cache(set);

	if (write_cache < 0)
		return refuse(m, write_cache, "the mode must be through, keep or auto");
	if (m->argc)
		remap_set_write_cache(set, write_cache);
	return reply(m, "write_cache %s", remap_write_cache_name(write_cache));
}

static int run_stats_clear(struct message *m)
{
	remap_counters_clear(&m->set->counters);
	return reply(m, "counters are zero");
}

static int run_help(struct message *m);

static const struct verb verbs[] = {
	{ "ping",		"",		0, 0, LOOKS, run_ping },
	{ "help",		"",		0, 0, LOOKS, run_help },
	{ "remap",		"S [COUNT [CAUSE]]",	1, 3, ACTIVE, run_remap },
	{ "remap_list",		"CAUSE S[:COUNT]...",	2, 1 + LIST_MAX_RANGES, ACTIVE,
	  run_remap_list },
	{ "unremap",		"S [COUNT]",	1, 2, ACTIVE, run_unremap },
	{ "clear",		"",		0, 0, ACTIVE, run_clear },
	{ "verify",		"S",		1, 1, ACTIVE | LOOKS, run_verify },
	{ "save",		"",		0, 0, ACTIVE | LOCKED, run_save },
	{ "sync",		"",		0, 0, ACTIVE, run_sync },
	{ "restore",		"",		0, 0, ACTIVE | LOCKED, run_restore },
	{ "compare",		"",		0, 0, ACTIVE | LOCKED, run_compare },
	{ "metadata_status",	"",		0, 0, ACTIVE | LOOKS, run_metadata_status },
	{ "freeze",		"",		0, 0, ACTIVE | LOCKED, run_freeze },
	{ "thaw",		"",		0, 0, ACTIVE | LOCKED, run_thaw },
	{ "accept_loss",	"",		0, 0, ACTIVE, run_accept_loss },
	{ "stats_clear",	"",		0, 0, ACTIVE | LOOKS, run_stats_clear },
	{ "write_cache",	"[through|keep|auto]",	0, 1, ACTIVE, run_write_cache },
};

static int run_help(struct message *m)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		reply(m, "%s%s%s%s", i ? ", " : "", verbs[i].name,
		      *verbs[i].arguments ? " " : "", verbs[i].arguments);
	return 1;
}

static const struct verb *find_verb(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

/* Under the lock where a verb takes it: removal does not wait for messages (D12). */
static int run_if_active(struct message *m)
{
	if (m->verb->flags & ACTIVE && !is_active(m->set))
		return refuse(m, -EBUSY, "the device is suspended");
	return m->verb->run(m);
}

static int run_verb(struct message *m)
{
	struct remap_set *set = m->set;
	unsigned int flags = m->verb->flags;
	int r;

	if (m->argc < m->verb->min_args || m->argc > m->verb->max_args)
		return refuse(m, -EINVAL, "usage: %s %s", m->verb->name, m->verb->arguments);
	if (unlikely(remap_is_degraded(set)) && !(flags & LOOKS)) {
		mutex_lock(&set->lock);
		if (is_active(set))
			remap_recompare(set, m->verb->run == run_restore);
		remap_unlock(set);
	}
	if (!(flags & LOCKED))
		return run_if_active(m);
	mutex_lock(&set->lock);
	r = run_if_active(m);
	remap_unlock(set);
	return r;
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
	struct message m = {
		.set = ti->private, .verb = find_verb(argc ? argv[0] : ""), .argc = argc - 1,
		.argv = argv + 1, .result = result, .maxlen = maxlen,
	};
	unsigned int noio;
	int r;

	if (!m.verb) {
		char known[512];
		struct message help = { .result = known, .maxlen = sizeof(known) };

		run_help(&help);
		remap_err(m.set, "unknown message '%s'; use one of %s", argc ? argv[0] : "", known);
		return -EINVAL;
	}
	/* The worker waits for the lock that a message holds (P6, D13). */
	noio = memalloc_noio_save();
	r = run_verb(&m);
	memalloc_noio_restore(noio);
	if (r < 0 && !m.is_explained)
		refuse(&m, r, "failed: %d", r);
	return r > 0 && strlen(result) + 1 >= maxlen ? -ENOSPC : r;
}
