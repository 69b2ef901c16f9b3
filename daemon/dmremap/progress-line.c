// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "progress-line.h"

#define SILENT_SECONDS 2
#define LINE_SECONDS 60
#define BAR_CELLS 30

static time_t now(void)
{
	struct timespec time = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec;
}

static void format_left(time_t seconds, char *text, size_t nr_bytes)
{
	if (seconds >= 7200)
		snprintf(text, nr_bytes, "%ld h", (long)seconds / 3600);
	else if (seconds >= 120)
		snprintf(text, nr_bytes, "%ld min", (long)seconds / 60);
	else
		snprintf(text, nr_bytes, "%ld s", (long)seconds);
}

static void show(struct progress *progress)
{
	static const char full[] = "##############################";
	struct progress_line *line = (struct progress_line *)progress;
	time_t at = now(), spent = at - line->started;
	uint64_t done = progress->done, total = progress->total;
	char left[32];
	int cells;

	if (!line->what || spent < SILENT_SECONDS || !total || !done || done > total ||
	    at < line->told + (line->on_terminal ? 1 : LINE_SECONDS))
		return;
	/* the first line elsewhere comes after a minute, too: what is short is not told */
	if (!line->on_terminal && spent < LINE_SECONDS)
		return;
	line->told = at;
	format_left((time_t)((double)spent * (double)(total - done) / (double)done) + 1, left,
		    sizeof(left));
	cells = (int)(done * BAR_CELLS / total);
	if (line->on_terminal)
		fprintf(stderr, "\r%s [%.*s%*s] %3d %%, %s left  ", line->what, cells, full,
			BAR_CELLS - cells, "", (int)(done * 100 / total), left);
	else
		fprintf(stderr, "dmremap: %s: %" PRIu64 " of %" PRIu64 ", %s left\n", line->what,
			done, total, left);
}

void progress_begin(struct progress_line *line, const struct invocation *invocation,
		    const char *what, uint64_t total)
{
	*line = (struct progress_line){
		.progress = { .show = show, .total = total },
		.what = invocation->quiet || invocation->json ? NULL : what,
		.started = now(),
		.on_terminal = isatty(STDERR_FILENO),
	};
}

void progress_end(struct progress_line *line)
{
	if (line->told && line->on_terminal)
		fprintf(stderr, "\r%*s\r", (int)strlen(line->what) + BAR_CELLS + 24, "");
	line->told = 0;
}
