// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "alert-text.h"

#define PREFIX "DM_REMAP_"

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && !strchr("\"'\\`$", c);
}

static void make_plain(char *text)
{
	for (; *text; text++)
		if (!is_plain(*text))
			*text = '?';
}

static int keep(struct alert_variables *variables, char *text)
{
	if (!text)
		return -ENOMEM;
	variables->at[variables->nr++] = text;
	return 0;
}

static int add(struct alert_variables *variables, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, PREFIX "%s=%s", name, value) < 0)
		return -ENOMEM;
	make_plain(text);
	return keep(variables, text);
}

static int add_number(struct alert_variables *variables, const char *name, uint64_t value)
{
	char *text;

	return asprintf(&text, PREFIX "%s=%" PRIu64, name, value) < 0 ? -ENOMEM :
									keep(variables, text);
}

static const char *kind_name(enum alert_kind kind)
{
	static const char *const names[] = {
		[ALERT_NEWS] = "news",
		[ALERT_REMINDER] = "reminder",
		[ALERT_OVER] = "over",
		[ALERT_TEST] = "test",
	};

	return names[kind];
}

/* "relocated=3 health=1" */
static void describe_counts(const struct alert *alert, char *text, size_t nr_bytes)
{
	int length = 0;

	*text = '\0';
	for (unsigned int i = 0; i < alert->nr_counts && length < (int)nr_bytes; i++)
		length += snprintf(text + length, nr_bytes - (size_t)length, "%s%s=%" PRIu64,
				   i ? " " : "", alert->count[i].event, alert->count[i].nr);
}

/* The only one with more than one line. */
static int add_text(struct alert_variables *variables, const struct alert *alert)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	fprintf(file, PREFIX "TEXT=");
	for (unsigned int i = 0; i < alert->nr_lines; i++) {
		char line[ALERT_LINE_BYTES];

		snprintf(line, sizeof(line), "%s", alert->line[i].text);
		make_plain(line);
		fprintf(file, "%s%s", i ? "\n" : "", line);
	}
	if (alert->nr > alert->nr_lines)
		fprintf(file, "\n%" PRIu64 " things happened; the journal has them all.",
			alert->nr);
	fclose(file);
	return keep(variables, text);
}

static void print_value(FILE *to, const char *value)
{
	fputc('"', to);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", to);
		else
			fputc(*value, to);
	}
	fputc('"', to);
}

/* All variables before it as an object, so that a web hook needs no program to quote them. */
static int add_json(struct alert_variables *variables)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	fprintf(file, PREFIX "JSON={\"version\": 1");
	for (unsigned int i = 0; i < variables->nr; i++) {
		const char *name = variables->at[i] + strlen(PREFIX),
			   *value = strchr(name, '=') + 1;

		fprintf(file, ", \"");
		for (; *name != '='; name++)
			fputc(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name, file);
		fprintf(file, "\": ");
		if (i < variables->nr_numbers)
			fprintf(file, "%s", value);
		else
			print_value(file, value);
	}
	fprintf(file, "}");
	fclose(file);
	return keep(variables, text);
}

int alert_variables(const struct alert *alert, const char *host, uint64_t time,
		    struct alert_variables *variables)
{
	const char *verdict = alert->has_level ? verdict_name(alert->level) : "unknown";
	char counts[512];
	int r;

	*variables = (struct alert_variables){ .nr = 0 };
	describe_counts(alert, counts, sizeof(counts));
	r = add_number(variables, "PRIORITY", (unsigned int)alert->priority);
	if (!r)
		r = add_number(variables, "TIME", time);
	if (!r)
		r = add_number(variables, "COUNT", alert->nr);
	variables->nr_numbers = variables->nr;
	if (!r)
		r = add(variables, "ALERT", kind_name(alert->kind));
	if (!r)
		r = add(variables, "HOST", host);
	if (!r)
		r = add(variables, "NAME", alert->name);
	if (!r)
		r = add(variables, "UUID", alert->uuid);
	if (!r)
		r = add(variables, "VERDICT", verdict);
	if (!r)
		r = add(variables, "EVENTS", counts);
	if (!r)
		r = add(variables, "MESSAGE", alert->nr_lines ? alert->line[0].text : "");
	if (!r)
		r = add_text(variables, alert);
	if (!r)
		r = add_json(variables);
	if (r < 0)
		alert_variables_done(variables);
	return r;
}

void alert_variables_done(struct alert_variables *variables)
{
	for (unsigned int i = 0; i < variables->nr; i++)
		free(variables->at[i]);
	*variables = (struct alert_variables){ .nr = 0 };
}

bool alert_is_variable(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return !strncmp(text, PREFIX, strlen(PREFIX)) && text[length] == '=';
}
