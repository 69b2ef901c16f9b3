// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: what the kernel says of each active set, for people and as JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "backup-age.h"
#include "health.h"
#include "json.h"
#include "set/scan.h"
#include "util/foreign.h"
#include "verbs.h"

/* "8:16" becomes "/dev/sdb" where sysfs knows it. */
static void node_of(const char *device, char *path, size_t nr_bytes)
{
	unsigned int major_number, minor_number;

	*path = '\0';
	if (sscanf(device, "%u:%u", &major_number, &minor_number) == 2)
		device_path(makedev(major_number, minor_number), path, nr_bytes);
	if (!*path)
		snprintf(path, nr_bytes, "%s", device);
}

/* Without the module, and of a device that failed, nothing counts: that is not zero. */
static bool counts(const struct dm_device *device)
{
	return !device->fallback && !device->failed;
}

static void add_count(struct json *json, const struct dm_device *device, const char *name,
		      uint64_t number)
{
	if (counts(device))
		json_number(json, name, number);
	else
		json_null(json, name);
}

static void add_member(struct json *json, const char *name, const char *in_table, bool is_gone,
		       uint64_t since)
{
	char path[300];

	node_of(in_table, path, sizeof(path));
	json_begin(json, name);
	json_string(json, "path", path);
	json_bool(json, "gone", is_gone);
	json_time(json, "gone_since", since);
}

static void add_json(struct json *json, const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	const struct status_number *number;
	struct report report;
	char node[64];

	report_of(device, &report);
	snprintf(node, sizeof(node), "/dev/dm-%u", device->minor);
	json_begin(json, NULL);
	json_string(json, "name", device->name);
	json_string(json, "uuid", uuid_of_device(device));
	json_string(json, "device", node);
	json_string(json, "health", severity_name(report.severity));
	json_string(json, "verdict", verdict_name(report.verdict.level));
	json_string(json, "reason", report.text);
	json_string(json, "mode", mode_of(device));
	json_bool(json, "suspended", device->suspended);
	json_number(json, "open", (uint64_t)device->open_count);
	json_number(json, "sectors", device->nr_sectors);
	add_member(json, "main", device->line.main, report.main_gone, report.main_gone_since);
	json_end(json);
	add_member(json, "spare", device->line.spare, report.spare_gone, report.spare_gone_since);
	add_count(json, device, "start", device->line.spare_start);
	add_count(json, device, "sectors", device->line.spare_sectors);
	json_end(json);
	add_count(json, device, "used_slots", s->used_slots);
	add_count(json, device, "total_slots", s->total_slots);
	for (size_t i = 0; (number = status_number_at(i)); i++)
		add_count(json, device, number->name, status_number_of(s, number));
	if (counts(device))
		json_bool(json, "probe", s->probe_ok);
	else
		json_null(json, "probe");
	if (counts(device) && s->replica_out >= 0)
		json_number(json, "replica_out", (uint64_t)s->replica_out);
	else
		json_null(json, "replica_out");
	if (*s->write_cache)
		json_string(json, "write_cache", s->write_cache);
	else
		json_null(json, "write_cache");
	add_backup_age(json, device);
	json_end(json);
}

static const char *writes_of(const struct remap_status *s)
{
	if (streq(s->write_cache, "through"))
		return "through main's write cache: each is durable when it is acknowledged";
	return streq(s->write_cache, "auto") ?
		       "kept in main's write cache until its first error (auto)" :
		       "kept in main's write cache until a flush (keep)";
}

static void print_member(const char *what, const char *in_table, bool is_gone, uint64_t since)
{
	time_t when = (time_t)since;
	char path[300], text[40] = "";
	struct tm tm;

	node_of(in_table, path, sizeof(path));
	printf("  %-10s %s", what, path);
	if (is_gone && since && localtime_r(&when, &tm))
		strftime(text, sizeof(text), " since %Y-%m-%d %H:%M:%S", &tm);
	if (is_gone)
		printf(", GONE%s: I/O that it serves fails; reattach it", text);
}

/* Counters that print_device() has no line for. */
static void print_counters(const struct remap_status *s)
{
	const struct {
		const char *text;
		uint64_t number;
	} counters[] = {
#define COUNTER(NAME, name, text) { text, s->name },
#include "dm_remap_counters.h"
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		if (counters[i].text && counters[i].number)
			printf("  counted    %s: %" PRIu64 "\n", counters[i].text,
			       counters[i].number);
}

static void print_device(const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	struct report report;
	char size[32];

	report_of(device, &report);
	format_size(device->nr_sectors * 512, size, sizeof(size));
	printf("%s (/dev/dm-%u)%s\n", FOREIGN(device->name), device->minor,
	       device->suspended ? ", suspended" : "");
	if (*uuid_of_device(device))
		printf("  set        %s, %s\n", uuid_of_device(device), size);
	printf("  health     %s%s%s\n", verdict_name(report.verdict.level),
	       *report.text ? ": " : "", FOREIGN(report.text));
	printf("  mode       %s\n", mode_of(device));
	if (mode_advice(mode_of(device)))
		printf("             %s\n", mode_advice(mode_of(device)));
	if (device->fallback)
		return;
	print_member("main", device->line.main, report.main_gone, report.main_gone_since);
	printf("\n");
	print_member("spare", device->line.spare, report.spare_gone, report.spare_gone_since);
	printf(", sectors %" PRIu64 " to %" PRIu64 "\n", device->line.spare_start,
	       device->line.spare_start + device->line.spare_sectors - 1);
	printf("  slots      %u of %u used (%.1f %%), %" PRIu64 " bad\n", s->used_slots,
	       s->total_slots, s->total_slots ? 100.0 * s->used_slots / s->total_slots : 0.0,
	       s->bad_slots);
	printf("  lost       %" PRIu64 " sector%s\n", s->lost_sectors, plural(s->lost_sectors));
	printf("  errors     main: %" PRIu64 " read%s, %" PRIu64 " write%s; spare: %" PRIu64
	       " read%s, %" PRIu64 " write%s; %" PRIu64 " flush%s\n",
	       s->read_errors, plural(s->read_errors), s->write_errors, plural(s->write_errors),
	       s->spare_read_errors, plural(s->spare_read_errors), s->spare_write_errors,
	       plural(s->spare_write_errors), s->flush_errors, s->flush_errors == 1 ? "" : "es");
	printf("  relocated  %" PRIu64 " chunk%s after failed writes; %" PRIu64
	       " write%s not relocated\n",
	       s->relocations, plural(s->relocations), s->rejected,
	       s->rejected == 1 ? " was" : "s were");
	print_counters(s);
	if (*s->write_cache)
		printf("  writes     %s\n", writes_of(s));
	print_backup_age(device);
	if (!s->probe_ok)
		printf("  probe      failed: the main device cannot write its probe chunk; failed "
		       "writes are not relocated until it can. If the disk is healthy otherwise, "
		       "the probe chunk is bad; run dmsetup suspend %s && dmsetup resume %s to "
		       "choose another one\n",
		       FOREIGN(device->name), FOREIGN(device->name));
	if (s->replica_out >= 0)
		printf("  metadata   replica %d is out of use: only the other one is kept up to "
		       "date; run dmremap restore %s to bring it back into use\n",
		       s->replica_out, FOREIGN(device->name));
	if (s->frozen_blocks)
		printf("  metadata   %" PRIu64 " block%s can no longer be written: what is mapped "
		       "there is served, free slots there are out of use; run dmremap restore %s "
		       "to try again\n",
		       s->frozen_blocks, plural(s->frozen_blocks), FOREIGN(device->name));
	if (s->blocks_in_doubt || s->commit_failures)
		printf("  metadata   %" PRIu64 " block%s in doubt, %" PRIu64 " commit%s failed\n",
		       s->blocks_in_doubt, plural(s->blocks_in_doubt), s->commit_failures,
		       plural(s->commit_failures));
}

/* One line, and the exit code of the worst set: for cron, Nagios and their like. */
static int check_all(struct invocation *invocation, const struct dm_device *devices, size_t nr)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	enum severity worst = nr ? SEVERITY_OK : SEVERITY_UNKNOWN;
	struct report report;

	for (size_t i = 0; i < nr; i++) {
		report_of(&devices[i], &report);
		if (report.severity > worst)
			worst = report.severity;
	}
	printf("%s:", words[worst]);
	for (size_t i = 0; i < nr; i++) {
		report_of(&devices[i], &report);
		if (*report.text)
			printf(" %s: %s.", FOREIGN(devices[i].name), FOREIGN(report.text));
	}
	if (worst == SEVERITY_OK)
		printf(" %zu set%s active and well", nr, nr == 1 ? " is" : "s are");
	printf("%s\n", nr ? "" : " no set is active");
	invocation->exit_code = worst;
	return 0;
}

int verb_status(struct invocation *invocation, struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	bool checks = option_value(invocation, "check");
	struct json json = { 0 };
	size_t nr_devices, i;
	int r;

	r = find_devices(invocation, &devices, &nr_devices, error);
	if (r < 0 && checks) {
		printf("%s: %s\n", r == -ENODEV ? "CRITICAL" : "UNKNOWN", error->text);
		invocation->exit_code = r == -ENODEV ? SEVERITY_CRITICAL : SEVERITY_UNKNOWN;
		return 0;
	}
	if (r < 0)
		return r;
	if (checks && !invocation->json)
		return check_all(invocation, devices, nr_devices);
	if (checks)
		return error_set(error, EINVAL, "--check does not print JSON");
	if (invocation->json) {
		json_begin(&json, NULL);
		json_begin_list(&json, "devices");
		for (i = 0; i < nr_devices; i++)
			add_json(&json, &devices[i]);
		json_end(&json);
		json_end(&json);
		return 0;
	}
	if (!nr_devices && !invocation->quiet)
		printf("No set is active.\n");
	for (i = 0; i < nr_devices; i++)
		print_device(&devices[i]);
	return 0;
}
