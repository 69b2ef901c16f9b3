/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small files of points in time, in the state directory.  A point is a line of numbers with a
 * checksum; it is appended and synced, so that a power cut at any byte leaves all points before
 * it.  A file is thinned out when it grows: it is bounded.
 */
#ifndef DM_REMAP_RECORDS_H
#define DM_REMAP_RECORDS_H

#include "util/util.h"

/* Points of a file before it is thinned out, and how many are left then at most. */
#define RECORDS_MAX 4096
#define RECORDS_KEPT 3072
#define RECORD_LINE_BYTES 400
#define RECORD_FIELDS_MAX 18

/**
 * struct record_kind - what the numbers of a line are
 * @magic: its first word: it changes with the fields, and lines of another are passed over
 * @suffix: of the file's name
 * @nr_fields: numbers of a point; the first is its time in seconds since 1970
 * @is_valid: whether its numbers mean something to this release; NULL: all do
 */
struct record_kind {
	const char *magic;
	const char *suffix;
	size_t nr_fields;
	bool (*is_valid)(const uint64_t *point);
};

/**
 * struct records - points in the order of their times
 * @at: their numbers, one point behind the other
 * @nr: how many points
 */
struct records {
	uint64_t *at;
	size_t nr;
};

void records_done(struct records *records);
#define _cleanup_records_ _cleanup_(records_done)

/* The line of a point, with its newline; its length. */
size_t record_format(const struct record_kind *kind, const uint64_t *point,
		     char line[RECORD_LINE_BYTES]);
/* A line without its newline; false: it is torn, damaged or of another release. */
bool record_parse(const struct record_kind *kind, const char *line, size_t nr_bytes,
		  uint64_t *point);
/*
 * The whole points of a text, by time, with room for one more.  Those with a time that cannot be
 * are left out: before 2020, where a clock was not set yet, and more than an hour behind @now.
 */
int records_read_text(const struct record_kind *kind, const char *text, size_t nr_bytes,
		      uint64_t now, struct records *records);
/*
 * Leaves all of the last two days, one an hour of the last sixty days, one a day of what is
 * older, and in the end the newest RECORDS_KEPT.
 */
void records_thin(const struct record_kind *kind, struct records *records, uint64_t now);

/* The file that @key names, in the state directory.  -EINVAL: it names none. */
int records_path(const struct record_kind *kind, const char *key, char *path, size_t nr_bytes);
/* No file: no points. */
int records_load(const struct record_kind *kind, const char *key, uint64_t now,
		 struct records *records, struct error *error);
/* Durably.  Callers that write at the same time wait for each other. */
int records_append(const struct record_kind *kind, const char *key, const uint64_t *point,
		   struct error *error);

#endif /* DM_REMAP_RECORDS_H */
