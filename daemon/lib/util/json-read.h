/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads JSON of another program: each value that is no object or list, with its path.  Pure, and
 * of any input: deeper than JSON_READ_DEPTH is refused.
 */
#ifndef DM_REMAP_JSON_READ_H
#define DM_REMAP_JSON_READ_H

#include "util/util.h"

#define JSON_READ_DEPTH 32
#define JSON_READ_PATH 256
#define JSON_READ_TEXT 256

/**
 * struct json_value - a value
 * @path: "ata_smart_attributes.table[3].raw.value"; cut where it is longer
 * @kind: of it
 * @number: of a number: without its fraction; 0 where it is below, the largest where it is above
 * @is_true: of a bool
 * @text: of a string: cut where it is longer; what is escaped as \u becomes "?"
 */
struct json_value {
	const char *path;
	enum {
		JSON_VALUE_NULL,
		JSON_VALUE_BOOL,
		JSON_VALUE_NUMBER,
		JSON_VALUE_STRING,
	} kind;
	uint64_t number;
	bool is_true;
	char text[JSON_READ_TEXT];
};

typedef void (*json_value_f)(void *userdata, const struct json_value *value);

/* -EBADMSG: it is no JSON; @f was called for what came before the mistake. */
int json_read(const char *text, size_t nr_bytes, json_value_f f, void *userdata);

#endif /* DM_REMAP_JSON_READ_H */
