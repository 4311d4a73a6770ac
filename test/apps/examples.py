# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""DPDK's own examples between two of our ports: built as they come, driven, and judged.

    gen -> region A -> example -> region B -> sink, and back

The examples drop what a full ring does not take. l2fwd counts that; frames that fit into a ring
all at once cannot be dropped whatever the machine does.
"""

import re
import shutil
import signal
import subprocess

import driver
import lab
import pair
from driver import WAIT, options_of

RING = 1000         # the examples ask for rings of 1024
L2FWD_OPTIONS = ['-p', '3', '-q', '2', '-P', '-T', '1', '--no-mac-updating']


def build(name, program, source=None):
    """examples/<name> of the source of the installed DPDK, or of ours, by plain make; returns the
    program."""
    if source is None:
        source = subprocess.run([lab.ROOT / 'app/setup', '--print-dpdk-source'], check=True,
                                timeout=600, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = shutil.copytree(f'{source}/examples/{name}', lab.private_dir() / name,
                             ignore=shutil.ignore_patterns('build'))
    status, text = pair.run(['make', '-C', folder], 300)
    lab.check(status == 0, f'make in examples/{name} ended with {status}:\n{text}')
    lab.check('warning:' not in text, f'examples/{name} builds with warnings:\n{text}')
    return folder / 'build' / program


class Forwarder:
    """An example at work. text(): what it has printed so far; past: what earlier passes have left
    in l2fwd's table, which lags behind: (sent, dropped) by port."""

    def __init__(self):
        self.past = [(0, 0), (0, 0)]

    def ups(self, port):
        """How often the driver said that the link of a port went up."""
        return len(re.findall(rf'{self.devices[port]}: link up', self.text()))

    def wait_down(self, port):
        """The neighbour before has gone, and this side knows."""
        lab.wait_until(lambda: self.ups(port) == self.text().count(
            f'{self.devices[port]}: link down'), WAIT, f'link down at {self.devices[port]}')

    def sink(self, port, start):
        """Starts a sink behind the port, and waits until frames can get there; returns it."""
        self.wait_down(port)
        before = self.ups(port)
        sink = start()
        sink.polls()
        lab.wait_until(lambda: self.ups(port) > before, WAIT, f'link up at {self.devices[port]}')
        return sink

    def counts(self, port):
        """Since the passes before, by l2fwd's newest table: (sent, dropped)."""
        found = re.findall(rf'Statistics for port {port} -+\s+Packets sent:\s+(\d+)\s+'
                           r'Packets received:\s+\d+\s+Packets dropped:\s+(\d+)', self.text())
        last = found[-1] if found else (0, 0)
        return tuple(int(now) - before for now, before in zip(last, self.past[port]))

    def passed(self, port, sent, dropped=0):
        """A pass is over."""
        before = self.past[port]
        self.past[port] = (before[0] + sent, before[1] + dropped)


class HostForwarder(Forwarder):
    """On the host, with a vdev on each server."""

    devices = ('net_ivshmem0', 'net_ivshmem1')

    def __init__(self, program, servers, *options):
        super().__init__()
        vdevs = [x for device, server in zip(self.devices, servers)
                 for x in ('--vdev', f'{device},socket={server.socket}')]
        self.process = lab.Process(program.name, [
            program, *pair.eal(96), '--log-level=pmd.net.ivshmem:info', *vdevs, '--', *options])
        self.text = self.process.output

    def stop(self):
        """l2fwd ends well on SIGINT; returns the status."""
        return self.process.stop(WAIT, signal.SIGINT)


class GuestForwarder(Forwarder):
    """In a guest, with two PCI devices bound to vfio-pci."""

    devices = ('0000:00:10.0', '0000:00:11.0')

    def __init__(self, vm, name, *options):
        super().__init__()
        allow = ' '.join(f'-a {device}' for device in self.devices)
        self.job = vm.start_job(f'exec {name} --in-memory -l 0 -m 48 {allow} '
                                f'--log-level=pmd.net.ivshmem:info -- {" ".join(options)}')

    def text(self):
        return self.job.output

    def stop(self):
        self.job.kill('INT')
        return self.job.wait(WAIT)


def accounted(forwarder, to, sink, count):
    """Waits until l2fwd is through with count frames; the sink misses exactly those that l2fwd
    has counted as dropped. Returns how many it sent."""
    sent, dropped = lab.wait_until(
        lambda: forwarder.counts(to) if sum(forwarder.counts(to)) == count else None,
        WAIT, f'l2fwd to be through with {count} frames')
    lab.wait_until(lambda: not sink.running() or f'received {sent} ' in sink.output(), WAIT,
                   f'{sent} frames at the sink')
    sink.proc.send_signal(signal.SIGTERM)
    got = sink.report()
    pair.check_clean(got)
    found = got['totals']['received'], count - got['totals']['received']
    lab.check(found == (sent, dropped) and (got['totals']['lost'] == dropped or sent == 0),
              f'of {count} frames l2fwd sent {sent} and dropped {dropped}, the sink received '
              f'{found[0]} and misses {got["totals"]["lost"]}')
    print(f'{count} frames: {sent} forwarded, {dropped} dropped by l2fwd')
    forwarder.passed(to, sent, dropped)
    return sent


def lossy(end, count, *options):
    """A sink that takes what comes until it is told to stop."""
    return end.traffic('sink', '--count', count, '--wait', WAIT, '--idle', 0,
                       '--expect', 'received=any,lost=any', *options)


def l2fwd_between(start, ends):
    """l2fwd waits for its links, but not for ever, so it comes last and finds both neighbours. It
    may meet frames before the ring to the sink is ready. Returns the forwarder."""
    sink = lossy(ends[1], RING)
    sink.polls()
    gen = ends[0].traffic('gen', *options_of(RING))
    gen.port()
    forwarder = start()
    gen.report()
    accounted(forwarder, 1, sink, RING)
    return forwarder


def whole_pass(forwarder, ends, to, *options):
    """All frames reach end `to`: they fit into the ring. The example runs already."""
    sink = forwarder.sink(to, lambda: ends[to].traffic('sink', *options_of(RING, *options)))
    driver.judge(ends[1 - to].traffic('gen', *options_of(RING, *options)), sink, RING)
    forwarder.passed(to, RING)


def counted_pass(forwarder, ends, to, count, *options):
    """More frames than a ring holds."""
    sink = forwarder.sink(to, lambda: lossy(ends[to], count, *options))
    gen = ends[1 - to].traffic('gen', *options_of(count, *options)).report()
    lab.check(gen['totals']['sent'] == count, f'gen sent {gen["totals"]["sent"]} of {count}')
    sent = accounted(forwarder, to, sink, count)
    lab.check(sent >= RING, f'l2fwd sent {sent} of {count} frames, fewer than a ring holds')
