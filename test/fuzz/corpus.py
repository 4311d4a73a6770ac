# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Corpora and what they reach.

A corpus is a text, corpus/<target>.txt, with an input in each line: its name and its bytes in hex.
A name that the fuzzer gave is the start of the input's SHA-1; an input that broke something once
is named for what it broke.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess

import lab
from fuzzers import HERE, OUT, TARGETS

HEAD = ('# SPDX-License-Identifier: BSD-3-Clause\n'
        '# Copyright(c) 2026 The net_ivshmem authors\n'
        '# Inputs of fuzz_{name}.c: name, bytes. grow.py makes this file.\n')
REPORT = HERE / 'coverage.txt'
STEP = 5    # of a file's percents, so that the report stands a change of a line
SLACK = 1   # a line or two hang on the clock


def file_of(name):
    return HERE / 'corpus' / f'{name}.txt'


def read(name):
    """{name: bytes} of a target's committed corpus."""
    inputs = {}
    if file_of(name).exists():
        for line in file_of(name).read_text().splitlines():
            if line and not line.startswith('#'):
                word, _, digits = line.partition(' ')
                inputs[word] = bytes.fromhex(digits)
    return inputs


def unpack(name, where):
    """The corpus as files in a new directory."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for word, data in read(name).items():
        (where / word).write_bytes(data)
    return where


def write(name, inputs):
    """Named inputs first, then the fuzzer's by their length."""
    lines = {}
    for word, data in inputs.items():
        given = not re.fullmatch('[0-9a-f]{12,40}', word)
        lines[word if given else hashlib.sha1(data).hexdigest()[:12]] = data
    order = sorted(lines, key=lambda w: (bool(re.fullmatch('[0-9a-f]{12}', w)), len(lines[w]), w))
    file_of(name).write_text(HEAD.format(name=name) +
                             ''.join(f'{w} {lines[w].hex()}'.rstrip() + '\n' for w in order))


def run(program, arguments, log, seconds, profile='/dev/null'):
    """Runs a fuzzer with its output in a log; returns its exit status and what it said."""
    env = {**os.environ, 'LLVM_PROFILE_FILE': str(profile),
           'ASAN_OPTIONS': 'detect_leaks=1:strict_string_checks=1:quarantine_size_mb=16',
           'UBSAN_OPTIONS': 'print_stacktrace=1'}
    with open(log, 'w') as out:
        status = subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                stdout=out, stderr=out, env=env, cwd=log.parent,
                                timeout=seconds).returncode
    return status, log.read_text(errors='replace')


def measure(name, where, logs):
    """[(file, lines, reached)] of the target's parser when all inputs in the directory ran."""
    program = OUT / name
    raw = logs / f'{name}.profraw'
    data = logs / f'{name}.profdata'
    status, text = run(program, ['-runs=0', '-seed=1', '-timeout=10',
                                 f'-artifact_prefix={logs}/', where],
                       logs / f'{name}-corpus.log', 600, raw)
    lab.check(status == 0, f'the committed corpus breaks {name}:\n{text[-6000:]}')
    subprocess.run(['llvm-profdata', 'merge', '-sparse', raw, '-o', data], check=True)
    text = subprocess.run(['llvm-cov', 'export', '-summary-only', f'-instr-profile={data}',
                           program], stdout=subprocess.PIPE, text=True, check=True).stdout
    files = {f['filename']: f['summary']['lines'] for f in json.loads(text)['data'][0]['files']}
    wanted = [str(path) for path in TARGETS[name].parser]
    missing = set(wanted) - set(files)
    lab.check(not missing, f'no coverage of {sorted(missing)}')
    return [(os.path.relpath(path, lab.ROOT), files[path]['count'], files[path]['covered'])
            for path in wanted]


def percent(rows):
    return 100 * sum(r[2] for r in rows) // sum(r[1] for r in rows)


def report_lines(name, rows):
    text = f'{name}: {len(read(name))} inputs, {percent(rows) - SLACK} %\n'
    for path, lines, ran in rows:
        reached = max(percent([(path, lines, ran)]) - SLACK, 0)
        text += f'    {path:48} {reached // STEP * STEP:3} %\n'
    return text


def report_read():
    """{target: {'': percent, file: percent}} as committed."""
    found = {}
    for line in REPORT.read_text().splitlines() if REPORT.exists() else []:
        head = re.fullmatch(r'(\w+): \d+ inputs, (\d+) %', line)
        row = re.fullmatch(r'    (\S+) +(\d+) %', line)
        if head:
            found[head[1]] = now = {'': int(head[2])}
        elif row:
            now[row[1]] = int(row[2])
    return found


def report_write(name, rows):
    """Replaces the target's part of the report."""
    head = ('Lines that the committed corpora reach, of the sources that each target is about, in\n'
            'percents, less one and rounded down, those of a file to fives. grow.py writes this\n'
            'file, and t_fuzz.py measures it again.\n')
    old = REPORT.read_text() if REPORT.exists() else head
    parts = {m[1]: m[0] for m in re.finditer(r'^(\w+): \d+ inputs.*\n(?:    .*\n)*', old, re.M)}
    parts[name] = report_lines(name, rows)
    REPORT.write_text(head + ''.join('\n' + parts[each] for each in sorted(parts)))
