# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What a run says: medians and quartiles, ratios per pair and by distance, JSON."""

import os
import platform
import time
from pathlib import Path

import lab
import pmd
import slices

WHERE = ('all', 'near', 'far', 'moved')


def machine():
    """Where it was measured."""
    model = [line.partition(':')[2].strip() for line in
             Path('/proc/cpuinfo').read_text().splitlines() if line.startswith('model name')]
    return {'cpu': model[0] if model else platform.machine(), 'cpus': os.cpu_count(),
            'kernel': platform.release(), 'time': time.strftime('%Y-%m-%dT%H:%M:%S%z')}


def _binned(values):
    """[(distance, value)] -> {bin: {'count': n, 'quartiles': [...]}}"""
    return {name: {'count': len(chosen), 'quartiles': slices.quartiles(chosen)}
            for name in WHERE
            for chosen in [[value for where, value in values if name in ('all', where)]]}


def _rates(rounds, index):
    taken = [found['slices'][index] for found in rounds]
    return _binned([(slices.distance(one), one['mpps']) for one in taken])


def _ratios(rounds, index):
    """Of the first contestant over another, slice by slice."""
    values = []
    for found in rounds:
        first, other = found['slices'][0], found['slices'][index]
        values.append((slices.distance(first, other), first['mpps'] / other['mpps']))
    return _binned(values)


def summary(run):
    """Results per size, for the table and the JSON file."""
    results = []
    for size in run.plan.sizes:
        rounds = run.rounds[size]
        results.append({
            'size': size, 'pairs': len(rounds), 'dropped': len(run.dropped[size]),
            'mpps': [[text, _rates(rounds, index)]
                     for index, text in enumerate(run.plan.contestants)],
            'ratios': [[text, _ratios(rounds, index)]
                       for index, text in enumerate(run.plan.contestants) if index > 0],
        })
    return results


def table(run, results, target):
    """The closing table as text. target: the ratio that is hoped for."""
    plan = run.plan
    text = [f'One way, testpmd txonly -> rxonly, {plan.queues} queue(s), burst 32, 16384 mbufs '
            f'and {pmd.MEMORY} MiB of hugepages a process,',
            f'SCHED_FIFO, CPUs {plan.cpus[0]} and {plan.cpus[1]}, slices of {plan.seconds} s, '
            f'new processes every {plan.rounds} rounds.', slices.RULE,
            f'near: every line round trip around the slices was below {slices.LINE_NEAR} ns, '
            'far: none was, moved: some were.']
    for result in results:
        text += ['', f'{result["size"]} B, {result["pairs"]} pairs, {result["dropped"]} dropped'
                 f'{"":28} q1  median      q3']
        for name, bins in result['mpps']:
            text += [_line(name, 'Mpps', where, found,
                           f'{found["quartiles"][1] * result["size"] * 8 / 1000:.1f} Gbit/s')
                     for where, found in bins.items() if found['count']]
        for name, bins in result['ratios']:
            text += [_line(f'{plan.contestants[0]} / {name}', 'x', where, found,
                           _verdict(found, target))
                     for where, found in bins.items() if found['count']]
    return '\n'.join(text)


def _line(label, unit, where, found, note):
    label = label if len(label) <= 40 else '..' + label[-38:]
    return f'  {label:40} {unit:4} {where:5}' + \
        ' '.join(f'{value:7.2f}' for value in found['quartiles']) + \
        f'  {found["count"]:4}  {note if where == "all" else ""}'.rstrip()


def _verdict(found, target):
    return f'{"reaches" if found["quartiles"][1] >= target else "misses"} {target}'


def document(run, results):
    """All of it, the raw slices included."""
    plan = run.plan
    return {
        'format': 1, 'machine': machine(), 'rule': slices.RULE,
        'contestants': plan.contestants, 'queues': plan.queues, 'seconds': plan.seconds,
        'rounds_per_generation': plan.rounds, 'cpus': plan.cpus, 'near_below_ns': slices.LINE_NEAR,
        'build': str(lab.BUILD), 'results': results,
        'raw': {str(size): {'kept': run.rounds[size], 'dropped': run.dropped[size]}
                for size in plan.sizes},
    }
