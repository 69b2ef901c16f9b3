// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <time.h>

#include "json.h"
#include "remap_format.h"
#include "util/foreign.h"

/* Length of the UTF-8 character at @at; 0: it is none. */
static unsigned int utf8_length(const unsigned char *at)
{
	unsigned int nr = at[0] < 0x80 ? 1 :
			  at[0] < 0xc2 ? 0 :
			  at[0] < 0xe0 ? 2 :
			  at[0] < 0xf0 ? 3 :
			  at[0] < 0xf5 ? 4 :
					 0;

	for (unsigned int i = 1; i < nr; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* overlong, surrogates, beyond the last one */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return nr;
}

/* Of the UTF-8 at @at, which is valid. */
static uint32_t utf8_character(const unsigned char *at, unsigned int length)
{
	uint32_t character = length == 1 ? *at : *at & (0x7fU >> length);

	for (unsigned int i = 1; i < length; i++)
		character = character << 6 | (at[i] & 0x3f);
	return character;
}

/* Invalid characters become U+FFFD; controls, those of direction as well, are escaped. */
static void print_string(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	putchar('"');
	while (*at) {
		unsigned int nr = utf8_length(at);
		uint32_t character;

		if (!nr) {
			printf("\\ufffd");
			at++;
			continue;
		}
		character = utf8_character(at, nr);
		if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else if (foreign_is_control(character)) /* all are below U+10000 */
			printf("\\u%04x", character);
		else
			fwrite(at, 1, nr, stdout);
		at += nr;
	}
	putchar('"');
}

static void begin_member(struct json *json, const char *name)
{
	if (json->depth) {
		printf("%s", json->has_members[json->depth - 1] ? "," : "");
		if (json->on_one_line)
			printf("%s", json->has_members[json->depth - 1] ? " " : "");
		else
			printf("\n%*s", 3 * (int)json->depth, "");
		json->has_members[json->depth - 1] = true;
	}
	if (!name)
		return;
	print_string(name);
	printf(": ");
}

static void begin(struct json *json, const char *name, char opening, char closing)
{
	begin_member(json, name);
	putchar(opening);
	json->closing[json->depth] = closing;
	json->has_members[json->depth++] = false;
}

void json_begin(struct json *json, const char *name)
{
	bool is_outermost = !json->depth;

	begin(json, name, '{', '}');
	if (is_outermost)
		json_number(json, "version", JSON_VERSION);
}

void json_begin_list(struct json *json, const char *name)
{
	begin(json, name, '[', ']');
}

void json_end(struct json *json)
{
	json->depth--;
	if (json->has_members[json->depth] && !json->on_one_line)
		printf("\n%*s", 3 * (int)json->depth, "");
	putchar(json->closing[json->depth]);
	if (!json->depth)
		putchar('\n');
}

void json_null(struct json *json, const char *name)
{
	begin_member(json, name);
	printf("null");
}

void json_string(struct json *json, const char *name, const char *text)
{
	if (!text || !*text) {
		json_null(json, name);
		return;
	}
	begin_member(json, name);
	print_string(text);
}

void json_number(struct json *json, const char *name, uint64_t number)
{
	begin_member(json, name);
	printf("%" PRIu64, number);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin_member(json, name);
	printf("%s", value ? "true" : "false");
}

void json_time(struct json *json, const char *name, uint64_t seconds)
{
	time_t when = (time_t)seconds;
	char text[40] = "";
	struct tm tm;

	if (seconds && gmtime_r(&when, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_string(json, name, text);
}

void json_sectors(struct json *json, const char *name, uint64_t chunk, uint8_t mask)
{
	bool on_one_line = json->on_one_line;

	json_begin_list(json, name);
	json->on_one_line = true;
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (mask & 1U << i)
			json_number(json, NULL, chunk * REMAP_CHUNK_SECTORS + i);
	json_end(json);
	json->on_one_line = on_one_line;
}
