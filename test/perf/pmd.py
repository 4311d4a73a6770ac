# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""testpmd under the stopwatch: a process that is asked fast, and whose threads go first."""

import os
import re
import time
from pathlib import Path

import lab

START_WAIT = 60
# Of the real-time class: threads that forward, all that serve them, and who reads the counters.
FORWARD, SERVE, WATCH = 1, 2, 3


class Testpmd(lab.Testpmd):
    """One process, a worker on each of the CPUs. Ready to be used after wait_prompt().

    Zero-copy memif and virtio-user need --single-file-segments, so all have it.
    """

    def __init__(self, name, cpus, plugin, devices, memory, args):
        lcores = ','.join([f'0@{cpus[0]}'] + [f'{i}@{cpu}' for i, cpu in enumerate(cpus, 1)])
        lab.Process.__init__(self, name, [
            'stdbuf', '-oL', 'dpdk-testpmd', '--no-pci', '--in-memory', '--single-file-segments',
            '-m', memory, '--lcores', lcores, '--main-lcore', '0', '-d', plugin,
            *(word for device in devices for word in ('--vdev', device)),
            '--', '-i', '--total-num-mbufs=16384', f'--nb-cores={len(cpus)}', *args])
        self.workers = []

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
                    self.workers.append(task)
            except OSError:
                pass        # it ended
        lab.check(self.workers, f'{self.name} has no worker thread')

    def favour(self, wanted=True):
        """Real-time class for all threads: a command must be seen while the worker spins."""
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            favour(int(task.name), (FORWARD if task in self.workers else SERVE) if wanted else 0)

    def start_first(self, bursts):
        """The command start tx_first: the main thread spins until the first bursts are out."""
        self.favour(False)
        self.command(f'start tx_first {bursts}')
        self.favour()

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
        """How long a forwarding thread had to wait for its CPU so far, the one that waited most."""
        return max(int((task / 'schedstat').read_text().split()[1]) for task in self.workers)


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
