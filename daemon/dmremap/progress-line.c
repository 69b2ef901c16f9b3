// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "progress-line.h"

#define SILENT_SECONDS 2
#define LINE_SECONDS 60
#define BAR_CELLS 30
#define WATCH_MS 1000

static time_t now(void)
{
	struct timespec time = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec;
}

void format_time_left(time_t seconds, char *text, size_t nr_bytes)
{
	if (seconds >= 7200)
		snprintf(text, nr_bytes, "%ld h", (long)seconds / 3600);
	else if (seconds >= 120)
		snprintf(text, nr_bytes, "%ld min", (long)seconds / 60);
	else
		snprintf(text, nr_bytes, "%ld s", (long)seconds);
}

/* Nothing is counted, or not yet. */
static void show_time(const struct progress_line *line, time_t spent)
{
	char text[32];

	format_time_left(spent, text, sizeof(text));
	if (line->on_terminal)
		fprintf(stderr, "\r%s, %s so far%*s", line->what, text, BAR_CELLS, "");
	else
		fprintf(stderr, "dmremap: %s: %s so far\n", line->what, text);
}

static void show_steps(const struct progress_line *line, time_t spent)
{
	static const char full[] = "##############################";
	uint64_t done = line->progress.done, total = line->progress.total;
	char left[32];
	int cells;

	format_time_left((time_t)((double)spent * (double)(total - done) / (double)done) + 1, left,
			 sizeof(left));
	cells = (int)(done * BAR_CELLS / total);
	if (line->on_terminal)
		fprintf(stderr, "\r%s [%.*s%*s] %3d %%, %s left  ", line->what, cells, full,
			BAR_CELLS - cells, "", (int)(done * 100 / total), left);
	else
		fprintf(stderr, "dmremap: %s: %" PRIu64 " of %" PRIu64 ", %s left\n", line->what,
			done, total, left);
}

static void show(struct progress *progress)
{
	struct progress_line *line = (struct progress_line *)progress;
	time_t at = now(), spent = at - line->started;

	if (!line->what || spent < SILENT_SECONDS || progress->done > progress->total)
		return;
	pthread_mutex_lock(&line->lock);
	/* the first line elsewhere comes after a minute, too: what is short is not shown */
	if (at >= line->told + (line->on_terminal ? 1 : LINE_SECONDS) &&
	    (line->on_terminal || spent >= LINE_SECONDS)) {
		line->told = at;
		if (progress->done)
			show_steps(line, spent);
		else
			show_time(line, spent);
	}
	pthread_mutex_unlock(&line->lock);
}

void progress_begin(struct progress_line *line, const struct invocation *invocation,
		    const char *what, uint64_t total)
{
	*line = (struct progress_line){
		.progress = { .show = show, .total = total },
		.what = invocation->quiet || invocation->json ? NULL : what,
		.started = now(),
		.on_terminal = isatty(STDERR_FILENO),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
}

static void *watch(void *userdata)
{
	struct progress_line *line = userdata;
	struct pollfd stop = { .fd = line->stop, .events = POLLIN };

	while (poll(&stop, 1, WATCH_MS) == 0)
		show(&line->progress);
	return NULL;
}

void progress_watch(struct progress_line *line)
{
	if (!line->what)
		return;
	line->stop = eventfd(0, EFD_CLOEXEC);
	line->watched = line->stop >= 0 && pthread_create(&line->thread, NULL, watch, line) == 0;
	if (!line->watched)
		close_p(&line->stop);
}

void progress_end(struct progress_line *line)
{
	if (line->watched) {
		eventfd_write(line->stop, 1);
		pthread_join(line->thread, NULL);
		close_p(&line->stop);
		line->watched = false;
	}
	if (line->told && line->on_terminal)
		fprintf(stderr, "\r%*s\r", (int)strlen(line->what) + BAR_CELLS + 24, "");
	line->told = 0;
}
