// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "health.h"
#include "top-sets.h"
#include "util/foreign.h"

static struct watched *watch(struct top_sets *sets, const struct dm_device *device)
{
	struct watched *set;

	for (size_t i = 0; i < sets->nr; i++)
		if (streq(sets->at[i].device.name, device->name) &&
		    sets->at[i].device.minor == device->minor)
			return &sets->at[i];
	if (sets->nr == TOP_SETS_MAX)
		return NULL;
	set = &sets->at[sets->nr++];
	*set = (struct watched){ .device = *device };
	/* without statistics the rest is shown */
	if (io_stats_open(&set->stats, device->name, NULL) < 0)
		set->stats = NULL;
	return set;
}

static uint64_t errors_of(const struct remap_status *s)
{
	return s->read_errors + s->write_errors + s->spare_read_errors + s->spare_write_errors +
	       s->flush_errors;
}

static void look_at(struct watched *set, const struct dm_device *device, bool is_first)
{
	uint64_t nr_errors = errors_of(&device->status);
	struct io_counts counts = set->counts;
	struct report report;

	if (set->stats)
		io_stats_read(set->stats, &counts);
	report_of(device, &report);
	set->view = (struct top_set){
		.verdict = verdict_name(report.verdict.level),
		.used = device->status.used_slots,
		.total = device->status.total_slots,
		.lost = device->status.lost_sectors,
		.nr_errors =
			is_first || nr_errors < set->nr_errors ? 0 : nr_errors - set->nr_errors,
		.io = io_counts_since(&set->counts, &counts),
	};
	snprintf(set->view.name, sizeof(set->view.name), "%.127s",
		 foreign_text(device->name, sizeof(device->name)).text);
	snprintf(set->view.mode, sizeof(set->view.mode), "%s", mode_of(device));
	set->device = *device;
	set->counts = counts;
	set->nr_errors = nr_errors;
	set->is_seen = true;
}

static void forget_unseen(struct top_sets *sets)
{
	size_t kept = 0;

	for (size_t i = 0; i < sets->nr; i++) {
		if (sets->at[i].is_seen)
			sets->at[kept++] = sets->at[i];
		else
			io_stats_close(sets->at[i].stats, true);
	}
	sets->nr = kept;
}

int top_sets_look(struct top_sets *sets, struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	size_t nr, before;
	int r = dm_list(&devices, &nr, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sets->nr; i++)
		sets->at[i].is_seen = false;
	for (size_t i = 0; i < nr; i++) {
		struct watched *set;

		if (sets->only && !streq(devices[i].name, sets->only))
			continue;
		before = sets->nr;
		set = watch(sets, &devices[i]);
		if (set)
			look_at(set, &devices[i], sets->nr > before);
	}
	forget_unseen(sets);
	return 0;
}

void top_sets_done(struct top_sets *sets)
{
	for (size_t i = 0; i < sets->nr; i++)
		io_stats_close(sets->at[i].stats, false);
	sets->nr = 0;
}
