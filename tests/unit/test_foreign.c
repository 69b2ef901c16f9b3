// SPDX-License-Identifier: GPL-2.0-or-later
/* The border for foreign bytes, and questions to disks that may not answer. */
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "set/ask.h"
#include "unit.h"
#include "util/foreign.h"

static void as_text(void **unused)
{
	static const struct {
		const char *bytes;
		const char *text;
	} cases[] = {
		{ "data", "data" },
		{ "", "" },
		{ "a\nb\r\t", "a\\x0ab\\x0d\\x09" },
		{ "\x1b[1m", "\\x1b[1m" },
		{ "\x7f", "\\x7f" },
		{ "\x9b"
		  "31m",
		  "\\x9b31m" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" }, /* UTF-8 */
		{ "\xe6\x97\xa5\xf0\x9f\x90\x98", "\xe6\x97\xa5\xf0\x9f\x90\x98" },
		{ "\xc2\x9b", "\\xc2\\x9b" },	       /* U+009B */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* right to left */
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, /* a line's end */
		{ "\xc0\xaf", "\\xc0\\xaf" },	       /* too long for "/" */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "a\xc3", "a\\xc3" }, /* cut */
		{ "\\x1b\"'$`%n", "\\x1b\"'$`%n" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(foreign_text(cases[i].bytes, strlen(cases[i].bytes)).text,
				    cases[i].text);
	assert_string_equal(foreign_text("forty bytes", 5).text, "forty"); /* no NUL needed */
	assert_string_equal(foreign_text("ab\0cd", 5).text, "ab");
}

/* Whatever comes in: printable, the same when it comes in again, and never too long. */
static void any_bytes(void **unused)
{
	(void)unused;
	unit_seed("foreign");
	for (unsigned int i = 0; i < 20000; i++) {
		uint8_t bytes[40];
		size_t nr = unit_random_below(sizeof(bytes) + 1), room;
		char small[64];
		struct foreign_text text, again;

		unit_random_bytes(bytes, sizeof(bytes));
		text = foreign_text(bytes, nr);
		assert_true(strlen(text.text) <= 4 * nr);
		for (const char *c = text.text; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
		again = foreign_text(text.text, strlen(text.text));
		assert_string_equal(again.text, text.text);
		room = 1 + unit_random_below(sizeof(small));
		memset(small, 'x', sizeof(small));
		foreign_escape(bytes, nr, small, room);
		assert_true(strlen(small) < room);
		assert_int_equal(strncmp(small, text.text, strlen(small)), 0);
	}
}

static void plain(void **unused)
{
	static const char *const bad[] = { "",	   "a b",  "a\"", "a*",	 "a?",
					   "a[1]", "a$b",  "a%b", "a/b", "a\\b",
					   "a\nb", "\x1b", "a|b", "a,b", "\xc3\xbc" };

	(void)unused;
	assert_true(foreign_is_plain("WDC_WD40-68.A:1"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(foreign_is_plain(bad[i]));
}

struct request {
	int number;
	int wait_ms;
	bool dies;
};

static void answer(const void *data, void *result)
{
	const struct request *request = data;

	if (request->wait_ms)
		usleep((useconds_t)request->wait_ms * 1000);
	if (request->dies)
		_exit(1);
	*(int *)result = request->number + 1;
}

static unsigned int starved_ms;

/* Of this program alone: as if it got no processor for a while. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (starved_ms)
		usleep(starved_ms * 1000);
	return (int)syscall(SYS_clock_gettime, clock, now);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void ask(struct request *request, size_t nr, int *answers, bool *answered,
		unsigned int timeout_ms)
{
	struct questions questions = { .f = answer,
				       .nr = nr,
				       .requests = request,
				       .request_bytes = sizeof(*request),
				       .answers = answers,
				       .answer_bytes = sizeof(*answers),
				       .answered = answered };

	memset(answers, 0, nr * sizeof(*answers));
	assert_int_equal(ask_disks(&questions, timeout_ms), 0);
}

#define NR 100

/* Some hang, some are slow, some kill the child: all others are answered, and in time. */
static void who_does_not_answer(void **unused)
{
	struct request request[NR] = { 0 };
	bool answered[NR];
	int answers[NR];
	uint64_t began;

	(void)unused;
	for (unsigned int round = 0; round < 3; round++) {
		for (int i = 0; i < NR; i++)
			request[i] = (struct request){ .number = i };
		request[0].wait_ms = 60000;
		request[7].wait_ms = 60000;
		request[8].wait_ms = 600;
		request[NR - 1].wait_ms = 60000;
		request[50].dies = true;
		request[51].dies = true;
		began = now_ms();
		ask(request, NR, answers, answered, 3000);
		assert_true(now_ms() - began < 20000);
		for (int i = 0; i < NR; i++) {
			bool silent = request[i].wait_ms > 3000 || request[i].dies;

			assert_int_equal(answered[i], !silent);
			assert_int_equal(answers[i], silent ? 0 : i + 1);
		}
	}
	ask(request, 0, answers, answered, 3000);
}

/* What comes too late is not taken for the answer to the next question. */
static void late_answers(void **unused)
{
	struct request request[2] = { { .number = 1, .wait_ms = 500 }, { .number = 2 } };
	bool answered[2];
	int answers[2];

	(void)unused;
	ask(request, 2, answers, answered, 100);
	assert_false(answered[0]);
	assert_true(answered[1]);
	usleep(600000);
	request[0] = (struct request){ .number = 3 };
	ask(request, 2, answers, answered, 3000);
	assert_int_equal(answers[0], 4);
	assert_int_equal(answers[1], 3);
}

/* The disks have answered long ago: it is the parent that is late. */
static void a_parent_that_is_late(void **unused)
{
	struct request request[4] = {
		{ .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 4 }
	};
	bool answered[4];
	int answers[4];

	(void)unused;
	starved_ms = 200;
	ask(request, 4, answers, answered, 100);
	starved_ms = 0;
	for (int i = 0; i < 4; i++) {
		assert_true(answered[i]);
		assert_int_equal(answers[i], i + 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_text),	cmocka_unit_test(any_bytes),
		cmocka_unit_test(plain),	cmocka_unit_test(who_does_not_answer),
		cmocka_unit_test(late_answers), cmocka_unit_test(a_parent_that_is_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
