// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "progress-slots.h"

#define PAUSE_MS 1000

static int read_used(const char *path, uint64_t *used)
{
	_cleanup_free_ char *text = NULL;
	int r = read_file(path, &text, NULL);

	if (!r)
		*used = strtoull(text, NULL, 10);
	return r;
}

static void *watch(void *userdata)
{
	struct progress_slots *slots = userdata;
	struct progress *progress = &slots->line.progress;
	struct pollfd stop = { .fd = slots->stop, .events = POLLIN };
	uint64_t used = slots->before;

	while (poll(&stop, 1, PAUSE_MS) == 0) {
		if (read_used(slots->path, &used) < 0)
			continue;
		progress->done = used > slots->before ? used - slots->before : slots->before - used;
		progress->show(progress);
	}
	return NULL;
}

void progress_slots_begin(struct progress_slots *slots, const struct invocation *invocation,
			  const struct dm_device *device, const char *what, uint64_t total)
{
	progress_begin(&slots->line, invocation, what, total);
	slots->stop = -1;
	snprintf(slots->path, sizeof(slots->path),
		 "/sys/dev/block/%" PRIu32 ":%" PRIu32 "/remap/used_slots", device->major,
		 device->minor);
	if (!slots->line.what || read_used(slots->path, &slots->before) < 0)
		return;
	slots->stop = eventfd(0, EFD_CLOEXEC);
	if (slots->stop < 0 || pthread_create(&slots->thread, NULL, watch, slots) == 0)
		return;
	close_p(&slots->stop);
	slots->stop = -1;
}

void progress_slots_end(struct progress_slots *slots)
{
	if (slots->stop >= 0) {
		eventfd_write(slots->stop, 1);
		pthread_join(slots->thread, NULL);
		close_p(&slots->stop);
	}
	progress_end(&slots->line);
}
