// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/history.h"

#define VERDICT_WORST 3

static bool is_valid(const uint64_t *fields)
{
	return ((const struct history_point *)fields)->verdict <= VERDICT_WORST;
}

const struct record_kind history_kind = {
	.magic = "h1",
	.suffix = "history",
	.nr_fields = sizeof(struct history_point) / sizeof(uint64_t),
	.is_valid = is_valid,
};

void history_done(struct history *history)
{
	free(history->at);
	*history = (struct history){ NULL, 0 };
}

int history_load(const char *key, uint64_t now, struct history *history, struct error *error)
{
	struct records records;
	int r = records_load(&history_kind, key, now, &records, error);

	*history = (struct history){ (struct history_point *)records.at, records.nr };
	return r;
}

int history_append(const char *key, const struct history_point *point, struct error *error)
{
	return records_append(&history_kind, key, (const uint64_t *)point, error);
}
