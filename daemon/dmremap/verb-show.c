// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * show: the remaps of an active set with their provenance; events: what happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <time.h>

#include "json.h"
#include "remap_format.h"
#include "system/events.h"
#include "util/foreign.h"
#include "verbs.h"

static void format_time(uint64_t seconds, char *text, size_t nr_bytes)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	*text = '\0';
	if (seconds && localtime_r(&when, &tm))
		strftime(text, nr_bytes, "%Y-%m-%dT%H:%M:%S%z", &tm);
}

/* Line by line, in columns that any number fits into: there may be a million of them. */
static int print_remap(void *userdata, const struct remap_slot *line)
{
	bool used = line->state == REMAP_ENTRY_USED;
	char since[40];

	(void)userdata;
	format_time(line->when, since, sizeof(since));
	printf("%10u  %-5s ", line->slot, used ? "used" : "bad");
	if (used)
		printf("%14" PRIu64, (uint64_t)line->chunk * REMAP_CHUNK_SECTORS);
	else
		printf("%14s", "");
	printf(" %10d %4d  %-11s %-14s %6u  %s\n", __builtin_popcount(line->redirected),
	       __builtin_popcount(line->lost), event_cause_name(line->cause),
	       line->status ? event_status_name(line->status) : "", line->errors, since);
	return 0;
}

/**
 * struct showing - remaps as JSON
 * @name: of the device
 * @json: is begun with the first line, which comes when all are there: a failure prints none
 */
struct showing {
	const char *name;
	struct json json;
};

static void begin(struct showing *showing)
{
	if (showing->json.depth)
		return;
	json_begin(&showing->json, NULL);
	json_string(&showing->json, "name", showing->name);
	json_begin_list(&showing->json, "remaps");
}

static int add_remap(void *userdata, const struct remap_slot *line)
{
	struct showing *showing = userdata;
	struct json *json = &showing->json;
	bool used = line->state == REMAP_ENTRY_USED;

	begin(showing);
	json_begin(json, NULL);
	json_number(json, "slot", line->slot);
	json_string(json, "state", used ? "used" : "bad");
	if (used)
		json_number(json, "sector", line->chunk * REMAP_CHUNK_SECTORS);
	else
		json_null(json, "sector");
	json_sectors(json, "redirected", line->chunk, (uint8_t)line->redirected);
	json_sectors(json, "lost", line->chunk, (uint8_t)line->lost);
	json_string(json, "cause", event_cause_name(line->cause));
	json_string(json, "error", line->status ? event_status_name(line->status) : NULL);
	json_number(json, "errors", line->errors);
	json_time(json, "since", line->when);
	json_end(json);
	return 0;
}

int verb_show(struct invocation *invocation, struct error *error)
{
	struct dm_device device;
	struct showing showing = { .name = device.name };
	int r;

	r = find_live_device(invocation, &device, error);
	if (r < 0)
		return r;
	if (!invocation->json) {
		printf("%10s  %-5s %14s %10s %4s  %-11s %-14s %6s  %s\n", "SLOT", "STATE", "SECTOR",
		       "REDIRECTED", "LOST", "CAUSE", "ERROR", "ERRORS", "SINCE");
		return event_dump_remaps(device.major, device.minor, print_remap, NULL, error);
	}
	r = event_dump_remaps(device.major, device.minor, add_remap, &showing, error);
	if (r < 0)
		return r;
	begin(&showing);
	json_end(&showing.json);
	json_end(&showing.json);
	return 0;
}

struct follow {
	const struct invocation *invocation;
	const struct dm_device *device; /* NULL: of all devices */
};

static bool is_set_of(const struct dm_device *device, const uint8_t uuid[16])
{
	char text[UUID_STRING_BYTES];

	uuid_to_string(uuid, text);
	return streq(uuid_of_device(device), text);
}

static void print_event_json(const struct remap_event *event, const char *uuid)
{
	struct json json = { .on_one_line = true };
	time_t when = (time_t)(event->time_ns / 1000000000);
	char seconds[32] = "", text[48];
	struct tm tm;

	if (gmtime_r(&when, &tm))
		strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%09" PRIu64 "Z", seconds, event->time_ns % 1000000000);
	json_begin(&json, NULL);
	json_string(&json, "time", text);
	json_string(&json, "name", event->name);
	json_string(&json, "uuid", uuid);
	json_number(&json, "seq", event->seq);
	json_string(&json, "event", event_kind_name(event->kind));
	json_string(&json, "mode", event->mode);
	if (EVENT_HAS(event, DM_REMAP_A_SECTOR))
		json_number(&json, "sector", event->sector);
	if (EVENT_HAS(event, DM_REMAP_A_NR_SECTORS))
		json_number(&json, "nr_sectors", event->nr_sectors);
	if (EVENT_HAS(event, DM_REMAP_A_SLOT))
		json_number(&json, "slot", event->slot);
	if (EVENT_HAS(event, DM_REMAP_A_MEMBER))
		json_string(&json, "member", event_member_name(event->member));
	if (EVENT_HAS(event, DM_REMAP_A_STATUS))
		json_string(&json, "error", event_status_name(event->status));
	if (EVENT_HAS(event, DM_REMAP_A_REASON))
		json_string(&json, "reason", event_reason_name(event->reason));
	json_number(&json, "used_slots", event->used_slots);
	json_number(&json, "total_slots", event->total_slots);
	json_end(&json);
}

/* One line an event: in JSON an object a line, so that a reader need not wait for the end. */
static int print_event(void *userdata, const struct remap_event *event)
{
	const struct follow *follow = userdata;
	char text[256], when[40], uuid[UUID_STRING_BYTES];

	/*
	 * By number, as the kernel's events have the name as dm mangles it; or by the set, which
	 * has another number when it is activated again.
	 */
	if (follow->device &&
	    (follow->device->major != event->major || follow->device->minor != event->minor) &&
	    !is_set_of(follow->device, event->uuid))
		return 0;
	event_describe(event, text, sizeof(text));
	format_time(event->time_ns / 1000000000, when, sizeof(when));
	uuid_to_string(event->uuid, uuid);
	if (!follow->invocation->json) {
		printf("%s %s: %s\n", when, foreign_text(event->name, sizeof(event->name)).text,
		       text);
		fflush(stdout);
		return 0;
	}
	print_event_json(event, uuid);
	fflush(stdout);
	return 0;
}

static int read_events(struct event_socket *sock, struct follow *follow)
{
	int r = event_socket_read(sock, print_event, follow);

	if (r != -ENOBUFS)
		return r;
	fprintf(stderr, "dmremap: some events were lost; see dmremap status\n");
	return 0;
}

/*
 * Continues when the module is unloaded and loaded again: the old socket gets nothing then.  Where
 * families cannot be watched, there is only the one.
 */
static int follow_events(struct event_socket **sock, struct event_socket *family,
			 struct follow *follow, struct error *error)
{
	int r = 0;

	while (!r) {
		struct pollfd fds[] = {
			{ .fd = *sock ? event_socket_fd(*sock) : -1, .events = POLLIN },
			{ .fd = family ? event_socket_fd(family) : -1, .events = POLLIN },
		};
		int news;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (*sock)
			r = read_events(*sock, follow);
		news = family && fds[1].revents ? family_watch_read(family) : 0;
		if (!r && news > 0) {
			event_socket_close(*sock);
			*sock = NULL;
			r = event_socket_open(sock, error);
			r = r == -ENOENT ? 0 : r; /* it has gone; it may come back */
		}
	}
	return r;
}

int verb_events(struct invocation *invocation, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = NULL;
	_cleanup_(event_socket_close_p) struct event_socket *family = NULL;
	struct follow follow = { .invocation = invocation };
	struct dm_device device;
	struct pollfd poll_fd = { .events = POLLIN };
	int r;

	if (invocation->argc) {
		r = find_device(invocation->argv[0], &device, error);
		if (r < 0)
			return r;
		follow.device = &device;
	}
	/* before the other one: what comes in between is not missed */
	family_watch_open(&family, NULL);
	r = event_socket_open(&sock, error);
	if (r < 0)
		return r;
	if (option_value(invocation, "follow"))
		return follow_events(&sock, family, &follow, error);
	poll_fd.fd = event_socket_fd(sock);
	if (poll(&poll_fd, 1, 1000) < 0 && errno != EINTR)
		return -errno;
	return read_events(sock, &follow);
}
