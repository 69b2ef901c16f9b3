// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "watched.h"

struct watched *watched_find(struct watched_list *list, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->at[i].device.major == major && list->at[i].device.minor == minor)
			return &list->at[i];
	return NULL;
}

struct watched *watched_of(struct watched_list *list, const struct dm_device *device)
{
	struct watched *watched = watched_find(list, device->major, device->minor);
	struct watched *bigger;

	if (watched && streq(watched->device.dm_uuid, device->dm_uuid)) {
		watched->device = *device;
		return watched;
	}
	if (!watched) { /* else: the number has another owner now */
		bigger = reallocarray(list->at, list->nr + 1, sizeof(*bigger));
		if (!bigger)
			return NULL;
		list->at = bigger;
		watched = &list->at[list->nr++];
	}
	memset(watched, 0, sizeof(*watched));
	watched->device = *device;
	watched->activity = watched_activity(device);
	return watched;
}

void watched_forget_unseen(struct watched_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->nr; i++)
		if (list->at[i].seen)
			list->at[kept++] = list->at[i];
	list->nr = kept;
}

uint64_t watched_activity(const struct dm_device *device)
{
	const struct remap_status *s = &device->status;

	return s->read_errors + s->write_errors + s->spare_read_errors + s->spare_write_errors +
	       s->flush_errors + s->relocations + s->rejected + s->lost_reads;
}

int watched_save(const struct watched_list *list, const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	size_t nr_bytes;

	file = open_memstream(&text, &nr_bytes);
	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < list->nr; i++)
		if (*list->at[i].device.dm_uuid)
			fprintf(file, "%s %u\n", list->at[i].device.dm_uuid,
				list->at[i].policy.step_told);
	if (fflush(file) == EOF)
		return -ENOMEM;
	return write_file_atomic(path, text, nr_bytes, 0600);
}

unsigned int watched_load_step(const char *path, const char *dm_uuid)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *line;
	size_t nr_bytes;

	if (!*dm_uuid || read_file(path, &text, &nr_bytes) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *number = strchr(line, ' ');
		uint64_t step;

		if (!number)
			continue;
		*number++ = '\0';
		if (streq(line, dm_uuid) && parse_u64(number, &step) == 0 && step <= 100)
			return (unsigned int)step;
	}
	return 0;
}
