/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hooks are told, and when.  News about a set is gathered for a moment and sent as one
 * alert; what comes in the while after it is one alert at its end, unless it is more urgent or the
 * verdict is worse than was told.  So a storm is a few alerts, and not one for each sector.  While
 * the verdict on a set is not good it is repeated now and then, and its end is told once.  Pure:
 * the time is handed in.
 *
 * Each set has one place, so the queue is bounded by the number of places; the first one is of
 * news about no set, or about more sets than there are places.
 */
#ifndef DM_REMAP_ALERT_H
#define DM_REMAP_ALERT_H

#include "health/verdict.h"
#include "util/util.h"

#define ALERT_SETS_MAX 65
#define ALERT_LINES_MAX 8
#define ALERT_KINDS_MAX 16
#define ALERT_LINE_BYTES 512
#define ALERT_NAME_BYTES 129
/* What one fault leads to comes within seconds, and is one alert. */
#define ALERT_GATHER_SECONDS 5
#define ALERT_NEVER UINT64_MAX

enum alert_kind {
	ALERT_NEWS,
	ALERT_REMINDER, /* nothing new: the verdict is still not good */
	ALERT_OVER,	/* the verdict is good again */
	ALERT_TEST,
};

/**
 * struct alert_news - one thing that happened
 * @name: of the set; or empty
 * @uuid: of the set; or empty
 * @event: what, as DM_REMAP_EVENT in the journal
 * @message: in a sentence
 * @priority: of syslog: less is more urgent
 */
struct alert_news {
	const char *name;
	const char *uuid;
	const char *event;
	const char *message;
	int priority;
};

/**
 * struct alert_count - how often something happened
 * @event: what
 * @nr: how often
 */
struct alert_count {
	char event[24];
	uint64_t nr;
};

/**
 * struct alert_line - a sentence that is told
 * @text: the sentence
 * @priority: of syslog
 */
struct alert_line {
	char text[ALERT_LINE_BYTES];
	int priority;
};

/**
 * struct alert - what hooks are told at once
 * @kind: why
 * @name: of the set; or empty
 * @uuid: of the set; or empty
 * @has_level: there is a verdict
 * @level: the verdict
 * @priority: the most urgent of all
 * @nr: how many things happened
 * @count: how often which
 * @nr_counts: of how many kinds
 * @line: the most urgent sentences, as they came; the first one is the headline
 * @nr_lines: how many
 */
struct alert {
	enum alert_kind kind;
	char name[ALERT_NAME_BYTES];
	char uuid[UUID_STRING_BYTES];
	bool has_level;
	enum verdict_level level;
	int priority;
	uint64_t nr;
	struct alert_count count[ALERT_KINDS_MAX];
	unsigned int nr_counts;
	struct alert_line line[ALERT_LINES_MAX];
	unsigned int nr_lines;
};

/**
 * struct alert_set - of one set
 * @is_used: this place is taken
 * @next: the alert that is being gathered
 * @first_at: when its first news came, seconds
 * @headline: the last sentence about the verdict in it; or empty
 * @has_level: there is a verdict, and the set is active
 * @level: the verdict
 * @why: its reasons
 * @told_level: the verdict of the last alert
 * @sent_at: when that was, or the verdict first known; 0: there was none
 * @sent_priority: how urgent that was
 */
struct alert_set {
	bool is_used;
	struct alert next;
	uint64_t first_at;
	char headline[ALERT_LINE_BYTES];
	bool has_level;
	enum verdict_level level;
	char why[ALERT_LINE_BYTES];
	enum verdict_level told_level;
	uint64_t sent_at;
	int sent_priority;
};

struct alerts {
	struct alert_set set[ALERT_SETS_MAX];
};

/**
 * struct alert_config - how often
 * @interval_seconds: from one alert of a set to the next one that is neither more urgent nor worse
 * @reminder_seconds: from one alert of a set to the next one without news
 */
struct alert_config {
	unsigned int interval_seconds;
	unsigned int reminder_seconds;
};

/* Whether hooks are to hear of it at all. */
bool alert_wants(const struct alert_news *news);
void alert_add(struct alerts *alerts, const struct alert_news *news, uint64_t now);
/* The verdict on an active set; the first call says what was told before. */
void alert_verdict(struct alerts *alerts, const char *name, const char *uuid,
		   enum verdict_level level, const char *why, uint64_t now);
/* The set is not active any more: there is nothing to remind of. */
void alert_forget(struct alerts *alerts, const char *name);
/* When the next alert is due; ALERT_NEVER: none is. */
uint64_t alert_next(const struct alerts *alerts, const struct alert_config *config);
/* An alert that is due at @now, or (@all) that has news: it is sent from now on. */
bool alert_take(struct alerts *alerts, const struct alert_config *config, uint64_t now, bool all,
		struct alert *alert);

#endif /* DM_REMAP_ALERT_H */
