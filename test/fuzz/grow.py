#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Looks for inputs that reach more, adds them to a target's corpus, and measures it again.

  test/fuzz/grow.py TARGET [RUNS]      fuzz for so many runs (default 200,000), merge, report
  test/fuzz/grow.py --report TARGET    only measure, and write coverage.txt

Give it PYTHONPATH=test/common, and for the targets with DPDK the environment of the tests.
"""

import re
import resource
import shutil
import sys

import corpus
import fuzzers

CAMPAIGN = fuzzers.OUT / 'campaign'


def fuzz(name, runs, work):
    """Fresh inputs of a random seed, added to what earlier campaigns left in the directory."""
    target = fuzzers.TARGETS[name]
    grown = work / 'grown'
    grown.mkdir(parents=True, exist_ok=True)
    for word, data in corpus.read(name).items():
        (grown / word).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status, text = corpus.run(fuzzers.OUT / name,
                              [f'-runs={runs}', '-len_control=10', '-timeout=10',
                               f'-max_len={target.length}',
                               '-print_final_stats=1', f'-artifact_prefix={work}/', grown],
                              work / f'{name}.log', 24 * 3600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done = re.search(r'stat::number_of_executed_units: (\d+)', text)
    print(f'{name}: {int(done[1]) if done else 0:,} inputs, {seconds:.0f} s of CPU, exit status '
          f'{status}', flush=True)
    if status != 0:
        sys.exit(text[-6000:])
    return grown


def merge(name, grown, work):
    """The fewest of all inputs that reach as much; named ones stay."""
    least = work / 'least'
    shutil.rmtree(least, ignore_errors=True)
    least.mkdir()
    status, text = corpus.run(fuzzers.OUT / name, ['-set_cover_merge=1', '-timeout=10', least,
                                                   grown], work / 'merge.log', 3600)
    if status != 0:
        sys.exit(text[-3000:])
    named = {w: d for w, d in corpus.read(name).items() if not re.fullmatch('[0-9a-f]{12}', w)}
    inputs = {p.name: p.read_bytes() for p in least.iterdir()}
    inputs = {w: d for w, d in inputs.items() if d not in named.values()}
    corpus.write(name, {**inputs, **named})


def main():
    words = [w for w in sys.argv[1:] if w != '--report']
    if not words or words[0] not in fuzzers.TARGETS:
        sys.exit(__doc__)
    name = words[0]
    work = CAMPAIGN / name
    fuzzers.build(name)
    if '--report' not in sys.argv:
        runs = int(words[1]) if len(words) > 1 else 200_000
        merge(name, fuzz(name, runs, work), work)
    work.mkdir(parents=True, exist_ok=True)
    rows = corpus.measure(name, corpus.unpack(name, work / 'corpus'), work)
    corpus.report_write(name, rows)
    print(corpus.report_lines(name, rows), end='')


main()
