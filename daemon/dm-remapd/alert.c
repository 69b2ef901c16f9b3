// SPDX-License-Identifier: GPL-2.0-or-later
#include <syslog.h>

#include "alert.h"

static struct alert_set *find(struct alerts *alerts, const char *name)
{
	for (size_t i = 1; i < ALERT_SETS_MAX; i++)
		if (alerts->set[i].is_used && streq(alerts->set[i].next.name, name))
			return &alerts->set[i];
	return NULL;
}

static void name_alert(struct alert *alert, const char *name, const char *uuid)
{
	snprintf(alert->name, sizeof(alert->name), "%s", name);
	if (*uuid)
		snprintf(alert->uuid, sizeof(alert->uuid), "%s", uuid);
}

/* When all places are taken, one of a set that is not active and has no news is used again. */
static bool is_idle(const struct alert_set *set)
{
	return !set->next.nr && !set->has_level;
}

/* The place of the set, also a new one; the first one: there is none for it. */
static struct alert_set *place_of(struct alerts *alerts, const char *name, const char *uuid)
{
	struct alert_set *set = *name ? find(alerts, name) : &alerts->set[0];

	for (size_t i = 1; i < ALERT_SETS_MAX && !set; i++)
		if (!alerts->set[i].is_used)
			set = &alerts->set[i];
	for (size_t i = 1; i < ALERT_SETS_MAX && !set; i++)
		if (is_idle(&alerts->set[i]))
			set = &alerts->set[i];
	if (!set || set == &alerts->set[0])
		return &alerts->set[0];
	if (!set->is_used || !streq(set->next.name, name))
		*set = (struct alert_set){ .is_used = true };
	name_alert(&set->next, name, uuid);
	return set;
}

bool alert_wants(const struct alert_news *news)
{
	/* the end of what was told */
	static const char *const good_news[] = { "health", "there-again", "returned", "came-back" };

	if (streq(news->event, "hook")) /* a hook that fails is not told to hooks */
		return false;
	for (size_t i = 0; i < sizeof(good_news) / sizeof(good_news[0]); i++)
		if (streq(news->event, good_news[i]))
			return true;
	return news->priority <= LOG_WARNING;
}

static void count(struct alert *alert, const char *event)
{
	unsigned int i = 0;

	while (i < alert->nr_counts && !streq(alert->count[i].event, event))
		i++;
	if (i == ALERT_KINDS_MAX)
		i--; /* there are fewer kinds that are wanted */
	if (i == alert->nr_counts)
		snprintf(alert->count[alert->nr_counts++].event, sizeof(alert->count[i].event),
			 "%s", event);
	alert->count[i].nr++;
}

/* Of too many lines one of the least urgent goes, the last of them. */
static void add_line(struct alert *alert, const char *text, int priority)
{
	unsigned int least = 0;

	if (alert->nr_lines == ALERT_LINES_MAX) {
		for (unsigned int i = 0; i < ALERT_LINES_MAX; i++)
			if (alert->line[i].priority >= alert->line[least].priority)
				least = i;
		if (alert->line[least].priority <= priority)
			return;
		memmove(&alert->line[least], &alert->line[least + 1],
			(ALERT_LINES_MAX - 1 - least) * sizeof(alert->line[0]));
		alert->nr_lines--;
	}
	snprintf(alert->line[alert->nr_lines].text, sizeof(alert->line[0].text), "%s", text);
	alert->line[alert->nr_lines++].priority = priority;
}

void alert_add(struct alerts *alerts, const struct alert_news *news, uint64_t now)
{
	struct alert_set *set = place_of(alerts, news->name, news->uuid);
	struct alert *next = &set->next;

	if (!next->nr) {
		set->first_at = now;
		next->priority = news->priority;
	}
	next->nr++;
	if (news->priority < next->priority)
		next->priority = news->priority;
	count(next, *news->event ? news->event : "other");
	/* of the verdict the last word counts, and it comes first */
	if (streq(news->event, "health"))
		snprintf(set->headline, sizeof(set->headline), "%s", news->message);
	else
		add_line(next, news->message, news->priority);
}

void alert_verdict(struct alerts *alerts, const char *name, const char *uuid,
		   enum verdict_level level, const char *why, uint64_t now)
{
	struct alert_set *set = place_of(alerts, name, uuid);

	if (set == &alerts->set[0])
		return; /* more sets than places: no reminders */
	if (!set->has_level) {
		set->told_level = level;
		if (!set->sent_at)
			set->sent_at = now;
		/* nothing was sent: the first news does not wait */
		if (!set->sent_priority)
			set->sent_priority = LOG_DEBUG + 1;
	}
	set->has_level = true;
	set->level = level;
	snprintf(set->why, sizeof(set->why), "%s", why);
}

void alert_forget(struct alerts *alerts, const char *name)
{
	struct alert_set *set = find(alerts, name);

	if (set)
		set->has_level = false;
}

static uint64_t due_at(const struct alert_set *set, const struct alert_config *config)
{
	uint64_t gathered = set->first_at + ALERT_GATHER_SECONDS;
	uint64_t pause = set->sent_at + config->interval_seconds;

	/* what led to a verdict may have been told before it */
	bool is_worse = set->has_level && set->level > set->told_level;

	if (set->next.nr)
		return !set->sent_at || set->next.priority < set->sent_priority || is_worse ||
				       pause < gathered ?
			       gathered :
			       pause;
	if (set->has_level && set->level != VERDICT_GOOD)
		return set->sent_at + config->reminder_seconds;
	return ALERT_NEVER;
}

uint64_t alert_next(const struct alerts *alerts, const struct alert_config *config)
{
	uint64_t next = ALERT_NEVER;

	for (size_t i = 0; i < ALERT_SETS_MAX; i++) {
		uint64_t at = due_at(&alerts->set[i], config);

		next = at < next ? at : next;
	}
	return next;
}

static int priority_of(enum verdict_level level)
{
	return level >= VERDICT_FAILING ? LOG_CRIT :
	       level == VERDICT_WATCH	? LOG_WARNING :
					  LOG_NOTICE;
}

static void remind(const struct alert_set *set, struct alert *alert)
{
	char text[ALERT_LINE_BYTES];

	snprintf(text, sizeof(text), "%s: health is still %s: %.200s: dmremap health %s",
		 alert->name, verdict_name(set->level), set->why, alert->name);
	alert->kind = ALERT_REMINDER;
	alert->priority = priority_of(set->level);
	add_line(alert, text, alert->priority);
}

/* The headline before the others: the last word on the verdict, or the most urgent one. */
static void put_first(struct alert *alert, const char *headline)
{
	struct alert_line first;
	unsigned int at = 0;

	if (*headline) {
		if (alert->nr_lines == ALERT_LINES_MAX)
			alert->nr_lines--;
		at = alert->nr_lines++;
		snprintf(alert->line[at].text, sizeof(alert->line[at].text), "%s", headline);
		alert->line[at].priority = alert->priority;
	} else {
		for (unsigned int i = 1; i < alert->nr_lines; i++)
			if (alert->line[i].priority < alert->line[at].priority)
				at = i;
	}
	first = alert->line[at];
	memmove(&alert->line[1], &alert->line[0], at * sizeof(alert->line[0]));
	alert->line[0] = first;
}

static void send(struct alert_set *set, uint64_t now, struct alert *alert)
{
	*alert = set->next;
	alert->has_level = set->has_level;
	alert->level = set->level;
	if (!alert->nr)
		remind(set, alert);
	else if (set->has_level && set->level == VERDICT_GOOD && set->told_level != VERDICT_GOOD)
		alert->kind = ALERT_OVER;
	put_first(alert, set->headline);
	set->told_level = set->level;
	set->sent_at = now ? now : 1;
	/* what comes after the end is a trouble of its own */
	set->sent_priority = alert->kind == ALERT_OVER ? LOG_DEBUG + 1 : alert->priority;
	set->headline[0] = '\0';
	set->next = (struct alert){ .kind = ALERT_NEWS };
	name_alert(&set->next, alert->name, alert->uuid);
}

bool alert_take(struct alerts *alerts, const struct alert_config *config, uint64_t now, bool all,
		struct alert *alert)
{
	for (size_t i = 0; i < ALERT_SETS_MAX; i++) {
		struct alert_set *set = &alerts->set[i];

		if (due_at(set, config) > now && !(all && set->next.nr))
			continue;
		send(set, now, alert);
		return true;
	}
	return false;
}
