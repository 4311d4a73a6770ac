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


def build(name, program):
    """examples/<name> of the source of the installed DPDK, by plain make; returns the program."""
    source = subprocess.run([lab.ROOT / 'app/setup', '--print-dpdk-source'], check=True,
                            timeout=600, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = shutil.copytree(f'{source}/examples/{name}', lab.private_dir() / name)
    status, text = pair.run(['make', '-C', folder], 300)
    lab.check(status == 0, f'make in examples/{name} ended with {status}:\n{text}')
    lab.check('warning:' not in text, f'examples/{name} builds with warnings:\n{text}')
    return folder / 'build' / program


class Forwarder:
    """An example at work. text(): what it has printed so far."""

    def ups(self, port):
        """How often the driver said that the link of a port went up."""
        return len(re.findall(rf'{self.devices[port]}: link up', self.text()))

    def wait_up(self, port, more_than):
        lab.wait_until(lambda: self.ups(port) > more_than, WAIT,
                       f'link up at {self.devices[port]}')

    def counts(self):
        """Of l2fwd's newest table: [(sent, received, dropped) of port 0, of port 1]."""
        found = re.findall(r'Statistics for port [01] -+\s+Packets sent:\s+(\d+)\s+'
                           r'Packets received:\s+(\d+)\s+Packets dropped:\s+(\d+)', self.text())
        if len(found) < 2:
            return [(0, 0, 0)] * 2
        last = len(found) // 2 * 2
        return [tuple(int(x) for x in row) for row in found[last - 2:last]]


class HostForwarder(Forwarder):
    """On the host, with a vdev on each server."""

    devices = ('net_ivshmem0', 'net_ivshmem1')

    def __init__(self, program, servers, *options):
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
        allow = ' '.join(f'-a {device}' for device in self.devices)
        self.job = vm.start_job(f'exec {name} --in-memory -l 0 -m 48 {allow} '
                                f'--log-level=pmd.net.ivshmem:info -- {" ".join(options)}')

    def text(self):
        return self.job.output

    def stop(self):
        self.job.kill('INT')
        return self.job.wait(WAIT)


def first_pass(start, ends):
    """The forwarder comes last and finds both neighbours: l2fwd waits for its links, but not for
    ever. All frames of gen at end 0 reach end 1. Returns the forwarder."""
    sink = ends[1].traffic('sink', *options_of(RING))
    sink.port()
    gen = ends[0].traffic('gen', *options_of(RING))
    gen.port()
    forwarder = start()
    driver.judge(gen, sink, RING)
    return forwarder


def whole_pass(forwarder, ends, to, *options):
    """All frames reach end `to`: they fit into the ring. The example runs already."""
    before = forwarder.ups(to)
    sink = ends[to].traffic('sink', *options_of(RING, *options))
    forwarder.wait_up(to, before)
    driver.judge(ends[1 - to].traffic('gen', *options_of(RING, *options)), sink, RING)


def counted_pass(forwarder, ends, to, count, *options):
    """More frames than a ring holds: the sink misses exactly those that l2fwd counts as dropped."""
    ups, start = forwarder.ups(to), forwarder.counts()
    sink = ends[to].traffic('sink', '--count', count, '--wait', WAIT, '--idle', 0,
                            '--expect', 'received=any,lost=any', *options)
    forwarder.wait_up(to, ups)
    gen = ends[1 - to].traffic('gen', *options_of(count, *options)).report()
    lab.check(gen['totals']['sent'] == count, f'gen sent {gen["totals"]["sent"]} of {count}')

    def done():
        """(sent, dropped) to `to`, once l2fwd is through with all frames."""
        now = forwarder.counts()
        received = now[1 - to][1] - start[1 - to][1]
        sent, dropped = (now[to][x] - start[to][x] for x in (0, 2))
        return (sent, dropped) if received == sent + dropped == count else None
    sent, dropped = lab.wait_until(done, WAIT, f'l2fwd to be through with {count} frames')
    lab.wait_until(lambda: not sink.running() or f'received {sent} ' in sink.output(), WAIT,
                   f'{sent} frames at the sink')
    sink.proc.send_signal(signal.SIGTERM)
    got = sink.report()
    pair.check_clean(got)
    found = got['totals']['received'], got['totals']['lost']
    lab.check(found == (sent, dropped) and sent > 0,
              f'of {count} frames l2fwd sent {sent} and dropped {dropped}, the sink received '
              f'{found[0]} and misses {found[1]}')
    print(f'{count} frames: {sent} forwarded, {dropped} dropped by l2fwd')
