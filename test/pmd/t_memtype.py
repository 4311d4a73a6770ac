#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the driver says of the memory's type, in the log and in counters.

The memory of a process is always cached, so a preloaded clock lies about the loads (slow_clock.c).
"""

import lab
import pair

CLOCK = pair.TOOLS / 'libslow_clock.so'
LOADS = 128


def probe(name, region_ns=None):
    """(shell, what it printed at its start, its counters)."""
    region = pair.Region('1M')
    slow = [] if region_ns is None else ['env', f'LD_PRELOAD={CLOCK}',
                                         f'SLOW_CLOCK_REGION_NS={region_ns}']
    shell = pair.Shell(name, argv=[*slow, pair.TOOLS / 'ivshmem-shell', *pair.eal(),
                                   '--log-level=pmd.net.ivshmem:info', '--vdev', region.vdev()])
    shell.up()
    return shell, shell.output(), shell.do('xstats 0')


def judge(name, region_ns, word, load_ns, uncached):
    shell, text, xstats = probe(name, region_ns)
    lab.check(f'memory is {word}: {region_ns} ns for {LOADS} loads' in text, text)
    found = xstats['memory_load_ns'], xstats['memory_uncached']
    lab.check(found == (load_ns, uncached), f'memory_load_ns, memory_uncached are {found}')
    for warned in f'takes {load_ns} ns', 'uncached memory', 'shm=PATH', '/dev/dax', 'Memory Type':
        lab.check((warned in text) == bool(uncached), f'{warned!r} in the log:\n{text}')
    shell.do('reset 0')
    after = shell.do('xstats 0')
    lab.check((after['memory_load_ns'], after['memory_uncached']) == found, 'a reset changed it')
    shell.quit()


def cached():
    judge('cached', 300, 'cached', 3, 0)


def uncached():
    judge('uncached', 155 * LOADS, 'uncached', 155, 1)


def neither():
    judge('neither', 1500, 'of a memory type that the times do not tell', 12, 0)


def true_clock():
    """Ordinary memory is no false alarm, and the loads take some time."""
    shell, text, xstats = probe('true')
    lab.check('memory is ' in text and 'uncached' not in text, text)
    lab.check(xstats['memory_load_ns'] > 0 and xstats['memory_uncached'] == 0, f'{xstats}')
    shell.quit()


lab.main(cached, uncached, neither, true_clock)
