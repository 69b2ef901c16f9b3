/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as packaging/dmremap.schema.json.in describes it, written as it comes: a set may have a
 * million remaps.  Strings are valid UTF-8 whatever is given.  Callers: the verbs.
 */
#ifndef DM_REMAP_JSON_H
#define DM_REMAP_JSON_H

#include "util/util.h"

/* Of the schema: it changes when a reader of the old one would break. */
#define JSON_VERSION 1

#define JSON_DEPTH_MAX 8

/**
 * struct json - a text being written to the standard output
 * @depth: how many objects and lists are open
 * @closing: per depth: what ends it
 * @has_members: per depth: whether something is in it already
 * @on_one_line: an object a line (events)
 */
struct json {
	unsigned int depth;
	char closing[JSON_DEPTH_MAX];
	bool has_members[JSON_DEPTH_MAX];
	bool on_one_line;
};

/* @name: NULL in a list, and for the outermost object, which gets the version. */
void json_begin(struct json *json, const char *name);
void json_begin_list(struct json *json, const char *name);
/* Ends the innermost object or list; the outermost ends the line. */
void json_end(struct json *json);
/* @text: NULL or empty: null. */
void json_string(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, uint64_t number);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
/* Seconds since 1970, as ISO 8601 in UTC; 0: null. */
void json_time(struct json *json, const char *name, uint64_t seconds);
/* The sectors that a mask selects of a chunk, by their numbers on the set. */
void json_sectors(struct json *json, const char *name, uint64_t chunk, uint8_t mask);

#endif /* DM_REMAP_JSON_H */
