// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * show: the remaps of an active set with their provenance; events: what happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <time.h>

#include "events.h"
#include "foreign.h"
#include "output.h"
#include "remap_format.h"
#include "verbs.h"

static const struct column remap_columns[] = {
	{ "slot", true, false },       { "state", false, false }, { "sector", true, false },
	{ "redirected", true, false }, { "lost", true, false },	  { "mask", false, true },
	{ "lost_mask", false, true },  { "cause", false, false }, { "error", false, false },
	{ "errors", true, false },     { "since", false, false }, { NULL },
};

static void format_time(uint64_t seconds, char *text, size_t nr_bytes)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	*text = '\0';
	if (seconds && localtime_r(&when, &tm))
		strftime(text, nr_bytes, "%Y-%m-%dT%H:%M:%S%z", &tm);
}

static int add_remap(void *userdata, const struct remap_event *line)
{
	struct output *output = userdata;
	char since[40], mask[8], lost_mask[8];
	bool used = line->state == REMAP_ENTRY_USED;

	if (output_line(output) < 0)
		return -ENOMEM;
	format_time(line->when, since, sizeof(since));
	snprintf(mask, sizeof(mask), "0x%02x", line->redirected & 0xff);
	snprintf(lost_mask, sizeof(lost_mask), "0x%02x", line->lost & 0xff);
	output_number(output, line->slot);
	output_text(output, used ? "used" : "bad");
	if (used)
		output_number(output, line->chunk * REMAP_CHUNK_SECTORS);
	else
		output_text(output, NULL);
	output_number(output, (uint64_t)__builtin_popcount(line->redirected));
	output_number(output, (uint64_t)__builtin_popcount(line->lost));
	output_text(output, mask);
	output_text(output, lost_mask);
	output_text(output, event_cause_name(line->cause));
	output_text(output, line->status ? event_status_name(line->status) : NULL);
	output_number(output, line->errors);
	return output_text(output, since);
}

int verb_show(struct invocation *invocation, struct error *error)
{
	_cleanup_output_ struct output *output = NULL;
	struct dm_device device;
	int r;

	r = find_device(invocation->argv[0], &device, error);
	if (r < 0)
		return r;
	r = output_open(&output, "remaps", remap_columns, invocation->json);
	if (!r)
		r = event_dump_remaps(device.major, device.minor, add_remap, output, error);
	return r ? r : output_print(output);
}

struct follow {
	const struct invocation *invocation;
	const struct dm_device *device; /* NULL: of all devices */
};

/* One line an event: in JSON an object a line, so that a reader need not wait for the end. */
static int print_event(void *userdata, const struct remap_event *event)
{
	const struct follow *follow = userdata;
	char text[256], when[40], uuid[UUID_STRING_BYTES];

	/* by number: the kernel's events have the name as dm mangles it */
	if (follow->device &&
	    (follow->device->major != event->major || follow->device->minor != event->minor))
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
	printf("{\"time\": %" PRIu64 ".%09" PRIu64 ", \"name\": ", event->time_ns / 1000000000,
	       event->time_ns % 1000000000);
	output_json_string(event->name);
	printf(", \"uuid\": \"%s\", \"seq\": %" PRIu64 ", \"event\": \"%s\", \"mode\": ", uuid,
	       event->seq, event_kind_name(event->kind));
	output_json_string(event->mode);
	if (EVENT_HAS(event, DM_REMAP_A_SECTOR))
		printf(", \"sector\": %" PRIu64, event->sector);
	if (EVENT_HAS(event, DM_REMAP_A_NR_SECTORS))
		printf(", \"nr_sectors\": %u", event->nr_sectors);
	if (EVENT_HAS(event, DM_REMAP_A_SLOT))
		printf(", \"slot\": %u", event->slot);
	if (EVENT_HAS(event, DM_REMAP_A_MEMBER))
		printf(", \"member\": \"%s\"", event_member_name(event->member));
	if (EVENT_HAS(event, DM_REMAP_A_STATUS))
		printf(", \"error\": \"%s\"", event_status_name(event->status));
	if (EVENT_HAS(event, DM_REMAP_A_REASON))
		printf(", \"reason\": \"%s\"", event_reason_name(event->reason));
	printf(", \"used_slots\": %u, \"total_slots\": %u}\n", event->used_slots,
	       event->total_slots);
	fflush(stdout);
	return 0;
}

int verb_events(struct invocation *invocation, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = NULL;
	struct follow follow = { .invocation = invocation };
	bool on = option_value(invocation, "follow") != NULL;
	struct dm_device device;
	int r;

	if (invocation->argc) {
		r = find_device(invocation->argv[0], &device, error);
		if (r < 0)
			return r;
		follow.device = &device;
	}
	r = event_socket_open(&sock, error);
	if (r < 0)
		return r;
	do {
		struct pollfd poll_fd = { .fd = event_socket_fd(sock), .events = POLLIN };

		if (poll(&poll_fd, 1, on ? -1 : 1000) < 0 && errno != EINTR)
			return -errno;
		r = event_socket_read(sock, print_event, &follow);
		if (r == -ENOBUFS) {
			fprintf(stderr, "dmremap: some events were lost; dmremap status tells "
					"how things are\n");
			r = 0;
		}
	} while (on && !r);
	return r;
}
