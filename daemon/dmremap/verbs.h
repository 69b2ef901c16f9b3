/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a verb of `dmremap` is, and what it may ask of its call (invocation.c).  One file
 * verb-*.c per group of verbs; verb-list.h is the table, main.c calls them.
 */
#ifndef DM_REMAP_VERBS_H
#define DM_REMAP_VERBS_H

#include "exit-code.h"
#include "system/dm.h"
#include "util/util.h"

#define VERB_OPTIONS_MAX 12

/**
 * struct verb_option - an option of one verb
 * @name: without the dashes
 * @argument: what it takes, for the help; NULL: nothing
 * @help: one line
 */
struct verb_option {
	const char *name;
	const char *argument;
	const char *help;
};

/**
 * struct invocation - a verb as it was called
 * @verb: which
 * @argc: number of arguments that are not options
 * @argv: these arguments
 * @value: per option of the verb: NULL: not given, "" or what was given
 * @json: print JSON
 * @yes: do not ask
 * @quiet: print nothing that is not asked for
 * @exit_code: of a verb that succeeded and has something to say by it (status --check)
 */
struct invocation {
	const struct verb *verb;
	int argc;
	char **argv;
	const char *value[VERB_OPTIONS_MAX];
	bool json;
	bool yes;
	bool quiet;
	int exit_code;
};

enum verb_group {
	VERB_LOOK,
	VERB_USE,
	VERB_SECTORS,
	VERB_MEMBERS,
	VERB_OFFLINE,
};

enum verb_flags {
	VERB_JSON = 1,	 /* has something to print with --json; of others that is refused */
	VERB_IMAGE = 2,	 /* of a file of one's own without being root */
	VERB_PATH = 8,	 /* whose first argument is a path, also without a slash */
	VERB_ANYONE = 4, /* without being root, as far as that goes */
};

/**
 * struct verb - one verb
 * @name: as typed
 * @alias: another name, or NULL
 * @arguments: for the help
 * @help: one line
 * @min_args: fewest arguments
 * @max_args: most arguments
 * @option: its own options, ended by one without a name
 * @run: does it: 0 or a negative errno with a sentence
 * @group: where --help shows it
 * @flags: of enum verb_flags
 */
struct verb {
	const char *name;
	const char *alias;
	const char *arguments;
	const char *help;
	int min_args;
	int max_args;
	const struct verb_option *option;
	int (*run)(struct invocation *invocation, struct error *error);
	enum verb_group group;
	unsigned int flags;
};

/* verb-table.c: NULL behind the last one. */
const struct verb *verb_at(size_t i);
const struct verb *verb_find(const char *name); /* NULL: there is none */
const char *verb_group_title(enum verb_group group);

/* The value of an option of the verb, or NULL. */
const char *option_value(const struct invocation *invocation, const char *name);
/* Asks on the terminal; -ECANCELED: no, or there is no terminal and no --yes (O21). */
int confirm(const struct invocation *invocation, const char *question, struct error *error);
/* The mapped device that @what names: its name, /dev/mapper/NAME, /dev/dm-N or a UUID. */
int find_device(const char *what, struct dm_device *device, struct error *error);
/* The one that the first argument names, or all; the caller frees *@devices, also on errors. */
int find_devices(const struct invocation *invocation, struct dm_device **devices, size_t *nr,
		 struct error *error);
/* The same, where it takes messages: not without the module (fallback). */
int find_live_device(const struct invocation *invocation, struct dm_device *device,
		     struct error *error);
/* After a question: -EBUSY: the name is another set's by now, or the set has another main. */
int check_same_device(const struct dm_device *device, struct error *error);

/*
 * LVM with a devices file would not look at a device that holds a physical volume from now on:
 * with --yes LVM's file is changed, else the user is advised (O17).
 */
void care_for_lvm(const struct invocation *invocation, const char *path);
/* The same for a mapped device and its partitions. */
void care_for_content(const struct invocation *invocation, const char *name);

struct assembly;
struct backup;
struct progress;
/* Of a set that may be active; @main: empty: it is not here; @path: empty: the usual place. */
int write_backup(const char *spare, const char *main, const char *path, struct backup *backup,
		 struct progress *progress, struct error *error);
/* Partitions of a set that was activated whose names are in use. */
void tell_taken(const struct assembly *set);

int import_lost(struct invocation *invocation, struct error *error);

#define VERB(name, alias, arguments, help, min_args, max_args, options, run, group, flags) \
	int run(struct invocation *invocation, struct error *error);                       \
	extern const struct verb_option options[];
#include "verb-list.h"

#endif /* DM_REMAP_VERBS_H */
