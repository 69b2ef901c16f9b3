// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/svg.h"

void svg_begin(FILE *to, unsigned int width, unsigned int height)
{
	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		width, height);
}

void svg_escape(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", to);
		else if (*text == '>')
			fputs("&gt;", to);
		else if (*text == '&')
			fputs("&amp;", to);
		else if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			fputc('?', to);
		else
			fputc(*text, to);
	}
}

void svg_text(FILE *to, double x, double y, const char *anchor, const char *text)
{
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	svg_escape(to, text);
	fprintf(to, "</text>\n");
}

void svg_end(FILE *to)
{
	fprintf(to, "</svg>\n");
}
