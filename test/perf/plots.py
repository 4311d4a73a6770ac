# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Plots of a run, by gnuplot: rates of contestants by work, ratios by distance, and sweeps.

A sweep is a run of one contestant that differs only in the number at its end:
ivshmem,ring=256 ivshmem,ring=512 ...
"""

import re
import subprocess
import tempfile
from pathlib import Path

import contestants
import lab
import slices

FIGURES = {
    'oneway.svg': 'One way: medians and quartiles of all slices',
    'io.svg': 'Forwarding one fixed set of packets: medians and quartiles of all slices',
    'bursts.svg': 'One way, 64 B, by size of the bursts: medians and quartiles',
    'ratios.svg': 'net_ivshmem over net_memif, pair by pair, by the round trip of a line',
}
SHOWN = ('ivshmem', 'ivshmem-zc', 'memif', 'memif-zc', 'virtio', 'vhost')
SWEEP_TITLE = 'Medians and quartiles, by works and distance'
SWEPT = 4               # slices of a point of a sweep
COLOURS = ('#0b6e4f', '#54b948', '#b33f40', '#e59866', '#3d5a9c', '#86a6df')


def _is_shown(name, result):
    if name == 'bursts.svg':
        return result['kind'] == 'oneway' and result['size'] == 64 and result['queues'] == 1
    return result['kind'] == name.partition('.')[0] and result['burst'] == 32 and \
        result['queues'] == 1


def bars(name, document):
    """[(label, {contestant: quartiles})] of a figure of bars."""
    rows = []
    for result in document['results']:
        if result['unit'] == 'mpps' and _is_shown(name, result):
            found = {contestants.name_of(text): bins['all']['quartiles']
                     for text, bins in result['rates'].items() if bins['all']['count']}
            label = str(result['burst']) if name == 'bursts.svg' else f'{result["size"]} B'
            rows.append((label, found))
    if name == 'bursts.svg':
        rows.sort(key=lambda row: int(row[0]))
    return rows


def points(document):
    """{work: [(line round trip, ratio)]} of ivshmem over memif, of works with the usual bursts."""
    rows = {}
    for work, rounds in document['raw'].items():
        if work.count('-') != 1 or work.startswith('rtt'):
            continue
        for found in rounds:
            pair = {contestants.name_of(text): taken for text, taken in found['slices'].items()}
            pair = [pair.get(name) for name in ('ivshmem', 'memif')]
            if not all(pair) or any(taken['disturbed'] for taken in pair) or \
                    slices.distance(*pair) == 'moved':
                continue
            line = sum(taken['line_before'] + taken['line_after'] for taken in pair) / 4
            rows.setdefault(work, []).append((line, pair[0]['mpps'] / pair[1]['mpps']))
    return rows


def _swept(text):
    """('ivshmem,ring=', 512) of 'ivshmem,ring=512'."""
    match = re.fullmatch(r'(.*?)(\d+)', text)
    return (match[1], int(match[2])) if match else (text, None)


def sweep_of(document):
    """What is swept, such as 'ivshmem,ring='; None when the run is no sweep."""
    results = document.get('results', ())
    texts = dict.fromkeys(text for result in results for text in result['rates'])
    stems = {_swept(text)[0] for text in texts}
    return stems.pop() if len(texts) >= 2 and len(stems) == 1 else None


def sweep_name(document):
    """The figure's file: 'sweep-ring.svg'."""
    return f'sweep-{re.findall(r"[a-z]+", sweep_of(document))[-1]}.svg'


def sweep_rows(document):
    """{work and distance: [(number, quartiles)]} of bins that are large enough."""
    rows = {}
    for result in document['results']:
        for text, bins in result['rates'].items():
            for where in ('near', 'far'):
                if bins[where]['count'] >= SWEPT:
                    rows.setdefault(f'{result["work"]} {where}', []).append(
                        (_swept(text)[1], bins[where]['quartiles']))
    return {label: sorted(found) for label, found in rows.items()}


def rows_of(name, document):
    return points(document) if name == 'ratios.svg' else bars(name, document)


def _bar_script(name, rows):
    shown = [text for text in SHOWN if any(text in found for _, found in rows)]
    script = ['$data << EOD']
    for label, found in rows:
        cells = [f'{found[text][i]:.4g}' if text in found else 'NaN' for text in shown
                 for i in (1, 0, 2)]        # gnuplot wants the middle, the low and the high end
        script.append(f'"{label}" ' + ' '.join(cells))
    script += ['EOD', 'set style data histogram',
               'set style histogram errorbars gap 1.5 lw 1', 'set style fill solid 0.9',
               'set ylabel "million packets a second"', 'set yrange [0:*]', 'set grid ytics',
               'set key outside top horizontal',
               'set xlabel "' + ('frames a burst' if name == 'bursts.svg' else 'frame size') + '"']
    plotted = [f'$data using {2 + 3 * i}:{3 + 3 * i}:{4 + 3 * i}:xtic(1) title "{text}" '
               f'lc rgb "{COLOURS[SHOWN.index(text)]}"' for i, text in enumerate(shown)]
    return script + ['plot ' + ', '.join(plotted)]


def _point_script(rows):
    script = []
    for index, found in enumerate(rows.values()):
        script += [f'$data{index} << EOD', *(f'{line:.1f} {ratio:.4g}' for line, ratio in found),
                   'EOD']
    script += ['set xlabel "round trip of a line, ns"', 'set ylabel "ivshmem / memif"',
               'set logscale y 2', 'set grid', 'set key outside right',
               f'set arrow from {slices.LINE_NEAR}, graph 0 to {slices.LINE_NEAR}, graph 1 nohead '
               'dt 2']
    return script + ['plot 1 notitle lc rgb "#888888", ' + ', '.join(
        f'$data{index} title "{work}" pt 7 ps 0.4' for index, work in enumerate(rows))]


def _sweep_script(document):
    script = []
    rows = sweep_rows(document)
    for index, found in enumerate(rows.values()):
        # each line in parts of its best: works differ by more than an order of magnitude
        best = max(quartiles[1] for _, quartiles in found)
        script += [f'$data{index} << EOD', *(f'{number} ' + ' '.join(
            f'{quartiles[i] / best:.4g}' for i in (1, 0, 2)) for number, quartiles in found), 'EOD']
    script += [f'set xlabel "{sweep_of(document)}"', 'set ylabel "rate, of the best of its line"',
               'set logscale x 2', 'set yrange [0:1.2]', 'set grid', 'set key outside right']
    return script + ['plot ' + ', '.join(
        f'$data{index} with yerrorlines title "{label}"' for index, label in enumerate(rows))]


def _plot(path, title, script):
    script = ['set terminal svg size 900,420 font "sans-serif,13" background "#ffffff"',
              f'set output "{path}"', f'set title "{title}"', *script]
    with tempfile.NamedTemporaryFile('w', suffix='.gnuplot') as file:
        file.write('\n'.join(script) + '\n')
        file.flush()
        done = subprocess.run(['gnuplot', file.name], stderr=subprocess.PIPE, text=True)
    lab.check(done.returncode == 0, f'gnuplot: {done.stderr.strip()}')
    text = path.read_text(encoding='utf-8')
    path.write_text('\n'.join(line.rstrip() for line in text.split('\n')), encoding='utf-8')
    return path


def draw(document, directory):
    """Draws what the run has data for; returns the files."""
    return [_plot(Path(directory, name), title, _point_script(rows) if name == 'ratios.svg'
                  else _bar_script(name, rows))
            for name, title in FIGURES.items() for rows in [rows_of(name, document)] if rows]


def draw_sweep(document, directory):
    """Draws the figure of a sweep; returns its file."""
    return _plot(Path(directory, sweep_name(document)), SWEEP_TITLE, _sweep_script(document))
