# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""testpmd under the stopwatch, and the contestants that it drives.

A contestant is written as NAME[,KEY=VALUE...]:
  ivshmem  net_ivshmem   path         region in a file, no server
                         hugepages    region on 2 MiB pages (socket only)
                         region=SIZE  size of the region (64M)
                         ring=N       descriptors asked of testpmd (the port's default)
                         build=DIR    the plugin and server of another build directory
  memif    net_memif     rsize=N      2^N descriptors a ring (10)

All contestants have the same testpmd options, mbufs, hugepages and CPUs.
"""

import os
import re
import time
from pathlib import Path

import lab

MEMORY = 128        # MiB of hugepages a process
PAGES = MEMORY + 32     # hugepages of 2 MiB a contestant: two processes, maybe a region
START_WAIT = 60
# Of the real-time class: threads that forward, all that serve them, and who reads the counters.
FORWARD, SERVE, WATCH = 1, 2, 3


class Testpmd(lab.Testpmd):
    """One process; port 0 is the contestant's. Ready to be used after wait_prompt()."""

    def __init__(self, name, cpu, plugin, device, queues, extra=()):
        lcores = f'0@{cpu},1@{cpu}'
        lab.Process.__init__(self, name, [
            'stdbuf', '-oL', 'dpdk-testpmd', '--no-pci', '--in-memory', '-m', MEMORY,
            '--lcores', lcores, '--main-lcore', '0', '-d', plugin, '--vdev', device,
            '--', '-i', '--total-num-mbufs=16384', f'--rxq={queues}', f'--txq={queues}', *extra])
        self.lcore = None

    def expect(self, pattern, seconds=10):
        """As lab's, but the answer is seen within half a millisecond."""
        end = time.monotonic() + seconds
        want = re.compile(pattern.encode(), re.M)
        with open(self.log, 'rb') as file:
            while True:
                ended = not self.running()
                file.seek(self.seen)
                match = want.search(file.read())
                if match:
                    self.seen += match.end()
                    return match.group(0).decode(errors='replace')
                if ended or time.monotonic() > end:
                    word = f'ended with status {self.proc.returncode}' if ended else \
                        f'was silent for {seconds} s'
                    raise lab.Failure(f'{self.name} {word} before it printed {pattern!r}; '
                                      f'{self.log}:\n{self.tail()}')
                time.sleep(0.0005)

    def wait_prompt(self):
        self.expect(self.PROMPT, START_WAIT)
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            try:
                if 'worker' in (task / 'comm').read_text():
                    self.lcore = task
            except OSError:
                pass        # it ended
        lab.check(self.lcore is not None, f'{self.name} has no worker thread')

    def favour(self):
        """Real-time class for all threads: a command must be seen while the worker spins."""
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            favour(int(task.name), FORWARD if task == self.lcore else SERVE)

    def halt(self):
        """The command stop, of favoured threads.

        testpmd's main thread spins until the worker, of lower priority and on the same CPU,
        has ended: so it has to step back for a moment, maybe more than once.
        """
        self.send('stop\n')
        self.expect('Waiting for lcores')
        end = time.monotonic() + 20
        while True:
            favour(self.pid, 0)
            time.sleep(0.001)
            favour(self.pid, SERVE)
            try:
                self.expect(self.PROMPT, 0.01)
                return
            except lab.Failure:
                if time.monotonic() > end or not self.running():
                    raise

    def count(self, what):
        """(monotonic time, uncertainty in s, number of packets); what: RX or TX."""
        before = time.monotonic()
        packets = self.stats()[what + '-packets']
        after = time.monotonic()
        return (before + after) / 2, after - before, packets

    def waited_ns(self):
        """How long the forwarding thread had to wait for its CPU so far."""
        return int((self.lcore / 'schedstat').read_text().split()[1])


def favour(thread, priority, reset=os.SCHED_RESET_ON_FORK):
    """Real-time class, so that others' work on the machine disturbs a slice less; 0 ends it.

    With reset=0 it passes to children and threads. No thread spins for longer than a slice
    lasts, so nobody else waits for longer than that.
    """
    policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
    try:
        os.sched_setscheduler(thread, policy | reset, os.sched_param(priority))
    except OSError:
        pass        # not allowed here, or ended: then slices are disturbed more often


class Contestant:
    """Two testpmd processes on one wire, the sender on one CPU, the receiver on the other."""

    KEYS = {}

    def __init__(self, text, options, queues):
        self.text = text
        self.options = options
        self.queues = queues
        self.plugin = lab.plugin()
        self.extra = ()

    def launch(self, name, cpus):
        """Starts the processes; ready() waits for them."""
        devices = self.devices(name)
        self.rx = self.process(name + '-rx', cpus[1], devices[1])
        if self.receiver_first():
            self.rx.expect(self.rx.PROMPT, START_WAIT)
            self.rx.send('\n')              # a prompt for ready()
        self.tx = self.process(name + '-tx', cpus[0], devices[0])

    def process(self, name, cpu, device):
        return Testpmd(name, cpu, self.plugin, device, self.queues, self.extra)

    def receiver_first(self):
        """Whether the sender fails to start before the receiver is there."""
        return False

    def ready(self):
        """The wire carries frames, and all stand still."""
        for proc, mode in ((self.rx, 'rxonly'), (self.tx, 'txonly')):
            proc.wait_prompt()
            proc.command(f'set fwd {mode}')
            text = proc.command('start')
            lab.check('Not all ports' not in text, f'{proc.name}: its port does not start:\n'
                      + proc.tail())
        lab.wait_until(lambda: self.rx.count('RX')[2] > 0, 30, f'{self.text}: a first frame')
        for proc in (self.tx, self.rx):
            proc.command('stop')
            proc.favour()

    def set_size(self, size):
        self.tx.command(f'set txpkts {size}')

    def start(self):
        self.rx.command('start')
        self.tx.command('start')

    def stop(self):
        self.tx.halt()
        self.rx.halt()

    def end(self):
        self.tx.kill()
        self.rx.kill()


class Ivshmem(Contestant):
    KEYS = {'path': False, 'hugepages': False, 'region': True, 'ring': True, 'build': True}
    server = None

    def __init__(self, text, options, queues):
        super().__init__(text, options, queues)
        self.build = Path(options.get('build', lab.BUILD)).resolve()
        if 'build' in options:
            self.plugin = str(self.build / 'drivers' / 'librte_net_ivshmem.so')
        if 'ring' in options:
            self.extra = (f'--rxd={options["ring"]}', f'--txd={options["ring"]}')
        if 'path' in options and 'hugepages' in options:
            raise ValueError(f"contestant '{text}': path and hugepages exclude each other")
        self.check_built()

    def check_built(self):
        for path in (self.plugin, self.build / 'app' / 'ivshmem-server'):
            if not os.path.exists(path):
                raise ValueError(f"contestant '{self.text}': {path} does not exist: build it")

    def devices(self, name):
        size = self.options.get('region', '64M')
        queues = max(4, self.queues)
        if 'path' in self.options:
            self.file = lab.private_dir() / 'region'
            return (f'net_ivshmem0,path={self.file}',
                    f'net_ivshmem0,path={self.file},create=1,size={size},queues={queues}')
        socket = lab.private_dir() / 'ivshmem.sock'
        argv = [self.build / 'app' / 'ivshmem-server', '-S', socket, '-l', size,
                '--queues', queues]
        self.server = lab.Process(name + '-server',
                                  argv + ['--hugepages'] * ('hugepages' in self.options))
        self.server.expect('ready')
        return (f'net_ivshmem0,socket={socket}',) * 2

    def receiver_first(self):
        return 'path' in self.options       # it makes the region

    def end(self):
        super().end()
        if self.server:
            self.server.kill()
        elif self.file.exists():
            self.file.unlink()


class Memif(Contestant):
    KEYS = {'rsize': True}

    def devices(self, name):
        rsize = self.options.get('rsize', '10')
        common = f'net_memif0,id=0,rsize={rsize},socket-abstract=no,' \
                 f'socket={lab.private_dir()}/memif.sock'
        return f'{common},role=client', f'{common},role=server'

    def receiver_first(self):
        return True


NAMES = {'ivshmem': Ivshmem, 'memif': Memif}


def parse(text, queues=1):
    """'memif,rsize=12' -> Contestant; ValueError names what is wrong."""
    name, *rest = text.split(',')
    if name not in NAMES:
        raise ValueError(f"contestant '{text}': no contestant '{name}'; there are "
                         + ', '.join(NAMES))
    options = {}
    for word in rest:
        key, equals, value = word.partition('=')
        if key not in NAMES[name].KEYS:
            raise ValueError(f"contestant '{text}': {name} has no '{key}'; it has "
                             + ', '.join(NAMES[name].KEYS))
        if NAMES[name].KEYS[key] != (value != ''):
            raise ValueError(f"contestant '{text}': {key} takes "
                             + ('a value' if NAMES[name].KEYS[key] else 'no value'))
        options[key] = value
    if name == 'memif' and not 1 <= int(re.sub(r'\D', '0', options.get('rsize', '10'))) <= 14:
        raise ValueError(f"contestant '{text}': rsize is a number in 1..14")
    return NAMES[name](text, options, queues)
