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
 * Defines: TRIES of each thread; OWNERS that there may be, one or two; GUEST: the second thread
 * tries, but not in a burst. One burst is streak enough. The others each take away one thing that
 * the driver does: t_model.py.
 */

#define THREADS		3
#define CLAIMER		2

/* The words of struct ivshmem_lock, and one that is plain memory under it. */
#define OWNER		0
#ifdef ONE_INSIDE
#define INSIDE(number)	1
#else
#define INSIDE(number)	(1 + number)
#endif
#define OTHERS		3
#define DATA		4
#define WORDS		5

/* Values of OWNER besides owners. */
#define SHARED		0
#define CLAIMED		100
#define owner_of(number, me)	(number * 4 + me + 1)
#define owner_thread(owner)	(owner % 4)	/* the thread + 1, or 0 */
#define owner_number(owner)	(owner / 4)

#ifdef NO_BARRIER
#define membarrier(me)	skip
#else
#define membarrier(me)	empty(buffer[me]); empty(buffer[0]); empty(buffer[1]); empty(buffer[2])
#endif

#define store(who, word, value)	buffer[who] ! word, value

byte mem[WORDS];
chan buffer[THREADS] = [8] of { byte, byte };
byte owner_cnt;	/* only under "others", with barriers on both sides */

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
#define is_empty	(owner_cnt == 0 || mem[INSIDE(owner_cnt - 1)] == 0)

/* ivshmem_lock_try_other() */
inline lock_try_other(me)
{
	others_trylock(me);
	if
	:: !locked -> skip
	:: else ->
		owner = mem[OWNER];
		if
		:: owner_thread(owner) != 0 && owner_thread(owner) != me + 1 ->
			store(me, OWNER, SHARED);
			membarrier(me)
		:: else
		fi;
		if
		:: owner_thread(owner) == me + 1 ->
			store(me, OTHERS, 0)
#ifndef NO_LOOK
		:: owner_thread(owner) != me + 1 && !is_empty ->
			store(me, OTHERS, 0)
#endif
		:: else ->
			if
			:: burst && owner_cnt < OWNERS ->
				number = owner_cnt;
				owner_cnt++;
				store(me, INSIDE(number), 1);
				store(me, OWNER, owner_of(number, me));
				store(me, OTHERS, 0);
				work(me);
				store(me, INSIDE(number), 0)	/* ivshmem_lock_leave() */
			:: !burst || owner_cnt == OWNERS ->
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
	byte again;
	byte number;
	bool locked;

	do
	:: tries < TRIES ->
		tries++;
		owner = mem[OWNER];
		if
		:: owner_thread(owner) != me + 1 -> lock_try_other(me)
		:: else ->
			number = owner_number(owner);
			store(me, INSIDE(number), 1);
			again = owner;
#ifndef NO_RECHECK
			again = mem[OWNER];
#endif
			if
			:: again == owner -> work(me)
			:: else
			fi;
			store(me, INSIDE(number), 0)
		fi;
		d_step { owner = 0; again = 0; number = 0; locked = false }
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
		run thread(0, true);
#ifdef GUEST
		run thread(1, false);
#else
		run thread(1, true);
#endif
		run claimer()
	}
}
