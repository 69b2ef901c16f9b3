// SPDX-License-Identifier: GPL-2.0-or-later
/* Facts about the kernel module: what DKMS, depmod and the firmware left in files. */
#include <dirent.h>
#include <errno.h>

#include "doctor-files.h"
#include "doctor.h"

#define MODULE "dm-remap"
#define DKMS "/var/lib/dkms/" MODULE
#define EFIVARS "/sys/firmware/efi/efivars"
#define SHIM_GUID "605dab50-e046-4300-abb6-3dd810dd8b23"
#define EFI_GUID "8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* Where it may lie below a kernel's directory, and how it may be packed. */
static bool find_by_place(const struct doctor_world *world, const char *kernel,
			  char path[PLACE_BYTES])
{
	static const char *const places[] = { "updates/dkms", "updates", "extra", "weak-updates",
					      "kernel/drivers/md" };
	static const char *const packed[] = { "", ".xz", ".zst", ".gz" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (size_t j = 0; j < sizeof(packed) / sizeof(packed[0]); j++) {
			snprintf(path, PLACE_BYTES, "/lib/modules/%s/%s/" MODULE ".ko%s", kernel,
				 places[i], packed[j]);
			if (exists_below(world, "%s", path))
				return true;
		}
	}
	*path = '\0';
	return false;
}

/* By the list of depmod, which modprobe goes by. */
static bool find_by_list(const struct doctor_world *world, const char *kernel,
			 char path[PLACE_BYTES])
{
	_cleanup_free_ char *list = read_below(world, NULL, "/lib/modules/%s/modules.dep", kernel);
	char *save = NULL;

	for (char *line = list ? strtok_r(list, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':'), *name;

		if (!colon)
			continue;
		*colon = '\0';
		name = strrchr(line, '/');
		name = name ? name + 1 : line;
		if (strncmp(name, MODULE ".ko", strlen(MODULE ".ko")) != 0)
			continue;
		snprintf(path, PLACE_BYTES, "/lib/modules/%s/%s", kernel, line);
		if (exists_below(world, "%s", path))
			return true;
	}
	*path = '\0';
	return false;
}

static bool find_module(const struct doctor_world *world, const char *kernel,
			char path[PLACE_BYTES])
{
	return find_by_list(world, kernel, path) || find_by_place(world, kernel, path);
}

static void add_name(char *list, size_t nr_bytes, const char *name)
{
	size_t length = strlen(list);

	if (length + strlen(name) + 3 < nr_bytes)
		snprintf(list + length, nr_bytes - length, "%s%s", length ? ", " : "", name);
}

/* A directory of a kernel without the kernel itself is what headers leave. */
static void look_at_other_kernels(const struct doctor_world *world, struct module_facts *facts)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[FULL_PATH_BYTES], place[PLACE_BYTES];
	struct dirent *entry;

	path_below(world, path, "/lib/modules");
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const char *kernel = entry->d_name;

		if (*kernel == '.' || streq(kernel, facts->kernel))
			continue;
		if (find_module(world, kernel, place))
			add_name(facts->others, sizeof(facts->others), kernel);
		else if (strverscmp(kernel, facts->kernel) > 0 &&
			 exists_below(world, "/lib/modules/%s/modules.builtin", kernel) &&
			 exists_below(world, "/lib/modules/%s/kernel", kernel))
			add_name(facts->lacking, sizeof(facts->lacking), kernel);
	}
}

/* A build that failed leaves its log where it was built; its second line or so names the kernel. */
static void look_at_build(const struct doctor_world *world, struct module_facts *facts)
{
	char path[PLACE_BYTES], wanted[KERNEL_BYTES + 24];
	_cleanup_free_ char *log = NULL;

	last_match_below(world, path, sizeof(path), DKMS "/*/%s/*/module/" MODULE ".ko*",
			 facts->kernel);
	facts->is_built = *path;
	last_match_below(world, path, sizeof(path), DKMS "/*/build/make.log");
	if (!*path)
		return;
	log = read_below(world, NULL, "%s", path);
	snprintf(wanted, sizeof(wanted), "for kernel %s ", facts->kernel);
	if (log && strstr(log, wanted))
		snprintf(facts->build_log, sizeof(facts->build_log), "%s", path);
}

static void look_at_dkms(const struct doctor_world *world, struct module_facts *facts)
{
	char path[PLACE_BYTES];
	const char *version;

	facts->has_dkms =
		exists_below(world, "/usr/sbin/dkms") || exists_below(world, "/usr/bin/dkms");
	facts->has_headers = exists_below(world, "/lib/modules/%s/build/Makefile", facts->kernel);
	last_match_below(world, path, sizeof(path), "/usr/src/" MODULE "-*/dkms.conf");
	if (*path) {
		version = path + strlen("/usr/src/" MODULE "-");
		snprintf(facts->source_version, sizeof(facts->source_version), "%.*s",
			 (int)strcspn(version, "/"), version);
	}
	look_at_build(world, facts);
}

static bool contains(const char *text, size_t nr_bytes, const char *part, size_t nr_part)
{
	return nr_part && memmem(text, nr_bytes, part, nr_part);
}

/* A certificate stands in the lists of the firmware as it is. */
static void look_at_key(const struct doctor_world *world, struct module_facts *facts)
{
	static const char *const keys[] = { "/var/lib/dkms/mok.pub",
					    "/var/lib/shim-signed/mok/MOK.der" };
	static const char *const lists[] = { "/sys/firmware/efi/mok-variables/MokListRT",
					     EFIVARS "/MokListRT-" SHIM_GUID };
	_cleanup_free_ char *key = NULL, *waiting = NULL;
	size_t nr_key = 0, nr_waiting = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !key; i++) {
		key = read_below(world, &nr_key, "%s", keys[i]);
		if (key)
			snprintf(facts->key, sizeof(facts->key), "%s", keys[i]);
	}
	if (!key)
		return;
	/* shim has a list as soon as one key was enrolled */
	if (facts->secure_boot == ANSWER_YES)
		facts->is_enrolled = ANSWER_NO;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t nr_list = 0;
		_cleanup_free_ char *list = read_below(world, &nr_list, "%s", lists[i]);

		if (list && contains(list, nr_list, key, nr_key))
			facts->is_enrolled = ANSWER_YES;
	}
	waiting = read_below(world, &nr_waiting, EFIVARS "/MokNew-" SHIM_GUID);
	facts->is_enrolling = waiting && contains(waiting, nr_waiting, key, nr_key);
}

static void look_at_signatures(const struct doctor_world *world, struct module_facts *facts)
{
	_cleanup_free_ char *boot = NULL;
	char lockdown[80], enforced[8], signature[80];
	size_t nr_boot = 0;

	first_line_below(world, lockdown, sizeof(lockdown), "/sys/kernel/security/lockdown");
	first_line_below(world, enforced, sizeof(enforced),
			 "/sys/module/module/parameters/sig_enforce");
	if ((*lockdown && !strstr(lockdown, "[none]")) || *enforced == 'Y')
		facts->signed_only = ANSWER_YES;
	else if (*lockdown || *enforced)
		facts->signed_only = ANSWER_NO;
	/* four bytes of attributes, then the value */
	boot = read_below(world, &nr_boot, EFIVARS "/SecureBoot-" EFI_GUID);
	if (boot && nr_boot == 5)
		facts->secure_boot = boot[4] ? ANSWER_YES : ANSWER_NO;
	look_at_key(world, facts);
	if (*facts->path) {
		char full[FULL_PATH_BYTES];

		path_below(world, full, "%s", facts->path);
		if (world->modinfo(full, "sig_id", signature, sizeof(signature)) == 0)
			facts->is_signed = *signature ? ANSWER_YES : ANSWER_NO;
		if (world->modinfo(full, "version", facts->file_version,
				   sizeof(facts->file_version)) < 0)
			*facts->file_version = '\0';
	}
}

void module_facts_look(const struct doctor_world *world, const char *tools_version,
		       struct module_facts *facts)
{
	char path[PLACE_BYTES];

	*facts = (struct module_facts){ .is_loaded = false };
	snprintf(facts->kernel, sizeof(facts->kernel), "%s", world->kernel);
	snprintf(facts->tools_version, sizeof(facts->tools_version), "%s", tools_version);
	facts->is_loaded = exists_below(world, "/sys/module/dm_remap");
	first_line_below(world, facts->loaded_version, sizeof(facts->loaded_version),
			 "/sys/module/dm_remap/version");
	facts->has_tree = exists_below(world, "/lib/modules/%s/modules.builtin", world->kernel);
	facts->is_listed = find_by_list(world, world->kernel, path);
	find_module(world, world->kernel, facts->path);
	look_at_other_kernels(world, facts);
	look_at_dkms(world, facts);
	look_at_signatures(world, facts);
}
