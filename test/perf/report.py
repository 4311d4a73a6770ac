# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What a run says: medians and quartiles, ratios per pair and by distance, JSON."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

import contestants
import lab
import slices
import targets
import works

BINS = ('all', 'near', 'far', 'moved')
SEEN = 10       # pairs; a bin with fewer is not seen, except 'all'


def machine():
    """Where it was measured."""
    model = [line.partition(':')[2].strip() for line in
             Path('/proc/cpuinfo').read_text().splitlines() if line.startswith('model name')]
    dpdk = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', 'dpdk'],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    commit = subprocess.run(['git', '-c', 'safe.directory=*', 'describe', '--always', '--dirty'],
                            cwd=lab.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True).stdout.strip()
    return {'cpu': model[0] if model else platform.machine(), 'cpus': os.cpu_count(),
            'kernel': platform.release(), 'dpdk': dpdk, 'commit': commit,
            'time': time.strftime('%Y-%m-%dT%H:%M:%S%z')}


def binned(values):
    """[(distance, value)] -> {bin: {'count': n, 'quartiles': [...]}}"""
    return {name: {'count': len(chosen), 'quartiles': slices.quartiles(chosen)}
            for name in BINS
            for chosen in [[value for where, value in values if name in ('all', where)]]}


def rates(rounds, text, key='mpps'):
    """Of a contestant, its undisturbed slices."""
    taken = [found['slices'][text] for found in rounds if text in found['slices']]
    return binned([(slices.distance(one), one[key]) for one in taken if not one['disturbed']])


def ratios(rounds, subject, other, key='mpps'):
    """Of two contestants, pair by pair: subject / other."""
    values = []
    for found in rounds:
        pair = [found['slices'].get(text) for text in (subject, other)]
        if all(pair) and not any(one['disturbed'] for one in pair):
            values.append((slices.distance(*pair), pair[0][key] / pair[1][key]))
    return binned(values)


def summary(tallies):
    """Results per work, for the table and the JSON file."""
    results = []
    for tally in tallies:
        key = works.unit(tally.work)
        texts = [text for text in tally.work.need
                 if any(text in found['slices'] for found in tally.rounds)]
        subjects = [text for text in texts if text in tally.subjects]
        results.append({
            'work': tally.work.name, 'kind': tally.work.kind, 'size': tally.work.size,
            'burst': tally.work.burst, 'queues': tally.work.setup.queues, 'unit': key,
            'rounds': len(tally.rounds),
            'rates': {text: rates(tally.rounds, text, key) for text in texts},
            'ratios': [[subject, other, ratios(tally.rounds, subject, other, key)]
                       for subject in subjects for other in texts if other != subject],
        })
    return results


def verdict(subject, other, work, bins):
    """[(target, bin, met)] of a ratio that has one; met is None where a bin is not seen."""
    goals = targets.of(contestants.name_of(subject), contestants.name_of(other), work)
    return [(goal, where, targets.is_met(work, goal, bins[where]['quartiles'][1])
             if bins[where]['count'] >= SEEN else None) for where, goal in goals.items()]


WORD = {True: 'reached', False: 'MISSED', None: 'not seen'}


def table(results):
    """The closing tables as text."""
    text = []
    for result in results:
        text += ['', f'{result["work"]}, {result["rounds"]} rounds'
                 f'{"":28}        q1  median      q3   n']
        for name, bins in result['rates'].items():
            where = bins['all']
            if where['count']:
                text.append(_line(name, result['unit'], 'all', where))
        for subject, other, bins in result['ratios']:
            goals = {where: (goal, met) for goal, where, met in
                     verdict(subject, other, result['work'], bins)}
            for where in BINS:
                note = f'target {goals[where][0]}: {WORD[goals[where][1]]}' \
                    if where in goals else ''
                if where == 'all' or bins[where]['count'] >= SEEN or note:
                    text.append(_line(f'{subject} / {other}', 'x', where, bins[where], note))
    return '\n'.join(text)


def _line(label, unit, where, found, note=''):
    label = label if len(label) <= 52 else '..' + label[-50:]
    digits = 0 if unit.endswith('ns') else 2
    numbers = ' '.join(f'{value:7.{digits}f}' for value in found['quartiles']) if found['count'] \
        else f'{"-":>7} {"-":>7} {"-":>7}'
    return f'  {label:52} {unit:6} {where:5}{numbers}  {found["count"]:4}  {note}'.rstrip()


def refused(run):
    """{set-up: {contestant: reason}} as lines."""
    return [f'not run: {text} (queues {setup.queues}{", big buffers" if setup.big else ""}): '
            f'{reason}' for (setup, text), reason in run.out.items()]


def document(run, results, **more):
    """All of it, the raw slices included."""
    return {
        'format': 2, 'machine': machine(), 'rule': slices.RULE, 'seconds': run.seconds,
        'rounds_per_generation': run.per_generation, 'cpus': run.cpus,
        'near_below_ns': slices.LINE_NEAR, 'build': str(lab.BUILD), 'results': results,
        'not_run': refused(run),
        'raw': {tally.work.name: tally.rounds for tally in run.tallies}, **more,
    }


def rounded(found):
    """The same with five digits: what a slice's numbers are worth."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [rounded(value) for value in found]
    return float(f'{found:.5g}') if isinstance(found, float) else found


def write(path, document):
    """JSON, a round a line."""
    text = json.dumps(rounded(document), separators=(',', ':'))
    for key in ('{"generation"', '"raw"', '"search"', '"results"', '{"work"'):
        text = text.replace(key, '\n' + key)
    Path(path).write_text(text + '\n', encoding='utf-8')
