// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "health/plot.h"
#include "health/svg.h"

#define SVG_WIDTH 720
#define SVG_HEIGHT 300
#define SVG_LEFT 60
#define SVG_RIGHT 700
#define SVG_TOP 40
#define SVG_BOTTOM 260

static uint64_t taken(const struct history_point *point)
{
	return point->used + point->bad;
}

/* How many slots were taken at @when: as at the last point before it. */
static uint64_t taken_at(const struct history *history, uint64_t when)
{
	uint64_t nr = taken(&history->at[0]);

	for (size_t i = 0; i < history->nr && history->at[i].at <= when; i++)
		nr = taken(&history->at[i]);
	return nr;
}

static uint64_t most_taken(const struct history *history)
{
	uint64_t most = 1;

	for (size_t i = 0; i < history->nr; i++)
		if (taken(&history->at[i]) > most)
			most = taken(&history->at[i]);
	return most;
}

static bool has_span(const struct history *history)
{
	return history->nr >= 2 && history->at[history->nr - 1].at > history->at[0].at;
}

void plot_text(FILE *to, const struct history *history)
{
	struct date first_day, last_day;
	uint64_t most, first, span;

	if (!has_span(history)) {
		fprintf(to, "There are too few points to draw.\n");
		return;
	}
	most = most_taken(history);
	first = history->at[0].at;
	span = history->at[history->nr - 1].at - first;
	first_day = date_of(first);
	last_day = date_of(first + span);
	for (unsigned int row = PLOT_ROWS; row; row--) {
		if (row == PLOT_ROWS || row == 1)
			fprintf(to, "%10" PRIu64 " |", row == 1 ? 0 : most);
		else
			fprintf(to, "%10s |", "");
		for (unsigned int column = 0; column < PLOT_COLUMNS; column++) {
			uint64_t nr = taken_at(history, first + span * column / (PLOT_COLUMNS - 1));

			fputc(nr * PLOT_ROWS >= most * (row - 1) + 1 ? '#' : ' ', to);
		}
		fputc('\n', to);
	}
	fprintf(to, "%10s +", "slots");
	for (unsigned int column = 0; column < PLOT_COLUMNS; column++)
		fputc('-', to);
	fprintf(to, "\n%12s%s%*s\n", "", first_day.text, PLOT_COLUMNS - (int)strlen(first_day.text),
		last_day.text);
}

/**
 * struct frame - what the picture shows
 * @from: time at its left edge
 * @until: at its right edge
 * @most: slots at its upper edge
 */
struct frame {
	uint64_t from;
	uint64_t until;
	uint64_t most;
};

static double x_of(const struct frame *frame, uint64_t at)
{
	double part = at >= frame->until ?
			      1 :
			      (double)(at - frame->from) / (double)(frame->until - frame->from);

	return SVG_LEFT + part * (SVG_RIGHT - SVG_LEFT);
}

static double y_of(const struct frame *frame, uint64_t nr)
{
	return SVG_BOTTOM - (double)nr / (double)frame->most * (SVG_BOTTOM - SVG_TOP);
}

/* A step stays until the next one: slots are taken at once. */
static void draw_steps(FILE *to, const struct frame *frame, const struct history *history)
{
	fprintf(to, "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" points=\"");
	for (size_t i = 0; i < history->nr; i++) {
		const struct history_point *point = &history->at[i];

		if (i)
			fprintf(to, "%.1f,%.1f ", x_of(frame, point->at),
				y_of(frame, taken(point - 1)));
		fprintf(to, "%.1f,%.1f ", x_of(frame, point->at), y_of(frame, taken(point)));
	}
	fprintf(to, "\"/>\n");
}

static void draw_forecast(FILE *to, const struct frame *frame, const struct history_point *last,
			  const struct forecast *forecast)
{
	double x = x_of(frame, last->at), y = y_of(frame, taken(last));
	double full = y_of(frame, last->total);
	uint64_t late = forecast->late ? forecast->late : frame->until;

	fprintf(to,
		"<polygon fill=\"#c0392b\" fill-opacity=\"0.15\" points=\"%.1f,%.1f %.1f,%.1f "
		"%.1f,%.1f\"/>\n",
		x, y, x_of(frame, forecast->early), full, x_of(frame, late), full);
	fprintf(to,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#c0392b\" "
		"stroke-dasharray=\"6 4\"/>\n",
		x, y, x_of(frame, forecast->at), full);
}

static void draw_axes(FILE *to, const struct frame *frame)
{
	char text[32];

	fprintf(to, "<path d=\"M%d %d V%d H%d\" fill=\"none\" stroke=\"#444\"/>\n", SVG_LEFT,
		SVG_TOP, SVG_BOTTOM, SVG_RIGHT);
	snprintf(text, sizeof(text), "%" PRIu64, frame->most);
	svg_text(to, SVG_LEFT - 6, SVG_TOP + 4, "end", text);
	svg_text(to, SVG_LEFT - 6, SVG_BOTTOM, "end", "0");
	svg_text(to, SVG_LEFT, SVG_BOTTOM + 20, "start", date_of(frame->from).text);
	svg_text(to, SVG_RIGHT, SVG_BOTTOM + 20, "end", date_of(frame->until).text);
}

void plot_svg(FILE *to, const char *title, const struct history *history,
	      const struct forecast *forecast)
{
	const struct history_point *last = history->nr ? &history->at[history->nr - 1] : NULL;
	bool has_forecast = last && forecast->kind == FORECAST_RATE && last->total > taken(last);
	struct frame frame;

	svg_begin(to, SVG_WIDTH, SVG_HEIGHT);
	svg_text(to, SVG_LEFT, 22, "start", title);
	if (!has_span(history)) {
		svg_text(to, SVG_LEFT, 60, "start", "There are too few points to draw.");
		svg_end(to);
		return;
	}
	frame = (struct frame){ history->at[0].at, last->at, most_taken(history) };
	if (has_forecast) {
		frame.until =
			forecast->late ? forecast->late : forecast->at + (forecast->at - last->at);
		frame.most = last->total;
	}
	draw_axes(to, &frame);
	draw_steps(to, &frame, history);
	if (has_forecast)
		draw_forecast(to, &frame, last, forecast);
	svg_end(to);
}
