/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flushes of the spare: kmod/base/gate.c and written.c.  Writers have writes acknowledged that are
 * in the spare's cache; the worker flushes for a commit; users flush.  The disk reports the loss
 * of what it had cached once, to the flush that comes first, and has forgotten it then.
 *
 * No user's flush succeeds while a write is lost that was acknowledged before it began, unless
 * that loss was reported to a user.  Each rule is kept unless its name is defined.
 */
#define WRITERS	2
#define USERS	2

bool cached[WRITERS], durable[WRITERS], acked[WRITERS], is_lost[WRITERS], told[WRITERS]
byte written, covered		/* remap_cached_writes(), and what a flush has covered */
bool owed			/* remap_gate.owed */
bool gate			/* the mutex */
byte losses = 1

inline lock() { atomic { !gate -> gate = true } }
inline unlock() { gate = false }

/* A user is about to be told of all that is lost so far. */
inline tell() { told[0] = told[0] || is_lost[0]; told[1] = told[1] || is_lost[1] }

/* What is cached when the disk begins is on the media when it ends, or lost. */
inline send(is_user) {
	sum = written;
#ifdef COVER_LATE		/* D9: what was written while the disk flushed counts as covered */
	sum = 0;
#endif
	d_step { taken[0] = cached[0]; taken[1] = cached[1] }
	if
	:: d_step { durable[0] = durable[0] || taken[0]; durable[1] = durable[1] || taken[1] }
		failed = false
	:: d_step { losses > 0 -> losses--;
		is_lost[0] = is_lost[0] || (taken[0] && !durable[0]);
		is_lost[1] = is_lost[1] || (taken[1] && !durable[1]);
		failed = true;
		if :: is_user -> tell() :: else fi }
	fi;
	d_step { cached[0] = cached[0] && !taken[0]; cached[1] = cached[1] && !taken[1];
		 taken[0] = 0; taken[1] = 0 }
#ifdef COVER_LATE
	sum = written;
#endif
#ifdef FAILED_COVERS		/* D9 */
	d_step { covered = (sum > covered -> sum : covered) }
#else
	d_step { if :: !failed && sum > covered -> covered = sum :: else fi }
#endif
}

inline take_owed() {
	d_step { failed = owed; owed = false; if :: failed -> tell() :: else fi }
}

active [WRITERS] proctype writer() {
	byte me = _pid;
#ifdef COUNT_EARLY		/* D9: counted when it is sent */
	written++;
#endif
	cached[me] = true;
#ifndef COUNT_EARLY
	written++;
#endif
	acked[me] = true
}

active proctype worker() {
	byte sum; bool taken[WRITERS], failed;
	lock();
	send(false);
#ifdef OWE_LATE			/* D17: others may pass the gate before it is remembered */
	unlock();
#endif
#ifndef OWE_NOTHING		/* D17 */
	if :: failed -> owed = true :: else fi;
#endif
#ifndef OWE_LATE
	unlock()
#endif
}

active [USERS] proctype user() {
	byte sum; bool taken[WRITERS], failed, need[WRITERS];
	d_step { need[0] = acked[0]; need[1] = acked[1] }
	if
#ifdef FORGET_OWED		/* D17: a flush that is left out reports nothing */
	:: covered >= written -> failed = false
#else
	:: covered >= written -> take_owed()
#endif
	:: else ->
		lock();
		send(true);
		if :: !failed -> take_owed() :: else fi;
		unlock()
	fi;
	d_step {
		if
		:: failed
		:: else ->
			assert(!need[0] || durable[0] || told[0]);
			assert(!need[1] || durable[1] || told[1])
		fi
	}
}
