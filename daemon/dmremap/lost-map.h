/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a copy of main does not have, by the map that its copying left (verb-lost.c). */
#ifndef DM_REMAP_LOST_MAP_H
#define DM_REMAP_LOST_MAP_H

#include <fcntl.h>

#include "ops/lost.h"
#include "verbs.h"

/**
 * struct lost_map - a map, and what it makes of a set; the first part is the caller's
 * @invocation: of the verb, for its options
 * @path: of the map
 * @list: what it names
 * @losing: what has to be done
 */
struct lost_map {
	const struct invocation *invocation;
	const char *path;
	struct badlist list;
	struct losing losing;
};

/* Reads, checks that it is of all of main, plans; writes nothing. */
int lost_map_look(struct lost_map *map, struct set_handle *handle, struct error *error);
/* Lines for people. */
void lost_map_print(const struct lost_map *map);
void lost_map_done(struct lost_map *map);

#endif /* DM_REMAP_LOST_MAP_H */
