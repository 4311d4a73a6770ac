# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The bursts cost no more instructions than their committed ceiling, and counting is exact."""

import instructions
import lab


def below_ceiling():
    names = [name for name in instructions.CONTESTANTS if name.startswith('ivshmem')]
    measured, _ = instructions.measure(print, names)
    problems = instructions.above(measured, instructions.ceilings(
        instructions.CEILING.read_text()))
    lab.check(not problems, '\n'.join(problems))


def repeatable():
    """Twice the same within one instruction a packet: else a ceiling proves nothing."""
    first, second = (instructions.count('ivshmem', 'oneway-64') for _ in range(2))
    for side in instructions.SIDES:
        lab.check(abs(first[side] - second[side]) < 1, f'{side}: {first[side]}, {second[side]}')


lab.main(below_ceiling, repeatable)
