// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kinds of event: what each is called and says.  A new kind is a row here, beside its number
 * in common/dm_remap.h, the place that sends it, the catalog and the manual.
 */
#include <inttypes.h>
#include <syslog.h>

#include "remap_format.h"
#include "system/events.h"

#define KIND(number, name, priority, message_id, ...) \
	[DM_REMAP_EVENT_##number] = { name, message_id, LOG_##priority, __VA_ARGS__ }

static const struct event_kind kinds[] = {
	KIND(LOADED, "loaded", INFO, "001501561a3e448082b11f579e7e610b",
	     "active, mode {mode}, {used} of {total} slots used"),
	KIND(UNLOADED, "unloaded", INFO, "9f219ea745c34ff3a1adc6eb094d784d",
	     "suspended or removed"),
	KIND(RELOCATED, "relocated", WARNING, "e54b0a2c50b844d790e5158268248664",
	     "relocated {sectors} to slot {slot} after a failed write ({error} on {member})"),
	KIND(REMAPPED, "remapped", NOTICE, "31feffd868d1438da86f5920498755b3",
	     "remapped {sectors} to slot {slot} ({cause}), {lost} of them lost"),
	KIND(UNREMAPPED, "unremapped", NOTICE, "998c239a593442799cd4b068f04a705c",
	     "{sectors} {are} served by the main device again (slot {slot})"),
	KIND(READ_ERROR, "read-error", ERR, "c4f64c0163aa495aa221333427eb53cb",
	     "cannot read {sectors} ({error} on {member})"),
	KIND(REFUSED, "refused", ERR, "32b0671fa0a940629355b72f5f493b0c",
	     "a failed write of {sectors} was not relocated: {reason} ({error})"),
	KIND(FLUSH_ERROR, "flush-error", ERR, "8d056d42a3934575871dd46f74dc494f",
	     "a flush of the {member} device failed ({error})"),
	KIND(SPARE_FULL, "spare-full", CRIT, "c9ac0aeafa6e4857ad2bff9fdeebb19e",
	     "the spare is full: {used} of {total} slots"),
	KIND(SPARE_BAD, "spare-bad", WARNING, "5c4b7de0339e4629a8c34b9e536ed34d",
	     "the spare chunk of slot {slot} is bad"),
	KIND(COMMIT_FAILED, "commit-failed", ERR, "bcb17f5c49ea44d7bb51019a6e678c69",
	     "the metadata on the spare could not be written ({error})"),
	KIND(REPAIRED, "repaired", WARNING, "ca45d64316b04c19a0a16d4654563073",
	     "{copies} metadata copies were repaired"),
	KIND(MODE, "mode", WARNING, "df665f2736c641a5a988cfdd9ffd8724",
	     "mode changed from {old_mode} to {mode}"),
	KIND(SAVED, "saved", DEBUG, "e87d06621c8c4889b9c55b4bef6e2c39", "the counters were saved",
	     "the counters could not be saved"),
	KIND(STORM, "storm", CRIT, "39c6858282204d99b04f558887688b4e",
	     "too many relocations at once: frozen until `dmremap thaw {name}`"),
	KIND(LOST_CACHE, "lost-cache", CRIT, "46af0e5d74c04298b648d70f25042f30",
	     "the {member} device came back and may have lost acknowledged writes"),
};

const struct event_kind *event_kind_find(uint32_t kind)
{
	return kind < ARRAY_SIZE(kinds) && kinds[kind].name ? &kinds[kind] : NULL;
}

const char *event_kind_name(uint32_t kind)
{
	const struct event_kind *found = event_kind_find(kind);

	return found ? found->name : "unknown";
}

static const char *name_of(const char *const *names, size_t nr_names, uint32_t number)
{
	return number < nr_names && names[number] ? names[number] : "unknown";
}

const char *event_reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[DM_REMAP_REASON_CLASS] = "this kind of error does not mean bad sectors",
		[DM_REMAP_REASON_PROBE] = "the main device is gone or cannot be written",
		[DM_REMAP_REASON_DEADLINE] = "it was not confirmed before the deadline",
		[DM_REMAP_REASON_FULL] = "the spare is full",
		[DM_REMAP_REASON_FROZEN] = "the set is frozen",
		[DM_REMAP_REASON_DISABLED] = "auto_remap is disabled",
		[DM_REMAP_REASON_READ_ONLY] = "the metadata cannot be written",
		[DM_REMAP_REASON_COMMIT] = "the commit failed",
		[DM_REMAP_REASON_SPARE] = "the data could not be written to the spare",
	};

	return name_of(names, ARRAY_SIZE(names), reason);
}

const char *event_member_name(uint32_t member)
{
	static const char *const names[] = {
		[DM_REMAP_MEMBER_MAIN] = "main",
		[DM_REMAP_MEMBER_SPARE] = "spare",
	};

	return name_of(names, ARRAY_SIZE(names), member);
}

const char *event_status_name(uint32_t status)
{
	static const char *const names[] = {
		[REMAP_STATUS_NONE] = "no error",
		[REMAP_STATUS_IOERR] = "I/O error",
		[REMAP_STATUS_MEDIUM] = "medium error",
		[REMAP_STATUS_OTHER] = "other error",
	};

	return name_of(names, ARRAY_SIZE(names), status);
}

const char *event_cause_name(uint32_t cause)
{
	static const char *const names[] = {
		[REMAP_CAUSE_NONE] = "none",	 [REMAP_CAUSE_WRITE_ERROR] = "write-error",
		[REMAP_CAUSE_RESCUE] = "rescue", [REMAP_CAUSE_MANUAL] = "manual",
		[REMAP_CAUSE_IMPORT] = "import", [REMAP_CAUSE_PROBE] = "probe",
		[REMAP_CAUSE_GUARD] = "guard",	 [REMAP_CAUSE_SPARE_BAD] = "spare-bad",
	};

	return name_of(names, ARRAY_SIZE(names), cause);
}

static void describe_sectors(const struct remap_event *event, char *text, size_t nr_bytes)
{
	if (event->nr_sectors == 1)
		snprintf(text, nr_bytes, "sector %" PRIu64, event->sector);
	else
		snprintf(text, nr_bytes, "sectors %" PRIu64 "-%" PRIu64, event->sector,
			 event->sector + (event->nr_sectors ? event->nr_sectors - 1 : 0));
}

/* A {word} of a text. */
static void expand_word(const char *word, const struct remap_event *event, char *text,
			size_t nr_bytes)
{
	const struct {
		const char *word;
		const char *text;
	} texts[] = {
		{ "name", event->name },
		{ "mode", event->mode },
		{ "old_mode", event->old_mode },
		{ "member", event_member_name(event->member) },
		{ "error", event_status_name(event->status) },
		{ "reason", event_reason_name(event->reason) },
		{ "cause", event_cause_name(event->cause) },
		{ "are", event->nr_sectors == 1 ? "is" : "are" },
	};
	const struct {
		const char *word;
		uint32_t number;
	} numbers[] = {
		{ "slot", event->slot },	 { "used", event->used_slots },
		{ "total", event->total_slots }, { "lost", event->lost_sectors },
		{ "copies", event->copies },
	};

	*text = '\0';
	if (streq(word, "sectors"))
		describe_sectors(event, text, nr_bytes);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (streq(word, texts[i].word))
			snprintf(text, nr_bytes, "%s", texts[i].text);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (streq(word, numbers[i].word))
			snprintf(text, nr_bytes, "%u", numbers[i].number);
}

void event_describe(const struct remap_event *event, char *text, size_t nr_bytes)
{
	const struct event_kind *kind = event_kind_find(event->kind);
	char word[16];
	const char *from;
	size_t nr = 0;

	if (!kind) {
		snprintf(text, nr_bytes, "event %u, unknown to this release", event->kind);
		return;
	}
	from = event->status && kind->failed_text ? kind->failed_text : kind->text;
	for (; *from && nr + 1 < nr_bytes; from++) {
		if (sscanf(from, "{%15[a-z_]}", word) == 1) {
			expand_word(word, event, text + nr, nr_bytes - nr);
			nr += strlen(text + nr);
			from = strchr(from, '}');
		} else {
			text[nr++] = *from;
		}
	}
	text[nr] = '\0';
}
