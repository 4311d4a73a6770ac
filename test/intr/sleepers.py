# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""ivshmem-sleeper as the tests of interrupts use it: at both ends of a wire, and judged.

Each waits without a time-out; 5 s without the frame that is under way are a lost wakeup.
"""

import errno
import re

import lab
import pair

SLEEPER = lab.BUILD / 'test' / 'intr' / 'ivshmem-sleeper'


def arguments(role, keys):
    return ['--', role, *(f'{key}={value}' for key, value in keys.items())]


def result(name, status, output):
    """The numbers of a sleeper that ended well."""
    match = re.search(r'^result: (.*)$', output, re.M)
    lab.check(match, f'{name} ended with status {status}:\n{output[-2000:]}')
    found = {k: int(v) for k, v in (w.split('=') for w in match.group(1).split())}
    lab.check('EAL: Error' not in output, f'{name}: an error of EAL:\n{output[-2000:]}')
    lab.check(status == 0 and not found['late'], f'{name}: status {status}, {found}')
    return found


class Sleeper(lab.Process):
    """A process of the host."""

    def __init__(self, name, role, vdev, **keys):
        super().__init__(name, [SLEEPER, *pair.eal(), '--log-level=pmd.net.ivshmem:info', '--vdev',
                                vdev, *arguments(role, keys)])

    def result(self, seconds=120):
        return result(self.name, self.wait(seconds), self.output())

    def stop_and_tell(self):
        """Ends a role that has no end of its own."""
        self.proc.terminate()
        return self.result()


def check_refused(sleeper, status):
    """Its port has no vectors: it was told why, and a queue that is to sleep gets -ENOTSUP."""
    output = sleeper.output()
    for words in ('no Rx interrupts', 'ivshmem-doorbell', 'rx_intr_ctl_q',
                  f'result: rx_intr_enable={errno.ENOTSUP}\n'):
        lab.check(words in output, f'{sleeper.name}: no word of {words!r}:\n{output[-2000:]}')
    lab.check(status == 2, f'{sleeper.name}: status {status}\n{output[-2000:]}')


def check_honest(*results):
    """No wakeup came from the backstop, and no vector was masked."""
    for found in results:
        lab.check(not found.get('backstop_wakes') and not found.get('rx_masked'), f'{found}')


def check_round_trips(ping, pong, rounds, seconds=120):
    """Both end well in time, with all frames there and back, and slept meanwhile; returns the
    results."""
    there, back = ping.result(seconds), pong.result(seconds)
    lab.check(there['received'] == there['sent'] == back['received'] == back['sent'] == rounds,
              f'{there}, {back}')
    for found in (there, back):
        lab.check(found['sleeps'] > rounds / 100, f'it hardly slept: {found}')
    check_honest(there, back)
    return there, back


def check_vectors(sleeper, queues, own):
    """So many of its queues have a vector of their own, it says."""
    lab.check(f'{queues} queues, {own} of them with a vector' in sleeper.output(),
              f'{sleeper.name}: no word of {own} vectors:\n{sleeper.output()[-2000:]}')
