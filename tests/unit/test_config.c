// SPDX-License-Identifier: GPL-2.0-or-later
/* dm-remapd.conf: drop-ins, wrong values with file and line; the catalog of the journal. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "journal.h"
#include "unit.h"
#include "util/util.h"

static char vendor[64], admin[64], said[4096];

static void hear(void *userdata, const char *sentence)
{
	(void)userdata;
	strncat(said, sentence, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
}

static void put(const char *directory, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(write_file_atomic(path, text, strlen(text), 0644), 0);
}

static int setup(void **unused)
{
	char path[128];

	(void)unused;
	strcpy(vendor, "/tmp/unit-vendor.XXXXXX");
	strcpy(admin, "/tmp/unit-admin.XXXXXX");
	*said = '\0';
	if (!mkdtemp(vendor) || !mkdtemp(admin))
		return -1;
	snprintf(path, sizeof(path), "%s/dm-remapd.conf.d", admin);
	return mkdir(path, 0755);
}

static int teardown(void **unused)
{
	char command[192];

	(void)unused;
	snprintf(command, sizeof(command), "rm -r %s %s", vendor, admin);
	return system(command);
}

/* A file of that length, without content. */
static int truncate_new(const char *path, off_t nr_bytes)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : ftruncate(fd, nr_bytes);
}

static int read_config(struct config *config)
{
	return config_read(vendor, admin, config, hear, NULL);
}

static void defaults(void **unused)
{
	struct config config;

	(void)unused;
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 60);
	assert_int_equal(config.policy.nr_steps, 5);
}

static void the_shipped_file(void **unused)
{
	_cleanup_free_ char *text = NULL;
	struct config config;
	size_t nr_bytes;
	char *at;

	(void)unused;
	assert_int_equal(read_file(PACKAGING_DIR "/dm-remapd.conf", &text, &nr_bytes), 0);
	/* with every example taken as it stands, it says the defaults */
	for (at = text; (at = strstr(at, "\n#")); at++)
		if (at[2] != ' ')
			at[1] = ' ';
	put(admin, "dm-remapd.conf", text);
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 60);
	assert_int_equal(config.poll_seconds, 60);
	assert_int_equal(config.policy.nr_steps, 5);
	assert_int_equal(config.policy.step[4], 100);
	assert_int_equal(config.policy.error_count, 10);
	assert_int_equal(config.policy.error_seconds, 3600);
	assert_int_equal(config.policy.reminder_seconds, 86400);
	assert_int_equal(config.command_timeout_seconds, 30);
	assert_false(config.rescue);
	assert_true(config.files);
}

static void drop_ins(void **unused)
{
	struct config config;

	(void)unused;
	put(admin, "dm-remapd.conf", "[save]\ninterval = 10\n[spare]\nsteps = 80, 90\n");
	put(admin, "dm-remapd.conf.d/10-mine.conf", "[save]\ninterval = 3600\n");
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 3600);
	assert_int_equal(config.policy.nr_steps, 2);
	assert_int_equal(config.policy.step[0], 80);
}

static void wrong_values(void **unused)
{
	static const char *const bad[] = {
		"[save]\ninterval = 0\n",     "[save]\ninterval = 3601\n",
		"[save]\ninterval = soon\n",  "[save]\ninterval = 1.5\n",
		"[watch]\ninterval = -1\n",   "[spare]\nsteps = 90, 50\n",
		"[spare]\nsteps = 50, 50\n",  "[spare]\nsteps = 0, 50\n",
		"[spare]\nsteps = 101\n",     "[spare]\nsteps = 1,2,3,4,5,6,7,8,9\n",
		"[errors]\ncount = 65\n",     "[alarm]\nrepeat = 1\n",
		"[watch]\npatience = 0\n",    "[errors]\nrescue = perhaps\n",
		"[errors]\nfiles = some\n",   "[save]\ncolour = blue\n",
		"[sauce]\ninterval = 5\n",    "[spare]\nsteps =\n",
		"[storm]\nthaws = 101\n",     "[metrics]\nfile = a.prom\n",
		"[metrics]\nfile =\n",	      "[backup]\ndelay = 9\n",
		"[backup]\ncopies = /a, b\n", "[backup]\ncopies =\n",
		"[smart]\ninterval = 3599\n", "[smart]\ninterval = yes\n",
		"[save]\ninterval = 2h\n",    "[save]\ninterval = 5 parsecs\n",
		"[save]\ninterval =\n",
	};
	struct config config, wanted;
	char place[160];

	(void)unused;
	config_defaults(&wanted);
	snprintf(place, sizeof(place), "%s/dm-remapd.conf:2: [", admin);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*said = '\0';
		put(admin, "dm-remapd.conf", bad[i]);
		assert_int_equal(read_config(&config), 1);
		assert_non_null(strstr(said, place));
		assert_memory_equal(&config, &wanted, sizeof(config));
	}
}

static void complaint_is(const char *file, unsigned int line, const char *what)
{
	char wanted[256];
	char *at;

	snprintf(wanted, sizeof(wanted), "%s/%s:%u: ", admin, file, line);
	at = strstr(said, wanted);
	if (!at || !strstr(at, what))
		fail_msg("no \"%s ... %s\" in: %s", wanted, what, said);
}

/* Each mistake with its own file and line, also in drop-ins; the last of two keys counts. */
static void every_mistake_has_its_place(void **unused)
{
	struct config config;

	(void)unused;
	put(admin, "dm-remapd.conf",
	    "\xef\xbb\xbf[save] # comment\ninterval = 10 # ten\n\ninterval = 20\n");
	put(admin, "dm-remapd.conf.d/20-b.conf", "[watch]\n\ninterval = never\n[save]\nx = 1\n");
	put(admin, "dm-remapd.conf.d/10-a.conf", "[watch]\ninterval = 5min\n[errors]\ncount=0\n");
	assert_int_equal(read_config(&config), 3);
	assert_int_equal(config.save_seconds, 20);
	assert_int_equal(config.poll_seconds, 300); /* what was set before is kept */
	complaint_is("dm-remapd.conf.d/10-a.conf", 4, "[errors] count: ");
	complaint_is("dm-remapd.conf.d/20-b.conf", 3, "\"never\" is not ");
	complaint_is("dm-remapd.conf.d/20-b.conf", 5, "unknown setting");
}

static void what_is_no_setting(void **unused)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *what;
	} cases[] = {
		{ "interval = 5\n[save]\n", 1, "before the first group" },
		{ "[save]\ninterval\n", 2, "neither a group" },
		{ "[save]\n= 5\n", 2, "neither a group" },
		{ "[save]\n[\n", 2, "not a group" },
		{ "[save] x\n", 1, "not a group" },
		{ "[]\ninterval = 5\n", 1, "not a group" },
	};
	struct config config, wanted;

	(void)unused;
	config_defaults(&wanted);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		config_defaults(&config);
		*said = '\0';
		put(admin, "dm-remapd.conf.d/10-a.conf", cases[i].text);
		put(admin, "dm-remapd.conf", "[save]\ninterval = 10\n");
		assert_int_equal(read_config(&config), -EBADMSG);
		complaint_is("dm-remapd.conf.d/10-a.conf", cases[i].line, cases[i].what);
		assert_memory_equal(&config, &wanted, sizeof(config));
	}
}

static void steps_and_times(void **unused)
{
	struct config config;

	(void)unused;
	put(admin, "dm-remapd.conf",
	    "[spare]\nsteps = none\n[errors]\nseconds = 2h\n[alarm]\nrepeat = 1d\n[storm]\nthaws=3\n[smart]\ninterval = no\n"
	    "[metrics]\nfile = /a/b.prom\n"
	    "[backup]\ndelay = no\ncopies = /a, /b\n");
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.policy.nr_steps, 0);
	assert_int_equal(config.policy.error_seconds, 7200);
	assert_int_equal(config.policy.reminder_seconds, 86400);
	assert_int_equal(config.thaws, 3);
	assert_int_equal(config.smart_seconds, 0);
	assert_string_equal(config.metrics_path, "/a/b.prom");
	assert_int_equal(config.backup_seconds, 0);
	assert_string_equal(config.backup_copies, "/a,/b");
}

/* The administrator's file stands for the vendor's of the same name. */
static void vendors_and_administrators_files(void **unused)
{
	char path[128];
	struct config config;

	(void)unused;
	snprintf(path, sizeof(path), "%s/dm-remapd.conf.d", vendor);
	assert_int_equal(mkdir(path, 0755), 0);
	put(vendor, "dm-remapd.conf", "[save]\ninterval = 11\n[watch]\ninterval = 11\n");
	put(vendor, "dm-remapd.conf.d/50-v.conf", "[watch]\npatience = 12\n");
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 11);
	assert_int_equal(config.command_timeout_seconds, 12);
	put(admin, "dm-remapd.conf", "[save]\ninterval = 13\n");
	put(admin, "dm-remapd.conf.d/50-v.conf", "");
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 13);
	assert_int_equal(config.poll_seconds, 60);
	assert_int_equal(config.command_timeout_seconds, 30);
}

/* Half a file is no file: whatever was in force stays so, and the place is told. */
static void what_cannot_be_parsed_changes_nothing(void **unused)
{
	struct config config, before;
	char place[160];

	(void)unused;
	put(admin, "dm-remapd.conf", "[save]\ninterval = 10\n[errors]\nrescue = yes\n");
	assert_int_equal(read_config(&config), 0);
	assert_int_equal(config.save_seconds, 10);
	assert_true(config.rescue);
	before = config;
	put(admin, "dm-remapd.conf", "[save]\ninterval = 20\n[watch\ninterval = 5\n");
	assert_int_equal(read_config(&config), -EBADMSG);
	snprintf(place, sizeof(place), "%s/dm-remapd.conf:3: ", admin);
	assert_non_null(strstr(said, place));
	assert_memory_equal(&config, &before, sizeof(config));
}

/* A mistake like others: neither the end of the daemon nor a pipe that it waits for. */
static void what_is_no_file_is_told(void **unused)
{
	static const char *const kinds[] = { "directory", "pipe", "device", "nowhere", "long" };
	struct config config, before;
	char path[128];

	(void)unused;
	config_defaults(&config);
	config.save_seconds = 7;
	before = config;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "%s/dm-remapd.conf.d/x.conf", admin);
		alarm(60);
		if (streq(kinds[i], "directory"))
			assert_int_equal(mkdir(path, 0755), 0);
		else if (streq(kinds[i], "pipe"))
			assert_int_equal(mkfifo(path, 0644), 0);
		else if (streq(kinds[i], "device"))
			assert_int_equal(symlink("/dev/zero", path), 0);
		else if (streq(kinds[i], "nowhere"))
			assert_int_equal(symlink("elsewhere", path), 0);
		else
			assert_int_equal(truncate_new(path, 2 << 20), 0);
		*said = '\0';
		assert_true(read_config(&config) < 0);
		assert_memory_equal(&config, &before, sizeof(config));
		assert_non_null(strstr(said, "x.conf"));
		assert_non_null(strstr(said, "the settings stay as they are"));
		assert_int_equal(remove(path), 0);
	}
	/* as systemd's: it masks that of the vendor */
	assert_int_equal(symlink("/dev/null", path), 0);
	*said = '\0';
	assert_int_equal(read_config(&config), 0);
	assert_string_equal(said, "");
	alarm(0);
}

/* Neither has a line, a group or a key to be named. */
static void what_is_no_text(void **unused)
{
	static const char zero[] = "[daemon]\nsave = 5s\0\n";
	struct config config;
	char path[128];

	(void)unused;
	config_defaults(&config);
	snprintf(path, sizeof(path), "%s/dm-remapd.conf", admin);
	assert_int_equal(write_file_atomic(path, zero, sizeof(zero) - 1, 0644), 0);
	assert_true(config_read(vendor, admin, &config, hear, NULL) < 0);
	assert_non_null(strstr(said, "dm-remapd.conf: not a text file"));
	assert_int_equal(config.save_seconds, 60);
	*said = '\0';
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(config_read(vendor, admin, &config, hear, NULL) < 0);
	assert_non_null(strstr(said, "dm-remapd.conf: Is a directory"));
	assert_int_equal(config.save_seconds, 60);
}

/* The catalog has one entry of this number. */
static void assert_explained(const char *catalog, const char *id)
{
	char entry[64], *at;

	snprintf(entry, sizeof(entry), "\n-- %s\nSubject: ", id);
	at = strstr(catalog, entry);
	assert_non_null(at);
	assert_null(strstr(at + 1, entry));
}

static void the_catalog_knows_every_id(void **unused)
{
	_cleanup_free_ char *catalog = NULL, *ids = NULL;
	char *at, *save = NULL, *line, id[33];
	size_t nr_bytes, nr_ids = 0, nr_entries = 0;

	(void)unused;
	assert_int_equal(read_file(SYSTEMD_DIR "/dm-remap.catalog", &catalog, &nr_bytes), 0);
	assert_int_equal(read_file(DAEMON_DIR "/message-ids.h", &ids, &nr_bytes), 0);
	for (line = strtok_r(ids, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "#define MESSAGE_ID_%*s \"%32[0-9a-f]\"", id) != 1)
			continue;
		assert_explained(catalog, id);
		nr_ids++;
	}
	for (uint32_t kind = 1; kind <= DM_REMAP_EVENT_MAX; kind++) {
		if (!event_kind_find(kind))
			continue;
		assert_explained(catalog, event_kind_find(kind)->message_id);
		nr_ids++;
	}
	for (at = catalog; (at = strstr(at, "\n-- ")); at++)
		nr_entries++;
	assert_int_equal(nr_ids, nr_entries);
	assert_null(event_kind_find(DM_REMAP_EVENT_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(the_shipped_file, setup, teardown),
		cmocka_unit_test_setup_teardown(drop_ins, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_values, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_parsed_changes_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_no_text, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(every_mistake_has_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_setting, setup, teardown),
		cmocka_unit_test_setup_teardown(steps_and_times, setup, teardown),
		cmocka_unit_test_setup_teardown(vendors_and_administrators_files, setup, teardown),
		cmocka_unit_test(the_catalog_knows_every_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
