// SPDX-License-Identifier: GPL-2.0-or-later
/* Facts about what is beside the module: udev, the daemon, the image to boot from, directories. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "doctor-files.h"
#include "doctor.h"
#include "format/backup.h"
#include "system/lock.h"

#define RULES "66-dm-remap.rules"
#define UNIT "dm-remapd.service"
#define STACK_MAX 16

/* Where udev and systemd look, the first first. */
static const char *const rule_places[] = { "/etc/udev/rules.d", "/run/udev/rules.d",
					   "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d",
					   "/lib/udev/rules.d" };
static const char *const unit_places[] = { "/etc/systemd/system", "/run/systemd/system",
					   "/usr/local/lib/systemd/system",
					   "/usr/lib/systemd/system", "/lib/systemd/system" };

/* The first one of that name; what only masks the others is passed over, and told. */
static void find_in(const struct doctor_world *world, const char *const *places, size_t nr_places,
		    const char *name, char path[PLACE_BYTES], bool *masked)
{
	for (size_t i = 0; i < nr_places; i++) {
		snprintf(path, PLACE_BYTES, "%s/%s", places[i], name);
		if (is_masked_below(world, path))
			*masked = true;
		else if (exists_below(world, "%s", path))
			return;
	}
	*path = '\0';
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && streq(text + length - wanted, end);
}

/* udev looks for a program without a path beside its own. */
static bool has_prober(const struct doctor_world *world, const char *name, char path[PLACE_BYTES])
{
	static const char *const places[] = { "/usr/local/lib/udev", "/usr/lib/udev", "/lib/udev" };

	if (*name == '/') {
		snprintf(path, PLACE_BYTES, "%s", name);
		return is_program_below(world, path);
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, PLACE_BYTES, "%s/%s", places[i], name);
		if (is_program_below(world, path))
			return true;
	}
	snprintf(path, PLACE_BYTES, "/usr/lib/udev/%s", name);
	return false;
}

/* The programs of ours that a rule starts: words of its lines. */
static void look_at_rules(const struct doctor_world *world, struct system_facts *facts)
{
	_cleanup_free_ char *text = NULL;
	char *save_line = NULL, *save = NULL;

	facts->udev_runs = exists_below(world, "/run/udev/control");
	find_in(world, rule_places, sizeof(rule_places) / sizeof(rule_places[0]), RULES,
		facts->rules, &facts->rules_masked);
	text = *facts->rules ? read_below(world, NULL, "%s", facts->rules) : NULL;
	for (char *line = text ? strtok_r(text, "\n", &save_line) : NULL; line;
	     line = strtok_r(NULL, "\n", &save_line)) {
		if (*line == '#')
			continue;
		for (char *word = strtok_r(line, " \"", &save); word;
		     word = strtok_r(NULL, " \"", &save)) {
			char path[PLACE_BYTES];
			bool is_there = true;

			if (ends_with(word, "dm-remap-probe"))
				is_there = has_prober(world, word, path);
			else if (*word == '/' && ends_with(word, "/dmremap"))
				is_there = has_prober(world, word, path);
			if (!is_there)
				snprintf(facts->rules_lack, sizeof(facts->rules_lack), "%s", path);
		}
	}
}

/* By the names of processes: that needs no right, and no service manager. */
static enum answer daemon_runs(const struct doctor_world *world)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[FULL_PATH_BYTES], name[32];
	struct dirent *entry;

	path_below(world, path, "/proc");
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		first_line_below(world, name, sizeof(name), "/proc/%s/comm", entry->d_name);
		if (streq(name, "dm-remapd"))
			return ANSWER_YES;
	}
	/* hidepid= hides the processes of others, the first one as well */
	return exists_below(world, "/proc/1/comm") ? ANSWER_NO : ANSWER_UNKNOWN;
}

static void look_at_daemon(const struct doctor_world *world, struct system_facts *facts)
{
	static const char key[] = "\nExecStart=";
	_cleanup_free_ char *unit = NULL;
	char *program;

	facts->systemd_runs = exists_below(world, "/run/systemd/system");
	facts->daemon_runs = daemon_runs(world);
	find_in(world, unit_places, sizeof(unit_places) / sizeof(unit_places[0]), UNIT, facts->unit,
		&facts->unit_masked);
	facts->unit_enabled =
		exists_below(world, "/etc/systemd/system/multi-user.target.wants/" UNIT);
	unit = *facts->unit ? read_below(world, NULL, "%s", facts->unit) : NULL;
	program = unit ? strstr(unit, key) : NULL;
	if (!program)
		return;
	program += strlen(key);
	program[strcspn(program, " \n")] = '\0';
	if (!is_program_below(world, program))
		snprintf(facts->unit_lacks, sizeof(facts->unit_lacks), "%s", program);
	else if (world->test_config(program, facts->config_error, sizeof(facts->config_error)) <= 0)
		*facts->config_error = '\0';
}

/* The set that a block device lies on, through all that may be between. */
static bool set_below(const struct doctor_world *world, const char *node, unsigned int depth,
		      char name[128])
{
	char path[FULL_PATH_BYTES], below[FULL_PATH_BYTES], uuid[140];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	first_line_below(world, uuid, sizeof(uuid), "%s/dm/uuid", node);
	if (!strncmp(uuid, "REMAP-", strlen("REMAP-"))) {
		first_line_below(world, name, 128, "%s/dm/name", node);
		return true;
	}
	if (depth == STACK_MAX)
		return false;
	if (exists_below(world, "%s/partition", node)) {
		snprintf(below, sizeof(below), "%.3000s/..", node);
		return set_below(world, below, depth + 1, name);
	}
	path_below(world, path, "%s/slaves", node);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(below, sizeof(below), "%.3000s/slaves/%s", node, entry->d_name);
		if (*entry->d_name != '.' && set_below(world, below, depth + 1, name))
			return true;
	}
	return false;
}

/* What the kernel calls the mapped device of that name: "dm-3"; empty: there is none. */
static void find_mapped(const struct doctor_world *world, const char *device, char node[64])
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[FULL_PATH_BYTES], name[128];
	struct dirent *entry;

	path_below(world, path, "/sys/class/block");
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		first_line_below(world, name, sizeof(name), "/sys/class/block/%s/dm/name",
				 entry->d_name);
		snprintf(node, 64, "%.63s", streq(name, device) ? entry->d_name : "");
		if (*node)
			return;
	}
	*node = '\0';
}

/* btrfs has several devices, and none of its own number.  @device: one, as /dev names it. */
static bool btrfs_on_set(const struct doctor_world *world, const char *device, char name[128])
{
	char path[PLACE_BYTES], full[FULL_PATH_BYTES], node[64];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	find_mapped(world, device, node);
	last_match_below(world, path, sizeof(path), "/sys/fs/btrfs/*/devices/%s",
			 *node ? node : device);
	if (!*path)
		return false;
	*strrchr(path, '/') = '\0';
	path_below(world, full, "%s", path);
	dir = opendir(full);
	while (dir && (entry = readdir(dir))) {
		snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		if (*entry->d_name != '.' && set_below(world, full, 0, name))
			return true;
	}
	return false;
}

/* "36 35 98:0 / / rw,noatime - ext4 /dev/root rw": of / and /usr, without which nothing boots. */
static void look_at_root(const struct doctor_world *world, struct system_facts *facts)
{
	_cleanup_free_ char *mounts = read_below(world, NULL, "/proc/self/mountinfo");
	char *save = NULL;

	for (char *line = mounts ? strtok_r(mounts, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char number[32], place[PLACE_BYTES], source[PLACE_BYTES], node[64];
		const char *rest = strstr(line, " - "), *base;
		char name[128] = "";

		if (sscanf(line, "%*s %*s %31s %*s %299s", number, place) != 2 || !rest ||
		    sscanf(rest, " - %*s %299s", source) != 1 ||
		    (!streq(place, "/") && !streq(place, "/usr")))
			continue;
		base = strrchr(source, '/');
		snprintf(node, sizeof(node), "/sys/dev/block/%s", number);
		if (set_below(world, node, 0, name) ||
		    (!strncmp(number, "0:", 2) && base && btrfs_on_set(world, base + 1, name)))
			snprintf(facts->root_set, sizeof(facts->root_set), "%s", name);
	}
}

static void look_at_images(const struct doctor_world *world, struct system_facts *facts)
{
	look_at_root(world, facts);
	facts->has_initramfs_tools =
		exists_below(world, "/usr/share/initramfs-tools/hook-functions");
	facts->has_dracut = exists_below(world, "/usr/lib/dracut/dracut-functions.sh");
	facts->has_hook =
		(facts->has_initramfs_tools &&
		 exists_below(world, "/usr/share/initramfs-tools/hooks/dm-remap")) ||
		(facts->has_dracut &&
		 exists_below(world, "/usr/lib/dracut/modules.d/90dm-remap/module-setup.sh"));
}

/* One that is not there yet is made where the one above it is. */
static void look_at_directory(const struct doctor_world *world, const char *directory,
			      struct directory_facts *facts)
{
	char path[FULL_PATH_BYTES];
	struct statvfs vfs;
	struct stat st;

	snprintf(facts->path, sizeof(facts->path), "%s", directory);
	path_below(world, path, "%s", directory);
	while (stat(path, &st) < 0 && errno == ENOENT && strlen(path) > strlen(world->root) + 1)
		*strrchr(path, '/') = '\0';
	if (stat(*path ? path : "/", &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode))
		facts->state = DIRECTORY_NONE;
	else if (statvfs(*path ? path : "/", &vfs) == 0 && vfs.f_flag & ST_RDONLY)
		facts->state = DIRECTORY_READ_ONLY;
	else if (vfs.f_blocks && !vfs.f_bavail)
		facts->state = DIRECTORY_FULL;
	else if (geteuid() == 0 && access(*path ? path : "/", W_OK) < 0)
		facts->state = DIRECTORY_DENIED;
}

void system_facts_look(const struct doctor_world *world, struct system_facts *facts)
{
	*facts = (struct system_facts){ .packager = PACKAGER_NONE };
	if (exists_below(world, "/usr/bin/apt"))
		facts->packager = PACKAGER_APT;
	else if (exists_below(world, "/usr/bin/dnf"))
		facts->packager = PACKAGER_DNF;
	look_at_rules(world, facts);
	look_at_daemon(world, facts);
	look_at_images(world, facts);
	look_at_directory(world, state_directory(), &facts->directories[0]);
	look_at_directory(world, RUN_DIR, &facts->directories[1]);
}
