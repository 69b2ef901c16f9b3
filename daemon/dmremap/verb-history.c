// SPDX-License-Identifier: GPL-2.0-or-later
/* history: what dm-remapd has recorded of a set, what came in which time, and the forecast. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "health.h"
#include "health/plot.h"
#include "json.h"
#include "output.h"
#include "util/foreign.h"
#include "verbs.h"

const struct verb_option options_history[] = {
	{ "plot", NULL, "draw the use of the spare over time" },
	{ "svg", "FILE", "the same as an SVG image" },
	{ NULL },
};

static const char *const span_names[NR_SPANS] = { "day", "week", "month" };

void json_forecast(struct json *json, const struct forecast *forecast)
{
	char text[200];
	bool has_date = forecast->kind == FORECAST_RATE;

	forecast_describe(forecast, text, sizeof(text));
	json_begin(json, "forecast");
	json_time(json, "full", has_date ? forecast->at : 0);
	json_time(json, "early", has_date ? forecast->early : 0);
	json_time(json, "late", has_date ? forecast->late : 0);
	json_string(json, "text", text);
	json_end(json);
}

static void add_counts(struct json *json, const char *name, const struct growth_counts *counts)
{
	json_begin(json, name);
	json_number(json, "relocations", counts->relocations);
	json_number(json, "slots", counts->slots);
	json_number(json, "lost_sectors", counts->lost);
	json_number(json, "main_errors", counts->main_errors);
	json_number(json, "spare_errors", counts->spare_errors);
	json_number(json, "flush_errors", counts->flush_errors);
	json_end(json);
}

static void add_point(struct json *json, const struct history_point *point)
{
	json_begin(json, NULL);
	json_time(json, "time", point->at);
	json_string(json, "verdict", verdict_name((enum verdict_level)point->verdict));
	json_number(json, "used_slots", point->used);
	json_number(json, "total_slots", point->total);
	json_number(json, "bad_slots", point->bad);
	json_number(json, "lost_sectors", point->lost);
	json_number(json, "read_errors", point->read_errors);
	json_number(json, "write_errors", point->write_errors);
	json_number(json, "spare_errors", point->spare_errors);
	json_number(json, "flush_errors", point->flush_errors);
	json_number(json, "relocations", point->relocations);
	json_number(json, "rejected", point->rejected);
	json_end(json);
}

static void print_json(const struct dm_device *device, const struct history *history,
		       const struct report *report)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", device->name);
	json_string(&json, "uuid", uuid_of_device(device));
	json_time(&json, "since", report->growth.since);
	json_begin(&json, "growth");
	for (int span = 0; span < NR_SPANS; span++)
		add_counts(&json, span_names[span], &report->growth.span[span]);
	json_end(&json);
	json_forecast(&json, &report->forecast);
	json_begin_list(&json, "points");
	for (size_t i = 0; i < history->nr; i++)
		add_point(&json, &history->at[i]);
	json_end(&json);
	json_end(&json);
}

static int print_table(const struct report *report)
{
	static const struct column columns[] = {
		{ "IN THE LAST", false }, { "REMAPS", true },	   { "SLOTS", true },
		{ "LOST", true },	  { "MAIN ERRORS", true }, { "SPARE ERRORS", true },
		{ "FLUSH ERRORS", true }, { NULL, false },
	};
	_cleanup_output_ struct output *output = NULL;
	int r = output_open(&output, columns);

	for (int span = 0; !r && span < NR_SPANS; span++) {
		const struct growth_counts *counts = &report->growth.span[span];

		r = output_line(output);
		if (r < 0)
			break;
		output_text(output, span_names[span]);
		output_number(output, counts->relocations);
		output_number(output, counts->slots);
		output_number(output, counts->lost);
		output_number(output, counts->main_errors);
		output_number(output, counts->spare_errors);
		output_number(output, counts->flush_errors);
	}
	return r ? r : output_print(output);
}

static int print_history(const struct dm_device *device, const struct history *history,
			 const struct report *report)
{
	char text[200];
	int r;

	if (!history->nr) {
		printf("%s: there is no history; dm-remapd keeps one while it runs\n",
		       foreign_text(device->name, sizeof(device->name)).text);
		return 0;
	}
	printf("%s: %zu point%s since %s\n", foreign_text(device->name, sizeof(device->name)).text,
	       history->nr, plural(history->nr), date_of(report->growth.since).text);
	r = print_table(report);
	forecast_describe(&report->forecast, text, sizeof(text));
	printf("forecast: %s\n", text);
	return r;
}

static int write_svg(const char *path, const struct dm_device *device,
		     const struct history *history, const struct forecast *forecast,
		     struct error *error)
{
	_cleanup_free_ char *text = NULL;
	char title[200];
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (!file)
		return -ENOMEM;
	snprintf(title, sizeof(title), "%.120s: slots of the spare in use", device->name);
	plot_svg(file, title, history, forecast);
	if (fclose(file) == EOF)
		return -ENOMEM;
	return output_to_file(path, text, nr_bytes, error);
}

int verb_history(struct invocation *invocation, struct error *error)
{
	_cleanup_history_ struct history history = { NULL, 0 };
	const char *svg = option_value(invocation, "svg");
	struct witness witness = { 0 };
	struct dm_device device;
	struct report report;
	int r = find_device(invocation->argv[0], &device, error);

	if (!r)
		r = history_of_device(&device, &history, error);
	if (r < 0)
		return r;
	report_with(&device, &history, &witness, &report);
	if (svg)
		r = write_svg(svg, &device, &history, &report.forecast, error);
	if (r < 0)
		return r;
	if (option_value(invocation, "plot") && !invocation->json)
		plot_text(stdout, &history);
	else if (invocation->json)
		print_json(&device, &history, &report);
	else if (!svg || !invocation->quiet)
		r = print_history(&device, &history, &report);
	return r;
}
