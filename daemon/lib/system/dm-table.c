// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <sys/sysmacros.h>

#include "system/dm-table.h"

void dm_segment_parse(struct dm_segment *segment, const char *target, const char *params)
{
	unsigned int major_number, minor_number;
	uint64_t offset;
	int nr = 0;

	snprintf(segment->target, sizeof(segment->target), "%s", target);
	segment->below = 0;
	segment->offset = 0;
	if (streq(target, "linear"))
		nr = sscanf(params, "%u:%u %" SCNu64, &major_number, &minor_number, &offset);
	else if (streq(target, "crypt")) /* cipher, key, first number of its own */
		nr = sscanf(params, "%*s %*s %*s %u:%u %" SCNu64, &major_number, &minor_number,
			    &offset);
	if (nr != 3)
		return;
	segment->below = makedev(major_number, minor_number);
	segment->offset = offset;
}

static int read_segments(struct dm_task *task, struct dm_segment **segments, size_t *nr)
{
	char *target = NULL, *params = NULL;
	uint64_t start, length;
	void *next = NULL;

	do {
		struct dm_segment *bigger =
			reallocarray(*segments, *nr + 1, sizeof(struct dm_segment));

		if (!bigger)
			return -ENOMEM;
		*segments = bigger;
		next = dm_get_next_target(task, next, &start, &length, &target, &params);
		if (!target)
			break;
		bigger[*nr].start = start;
		bigger[*nr].nr_sectors = length;
		dm_segment_parse(&bigger[(*nr)++], target, params ? params : "");
	} while (next);
	return 0;
}

int dm_table_of(dev_t devno, struct dm_segment **segments, size_t *nr)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_TABLE);
	struct dm_info info;
	int r = 0;

	*segments = NULL;
	*nr = 0;
	if (!task)
		return -ENOMEM;
	/* a table of crypt has its key in it: what it was in is wiped */
	if (!dm_task_set_major(task, (int)major(devno)) ||
	    !dm_task_set_minor(task, (int)minor(devno)) || !dm_task_secure_data(task) ||
	    !dm_task_run(task) || !dm_task_get_info(task, &info) || !info.exists)
		r = -ENODEV;
	if (!r)
		r = read_segments(task, segments, nr);
	dm_task_destroy(task);
	return r;
}
