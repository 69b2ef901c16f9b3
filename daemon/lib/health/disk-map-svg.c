// SPDX-License-Identifier: GPL-2.0-or-later
/* Each cell that is not empty is a square, whose title says which units, and what is in them. */
#include <inttypes.h>

#include "health/disk-map.h"
#include "health/svg.h"

#define CELL 10
#define LEFT 20
#define TOP 36
#define GAP 40
#define LEGEND 50
#define LEGEND_WIDTH 960

static unsigned int lines_of(const struct disk_map_strip *strip, unsigned int columns)
{
	return (strip->nr_cells + columns - 1) / columns;
}

static const char *colour_of(enum disk_map_mark mark, unsigned int density)
{
	static const char *const used[DISK_MAP_DENSITIES] = { "#f7d794", "#f3a683", "#e66a2c",
							      "#a84300" };

	switch (mark) {
	case MARK_WORST:
		return "#c0392b";
	case MARK_SUSPICIOUS:
		return "#8e44ad";
	case MARK_USED:
		return used[density];
	case MARK_OWN:
		return "#1f5fa8";
	case MARK_SCRUBBED:
		return "#c8e6c9";
	case MARK_NONE:
		break;
	}
	return "#eeeeee";
}

static void draw_cell(FILE *to, const struct disk_map_strip *strip, unsigned int columns,
		      unsigned int i, unsigned int top)
{
	const struct disk_map_cell *cell = &strip->cell[i];
	bool is_main = strip->unit_bytes == 512;
	unsigned int density;
	enum disk_map_mark mark = disk_map_mark(strip, i, &density);

	if (mark == MARK_NONE || mark == MARK_SCRUBBED)
		return;
	fprintf(to,
		"<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"><title>%s %" PRIu64
		" to %" PRIu64 ": ",
		LEFT + i % columns * CELL, top + i / columns * CELL, CELL - 1, CELL - 1,
		colour_of(mark, density), is_main ? "sectors" : "slots", disk_map_first(strip, i),
		disk_map_first(strip, i + 1) - 1);
	if (is_main)
		fprintf(to, "%" PRIu64 " remapped, %" PRIu64 " lost, %" PRIu64 " of dm-remap",
			cell->used, cell->worst, cell->own);
	else
		fprintf(to, "%" PRIu64 " used, %" PRIu64 " bad", cell->used, cell->worst);
	if (cell->suspicious)
		fprintf(to, ", %" PRIu64 " suspicious sector%s", cell->suspicious,
			plural(cell->suspicious));
	fprintf(to, "</title></rect>\n");
}

/* Neighbours in a line are one rectangle: a disk that is well is a small file. */
static void draw_scrubbed(FILE *to, const struct disk_map_strip *strip, unsigned int columns,
			  unsigned int top)
{
	unsigned int density;

	for (unsigned int i = 0, end; i < strip->nr_cells; i = end) {
		for (end = i; end < strip->nr_cells && end / columns == i / columns &&
			      disk_map_mark(strip, end, &density) == MARK_SCRUBBED;)
			end++;
		if (end == i) {
			end++;
			continue;
		}
		fprintf(to, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%d\" fill=\"%s\"/>\n",
			LEFT + i % columns * CELL, top + i / columns * CELL, (end - i) * CELL, CELL,
			colour_of(MARK_SCRUBBED, 0));
	}
}

/* Whole lines and the rest of the last one as background: an empty disk is a small file. */
static void draw_strip(FILE *to, const struct disk_map_strip *strip, unsigned int columns,
		       unsigned int top)
{
	unsigned int full = strip->nr_cells / columns, rest = strip->nr_cells % columns;

	if (full)
		fprintf(to,
			"<rect x=\"%d\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"#eeeeee\"/>\n",
			LEFT, top, columns * CELL, full * CELL);
	if (rest)
		fprintf(to,
			"<rect x=\"%d\" y=\"%u\" width=\"%u\" height=\"%d\" fill=\"#eeeeee\"/>\n",
			LEFT, top + full * CELL, rest * CELL, CELL);
	draw_scrubbed(to, strip, columns, top);
	for (unsigned int i = 0; i < strip->nr_cells; i++)
		draw_cell(to, strip, columns, i, top);
}

static void draw_legend(FILE *to, unsigned int top)
{
	static const struct {
		enum disk_map_mark mark;
		unsigned int density;
		const char *text;
	} items[] = {
		{ MARK_NONE, 0, "nothing" },
		{ MARK_USED, 0, "to 1/64 remapped" },
		{ MARK_USED, 1, "to 1/8" },
		{ MARK_USED, 2, "to 1/2" },
		{ MARK_USED, 3, "more" },
		{ MARK_WORST, 0, "lost, or a bad slot" },
		{ MARK_OWN, 0, "moved for itself" },
		{ MARK_SUSPICIOUS, 0, "suspicious" },
		{ MARK_SCRUBBED, 0, "scrubbed" },
	};
	unsigned int x = LEFT;

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		fprintf(to, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", x,
			top, CELL - 1, CELL - 1, colour_of(items[i].mark, items[i].density));
		svg_text(to, x + CELL + 4, top + CELL - 1, "start", items[i].text);
		x += 30 + 7 * (unsigned int)strlen(items[i].text);
	}
}

void disk_map_svg(FILE *to, const char *name, const struct disk_map *map)
{
	unsigned int main_height = lines_of(&map->main, map->columns) * CELL;
	unsigned int spare_top = TOP + main_height + GAP;
	unsigned int legend_top = spare_top + lines_of(&map->spare, map->columns) * CELL + 20;
	unsigned int width = 2 * LEFT + map->columns * CELL;
	char text[320], size[16];

	svg_begin(to, width < LEGEND_WIDTH ? LEGEND_WIDTH : width, legend_top + LEGEND);
	format_size(map->main.nr_units * map->main.unit_bytes, size, sizeof(size));
	snprintf(text, sizeof(text), "%.128s: %s, %" PRIu64 " sector%s remapped, %" PRIu64 " lost",
		 name, size, map->main.total.used, plural(map->main.total.used),
		 map->main.total.worst);
	svg_text(to, LEFT, 22, "start", text);
	draw_strip(to, &map->main, map->columns, TOP);
	snprintf(text, sizeof(text),
		 "spare: %" PRIu64 " of %" PRIu64 " slots used, %" PRIu64 " bad",
		 map->spare.total.used, map->spare.nr_units, map->spare.total.worst);
	svg_text(to, LEFT, spare_top - 12, "start", text);
	draw_strip(to, &map->spare, map->columns, spare_top);
	draw_legend(to, legend_top);
	svg_end(to);
}
