// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "set/assemble.h"
#include "system/identity.h"

const char *assembly_verdict_name(enum assembly_verdict verdict)
{
	static const char *const names[] = {
		[ASSEMBLY_READY] = "ready",
		[ASSEMBLY_ACTIVE] = "active",
		[ASSEMBLY_RETURNED] = "returned",
		[ASSEMBLY_NO_MAIN] = "waiting",
		[ASSEMBLY_NO_SPARE] = "waiting",
		[ASSEMBLY_FOREIGN] = "foreign",
		[ASSEMBLY_DUPLICATE] = "duplicate",
		[ASSEMBLY_UNFINISHED] = "unfinished",
		[ASSEMBLY_MISMATCH] = "mismatch",
		[ASSEMBLY_NO_HOST] = "no-host",
		[ASSEMBLY_OTHER_HARDWARE] = "other-hardware",
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

/*
 * What the other member recorded of the hardware of @role; empty: nothing, or copies of it have
 * recorded different hardware, and it is not known which of them counts.
 */
static const char *recorded_of(const struct member *members, size_t nr, const uint8_t *uuid,
			       enum member_role role)
{
	enum member_role other = role == MEMBER_MAIN ? MEMBER_SPARE : MEMBER_MAIN;
	const char *recorded = "";

	for (size_t i = 0; i < nr; i++) {
		if (!is_member_of(&members[i], uuid, other) || !*members[i].recorded)
			continue;
		if (*recorded && strcmp(recorded, members[i].recorded))
			return "";
		recorded = members[i].recorded;
	}
	return recorded;
}

/*
 * The only two that have recorded each other: when both members were replaced one after the other,
 * the old spare still records the old main.  False: there are none, or several.
 */
static bool choose_pair(struct assembly *set, const struct member *members, size_t nr)
{
	unsigned int best_words = 0;
	bool tie = false;

	for (size_t m = 0; m < nr; m++)
		for (size_t s = 0; s < nr; s++) {
			unsigned int of_main, of_spare;

			if (!is_member_of(&members[m], set->uuid, MEMBER_MAIN) ||
			    !is_member_of(&members[s], set->uuid, MEMBER_SPARE) ||
			    members[s].outdated)
				continue;
			of_main = identity_matches(members[m].identity, members[s].recorded);
			of_spare = identity_matches(members[s].identity, members[m].recorded);
			if (!of_main || !of_spare || of_main + of_spare < best_words)
				continue;
			tie = of_main + of_spare == best_words;
			best_words = of_main + of_spare;
			set->main = (int)m;
			set->spare = (int)s;
		}
	return best_words && !tie;
}

/*
 * The member of that role (O12): the only one, or among several that are not outdated the one
 * whose hardware has more words of the recorded identity than every other.  -1: none, -2:
 * undecidable.
 */
static int choose(const struct member *members, size_t nr, const uint8_t *uuid,
		  enum member_role role)
{
	const char *recorded = recorded_of(members, nr, uuid, role);
	unsigned int best_words = 0;
	bool tie = false;
	int best = -1;

	for (size_t i = 0; i < nr; i++) {
		unsigned int words;

		if (!is_member_of(&members[i], uuid, role) || members[i].outdated)
			continue;
		words = identity_matches(members[i].identity, recorded);
		if (best < 0 || words > best_words) {
			best = (int)i;
			best_words = words;
			tie = false;
		} else if (words == best_words) {
			tie = true;
		}
	}
	return best >= 0 && tie ? -2 : best;
}

/*
 * A lone disk may be a copy of the one that is not here (O12).  Hardware without comparable
 * words (another kernel, a virtual disk) contradicts nothing.
 */
static bool doubt(struct assembly *set, const struct member *members, size_t nr,
		  enum member_role role)
{
	int i = role == MEMBER_MAIN ? set->main : set->spare;
	int other = role == MEMBER_MAIN ? set->spare : set->main;
	const char *recorded =
		other >= 0 ? members[other].recorded : recorded_of(members, nr, set->uuid, role);

	if (i < 0 || !identity_contradicts(members[i].identity, recorded))
		return false;
	snprintf(set->doubt, sizeof(set->doubt),
		 "%.64s is other hardware (%.64s) than the recorded %s device (%.64s), and may be "
		 "a copy with old data; run dmremap activate --any-hardware to use it once, or "
		 "dmremap replace-%s %.36s %.64s to record it permanently",
		 members[i].path, members[i].identity, member_role_name(role), recorded,
		 member_role_name(role), set->name, members[i].path);
	return true;
}

static void list_paths(const struct member *members, size_t nr, const struct assembly *set,
		       enum member_role role, char *text, size_t nr_bytes)
{
	*text = '\0';
	for (size_t i = 0; i < nr; i++) {
		size_t length = strlen(text);

		if (is_member_of(&members[i], set->uuid, role))
			snprintf(text + length, nr_bytes - length, "%s%s", length ? ", " : "",
				 members[i].path);
	}
}

/* Devices that claim to be a member and are none of the two. */
static void list_ignored(const struct member *members, size_t nr, struct assembly *set)
{
	for (size_t i = 0; i < nr; i++) {
		size_t length = strlen(set->ignored);

		if (!same_uuid(members[i].uuid, set->uuid) || (int)i == set->main ||
		    (int)i == set->spare ||
		    (members[i].role == MEMBER_MAIN ? set->main : set->spare) < 0)
			continue;
		set->nr_ignored++;
		snprintf(set->ignored + length, sizeof(set->ignored) - length, "%s%s",
			 length ? ", " : "", members[i].path);
	}
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

static void set_state(struct assembly *set, enum assembly_verdict state, const char *format, ...)
{
	va_list arguments;

	set->state = state;
	va_start(arguments, format);
	vsnprintf(set->state_reason, sizeof(set->state_reason), format, arguments);
	va_end(arguments);
}

/* What there is, whichever host it belongs to. */
static void judge_state(struct assembly *set, const struct member *members, size_t nr)
{
	const struct member *main = set->main >= 0 ? &members[set->main] : NULL;
	const struct member *spare = set->spare >= 0 ? &members[set->spare] : NULL;
	char claimants[256];

	set->state = ASSEMBLY_READY;
	if (set->main == -2 || set->spare == -2) {
		list_paths(members, nr, set, set->main == -2 ? MEMBER_MAIN : MEMBER_SPARE,
			   claimants, sizeof(claimants));
		set_state(set, ASSEMBLY_DUPLICATE,
			  "several devices claim to be its %s device (%s), and none or more than "
			  "one is the recorded hardware; detach the copy",
			  set->main == -2 ? "main" : "spare", claimants);
	} else if (spare && spare->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)) {
		set_state(set, ASSEMBLY_UNFINISHED, "its %s was interrupted",
			  spare->flags & REMAP_SUPER_CREATING ? "creation" : "release");
	} else if (!main) {
		set_state(set, ASSEMBLY_NO_MAIN, "its main device is missing%s%s",
			  spare && *spare->recorded ? ": " : "", spare ? spare->recorded : "");
	} else if (!spare) {
		set_state(set, ASSEMBLY_NO_SPARE, "its spare device is missing%s%s",
			  *main->recorded ? ": " : "", main->recorded);
	} else if (main->nr_sectors < spare->main_sectors) {
		set_state(set, ASSEMBLY_MISMATCH,
			  "%s has %" PRIu64 " sectors, but the set was made with %" PRIu64,
			  main->path, main->nr_sectors, spare->main_sectors);
	}
}

/* Any member that claims it: where two are undecidable, the first. */
static const struct member *some_member(const struct assembly *set, const struct member *members,
					size_t nr)
{
	if (set->spare >= 0)
		return &members[set->spare];
	for (size_t i = 0; i < nr; i++)
		if (is_member_of(&members[i], set->uuid, MEMBER_SPARE))
			return &members[i];
	if (set->main >= 0)
		return &members[set->main];
	for (size_t i = 0; i < nr; i++)
		if (same_uuid(members[i].uuid, set->uuid))
			return &members[i];
	return NULL;
}

/*
 * Whose it is comes before what could be done with it (O7): nothing is written to
 * foreign disks, not even to repair them.
 */
static void judge_host(struct assembly *set, const struct member *members, size_t nr,
		       const uint8_t *this_host)
{
	static const uint8_t none[16];
	const struct member *some = some_member(set, members, nr);

	set->verdict = set->state;
	if (some && !memcmp(some->host_id, none, sizeof(none)) &&
	    (some->role == MEMBER_SPARE || some->main_sectors)) {
		set->verdict = ASSEMBLY_NO_HOST;
		snprintf(set->reason, sizeof(set->reason),
			 "it names no host, like sets made with plain dmsetup; run dmremap "
			 "activate to use it once, or dmremap adopt-host to take it over "
			 "permanently%s%s",
			 *set->state_reason ? "; " : "", set->state_reason);
	} else if (some && memcmp(some->host_id, none, sizeof(none)) &&
		   memcmp(some->host_id, this_host, sizeof(none))) {
		set->verdict = ASSEMBLY_FOREIGN;
		snprintf(set->reason, sizeof(set->reason),
			 "it belongs to another host; run dmremap activate --foreign to use it "
			 "once, or dmremap adopt-host to take it over permanently%s%s",
			 *set->state_reason ? "; " : "", set->state_reason);
	}
}

static void judge(struct assembly *set, const struct member *members, size_t nr,
		  const uint8_t *this_host)
{
	judge_state(set, members, nr);
	judge_host(set, members, nr, this_host);
	if (set->verdict == set->state)
		snprintf(set->reason, sizeof(set->reason), "%s", set->state_reason);
}

/* The member that is in use, whatever copies there are; -1: it cannot be read. */
static int member_in_use(const struct member *members, size_t nr, dev_t devno)
{
	for (size_t i = 0; i < nr; i++)
		if (members[i].devno == devno)
			return (int)i;
	return -1;
}

/* The device of that role that is present is not assumed to be the one that is gone. */
static bool is_stranger(struct assembly *set, const struct member *members, size_t nr,
			enum member_role role)
{
	if (!doubt(set, members, nr, role))
		return false;
	snprintf(set->reason, sizeof(set->reason), "its %s device is gone, and %.400s",
		 member_role_name(role), set->doubt);
	*(role == MEMBER_MAIN ? &set->main : &set->spare) = -1;
	return true;
}

/* Active: untouched, unless one of its members was gone and has returned. */
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
	else if ((!active->main && is_stranger(set, members, nr, MEMBER_MAIN)) ||
		 (!active->spare && is_stranger(set, members, nr, MEMBER_SPARE)))
		set->verdict = ASSEMBLY_ACTIVE;
	else if ((!active->main || !active->spare) && (set->main < 0 || set->spare < 0))
		snprintf(set->reason, sizeof(set->reason), "its %s device cannot be read",
			 member_role_name(set->main < 0 ? MEMBER_MAIN : MEMBER_SPARE));
	else if (!active->main || !active->spare)
		set->verdict = ASSEMBLY_RETURNED;
	else if (active->suspended)
		snprintf(set->reason, sizeof(set->reason),
			 "it is suspended, and its I/O waits; run dmsetup resume %s", set->name);
	set->state = set->verdict;
	set->doubt[0] = '\0';
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

	if (!choose_pair(set, members, nr_members)) {
		set->main = choose(members, nr_members, set->uuid, MEMBER_MAIN);
		set->spare = choose(members, nr_members, set->uuid, MEMBER_SPARE);
	}
	if (set->spare >= 0)
		label = members[set->spare].label;
	else if (set->main >= 0)
		label = members[set->main].label;
	judge(set, members, nr_members, this_host);
	/* a foreign set does not choose names */
	if (device_name_ok(label) && set->verdict != ASSEMBLY_FOREIGN &&
	    set->verdict != ASSEMBLY_NO_HOST)
		snprintf(set->name, sizeof(set->name), "%.32s", label);
	else
		name_by_uuid(set);
	if (is_taken(set, active, nr_active, names))
		name_by_uuid(set);
	if (doubt(set, members, nr_members, MEMBER_MAIN) ||
	    doubt(set, members, nr_members, MEMBER_SPARE)) {
		if (set->verdict == ASSEMBLY_READY || set->verdict == ASSEMBLY_UNFINISHED) {
			set->verdict = ASSEMBLY_OTHER_HARDWARE;
			snprintf(set->reason, sizeof(set->reason), "%s", set->doubt);
		}
	}
	if (own)
		judge_active(set, members, nr_members, own);
	list_ignored(members, nr_members, set);
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
