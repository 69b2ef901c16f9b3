// SPDX-License-Identifier: GPL-2.0-or-later
/* map: where on the disk the remapped and the lost sectors are, and how full the spare is. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>

#include "health.h"
#include "health/disk-map.h"
#include "json.h"
#include "output.h"
#include "remap_format.h"
#include "scrub.h"
#include "util/foreign.h"
#include "verbs.h"

/* Of a picture, and of JSON: cells are squares, and there is room for them. */
#define PICTURE_COLUMNS 96
#define TERMINAL_COLUMNS 80
/* What stands left of a line. */
#define EDGE_COLUMNS 11

const struct verb_option options_map[] = {
	{ "svg", "FILE", "as a picture" },
	{ "width", "COLUMNS", "width of the terminal" },
	{ "ascii", NULL, "without Unicode characters" },
	{ NULL },
};

static bool is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool is = locale && streq(nl_langinfo_l(CODESET, locale), "UTF-8");

	if (locale)
		freelocale(locale);
	return is;
}

static unsigned int terminal_columns(void)
{
	const char *text = getenv("COLUMNS");
	struct winsize size = { 0 };
	uint64_t columns;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return text && parse_u64(text, &columns) == 0 && columns && columns <= UINT16_MAX ?
		       (unsigned int)columns :
		       TERMINAL_COLUMNS;
}

/* How many cells are in a line. */
static int columns_of(const struct invocation *invocation, unsigned int *columns,
		      struct error *error)
{
	const char *text = option_value(invocation, "width");
	uint64_t width = terminal_columns();

	if (text && (parse_number(text, &width) < 0 ||
		     width < EDGE_COLUMNS + DISK_MAP_COLUMNS_MIN || width > DISK_MAP_COLUMNS_MAX))
		return error_set(error, EINVAL, "\"%s\" is not a width: %d to %d columns", text,
				 EDGE_COLUMNS + DISK_MAP_COLUMNS_MIN, DISK_MAP_COLUMNS_MAX);
	if (invocation->json || option_value(invocation, "svg"))
		*columns = PICTURE_COLUMNS;
	else if (width < EDGE_COLUMNS + DISK_MAP_COLUMNS_MIN)
		*columns = DISK_MAP_COLUMNS_MIN;
	else
		*columns = (unsigned int)(width < DISK_MAP_COLUMNS_MAX ? width :
									 DISK_MAP_COLUMNS_MAX) -
			   EDGE_COLUMNS;
	return 0;
}

static int add_slot(void *userdata, const struct remap_slot *slot)
{
	disk_map_add(userdata, slot);
	return 0;
}

/* Of a part whose sectors are counted from @start: what is before it has no place. */
static void add_range(struct disk_map *map, bool is_spare, uint64_t start, uint64_t sector,
		      uint64_t nr, bool is_suspicious)
{
	uint64_t before = sector < start ? start - sector : 0;

	if (before < nr)
		disk_map_add_scrub(map, is_spare, sector + before - start, nr - before,
				   is_suspicious);
}

/* What was read of a part, and what of it could not be. */
static int add_part(struct disk_map *map, bool is_spare, uint64_t start, const struct plan *plan,
		    const struct runs *bad)
{
	_cleanup_runs_ struct runs known = { NULL, 0, 0 }, all = { NULL, 0, 0 },
				   good = { NULL, 0, 0 };
	uint64_t nr_slow = plan->nr_slow < PLAN_SLOW_MAX ? plan->nr_slow : PLAN_SLOW_MAX;
	int r = plan->position ? runs_add(&all, 0, plan->position, 0) : 0;

	for (size_t i = 0; !r && i < plan->nr_spans; i++)
		r = runs_add(&known, plan->span[i].sector, plan->span[i].nr, plan->span[i].sector);
	for (uint64_t i = 0; !r && i < nr_slow; i++)
		r = runs_add(&known, plan->slow[i].sector, plan->slow[i].nr, plan->slow[i].sector);
	if (!r)
		r = runs_sort(&known);
	if (!r)
		r = runs_subtract(&all, &known, &good);
	for (size_t i = 0; !r && i < good.nr; i++)
		add_range(map, is_spare, start, good.at[i].at, good.at[i].nr, false);
	for (size_t i = 0; !r && i < bad->nr; i++)
		add_range(map, is_spare, start, bad->at[i].at, bad->at[i].nr, true);
	for (uint64_t i = 0; !r && i < nr_slow; i++)
		add_range(map, is_spare, start, plan->slow[i].sector, plan->slow[i].nr, true);
	return r;
}

/* What a scrub could not read, and was remapped since, is no riddle any more. */
static int add_scrub(const struct dm_device *device, struct disk_map *map, struct error *error)
{
	static const enum scrub_sectors settled[] = { SCRUB_REMAPPED, SCRUB_BAD_SLOTS };
	_cleanup_scrub_ struct scrub_state state = { 0 };
	struct remap_geometry geometry;
	char key[256];
	int r = 0;

	key_of_device(device, key, sizeof(key));
	/* never, or it cannot be read: dmremap scrub status tells */
	if (scrub_state_load(key, &state) < 0)
		return 0;
	for (int part = 0; !r && part < NR_SCRUB_PARTS; part++) {
		_cleanup_runs_ struct runs bad = { NULL, 0, 0 }, over = { NULL, 0, 0 },
					   left = { NULL, 0, 0 };
		bool is_spare = part == SCRUB_SPARE;
		uint64_t start = 0;

		if (is_spare && remap_geometry_compute(device->line.spare_sectors, &geometry) < 0)
			break;
		if (is_spare)
			start = remap_slot_sector(&geometry, 0);
		r = scrub_find_unreadable(&state.plan[part], &bad);
		if (!r)
			r = scrub_find_sectors(device, settled[part], &over, error);
		if (!r)
			r = runs_subtract(&bad, &over, &left);
		if (!r)
			r = add_part(map, is_spare, start, &state.plan[part], &left);
	}
	return r;
}

static void add_cells(struct json *json, const char *name, const struct disk_map_strip *strip,
		      bool is_main)
{
	json_begin_list(json, name);
	for (unsigned int i = 0; i < strip->nr_cells; i++) {
		const struct disk_map_cell *cell = &strip->cell[i];
		uint64_t first = disk_map_first(strip, i);

		if (!cell->used && !cell->worst && !cell->own && !cell->suspicious &&
		    !cell->scrubbed)
			continue;
		json_begin(json, NULL);
		json_number(json, is_main ? "sector" : "slot", first);
		json_number(json, is_main ? "nr_sectors" : "nr_slots",
			    disk_map_first(strip, i + 1) - first);
		json_number(json, is_main ? "remapped" : "used", cell->used);
		json_number(json, is_main ? "lost" : "bad", cell->worst);
		if (is_main)
			json_number(json, "own", cell->own);
		json_number(json, "suspicious", cell->suspicious);
		json_number(json, "scrubbed", cell->scrubbed);
		json_end(json);
	}
	json_end(json);
}

static void print_json(const struct dm_device *device, const struct disk_map *map)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "uuid", uuid_of_device(device));
	json_number(&json, "nr_sectors", map->main.nr_units);
	json_number(&json, "total_slots", map->spare.nr_units);
	add_cells(&json, "main", &map->main, true);
	add_cells(&json, "spare", &map->spare, false);
	json_end(&json);
}

static int write_svg(const char *path, const struct dm_device *device, const struct disk_map *map,
		     struct error *error)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	disk_map_svg(file, device->name, map);
	if (fclose(file) == EOF)
		return -ENOMEM;
	return output_to_file(path, text, nr_bytes, error);
}

int verb_map(struct invocation *invocation, struct error *error)
{
	_cleanup_(disk_map_done) struct disk_map map = { .columns = 0 };
	const char *svg = option_value(invocation, "svg");
	struct dm_device device;
	unsigned int columns = 0;
	int r = columns_of(invocation, &columns, error);

	if (!r)
		r = find_live_device(invocation, &device, error);
	if (!r)
		r = disk_map_init(&map, device.nr_sectors, device.status.total_slots, columns);
	if (!r)
		r = event_dump_remaps(device.major, device.minor, add_slot, &map, error);
	if (!r)
		r = add_scrub(&device, &map, error);
	if (!r && svg)
		r = write_svg(svg, &device, &map, error);
	if (r < 0)
		return r;
	if (invocation->json)
		print_json(&device, &map);
	else if (!svg)
		disk_map_text(stdout, foreign_text(device.name, sizeof(device.name)).text, &map,
			      is_utf8() && !option_value(invocation, "ascii"));
	return 0;
}
