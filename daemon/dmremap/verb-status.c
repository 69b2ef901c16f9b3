// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: what the kernel says of each active set, for people and as JSON.
 */
#include <errno.h>
#include <inttypes.h>

#include "output.h"
#include "verbs.h"

static const struct column columns[] = {
	{ "name", false, false },
	{ "uuid", false, false },
	{ "device", false, false },
	{ "mode", false, false },
	{ "suspended", true, false },
	{ "open", true, false },
	{ "sectors", true, false },
	{ "main", false, false },
	{ "spare", false, false },
	{ "spare_start", true, false },
	{ "spare_sectors", true, false },
	{ "used_slots", true, false },
	{ "total_slots", true, false },
	{ "lost_sectors", true, false },
	{ "bad_slots", true, false },
	{ "retired_slots", true, false },
	{ "read_errors", true, false },
	{ "write_errors", true, false },
	{ "spare_read_errors", true, false },
	{ "spare_write_errors", true, false },
	{ "flush_errors", true, false },
	{ "relocations", true, false },
	{ "rejected", true, false },
	{ "lost_reads", true, false },
	{ "generation", true, false },
	{ "saves_ok", true, false },
	{ "saves_failed", true, false },
	{ "blocks_in_doubt", true, false },
	{ "commit_failures", true, false },
	{ "repaired", true, false },
	{ "probe", false, false },
	{ "replica_out", true, false },
	{ "frozen_blocks", true, false },
	{ "reserved_slots", true, false },
	{ "write_cache", false, false },
	{ NULL },
};

/* "8:16" becomes "/dev/sdb" where sysfs knows it. */
static void node_of(const char *device, char *path, size_t nr_bytes)
{
	char link[300], target[512];
	const char *base;
	ssize_t n;

	snprintf(path, nr_bytes, "%s", device);
	snprintf(link, sizeof(link), "/sys/dev/block/%s", device);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	if (base)
		snprintf(path, nr_bytes, "/dev/%s", base + 1);
}

static const char *mode_of(const struct dm_device *device)
{
	if (device->failed)
		return "dead";
	return device->fallback ? "fallback" : device->status.mode;
}

static const char *uuid_of(const struct dm_device *device)
{
	size_t length = strlen(DM_UUID_PREFIX);

	return strncmp(device->dm_uuid, DM_UUID_PREFIX, length) ? "" : device->dm_uuid + length;
}

/* Without the module, and of a device that failed, nobody counts: that is not zero. */
static int add_count(struct output *output, const struct dm_device *device, uint64_t number)
{
	if (device->fallback || device->failed)
		return output_text(output, NULL);
	return output_number(output, number);
}

static int add_json(struct output *output, const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	char main[300], spare[300], node[64];

	if (output_line(output) < 0)
		return -ENOMEM;
	node_of(device->line.main, main, sizeof(main));
	node_of(device->line.spare, spare, sizeof(spare));
	snprintf(node, sizeof(node), "/dev/dm-%u", device->minor);
	output_text(output, device->name);
	output_text(output, uuid_of(device));
	output_text(output, node);
	output_text(output, mode_of(device));
	output_number(output, device->suspended);
	output_number(output, (uint64_t)device->open_count);
	output_number(output, device->nr_sectors);
	output_text(output, main);
	output_text(output, spare);
	add_count(output, device, device->line.spare_start);
	add_count(output, device, device->line.spare_sectors);
	add_count(output, device, s->used_slots);
	add_count(output, device, s->total_slots);
	add_count(output, device, s->lost_sectors);
	add_count(output, device, s->bad_slots);
	add_count(output, device, s->retired_slots);
	add_count(output, device, s->read_errors);
	add_count(output, device, s->write_errors);
	add_count(output, device, s->spare_read_errors);
	add_count(output, device, s->spare_write_errors);
	add_count(output, device, s->flush_errors);
	add_count(output, device, s->relocations);
	add_count(output, device, s->rejected);
	add_count(output, device, s->lost_reads);
	add_count(output, device, s->generation);
	add_count(output, device, s->saves_ok);
	add_count(output, device, s->saves_failed);
	add_count(output, device, s->blocks_in_doubt);
	add_count(output, device, s->commit_failures);
	add_count(output, device, s->repaired);
	output_text(output, device->fallback || device->failed ? NULL :
			    s->probe_ok			       ? "ok" :
								 "failed");
	if (device->fallback || device->failed || s->replica_out < 0)
		output_text(output, NULL);
	else
		output_number(output, (uint64_t)s->replica_out);
	add_count(output, device, s->frozen_blocks);
	add_count(output, device, s->reserved_slots);
	return output_text(output, *s->write_cache ? s->write_cache : NULL);
}

/* What the mode means, and what to do about it. */
static const char *advice(const struct dm_device *device)
{
	static const struct {
		const char *mode;
		const char *text;
	} advices[] = {
		{ "frozen", "no automatic remaps are made; look at the disk, then: dmremap thaw" },
		{ "full", "the spare is full: replace the disk, or move to a bigger spare" },
		{ "lost-cache",
		  "a member came back without what was in its cache: unmount, check the file "
		  "system, mount again" },
		{ "meta_fail", "the spare takes no metadata: check it, then: dmremap restore" },
		{ "ro", "served read-only: the kernel log says why" },
		{ "fail", "the spare contradicts what was acknowledged: stop using it" },
		{ "dead", "a member was put in again and refused: all I/O fails until its members "
			  "are right, then: dmremap activate" },
		{ "fallback", "without the module: bad sectors are not remapped" },
	};

	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (streq(mode_of(device), advices[i].mode))
			return advices[i].text;
	return NULL;
}

static const char *writes_of(const struct remap_status *s)
{
	if (streq(s->write_cache, "through"))
		return "through main's write cache: each is durable when it is acknowledged";
	return streq(s->write_cache, "auto") ?
		       "kept in main's write cache until its first error (auto)" :
		       "kept in main's write cache until a flush (keep)";
}

static void print_device(const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	char main[300], spare[300];

	node_of(device->line.main, main, sizeof(main));
	node_of(device->line.spare, spare, sizeof(spare));
	printf("%s (/dev/dm-%u)%s\n", device->name, device->minor,
	       device->suspended ? ", suspended" : "");
	if (*uuid_of(device))
		printf("  set        %s\n", uuid_of(device));
	printf("  mode       %s\n", mode_of(device));
	if (advice(device))
		printf("             %s\n", advice(device));
	if (device->fallback)
		return;
	printf("  main       %s\n", main);
	printf("  spare      %s, sectors %" PRIu64 " to %" PRIu64 "\n", spare,
	       device->line.spare_start, device->line.spare_start + device->line.spare_sectors - 1);
	printf("  slots      %u of %u used (%.1f %%), %" PRIu64 " bad\n", s->used_slots,
	       s->total_slots, s->total_slots ? 100.0 * s->used_slots / s->total_slots : 0.0,
	       s->bad_slots);
	printf("  lost       %" PRIu64 " sectors\n", s->lost_sectors);
	printf("  errors     main: %" PRIu64 " reads, %" PRIu64 " writes; spare: %" PRIu64
	       " reads, %" PRIu64 " writes; %" PRIu64 " flushes\n",
	       s->read_errors, s->write_errors, s->spare_read_errors, s->spare_write_errors,
	       s->flush_errors);
	printf("  relocated  %" PRIu64 " chunks after failed writes; %" PRIu64
	       " writes were not relocated\n",
	       s->relocations, s->rejected);
	if (*s->write_cache)
		printf("  writes     %s\n", writes_of(s));
	if (!s->probe_ok)
		printf("  probe      failed: the main device does not take a write to the place kept "
		       "for that; failed writes are not relocated until it does. If the disk "
		       "is well otherwise, that place is bad: dmsetup suspend %s && dmsetup "
		       "resume %s takes another one\n",
		       device->name, device->name);
	if (s->replica_out >= 0)
		printf("  metadata   replica %d is out: the other one alone is kept up to date; "
		       "dmremap restore %s brings it back in\n",
		       s->replica_out, device->name);
	if (s->frozen_blocks)
		printf("  metadata   %" PRIu64
		       " blocks cannot be written any more: what they map is "
		       "served, their free slots are out of use; dmremap restore %s tries again\n",
		       s->frozen_blocks, device->name);
	if (s->blocks_in_doubt || s->commit_failures)
		printf("  metadata   %" PRIu64 " blocks in doubt, %" PRIu64 " commits failed\n",
		       s->blocks_in_doubt, s->commit_failures);
}

int verb_status(struct invocation *invocation, struct error *error)
{
	_cleanup_output_ struct output *output = NULL;
	_cleanup_free_ struct dm_device *devices = NULL;
	size_t nr_devices = 1, i;
	int r;

	if (invocation->argc) {
		devices = malloc(sizeof(*devices));
		if (!devices)
			return -ENOMEM;
		r = find_device(invocation->argv[0], devices, error);
	} else {
		r = dm_list(&devices, &nr_devices, error);
	}
	if (r < 0)
		return r;
	if (invocation->json) {
		r = output_open(&output, "devices", columns, true);
		for (i = 0; !r && i < nr_devices; i++)
			r = add_json(output, &devices[i]);
		return r ? r : output_print(output);
	}
	if (!nr_devices && !invocation->quiet)
		printf("No set is active.\n");
	for (i = 0; i < nr_devices; i++)
		print_device(&devices[i]);
	return 0;
}
