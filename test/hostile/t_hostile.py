#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A hostile peer at work, and what it can not do to the others.

  segment   victim: port 0, and ports 1 and 2 that talk to each other --- region --- attacker: 3
  wire      victim: port 0                                            --- region --- attacker: 1

victim.c checks every frame, mbuf and count that it gets, between guards, with AddressSanitizer and
UBSan in the driver. The attacker (kinds.c, cells.c) writes to its own section only, or everywhere;
in the first case ports 1 and 2 lose no frame to it. After it, a fresh honest peer takes its place.
"""

import re

import lab
from bench import HERE, KINDS, Bench, build

MODES = {'copy': ''}                    # devargs of the victim's ports
WRITES = 75_000_000 if lab.LONG else 4_000_000      # hostile stores of a row, at least
CELL = 1000                             # of each field and value while packets pass
SECONDS = 600 if lab.LONG else 60       # bound of a row
# What the driver has to have refused when every field had every value.
REFUSED = ['rx_bad_flags', 'rx_bad_section', 'rx_bad_buffer', 'rx_bad_length', 'rx_bad_index',
           'rx_bad_ring', 'tx_bad_index']
EVERYWHERE = ['random', 'fields', 'claim']

total = {'writes': 0, 'control': 0}


def judge(row, found, table):
    """The attack was one: enough stores, most of them to control words, while packets passed."""
    print(f'{row}: {found["writes"]:,} stores, {found["control"]:,} to control words; meanwhile '
          f'{found["victim_packets"]:,} packets of the victim', flush=True)
    print(table, end='')
    lab.check(found['victim_packets'] > 0, 'no packet of the victim passed')
    for key in total:
        total[key] += found[key]


def attack(shape, kind, scope, mode, seed):
    """One row: attack, look, repair, serve somebody honest."""
    row = f'{shape}-{kind}-{scope}-{mode}'
    bench = Bench(row, shape, scope, MODES[mode])
    bench.victim.moves('sent0' if shape == 'segment' else 'turns')
    pair_is_judged = shape == 'segment' and scope == 'own'
    if not pair_is_judged:
        bench.victim.do('judge 0')
    judge(row, *bench.attack(kind, scope, seed, WRITES, CELL if kind == 'fields' else 0, SECONDS))
    if pair_is_judged:
        for port in (1, 2):
            bench.victim.moves(f'honest{port}')
        counted = [bench.victim.do(f'xstats {port}') for port in range(3)]
        missing = [name for name in REFUSED if not any(c.get(name) for c in counted)]
        lab.check(not missing or kind != 'fields', f'never counted: {missing}\n{counted}')
    bench.repair()
    if scope == 'all':
        bench.victim.do('restart', seconds=60)
        bench.victim.do('judge 1')
    bench.serve_honest_peer()
    if shape == 'segment':
        for port in (1, 2):
            bench.victim.moves(f'honest{port}')
    bench.end()


def attack_all(shape, scope, kinds):
    for mode in MODES:
        for seed, kind in enumerate(kinds):
            attack(shape, kind, scope, mode, seed)


def segment():
    """From its own section, with ports beside that want nothing of it."""
    attack_all('segment', 'own', KINDS)


def wire():
    """From its own section, where there is nobody else."""
    attack_all('wire', 'own', [kind for kind in KINDS if kind != 'fields'])


def everywhere():
    """In the whole region: it can stop any traffic, and nothing else."""
    attack_all('segment', 'all', EVERYWHERE)


def control_words():
    """At least half of all stores hit control words; in the long form there are 10^9 of them."""
    print(f'{total["writes"]:,} hostile stores, {total["control"]:,} to control words')
    lab.check(total['control'] * 2 >= total['writes'] > 0, 'most stores hit no control word')
    lab.check(not lab.LONG or total['writes'] >= 10 ** 9, 'less than 10^9 stores')


def unchecked():
    """Without the check of a descriptor's length the victim dies: what is above would notice."""
    for kind in ('fields', 'rewrite'):
        bench = Bench(f'unchecked-{kind}', 'segment', program=HERE / 'ivshmem-victim-unchecked')
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
        lab.check('ivshmem_rx' in text, f'it ended elsewhere\n{bench.victim.tail(60)}')
        print(f'{kind}: caught by {found.group(0)[:100]}')


build()
lab.main(segment, wire, everywhere, control_words, unchecked)
