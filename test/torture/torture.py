# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the tests of this suite share: groups of ports under traffic, and what a kill must leave.

    Node    ivshmem-torture-node, one port
    Group   the ports of a region, by name, and the flows of frames between them

After a kill the new incarnation is started, and nobody else does anything. Frames pass; then the
sources pause, all that was sent arrives, and is counted; they go on until FRAMES frames more were
judged behind the new incarnation, and pause again. What was sent between both pauses must have
arrived, each frame once and in order. Then each port that lives shows where its mbufs, buffers and
loans are, and has the files and hugepages that it had.
"""

import collections
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import lab
import pair
from manager import Manager

NODE = lab.BUILD / 'test' / 'torture' / 'ivshmem-torture-node'
SEED = int(os.environ.get('IVSHMEM_TORTURE_SEED') or
           (random.SystemRandom().randrange(1 << 31) if lab.LONG else 1))
FRAMES = 100000 if lab.LONG else 10000
BOUND = 240 if lab.LONG else 60     # seconds; bounds, not expectations
HONEST = re.compile(r'(rx|tx)_(bad|too)|reclaims|backstop_wakes|(rx|control)_masked')
MACS = {name: f'02:00:00:00:70:0{number}' for number, name in enumerate('abc', 1)}

Role = collections.namedtuple('Role', 'name slot keys options')


def seeded(name):
    """A random number generator of that case, and its seed printed."""
    print(f'{name}: seed {SEED} (IVSHMEM_TORTURE_SEED={SEED} repeats it)', flush=True)
    return random.Random(f'{SEED} {name}')


def eventfds(pid):
    count = 0
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            count += 'eventfd' in os.readlink(f'/proc/{pid}/fd/{name}')
        except OSError:     # closed meanwhile
            pass
    return count


def huge_kib(pid):
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'^HugetlbPages:\s+(\d+) kB', text, re.M).group(1))


def belongings(pid):
    return {'files': lab.fd_count(pid), 'eventfds': eventfds(pid), 'huge_kib': huge_kib(pid)}


class Node(pair.Driven):
    """Started, but not waited for: ready() does."""

    def __init__(self, name, vdev, role, run, plugin=None, env=None):
        lab.Process.__init__(self, name, [
            NODE, *pair.eal(plugin=plugin), '--log-level=pmd.net.ivshmem:notice', '--vdev', vdev,
            '--', *role.keys, '--quiet', '--first', 'any', '--tx-timeout', 3600, '--run', run,
            '--linger', 0, '--ping-timeout', 3, *role.options], env=env)
        self.role = role
        self.run = run

    def whereabouts(self):
        """State, ticks of CPU and wait of each thread: whether it waits, or had no CPU."""
        found = []
        for task in Path(f'/proc/{self.pid}/task').glob('*'):
            words = (task / 'stat').read_text().rpartition(')')[2].split()
            found.append(f'{(task / "comm").read_text().strip()}: {words[0]}, {words[11]} and '
                         f'{words[12]} ticks, {(task / "wchan").read_text()}')
        return '; '.join(found)

    def ready(self):
        try:
            self._reply('(its start)', BOUND)
        except lab.Failure as failure:
            if self.running():
                raise lab.Failure(f'{failure}\n{self.whereabouts()}')
            raise
        return self

    def leave(self):
        """Ends in good order, with all mbufs; its log is not needed any more."""
        self.do('quit')
        try:
            status = self.proc.wait(BOUND)
        except subprocess.TimeoutExpired:
            raise lab.Failure(f'{self.name} does not end: {self.whereabouts()}\n{self.tail()}')
        lab.check(status == 0, f'{self.name} ended with status {status}\n{self.tail()}')
        self.forget()

    def die(self):
        """kill -9, on purpose."""
        self.kill()
        self.forget()

    def forget(self):
        lab.forget(self)


class Group:
    """The ports of a region. flows: who sends to whom, the last one judges."""

    def __init__(self, name, roles, flows, vdev, service=None):
        self.name, self.flows, self.vdev, self.service = name, flows, vdev, service
        self.roles = {role.name: role for role in roles}
        self.nodes = {}
        self.had = {}
        self.count = 0

    def start(self, who, **more):
        self.count += 1
        node = Node(f'{self.name}-{who}{self.count}', self.vdev(self.roles[who]),
                    self.roles[who], self.count, **more)
        self.nodes[who] = node
        return node

    def start_all(self):
        for who in self.roles:
            self.start(who).ready()
        self.check('the start')

    def judges(self):
        """(judge, source) of each flow."""
        return [(flow[-1], flow[0]) for flow in self.flows]

    def states(self):
        found = {who: node.do('state') for who, node in self.nodes.items()}
        for state in found.values():
            del state['sleeps']     # a question ends one, too
        return found

    def passes(self, count, what):
        """Waits until that many frames more of the present sources were judged in each flow."""
        before = self.states()

        def passed():
            now = self.states()
            for judge, source in self.judges():
                found, was = now[judge], before[judge]
                fresh = found['run'] == self.nodes[source].run
                if not fresh or found['run_good'] - (
                        was['run_good'] if was['run'] == found['run'] else 0) < count:
                    return False
            return True
        try:
            lab.wait_until(passed, BOUND, '')
        except lab.Failure:
            raise lab.Failure(f'{self.name}: after {what} {count} frames did not pass: first '
                              f'{before}, then {self.states()}; {self.accounts()}; '
                              f'{self.xstats()}')

    def accounts(self):
        return {who: node.do('account') for who, node in self.nodes.items()}

    def xstats(self):
        return {who: node.do('xstats') for who, node in self.nodes.items()}

    def _told(self, accounts, states):
        """What is not accounted for, in words; empty when all is."""
        wrong = []
        for who, found in accounts.items():
            if found['missing'] != found['held'] + states[who]['waiting']:
                wrong.append(f'mbufs of {who}')
            for key in ('unread', 'barred', 'lost_slots', 'lost_bufs', 'lost_loans', 'stale'):
                if found[key] != 0:
                    wrong.append(f'{key} of {who}')
            if states[who]['waiting'] != 0:
                wrong.append(f'frames that {who} cannot send')
            if states[who]['outstanding'] != 0:
                wrong.append(f'frames that {who} waits for')
        # what is lent is with the next one: who passes on holds what it borrowed
        for judge, source in self.judges():
            first, last = accounts[source], accounts[judge]
            flow = next(flow for flow in self.flows if flow[0] == source and flow[-1] == judge)
            hops = [accounts[who] for who in flow[1:-1] if who in accounts and who != source]
            borrowed = sum(hop['loans'] for hop in hops)
            if last['loans'] != 0 and judge != source:
                wrong.append(f'loans of {judge}')
            if any(hop['loans'] > hop['held'] or hop['out'] != hop['returned'] for hop in hops):
                wrong.append(f'loans between {source} and {judge}')
            if not hops and first['out'] != first['returned']:
                wrong.append(f'buffers that {source} lent')
            if hops and first['out'] - first['returned'] > borrowed:
                wrong.append(f'buffers that {source} lent, and nobody has')
        return wrong

    def _quiet(self, what):
        """Pauses the sources until all has arrived; returns the states then."""
        self.pause()
        last = None
        end = time.monotonic() + BOUND
        while True:
            states, accounts = self.states(), self.accounts()
            wrong = self._told(accounts, states)
            if not wrong and states == last:
                return states
            last = states
            if wrong and all(one.startswith('barred') for one in wrong):
                self.resume()       # a queue sees with its next burst that it may use them again
                self.pause()
            lab.check(time.monotonic() < end, f'{self.name}: {BOUND} s after {what}: {wrong}, '
                      f'{accounts}, {states}, {self.xstats()}')
            time.sleep(0.005)

    def pause(self):
        for node in self.nodes.values():
            node.do('pause')

    def resume(self):
        for node in self.nodes.values():
            if node.running():
                node.do('resume')

    def check(self, what):
        """The whole check after a kill; leaves the sources paused."""
        self.resume()
        self.passes(FRAMES // 10, what)
        before = self._quiet(what)
        self.resume()
        self.passes(FRAMES, what)
        after = self._quiet(what)
        for judge, source in self.judges():
            sent = after[source]['sent'] - before[source]['sent']
            good = after[judge]['good'] - before[judge]['good']
            lab.check(sent == good >= FRAMES, f'{self.name}, after {what}: {source} sent {sent}, '
                      f'{judge} received {good}')
        for who, found in after.items():
            lab.check(found['bad'] == 0, f'{self.name}, after {what}: {who} received frames that '
                      f'are not right: {found}\n{self.nodes[who].tail()}')
        for who, found in self.xstats().items():
            odd = {k: v for k, v in found.items() if HONEST.match(k)}
            lab.check(not odd, f'{self.name}, after {what}: {who} counted {odd}')
        self._keeps(what)

    def _keeps(self, what):
        """Files, eventfds and hugepages of each role are what they were."""
        for who, node in self.nodes.items():
            had = self.had.setdefault(who, belongings(node.pid))
            lab.wait_until(lambda: belongings(node.pid) == had, 10, f'{self.name}, after {what}: '
                           f'{who} to have {had} again, it has {belongings(node.pid)}')

    def end(self):
        for node in self.nodes.values():
            node.leave()
        if self.service is not None:
            self.service.end()


def unmapped_hugepages():
    """Hugepages that are taken, and that no process has mapped."""
    taken = int((lab.HUGE / 'nr_hugepages').read_text()) - lab.hugepages_free()
    mapped = 0
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                mapped += huge_kib(entry)
            except (OSError, AttributeError):
                pass
    return max(0, taken - mapped // 2048)


class Service:
    """A server that a service manager starts again."""

    def __init__(self, name, ports=2):
        self.name, self.ports = name, ports
        self.manager = Manager()
        self.socket = lab.private_dir() / 's'
        self.count = 0
        self.server = self.start()
        self.server.expect('ready', 30)

    def start(self):
        self.count += 1
        return self.manager.start(f'{self.name}-server{self.count}', self.socket, '-l', '16M',
                                  '--ports', self.ports)

    def vdev(self, *more):
        return ','.join([f'net_ivshmem0,socket={self.socket}', *more])

    def end(self):
        lab.check(self.server.stop() == 0, self.server.tail())
        self.manager.close()


# -- the groups --------------------------------------------------------------

MIXED = ['--sizes', '60-1518']
JUMBO = ['--sizes', '60-9618', '--segments', '1-5']


def both_ways(options, keys=()):
    """Two ports, each of which sends and judges."""
    roles = [Role(name, slot, list(keys), ['--role', 'gensink', '--source', slot, *options])
             for slot, name in enumerate('ab')]
    return roles, [('a', 'b'), ('b', 'a')]


def wire(name, options=MIXED, devargs=(), **geometry):
    region = pair.Region('16M', **geometry)
    roles, flows = both_ways(options)
    return Group(name, roles, flows, lambda role: region.vdev(f'port={role.slot}', *devargs))


def lost(xstats):
    """Frames of one buffer that a restart cost, as the end counted that lived on."""
    return sum(xstats.get(f'{way}_lost_on_restart', 0) for way in ('rx', 'tx'))


def copy(name):
    return wire(name, [*MIXED, '--offloads', 'fast-free'])


def chains(name):
    return wire(name, JUMBO, ['zero_copy=1'], queues=4)


def zero_copy(name):
    return wire(name, MIXED, ['zero_copy=1'])


def served(name, *devargs):
    service = Service(name)
    roles, flows = both_ways(MIXED)
    return Group(name, roles, flows, lambda _role: service.vdev(*devargs), service)


def served_zero_copy(name):
    return served(name, 'zero_copy=1')


def chain(name, vdev, service=None):
    """a sends to b, which passes on what it was lent, to c."""
    options = ['--promisc', 'off', '--sizes', '60-1518']
    roles = [Role('a', 0, [], ['--role', 'gen', '--dst-mac', MACS['b'], *options]),
             Role('b', 1, [f'forward={MACS["c"]}'], ['--role', 'echo', *options]),
             Role('c', 2, [], ['--role', 'sink', *options])]
    return Group(name, roles, [('a', 'b', 'c')], lambda role: vdev(
        role, f'mac={MACS[role.name]}', 'zero_copy=1', 'full=wait'), service)


def forwarding(name):
    region = pair.Region('16M', ports=3)
    return chain(name, lambda role, *more: region.vdev(f'port={role.slot}', *more))


def served_forwarding(name):
    service = Service(name, 3)
    return chain(name, lambda _role, *more: service.vdev(*more), service)


def ping_pong(name):
    """Both sleep until the other's frames wake them."""
    service = Service(name)
    roles = [Role('a', 0, ['sleep=1'], ['--role', 'ping', '--burst', 32, '--count', 10 ** 12,
                                        *MIXED]),
             Role('b', 1, ['sleep=1'], ['--role', 'echo', *MIXED])]
    return Group(name, roles, [('a', 'b', 'a')], lambda _role: service.vdev(), service)


def progress(text):
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)
    sys.stdout.flush()
