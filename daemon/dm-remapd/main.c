// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dm-remapd: watches sets of dm-remap.  Parses the command line and runs the manager.
 */
#include <errno.h>
#include <systemd/sd-journal.h>

#include "dm.h"
#include "manager.h"

int main(int argc, char **argv)
{
	_cleanup_(manager_free_p) struct manager *manager = NULL;
	int r;

	if (argc == 2 && streq(argv[1], "--version")) {
		printf("dm-remapd %s\n", DM_REMAP_TOOLS_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc != 1) {
		fprintf(stderr, "usage: dm-remapd [--version]\n"
				"It takes its settings from dm-remapd.conf; see dm-remapd(8).\n");
		return 2;
	}
	dm_setup();
	r = manager_new(&manager);
	if (r >= 0)
		r = manager_run(manager);
	if (r < 0)
		sd_journal_print(LOG_ERR, "dm-remapd: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
