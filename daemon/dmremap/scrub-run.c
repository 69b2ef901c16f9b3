// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scrub run: reads all of a set and of its spare, a piece after the other (scrub/plan.h), as fast
 * as others leave room for it (scrub/pace.h).  Where it is is saved every half a minute and after
 * each failure, so that a kill, a reboot or a set that goes away costs no more than that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "health.h"
#include "progress-line.h"
#include "scrub.h"
#include "system/lock.h"
#include "util/foreign.h"
#include "util/ini.h"

#define SAVE_MS 30000
#define TELL_MS 600000
#define SLICE_MS 250
#define SLOW_MS 1000
#define SLOW_TIMES 8
/* Places that were read before, and are read again when one fails. */
#define ALIVE_TRIES 4
/* Without any place that could be read. */
#define FAILURES_MAX 16
#define IOPRIO_IDLE (3 << 13)
#define IOPRIO_WHO_PROCESS 1

static volatile sig_atomic_t is_stopped, is_asked;

static void stop(int number)
{
	is_stopped = 1;
}

/* Of status: what is saved is to be of now. */
static void ask(int number)
{
	is_asked = 1;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool begins_within(uint64_t begin, uint64_t now, uint64_t ms)
{
	return now - begin < ms;
}

static void read_setting(void *userdata, const struct ini_line *line, const char *mistake)
{
	struct scrub *scrub = userdata;

	if (mistake) /* dm-remapd --test-config tells */
		return;
	if (streq(line->group, "errors") && streq(line->key, "rescue"))
		scrub->rescue = streq(line->value, "yes");
	if (streq(line->group, "scrub"))
		pace_limit_set(&scrub->pace.limits, line->key, line->value);
}

static int read_limits(struct scrub *scrub, struct error *error)
{
	static const struct {
		const char *name;
		const char *wanted;
	} options[] = { { "rate", "bytes a second, 64K or more, as 100M, or no" },
			{ "latency", "milliseconds, 1 to 10000" } };
	const char *admin = getenv("CONFIGURATION_DIRECTORY");

	scrub->pace.limits = (struct pace_limits)PACE_DEFAULTS;
	ini_read(CONFIG_VENDOR_DIR, admin ? admin : CONFIG_ADMIN_DIR, CONFIG_NAME, read_setting,
		 scrub);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *value = option_value(scrub->invocation, options[i].name);

		if (value && pace_limit_set(&scrub->pace.limits, options[i].name, value) < 0)
			return error_set(error, EINVAL, "--%s: \"%s\" is not %s", options[i].name,
					 value, options[i].wanted);
	}
	return 0;
}

static void count_time(struct scrub *scrub)
{
	uint64_t now = now_ms();

	scrub->state.worked_ms += now - scrub->begun_ms;
	scrub->begun_ms = now;
}

static int save(struct scrub *scrub, struct error *error)
{
	int r;

	is_asked = 0;
	count_time(scrub);
	scrub->saved_ms = scrub->begun_ms;
	r = scrub_state_save(scrub->key, &scrub->state);
	return r < 0 ? error_set(error, -r, "%s: cannot save how far the scrub is in %s: %s",
				 scrub->device.name, "the state directory", strerror(-r)) :
		       0;
}

static void tell(struct scrub *scrub, bool is_last)
{
	bool is_terminal = isatty(STDOUT_FILENO);
	uint64_t nr_bad = plan_bad(&scrub->state.plan[SCRUB_SET]);
	unsigned int permille = scrub_permille(&scrub->state);
	char left[32] = "";

	if (scrub->invocation->quiet ||
	    (!is_last && begins_within(scrub->told_ms, now_ms(), is_terminal ? 1000 : TELL_MS)))
		return;
	count_time(scrub);
	scrub->told_ms = now_ms();
	format_time_left((time_t)scrub_seconds_left(&scrub->state), left, sizeof(left));
	printf("%s%s: scrub: %u.%u %%, %s left, %" PRIu64 " sector%s cannot be read%s",
	       is_terminal ? "\r" : "", FOREIGN(scrub->device.name), permille / 10, permille % 10,
	       left, nr_bad, plural(nr_bad), is_terminal && !is_last ? "   " : "\n");
	fflush(stdout);
}

/* Waits, up to a signal to stop. */
static int pause_ms(struct scrub *scrub, uint64_t ms, struct error *error)
{
	uint64_t until = now_ms() + ms;
	int r = 0;

	for (uint64_t now = now_ms(); !r && now < until && !is_stopped; now = now_ms()) {
		poll(NULL, 0, (int)(until - now < 200 ? until - now : 200));
		if (is_asked)
			r = save(scrub, error);
	}
	return r;
}

/* Who changes the set is let through: nothing is open meanwhile. */
static int wait_for_lock(struct scrub *scrub, struct error *error)
{
	int r = 0;

	while (!r && scrub->has_uuid && !is_stopped) {
		int lock = -1, held = lock_try_set(&lock, scrub->uuid);

		close_p(&lock);
		if (held != -EAGAIN && held != -EACCES)
			break;
		r = pause_ms(scrub, 200, error);
	}
	return r;
}

/* A place that was read before, anywhere; false: there is none. */
static bool find_good(const struct plan *plan, uint64_t *sector)
{
	for (int i = 0; i < 64 && plan->position >= plan->unit; i++) {
		uint64_t at = (uint64_t)random() % (plan->position / plan->unit) * plan->unit;
		bool is_good = true;

		for (size_t k = 0; is_good && k < plan->nr_spans; k++)
			is_good = at + plan->unit <= plan->span[k].sector ||
				  at >= plan->span[k].sector + plan->span[k].nr;
		for (size_t k = 0; is_good && k < plan->nr_excluded; k++)
			is_good = at + plan->unit <= plan->excluded[k].sector ||
				  at >= plan->excluded[k].sector + plan->excluded[k].nr;
		*sector = at;
		if (is_good)
			return true;
	}
	return false;
}

/* One that was not read yet: where all so far is bad the rest may be good. */
static uint64_t find_unread(const struct plan *plan)
{
	uint64_t nr_units = (plan->nr_sectors - plan->position) / plan->unit;

	return plan->position + (nr_units ? (uint64_t)random() % nr_units * plan->unit : 0);
}

/* After a failure: a disk that is gone fails everywhere, and has no bad sectors. */
static bool is_alive(struct scrub_disk *disk, const struct plan *plan)
{
	bool is_known = true;

	for (int i = 0; i < ALIVE_TRIES; i++) {
		uint64_t sector, ms;

		if (is_known && !find_good(plan, &sector)) {
			if (plan->nr_spans < FAILURES_MAX || plan->position >= plan->nr_sectors)
				return plan->nr_spans < FAILURES_MAX;
			is_known = false;
		}
		if (!is_known)
			sector = find_unread(plan);
		if (scrub_disk_read(disk, sector, plan->unit, &ms) == 1)
			return true;
	}
	return false;
}

static bool is_slow(struct scrub *scrub, uint64_t ms, uint64_t nr)
{
	uint64_t us = ms * 1000, expected = scrub->average_us;
	bool slow = !scrub->has_pause && ms >= SLOW_MS && expected && us > SLOW_TIMES * expected;

	if (nr == PLAN_PIECE_SECTORS && !slow)
		scrub->average_us = expected ? (expected * 15 + us) / 16 : us + 1;
	return slow;
}

static int read_piece(struct scrub *scrub, struct scrub_disk *disk, struct plan *plan,
		      uint64_t sector, uint64_t nr, struct error *error)
{
	uint64_t ms = 0;
	int r = scrub_disk_read(disk, sector, nr, &ms);

	if (r < 0)
		return error_set(error, -r,
				 "%s: %s cannot be read: %s; the scrub goes on when it is there "
				 "again (dmremap scrub start %s)",
				 scrub->device.name, disk->path, strerror(-r), scrub->device.name);
	if (!r && !is_alive(disk, plan))
		return error_set(error, EIO,
				 "%s: %s does not answer any more, also where it could be read "
				 "before: the scrub stops here; look at its cable and the kernel "
				 "log, then: dmremap scrub start %s",
				 scrub->device.name, disk->path, scrub->device.name);
	plan_result(plan, sector, nr, r, ms, r && is_slow(scrub, ms, nr));
	return r ? 0 : save(scrub, error);
}

static uint64_t wait_for_others(struct scrub *scrub, const struct scrub_disk *disk, uint64_t nr)
{
	struct disk_counts counts;
	bool is_known = scrub_disk_counts(disk, &counts);
	uint64_t wait = pace_wait(&scrub->pace, nr, is_known ? &counts : NULL, now_ms());

	scrub->has_pause = scrub->pace.backoff_ms;
	return wait;
}

static int read_part(struct scrub *scrub, enum scrub_part part, struct scrub_disk *disk,
		     struct error *error)
{
	struct plan *plan = &scrub->state.plan[part];
	uint64_t sector, nr, slice = now_ms();
	int r = 0;

	scrub->pace.is_known = false;
	while (!r && !is_stopped && plan_next(plan, &sector, &nr)) {
		uint64_t wait = 0;

		if (plan_is_excluded(plan, sector)) {
			plan_result(plan, sector, nr, true, 0, false);
			continue;
		}
		r = read_piece(scrub, disk, plan, sector, nr, error);
		if (!r)
			wait = wait_for_others(scrub, disk, nr);
		if (!r && (is_asked || !begins_within(scrub->saved_ms, now_ms(), SAVE_MS)))
			r = save(scrub, error);
		tell(scrub, false);
		if (!wait && begins_within(slice, now_ms(), SLICE_MS))
			continue;
		scrub_disk_close(disk);
		if (!r)
			r = pause_ms(scrub, wait, error) ?: wait_for_lock(scrub, error);
		slice = now_ms();
	}
	return r;
}

/* The copies of the metadata are read, compared and mended by the kernel. */
static int check_metadata(struct scrub *scrub)
{
	const char *mode = scrub->device.status.mode, *repaired;
	_cleanup_free_ char *reply = NULL;
	struct error error;

	if (scrub->device.fallback ||
	    (!streq(mode, "rw") && !streq(mode, "full") && !streq(mode, "frozen")))
		return 0;
	if (dm_message(scrub->device.name, "restore", &reply, &error) < 0) {
		scrub->state.metadata = SCRUB_METADATA_FAILED;
		printf("%s: scrub: the metadata: %s\n", FOREIGN(scrub->device.name), error.text);
		return 0;
	}
	scrub->state.metadata = SCRUB_METADATA_GOOD;
	repaired = strstr(reply, "repaired=");
	if (repaired)
		scrub->state.repaired = strtoull(repaired + strlen("repaired="), NULL, 10);
	return 0;
}

/* What is known as bad is not read again. */
static int exclude(struct scrub *scrub, enum scrub_part part, struct error *error)
{
	_cleanup_runs_ struct runs runs = { NULL, 0, 0 };
	int r = scrub_find_sectors(&scrub->device, part == SCRUB_SET ? SCRUB_LOST : SCRUB_BAD_SLOTS,
				   &runs, error);

	if (r < 0)
		return r;
	scrub->excluded[part] = calloc(runs.nr + 1, sizeof(*scrub->excluded[part]));
	if (!scrub->excluded[part])
		return no_memory(error);
	for (size_t i = 0; i < runs.nr; i++)
		scrub->excluded[part][i] = (struct span){ runs.at[i].at, runs.at[i].nr, SPAN_BAD };
	scrub->nr_excluded[part] = runs.nr;
	return 0;
}

/* A new one, unless there is one that did not come to its end, of a set that is as it was. */
static int begin_or_resume(struct scrub *scrub, const struct scrub_disk disk[NR_SCRUB_PARTS],
			   struct error *error)
{
	struct scrub_state *state = &scrub->state;
	int r = scrub_state_load(scrub->key, state);
	bool is_new = r < 0 || state->is_finished || !state->begun ||
		      option_value(scrub->invocation, "anew");

	if (r == -EBADMSG)
		printf("%s: scrub: what was known of the one before is damaged: it begins anew\n",
		       FOREIGN(scrub->device.name));
	else if (r < 0 && r != -ENOENT)
		return error_set(error, -r, "%s: cannot read how far the scrub was: %s",
				 scrub->device.name, strerror(-r));
	for (int part = 0; part < NR_SCRUB_PARTS; part++)
		is_new |= state->plan[part].nr_sectors != disk[part].nr_sectors ||
			  state->plan[part].unit != disk[part].unit;
	state->is_wanted = true;
	if (!is_new)
		return 0;
	state->begun = (uint64_t)time(NULL);
	state->worked_ms = state->repaired = state->salvaged = 0;
	state->metadata = SCRUB_METADATA_OPEN;
	state->is_finished = false;
	r = 0;
	for (int part = 0; !r && part < NR_SCRUB_PARTS; part++) {
		plan_done(&state->plan[part]);
		r = plan_begin(&state->plan[part], disk[part].nr_sectors, disk[part].unit);
	}
	return r < 0 ? no_memory(error) : 0;
}

/* Before the lock tells who we are. */
static void set_signals(void)
{
	struct sigaction action = { .sa_handler = stop };

	is_stopped = is_asked = 0;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = ask;
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void be_idle(void)
{
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	setpriority(PRIO_PROCESS, 0, 19);
	srandom((unsigned int)time(NULL) ^ (unsigned int)getpid());
}

static int work(struct scrub *scrub, struct scrub_disk disk[NR_SCRUB_PARTS], struct error *error)
{
	/* first that it is wanted: the check of the metadata may take long, and be killed */
	int r = save(scrub, error);

	if (!r && scrub->state.metadata == SCRUB_METADATA_OPEN)
		r = check_metadata(scrub) ?: save(scrub, error);
	for (int part = 0; !r && part < NR_SCRUB_PARTS && !is_stopped; part++) {
		struct plan *plan = &scrub->state.plan[part];

		plan->excluded = scrub->excluded[part];
		plan->nr_excluded = scrub->nr_excluded[part];
		r = read_part(scrub, (enum scrub_part)part, &disk[part], error);
		scrub_disk_close(&disk[part]);
	}
	if (!r && !is_stopped)
		return scrub_finish(scrub, error);
	tell(scrub, true);
	/* the reason counts, not that the state could not be saved */
	if (save(scrub, r ? NULL : error) < 0 && !r)
		r = -EIO;
	if (!r && !scrub->invocation->quiet)
		printf("%s: scrub: stopped; dmremap scrub start %s goes on from there\n",
		       FOREIGN(scrub->device.name), FOREIGN(scrub->device.name));
	return r;
}

int scrub_run(struct invocation *invocation, const struct dm_device *device, struct error *error)
{
	struct scrub_disk disk[NR_SCRUB_PARTS] = { { .fd = -1 }, { .fd = -1 } };
	struct scrub *scrub = calloc(1, sizeof(*scrub));
	_cleanup_close_ int lock = -1;
	int r = scrub ? 0 : no_memory(error);

	if (r < 0)
		return r;
	set_signals();
	scrub->invocation = invocation;
	scrub->device = *device;
	scrub->begun_ms = now_ms();
	scrub->has_uuid = uuid_from_string(uuid_of_device(device), scrub->uuid) == 0;
	key_of_device(device, scrub->key, sizeof(scrub->key));
	r = read_limits(scrub, error);
	if (!r)
		r = scrub_lock(scrub->key, &lock, error);
	for (int part = 0; !r && part < NR_SCRUB_PARTS; part++) {
		r = scrub_disk_of(device, (enum scrub_part)part, &disk[part], error);
		scrub_disk_close(&disk[part]);
	}
	if (!r)
		r = begin_or_resume(scrub, disk, error);
	for (int part = 0; !r && part < NR_SCRUB_PARTS; part++)
		r = exclude(scrub, (enum scrub_part)part, error);
	if (!r) {
		be_idle();
		r = work(scrub, disk, error);
	}
	for (int part = 0; part < NR_SCRUB_PARTS; part++) {
		scrub_disk_done(&disk[part]);
		free(scrub->excluded[part]);
	}
	scrub_state_done(&scrub->state);
	free(scrub);
	return r;
}
