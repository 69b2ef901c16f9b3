// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "config.h"
#include "util/ini.h"
#include "util/util.h"

void config_defaults(struct config *config)
{
	*config = (struct config){
		.save_seconds = 60,
		.poll_seconds = 60,
		.command_timeout_seconds = 30,
		.hook_seconds = 30,
		.hook_interval_seconds = 3600,
		.smart_seconds = 3600,
		.files = true,
		.backup_seconds = 600,
		.scrub = PACE_DEFAULTS,
		.policy = {
			.step = { 50, 75, 90, 95, 100 },
			.nr_steps = 5,
			.error_count = 10,
			.error_seconds = 3600,
			.reminder_seconds = 24 * 3600,
		},
	};
}

struct reader {
	struct config *config;
	config_complaint_f complain;
	void *userdata;
	int nr_complaints;
};

static int parse_range(const char *text, unsigned int low, unsigned int high, unsigned int *value)
{
	uint64_t number;

	if (parse_u64(text, &number) < 0 || number < low || number > high)
		return -EINVAL;
	*value = (unsigned int)number;
	return 0;
}

/* "90", "90s", "5min", "2h", "1d" */
static int parse_time(const char *text, unsigned int low, unsigned int high, unsigned int *value)
{
	static const struct {
		const char *suffix;
		unsigned int seconds;
	} units[] = { { "", 1 },     { "s", 1 },    { "sec", 1 },  { "m", 60 },
		      { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
	size_t nr_digits = strspn(text, "0123456789");
	const char *suffix = text + nr_digits + strspn(text + nr_digits, " ");
	char digits[24];
	uint64_t number;

	if (!nr_digits || nr_digits >= sizeof(digits))
		return -EINVAL;
	snprintf(digits, sizeof(digits), "%.*s", (int)nr_digits, text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!streq(suffix, units[i].suffix))
			continue;
		if (parse_u64(digits, &number) < 0 || number > high / units[i].seconds ||
		    number * units[i].seconds < low)
			return -EINVAL;
		*value = (unsigned int)number * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

static int parse_steps(const char *text, struct policy_config *policy)
{
	_cleanup_free_ char *copy = strdup(text);
	unsigned int step[POLICY_STEPS_MAX], nr = 0, before = 0;
	char *save = NULL, *word;

	if (!copy)
		return -ENOMEM;
	if (streq(text, "none")) {
		policy->nr_steps = 0;
		return 0;
	}
	for (word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		if (nr == POLICY_STEPS_MAX || parse_range(word, before + 1, 100, &step[nr]) < 0)
			return -EINVAL;
		before = step[nr++];
	}
	/* to tell none has a word of its own: an empty value is a mistake */
	if (!nr)
		return -EINVAL;
	memcpy(policy->step, step, sizeof(step[0]) * nr);
	policy->nr_steps = nr;
	return 0;
}

static int set_save(struct config *c, const char *text)
{
	return parse_time(text, 1, 3600, &c->save_seconds);
}

static int set_poll(struct config *c, const char *text)
{
	return parse_time(text, 1, 3600, &c->poll_seconds);
}

static int set_command_timeout(struct config *c, const char *text)
{
	return parse_time(text, 1, 3600, &c->command_timeout_seconds);
}

static int set_rescue(struct config *c, const char *text)
{
	if (!streq(text, "yes") && !streq(text, "no"))
		return -EINVAL;
	c->rescue = streq(text, "yes");
	return 0;
}

static int set_files(struct config *c, const char *text)
{
	if (!streq(text, "yes") && !streq(text, "no"))
		return -EINVAL;
	c->files = streq(text, "yes");
	return 0;
}

static int set_steps(struct config *c, const char *text)
{
	return parse_steps(text, &c->policy);
}

static int set_error_count(struct config *c, const char *text)
{
	return parse_range(text, 1, POLICY_ERRORS_MAX, &c->policy.error_count);
}

static int set_error_seconds(struct config *c, const char *text)
{
	return parse_time(text, 1, 30 * 24 * 3600, &c->policy.error_seconds);
}

static int set_reminder(struct config *c, const char *text)
{
	return parse_time(text, 60, 30 * 24 * 3600, &c->policy.reminder_seconds);
}

static int set_smart(struct config *c, const char *text)
{
	if (!streq(text, "no"))
		return parse_time(text, 3600, 30 * 24 * 3600, &c->smart_seconds);
	c->smart_seconds = 0;
	return 0;
}

static int set_backup(struct config *c, const char *text)
{
	if (!streq(text, "no"))
		return parse_time(text, 10, 24 * 3600, &c->backup_seconds);
	c->backup_seconds = 0;
	return 0;
}

/* "/a, /b" becomes "/a,/b", as dmremap expects it. */
static int set_copies(struct config *c, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char list[sizeof(c->backup_copies)] = "", *save = NULL, *word;
	size_t length = 0;

	if (!copy)
		return -ENOMEM;
	for (word = strtok_r(copy, ", ", &save); word && !streq(text, "no");
	     word = strtok_r(NULL, ", ", &save)) {
		if (*word != '/' || length + strlen(word) + 2 > sizeof(list))
			return -EINVAL;
		length += (size_t)sprintf(list + length, "%s%s", length ? "," : "", word);
	}
	if (!length && !streq(text, "no"))
		return -EINVAL;
	strcpy(c->backup_copies, list);
	return 0;
}

static int set_metrics(struct config *c, const char *text)
{
	bool is_path = *text == '/' && strlen(text) < sizeof(c->metrics_path);

	if (!is_path && !streq(text, "no"))
		return -EINVAL;
	snprintf(c->metrics_path, sizeof(c->metrics_path), "%s", is_path ? text : "");
	return 0;
}

static int set_hook_timeout(struct config *c, const char *text)
{
	return parse_time(text, 1, 600, &c->hook_seconds);
}

static int set_hook_interval(struct config *c, const char *text)
{
	return parse_time(text, 10, 7 * 24 * 3600, &c->hook_interval_seconds);
}

static int set_thaws(struct config *c, const char *text)
{
	return parse_range(text, 0, 100, &c->thaws);
}

static int set_scrub_rate(struct config *c, const char *text)
{
	return pace_limit_set(&c->scrub, "rate", text);
}

static int set_scrub_least_rate(struct config *c, const char *text)
{
	return pace_limit_set(&c->scrub, "least_rate", text);
}

static int set_scrub_latency(struct config *c, const char *text)
{
	return pace_limit_set(&c->scrub, "latency", text);
}

static const struct key {
	const char *group;
	const char *name;
	const char *wanted;
	int (*set)(struct config *config, const char *text);
} keys[] = {
	{ "save", "interval", "1 to 3600 seconds", set_save },
	{ "watch", "interval", "1 to 3600 seconds", set_poll },
	{ "watch", "patience", "1 to 3600 seconds", set_command_timeout },
	{ "spare", "steps", "at most 8 rising percentages, 1 to 100, as \"50, 75, 90\", or none",
	  set_steps },
	{ "errors", "count", "1 to 64", set_error_count },
	{ "errors", "seconds", "1 to 2592000 seconds", set_error_seconds },
	{ "errors", "rescue", "yes or no", set_rescue },
	{ "errors", "files", "yes or no", set_files },
	{ "smart", "interval", "3600 to 2592000 seconds, or no", set_smart },
	{ "backup", "delay", "10 to 86400 seconds, or no", set_backup },
	{ "backup", "copies", "paths of directories, such as \"/mnt/a, /mnt/b\", or no",
	  set_copies },
	{ "metrics", "file", "the path of a file, or no", set_metrics },
	{ "hooks", "timeout", "1 to 600 seconds", set_hook_timeout },
	{ "hooks", "interval", "10 to 604800 seconds", set_hook_interval },
	{ "scrub", "rate", "bytes a second as \"100M\", or no", set_scrub_rate },
	{ "scrub", "least_rate", "bytes a second as \"1M\", or no", set_scrub_least_rate },
	{ "scrub", "latency", "1 to 10000 milliseconds", set_scrub_latency },
	{ "storm", "thaws", "0 to 100 a day", set_thaws },
	{ "alarm", "repeat", "60 to 2592000 seconds", set_reminder },
};

/* Characters of a file that are not printable are replaced. */
static void printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static void complain(struct reader *reader, const struct ini_line *line, const char *what)
{
	char sentence[1024];

	if (*line->key && *line->group)
		snprintf(sentence, sizeof(sentence), "%.300s:%u: [%.60s] %.60s: %.500s", line->file,
			 line->number, line->group, line->key, what);
	else if (line->number)
		snprintf(sentence, sizeof(sentence), "%.300s:%u: %.500s", line->file, line->number,
			 what);
	else
		snprintf(sentence, sizeof(sentence), "%.300s: %.500s", line->file, what);
	printable(sentence);
	reader->complain(reader->userdata, sentence);
	reader->nr_complaints++;
}

/* The last one counts, in a file and over all of them. */
static void read_key(void *userdata, const struct ini_line *line, const char *mistake)
{
	struct reader *reader = userdata;
	const struct key *key = NULL;
	bool is_group = false;
	char what[512];

	if (mistake) {
		snprintf(what, sizeof(what),
			 "%s; the configuration files are not used, the settings stay as they are",
			 mistake);
		complain(reader, line, what);
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		is_group |= streq(line->group, keys[i].group);
		if (streq(line->group, keys[i].group) && streq(line->key, keys[i].name))
			key = &keys[i];
	}
	if (!key) {
		snprintf(what, sizeof(what), "unknown %s; it is ignored",
			 is_group ? "setting" : "group");
		complain(reader, line, what);
	} else if (key->set(reader->config, line->value) < 0) {
		snprintf(what, sizeof(what), "\"%.200s\" is not %s; the previous value is kept",
			 line->value, key->wanted);
		complain(reader, line, what);
	}
}

int config_read(const char *vendor, const char *admin, struct config *config, config_complaint_f f,
		void *userdata)
{
	struct config found;
	struct reader reader = { &found, f, userdata, 0 };
	int r;

	config_defaults(&found);
	r = ini_read(vendor, admin, CONFIG_NAME, read_key, &reader);
	if (r)
		return r < 0 ? r : -EBADMSG;
	*config = found;
	return reader.nr_complaints;
}
