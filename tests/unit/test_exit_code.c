// SPDX-License-Identifier: GPL-2.0-or-later
/* Exit codes: what dmremap(8) promises, and that it names each. */
#include <errno.h>

#include "exit-code.h"
#include "unit.h"
#include "util/util.h"

static void what_a_verb_returns(void **unused)
{
	static const struct {
		int r;
		enum exit_code code;
	} cases[] = {
		{ 0, EXIT_CODE_OK },
		{ -EIO, EXIT_CODE_FAILED },
		{ -ENOMEM, EXIT_CODE_FAILED },
		{ -EROFS, EXIT_CODE_FAILED },
		{ -EPROTO, EXIT_CODE_FAILED },
		{ -EINVAL, EXIT_CODE_USAGE },
		{ -ENODEV, EXIT_CODE_NOT_FOUND },
		{ -ENOENT, EXIT_CODE_NOT_FOUND },
		{ -ENODATA, EXIT_CODE_NOT_FOUND },
		{ -EAGAIN, EXIT_CODE_WAITING },
		{ -EBUSY, EXIT_CODE_REFUSED },
		{ -EEXIST, EXIT_CODE_REFUSED },
		{ -EPERM, EXIT_CODE_REFUSED },
		{ -ECANCELED, EXIT_CODE_REFUSED },
		{ -ESTALE, EXIT_CODE_REFUSED },
		{ -ENOTSUP, EXIT_CODE_REFUSED },
		{ -EMEDIUMTYPE, EXIT_CODE_REFUSED },
		{ -EUCLEAN, EXIT_CODE_DAMAGED },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(exit_code_of(cases[i].r), cases[i].code);
}

static void the_manual_names_each(void **unused)
{
	_cleanup_free_ char *manual = NULL;
	const char *at, *end;
	size_t nr_bytes;

	(void)unused;
	assert_int_equal(read_file(PACKAGING_DIR "/man/dmremap.8", &manual, &nr_bytes), 0);
	at = strstr(manual, ".Sh EXIT STATUS\n");
	assert_non_null(at);
	end = strstr(at, "\n.El");
	assert_non_null(end);
	for (int code = EXIT_CODE_OK; code <= EXIT_CODE_DAMAGED + 1; code++) {
		char item[32];
		const char *found;

		snprintf(item, sizeof(item), "\n.It %d\n", code);
		found = strstr(at, item);
		assert_true((found && found < end) == (code <= EXIT_CODE_DAMAGED));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_verb_returns),
		cmocka_unit_test(the_manual_names_each),
	};

	return cmocka_run_group_tests_name("exit_code", tests, NULL, NULL);
}
