# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What test/run takes from the machine and gives back: hugepages, a mount, processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

NR_HUGEPAGES = Path('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')
FREE_HUGEPAGES = NR_HUGEPAGES.with_name('free_hugepages')
MOUNT_POINT = Path('/dev/hugepages')
NEEDED = 1024       # pages of 2 MiB: several testpmd of 256 MiB at once


class Hugepages:
    """with Hugepages(wanted): free pages and a hugetlbfs mount, as found afterwards."""

    def __init__(self, wanted, needed=NEEDED, program='test/run'):
        self.wanted = wanted
        self.needed = needed
        self.program = program
        self.found = None
        self.mounted = False
        self.made_directory = False

    def __enter__(self):
        if self.wanted:
            try:
                self._reserve()
                self._mount()
            except BaseException:
                self.__exit__()
                raise
        return self

    def _error(self, text):
        sys.exit(f'{self.program}: error: {text}')

    def _reserve(self):
        if not NR_HUGEPAGES.exists():
            self._error(f'the kernel has no hugepages of 2 MiB ({NR_HUGEPAGES} is missing)')
        missing = self.needed - int(FREE_HUGEPAGES.read_text())
        if missing <= 0:
            return
        self.found = int(NR_HUGEPAGES.read_text())
        try:
            NR_HUGEPAGES.write_text(str(self.found + missing))
        except OSError as problem:
            self._error(f'{NR_HUGEPAGES} cannot be written: {problem.strerror}; as '
                        f'root, reserve {self.needed} pages there before starting '
                        f'{self.program}')
        got = int(FREE_HUGEPAGES.read_text())
        if got < self.needed:
            self._error(f'only {got} hugepages of 2 MiB are free, {self.needed} are needed: free '
                        f'some memory ({self.needed * 2} MiB), or reboot if it is fragmented')

    def _mount(self):
        mounts = [line.split() for line in Path('/proc/mounts').read_text().splitlines()]
        if any(m[2] == 'hugetlbfs' and 'pagesize=1' not in m[3] for m in mounts):
            return
        if not MOUNT_POINT.exists():
            MOUNT_POINT.mkdir()
            self.made_directory = True
        done = subprocess.run(['mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'hugetlbfs',
                               MOUNT_POINT], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            self._error(f'cannot mount hugetlbfs on {MOUNT_POINT}: {done.stderr.strip()}')
        self.mounted = True

    def __exit__(self, *_unused):
        for number in (signal.SIGINT, signal.SIGTERM):      # a second Ctrl-C must not stop this
            signal.signal(number, signal.SIG_IGN)
        if self.mounted:
            subprocess.run(['umount', MOUNT_POINT])
        if self.made_directory:
            MOUNT_POINT.rmdir()
        if self.found is not None:
            NR_HUGEPAGES.write_text(str(self.found))


def _members(group):
    """The living processes of a process group, as 'pid (name)'."""
    found = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            text = Path('/proc', entry, 'stat').read_text()
        except OSError:
            continue
        name, rest = text[text.index('(') + 1:text.rindex(')')], text[text.rindex(')') + 2:]
        state, _parent, pgrp = rest.split()[:3]
        if int(pgrp) == group and state not in 'ZX':
            found.append(f'{entry} ({name})')
    return found


def end_group(proc):
    """Ends whatever is left of a test's process group: SIGTERM, later SIGKILL.

    Returns what had outlived the test by more than a second: children that die with their
    parent need a moment.
    """
    def wait(seconds):
        end = time.monotonic() + seconds
        while True:
            proc.poll()
            left = _members(proc.pid)
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.02)

    left = _members(proc.pid) if proc.poll() is None else wait(10)
    for number, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 10)):
        if not _members(proc.pid):
            break
        try:
            os.killpg(proc.pid, number)
        except ProcessLookupError:
            pass
        wait(seconds)
    return left
