/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dm-remapd.conf and its drop-ins (ini.h).  A wrong value is refused with file and line, and
 * what was set before, or the default, is used; a file that cannot be parsed changes nothing.
 */
#ifndef DM_REMAP_CONFIG_H
#define DM_REMAP_CONFIG_H

#include "policy.h"
#include "scrub/pace.h"
#include "util/ini.h"

/**
 * struct config - all settings
 * @save_seconds: how often counters that moved are saved, 1 to 3600
 * @poll_seconds: how often every device is looked at without an event, 1 to 3600
 * @command_timeout_seconds: how long a command to a set may take before it is reported, 1 to 3600
 * @files: which files sectors belong to that main cannot read is looked for
 * @rescue: sectors that main cannot read are remapped, and given up if they stay unreadable
 * @backup_seconds: from a remap to a new backup, 10 to 86400; 0: none is made
 * @backup_copies: directories that it is copied to, with commas between them; or empty
 * @metrics_path: what is written for Prometheus; empty: nothing
 * @hook_seconds: how long each hook may take, 1 to 600
 * @hook_interval_seconds: from one alert of a set to the next, 10 to 604800
 * @smart_seconds: how often disks are asked, 3600 to 2592000; 0: not at all
 * @thaws: how often a day a set that a storm froze is thawed by the daemon, 0 to 100
 * @scrub: only checked here: `dmremap scrub` reads them by itself
 * @policy: settings of the policy
 */
struct config {
	unsigned int save_seconds;
	unsigned int poll_seconds;
	unsigned int command_timeout_seconds;
	bool files;
	bool rescue;
	unsigned int backup_seconds;
	char backup_copies[1024];
	char metrics_path[256];
	unsigned int hook_seconds;
	unsigned int hook_interval_seconds;
	unsigned int smart_seconds;
	unsigned int thaws;
	struct pace_limits scrub;
	struct policy_config policy;
};

/* Called for each mistake, with one sentence that has file and line. */
typedef void (*config_complaint_f)(void *userdata, const char *sentence);

void config_defaults(struct config *config);
/*
 * Reads what ini_read() finds.  Returns how many wrong values there were: @config has for them
 * what was set before, and else what the files say, of keys that are there twice the last.  A
 * negative errno: a file cannot be read or parsed, and @config is unchanged.  @f was called for
 * every mistake in either case.
 */
int config_read(const char *vendor, const char *admin, struct config *config,
		config_complaint_f complain, void *userdata);

#endif /* DM_REMAP_CONFIG_H */
