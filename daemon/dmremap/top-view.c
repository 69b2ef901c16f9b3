// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdarg.h>

#include "top-view.h"

#define LINE_BYTES 512
#define BAR_COLUMNS 40
/* Beside the lines of sets: two above, and what one set takes. */
#define HEAD_LINES 2
#define DETAIL_LINES (IO_STATS_BINS + 2)

/**
 * struct printer - lines, as long as there is room
 * @to: where to
 * @end: of a line
 * @columns: of a line; 0: no limit
 * @left: lines that there is room for
 */
struct printer {
	FILE *to;
	const char *end;
	unsigned int columns;
	unsigned int left;
};

static void print_line(struct printer *printer, const char *format, ...) _printf_(2, 3);

static void print_line(struct printer *printer, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;

	if (!printer->left)
		return;
	printer->left--;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (printer->columns && printer->columns < sizeof(line))
		line[printer->columns] = '\0';
	fprintf(printer->to, "%s%s", line, printer->end);
}

static uint64_t risen(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

struct io_counts io_counts_since(const struct io_counts *before, const struct io_counts *now)
{
	struct io_counts since = {
		.reads = risen(before->reads, now->reads),
		.writes = risen(before->writes, now->writes),
		.read_sectors = risen(before->read_sectors, now->read_sectors),
		.write_sectors = risen(before->write_sectors, now->write_sectors),
		.read_ns = risen(before->read_ns, now->read_ns),
		.write_ns = risen(before->write_ns, now->write_ns),
	};

	for (unsigned int i = 0; i < IO_STATS_BINS; i++)
		since.bin[i] = risen(before->bin[i], now->bin[i]);
	return since;
}

/* "1.5 ms" of each; "-": there was none. */
static void format_latency(uint64_t ns, uint64_t nr, char *text, size_t nr_bytes)
{
	if (nr)
		snprintf(text, nr_bytes, "%.1f", (double)ns / (double)nr / 1e6);
	else
		snprintf(text, nr_bytes, "-");
}

static void print_set(struct printer *printer, const struct top_screen *screen,
		      const struct top_set *set, bool is_selected)
{
	char read_size[16], write_size[16], read_ms[16], write_ms[16];
	double seconds = screen->seconds > 0 ? screen->seconds : 1;
	const struct io_counts *io = &set->io;

	format_size((uint64_t)((double)(io->read_sectors * 512) / seconds), read_size,
		    sizeof(read_size));
	format_size((uint64_t)((double)(io->write_sectors * 512) / seconds), write_size,
		    sizeof(write_size));
	format_latency(io->read_ns, io->reads, read_ms, sizeof(read_ms));
	format_latency(io->write_ns, io->writes, write_ms, sizeof(write_ms));
	print_line(printer,
		   "%c%-16s %-8s %-10s %7.0f %7.0f %9s %9s %7s %7s %6.1f %6" PRIu64 " %6" PRIu64,
		   is_selected ? '>' : ' ', set->name, set->verdict, set->mode,
		   (double)io->reads / seconds, (double)io->writes / seconds, read_size, write_size,
		   read_ms, write_ms,
		   set->total ? (double)set->used * 100 / (double)set->total : 0.0, set->lost,
		   set->nr_errors);
}

static const char *const bin_names[IO_STATS_BINS] = {
	"< 0.1 ms", "< 0.5 ms", "< 2 ms", "< 10 ms", "< 50 ms", "< 200 ms", "< 1 s", "1 s, more"
};

static void print_latencies(struct printer *printer, const struct top_set *set)
{
	uint64_t most = 1;
	char bar[BAR_COLUMNS + 1];

	for (unsigned int i = 0; i < IO_STATS_BINS; i++)
		if (set->io.bin[i] > most)
			most = set->io.bin[i];
	print_line(printer, "%s", "");
	print_line(printer, "%s: how long I/O took", set->name);
	for (unsigned int i = 0; i < IO_STATS_BINS; i++) {
		uint64_t nr = set->io.bin[i];
		/* one that was slow is seen beside a million */
		unsigned int length = (unsigned int)((double)nr * BAR_COLUMNS / (double)most);

		length = nr && !length ? 1 : length;
		memset(bar, '#', length);
		bar[length] = '\0';
		print_line(printer, "%10s %10" PRIu64 " %s", bin_names[i], nr, bar);
	}
}

/* The selected one is among them. */
static size_t first_shown(const struct top_screen *screen, size_t room)
{
	if (screen->nr_sets <= room || screen->selected < room)
		return 0;
	return screen->selected - room + 1;
}

void top_view(FILE *to, const struct top_screen *screen, const char *end)
{
	struct printer printer = { to, end, screen->columns,
				   screen->lines ? screen->lines : 10000 };
	unsigned int other = HEAD_LINES + (screen->nr_sets ? DETAIL_LINES : 0);
	size_t room = printer.left > other + 1 ? printer.left - other : 1, first;

	first = first_shown(screen, room);
	print_line(&printer, "dm-remap: %zu active set%s, in the last %.1f s%s", screen->nr_sets,
		   plural(screen->nr_sets), screen->seconds,
		   screen->keys ? "     q: quit  up, down: choose a set" : "");
	print_line(&printer, " %-16s %-8s %-10s %7s %7s %9s %9s %7s %7s %6s %6s %6s", "NAME",
		   "VERDICT", "MODE", "READ/S", "WRITE/S", "BYTES R/S", "BYTES W/S", "R MS", "W MS",
		   "SPARE%", "LOST", "ERRORS");
	for (size_t i = first; i < screen->nr_sets && i < first + room; i++)
		print_set(&printer, screen, &screen->set[i], screen->keys && i == screen->selected);
	if (screen->selected < screen->nr_sets)
		print_latencies(&printer, &screen->set[screen->selected]);
	if (screen->nr_events && printer.left > 1)
		print_line(&printer, "%s", "");
	for (unsigned int i = screen->nr_events > printer.left ? screen->nr_events - printer.left :
								 0;
	     i < screen->nr_events; i++)
		print_line(&printer, "%s", screen->event[i]);
}
