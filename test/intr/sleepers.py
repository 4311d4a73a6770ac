# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""ivshmem-sleeper as a process of a test: result() is what it says at its end."""

import re

import lab
import pair

SLEEPER = lab.BUILD / 'test' / 'intr' / 'ivshmem-sleeper'


class Sleeper(lab.Process):
    def __init__(self, name, role, vdev, **keys):
        super().__init__(name, [SLEEPER, *pair.eal(), '--log-level=pmd.net.ivshmem:info', '--vdev',
                                vdev, '--', role, *(f'{k}={v}' for k, v in keys.items())])

    def result(self, seconds=120):
        status = self.wait(seconds)
        match = re.search(r'^result: (.*)$', self.output(), re.M)
        lab.check(match, f'{self.name} ended with status {status}\n{self.tail()}')
        found = {k: int(v) for k, v in (w.split('=') for w in match.group(1).split())}
        lab.check(status == 0 and not found['late'], f'{self.name}: status {status}, {found}')
        return found

    def stop_and_tell(self):
        """Ends a role that has no end of its own."""
        self.proc.terminate()
        return self.result()


def check_honest(*results):
    """No wakeup came from the backstop, and no vector was masked."""
    for found in results:
        lab.check(not found.get('backstop_wakes') and not found.get('rx_masked'), f'{found}')
