/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table block with a place that cannot be written any more, and the superblock that says so:
 * kmod/meta/unwritable.c, and the doubt of the superblock in block.c.  The dead place is copy 3:
 * it may have got the content of the write that failed, or a part, and can be read or not.
 * The superblock is written as block.pml shows: complete, or in doubt until a later one is.
 *
 * After a failure the set comes back read-write, with all that was acknowledged and nothing that
 * was withdrawn.  Each rule of common/RULES.md is kept unless its name is defined.
 */
#ifndef COMMITS
#define COMMITS	3
#endif
#ifndef FAULTS
#define FAULTS	2	/* of the superblock */
#endif
#ifndef CRASHES
#define CRASHES	2
#endif
#define DEAD	3
#define NONE	4
#define HAS(set, part)	(((set) & (part)) == (part))

#ifdef BELIEVE_DEAD	/* C8 */
#define BELIEVED	true
#else
#define BELIEVED	false
#endif
#define IGNORED(c)	((c) == DEAD && named && !BELIEVED)

mtype = { zero, good, torn }
mtype form[4]
byte seq[4], facts[4]
bool dies			/* the place takes nothing */
bool named, may_name, may	/* the superblock names it; a failed commit may have changed that */

bool up, frozen
byte last, now, doubt, place[2]
byte acked, gone
byte spells = 2			/* of the place: it dies, and may come back */
byte nr_commits, faults = FAULTS, crashes = CRASHES

byte c, r, s, best
bool ok, all, crashed

inline forget() {
	c = 0; r = 0; s = 0; best = 0; ok = false; all = false; crashed = false;
	if
	:: !up -> last = 0; now = 0; doubt = 0; place[0] = 0; place[1] = 0; frozen = false
	:: else
	fi
}

inline put(f) { form[c] = good; seq[c] = s; facts[c] = f }
inline tear() { form[c] = torn; facts[c] = 0; if :: seq[c] = s :: skip fi }

inline write(f) {
	ok = false;
	if
	:: !(dies && c == DEAD) -> put(f); ok = true
	:: dies && c == DEAD -> if :: skip :: tear() :: put(f) fi
	:: crashes > 0 -> crashes--; crashed = true;
		if :: skip :: tear() :: put(f) fi
	fi
}

inline write_super(name) {
	ok = false; last++;
	if
	:: named = name; may = false; may_name = false; ok = true
	:: faults > 0 -> faults--; may = true; may_name = name
	:: crashes > 0 -> crashes--; crashed = true; if :: named = name :: skip fi;
		may = false; may_name = false
	fi
}

/* P4: replica R alone, by a superblock that names the place or does not. */
inline check_alone(first, name) {
	best = first;
	if
	:: (form[first] != good || seq[first + 1] > seq[first]) && form[first + 1] == good &&
	   (BELIEVED || !(first == 2 && name)) -> best = first + 1
	:: else
	fi;
	assert(form[best] == good && HAS(facts[best], acked) && !(facts[best] & gone));
	best = 0
}

inline check_p4() {
	check_alone(0, false);
	check_alone(2, named);
	if :: may -> check_alone(2, may_name) :: else fi
}

inline commit(content, added) {
	ok = true;
#ifndef SUPER_IN_DOUBT		/* C4: what the superblock on the media calls dead may be used */
	if :: may -> write_super(false) :: else fi;
#endif
	if
	:: ok ->
		last++; s = last; r = 0; all = true;
		do
		:: r < 2 && !crashed && all -> c = 2 * r + 1 - place[r]; write(content); all = ok; r++
		:: else -> break
		od
	:: else -> all = false
	fi;
	if
	:: crashed -> up = false
	:: !crashed && all ->
		place[0] = 1 - place[0]; place[1] = 1 - place[1];
		gone = gone | (doubt & ~(content)); doubt = 0;
		now = content; acked = acked | (added); check_p4()
	:: else -> doubt = doubt | (added)
	fi
}

/* The entries to the other place of the other replica, then the superblock, then no doubt. */
inline make_unwritable() {
#ifndef KEEP_ENTRIES	/* C8: over what the failed commit left on the other replica */
	last++; s = last; c = 1 - place[0]; write(now);
	if :: ok -> place[0] = c :: else fi;
#endif
	if
	:: crashed -> up = false
	:: else ->
		write_super(true);
		if :: crashed -> up = false :: else fi
	fi;
	if
	:: up && ok -> frozen = true; place[1] = 0; gone = gone | (doubt & ~now); doubt = 0;
		check_p4()
	:: else
	fi
}

inline load() {
	if :: may && may_name -> named = true :: may && !may_name -> named = false :: skip fi;
	may = false; may_name = false;
	best = NONE; c = 0;
	do
	:: c < 4 ->
		if
		:: !IGNORED(c) && form[c] == good && (best == NONE || seq[c] > seq[best]) -> best = c
		:: else
		fi;
		c++
	:: else -> break
	od;
	assert(best != NONE);
	now = facts[best]; s = seq[best]; frozen = named; doubt = 0; crashed = false;
	last = s + COMMITS + 4;
	place[0] = (form[1] == good && seq[1] == s);
	place[1] = (!named && form[3] == good && seq[3] == s);
	all = true; r = 0;
	do
	:: r < 2 && !crashed && all ->
		if
		:: form[2 * r] == good && facts[2 * r] == now && (seq[2 * r] == s || named)
		:: form[2 * r + 1] == good && seq[2 * r + 1] == s && !(named && r == 1)
		:: else ->
			c = 2 * r + (!(named && r == 1) && form[2 * r] == good &&
				     (form[2 * r + 1] != good || seq[2 * r] > seq[2 * r + 1]));
			write(now);
			place[r] = c & 1;
			all = ok
		fi;
		r++
	:: else -> break
	od;
	if
	:: crashed
	:: !crashed && !all && c == DEAD && !named ->
#ifndef KEEP_TRYING	/* C8 */
		/* Replica 1 has it in place 0 only: see remap_make_unwritable(). */
		place[1] = 0; up = true;
		make_unwritable();
		assert(!up || ok || faults < FAULTS);
		if :: up && !ok -> up = false :: else fi
#else
		assert(false)		/* served read-only for good */
#endif
	:: else -> up = true
	fi;
	if
	:: up ->
		assert(HAS(now, acked));
		assert(!(now & gone));
		check_p4()
	:: else
	fi
}

init {
	d_step {
		form[0] = good; seq[0] = 1; form[1] = zero; form[2] = good; seq[2] = 1; form[3] = zero;
		up = true; last = 1
	}
	do
	:: atomic { up && !frozen && nr_commits < COMMITS -> nr_commits++;
		commit(now | (1 << (nr_commits - 1)), 1 << (nr_commits - 1)); forget() }
	:: atomic { up && spells > 0 -> spells--; dies = !dies }
	:: atomic { up && dies && doubt && !frozen -> make_unwritable(); forget() }
	:: atomic { up && crashes > 0 -> crashes--; up = false; forget() }
	:: atomic { !up -> load(); forget() }
	od
}
