# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The link tells of a guest's death, whatever it died of, and traffic outlives a pause.

    a0 - b0    with interrupt vectors
    a1 - b1    a1 is bound to uio_pci_generic: no vectors
    a2 - b2    for traffic
    a3         on a server that gives id 65535

Shells in guest a watch with an LSC callback what becomes of guest b.
"""

import os
import re
import socket
import struct
import subprocess
import threading
import time

import driver
import lab
import pair
from driver import IMIX, WAIT, GuestEnd
from vmset import doorbell

PAIRS = 3
VECTORS = 4
TOLD = 1            # seconds: the server sees the end of a QEMU, 100 ms are expected
SUSPECTED = 30      # a heart that stops, 3 s are expected
SEEN = 30           # a port that starts, in a guest that is busy with its start
BACK = 20           # traffic after a pause, 2 s are expected
PAUSES = (1, 5, 30) if lab.LONG else (1, 5)
REG_DOORBELL = 12
SUPER_EPOCH = 192   # where the superblock has the server's epoch
ODD_ID = 65535
# Nobody has these ids, and neither guest has these vectors.
ABSENT = [0x00070000, 0xffff0000, 0xffffffff, 0x00000004, 0x0000ffff, 0x0001ffff]


class GuestShell(pair.Shell):
    """ivshmem-shell in a guest."""

    def __init__(self, end):        # no process of the host: only what is asked of it is the same
        self.end, self.name = end, f'shell in {end.name}'
        self.job = end.vm.start_job(
            'exec ivshmem-shell ' + driver.GUEST_EAL.format(level='info') + ' ' + end.allow,
            stdin=True)
        self._answer('(its start)', 0, WAIT)

    def _answer(self, line, begin, seconds):
        match = self.job.wait_line(r'^reply: (ok|error)(.*)', seconds, begin)
        if match[1] == 'error':
            raise pair.Refused(line, int(match[2].split()[0]), self.job.output)
        words = dict(word.split('=', 1) for word in match[2].split())
        return {k: int(v) if re.fullmatch(r'-?\d+', v) else v for k, v in words.items()}

    def begin(self, line):
        """Has a command run; returns what waits for its answer."""
        begin = len(self.job.lines)
        self.job.send(line + '\n')
        return lambda seconds: self._answer(line, begin, seconds)

    def do(self, line, seconds=WAIT):
        return self.begin(line)(seconds)

    def slot(self):
        return int(self.job.wait_line(driver.PORT_LINE, WAIT)[1])


def odd_server(vms):
    """The socket of a server that gives its client the largest id there is."""
    path, region = vms.path('odd'), vms.path('odd-region')
    subprocess.run([lab.server(), 'format', '--size', '1M', '--ports', '2', region], check=True,
                   timeout=60, stdout=subprocess.DEVNULL)
    memory = os.open(region, os.O_RDWR)
    os.pwrite(memory, struct.pack('<Q', 1), SUPER_EPOCH)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve():
        client = listener.accept()[0]
        for value, fds in (0, []), (ODD_ID, []), (-1, [memory]), (ODD_ID, [os.eventfd(0)]):
            socket.send_fds(client, [struct.pack('<q', value)], fds)
        client.recv(1)      # until QEMU ends
    threading.Thread(target=serve, daemon=True).start()
    return path


class World:
    def __init__(self, vms):
        self.vms = vms
        self.servers = [vms.server('16M', vectors=VECTORS, options='--ports 2')
                        for _ in range(PAIRS)]
        self.trace = vms.path('trace')
        self.a = self.add('a', [doorbell(odd_server(vms), 1)],
                          ('-D', self.trace, '-trace', 'memory_region_ops_write'))
        self.b = self.add('b')
        self.watchers = [GuestShell(GuestEnd(self.a, at)).up(options='lsc=1') for at in range(2)]
        self.events = [0, 0]
        self.others = []
        self.live()
        self.slots = [shell.slot() for shell in self.others]

    def add(self, name, more=(), qemu=()):
        devices = [doorbell(server.socket, VECTORS) for server in self.servers]
        vm = self.vms.add(name, add=((str(pair.TOOLS / 'ivshmem-shell'), None),), memory=384,
                          hugepages=80, append='panic=0 iomem=relaxed', qemu=qemu,
                          devices=[*devices, *more])
        self.vms.start()
        self.bind(vm)
        return vm

    @staticmethod
    def bind(vm):
        driver.bind(vm, len(vm.config['devices']))
        if vm.name == 'a':
            vm.check(f'bind {GuestEnd(vm, 1).addr} uio_pci_generic')

    def live(self):
        """Ports in guest b: the watchers' links come up, and frames pass."""
        self.others = [GuestShell(GuestEnd(self.b, at)) for at in range(2)]
        for at, (watcher, other) in enumerate(zip(self.watchers, self.others)):
            other.do('pool 4095 2048')
            other.do('configure 0 1 1')
            self.attach(at)
            other.link('up', WAIT)
            watcher.exchange(other, 20)

    def attach(self, at):
        """The other port starts: the watcher's link comes up."""
        answer = self.watchers[at].begin(f'link 0 up {WAIT * 1000}')
        begun = time.monotonic()
        started = self.others[at].begin('start 0')
        lab.check(answer(WAIT)['link'] == 'up', f'{self.watchers[at].name}: the link stays down')
        took = time.monotonic() - begun
        started(WAIT)
        print(f'attach of {self.others[at].name}: link up after {took * 1000:.0f} ms', flush=True)
        lab.check(took < SEEN, f'attach: told after {took:.1f} s')
        self.event(at, 'up')

    def event(self, at, want):
        """The link of a watcher is so, and its callback fired once for it."""
        self.watchers[at].link(want, WAIT)
        self.events[at] += 1
        found = self.watchers[at].do('link 0')
        lab.check(found['link'] == want and found['events'] == self.events[at],
                  f'{self.watchers[at].name}: {found}, not {want} with {self.events[at]} events')

    def dies(self, what, bound, kill):
        """The watchers' links go down soon after kill()."""
        answers = [watcher.begin(f'link 0 down {WAIT * 1000}') for watcher in self.watchers]
        time.sleep(0.5)
        begun = time.monotonic()
        kill()
        took = []
        for answer in answers:
            lab.check(answer(WAIT)['link'] == 'down', f'{what}: the link did not go down')
            took.append(time.monotonic() - begun)
        print(f'{what}: link down after {took[0] * 1000:.0f} ms, without vectors after '
              f'{took[1] * 1000:.0f} ms', flush=True)
        lab.check(max(took) < bound, f'{what}: told after {max(took):.1f} s')
        for at in range(2):
            self.event(at, 'down')

    def same_slots(self, when):
        found = [shell.slot() for shell in self.others]
        lab.check(found == self.slots, f'{when}: ports {found}, before {self.slots}')


shared = driver.Shared(World)


def application_killed():
    world = shared.get()
    world.dies('kill -9 of the application', SUSPECTED,
               lambda: world.b.check('kill -9 $(pidof ivshmem-shell)'))
    world.live()


def guest_reset():
    world = shared.get()

    def reset():
        world.b.qmp('set-action', reboot='reset')
        world.b.qmp('system_reset')
    boots = world.b.boots + 1
    world.dies('system_reset', SUSPECTED, reset)
    world.b.wait_ready(boots=boots)
    world.bind(world.b)
    world.live()
    world.same_slots('after a reset')


def guest_panic():
    world = shared.get()
    world.dies('guest panic', SUSPECTED, lambda: world.b.start_job('echo c > /proc/sysrq-trigger'))
    world.b.reset()
    world.bind(world.b)
    world.live()


def received(job, begin=0):
    """Frames, by the newest progress line of a sink."""
    found = [re.search(r'received (\d+) ', line) for line in job.lines[begin:]]
    return max([int(x[1]) for x in found if x], default=0)


def wait_received(sink, count, begin=0):
    def there():
        lab.check(sink.job.status is None, f'{sink.name} ended:\n' + sink.job.output[-1000:])
        return received(sink.job, begin) > count
    lab.wait_until(there, WAIT, f'{count} frames at {sink.name}')


def paused_in_traffic():
    """Either guest; what was under way may be lost, but what arrives is whole and in order."""
    world = shared.get()
    ends = [GuestEnd(vm, 2) for vm in (world.a, world.b)]
    sink = ends[1].traffic('sink', '--wait', WAIT, '--idle', 0, '--poll', 'sleep', '--expect',
                           'lost=any')
    gen = ends[0].traffic('gen', '--wait', WAIT, '--tx-timeout', WAIT, '--rate', 5000,
                          '--poll', 'sleep', *IMIX)
    wait_received(sink, 1000)
    for seconds in PAUSES:
        for vm in (world.b, world.a):
            vm.stop()
            time.sleep(seconds)
            begin, before = len(sink.job.lines), received(sink.job)
            vm.cont()
            begun = time.monotonic()
            # what filled the ring does not count: frames of the time after
            wait_received(sink, before + 2000, begin)
            took = time.monotonic() - begun
            print(f'{vm.name} paused for {seconds} s: 2000 more frames after {took:.1f} s')
            lab.check(took < BACK, f'{vm.name}: traffic was back after {took:.1f} s')
    gen.job.kill('INT')
    for run in (gen, sink):
        report = run.report()
        sink.job.kill('INT')    # the sender lingers: all is there
        stats = {**report['port']['stats'], **report['port']['xstats']}
        bad = {k: v for k, v in stats.items() if v and re.match('rx_(bad|too)', k)}
        lab.check(not bad, f'{run.name}: {bad}')
        lab.check(stats.get('port_rejoins', 0) >= 1, f'{run.name} was dead to the other for a '
                  f'while, and took no new life: {stats}')
    for at in range(2):     # those of 5 s and more were noticed, and are over
        world.watchers[at].link('up', WAIT)
        world.events[at] = world.watchers[at].do('link 0')['events']
        world.watchers[at].exchange(world.others[at], 20)


def nobody_to_ring():
    """Doorbells to absent ids and vectors are ignored, and cost no frame."""
    world = shared.get()
    ends = [GuestEnd(vm, 2) for vm in (world.a, world.b)]
    options = driver.options_of(20000, '--rate', 5000, *IMIX)
    sink, gen = ends[1].traffic('sink', *options), ends[0].traffic('gen', *options)
    wait_received(sink, 1000)
    bar = f'$(sed -n 1p /sys/bus/pci/devices/{ends[0].addr}/resource | cut -d " " -f 1)'
    world.a.check(f'bar={bar}; for i in 1 2 3 4 5 6 7 8 9 10; do '
                  f'for value in {" ".join(hex(x) for x in ABSENT)}; do '
                  f'devmem $((bar + {REG_DOORBELL})) 32 $value || exit 1; done; done')
    lab.check(sink.job.status is None, 'the frames were over before the doorbells')
    driver.judge(gen, sink, 20000)
    with open(world.trace, encoding='ascii', errors='replace') as stream:
        seen = [line for line in stream if "name 'ivshmem-mmio'" in line]
    for value in ABSENT:
        lab.check(sum(f'value {value:#x} ' in line for line in seen) >= 10,
                  f'QEMU did not see {value:#x} written 10 times: {seen[-100:]}')


def largest_id():
    """A port that the region does not have."""
    end = GuestEnd(shared.get().a, 3)
    job = end.vm.run(driver.guest_script('ivshmem-traffic', end.allow, [
        '--role', 'gensink', '--count', 10, '--idle', 1, '--json', '--quiet']), WAIT)
    lab.check(job.status != 0 and any(f'port {ODD_ID} is not in the region' in line
                                      for line in job.lines if 'IVSHMEM: ' in line),
              f'not refused, or not for its port:\n{job.output}')


def qemu_killed():
    world = shared.get()
    world.dies('kill -9 of QEMU', TOLD, world.b.kill)
    world.b = world.add('b2')
    world.live()
    world.same_slots('after a restart')


def qemu_quit():
    world = shared.get()
    world.dies('QEMU quit', TOLD, lambda: world.b.quit(WAIT))


def guests_and_servers_end_well():
    shared.finish()


with shared.vms:        # not shared.main(), which ends what runs in a guest after each case
    lab.main(application_killed, guest_reset, guest_panic, paused_in_traffic, nobody_to_ring,
             largest_id, qemu_killed, qemu_quit, guests_and_servers_end_well)
