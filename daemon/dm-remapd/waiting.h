/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets that are not active although a member is here: who waits, for what, since when.
 * The facts come from udev's database; no disk is opened.
 */
#ifndef DM_REMAP_WAITING_H
#define DM_REMAP_WAITING_H

#include <libudev.h>

#include "util.h"

/* How long a set may wait for its other member before it is told. */
#define WAITING_PATIENCE_SECONDS 20

/**
 * struct waiting - a set with a member here and no mapped device
 * @uuid: of the set
 * @label: of the set, or empty
 * @main: path of its main device, or empty
 * @spare: the same
 * @since: when it was first seen so, seconds
 * @told: that it waits
 * @seen: in the present look
 */
struct waiting {
	char uuid[UUID_STRING_BYTES];
	char label[48];
	char main[64];
	char spare[64];
	uint64_t since;
	bool told;
	bool seen;
};

struct waiting_list {
	struct waiting *at;
	size_t nr;
};

/* A member of @uuid is here; called for each between begin and end of a look. */
void waiting_begin(struct waiting_list *list);
int waiting_member(struct waiting_list *list, const char *uuid, const char *label, const char *role,
		   const char *path, uint64_t now);
/* The set is active: it does not wait. */
void waiting_is_active(struct waiting_list *list, const char *uuid);
/* Forgets those without a member; @tell is called once for each that has waited too long. */
void waiting_end(struct waiting_list *list, uint64_t now,
		 void (*tell)(const struct waiting *waiting));
/* Calls waiting_member() for everything in udev's database. */
int waiting_collect(struct waiting_list *list, struct udev *udev, uint64_t now);

#endif /* DM_REMAP_WAITING_H */
