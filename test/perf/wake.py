# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Wake latency process to process: our sleepers against a bare epoll and eventfd.

One frame, or one count of an eventfd, is under way; both sides sleep until it comes.
A round trip is two wakeups. The two take turns; each pair's ratio is what counts. All have
the highest priority below real time, so that other work on the machine delays them less.
The region is on 2 MiB pages: a CPU that slept finds its page tables cold.
"""

import os

import lab
import slices
from contestants import Watch, bare

ROUNDS = 2000           # round trips of a slice: about 0.15 s
LIMIT = 1.3
PAIRS = {'quick': 5, 'default': 15, 'full': 30}
SLEEPER = lab.BUILD / 'test' / 'intr' / 'ivshmem-sleeper'


class Sleepers:
    """ping and pong of ivshmem-sleeper at the two ports of a server's region."""

    def __init__(self, name, cpus):
        self.server = lab.Server('-l', '16M', '--hugepages', name=name + '-server')
        device = f'net_ivshmem0,socket={self.server.socket}'
        self.pong = self.process(name + '-pong', cpus[1], device, 'pong')
        self.ping = self.process(name + '-ping', cpus[0], device, 'ping', f'count={ROUNDS}')

    @staticmethod
    def process(name, cpu, device, *words):
        return lab.Process(name, ['nice', '-n', '-20', SLEEPER, '--no-pci', '--in-memory', '-m',
                                  64, '--lcores', f'0@{cpu}', '--main-lcore', '0', '-d',
                                  lab.plugin(), '--vdev', device, '--', *words, 'spread=1'])

    def result(self):
        """ping's numbers; Failure unless both slept, and got all frames."""
        found = []
        for proc in (self.ping, self.pong):
            status = proc.wait(60)
            line = [text for text in proc.output().splitlines() if text.startswith('result: ')]
            lab.check(status == 0 and line, f'{proc.name}: status {status}\n{proc.tail()}')
            found.append(dict(word.split('=') for word in line[0].split()[1:]))
        lab.check(int(found[0]['received']) == ROUNDS, f'{found[0]}')
        lab.check(all(int(one['sleeps']) > ROUNDS / 2 for one in found), f'not asleep: {found}')
        return found[0]

    def end(self):
        for proc in (self.ping, self.pong, self.server):
            proc.end()


def take_sleepers(name, cpus):
    pair = Sleepers(name, cpus)
    steal = Watch(cpus, [])
    try:
        return float(pair.result()['p50_ns']), steal.away()
    finally:
        pair.end()


def take_bare(_name, cpus):
    found, away = bare('wake', cpus, 0, ROUNDS, lambda: os.nice(-20))
    return float(found['p50_ns']), away


def run(say, mode):
    """Pairs, as [{'ivshmem': slice, 'bare': slice}]."""
    cpus = lab.cpus(2)
    rounds = []
    takers = [('ivshmem', take_sleepers), ('bare', take_bare)]
    for turn in range(PAIRS[mode]):
        found = {}
        line = slices.line_ns(cpus)
        for name, take in takers[::-1] if turn % 2 else takers:
            ns, away = take(f'wake-{turn:02}', cpus)
            found[name] = {'p50_ns': ns, 'away': away, 'line_before': line}
            line = slices.line_ns(cpus)
            found[name].update(line_after=line, disturbed=False)
        rounds.append({'slices': found})
        say(f'{turn + 1:3}/{PAIRS[mode]}  ivshmem {found["ivshmem"]["p50_ns"] / 1e3:.1f} us  bare '
            f'{found["bare"]["p50_ns"] / 1e3:.1f} us  ratio '
            f'{found["ivshmem"]["p50_ns"] / found["bare"]["p50_ns"]:.2f}')
    return rounds


def ratio(rounds):
    """Quartiles of the ratios, pair by pair."""
    return slices.quartiles([found['slices']['ivshmem']['p50_ns'] /
                             found['slices']['bare']['p50_ns'] for found in rounds])


def table(rounds):
    text = ['round trip, both asleep (p50 of a slice)     q1  median      q3']
    for name in ('ivshmem', 'bare'):
        low, middle, high = slices.quartiles([found['slices'][name]['p50_ns'] / 1e3
                                              for found in rounds])
        text.append(f'  {name:36} us {low:7.1f} {middle:7.1f} {high:7.1f}')
    low, middle, high = ratio(rounds)
    text.append(f'  {"ivshmem / bare":36} x  {low:7.2f} {middle:7.2f} {high:7.2f}  limit {LIMIT}: '
                + ('ok' if middle <= LIMIT else 'MISSED'))
    return '\n'.join(text)
