// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One loop: netlink events are reported at once and lead to a poll of all sets a moment
 * later (poll.c); so do lost events, the module's coming, a timer, and udev.  Nothing here
 * is in the way of I/O (P9), and nothing waits for a disk: children do (jobs.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "manager.h"
#include "state.h"
#include "util/foreign.h"

/* From an event to the poll it leads to: a storm leads to one a second. */
#define POLL_DELAY_US SECOND_US
/* How long the last saves may take before we go without their answer. */
#define STOP_US (20 * SECOND_US)

/* What moves counters is saved soon, not only at the timer's next turn. */
static void save_soon(struct manager *m, const struct remap_event *event)
{
	uint64_t at = now_seconds(m) + SAVE_DELAY_SECONDS;

	if (event->kind != DM_REMAP_EVENT_LOADED && event->kind != DM_REMAP_EVENT_UNLOADED &&
	    event->kind != DM_REMAP_EVENT_SAVED && m->save_at > at)
		m->save_at = at;
}

/* The backup of the set lacks it then. */
static bool changes_table(uint32_t kind)
{
	return kind == DM_REMAP_EVENT_RELOCATED || kind == DM_REMAP_EVENT_REMAPPED ||
	       kind == DM_REMAP_EVENT_UNREMAPPED || kind == DM_REMAP_EVENT_SPARE_BAD;
}

static void note_event(struct manager *m, struct set_state *set, const struct remap_event *event)
{
	set->seq = event->seq;
	if (event->kind == DM_REMAP_EVENT_STORM)
		set->is_storm = set->may_be_storm = true;
	/* a member that was gone is back, as a rule: a scrub that it stopped goes on */
	if (event->kind == DM_REMAP_EVENT_LOADED)
		set->is_scrub_seen = false;
	set->renewal.has_event |= changes_table(event->kind);
	if (event->kind != DM_REMAP_EVENT_READ_ERROR || event->member != DM_REMAP_MEMBER_MAIN)
		return;
	salvage_add(&set->salvage, event->sector, event->nr_sectors);
	if (is_scrubbed(set))
		policy_read_error(&m->config.policy, &set->policy, event->sector, now_seconds(m));
}

static int on_event(void *userdata, const struct remap_event *event)
{
	struct manager *m = userdata;
	struct set_state *set = set_state_find(&m->sets, event->major, event->minor);
	uint64_t seq = set ? set->seq : 0;
	struct remap_event named = *event;
	char uuid[UUID_STRING_BYTES];

	poll_within(m, POLL_DELAY_US);
	save_soon(m, event);
	if (event->kind == DM_REMAP_EVENT_LOADED)
		m->loaded[m->next_loaded++ % LOADED_MAX] = makedev(event->major, event->minor);
	if (event->kind == DM_REMAP_EVENT_LOADED || event->kind == DM_REMAP_EVENT_UNLOADED) {
		uuid_to_string(event->uuid, uuid);
		waiting_event(&m->waiting, uuid, event->kind == DM_REMAP_EVENT_UNLOADED,
			      now_seconds(m));
	}
	if (set) {
		note_event(m, set, event);
		/* reported if the poll finds something missed: a reload makes gaps, too */
		set->gap |= seq && event->kind != DM_REMAP_EVENT_LOADED && event->seq != seq + 1;
	}
	if (set && event->kind <= DM_REMAP_EVENT_MAX &&
	    !limit_take(&set->limit[event->kind], now_seconds(m),
			EVENT_HAS(event, DM_REMAP_A_SECTOR) ? event->sector : LIMIT_NO_SECTOR))
		return 0;
	/* the kernel's name is as device-mapper encodes it; all entries of a set have one */
	if (set)
		foreign_escape(set->device.name, sizeof(set->device.name), named.name,
			       sizeof(named.name));
	journal_event(&named);
	if (set && event->kind == DM_REMAP_EVENT_READ_ERROR)
		name_later(m, set, event->sector, event->nr_sectors);
	return 0;
}

static void detach_netlink(struct manager *m)
{
	m->events_source = sd_event_source_disable_unref(m->events_source);
	event_socket_close(m->events);
	m->events = NULL;
}

static int on_netlink(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r = event_socket_read(m->events, on_event, m);

	if (r == -ENOBUFS) {
		for (size_t i = 0; i < m->sets.nr; i++)
			m->sets.at[i].seq = 0;
		journal_events_lost(NULL, "too many at once");
		m->catch_up = true;
		poll_within(m, 0);
		return 0;
	}
	if (r < 0) {
		sd_journal_print(LOG_ERR, "netlink: %s; reopening the socket", strerror(-r));
		detach_netlink(m);
		poll_within(m, POLL_DELAY_US);
	}
	return 0;
}

/* Only a missing family means that the module is not loaded; all else is reported, once. */
static void netlink_failed(struct manager *m, int r, const struct error *error)
{
	if (r == -ENOENT) {
		m->netlink_error[0] = '\0';
		return;
	}
	if (!streq(m->netlink_error, error->text))
		journal_netlink(error->text);
	snprintf(m->netlink_error, sizeof(m->netlink_error), "%s", error->text);
}

/* The family is there only while the module is; also tried at every poll. */
static void attach_netlink(struct manager *m)
{
	struct error error;
	int r;

	if (m->events)
		return;
	r = event_socket_open(&m->events, &error);
	if (!r) {
		r = sd_event_add_io(m->loop, &m->events_source, event_socket_fd(m->events), EPOLLIN,
				    on_netlink, m);
		if (r < 0) {
			error_set(&error, -r, "cannot listen to events: %s", strerror(-r));
			event_socket_close(m->events);
			m->events = NULL;
		}
	}
	if (r < 0) {
		netlink_failed(m, r, &error);
		return;
	}
	m->netlink_error[0] = '\0';
	m->catch_up = true; /* what happened before we listened is reported by a poll */
	poll_within(m, 0);
}

static int on_family(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r = family_watch_read(m->family);

	if (r < 0) {
		sd_journal_print(LOG_ERR, "netlink: %s; looking for the module at every poll",
				 strerror(-r));
		m->family_source = sd_event_source_disable_unref(m->family_source);
		return 0;
	}
	if (r > 0 && m->events) {
		/* what was sent before is still read; afterwards that socket receives nothing */
		event_socket_read(m->events, on_event, m);
		detach_netlink(m);
	}
	if (r > 0) {
		attach_netlink(m);
		waiting_retry(&m->waiting, now_seconds(m));
		poll_within(m, 0);
	}
	return 0;
}

static void watch_family(struct manager *m)
{
	struct error error;
	int r = family_watch_open(&m->family, &error);

	if (r < 0)
		sd_journal_print(LOG_ERR, "%s; looking for the module at every poll", error.text);
	else
		sd_event_add_io(m->loop, &m->family_source, event_socket_fd(m->family), EPOLLIN,
				on_family, m);
}

static int on_poll(sd_event_source *source, uint64_t at, void *userdata)
{
	struct manager *m = userdata;

	if (m->stopping)
		return 0;
	/* events sent before are read before: the poll then finds nothing new in them */
	if (m->events)
		on_netlink(NULL, 0, 0, m);
	attach_netlink(m);
	poll_within(m, poll_sets(m) * SECOND_US);
	return 0;
}

/* The set that has the device of this number in its table, or NULL. */
static struct set_state *set_of_member(struct manager *m, dev_t devno)
{
	char text[32];

	snprintf(text, sizeof(text), "%u:%u", major(devno), minor(devno));
	for (size_t i = 0; i < m->sets.nr; i++)
		if (streq(m->sets.at[i].device.line.main, text) ||
		    streq(m->sets.at[i].device.line.spare, text))
			return &m->sets.at[i];
	return NULL;
}

static int on_udev(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	struct udev_device *device = udev_monitor_receive_device(m->monitor);
	const char *action = device ? udev_device_get_action(device) : NULL;
	struct set_state *set;

	if (!device)
		return 0;
	set = set_of_member(m, udev_device_get_devnum(device));
	/* closing a device after writing is a "change" too: only a real one leads to a poll */
	if (action && set &&
	    (streq(action, "add") || udev_device_get_property_value(device, "DISK_MEDIA_CHANGE") ||
	     udev_device_get_property_value(device, "RESIZE")))
		set->reported = true;
	udev_device_unref(device);
	poll_within(m, POLL_DELAY_US);
	return 0;
}

static int on_stop_timeout(sd_event_source *source, uint64_t at, void *userdata)
{
	struct manager *m = userdata;

	for (const struct job *job = m->jobs.first; job; job = job->next)
		journal_job_late(job, true);
	return sd_event_exit(m->loop, 0);
}

/* Saves and waits for that, within reason; all devices go on. */
static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *m = userdata;

	if (m->stopping)
		return 0;
	m->stopping = true;
	sd_notify(0, "STOPPING=1\nSTATUS=Saving");
	action_save(m, true);
	for (size_t i = 0; i < m->sets.nr; i++)
		renew_backup(m, &m->sets.at[i], 0);
	tell_hooks(m, 0);
	if (!jobs_at_work(&m->jobs))
		return sd_event_exit(m->loop, 0);
	return sd_event_add_time(m->loop, NULL, CLOCK_BOOTTIME, now_us(m) + STOP_US, SECOND_US,
				 on_stop_timeout, m);
}

static void complain(void *userdata, const char *sentence)
{
	journal_config(sentence);
}

static void read_config(struct manager *m)
{
	config_read(CONFIG_VENDOR_DIR, m->config_dir, &m->config, complain, m);
	m->jobs.timeout_seconds = m->config.command_timeout_seconds;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *m = userdata;

	sd_notify(0, "RELOADING=1");
	read_config(m);
	m->save_at = 0;
	m->metrics_at = 0;
	sd_notify(0, "READY=1");
	poll_within(m, 0);
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

/*
 * Started for the first time since boot, the daemon tries all that is present; started again,
 * it leaves alone what is not active: an administrator may have deactivated it.
 */
static void note_start(struct manager *m)
{
	const char *run = getenv("RUNTIME_DIRECTORY");
	char path[256];
	int fd;

	if (!run)
		return;
	snprintf(path, sizeof(path), "%s/started", run);
	m->waiting.passive = access(path, F_OK) == 0;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close_p(&fd);
}

static int block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	return sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ? -errno : 0;
}

static int prepare(struct manager *m)
{
	const char *state = getenv("STATE_DIRECTORY"), *config = getenv("CONFIGURATION_DIRECTORY");
	int r;

	if (state && asprintf(&m->state_path, "%s/steps", state) < 0)
		return -ENOMEM;
	m->config_dir = config ? config : CONFIG_ADMIN_DIR;
	config_defaults(&m->config);
	note_start(m);
	r = block_signals();
	if (r >= 0)
		r = sd_event_new(&m->loop);
	if (r >= 0)
		r = jobs_init(&m->jobs, m->loop, m->config.command_timeout_seconds, action_late, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGTERM, on_stop, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGINT, on_stop, m);
	if (r >= 0)
		r = sd_event_add_signal(m->loop, NULL, SIGHUP, on_reload, m);
	if (r >= 0)
		r = sd_event_set_watchdog(m->loop, true);
	if (r >= 0)
		r = sd_event_add_time(m->loop, &m->poll, CLOCK_BOOTTIME, 0, SECOND_US / 10, on_poll,
				      m);
	/* First attach, then poll: nothing that happens in between is missed. */
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
	tell_hooks_of_journal(m);
	read_config(m);
	if (m->state_path)
		set_state_load_steps(&m->sets, m->state_path);
	m->save_at = now_seconds(m) + m->config.save_seconds;
	watch_family(m);
	attach_netlink(m);
	poll_within(m, poll_sets(m) * SECOND_US);
	*result = m;
	m = NULL;
	return 0;
}

int manager_run(struct manager *m)
{
	sd_notify(0, "READY=1");
	return sd_event_loop(m->loop);
}

void manager_free_p(struct manager **manager)
{
	struct manager *m = *manager;

	if (!m)
		return;
	journal_listen(NULL, NULL);
	jobs_done(&m->jobs);
	sd_event_source_unref(m->events_source);
	sd_event_source_unref(m->family_source);
	sd_event_source_unref(m->poll);
	event_socket_close(m->events);
	event_socket_close(m->family);
	if (m->monitor)
		udev_monitor_unref(m->monitor);
	if (m->udev)
		udev_unref(m->udev);
	sd_event_unref(m->loop);
	free(m->sets.at);
	free(m->waiting.at);
	free(m->state_path);
	free(m);
}
