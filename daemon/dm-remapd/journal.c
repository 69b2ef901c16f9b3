// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "message-ids.h"
#include "util/foreign.h"

#define FIELDS_MAX 24

/**
 * struct entry - one journal entry being built
 * @field: "NAME=value"
 * @nr_fields: how many; one that does not fit is left out
 */
struct entry {
	char *field[FIELDS_MAX];
	int nr_fields;
};

static void add(struct entry *entry, const char *format, ...) _printf_(2, 3);

/* Printable: journalctl shows nothing of a message with a control character in it. */
static void add(struct entry *entry, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;
	size_t nr_bytes;
	char *field;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (!text || entry->nr_fields == FIELDS_MAX)
		return;
	nr_bytes = FOREIGN_TEXT_BYTES(strlen(text));
	field = malloc(nr_bytes);
	if (!field)
		return;
	foreign_escape(text, strlen(text), field, nr_bytes);
	entry->field[entry->nr_fields++] = field;
}

static journal_listener_f listener;
static void *listener_data;

void journal_listen(journal_listener_f f, void *userdata)
{
	listener = f;
	listener_data = userdata;
}

/* The value of the field; empty: there is none. */
static const char *field_of(const struct entry *entry, const char *name)
{
	size_t length = strlen(name);

	for (int i = 0; i < entry->nr_fields; i++)
		if (!strncmp(entry->field[i], name, length) && entry->field[i][length] == '=')
			return entry->field[i] + length + 1;
	return "";
}

static void tell_listener(const struct entry *entry)
{
	struct alert_news news = {
		.name = field_of(entry, "DM_REMAP_NAME"),
		.uuid = field_of(entry, "DM_REMAP_UUID"),
		.event = field_of(entry, "DM_REMAP_EVENT"),
		.message = field_of(entry, "MESSAGE"),
		.priority = atoi(field_of(entry, "PRIORITY")),
	};

	if (listener)
		listener(listener_data, &news);
}

static void send_entry(struct entry *entry)
{
	struct iovec iov[FIELDS_MAX];

	tell_listener(entry);

	for (int i = 0; i < entry->nr_fields; i++)
		iov[i] = (struct iovec){ entry->field[i], strlen(entry->field[i]) };
	sd_journal_sendv(iov, entry->nr_fields);
	for (int i = 0; i < entry->nr_fields; i++)
		free(entry->field[i]);
}

void journal_event(const struct remap_event *event)
{
	const struct event_kind *kind = event_kind_find(event->kind);
	char text[256], uuid[UUID_STRING_BYTES];
	struct entry entry = { .nr_fields = 0 };
	int priority = kind ? kind->priority : LOG_NOTICE;

	if (kind && kind->failed_text && event->status)
		priority = LOG_ERR;
	event_describe(event, text, sizeof(text));
	uuid_to_string(event->uuid, uuid);
	add(&entry, "MESSAGE=%s: %s", event->name, text);
	add(&entry, "PRIORITY=%d", priority);
	if (kind)
		add(&entry, "MESSAGE_ID=%s", kind->message_id);
	add(&entry, "DM_REMAP_NAME=%s", event->name);
	add(&entry, "DM_REMAP_UUID=%s", uuid);
	add(&entry, "DM_REMAP_DEVICE=%u:%u", event->major, event->minor);
	add(&entry, "DM_REMAP_EVENT=%s", event_kind_name(event->kind));
	add(&entry, "DM_REMAP_SEQ=%" PRIu64, event->seq);
	add(&entry, "DM_REMAP_MODE=%s", event->mode);
	add(&entry, "DM_REMAP_USED_SLOTS=%u", event->used_slots);
	add(&entry, "DM_REMAP_TOTAL_SLOTS=%u", event->total_slots);
	if (EVENT_HAS(event, DM_REMAP_A_SECTOR))
		add(&entry, "DM_REMAP_SECTOR=%" PRIu64, event->sector);
	if (EVENT_HAS(event, DM_REMAP_A_NR_SECTORS))
		add(&entry, "DM_REMAP_NR_SECTORS=%u", event->nr_sectors);
	if (EVENT_HAS(event, DM_REMAP_A_SLOT))
		add(&entry, "DM_REMAP_SLOT=%u", event->slot);
	if (EVENT_HAS(event, DM_REMAP_A_MEMBER))
		add(&entry, "DM_REMAP_MEMBER=%s", event_member_name(event->member));
	if (EVENT_HAS(event, DM_REMAP_A_STATUS))
		add(&entry, "DM_REMAP_ERROR=%s", event_status_name(event->status));
	if (EVENT_HAS(event, DM_REMAP_A_REASON))
		add(&entry, "DM_REMAP_REASON=%s", event_reason_name(event->reason));
	if (EVENT_HAS(event, DM_REMAP_A_CAUSE))
		add(&entry, "DM_REMAP_CAUSE=%s", event_cause_name(event->cause));
	else if (event->kind == DM_REMAP_EVENT_RELOCATED)
		add(&entry, "DM_REMAP_CAUSE=write-error");
	if (EVENT_HAS(event, DM_REMAP_A_OLD_MODE))
		add(&entry, "DM_REMAP_OLD_MODE=%s", event->old_mode);
	send_entry(&entry);
}

void journal_suppressed(const char *name, uint32_t kind, const struct limit *over)
{
	struct entry entry = { .nr_fields = 0 };
	char sectors[64] = "";

	if (over->first != LIMIT_NO_SECTOR)
		snprintf(sectors, sizeof(sectors), ", sectors %" PRIu64 " to %" PRIu64, over->first,
			 over->last);
	add(&entry, "MESSAGE=%s: %" PRIu64 " more events \"%s\" in %d seconds%s", name,
	    over->nr_suppressed, event_kind_name(kind), LIMIT_SECONDS, sectors);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_HELD);
	add(&entry, "DM_REMAP_NAME=%s", name);
	add(&entry, "DM_REMAP_EVENT=%s", event_kind_name(kind));
	add(&entry, "DM_REMAP_COUNT=%" PRIu64, over->nr_suppressed);
	send_entry(&entry);
}

void journal_repeats(const char *name, uint32_t kind, uint64_t nr)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry,
	    "MESSAGE=%s: %" PRIu64 " more events \"%s\" about sectors that were reported already",
	    name, nr, event_kind_name(kind));
	add(&entry, "PRIORITY=%d", LOG_NOTICE);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_HELD);
	add(&entry, "DM_REMAP_NAME=%s", name);
	add(&entry, "DM_REMAP_EVENT=%s", event_kind_name(kind));
	add(&entry, "DM_REMAP_REPEATS=%" PRIu64, nr);
	send_entry(&entry);
}

static void describe_time(uint64_t seconds, char *text, size_t nr_bytes)
{
	if (!seconds)
		snprintf(text, nr_bytes, "the rate is not known yet");
	else if (seconds < 2 * 3600)
		snprintf(text, nr_bytes, "full in %" PRIu64 " minutes at this rate",
			 seconds / 60 + 1);
	else if (seconds < 2 * 86400)
		snprintf(text, nr_bytes, "full in %" PRIu64 " hours at this rate", seconds / 3600);
	else
		snprintf(text, nr_bytes, "full in %" PRIu64 " days at this rate", seconds / 86400);
}

void journal_notice(const struct dm_device *device, const struct policy_notice *notice)
{
	struct entry entry = { .nr_fields = 0 };
	const struct remap_status *s = &device->status;
	char left[64];

	switch (notice->kind) {
	case NOTICE_STEP:
		describe_time(notice->seconds_left, left, sizeof(left));
		add(&entry,
		    "MESSAGE=%s: %u %% of the spare is used (%u of %u slots; %s): "
		    "dmremap status %s",
		    device->name, notice->percent, s->used_slots, s->total_slots, left,
		    device->name);
		add(&entry, "PRIORITY=%d", notice->percent >= 90 ? LOG_CRIT : LOG_WARNING);
		add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_STEP);
		add(&entry, "DM_REMAP_PERCENT=%u", notice->percent);
		break;
	case NOTICE_ALARM:
		add(&entry, "MESSAGE=%s: mode is %s and needs the administrator: dmremap status %s",
		    device->name, s->mode, device->name);
		add(&entry, "PRIORITY=%d", LOG_ALERT);
		add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_ALARM);
		break;
	}
	add(&entry, "DM_REMAP_NAME=%s", device->name);
	add(&entry, "DM_REMAP_MODE=%s", s->mode);
	send_entry(&entry);
}

void journal_events_lost(const char *name, const char *why)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=%s%sevents were lost (%s); polling every set instead",
	    name ? name : "", name ? ": " : "", why);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_EVENTS_LOST);
	if (name)
		add(&entry, "DM_REMAP_NAME=%s", name);
	send_entry(&entry);
}

void journal_config(const char *sentence)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=%s", sentence);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_CONFIG);
	send_entry(&entry);
}

/* The name people know a waiting set by. */
static const char *name_of(const struct waiting *waiting)
{
	return *waiting->name ? waiting->name : *waiting->label ? waiting->label : waiting->uuid;
}

static void add_waiting(struct entry *entry, const struct waiting *waiting, const char *event)
{
	add(entry, "DM_REMAP_EVENT=%s", event);
	add(entry, "DM_REMAP_NAME=%s", *waiting->name ? waiting->name : waiting->label);
	add(entry, "DM_REMAP_UUID=%s", waiting->uuid);
}

/*
 * Only from main, which shows that its spare is missing, is it known which command
 * would do without; and that one gives up what is on the spare.  A main without a guard
 * cannot be recognised, so of a spare alone it is not known what is missing.
 */
void journal_waiting(const struct waiting *waiting)
{
	struct entry entry = { .nr_fields = 0 };
	const char *name = name_of(waiting);

	if (*waiting->main && *waiting->spare && *waiting->reason)
		return; /* why it is not active was reported */
	if (!*waiting->spare && *waiting->reason)
		add(&entry,
		    "MESSAGE=%s; attach it. Only if it is gone for good: dmremap release "
		    "--without-spare %s",
		    waiting->reason, waiting->main);
	else if (!*waiting->spare)
		add(&entry,
		    "MESSAGE=%s: main device %s is present, its spare device is missing; attach "
		    "it. Only if it is gone for good: dmremap release --without-spare %s",
		    name, waiting->main, waiting->main);
	else if (!*waiting->main && *waiting->reason)
		add(&entry, "MESSAGE=%s; attach it. dmremap list shows which members are present",
		    waiting->reason);
	else if (!*waiting->main)
		add(&entry,
		    "MESSAGE=%s: spare device %s is present, its main device was not found; "
		    "attach it. If it is attached (a main device without guard shows its own "
		    "content): dmremap activate %s",
		    name, waiting->spare, waiting->uuid);
	else
		add(&entry,
		    "MESSAGE=%s: %s and %s are present, but the set is not active; run dmremap "
		    "activate %s",
		    name, waiting->main, waiting->spare, waiting->uuid);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_WAITING);
	add_waiting(&entry, waiting, "waiting");
	send_entry(&entry);
}

void journal_not_active(const struct waiting *waiting, const char *said, bool failed)
{
	struct entry entry = { .nr_fields = 0 };
	const char *name = name_of(waiting);

	/* as a rule the command's sentence begins with the name it knows the set by */
	if (!strncmp(said, name, strlen(name)) && said[strlen(name)] == ':')
		add(&entry, "MESSAGE=%s", said);
	else
		add(&entry, "MESSAGE=%s: %s%s", name,
		    *waiting->name ? "" : "not activated: ", said);
	add(&entry, "PRIORITY=%d", failed ? LOG_ERR : LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_NOT_ACTIVE);
	add(&entry, "DM_REMAP_REASON=%s", said);
	add_waiting(&entry, waiting, *waiting->name ? "not-returned" : "not-activated");
	send_entry(&entry);
}

void journal_returned(const struct waiting *waiting, const char *said)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=%s", said);
	add(&entry, "PRIORITY=%d", LOG_NOTICE);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_RETURNED);
	add_waiting(&entry, waiting, "returned");
	send_entry(&entry);
}

static void add_device(struct entry *entry, const struct dm_device *device, const char *event)
{
	const char *uuid = uuid_of_device(device);

	add(entry, "DM_REMAP_EVENT=%s", event);
	add(entry, "DM_REMAP_NAME=%s", device->name);
	if (*uuid)
		add(entry, "DM_REMAP_UUID=%s", uuid);
	add(entry, "DM_REMAP_DEVICE=%u:%u", device->major, device->minor);
	add(entry, "DM_REMAP_MODE=%s", device->status.mode);
	add(entry, "DM_REMAP_USED_SLOTS=%u", device->status.used_slots);
	add(entry, "DM_REMAP_TOTAL_SLOTS=%u", device->status.total_slots);
}

void journal_found(const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	struct entry entry = { .nr_fields = 0 };

	add(&entry,
	    "MESSAGE=%s: found active, mode %s, %u of %u slots used, %" PRIu64 " lost sector%s",
	    device->name, s->mode, s->used_slots, s->total_slots, s->lost_sectors,
	    plural(s->lost_sectors));
	add(&entry, "PRIORITY=%d", LOG_INFO);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_FOUND);
	add_device(&entry, device, "found");
	send_entry(&entry);
}

void journal_gone(const struct dm_device *device, const char *role, const char *in_table,
		  bool is_gone)
{
	struct entry entry = { .nr_fields = 0 };

	if (is_gone)
		add(&entry,
		    "MESSAGE=%s: its %s device (%s) is gone: I/O that it serves fails. Reattach "
		    "it: it is re-added automatically",
		    device->name, role, in_table);
	else
		add(&entry, "MESSAGE=%s: its %s device (%s) is present again", device->name, role,
		    in_table);
	add(&entry, "PRIORITY=%d", is_gone ? LOG_CRIT : LOG_NOTICE);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_GONE);
	add(&entry, "DM_REMAP_MEMBER=%s", role);
	add_device(&entry, device, is_gone ? "gone" : "there-again");
	send_entry(&entry);
}

void journal_verdict(const struct dm_device *device, enum verdict_level level, const char *why)
{
	/* as the field was called in the first release */
	const char *health = level == VERDICT_GOOD  ? "good" :
			     level == VERDICT_WATCH ? "degraded" :
						      "failing";
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=%s: health is %s%s%s: dmremap health %s", device->name,
	    verdict_name(level), *why ? ": " : "", why, device->name);
	add(&entry, "PRIORITY=%d",
	    level >= VERDICT_FAILING ? LOG_CRIT :
	    level == VERDICT_WATCH   ? LOG_WARNING :
				       LOG_NOTICE);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_HEALTH);
	add(&entry, "DM_REMAP_VERDICT=%s", verdict_name(level));
	add(&entry, "DM_REMAP_HEALTH=%s", health);
	add_device(&entry, device, "health");
	send_entry(&entry);
}

void journal_thawed(const struct dm_device *device, unsigned int nr, unsigned int of)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry,
	    "MESSAGE=%s: too many sectors had failed at once, but the main device answers its "
	    "probe; automatic remaps are allowed again (%u of %u times in a day: [storm] thaws)",
	    device->name, nr, of);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_THAWED);
	add_device(&entry, device, "thawed");
	send_entry(&entry);
}

static uint64_t risen(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

/* ", 3 relocations": what did not change is not reported. */
static void add_count(char *text, size_t nr_bytes, uint64_t number, const char *what)
{
	size_t length = strlen(text);

	if (number)
		snprintf(text + length, nr_bytes - length, "%s%" PRIu64 " %s", length ? ", " : "",
			 number, what);
}

void journal_caught_up(const struct dm_device *device, const struct remap_status *before, bool gap)
{
	const struct remap_status *s = &device->status;
	uint64_t relocations = risen(before->relocations, s->relocations);
	uint64_t reads = risen(before->read_errors + before->spare_read_errors,
			       s->read_errors + s->spare_read_errors);
	uint64_t writes = risen(before->write_errors + before->spare_write_errors,
				s->write_errors + s->spare_write_errors);
	uint64_t rejected = risen(before->rejected, s->rejected);
	uint64_t flushes = risen(before->flush_errors, s->flush_errors);
	struct entry entry = { .nr_fields = 0 };
	char text[256] = "";

	if (!relocations && !reads && !writes && !rejected && !flushes &&
	    streq(before->mode, s->mode))
		return;
	if (gap)
		journal_events_lost(device->name, "a gap in their sequence numbers");
	add_count(text, sizeof(text), relocations, "relocations");
	add_count(text, sizeof(text), rejected, "failed writes not relocated");
	add_count(text, sizeof(text), reads, "read errors");
	add_count(text, sizeof(text), writes, "write errors");
	add_count(text, sizeof(text), flushes, "flush errors");
	if (!streq(before->mode, s->mode))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%smode %s, was %s",
			 *text ? "; " : "", s->mode, before->mode);
	add(&entry, "MESSAGE=%s: since the previous poll: %s", device->name, text);
	add(&entry, "PRIORITY=%d", LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_CAUGHT_UP);
	add_device(&entry, device, "caught-up");
	add(&entry, "DM_REMAP_OLD_MODE=%s", before->mode);
	add(&entry, "DM_REMAP_RELOCATIONS=%" PRIu64, relocations);
	add(&entry, "DM_REMAP_REJECTED=%" PRIu64, rejected);
	add(&entry, "DM_REMAP_READ_ERRORS=%" PRIu64, reads);
	add(&entry, "DM_REMAP_WRITE_ERRORS=%" PRIu64, writes);
	add(&entry, "DM_REMAP_FLUSH_ERRORS=%" PRIu64, flushes);
	send_entry(&entry);
}

void journal_job_late(const struct job *job, bool late)
{
	struct entry entry = { .nr_fields = 0 };

	if (late)
		add(&entry,
		    "MESSAGE=%s: `dmremap %s` has not finished after %u seconds; check the kernel "
		    "log for a disk that hangs. Until it finishes, reports about this set may be "
		    "outdated",
		    job->set, job->verb, job->timeout_seconds);
	else
		add(&entry, "MESSAGE=%s: `dmremap %s` has finished after all", job->set, job->verb);
	add(&entry, "PRIORITY=%d", late ? LOG_ERR : LOG_NOTICE);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_JOB_LATE);
	add(&entry, "DM_REMAP_EVENT=%s", late ? "late" : "came-back");
	add(&entry, "DM_REMAP_NAME=%s", job->set);
	add(&entry, "DM_REMAP_VERB=%s", job->verb);
	send_entry(&entry);
}

void journal_job_failed(const struct job *job)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=%s: `dmremap %s` failed: %s", job->set, job->verb,
	    *job->text	  ? job->text :
	    job->code < 0 ? "it was killed" :
			    "it gave no reason");
	add(&entry, "PRIORITY=%d", LOG_ERR);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_JOB_FAILED);
	add(&entry, "DM_REMAP_EVENT=failed");
	add(&entry, "DM_REMAP_NAME=%s", job->set);
	add(&entry, "DM_REMAP_VERB=%s", job->verb);
	send_entry(&entry);
}

void journal_netlink(const char *sentence)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry,
	    "MESSAGE=%s; until this is fixed, events are not reported, only the changes that "
	    "polling shows",
	    sentence);
	add(&entry, "PRIORITY=%d", LOG_ERR);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_NETLINK);
	send_entry(&entry);
}

void journal_file(const struct dm_device *device, uint64_t sector, uint64_t nr_sectors,
		  const char *kind, const char *what)
{
	struct entry entry = { .nr_fields = 0 };
	bool is_file = streq(kind, "file") || streq(kind, "directory"),
	     is_free = streq(kind, "free");

	add(&entry,
	    "MESSAGE=%s: what cannot be read at sector %" PRIu64
	    " is %s%s%s: dmremap files %s %" PRIu64 "+%" PRIu64,
	    device->name, sector, is_free ? "free space" : kind, is_free ? "" : " ",
	    is_free ? "" : what, device->name, sector, nr_sectors);
	add(&entry, "PRIORITY=%d", is_free ? LOG_NOTICE : LOG_WARNING);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_FILE);
	add(&entry, "DM_REMAP_SECTOR=%" PRIu64, sector);
	add(&entry, "DM_REMAP_NR_SECTORS=%" PRIu64, nr_sectors);
	add(&entry, "DM_REMAP_KIND=%s", kind);
	if (is_file)
		add(&entry, "DM_REMAP_FILE=%s", what);
	add_device(&entry, device, "files");
	send_entry(&entry);
}

void journal_hook(const char *hook, const char *what)
{
	struct entry entry = { .nr_fields = 0 };

	add(&entry, "MESSAGE=hook %s: %s", hook, what);
	add(&entry, "PRIORITY=%d", LOG_ERR);
	add(&entry, "MESSAGE_ID=%s", MESSAGE_ID_HOOK);
	add(&entry, "DM_REMAP_EVENT=hook");
	add(&entry, "DM_REMAP_HOOK=%s", hook);
	send_entry(&entry);
}
