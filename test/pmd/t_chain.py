#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A buffer of A's that B passes on to C: each of the three dies in mid-traffic, all else goes on.

  ivshmem-traffic gen (A) --- shell that forwards (B) --- ivshmem-traffic sink (C)

All are ports of one region with zero_copy=1. The mbufs of B have a private area, as Open vSwitch
uses it, whose bytes stay as they are. Some generators send from their port's Tx pool, so nothing
is copied at all. And two ports that send everything back to each other, one of which dies.
--long: more seeds, more deaths.
"""

import random
import signal
import time

import lab
import pair

SEEDS = 10 if lab.LONG else 1
MACS = {slot: f'02:00:00:00:00:0{slot + 1}' for slot in range(3)}
FRAMES = 100000     # that a chain passes after a death
SLICE_MS = 500
PRIVATE = 200


class Chain:
    def __init__(self, seed, pooled):
        self.region = pair.Region('64M', ports=3, queues=1)
        self.seed, self.started, self.passed = seed, 0, 0
        self.random = random.Random(seed)
        self.pooled = pooled
        self.c = self.sink()
        self.b = self.forwarder()
        self.a = self.gen()

    def vdev(self, slot):
        return self.region.vdev('zero_copy=1', 'full=wait', f'port={slot}', f'mac={MACS[slot]}')

    def name(self, role):
        self.started += 1
        return f'chain-{self.seed}-{role}{self.started}'

    def gen(self):
        vdev, more = self.vdev(0), []
        if self.pooled:
            vdev, more = vdev + ',tx_pool=512', ['--from', 'port', '--mbuf-size', 1792]
        return pair.Traffic(self.name('gen'), 'gen', vdev, '--quiet', '--wait', 60,
                            '--tx-timeout', 60, '--dst-mac', MACS[1], '--sizes', '60-1518', *more)

    def sink(self):
        return pair.Traffic(self.name('sink'), 'sink', self.vdev(2), '--quiet', '--wait', 60,
                            '--idle', 0, '--first', 'any', '--promisc', 'off',
                            '--expect', 'lost=any,stale=any,received=any')

    def forwarder(self):
        shell = pair.Shell(self.name('forwarder'), self.vdev(1))
        return shell.up(pool=f'8191 2048 {PRIVATE}')

    def passes(self):
        """So many frames get through from A to C."""
        def more():
            self.passed += self.b.do(f'forward 0 {MACS[2]} {SLICE_MS}')['forwarded']
            return self.passed >= FRAMES
        self.passed = 0
        lab.wait_until(more, 120, f'{FRAMES} frames through the chain')

    def kills(self, victim):
        """At a random moment while B forwards; then its next life."""
        process = getattr(self, victim)
        self.b.send(f'forward 0 {MACS[2]} {SLICE_MS}\n')
        # no assertion hangs on this: it is where in the traffic the death falls
        time.sleep(self.random.uniform(0, SLICE_MS / 1000))
        process.kill()
        if victim != 'b':
            self.b._reply('forward', 20)
        setattr(self, victim, {'a': self.gen, 'b': self.forwarder, 'c': self.sink}[victim]())

    def ends(self):
        """All mbufs of all that live are home, and no frame was wrong."""
        found = self.b.do('xstats 0')
        lab.check(found['tx_passed'] > found['tx_good_packets'] / 2 > 0, f'not passed on: {found}')
        self.a.proc.send_signal(signal.SIGTERM)
        self.b.do(f'forward 0 {MACS[2]} {SLICE_MS}')
        reports = [self.a.report()]

        def home():
            self.b.do(f'forward 0 {MACS[2]} 20')
            memory = self.b.do('memory')
            return memory['mbufs'] == memory['of']
        lab.wait_until(home, 20, 'all mbufs of the forwarder')
        self.c.proc.send_signal(signal.SIGTERM)
        reports.append(self.c.report())
        for report in reports:
            wrong = {k: v for k, v in report['port']['xstats'].items()
                     if v and ('bad' in k or k == 'reclaims')}
            lab.check(not wrong and not report['totals']['leaked'],
                      f'{report["role"]}: {wrong}, {report["totals"]}')
        lab.check(reports[1]['totals']['received'] > 0, 'the sink received nothing')
        sent = reports[0]['port']['xstats'].get('tx_from_pool', 0)
        lab.check((sent > reports[0]['totals']['sent'] / 2) == self.pooled, f'{sent} from the pool')
        found = self.b.do('xstats 0')
        lab.check(not found['tx_bad_cookies'] and not found['reclaims'], f'{found}')
        private = self.b.do('private')
        lab.check(private == {'bytes': 8191 * PRIVATE, 'bad': 0}, f'private areas: {private}')
        self.b.quit()
        self.region.remove()


def dies(victim):
    for seed in range(SEEDS):
        chain = Chain(seed, (seed + 'abc'.index(victim)) % 2 == 1)
        chain.passes()
        chain.kills(victim)
        chain.passes()
        chain.ends()


def first_dies():
    dies('a')


def second_dies():
    dies('b')


def third_dies():
    dies('c')


class Echo:
    """Two ports that send everything back to the other one: each holds buffers of both."""

    def __init__(self, name, ports, **geometry):
        self.region = pair.Region('32M', ports=ports, queues=1, **geometry)
        self.name, self.started = name, 0
        self.shells = [self.start(slot) for slot in range(2)]

    def start(self, slot):
        self.started += 1
        return pair.Shell(f'{self.name}-{slot}-{self.started}', self.region.vdev(
            'zero_copy=1', 'full=wait', f'port={slot}', f'mac={MACS[slot]}')).up()

    def send(self):
        """New frames from each, while the other one forwards."""
        for slot, shell in enumerate(self.shells):
            other = self.shells[1 - slot]
            shell.do(f'dst {MACS[1 - slot]}')
            other.send(f'forward 0 {MACS[slot]} {SLICE_MS}\n')
            for _ in range(4):
                shell.do('send 0 0 16 1518')
            other._reply('forward', 20)

    def goes(self):
        """Both forward at the same time."""
        for slot, shell in enumerate(self.shells):
            shell.send(f'forward 0 {MACS[1 - slot]} {SLICE_MS}\n')

    def passes(self):
        """The frames go around and around; some may be refused until both are up."""
        def around():
            self.send()
            self.goes()
            return min(shell._reply('forward', 20)['forwarded'] for shell in self.shells) >= 1000
        lab.wait_until(around, 20, 'frames that go around')

    def comes_home(self):
        """Each takes what still goes around, then what the other sends; no mbuf is missing."""
        def home():
            for shell in self.shells:
                reply = shell.do('recv 0 0 64 1')
                lab.check(not reply['bad'], f'frames that are not as they were sent: {reply}')
            memory = [shell.do('memory') for shell in self.shells]
            return all(one['mbufs'] == one['of'] for one in memory)
        lab.wait_until(home, 20, 'all mbufs of both')
        for sender, receiver in (self.shells, self.shells[::-1]):
            sent = sender.do('send 0 0 64 1518')
            reply = receiver.do('recv 0 0 64 1000')
            lab.check(sent['sent'] == reply['got'] == 64 and not reply['bad'] and
                      not reply['gaps'] and reply['first'] == sent['first'], f'{sent}, {reply}')
        lab.wait_until(home, 20, 'all mbufs of both, again')


def echo(name, ports):
    bench = Echo(name, ports)
    files = lab.fd_count(bench.shells[0].pid)
    for _ in range(5 if lab.LONG else 1):
        bench.passes()
        bench.goes()
        bench.shells[1].kill()
        bench.shells[0]._reply('forward', 20)
        bench.shells[1] = bench.start(1)
    bench.passes()
    bench.comes_home()
    now = lab.fd_count(bench.shells[0].pid)
    lab.check(now == files, f'{now} files, {files} before')
    found = bench.shells[0].do('xstats 0')
    lab.check(not found['tx_bad_cookies'] and not found['reclaims'], f'{found}')
    for shell in bench.shells:
        shell.quit()
    bench.region.remove()


def one_of_two_that_echo_dies():
    """Each waits for the other to give back what it has of it, and for nothing else."""
    echo('wire', 2)
    echo('segment', 3)


def what_came_home_is_not_reused():
    """Frames of A's that B sent back are with A's application when B dies: they stay as they are
    while A sends others, in this life of B's and the next."""
    bench = Echo('home', 2, ring_size=256)
    a = bench.shells[0]
    a.do(f'dst {MACS[1]}')

    def comes_back(want, how):
        """A sends; B sends back; A takes what comes."""
        got = 0

        def more():
            nonlocal got
            bench.shells[1].send(f'forward 0 {MACS[0]} 100\n')
            for _ in range(8):
                a.do('send 0 0 16 1518')
                got += a.do(how)['got']
            bench.shells[1]._reply('forward', 20)
            return got >= want
        lab.wait_until(more, 30, f'{want} frames that came back')

    comes_back(32, 'hold 0 0 8')
    before = a.do('held')
    lab.check(before['held'] >= 32 and not before['bad'] and before['sum'], f'{before}')
    comes_back(4000, 'recv 0 0 64 1')
    bench.shells[1].kill()
    b = bench.shells[1] = bench.start(1)
    took = 0

    def taken():
        nonlocal took
        a.do('send 0 0 64 1518')
        a.do('recv 0 0 64 1')       # joins B's new session
        # some are kept, so that A needs all the buffers that it may use
        took += b.do('hold 0 0 64' if took < 300 else 'recv 0 0 64 1')['got']
        return took >= 4000
    lab.wait_until(taken, 30, '4000 frames to the next life')
    lab.check(a.do('held') == before, f'held before: {before}, now: {a.do("held")}')
    b.do('release')
    a.do('release')     # before it B sends nothing: its buffers may be among those
    comes_back(4000, 'recv 0 0 64 1')

    def home():
        a.do('recv 0 0 64 1')
        memory = a.do('memory')
        return memory['mbufs'] == memory['of']
    lab.wait_until(home, 10, 'all mbufs')
    lab.check(not a.do('xstats 0')['reclaims'], 'used again after a time, not when given back')
    bench.region.remove()


def hugepages_are_back():
    lab.kill_children()
    lab.wait_until(lambda: lab.hugepages_free() >= FREE, 30, f'{FREE} free hugepages')


FREE = lab.hugepages_free()
lab.main(first_dies, second_dies, third_dies, one_of_two_that_echo_dies,
         what_came_home_is_not_reused, hugepages_are_back)
