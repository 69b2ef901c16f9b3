// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/foreign.h"

/* Bytes of the UTF-8 character at @at, and its number; 0: there is none. */
static size_t decode(const uint8_t *at, size_t nr_bytes, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = *at < 0x80	     ? 1 :
			(*at & 0xe0) == 0xc0 ? 2 :
			(*at & 0xf0) == 0xe0 ? 3 :
			(*at & 0xf8) == 0xf0 ? 4 :
					       0;

	if (!length || length > nr_bytes)
		return 0;
	*character = length == 1 ? *at : *at & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (at[i] & 0x3f);
	}
	if (*character < least[length] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return length;
}

/* Line and paragraph separators count, too: a sentence is one line. */
bool foreign_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character <= 0x9f) || character == 0x61c ||
	       character == 0x200e || character == 0x200f ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069) || character == 0xfeff;
}

void foreign_escape(const void *bytes, size_t nr_bytes, char *to, size_t nr_to)
{
	const uint8_t *at = bytes, *end = at + strnlen(bytes, nr_bytes);
	size_t used = 0;

	while (at < end) {
		uint32_t character;
		size_t length = decode(at, (size_t)(end - at), &character);

		if (length && !foreign_is_control(character)) {
			if (used + length >= nr_to)
				break;
			memcpy(to + used, at, length);
			used += length;
			at += length;
			continue;
		}
		if (used + 4 >= nr_to)
			break;
		snprintf(to + used, 5, "\\x%02x", *at++);
		used += 4;
	}
	to[used] = '\0';
}

struct foreign_text foreign_text(const void *bytes, size_t nr_bytes)
{
	struct foreign_text result;

	foreign_escape(bytes, nr_bytes, result.text, sizeof(result.text));
	return result;
}

bool foreign_is_plain(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_.:-";

	return *text && !text[strspn(text, plain)];
}
