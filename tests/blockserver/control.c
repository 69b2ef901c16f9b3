// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket DIR/ctl: one command a line, one line as the answer, "ok ..." or
 * "err ..." with the reason. See README.md for the commands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "blockd.h"

#define MAX_WORDS 16

struct command {
	struct server *server;
	struct disk *disk;
	char **words; /* what follows the verb and the disk's name */
	unsigned int nr_words;
	char answer[512];
};

static int say(struct command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(struct command *c, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(c->answer, sizeof(c->answer), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static bool parse_u64(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *text != '-';
}

static const char *option_value(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static int parse_action(const char *text, enum action *action)
{
	static const char *const names[] = {
		[ACT_ERROR] = "error",
		[ACT_HEAL] = "heal",
		[ACT_FAIL_HEAL] = "badwrite-heal",
		[ACT_LANDED] = "landed",
		[ACT_TORN] = "torn",
		[ACT_PARTIAL] = "partial",
		[ACT_SLOW] = "slow",
		[ACT_LATE] = "late",
		[ACT_UNREAD] = "unread",
		[ACT_HEAL_4K] = "heal4k",
		[ACT_FORGETS] = "forgets",
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(text, names[i])) {
			*action = (enum action)i;
			return 0;
		}
	return -EINVAL;
}

static int fault_add_command(struct command *c)
{
	struct fault fault = { .times = -1 };
	const char *kind = c->words[3];

	if (!parse_u64(c->words[1], &fault.first) || !parse_u64(c->words[2], &fault.count) ||
	    !fault.count)
		return say(c, "FIRST and COUNT must be numbers of sectors");
	fault.on_read = !strcmp(kind, "read") || !strcmp(kind, "both");
	fault.on_write = !strcmp(kind, "write") || !strcmp(kind, "both");
	if (!fault.on_read && !fault.on_write)
		return say(c, "'%s' is not read, write or both", kind);
	if (parse_action(c->words[4], &fault.action) < 0)
		return say(c, "unknown action '%s'", c->words[4]);
	if (fault.action == ACT_LATE && fault.on_read)
		return say(c, "late is of writes; see unread for what cannot be read");
	if (fault.action == ACT_UNREAD && fault.on_write)
		return say(c, "unread is of reads");
	if (fault.action == ACT_FORGETS && fault.on_read)
		return say(c, "forgets is of writes");
	for (unsigned int i = 5; i < c->nr_words; i++) {
		const char *times = option_value(c->words[i], "times");
		const char *delay = option_value(c->words[i], "delay_ms");
		const char *then = option_value(c->words[i], "then");
		uint64_t n;

		if (times && parse_u64(times, &n) && n && n <= INT32_MAX)
			fault.times = (int64_t)n;
		else if (then && fault.action == ACT_LATE && !strcmp(then, "error"))
			fault.then_unread = true;
		else if (!delay || !parse_u64(delay, &fault.delay_ms))
			return say(c, "cannot use '%s'", c->words[i]);
	}
	return fault_add(c->disk, &fault);
}

static int do_fault(struct command *c)
{
	uint64_t first, count;

	if (c->nr_words >= 5 && !strcmp(c->words[0], "add"))
		return fault_add_command(c);
	if (c->nr_words == 1 && !strcmp(c->words[0], "clear")) {
		fault_clear(c->disk, 0, UINT64_MAX);
		return 0;
	}
	if (c->nr_words == 3 && !strcmp(c->words[0], "clear") && parse_u64(c->words[1], &first) &&
	    parse_u64(c->words[2], &count)) {
		fault_clear(c->disk, first, count);
		return 0;
	}
	return say(
		c,
		"usage: fault NAME add FIRST COUNT KIND ACTION [times=N] [delay_ms=N] [then=error] | "
		"fault NAME clear [FIRST COUNT]");
}

static int do_device(struct command *c)
{
	const char *state = c->nr_words == 1 ? c->words[0] : "";

	if (!strcmp(state, "fail"))
		c->disk->state = DEVICE_FAILED;
	else if (!strcmp(state, "ro"))
		c->disk->state = DEVICE_READ_ONLY;
	else if (!strcmp(state, "return") || !strcmp(state, "rw"))
		c->disk->state = DEVICE_OK;
	else
		return say(c, "usage: device NAME fail|return|ro|rw");
	return 0;
}

static int do_delay(struct command *c)
{
	static const char *const names[OP_COUNT] = { "read", "write", "flush", "trim" };

	for (unsigned int op = 0; c->nr_words == 2 && op < OP_COUNT; op++)
		if (!strcmp(c->words[0], names[op]) &&
		    parse_u64(c->words[1], &c->disk->delay_ms[op]))
			return 0;
	if (c->nr_words == 2 && !strcmp(c->words[0], "fua") &&
	    parse_u64(c->words[1], &c->disk->fua_delay_ms))
		return 0;
	return say(c, "usage: delay NAME read|write|flush|trim|fua MS");
}

static int do_flusherror(struct command *c)
{
	if (c->nr_words == 1 && parse_u64(c->words[0], &c->disk->flush_errors))
		return 0;
	return say(c, "usage: flusherror NAME N");
}

static int do_flushloss(struct command *c)
{
	if (c->nr_words == 1 && parse_u64(c->words[0], &c->disk->flush_losses))
		return 0;
	return say(c, "usage: flushloss NAME N");
}

static int do_stats(struct command *c)
{
	const struct stats *s = &c->disk->stats;

	snprintf(c->answer, sizeof(c->answer),
		 "reads=%" PRIu64 " writes=%" PRIu64 " flushes=%" PRIu64 " fua=%" PRIu64
		 " trims=%" PRIu64 " errors=%" PRIu64 " lost=%" PRIu64 " dirty=%" PRIu64
		 " faults=%u",
		 s->reads, s->writes, s->flushes, s->fua, s->trims, s->errors, s->lost,
		 c->disk->nr_dirty, fault_count(c->disk));
	return 0;
}

static int do_hold(struct command *c)
{
	struct hold *hold = calloc(1, sizeof(*hold));
	const char *kind = c->nr_words ? c->words[0] : "";

	if (!hold)
		return -ENOMEM;
	hold->op = !strcmp(kind, "read") ? OP_READ : !strcmp(kind, "write") ? OP_WRITE : OP_FLUSH;
	if (!(c->nr_words == 1 && !strcmp(kind, "flush")) &&
	    !(c->nr_words == 3 && hold->op != OP_FLUSH && parse_u64(c->words[1], &hold->first) &&
	      parse_u64(c->words[2], &hold->count))) {
		free(hold);
		return say(c, "usage: hold NAME read|write FIRST COUNT | hold NAME flush");
	}
	hold->next = c->disk->holds;
	c->disk->holds = hold;
	return 0;
}

static int do_release(struct command *c)
{
	while (c->disk->holds) {
		struct hold *hold = c->disk->holds;

		c->disk->holds = hold->next;
		free(hold);
	}
	server_release(c->server, c->disk);
	return 0;
}

static int do_held(struct command *c)
{
	snprintf(c->answer, sizeof(c->answer), "%u", server_count_held(c->server, c->disk));
	return 0;
}

static int do_destage(struct command *c)
{
	return -disk_destage(c->disk);
}

/*
 * Requests in flight were never done, and every disk is off until `device NAME return`.
 * With least=N nothing happens while no disk has N unflushed sectors.  The answer says
 * how many each had.
 */
static int do_powercut(struct command *c)
{
	uint64_t random_state = 0, least = 0, most = 0;
	bool drop = true;
	size_t length = 0;
	int r = 0;

	for (unsigned int i = 0; i < c->nr_words; i++) {
		const char *seed = option_value(c->words[i], "seed");
		const char *number = option_value(c->words[i], "least");

		if (seed && parse_u64(seed, &random_state))
			drop = false;
		else if (!(number && parse_u64(number, &least)) && strcmp(c->words[i], "drop"))
			return say(c, "usage: powercut [drop | seed=N] [least=N]");
	}
	for (unsigned int i = 0; i < c->server->nr_disks; i++) {
		struct disk *disk = &c->server->disks[i];

		if (disk->nr_dirty > most)
			most = disk->nr_dirty;
		length +=
			(size_t)snprintf(c->answer + length, sizeof(c->answer) - length,
					 "%s%s=%" PRIu64, i ? " " : "", disk->name, disk->nr_dirty);
		if (length >= sizeof(c->answer))
			return say(c, "too many disks");
	}
	if (most < least)
		return 0;
	server_fail_parked(c->server);
	for (unsigned int i = 0; i < c->server->nr_disks; i++) {
		struct disk *disk = &c->server->disks[i];

		if (!r)
			r = disk_lose_cache(disk, !drop, &random_state);
		disk->state = DEVICE_FAILED;
	}
	log_append(LOG_POWERCUT, 0, 0, 0, 0, NULL, 0);
	return -r;
}

static int do_quit(struct command *c)
{
	c->server->quit = true;
	return 0;
}

static const struct verb {
	const char *name;
	bool on_disk;
	int (*run)(struct command *c);
} verbs[] = {
	{ "fault", true, do_fault },	     { "device", true, do_device },
	{ "delay", true, do_delay },	     { "flusherror", true, do_flusherror },
	{ "flushloss", true, do_flushloss }, { "stats", true, do_stats },
	{ "hold", true, do_hold },	     { "release", true, do_release },
	{ "held", true, do_held },	     { "destage", true, do_destage },
	{ "powercut", false, do_powercut },  { "quit", false, do_quit },
};

static struct disk *find_disk(struct server *s, const char *name)
{
	for (unsigned int i = 0; i < s->nr_disks; i++)
		if (!strcmp(s->disks[i].name, name))
			return &s->disks[i];
	return NULL;
}

static int run(struct command *c, char *line)
{
	char *words[MAX_WORDS], *save = NULL;
	unsigned int n = 0, skip;

	if (!strncmp(line, "mark ", 5)) {
		log_append(LOG_MARK, 0, 0, 0, (uint32_t)strlen(line + 5), line + 5,
			   strlen(line + 5));
		return 0;
	}
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == MAX_WORDS)
			return say(c, "too many words");
		words[n++] = w;
	}
	for (unsigned int i = 0; n && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(words[0], verbs[i].name))
			continue;
		if (verbs[i].on_disk) {
			c->disk = n > 1 ? find_disk(c->server, words[1]) : NULL;
			if (!c->disk)
				return say(c, "no disk '%s'", n > 1 ? words[1] : "");
		}
		skip = verbs[i].on_disk ? 2 : 1;
		c->words = words + skip;
		c->nr_words = n - skip;
		return verbs[i].run(c);
	}
	return say(c, "unknown command '%s'", n ? words[0] : "");
}

void control_line(struct server *s, struct connection *connection, char *line)
{
	struct command command = { .server = s };
	char answer[600];
	int n, r;

	r = run(&command, line);
	if (r < 0 && !command.answer[0])
		snprintf(command.answer, sizeof(command.answer), "%s", strerror(-r));
	n = snprintf(answer, sizeof(answer), "%s%s%s\n", r < 0 ? "err" : "ok",
		     command.answer[0] ? " " : "", command.answer);
	if (send(connection->fd, answer, (size_t)n, MSG_NOSIGNAL) != n)
		connection->dead = true;
}
