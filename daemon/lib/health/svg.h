/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pictures in SVG have in common. */
#ifndef DM_REMAP_SVG_H
#define DM_REMAP_SVG_H

#include <stdio.h>

void svg_begin(FILE *to, unsigned int width, unsigned int height);
/* Any bytes as the content of an element. */
void svg_escape(FILE *to, const char *text);
/* @anchor: "start", "middle" or "end" */
void svg_text(FILE *to, double x, double y, const char *anchor, const char *text);
void svg_end(FILE *to);

#endif /* DM_REMAP_SVG_H */
