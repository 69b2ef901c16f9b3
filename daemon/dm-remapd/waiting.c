// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "waiting.h"

static struct waiting *find(struct waiting_list *list, const char *uuid)
{
	for (size_t i = 0; i < list->nr; i++)
		if (streq(list->at[i].uuid, uuid))
			return &list->at[i];
	return NULL;
}

void waiting_begin(struct waiting_list *list)
{
	for (size_t i = 0; i < list->nr; i++) {
		list->at[i].seen = false;
		list->at[i].main[0] = '\0';
		list->at[i].spare[0] = '\0';
	}
}

int waiting_member(struct waiting_list *list, const char *uuid, const char *label, const char *role,
		   const char *path, uint64_t now)
{
	struct waiting *waiting = find(list, uuid), *bigger;

	if (strlen(uuid) != UUID_STRING_BYTES - 1)
		return -EINVAL;
	if (!waiting) {
		bigger = reallocarray(list->at, list->nr + 1, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		list->at = bigger;
		waiting = &list->at[list->nr++];
		memset(waiting, 0, sizeof(*waiting));
		snprintf(waiting->uuid, sizeof(waiting->uuid), "%s", uuid);
		waiting->since = now;
	}
	waiting->seen = true;
	snprintf(waiting->label, sizeof(waiting->label), "%s", label);
	if (streq(role, "main"))
		snprintf(waiting->main, sizeof(waiting->main), "%s", path);
	else
		snprintf(waiting->spare, sizeof(waiting->spare), "%s", path);
	return 0;
}

void waiting_is_active(struct waiting_list *list, const char *uuid)
{
	struct waiting *waiting = find(list, uuid);

	if (waiting)
		waiting->seen = false;
}

void waiting_end(struct waiting_list *list, uint64_t now,
		 void (*tell)(const struct waiting *waiting))
{
	size_t kept = 0;

	for (size_t i = 0; i < list->nr; i++) {
		struct waiting *waiting = &list->at[i];

		if (!waiting->seen)
			continue;
		if (!waiting->told && now - waiting->since >= WAITING_PATIENCE_SECONDS) {
			tell(waiting);
			waiting->told = true;
		}
		list->at[kept++] = *waiting;
	}
	list->nr = kept;
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
			const char *uuid, *role, *label, *node;

			if (!device)
				continue;
			uuid = udev_device_get_property_value(device, "DM_REMAP_UUID");
			role = udev_device_get_property_value(device, "DM_REMAP_ROLE");
			label = udev_device_get_property_value(device, "ID_FS_LABEL");
			node = udev_device_get_devnode(device);
			if (uuid && role && node)
				waiting_member(list, uuid, label ? label : "", role, node, now);
			udev_device_unref(device);
		}
	if (enumerate)
		udev_enumerate_unref(enumerate);
	return r < 0 ? r : 0;
}
