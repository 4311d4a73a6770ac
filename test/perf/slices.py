# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Slices of traffic, interleaved: how fast each contestant was, and under what conditions.

The two CPUs of a virtual machine float over the host: their distance, and with it every
rate, jumps by a factor of up to five from minute to minute. So all contestants are kept
ready at the same time, asleep at their prompts, and take turns of well under a second,
in rotated order; only ratios of slices of the same round are compared. The distance is
measured between any two slices. Threads that forward are of the real-time class while
they do, and sleep as long afterwards, so that a machine with other work is both usable
and measurable.

New processes are made every few rounds: a set-up takes some seconds, a slice less than
one, and where a process's pages happen to lie is part of the spread that is to be seen.

Invariants:
 I1. A round is one slice of each contestant that the work still needs, the subjects'
     among them. A pair is two undisturbed slices of one round.
 I2. Nothing is thrown away: disturbed slices are kept, marked.
 I3. Who cannot start, or fails too often, is named with the reason and left out.
"""

import statistics
import subprocess
import time

import contestants
import lab
import pmd
import works

AWAY_MAX = 0.006        # s that a forwarding thread was not on its CPU; to read costs 2 ms
UNSURE_MAX = 0.004      # s that a reading took
REST = 1                # for each second of real-time spinning: others have to live, too
LINE_NEAR = 200         # ns
STRIKES = {'start': 2, 'slice': 4}      # so many failures, then it is out

RULE = (f'A slice is disturbed when a forwarding thread was kept from its CPU for more than '
        f'{AWAY_MAX * 1000:.0f} ms\n(run queue, and steal beyond one tick of '
        f'{contestants.TICK * 1000:.0f} ms), or a counter took longer than '
        f'{UNSURE_MAX * 1000:.0f} ms to read;\nit is kept, but makes no pair.')


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


def is_disturbed(taken):
    return taken['away'] > AWAY_MAX or taken['unsure'] > UNSURE_MAX


class Tally:
    """Of one work: the rounds taken, the pairs made, and who is still needed."""

    def __init__(self, work, subjects, tries):
        self.work = work
        self.subjects = [text for text in work.need if text in subjects]
        self.tries = tries
        self.rounds = []
        self.missed = 0         # rounds that nobody was there for
        self.good = dict.fromkeys(work.need, 0)

    def is_due(self, out, exhausted=False):
        """Whether slices are missing; exhausted: also when there were too many tries."""
        return bool(self.wanted(out)) and (
            exhausted or len(self.rounds) + self.missed < self.tries)

    def wanted(self, out):
        """Who takes part in the next round. out: contestants that cannot."""
        lacking = [text for text, need in self.work.need.items()
                   if self.good[text] < need and text not in out]
        others = [text for text in lacking if text not in self.subjects]
        present = [text for text in self.subjects if text not in out]
        return present + others if lacking else []

    def add(self, found):
        """found: {'slices': {contestant: slice}, ...}"""
        self.rounds.append(found)
        fine = {text for text, taken in found['slices'].items() if not taken['disturbed']}
        partners = fine.intersection(self.subjects) or not self.subjects
        for text in fine:
            self.good[text] += bool(partners)


class Run:
    """Takes rounds until every work has its pairs, or its tries are used up."""

    def __init__(self, works, subjects, seconds, rounds, say):
        self.tallies = [Tally(work, subjects, 3 * max(work.need.values()) + 6)
                        for work in works if work.need]
        self.seconds = seconds
        self.per_generation = rounds
        self.say = say
        self.cpus = lab.cpus(2)
        self.serial = 0
        self.strikes = {}       # {(setup, contestant): {'start': n, 'slice': n}}
        self.out = {}           # {(setup, contestant): reason}

    def out_of(self, setup):
        return {text for where, text in self.out if where == setup}

    def strike(self, setup, contestant, kind, problem):
        """It failed: maybe it gets another chance."""
        key = (setup, contestant.text)
        counts = self.strikes.setdefault(key, dict.fromkeys(STRIKES, 0))
        counts[kind] += 1
        reason = contestant.reason(problem)
        if counts[kind] >= STRIKES[kind] or reason.startswith('driver refuses'):
            self.out[key] = reason
            self.say(f'{contestant.text}: not run: {reason}')
        else:
            self.say(f'{contestant.text}: failed, is started anew later: {reason}')
        contestant.end()

    def generation(self, setup, tallies):
        """New processes for every contestant that a work of this set-up still needs."""
        self.serial += 1
        out = self.out_of(setup)
        texts = list(dict.fromkeys(text for tally in tallies for text in tally.wanted(out)
                                   if self.can(text, tally.work)))
        team, ready = {}, {}
        for index, text in enumerate(texts):
            team[text] = contestants.parse(text, setup)
            try:
                team[text].launch(f'{self.serial:03}-{index}', self.cpus)
            except lab.Failure as problem:
                self.strike(setup, team.pop(text), 'start', problem)
        for text, contestant in team.items():
            try:
                contestant.ready()
                ready[text] = contestant
            except lab.Failure as problem:
                self.strike(setup, contestant, 'start', problem)
        return ready

    @staticmethod
    def can(text, work):
        """Whether this contestant knows this work."""
        return contestants.parse(text, work.setup).takes(work)

    def take_round(self, team, tally):
        """Slices of one work in this round's order, with the line between them."""
        work = tally.work
        texts = [text for text in tally.wanted(self.out_of(work.setup)) if text in team]
        if all(tally.good[text] >= work.need[text] for text in texts):
            tally.missed += 1           # who is lacking comes with the next generation
            return
        turn = len(tally.rounds) % len(texts)
        order = texts[turn:] + texts[:turn]
        found = {'generation': self.serial, 'order': order, 'slices': {}}
        line = line_ns(self.cpus)
        for text in order:
            try:
                taken = team[text].take(work, self.cpus, self.seconds)
            except lab.Failure as problem:
                self.strike(work.setup, team.pop(text), 'slice', problem)
                continue
            taken['line_before'], line = line, line_ns(self.cpus)
            taken['line_after'] = line
            taken['disturbed'] = is_disturbed(taken)
            found['slices'][text] = taken
            time.sleep(REST * (contestants.WARM + self.seconds))
        tally.add(found)
        self.tell(tally, found)

    def tell(self, tally, found):
        slices = found['slices']
        unit = works.unit(tally.work)
        rates = '  '.join(f'{text} {slices[text][unit]:.2f}' + '~' * slices[text]['disturbed']
                          for text in tally.work.need if text in slices)
        lines = [ns for taken in slices.values() for ns in (taken['line_before'],
                                                            taken['line_after'])]
        if lines:
            self.say(f'{tally.work.name:12} {len(tally.rounds):3}  {rates}  '
                     f'line {min(lines):.0f}..{max(lines):.0f} ns')

    def drop_unable(self):
        """Contestants that do not know a work are not needed there."""
        for tally in self.tallies:
            for text in [text for text in tally.work.need if not self.can(text, tally.work)]:
                del tally.work.need[text], tally.good[text]

    def take(self):
        pmd.favour(0, pmd.WATCH)
        self.drop_unable()
        for setup in dict.fromkeys(tally.work.setup for tally in self.tallies):
            tallies = [tally for tally in self.tallies if tally.work.setup == setup]
            while any(tally.is_due(self.out_of(setup)) for tally in tallies):
                team = self.generation(setup, [tally for tally in tallies
                                               if tally.is_due(self.out_of(setup))])
                try:
                    for _ in range(self.per_generation):
                        for tally in tallies:
                            if tally.is_due(self.out_of(setup)):
                                self.take_round(team, tally)
                finally:
                    for contestant in team.values():
                        contestant.end()
                    lab.kill_children()
        pmd.favour(0, 0)
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
