// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libeconf.h>
#include <libeconf_ext.h>

#include "config.h"
#include "util.h"

#define NAME "dm-remapd"

void config_defaults(struct config *config)
{
	*config = (struct config){
		.save_seconds = 60,
		.poll_seconds = 60,
		.patience_seconds = 30,
		.policy = {
			.step = { 50, 75, 90, 95, 100 },
			.nr_steps = 5,
			.error_count = 10,
			.error_seconds = 3600,
			.alarm_seconds = 24 * 3600,
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

static int parse_steps(const char *text, struct policy_config *policy)
{
	_cleanup_free_ char *copy = strdup(text);
	unsigned int step[POLICY_STEPS_MAX], nr = 0, before = 0;
	char *save = NULL, *word;

	if (!copy)
		return -ENOMEM;
	for (word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		if (nr == POLICY_STEPS_MAX || parse_range(word, before + 1, 100, &step[nr]) < 0)
			return -EINVAL;
		before = step[nr++];
	}
	memcpy(policy->step, step, sizeof(step[0]) * nr);
	policy->nr_steps = nr;
	return 0;
}

static int set_save(struct config *c, const char *text)
{
	return parse_range(text, 1, 3600, &c->save_seconds);
}

static int set_poll(struct config *c, const char *text)
{
	return parse_range(text, 1, 3600, &c->poll_seconds);
}

static int set_patience(struct config *c, const char *text)
{
	return parse_range(text, 1, 3600, &c->patience_seconds);
}

static int set_rescue(struct config *c, const char *text)
{
	if (!streq(text, "yes") && !streq(text, "no"))
		return -EINVAL;
	c->rescue = streq(text, "yes");
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
	return parse_range(text, 1, 30 * 24 * 3600, &c->policy.error_seconds);
}

static int set_alarm(struct config *c, const char *text)
{
	return parse_range(text, 60, 30 * 24 * 3600, &c->policy.alarm_seconds);
}

static const struct key {
	const char *group;
	const char *name;
	const char *wanted;
	int (*set)(struct config *config, const char *text);
} keys[] = {
	{ "save", "interval", "1 to 3600 seconds", set_save },
	{ "watch", "interval", "1 to 3600 seconds", set_poll },
	{ "watch", "patience", "1 to 3600 seconds", set_patience },
	{ "spare", "steps", "at most 8 rising percents from 1 to 100, as \"50, 75, 90\"",
	  set_steps },
	{ "errors", "count", "1 to 64", set_error_count },
	{ "errors", "seconds", "1 to 2592000 seconds", set_error_seconds },
	{ "errors", "rescue", "yes or no", set_rescue },
	{ "alarm", "repeat", "60 to 2592000 seconds", set_alarm },
};

static void complain(struct reader *reader, const char *file, uint64_t line, const char *group,
		     const char *name, const char *what)
{
	char sentence[1024];

	snprintf(sentence, sizeof(sentence), "%s:%llu: [%s] %s: %s", strna(file),
		 (unsigned long long)line, group, name, what);
	reader->complain(reader->userdata, sentence);
	reader->nr_complaints++;
}

static void read_key(struct reader *reader, econf_file *file, const char *group, const char *name)
{
	const struct key *key = NULL;
	econf_ext_value *value = NULL;
	char what[512], text[256];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (streq(group, keys[i].group) && streq(name, keys[i].name))
			key = &keys[i];
	if (econf_getExtValue(file, group, name, &value) != ECONF_SUCCESS || !value)
		return;
	*text = '\0';
	for (char **line = value->values; line && *line; line++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? " " : "",
			 *line);
	if (!key) {
		complain(reader, value->file, value->line_number, group, name,
			 "there is no such setting; it is ignored");
	} else if (key->set(reader->config, text) < 0) {
		snprintf(what, sizeof(what), "\"%s\" is not %s; the default is kept", text,
			 key->wanted);
		complain(reader, value->file, value->line_number, group, name, what);
	}
	econf_freeExtValue(value);
}

static void read_group(struct reader *reader, econf_file *file, const char *group)
{
	char **names = NULL;
	size_t nr = 0;

	if (econf_getKeys(file, group, &nr, &names) != ECONF_SUCCESS)
		return;
	for (size_t i = 0; i < nr; i++)
		read_key(reader, file, group, names[i]);
	econf_freeArray(names);
}

/* Deprecated by later releases of libeconf, in favour of what the first ones do not have. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static econf_err read_dirs(econf_file **file, const char *vendor, const char *admin)
{
	return econf_readDirs(file, vendor, admin, NAME, "conf", "=", "#");
}
#pragma GCC diagnostic pop

int config_read(const char *vendor, const char *admin, struct config *config, config_complaint_f f,
		void *userdata)
{
	struct config found;
	struct reader reader = { &found, f, userdata, 0 };
	econf_file *file = NULL;
	char **groups = NULL;
	size_t nr = 0;
	econf_err r;

	config_defaults(&found);
	r = read_dirs(&file, vendor, admin);
	if (r != ECONF_SUCCESS)
		econf_freeFile(file); /* later releases leave one there */
	if (r == ECONF_NOFILE) {
		*config = found;
		return 0;
	}
	if (r != ECONF_SUCCESS) {
		char *name = NULL, sentence[1024];
		uint64_t line = 0;

		econf_errLocation(&name, &line);
		snprintf(sentence, sizeof(sentence),
			 "%s:%llu: %s; the file is not used, the settings stay as they are",
			 strna(name), (unsigned long long)line, econf_errString(r));
		f(userdata, sentence);
		free(name);
		return r == ECONF_NOMEM ? -ENOMEM : -EBADMSG;
	}
	if (econf_getGroups(file, &nr, &groups) == ECONF_SUCCESS) {
		for (size_t i = 0; i < nr; i++)
			read_group(&reader, file, groups[i]);
		econf_freeArray(groups);
	}
	econf_freeFile(file);
	*config = found;
	return reader.nr_complaints;
}
