// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Verbs that are messages to the target: remap, unremap, verify, and those without
 * arguments.  Arguments are checked here too, so that the sentence is better.
 */
#include <errno.h>
#include <inttypes.h>

#include "output.h"
#include "sectors.h"

static const struct column reply_columns[] = {
	{ "name", false, false },
	{ "verb", false, false },
	{ "reply", false, false },
	{ NULL },
};

static int print_reply(const struct invocation *invocation, const struct dm_device *device,
		       const char *reply)
{
	_cleanup_output_ struct output *output = NULL;
	int r;

	if (!invocation->json) {
		if (*reply && !invocation->quiet)
			printf("%s\n", reply);
		return 0;
	}
	r = output_open(&output, "replies", reply_columns, true);
	if (!r)
		r = output_line(output);
	if (!r)
		r = output_text(output, device->name);
	if (!r)
		r = output_text(output, invocation->verb->name);
	if (!r)
		r = output_text(output, reply);
	return r ? r : output_print(output);
}

int find_live_device(const struct invocation *invocation, struct dm_device *device,
		     struct error *error)
{
	int r = find_device(invocation->argv[0], device, error);

	if (r < 0)
		return r;
	if (device->fallback)
		return error_set(error, EBUSY,
				 "%s is active without the module (fallback): it takes no messages",
				 device->name);
	return 0;
}

static int send_message(const struct invocation *invocation, const struct dm_device *device,
			const char *message, struct error *error)
{
	_cleanup_free_ char *reply = NULL;
	int r = dm_message(device->name, message, &reply, error);

	return r < 0 ? r : print_reply(invocation, device, reply);
}

static int on_sectors(const struct invocation *invocation, const char *verb, struct error *error)
{
	const char *cause = option_value(invocation, "cause");
	struct dm_device device;
	struct sectors sectors;
	char message[96];
	int r;

	if (cause && !streq(cause, "manual") && !streq(cause, "rescue") && !streq(cause, "import"))
		return error_set(error, EINVAL, "\"%s\" is neither manual nor rescue nor import",
				 cause);
	r = find_live_device(invocation, &device, error);
	if (!r)
		r = parse_named_sectors(invocation, &device, &sectors, error);
	/* what is rescued has just failed to be read */
	if (!r && streq(verb, "remap") && !(cause && streq(cause, "rescue")))
		r = check_read_first(invocation, &device, &sectors, error);
	if (r < 0)
		return r;
	if (streq(verb, "verify"))
		snprintf(message, sizeof(message), "%s %" PRIu64, verb, sectors.sector);
	else
		snprintf(message, sizeof(message), "%s %" PRIu64 " %" PRIu64 "%s%s", verb,
			 sectors.sector, sectors.nr_sectors, cause ? " " : "", cause ? cause : "");
	return send_message(invocation, &device, message, error);
}

int verb_remap(struct invocation *invocation, struct error *error)
{
	return on_sectors(invocation, "remap", error);
}

int verb_unremap(struct invocation *invocation, struct error *error)
{
	return on_sectors(invocation, "unremap", error);
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
	return send_message(invocation, &device, message, error);
}

/* Whoever had the device open may believe that something is durable which is gone (O18). */
int verb_accept_loss(struct invocation *invocation, struct error *error)
{
	int r;

	if (!invocation->quiet)
		printf("A member came back and may have lost writes that had been acknowledged.\n"
		       "Better close the device (unmount it) and check what is on it: then this is "
		       "not needed.\n");
	r = confirm(invocation, "Let flushes succeed again?", error);
	return r < 0 ? r : verb_message(invocation, error);
}
