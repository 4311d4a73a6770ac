#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Where the region's memory comes from, what is used on, and what is refused."""

import errno
import fcntl
import os
import signal
from pathlib import Path

import lab
from client import Client, Region, LIVE

MIB = 1 << 20


def refused(name, words, *args, prefix=(), status=1):
    """The server ends with this status and these words, and leaves no socket."""
    place = lab.private_dir()
    server = lab.Process(name, [*prefix, lab.server(), '-S', place / 's', *args])
    lab.check(server.wait(30) == status, f'exit status {server.proc.returncode}, not {status}\n'
              + server.tail())
    for word in words:
        lab.check(word in server.output(), f'no {word!r} in\n{server.tail()}')
    lab.check(os.listdir(place) == [], 'the socket is left')


def memfd_is_sealed():
    for args in ([], ['--hugepages']):
        server = lab.Server('-l', '8M', *args)
        client = Client(server.socket).greet()
        lab.check(os.fstat(client.memory).st_size == 8 * MIB, 'size')
        lab.check(os.fstat(client.memory).st_mode & 0o777 == 0o600, 'others could open it')
        for size in (4 * MIB, 16 * MIB):
            try:
                os.ftruncate(client.memory, size)
                raise lab.Failure(f'{args}: a client could set the size to {size}')
            except PermissionError as error:
                lab.check(error.errno == errno.EPERM, f'{error}')
        seals = fcntl.fcntl(client.memory, fcntl.F_GET_SEALS)
        lab.check(seals & fcntl.F_SEAL_SEAL, f'seals 0x{seals:x}')
        server.stop()


def memory_is_reserved():
    """Every byte that is promised is there before the first client."""
    server = lab.Server('-l', '32M')
    client = Client(server.socket).greet()
    lab.check(os.fstat(client.memory).st_blocks * 512 >= 32 * MIB, 'the memfd is sparse')
    place = lab.private_dir()
    lab.Server('-l', '32M', '-m', place / 'region', name='file')
    lab.check((place / 'region').stat().st_blocks * 512 >= 32 * MIB, 'the file is sparse')


def regions_differ():
    servers = [lab.Server(name=name) for name in ('one', 'two')]
    one, two = [Client(server.socket).greet() for server in servers]
    lab.check(one.region.uuid() != two.region.uuid(), 'two regions have one uuid')
    lab.check(one.region.epoch() != two.region.epoch(), 'two servers have one epoch')


def directory():
    place = lab.private_dir()
    server = lab.Server('-m', place, '-l', '1M')
    client = Client(server.socket).greet()
    lab.check(os.listdir(place) == [], 'the file has a name')
    lab.check(os.fstat(client.memory).st_dev == place.stat().st_dev, 'not in the directory')


def shm_object():
    name = f'ivshmem-test-{os.getpid()}'
    server = lab.Server('-M', name, '-l', '2M')
    lab.check(os.stat(f'/dev/shm/{name}').st_mode & 0o777 == 0o600, 'mode')
    client = Client(server.socket).greet()
    lab.check(os.fstat(client.memory).st_ino == os.stat(f'/dev/shm/{name}').st_ino, 'not the same')
    refused('second', [name, 'another ivshmem-server'], '-M', name)
    refused('second-force', [name, 'another ivshmem-server'], '-M', name, '--force')
    lab.check(server.stop() == 0, 'exit status')
    lab.check(not os.path.exists(f'/dev/shm/{name}'), 'it is left')


def file_is_used_on():
    """The next server on the file continues lives, with the clients of the last one still there."""
    path = lab.private_dir() / 'region'
    server = lab.Server('-m', path, '-l', '4M', '--ports', 3, '-n', 1)
    old = Client(server.socket).handshake(1, [])
    uuid, epoch = old.region.uuid(), old.region.epoch()
    server.stop(number=signal.SIGKILL)
    server = lab.Server('-m', path, '-n', 2, name='again')
    new = Client(server.socket).handshake(2, [])
    lab.check(new.region.uuid() == uuid and new.region.epoch() not in (0, epoch), 'uuid, epoch')
    lab.check(old.region.slot(0) == ((2, LIVE, 0, 2), new.region.epoch()), 'the life begins anew')
    lab.check(old.region.geometry()['ports'] == 3, 'geometry')
    lab.check(server.stop() == 0 and path.exists(), 'the file is gone')
    lab.check(old.region.epoch() == 0, 'the region says that a server lives')
    lab.Server('-m', path, '-l', '4M', '--ports', 3, name='same').stop()


def file_differs():
    path = lab.private_dir() / 'region'
    lab.Server('-m', path, '-l', '4M', '--ports', 3).stop()
    before = path.read_bytes()
    for args, words in ((['-l', '8M'], ['--size 4194304', '8388608']),
                        (['--ports', 2], ['--ports 3', ' 2;']),
                        (['--queues', 1], ['--queues ', ' 1;']),
                        (['--ring-size', 32], ['--ring-size ', ' 32;']),
                        (['--buf-size', 4096], ['--buf-size ', ' 4096;']),
                        (['--headroom', 192], ['--headroom 128', ' 192;'])):
        refused('differs', [str(path), '--force', *words], '-m', path, *args)
    lab.check(path.read_bytes() == before, 'a refused region was changed')
    with open(path, 'r+b') as file:
        old = Region(file.fileno())
    server = lab.Server('-m', path, '-l', '8M', '--force', name='force')
    new = Client(server.socket).greet()
    lab.check(new.region.geometry()['ports'] == 2, 'not replaced')
    lab.check(old.geometry()['ports'] == 3, 'who has the old region mapped lost it')


def foreign_files_stay():
    place = lab.private_dir()
    contents = {'text': b'precious', 'zeros': bytes(4 * MIB), 'large': b'x' * MIB}
    for name, content in contents.items():
        (place / name).write_bytes(content)
        refused(name, [name, 'no ivshmem region', '--force'], '-m', place / name)
        lab.check((place / name).read_bytes() == content, f'{name} was changed')
    server = lab.Server('-m', place / 'text', '-l', '1M', '--force')
    lab.check((place / 'text').stat().st_size == MIB, '--force did not replace it')
    server.stop()
    refused('device', ['/dev/null', 'no regular file'], '-m', '/dev/null')
    refused('device', ['/dev/null', 'no regular file'], '-m', '/dev/null', '--force')


def empty_file_is_taken():
    path = lab.private_dir() / 'region'
    path.touch()
    inode = path.stat().st_ino
    lab.Server('-m', path, '-l', '1M').stop()
    lab.check(path.stat().st_ino == inode and path.stat().st_size == MIB, 'not in that file')


def broken_regions_are_refused():
    path = lab.private_dir() / 'region'
    lab.Server('-m', path, '-l', '1M').stop()
    good = path.read_bytes()
    for name, off, byte, words in (('version', 8, 9, ['version 9.0']),
                                   ('feature', 32, 1, ['feat_incompat']),
                                   ('ports', 80, 200, ['port_cnt']),
                                   ('length', 56, 1, ['total_len'])):
        path.write_bytes(good[:off] + bytes([byte]) + good[off + 1:])
        refused(name, [str(path), '--force', *words], '-m', path)
    path.write_bytes(good[:512 << 10])
    refused('truncated', [str(path), 'total_len 1048576', '524288 bytes'], '-m', path)


def files_of_others_are_refused():
    """Who can cut the file short, or who everybody is, is named; nothing of it is touched."""
    if os.geteuid() != 0:
        lab.skip('needs root, to give files away')
    path = lab.private_dir() / 'region'
    lab.Server('-m', path, '-l', '1M').stop()
    name = f'ivshmem-test-{os.getpid()}'
    shm = Path('/dev/shm') / name
    shm.write_bytes(path.read_bytes())
    for args, file in ((['-m', path], path), (['-M', name], shm)):
        for owner, mode, words in ((65534, 0o600, ['user 65534', 'this process is user 0']),
                                   (0, 0o606, ['permissions 0606', 'user 0', 'chmod']),
                                   (0, 0o602, ['permissions 0602'])):
            os.chown(file, owner, owner)
            file.chmod(mode)
            before = file.read_bytes()
            refused('other', [str(args[1]), *words], *args)
            refused('force', [str(args[1]), *words], *args, '--force')
            lab.check(file.read_bytes() == before, 'the refused file was changed')
        os.chown(file, 0, 65534)
        file.chmod(0o660)
        lab.Server(*args, name='group').stop()
    shm.unlink(missing_ok=True)


def port_holds_the_file():
    """A vdev with path= locks its slot's byte; formatting beneath it is refused, always."""
    path = lab.private_dir() / 'region'
    lab.Server('-m', path, '-l', '1M').stop()
    with open(path, 'r+b') as port:
        fcntl.lockf(port, fcntl.LOCK_EX, 1, 4096)
        refused('force', [str(path), 'port'], '-m', path, '--force')
        lab.Server('-m', path, name='beside').stop()


def small_dev_shm():
    if os.geteuid() != 0:
        lab.skip('a mount namespace needs root')
    for args in (['-M', 'x'], ['-m', '/dev/shm'], ['-m', '/dev/shm/x']):
        prefix = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=8m tmpfs /dev/shm || exit 9;'
                  ' "$@"; s=$?; test -z "$(ls -A /dev/shm)" || s=8; exit $s', 'sh']
        refused('small', ['67108864', '8388608', '--size'], *args, '-l', '64M', prefix=prefix)
    # it fits by its size, but not any more when half of it is reserved
    prefix = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=8m tmpfs /dev/shm || exit 9;'
              ' head -c 5M /dev/zero >/dev/shm/other; "$@"; s=$?; '
              'test "$(ls -A /dev/shm)" = other || s=8; exit $s', 'sh']
    refused('half', ['4194304', '3145728'], '-M', 'x', '-l', '4M', prefix=prefix)


def holes_on_a_full_file_system():
    """To touch a hole there is a SIGBUS, also to read it: a file is never trusted to have none."""
    if os.geteuid() != 0:
        lab.skip('a mount namespace needs root')
    place = lab.private_dir()
    good = place / 'good'
    lab.Server('-m', good, '-l', '4M').stop()
    for name, make, words in (
            ('holes', 'truncate -s 4M $F', ['no ivshmem region']),
            ('region', f'head -c 4K {good} >$F && truncate -s 4M $F', ['4194304', ' 0 bytes free']),
            ('empty', ': >$F', ['67108864', ' 0 bytes free'])):
        script = ('F=/dev/shm/x; mount -t tmpfs -o size=1m tmpfs /dev/shm || exit 9; ' + make +
                  ' || exit 9; head -c 2M /dev/zero >/dev/shm/rest 2>/dev/null; "$@"')
        refused(name, ['/dev/shm/x', *words], '-m', '/dev/shm/x',
                prefix=['unshare', '-m', 'sh', '-c', script, 'sh'])


def placed(client):
    """The line of a client's numa_maps that is its mapping of the region."""
    inode = os.fstat(client.memory).st_ino
    with open('/proc/self/maps', encoding='utf-8') as file:
        start = next(line.split('-')[0] for line in file if line.split()[4] == str(inode))
    with open('/proc/self/numa_maps', encoding='utf-8') as file:
        return next(line for line in file if line.startswith(start + ' '))


def numa_node():
    """There may be one node only: that its pages are there shows little, the policy shows it."""
    plain = Client(lab.Server('-l', '4M', name='plain').socket).greet()
    lab.check(' default ' in placed(plain), f'without the option: {placed(plain)}')
    bound = Client(lab.Server('-l', '4M', '--numa-node', 0).socket).greet()
    lab.check(' bind:0 ' in placed(bound), placed(bound))
    bound.region.map[:] = bytes(len(bound.region.map))
    lab.check(' N0=1024 ' in placed(bound), f'not all pages are of node 0: {placed(bound)}')
    server = lab.Server('-M', f'ivshmem-test-{os.getpid()}', '-l', '4M', '--numa-node', 0,
                        name='named')
    named = placed(Client(server.socket).greet())
    lab.check(server.stop() == 0 and ' bind:0 ' in named, named)


def numa_node_hugepages():
    lab.need_hugepages(8)
    server = lab.Server('-l', '16M', '--hugepages', '--numa-node', 0)
    with open(f'/proc/{server.pid}/numa_maps', encoding='utf-8') as file:
        line = next(line for line in file if 'memfd:ivshmem' in line)
    lab.check(' bind:0 ' in line and ' huge ' in line and ' N0=' in line, line)


def numa_node_refused():
    total = int(open('/proc/meminfo', encoding='ascii').readline().split()[1]) << 10
    size = 1 << total.bit_length() + 1
    refused('memory', [str(size), 'NUMA node 0'], '-l', size, '--numa-node', 0,
            prefix=['prlimit', '--fsize=1073741824'])
    pages = int((lab.HUGE / 'nr_hugepages').read_text())
    size = max(1 << (2 * MIB * pages).bit_length(), 2 * MIB)
    refused('pages', [f'{size // (2 * MIB)} free hugepages', 'NUMA node 0'], '--hugepages',
            '-l', size, '--numa-node', 0)
    refused('node', ['--numa-node', 'there are: 0'], '--numa-node', 1023, status=2)
    disk = lab.BUILD / 'numa-node'
    refused('disk', [str(disk), '--numa-node 0', 'tmpfs'], '-m', disk, '-l', '1M',
            '--numa-node', 0)
    lab.check(not disk.exists(), 'the refused file is left')


def more_than_the_memory():
    with open('/proc/meminfo') as file:
        total = int(file.readline().split()[1]) << 10
    size = 1 << total.bit_length() + 1
    # the limit of the file's size only saves the machine if the server does not refuse
    refused('memory', [str(size), 'memory'], '-l', size, prefix=['prlimit', '--fsize=1073741824'])


def hugepages():
    pages = int((lab.HUGE / 'nr_hugepages').read_text())
    size = max(1 << (2 * MIB * pages).bit_length(), 2 * MIB)
    refused('missing', [str(size), f'{size // (2 * MIB)} free hugepages', 'nr_hugepages'],
            '--hugepages', '-l', size)
    lab.need_hugepages(8)
    server = lab.Server('--hugepages', '-l', '16M')
    client = Client(server.socket).greet()
    lab.check(os.fstatvfs(client.memory).f_bsize == 2 * MIB, 'not of 2 MiB pages')
    server.stop()


def hugetlbfs_directory():
    if os.geteuid() != 0:
        lab.skip('a mount namespace needs root')
    lab.need_hugepages(8)
    place = lab.private_dir()
    mount = place / 'huge'
    mount.mkdir()
    prefix = ['unshare', '-m', 'sh', '-c', f'mount -t hugetlbfs none {mount} || exit 9; exec "$@"',
              'sh']
    server = lab.Process('server', [*prefix, lab.server(), '-S', place / 's', '-m', mount,
                                    '-l', '16M'])
    server.expect('ready')
    client = Client(place / 's').greet()
    lab.check(os.fstatvfs(client.memory).f_bsize == 2 * MIB, 'not of 2 MiB pages')
    client.close()
    lab.check(server.stop() == 0, 'exit status')
    refused('page', ['1048576', '2097152'], '-m', mount, '-l', '1M', prefix=prefix,
            status=2)
    refused('file', ['hugepages'], '-m', mount / 'x', '-l', '1T', prefix=prefix)


lab.main(memfd_is_sealed, memory_is_reserved, regions_differ, directory, shm_object,
         file_is_used_on, file_differs, foreign_files_stay, empty_file_is_taken,
         broken_regions_are_refused, files_of_others_are_refused, port_holds_the_file,
         small_dev_shm, holes_on_a_full_file_system, numa_node, numa_node_hugepages,
         numa_node_refused, more_than_the_memory, hugepages, hugetlbfs_directory)
