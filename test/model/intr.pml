/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * How an Rx queue sleeps and is woken: one consumer, one or two producers, stores that are delayed.
 *
 * Each process has a store buffer, as on x86: what it stores is seen by the others when memory()
 * gets to it, in order, any number of steps later; loads do not wait for it. A full barrier does.
 * Each load, store and system call of the driver is one step here, named by the function it is in.
 *
 * Properties:
 *  no lost wakeup         when nothing moves any more, everything published has been read
 *  no ring without arming whoever rings has seen the number of a sleep that had begun
 *  bounded wakeups        a producer rings once a sleep and step of a session; the consumer is
 *                         woken for nothing at most as often as it is rung
 * Every run ends, as each sleep needs a signal and those are bounded: a search that is complete has
 * seen all that can happen.
 *
 * Defines: PRODUCERS, PUBLICATIONS of each; RELAY: the queue has no vector of its own; SESSION: the
 * ends still have to agree. The others each take away one thing that the driver does: t_model.py.
 */

#ifdef NO_A1
#define A1	skip
#else
#define A1	empty(buffer[CONSUMER])
#endif
#ifdef NO_A2
#define A2	skip
#else
#define A2	empty(buffer[me])
#endif

/* The processes that store. */
#define CONSUMER	0
#define CONTROL		1
#define PRODUCER	2	/* and on */

/* The region's words; an index is stored with its epoch, 1 higher than it is: 0 = not started. */
#define PW(p)		(p)
#define P_YOURS(p)	(2 + p)
#define C_YOURS(p)	(4 + p)
#define CW		6
#define MAY_ARM		7
#define ARM		8
/* Words of the consumer's process that its two threads share, struct ivshmem_sleep. */
#define ARMED		9
#define SIGNALLED	10
#define SEEN_WORD(p)	(11 + p)
#define SEEN_YOURS(p)	(13 + p)
/* The index in a consumer's cw. */
#define C_READ(p)	(15 + p)
#define WORDS		17

#define store(who, word, value)	buffer[who] ! word, value

byte mem[WORDS];
chan buffer[PRODUCER + PRODUCERS] = [7] of { byte, byte };
byte efd;	/* the queue's eventfd */
byte vector0;	/* the control vector's */

/* Bookkeeping of the properties: no step depends on it. */
byte sleeps;	/* begun */
bool awake = true;
byte owed;	/* wakeups for nothing that rings may still cause */

hidden byte word;
hidden byte value;

active proctype memory()
{
end:	do
	:: d_step { buffer[CONSUMER] ? word, value -> mem[word] = value }
#ifdef RELAY
	:: d_step { buffer[CONTROL] ? word, value -> mem[word] = value }
#endif
	:: d_step { buffer[PRODUCER] ? word, value -> mem[word] = value }
#if PRODUCERS > 1
	:: d_step { buffer[PRODUCER + 1] ? word, value -> mem[word] = value }
#endif
	od
}

/* --- ivshmem_tx.c, ivshmem_session.c: a Tx queue of another port --------------------------- */

/*
 * ivshmem_tx_bell(). What was read before the consumer armed ends no sleep; then the next
 * publication rings. ops->ring() is a step of its own, since it may come late.
 */
inline tx_bell(meets)
{
	A2;
	arm = mem[ARM];
#ifndef RING_AGAIN
	arm = (arm == rung -> 0 : arm);
#endif
#ifndef RING_READ
	arm = (!meets && mem[C_READ(p)] == published -> 0 : arm);
#endif
	if
#ifndef RING_AWAKE
	:: arm == 0 -> skip
#endif
	:: else ->
		rung = arm;
		atomic {
			assert(arm != 0 && arm <= sleeps);
			assert(arm > rung_before || step);
			rung_before = arm;
			step = meets;
			owed++;
#ifdef RELAY
			vector0++;
#else
			efd++;
#endif
		}
	fi;
	arm = 0
}

/* ivshmem_tx_meet(): a step is a publication, and the first frame after it rings, too */
inline tx_meet()
{
	rung = 0;
	may_arm = mem[MAY_ARM];
	if
	:: may_arm -> tx_bell(true)
	:: else
	fi;
#ifndef MEET_RUNG
	rung = 0
#endif
}

proctype producer(byte me; byte p)
{
	byte published = 0;
	byte rung = 0;
	byte rung_before = 0;	/* bookkeeping */
	byte arm = 0;
	bool may_arm = mem[MAY_ARM];
	bool step = false;	/* bookkeeping: it last rang for a step of the session */

#ifdef SESSION
	store(me, PW(p), 1);			/* ivshmem_producer_start() by ivshmem_dest_start() */
	mem[CW] != 0;				/* ivshmem_tx_session(), in each burst until then */
	store(me, PW(p), 1);			/* ivshmem_producer_adopt() */
	store(me, P_YOURS(p), 1);
#ifndef QUIET_ADOPT
	tx_meet();
#endif
	mem[C_YOURS(p)] != 0;			/* ivshmem_producer_poll() */
#endif
	do
	:: published < PUBLICATIONS ->
		published++;
		store(me, PW(p), 1 + published);	/* ivshmem_producer_publish(), P1 */
		if
		:: may_arm -> tx_bell(false)
		:: else
		fi
	:: else -> break
	od
}

/* --- ivshmem_intr.c: the control thread, where the queue has no vector of its own ---------- */

#ifdef RELAY
/* ivshmem_intr_control() to ivshmem_intr_relay_to() */
active proctype control()
{
	byte armed = 0;
	byte told = 0;
	byte seen = 0;
	byte p = 0;
	bool due = false;

end:	do
	:: vector0 > 0 ->
		vector0 = 0;
		armed = mem[ARMED];
		if
		:: armed != 0 ->
			do				/* ivshmem_intr_is_due() */
			:: p < PRODUCERS && !due ->
				seen = mem[SEEN_WORD(p)];
				due = mem[PW(p)] != seen;
				seen = mem[SEEN_YOURS(p)];
				due = due || mem[P_YOURS(p)] != seen;
				p++
			:: else -> break
			od;
			told = mem[SIGNALLED];
			if				/* ivshmem_intr_wake() */
			:: due && told != armed ->
				store(CONTROL, SIGNALLED, armed);
				empty(buffer[CONTROL]);	/* its own loads must see it */
				efd++
			:: else
			fi
		:: else
		fi;
		d_step { armed = 0; seen = 0; told = 0; p = 0; due = false }
	od
}
#endif

/* --- ivshmem_rx.c, ivshmem_intr.c: the Rx queue and the application's loop ----------------- */

/* ivshmem_consumer_poll(), ivshmem_consumer_adopt() in a burst */
inline rx_session()
{
	w = mem[PW(p)];
	if
	:: w == 0 -> skip
	:: w != 0 && !adopted[p] ->
		store(CONSUMER, C_YOURS(p), 1);
		adopted[p] = true;
		useful = true
	:: w != 0 && adopted[p] ->
		ready[p] = mem[P_YOURS(p)] != 0;
		useful = useful || ready[p]
	fi
}

/* ivshmem_rx_burst() */
inline rx_burst()
{
	got = false;
	p = 0;
	do
	:: p < PRODUCERS ->
		if
		:: !ready[p] -> rx_session()
		:: else
		fi;
		if
		:: ready[p] -> atomic {
			w = mem[PW(p)] - 1;
			got = got || w != cons[p];
			fresh = w != cons[p];
			cons[p] = w
		}
			if
			:: fresh -> store(CONSUMER, C_READ(p), w)	/* P2 */
			:: else
			fi
		:: else
		fi;
		p++
	:: else -> break
	od;
	atomic { useful = useful || got; p = 0; w = 0; fresh = false }
}

/* ivshmem_intr_note() */
inline intr_note()
{
#ifdef RELAY
	p = 0;
	do
	:: p < PRODUCERS ->
		w = mem[P_YOURS(p)];
		store(CONSUMER, SEEN_YOURS(p), w);
		w = mem[PW(p)];
		store(CONSUMER, SEEN_WORD(p), w);
		p++
	:: else -> break
	od
#else
	skip
#endif
}

/* ivshmem_intr_has_work(): the second look */
inline intr_has_work()
{
	work = false;
	p = 0;
	do
	:: p < PRODUCERS && !work ->
		w = mem[PW(p)];
		if
		:: ready[p] -> work = w - 1 != cons[p]
		:: !ready[p] && w == 0 -> skip
		:: !ready[p] && w != 0 && !adopted[p] -> work = true
		:: !ready[p] && w != 0 && adopted[p] ->
			ready[p] = mem[P_YOURS(p)] != 0;
			work = ready[p];
			useful = useful || work
		fi;
		p++
	:: else -> break
	od
}

/* ivshmem_intr_wake() by the queue's own thread */
inline intr_wake()
{
#ifdef RELAY
	if
	:: mem[SIGNALLED] != seq ->
		store(CONSUMER, SIGNALLED, seq);
		efd++
	:: else
	fi
#else
	efd++
#endif
}

/* ivshmem_intr_drain() */
inline intr_drain()
{
	d_step {
		woken = woken || efd > 0;
		efd = 0
	}
}

/* ivshmem_rx_queue_intr_enable() */
inline intr_enable()
{
	if
	:: awake			/* disable has drained */
	:: else -> intr_drain()
	fi;
	d_step {			/* ivshmem_intr_judge() */
		awake = false;
		assert(!woken || useful || owed > 0);
		owed = owed - (woken && !useful -> 1 : 0);
		woken = false;
		useful = false;
#ifdef SAME_NUMBER
		seq = 1;
#else
		seq++;
#endif
		sleeps = seq
	}
#ifndef LATE_NOTE
	intr_note();
#endif
#ifdef RELAY
	store(CONSUMER, ARMED, seq);
#endif
	store(CONSUMER, ARM, seq);
	A1;
#ifndef NO_LOOK
	intr_has_work();
	if
	:: work -> intr_wake()
	:: else
	fi;
#endif
#ifdef LATE_NOTE
	intr_note();
#endif
	atomic { p = 0; w = 0; work = false }
}

/* ivshmem_rx_queue_intr_disable() */
inline intr_disable()
{
	store(CONSUMER, ARM, 0);
#ifdef RELAY
	store(CONSUMER, ARMED, 0);
#endif
	intr_drain();
	awake = true
}

proctype consumer()
{
	bool ready[PRODUCERS];
	bool adopted[PRODUCERS];
	byte cons[PRODUCERS];
	byte seq = 0;
	byte p = 0;
	byte w = 0;
	bool got = false;
	bool fresh = false;
	bool work = false;
	bool woken = false;
	bool useful = false;	/* since it armed: frames, or a step of a session */

#ifdef SESSION
	store(CONSUMER, MAY_ARM, 1);	/* ivshmem_intr_start() */
	store(CONSUMER, CW, 1);		/* ivshmem_consumer_start() */
#else
	d_step {
		ready[0] = true;
		ready[PRODUCERS - 1] = true
	}
#endif
	do
	:: rx_burst();
		if
		:: got -> skip
		:: else ->
			intr_enable();
			if			/* epoll_wait() without a time-out */
			:: efd > 0 -> skip
			:: timeout -> break	/* nothing in the model can move */
			fi;
			if			/* the next burst may come before or without it */
			:: intr_disable()
			:: skip
			fi
		fi
	od;
	assert(cons[0] == PUBLICATIONS && cons[PRODUCERS - 1] == PUBLICATIONS)
}

init
{
	atomic {
#ifndef SESSION
		mem[MAY_ARM] = 1;
		mem[PW(0)] = 1;
		mem[PW(1)] = 1;
#endif
		run consumer();
		run producer(PRODUCER, 0);
#if PRODUCERS > 1
		run producer(PRODUCER + 1, 1);
#endif
	}
}
