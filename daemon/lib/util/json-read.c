// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "util/json-read.h"

/**
 * struct reader - a text that is being read
 * @at: the next character
 * @end: behind the last one
 * @path: of the value that is read
 * @depth: how many objects and lists it is in
 * @f: called for each value
 * @userdata: for @f
 */
struct reader {
	const char *at;
	const char *end;
	char path[JSON_READ_PATH];
	unsigned int depth;
	json_value_f f;
	void *userdata;
};

static int read_value(struct reader *reader);

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

/* Whether @character is next; then it is passed. */
static bool take(struct reader *reader, char character)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != character)
		return false;
	reader->at++;
	return true;
}

static int read_escape(struct reader *reader, char *character)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (reader->at == reader->end)
		return -EBADMSG;
	if (*reader->at == 'u') {
		for (int i = 1; i <= 4; i++)
			if (reader->end - reader->at <= i ||
			    !strchr("0123456789abcdefABCDEF", reader->at[i]) || !reader->at[i])
				return -EBADMSG;
		reader->at += 5;
		*character = '?';
		return 0;
	}
	found = *reader->at ? strchr(from, *reader->at) : NULL;
	if (!found)
		return -EBADMSG;
	*character = to[found - from];
	reader->at++;
	return 0;
}

/* Behind the opening quote. */
static int read_string(struct reader *reader, char *text, size_t nr_text)
{
	size_t length = 0;

	while (reader->at < reader->end) {
		char character = *reader->at++;

		if (character == '"') {
			text[length] = '\0';
			return 0;
		}
		if ((unsigned char)character < 0x20)
			return -EBADMSG;
		if (character == '\\' && read_escape(reader, &character) < 0)
			return -EBADMSG;
		if (length + 1 < nr_text)
			text[length++] = character;
	}
	return -EBADMSG;
}

static int read_member(struct reader *reader, const char *separator)
{
	size_t length = strlen(reader->path);
	char name[128];
	int r;

	if (!take(reader, '"'))
		return -EBADMSG;
	r = read_string(reader, name, sizeof(name));
	if (r < 0 || !take(reader, ':'))
		return -EBADMSG;
	snprintf(reader->path + length, sizeof(reader->path) - length, "%s%s", separator, name);
	r = read_value(reader);
	reader->path[length] = '\0';
	return r;
}

static int read_object(struct reader *reader)
{
	const char *separator = *reader->path ? "." : "";
	int r;

	if (take(reader, '}'))
		return 0;
	do {
		r = read_member(reader, separator);
		if (r < 0)
			return r;
	} while (take(reader, ','));
	return take(reader, '}') ? 0 : -EBADMSG;
}

static int read_list(struct reader *reader)
{
	size_t length = strlen(reader->path);
	unsigned int index = 0;
	int r;

	if (take(reader, ']'))
		return 0;
	do {
		snprintf(reader->path + length, sizeof(reader->path) - length, "[%u]", index++);
		r = read_value(reader);
		reader->path[length] = '\0';
		if (r < 0)
			return r;
	} while (take(reader, ','));
	return take(reader, ']') ? 0 : -EBADMSG;
}

static int read_number(struct reader *reader, struct json_value *value)
{
	char text[64];
	size_t length = 0;
	double number;
	char *end;

	while (reader->at < reader->end && *reader->at && strchr("+-.0123456789eE", *reader->at)) {
		if (length + 1 == sizeof(text))
			return -EBADMSG;
		text[length++] = *reader->at++;
	}
	text[length] = '\0';
	value->kind = JSON_VALUE_NUMBER;
	if (parse_u64(text, &value->number) == 0)
		return 0;
	number = strtod(text, &end);
	if (!length || *end)
		return -EBADMSG;
	value->number = number <= 0 ? 0 : number >= 0x1p64 ? UINT64_MAX : (uint64_t)number;
	return 0;
}

static bool take_word(struct reader *reader, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length))
		return false;
	reader->at += length;
	return true;
}

static int read_leaf(struct reader *reader)
{
	struct json_value value = { .path = reader->path };
	int r = 0;

	if (take_word(reader, "true") || take_word(reader, "false")) {
		value.kind = JSON_VALUE_BOOL;
		value.is_true = reader->at[-2] == 'u';
	} else if (take(reader, '"')) {
		value.kind = JSON_VALUE_STRING;
		r = read_string(reader, value.text, sizeof(value.text));
	} else if (!take_word(reader, "null")) {
		r = read_number(reader, &value);
	}
	if (!r)
		reader->f(reader->userdata, &value);
	return r;
}

static int read_value(struct reader *reader)
{
	int r;

	skip_space(reader);
	if (reader->depth == JSON_READ_DEPTH)
		return -EBADMSG;
	reader->depth++;
	if (take(reader, '{'))
		r = read_object(reader);
	else if (take(reader, '['))
		r = read_list(reader);
	else
		r = read_leaf(reader);
	reader->depth--;
	return r;
}

int json_read(const char *text, size_t nr_bytes, json_value_f f, void *userdata)
{
	struct reader reader = { .at = text, .end = text + nr_bytes, .f = f, .userdata = userdata };
	int r = read_value(&reader);

	skip_space(&reader);
	return r < 0 ? r : reader.at == reader.end ? 0 : -EBADMSG;
}
