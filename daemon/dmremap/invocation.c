// SPDX-License-Identifier: GPL-2.0-or-later
/* What verbs ask of their call: options, a yes, the mapped device that is meant. */
#include <errno.h>
#include <unistd.h>

#include "verbs.h"

const char *option_value(const struct invocation *invocation, const char *name)
{
	for (int i = 0; invocation->verb->option && invocation->verb->option[i].name; i++)
		if (streq(invocation->verb->option[i].name, name))
			return invocation->value[i];
	return NULL;
}

int confirm(const struct invocation *invocation, const char *question, struct error *error)
{
	char answer[16];

	if (invocation->yes)
		return 0;
	if (!isatty(STDIN_FILENO))
		return error_set(error, ECANCELED,
				 "not done: there is no terminal to ask on; --yes does it without");
	fflush(stdout);
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y'))
		return error_set(error, ECANCELED, "not done");
	return 0;
}

int find_device(const char *what, struct dm_device *device, struct error *error)
{
	static const char mapper[] = "/dev/mapper/", node[] = "/dev/dm-";
	_cleanup_free_ char *name = NULL;
	char dm_uuid[64], path[64];
	size_t nr_bytes;
	uint8_t uuid[16];
	uint64_t number;
	int r;

	if (!strncmp(what, mapper, strlen(mapper)))
		return dm_get(what + strlen(mapper), device, error);
	if (!strncmp(what, node, strlen(node)) && parse_u64(what + strlen(node), &number) == 0) {
		snprintf(path, sizeof(path), "/sys/block/dm-%u/dm/name", (unsigned int)number);
		r = read_file(path, &name, &nr_bytes);
		if (r < 0)
			return error_set(error, ENODEV, "%s: there is no such mapped device", what);
		name[strcspn(name, "\n")] = '\0';
		return dm_get(name, device, error);
	}
	if (uuid_from_string(what, uuid) == 0) {
		char found[128];

		snprintf(dm_uuid, sizeof(dm_uuid), DM_UUID_PREFIX "%s", what);
		if (dm_name_of_uuid(dm_uuid, found) < 0)
			return error_set(error, ENODEV, "set %s is not active", what);
		return dm_get(found, device, error);
	}
	if (strchr(what, '/'))
		return error_set(error, EINVAL, "%s: not the name of a mapped device", what);
	return dm_get(what, device, error);
}

int find_devices(const struct invocation *invocation, struct dm_device **devices, size_t *nr,
		 struct error *error)
{
	if (!invocation->argc)
		return dm_list(devices, nr, error);
	*devices = calloc(1, sizeof(**devices));
	*nr = 1;
	return *devices ? find_device(invocation->argv[0], *devices, error) : -ENOMEM;
}

int find_live_device(const struct invocation *invocation, struct dm_device *device,
		     struct error *error)
{
	int r = find_device(invocation->argv[0], device, error);

	if (r < 0)
		return r;
	if (device->fallback)
		return error_set(error, EBUSY,
				 "%s is active without the module (fallback): it takes no messages",
				 device->name);
	return 0;
}
