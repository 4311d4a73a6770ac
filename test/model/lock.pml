/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * The lock of a queue, ivshmem_lock.h: threads that try it in bursts or otherwise, and one that
 * waits for it; stores that are delayed.
 *
 * Each thread has a store buffer, as on x86: what it stores is seen by the others when memory()
 * gets to it, in order, any number of steps later; loads do not wait for it. An atomic exchange
 * does, and membarrier has every thread do it, one after another. Each load, store and system call
 * of the driver is one step here, named by the function it is in.
 *
 * Properties:
 *  one inside     never two threads at once, and whoever enters sees what was done inside before
 *  nobody waits   but the one that may: all of them get to their end
 *
 * Defines: TRIES of each thread; GUEST: the second one tries, but not in a burst. Whether a burst is
 * streak enough is left open. The others each take away one thing that the driver does: t_model.py.
 */

#define THREADS		3
#define CLAIMER		2

/* The words of struct ivshmem_lock, and one that is plain memory under it. */
#define OWNER		0
#ifdef ONE_INSIDE
#define INSIDE(thread)	1
#else
#define INSIDE(thread)	(1 + thread)
#endif
#define OTHERS		3
#define DATA		4
#define WORDS		5

/* Values of OWNER besides the threads, 0 and 1. */
#define SHARED		10
#define CLAIMED		11

#ifdef NO_BARRIER
#define membarrier(me)	skip
#else
#define membarrier(me)	empty(buffer[me]); empty(buffer[0]); empty(buffer[1]); empty(buffer[2])
#endif

#define store(who, word, value)	buffer[who] ! word, value

byte mem[WORDS];
chan buffer[THREADS] = [8] of { byte, byte };
byte last = SHARED;	/* only under "others" */

byte inside;	/* bookkeeping of the properties */
hidden byte word;
hidden byte value;

active proctype memory()
{
end:	do
	:: d_step { buffer[0] ? word, value -> mem[word] = value }
	:: d_step { buffer[1] ? word, value -> mem[word] = value }
	:: d_step { buffer[CLAIMER] ? word, value -> mem[word] = value }
	od
}

/* What the lock is for. */
inline work(me)
{
	atomic {
		assert(inside == 0);
		assert(me == 0 || !(buffer[0] ?? [DATA, 1]));
		assert(me == 1 || !(buffer[1] ?? [DATA, 1]));
		assert(me == CLAIMER || !(buffer[CLAIMER] ?? [DATA, 1]));
		inside++
	}
	store(me, DATA, 1);
	inside--
}

/* rte_spinlock_trylock() */
inline others_trylock(me)
{
	atomic {
		empty(buffer[me]);
		locked = mem[OTHERS] == 0;
		mem[OTHERS] = 1
	}
}

/* ivshmem_lock_is_empty() */
#define is_empty	(last == SHARED || mem[INSIDE(last)] == 0)

/* ivshmem_lock_try_other() */
inline lock_try_other(me)
{
	others_trylock(me);
	if
	:: !locked -> skip
	:: else ->
		owner = mem[OWNER];
		if
		:: owner != SHARED && owner != me ->
			store(me, OWNER, SHARED);
			membarrier(me);
			owner = SHARED
		:: else
		fi;
		if
		:: owner != SHARED ->
			store(me, OTHERS, 0)
#ifndef NO_LOOK
		:: owner == SHARED && !is_empty ->
			store(me, OTHERS, 0)
#endif
		:: else ->
			if
			:: burst ->
				last = me;
				store(me, INSIDE(me), 1);
				store(me, OWNER, me);
				store(me, OTHERS, 0);
				work(me);
				store(me, INSIDE(me), 0)	/* ivshmem_lock_leave() */
			:: true ->
				work(me);
				store(me, OTHERS, 0)
			fi
		fi
	fi
}

/* ivshmem_lock_try() and ivshmem_lock_leave() */
proctype thread(byte me; bool burst)
{
	byte tries = 0;
	byte owner;
	bool locked;

	do
	:: tries < TRIES ->
		tries++;
		owner = mem[OWNER];
		if
		:: owner != me -> lock_try_other(me)
		:: else ->
			store(me, INSIDE(me), 1);
#ifndef NO_RECHECK
			owner = mem[OWNER];
#endif
			if
			:: owner == me -> work(me)
			:: else
			fi;
			store(me, INSIDE(me), 0)
		fi;
		d_step { owner = 0; locked = false }
	:: else -> break
	od
}

/* ivshmem_lock_take() and ivshmem_lock_give() */
proctype claimer()
{
	byte tries = 0;
	byte claimed;

	do
	:: tries < TRIES ->
		tries++;
		atomic {				/* rte_spinlock_lock() */
			empty(buffer[CLAIMER]) && mem[OTHERS] == 0;
			mem[OTHERS] = 1
		}
		claimed = mem[OWNER];
		if
		:: claimed != SHARED ->
			store(CLAIMER, OWNER, CLAIMED);
			membarrier(CLAIMER)
		:: else
		fi;
#ifndef NO_WAIT
		is_empty;
#endif
		work(CLAIMER);
		store(CLAIMER, OWNER, claimed);
		store(CLAIMER, OTHERS, 0)
	:: else -> break
	od
}

init
{
	atomic {
		mem[OWNER] = SHARED;
		run thread(0, true);
#ifdef GUEST
		run thread(1, false);
#else
		run thread(1, true);
#endif
		run claimer()
	}
}
