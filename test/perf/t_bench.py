# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""test/bench measures: every kind of contestant passes packets, and who cannot run is named."""

import json
import subprocess

import lab


def bench(*words):
    """(exit status, output, the document) of a run of one round."""
    path = lab.private_dir() / 'bench.json'
    argv = [lab.ROOT / 'test' / 'bench', '--no-setup', '--quick', '--pairs', '1', '--seconds',
            '0.05', '--json', path]
    done = subprocess.run([str(word) for word in [*argv, *words]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
    found = json.loads(path.read_text()) if path.exists() else {}
    # a busy machine disturbs slices: they are kept, but the run says that pairs are missing
    lab.check(done.returncode == 0 or 'the machine is too busy' in done.stdout,
              f'status {done.returncode}:\n{done.stdout}')
    return done.returncode, done.stdout, found


def all_pass_packets():
    """Each has a slice with packets, in each work that it takes part in."""
    words = [word for name in ('ivshmem', 'memif,rsize=10', 'virtio', 'ring', 'null', 'bare')
             for word in ('--contestant', name)]
    _, output, found = bench('--work', 'oneway-64', '--work', 'io-1518', *words)
    for work, without in (('oneway-64', 'ring'), ('io-1518', 'bare')):
        taken = [(name, one['packets']) for one in found['raw'][work]
                 for name, one in one['slices'].items()]
        names = {name for name, packets in taken if packets > 0}
        want = {'ivshmem', 'memif,rsize=10', 'virtio', 'ring', 'null', 'bare'} - {without}
        lab.check(names == want, f'{work}: slices of {names}, not of {want}:\n{output}')
    lab.check(not found['not_run'], f'{found["not_run"]}')


def who_cannot_run_is_named():
    """The driver's own words, and the others run all the same."""
    _, output, found = bench('--work', 'oneway-64', '--contestant', 'ivshmem',
                             '--contestant', 'ivshmem,args=no_such_thing=1')
    lab.check(len(found['not_run']) == 1 and
              'no_such_thing=1 is not known' in found['not_run'][0], f'{found["not_run"]}')
    lab.check(found['not_run'][0] in output, output)
    lab.check(any(one['slices']['ivshmem']['packets'] > 0 for one in found['raw']['oneway-64']),
              output)


def mistakes_are_refused():
    for words, text in ((['--work', 'oneway-59'], 'is not in 60..9000'),
                        (['--contestant', 'memif,rsize=15'], 'rsize is a number in 1..14'),
                        (['--quick', '--full'], 'not allowed with')):
        done = subprocess.run([lab.ROOT / 'test' / 'bench', '--no-setup', *words], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        lab.check(done.returncode == 2 and text in done.stdout,
                  f'{words}: status {done.returncode}: {done.stdout}')


lab.main(all_pass_packets, who_cannot_run_is_named, mistakes_are_refused)
