/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which members make a set that can be activated.  Pure: members in, decisions
 * out; unit-tested without devices.  Callers: activate.c, the daemon, `dmremap list`.
 */
#ifndef DM_REMAP_ASSEMBLE_H
#define DM_REMAP_ASSEMBLE_H

#include "scan.h"

enum assembly_verdict {
	ASSEMBLY_READY,	     /* both members are here and match */
	ASSEMBLY_ACTIVE,     /* already a mapped device */
	ASSEMBLY_NO_MAIN,    /* waits for its main device */
	ASSEMBLY_NO_SPARE,   /* waits for its spare device */
	ASSEMBLY_FOREIGN,    /* of another host (O7) */
	ASSEMBLY_DUPLICATE,  /* two devices claim to be the same member (O12) */
	ASSEMBLY_STALE,	     /* the spare is older than main knows (O6) */
	ASSEMBLY_UNFINISHED, /* create was interrupted */
	ASSEMBLY_MISMATCH,   /* lengths or identity contradict */
};

/**
 * struct assembly - one set and what is known of it
 * @uuid: of the set
 * @name: name of the mapped device: label, or "remap-<8 hex>" (O17)
 * @verdict: what can be done
 * @reason: one sentence when it is not ready
 * @main: index in the array of members, -1: none
 * @spare: the same
 * @active_name: mapped device, when active
 */
struct assembly {
	uint8_t uuid[16];
	char name[128];
	enum assembly_verdict verdict;
	char reason[512];
	int main;
	int spare;
	char active_name[128];
};

/**
 * struct active_set - a mapped device that exists already
 * @uuid: of the set
 * @name: of the mapped device
 */
struct active_set {
	uint8_t uuid[16];
	char name[128];
};

int assemble(const struct member *members, size_t nr_members, const struct active_set *active,
	     size_t nr_active, const uint8_t this_host[16], struct assembly **assemblies,
	     size_t *nr_assemblies);
const char *assembly_verdict_name(enum assembly_verdict verdict);

#endif /* DM_REMAP_ASSEMBLE_H */
