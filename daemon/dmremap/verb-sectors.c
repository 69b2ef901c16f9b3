// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Verbs that are messages to the target: remap, unremap, verify, and those without
 * arguments.  Arguments are checked here too, so that the sentence is better.
 */
#include <errno.h>
#include <inttypes.h>

#include "json.h"
#include "progress-slots.h"
#include "remap_format.h"
#include "room.h"
#include "sectors.h"
#include "system/events.h"

/* "key=value" words of a reply are its values; what else it says is for people. */
static void print_values(struct json *json, const char *reply)
{
	_cleanup_free_ char *copy = strdup(reply);
	char *save = NULL, *word;

	json_begin(json, "values");
	for (word = copy ? strtok_r(copy, " ", &save) : NULL; word;
	     word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		uint64_t number;

		if (!value)
			continue;
		*value++ = '\0';
		if (parse_u64(value, &number) == 0)
			json_number(json, word, number);
		else
			json_string(json, word, value);
	}
	json_end(json);
}

static int print_reply(const struct invocation *invocation, const struct dm_device *device,
		       const char *reply)
{
	const char *verb = invocation->verb->name;
	struct json json = { 0 };

	if (!invocation->json) {
		if (*reply && !invocation->quiet)
			printf("%s\n", reply);
		return 0;
	}
	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "verb", verb);
	json_string(&json, "reply", reply);
	if (streq(verb, "verify")) {
		json_bool(&json, "remapped", !strstr(reply, " not remapped"));
		json_bool(&json, "lost", strstr(reply, " lost ") != NULL);
	}
	print_values(&json, reply);
	json_end(&json);
	return 0;
}

/* @nr_chunks: that it moves at most; 0: none */
static int send_message(const struct invocation *invocation, const struct dm_device *device,
			const char *message, uint64_t nr_chunks, struct error *error)
{
	_cleanup_free_ char *reply = NULL;
	struct progress_slots slots;
	struct progress_line line;
	int r;

	if (nr_chunks) {
		progress_slots_begin(&slots, invocation, device, "moving chunks", nr_chunks);
	} else {
		/* how far the kernel is with sync and restore it does not say */
		progress_begin(&line, invocation, message, 0);
		progress_watch(&line);
	}
	r = dm_message(device->name, message, &reply, error);
	if (nr_chunks)
		progress_slots_end(&slots);
	else
		progress_end(&line);
	return r < 0 ? r : print_reply(invocation, device, reply);
}

static int on_sectors(const struct invocation *invocation, const char *verb, struct error *error)
{
	const char *cause = option_value(invocation, "cause");
	struct dm_device device;
	struct sectors sectors;
	uint64_t nr_chunks = 0;
	char message[96];
	int r;

	if (cause && !streq(cause, "manual") && !streq(cause, "rescue") && !streq(cause, "import"))
		return error_set(error, EINVAL,
				 "\"%s\": invalid cause; use manual, rescue or import", cause);
	r = find_live_device(invocation, &device, error);
	if (!r)
		r = parse_named_sectors(invocation, &device, &sectors, error);
	/* what is rescued has just failed to be read */
	if (!r && streq(verb, "remap") && !(cause && streq(cause, "rescue")))
		r = check_read_first(invocation, &device, &sectors, error);
	/* once for all: the kernel finds out when the spare is full */
	if (!r && streq(verb, "remap"))
		r = room_check_sectors(&device, &sectors, error);
	if (r < 0)
		return r;
	if (streq(verb, "verify"))
		snprintf(message, sizeof(message), "%s %" PRIu64, verb, sectors.sector);
	else
		snprintf(message, sizeof(message), "%s %" PRIu64 " %" PRIu64 "%s%s", verb,
			 sectors.sector, sectors.nr_sectors, cause ? " " : "", cause ? cause : "");
	if (!streq(verb, "verify"))
		nr_chunks = (sectors.nr_sectors + REMAP_CHUNK_SECTORS - 1) / REMAP_CHUNK_SECTORS;
	return send_message(invocation, &device, message, nr_chunks, error);
}

int verb_remap(struct invocation *invocation, struct error *error)
{
	return on_sectors(invocation, "remap", error);
}

/**
 * struct kept - looks for chunks that must stay on the spare
 * @first: first chunk of what is to leave it
 * @last: last chunk
 * @found: one of them that hides something of main, or is the set's own
 * @cause: why it is on the spare; 0: none was found
 */
struct kept {
	uint64_t first;
	uint64_t last;
	uint64_t found;
	uint8_t cause;
};

static int look_for_kept(void *userdata, const struct remap_slot *line)
{
	struct kept *kept = userdata;

	if (line->state == REMAP_ENTRY_USED && line->chunk >= kept->first &&
	    line->chunk <= kept->last &&
	    (line->cause == REMAP_CAUSE_GUARD || line->cause == REMAP_CAUSE_PROBE)) {
		kept->found = line->chunk;
		kept->cause = (uint8_t)line->cause;
	}
	return 0;
}

/*
 * The kernel refuses, too, but chunk by chunk, when those before are unremapped already; and
 * an older module does not.  Where it cannot be asked, it decides.
 */
static int refuse_kept(const struct invocation *invocation, struct error *error)
{
	struct dm_device device;
	struct kept kept = { 0 };
	struct sectors sectors;
	int r = find_live_device(invocation, &device, error);

	if (!r)
		r = parse_named_sectors(invocation, &device, &sectors, error);
	if (r < 0)
		return r;
	kept.first = sectors.sector / REMAP_CHUNK_SECTORS;
	kept.last = (sectors.sector + sectors.nr_sectors - 1) / REMAP_CHUNK_SECTORS;
	if (event_dump_remaps(device.major, device.minor, look_for_kept, &kept, NULL) < 0 ||
	    !kept.cause)
		return 0;
	return error_set(error, EPERM,
			 "%s: sectors %" PRIu64 " to %" PRIu64 " %s; nothing was changed. To "
			 "restore the whole disk, run dmremap release %s",
			 device.name, kept.found * REMAP_CHUNK_SECTORS,
			 kept.found * REMAP_CHUNK_SECTORS + REMAP_CHUNK_SECTORS - 1,
			 kept.cause == REMAP_CAUSE_GUARD ?
				 "are on the spare to hide what the main device holds (the guard)" :
				 "are the place where the set probes whether the main device "
				 "answers",
			 device.name);
}

int verb_unremap(struct invocation *invocation, struct error *error)
{
	int r = refuse_kept(invocation, error);

	return r < 0 ? r : on_sectors(invocation, "unremap", error);
}

int verb_verify(struct invocation *invocation, struct error *error)
{
	return on_sectors(invocation, "verify", error);
}

int verb_message(struct invocation *invocation, struct error *error)
{
	struct dm_device device;
	char message[32];
	int r;

	r = find_live_device(invocation, &device, error);
	if (r < 0)
		return r;
	snprintf(message, sizeof(message), "%s", invocation->verb->name);
	for (char *at = message; *at; at++)
		if (*at == '-')
			*at = '_';
	return send_message(invocation, &device, message,
			    streq(message, "clear") ? device.status.used_slots : 0, error);
}

/* Programs that had the device open may rely on writes that are gone (O18). */
int verb_accept_loss(struct invocation *invocation, struct error *error)
{
	struct dm_device device;
	int r = find_live_device(invocation, &device, error);

	if (r < 0)
		return r;
	if (!streq(device.status.mode, "lost-cache"))
		return print_reply(invocation, &device,
				   "no cache was lost: there is nothing to accept");
	if (!invocation->quiet && !invocation->json)
		printf("A member returned and may have lost writes that had been acknowledged.\n"
		       "If possible, close the device (unmount it) and check its content instead: "
		       "this is not needed then.\n");
	r = confirm(invocation, "Let flushes succeed again?", error);
	return r < 0 ? r : verb_message(invocation, error);
}
