/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dm-remapd.conf and its drop-ins, through libeconf.  A wrong value is refused with
 * file and line, and the default is used; a file that cannot be parsed changes nothing.
 */
#ifndef DM_REMAP_CONFIG_H
#define DM_REMAP_CONFIG_H

#include "policy.h"

/**
 * struct config - all settings
 * @save_seconds: how often counters that moved are saved, 1 to 3600
 * @poll_seconds: how often every device is looked at without an event, 1 to 3600
 * @patience_seconds: how long a command to a set may take before it is told, 1 to 3600
 * @rescue: sectors that main cannot read are remapped, and given up if they stay unreadable
 * @policy: the judgements
 */
struct config {
	unsigned int save_seconds;
	unsigned int poll_seconds;
	unsigned int patience_seconds;
	bool rescue;
	struct policy_config policy;
};

/* Told of each thing that is wrong: one sentence with file and line. */
typedef void (*config_complaint_f)(void *userdata, const char *sentence);

void config_defaults(struct config *config);
/*
 * Reads VENDOR/dm-remapd.conf, ADMIN/dm-remapd.conf and the drop-ins
 * ADMIN/dm-remapd.conf.d (files *.conf).  Returns how many wrong values there were:
 * @config has the defaults for them, and else what the files say.  A negative errno: a file
 * cannot be parsed, and @config is as it was.  @f was told in either case.
 */
int config_read(const char *vendor, const char *admin, struct config *config,
		config_complaint_f complain, void *userdata);

#endif /* DM_REMAP_CONFIG_H */
