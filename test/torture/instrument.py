#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Copies of the driver's sources in which a port can be stopped between any two steps.

    instrument.py --list DIR            the headers of the driver, for meson
    instrument.py OUT FILE...           writes the copies, and steps.txt: number, place and text

A call of ivshmem_torture_step() stands before each statement of the functions below. A function
that is not found, or has no statement, is an error: who renames one says so here.
"""

import re
import sys
from pathlib import Path

# What publishes, returns, arms, or changes a state; and what it calls to do so.
FUNCTIONS = {
    'ivshmem_ring.h': ['producer_refresh', 'producer_returned', 'producer_publish',
                       'consumer_avail', 'consumer_unchanged', 'consumer_publish_returns',
                       'consumer_unstale', 'consumer_release'],
    'ivshmem_flight.h': ['flight_take', 'flight_buf', 'flight_share', 'flight_release',
                         'flight_give', 'flight_bar', 'flight_unbar', 'flight_start'],
    'ivshmem_loan.h': ['loan_lend'],
    'ivshmem_tx_desc.h': ['tx_place', 'tx_describe'],
    'ivshmem_tx.c': ['tx_lead', 'tx_bell', 'tx_meet', 'tx_session', 'tx_gather', 'tx_any',
                     'tx_free', 'tx_fill_copy', 'tx_fill_dest', 'tx_wire', 'tx_burst_lend'],
    'ivshmem_tx_lend.c': ['tx_lend_reap', 'tx_lend_room', 'tx_pass', 'tx_lend_any', 'tx_small',
                          'tx_large', 'tx_fill_lend', 'tx_lend_undo', 'tx_lend_bar',
                          'tx_lend_unbar', 'tx_lend_settled', 'tx_lend_ready', 'tx_lend_tend',
                          'tx_lend_leave', 'tx_lend_drop'],
    'ivshmem_tx_segment.c': ['tx_stage', 'tx_unicast', 'tx_flood', 'tx_publish',
                             'tx_burst_segment'],
    'ivshmem_rx.c': ['rx_list_take', 'rx_session', 'rx_large', 'rx_run', 'rx_odd', 'rx_ring',
                     'rx_rings', 'rx_burst_lend'],
    'ivshmem_rx_frame.c': ['rx_check', 'rx_give_back', 'rx_lend', 'rx_frame', 'rx_empty'],
    'ivshmem_loan.c': ['loans_take_back', 'loans_drain', 'loan_batch_flush', 'loan_free'],
    'ivshmem_session.c': ['producer_start', 'producer_poll', 'producer_adopt',
                          'consumer_end_session', 'consumer_start', 'consumer_poll',
                          'consumer_part', 'consumer_adopt'],
    'ivshmem_port.c': ['port_claim', 'port_release', 'port_set_state', 'port_set_conf',
                       'port_bump_dir', 'port_tell_held', 'port_beat'],
    'ivshmem_intr.c': ['intr_wake', 'intr_note', 'intr_has_work', 'intr_is_due', 'intr_relay_to',
                       'intr_drain', 'rx_queue_intr_enable', 'rx_queue_intr_disable'],
    'ivshmem_ethdev.c': ['start', 'stop', 'dev_attach', 'dev_close'],
    'ivshmem_queue.c': ['queues_start'],
    'ivshmem_settle.c': ['settle_own', 'settle_dest', 'settle_start', 'settle_tick'],
    'ivshmem_link.c': ['link_offer_lists', 'link_lead_queues', 'link_tell_moves', 'link_apply',
                       'link_look_at', 'link_look', 'link_close', 'link_tick'],
}
# Ends of blocks, initializers, labels; and declarations, before which the last statement's step is.
NOT_FIRST = re.compile(r'[}{.#*]|(else|case|default|const|struct|enum|bool|int|unsigned|u?int\d+_t)'
                       r'\b|\w+:$')


def bare(line, inside):
    """The line without comments; whether one goes on into the next line."""
    text = ''
    while line:
        mark = '*/' if inside else '/*'
        part, found, line = line.partition(mark)
        text += '' if inside else part
        inside = inside != bool(found)
    return text.strip(), inside


def body(lines, name):
    """First and last line between the braces of that function; None when it is not there."""
    for at, line in enumerate(lines):
        if not line.startswith(f'ivshmem_{name}('):
            continue
        while not lines[at].startswith('{') and not lines[at].endswith(';\n'):
            at += 1
        if lines[at].startswith('{'):
            return at + 1, next(i for i in range(at, len(lines)) if lines[i].startswith('}'))
    return None


def statements(lines, first, last):
    """The lines between both that begin a statement."""
    previous, inside, depth = '{', False, 0
    for at in range(first, last):
        text, inside = bare(lines[at], inside)
        if not text:
            continue
        if depth == 0 and previous[-1] in '{};' and not NOT_FIRST.match(text):
            yield at, text
        depth += text.count('(') - text.count(')')
        previous = text


def instrument(path, steps):
    lines = path.read_text().splitlines(keepends=True)
    marks = {}
    for name in FUNCTIONS.get(path.name, ()):
        place = body(lines, name)
        found = [] if place is None else list(statements(lines, *place))
        if not found:
            sys.exit(f'{path}: no function ivshmem_{name}() with statements, which instrument.py '
                     'names: has it another name now?')
        for at, text in found:
            marks[at] = len(steps)
            steps.append(f'{path.name}:{at + 1} {name} {text}')
    out = [f'#line 1 "{path}"\n']
    for at, line in enumerate(lines):
        if at in marks:
            line = line[:len(line) - len(line.lstrip())] + \
                f'ivshmem_torture_step({marks[at]}); ' + line.lstrip()
        out.append(line)
    return ''.join(out)


def main():
    if sys.argv[1] == '--list':
        print('\n'.join(str(p) for p in sorted(Path(sys.argv[2]).glob('*.h'))))
        return
    out = Path(sys.argv[1])
    steps = []
    files = [Path(name).resolve() for name in sys.argv[2:]]
    missing = set(FUNCTIONS) - {path.name for path in files}
    if missing:
        sys.exit(f'instrument.py names files that the driver has not: {sorted(missing)}')
    for path in files:
        (out / path.name).write_text(instrument(path, steps))
    (out / 'steps.txt').write_text('\n'.join(steps) + '\n')


main()
