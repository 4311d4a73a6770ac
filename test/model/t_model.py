#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Models of sleeping and waking (intr.pml) and of a queue's lock (lock.pml), searched by spin.

What the driver does must hold in every interleaving; without any one of its parts it must not.
"""

import atexit
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import lab

INTR = Path(__file__).resolve().parent / 'intr.pml'
LOCK = INTR.with_name('lock.pml')
DEPTH = 100000

VECTOR = {'PRODUCERS': 1, 'PUBLICATIONS': 2}
RELAY = {**VECTOR, 'RELAY': 1}
MEETING = {**VECTOR, 'SESSION': 1}
TRIES = {'TRIES': 3}

GOOD = {
    INTR: {
        'one producer': {**VECTOR, 'PUBLICATIONS': 4},
        'two producers': {**VECTOR, 'PRODUCERS': 2, 'PUBLICATIONS': 1},
        'by vector 0': RELAY,
        'new session': MEETING,
        'new session by vector 0': {**RELAY, 'PUBLICATIONS': 1, 'SESSION': 1},
    },
    LOCK: {
        'two that burst': TRIES,
        'one that bursts, and a guest': {**TRIES, 'GUEST': 1},
    },
}
LOST = r'assertion violated .*cons\[0\]'
UNSEEN = r'assertion violated .*buffer'
TWO = r'assertion violated .*inside==0'
BROKEN = {
    INTR: {
        'NO_A1': ((VECTOR, RELAY, MEETING), LOST),
        'NO_A2': ((VECTOR, RELAY, MEETING), LOST),
        'NO_LOOK': ((VECTOR, RELAY, MEETING), LOST),
        'SAME_NUMBER': ((VECTOR,), LOST),
        'LATE_NOTE': ((RELAY,), LOST),
        'RING_READ': (({**RELAY, 'PUBLICATIONS': 3},), LOST),
        'QUIET_ADOPT': ((MEETING,), LOST),
        'MEET_RUNG': (({**RELAY, 'PUBLICATIONS': 1, 'SESSION': 1},), LOST),
        'RING_AGAIN': ((VECTOR,), r'assertion violated .*rung_before'),
        'RING_AWAKE': ((VECTOR,), r'assertion violated .*arm'),
    },
    LOCK: {
        'NO_BARRIER': ((TRIES,), UNSEEN),
        'NO_RECHECK': ((TRIES,), UNSEEN),
        'NO_LOOK': ((TRIES, {**TRIES, 'GUEST': 1}), TWO),
        'NO_WAIT': ((TRIES,), TWO),
        'ONE_INSIDE': ((TRIES,), TWO),
    },
}


def run(argv, work, seconds=60):
    try:
        done = subprocess.run([str(a) for a in argv], cwd=work, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds)
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        raise lab.Failure(f'{argv[0]}: {error}; spin is installed by: app/setup test') from error
    lab.check(done.returncode == 0, f'{argv[0]} ended with status {done.returncode}\n'
              f'{done.stdout[-2000:]}')
    return done.stdout


def search(model, defines, optimize):
    """What pan says of the model with these defines."""
    work = Path(tempfile.mkdtemp(prefix='ivshmem-model-'))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    said = run(['spin', *(f'-D{k}={v}' for k, v in defines.items()), '-a', model], work)
    lab.check('rror' not in said, said)
    run(['gcc', optimize, '-w', '-DSAFETY', '-DMEMLIM=2048', '-o', 'pan', 'pan.c'], work)
    return run([work / 'pan', f'-m{DEPTH}', '-w20'], work)


def holds():
    """Nothing that the driver does loses or doubles a wakeup, or lets two threads into a lock."""
    for model, settings in GOOD.items():
        for name, defines in settings.items():
            said = search(model, defines, '-O1')
            lab.check('errors: 0' in said and 'max search depth too small' not in said and
                      'Search not completed' not in said and 'out of memory' not in said,
                      f'{model.name}, {name}: {defines}\n{said}')
            states = int(float(re.search(r'([\d.e+]+) states, stored', said).group(1)))
            lab.check(states > 5000,
                      f'{model.name}, {name}: only {states} states: it does not move\n{said}')
            print(f'{model.name}, {name}: {states} states')


def each_part_is_needed():
    """Without one of its parts a model fails, and by the property that the part is for."""
    for model, parts in BROKEN.items():
        for part, (settings, violated) in parts.items():
            for defines in settings:
                said = search(model, {**defines, part: 1}, '-O0')
                lab.check(re.search(violated, said) and 'errors: 1' in said,
                          f'{model.name} still holds with {part} and {defines}\n{said}')


lab.main(holds, each_part_is_needed)
