// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A rule file is written whole or not at all (write_file_atomic()).  Beside the set a crash
 * leaves:
 *
 *   in create, until the set is	a rule that says that its set is being made: main is hidden,
 *   about to count			and no set has that UUID.  mask_clean() removes it
 *   afterwards				the rule that stays: its set may count, also while its spare
 *					is missing.  If it does not, undoing create removes it
 *   in release				no rule any more, and the release is not completed yet
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "system/identity.h"
#include "system/lock.h"
#include "system/mask.h"
#include "util/foreign.h"

#define RULES_DIRECTORY "/etc/udev/rules.d"
#define PREFIX "65-dm-remap-" /* before 66-dm-remap.rules, which does what the rule asks for */
#define SUFFIX ".rules"
#define BEING_MADE "# The set is being made.\n"

#define MATCH_BYTES 600
#define TEXT_BYTES 1200

static void path_of(const uint8_t uuid[16], char path[PATH_MAX])
{
	char text[UUID_STRING_BYTES];

	uuid_to_string(uuid, text);
	snprintf(path, PATH_MAX, RULES_DIRECTORY "/" PREFIX "%s" SUFFIX, text);
}

/*
 * The only place where text becomes a rule: a rule runs programs as root.  The keys are
 * identity.c's, the values plain; no label is in it.
 */
static int make_rule(const uint8_t uuid[16], dev_t main, bool complete, char text[TEXT_BYTES],
		     struct error *error)
{
	char match[MATCH_BYTES], uuid_text[UUID_STRING_BYTES];
	int length;

	identity_udev_match_of_device(main, match, sizeof(match));
	if (!*match)
		return error_set(error, EPERM,
				 "the main device has no serial number, WWN or partition UUID "
				 "that a udev rule can match, so it needs the guard");
	uuid_to_string(uuid, uuid_text);
	length =
		snprintf(text, TEXT_BYTES,
			 "# Main of the dm-remap set %s,\n"
			 "# which has no guard: to be used through the mapped device only. Written "
			 "by dmremap\n"
			 "# create --no-guard, removed by dmremap release.\n"
			 "%sSUBSYSTEM==\"block\", %s, ENV{DM_REMAP_MASKED}=\"1\"\n",
			 uuid_text, complete ? "" : BEING_MADE, match);
	return length < TEXT_BYTES ? 0 : error_set(error, ENAMETOOLONG, "the rule is too long");
}

/*
 * udev's daemon looks at the directories of its rules every three seconds at most: a device that
 * comes earlier would be handled by the old ones.  Where it does not run there is nothing to do.
 */
static void tell_udev_of_rules(void)
{
	char *const argv[] = { (char *)"udevadm", (char *)"control", (char *)"--reload",
			       (char *)"--timeout=5", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (access("/run/udev/control", F_OK) < 0)
		return;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, 0, 2);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	posix_spawn_file_actions_destroy(&actions);
}

static int write_rule(const char *path, const char *text)
{
	int r = write_file_atomic(path, text, strlen(text), 0644);

	if (!r)
		tell_udev_of_rules();
	return r;
}

static int cannot_write(int r, const char *path, struct error *error)
{
	return error_set(error, -r, "cannot write %s: %s", path, strerror(-r));
}

int mask_check(dev_t main, struct error *error)
{
	static const uint8_t any[16];
	char text[TEXT_BYTES];
	int r = make_rule(any, main, true, text, error);

	if (!r && access(RULES_DIRECTORY, W_OK) < 0)
		r = cannot_write(-errno, RULES_DIRECTORY, error);
	return r;
}

int mask_write(const uint8_t uuid[16], dev_t main, bool complete, struct error *error)
{
	char path[PATH_MAX], text[TEXT_BYTES];
	int r = make_rule(uuid, main, complete, text, error);

	if (r < 0)
		return r;
	path_of(uuid, path);
	r = write_rule(path, text);
	return r < 0 ? cannot_write(r, path, error) : 0;
}

int mask_mend(const uint8_t uuid[16], dev_t main)
{
	_cleanup_free_ char *now = NULL;
	char path[PATH_MAX], text[TEXT_BYTES];
	int r = make_rule(uuid, main, true, text, NULL);

	if (r < 0)
		return r;
	path_of(uuid, path);
	if (read_file(path, &now, NULL) == 0 && streq(now, text))
		return 0;
	r = write_rule(path, text);
	return r < 0 ? r : 1;
}

int mask_check_removable(const uint8_t uuid[16], struct error *error)
{
	char path[PATH_MAX];

	path_of(uuid, path);
	if (access(path, F_OK) < 0 || access(RULES_DIRECTORY, W_OK) == 0)
		return 0;
	return error_set(error, errno, "cannot remove %s, which hides the main device: %s", path,
			 strerror(errno));
}

static int remove_rule(const char *path)
{
	_cleanup_close_ int directory = open(RULES_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (access(path, F_OK) < 0) /* where nothing can be written unlink() would not say so */
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	r = directory < 0 || fsync(directory) < 0 ? -errno : 0;
	tell_udev_of_rules();
	return r;
}

int mask_remove(const uint8_t uuid[16], struct error *error)
{
	char path[PATH_MAX];
	int r;

	path_of(uuid, path);
	r = remove_rule(path);
	return r < 0 ? error_set(error, -r, "cannot remove %s, which hides the main device: %s",
				 path, strerror(-r)) :
		       0;
}

/* The UUID in the name of a rule file of ours. */
static bool is_rule(const char *name, uint8_t uuid[16])
{
	size_t prefix = strlen(PREFIX), length = strlen(name);
	char text[UUID_STRING_BYTES];

	if (length != prefix + UUID_STRING_BYTES - 1 + strlen(SUFFIX) ||
	    strncmp(name, PREFIX, prefix) != 0)
		return false;
	snprintf(text, sizeof(text), "%s", name + prefix);
	return uuid_from_string(text, uuid) == 0;
}

static bool is_one_of(const uint8_t uuid[16], const uint8_t (*kept)[16], size_t nr_kept)
{
	for (size_t i = 0; i < nr_kept; i++)
		if (!memcmp(kept[i], uuid, 16))
			return true;
	return false;
}

static bool is_being_made(const char *path)
{
	_cleanup_free_ char *text = NULL;

	return read_file(path, &text, NULL) == 0 && strstr(text, BEING_MADE);
}

/* What is younger than the look may be of a set that the look has not seen. */
static bool is_left_behind(const char *path, const struct timespec *looked)
{
	struct stat st;

	if (stat(path, &st) < 0 || st.st_mtim.tv_sec > looked->tv_sec ||
	    (st.st_mtim.tv_sec == looked->tv_sec && st.st_mtim.tv_nsec >= looked->tv_nsec))
		return false;
	return is_being_made(path);
}

bool mask_clean(const uint8_t (*kept)[16], size_t nr_kept, const struct timespec *looked)
{
	_cleanup_closedir_ DIR *directory = opendir(RULES_DIRECTORY);
	bool any = false;
	struct dirent *at;

	while (directory && (at = readdir(directory))) {
		_cleanup_close_ int lock = -1;
		char path[PATH_MAX];
		uint8_t uuid[16];

		/* create holds it until the rule is complete */
		if (!is_rule(at->d_name, uuid) || is_one_of(uuid, kept, nr_kept) ||
		    lock_try_set(&lock, uuid) < 0)
			continue;
		path_of(uuid, path);
		if (is_left_behind(path, looked))
			any |= remove_rule(path) == 0;
	}
	return any;
}

bool mask_is_unfinished(void)
{
	_cleanup_closedir_ DIR *directory = opendir(RULES_DIRECTORY);
	bool is_unfinished = false;
	struct dirent *at;

	while (directory && !is_unfinished && (at = readdir(directory))) {
		char path[PATH_MAX];
		uint8_t uuid[16];

		if (!is_rule(at->d_name, uuid))
			continue;
		path_of(uuid, path);
		is_unfinished = is_being_made(path);
	}
	return is_unfinished;
}
