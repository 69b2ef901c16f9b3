// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets as a whole: activate, deactivate, list.
 */
#include <errno.h>
#include <inttypes.h>

#include "activate.h"
#include "foreign.h"
#include "lvm-devices.h"
#include "output.h"
#include "verbs.h"

static const struct column list_columns[] = {
	{ "name", false, false },   { "state", false, false },
	{ "main", false, false },   { "spare", false, false },
	{ "guarded", true, true },  { "sectors", true, true },
	{ "uuid", false, false },   { "ignored-copies", true, true },
	{ "reason", false, false }, { NULL },
};

static int add_set(struct output *output, const struct machine *machine, const struct assembly *set)
{
	const struct member *main = set->main >= 0 ? &machine->members[set->main] : NULL;
	const struct member *spare = set->spare >= 0 ? &machine->members[set->spare] : NULL;
	char uuid[UUID_STRING_BYTES], reason[sizeof(set->reason) + sizeof(set->ignored) + 32];

	if (output_line(output) < 0)
		return -ENOMEM;
	uuid_to_string(set->uuid, uuid);
	output_text(output, set->name);
	output_text(output, assembly_verdict_name(set->verdict));
	output_text(output, main ? main->path : NULL);
	output_text(output, spare ? spare->path : NULL);
	output_number(output, main && main->guarded);
	output_number(output, spare ? spare->main_sectors : main ? main->main_sectors : 0);
	output_text(output, uuid);
	output_number(output, set->nr_ignored);
	if (*set->ignored) {
		snprintf(reason, sizeof(reason), "%s%signored copies: %s", set->reason,
			 *set->reason ? "; " : "", set->ignored);
		return output_text(output, reason);
	}
	return output_text(output, set->reason);
}

/* What udev knows of a disk that does not answer: of most it knows the set and the role. */
static int add_silent(struct output *output, const struct member *silent)
{
	static const uint8_t none[16];
	char uuid[UUID_STRING_BYTES], reason[320];

	if (output_line(output) < 0)
		return -ENOMEM;
	uuid_to_string(silent->uuid, uuid);
	snprintf(reason, sizeof(reason), "%s does not answer: look at the kernel log and the cable",
		 silent->path);
	output_text(output, NULL);
	output_text(output, "silent");
	output_text(output, silent->role == MEMBER_MAIN ? silent->path : NULL);
	output_text(output, silent->role == MEMBER_SPARE ? silent->path : NULL);
	output_number(output, 0);
	output_number(output, 0);
	output_text(output, memcmp(silent->uuid, none, sizeof(none)) ? uuid : NULL);
	output_number(output, 0);
	return output_text(output, reason);
}

/* For completion: what the kernel and udev's database have; no disk is opened. */
static int list_names(struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	_cleanup_free_ struct member *members = NULL;
	size_t nr_devices, nr_members;
	int r = dm_list(&devices, &nr_devices, error);

	if (!r)
		r = scan_known(&members, &nr_members, error);
	for (size_t i = 0; !r && i < nr_devices; i++)
		printf("%s\n", foreign_text(devices[i].name, sizeof(devices[i].name)).text);
	for (size_t i = 0; !r && i < nr_members; i++) {
		char uuid[UUID_STRING_BYTES];

		uuid_to_string(members[i].uuid, uuid);
		printf("%s\n", *members[i].label ? members[i].label : uuid);
	}
	return r;
}

int verb_list(struct invocation *invocation, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_output_ struct output *output = NULL;
	int r;

	if (option_value(invocation, "names"))
		return list_names(error);
	r = output_open(&output, "sets", list_columns, invocation->json);
	if (!r)
		r = machine_look(&machine, NULL, false, error);
	for (size_t i = 0; !r && i < machine.nr_sets; i++)
		r = add_set(output, &machine, &machine.sets[i]);
	for (size_t i = 0; !r && i < machine.nr_silent; i++)
		r = add_silent(output, &machine.silent[i]);
	return r ? r : output_print(output);
}

static bool is_wait(int r)
{
	return r == -EAGAIN || r == -EPERM || r == -EEXIST || r == -ECANCELED;
}

void care_for_lvm(const struct invocation *invocation, const char *path)
{
	struct lvm_devices lacking;
	struct error error = { "" };
	char advice[768];

	lvm_devices_look(path, &lacking);
	if (!*lacking.path)
		return;
	if (!invocation->yes) {
		lvm_devices_advice(&lacking, advice, sizeof(advice));
		fprintf(stderr, "dmremap: %s\n", advice);
	} else if (lvm_devices_mend(&lacking, &error) < 0) {
		fprintf(stderr, "dmremap: %s\n", error.text);
	}
}

void care_for_content(const struct invocation *invocation, const char *name)
{
	_cleanup_free_ struct dm_name *names = NULL;
	char prefix[160], path[160];
	size_t nr_names = 0;

	if (access(LVM_DEVICES_FILE, F_OK) < 0 || dm_names(&names, &nr_names, NULL) < 0)
		return;
	snprintf(prefix, sizeof(prefix), "%s-part", name);
	for (size_t i = 0; i < nr_names; i++) {
		if (!streq(names[i].name, name) &&
		    strncmp(names[i].name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/mapper/%s", names[i].name);
		care_for_lvm(invocation, path);
	}
}

void tell_taken(const struct assembly *set)
{
	if (*set->taken)
		fprintf(stderr,
			"dmremap: %s: %s: another mapped device has that name, and the partition "
			"of the set has no device; rename it, then dmremap activate %s\n",
			set->name, set->taken, set->name);
}

/* One set; with --auto what must wait or be decided by somebody is told, and is no failure. */
static int activate_one(struct invocation *invocation, const char *what, struct error *error)
{
	struct activate_options options = {
		.name = option_value(invocation, "name"),
		.automatic = option_value(invocation, "auto"),
		.read_only = option_value(invocation, "read-only"),
		.foreign = option_value(invocation, "foreign"),
		.any_hardware = option_value(invocation, "any-hardware"),
		.force_rw = option_value(invocation, "force-rw"),
		.fallback = option_value(invocation, "fallback"),
	};
	struct assembly set = { .verdict = ASSEMBLY_READY };
	int r;

	if (options.name && !device_name_ok(options.name))
		return error_set(error, EINVAL, "\"%s\" is no good name for a mapped device",
				 options.name);
	r = activate(what, &options, &set, error);
	if (*set.ignored)
		fprintf(stderr,
			"dmremap: %s: %s claims to be a member, too, and is ignored: a copy\n",
			set.name, set.ignored);
	tell_taken(&set);
	/* any device that comes may be the main that a set waits for: most are not */
	if (options.automatic && r == -ENODEV && strchr(what, '/'))
		return 0;
	if (options.automatic && !option_value(invocation, "exit-code") && is_wait(r)) {
		fprintf(stderr, "dmremap: %s\n", error->text);
		return 0;
	}
	if (r < 0)
		return r;
	if (set.verdict != ASSEMBLY_ACTIVE || !*set.reason)
		care_for_content(invocation, options.name && set.verdict == ASSEMBLY_READY ?
						     options.name :
						     set.name);
	if (invocation->quiet)
		return 0;
	if (set.verdict == ASSEMBLY_ACTIVE && *set.reason)
		printf("%s: active, but %s\n", set.name, set.reason);
	else if (set.verdict == ASSEMBLY_ACTIVE)
		printf("%s: already active\n", set.name);
	else if (set.verdict == ASSEMBLY_RETURNED)
		printf("%s: the member that had gone is back in\n", set.name);
	else
		printf("/dev/mapper/%s\n", options.name ? options.name : set.name);
	return 0;
}

/* All that can be; the worst failure is returned, all are told. */
static int activate_all(struct invocation *invocation, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	int r = machine_look(&machine, NULL, !option_value(invocation, "auto"), error), worst = 0;

	for (size_t i = 0; !r && i < machine.nr_sets; i++) {
		char uuid[UUID_STRING_BYTES];
		int own;

		uuid_to_string(machine.sets[i].uuid, uuid);
		own = activate_one(invocation, uuid, error);
		if (own < 0) {
			if (worst < 0)
				fprintf(stderr, "dmremap: %s\n", error->text);
			worst = own;
		}
	}
	return r < 0 ? r : worst;
}

int verb_activate(struct invocation *invocation, struct error *error)
{
	if (invocation->argc)
		return activate_one(invocation, invocation->argv[0], error);
	if (option_value(invocation, "name"))
		return error_set(error, EINVAL, "--name needs to know which set");
	return activate_all(invocation, error);
}

int verb_deactivate(struct invocation *invocation, struct error *error)
{
	struct dm_device device;
	int r = find_device(invocation->argv[0], &device, error);

	return r < 0 ? r : deactivate(device.name, error);
}
