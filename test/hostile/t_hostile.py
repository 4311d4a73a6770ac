#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A hostile peer at work, and what it can not do to the others.

  segment   victim: port 0, and ports 1 and 2 that talk to each other --- region --- attacker: 3
            (segment_lent: with zero_copy=1, and mbufs that lie in the own section)
  wire      victim: port 0                                            --- region --- attacker: 1

victim.c checks every frame, mbuf and count that it gets, between guards, with AddressSanitizer and
UBSan in the driver. The attacker (kinds.c, cells.c) writes to its own section only, or everywhere;
in the first case ports 1 and 2 lose no frame to it. After it, a fresh honest peer takes its place.
"""

import re

import lab
from bench import HERE, KINDS, Bench, build, hugepages

# devargs of the victim's ports; with a pool of their own they lend what they send first, too, in
# so many pieces that a ring may be full without anybody's fault
MODES = {'copy': '', 'zero-copy': 'zero_copy=1', 'tx-pool': 'zero_copy=1,tx_pool=256,full=wait'}
# Hostile stores of a row, at least; fewer where each costs some frames, or waits for them.
WRITES = 52_000_000 if lab.LONG else 1_500_000
SLOW = {'replay': 1_000_000 if lab.LONG else 150_000, 'fields': 8_000_000 if lab.LONG else 0}
CELL = 1000                             # of each field and value while packets pass
SECONDS = 900 if lab.LONG else 300      # bound of a row, which takes 10 s on a quiet machine
# What the driver has to have refused when every field had every value, or cookies were replayed.
# No index and no directory of a ring in the short form, nor with zero-copy: sessions are rare then
# (pmd:t_corrupt has each of them).
REFUSED = {'fields': ['rx_bad_flags', 'rx_bad_section', 'rx_bad_buffer', 'rx_bad_length',
                      'rx_bad_index', 'rx_bad_ring', 'tx_bad_index'],
           'replay': ['tx_bad_cookies']}
AGAIN = 6       # attacks, until what has to be refused was
EVERYWHERE = ['random', 'fields', 'claim']

total = {'writes': 0, 'control': 0}
BURST_US = 1000000  # no burst takes as long, whatever the attacker does
slowest = {}        # longest burst of each mode's victims, CPU time


def judge(row, found, table):
    """The attack was one: enough stores, most of them to control words, while packets passed."""
    print(f'{row}: {found["writes"]:,} stores, {found["control"]:,} to control words; meanwhile '
          f'{found["victim_packets"]:,} packets of the victim', flush=True)
    print(table, end='')
    lab.check(found['victim_packets'] > 0, 'no packet of the victim passed')
    for key in total:
        total[key] += found[key]


def was_lent(bench, mode):
    """With zero-copy buffers of the attacker's went up, on to others, and back; the traffic that
    shows it may take a moment more than the attack."""
    ports = range(bench.slot)
    needed = {'tx_passed': ports[1:2] if mode == 'tx-pool' else ports[1:]}  # port 2 has few
    if mode == 'tx-pool':
        needed['tx_from_pool'] = ports      # sent where they lay in the own section

    def missing():
        now = bench.victim.counts()
        never = [f'{key}{port}' for port in ports for key in ('lent', 'forwarded')
                 if not now[f'{key}{port}']]
        return never + [f'{name} of port {port}' for name, some in needed.items() for port in some
                        if not bench.victim.do(f'xstats {port}').get(name)]
    try:
        lab.wait_until(lambda: not missing(), 30, 'buffers to be lent and passed on')
    except lab.Failure:
        raise lab.Failure(f'never: {missing()}\n{bench.victim.counts()}')


def never_counted(bench, names):
    """Which refusals no port of the victim has counted."""
    counted = [bench.victim.do(f'xstats {port}') for port in range(3)]
    return [name for name in names if not any(found.get(name) for found in counted)]


def attack(shape, kind, scope, mode, seed, where='/dev/shm'):
    """One row: attack, look, repair, serve somebody honest; nothing has leaked then."""
    row = f'{shape}-{kind}-{scope}-{mode}'
    bench = Bench(row, shape, scope, MODES[mode], where)
    bench.victim.moves('sent0' if shape == 'segment' else 'turns')
    before = bench.victim.usage()
    pair_is_judged = shape == 'segment' and scope == 'own'
    if not pair_is_judged:
        bench.victim.do('judge 0')
    writes = SLOW.get(kind, WRITES)
    judge(row, *bench.attack(kind, scope, seed, writes, CELL if kind == 'fields' else 0, SECONDS))
    if pair_is_judged:
        for port in (1, 2):
            bench.victim.moves(f'honest{port}')
        refused = [name for name in REFUSED.get(kind, [])
                   if lab.LONG and mode == 'copy' or not name.endswith(('index', 'ring'))]
        for again in range(1, AGAIN):   # chance decides whether a session let it come that far
            if not never_counted(bench, refused):
                break
            bench.attack(kind, scope, seed + 100 * again, writes, 0, SECONDS)
        missing = never_counted(bench, refused)
        lab.check(not missing, f'never counted: {missing}\n{bench.victim.counts()}')
        if mode != 'copy':
            was_lent(bench, mode)
    slowest[mode] = max(slowest.get(mode, 0), bench.victim.counts()['burst_us'])
    bench.repair()
    # what was lent to the attacker does not come back: who does not start anew waits for 60 s
    if scope == 'all' or (mode != 'copy' and not lab.LONG):
        bench.victim.do('judge 0')
        bench.victim.do('restart', seconds=60)
    bench.serve_honest_peer()
    # until then the dead attacker may seem to say that ports are dead, which then start anew
    bench.victim.do('judge 1')
    if shape == 'segment':
        for port in (1, 2):
            bench.victim.moves(f'honest{port}')
    bench.victim.has_no_more(before)
    # nor is anything left of the ports that met the attacker when they are closed
    bench.victim.do('judge 0')
    bench.victim.do('restart', seconds=60)
    print(f'{row}: {before}, then {bench.victim.has_no_more(before)}', flush=True)
    bench.end()


def attack_all(shape, scope, kinds):
    """In each of the modes; in the short form in one after the other."""
    for seed, kind in enumerate(kinds):
        for mode in MODES if lab.LONG else [list(MODES)[seed % 2]]:
            attack(shape, kind, scope, mode, seed)


def segment():
    """From its own section, with ports beside that want nothing of it."""
    for seed, kind in enumerate(KINDS):
        attack('segment', kind, 'own', 'copy', seed)


def segment_lent():
    """The same with buffers lent up, passed on from port to port and given back."""
    short = {'zero-copy': ['fields', 'replay', 'flood'], 'tx-pool': ['rewrite', 'claim']}
    for mode, kinds in short.items():
        for seed, kind in enumerate(KINDS if lab.LONG else kinds):
            attack('segment', kind, 'own', mode, seed)


def wire():
    """From its own section, where there is nobody else."""
    attack_all('wire', 'own', [kind for kind in KINDS if kind != 'fields'])


def everywhere():
    """In the whole region: it can stop any traffic, and nothing else."""
    attack_all('segment', 'all', EVERYWHERE)


def in_hugepages():
    """A region that lies in hugepages; they are back afterwards."""
    with hugepages() as where:
        attack('segment', 'rewrite', 'own', 'zero-copy', 7, where)


def control_words():
    """At least half of all stores hit control words; in the long form there are 10^9 of them."""
    print(f'{total["writes"]:,} hostile stores, {total["control"]:,} to control words')
    print('longest burst, CPU time: ' + ', '.join(f'{mode} {us} us' for mode, us in
                                                  slowest.items()))
    lab.check(max(slowest.values()) < BURST_US, f'a burst took more than {BURST_US} us of CPU')
    lab.check(total['control'] * 2 >= total['writes'] > 0, 'most stores hit no control word')
    lab.check(not lab.LONG or total['writes'] >= 10 ** 9, 'less than 10^9 stores')


def unchecked():
    """Without the check of a descriptor's length the victim dies: what is above would notice."""
    for kind, mode in (('fields', 'copy'), ('rewrite', 'copy'), ('rewrite', 'zero-copy')):
        bench = Bench(f'unchecked-{kind}-{mode}', 'segment', devargs=MODES[mode],
                      program=HERE / 'ivshmem-victim-unchecked')
        bench.victim.moves('sent0')
        try:
            bench.attack(kind, 'own', 1, 100 * WRITES, 0, SECONDS)
        except lab.Failure:
            lab.check(not bench.victim.running(), 'the attacker failed, the victim did not')
        else:
            raise lab.Failure(f'{kind}: the victim survived without the check of a length')
        text = bench.victim.output()
        found = re.search(r'ERROR: AddressSanitizer: .*|^victim: .*', text, re.M)
        lab.check(found, f'it ended, but nobody says why\n{bench.victim.tail()}')
        lab.check(re.search(r'ivshmem_rx|^victim: \d+ bytes at \d+ in a room of', text, re.M),
                  f'it ended elsewhere\n{bench.victim.tail(60)}')
        print(f'{kind}, {mode}: caught by {found.group(0)[:100]}')


build()
lab.main(segment, segment_lent, wire, everywhere, in_hugepages, control_words, unchecked)
