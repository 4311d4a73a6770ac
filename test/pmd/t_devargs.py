#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Wrong device arguments: the text names the argument, its value and what is allowed.

One process probes; a refused probe leaves no port, file, lock, open fd, mapping or memory.
"""

import lab
import pair

VALID = ('socket=', 'path=', 'port=', 'mac=', 'create=', 'size=', 'queues=', 'ring_size=',
         'buf_size=')


def usage(shell):
    maps = [x for x in open(f'/proc/{shell.pid}/maps', encoding='utf-8') if '/dev/shm' in x]
    return lab.fd_count(shell.pid), len(maps), shell.do('memory')


def refuse_all(name, cases):
    """Each (arguments, words) is refused; FILE stands for a path in an empty directory."""
    region = pair.Region()
    shell = pair.Shell(name)
    shell.refused('probe net_ivshmem0 -')       # the log's and the bus's first memory
    before = usage(shell)
    for number, (args, *words) in enumerate(cases):
        args = args.replace('FILE', str(region.path)) or '-'
        shell.refused(f'probe net_ivshmem{number % 3} {args}', f'net_ivshmem{number % 3}: ', *words)
        lab.check(not any(region.dir.iterdir()), f'{args}: left {list(region.dir.iterdir())}')
    after = usage(shell)
    lab.check(before == after, f'fds, mappings, memory: {before} before, {after} after')
    port = shell.do(f'probe net_ivshmem0 {region.args()}')
    lab.check(port == {'port': 0}, f'a good one afterwards: {port}')
    shell.up().quit()


def keys():
    refuse_all('keys', [
        ('foo=1', 'foo=1', 'is not known', *VALID),
        ('path=FILE,Path=x', 'Path=x', 'is not known', *VALID),
        ('path=FILE,shm=/x', 'shm=/x', 'is not known', *VALID),
        ('path=FILE,zerocopy=1', 'zerocopy=1', 'is not known', *VALID),
        ('path=FILE,path=FILE', 'path=', 'is given twice', *VALID),
        ('path=FILE,port=0,port=1', 'port=1', 'is given twice', *VALID),
        ('path', 'path', 'has no value', *VALID),
        ('path=FILE,create', 'create', 'has no value', *VALID),
    ])


def values():
    cases = [('path=', 'path=', '1..4095'),
             ('socket=', 'socket=', '1..107'),
             ('socket=/' + 'x' * 107, 'socket=/xxx', '108 bytes', '1..107'),
             ('path=/' + 'x' * 4000, 'path=/xxx', 'File name too long')]
    for key, bad, limits in (
            ('port', ('x', '-1', '1x', '1024', '0x1', '99999999999999999999'), '0..1023'),
            ('create', ('2', 'yes', '-1'), '0..1'),
            ('queues', ('0', '17', '1.5'), '1..16'),
            ('ring_size', ('31', '32769', '1k'), '32..32768'),
            ('buf_size', ('255', '65473', '2K'), '256..65472'),
            ('size', ('1', '1023K', '64X', '64MB', 'M', '-1', '1025G', '99999999999999999999',
                      '18014398509481985K'), '1048576..1099511627776')):
        for value in bad:
            cases.append((f'path=FILE,{key}={value}', f'{key}={value}', limits))
    for value in ('x', '02:00:00:00:00', '01:00:00:00:00:01', '00:00:00:00:00:00',
                  'ff:ff:ff:ff:ff:ff'):
        cases.append((f'path=FILE,mac={value}', f'mac={value}', 'unicast address'))
    refuse_all('values', cases)


def combinations():
    refuse_all('combinations', [
        ('', 'socket=PATH', 'path=FILE'),
        ('port=0', 'socket=PATH', 'path=FILE'),
        ('socket=/x,path=FILE', 'socket=', 'path=', 'exclude'),
        ('socket=/x,port=1', 'port=', "server's to choose"),
        ('path=FILE,size=64M', 'size=', 'create=1'),
        ('path=FILE,queues=2', 'queues=', 'create=1'),
        ('path=FILE,create=0,ring_size=64', 'ring_size=', 'create=1'),
        ('socket=/x,create=1,size=64M', 'create=1', 'path=FILE'),
        ('path=FILE,create=1', 'create=1', 'size=64M'),
        ('path=FILE', 'No such file', 'create=1,size='),
    ])


def geometries():
    """What cannot be made is refused before there is a file, with what would fit."""
    make = 'path=FILE,create=1,'
    refuse_all('geometries', [
        (make + 'size=3M', '3145728', '2097152', '4194304'),
        (make + 'size=1048577', '1048577', '1048576', '2097152'),
        (make + 'size=64M,ring_size=100', '100', 'power of two'),
        (make + 'size=64M,buf_size=300', '300', 'multiple of 64'),
        (make + 'size=1M,queues=16', 'queues 16', 'does not fit'),
        (make + 'size=1M,ring_size=32768', '32768', 'does not fit'),
        (make + 'size=1M,buf_size=65472', '65472', 'does not fit'),
        (make + 'size=64M,port=2', 'port=2', '0..1'),
        ('path=/nonexistent/dir/file,create=1,size=64M', '/nonexistent/dir/file', 'No such file'),
    ])


def no_room():
    """A file system that is too small: nothing half-made is left."""
    region = pair.Region()
    mounted = pair.run(['mount', '-t', 'tmpfs', '-o', 'size=4M', 'tmpfs', region.dir])
    lab.check(mounted[0] == 0, f'mount: {mounted[1]}')
    try:
        shell = pair.Shell('no-room')
        shell.refused(f'probe net_ivshmem0 {region.args()}', str(region.path), '67108864',
                      'No space left')
        lab.check(not any(region.dir.iterdir()), f'left {list(region.dir.iterdir())}')
        shell.quit()
    finally:
        pair.run(['umount', region.dir])


def on_the_command_line():
    """EAL goes on without a port it could not make; a program that wants one says so and ends."""
    status, text = pair.run([pair.TRAFFIC, *pair.eal(), '--vdev', 'net_ivshmem0,foo=1', '--',
                             '--role', 'sink', '--count', 1])
    lab.check(status != 0 and 'argument foo=1 is not known; valid: socket=' in text,
              f'status {status}:\n{text}')


lab.main(keys, values, combinations, geometries, no_room, on_the_command_line)
