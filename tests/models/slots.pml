/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of slots in several table blocks, each with one slot: relocation, moves, freed slots
 * that are used again; their data in the spare's cache, and power cuts (kmod/engine/relocate.c,
 * manual.c, kmod/meta/commit.c).  A commit of one block is what block.pml shows: complete, or in
 * doubt until a later one is; a crash leaves either content.
 *
 * A chunk has the newest version that was acknowledged, or a later one that was not, and never
 * another chunk's data.  Each rule is kept unless its name is defined.
 */
#define SLOTS	3
#define CHUNKS	2	/* numbered from 1; 0: none */
#ifndef STEPS
#define STEPS	5
#endif
#ifndef FAULTS
#define FAULTS	2
#endif
#ifndef CRASHES
#define CRASHES	1
#endif
#define NONE	SLOTS
#define DATA(c, v)	((c) * 16 + (v))
#define CHUNK_OF(d)	((d) / 16)
#define VERSION_OF(d)	((d) % 16)

/* The media: an entry names a chunk; what the block had before its last commit, and may have. */
byte owner[SLOTS], epoch[SLOTS], before[SLOTS], may_owner[SLOTS], may_epoch[SLOTS]
bool may[SLOTS]
byte data[SLOTS], cache[SLOTS]		/* of the slots; cache 0: nothing */
byte place[CHUNKS + 1]			/* version on main */

/* The set while it is up. */
bool up = true
byte at[CHUNKS + 1] = NONE		/* slot that serves a chunk */
byte blocked[CHUNKS + 1]		/* 1 + block whose media may have what was withdrawn (C4) */
bool busy[SLOTS], retired[SLOTS], bad[SLOTS]
byte reader, reading = NONE		/* a read on its way: its chunk, and the slot it looked up */

byte sent[CHUNKS + 1], acked[CHUNKS + 1]
byte steps = STEPS, faults = FAULTS, crashes = CRASHES

/* Of one step. */
byte c, i, j, e
bool ok

inline forget() { c = 0; i = 0; j = 0; e = 0; ok = false }

inline crash() {
	up = false; i = 0;
	do
	:: i < SLOTS ->
		if :: cache[i] -> data[i] = cache[i] :: skip fi;
		cache[i] = 0; busy[i] = false; retired[i] = false; bad[i] = false; i++
	:: else -> break
	od;
	at[1] = NONE; at[2] = NONE; blocked[1] = 0; blocked[2] = 0;
	reading = NONE; reader = 0
}

/* Of the spare: all that is cached.  Its loss is reported once. */
inline flush() {
	i = 0; ok = true;
	if
	:: skip
	:: faults > 0 -> faults--; ok = false
	fi;
	do
	:: i < SLOTS -> if :: ok && cache[i] -> data[i] = cache[i] :: else fi; cache[i] = 0; i++
	:: else -> break
	od;
#ifdef UNCHECKED	/* C10 */
	ok = true
#endif
}

/* Block B names chunk C of epoch E from now on; the block may be in doubt. */
inline commit(b, who, age) {
	if
	:: before[b] = owner[b]; owner[b] = who; epoch[b] = age; may[b] = false;
		may_owner[b] = 0; may_epoch[b] = 0; ok = true
	:: faults > 0 -> faults--; may[b] = true; may_owner[b] = who; may_epoch[b] = age;
		ok = false
	fi
}

inline pick_slot(j) {
	j = 0;
	do
	:: j < SLOTS && (busy[j] || may[j] || bad[j]) -> j++
	:: else -> break
	od
}

/* A write to a chunk whose place on main is bad. */
inline relocate() {
	sent[c]++;
#ifdef FLUSH_FIRST	/* C9 */
	flush();
	if :: ok -> cache[j] = DATA(c, sent[c]) :: else fi;
#else
	cache[j] = DATA(c, sent[c]);
#ifdef NO_FLUSH		/* C10 */
	ok = true;
#else
	flush();
#endif
#endif
	if
	:: ok && crashes > 0 -> crashes--; crash()
	:: ok ->
		commit(j, c, 0);
		if
		:: ok -> at[c] = j; busy[j] = true; acked[c] = sent[c]
		:: else -> blocked[c] = 1 + j; busy[j] = true
		fi
	:: else
	fi
}

/* From slot I, which went bad, to slot J. */
inline move() {
	cache[j] = (cache[i] -> cache[i] : data[i]); e = i;
	flush();
	i = e;
	e = (epoch[i] + 1) % 4;
#ifdef SAME_EPOCH	/* C13 */
	e = epoch[i];
#endif
	if
	:: ok ->
#ifdef OLD_FIRST	/* C13 */
		commit(i, 0, 0);
		if :: crashes > 0 -> crashes--; crash(); i = NONE :: skip fi;
#endif
		if
		:: up ->
			commit(j, c, e);
			busy[j] = true;
			if
			:: ok ->
				at[c] = j; bad[i] = true; busy[i] = false;
				if
				:: crashes > 0 -> crashes--; crash()
				:: commit(i, 0, 0)
				fi
			:: else -> blocked[c] = 1 + j
			fi
		:: else
		fi
	:: else
	fi
}

/* Back to main, which takes it again. */
inline unremap() {
	place[c] = VERSION_OF((cache[i] -> cache[i] : data[i]));
	commit(i, 0, 0);
	if
	:: ok -> at[c] = NONE; busy[i] = false; retired[i] = true
	:: else -> blocked[c] = 1 + i
	fi
}

inline commit_again() {
	if
	:: at[1] == i -> commit(i, 1, epoch[i])
	:: at[2] == i -> commit(i, 2, epoch[i])
	:: else -> commit(i, 0, 0)
	fi;
	if
	:: ok ->
		if :: blocked[1] == 1 + i -> blocked[1] = 0 :: else fi;
		if :: blocked[2] == 1 + i -> blocked[2] = 0 :: else fi;
		if :: at[1] != i && at[2] != i && busy[i] -> busy[i] = false; retired[i] = true :: else fi
	:: else
	fi
}

inline load() {
	i = 0;
	do
	:: i < SLOTS ->
		if
		:: may[i] -> before[i] = owner[i]; owner[i] = may_owner[i]; epoch[i] = may_epoch[i]
		:: skip
		fi;
		may[i] = false; may_owner[i] = 0; may_epoch[i] = 0;
		retired[i] = (before[i] != 0 && owner[i] == 0);
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < SLOTS ->
		c = owner[i];
		if
		:: c && at[c] != NONE ->
			j = at[c];
			if
			:: (epoch[j] + 1) % 4 == epoch[i] -> at[c] = i; busy[i] = true; busy[j] = false
			:: (epoch[i] + 1) % 4 == epoch[j] -> j = i
			:: else -> assert(false)	/* refused: nothing tells which is newer */
			fi;
			/* On the media until the block is committed without it. */
			may[j] = true; may_owner[j] = c; may_epoch[j] = epoch[j];
			owner[j] = 0; epoch[j] = 0
		:: c && at[c] == NONE -> at[c] = i; busy[i] = true
		:: else
		fi;
		i++
	:: else -> break
	od;
	up = true
}

inline check() {
	c = 1;
	do
	:: c <= CHUNKS ->
		if
		:: at[c] == NONE -> assert(place[c] >= acked[c])
		:: else ->
			assert(CHUNK_OF(data[at[c]]) == c);
			assert(VERSION_OF(data[at[c]]) >= acked[c]);
			/* It was read from here on. */
			acked[c] = VERSION_OF(data[at[c]])
		fi;
		c++
	:: else -> break
	od
}

/* Both newest copies lost: what was there before is shown, and is not another chunk's (C11). */
inline check_before() {
	i = 0;
	do
	:: i < SLOTS -> assert(!before[i] || CHUNK_OF(data[i]) == before[i]); i++
	:: else -> break
	od
}

/* C13: what an earlier move left may still be on the media. */
#define LEFT(c, i)	(may[i] && (may_owner[i] == (c) || owner[i] == (c)))
#ifdef MOVE_AGAIN	/* C13 */
#define UNFINISHED(c)	false
#else
#define UNFINISHED(c)	(LEFT(c, 0) || LEFT(c, 1) || LEFT(c, 2))
#endif

inline choose_chunk() { if :: c = 1 :: c = 2 fi }

init {
	d_step { at[0] = NONE; at[1] = NONE; at[2] = NONE }
	do
	:: atomic { up && steps > 0 -> steps--;
		choose_chunk(); pick_slot(j);
		if
		:: at[c] == NONE && !blocked[c] && j < SLOTS && !retired[j] -> relocate()
		:: else
		fi;
		forget() }
	:: atomic { up && steps > 0 -> steps--;		/* a durable write to a remapped chunk */
		choose_chunk();
		if
		:: at[c] != NONE && !blocked[c] -> sent[c]++; data[at[c]] = DATA(c, sent[c]);
			acked[c] = sent[c]
		:: else
		fi;
		forget() }
	:: atomic { up && steps > 0 -> steps--;
		choose_chunk(); pick_slot(j); i = at[c];
		if
		:: i != NONE && !blocked[c] && j < SLOTS && !retired[j] && !may[i] &&
		   !UNFINISHED(c) -> move()
		:: else
		fi;
		forget() }
	:: atomic { up && steps > 0 -> steps--;
		choose_chunk(); i = at[c];
		if
		:: i != NONE && !blocked[c] && !may[0] && !may[1] && !may[2] -> unremap()
		:: else
		fi;
		forget() }
	:: atomic { up && steps > 0 -> steps--;		/* to end a doubt, or for a slot that was freed */
		if :: i = 0 :: i = 1 :: i = 2 fi;
		if :: may[i] || retired[i] -> commit_again() :: else fi;
		forget() }
	:: atomic { up && reading == NONE ->		/* a read looks up, and is slow */
		choose_chunk();
		if :: at[c] != NONE -> reading = at[c]; reader = c :: else fi; forget() }
	:: atomic { up && reading != NONE ->
		i = reading;
		assert(CHUNK_OF((cache[i] -> cache[i] : data[i])) == reader);
		reading = NONE; reader = 0; forget() }
	/* A freed slot is free once a second commit was complete, and nothing is on its way to it. */
	:: atomic { up && (retired[0] || retired[1] || retired[2]) ->
		if :: retired[0] -> i = 0 :: retired[1] -> i = 1 :: retired[2] -> i = 2 fi;
		if
#ifdef REUSE_AT_ONCE	/* C11 */
		:: !may[i] && reading != i -> retired[i] = false
#else
#ifdef REUSE_UNDRAINED	/* C11 */
		:: !may[i] && !before[i] -> retired[i] = false
#else
		:: !may[i] && !before[i] && reading != i -> retired[i] = false
#endif
#endif
		:: else
		fi;
		forget() }
	:: atomic { up && crashes > 0 -> crashes--; crash(); forget() }
	:: atomic { !up -> load(); check(); forget() }
	:: atomic { up -> check_before(); forget() }
	od
}
