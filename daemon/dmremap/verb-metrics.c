// SPDX-License-Identifier: GPL-2.0-or-later
/* metrics: what is known of active sets, for Prometheus; to a file as a whole or not at all. */
#include <errno.h>

#include "health.h"
#include "health/metrics.h"
#include "output.h"
#include "scrub/scrub-lock.h"
#include "verbs.h"

const struct verb_option options_metrics[] = {
	{ "write", "FILE", "write to FILE, atomically" },
	{ NULL },
};

static bool is_scrubbed(const struct dm_device *device)
{
	char key[256];

	key_of_device(device, key, sizeof(key));
	return scrub_find_process(key);
}

static struct metric_set metric_of(const struct dm_device *device, const struct report *report)
{
	return (struct metric_set){
		.name = device->name,
		.uuid = uuid_of_device(device),
		.mode = mode_of(device),
		.status = device->fallback || device->failed ? NULL : &device->status,
		.is_gone = { report->main_gone, report->spare_gone },
		.verdict = &report->verdict,
		.forecast = &report->forecast,
		.scrub = report->scrub.nr_sectors ? &report->scrub : NULL,
		.is_scrubbed = is_scrubbed(device),
		.history_at = report->last.at,
	};
}

static int write_all(FILE *to, const struct dm_device *devices, size_t nr)
{
	_cleanup_free_ struct report *reports = calloc(nr + 1, sizeof(*reports));
	_cleanup_free_ struct metric_set *sets = calloc(nr + 1, sizeof(*sets));

	if (!reports || !sets)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		report_of(&devices[i], &reports[i]);
		sets[i] = metric_of(&devices[i], &reports[i]);
	}
	metrics_write(to, sets, nr);
	return 0;
}

static int write_file(const char *path, const struct dm_device *devices, size_t nr,
		      struct error *error)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);
	int r;

	if (!file)
		return -ENOMEM;
	r = write_all(file, devices, nr);
	if (fclose(file) == EOF || r < 0)
		return -ENOMEM;
	return output_to_file(path, text, nr_bytes, error);
}

int verb_metrics(struct invocation *invocation, struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	const char *path = option_value(invocation, "write");
	size_t nr_devices;
	int r = dm_list(&devices, &nr_devices, error);

	if (r < 0)
		return r;
	return path ? write_file(path, devices, nr_devices, error) :
		      write_all(stdout, devices, nr_devices);
}
