// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check and dump: what lies on a spare device or an image of one.  Nothing is written,
 * and the module is not needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "format/backup.h"
#include "format/region.h"
#include "json.h"
#include "output.h"
#include "progress-line.h"
#include "set/look.h"
#include "system/events.h"
#include "util/foreign.h"
#include "verbs.h"

/**
 * struct opened - a spare that was opened for reading
 * @fd: of the device or image
 * @region: the region on it
 * @table: its entries
 */
struct opened {
	int fd;
	struct region region;
	struct region_table table;
};

static void opened_done(struct opened *opened)
{
	region_table_done(&opened->table);
	if (opened->fd >= 0)
		close(opened->fd);
}

#define _cleanup_opened_ _cleanup_(opened_done)

/* A backup, or a main device: in place of "not a dm-remap spare". */
static int not_a_spare(const struct opened *opened, const char *path, const char *why,
		       struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	const struct remap_member_disk *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);
	_cleanup_backup_ struct backup backup = {};
	uint8_t uuid[REMAP_UUID_BYTES];

	if (backup_read(path, &backup, NULL) == 0)
		return error_set(
			error, ENODATA,
			"%s is a backup of set \"%s\": dmremap restore-backup writes it to "
			"a spare",
			path, FOREIGN(backup.super.label));
	if (chunk && !read_all_at(opened->fd, chunk, REMAP_CHUNK_BYTES, 0) &&
	    remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC &&
	    remap_member_check(chunk + REMAP_MEMBER_OFFSET, uuid) == REMAP_OK)
		return error_set(
			error, ENODATA,
			"%s is the main device of set \"%s\": its metadata is on the spare", path,
			foreign_text(header->label, sizeof(header->label)).text);
	return error_set(error, ENODATA, "%s: %s", path, why);
}

static int open_spare(const struct invocation *invocation, struct opened *opened, region_copy_f f,
		      void *userdata, struct error *error)
{
	const char *path = invocation->argv[0], *text = option_value(invocation, "spare-start");
	struct progress_line line;
	uint64_t nr_bytes, start = 0;
	struct error why = { "" };
	int r;

	if (text && parse_sectors(text, &start) < 0)
		return error_set(error, EINVAL, "\"%s\" is not a sector number", text);
	r = look_answers(path, error);
	if (r < 0)
		return r;
	/* O_DIRECT: the kernel may be writing past the page cache */
	opened->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (opened->fd < 0 && errno == EINVAL)
		opened->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (opened->fd < 0)
		return error_set(error, errno, "%s: cannot open it: %s", path, strerror(errno));
	r = device_bytes(opened->fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: neither a block device nor an image", path);
	if (start >= nr_bytes / REMAP_SECTOR_BYTES)
		return error_set(error, EINVAL, "%s: it has only %" PRIu64 " sectors", path,
				 nr_bytes / REMAP_SECTOR_BYTES);
	r = region_open(opened->fd, start, nr_bytes / REMAP_SECTOR_BYTES - start, &opened->region,
			&why);
	if (!r) {
		progress_begin(&line, invocation, "reading the table",
			       region_table_steps(&opened->region.super.geometry));
		opened->region.progress = &line.progress;
		r = region_read_table(&opened->region, &opened->table, f, userdata, &why);
		opened->region.progress = NULL;
		progress_end(&line);
	}
	if (r == -ENODATA && !start)
		return not_a_spare(opened, path, why.text, error);
	return r < 0 ? error_set(error, -r, "%s: %s", path, why.text) : 0;
}

#define CHECK_TRIES 4
#define CHECK_PAUSE_MS 200

static const struct column copy_columns[] = {
	{ "BLOCK", true },    { "KIND", false },  { "REPLICA", true }, { "PLACE", false },
	{ "VERDICT", false }, { "NUMBER", true }, { "USED", false },   { NULL },
};

/**
 * struct copy - a copy of a block, as it was found
 * @block: which
 * @replica: where
 * @place: where in it
 * @verdict: of its content
 * @seq: its number
 * @chosen: it is the one that counts
 */
struct copy {
	uint32_t block;
	unsigned int replica;
	unsigned int place;
	enum remap_verdict verdict;
	uint64_t seq;
	bool chosen;
};

/**
 * struct checking - the copies that are being looked at
 * @all: show all of them
 * @copy: those worth showing, in the order of their blocks
 * @nr: how many
 * @opened: the spare
 */
struct checking {
	bool all;
	struct copy *copy;
	size_t nr;
	struct opened opened;
};

static void checking_done(struct checking *checking)
{
	opened_done(&checking->opened);
	free(checking->copy);
}

/* Beside the chosen copy there may be an older one, or nothing: both are as they should be. */
static bool as_it_should_be(enum remap_verdict verdict, bool chosen)
{
	return verdict == REMAP_OK || (!chosen && verdict == REMAP_ZERO);
}

static int check_copy(void *userdata, uint32_t block, unsigned int replica, unsigned int place,
		      enum remap_verdict verdict, uint64_t seq, bool chosen)
{
	struct checking *checking = userdata;
	struct copy *bigger;

	if (!checking->all && as_it_should_be(verdict, chosen))
		return 0;
	bigger = reallocarray(checking->copy, checking->nr + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	checking->copy = bigger;
	bigger[checking->nr++] = (struct copy){ block, replica, place, verdict, seq, chosen };
	return 0;
}

static const char *copy_kind(const struct checking *checking, const struct copy *copy)
{
	uint32_t table_blocks = checking->opened.region.super.geometry.table_blocks;

	return !copy->block ? "superblock" : copy->block <= table_blocks ? "table" : "soft state";
}

static int print_copies(const struct checking *checking)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_open(&output, copy_columns);

	for (size_t i = 0; !r && i < checking->nr; i++) {
		const struct copy *copy = &checking->copy[i];

		if (output_line(output) < 0)
			return -ENOMEM;
		output_number(output, copy->block);
		output_text(output, copy_kind(checking, copy));
		output_number(output, copy->replica);
		output_text(output, copy->place ? "B" : "A");
		output_text(output, remap_verdict_name(copy->verdict));
		output_number(output, copy->seq);
		r = output_text(output, copy->chosen ? "yes" : "no");
	}
	return r || output_is_empty(output) ? r : output_print(output);
}

static void print_copies_json(const struct checking *checking, bool whole)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_begin_list(&json, "copies");
	for (size_t i = 0; i < checking->nr; i++) {
		const struct copy *copy = &checking->copy[i];

		json_begin(&json, NULL);
		json_number(&json, "block", copy->block);
		json_string(&json, "kind", copy_kind(checking, copy));
		json_number(&json, "replica", copy->replica);
		json_string(&json, "place", copy->place ? "B" : "A");
		json_string(&json, "verdict", remap_verdict_name(copy->verdict));
		json_number(&json, "number", copy->seq);
		json_bool(&json, "used", copy->chosen);
		json_end(&json);
	}
	json_end(&json);
	json_bool(&json, "whole", whole);
	json_end(&json);
}

/* As far as the next look may find it otherwise. */
static bool is_damaged(int r, const struct region_table *table)
{
	return r == -EUCLEAN ||
	       (!r && (table->nr_unloadable || table->nr_contradictions || table->nr_damaged));
}

/*
 * The set may be active, and a commit under way: one replica has it, the other does not, or a
 * place is half-written.  What is damaged is so at every look.
 */
int verb_check(struct invocation *invocation, struct error *error)
{
	_cleanup_(checking_done) struct checking checking = {
		.all = option_value(invocation, "all"),
		.opened = { .fd = -1 },
	};
	const struct region_table *table = &checking.opened.table;
	int r = open_spare(invocation, &checking.opened, check_copy, &checking, error);

	for (unsigned int i = 1; i < CHECK_TRIES && is_damaged(r, table); i++) {
		usleep(CHECK_PAUSE_MS * 1000);
		opened_done(&checking.opened);
		checking.opened = (struct opened){ .fd = -1 };
		checking.nr = 0;
		r = open_spare(invocation, &checking.opened, check_copy, &checking, error);
	}
	if (invocation->json)
		print_copies_json(&checking, !r && !is_damaged(r, table));
	if (r < 0)
		return r;
	r = invocation->json ? 0 : print_copies(&checking);
	if (r < 0)
		return r;
	if (table->nr_unloadable || table->nr_contradictions)
		return error_set(error, EUCLEAN,
				 "%s: %u table block%s without a valid copy, %u chunk%s claimed "
				 "by several slots: the set cannot be activated read-write",
				 invocation->argv[0], table->nr_unloadable,
				 plural(table->nr_unloadable), table->nr_contradictions,
				 plural(table->nr_contradictions));
	if (table->nr_damaged)
		return error_set(error, EUCLEAN,
				 "%s: %u cop%s damaged or outdated; activation repairs %s",
				 invocation->argv[0], table->nr_damaged,
				 table->nr_damaged == 1 ? "y is" : "ies are",
				 table->nr_damaged == 1 ? "it" : "them");
	if (!invocation->json && !invocation->quiet)
		printf("%s: all metadata is intact\n", FOREIGN(invocation->argv[0]));
	return 0;
}

static const struct column entry_columns[] = {
	{ "SLOT", true },   { "STATE", false }, { "SECTOR", true }, { "REDIRECTED", false },
	{ "LOST", false },  { "EPOCH", true },	{ "CAUSE", false }, { "ERROR", false },
	{ "ERRORS", true }, { "SINCE", false }, { NULL },
};

static int add_entry(struct output *output, uint32_t slot, const struct remap_entry *entry)
{
	bool used = entry->state == REMAP_ENTRY_USED;
	time_t when = (time_t)entry->when;
	char mask[8], lost[8], since[40] = "";
	struct tm tm;

	if (output_line(output) < 0)
		return -ENOMEM;
	snprintf(mask, sizeof(mask), "0x%02x", entry->redirected);
	snprintf(lost, sizeof(lost), "0x%02x", entry->lost);
	if (when && localtime_r(&when, &tm))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%S%z", &tm);
	output_number(output, slot);
	output_text(output, used ? "used" : "bad");
	if (used)
		output_number(output, (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS);
	else
		output_text(output, NULL);
	output_text(output, mask);
	output_text(output, lost);
	output_number(output, entry->generation);
	output_text(output, event_cause_name(entry->cause));
	output_text(output, entry->status ? event_status_name(entry->status) : NULL);
	output_number(output, entry->errors);
	return output_text(output, since);
}

static void add_entry_json(struct json *json, uint32_t slot, const struct remap_entry *entry)
{
	bool used = entry->state == REMAP_ENTRY_USED;

	json_begin(json, NULL);
	json_number(json, "slot", slot);
	json_string(json, "state", used ? "used" : "bad");
	if (used)
		json_number(json, "sector", (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS);
	else
		json_null(json, "sector");
	json_sectors(json, "redirected", entry->main_chunk, entry->redirected);
	json_sectors(json, "lost", entry->main_chunk, entry->lost);
	json_number(json, "epoch", entry->generation);
	json_string(json, "cause", event_cause_name(entry->cause));
	json_string(json, "error", entry->status ? event_status_name(entry->status) : NULL);
	json_number(json, "errors", entry->errors);
	json_time(json, "since", entry->when);
	json_end(json);
}

static void dump_json(const struct opened *opened)
{
	const struct remap_super *super = &opened->region.super;
	char uuid[UUID_STRING_BYTES];
	struct json json = { 0 };

	uuid_to_string(super->uuid, uuid);
	json_begin(&json, NULL);
	json_string(&json, "uuid", uuid);
	json_string(&json, "label", super->label);
	json_begin(&json, "main");
	json_number(&json, "sectors", super->main_sectors);
	json_string(&json, "identity", super->identity);
	json_end(&json);
	json_begin(&json, "spare");
	json_number(&json, "sectors", super->geometry.region_sectors);
	json_number(&json, "slots", super->geometry.slots);
	json_end(&json);
	json_number(&json, "generation", opened->table.generation);
	json_number(&json, "probe_sector", (uint64_t)super->probe_chunk * REMAP_CHUNK_SECTORS);
	json_bool(&json, "marked", super->flags & REMAP_SUPER_MARKED);
	json_number(&json, "blocks_missing", opened->table.nr_unloadable);
	json_begin_list(&json, "entries");
	for (uint32_t slot = 0; slot < opened->table.nr_slots; slot++)
		if (opened->table.entry[slot].state != REMAP_ENTRY_FREE)
			add_entry_json(&json, slot, &opened->table.entry[slot]);
	json_end(&json);
	json_end(&json);
}

/* The escape hatch (O9): what any kernel with device-mapper can serve. */
static int print_dm_table(const struct invocation *invocation, const struct opened *opened,
			  const char *main, struct error *error)
{
	_cleanup_free_ struct segment *segments = NULL;
	size_t nr;
	int r = region_segments(&opened->region, &opened->table, &segments, &nr, error);

	for (size_t i = 0; !r && i < nr; i++) {
		const struct segment *s = &segments[i];

		printf("%" PRIu64 " %" PRIu64 " ", s->start, s->nr_sectors);
		if (s->kind == SEGMENT_LOST)
			printf("error\n");
		else if (s->kind == SEGMENT_MAIN)
			printf("linear %s %" PRIu64 "\n", main, s->start);
		else
			printf("linear %s %" PRIu64 "\n", invocation->argv[0], s->spare_sector);
	}
	return r;
}

int verb_dump(struct invocation *invocation, struct error *error)
{
	_cleanup_output_ struct output *output = NULL;
	_cleanup_opened_ struct opened opened = { .fd = -1 };
	const struct remap_super *super = &opened.region.super;
	const char *main = option_value(invocation, "dm-table");
	char uuid[UUID_STRING_BYTES];
	int r;

	r = open_spare(invocation, &opened, NULL, NULL, error);
	if (r < 0)
		return r;
	if (main && invocation->json)
		return error_set(error, EINVAL, "--dm-table does not print JSON");
	if (main)
		return print_dm_table(invocation, &opened, main, error);
	if (!invocation->json) {
		uuid_to_string(super->uuid, uuid);
		printf("set          %s\nlabel        %s\nmain         %" PRIu64
		       " sectors, identity \"%s\"\nregion       %" PRIu64 " sectors, %u slots\n"
		       "generation   %" PRIu64 "\nprobe chunk  sector %" PRIu64 "%s\n",
		       uuid, foreign_text(super->label, sizeof(super->label)).text,
		       (uint64_t)super->main_sectors,
		       foreign_text(super->identity, sizeof(super->identity)).text,
		       (uint64_t)super->geometry.region_sectors, super->geometry.slots,
		       opened.table.generation, (uint64_t)super->probe_chunk * REMAP_CHUNK_SECTORS,
		       super->flags & REMAP_SUPER_MARKED ? "" : ", not marked yet");
		if (opened.table.nr_unloadable)
			printf("DAMAGED      %u table blocks are missing in this list\n",
			       opened.table.nr_unloadable);
	}
	if (invocation->json)
		dump_json(&opened);
	else
		r = output_open(&output, entry_columns);
	for (uint32_t slot = 0; output && !r && slot < opened.table.nr_slots; slot++)
		if (opened.table.entry[slot].state != REMAP_ENTRY_FREE)
			r = add_entry(output, slot, &opened.table.entry[slot]);
	if (!r && output)
		r = output_print(output);
	if (!r && (opened.table.nr_unloadable || opened.table.nr_contradictions))
		return error_set(error, EUCLEAN, "%s: the table is incomplete; run dmremap check",
				 invocation->argv[0]);
	return r;
}
