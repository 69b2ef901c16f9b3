// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs and their options.  A new verb is an entry here. */
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

static const struct verb_option options_list[] = {
	{ "names", NULL, "only names, of what udev and the kernel know: no disk is read" },
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

/* In the order in which --help shows them. */
static const struct verb verbs[] = {
	{ "list", NULL, "", "all sets whose members are here", 0, 0, options_list, verb_list,
	  VERB_LOOK, VERB_JSON },
	{ "status", "detail", "[NAME]", "how a set is doing", 0, 1, options_status, verb_status,
	  VERB_LOOK, VERB_JSON },
	{ "show", NULL, "NAME", "what is remapped, where, since when and why", 1, 1, NULL,
	  verb_show, VERB_LOOK, VERB_JSON },
	{ "events", NULL, "[NAME]", "what happens, as it happens", 0, 1, options_events,
	  verb_events, VERB_LOOK, VERB_JSON },
	{ "verify", NULL, "NAME SECTOR", "whether and where a sector is remapped", 2, 2,
	  options_sectors, verb_verify, VERB_LOOK, VERB_JSON },
	{ "metadata-status", NULL, "NAME", "the state of the metadata in one line", 1, 1, NULL,
	  verb_message, VERB_LOOK, VERB_JSON },
	{ "demo", NULL, "", "a disk in memory dies, and nothing is lost", 0, 0, NULL, verb_demo,
	  VERB_LOOK, 0 },
	{ "create", NULL, "NAME MAIN SPARE", "make a set of a disk with data and a spare", 3, 3,
	  options_create, verb_create, VERB_USE, 0 },
	{ "activate", "assemble", "[SET|DEVICE]", "make the mapped device of a set, or of all", 0,
	  1, options_activate, verb_activate, VERB_USE, 0 },
	{ "deactivate", "stop", "NAME", "remove the mapped device; the set stays", 1, 1, NULL,
	  verb_deactivate, VERB_USE, 0 },
	{ "release", NULL, "[SET|MAIN SPARE]", "end a set: main becomes a plain disk again", 0, 2,
	  options_release, verb_release, VERB_USE, 0 },
	{ "adopt-host", NULL, "SET", "the set belongs to this host from now on", 1, 1,
	  options_adopt_host, verb_adopt_host, VERB_USE, 0 },
	{ "backup", NULL, "SET|SPARE [FILE]", "keep a copy of the metadata elsewhere", 1, 2, NULL,
	  verb_backup, VERB_USE, VERB_IMAGE },
	{ "import", NULL, "NAME FILE", "remap what badblocks or ddrescue found bad", 2, 2,
	  options_import, verb_import, VERB_SECTORS, VERB_JSON },
	{ "remap", NULL, "NAME SECTOR [COUNT]", "move sectors to the spare, with their content", 2,
	  3, options_remap, verb_remap, VERB_SECTORS, VERB_JSON },
	{ "unremap", NULL, "NAME SECTOR [COUNT]", "move sectors back to the main device", 2, 3,
	  options_sectors, verb_unremap, VERB_SECTORS, VERB_JSON },
	{ "clear", NULL, "NAME", "move back to the main device all that it takes", 1, 1, NULL,
	  verb_message, VERB_SECTORS, VERB_JSON },
	{ "freeze", NULL, "NAME", "no automatic remaps", 1, 1, NULL, verb_message, VERB_SECTORS,
	  VERB_JSON },
	{ "thaw", NULL, "NAME", "new remaps again", 1, 1, NULL, verb_message, VERB_SECTORS,
	  VERB_JSON },
	{ "write-cache", NULL, "SET [MODE]", "of main: through, keep or auto; and of its disks", 1,
	  2, options_write_cache, verb_write_cache, VERB_SECTORS, VERB_JSON },
	{ "replace-main", NULL, "SET DEVICE", "main was copied to DEVICE, which takes its place", 2,
	  2, options_replace_main, verb_replace_main, VERB_MEMBERS, 0 },
	{ "replace-spare", NULL, "SET DEVICE",
	  "the spare was copied to DEVICE, which takes its place", 2, 2, NULL, verb_replace_spare,
	  VERB_MEMBERS, 0 },
	{ "resize", NULL, "SET DEVICE", "copy the spare to DEVICE, which is larger, or not", 2, 2,
	  options_resize, verb_resize, VERB_MEMBERS, 0 },
	{ "restore-backup", NULL, "FILE SPARE", "put a backup onto the spare, or onto another one",
	  2, 2, options_restore_backup, verb_restore_backup, VERB_MEMBERS, 0 },
	{ "restore", NULL, "NAME", "compare the metadata on the spare with memory and mend it", 1,
	  1, NULL, verb_message, VERB_MEMBERS, VERB_JSON },
	{ "sync", NULL, "NAME", "rewrite every copy of the metadata", 1, 1, NULL, verb_message,
	  VERB_MEMBERS, VERB_JSON },
	{ "accept-loss", NULL, "NAME", "flushes may succeed again after a member lost its cache", 1,
	  1, NULL, verb_accept_loss, VERB_MEMBERS, VERB_JSON },
	{ "save", NULL, "NAME", "write the counters to the spare now", 1, 1, NULL, verb_message,
	  VERB_MEMBERS, VERB_JSON },
	{ "stats-clear", NULL, "NAME", "start counting errors anew", 1, 1, NULL, verb_message,
	  VERB_MEMBERS, VERB_JSON },
	{ "check", NULL, "DEVICE|IMAGE", "look at every copy of the metadata on a spare", 1, 1,
	  options_check, verb_check, VERB_OFFLINE, VERB_JSON | VERB_IMAGE },
	{ "dump", NULL, "DEVICE|IMAGE", "what is on a spare, without the module", 1, 1,
	  options_dump, verb_dump, VERB_OFFLINE, VERB_JSON | VERB_IMAGE },
};

static const char *const group_titles[] = {
	[VERB_LOOK] = "Look",
	[VERB_USE] = "Make, use, end",
	[VERB_SECTORS] = "Bad sectors",
	[VERB_MEMBERS] = "Other disks, and what goes wrong",
	[VERB_OFFLINE] = "Without the module, also of an image",
};

const struct verb *verb_at(size_t i)
{
	return i < sizeof(verbs) / sizeof(verbs[0]) ? &verbs[i] : NULL;
}

const struct verb *verb_find(const char *name)
{
	const struct verb *verb;

	for (size_t i = 0; (verb = verb_at(i)); i++)
		if (streq(name, verb->name) || (verb->alias && streq(name, verb->alias)))
			return verb;
	return NULL;
}

const char *verb_group_title(enum verb_group group)
{
	return group_titles[group];
}
