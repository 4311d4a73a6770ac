#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The plugin in Debian's own dpdk-testpmd: through -d, and by itself once it is installed.

Installed is below a directory of the test's own; a mount namespace lays it over DPDK's plugin
directory, so that the machine's own stays as it is.
"""

import shutil
import subprocess
from pathlib import Path

import lab
import pair

# In a private mount namespace: $1 over the plugin directory $2, then the rest.
NAMESPACE = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def pmd_directory():
    """Where EAL of this DPDK looks for plugins."""
    version = subprocess.run(['pkg-config', '--variable=libdir', 'libdpdk'], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.strip()
    found = sorted(Path(version, 'dpdk').glob('pmds-*'))
    lab.check(found, f'{version}/dpdk has no plugin directory pmds-*')
    return found[-1]


def through_option():
    region = pair.Region('16M')
    pmd = lab.Testpmd('testpmd-d', ['--vdev=' + region.vdev()], memory=64)
    info = pmd.command('show port info 0')
    lab.check('Driver name: net_ivshmem' in info, info)
    pmd.quit()


def not_found_without():
    """What the next case rests on: without -d this machine's testpmd does not know the driver."""
    status, text = testpmd(pair.Region('16M'), [])
    lab.check(status != 0 and 'failed to parse device "net_ivshmem0"' in text,
              f'status {status}:\n{text}')


def testpmd(region, before):
    return pair.run([*before, 'sh', '-c', 'echo "show port info 0" | exec "$@"', 'sh',
                     'dpdk-testpmd', '--no-pci', '--in-memory', '-m', '64', '--lcores',
                     '0@%d,1@%d' % tuple(lab.cpus(2)), '--main-lcore', '0',
                     '--vdev=' + region.vdev(), '--', '-i', '--total-num-mbufs=2048'])


def installed():
    top = lab.private_dir()
    status, text = pair.run(['meson', 'install', '-C', lab.BUILD, '--no-rebuild', '--destdir',
                             top / 'root'])
    lab.check(status == 0, text)
    directory = pmd_directory()
    files = sorted(x.name for x in (top / 'root' / directory.relative_to('/')).iterdir())
    abi = directory.name.split('-')[1]
    lab.check(f'librte_net_ivshmem.so.{abi}' in files, f'installed: {files}')
    merged = top / 'pmds'
    shutil.copytree(directory, merged, symlinks=True)
    shutil.copytree(top / 'root' / directory.relative_to('/'), merged, symlinks=True,
                    dirs_exist_ok=True)
    region = pair.Region('16M')
    status, text = testpmd(region, ['unshare', '--mount', '--propagation', 'private', 'sh', '-c',
                                    NAMESPACE, 'sh', merged, directory])
    lab.check(status == 0 and 'Driver name: net_ivshmem' in text, f'status {status}:\n{text}')
    lab.check(not list(directory.glob('*ivshmem*')), f'left in {directory}')


lab.main(through_option, not_found_without, installed)
