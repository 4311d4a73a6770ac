# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Slices of traffic, interleaved: how fast each contestant was, and under what conditions.

The two CPUs of a virtual machine float over the host: their distance, and with it every
rate, jumps by a factor of up to five from minute to minute. So all contestants are kept
ready at the same time, asleep at their prompts, and take turns of well under a second,
in rotated order; only ratios of neighbouring slices are compared. The distance is
measured between any two slices. Threads that forward are of the real-time class while
they do, and sleep as long afterwards, so that a machine with other work is both usable
and measurable.

New processes are made every few rounds: a set-up takes some seconds, a slice less than
one, and where a process's pages happen to lie is part of the spread that is to be seen.

Invariants:
 I1. A round is one slice of each contestant, for each size. A disturbed slice drops its
     round, for that size, for all contestants alike.
"""

import os
import statistics
import subprocess
import time

import lab
import pmd

AWAY_MAX = 0.006        # s that a forwarding thread was not on its CPU; to read costs 2 ms
UNSURE_MAX = 0.004      # s that a reading took
WARM = 0.1
REST = 1                # for each second of real-time spinning: others have to live, too
LINE_NEAR = 200         # ns
TICK = 1 / os.sysconf('SC_CLK_TCK')

RULE = (f'A slice is disturbed when a forwarding thread was kept from its CPU for more than '
        f'{AWAY_MAX * 1000:.0f} ms\n(run queue, and steal beyond one tick of {TICK * 1000:.0f} '
        f'ms), or a counter took longer than {UNSURE_MAX * 1000:.0f} ms to read;\nits round is '
        'dropped for all contestants and taken again.')


def line_ns(cpus):
    """Round trip of a cache line between the two CPUs."""
    argv = [str(lab.BUILD / 'test' / 'perf' / 'pingpong'), *map(str, cpus)]
    proc = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: pmd.favour(0, pmd.FORWARD, 0))
    try:
        out, err = proc.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        proc.kill()
        proc.communicate()
        raise lab.Failure(f'{" ".join(argv)} did not end within 20 s')
    lab.check(proc.returncode == 0, f'{" ".join(argv)}: {err.strip()}')
    return float(out)


def steal_ticks(cpus):
    """{cpu: ticks that the host gave to others}."""
    found = {}
    with open('/proc/stat', encoding='ascii') as stream:
        for line in stream:
            word = line.split()
            if word[0].startswith('cpu') and word[0][3:].isdigit():
                found[int(word[0][3:])] = int(word[8])
    return [found.get(cpu, 0) for cpu in cpus]


def take_slice(contestant, cpus, seconds):
    """One slice; its numbers as a dictionary, without the line."""
    contestant.start()
    time.sleep(WARM)
    procs = (contestant.tx, contestant.rx)
    steal = steal_ticks(cpus)
    waited = [proc.waited_ns() for proc in procs]
    begun, unsure_begin, first = contestant.rx.count('RX')
    time.sleep(seconds)
    ended, unsure_end, last = contestant.rx.count('RX')
    waited = [proc.waited_ns() - was for proc, was in zip(procs, waited)]
    steal = [now - was for now, was in zip(steal_ticks(cpus), steal)]
    contestant.stop()
    spent = ended - begun
    lab.check(last > first, f'{contestant.text} received nothing for {spent:.2f} s: logs in '
              f'{lab.log_dir()}')
    away = [wait / 1e9 + max(0, ticks - 1) * TICK for wait, ticks in zip(waited, steal)]
    unsure = max(unsure_begin, unsure_end)
    return {
        'contestant': contestant.text, 'seconds': spent, 'packets': last - first,
        'mpps': (last - first) / spent / 1e6, 'away_tx': away[0], 'away_rx': away[1],
        'unsure': unsure,
        'disturbed': max(away) > AWAY_MAX or unsure > UNSURE_MAX,
    }


class Plan:
    """What is measured: contestants (specifications; the first is compared with each other)."""

    def __init__(self, contestants, sizes, queues, pairs, seconds, rounds):
        self.contestants = contestants
        self.sizes = sizes
        self.queues = queues
        self.pairs = pairs
        self.seconds = seconds
        self.rounds = rounds            # of a generation of processes
        self.tries = 3 * pairs + 10     # rounds a size, dropped ones included
        self.cpus = lab.cpus(2)


class Run:
    """Takes rounds until every size has its pairs, or its tries are used up."""

    def __init__(self, plan, say):
        self.plan = plan
        self.say = say
        self.rounds = {size: [] for size in plan.sizes}
        self.dropped = {size: [] for size in plan.sizes}
        self.serial = 0

    def due(self, size):
        done, lost = len(self.rounds[size]), len(self.dropped[size])
        return done < self.plan.pairs and done + lost < self.plan.tries

    def generation(self):
        """New processes for every contestant."""
        self.serial += 1
        team = [pmd.parse(text, self.plan.queues) for text in self.plan.contestants]
        for index, contestant in enumerate(team):
            contestant.launch(f'{self.serial:02}-{index}', self.plan.cpus)
        for contestant in team:
            contestant.ready()
        return team

    def take_round(self, team, size):
        """Slices of one size in this round's order, with the line between them."""
        turn = (len(self.rounds[size]) + len(self.dropped[size])) % len(team)
        slices = {}
        line = line_ns(self.plan.cpus)
        for contestant in team[turn:] + team[:turn]:
            contestant.set_size(size)
            taken = take_slice(contestant, self.plan.cpus, self.plan.seconds)
            taken['line_before'], line = line, line_ns(self.plan.cpus)
            taken['line_after'] = line
            slices[contestant] = taken
            time.sleep(REST * (WARM + self.plan.seconds))
        found = {'generation': self.serial, 'first': turn,
                 'slices': [slices[contestant] for contestant in team]}
        bad = any(taken['disturbed'] for taken in slices.values())
        (self.dropped if bad else self.rounds)[size].append(found)
        self.tell(size, found, bad)

    def tell(self, size, found, bad):
        rates = '  '.join(f'{taken["contestant"]} {taken["mpps"]:.2f}' for taken in found['slices'])
        lines = [ns for taken in found['slices'] for ns in (taken['line_before'],
                                                           taken['line_after'])]
        self.say(f'{size:5} B  {len(self.rounds[size]):3}/{self.plan.pairs}  {rates} Mpps  '
                 f'line {min(lines):.0f}..{max(lines):.0f} ns'
                 + ('  disturbed, dropped' if bad else ''))

    def take(self):
        pmd.favour(0, pmd.WATCH)
        while any(self.due(size) for size in self.plan.sizes):
            team = self.generation()
            try:
                for _ in range(self.plan.rounds):
                    for size in self.plan.sizes:
                        if self.due(size):
                            self.take_round(team, size)
            finally:
                for contestant in team:
                    contestant.end()
                lab.kill_children()
        return self


def distance(*taken):
    """Of slices: 'near', 'far', or 'moved' when the CPUs changed their distance meanwhile."""
    lines = [ns for one in taken for ns in (one['line_before'], one['line_after'])]
    if max(lines) < LINE_NEAR:
        return 'near'
    return 'far' if min(lines) >= LINE_NEAR else 'moved'


def quartiles(values):
    """Lower quartile, median, upper quartile; None without values."""
    if not values:
        return None
    if len(values) == 1:
        return [values[0]] * 3
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return [low, middle, high]
