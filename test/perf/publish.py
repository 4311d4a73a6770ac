# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Tables and plots for doc/perf.rst, out of the JSON files of one or more runs.

Several runs stand beside each other: a target is reached when each of them reaches it.
"""

import json
import statistics
from pathlib import Path

import contestants
import idle
import instructions
import plots
import report
import wake

HEADER = '''..  SPDX-License-Identifier: BSD-3-Clause
    Copyright(c) 2026 The net_ivshmem authors

..  Made by ./test/bench --publish; changes by hand get lost.

'''
EMPTY = 'Nothing has been measured yet.\n'


def compares(document):
    """Whether it compares contestants, which a sweep of one does not."""
    return bool(document.get('results')) and not plots.sweep_of(document)


def load(paths):
    """The documents as they are numbered: what compares first, most works first, then by time."""
    found = [json.loads(Path(path).read_text(encoding='utf-8')) for path in paths]
    return sorted(found, key=lambda document: (
        not compares(document), -len(document.get('results', ())), document['machine']['time']))


def compared_of(documents):
    return [one for one in documents if compares(one)]


def drawn_of(compared):
    """The last of those with the most works."""
    return [one for one in compared if len(one['results']) == len(compared[0]['results'])][-1]


def rst_table(title, head, rows, widths=None):
    """A list-table; cells are texts."""
    text = [f'.. list-table:: {title}', '   :header-rows: 1']
    if widths:
        text.append('   :widths: ' + ' '.join(map(str, widths)))
    for row in [head, *rows]:
        text += [''] * (row is head)
        for index, cell in enumerate(row):
            text.append((('   * - ' if index == 0 else '     - ') + str(cell)).rstrip())
    return '\n'.join(text) + '\n'


def short(name):
    """A contestant as it stands in a table: ring sizes vary from work to work."""
    return contestants.name_of(name)


def quartile_text(found, digits=2):
    if not found['count']:
        return '-'
    low, middle, high = found['quartiles']
    return f'{middle:.{digits}f} ({low:.{digits}f}..{high:.{digits}f}), {found["count"]}'


def machines(documents):
    rows = [[str(number), one['machine']['time'], f'{one["machine"]["cpus"]} x '
             + one['machine']['cpu'], one['machine']['kernel'],
             one['machine'].get('dpdk', '-'), one['machine'].get('commit', '-')]
            for number, one in enumerate(documents, 1)]
    return rst_table('The runs', ['Run', 'Time', 'CPUs', 'Kernel', 'DPDK', 'Commit'], rows)


def works_of(documents, unit):
    """{work: [its result in each run, or None]}"""
    names = dict.fromkeys(result['work'] for one in documents for result in one.get('results', [])
                          if result['unit'] == unit)
    return {name: [next((result for result in one.get('results', [])
                         if result['work'] == name), None) for one in documents]
            for name in names}


def rates(documents):
    """Medians of all slices, by work and contestant; runs separated by slashes."""
    found = works_of(documents, 'mpps')
    texts = list(dict.fromkeys(short(text) for results in found.values() for result in results
                               if result for text in result['rates']))
    rows = []
    for work, results in found.items():
        row = [f'``{work}``']
        for name in texts:
            cells = []
            for result in results:
                bins = next((bins for text, bins in (result or {'rates': {}})['rates'].items()
                             if short(text) == name), None)
                cells.append(f'{bins["all"]["quartiles"][1]:.2f}'
                             if bins and bins['all']['count'] else '-')
            row.append(' / '.join(cells))
        rows.append(row)
    return rst_table('Millions of packets a second, medians of all slices', ['Work', *texts], rows)


def pair_rows(work, results):
    """Rows of the ratios of one work: each subject over each other, by distance."""
    pairs = dict.fromkeys((short(subject), short(other)) for result in results if result
                          for subject, other, _ in result['ratios'])
    for subject, other in pairs:
        for where in report.BINS[:3]:
            cells, met, goal = [], [], None
            for result in results:
                found = next(((one, two, bins) for one, two, bins in
                              (result or {'ratios': []})['ratios']
                              if (short(one), short(two)) == (subject, other)), None)
                if not found:
                    cells.append('-')
                    continue
                enough = where == 'all' or found[2][where]['count'] >= report.SEEN
                cells.append(quartile_text(found[2][where]) if enough else 'not seen')
                for target, at, good in report.verdict(*found[:2], work, found[2]):
                    if at == where:
                        goal = target
                        met.append(good)
            if goal is None and where != 'all':
                continue
            yield [f'``{work}``', f'{subject} / {other}', where, *cells,
                   '' if goal is None else f'{goal}: {summary(met)}']


def summary(met):
    """Of the verdicts of all runs: one miss misses."""
    if False in met:
        return 'missed'
    return 'reached' if True in met else 'not seen'


def ratios(documents, unit, title):
    rows = [row for work, results in works_of(documents, unit).items()
            for row in pair_rows(work, results)]
    head = ['Work', 'Of', 'CPUs', *(f'Run {number}' for number in range(1, len(documents) + 1)),
            'Target']
    return rst_table(title, head, rows) if rows else ''


def round_trips(documents):
    """Medians over slices of p50, p99 and p99.9."""
    rows = []
    for number, one in enumerate(documents, 1):
        for work, rounds in one.get('raw', {}).items():
            if not work.startswith('rtt'):
                continue
            texts = dict.fromkeys(text for found in rounds for text in found['slices'])
            for text in texts:
                taken = [found['slices'][text] for found in rounds if text in found['slices']]
                rows.append([str(number), f'``{work}``', short(text), *(
                    f'{statistics.median(found[key] for found in taken):.0f}'
                    for key in ('p50_ns', 'p99_ns', 'p99_9_ns')), str(len(taken))])
    return rst_table('Round trips in ns, medians of slices',
                     ['Run', 'Work', 'Contestant', 'p50', 'p99', 'p99.9', 'Slices'],
                     rows) if rows else ''


def idle_ports(one):
    rounds = [{int(ports): found for ports, found in taken.items()} for taken in one['idle']]
    rows = [[str(ports), *(f'{statistics.median(found[ports][kind] for found in rounds):.1f}'
                           for kind in idle.KINDS)] for ports in idle.PORTS]
    cost = [idle.cost(rounds, kind)[1] for kind in idle.KINDS]
    return rst_table('Nanoseconds of an Rx burst of the busy pair, by ports in the region',
                     ['Ports', '32 frames', 'none'], rows) + (
        f'\nAn idle port more costs {cost[0]:.1f} ns in a burst of 32 frames and {cost[1]:.1f} ns '
        f'in an empty one; the limit is {idle.LIMIT} ns.\n')


def instruction_table(one):
    measured = {(name, case, side): value for name, case, side, value in one['instructions']}
    rows = []
    for name, case in dict.fromkeys(key[:2] for key in measured):
        each = [measured[name, case, side] for side in instructions.SIDES]
        memif = [measured.get(('memif', case, side), 0) for side in instructions.SIDES]
        rows.append([name, f'``{case}``', *(f'{value:.1f}' for value in [*each, sum(each)]),
                     f'{sum(each) / sum(memif):.2f}' if sum(memif) else '-'])
    return rst_table('Instructions per packet',
                     ['Contestant', 'Work', 'Rx', 'Tx', 'Sum', 'Of memif\'s'], rows)


def wake_text(one):
    low, middle, high = wake.ratio(one['wake'])
    return (f'A round trip with both sides asleep takes {middle:.2f} times ({low:.2f} to '
            f'{high:.2f}, {len(one["wake"])} pairs) as long as the bare one; '
            f'the limit is {wake.LIMIT}.\n')


def tables(documents):
    """The text of the include file."""
    if not documents:
        return HEADER + EMPTY
    compared = compared_of(documents)
    parts = [machines(documents)]
    if compared:
        parts += [rates(compared), ratios(compared, 'mpps', 'Ratios of rates: median (quartiles), '
                                          'pairs'), round_trips(compared),
                  ratios(compared, 'p50_ns', 'Ratios of round trips, p50: median (quartiles), '
                         'pairs; less is better')]
        missing = dict.fromkeys(line for one in compared for line in one['not_run'])
        parts += ['Not run:\n\n' + ''.join(f'- ``{line}``\n' for line in missing)] * bool(missing)
        parts += [f'.. figure:: perf/{name}\n   :alt: {title}\n\n   {title}\n'
                  for name, title in plots.FIGURES.items()
                  if plots.rows_of(name, drawn_of(compared))]
    for one in documents:
        if plots.sweep_of(one):
            parts.append(f'.. figure:: perf/{plots.sweep_name(one)}\n   :alt: '
                         f'{plots.sweep_of(one)}N\n\n   ``{plots.sweep_of(one)}N``: medians and '
                         'quartiles, each line in parts of its best\n')
    for key, made in (('idle', idle_ports), ('instructions', instruction_table),
                      ('wake', wake_text), ('vm', None)):
        for one in [one for one in documents if one.get(key)][-1:]:
            parts += [made(one)] if made else [vm_table(one['vm'])]
    return HEADER + '\n'.join(part for part in parts if part)


def vm_table(found):
    rows = [[name, *(f'{value:.3f}' for value in report.slices.quartiles(values)),
             str(len(values))] for name, values in found['mpps'].items()]
    return rst_table('Between two guests under emulation, millions of packets a second of '
                     f'{found["size"]} B', ['Contestant', 'q1', 'Median', 'q3', 'Slices'], rows)


def publish(paths, directory):
    """Writes tables.inc and the plots; returns the files."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    documents = load(paths)
    made = directory / 'tables.inc'
    made.write_text(tables(documents), encoding='utf-8')
    compared = compared_of(documents)
    return [made, *(plots.draw(drawn_of(compared), directory) if compared else []),
            *(plots.draw_sweep(one, directory) for one in documents if plots.sweep_of(one))]
