// SPDX-License-Identifier: GPL-2.0-or-later
/* export: the sectors that main failed at, or that are lost, in the formats of other tools. */
#include <errno.h>
#include <inttypes.h>

#include "format/badlist.h"
#include "health.h"
#include "json.h"
#include "output.h"
#include "remap_format.h"
#include "set/whole-disk.h"
#include "system/events.h"
#include "util/foreign.h"
#include "verbs.h"

#define DEFAULT_BLOCK_BYTES 1024
#define EXPORT_FORMATS "badblocks, ddrescue, ranges, json"

const struct verb_option options_export[] = {
	{ "format", "FORMAT", EXPORT_FORMATS "; else badblocks" },
	{ "what", "WHAT", "bad, lost or remapped; else bad" },
	{ "block-size", "BYTES", "of a block of badblocks; else 1024" },
	{ "disk", NULL, "with numbers of the whole disk that main lies on" },
	{ NULL },
};

enum what {
	WHAT_BAD,      /* main failed at them, or they were named as bad */
	WHAT_LOST,     /* an error until they are written */
	WHAT_REMAPPED, /* all that main's own sectors do not serve */
};
static const char *const what_names[] = { "bad", "lost", "remapped" };

/**
 * struct exporting - one export
 * @what: which sectors
 * @is_json: as JSON, and not @format
 * @format: of the text
 * @list: the sectors; of main
 * @start: of main, in the numbers that are written
 */
struct exporting {
	enum what what;
	bool is_json;
	enum badlist_format format;
	struct badlist list;
	uint64_t start;
};

static void exporting_done(struct exporting *e)
{
	badlist_done(&e->list);
}

static int parse_options(const struct invocation *invocation, struct exporting *e,
			 struct error *error)
{
	const char *format = option_value(invocation, "format");
	const char *what = option_value(invocation, "what");
	const char *block_size = option_value(invocation, "block-size");
	uint64_t block_bytes = DEFAULT_BLOCK_BYTES;

	e->format = BADLIST_BADBLOCKS;
	e->is_json = invocation->json || (format && streq(format, "json"));
	if (format && invocation->json && !streq(format, "json"))
		return error_set(error, EINVAL, "--json and --format %s exclude each other",
				 format);
	if (format && !e->is_json &&
	    (badlist_format_of(format, &e->format) < 0 ||
	     (e->format != BADLIST_BADBLOCKS && e->format != BADLIST_DDRESCUE &&
	      e->format != BADLIST_RANGES)))
		return error_set(error, EINVAL, "\"%s\" is no format of export: " EXPORT_FORMATS,
				 format);
	for (e->what = WHAT_BAD; what && !streq(what, what_names[e->what]); e->what++)
		if (e->what == WHAT_REMAPPED)
			return error_set(error, EINVAL, "\"%s\" is none of bad, lost, remapped",
					 what);
	if (block_size && (e->is_json || e->format != BADLIST_BADBLOCKS))
		return error_set(error, EINVAL, "--block-size is for --format badblocks");
	if (block_size && (parse_size(block_size, &block_bytes) < 0 || block_bytes < 512 ||
			   block_bytes > 1U << 20 || block_bytes % 512))
		return error_set(error, EINVAL,
				 "\"%s\" is not a block size: a multiple of 512 up to 1 MiB",
				 block_size);
	if (e->is_json && invocation->argc > 1)
		return error_set(error, EINVAL, "JSON is printed, not written to a file");
	e->list.block_bytes = (uint32_t)block_bytes;
	return 0;
}

static uint32_t mask_of(const struct exporting *e, const struct remap_slot *slot)
{
	bool is_own = slot->cause == REMAP_CAUSE_GUARD || slot->cause == REMAP_CAUSE_PROBE;

	if (e->what == WHAT_LOST || (e->what == WHAT_BAD && is_own))
		return slot->lost;
	return slot->redirected | slot->lost;
}

static int add_slot(void *userdata, const struct remap_slot *slot)
{
	struct exporting *e = userdata;
	uint32_t mask = slot->state == REMAP_ENTRY_USED ? mask_of(e, slot) : 0;
	int r = 0;

	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++)
		if (mask >> i & 1)
			r = badlist_add(&e->list,
					(slot->chunk * REMAP_CHUNK_SECTORS + i) *
						REMAP_SECTOR_BYTES,
					REMAP_SECTOR_BYTES);
	return r;
}

static void print_json(const struct dm_device *device, const struct exporting *e, const char *disk)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "uuid", uuid_of_device(device));
	json_string(&json, "what", what_names[e->what]);
	json_string(&json, "disk", disk);
	json_number(&json, "start", e->start);
	json_number(&json, "nr_sectors", device->nr_sectors);
	json_number(&json, "sectors", e->list.nr_sectors);
	json_begin_list(&json, "ranges");
	for (size_t i = 0; i < e->list.nr_ranges; i++) {
		json_begin(&json, NULL);
		json_number(&json, "sector", e->start + e->list.range[i].sector);
		json_number(&json, "nr_sectors", e->list.range[i].nr_sectors);
		json_end(&json);
	}
	json_end(&json);
	json_end(&json);
}

static int write_file(const char *path, const struct dm_device *device, const struct exporting *e,
		      struct error *error)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	badlist_write(file, &e->list, e->format, e->start, device->nr_sectors);
	if (fclose(file) == EOF)
		return -ENOMEM;
	return output_to_file(path, text, nr_bytes, error);
}

int verb_export(struct invocation *invocation, struct error *error)
{
	_cleanup_(exporting_done) struct exporting e = { .what = WHAT_BAD };
	const char *path = invocation->argc > 1 ? invocation->argv[1] : NULL;
	struct whole_disk disk = { .start = 0 };
	struct dm_device device;
	int r = parse_options(invocation, &e, error);

	if (!r)
		r = find_live_device(invocation, &device, error);
	if (!r && option_value(invocation, "disk"))
		r = whole_disk_of(device.line.main, &disk, error);
	e.start = disk.start;
	if (!r)
		r = event_dump_remaps(device.major, device.minor, add_slot, &e, error);
	if (r < 0)
		return r;
	badlist_join(&e.list);
	if (e.is_json)
		print_json(&device, &e, disk.disk);
	else if (path && !streq(path, "-"))
		r = write_file(path, &device, &e, error);
	else
		badlist_write(stdout, &e.list, e.format, e.start, device.nr_sectors);
	if (!r && path && !streq(path, "-") && !invocation->quiet)
		printf("%s: %" PRIu64 " sector%s in %zu place%s\n", FOREIGN(path),
		       e.list.nr_sectors, plural(e.list.nr_sectors), e.list.nr_ranges,
		       plural(e.list.nr_ranges));
	return r;
}
