/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DM_REMAP_TEST_ALERT_H
#define DM_REMAP_TEST_ALERT_H

/*
 * `dm-remapd --test-alert`: runs the hooks as the daemon does, with an alert that says it is a
 * test, and prints what became of each.  The exit code; 1: a hook failed, or there is none.
 */
int test_alert(void);

#endif /* DM_REMAP_TEST_ALERT_H */
