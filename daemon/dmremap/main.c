// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dmremap: the command.  Here: the table of verbs, options, help, exit codes.
 */
#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "scan.h"
#include "verbs.h"

static const struct verb_option options_status[] = {
	{ "check", NULL, "one line for a monitor: exit 0 well, 1 warning, 2 critical, 3 unknown" },
	{ NULL },
};

static const struct verb_option options_events[] = {
	{ "follow", NULL, "go on until interrupted" },
	{ NULL },
};

static const struct verb_option options_remap[] = {
	{ "cause", "CAUSE", "what show is to tell: manual, rescue or import (manual)" },
	{ "disk", NULL, "the number is of the whole disk, as in the kernel's log" },
	{ NULL },
};

static const struct verb_option options_sectors[] = {
	{ "disk", NULL, "the number is of the whole disk, as in the kernel's log" },
	{ NULL },
};

static const struct verb_option options_check[] = {
	{ "spare-start", "SECTOR", "where the region begins on the device" },
	{ "all", NULL, "show the copies that are whole as well" },
	{ NULL },
};

static const struct verb_option options_dump[] = {
	{ "spare-start", "SECTOR", "where the region begins on the device" },
	{ "dm-table", "MAIN", "print a table for dmsetup that needs no module" },
	{ NULL },
};

static const struct verb_option options_create[] = {
	{ "spare-size", "SIZE", "use only so much of the spare, from its start" },
	{ "no-guard", NULL, "leave main as it is: it is recognised by its serial number" },
	{ "wipe-spare", NULL, "there is something on the spare, and it may go" },
	{ "write-cache", "MODE", "of main: through (the default), keep or auto" },
	{ "accept-unreadable", NULL,
	  "what cannot be read of main is lost: an error until written" },
	{ "backup", "FILE", "where the set's first backup goes; else below /var/lib/dm-remap" },
	{ "dry-run", NULL, "say what would be done" },
	{ "print-table", NULL, "print the table line of the new set for dmsetup" },
	{ NULL },
};

static const struct verb_option options_activate[] = {
	{ "auto", NULL, "as udev does: a set that has to wait is no failure" },
	{ "exit-code", NULL, "with --auto: exit as without it, also when a set has to wait" },
	{ "name", "NAME", "call the mapped device NAME this time" },
	{ "read-only", NULL, "write nothing at all, not even repairs" },
	{ "foreign", NULL, "also a set of another host" },
	{ "any-hardware", NULL, "also when a member is other hardware than was recorded" },
	{ "force-rw", NULL, "read-write although half of the metadata cannot be repaired" },
	{ "fallback", NULL, "without the module: what is mapped is served, nothing new is" },
	{ NULL },
};

static const struct verb_option options_release[] = {
	{ "without-spare", "MAIN", "the spare is gone: make main readable from main alone" },
	{ "without-main", "SPARE", "main is gone: make the spare an unused device" },
	{ "give-up", "SECTORS", "lost sectors that are not to be found again: 2,100-103" },
	{ "backup", "FILE", "without the spare: the set's backup, if not below /var/lib/dm-remap" },
	{ "accept-loss", NULL, "without the spare: what no backup has either becomes zeros" },
	{ "keep-header", "FILE", "without the spare: keep a copy of main's member header there" },
	{ NULL },
};

static const struct verb_option options_adopt_host[] = {
	{ "name", "NAME", "call the set NAME from now on" },
	{ NULL },
};

static const struct verb_option options_restore_backup[] = {
	{ "main", "MAIN", "the set's main device, where it is not found by itself" },
	{ "older", NULL, "also when the backup is older than the last remap, or may be" },
	{ "wipe-spare", NULL, "there is something else on the spare, and it may go" },
	{ NULL },
};

static const struct verb_option options_replace_main[] = {
	{ "map", "FILE", "of ddrescue: what it could not read is lost, not zeros" },
	{ "areas", "TYPES", "which areas of it were not rescued (all but +: ?*/-)" },
	{ "disk", NULL, "its numbers are of the whole disk" },
	{ NULL },
};

static const struct verb_option options_resize[] = {
	{ "spare-size", "SIZE", "use only so much of the new spare, from its start" },
	{ "wipe-spare", NULL, "there is something on the new spare, and it may go" },
	{ "accept-loss", NULL, "what the old spare does not give back any more is lost" },
	{ NULL },
};

static const struct verb_option options_write_cache[] = {
	{ "auto", NULL, "as udev does, with a disk: off again, where it was turned off" },
	{ NULL },
};

static const struct verb_option options_import[] = {
	{ "format", "FORMAT",
	  "badblocks, ddrescue, ranges, kernel, smartctl, mdadm; else guessed" },
	{ "block-size", "SIZE", "of a list of badblocks, as its option -b (1024)" },
	{ "areas", "TYPES", "which areas of a map, of ? * / - (those that are bad: -)" },
	{ "disk", NULL, "its numbers are of the whole disk" },
	{ "up-to", "N", "only the first N chunks that are not remapped yet" },
	{ "lost", NULL, "of a copy of main: what was not rescued is lost (SET inactive)" },
	{ "dry-run", NULL, "say how many sectors it names" },
	{ NULL },
};

static const struct verb verbs[] = {
	{ "create", NULL, "NAME MAIN SPARE", "make a set of a disk with data and a spare", 3, 3,
	  options_create, verb_create },
	{ "activate", "assemble", "[SET|DEVICE]", "make the mapped device of a set, or of all", 0,
	  1, options_activate, verb_activate },
	{ "deactivate", "stop", "NAME", "remove the mapped device; the set stays", 1, 1, NULL,
	  verb_deactivate },
	{ "list", NULL, "", "all sets whose members are here", 0, 0, NULL, verb_list },
	{ "release", NULL, "[SET|MAIN SPARE]", "end a set: main becomes a plain disk again", 0, 2,
	  options_release, verb_release },
	{ "replace-main", NULL, "SET DEVICE", "main was copied to DEVICE, which takes its place", 2,
	  2, options_replace_main, verb_replace_main },
	{ "replace-spare", NULL, "SET DEVICE",
	  "the spare was copied to DEVICE, which takes its place", 2, 2, NULL, verb_replace_spare },
	{ "resize", NULL, "SET DEVICE", "copy the spare to DEVICE, which is larger, or not", 2, 2,
	  options_resize, verb_resize },
	{ "adopt-host", NULL, "SET", "the set belongs to this host from now on", 1, 1,
	  options_adopt_host, verb_adopt_host },
	{ "backup", NULL, "SET|SPARE [FILE]", "keep a copy of the metadata elsewhere", 1, 2, NULL,
	  verb_backup },
	{ "restore-backup", NULL, "FILE SPARE", "put a backup onto the spare, or onto another one",
	  2, 2, options_restore_backup, verb_restore_backup },
	{ "import", NULL, "NAME FILE", "remap what badblocks or ddrescue found bad", 2, 2,
	  options_import, verb_import },
	{ "status", "detail", "[NAME]", "how a set is doing", 0, 1, options_status, verb_status },
	{ "show", NULL, "NAME", "what is remapped, where, since when and why", 1, 1, NULL,
	  verb_show },
	{ "events", NULL, "[NAME]", "what happens, as it happens", 0, 1, options_events,
	  verb_events },
	{ "remap", NULL, "NAME SECTOR [COUNT]", "move sectors to the spare, with their content", 2,
	  3, options_remap, verb_remap },
	{ "unremap", NULL, "NAME SECTOR [COUNT]", "move sectors back to the main device", 2, 3,
	  options_sectors, verb_unremap },
	{ "verify", NULL, "NAME SECTOR", "whether and where a sector is remapped", 2, 2,
	  options_sectors, verb_verify },
	{ "clear", NULL, "NAME", "move back to the main device all that it takes", 1, 1, NULL,
	  verb_message },
	{ "save", NULL, "NAME", "write the counters to the spare now", 1, 1, NULL, verb_message },
	{ "sync", NULL, "NAME", "rewrite every copy of the metadata", 1, 1, NULL, verb_message },
	{ "restore", NULL, "NAME", "compare the metadata on the spare with memory and mend it", 1,
	  1, NULL, verb_message },
	{ "metadata-status", NULL, "NAME", "the state of the metadata in one line", 1, 1, NULL,
	  verb_message },
	{ "freeze", NULL, "NAME", "no automatic remaps", 1, 1, NULL, verb_message },
	{ "thaw", NULL, "NAME", "new remaps again", 1, 1, NULL, verb_message },
	{ "write-cache", NULL, "SET [MODE]", "of main: through, keep or auto; and of its disks", 1,
	  2, options_write_cache, verb_write_cache },
	{ "accept-loss", NULL, "NAME", "flushes may succeed again after a member lost its cache", 1,
	  1, NULL, verb_accept_loss },
	{ "stats-clear", NULL, "NAME", "start counting errors anew", 1, 1, NULL, verb_message },
	{ "check", NULL, "DEVICE|IMAGE", "look at every copy of the metadata on a spare", 1, 1,
	  options_check, verb_check },
	{ "dump", NULL, "DEVICE|IMAGE", "what is on a spare, without the module", 1, 1,
	  options_dump, verb_dump },
};

/**
 * struct verb_group - verbs as --help shows them
 * @title: of the group
 * @verb: their names
 */
struct verb_group {
	const char *title;
	const char *verb[16];
};

static const struct verb_group groups[] = {
	{ "Look", { "list", "status", "show", "events", "verify", "metadata-status" } },
	{ "Make, use, end",
	  { "create", "activate", "deactivate", "release", "adopt-host", "backup" } },
	{ "Bad sectors",
	  { "import", "remap", "unremap", "clear", "freeze", "thaw", "write-cache" } },
	{ "Other disks, and what goes wrong",
	  { "replace-main", "replace-spare", "resize", "restore-backup", "restore", "sync",
	    "accept-loss", "save", "stats-clear" } },
	{ "Without the module, also of an image", { "check", "dump" } },
};

/* With --json; of the others there is nothing to print, and it is refused. */
static const char *const json_verbs[] = {
	"list",	  "status",	 "show",    "events", "verify",	     "metadata-status",
	"import", "remap",	 "unremap", "clear",  "freeze",	     "thaw",
	"save",	  "sync",	 "restore", "check",  "accept-loss", "stats-clear",
	"dump",	  "write-cache",
};

/* Files of one's own are read without being root. */
static const char *const image_verbs[] = { "check", "dump", "backup" };

#define IS_ONE_OF(verb, names) is_one_of((verb)->name, names, sizeof(names) / sizeof((names)[0]))

static bool is_one_of(const char *name, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (streq(name, names[i]))
			return true;
	return false;
}

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

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (streq(name, verbs[i].name) || (verbs[i].alias && streq(name, verbs[i].alias)))
			return &verbs[i];
	return NULL;
}

static void print_call(FILE *to, const char *name)
{
	const struct verb *verb = find_verb(name);
	char call[64];

	snprintf(call, sizeof(call), "%s %s", verb->name, verb->arguments);
	fprintf(to, "  %-34s %s\n", call, verb->help);
}

static void print_help(FILE *to)
{
	fprintf(to, "usage: dmremap VERB [ARGUMENTS] [OPTIONS]\n");
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		fprintf(to, "\n%s:\n", groups[i].title);
		for (size_t v = 0; groups[i].verb[v]; v++)
			print_call(to, groups[i].verb[v]);
	}
	fprintf(to, "\nOptions, before or after the verb:\n"
		    "  --json     print JSON\n"
		    "  --yes      do not ask\n"
		    "  --quiet    print nothing that was not asked for\n"
		    "  --version  print the version\n"
		    "  --help     this, or what VERB takes; as help VERB\n\nSee dmremap(8).\n");
}

static void print_verb_help(const struct verb *verb)
{
	printf("usage: dmremap %s %s\n\n%s\n", verb->name, verb->arguments, verb->help);
	for (int i = 0; verb->option && verb->option[i].name; i++) {
		char call[40];

		snprintf(call, sizeof(call), "--%s %s", verb->option[i].name,
			 verb->option[i].argument ? verb->option[i].argument : "");
		printf("  %-26s %s\n", call, verb->option[i].help);
	}
}

enum common_option {
	OPTION_JSON = 256,
	OPTION_YES,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERB, /* and the verb's own from here on */
};

/* 1: help was printed. */
static int parse(int argc, char **argv, struct invocation *invocation)
{
	struct option options[5 + VERB_OPTIONS_MAX] = {
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "yes", no_argument, NULL, OPTION_YES },
		{ "quiet", no_argument, NULL, OPTION_QUIET },
		{ "help", no_argument, NULL, OPTION_HELP },
	};
	const struct verb *verb = invocation->verb;
	int nr = 4, code;

	for (int i = 0; verb->option && verb->option[i].name; i++, nr++)
		options[nr] =
			(struct option){ verb->option[i].name,
					 verb->option[i].argument ? required_argument : no_argument,
					 NULL, OPTION_VERB + i };
	opterr = 0;
	while ((code = getopt_long(argc, argv, "yqh", options, NULL)) != -1) {
		switch (code) {
		case OPTION_JSON:
			invocation->json = true;
			break;
		case 'y':
		case OPTION_YES:
			invocation->yes = true;
			break;
		case 'q':
		case OPTION_QUIET:
			invocation->quiet = true;
			break;
		case 'h':
		case OPTION_HELP:
			print_verb_help(verb);
			return 1;
		case '?':
		case ':':
			fprintf(stderr, "dmremap: %s: bad option \"%s\"; see dmremap %s --help\n",
				verb->name, argv[optind - 1], verb->name);
			return -EINVAL;
		default:
			invocation->value[code - OPTION_VERB] = optarg ? optarg : "";
		}
	}
	invocation->argc = argc - optind;
	invocation->argv = argv + optind;
	if (invocation->argc < verb->min_args || invocation->argc > verb->max_args) {
		fprintf(stderr, "dmremap: usage: dmremap %s %s\n", verb->name, verb->arguments);
		return -EINVAL;
	}
	return 0;
}

/* Options before the verb; where it is.  -EINVAL: a bad one; 0: help or version was printed. */
static int parse_before(int argc, char **argv, struct invocation *invocation)
{
	int i = 1;

	for (; i < argc && *argv[i] == '-' && argv[i][1]; i++) {
		if (streq(argv[i], "--json")) {
			invocation->json = true;
		} else if (streq(argv[i], "--yes") || streq(argv[i], "-y")) {
			invocation->yes = true;
		} else if (streq(argv[i], "--quiet") || streq(argv[i], "-q")) {
			invocation->quiet = true;
		} else if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
			print_help(stdout);
			return 0;
		} else if (streq(argv[i], "--version") || streq(argv[i], "-V")) {
			printf("dmremap %s\n", DM_REMAP_TOOLS_VERSION);
			return 0;
		} else {
			fprintf(stderr, "dmremap: bad option \"%s\"; see dmremap --help\n",
				argv[i]);
			return -EINVAL;
		}
	}
	return i;
}

static const struct verb *find_or_complain(const char *name)
{
	const struct verb *verb = find_verb(name);

	if (!verb)
		fprintf(stderr, "dmremap: there is no verb \"%s\"; dmremap --help lists them\n",
			name);
	return verb;
}

static int help(const char *name)
{
	const struct verb *verb = name ? find_or_complain(name) : NULL;

	if (name && !verb)
		return EXIT_CODE_USAGE;
	if (verb)
		print_verb_help(verb);
	else
		print_help(stdout);
	return EXIT_CODE_OK;
}

/* What can be known without looking at anything. */
static int check_call(const struct invocation *invocation)
{
	const struct verb *verb = invocation->verb;

	if (invocation->json && !IS_ONE_OF(verb, json_verbs)) {
		fprintf(stderr,
			"dmremap: %s prints no JSON: --json is for verbs that show something\n",
			verb->name);
		return EXIT_CODE_USAGE;
	}
	if (geteuid() != 0 &&
	    !(IS_ONE_OF(verb, image_verbs) && invocation->argc &&
	      strchr(invocation->argv[0], '/') && !device_number(invocation->argv[0]))) {
		fprintf(stderr, "dmremap: %s needs root\n", verb->name);
		return EXIT_CODE_REFUSED;
	}
	return EXIT_CODE_OK;
}

static int run(struct invocation *invocation)
{
	struct error error = { "" };
	int r;

	dm_setup();
	r = invocation->verb->run(invocation, &error);
	/* in a pipe what was printed before comes before the sentence */
	if (fflush(stdout) == EOF || ferror(stdout)) {
		fprintf(stderr, "dmremap: cannot write the output: %s\n", strerror(errno));
		return EXIT_CODE_FAILED;
	}
	if (r < 0)
		fprintf(stderr, "dmremap: %s\n", *error.text ? error.text : strerror(-r));
	return r >= 0 && invocation->exit_code ? invocation->exit_code : exit_code_of(r);
}

int main(int argc, char **argv)
{
	struct invocation invocation = { 0 };
	int at = parse_before(argc, argv, &invocation), r;

	if (at <= 0)
		return at < 0 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
	if (at >= argc) {
		print_help(stderr);
		return EXIT_CODE_USAGE;
	}
	if (streq(argv[at], "help"))
		return help(argv[at + 1]);
	invocation.verb = find_or_complain(argv[at]);
	if (!invocation.verb)
		return EXIT_CODE_USAGE;
	r = parse(argc - at, argv + at, &invocation);
	if (r)
		return r < 0 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
	r = check_call(&invocation);
	return r ? r : run(&invocation);
}
