/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The use of a spare over time, drawn with characters and as SVG.  Pure, but for the file that it
 * writes to.
 */
#ifndef DM_REMAP_PLOT_H
#define DM_REMAP_PLOT_H

#include "health/growth.h"

#define PLOT_COLUMNS 64
#define PLOT_ROWS 12

/* With less than two points, or all at one time, it says so instead. */
void plot_text(FILE *to, const struct history *history);
/* With the size of the spare and the forecast, if there is one; @title: of anything. */
void plot_svg(FILE *to, const char *title, const struct history *history,
	      const struct forecast *forecast);

#endif /* DM_REMAP_PLOT_H */
