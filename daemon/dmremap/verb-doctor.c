// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doctor: what the running machine alone can tell, and the findings as text or JSON.  It is for
 * machines where nothing works: what cannot be seen is said, and keeps nothing else from being
 * looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "doctor.h"
#include "json.h"
#include "set/deactivated.h"
#include "set/inventory.h"
#include "system/events.h"
#include "util/child.h"
#include "util/foreign.h"
#include "verbs.h"

#define EXIT_NOTICE 10
#define EXIT_PROBLEM 11
#define COMPRESSED_FILE 4 /* MODULE_INIT_COMPRESSED_FILE of linux/module.h, since 5.17 */

static int modinfo(const char *path, const char *field, char *text, size_t nr_bytes)
{
	const char *const argv[] = { "modinfo", "-F", field, path, NULL };
	int exit_code, r = child_run(argv, text, nr_bytes, &exit_code);

	return r < 0 ? r : exit_code ? -EIO : 0;
}

static int test_config(const char *program, char *text, size_t nr_bytes)
{
	const char *const argv[] = { program, "--test-config", NULL };
	int exit_code, r = child_run(argv, text, nr_bytes, &exit_code);

	return r < 0 ? r : exit_code != 0;
}

/* Programs of the administrator's that a user's PATH may lack. */
static void widen_path(void)
{
	_cleanup_free_ char *wider = NULL;
	const char *path = getenv("PATH");

	if (asprintf(&wider, "%s%s/usr/sbin:/usr/bin:/sbin:/bin", path ? path : "",
		     path && *path ? ":" : "") > 0)
		setenv("PATH", wider, 1);
}

/* modprobe has loaded what it needs, so it is the module itself that is refused now. */
static int load_error_of(const struct module_facts *facts)
{
	_cleanup_close_ int fd = open(facts->path, O_RDONLY | O_CLOEXEC);
	size_t length = strlen(facts->path);
	bool is_plain = length > 3 && streq(facts->path + length - 3, ".ko");

	if (fd < 0)
		return errno;
	if (syscall(SYS_finit_module, fd, "", is_plain ? 0 : COMPRESSED_FILE) == 0 ||
	    errno == EEXIST)
		return 0;
	if (is_plain || (errno != EINVAL && errno != EOPNOTSUPP))
		return errno;
	/* the kernel cannot unpack it, and modprobe tells no number */
	return facts->signed_only == ANSWER_YES ? EKEYREJECTED : EIO;
}

/* As an activation would load it: only that tells whether the kernel takes it. */
static void try_module(const struct doctor_world *world, struct module_facts *facts)
{
	const char *const argv[] = { "modprobe", "-q", "dm-remap", NULL };
	int exit_code, load_error = 0;
	char text[200];

	if (facts->is_loaded || !*facts->path || !facts->is_listed || geteuid() != 0)
		return;
	if (child_run(argv, text, sizeof(text), &exit_code) < 0 || exit_code)
		load_error = load_error_of(facts);
	if (!load_error)
		module_facts_look(world, DM_REMAP_TOOLS_VERSION, facts);
	facts->was_tried = true;
	facts->load_error = load_error;
}

static struct set_trouble *add_trouble(struct kernel_facts *facts, const char *name,
				       const char *state, const char *reason)
{
	struct set_trouble *trouble = &facts->trouble[facts->nr_troubles];

	if (facts->nr_troubles < SET_TROUBLES_MAX)
		facts->nr_troubles++;
	else
		trouble--;
	*trouble = (struct set_trouble){ .is_active = false };
	snprintf(trouble->name, sizeof(trouble->name), "%.127s", name);
	snprintf(trouble->state, sizeof(trouble->state), "%s", state);
	snprintf(trouble->reason, sizeof(trouble->reason), "%s", reason);
	return trouble;
}

/* Deactivated by hand: that it is not active is no trouble. */
static bool is_let_go(const struct inventory *inventory, const struct assembly *set)
{
	char uuid[UUID_STRING_BYTES];

	if (set->verdict != ASSEMBLY_READY)
		return false;
	uuid_to_string(set->uuid, uuid);
	return deactivated_holds(uuid, inventory->members[set->main].devno,
				 inventory->members[set->spare].devno);
}

static void look_at_sets(struct kernel_facts *facts)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	struct error error = { "" };

	if (inventory_look(&inventory, NULL, false, &error) < 0) {
		snprintf(facts->not_listed, sizeof(facts->not_listed), "%.299s", error.text);
		return;
	}
	facts->nr_active = inventory.nr_devices;
	for (size_t i = 0; i < inventory.nr_sets; i++) {
		const struct assembly *set = &inventory.sets[i];

		if (set->verdict == ASSEMBLY_ACTIVE && *set->reason)
			add_trouble(facts, set->name, "active", set->reason)->is_active = true;
		else if (set->verdict != ASSEMBLY_ACTIVE && !is_let_go(&inventory, set))
			add_trouble(facts, set->name, assembly_verdict_name(set->verdict),
				    set->reason)
				->is_active = set->verdict == ASSEMBLY_RETURNED;
	}
	for (size_t i = 0; i < inventory.nr_devices; i++)
		if (inventory.devices[i].fallback)
			add_trouble(
				facts, inventory.devices[i].name,
				inventory.devices[i].failed ? "dead" : "fallback",
				inventory.devices[i].failed ?
					"all I/O of it fails: dmremap status says what to do" :
					"it is active without the module, so new bad sectors are "
					"errors; deactivate it, and activate it again")
				->is_active = true;
	for (size_t i = 0; i < inventory.nr_silent; i++)
		add_trouble(facts, inventory.silent[i].path, "silent",
			    silent_text(&inventory.silent[i]).text);
}

static void look_at_kernel(struct kernel_facts *facts)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = NULL;
	_cleanup_free_ struct dm_device *devices = NULL;
	struct error error = { "" };
	size_t nr_devices;
	int r;

	*facts = (struct kernel_facts){ .is_root = geteuid() == 0 };
	r = event_socket_open(&sock, NULL);
	if (r == -ENOENT)
		facts->family = ANSWER_NO;
	else if (r >= 0 || r == -EPERM)
		facts->family = ANSWER_YES;
	if (!facts->is_root)
		return;
	if (dm_list(&devices, &nr_devices, &error) < 0) {
		facts->device_mapper = ANSWER_NO;
		snprintf(facts->why, sizeof(facts->why), "%.199s", error.text);
		snprintf(facts->not_listed, sizeof(facts->not_listed),
			 "device-mapper does not answer");
		return;
	}
	facts->device_mapper = ANSWER_YES;
	look_at_sets(facts);
}

static void print_diagnosis(const struct invocation *invocation, const struct diagnosis *diagnosis)
{
	char text[4000];

	for (size_t i = 0; i < diagnosis->nr_findings; i++) {
		const struct finding *finding = &diagnosis->finding[i];

		foreign_escape(finding->object, sizeof(finding->object), text, sizeof(text));
		printf("%-8s %s: ", finding_level_name(finding->level), text);
		foreign_escape(finding->text, sizeof(finding->text), text, sizeof(text));
		printf("%s\n", text);
		foreign_escape(finding->advice, sizeof(finding->advice), text, sizeof(text));
		printf("         do: %s\n", text);
	}
	if (!diagnosis->nr_findings && !invocation->quiet)
		printf("Nothing is wrong%s.\n",
		       diagnosis->nr_unseen ? ", as far as it could be seen" : "");
	for (size_t i = 0; i < diagnosis->nr_unseen && !invocation->quiet; i++)
		printf("not seen %s\n", diagnosis->unseen[i]);
}

static void print_json(const struct module_facts *module, const struct diagnosis *diagnosis)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "tools_version", module->tools_version);
	json_string(&json, "kernel", module->kernel);
	json_string(&json, "module", module->path);
	json_string(&json, "module_version",
		    module->is_loaded ? module->loaded_version : module->file_version);
	json_bool(&json, "loaded", module->is_loaded);
	json_begin_list(&json, "findings");
	for (size_t i = 0; i < diagnosis->nr_findings; i++) {
		const struct finding *finding = &diagnosis->finding[i];

		json_begin(&json, NULL);
		json_string(&json, "code", finding_code_name(finding->code));
		json_string(&json, "level", finding_level_name(finding->level));
		json_string(&json, "object", finding->object);
		json_string(&json, "text", finding->text);
		json_string(&json, "advice", finding->advice);
		json_end(&json);
	}
	json_end(&json);
	json_begin_list(&json, "unseen");
	for (size_t i = 0; i < diagnosis->nr_unseen; i++)
		json_string(&json, NULL, diagnosis->unseen[i]);
	json_end(&json);
	json_end(&json);
}

int verb_doctor(struct invocation *invocation, struct error *error)
{
	struct doctor_world world = { .root = "", .modinfo = modinfo, .test_config = test_config };
	struct module_facts module;
	struct system_facts system;
	struct kernel_facts kernel;
	struct diagnosis diagnosis;
	struct utsname uts;

	if (uname(&uts) < 0)
		return error_set(error, errno, "uname: %s", strerror(errno));
	world.kernel = uts.release;
	widen_path();
	module_facts_look(&world, DM_REMAP_TOOLS_VERSION, &module);
	try_module(&world, &module);
	system_facts_look(&world, &system);
	look_at_kernel(&kernel);
	diagnose(&module, &system, &kernel, &diagnosis);
	if (invocation->json)
		print_json(&module, &diagnosis);
	else
		print_diagnosis(invocation, &diagnosis);
	for (size_t i = 0; i < diagnosis.nr_findings; i++) {
		int code =
			diagnosis.finding[i].level == FINDING_PROBLEM ? EXIT_PROBLEM : EXIT_NOTICE;

		if (code > invocation->exit_code)
			invocation->exit_code = code;
	}
	return 0;
}
