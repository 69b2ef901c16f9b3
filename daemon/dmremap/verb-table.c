// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs of verb-list.h, and their options. */
#include "verbs.h"

const struct verb_option options_none[] = { { NULL } };

const struct verb_option options_status[] = {
	{ "check", NULL,
	  "one line for a monitor: exit code 0 OK, 1 warning, 2 critical, 3 unknown" },
	{ NULL },
};

const struct verb_option options_events[] = {
	{ "follow", NULL, "continue until interrupted" },
	{ NULL },
};

const struct verb_option options_remap[] = {
	{ "cause", "CAUSE", "recorded cause: manual (the default), rescue or import" },
	{ "disk", NULL, "SECTOR is of the whole disk, as in the kernel log" },
	{ NULL },
};

const struct verb_option options_sectors[] = {
	{ "disk", NULL, "SECTOR is of the whole disk, as in the kernel log" },
	{ NULL },
};

const struct verb_option options_check[] = {
	{ "spare-start", "SECTOR", "where the spare region begins on the device" },
	{ "all", NULL, "also show intact copies" },
	{ NULL },
};

const struct verb_option options_dump[] = {
	{ "spare-start", "SECTOR", "where the spare region begins on the device" },
	{ "dm-table", "MAIN", "print a table for dmsetup that needs no module" },
	{ NULL },
};

const struct verb_option options_create[] = {
	{ "spare-size", "SIZE", "use only this much of the spare, from its start" },
	{ "no-guard", NULL, "leave main as it is, identified by its serial number" },
	{ "wipe-spare", NULL, "overwrite the content of the spare" },
	{ "write-cache", "MODE", "write cache of main: through (the default), keep or auto" },
	{ "accept-unreadable", NULL, "make unreadable sectors of main lost: errors until written" },
	{ "backup", "FILE", "where to write the first backup (default: in /var/lib/dm-remap)" },
	{ "dry-run", NULL, "only print what would be done" },
	{ "print-table", NULL, "print the table line of the new set for dmsetup" },
	{ NULL },
};

const struct verb_option options_activate[] = {
	{ "auto", NULL, "as udev does: a set that has to wait is not a failure" },
	{ "exit-code", NULL, "with --auto: an exit code for each outcome" },
	{ "name", "NAME", "name of the mapped device, this time only" },
	{ "read-only", NULL, "write nothing at all, not even repairs" },
	{ "foreign", NULL, "also activate a set of another host" },
	{ "any-hardware", NULL, "also if a member is other hardware than recorded" },
	{ "force-rw", NULL, "read-write even if half of the metadata cannot be repaired" },
	{ "fallback", NULL, "without the module: serve what is mapped, remap nothing new" },
	{ NULL },
};

const struct verb_option options_list[] = {
	{ "names", NULL, "print only the names, without reading any disk" },
	{ NULL },
};

const struct verb_option options_release[] = {
	{ "without-spare", "MAIN", "the spare is gone: make main readable from main alone" },
	{ "without-main", "SPARE", "main is gone: make the spare an unused device" },
	{ "give-up", "SECTORS", "give up lost sectors, for example 2,100-103" },
	{ "backup", "FILE", "without the spare: the set's backup, if not below /var/lib/dm-remap" },
	{ "any-hardware", NULL, "also if a member is other hardware than recorded" },
	{ "accept-loss", NULL, "without the spare: accept zeros for what no backup has" },
	{ "keep-header", "FILE", "without the spare: keep a copy of main's member header in FILE" },
	{ "foreign", NULL, "without a member: also end a set of another host" },
	{ NULL },
};

const struct verb_option options_adopt_host[] = {
	{ "name", "NAME", "rename the set to NAME" },
	{ "without-main", NULL, "also if the main device is missing, or not recognised" },
	{ NULL },
};

const struct verb_option options_restore_backup[] = {
	{ "main", "MAIN", "the set's main device, if it is not found automatically" },
	{ "older", NULL, "also if the backup is, or may be, older than the last remap" },
	{ "wipe-spare", NULL, "overwrite other content of the spare" },
	{ NULL },
};

const struct verb_option options_replace_main[] = {
	{ "map", "FILE", "map of ddrescue: make what it could not read lost, not zeros" },
	{ "areas", "TYPES", "areas of the map that count as not rescued (default: ?*/-)" },
	{ "disk", NULL, "the sector numbers are of the whole disk" },
	{ "without-mark", NULL, "also if nothing on DEVICE tells that it is a copy of main" },
	{ NULL },
};

const struct verb_option options_resize[] = {
	{ "spare-size", "SIZE", "use only this much of the new spare, from its start" },
	{ "wipe-spare", NULL, "overwrite the content of the new spare" },
	{ "accept-loss", NULL, "make unreadable sectors of the old spare lost" },
	{ NULL },
};

const struct verb_option options_write_cache[] = {
	{ "auto", NULL, "as udev does, with a disk: turn its write cache off again" },
	{ NULL },
};

const struct verb_option options_import[] = {
	{ "format", "FORMAT",
	  "badblocks, ddrescue, ranges, bytes, kernel, smartctl, mdadm (default: detect)" },
	{ "block-size", "SIZE",
	  "block size of a badblocks list, as its option -b (default: 1024)" },
	{ "areas", "TYPES", "areas of a ddrescue map to import: some of ?*/- (default: -)" },
	{ "disk", NULL, "the sector numbers are of the whole disk" },
	{ "up-to", "N", "only the first N chunks that are not remapped yet" },
	{ "lost", NULL, "for a copy of main: make what was not rescued lost (inactive SET)" },
	{ "dry-run", NULL, "only print how many sectors the list names" },
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
