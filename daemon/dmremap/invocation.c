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
				 "not done: there is no terminal to ask on; use --yes to skip the "
				 "question");
	fflush(stdout);
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y'))
		return error_set(error, ECANCELED, "not done");
	return 0;
}

/* @what: as the user calls it; what no device can be called is not an error of device-mapper's. */
static int get_device(const char *what, const char *name, struct dm_device *device,
		      struct error *error)
{
	int r = -ENODEV;

	if (*name && strlen(name) < sizeof(device->name) && !strchr(name, '/'))
		r = dm_get(name, device, error);
	return r != -ENODEV ? r :
			      error_set(error, ENODEV,
					"%.200s: no such mapped device; dmremap list shows all "
					"sets",
					what);
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
		return get_device(what, what + strlen(mapper), device, error);
	if (!strncmp(what, node, strlen(node)) && parse_u64(what + strlen(node), &number) == 0) {
		/* as it was typed: a number beyond those of devices is that of none */
		snprintf(path, sizeof(path), "/sys/block/dm-%.20s/dm/name", what + strlen(node));
		r = read_file(path, &name, &nr_bytes);
		if (r < 0)
			return error_set(error, ENODEV, "%s: no such mapped device", what);
		name[strcspn(name, "\n")] = '\0';
		return dm_get(name, device, error);
	}
	if (uuid_from_string(what, uuid) == 0) {
		char found[128];

		/* as the set's device has it, however it was typed */
		snprintf(dm_uuid, sizeof(dm_uuid), DM_UUID_PREFIX);
		uuid_to_string(uuid, dm_uuid + strlen(DM_UUID_PREFIX));
		if (dm_name_of_uuid(dm_uuid, found) < 0)
			return error_set(error, ENODEV, "set %s is not active", what);
		return dm_get(found, device, error);
	}
	if (strchr(what, '/'))
		return error_set(error, EINVAL, "%s: not a name of a mapped device", what);
	return get_device(what, what, device, error);
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
				 "%s is active without the module (fallback), and cannot receive "
				 "messages; where there is the module, run dmremap deactivate %s, "
				 "then dmremap activate %s",
				 device->name, device->name, device->name);
	return 0;
}

int check_same_device(const struct dm_device *device, struct error *error)
{
	struct dm_device now;
	int r = dm_get(device->name, &now, error);

	if (r < 0 || (streq(now.dm_uuid, device->dm_uuid) && now.minor == device->minor &&
		      streq(now.line.main, device->line.main)))
		return r;
	return error_set(error, EBUSY, "%s: the device was replaced meanwhile; nothing was changed",
			 device->name);
}
