// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One loop: netlink events are told at once and lead to a look at all sets a moment
 * later; so do lost events, a timer, and udev.  A look reads what the kernel says of
 * every set (the truth), asks policy.c, and triggers saves.  Nothing here is in the
 * way of I/O (P9): every device goes on without us.
 */
#include <errno.h>
#include <libudev.h>
#include <signal.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-journal.h>

#include "config.h"
#include "events.h"
#include "journal.h"
#include "manager.h"
#include "watched.h"

#define VENDOR_DIR "/usr/lib/dm-remap"
#define ADMIN_DIR "/etc/dm-remap"
#define SECOND_US 1000000ULL
/* From an event to the look it leads to: a storm leads to one a second. */
#define LOOK_DELAY_US SECOND_US

/**
 * struct manager - everything
 * @loop: sd-event's
 * @look: timer of the next look
 * @config: settings
 * @events: netlink, NULL: the module is not there (yet)
 * @events_source: its source
 * @udev: libudev's context
 * @monitor: block devices and modules that come and go
 * @watched: the sets
 * @waiting: sets that lack a member
 * @state_path: where steps told are kept; NULL: nowhere
 * @saved_at: when counters were last saved, seconds
 * @mend: a member was reported by udev: compare metadata at the next look
 */
struct manager {
	sd_event *loop;
	sd_event_source *look;
	struct config config;
	struct event_socket *events;
	sd_event_source *events_source;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct watched_list watched;
	struct waiting_list waiting;
	char *state_path;
	uint64_t saved_at;
	bool mend;
};

static uint64_t now_us(struct manager *m)
{
	uint64_t now = 0;

	sd_event_now(m->loop, CLOCK_BOOTTIME, &now);
	return now;
}

static void log_error(const struct error *error)
{
	sd_journal_print(LOG_ERR, "%s", error->text);
}

/* The next look comes at @delay_us from now at the latest. */
static void look_within(struct manager *m, uint64_t delay_us)
{
	uint64_t at = now_us(m) + delay_us, planned;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(m->look, &enabled);
	if (enabled != SD_EVENT_OFF && sd_event_source_get_time(m->look, &planned) >= 0 &&
	    planned <= at)
		return;
	sd_event_source_set_time(m->look, at);
	sd_event_source_set_enabled(m->look, SD_EVENT_ONESHOT);
}

static int on_event(void *userdata, const struct remap_event *event)
{
	struct manager *m = userdata;
	struct watched *watched = watched_find(&m->watched, event->major, event->minor);
	uint64_t now = now_us(m) / SECOND_US;

	look_within(m, LOOK_DELAY_US);
	if (watched && watched->seq && event->kind != DM_REMAP_EVENT_LOADED &&
	    event->seq != watched->seq + 1)
		journal_events_lost(event->name, "a gap in their numbers");
	if (watched)
		watched->seq = event->seq;
	if (watched && event->kind <= DM_REMAP_EVENT_MAX &&
	    !limit_take(&watched->limit[event->kind], now, event->sector))
		return 0;
	journal_event(event);
	return 0;
}

static int on_netlink(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r = event_socket_read(m->events, on_event, m);

	if (r == -ENOBUFS) {
		for (size_t i = 0; i < m->watched.nr; i++)
			m->watched.at[i].seq = 0;
		journal_events_lost(NULL, "too many at once");
		look_within(m, 0);
		return 0;
	}
	if (r < 0) {
		sd_journal_print(LOG_ERR, "netlink: %s; opening it again", strerror(-r));
		m->events_source = sd_event_source_unref(m->events_source);
		event_socket_close(m->events);
		m->events = NULL;
		look_within(m, LOOK_DELAY_US);
	}
	return 0;
}

/* The family is there only while the module is: tried again at every look. */
static void attach_netlink(struct manager *m)
{
	if (m->events || event_socket_open(&m->events, NULL) < 0)
		return;
	if (sd_event_add_io(m->loop, &m->events_source, event_socket_fd(m->events), EPOLLIN,
			    on_netlink, m) < 0) {
		event_socket_close(m->events);
		m->events = NULL;
	}
}

static void save_one(struct watched *watched)
{
	struct error error;

	if (watched->device.suspended || watched->device.fallback)
		return;
	if (dm_message(watched->device.name, "save", NULL, &error) < 0)
		log_error(&error);
	else
		watched->activity = watched_activity(&watched->device);
}

static void save_all(struct manager *m, bool always)
{
	for (size_t i = 0; i < m->watched.nr; i++) {
		struct watched *watched = &m->watched.at[i];

		if (always || watched_activity(&watched->device) != watched->activity)
			save_one(watched);
	}
}

/* The spare or main of a set was reported: what is on it must be what we think (O18). */
static void mend(struct watched *watched)
{
	_cleanup_free_ char *reply = NULL;
	struct error error;

	if (watched->device.suspended || watched->device.fallback)
		return;
	if (dm_message(watched->device.name, "restore", &reply, &error) < 0)
		log_error(&error);
	else
		sd_journal_print(LOG_INFO, "%s: a member was reported: %s", watched->device.name,
				 reply);
}

static void judge(struct manager *m, struct watched *watched, uint64_t now)
{
	const struct remap_status *s = &watched->device.status;
	struct policy_facts facts = {
		.used_slots = s->used_slots,
		.total_slots = s->total_slots,
		.bad_slots = s->bad_slots,
		.lost_sectors = s->lost_sectors,
		.errors = s->read_errors + s->write_errors + s->spare_read_errors +
			  s->spare_write_errors + s->flush_errors,
		.mode = s->mode,
	};
	struct policy_notice notices[POLICY_NOTICES_MAX];
	unsigned int step = watched->policy.step_told, nr;

	nr = policy_update(&m->config.policy, &watched->policy, &facts, now, notices);
	for (unsigned int i = 0; i < nr; i++)
		journal_notice(&watched->device, &notices[i]);
	if (watched->policy.step_told != step && m->state_path &&
	    watched_save(&m->watched, m->state_path) < 0)
		sd_journal_print(LOG_WARNING, "%s cannot be written", m->state_path);
}

static void tell_held(struct watched *watched, uint64_t now)
{
	struct limit over;

	for (uint32_t kind = 0; kind <= DM_REMAP_EVENT_MAX; kind++)
		if (limit_over(&watched->limit[kind], now, &over))
			journal_held(watched->device.name, kind, &over);
}

static bool holds_back(const struct watched *watched)
{
	for (uint32_t kind = 0; kind <= DM_REMAP_EVENT_MAX; kind++)
		if (watched->limit[kind].nr_held)
			return true;
	return false;
}

/* Whoever lacks a member is told of once; true: somebody's patience is not over yet. */
static bool look_at_waiting(struct manager *m, const struct dm_device *devices, size_t nr,
			    uint64_t now)
{
	bool untold = false;

	waiting_begin(&m->waiting);
	if (waiting_collect(&m->waiting, m->udev, now) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(devices[i].dm_uuid, DM_UUID_PREFIX, strlen(DM_UUID_PREFIX)))
			waiting_is_active(&m->waiting, devices[i].dm_uuid + strlen(DM_UUID_PREFIX));
	waiting_end(&m->waiting, now, journal_waiting);
	for (size_t i = 0; i < m->waiting.nr; i++)
		untold |= !m->waiting.at[i].told;
	return untold;
}

/* Looks at every set; returns when to do so again, in seconds. */
static unsigned int look(struct manager *m)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	uint64_t now = now_us(m) / SECOND_US;
	unsigned int again = m->config.poll_seconds;
	struct error error;
	size_t nr = 0;

	attach_netlink(m);
	if (dm_list(&devices, &nr, &error) < 0) {
		log_error(&error);
		return again;
	}
	for (size_t i = 0; i < m->watched.nr; i++)
		m->watched.at[i].seen = false;
	for (size_t i = 0; i < nr; i++) {
		struct watched *watched = watched_of(&m->watched, &devices[i]);

		if (!watched)
			continue;
		watched->seen = true;
		if (devices[i].fallback)
			continue;
		if (!watched->policy.known && m->state_path)
			watched->policy.step_told =
				watched_load_step(m->state_path, devices[i].dm_uuid);
		judge(m, watched, now);
		tell_held(watched, now);
		if (holds_back(watched))
			again = LIMIT_SECONDS;
		if (m->mend)
			mend(watched);
	}
	m->mend = false;
	if (look_at_waiting(m, devices, nr, now) && again > WAITING_PATIENCE_SECONDS)
		again = WAITING_PATIENCE_SECONDS;
	watched_forget_unseen(&m->watched);
	if (now - m->saved_at >= m->config.save_seconds) {
		save_all(m, false);
		m->saved_at = now;
	}
	if (m->config.save_seconds < again)
		again = m->config.save_seconds;
	sd_notifyf(0, "STATUS=%zu sets, %s", m->watched.nr,
		   m->events ? "listening to events" : "the module is not loaded");
	return again;
}

static int on_look(sd_event_source *source, uint64_t at, void *userdata)
{
	struct manager *m = userdata;

	look_within(m, look(m) * SECOND_US);
	return 0;
}

static bool is_member(const struct manager *m, dev_t devno)
{
	char text[32];

	snprintf(text, sizeof(text), "%u:%u", major(devno), minor(devno));
	for (size_t i = 0; i < m->watched.nr; i++)
		if (streq(m->watched.at[i].device.line.main, text) ||
		    streq(m->watched.at[i].device.line.spare, text))
			return true;
	return false;
}

static int on_udev(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	struct udev_device *device = udev_monitor_receive_device(m->monitor);
	const char *action = device ? udev_device_get_action(device) : NULL;

	if (!device)
		return 0;
	/* closing a device after writing is a "change" too: only a real one leads to a look */
	if (action && is_member(m, udev_device_get_devnum(device)) &&
	    (streq(action, "add") || udev_device_get_property_value(device, "DISK_MEDIA_CHANGE") ||
	     udev_device_get_property_value(device, "RESIZE")))
		m->mend = true;
	udev_device_unref(device);
	look_within(m, LOOK_DELAY_US);
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *m = userdata;

	sd_notify(0, "STOPPING=1\nSTATUS=Saving");
	return sd_event_exit(m->loop, 0);
}

static void complain(void *userdata, const char *sentence)
{
	journal_config(sentence);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *m = userdata;

	sd_notify(0, "RELOADING=1");
	config_read(VENDOR_DIR, ADMIN_DIR, &m->config, complain, m);
	sd_notify(0, "READY=1");
	look_within(m, 0);
	return 0;
}

static int attach_udev(struct manager *m)
{
	int r;

	m->udev = udev_new();
	m->monitor = m->udev ? udev_monitor_new_from_netlink(m->udev, "udev") : NULL;
	if (!m->monitor)
		return -ENOMEM;
	r = udev_monitor_filter_add_match_subsystem_devtype(m->monitor, "block", NULL);
	if (r >= 0)
		r = udev_monitor_enable_receiving(m->monitor);
	if (r < 0)
		return r;
	return sd_event_add_io(m->loop, NULL, udev_monitor_get_fd(m->monitor), EPOLLIN, on_udev, m);
}

static int prepare(struct manager *m)
{
	const char *state = getenv("STATE_DIRECTORY");
	sigset_t signals;
	int r;

	if (state && asprintf(&m->state_path, "%s/steps", state) < 0)
		return -ENOMEM;
	config_read(VENDOR_DIR, ADMIN_DIR, &m->config, complain, m);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	r = sd_event_new(&m->loop);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGTERM, on_stop, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGINT, on_stop, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGHUP, on_reload, m);
	if (r >= 0)
		r = sd_event_set_watchdog(m->loop, true);
	if (r >= 0)
		r = sd_event_add_time(m->loop, &m->look, CLOCK_BOOTTIME, 0, SECOND_US / 10, on_look,
				      m);
	/* First attach, then look: nothing that happens in between is missed. */
	if (r >= 0)
		r = attach_udev(m);
	return r;
}

int manager_new(struct manager **result)
{
	_cleanup_(manager_free_p) struct manager *m = calloc(1, sizeof(*m));
	int r = m ? prepare(m) : -ENOMEM;

	if (r < 0)
		return r;
	look_within(m, look(m) * SECOND_US);
	*result = m;
	m = NULL;
	return 0;
}

int manager_run(struct manager *m)
{
	int r;

	sd_notify(0, "READY=1");
	r = sd_event_loop(m->loop);
	save_all(m, true);
	return r;
}

void manager_free_p(struct manager **manager)
{
	struct manager *m = *manager;

	if (!m)
		return;
	sd_event_source_unref(m->events_source);
	sd_event_source_unref(m->look);
	event_socket_close(m->events);
	if (m->monitor)
		udev_monitor_unref(m->monitor);
	if (m->udev)
		udev_unref(m->udev);
	sd_event_unref(m->loop);
	free(m->watched.at);
	free(m->waiting.at);
	free(m->state_path);
	free(m);
}
