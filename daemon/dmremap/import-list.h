/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list of bad sectors as it is given to import or replace-main. */
#ifndef DM_REMAP_IMPORT_LIST_H
#define DM_REMAP_IMPORT_LIST_H

#include "format/badlist.h"
#include "set/whole-disk.h"
#include "verbs.h"

/*
 * Reads @path ("-": the standard input) by the options format, block-size, areas and disk of the
 * verb, and turns numbers of the whole disk into those of main.  What is not on main is passed
 * over where they are of the disk, and refused where they are not.  @areas: instead of the
 * option's; NULL: that.
 */
int import_list_read(const struct invocation *invocation, const char *path,
		     const struct whole_disk *disk, const char *areas, struct badlist *list,
		     struct error *error);
/* What it is, and what was passed over and how to take it: lines for people. */
void import_list_print(const char *path, const struct badlist *list);
/* "the standard input" for "-". */
const char *import_list_name(const char *path);

#endif /* DM_REMAP_IMPORT_LIST_H */
