# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""One wire, measured: each size, each direction, judged by ivshmem-traffic, timed by testpmd.

A row never rests on time: a run goes on until enough frames have passed, and is given up when
none has passed for STALL seconds.
"""

import re
import time

import lab
from demo_ends import PORT_LINE

SIZES = (64, 1518)
STALL = 60
JUDGE_WAIT = 900
WINDOW = 3          # seconds at least, for a rate (1 in a shortened demo)
# What ports count when a frame ends on the way. rx_nombuf is none: the frame waits in the ring.
DROPS = ('rx_missed_errors', 'rx_errors', 'tx_errors', 'rx_not_mine', 'rx_discarded_on_restart',
         'rx_lost_on_restart', 'tx_lost_on_restart')
CORRUPTED = ('corrupted', 'truncated', 'overlong', 'badmbuf')
FAULTS = ('lost', 'reordered', 'duplicated', *CORRUPTED, 'late', 'stale', 'foreign', 'leaked')


def port_stats(testpmd):
    """The counters of `show port stats`; and 'at', when they were read by this host's clock.

    The rates in there go by a guest's clock, which was seen to be wrong by a factor of 3.
    """
    begun = time.monotonic()
    text = testpmd.command('show port stats 0')
    found = dict(re.findall(r'([RT]X-\w+):\s+(\d+)', text))
    lab.check('RX-packets' in found and 'TX-packets' in found,
              'no statistics in what testpmd printed:\n' + text)
    return {**{name: int(value) for name, value in found.items()},
            'at': (begun + time.monotonic()) / 2}


def port_drops(testpmd):
    """Frames that this end has counted as ended on the way."""
    text = testpmd.command('show port xstats 0')
    found = dict(re.findall(r'^([a-z]\w+): (\d+)\s*$', text, re.M))
    missing = [name for name in DROPS if name not in found]
    lab.check(not missing, f'no {missing} in what testpmd printed:\n' + text)
    return {name: int(found[name]) for name in DROPS}


class Wire:
    """Two ends; makes rows. minimum: the frames a row of the full demo rests on."""

    def __init__(self, console, pair, ends, frames, minimum):
        self.console, self.pair, self.ends = console, pair, ends
        self.frames, self.minimum = frames, minimum
        self.window = WINDOW if frames >= minimum else 1

    def run(self, keep):
        """Makes all rows; keep(row) gets each as it is done."""
        ways = [(sender, receiver, size) for size in SIZES
                for sender, receiver in (self.ends, self.ends[::-1])]
        verdicts = [self.judge(*way) for way in ways]
        testpmds = {}
        for end in self.ends:
            testpmds[end] = end.testpmd()
        for end in self.ends:
            self.console.step(f'starting testpmd in {end.name}')
            testpmds[end].wait_prompt()
            self.until(lambda end=end: 'link up' in testpmds[end].text(), 'link up', STALL)
            line = re.search(PORT_LINE, testpmds[end].text())
            self.console.say(f'{end.name}: {line.group(1) if line else "link up"}')
            # the link is watched by its state from now on: no message in mid-answer
            testpmds[end].command('set log pmd.net.ivshmem 5')
        for way, verdict in zip(ways, verdicts):
            timed = self.measure(testpmds, *way)
            keep(self.row(way, verdict, timed))
        for end in self.ends:
            self.console.step(f'ending testpmd in {end.name}')
            testpmds[end].quit()

    def until(self, ready, what, seconds):
        """Bounded wait that does not hurry: the CPUs have better things to do."""
        end = time.monotonic() + seconds
        while not ready():
            lab.check(time.monotonic() < end, f'{self.pair}: no {what} within {seconds} s')
            time.sleep(0.05)

    # -- content and order

    def judge(self, sender, receiver, size):
        """gen -> sink; returns the sink's counters, what gen sent, and what either complains of."""
        what = f'{sender.name} -> {receiver.name}, {size} B'
        self.console.step(f'judging {what}')
        runs = [receiver.traffic('sink', size, self.frames)]
        try:
            runs.append(sender.traffic('gen', size, self.frames))
            self.console.step(f'judging {what}',
                              lambda: f'{runs[0].received()} of {self.frames} frames')
            self.until(lambda: self._all_ended(runs), f'end of ivshmem-traffic ({what})',
                       JUDGE_WAIT)
        finally:
            for run in runs:
                run.end()
        (_, got), (_, sent) = (run.finish() for run in runs)
        self.console.say(f'judged {what}: {got["totals"]["received"]} of '
                         f'{sent["totals"]["sent"]} frames, '
                         + ', '.join(f'{name} {got["totals"][name]}' for name in FAULTS[:4]))
        if got['first_bad'] is not None:
            self.console.say(f'first bad frame: {got["first_bad"]}')
        return {**got['totals'], 'sent': sent['totals']['sent'],
                'errors': [x['error'] for x in (sent, got) if x['error']]}

    @staticmethod
    def _all_ended(runs):
        """Also raises what one of them has to say that ended before it began."""
        for run in runs:
            if run.ended():
                run.finish()
        return all(run.ended() for run in runs)

    # -- throughput

    def measure(self, testpmds, sender, receiver, size):
        """txonly -> rxonly; the sender stops first and the receiver empties the ring."""
        what = f'{sender.name} -> {receiver.name}, {size} B'
        self.console.step(f'timing {what}')
        tx, rx = testpmds[sender], testpmds[receiver]
        orders = {rx: ('set fwd rxonly',), tx: ('set fwd txonly', f'set txpkts {size}')}
        for end, testpmd in ((receiver, rx), (sender, tx)):
            self.console.command('; '.join((*orders[testpmd], 'start')), f'{end.name} testpmd>')
            for line in (*orders[testpmd], 'clear port stats all'):
                testpmd.command(line)
        before = [port_drops(testpmd) for testpmd in (tx, rx)]
        rx.command('start')
        tx.command('start')
        self.progress(rx, 'RX-packets', 1, receiver.poll, what)
        first = port_stats(rx)
        self.progress(tx, 'TX-packets', self.frames, sender.poll, what, first['at'] + self.window)
        last = port_stats(rx)
        tx.command('stop')
        sent = port_stats(tx)['TX-packets']
        try:
            self.progress(rx, 'RX-packets', sent, receiver.poll, what)
        except lab.Failure:
            pass                        # lost: the row will say so
        rx.command('stop')
        got = port_stats(rx)
        after = [port_drops(testpmd) for testpmd in (tx, rx)]
        drops = {name: sum(now[name] - then[name] for then, now in zip(before, after))
                 for name in DROPS}
        seconds = last['at'] - first['at']
        mpps = (last['RX-packets'] - first['RX-packets']) / seconds / 1e6
        self.console.say(f'timed {what}: {sent} sent, {got["RX-packets"]} received, '
                         f'{mpps:.3f} Mpps')
        return {'sent': sent, 'received': got['RX-packets'], 'bytes': got['RX-bytes'],
                'drops': {name: count for name, count in drops.items() if count},
                'seconds': seconds, 'mpps': mpps,
                'gbps': (last['RX-bytes'] - first['RX-bytes']) * 8 / seconds / 1e9}

    def progress(self, testpmd, name, enough, pause, what, not_before=0.0):
        """Waits until the counter has enough; Failure when it stands still for STALL seconds."""
        seen, since = -1, time.monotonic()
        self.console.step(f'timing {what}', lambda: f'{name} {seen}, at least {enough} wanted')
        while True:
            now, value = time.monotonic(), port_stats(testpmd)[name]
            if value >= enough and now >= not_before:
                return
            if value != seen:
                seen, since = value, now
            lab.check(now - since < STALL, f'{what}: {name} {seen}, at least {enough} wanted, and '
                      f'no change for {STALL} s')
            time.sleep(pause)

    def row(self, way, verdict, timed):
        """One row of the table; ok only if nothing at all is amiss."""
        sender, receiver, size = way
        dropped = sum(timed['drops'].values())
        lost = timed['sent'] - timed['received'] - dropped
        problems = [f'ivshmem-traffic: {name} {verdict[name]}' for name in FAULTS if verdict[name]]
        problems += [f'ivshmem-traffic: {error}' for error in verdict['errors']]
        problems += [f'testpmd: {name} {count}' for name, count in timed['drops'].items()]
        if lost != 0:
            problems.append(f'testpmd: {timed["sent"]} sent, {timed["received"]} received')
        if timed['bytes'] != timed['received'] * size:
            problems.append(f'testpmd: {timed["bytes"]} bytes received, not {size} a frame')
        if verdict['sent'] != verdict['received'] + verdict['lost'] or not verdict['received']:
            problems.append(f'ivshmem-traffic: {verdict["sent"]} sent, '
                            f'{verdict["received"]} received')
        return {
            'pair': self.pair, 'from': sender.name, 'to': receiver.name, 'size': size,
            'sent': timed['sent'], 'received': timed['received'], 'dropped': dropped,
            'judged': verdict['received'], 'lost': lost + verdict['lost'],
            'corrupted': sum(verdict[name] for name in CORRUPTED),
            'reordered': verdict['reordered'], 'mpps': timed['mpps'], 'gbps': timed['gbps'],
            'short': min(timed['received'], verdict['received']) < self.minimum,
            'ok': not problems, 'problems': problems,
            'testpmd': timed, 'traffic': verdict,
        }
