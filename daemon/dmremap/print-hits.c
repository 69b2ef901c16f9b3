// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "health.h"
#include "print-hits.h"
#include "util/foreign.h"

static bool has_offset(const struct hit *hit)
{
	return (hit->kind == HIT_FILE || hit->kind == HIT_INODE) && hit->path &&
	       hit->offset != HIT_OFFSET_UNKNOWN && !*hit->what;
}

/* "/mnt/file, from byte 4096", "block bitmap"; the caller frees. */
static char *describe(const struct hit *hit)
{
	char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return NULL;
	if (hit->path)
		fprintf(file, "%s", hit->path);
	else if (hit->inode)
		fprintf(file, "inode %" PRIu64, hit->inode);
	if (*hit->what)
		fprintf(file, "%s%s", hit->path || hit->inode ? ": " : "", hit->what);
	if (has_offset(hit))
		fprintf(file, ", from byte %" PRIu64, hit->offset);
	return fclose(file) == EOF ? NULL : text;
}

/* Line by line: there may be many, and names are of any length. */
static void print_hit(const struct hit *hit)
{
	_cleanup_free_ char *text = describe(hit), *printable = NULL;
	size_t nr_bytes = text ? FOREIGN_TEXT_BYTES(strlen(text)) : 0;

	if (text)
		printable = malloc(nr_bytes);
	if (printable)
		foreign_escape(text, strlen(text), printable, nr_bytes);
	printf("%14" PRIu64 " %10" PRIu64 "  %-11s  %-10s  %s\n", hit->sector, hit->nr_sectors,
	       hit_kind_name(hit->kind), hit->device, strna(printable));
}

void hits_print(const struct invocation *invocation, const struct dm_device *device,
		const struct hits *hits, size_t nr)
{
	if (hits->nr)
		printf("%14s %10s  %-11s  %-10s  %s\n", "SECTOR", "COUNT", "KIND", "ON", "WHAT");
	for (size_t i = 0; i < hits->nr && i < nr; i++)
		print_hit(&hits->at[i]);
	if (!hits->nr && !invocation->quiet)
		printf("%s: no such sectors\n",
		       foreign_text(device->name, sizeof(device->name)).text);
	if (hits->nr_dropped)
		printf("and %" PRIu64 " more places\n", hits->nr_dropped);
	for (size_t i = 0; i < hits->nr_notes; i++)
		printf("note: %s\n", hits->notes[i]);
}

#define BRIEF_LINES 8
#define BRIEF_BYTES 400

/* What is known of the first ones; a line is cut. */
void hits_print_brief(const struct hits *hits)
{
	for (size_t i = 0, nr = 0; i < hits->nr && nr < BRIEF_LINES; i++) {
		const struct hit *hit = &hits->at[i];
		char printable[BRIEF_BYTES], inode[32] = "-";
		const char *text = hit->path ? hit->path : *hit->what ? hit->what : inode;

		if (hit->kind == HIT_UNKNOWN || hit->kind == HIT_NOT_MOUNTED)
			continue;
		if (hit->inode)
			snprintf(inode, sizeof(inode), "inode %" PRIu64, hit->inode);
		foreign_escape(text, strlen(text), printable, sizeof(printable));
		printf("%" PRIu64 " %" PRIu64 " %s %s\n", hit->sector, hit->nr_sectors,
		       hit_kind_name(hit->kind), printable);
		nr++;
	}
}

static void add_hit(struct json *json, const struct hit *hit)
{
	json_begin(json, NULL);
	json_number(json, "sector", hit->sector);
	json_number(json, "nr_sectors", hit->nr_sectors);
	json_string(json, "kind", hit_kind_name(hit->kind));
	json_string(json, "device", hit->device);
	json_string(json, "path", hit->path);
	if (hit->inode)
		json_number(json, "inode", hit->inode);
	else
		json_null(json, "inode");
	if (has_offset(hit))
		json_number(json, "offset", hit->offset);
	else
		json_null(json, "offset");
	json_string(json, "what", hit->what);
	json_end(json);
}

void hits_print_json(const struct dm_device *device, const struct hits *hits)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "uuid", uuid_of_device(device));
	json_begin_list(&json, "hits");
	for (size_t i = 0; i < hits->nr; i++)
		add_hit(&json, &hits->at[i]);
	json_end(&json);
	json_number(&json, "dropped", hits->nr_dropped);
	json_begin_list(&json, "notes");
	for (size_t i = 0; i < hits->nr_notes; i++)
		json_string(&json, NULL, hits->notes[i]);
	json_end(&json);
	json_end(&json);
}
