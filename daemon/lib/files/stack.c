// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/sysmacros.h>

#include "files/stack.h"
#include "set/scan.h"
#include "system/dm-table.h"

#define DEPTH_MAX 8

/**
 * struct stack - a stack being resolved
 * @hits: what lies in no device, or in one that cannot be resolved
 * @leaf: of the caller
 * @userdata: of the caller
 * @depth: devices above the set
 */
struct stack {
	struct hits *hits;
	leaf_f leaf;
	void *userdata;
	unsigned int depth;
};

static dev_t number_of(const char *name)
{
	unsigned int major_number, minor_number;
	_cleanup_free_ char *text = NULL;
	char path[300];

	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	if (read_file(path, &text, NULL) < 0 ||
	    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return 0;
	return makedev(major_number, minor_number);
}

static int resolve(struct stack *stack, dev_t devno, const char *path, struct runs *runs);

/*
 * What lies on @devno by one device above it; @runs loses that.  *@why: something of it cannot be
 * resolved, which is why the rest may be in it.
 */
static int resolve_holder(struct stack *stack, dev_t devno, const char *name, struct runs *runs,
			  char *why, size_t nr_why)
{
	_cleanup_free_ struct dm_segment *segments = NULL;
	_cleanup_runs_ struct runs above = { NULL, 0, 0 };
	dev_t holder = number_of(name);
	bool is_linear = false;
	size_t nr = 0;
	char path[280];
	int r = 0;

	node_of_sysfs(name, path, sizeof(path));
	if (!holder || dm_table_of(holder, &segments, &nr) < 0) {
		snprintf(why, nr_why, "on %.40s, which is not resolved", name);
		return 0;
	}
	for (size_t i = 0; !r && i < nr; i++) {
		const struct dm_segment *segment = &segments[i];

		if (!segment->below)
			snprintf(why, nr_why, "on %.40s (%.20s), which is not resolved", name,
				 segment->target);
		if (segment->below != devno)
			continue;
		is_linear = true;
		r = runs_take(runs, segment->offset, segment->nr_sectors, segment->start, &above);
	}
	if (!is_linear && !*why)
		snprintf(why, nr_why, "on %.40s, which is not resolved", name);
	if (!r)
		r = runs_sort(&above);
	return r || !above.nr ? r : resolve(stack, holder, path, &above);
}

static int resolve(struct stack *stack, dev_t devno, const char *path, struct runs *runs)
{
	struct hit rest = { .kind = HIT_UNUSED };
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	unsigned int nr_holders = 0;
	char holders[64];
	int r = 0;

	snprintf(holders, sizeof(holders), "/sys/dev/block/%u:%u/holders", major(devno),
		 minor(devno));
	snprintf(rest.device, sizeof(rest.device), "%.31s", path);
	dir = opendir(holders);
	if (stack->depth++ < DEPTH_MAX)
		while (!r && dir && (entry = readdir(dir))) {
			if (*entry->d_name == '.')
				continue;
			nr_holders++;
			r = resolve_holder(stack, devno, entry->d_name, runs, rest.what,
					   sizeof(rest.what));
		}
	stack->depth--;
	if (r || !runs->nr)
		return r;
	if (!nr_holders)
		return stack->leaf(stack->userdata, devno, path, runs);
	if (*rest.what)
		rest.kind = HIT_UNKNOWN;
	else
		snprintf(rest.what, sizeof(rest.what),
			 "in no volume: partition table, labels, or free");
	return hits_add_runs(stack->hits, runs, &rest);
}

int stack_resolve(dev_t devno, struct runs *runs, struct hits *hits, leaf_f leaf, void *userdata)
{
	struct stack stack = { hits, leaf, userdata, 0 };
	char path[64];

	device_path(devno, path, sizeof(path));
	return resolve(&stack, devno, path, runs);
}
