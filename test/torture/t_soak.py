#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Mixed traffic for a long time, while ports restart, change their queues and flap their links.

  a --- zero-copy wire --- b        a --- b --- c, buffers passed on        a --- both sleep --- b

All at once. No process is killed: what was sent was received, or was counted by the end that lived
on; in the chain, whose ports may drop, that holds between two changes. Memory stays as it was.
"""

import time

import lab
import torture

SECONDS = 1800 if lab.LONG else 15
WARM = 60 if lab.LONG else 5
RSS_KIB = 1024      # more than that is growth
FRAMES = 200        # that pass between two changes


class Soaked:
    """A group, and what the ends counted before their queues were made anew."""

    def __init__(self, group, exact):
        self.group, self.exact = group, exact
        self.lost = 0
        self.changes = {'restart': 0, 'requeue': 0, 'flap': 0}

    def change(self, chance):
        group = self.group
        who = chance.choice(list(group.nodes))
        node = group.nodes[who]
        what = chance.choice(list(self.changes))
        if what == 'restart':
            node.do('restart')
        elif what == 'flap':
            node.do('flap down')
            time.sleep(chance.uniform(0, 0.3))
            node.do('flap up')
        else:
            # as many queues, so that each leads where it led; what is out is settled by itself
            self.lost += node.do(f'requeue 1 {chance.choice((256, 512, 1024))}')['forgotten']
        self.changes[what] += 1
        group.passes(FRAMES, f'{what} of {who}')

    def memory(self):
        """{port: [KiB resident, blocks of EAL's heap, open files]}"""
        return {who: [lab.rss_kib(node.pid), node.do('memory')['blocks'], lab.fd_count(node.pid)]
                for who, node in self.group.nodes.items()}

    def judge(self):
        group = self.group
        group.check('the soak')
        states = group.states()
        if self.exact:
            sent = sum(states[source]['sent'] for _, source in group.judges())
            good = sum(states[judge]['good'] for judge, _ in group.judges())
            counted = self.lost + sum(map(torture.lost, group.xstats().values()))
            lab.check(sent == good + counted, f'{group.name}: {sent} frames sent, {good} received, '
                      f'{counted} counted as lost')
            print(f'{group.name}: {sent} frames sent, {good} received, {counted} counted as lost '
                  f'in {self.changes}', flush=True)
        else:
            lab.check(all(state['bad'] == 0 for state in states.values()), f'{states}')
            print(f'{group.name}: {states["a"]["sent"]} frames sent, {self.changes}', flush=True)


def soak():
    chance = torture.seeded('soak')
    all_of_them = [Soaked(torture.zero_copy('soak-wire'), True),
                   Soaked(torture.forwarding('soak-chain'), False),
                   Soaked(torture.ping_pong('soak-sleep'), True)]
    for soaked in all_of_them:
        soaked.group.start_all()
        soaked.group.resume()
    begun = told = time.monotonic()
    before = None
    while time.monotonic() - begun < SECONDS:
        chance.choice(all_of_them).change(chance)
        if before is None and time.monotonic() - begun > WARM:
            before = [soaked.memory() for soaked in all_of_them]
        if time.monotonic() - told > 60:
            told = time.monotonic()
            torture.progress(f'soak: {told - begun:.0f} of {SECONDS} s, '
                             f'{[soaked.changes for soaked in all_of_them]}')
    after = [soaked.memory() for soaked in all_of_them]
    for soaked, was, now in zip(all_of_them, before, after):
        print(f'{soaked.group.name}: KiB resident, heap blocks and files after {WARM} s {was}, at '
              f'the end {now}', flush=True)
        for who in now:
            lab.check(now[who][0] - was[who][0] <= RSS_KIB and now[who][1:] == was[who][1:],
                      f'{soaked.group.name}: {who} grew from {was[who]} to {now[who]}')
        soaked.judge()
        soaked.group.end()


lab.main(soak)
