// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "system/status.h"
#include "util/util.h"

static const struct key {
	const char *name;
	size_t offset;
} keys[] = {
#define KEY(name)                                          \
	{                                                  \
#name, offsetof(struct remap_status, name) \
	}
	KEY(lost_sectors), KEY(bad_slots),	   KEY(retired_slots),	    KEY(read_errors),
	KEY(write_errors), KEY(spare_read_errors), KEY(spare_write_errors), KEY(flush_errors),
	KEY(relocations),  KEY(rejected),	   KEY(lost_reads),	    KEY(generation),
	KEY(saves_ok),	   KEY(saves_failed),	   KEY(blocks_in_doubt),    KEY(commit_failures),
	KEY(repaired),	   KEY(frozen_blocks),	   KEY(reserved_slots),
#undef KEY
};

static int parse_pair(char *word, struct remap_status *status)
{
	char *value = strchr(word, '=');
	uint64_t number;
	size_t i;

	if (!value)
		return 0; /* a later release may say more (O25) */
	*value++ = '\0';
	if (streq(word, "probe")) {
		status->probe_ok = streq(value, "ok");
		return 0;
	}
	if (streq(word, "write_cache")) {
		if (strlen(value) >= sizeof(status->write_cache))
			return -EBADMSG;
		strcpy(status->write_cache, value);
		return 0;
	}
	if (streq(word, "replica_out")) {
		if (streq(value, "none"))
			return 0;
		if (parse_u64(value, &number) < 0 || number > INT32_MAX)
			return -EBADMSG;
		status->replica_out = (int)number;
		return 0;
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!streq(word, keys[i].name))
			continue;
		if (parse_u64(value, &number) < 0)
			return -EBADMSG;
		memcpy((char *)status + keys[i].offset, &number, sizeof(number));
	}
	return 0;
}

int remap_status_parse(const char *text, struct remap_status *status)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL, *word, *total;
	uint64_t number;
	int r;

	if (!copy)
		return -ENOMEM;
	memset(status, 0, sizeof(*status));
	status->probe_ok = true;
	status->replica_out = -1;
	word = strtok_r(copy, " ", &save);
	if (!word || strlen(word) >= sizeof(status->mode))
		return -EBADMSG;
	strcpy(status->mode, word);
	word = strtok_r(NULL, " ", &save);
	total = word ? strchr(word, '/') : NULL;
	if (!total)
		return -EBADMSG;
	*total++ = '\0';
	if (parse_u64(word, &number) < 0 || number > UINT32_MAX)
		return -EBADMSG;
	status->used_slots = (uint32_t)number;
	if (parse_u64(total, &number) < 0 || number > UINT32_MAX)
		return -EBADMSG;
	status->total_slots = (uint32_t)number;
	while ((word = strtok_r(NULL, " ", &save))) {
		r = parse_pair(word, status);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_word(const char *word, char *field, size_t nr_bytes)
{
	if (!word || strlen(word) >= nr_bytes)
		return -EBADMSG;
	strcpy(field, word);
	return 0;
}

int remap_line_parse(const char *params, struct remap_line *line)
{
	_cleanup_free_ char *copy = strdup(params);
	char *save = NULL, *word;

	if (!copy)
		return -ENOMEM;
	memset(line, 0, sizeof(*line));
	if (copy_word(strtok_r(copy, " ", &save), line->main, sizeof(line->main)) < 0 ||
	    copy_word(strtok_r(NULL, " ", &save), line->spare, sizeof(line->spare)) < 0)
		return -EBADMSG;
	word = strtok_r(NULL, " ", &save);
	if (!word || parse_u64(word, &line->spare_start) < 0)
		return -EBADMSG;
	word = strtok_r(NULL, " ", &save);
	if (!word || parse_u64(word, &line->spare_sectors) < 0)
		return -EBADMSG;
	word = strtok_r(NULL, "", &save);
	return word ? copy_word(word, line->features, sizeof(line->features)) : 0;
}

int remap_line_format(const struct remap_line *line, char *params, size_t nr_bytes)
{
	int r = snprintf(params, nr_bytes, "%s %s %" PRIu64 " %" PRIu64 "%s%s", line->main,
			 line->spare, line->spare_start, line->spare_sectors,
			 *line->features ? " " : "", line->features);

	return r < 0 || (size_t)r >= nr_bytes ? -ENAMETOOLONG : 0;
}
