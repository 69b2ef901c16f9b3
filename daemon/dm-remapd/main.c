// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dm-remapd: watches sets of dm-remap.  Parses the command line and runs the manager, or hooks.
 */
#include <errno.h>
#include <signal.h>
#include <systemd/sd-journal.h>

#include "alert-text.h"
#include "config.h"
#include "hooks.h"
#include "manager.h"
#include "system/dm.h"
#include "test-alert.h"

static void print_mistake(void *userdata, const char *sentence)
{
	fprintf(stderr, "%s\n", sentence);
}

/* What a start or a reload would complain of; exit code 1: something. */
static int test_config(void)
{
	const char *admin = getenv("CONFIGURATION_DIRECTORY");
	struct config config;

	if (config_read(CONFIG_VENDOR_DIR, admin ? admin : CONFIG_ADMIN_DIR, &config, print_mistake,
			NULL) != 0)
		return EXIT_FAILURE;
	printf("the settings are valid\n");
	return EXIT_SUCCESS;
}

/* For the daemon: directory, seconds for each hook, variables. */
static int run_hooks(int argc, char **argv)
{
	uint64_t seconds;

	if (argc < 2 || parse_u64(argv[1], &seconds) < 0 || !seconds || seconds > 600)
		return 2;
	for (int i = 2; i < argc; i++)
		if (!alert_is_variable(argv[i]))
			return 2;
	return hooks_run(argv[0], (unsigned int)seconds, argv + 2, stdout).nr_bad ? EXIT_FAILURE :
										    EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	_cleanup_(manager_free_p) struct manager *manager = NULL;
	int r;

	keep_standard_files();
	/* whoever started us may ignore it: then no child would say how it ended */
	signal(SIGCHLD, SIG_DFL);
	if (argc == 2 && (streq(argv[1], "--version") || streq(argv[1], "-V"))) {
		printf("dm-remapd %s\n", DM_REMAP_TOOLS_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && streq(argv[1], "--test-config"))
		return test_config();
	if (argc == 2 && streq(argv[1], "--test-alert"))
		return test_alert();
	if (argc >= 2 && streq(argv[1], "--run-hooks"))
		return run_hooks(argc - 2, argv + 2);
	if (argc != 1) {
		fprintf(stderr, "usage: dm-remapd [--test-config | --test-alert | --version]\n"
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
