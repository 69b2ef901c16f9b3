// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "backup-age.h"
#include "format/backup.h"
#include "health.h"
#include "json.h"
#include "system/events.h"
#include "util/foreign.h"

/**
 * struct comparison - of the kernel's remaps with a backup, both in the order of their slots
 * @backup: it
 * @at: its next entry
 * @nr_missing: slots of which it has another remap, none, or one that is gone
 */
struct comparison {
	const struct backup *backup;
	uint32_t at;
	int64_t nr_missing;
};

static int compare(void *userdata, const struct remap_slot *line)
{
	struct comparison *comparison = userdata;
	const struct backup *backup = comparison->backup;
	const struct backup_entry *entry;

	/* slots that were given back since */
	while (comparison->at < backup->nr_entries &&
	       backup->entry[comparison->at].slot < line->slot) {
		comparison->nr_missing++;
		comparison->at++;
	}
	entry = &backup->entry[comparison->at];
	if (comparison->at == backup->nr_entries || entry->slot != line->slot) {
		comparison->nr_missing++;
		return 0;
	}
	comparison->at++;
	if (entry->entry.state != line->state || entry->entry.redirected != line->redirected ||
	    entry->entry.lost != line->lost ||
	    (line->state == REMAP_ENTRY_USED && entry->entry.main_chunk != line->chunk))
		comparison->nr_missing++;
	return 0;
}

bool backup_age_of(const struct dm_device *device, struct backup_age *age)
{
	_cleanup_backup_ struct backup backup = { 0 };
	struct comparison comparison = { .backup = &backup };
	const char *uuid = uuid_of_device(device);
	int r;

	*age = (struct backup_age){ .nr_missing = -1 };
	if (!*uuid || device->fallback || device->failed)
		return false;
	snprintf(age->path, sizeof(age->path), "%.200s/%s.backup", state_directory(), uuid);
	r = backup_read(age->path, &backup, NULL);
	age->is_there = !r;
	age->is_damaged = r < 0 && r != -ENOENT;
	if (r < 0)
		return true;
	age->created = backup.created;
	/* the kernel has given no number since: nothing was committed */
	if (backup.generation == device->status.generation)
		age->nr_missing = 0;
	else if (event_dump_remaps(device->major, device->minor, compare, &comparison, NULL) == 0)
		age->nr_missing = comparison.nr_missing + (backup.nr_entries - comparison.at);
	return true;
}

void print_backup_age(const struct dm_device *device)
{
	struct foreign_text name = foreign_text(device->name, sizeof(device->name));
	struct backup_age age;
	struct date created;

	if (!backup_age_of(device, &age))
		return;
	created = date_of(age.created);
	if (age.is_damaged)
		printf("  backup     %s is damaged; make a new one with dmremap backup %s\n",
		       age.path, name.text);
	else if (!age.is_there)
		printf("  backup     none; make one with dmremap backup %s\n", name.text);
	else if (age.nr_missing < 0)
		printf("  backup     of %s; it is not known whether it has all remaps\n",
		       created.text);
	else if (!age.nr_missing)
		printf("  backup     of %s; it has all remaps\n", created.text);
	else
		printf("  backup     of %s; %" PRId64 " change%s of the table since %s not in it\n",
		       created.text, age.nr_missing, plural((uint64_t)age.nr_missing),
		       age.nr_missing == 1 ? "is" : "are");
}

void add_backup_age(struct json *json, const struct dm_device *device)
{
	struct backup_age age;

	if (!backup_age_of(device, &age)) {
		json_null(json, "backup");
		return;
	}
	json_begin(json, "backup");
	json_string(json, "path", age.path);
	json_bool(json, "whole", age.is_there);
	json_time(json, "created", age.is_there ? age.created : 0);
	if (age.nr_missing >= 0)
		json_number(json, "missing", (uint64_t)age.nr_missing);
	else
		json_null(json, "missing");
	json_end(json);
}
