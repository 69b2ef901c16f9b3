/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which members make a set that can be activated.  Pure: members in, decisions
 * out; unit-tested without devices.  Callers: activate.c, `dmremap list`.
 */
#ifndef DM_REMAP_ASSEMBLE_H
#define DM_REMAP_ASSEMBLE_H

#include "set/scan.h"

enum assembly_verdict {
	ASSEMBLY_READY,		 /* both members are present and match */
	ASSEMBLY_ACTIVE,	 /* already a mapped device */
	ASSEMBLY_RETURNED,	 /* active, and a member that had vanished has returned (O18) */
	ASSEMBLY_NO_MAIN,	 /* waits for its main device */
	ASSEMBLY_NO_SPARE,	 /* waits for its spare device */
	ASSEMBLY_FOREIGN,	 /* of another host (O7) */
	ASSEMBLY_NO_HOST,	 /* of no host: made with plain dmsetup (O7) */
	ASSEMBLY_OTHER_HARDWARE, /* a member is not the recorded hardware: perhaps a copy (O12) */
	ASSEMBLY_DUPLICATE,	 /* two devices claim to be the same member (O12) */
	ASSEMBLY_UNFINISHED,	 /* create or release was interrupted */
	ASSEMBLY_MISMATCH,	 /* lengths contradict */
};

/**
 * struct assembly - one set and what is known of it
 * @uuid: of the set
 * @name: of the mapped device: the active one's, the label, or "remap-<8 hex>" (O17)
 * @verdict: what can be done
 * @reason: one sentence when it is neither ready nor active; else empty
 * @state: what could be done if host and hardware were no question
 * @state_reason: one sentence for it, or empty
 * @doubt: one sentence: a member is not the recorded hardware; empty: nothing contradicts
 * @main: index in the array of members, -1: none
 * @spare: the same
 * @silent: a member that is missing may be one that does not answer: inventory.c fills it in
 * @nr_ignored: copies that claim to be a member and are not the recorded hardware
 * @ignored: their paths, as many as fit
 * @taken: after activate(): names of partitions that belong to other devices
 */
struct assembly {
	uint8_t uuid[16];
	char name[128];
	enum assembly_verdict verdict;
	char reason[512];
	enum assembly_verdict state;
	char state_reason[512];
	char doubt[512];
	int main;
	int spare;
	bool silent;
	unsigned int nr_ignored;
	char ignored[256];
	char taken[256];
};

/**
 * struct active_set - a mapped device that exists already
 * @uuid: of the set
 * @name: of the mapped device
 * @main: what its table says, 0: that device is gone
 * @spare: the same
 * @suspended: its I/O waits
 */
struct active_set {
	uint8_t uuid[16];
	char name[128];
	dev_t main;
	dev_t spare;
	bool suspended;
};

/*
 * @names: mapped devices of others, so that none of their names is taken; ended by NULL.
 * The caller frees *@assemblies.
 */
int assemble(const struct member *members, size_t nr_members, const struct active_set *active,
	     size_t nr_active, const char *const *names, const uint8_t this_host[16],
	     struct assembly **assemblies, size_t *nr_assemblies);
const char *assembly_verdict_name(enum assembly_verdict verdict);

#endif /* DM_REMAP_ASSEMBLE_H */
