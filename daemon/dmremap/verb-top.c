// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * top: all sets as they work.  On a terminal the screen is drawn anew in each while, and keys
 * choose a set; elsewhere there are lines, or an object for each while.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

#include "health.h"
#include "json.h"
#include "system/events.h"
#include "top-sets.h"
#include "util/foreign.h"
#include "verbs.h"

#define DEFAULT_SECONDS 2
#define EVENT_BYTES 320
#define NR_SIGNALS 5
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

const struct verb_option options_top[] = {
	{ "interval", "SECONDS", "length of a while; else 2" },
	{ "count", "N", "end after so many" },
	{ NULL },
};

/**
 * struct top - the state
 * @sets: all sets
 * @selected: which
 * @seconds: length of a while
 * @looked_at: when the last one ended, in seconds
 * @passed: how long it was
 * @events: what happens; NULL: the module is not loaded
 * @event: the last lines of that, a ring
 * @nr_events: how many there were
 * @on_terminal: both ends are
 * @saved: how the terminal was
 * @is_set_up: signals are caught
 * @action: what they did before
 */
struct top {
	struct top_sets sets;
	size_t selected;
	uint64_t seconds;
	double looked_at;
	double passed;
	struct event_socket *events;
	char event[TOP_EVENTS_MAX][EVENT_BYTES];
	unsigned int nr_events;
	bool on_terminal;
	struct termios saved;
	bool is_set_up;
	struct sigaction action[NR_SIGNALS];
};

static volatile sig_atomic_t is_ended;

/* By any of them statistics end and the terminal is as it was; the last one: its size changed. */
static const int signals[NR_SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGWINCH };

static void on_signal(int number)
{
	is_ended |= number != SIGWINCH;
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int look(struct top *top, struct error *error)
{
	double now = now_seconds();
	int r = top_sets_look(&top->sets, error);

	if (top->selected >= top->sets.nr)
		top->selected = top->sets.nr ? top->sets.nr - 1 : 0;
	top->passed = now - top->looked_at;
	top->looked_at = now;
	return r;
}

/* By number: the kernel's events have the name as device-mapper encodes it. */
static bool is_shown(const struct top *top, const struct remap_event *event)
{
	for (size_t i = 0; i < top->sets.nr; i++)
		if (top->sets.at[i].device.major == event->major &&
		    top->sets.at[i].device.minor == event->minor)
			return true;
	return !top->sets.only;
}

static int keep_event(void *userdata, const struct remap_event *event)
{
	struct top *top = userdata;
	char text[256], when[16] = "";
	time_t seconds = (time_t)(event->time_ns / 1000000000);
	struct tm tm;

	if (!is_shown(top, event))
		return 0;
	event_describe(event, text, sizeof(text));
	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
	snprintf(top->event[top->nr_events++ % TOP_EVENTS_MAX], EVENT_BYTES, "%s %.100s: %.200s",
		 when, foreign_text(event->name, sizeof(event->name)).text, text);
	return 0;
}

static void draw(struct top *top)
{
	unsigned int nr = top->nr_events < TOP_EVENTS_MAX ? top->nr_events : TOP_EVENTS_MAX;
	struct top_set views[TOP_SETS_MAX];
	struct top_screen screen = { .set = views,
				     .nr_sets = top->sets.nr,
				     .selected = top->selected,
				     .seconds = top->passed,
				     .nr_events = nr,
				     .keys = top->on_terminal };
	struct winsize size = { 0 };

	for (size_t i = 0; i < top->sets.nr; i++)
		views[i] = top->sets.at[i].view;
	for (unsigned int i = 0; i < nr; i++)
		screen.event[i] = top->event[(top->nr_events - nr + i) % TOP_EVENTS_MAX];
	if (top->on_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		screen.lines = size.ws_row ? size.ws_row - 1U : 0;
		screen.columns = size.ws_col;
	}
	if (top->on_terminal)
		printf("\033[H");
	top_view(stdout, &screen, top->on_terminal ? "\033[K\r\n" : "\n");
	printf(top->on_terminal ? "\033[J" : "\n");
	if (!top->on_terminal)
		top->nr_events = 0; /* they were printed */
	fflush(stdout);
}

static void print_json(const struct top *top)
{
	struct json json = { .on_one_line = true };

	json_begin(&json, NULL);
	json_time(&json, "time", (uint64_t)time(NULL));
	json_number(&json, "milliseconds", (uint64_t)(top->passed * 1000));
	json_begin_list(&json, "sets");
	for (size_t i = 0; i < top->sets.nr; i++) {
		const struct watched *set = &top->sets.at[i];
		const struct io_counts *io = &set->view.io;

		json_begin(&json, NULL);
		json_string(&json, "name", set->device.name);
		json_string(&json, "uuid", uuid_of_device(&set->device));
		json_string(&json, "verdict", set->view.verdict);
		json_string(&json, "mode", set->view.mode);
		json_number(&json, "used_slots", set->view.used);
		json_number(&json, "total_slots", set->view.total);
		json_number(&json, "lost_sectors", set->view.lost);
		json_number(&json, "errors", set->view.nr_errors);
		json_number(&json, "reads", io->reads);
		json_number(&json, "writes", io->writes);
		json_number(&json, "read_sectors", io->read_sectors);
		json_number(&json, "write_sectors", io->write_sectors);
		json_number(&json, "read_ns", io->read_ns);
		json_number(&json, "write_ns", io->write_ns);
		json_begin_list(&json, "latency");
		for (unsigned int bin = 0; bin < IO_STATS_BINS; bin++) {
			json_begin(&json, NULL);
			if (io_stats_below(bin) == UINT64_MAX)
				json_null(&json, "below_ns");
			else
				json_number(&json, "below_ns", io_stats_below(bin));
			json_number(&json, "count", io->bin[bin]);
			json_end(&json);
		}
		json_end(&json);
		json_end(&json);
	}
	json_end(&json);
	json_end(&json);
	fflush(stdout);
}

/* Letters as in less, and what the arrows send. */
static void take_keys(struct top *top)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys) - 1);

	is_ended |= n <= 0;
	keys[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		bool is_arrow = !strncmp(keys + i, "\033[", 2) || !strncmp(keys + i, "\033O", 2);
		char key = is_arrow ? keys[i += 2] : keys[i];

		is_ended |= !is_arrow && (key == 'q' || key == 'Q');
		if (key == (is_arrow ? 'A' : 'k') && top->selected)
			top->selected--;
		else if (key == (is_arrow ? 'B' : 'j') && top->selected + 1 < top->sets.nr)
			top->selected++;
		if (i >= n)
			break;
	}
}

/* Until the end of the while; keys are shown at once. */
static void wait_while(struct top *top)
{
	double left;

	while (!is_ended && (left = top->looked_at + (double)top->seconds - now_seconds()) > 0) {
		struct pollfd fds[] = {
			{ .fd = top->on_terminal ? STDIN_FILENO : -1, .events = POLLIN },
			{ .fd = top->events ? event_socket_fd(top->events) : -1, .events = POLLIN },
		};

		if (poll(fds, 2, (int)(left * 1000) + 1) < 0)
			continue;
		if (fds[1].revents && event_socket_read(top->events, keep_event, top) < 0 &&
		    fds[1].revents & (POLLERR | POLLHUP)) {
			event_socket_close(top->events);
			top->events = NULL;
		}
		if (fds[0].revents) {
			take_keys(top);
			draw(top);
		}
	}
}

static void set_up_terminal(struct top *top)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct termios raw;

	is_ended = false;
	for (int i = 0; i < NR_SIGNALS; i++)
		sigaction(signals[i], &action, &top->action[i]);
	top->is_set_up = true;
	top->looked_at = now_seconds();
	top->on_terminal = top->on_terminal && tcgetattr(STDIN_FILENO, &top->saved) == 0;
	if (!top->on_terminal)
		return;
	raw = top->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	printf(ENTER);
}

static void top_done(struct top **pointer)
{
	struct top *top = *pointer;

	if (!top)
		return;
	if (top->on_terminal) {
		printf(LEAVE);
		fflush(stdout);
		tcsetattr(STDIN_FILENO, TCSANOW, &top->saved);
	}
	for (int i = 0; i < NR_SIGNALS && top->is_set_up; i++)
		sigaction(signals[i], &top->action[i], NULL);
	top_sets_done(&top->sets);
	event_socket_close(top->events);
	free(top);
}

static int parse_option(const struct invocation *invocation, const char *name, uint64_t most,
			uint64_t *number, struct error *error)
{
	const char *text = option_value(invocation, name);

	if (text && (parse_number(text, number) < 0 || !*number || *number > most))
		return error_set(error, EINVAL, "\"%s\" is not a number from 1 to %d for --%s",
				 text, (int)most, name);
	return 0;
}

int verb_top(struct invocation *invocation, struct error *error)
{
	_cleanup_(top_done) struct top *top = calloc(1, sizeof(*top));
	uint64_t count = UINT64_MAX;
	struct dm_device device;
	int r;

	if (!top)
		return no_memory(error);
	top->seconds = DEFAULT_SECONDS;
	r = parse_option(invocation, "interval", 3600, &top->seconds, error);
	if (!r)
		r = parse_option(invocation, "count", 1000000000, &count, error);
	if (!r && invocation->argc)
		r = find_device(invocation->argv[0], &device, error);
	if (r < 0)
		return r;
	if (invocation->argc)
		top->sets.only = device.name;
	top->on_terminal = !invocation->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (event_socket_open(&top->events, NULL) < 0)
		top->events = NULL;
	set_up_terminal(top);
	r = look(top, error);
	if (!r && top->on_terminal)
		draw(top);
	while (!r && count && !is_ended) {
		wait_while(top);
		if (is_ended)
			break;
		r = look(top, error);
		if (r < 0)
			break;
		if (invocation->json)
			print_json(top);
		else
			draw(top);
		count--;
	}
	return r;
}
