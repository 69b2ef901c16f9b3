/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words for systemd-run, which replaces "$NAME" in the command that it is given, and "$$" by "$". */
#ifndef DM_REMAP_SYSTEMD_RUN_H
#define DM_REMAP_SYSTEMD_RUN_H

/*
 * Makes the words of @argv, up to NULL, arrive as they are: they point into *@room then, which the
 * caller frees after their use.  Names of devices and directories may have any character.
 */
int systemd_run_quote(const char **argv, char **room);

#endif /* DM_REMAP_SYSTEMD_RUN_H */
