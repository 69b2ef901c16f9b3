// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs of verb-list.h, and their options. */
#include "verbs.h"

const struct verb_option options_none[] = { { NULL } };

const struct verb_option options_status[] = {
	{ "check", NULL, "one line for a monitor: exit 0 well, 1 warning, 2 critical, 3 unknown" },
	{ NULL },
};

const struct verb_option options_events[] = {
	{ "follow", NULL, "go on until interrupted" },
	{ NULL },
};

const struct verb_option options_remap[] = {
	{ "cause", "CAUSE", "what show is to tell: manual, rescue or import (manual)" },
	{ "disk", NULL, "the number is of the whole disk, as in the kernel's log" },
	{ NULL },
};

const struct verb_option options_sectors[] = {
	{ "disk", NULL, "the number is of the whole disk, as in the kernel's log" },
	{ NULL },
};

const struct verb_option options_check[] = {
	{ "spare-start", "SECTOR", "where the region begins on the device" },
	{ "all", NULL, "show the copies that are whole as well" },
	{ NULL },
};

const struct verb_option options_dump[] = {
	{ "spare-start", "SECTOR", "where the region begins on the device" },
	{ "dm-table", "MAIN", "print a table for dmsetup that needs no module" },
	{ NULL },
};

const struct verb_option options_create[] = {
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

const struct verb_option options_activate[] = {
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

const struct verb_option options_list[] = {
	{ "names", NULL, "only names, of what udev and the kernel know: no disk is read" },
	{ NULL },
};

const struct verb_option options_release[] = {
	{ "without-spare", "MAIN", "the spare is gone: make main readable from main alone" },
	{ "without-main", "SPARE", "main is gone: make the spare an unused device" },
	{ "give-up", "SECTORS", "lost sectors that are not to be found again: 2,100-103" },
	{ "backup", "FILE", "without the spare: the set's backup, if not below /var/lib/dm-remap" },
	{ "any-hardware", NULL,
	  "also where a member is not the recorded hardware, perhaps a copy" },
	{ "accept-loss", NULL, "without the spare: what no backup has either becomes zeros" },
	{ "keep-header", "FILE", "without the spare: keep a copy of main's member header there" },
	{ NULL },
};

const struct verb_option options_adopt_host[] = {
	{ "name", "NAME", "call the set NAME from now on" },
	{ NULL },
};

const struct verb_option options_restore_backup[] = {
	{ "main", "MAIN", "the set's main device, where it is not found by itself" },
	{ "older", NULL, "also when the backup is older than the last remap, or may be" },
	{ "wipe-spare", NULL, "there is something else on the spare, and it may go" },
	{ NULL },
};

const struct verb_option options_replace_main[] = {
	{ "map", "FILE", "of ddrescue: what it could not read is lost, not zeros" },
	{ "areas", "TYPES", "which areas of it were not rescued (all but +: ?*/-)" },
	{ "disk", NULL, "its numbers are of the whole disk" },
	{ NULL },
};

const struct verb_option options_resize[] = {
	{ "spare-size", "SIZE", "use only so much of the new spare, from its start" },
	{ "wipe-spare", NULL, "there is something on the new spare, and it may go" },
	{ "accept-loss", NULL, "what the old spare does not give back any more is lost" },
	{ NULL },
};

const struct verb_option options_write_cache[] = {
	{ "auto", NULL, "as udev does, with a disk: off again, where it was turned off" },
	{ NULL },
};

const struct verb_option options_import[] = {
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
#define VERB(...) { __VA_ARGS__ },
#include "verb-list.h"
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
