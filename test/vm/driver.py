# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the tests of the driver in guests share: ends of a wire, and frames over it.

An end is a guest's PCI device or a process of the host; traffic() starts ivshmem-traffic there,
and send() passes frames from one end to another, judged by the sink. Boots are dear: the cases of
a test share one, made by the first of them, so a case finds the devices as others left them.
"""

import functools
import json
import re
import time

import lab
import pair
from vmset import VmSet

WAIT = 240                  # bounds, not expectations: a loaded machine takes its time
IMIX = ('--sizes', 'imix')
SEGMENTED = ('--sizes', '60-9618', '--segments', '1-5')
GUEST_EAL = '--in-memory -l 0 -m 28 --log-level=pmd.net.ivshmem:{level}'
POLLS = r'^ivshmem-traffic: sink \d+ s: '
PORT_LINE = r'IVSHMEM: ivshmem: \S+: port (\d+) of (\d+) \((\w+)\), region of (\d+) bytes'


def guest_script(program, eal, options, level='info'):
    return ' '.join(['exec', program, GUEST_EAL.format(level=level), eal, '--',
                     *(str(x) for x in options)])


class GuestRun:
    """ivshmem-traffic in a guest; the counterpart of pair.Traffic."""

    def __init__(self, name, job):
        self.name, self.job = name, job

    def report(self, seconds=WAIT, status=0):
        """Waits for its end and returns its verdict."""
        found = self.job.wait(seconds)
        line = next((x for x in self.job.lines if x.startswith('{"role"')), None)
        lab.check(line is not None and found == status,
                  f'{self.name} ended with status {found}, not {status}:\n'
                  + '\n'.join(self.job.lines[-10:]))
        return json.loads(line)

    def wait_line(self, pattern):
        return self.job.wait_line(pattern, WAIT)

    def polls(self):
        """Waits until it is at work, so that a ring to it can be used."""
        self.wait_line(POLLS)

    def port(self):
        """(slot, ports, front, bytes of the region), as the driver logged them."""
        found = self.wait_line(PORT_LINE)
        return int(found[1]), int(found[2]), found[3], int(found[4])


class GuestEnd:
    """The index-th ivshmem device of a guest. args: device arguments, e.g. 'port=1'."""

    def __init__(self, vm, index=0, args=''):
        self.vm, self.args = vm, args
        self.addr = f'0000:00:{0x10 + index:02x}.0'
        self.allow = ','.join(x for x in (f'-a {self.addr}', args) if x)
        self.name = f'{vm.name}{index}'

    def traffic(self, role, *options):
        script = guest_script('ivshmem-traffic', self.allow, ['--role', role, '--json', *options])
        return GuestRun(f'{role} in {self.name}', self.vm.start_job(script))


class HostRun(pair.Traffic):
    """ivshmem-traffic in a process of the host."""

    def port(self):
        """Waits until the server has it as a client."""
        lab.wait_until(self.attached, WAIT, f'{self.name} at the server')

    def polls(self):
        """Waits until it is at work, so that a ring to it can be used."""
        self.expect(POLLS, WAIT)

    def report(self, seconds=WAIT, status=0):
        return super().report(seconds, status)


class HostEnd:
    """A process of the host on a server's socket."""

    def __init__(self, server, name='host'):
        self.server, self.name = server, name
        self.vdev = f'net_ivshmem0,socket={server.socket}'
        self.count = 0

    def _attaches(self):
        text = self.server.output() if isinstance(self.server, lab.Process) else \
            '\n'.join(self.server.lines)
        return text.count(' attach id=')

    def traffic(self, role, *options):
        self.count += 1
        before = self._attaches()
        run = HostRun(f'{self.name}-{role}{self.count}', role, self.vdev, *options)
        run.attached = lambda: self._attaches() > before
        return run


def options_of(count, *options):
    """For gen and sink. The ring outlives the port that filled it: no need to linger."""
    return ('--count', count, '--wait', WAIT, '--tx-timeout', 60, '--idle', 60, '--linger', 0,
            '--poll', 'sleep', *options)


def send(sender, receiver, count, *options, first=None):
    """count frames; first: the role that has its port before the other starts. Returns the runs."""
    runs = {}
    for role in ('gen', 'sink') if first == 'gen' else ('sink', 'gen'):
        end = receiver if role == 'sink' else sender
        runs[role] = end.traffic(role, *options_of(count, *options))
        if role == first:
            runs[role].port()
    judge(runs['gen'], runs['sink'], count)
    return runs


def send_all(pairs, count, *options, queues=1):
    """count frames a queue for each (sender, receiver), all at once; returns [(gen, sink), ...]."""
    options = options_of(count, '--queues', queues, *options)
    runs = [(sender.traffic('gen', *options), receiver.traffic('sink', *options))
            for sender, receiver in pairs]
    for gen, sink in runs:
        judge(gen, sink, count * queues)
    return runs


def judge(gen, sink, count):
    """Both end well, and every frame came: content, order and number."""
    reports = gen.report(), sink.report()
    for report in reports:
        pair.check_clean(report)
    sent, got = (report['totals'] for report in reports)
    lab.check(sent['sent'] == got['received'] == count,
              f'{count} frames: {sent["sent"]} sent, {got["received"]} received')


def bind(vm, count):
    """Binds all ivshmem devices of a guest to vfio-pci, each of which has its own group."""
    text = vm.check('for addr in $(ivshmem_addrs); do bind $addr vfio-pci || exit 1; '
                    'dev=/sys/bus/pci/devices/$addr; '
                    'echo $addr $(basename $(readlink $dev/driver)) '
                    '$(basename $(readlink $dev/iommu_group)); done')
    found = [line.split() for line in text.splitlines()]
    lab.check(len(found) == count and all(x[1] == 'vfio-pci' for x in found)
              and len({x[2] for x in found}) == count,
              f'{vm.name}: {count} devices on vfio-pci, each alone in its group, were wanted: '
              f'{found}')


class Testpmd:
    """testpmd at its prompt in a guest; devices: EAL's words for them."""

    def __init__(self, vm, devices, options=''):
        self.vm = vm
        self.job = vm.start_job(
            'exec stdbuf -oL dpdk-testpmd --in-memory --lcores 0@0,1@0 --main-lcore 0 -m 40 '
            f'{devices} -- -i --no-lsc-interrupt --disable-link-check --total-num-mbufs=4096 '
            f'{options}', stdin=True)

    def ask(self, line):
        return '\n'.join(self.job.ask(line, timeout=WAIT))

    def ask_all(self, *lines):
        for line in lines:
            self.ask(line)

    def wait_link(self, port, state):
        """Waits until its own view of the link is 'up' or 'down'."""
        def there():
            time.sleep(0.3)         # the guest has better things to do than to print
            return f'Link status: {state}' in self.ask(f'show port info {port}')
        lab.wait_until(there, WAIT, f'the link of port {port} of {self.vm.name} to be {state}')

    def counter(self, name, port=0):
        """One number of `show port stats`."""
        text = self.ask(f'show port stats {port}')
        found = re.search(rf'{name}:\s+(\d+)', text)
        lab.check(found, f'{self.vm.name}: no {name} in what testpmd printed:\n{text}')
        return int(found[1])

    def quit(self):
        self.job.send('quit\n')
        status = self.job.wait(WAIT)
        lab.check(status == 0, f'{self.vm.name}: testpmd ended with {status}:\n'
                  + '\n'.join(self.job.lines[-10:]))


class Shared:
    """One VmSet for all cases of a test; boot(vms), called by the first of them, fills it."""

    def __init__(self, boot, timeout=800):
        self.vms = VmSet(timeout=timeout)
        self.boot = boot
        self.ends = None

    def get(self):
        """What boot() returned."""
        if self.ends is None:
            self.ends = self.boot(self.vms)
        return self.ends

    def finish(self):
        """The last case: the guests leave in good order, the servers are still there."""
        lab.check(self.ends is not None, 'no case ran')
        self.vms.finish()
        for server in self.vms.servers:
            status = server.stop()
            lab.check(status == 0, f'{server.name} ended with {status}:\n'
                      + '\n'.join(server.lines[-10:]))

    def _tidied(self, case):
        """The case; no program of it goes on in a guest and keeps a device from the next one."""
        @functools.wraps(case)
        def run():
            try:
                case()
            finally:
                left = [job for vm in self.vms.vms if not vm.ended
                        for job in vm.jobs.jobs.values() if job.status is None]
                for job in left:
                    job.kill('KILL')
                for job in left:
                    job.wait(WAIT)
        return run

    def main(self, *cases):
        """lab.main() for these cases and the end of the guests."""
        def guests_and_servers_end_well():
            self.finish()
        with self.vms:
            lab.main(*map(self._tidied, cases), guests_and_servers_end_well)
