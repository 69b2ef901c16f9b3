/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of verbs, in the order in which --help shows them: what includes it says what VERB()
 * makes of a row.  A new verb is a row here, its function and its options in a file verb-*.c, and
 * its place in dmremap(8).
 *
 *   VERB(name, alias, arguments, help, min_args, max_args, options, run, group, flags)
 */
/* clang-format off */
VERB("list", NULL, "", "list all sets whose members are present",
     0, 0, options_list, verb_list, VERB_LOOK, VERB_JSON)
VERB("status", "detail", "[NAME]", "show the state of a set",
     0, 1, options_status, verb_status, VERB_LOOK, VERB_JSON)
VERB("health", NULL, "[NAME]", "show a verdict, with its reasons and what to do",
     0, 1, options_health, verb_health, VERB_LOOK, VERB_JSON)
VERB("history", NULL, "NAME", "show past errors, and when the spare will be full",
     1, 1, options_history, verb_history, VERB_LOOK, VERB_JSON)
VERB("smart", NULL, "[NAME]", "show what the disks of a set report (SMART)",
     0, 1, options_smart, verb_smart, VERB_LOOK, VERB_JSON)
VERB("metrics", NULL, "", "print metrics of active sets, for Prometheus",
     0, 0, options_metrics, verb_metrics, VERB_LOOK, 0)
VERB("show", NULL, "NAME", "show what is remapped, where, since when and why",
     1, 1, options_none, verb_show, VERB_LOOK, VERB_JSON)
VERB("map", NULL, "NAME", "draw where on the disk sectors are remapped",
     1, 1, options_map, verb_map, VERB_LOOK, VERB_JSON)
VERB("export", NULL, "NAME [FILE]", "list bad sectors in the format of another tool",
     1, 2, options_export, verb_export, VERB_LOOK, VERB_JSON)
VERB("top", NULL, "[NAME]", "show rates, latencies and events live",
     0, 1, options_top, verb_top, VERB_LOOK, VERB_JSON)
VERB("files", NULL, "NAME [SECTOR...]", "show which files bad sectors hit",
     1, 65536, options_files, verb_files, VERB_LOOK, VERB_JSON)
VERB("scrub", NULL, "start|stop|status|run NAME", "read all of a set, to find what cannot be read",
     2, 2, options_scrub, verb_scrub, VERB_LOOK, VERB_JSON)
VERB("events", NULL, "[NAME]", "print events as they occur",
     0, 1, options_events, verb_events, VERB_LOOK, VERB_JSON)
VERB("verify", NULL, "NAME SECTOR", "show whether and where a sector is remapped",
     2, 2, options_sectors, verb_verify, VERB_LOOK, VERB_JSON)
VERB("metadata-status", NULL, "NAME", "show the state of the metadata in one line",
     1, 1, options_none, verb_message, VERB_LOOK, VERB_JSON)
VERB("doctor", NULL, "", "show what keeps sets from working, and what to type",
     0, 0, options_none, verb_doctor, VERB_LOOK, VERB_JSON | VERB_ANYONE)
VERB("demo", NULL, "", "show on a disk in memory what a set does",
     0, 0, options_none, verb_demo, VERB_LOOK, 0)
VERB("create", NULL, "NAME MAIN SPARE", "make a set of a disk with data and a spare",
     3, 3, options_create, verb_create, VERB_USE, 0)
VERB("activate", "assemble", "[SET|DEVICE]", "make the mapped device of a set, or of all sets",
     0, 1, options_activate, verb_activate, VERB_USE, 0)
VERB("deactivate", "stop", "NAME", "remove the mapped device; the set stays",
     1, 1, options_none, verb_deactivate, VERB_USE, 0)
VERB("release", NULL, "[SET|MAIN SPARE]", "end a set: main becomes a plain disk again",
     0, 2, options_release, verb_release, VERB_USE, 0)
VERB("adopt-host", NULL, "SET", "make the set belong to this host",
     1, 1, options_adopt_host, verb_adopt_host, VERB_USE, 0)
VERB("backup", NULL, "SET|SPARE [FILE]", "keep a copy of the metadata elsewhere",
     1, 2, options_backup, verb_backup, VERB_USE, VERB_IMAGE)
VERB("import", NULL, "NAME FILE", "remap bad sectors that badblocks or ddrescue found",
     2, 2, options_import, verb_import, VERB_SECTORS, VERB_JSON)
VERB("remap", NULL, "NAME SECTOR [COUNT]", "move sectors to the spare, with their content",
     2, 3, options_remap, verb_remap, VERB_SECTORS, VERB_JSON)
VERB("unremap", NULL, "NAME SECTOR [COUNT]", "move sectors back to the main device",
     2, 3, options_sectors, verb_unremap, VERB_SECTORS, VERB_JSON)
VERB("clear", NULL, "NAME", "move back all sectors that the main device can store",
     1, 1, options_none, verb_message, VERB_SECTORS, VERB_JSON)
VERB("freeze", NULL, "NAME", "stop automatic remaps",
     1, 1, options_none, verb_message, VERB_SECTORS, VERB_JSON)
VERB("thaw", NULL, "NAME", "allow automatic remaps again",
     1, 1, options_none, verb_message, VERB_SECTORS, VERB_JSON)
VERB("write-cache", NULL, "SET [MODE]", "show or set the mode of main's cache: through, keep or "
					"auto",
     1, 2, options_write_cache, verb_write_cache, VERB_SECTORS, VERB_JSON)
VERB("replace-main", NULL, "SET DEVICE", "use DEVICE, a copy of main, in its place",
     2, 2, options_replace_main, verb_replace_main, VERB_MEMBERS, 0)
VERB("replace-spare", NULL, "SET DEVICE", "use DEVICE, a copy of the spare, in its place",
     2, 2, options_none, verb_replace_spare, VERB_MEMBERS, 0)
VERB("resize", NULL, "SET DEVICE", "copy the spare to DEVICE, of the same or another size",
     2, 2, options_resize, verb_resize, VERB_MEMBERS, 0)
VERB("restore-backup", NULL, "FILE SPARE", "write a backup to the spare, or to another one",
     2, 2, options_restore_backup, verb_restore_backup, VERB_MEMBERS, 0)
VERB("restore", NULL, "NAME", "compare the metadata on the spare with memory and repair it",
     1, 1, options_none, verb_message, VERB_MEMBERS, VERB_JSON)
VERB("sync", NULL, "NAME", "rewrite every copy of the metadata",
     1, 1, options_none, verb_message, VERB_MEMBERS, VERB_JSON)
VERB("accept-loss", NULL, "NAME", "let flushes succeed again after a member lost its cache",
     1, 1, options_none, verb_accept_loss, VERB_MEMBERS, VERB_JSON)
VERB("save", NULL, "NAME", "write the counters to the spare now",
     1, 1, options_none, verb_message, VERB_MEMBERS, VERB_JSON)
VERB("stats-clear", NULL, "NAME", "start counting errors anew",
     1, 1, options_none, verb_message, VERB_MEMBERS, VERB_JSON)
VERB("check", NULL, "DEVICE|IMAGE", "check every copy of the metadata on a spare",
     1, 1, options_check, verb_check, VERB_OFFLINE, VERB_JSON | VERB_IMAGE | VERB_PATH)
VERB("dump", NULL, "DEVICE|IMAGE", "print what is on a spare, without the module",
     1, 1, options_dump, verb_dump, VERB_OFFLINE, VERB_JSON | VERB_IMAGE | VERB_PATH)

#undef VERB
