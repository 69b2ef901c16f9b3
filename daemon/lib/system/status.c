// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "system/status.h"
#include "util/util.h"

static const struct status_number numbers[] = {
#define FACT(name) { #name, offsetof(struct remap_status, name) },
	STATUS_FACTS(FACT)
#undef FACT
#define COUNTER(NAME, name, text) { #name, offsetof(struct remap_status, name) },
#include "dm_remap_counters.h"
};

const struct status_number *status_number_at(size_t i)
{
	return i < sizeof(numbers) / sizeof(numbers[0]) ? &numbers[i] : NULL;
}

uint64_t status_number_of(const struct remap_status *status, const struct status_number *number)
{
	uint64_t value;

	memcpy(&value, (const char *)status + number->offset, sizeof(value));
	return value;
}

uint64_t status_activity(const struct remap_status *status)
{
	uint64_t sum = 0;

#define COUNTER(NAME, name, text) sum += status->name;
#include "dm_remap_counters.h"
	return sum - status->saves_ok - status->saves_failed;
}

static int parse_pair(char *word, struct remap_status *status)
{
	char *value = strchr(word, '=');
	const struct status_number *key;
	uint64_t number;

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
	for (size_t i = 0; (key = status_number_at(i)); i++) {
		if (!streq(word, key->name))
			continue;
		if (parse_u64(value, &number) < 0)
			return -EBADMSG;
		memcpy((char *)status + key->offset, &number, sizeof(number));
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
