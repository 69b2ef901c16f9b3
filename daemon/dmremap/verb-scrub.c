// SPDX-License-Identifier: GPL-2.0-or-later
/* scrub: start, stop and status of reading all of a set; run does it (scrub-run.c). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <time.h>

#include "health.h"
#include "json.h"
#include "progress-line.h"
#include "scrub.h"
#include "util/foreign.h"
#include "util/limited.h"

#define SYSTEMCTL_SECONDS 60
#define STOP_MS 60000
#define SHOWN_MAX 20
#define ASK_TRIES 50
#define BEGIN_MS 5000

const struct verb_option options_scrub[] = {
	{ "anew", NULL, "of start and run: from the beginning, not from where it stopped" },
	{ "resume", NULL, "of start: only one that was interrupted, as dm-remapd does" },
	{ "rate", "SIZE", "of run: so many bytes a second at most, as 100M" },
	{ "latency", "MS", "of run: back off further when others' requests take longer" },
	{ NULL },
};

static bool has_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

static int systemctl(const char *verb, const char *name, struct error *error)
{
	char unit[200];
	const char *argv[] = { "systemctl", verb, "--no-block", unit, NULL };
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	int code, r;

	if (!foreign_is_plain(name))
		return error_set(error, EINVAL, "%s: not the name of a unit: use dmremap scrub run",
				 name);
	snprintf(unit, sizeof(unit), "dm-remap-scrub@%.150s.service", name);
	r = limited_run(argv, SYSTEMCTL_SECONDS, -1, &text, &nr_bytes, &code);
	if (!r && code)
		r = -EIO;
	return r < 0 ? error_set(error, -r, "systemctl %s %s failed: systemctl status says why",
				 verb, unit) :
		       0;
}

/* Without systemd: a process of its own, which nobody waits for. */
static int run_detached(const char *name, bool is_anew, struct error *error)
{
	const char *now[] = { "dmremap", "scrub", "--quiet", "--", "run", name, NULL };
	const char *anew[] = { "dmremap", "scrub", "--quiet", "--anew", "--", "run", name, NULL };
	const char *const *argv = is_anew ? anew : now;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	for (int fd = 0; !r && fd < 3; fd++)
		r = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!r)
		r = posix_spawn(&pid, "/proc/self/exe", &actions, &attr, (char *const *)argv,
				environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r ? error_set(error, r, "%s: no process can be started for it: %s", name,
			     strerror(r)) :
		   0;
}

/* The user stops it, and no boot starts it again; or starts it. */
static int set_wanted(const char *key, bool is_wanted, struct error *error)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };
	int r = scrub_state_load(key, &state);

	if (r < 0 || state.is_finished || state.is_wanted == is_wanted)
		return 0;
	state.is_wanted = is_wanted;
	r = scrub_state_save(key, &state);
	return r < 0 ? error_set(error, -r, "cannot save the state of the scrub: %s",
				 strerror(-r)) :
		       0;
}

static bool was_interrupted(const char *key)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };

	return scrub_state_load(key, &state) == 0 && state.is_wanted && !state.is_finished;
}

static int forget(const char *key, struct error *error)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };
	int r = scrub_state_load(key, &state);

	if (r < 0) /* there is none, or it is damaged: it begins anew by itself */
		return 0;
	state.is_finished = true;
	r = scrub_state_save(key, &state);
	return r < 0 ? error_set(error, -r, "cannot save the state of the scrub: %s",
				 strerror(-r)) :
		       0;
}

/* Until then status would show the one before; one that cannot begin is not waited for for long. */
static void wait_for_begin(const char *key, uint64_t begun_before)
{
	for (int ms = 0; ms < BEGIN_MS; ms += 20) {
		_cleanup_scrub_ struct scrub_state now = { 0 };
		struct timespec pause = { 0, 20000000 };
		bool is_saved = scrub_state_load(key, &now) == 0;
		bool is_open = now.is_wanted && !now.is_finished;

		/* it may have come to its end already; what is not saved a kill would take back */
		if (is_saved && (now.begun != begun_before || (is_open && scrub_find_process(key))))
			return;
		nanosleep(&pause, NULL);
	}
}

static int start(const struct invocation *invocation, const struct dm_device *device,
		 const char *key, struct error *error)
{
	bool is_anew = option_value(invocation, "anew");
	_cleanup_scrub_ struct scrub_state before = { 0 };
	pid_t pid = scrub_find_process(key);
	uint64_t begun_before;
	int r = 0;

	if (option_value(invocation, "resume") && (pid || !was_interrupted(key)))
		return 0;
	if (pid)
		return error_set(error, EBUSY, "%s: a scrub is at work already (process %d)",
				 device->name, (int)pid);
	begun_before = scrub_state_load(key, &before) == 0 ? before.begun : 0;
	if (has_systemd()) {
		if (is_anew)
			r = forget(key, error);
		if (!r)
			r = systemctl("start", device->name, error);
	} else {
		r = run_detached(device->name, is_anew, error);
	}
	/* it was not to be forgotten for one that does not begin */
	if (r < 0 && is_anew && before.begun && !before.is_finished)
		scrub_state_save(key, &before);
	if (!r)
		wait_for_begin(key, begun_before);
	if (!r && !invocation->quiet)
		printf("%s: a scrub was started: dmremap scrub status %s\n", FOREIGN(device->name),
		       FOREIGN(device->name));
	return r;
}

static int stop(const struct invocation *invocation, const struct dm_device *device,
		const char *key, struct error *error)
{
	pid_t pid = scrub_find_process(key);

	if (pid && kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return error_set(error, errno, "%s: process %d cannot be stopped: %s", device->name,
				 (int)pid, strerror(errno));
	/* a read of a bad place may take long */
	for (int ms = 0; pid && ms < STOP_MS; ms += 50) {
		struct timespec pause = { 0, 50000000 };

		nanosleep(&pause, NULL);
		pid = scrub_find_process(key);
	}
	if (pid)
		return error_set(error, EBUSY,
				 "%s: process %d has not ended yet: it waits for a disk; it stops "
				 "after that",
				 device->name, (int)pid);
	if (!invocation->quiet)
		printf("%s: no scrub is at work\n", FOREIGN(device->name));
	return set_wanted(key, false, error);
}

static const char *word_of(const struct scrub_state *state, pid_t pid)
{
	if (pid)
		return "running";
	if (!state->begun)
		return "never";
	if (state->is_finished)
		return "finished";
	return state->is_wanted ? "interrupted" : "stopped";
}

static void print_spans(const struct plan *plan, const char *what)
{
	unsigned int nr = 0;

	for (size_t i = 0; i < plan->nr_spans; i++) {
		if (plan->span[i].state != SPAN_BAD)
			continue;
		if (nr++ == SHOWN_MAX) {
			printf("             and more: --json has all of them\n");
			return;
		}
		printf("  unreadable %s %" PRIu64 "+%" PRIu64 "\n", what, plan->span[i].sector,
		       plan->span[i].nr);
	}
}

static void print_slow(const struct plan *plan)
{
	uint64_t nr = plan->nr_slow < PLAN_SLOW_MAX ? plan->nr_slow : PLAN_SLOW_MAX;

	for (uint64_t i = 0; i < nr && i < SHOWN_MAX; i++)
		printf("  suspicious sectors %" PRIu64 "+%" PRIu64 ": read in %" PRIu64 ".%" PRIu64
		       " s\n",
		       plan->slow[i].sector, plan->slow[i].nr, plan->slow[i].ms / 1000,
		       plan->slow[i].ms % 1000 / 100);
	if (nr > SHOWN_MAX)
		printf("             and %" PRIu64 " more\n", plan->nr_slow - SHOWN_MAX);
}

static void print_status(const struct dm_device *device, const struct scrub_state *state, pid_t pid)
{
	unsigned int permille = scrub_permille(state);
	char left[32], text[400];

	printf("%s: scrub %s\n", foreign_text(device->name, sizeof(device->name)).text,
	       word_of(state, pid));
	if (state->begun && !state->is_finished) {
		printf("  begun      %s\n", date_of(state->begun).text);
		printf("  done       %u.%u %%", permille / 10, permille % 10);
		format_time_left((time_t)scrub_seconds_left(state), left, sizeof(left));
		if (scrub_seconds_left(state))
			printf(", %s left", left);
		printf("\n");
	}
	if (state->last.ended) {
		scrub_describe(&state->last, text, sizeof(text));
		printf("  last       %s: %s\n", date_of(state->last.ended).text, text);
	}
	if (state->good && state->good != state->last.ended)
		printf("  all good   %s\n", date_of(state->good).text);
	if (state->repaired)
		printf("  metadata   %" PRIu64 " cop%s mended\n", state->repaired,
		       state->repaired == 1 ? "y was" : "ies were");
	print_spans(&state->plan[SCRUB_SET], "sectors");
	print_spans(&state->plan[SCRUB_SPARE], "on the spare: sectors");
	print_slow(&state->plan[SCRUB_SET]);
	if (plan_bad(&state->plan[SCRUB_SET]))
		printf("  do: dmremap files %s --unreadable says which files they hit\n",
		       FOREIGN(device->name));
}

static void add_result(struct json *json, const struct scrub_result *last)
{
	static const char *const metadata[] = { NULL, "good", "failed" };

	json_begin(json, "last");
	json_time(json, "ended", last->ended);
	json_number(json, "unreadable", last->unreadable);
	json_number(json, "salvaged", last->salvaged);
	json_number(json, "open", last->open);
	json_number(json, "spare_unreadable", last->spare_unreadable);
	json_number(json, "slow", last->slow);
	json_string(json, "metadata", metadata[last->metadata]);
	json_end(json);
}

static void add_plan(struct json *json, const char *name, const struct plan *plan)
{
	uint64_t nr = plan->nr_slow < PLAN_SLOW_MAX ? plan->nr_slow : PLAN_SLOW_MAX;

	json_begin(json, name);
	json_number(json, "nr_sectors", plan->nr_sectors);
	json_number(json, "open", plan_open(plan));
	json_bool(json, "coarse", plan->is_coarse);
	json_begin_list(json, "unreadable");
	for (size_t i = 0; i < plan->nr_spans; i++) {
		if (plan->span[i].state != SPAN_BAD)
			continue;
		json_begin(json, NULL);
		json_number(json, "sector", plan->span[i].sector);
		json_number(json, "nr_sectors", plan->span[i].nr);
		json_end(json);
	}
	json_end(json);
	json_begin_list(json, "slow");
	for (uint64_t i = 0; i < nr; i++) {
		json_begin(json, NULL);
		json_number(json, "sector", plan->slow[i].sector);
		json_number(json, "nr_sectors", plan->slow[i].nr);
		json_number(json, "ms", plan->slow[i].ms);
		json_end(json);
	}
	json_end(json);
	json_end(json);
}

static void print_json(const struct dm_device *device, const struct scrub_state *state, pid_t pid)
{
	bool is_open = state->begun && !state->is_finished;
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "uuid", uuid_of_device(device));
	json_string(&json, "state", word_of(state, pid));
	json_time(&json, "begun", state->begun);
	json_number(&json, "permille", scrub_permille(state));
	if (is_open && scrub_seconds_left(state))
		json_number(&json, "seconds_left", scrub_seconds_left(state));
	else
		json_null(&json, "seconds_left");
	json_number(&json, "repaired", state->repaired);
	json_time(&json, "good", state->good);
	add_result(&json, &state->last);
	add_plan(&json, "set", &state->plan[SCRUB_SET]);
	add_plan(&json, "spare", &state->plan[SCRUB_SPARE]);
	json_end(&json);
}

/* One that is at work is asked to save where it is; while it waits for a disk it does not. */
static int load_now(const char *key, struct scrub_state *state)
{
	pid_t pid = scrub_find_process(key);
	int r = scrub_state_load(key, state);
	uint64_t worked = state->worked_ms;

	if (r < 0 || !pid || kill(pid, SIGUSR1) < 0)
		return r;
	for (int i = 0; !r && i < ASK_TRIES && state->worked_ms == worked; i++) {
		struct timespec pause = { 0, 20000000 };

		nanosleep(&pause, NULL);
		scrub_state_done(state);
		r = scrub_state_load(key, state);
	}
	return r;
}

static void forget_progress(struct scrub_state *state)
{
	state->begun = 0;
	state->worked_ms = 0;
	state->is_finished = false;
	for (int part = 0; part < NR_SCRUB_PARTS; part++) {
		struct plan *plan = &state->plan[part], before = *plan;

		memset(plan, 0, sizeof(*plan));
		plan_begin(plan, before.nr_sectors, before.unit);
		plan_done(&before);
	}
}

static int show(const struct invocation *invocation, const struct dm_device *device,
		const char *key, struct error *error)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };
	int r = load_now(key, &state);
	pid_t pid;

	if (r < 0 && r != -ENOENT)
		return error_set(error, r == -EBADMSG ? EUCLEAN : -r,
				 "%s: what is known of its scrub is damaged: the next one begins "
				 "anew (dmremap scrub start %s)",
				 device->name, device->name);
	pid = scrub_find_process(key);
	/* it has not saved anything yet: this is the one before */
	if (pid && state.is_finished)
		forget_progress(&state);
	if (invocation->json)
		print_json(device, &state, pid);
	else
		print_status(device, &state, pid);
	return 0;
}

/* An option that would do nothing is a mistake: the scrub would not be as it was wanted. */
static int check_options(const struct invocation *invocation, const char *what, struct error *error)
{
	static const struct {
		const char *name;
		const char *of; /* words */
	} options[] = { { "anew", "start run" },
			{ "resume", "start" },
			{ "rate", "run" },
			{ "latency", "run" } };

	if (invocation->json && !streq(what, "status"))
		return error_set(error, EINVAL, "scrub %s prints no JSON", what);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (option_value(invocation, options[i].name) && !strstr(options[i].of, what))
			return error_set(error, EINVAL, "--%s does nothing with scrub %s%s",
					 options[i].name, what,
					 streq(options[i].of, "run") ?
						 ": it is for scrub run; set [scrub] in "
						 "dm-remapd.conf(5) for all" :
						 "");
	return 0;
}

static bool is_one_of(const char *what)
{
	return streq(what, "start") || streq(what, "stop") || streq(what, "status") ||
	       streq(what, "run");
}

int verb_scrub(struct invocation *invocation, struct error *error)
{
	const char *what = invocation->argv[0];
	struct dm_device device;
	char key[256];
	int r;

	if (!is_one_of(what))
		return error_set(error, EINVAL, "\"%s\" is none of start, stop, status and run",
				 what);
	r = check_options(invocation, what, error);
	if (r < 0)
		return r;
	r = find_device(invocation->argv[1], &device, error);
	if (r < 0)
		return r;
	key_of_device(&device, key, sizeof(key));
	if (streq(what, "status"))
		return show(invocation, &device, key, error);
	if (streq(what, "start"))
		return start(invocation, &device, key, error);
	if (streq(what, "stop"))
		return stop(invocation, &device, key, error);
	return scrub_run(invocation, &device, error);
}
