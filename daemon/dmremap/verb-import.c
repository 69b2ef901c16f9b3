// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * import: what other tools found bad is remapped, with what can be read of it.  Everything is
 * counted and some of it read before the first message is sent: a list of another block size or
 * another device would move good sectors, and one that is too long would fill the spare.
 */
#include <errno.h>
#include <inttypes.h>

#include "import-list.h"
#include "json.h"
#include "progress-line.h"
#include "remap_format.h"
#include "room.h"
#include "system/events.h"
#include "verbs.h"

/*
 * Of one message: what it has done when it fails, for a suspend say, it has done, but a long one
 * keeps a terminal waiting; and the kernel takes 1024 ranges of at most 1 GiB together.
 */
#define SECTORS_AT_ONCE 65536
#define RANGES_AT_ONCE 512
/* Places that are read before: none of them fails, and the list is likely of something else. */
#define READ_PLACES 16
#define READ_SECTORS 8

/**
 * struct importing - one import
 * @invocation: of it
 * @device: the active set
 * @disk: where its main lies
 * @list: what is to be remapped; shortened by --up-to
 * @mapped: chunks that are remapped already, sorted
 * @nr_mapped: how many
 * @nr_needed: chunks of @list that are not
 * @nr_lost: sectors that could not be read, so far
 */
struct importing {
	const struct invocation *invocation;
	struct dm_device device;
	struct whole_disk disk;
	struct badlist list;
	uint64_t *mapped;
	size_t nr_mapped;
	uint64_t nr_needed;
	uint64_t nr_lost;
};

static void importing_done(struct importing *a)
{
	badlist_done(&a->list);
	free(a->mapped);
}

static int add_mapped(void *userdata, const struct remap_slot *line)
{
	struct importing *a = userdata;

	if (line->state != REMAP_ENTRY_USED)
		return 0;
	/* room is the next power of two */
	if (!(a->nr_mapped & (a->nr_mapped - 1))) {
		uint64_t *bigger = reallocarray(a->mapped, a->nr_mapped ? a->nr_mapped * 2 : 1,
						sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		a->mapped = bigger;
	}
	a->mapped[a->nr_mapped++] = line->chunk;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Chunks that need a slot; places from the @limit-th on are cut off. */
static uint64_t count_needed(struct importing *a, uint64_t limit)
{
	uint64_t nr = 0, last = UINT64_MAX;

	for (size_t i = 0; i < a->list.nr_ranges; i++) {
		struct bad_range *range = &a->list.range[i];
		uint64_t end = range->sector + range->nr_sectors;

		for (uint64_t c = range->sector / REMAP_CHUNK_SECTORS;
		     c * REMAP_CHUNK_SECTORS < end; c++) {
			if (c == last || bsearch(&c, a->mapped, a->nr_mapped, sizeof(c), by_number))
				continue;
			if (nr == limit) {
				uint64_t at = c * REMAP_CHUNK_SECTORS;

				range->nr_sectors = at > range->sector ? at - range->sector : 0;
				a->list.nr_ranges = i + (range->nr_sectors > 0);
				return nr;
			}
			last = c;
			nr++;
		}
	}
	return nr;
}

static int count(struct importing *a, struct error *error)
{
	const char *text = option_value(a->invocation, "up-to");
	uint64_t limit = UINT64_MAX, nr_free = room_free(&a->device);
	char part[80] = "";
	int r;

	if (text && (parse_number(text, &limit) < 0 || !limit))
		return error_set(error, EINVAL, "\"%s\" is not a number of chunks", text);
	r = event_dump_remaps(a->device.major, a->device.minor, add_mapped, a, error);
	if (r < 0)
		return r;
	qsort(a->mapped, a->nr_mapped, sizeof(*a->mapped), by_number);
	a->nr_needed = count_needed(a, limit);
	a->list.nr_sectors = 0;
	for (size_t i = 0; i < a->list.nr_ranges; i++)
		a->list.nr_sectors += a->list.range[i].nr_sectors;
	if (nr_free)
		snprintf(part, sizeof(part),
			 ", or remap only the first of them with --up-to %" PRIu64, nr_free);
	return room_check(&a->device, a->nr_needed, part, error);
}

/* Of the first places: 1: one fails to be read. */
static int any_fails(const struct importing *a, uint32_t block_bytes, bool rescale)
{
	uint64_t bad;
	size_t nr = a->list.nr_ranges < READ_PLACES ? a->list.nr_ranges : READ_PLACES;
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		uint64_t sector = a->list.range[i].sector, nr_sectors = a->list.range[i].nr_sectors;

		if (rescale) {
			sector = sector * REMAP_SECTOR_BYTES / a->list.block_bytes * block_bytes /
				 REMAP_SECTOR_BYTES;
			nr_sectors = block_bytes / REMAP_SECTOR_BYTES;
		}
		if (sector >= a->disk.nr_sectors)
			return 0;
		r = whole_disk_read_fails(&a->disk, sector,
					  nr_sectors < READ_SECTORS ? nr_sectors : READ_SECTORS,
					  &bad, NULL);
	}
	return r;
}

/* What the list may mean instead. */
static void print_guesses(struct importing *a, FILE *to)
{
	static const uint32_t sizes[] = { 512, 1024, 2048, 4096 };

	if (a->list.format == BADLIST_BADBLOCKS && !option_value(a->invocation, "block-size")) {
		fprintf(to, "note     assuming blocks of %u bytes", a->list.block_bytes);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if (sizes[i] != a->list.block_bytes && any_fails(a, sizes[i], true) == 1) {
				fprintf(to,
					"; with --block-size %u, some of the places cannot be read",
					sizes[i]);
				break;
			}
		fprintf(to, "\n");
	}
	if (a->disk.start && !a->list.is_of_disk && !option_value(a->invocation, "disk"))
		fprintf(to,
			"note     its numbers are taken as sectors of %s; use --disk if they are "
			"of the whole disk\n",
			a->disk.main);
}

static int read_first(struct importing *a, struct error *error)
{
	size_t nr = a->list.nr_ranges < READ_PLACES ? a->list.nr_ranges : READ_PLACES;
	/* no question without what it is about, and in JSON nothing else */
	bool shows = (!a->invocation->json && !a->invocation->quiet) || !a->invocation->yes;
	FILE *to = a->invocation->json ? stderr : stdout;
	int r;

	/* do not ask because something cannot be read */
	if (!nr || any_fails(a, 0, false) != 0)
		return 0;
	if (shows) {
		fprintf(to,
			"note     all of its first %zu place%s can be read; check that the list is "
			"current, and for this device\n",
			nr, plural(nr));
		print_guesses(a, to);
		fflush(to);
	}
	if (option_value(a->invocation, "dry-run"))
		return 0;
	r = confirm(a->invocation, "Remap them anyway?", error);
	return r ? r : check_same_device(&a->device, error);
}

/* One place, part by part. */
static int remap_range(struct importing *a, const struct bad_range *range, struct error *error)
{
	int r = 0;

	for (uint64_t done = 0; !r && done < range->nr_sectors; done += SECTORS_AT_ONCE) {
		uint64_t nr = range->nr_sectors - done;
		char message[96];

		snprintf(message, sizeof(message), "remap %" PRIu64 " %" PRIu64 " import",
			 range->sector + done, nr < SECTORS_AT_ONCE ? nr : SECTORS_AT_ONCE);
		r = dm_message(a->device.name, message, NULL, error);
	}
	return r;
}

/* One message for as many places as it takes, @nr of them: they share the kernel's commits. */
static int remap_list(struct importing *a, size_t first, size_t nr, struct error *error)
{
	char message[32 + 44 * RANGES_AT_ONCE];
	size_t length = (size_t)snprintf(message, sizeof(message), "remap_list import");

	for (size_t i = first; i < first + nr; i++)
		length += (size_t)snprintf(message + length, sizeof(message) - length,
					   " %" PRIu64 ":%" PRIu64, a->list.range[i].sector,
					   a->list.range[i].nr_sectors);
	return dm_message(a->device.name, message, NULL, error);
}

/* How many whole places from @first on go in one message. */
static size_t places_at_once(const struct importing *a, size_t first)
{
	uint64_t nr_sectors = 0;
	size_t i = first;

	while (i < a->list.nr_ranges && i - first < RANGES_AT_ONCE) {
		nr_sectors += a->list.range[i].nr_sectors;
		if (nr_sectors > SECTORS_AT_ONCE)
			break;
		i++;
	}
	return i - first;
}

/* A module that is older than this command has no lists. */
static bool has_lists(const struct importing *a)
{
	_cleanup_free_ char *verbs = NULL;
	struct error why;

	return dm_message(a->device.name, "help", &verbs, &why) >= 0 && verbs &&
	       strstr(verbs, "remap_list");
}

static uint64_t lost_now(const char *name, uint64_t otherwise)
{
	struct dm_device device;

	return dm_get(name, &device, NULL) < 0 ? otherwise : device.status.lost_sectors;
}

static int carry_out(struct importing *a, struct error *error)
{
	uint64_t nr_done = 0, before = a->device.status.lost_sectors, after;
	bool lists = has_lists(a);
	struct progress_line line;
	size_t i = 0;
	int r = 0;

	progress_begin(&line, a->invocation, "remapping places", a->list.nr_ranges);
	while (i < a->list.nr_ranges) {
		size_t nr = lists ? places_at_once(a, i) : 1;
		size_t end = i + (nr ? nr : 1);

		/* what fails together is done one by one: so it is known where it stops */
		if (nr < 2 || remap_list(a, i, nr, error) < 0) {
			for (; i < end; i++) {
				r = remap_range(a, &a->list.range[i], error);
				if (r < 0)
					break;
				nr_done += a->list.range[i].nr_sectors;
				progress_step(&line.progress);
			}
			if (r < 0)
				break;
			continue;
		}
		for (; i < end; i++) {
			nr_done += a->list.range[i].nr_sectors;
			progress_step(&line.progress);
		}
	}
	progress_end(&line);
	after = lost_now(a->device.name, before);
	a->nr_lost = after > before ? after - before : 0;
	if (r < 0)
		return error_set(error, -r,
				 "%.250s; stopped at sector %" PRIu64 ": %zu of %zu place%s done; "
				 "repeat the command to continue",
				 error->text, a->list.range[i].sector, i, a->list.nr_ranges,
				 plural(a->list.nr_ranges));
	if (a->invocation->quiet || a->invocation->json)
		return 0;
	printf("remapped %" PRIu64 " sector%s in %zu place%s\n", nr_done, plural(nr_done),
	       a->list.nr_ranges, plural(a->list.nr_ranges));
	if (a->nr_lost)
		printf("lost     %" PRIu64 " of them cannot be read: they read as errors until "
		       "they are written\n",
		       a->nr_lost);
	return 0;
}

static void print_json(const struct importing *a)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", a->device.name);
	json_string(&json, "format", badlist_format_name(a->list.format));
	json_bool(&json, "dry_run", option_value(a->invocation, "dry-run"));
	json_number(&json, "sectors", a->list.nr_sectors);
	json_number(&json, "slots_needed", a->nr_needed);
	if (option_value(a->invocation, "dry-run"))
		json_null(&json, "lost_sectors");
	else
		json_number(&json, "lost_sectors", a->nr_lost);
	json_number(&json, "places_elsewhere", a->list.nr_elsewhere);
	json_begin(&json, "not_taken");
	json_number(&json, "untried", a->list.untried);
	json_number(&json, "untrimmed", a->list.untrimmed);
	json_number(&json, "unscraped", a->list.unscraped);
	json_end(&json);
	json_begin_list(&json, "ranges");
	for (size_t i = 0; i < a->list.nr_ranges; i++) {
		json_begin(&json, NULL);
		json_number(&json, "sector", a->list.range[i].sector);
		json_number(&json, "nr_sectors", a->list.range[i].nr_sectors);
		json_end(&json);
	}
	json_end(&json);
	json_end(&json);
}

int verb_import(struct invocation *invocation, struct error *error)
{
	const char *path = invocation->argv[1];
	_cleanup_(importing_done) struct importing a = { .invocation = invocation };
	int r;

	if (option_value(invocation, "lost"))
		return import_lost(invocation, error);
	r = find_live_device(invocation, &a.device, error);
	if (!r)
		r = whole_disk_of(a.device.line.main, &a.disk, error);
	/* the set may be shorter than main */
	if (!r && a.disk.nr_sectors > a.device.nr_sectors)
		a.disk.nr_sectors = a.device.nr_sectors;
	if (!r)
		r = import_list_read(invocation, path, &a.disk, NULL, &a.list, error);
	if (r < 0)
		return r;
	if (!invocation->quiet && !invocation->json) {
		import_list_print(path, &a.list);
		fflush(stdout);
	}
	r = count(&a, error);
	if (!r)
		r = read_first(&a, error);
	if (!r && !option_value(invocation, "dry-run"))
		r = carry_out(&a, error);
	if (!r && invocation->json)
		print_json(&a);
	return r;
}
