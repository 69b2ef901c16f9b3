/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's state and event loop.  main.c makes it, runs it and lets it go.
 */
#ifndef DM_REMAP_MANAGER_H
#define DM_REMAP_MANAGER_H

struct manager;

/* Attaches to netlink and udev, then polls every set. */
int manager_new(struct manager **manager);
/* Runs until SIGTERM or SIGINT; then saves and leaves all devices running. */
int manager_run(struct manager *manager);
void manager_free_p(struct manager **manager);

#endif /* DM_REMAP_MANAGER_H */
