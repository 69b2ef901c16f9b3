// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "assemble.h"
#include "identity.h"

const char *assembly_verdict_name(enum assembly_verdict verdict)
{
	static const char *const names[] = {
		[ASSEMBLY_READY] = "ready",	    [ASSEMBLY_ACTIVE] = "active",
		[ASSEMBLY_RETURNED] = "returned",   [ASSEMBLY_NO_MAIN] = "waiting",
		[ASSEMBLY_NO_SPARE] = "waiting",    [ASSEMBLY_FOREIGN] = "foreign",
		[ASSEMBLY_DUPLICATE] = "duplicate", [ASSEMBLY_UNFINISHED] = "unfinished",
		[ASSEMBLY_MISMATCH] = "mismatch",
	};

	return names[verdict];
}

static bool same_uuid(const uint8_t *a, const uint8_t *b)
{
	return !memcmp(a, b, 16);
}

static bool is_member_of(const struct member *member, const uint8_t *uuid, enum member_role role)
{
	return member->role == role && same_uuid(member->uuid, uuid);
}

/* What the other member recorded of the hardware of @role; empty: nothing. */
static const char *recorded_of(const struct member *members, size_t nr, const uint8_t *uuid,
			       enum member_role role)
{
	enum member_role other = role == MEMBER_MAIN ? MEMBER_SPARE : MEMBER_MAIN;

	for (size_t i = 0; i < nr; i++)
		if (is_member_of(&members[i], uuid, other) && *members[i].recorded)
			return members[i].recorded;
	return "";
}

/*
 * The member of that role (O12): the only one, or among several the one whose hardware
 * has more words of the recorded identity than every other.  -1: none, -2: undecidable.
 */
static int choose(const struct member *members, size_t nr, const uint8_t *uuid,
		  enum member_role role, unsigned int *nr_ignored)
{
	const char *recorded = recorded_of(members, nr, uuid, role);
	unsigned int best_words = 0, nr_seen = 0;
	bool tie = false;
	int best = -1;

	for (size_t i = 0; i < nr; i++) {
		unsigned int words;

		if (!is_member_of(&members[i], uuid, role))
			continue;
		words = identity_matches(members[i].identity, recorded);
		nr_seen++;
		if (best < 0 || words > best_words) {
			best = (int)i;
			best_words = words;
			tie = false;
		} else if (words == best_words) {
			tie = true;
		}
	}
	if (best >= 0 && tie)
		return -2;
	if (nr_seen > 1)
		*nr_ignored += nr_seen - 1;
	return best;
}

static void name_by_uuid(struct assembly *set)
{
	snprintf(set->name, sizeof(set->name), "remap-%02x%02x%02x%02x", set->uuid[0], set->uuid[1],
		 set->uuid[2], set->uuid[3]);
}

static bool is_taken(const struct assembly *set, const struct active_set *active, size_t nr_active,
		     const char *const *names)
{
	for (size_t i = 0; i < nr_active; i++)
		if (streq(active[i].name, set->name) && !same_uuid(active[i].uuid, set->uuid))
			return true;
	for (; names && *names; names++)
		if (streq(*names, set->name))
			return true;
	return false;
}

static bool is_foreign(const struct member *member, const uint8_t *this_host)
{
	static const uint8_t none[16];

	return memcmp(member->host_id, none, 16) && memcmp(member->host_id, this_host, 16);
}

static void judge(struct assembly *set, const struct member *members, const uint8_t *this_host)
{
	const struct member *main = set->main >= 0 ? &members[set->main] : NULL;
	const struct member *spare = set->spare >= 0 ? &members[set->spare] : NULL;
	const struct member *some = spare ? spare : main;

	set->verdict = ASSEMBLY_READY;
	if (set->main == -2 || set->spare == -2) {
		set->verdict = ASSEMBLY_DUPLICATE;
		snprintf(set->reason, sizeof(set->reason),
			 "several devices claim to be its %s, and none or more than one is the "
			 "recorded hardware: unplug the copy",
			 set->main == -2 ? "main device" : "spare device");
	} else if (spare && spare->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)) {
		set->verdict = ASSEMBLY_UNFINISHED;
		snprintf(set->reason, sizeof(set->reason), "its %s was interrupted",
			 spare->flags & REMAP_SUPER_CREATING ? "creation" : "release");
	} else if (some && is_foreign(some, this_host)) {
		set->verdict = ASSEMBLY_FOREIGN;
		snprintf(set->reason, sizeof(set->reason),
			 "it belongs to another host: activate --foreign takes it for now");
	} else if (!main) {
		set->verdict = ASSEMBLY_NO_MAIN;
		snprintf(set->reason, sizeof(set->reason), "its main device is not there%s%s",
			 spare && *spare->recorded ? ": " : "", spare ? spare->recorded : "");
	} else if (!spare) {
		set->verdict = ASSEMBLY_NO_SPARE;
		snprintf(set->reason, sizeof(set->reason), "its spare device is not there%s%s",
			 *main->recorded ? ": " : "", main->recorded);
	} else if (main->nr_sectors < spare->main_sectors) {
		set->verdict = ASSEMBLY_MISMATCH;
		snprintf(set->reason, sizeof(set->reason),
			 "%s has %" PRIu64 " sectors, and the set was made on %" PRIu64, main->path,
			 main->nr_sectors, spare->main_sectors);
	}
}

/* The member that is in use, whatever copies there are; -1: it cannot be read. */
static int member_in_use(const struct member *members, size_t nr, dev_t devno)
{
	for (size_t i = 0; i < nr; i++)
		if (members[i].devno == devno)
			return (int)i;
	return -1;
}

/* Active: untouched, unless one of its members has gone and is here again. */
static void judge_active(struct assembly *set, const struct member *members, size_t nr,
			 const struct active_set *active)
{
	const char *missing = NULL;

	set->verdict = ASSEMBLY_ACTIVE;
	set->reason[0] = '\0';
	snprintf(set->name, sizeof(set->name), "%s", active->name);
	if (active->main)
		set->main = member_in_use(members, nr, active->main);
	else if (set->main < 0)
		missing = "main device";
	if (active->spare)
		set->spare = member_in_use(members, nr, active->spare);
	else if (set->spare < 0)
		missing = "spare device";
	if (missing)
		snprintf(set->reason, sizeof(set->reason), "its %s is gone", missing);
	else if (!active->main || !active->spare)
		set->verdict = ASSEMBLY_RETURNED;
}

static const struct active_set *find_active(const struct active_set *active, size_t nr,
					    const uint8_t *uuid)
{
	for (size_t i = 0; i < nr; i++)
		if (same_uuid(active[i].uuid, uuid))
			return &active[i];
	return NULL;
}

static void fill(struct assembly *set, const struct member *members, size_t nr_members,
		 const struct active_set *active, size_t nr_active, const char *const *names,
		 const uint8_t *this_host)
{
	const struct active_set *own = find_active(active, nr_active, set->uuid);
	const char *label = "";

	set->main = choose(members, nr_members, set->uuid, MEMBER_MAIN, &set->nr_ignored);
	set->spare = choose(members, nr_members, set->uuid, MEMBER_SPARE, &set->nr_ignored);
	if (set->spare >= 0)
		label = members[set->spare].label;
	else if (set->main >= 0)
		label = members[set->main].label;
	judge(set, members, this_host);
	if (device_name_ok(label) && set->verdict != ASSEMBLY_FOREIGN)
		snprintf(set->name, sizeof(set->name), "%s", label);
	else
		name_by_uuid(set);
	if (is_taken(set, active, nr_active, names))
		name_by_uuid(set);
	if (own)
		judge_active(set, members, nr_members, own);
}

static bool is_known(const struct assembly *sets, size_t nr, const uint8_t *uuid)
{
	for (size_t i = 0; i < nr; i++)
		if (same_uuid(sets[i].uuid, uuid))
			return true;
	return false;
}

int assemble(const struct member *members, size_t nr_members, const struct active_set *active,
	     size_t nr_active, const char *const *names, const uint8_t this_host[16],
	     struct assembly **assemblies, size_t *nr_assemblies)
{
	struct assembly *sets = calloc(nr_members + nr_active + 1, sizeof(*sets));
	size_t nr = 0;

	if (!sets)
		return -ENOMEM;
	for (size_t i = 0; i < nr_members; i++)
		if (!is_known(sets, nr, members[i].uuid))
			memcpy(sets[nr++].uuid, members[i].uuid, 16);
	for (size_t i = 0; i < nr_active; i++)
		if (!is_known(sets, nr, active[i].uuid))
			memcpy(sets[nr++].uuid, active[i].uuid, 16);
	for (size_t i = 0; i < nr; i++)
		fill(&sets[i], members, nr_members, active, nr_active, names, this_host);
	*assemblies = sets;
	*nr_assemblies = nr;
	return 0;
}
