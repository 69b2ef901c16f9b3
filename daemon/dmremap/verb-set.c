// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets as a whole: activate, deactivate, list.
 */
#include <errno.h>
#include <inttypes.h>

#include "exit-code.h"
#include "health.h"
#include "json.h"
#include "ops/activate.h"
#include "output.h"
#include "system/lvm-devices.h"
#include "util/foreign.h"
#include "verbs.h"

static const struct column list_columns[] = {
	{ "NAME", false },   { "STATE", false }, { "HEALTH", false },
	{ "SIZE", true },    { "USED", true },	 { "LOST", true },
	{ "MAIN", false },   { "SPARE", false }, { "UUID", false },
	{ "REASON", false }, { NULL },
};

/**
 * struct listed - a set as it is listed
 * @inventory: where it was found
 * @set: it
 * @main: its main device, NULL: not here
 * @spare: its spare, NULL: not here
 * @device: active: the mapped device
 * @report: of that
 * @needs_uuid: its name does not tell it from another
 */
struct listed {
	const struct inventory *inventory;
	const struct assembly *set;
	const struct member *main;
	const struct member *spare;
	const struct dm_device *device;
	struct report report;
	bool needs_uuid;
};

static void describe(const struct inventory *inventory, const struct assembly *set,
		     struct listed *listed)
{
	*listed = (struct listed){
		.inventory = inventory,
		.set = set,
		.main = set->main >= 0 ? &inventory->members[set->main] : NULL,
		.spare = set->spare >= 0 ? &inventory->members[set->spare] : NULL,
		.needs_uuid = !*set->name,
	};
	for (size_t i = 0; i < inventory->nr_devices; i++)
		if ((set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED) &&
		    streq(inventory->devices[i].name, set->name))
			listed->device = &inventory->devices[i];
	for (size_t i = 0; i < inventory->nr_sets; i++)
		listed->needs_uuid |=
			&inventory->sets[i] != set && streq(inventory->sets[i].name, set->name);
	if (listed->device)
		report_of(listed->device, &listed->report);
}

/* Why a set is as it is; also what is wrong with an active one, and that nothing can make it. */
static void reason_of(const struct listed *listed, char *text, size_t nr_bytes)
{
	const struct assembly *set = listed->set;
	const char *own = *set->reason ? set->reason : listed->report.text;

	if (!*own && set->verdict == ASSEMBLY_READY && !dm_has_target())
		own = "the module dm-remap is not loaded; dmremap activate loads it, or dmremap "
		      "doctor says why not";
	snprintf(text, nr_bytes, "%s%s%s%s", own, *own && *set->ignored ? "; " : "",
		 *set->ignored ? "ignored copies: " : "", set->ignored);
}

static uint64_t sectors_of(const struct listed *listed)
{
	return listed->spare ? listed->spare->main_sectors :
	       listed->main  ? listed->main->main_sectors :
			       0;
}

static bool has_counts(const struct listed *listed)
{
	return listed->device && !listed->device->fallback && !listed->device->failed;
}

static int add_set(struct output *output, const struct listed *listed)
{
	const struct assembly *set = listed->set;
	char uuid[UUID_STRING_BYTES], reason[1024], size[32] = "", used[16] = "", lost[24] = "";

	if (output_line(output) < 0)
		return -ENOMEM;
	uuid_to_string(set->uuid, uuid);
	reason_of(listed, reason, sizeof(reason));
	if (sectors_of(listed))
		format_size(sectors_of(listed) * 512, size, sizeof(size));
	if (has_counts(listed)) {
		const struct remap_status *s = &listed->device->status;

		snprintf(used, sizeof(used), "%.1f%%",
			 s->total_slots ? 100.0 * s->used_slots / s->total_slots : 0.0);
		snprintf(lost, sizeof(lost), "%" PRIu64, s->lost_sectors);
	}
	output_text(output, set->name);
	output_text(output, assembly_verdict_name(set->verdict));
	output_text(output, listed->device ? verdict_name(listed->report.verdict.level) : NULL);
	output_text(output, size);
	output_text(output, used);
	output_text(output, lost);
	output_text(output, listed->main ? listed->main->path : NULL);
	output_text(output, listed->spare ? listed->spare->path : NULL);
	output_text(output, listed->needs_uuid ? uuid : NULL);
	return output_text(output, reason);
}

static void add_set_json(struct json *json, const struct listed *listed)
{
	const struct assembly *set = listed->set;
	char uuid[UUID_STRING_BYTES], reason[1024];

	uuid_to_string(set->uuid, uuid);
	reason_of(listed, reason, sizeof(reason));
	json_begin(json, NULL);
	json_string(json, "name", set->name);
	json_string(json, "uuid", uuid);
	json_string(json, "state", assembly_verdict_name(set->verdict));
	json_string(json, "health", listed->device ? severity_name(listed->report.severity) : NULL);
	json_string(json, "verdict",
		    listed->device ? verdict_name(listed->report.verdict.level) : NULL);
	json_string(json, "mode", listed->device ? mode_of(listed->device) : NULL);
	json_string(json, "main", listed->main ? listed->main->path : NULL);
	json_string(json, "spare", listed->spare ? listed->spare->path : NULL);
	json_bool(json, "guarded", listed->main && listed->main->guarded);
	json_number(json, "sectors", sectors_of(listed));
	if (has_counts(listed)) {
		json_number(json, "used_slots", listed->device->status.used_slots);
		json_number(json, "total_slots", listed->device->status.total_slots);
		json_number(json, "lost_sectors", listed->device->status.lost_sectors);
	} else {
		json_null(json, "used_slots");
		json_null(json, "total_slots");
		json_null(json, "lost_sectors");
	}
	json_number(json, "ignored_copies", set->nr_ignored);
	json_string(json, "reason", reason);
	json_end(json);
}

/* What udev knows of a disk that does not answer: of most it knows the set and the role. */
static int add_silent(struct output *output, const struct member *silent)
{
	static const uint8_t none[16];
	char uuid[UUID_STRING_BYTES], reason[480];

	if (output_line(output) < 0)
		return -ENOMEM;
	uuid_to_string(silent->uuid, uuid);
	snprintf(reason, sizeof(reason), "%s; check the kernel log and the cable",
		 silent_text(silent).text);
	output_text(output, NULL);
	output_text(output, "silent");
	output_text(output, NULL);
	output_text(output, NULL);
	output_text(output, NULL);
	output_text(output, NULL);
	output_text(output, silent->role == MEMBER_MAIN ? silent->path : NULL);
	output_text(output, silent->role == MEMBER_SPARE ? silent->path : NULL);
	output_text(output, memcmp(silent->uuid, none, sizeof(none)) ? uuid : NULL);
	return output_text(output, reason);
}

static void add_silent_json(struct json *json, const struct member *silent)
{
	static const uint8_t none[16];
	char uuid[UUID_STRING_BYTES];

	uuid_to_string(silent->uuid, uuid);
	json_begin(json, NULL);
	json_string(json, "path", silent->path);
	json_string(json, "role",
		    silent->role == MEMBER_NONE ? NULL : member_role_name(silent->role));
	json_string(json, "uuid", memcmp(silent->uuid, none, sizeof(none)) ? uuid : NULL);
	json_end(json);
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
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_output_ struct output *output = NULL;
	struct listed listed;
	struct json json = { 0 };
	int r;

	if (option_value(invocation, "names") && invocation->json)
		return error_set(error, EINVAL, "--names does not print JSON");
	if (option_value(invocation, "names"))
		return list_names(error);
	r = inventory_look(&inventory, NULL, false, error);
	if (r < 0)
		return r;
	if (invocation->json) {
		json_begin(&json, NULL);
		json_begin_list(&json, "sets");
		for (size_t i = 0; i < inventory.nr_sets; i++) {
			describe(&inventory, &inventory.sets[i], &listed);
			add_set_json(&json, &listed);
		}
		json_end(&json);
		json_begin_list(&json, "silent");
		for (size_t i = 0; i < inventory.nr_silent; i++)
			add_silent_json(&json, &inventory.silent[i]);
		json_end(&json);
		json_end(&json);
		return 0;
	}
	if (!inventory.nr_sets && !inventory.nr_silent) {
		if (!invocation->quiet)
			printf("No sets found.\n");
		return 0;
	}
	r = output_open(&output, list_columns);
	for (size_t i = 0; !r && i < inventory.nr_sets; i++) {
		describe(&inventory, &inventory.sets[i], &listed);
		r = add_set(output, &listed);
	}
	for (size_t i = 0; !r && i < inventory.nr_silent; i++)
		r = add_silent(output, &inventory.silent[i]);
	return r ? r : output_print(output);
}

static bool is_wait(int r)
{
	return r == -EAGAIN || r == -ETIMEDOUT || r == -EPERM || r == -EEXIST || r == -ECANCELED;
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
			"of the set has no device; rename the other one, then run dmremap "
			"activate %s\n",
			FOREIGN(set->name), FOREIGN(set->taken), FOREIGN(set->name));
}

static int success_code(const struct assembly *set)
{
	if (set->verdict == ASSEMBLY_RETURNED)
		return EXIT_CODE_RETURNED;
	if (set->verdict != ASSEMBLY_ACTIVE)
		return EXIT_CODE_OK;
	return *set->reason ? EXIT_CODE_HAS_FAULT : EXIT_CODE_WAS_ACTIVE;
}

/* One set; with --auto a set that waits or needs a decision is reported, and is no failure. */
static int activate_one(struct invocation *invocation, const char *what, struct error *error)
{
	struct error note = { "" };
	struct activate_options options = {
		.name = option_value(invocation, "name"),
		.automatic = option_value(invocation, "auto"),
		.read_only = option_value(invocation, "read-only"),
		.foreign = option_value(invocation, "foreign"),
		.any_hardware = option_value(invocation, "any-hardware"),
		.force_rw = option_value(invocation, "force-rw"),
		.fallback = option_value(invocation, "fallback"),
		.note = &note,
	};
	struct assembly set = { .verdict = ASSEMBLY_READY };
	int r;

	if (options.name && !device_name_ok(options.name))
		return error_set(error, EINVAL, "\"%s\": not a valid name for a mapped device",
				 options.name);
	r = activate(what, &options, &set, error);
	if (*set.ignored)
		fprintf(stderr,
			"dmremap: %s: %s claims to be a member, too, and is ignored as a copy\n",
			FOREIGN(set.name), set.ignored);
	tell_taken(&set);
	/* any device that comes may be the main that a set waits for: most are not */
	if (options.automatic && r == -ENODEV && strchr(what, '/'))
		return 0;
	if (options.automatic && !option_value(invocation, "exit-code") && is_wait(r)) {
		fprintf(stderr, "dmremap: %s\n", error->text);
		return 0;
	}
	/* what may succeed later, for those who try it again */
	if (r == -ETIMEDOUT && option_value(invocation, "exit-code"))
		return -EIO;
	if (r < 0)
		return r;
	if (set.verdict != ASSEMBLY_ACTIVE || !*set.reason)
		care_for_content(invocation, options.name && set.verdict == ASSEMBLY_READY ?
						     options.name :
						     set.name);
	if (option_value(invocation, "exit-code"))
		invocation->exit_code = success_code(&set);
	if (invocation->quiet)
		return 0;
	/* the outcome is the last line: dm-remapd quotes it */
	if (*note.text)
		printf("%s\n", note.text);
	if (set.verdict == ASSEMBLY_ACTIVE && *set.reason)
		printf("%s: active, but %s\n", FOREIGN(set.name), FOREIGN(set.reason));
	else if (set.verdict == ASSEMBLY_ACTIVE)
		printf("%s: already active\n", FOREIGN(set.name));
	else if (set.verdict == ASSEMBLY_RETURNED)
		printf("%s: the returned member was re-added\n", FOREIGN(set.name));
	else
		printf("/dev/mapper/%s\n", options.name ? options.name : set.name);
	return 0;
}

/* All that can be; the worst failure is returned, all are printed. */
static int activate_all(struct invocation *invocation, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	int r = inventory_look(&inventory, NULL, !option_value(invocation, "auto"), error),
	    worst = 0;

	if (!r)
		activate_clean(&inventory);
	if (!r && !inventory.nr_sets && !invocation->quiet)
		printf("No sets found.\n");
	for (size_t i = 0; !r && i < inventory.nr_sets; i++) {
		char uuid[UUID_STRING_BYTES];
		struct error own_error = { "" };
		int own;

		uuid_to_string(inventory.sets[i].uuid, uuid);
		own = activate_one(invocation, uuid, &own_error);
		if (own == 0)
			continue;
		if (exit_code_of(own) > exit_code_of(worst)) {
			struct error before = *error;

			*error = own_error;
			own_error = before;
			worst = own;
		}
		if (*own_error.text)
			fprintf(stderr, "dmremap: %s\n", own_error.text);
	}
	invocation->exit_code = EXIT_CODE_OK; /* not that of the last one */
	return r < 0 ? r : worst;
}

int verb_activate(struct invocation *invocation, struct error *error)
{
	if (invocation->argc)
		return activate_one(invocation, invocation->argv[0], error);
	if (option_value(invocation, "name"))
		return error_set(error, EINVAL, "--name needs SET");
	return activate_all(invocation, error);
}

int verb_deactivate(struct invocation *invocation, struct error *error)
{
	struct error note = { "" };
	struct dm_device device;
	int r = find_device(invocation->argv[0], &device, error);

	if (!r)
		r = deactivate(device.name, &note, error);
	if (*note.text)
		fprintf(stderr, "dmremap: %s\n", note.text);
	return r;
}
