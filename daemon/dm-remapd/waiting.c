// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "waiting.h"

struct waiting *waiting_find(struct waiting_list *list, const char *uuid)
{
	for (size_t i = 0; i < list->nr; i++)
		if (streq(list->at[i].uuid, uuid))
			return &list->at[i];
	return NULL;
}

void waiting_begin(struct waiting_list *list)
{
	for (size_t i = 0; i < list->nr; i++) {
		struct waiting *waiting = &list->at[i];

		memcpy(waiting->before, waiting->member, sizeof(waiting->before));
		waiting->nr_before = waiting->nr_members;
		waiting->nr_members = 0;
		waiting->nr_strange = 0;
		waiting->main[0] = '\0';
		waiting->spare[0] = '\0';
		waiting->name[0] = '\0';
		waiting->seen = false;
	}
}

static struct waiting *make(struct waiting_list *list, const char *uuid, uint64_t now)
{
	struct waiting *bigger = reallocarray(list->at, list->nr + 1, sizeof(*bigger)), *waiting;

	if (!bigger)
		return NULL;
	list->at = bigger;
	waiting = &list->at[list->nr++];
	memset(waiting, 0, sizeof(*waiting));
	snprintf(waiting->uuid, sizeof(waiting->uuid), "%s", uuid);
	waiting->since = now;
	return waiting;
}

int waiting_member(struct waiting_list *list, const char *uuid, const char *label, const char *role,
		   const char *path, dev_t devno, uint64_t disk_seq, uint64_t now)
{
	struct waiting *waiting = waiting_find(list, uuid);
	bool is_main = streq(role, "main");
	uint8_t number[16];

	/* it becomes a part of paths */
	if (uuid_from_string(uuid, number) < 0)
		return -EINVAL;
	if (!waiting)
		waiting = make(list, uuid, now);
	if (!waiting)
		return -ENOMEM;
	waiting->seen = true;
	snprintf(waiting->label, sizeof(waiting->label), "%s", label);
	if (is_main)
		snprintf(waiting->main, sizeof(waiting->main), "%s", path);
	else
		snprintf(waiting->spare, sizeof(waiting->spare), "%s", path);
	if (waiting->nr_members < WAITING_MEMBERS_MAX)
		waiting->member[waiting->nr_members++] = (struct waiting_member){
			.devno = devno, .disk_seq = disk_seq, .is_main = is_main
		};
	return 0;
}

int waiting_event(struct waiting_list *list, const char *uuid, bool gone, uint64_t now)
{
	struct waiting *waiting = waiting_find(list, uuid);

	if (!waiting)
		waiting = make(list, uuid, now);
	if (!waiting)
		return -ENOMEM;
	waiting->let_go = gone;
	return 0;
}

static unsigned int nr_in_table(const struct waiting *waiting, dev_t main, dev_t spare)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < waiting->nr_members; i++)
		nr += waiting->member[i].devno == (waiting->member[i].is_main ? main : spare);
	return nr;
}

void waiting_is_active(struct waiting_list *list, const char *name, const char *uuid, dev_t main,
		       dev_t spare)
{
	for (size_t i = 0; i < list->nr; i++) {
		struct waiting *waiting = &list->at[i];
		unsigned int nr = nr_in_table(waiting, main, spare);

		if (!nr && (!*uuid || !streq(waiting->uuid, uuid)))
			continue;
		snprintf(waiting->name, sizeof(waiting->name), "%s", name);
		waiting->nr_strange = main || spare ? waiting->nr_members - nr : 0;
	}
}

static bool has(const struct waiting_member *members, unsigned int nr, struct waiting_member member)
{
	for (unsigned int i = 0; i < nr; i++)
		if (members[i].devno == member.devno && members[i].disk_seq == member.disk_seq &&
		    members[i].is_main == member.is_main)
			return true;
	return false;
}

/* A member came; or one went, and what is left may be clear now. */
static bool is_worth_trying(const struct waiting *waiting)
{
	for (unsigned int i = 0; i < waiting->nr_members; i++)
		if (!has(waiting->before, waiting->nr_before, waiting->member[i]))
			return true;
	return (*waiting->reason || *waiting->name) && waiting->nr_members < waiting->nr_before;
}

/* A member went, and one came in its place: between two looks it was unplugged and plugged in. */
static bool was_replaced(const struct waiting *waiting)
{
	for (unsigned int i = 0; i < waiting->nr_members; i++) {
		if (has(waiting->before, waiting->nr_before, waiting->member[i]))
			continue;
		for (unsigned int j = 0; j < waiting->nr_before; j++)
			if (waiting->before[j].is_main == waiting->member[i].is_main &&
			    !has(waiting->member, waiting->nr_members, waiting->before[j]))
				return true;
	}
	return false;
}

static void plan(struct waiting *waiting, uint64_t now, bool passive)
{
	/* active and whole: there is nothing to do; a strange member may be one that returned */
	if (*waiting->name && !waiting->nr_strange) {
		waiting->try_at = 0;
		waiting->nr_tries = 0;
		waiting->reason[0] = '\0';
		return;
	}
	/* Its members are new to us, but it was active already, and was deactivated. */
	if (waiting->let_go && !waiting->noted && !*waiting->name && !was_replaced(waiting)) {
		if (!waiting->nr_tries)
			waiting->try_at = 0;
		return;
	}
	if (!is_worth_trying(waiting) || (passive && !waiting->noted && !*waiting->name))
		return;
	waiting->try_at = now + WAITING_TRY_SECONDS;
	waiting->nr_tries = 0;
	waiting->reason[0] = '\0';
}

void waiting_end(struct waiting_list *list, uint64_t now,
		 void (*tell)(const struct waiting *waiting))
{
	size_t kept = 0;

	for (size_t i = 0; i < list->nr; i++) {
		struct waiting *waiting = &list->at[i];

		if (!waiting->seen)
			continue;
		plan(waiting, now, list->passive);
		waiting->let_go = false;
		if (*waiting->name) {
			waiting->reported = false;
			waiting->since = now;
		} else if (!waiting->reported && !waiting->held && /* else it is wanted so */
			   now - waiting->since >= WAITING_PATIENCE_SECONDS) {
			tell(waiting);
			waiting->reported = true;
		}
		list->at[kept++] = *waiting;
	}
	list->nr = kept;
	list->passive = false;
}

bool waiting_take(struct waiting *waiting, uint64_t now)
{
	if (!waiting->try_at || now < waiting->try_at)
		return false;
	waiting->try_at = 0;
	return true;
}

bool waiting_result(struct waiting *waiting, bool failed, const char *said, uint64_t now)
{
	uint64_t pause = WAITING_TRY_SECONDS * 2;
	bool is_new = *said && !streq(waiting->reason, said);

	snprintf(waiting->reason, sizeof(waiting->reason), "%s", said);
	if (!failed) {
		waiting->nr_tries = 0;
		return is_new;
	}
	for (unsigned int i = 0; i < waiting->nr_tries && pause < WAITING_RETRY_SECONDS_MAX; i++)
		pause *= 2;
	waiting->nr_tries++;
	if (!waiting->try_at)
		waiting->try_at = now + pause;
	return is_new;
}

void waiting_retry(struct waiting_list *list, uint64_t now)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->at[i].nr_tries)
			list->at[i].try_at = now;
}

unsigned int waiting_next(const struct waiting_list *list, uint64_t now, unsigned int most)
{
	for (size_t i = 0; i < list->nr; i++) {
		const struct waiting *waiting = &list->at[i];
		uint64_t at = waiting->try_at;

		if (!*waiting->name && !waiting->reported && !waiting->held &&
		    (!at || at > waiting->since + WAITING_PATIENCE_SECONDS))
			at = waiting->since + WAITING_PATIENCE_SECONDS;
		if (at && at < now + most)
			most = at > now ? (unsigned int)(at - now) : 1;
	}
	return most;
}

/* 0: not known.  A partition has that of its disk, which older kernels do not repeat. */
static uint64_t disk_seq_of(struct udev_device *device)
{
	const char *seq = udev_device_get_property_value(device, "DISKSEQ");
	struct udev_device *disk;

	if (!seq) {
		disk = udev_device_get_parent_with_subsystem_devtype(device, "block", "disk");
		seq = disk ? udev_device_get_property_value(disk, "DISKSEQ") : NULL;
	}
	return seq ? strtoull(seq, NULL, 10) : 0;
}

static void collect_one(struct waiting_list *list, struct udev_device *device, uint64_t now)
{
	const char *uuid = udev_device_get_property_value(device, "DM_REMAP_UUID");
	const char *role = udev_device_get_property_value(device, "DM_REMAP_ROLE");
	const char *label = udev_device_get_property_value(device, "ID_FS_LABEL");
	const char *node = udev_device_get_devnode(device);

	if (uuid && role && node)
		waiting_member(list, uuid, label ? label : "", role, node,
			       udev_device_get_devnum(device), disk_seq_of(device), now);
}

int waiting_collect(struct waiting_list *list, struct udev *udev, uint64_t now)
{
	struct udev_enumerate *enumerate = udev_enumerate_new(udev);
	struct udev_list_entry *at;
	int r = enumerate ? 0 : -ENOMEM;

	if (!r)
		r = udev_enumerate_add_match_subsystem(enumerate, "block");
	if (r >= 0)
		r = udev_enumerate_add_match_property(enumerate, "ID_FS_TYPE", "dm_remap_member");
	if (r >= 0)
		r = udev_enumerate_scan_devices(enumerate);
	if (r >= 0)
		udev_list_entry_foreach(at, udev_enumerate_get_list_entry(enumerate))
		{
			struct udev_device *device =
				udev_device_new_from_syspath(udev, udev_list_entry_get_name(at));

			if (!device)
				continue;
			collect_one(list, device, now);
			udev_device_unref(device);
		}
	if (enumerate)
		udev_enumerate_unref(enumerate);
	return r < 0 ? r : 0;
}
