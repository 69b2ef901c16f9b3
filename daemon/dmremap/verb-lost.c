// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a copy of main does not have: import --lost, and for replace-main --map.  Of a map all
 * areas count that were not rescued, and it must be of all of main.
 */
#include <errno.h>
#include <inttypes.h>

#include "import-list.h"
#include "lost-map.h"
#include "set/open.h"
#include "util/foreign.h"

#define UNRESCUED "?*/-"

static int check_whole(const struct badlist *list, const struct whole_disk *disk, const char *path,
		       bool of_disk, uint64_t main_sectors, struct error *error)
{
	uint64_t wanted = main_sectors + (of_disk ? disk->start : 0);

	if (list->format != BADLIST_DDRESCUE || list->end >= wanted)
		return 0;
	return error_set(error, EINVAL,
			 "%s does not cover sectors from %" PRIu64 " on, and there are "
			 "%" PRIu64 "; nothing was changed. Use a map of the whole copy",
			 import_list_name(path), list->end, wanted);
}

int lost_map_look(struct lost_map *map, struct set_handle *handle, struct error *error)
{
	const struct invocation *invocation = map->invocation;
	uint64_t main_sectors = handle->region.super.main_sectors;
	struct whole_disk disk;
	int r = whole_disk_of(handle->main_path, &disk, error);

	if (r < 0)
		return r;
	if (disk.nr_sectors > main_sectors)
		disk.nr_sectors = main_sectors;
	r = import_list_read(invocation, map->path, &disk,
			     option_value(invocation, "areas") ? NULL : UNRESCUED, &map->list,
			     error);
	if (!r)
		r = check_whole(&map->list, &disk, map->path, option_value(invocation, "disk"),
				main_sectors, error);
	map->losing.handle = handle;
	return r ? r : losing_look(&map->losing, map->list.range, map->list.nr_ranges, error);
}

void lost_map_print(const struct lost_map *map)
{
	const struct losing *losing = &map->losing;

	printf("map      %s: %" PRIu64 " sector%s in %zu place%s %s not rescued\n",
	       FOREIGN(import_list_name(map->path)), map->list.nr_sectors,
	       plural(map->list.nr_sectors), map->list.nr_ranges, plural(map->list.nr_ranges),
	       map->list.nr_sectors == 1 ? "was" : "were");
	printf("lost     %" PRIu64 " sector%s, in %u more slot%s: errors until written\n",
	       losing->nr_sectors, plural(losing->nr_sectors), losing->nr_slots,
	       plural(losing->nr_slots));
	if (losing->nr_served)
		printf("note     %" PRIu64 " other%s served from the spare, and keep%s the data\n",
		       losing->nr_served, losing->nr_served == 1 ? " is" : "s are",
		       losing->nr_served == 1 ? "s" : "");
}

void lost_map_done(struct lost_map *map)
{
	badlist_done(&map->list);
	losing_done(&map->losing);
}

int import_lost(struct invocation *invocation, struct error *error)
{
	_cleanup_(set_close) struct open_set open = OPEN_SET_NONE;
	_cleanup_(lost_map_done) struct lost_map map = { .invocation = invocation,
							 .path = invocation->argv[1] };
	int r = 0;

	if (option_value(invocation, "up-to"))
		return error_set(error, EINVAL, "--up-to is for an import without --lost");
	if (invocation->json)
		return error_set(error, EINVAL, "import --lost does not print JSON");
	r = set_open_locked(invocation->argv[0], false, &open, error);
	/* it is held now, and cannot be activated */
	set_unlock(&open);
	if (!r)
		r = lost_map_look(&map, &open.handle, error);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes) {
		lost_map_print(&map);
		printf("note     data written to these sectors of %s since it was copied is lost, "
		       "too\n",
		       open.handle.main_path);
	}
	if (option_value(invocation, "dry-run"))
		return 0;
	r = map.losing.nr_sectors ? confirm(invocation, "Give them up?", error) : 0;
	return r ? r : losing_carry_out(&map.losing, error);
}
