# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Who runs: wires between two testpmd processes, and the limits beside them.

A contestant is a wire (see above), or one of
  null     net_null: what testpmd itself can do at most
  ring     net_ring, two ports and two workers in one process (only works of kind io)
  bare     a ring of descriptors and copied buffers between two threads, no DPDK (one way)

All have the same testpmd options, mbufs, hugepages and CPUs.
"""

import json
import os
import re
import subprocess
import time

import lab
import pmd
import wires

MEMORY = {False: 128, True: 256}    # MiB of hugepages a process, by Setup.big
FIXED_SET = 1024        # packets that are forwarded to and fro
ROUND_TRIPS = 20000     # of a slice of kind rtt
BEFORE_OTHER = 0.7      # s that the end which is started first gets
WARM = 0.1
REFUSED = re.compile(r'^IVSHMEM: .*(not known|refused|cannot|excludes|needs)|^Frame size')
BARE_PAGES = 40         # of 2 MiB, for ivshmem-bare beside the others
TICK = 1 / os.sysconf('SC_CLK_TCK')


def pages(setup):
    """Hugepages of 2 MiB a contestant needs: two processes, maybe a region."""
    return MEMORY[setup.big] + 32


def steal_ticks(cpus):
    """Of each CPU: ticks that the host gave to others."""
    found = {}
    with open('/proc/stat', encoding='ascii') as stream:
        for line in stream:
            word = line.split()
            if word[0].startswith('cpu') and word[0][3:].isdigit():
                found[int(word[0][3:])] = int(word[8])
    return [found.get(cpu, 0) for cpu in cpus]


class Watch:
    """How long the threads were kept from their CPUs between start and seconds()."""

    def __init__(self, cpus, procs):
        self.cpus, self.procs = cpus, procs
        self.steal = steal_ticks(cpus)
        self.waited = [proc.waited_ns() for proc in procs]

    def away(self):
        """The largest of all, in seconds."""
        waited = [(proc.waited_ns() - was) / 1e9 for proc, was in zip(self.procs, self.waited)]
        steal = [max(0, now - was - 1) * TICK
                 for now, was in zip(steal_ticks(self.cpus), self.steal)]
        return max(waited, default=0) + max(steal)


class Contestant:
    """Launched, made ready, and then asked for slices of traffic."""

    KEYS = {}
    kinds = ('oneway', 'producer', 'consumer', 'io')

    def __init__(self, text, options, setup):
        self.text = text
        self.options = options
        self.setup = setup
        self.wire = wires.Wire(text, options)
        self.procs = []

    def takes(self, work):
        """Whether it knows this work."""
        return work.kind in self.kinds

    def launch(self, name, cpus):
        """Starts the processes; ready() waits for them."""

    def ready(self):
        pass

    def end(self):
        for proc in self.procs:
            proc.end()

    def reason(self, problem):
        """Why it failed, in one line: the driver's own words if it had some."""
        for proc in self.procs:
            for line in proc.output().splitlines():
                if REFUSED.search(line):
                    return 'driver refuses: ' + line.strip()
        return str(problem).partition('\n')[0]

    def common(self):
        """testpmd's options, for all alike."""
        text = [f'--rxq={self.setup.queues}', f'--txq={self.setup.queues}']
        if self.setup.big:
            text.append(f'--mbuf-size={wires.BIG_BUFFER + 128}')
            text += [f'--max-pkt-len={wires.MTU[True] + 18}'] if self.wire.takes_mtu else []
        return text

    def count(self):
        """(monotonic time, uncertainty in s, packets that have arrived)"""
        return self.procs[-1].count('RX')

    def take(self, work, cpus, seconds):
        """A slice: its numbers as a dictionary, without the line."""
        self.start(work)
        time.sleep(WARM)
        watch = Watch(cpus, self.procs)
        begun, unsure_begin, first = self.count()
        time.sleep(seconds)
        ended, unsure_end, last = self.count()
        away = watch.away()
        self.stop()
        lab.check(last > first, f'{self.text} received nothing for {ended - begun:.2f} s')
        return {'seconds': ended - begun, 'packets': last - first,
                'mpps': (last - first) / (ended - begun) / 1e6, 'away': away,
                'unsure': max(unsure_begin, unsure_end)}


class Pair(Contestant):
    """Two testpmd processes on one wire, the sender on one CPU, the receiver on the other."""

    # What testpmd does at both ends: flowgen makes each header and sums it, icmpecho reads and
    # frees frame by frame.
    FORWARD = {'oneway': ('txonly', 'rxonly'), 'producer': ('flowgen', 'rxonly'),
               'consumer': ('txonly', 'icmpecho'), 'io': ('io', 'io')}

    def __init__(self, text, options, setup):
        super().__init__(text, options, setup)
        self.wire = wires.NAMES[wires.split(text, KEYS)[0]](text, options)

    def launch(self, name, cpus):
        devices = self.wire.open(name, self.setup)
        names = (name + '-tx', name + '-rx')
        order = (1, 0) if self.wire.receiver_first else (0, 1)
        found = {}
        for turn, side in enumerate(order):
            found[side] = self.process(names[side], cpus[side], devices[side])
            self.procs.append(found[side])
            if turn == 0 and (self.wire.receiver_first or self.wire.sender_first):
                found[side].expect(found[side].PROMPT, pmd.START_WAIT)
                found[side].send('\n')          # a prompt for ready()
        self.tx, self.rx = found[0], found[1]
        self.procs = [self.tx, self.rx]
        self.mode = None

    def process(self, name, cpu, device):
        return pmd.Testpmd(name, [cpu], self.wire.plugin, [device], MEMORY[self.setup.big],
                           [*self.common(), *self.wire.testpmd])

    def ready(self):
        """The wire carries frames, and all stand still."""
        for proc, mode in ((self.rx, 'rxonly'), (self.tx, 'txonly')):
            proc.wait_prompt()
            proc.command(f'set fwd {mode}')
            text = proc.command('start')
            lab.check('Not all ports' not in text, f'{proc.name}: its port does not start:\n'
                      + proc.tail())
        self.mode = 'oneway'
        lab.wait_until(lambda: self.count()[2] > 0, 30, f'{self.text}: a first frame')
        for proc in (self.tx, self.rx):
            proc.command('stop')
            proc.favour()

    def end(self):
        super().end()
        self.wire.close()

    def start(self, work):
        if self.mode != work.kind:
            self.mode = work.kind
            for proc, mode in zip((self.tx, self.rx), self.FORWARD[work.kind]):
                proc.command(f'set fwd {mode}')
        for proc in (self.tx, self.rx):
            proc.command(f'set burst {work.burst}')
        self.tx.command(f'set txpkts {work.size}')
        self.rx.command('start')
        if work.kind == 'io':
            self.tx.start_first(max(1, FIXED_SET // work.burst))
        else:
            self.tx.command('start')

    def stop(self):
        self.tx.halt()
        self.rx.halt()


class Null(Pair):
    """Both ends are net_null: the slower one is what testpmd can do."""

    def __init__(self, text, options, setup):
        Contestant.__init__(self, text, options, setup)
        self.wire.open = lambda *_: ('net_null0', 'net_null0')

    def count(self):
        found = [self.rx.count('RX')]
        if self.mode != 'io':
            found.append(self.tx.count('TX'))
        return min(found, key=lambda one: one[2])


class Ring(Contestant):
    """io between two ports of one process. A port of net_ring gives back what it was sent: so
    worker 1 takes from ring 0 and puts into ring 1, and worker 2 the reverse."""

    kinds = ('io',)

    def launch(self, name, cpus):
        proc = pmd.Testpmd(name + '-ring', cpus, lab.plugin(), ['net_ring0', 'net_ring1'],
                           MEMORY[self.setup.big] * 2, self.common())
        self.procs = [proc]

    def ready(self):
        self.procs[0].wait_prompt()
        self.procs[0].command('set fwd io')
        self.procs[0].favour()

    def start(self, work):
        proc = self.procs[0]
        proc.command(f'set burst {work.burst}')
        proc.command(f'set txpkts {work.size}')
        proc.start_first(max(1, FIXED_SET // 2 // work.burst))

    def stop(self):
        self.procs[0].halt()


class Judged(Contestant):
    """ivshmem-traffic at both ends, started anew for each slice; every frame is checked.

    imix: gen to sink, frames of 64, 594 and 1518 B. rtt: ping and echo, one frame under way.
    """

    kinds = ('imix', 'rtt')
    ROLES = {
        'imix': (['--role', 'gen', '--sizes', 'imix'],
                 ['--role', 'sink', '--idle', '0.3', '--tail', 'off']),
        'rtt': (['--role', 'ping', '--count', str(ROUND_TRIPS)],
                ['--role', 'echo', '--idle', '0.3']),
    }

    def __init__(self, text, options, setup):
        super().__init__(text, options, setup)
        self.make = lambda: wires.NAMES[wires.split(text, KEYS)[0]](text, options)

    def launch(self, name, cpus):
        self.name = name

    def process(self, side, cpu, device, words):
        argv = [lab.BUILD / 'test' / 'traffic' / 'ivshmem-traffic', '--no-pci', '--in-memory',
                '--single-file-segments', '-m', MEMORY[False], '--lcores', f'0@{cpu}',
                '--main-lcore', '0', '-d', self.wire.plugin, '--vdev', device, '--', '--json',
                '--poll', 'busy', '--mbufs', '16384',
                '--expect', 'leaked=any', *words]     # memif-zc keeps what lay in its rings
        # virtio-user would die of SIGPIPE when vhost has gone before it
        proc = lab.Process(f'{self.name}-{side}', ['env', '--ignore-signal=PIPE', 'nice', '-n',
                                                   '-20', *argv])
        self.procs.append(proc)
        return proc

    def take(self, work, cpus, seconds):
        self.wire = self.make()
        self.procs = []
        devices = self.wire.open(self.name, self.setup)
        sender, receiver = (list(words) for words in self.ROLES[work.kind])
        if work.kind == 'imix':
            sender += ['--time', str(seconds)]
        else:
            sender += ['--sizes', str(work.size)]
        sender += ['--linger', '0.2']
        steal, begun = Watch(cpus, []), time.monotonic()
        made = {}
        for side in ('tx', 'rx') if self.wire.sender_first else ('rx', 'tx'):
            at = ('tx', 'rx').index(side)
            made[side] = self.process(side, cpus[at], devices[at], (sender, receiver)[at])
            if self.wire.receiver_first or self.wire.sender_first:
                time.sleep(BEFORE_OTHER)
        found = {side: self.report(proc) for side, proc in made.items()}
        self.wire.close()
        # what the host took meanwhile, as far as it is likely to have hit the traffic
        result = {'away': steal.away() * seconds / (time.monotonic() - begun), 'unsure': 0}
        if work.kind == 'imix':
            rate = found['rx']['rx']
            lab.check(rate['frames'] > 0, f'{self.text} received nothing')
            return {'seconds': rate['seconds'], 'packets': rate['frames'],
                    'mpps': rate['frames'] / rate['seconds'] / 1e6, **result}
        ping = found['tx']['ping']
        lab.check(ping['returned'] == ROUND_TRIPS, f'{self.text}: {ping}')
        return {'packets': ping['returned'], 'p50_ns': ping['rtt_ns']['p50'],
                'p99_ns': ping['rtt_ns']['p99'], 'p99_9_ns': ping['rtt_ns']['p99_9'], **result}

    @staticmethod
    def report(proc):
        status = proc.wait(60)
        match = re.search(r'^\{"role".*\}$', proc.output(), re.M)
        lab.check(match and status == 0, f'{proc.name} ended with status {status}\n{proc.tail()}')
        return json.loads(match.group(0))

    def end(self):
        super().end()
        self.wire.close()


class Bare(Contestant):
    """A process of its own for each slice: it has nothing to set up."""

    kinds = ('oneway', 'rtt')

    def takes(self, work):
        """One ring, and bursts of 32 are written into it."""
        return super().takes(work) and (work.kind == 'rtt' or work.burst == 32) and \
            work.setup.queues == 1

    def take(self, work, cpus, seconds):
        if work.kind == 'rtt':
            found, away = bare('rtt', cpus, work.size, ROUND_TRIPS)
            return {'packets': found.pop('count'), **found, 'away': away, 'unsure': 0}
        found, away = bare('stream', cpus, work.size, int(seconds * 1000))
        return {'seconds': found['ns'] / 1e9, 'packets': found['packets'],
                'mpps': found['packets'] / found['ns'] * 1e3, 'away': away, 'unsure': 0}


def bare(mode, cpus, size, number, prepare=lambda: pmd.favour(0, pmd.FORWARD, 0)):
    """Runs ivshmem-bare; ({key: number}, seconds that the host took away)."""
    argv = [lab.BUILD / 'test' / 'perf' / 'ivshmem-bare', mode, *cpus, size, number]
    argv = [str(word) for word in argv]
    steal = Watch(cpus, [])
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, preexec_fn=prepare)
    lab.check(done.returncode == 0, f'{" ".join(argv)}: status {done.returncode} '
              f'{done.stderr.strip()}')
    return json.loads('{' + re.sub(r'(\w+)=(\d+)', r'"\1":\2', done.stdout.strip())
                      .replace(' ', ',') + '}'), steal.away()


OWN = {'null': Null, 'ring': Ring, 'bare': Bare}
KEYS = {name: made.KEYS for name, made in {**wires.NAMES, **OWN}.items()}


def name_of(text):
    """'memif,rsize=12' -> 'memif', 'memif,zero-copy,rsize=11' -> 'memif-zc'."""
    name, options = wires.split(text, KEYS)
    if 'zero-copy' in options or 'zero_copy=1' in options.get('args', ''):
        name += '-zc'
    return name


def parse(text, setup=wires.Setup(1, False)):
    """A contestant for a set-up; ValueError names what is wrong with the text."""
    name, options = wires.split(text, KEYS)
    made = OWN.get(name, Judged if setup.tool == 'traffic' else Pair)
    return made(text, options, setup)
