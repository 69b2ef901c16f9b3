/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exit codes of `dmremap`, as dmremap(8) documents them.  Caller: main.c.
 */
#ifndef DM_REMAP_EXIT_CODE_H
#define DM_REMAP_EXIT_CODE_H

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_NOT_FOUND = 3, /* no such set, device or file */
	EXIT_CODE_WAITING = 4,	 /* a member of the set is not there */
	EXIT_CODE_REFUSED = 5,	 /* for safety: in use, not ours, older, not confirmed */
	EXIT_CODE_DAMAGED = 6,	 /* metadata is damaged */
	/* of activate --exit-code, which dm-remapd decides by (actions.c) */
	EXIT_CODE_WAS_ACTIVE = 12,
	EXIT_CODE_HAS_FAULT = 13, /* was active, and is not as it should be */
	EXIT_CODE_RETURNED = 14,  /* was active, and a member was re-added */
};

/*
 * Of what a verb returned.  -EINVAL is only for what the user typed or gave in a file: what
 * the kernel or a disk refuses has another number (dm.c, activate.c).
 */
int exit_code_of(int r);

#endif /* DM_REMAP_EXIT_CODE_H */
