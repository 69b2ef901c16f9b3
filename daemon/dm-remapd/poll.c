// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A poll reads what the kernel says of every set (the truth), and what udev knows of
 * members, asks policy.c and waiting.c, tells, and sends children to do what is due.
 * The kernel answers from memory: a poll waits for no disk.
 */
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "set/deactivated.h"
#include "set/gone.h"
#include "state.h"
#include "util/foreign.h"

/* Whether the mapped device was made read-only, as by `dmremap activate --read-only`. */
static bool is_read_only(const struct dm_device *device)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t nr_bytes;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/ro", device->major, device->minor);
	return read_file(path, &text, &nr_bytes) == 0 && *text == '1';
}

static unsigned int min_of(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static void judge(struct manager *m, struct set_state *set, uint64_t now)
{
	const struct remap_status *s = &set->device.status;
	struct policy_facts facts = {
		.used_slots = s->used_slots,
		.total_slots = s->total_slots,
		.bad_slots = s->bad_slots,
		.errors = s->read_errors + s->write_errors + s->spare_read_errors +
			  s->spare_write_errors + s->flush_errors,
		.main_reads = s->read_errors,
		.is_scrubbed = is_scrubbed(set) && !set->missed,
		.mode = s->mode,
		.read_only = streq(s->mode, "ro") && is_read_only(&set->device),
		.by_hand = !set->may_be_storm,
	};
	struct policy_notice notices[POLICY_NOTICES_MAX];
	unsigned int nr;

	nr = policy_update(&m->config.policy, &set->policy, &facts, now, notices);
	set->was_scrubbed = false;
	is_scrubbed(set); /* only what is at work now counts for the next poll */
	for (unsigned int i = 0; i < nr; i++)
		journal_notice(&set->device, &notices[i]);
	if (set_state_note_step(&m->sets, set) && m->state_path &&
	    set_state_save_steps(&m->sets, m->state_path) < 0)
		sd_journal_print(LOG_WARNING, "cannot write %s", m->state_path);
}

static void report_suppressed(struct set_state *set, uint64_t now)
{
	struct limit over;
	uint64_t nr;

	for (uint32_t kind = 0; kind <= DM_REMAP_EVENT_MAX; kind++) {
		if (limit_over(&set->limit[kind], now, &over))
			journal_suppressed(set->device.name, kind, &over);
		if (limit_repeats(&set->limit[kind], now, &nr))
			journal_repeats(set->device.name, kind, nr);
	}
}

static bool suppresses(const struct set_state *set)
{
	for (uint32_t kind = 0; kind <= DM_REMAP_EVENT_MAX; kind++)
		if (set->limit[kind].nr_suppressed)
			return true;
	return false;
}

static bool take_loaded(struct manager *m, const struct dm_device *device)
{
	for (unsigned int i = 0; i < LOADED_MAX; i++) {
		if (m->loaded[i] != makedev(device->major, device->minor))
			continue;
		m->loaded[i] = 0;
		return true;
	}
	return false;
}

/* The set of @device as the poll before left it, brought up to date; NULL: out of memory. */
static struct set_state *meet(struct manager *m, const struct dm_device *device)
{
	struct set_state *set = set_state_find(&m->sets, device->major, device->minor);
	bool loaded = take_loaded(m, device);
	struct remap_status before;

	if (set && streq(set->device.dm_uuid, device->dm_uuid)) {
		before = set->device.status;
		set->device = *device;
		set->missed = m->catch_up || set->gap;
		if ((m->catch_up || set->gap) && !device->fallback)
			journal_caught_up(device, &before, set->gap);
		set->gap = false;
		/* the event that says so may be among those that were missed */
		set->may_be_storm |= set->missed && !streq(before.mode, device->status.mode);
	} else {
		set = set_state_of(&m->sets, device);
		if (!set)
			return NULL;
		set->policy.step_reported = set_state_step(&m->sets, device->dm_uuid);
		set->may_be_storm = true;
		if (!loaded && !device->fallback)
			journal_found(device);
	}
	if (!streq(device->status.mode, "frozen"))
		set->is_storm = set->may_be_storm = false;
	return set;
}

/* A member that is gone, by sysfs: reported once, and noted for `dmremap status`. */
static void note_gone_members(struct set_state *set)
{
	static const char *const roles[] = { "main", "spare" };
	const struct dm_device *device = &set->device;
	const char *const members[] = { device->line.main, device->line.spare };
	char key[256];

	key_of_device(&set->device, key, sizeof(key));
	for (unsigned int i = 0; i < 2 && !device->failed; i++) {
		bool is_gone = !member_is_here(members[i]);

		if (is_gone != set->is_gone[i])
			journal_gone(device, roles[i], members[i], is_gone);
		if (is_gone || set->is_gone[i])
			gone_note(key, roles[i], is_gone);
		set->is_gone[i] = is_gone;
	}
}

/* Returns when to poll again, in seconds, at most @again. */
static unsigned int poll_set(struct manager *m, const struct dm_device *device, uint64_t now,
			     unsigned int again)
{
	struct set_state *set = meet(m, device);

	if (!set)
		return again;
	set->seen = true;
	/* nothing counts without the module; that it is so is a verdict */
	if (device->fallback)
		return min_of(again, checkup(m, set, now));
	note_gone_members(set);
	judge(m, set, now);
	again = min_of(again, checkup(m, set, now));
	again = min_of(again, renew_backup(m, set, now));
	again = min_of(again, name_files(m, set, now));
	resume_scrub(m, set);
	report_suppressed(set, now);
	if (set->reported)
		action_restore(m, set);
	action_salvage(m, set, now);
	action_thaw(m, set, now);
	if (set->salvage.nr && again > SALVAGE_SECONDS)
		again = SALVAGE_SECONDS;
	if (set->thaw.frozen_at && m->config.thaws && again > POLICY_THAW_SECONDS)
		again = POLICY_THAW_SECONDS;
	return suppresses(set) && again > LIMIT_SECONDS ? LIMIT_SECONDS : again;
}

/* "MAJOR:MINOR" of a table line; 0: it is not one. */
static dev_t number_of(const char *text)
{
	unsigned int major_number, minor_number;

	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return 0;
	return makedev(major_number, minor_number);
}

/* As long as the disks are the same that were in it, it is not missing. */
static void note_let_go(struct waiting *waiting)
{
	dev_t main = 0, spare = 0;

	for (unsigned int i = 0; i < waiting->nr_members; i++)
		*(waiting->member[i].is_main ? &main : &spare) = waiting->member[i].devno;
	waiting->noted = deactivated_noted(waiting->uuid);
	waiting->held =
		waiting->noted && main && spare && deactivated_holds(waiting->uuid, main, spare);
}

static unsigned int poll_waiting(struct manager *m, const struct dm_device *devices, size_t nr,
				 uint64_t now, unsigned int again)
{
	waiting_begin(&m->waiting);
	if (waiting_collect(&m->waiting, m->udev, now) < 0)
		return again;
	for (size_t i = 0; i < nr; i++) {
		/* being made just now, perhaps in vain, or nothing but errors: no member is in it */
		bool failed = devices[i].failed;

		waiting_is_active(&m->waiting, devices[i].name, uuid_of_device(&devices[i]),
				  failed ? WAITING_NOBODY : number_of(devices[i].line.main),
				  failed ? WAITING_NOBODY : number_of(devices[i].line.spare));
	}
	for (size_t i = 0; i < m->waiting.nr; i++)
		note_let_go(&m->waiting.at[i]);
	waiting_end(&m->waiting, now, journal_waiting);
	for (size_t i = 0; i < m->waiting.nr; i++)
		if (!jobs_busy(&m->jobs, m->waiting.at[i].uuid) &&
		    jobs_nr(&m->jobs, false) < JOBS_ACTIVATIONS_MAX &&
		    waiting_take(&m->waiting.at[i], now))
			action_activate(m, &m->waiting.at[i]);
	return waiting_next(&m->waiting, now, again);
}

unsigned int poll_sets(struct manager *m)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	unsigned int again = m->config.poll_seconds;
	uint64_t now = now_seconds(m);
	struct error error;
	size_t nr = 0;

	if (dm_list(&devices, &nr, &error) < 0) {
		sd_journal_print(LOG_ERR, "%s", error.text);
		return again;
	}
	for (size_t i = 0; i < m->sets.nr; i++)
		m->sets.at[i].seen = false;
	for (size_t i = 0; i < nr; i++)
		again = poll_set(m, &devices[i], now, again);
	m->catch_up = false;
	for (size_t i = 0; i < m->sets.nr; i++)
		if (!m->sets.at[i].seen)
			alert_forget(&m->alerts, FOREIGN(m->sets.at[i].device.name));
	set_state_forget_unseen(&m->sets);
	again = poll_waiting(m, devices, nr, now, again);
	again = min_of(again, write_metrics(m, now));
	again = min_of(again, tell_hooks(m, now));
	if (now >= m->save_at) {
		m->save_at =
			now + (action_save(m, false) ? m->config.save_seconds : SAVE_DELAY_SECONDS);
	}
	if (m->save_at - now < again)
		again = (unsigned int)(m->save_at - now);
	sd_notifyf(0, "STATUS=%zu set%s, %s", m->sets.nr, plural(m->sets.nr),
		   m->events	     ? "listening to events" :
		   *m->netlink_error ? m->netlink_error :
				       "the module is not loaded");
	return again;
}
