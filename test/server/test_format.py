#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""ivshmem-server format: a file for ivshmem-plain."""

import json
import subprocess

import lab
from client import Region

MIB = 1 << 20


def run(*args):
    return subprocess.run([lab.server(), 'format', *args], capture_output=True, text=True,
                          timeout=30)


def look(path):
    with open(path, 'r+b') as file:
        return Region(file.fileno())


def a_file_is_made():
    path = lab.private_dir() / 'region'
    done = run('--size', '16M', '--ports', '4', '--queues', '2', '--ring-size', '256', path)
    lab.check(done.returncode == 0, done.stderr)
    found = path.stat()
    lab.check(found.st_size == 16 * MIB and found.st_mode & 0o777 == 0o600, f'{found}')
    lab.check(found.st_blocks * 512 >= 16 * MIB, 'the file is sparse')
    region = look(path)
    geometry = region.geometry()
    lab.check(region.magic() == b'IVSHMNET' and region.epoch() == 0, 'no region without server')
    lab.check((geometry['size'], geometry['ports'], geometry['queues'], geometry['ring_size']) ==
              (16 * MIB, 4, 2, 256), f'{geometry}')
    printed = json.loads(run('--json', '-l', '1M', path.with_name('other')).stdout)
    lab.check(printed['size'] == MIB and printed['ports'] == 2, f'{printed}')


def sizes():
    path = lab.private_dir() / 'region'
    for size in ('1M', '2M', '1G'):
        done = run('-l', size, '--force', path)
        lab.check(done.returncode == 0, f'{size}: {done.stderr}')
        lab.check(look(path).geometry()['size'] == path.stat().st_size, f'{size}')
    for size, words in (('3M', ['2097152', '4194304']), ('1000000000', ['536870912', '1073741824']),
                        ('512K', ['1048576'])):
        done = run('-l', size, path.with_name('not'))
        lab.check(done.returncode == 2, f'{size}: exit status {done.returncode}')
        lab.check(all(word in done.stderr for word in words), f'{size}: {done.stderr}')
        lab.check(not path.with_name('not').exists(), f'{size}: a file is left')


def existing_files():
    place = lab.private_dir()
    path = place / 'region'
    run('-l', '1M', path)
    uuid = look(path).uuid()
    done = run('-l', '1M', path)
    lab.check(done.returncode == 1 and '--force' in done.stderr and str(path) in done.stderr,
              f'{done}')
    lab.check(look(path).uuid() == uuid, 'a refused region was changed')
    lab.check(run('-l', '3M', '--force', path).returncode == 2 and look(path).uuid() == uuid,
              'a wrong size cost the old region')
    lab.check(run('-l', '1M', '--force', path).returncode == 0 and look(path).uuid() != uuid,
              '--force did not format anew')
    (place / 'foreign').write_bytes(b'precious')
    done = run(place / 'foreign')
    lab.check(done.returncode == 1 and (place / 'foreign').read_bytes() == b'precious', f'{done}')
    done = run(place)
    lab.check(done.returncode == 1 and 'directory' in done.stderr, f'{done}')
    lab.check(run(place / 'absent' / 'x').returncode == 1, 'a file in no directory')


def file_of_a_server():
    path = lab.private_dir() / 'region'
    server = lab.Server('-m', path, '-l', '1M')
    for args in ([], ['--force']):
        done = run(*args, path)
        lab.check(done.returncode == 1 and 'another ivshmem-server' in done.stderr, f'{done}')
    lab.check(server.running(), 'the server ended')


def dry_run_touches_nothing():
    path = lab.private_dir() / 'region'
    done = run('--dry-run', '-l', '2M', path)
    lab.check(done.returncode == 0 and 'size' in done.stdout and not path.exists(), f'{done}')


lab.main(a_file_is_made, sizes, existing_files, file_of_a_server, dry_run_touches_nothing)
