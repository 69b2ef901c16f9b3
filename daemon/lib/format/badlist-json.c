// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `smartctl --json` prints of self-tests and errors.  Of each entry of a table it is known
 * only at its end whether it names a bad place.
 */
#include <errno.h>

#include "format/badlist.h"
#include "util/json-read.h"

#define WRITE_FAULT 0x280
#define UNRECOVERED_READ 0x281
#define STATUS_MASK 0x7ff

/**
 * struct json_entry - an entry of a table while it is read
 * @list: what is added to
 * @path: of the entry, up to its "]"
 * @is_bad: it is about an error of the medium
 * @has_lba: and it says where
 * @lba: there
 * @r: of what was added so far
 */
struct json_entry {
	struct badlist *list;
	char path[JSON_READ_PATH];
	bool is_bad;
	bool has_lba;
	uint64_t lba;
	int r;
};

static void end_entry(struct json_entry *entry)
{
	int r = 0;

	if (entry->is_bad && entry->has_lba)
		r = badlist_add_lbas(entry->list, entry->lba, 1, entry->list->lba_bytes);
	if (r < 0 && !entry->r)
		entry->r = r;
	entry->is_bad = false;
	entry->has_lba = false;
}

static void take_lba(struct json_entry *entry, const struct json_value *value)
{
	entry->has_lba = value->kind == JSON_VALUE_NUMBER;
	entry->lba = value->number;
}

static void take_member(struct json_entry *entry, const struct json_value *value, const char *name)
{
	uint64_t status = value->number & STATUS_MASK;
	int r;

	if (streq(name, "lba") || streq(name, "lba.value")) {
		take_lba(entry, value);
	} else if (streq(name, "status.passed")) {
		entry->is_bad = value->kind == JSON_VALUE_BOOL && !value->is_true;
	} else if (streq(name, "self_test_result.value")) {
		entry->is_bad = value->number == 6 || value->number == 7;
	} else if (streq(name, "status_field.value")) {
		entry->is_bad = status == WRITE_FAULT || status == UNRECOVERED_READ;
		entry->list->nr_other_errors += !entry->is_bad;
	} else if (streq(name, "error_description")) {
		r = badlist_take_ata_error(entry->list, value->text);
		if (r < 0 && !entry->r)
			entry->r = r;
	}
}

static void take(void *userdata, const struct json_value *value)
{
	static const char *const tables[] = { "ata_smart_self_test_log.", "ata_smart_error_log.",
					      "nvme_self_test_log.",
					      "nvme_error_information_log." };
	const char *end = strstr(value->path, "].");
	struct json_entry *entry = userdata;
	size_t length;

	/* SCSI's tests are no table: "scsi_self_test_0.lba_first_failure.value" */
	if (!strncmp(value->path, "scsi_self_test_", 15) &&
	    strstr(value->path, ".lba_first_failure.value")) {
		end_entry(entry);
		take_lba(entry, value);
		entry->is_bad = true;
		end_entry(entry);
		return;
	}
	for (size_t i = 0; end && i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strncmp(value->path, tables[i], strlen(tables[i])) != 0)
			continue;
		length = (size_t)(end - value->path);
		if (strncmp(entry->path, value->path, length + 1) != 0 || entry->path[length + 1]) {
			end_entry(entry);
			snprintf(entry->path, sizeof(entry->path), "%.*s]", (int)length,
				 value->path);
		}
		take_member(entry, value, end + 2);
	}
}

int badlist_take_json(struct badlist *list, const char *text)
{
	struct json_entry entry = { .list = list };
	int r = json_read(text, strlen(text), take, &entry);

	end_entry(&entry);
	return r < 0 ? r : entry.r;
}
