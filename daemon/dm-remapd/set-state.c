// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "set-state.h"

#define STEPS_BYTES_MAX 65536

struct set_state *set_state_find(struct set_states *list, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->at[i].device.major == major && list->at[i].device.minor == minor)
			return &list->at[i];
	return NULL;
}

struct set_state *set_state_named(struct set_states *list, const char *name)
{
	for (size_t i = 0; i < list->nr; i++)
		if (streq(list->at[i].device.name, name))
			return &list->at[i];
	return NULL;
}

struct set_state *set_state_of(struct set_states *list, const struct dm_device *device)
{
	struct set_state *set = set_state_find(list, device->major, device->minor);
	struct set_state *bigger;

	if (set && streq(set->device.dm_uuid, device->dm_uuid)) {
		set->device = *device;
		return set;
	}
	if (!set) { /* else: the number has another owner now */
		bigger = reallocarray(list->at, list->nr + 1, sizeof(*bigger));
		if (!bigger)
			return NULL;
		list->at = bigger;
		set = &list->at[list->nr++];
	}
	memset(set, 0, sizeof(*set));
	set->device = *device;
	set->activity = status_activity(&device->status);
	return set;
}

void set_state_forget_unseen(struct set_states *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->nr; i++)
		if (list->at[i].seen)
			list->at[kept++] = list->at[i];
	list->nr = kept;
}

static struct step_reported *find_step(struct set_states *list, const char *dm_uuid)
{
	for (size_t i = 0; i < list->nr_steps; i++)
		if (streq(list->step[i].dm_uuid, dm_uuid))
			return &list->step[i];
	return NULL;
}

unsigned int set_state_step(const struct set_states *list, const char *dm_uuid)
{
	const struct step_reported *told = find_step((struct set_states *)list, dm_uuid);

	return told ? told->step : 0;
}

static void note(struct set_states *list, const char *dm_uuid, unsigned int step)
{
	struct step_reported *told = find_step(list, dm_uuid);

	if (!told && list->nr_steps == STEPS_MAX)
		memmove(list->step, list->step + 1, --list->nr_steps * sizeof(list->step[0]));
	if (!told)
		told = &list->step[list->nr_steps++];
	snprintf(told->dm_uuid, sizeof(told->dm_uuid), "%s", dm_uuid);
	told->step = step;
}

bool set_state_note_step(struct set_states *list, const struct set_state *set)
{
	const char *dm_uuid = set->device.dm_uuid;

	if (!*dm_uuid || set_state_step(list, dm_uuid) == set->policy.step_reported)
		return false;
	note(list, dm_uuid, set->policy.step_reported);
	return true;
}

int set_state_save_steps(const struct set_states *list, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < list->nr_steps; i++)
		if (list->step[i].step)
			fprintf(file, "%s %u\n", list->step[i].dm_uuid, list->step[i].step);
	if (fclose(file) == EOF)
		return -ENOMEM;
	return write_file_atomic(path, text, nr_bytes, 0600);
}

void set_state_load_steps(struct set_states *list, const char *path)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *line;
	size_t nr_bytes;

	list->nr_steps = 0;
	if (read_regular_file(path, STEPS_BYTES_MAX, &text, &nr_bytes) < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *number = strchr(line, ' ');
		uint64_t step;

		if (!number)
			continue;
		*number++ = '\0';
		if (strlen(line) < sizeof(list->step[0].dm_uuid) && parse_u64(number, &step) == 0 &&
		    step <= 100)
			note(list, line, (unsigned int)step);
	}
}
