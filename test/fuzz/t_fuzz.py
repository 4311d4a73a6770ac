#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A fuzz target: its committed corpus, what that reaches, fresh inputs, and whether the fuzzer
would notice a check that is missing. The first argument is the target.

The long form runs 10^7 inputs, or for 4 hours, others each time: fresh.log has the seed.
"""

import re
import sys

import corpus
import fuzzers
import lab

NAME = sys.argv.pop(1)
TARGET = fuzzers.TARGETS[NAME]
FLOOR = 90                      # percent of the parser's lines
RUNS = 10_000_000 if lab.LONG else TARGET.runs
CONTROL_RUNS = 1_000_000        # it is found much sooner
SECONDS = 4 * 3600               # of the long form, at most


def options(*more):
    return [f'-max_len={TARGET.length}', '-timeout=10', '-rss_limit_mb=2048',
            f'-seed={0 if lab.LONG else 1}', '-print_final_stats=1',
            f'-artifact_prefix={lab.log_dir()}/', *more]


def committed_inputs_break_nothing_and_reach_the_parser():
    fuzzers.build(NAME)
    where = corpus.unpack(NAME, lab.log_dir() / 'corpus')
    rows = corpus.measure(NAME, where, lab.log_dir())
    print(corpus.report_lines(NAME, rows), end='', flush=True)
    reached = corpus.percent(rows)
    lab.check(reached >= FLOOR, f'the corpus reaches {reached} % of the lines, not {FLOOR} %: '
              f'test/fuzz/grow.py {NAME} looks for more inputs')
    stated = corpus.report_read().get(NAME)
    lab.check(stated, f'coverage.txt says nothing of {NAME}: run test/fuzz/grow.py {NAME}')
    now = {'': reached, **{row[0]: corpus.percent([row]) for row in rows}}
    less = [f'{path or "all"}: {now.get(path, 0)} %, not {part} %' for path, part in stated.items()
            if now.get(path, 0) < part]
    lab.check(not less, 'coverage.txt overstates; run test/fuzz/grow.py --report ' + NAME + '\n'
              + '\n'.join(less))


def explain(text):
    """What broke, as a line for the corpus."""
    found = re.search(r'Test unit written to (\S+)', text)
    if not found:
        return text[-4000:]
    data = open(found[1], 'rb').read()
    return (f'{text[-6000:]}\nmend it, and add the input to test/fuzz/corpus/{NAME}.txt, named for '
            f'what it broke:\n<name> {data.hex()}')


def fresh_inputs_break_nothing():
    fuzzers.build(NAME)
    where = corpus.unpack(NAME, lab.log_dir() / 'fresh')
    bounds = [f'-runs={RUNS}', f'-max_total_time={SECONDS}'] if lab.LONG else [f'-runs={RUNS}']
    status, text = corpus.run(fuzzers.OUT / NAME, options(*bounds, where),
                              lab.log_dir() / 'fresh.log', SECONDS + 600)
    lab.check(status == 0, explain(text))
    done = re.search(r'^Done (\d+) runs in (\d+) second', text, re.M)
    lab.check(done and (int(done[1]) >= RUNS or lab.LONG and int(done[2]) >= SECONDS),
              f'it ended before its {RUNS} runs:\n{text[-3000:]}')
    print(f'{NAME}: {int(done[1]):,} inputs in {done[2]} s', flush=True)


def a_missing_check_is_noticed():
    """The same fuzzer, from the same corpus, with one check taken out of the code."""
    fuzzers.build(NAME)
    where = corpus.unpack(NAME, lab.log_dir() / 'control')
    status, text = corpus.run(fuzzers.OUT / f'{NAME}-unchecked',
                              options(f'-runs={CONTROL_RUNS}', where),
                              lab.log_dir() / 'control.log', 600)
    lab.check(status != 0 and 'Test unit written to' in text,
              f'{CONTROL_RUNS:,} inputs did not notice that "{TARGET.control[1]}" is missing from '
              f'{TARGET.control[0].name}')
    first = re.search(r'^.*(ERROR: \w+Sanitizer|runtime error|not true|left open).*$', text, re.M)
    print(f'{NAME}-unchecked: {first[0].strip() if first else "died"}', flush=True)


lab.main(committed_inputs_break_nothing_and_reach_the_parser, fresh_inputs_break_nothing,
         a_missing_check_is_noticed)
