/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four copies of one metadata block, main's mark, commit and load: kmod/meta/block.c,
 * commit.c, load.c and remap_choose() in common/remap_format.c.  The content of a copy is a
 * set of facts, a bit each.  A write may fail or be cut by a crash, with nothing, a part or all
 * of it on the media; a replica goes and comes back; a copy rots.
 *
 * Each rule of common/RULES.md is kept unless its name is defined; then an assertion fails:
 * test_models.py has the list.  FAULTS, CRASHES, LEAVES, ROTS bound the faults of each kind,
 * COMMITS and RETRIES the work.  FORCE: an administrator goes on with one replica (force_rw).
 * TWIN: another system has written a copy with a number of ours.  STRAY: a copy of another
 * block, of which numbers are newer, lies here.
 */
#ifndef COMMITS
#define COMMITS	2
#endif
#ifndef RETRIES
#define RETRIES	1
#endif
#ifndef FAULTS
#define FAULTS	1
#endif
#ifndef CRASHES
#define CRASHES	2
#endif
#ifndef LEAVES
#define LEAVES	0
#endif
#ifndef ROTS
#define ROTS	0
#endif
#define JUMP	(COMMITS + RETRIES)	/* more than can be burnt */
#define NONE	4	/* no copy; no replica */
#define FOREIGN	128	/* a fact of somebody else */
#define STRAYED	64	/* of another block */
#define IS_STRAY(c)	(facts[c] & STRAYED)
#ifdef STRAY
#define UNHARMED	(strays == 1)
#else
#define UNHARMED	true
#endif
#define HAS(set, part)	(((set) & (part)) == (part))

mtype = { zero, good, torn, lost };

/* The media: copy 2 * replica + place. */
mtype form[4]
byte seq[4], facts[4]
bool there[2]
byte super[2]			/* the number of the superblock */
byte mark, digest		/* on main: the highest number that is complete; the block's */

/* The set while it is up. */
bool up
byte last, committed, number, now, doubt, out = NONE
byte place[2]			/* with the last committed content */
#ifdef TOGGLE
byte next[2]
#endif

/* Facts acknowledged, those before the last, seen by readers, and withdrawn for good. */
byte acked, prior, seen, gone
bool harmed			/* a fault that no crash makes */

byte nr_commits, nr_retries, faults = FAULTS, crashes = CRASHES, leaves = LEAVES, rots = ROTS
#ifdef TWIN
byte twins = 1
#endif
#ifdef STRAY
byte strays = 1
#endif

/* Of one step; zero between the steps. */
byte c, r, s, best, mask, newest
bool ok, all, crashed, stale, writable
#ifdef ACK_ONE
bool one
#endif
mtype shown[2]

inline put(f) { form[c] = good; seq[c] = s; facts[c] = f }

/* The first sector, with the number, may be the old one or the new one. */
inline tear() {
	form[c] = torn; facts[c] = 0;
	if :: seq[c] = s :: skip fi;
#ifdef NEIGHBOURS	/* C12: both places in one unit that the disk rewrites */
	form[c ^ 1] = torn; facts[c ^ 1] = 0
#endif
}

/* With FUA.  ok: it is durable. */
inline write(f) {
	ok = false;
	if
	:: there[c / 2] -> put(f); ok = true
	:: there[c / 2] && faults > 0 -> faults--; harmed = true;
		if :: skip :: tear() :: put(f) fi
	:: crashes > 0 -> crashes--; crashed = true;
		if :: skip :: there[c / 2] -> tear() :: there[c / 2] -> put(f) fi
	:: !there[c / 2] -> skip
#ifdef AT_ONCE
	:: crashed -> if :: skip :: there[c / 2] -> tear() :: there[c / 2] -> put(f) fi
#endif
	fi
}

/* The highest good copy among those of mask. */
inline choose() {
	best = NONE; c = 0;
	do
	:: c < 4 ->
		if
		:: (mask >> c) & 1 && there[c / 2] && form[c] == good &&
#ifndef NO_PLACE_CHECK	/* C16 */
		   !IS_STRAY(c) &&
#endif
		   (best == NONE || seq[c] > seq[best]) -> best = c
		:: else
		fi;
		c++
	:: else -> break
	od;
	c = 0
}

/* P4: without any one copy, or one replica, all that was acknowledged is there. */
inline check_loss(without) {
	mask = 15 - (without);
	choose();
	assert(best != NONE && HAS(facts[best], acked))
}

inline check_p4() {
	if
	:: out == NONE && there[0] && there[1] && rots == ROTS && UNHARMED ->
		check_loss(3); check_loss(12); check_loss(1); check_loss(2); check_loss(4);
		check_loss(8)
	:: else
	fi
}

/* C7: no copy is older than the commit before the last one. */
inline check_age() {
	c = 0;
	do
	:: c < 4 && out == NONE && there[0] && there[1] ->
		assert(form[c] != good || IS_STRAY(c) || HAS(facts[c], prior)); c++
	:: else -> break
	od;
	c = 0
}

inline forget() {
	c = 0; r = 0; s = 0; best = 0; mask = 0; newest = 0; ok = false; all = false; crashed = false;
#ifdef ACK_ONE
	one = false;
#endif
	stale = false; writable = false; shown[0] = 0; shown[1] = 0;
	if
	:: !up -> last = 0; committed = 0; number = 0; now = 0; doubt = 0; place[0] = 0; place[1] = 0
#ifdef TOGGLE
		; next[0] = 0; next[1] = 0
#endif
	:: else
	fi
}

inline update_mark() {
	if
	:: mark = (committed > mark -> committed : mark); digest = (doubt -> 0 : number)
	:: crashes > 0 -> crashes--; crashed = true
	fi
}

/* Commit FACTS, of which ADDED is to be acknowledged. */
inline commit(content, added) {
	last++; s = last; r = 0; all = true;
#ifdef PUBLISH_FIRST	/* C1 */
	seen = seen | (content);
#endif
	do
#ifdef AT_ONCE		/* C1: not one after the other */
	:: r < 2 ->
#else
	:: r < 2 && !crashed ->
#endif
		if
		:: r != out ->
#ifdef TOGGLE		/* C3 */
			c = 2 * r + next[r]; next[r] = 1 - next[r];
#else
			c = 2 * r + 1 - place[r];
#endif
			write(content);
#ifdef ACK_ONE		/* C1 */
			one = one || ok;
			if :: ok -> place[r] = c & 1 :: else fi
#else
			all = all && ok;
#ifndef AT_ONCE
			if :: !ok -> r = 3 :: else fi
#endif
#endif
		:: else
		fi;
		r++
	:: else -> break
	od;
	if
	:: crashed -> up = false
#ifdef ACK_ONE
	:: !crashed && one ->
#else
	:: !crashed && all ->
		if :: out != 0 -> place[0] = 1 - place[0] :: else fi;
		if :: out != 1 -> place[1] = 1 - place[1] :: else fi;
#endif
#ifndef NO_DOUBT
		if :: doubt -> gone = gone | (doubt & ~(content)); doubt = 0 :: else fi;
#endif
		now = content; number = s; committed = s;
#ifndef NO_THIRD_RECORD	/* C5: one replica is out, and main says since when */
		if :: out != NONE -> update_mark() :: else fi;
#endif
		if
		:: crashed -> up = false
		:: else ->
			if :: added -> prior = acked; acked = acked | (added) :: else fi;
			seen = seen | now; check_p4(); check_age()
		fi
	:: else ->
		doubt = doubt | (added);
		check_p4();
#ifdef REUSE_NUMBER	/* C2 */
		last--;
#endif
#ifdef NO_DOUBT		/* C4: a later write to the same sectors is acknowledged elsewhere */
		gone = gone | doubt; doubt = 0
#endif
	fi
}

/* What a replica shows of the block: all, a torn write, or a part. */
inline look() {
	r = 0;
	do
	:: r < 2 ->
		shown[r] = good; ok = false; c = 2 * r;
		do
		:: c < 2 * r + 2 ->
			if
			:: !there[r] -> shown[r] = lost
			:: there[r] && form[c] == good && IS_STRAY(c) -> shown[r] = lost
			:: there[r] && form[c] == good && !IS_STRAY(c) -> ok = true
			:: there[r] && form[c] == torn -> if :: shown[r] == good -> shown[r] = torn :: else fi
			:: there[r] && form[c] == lost -> shown[r] = lost
			:: else
			fi;
			c++
		:: else -> break
		od;
		if :: !ok -> shown[r] = lost :: else fi;
		r++
	:: else -> break
	od;
	/* C15: newer content that both replicas had, or may have had. */
	stale = shown[0] != good && shown[1] != good && (shown[0] == lost || shown[1] == lost);
	c = 0;
	do
	:: c < 2 ->
		r = 2;
		do
		:: r < 4 ->
			stale = stale || (there[0] && there[1] && form[c] == torn && form[r] == torn &&
					  seq[c] == seq[r] && seq[c] > seq[best]);
			r++
		:: else -> break
		od;
		c++
	:: else -> break
	od
}

/* The chosen content goes to each place of a replica that lacks it, the worse one first (C7). */
inline repair() {
	r = 0;
	do
	:: r < 2 && !crashed && writable ->
		if
		:: there[r] && form[2 * r] == good && seq[2 * r] == s -> place[r] = 0
		:: there[r] && form[2 * r + 1] == good && seq[2 * r + 1] == s &&
		   !(form[2 * r] == good && seq[2 * r] == s) -> place[r] = 1
		:: else ->
			/* The place that is left when this one is torn. */
			c = 2 * r + (form[2 * r] == good &&
				     (form[2 * r + 1] != good || seq[2 * r] > seq[2 * r + 1]));
#ifdef LAZY_REPAIR	/* C5: served before it is durable */
			place[r] = 1 - (c & 1);
#else
			write(now);
			place[r] = c & 1;
#ifndef ONE_PLACE	/* C7 */
			if :: ok && !crashed -> c = c ^ 1; write(now) :: else fi;
#endif
			if
			:: !ok && !crashed ->
#ifdef FORCE
				if :: out == NONE -> out = r :: else -> writable = false fi
#else
#ifndef SERVE_UNREPAIRED	/* C5 */
				writable = false
#endif
#endif
			:: else
			fi
#endif
		fi;
		r++
	:: else -> break
	od
}

inline load() {
	out = NONE; doubt = 0; mask = 15; choose();
	if
	:: best == NONE -> assert(harmed || leaves < LEAVES)
	:: else ->
		/* Two with one number that differ. */
		c = 0; ok = true;
		do
		:: c < 4 ->
			if
			:: there[c / 2] && form[c] == good && seq[c] == seq[best] && facts[c] != facts[best] ->
#ifdef TAKE_EITHER	/* C6 */
				best = c
#else
				ok = false
#endif
			:: else
			fi;
			c++
		:: else -> break
		od;
#ifndef TWIN
		assert(ok);	/* C2 */
#endif
		if
		:: !ok -> skip
		:: else ->
			now = facts[best]; s = seq[best]; number = s; committed = s;
			newest = (there[0] -> super[0] : 0);
			newest = (there[1] && super[1] > newest -> super[1] : newest);
			look();
#ifdef UNREADABLE_IS_OLD	/* C15 */
			stale = false;
#endif
#ifndef NO_MARK			/* C15 */
			stale = stale || (mark > s && mark > newest) ||
#ifdef NO_DIGEST		/* C15 */
				false;
#else
				(s <= mark && digest && digest != s);
#endif
#endif
			assert(!stale || harmed || leaves < LEAVES);
			writable = !stale;
			last = (mark > s -> mark : s);
			last = (newest > last -> newest : last);
#ifndef NO_JUMP			/* C2: a copy that is away may have a number that was burnt */
			last = last + JUMP;
#endif
			repair();
			assert(writable || crashed || harmed || leaves < LEAVES);
			if
			:: crashed || !writable -> skip
			:: else ->
#ifndef NO_THIRD_RECORD
				/* Then the mark: see settle() in load.c. */
				if
				:: out != NONE -> last++; committed = last; super[1 - out] = last;
					update_mark()
				:: else -> super[0] = newest; super[1] = newest
				fi;
#endif
				if
				:: crashed -> skip
				:: else ->
					up = true;
					assert(HAS(now, acked));
					assert(HAS(now, seen));
					assert(!(now & gone));
					seen = seen | now;
					check_p4(); check_age()
				fi
			fi
		fi
	fi
}

init {
	d_step {
		form[0] = good; seq[0] = 1; form[1] = zero; form[2] = good; seq[2] = 1; form[3] = zero;
		there[0] = true; there[1] = true; up = true; last = 1; committed = 1; number = 1;
		mark = 1; digest = 1
#ifdef TOGGLE
		; next[0] = 1; next[1] = 1
#endif
	}
	do
	:: atomic { up && nr_commits < COMMITS ->
		nr_commits++;
		commit(now | (1 << (nr_commits - 1)), 1 << (nr_commits - 1));
		forget() }
	:: atomic { up && doubt && nr_retries < RETRIES -> nr_retries++; commit(now, 0); forget() }
	:: atomic { up && mark < committed -> update_mark();
		if :: crashed -> up = false :: else fi; forget() }
	:: atomic { up && crashes > 0 -> crashes--; up = false; forget() }
	:: atomic { leaves > 0 -> leaves--;
		if :: there[0] = !there[0] :: there[1] = !there[1] fi }
	:: atomic { rots > 0 -> rots--; harmed = true;
		if :: c = 0 :: c = 1 :: c = 2 :: c = 3 fi;
		form[c] = lost; seq[c] = 0; facts[c] = 0; c = 0 }
#ifdef TWIN
	:: atomic { !up && twins > 0 -> twins--; harmed = true; mask = 15; choose();
		if
		:: best < 2 && ((form[2] == good && seq[2] == seq[best]) ||
				(form[3] == good && seq[3] == seq[best])) -> facts[best] = FOREIGN
		:: else
		fi;
		forget() }
#endif
#ifdef STRAY
	:: atomic { !up && strays > 0 -> strays--; harmed = true;
		if :: c = 0 :: c = 1 :: c = 2 :: c = 3 fi;
		form[c] = good; seq[c] = 60; facts[c] = FOREIGN + STRAYED; c = 0 }
#endif
	:: atomic { !up && (there[0] || there[1]) -> load(); forget() }
	od
}
