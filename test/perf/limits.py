# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Times that have a limit: medians of ten, the limit beside each."""

import os
import re
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

import lab

REPEAT = 10
SERVER_WAIT = 15        # ten times the longest limit of the server
PROTOCOL = 0


def _receive(connection, name):
    """One message of the server: eight bytes, little-endian."""
    data = b''
    while len(data) < 8:
        part = connection.recv(8 - len(data))
        lab.check(part, f'the server hung up before it sent its {name}')
        data += part
    return struct.unpack('<q', data)[0]


def _connect(path, end):
    """A client connects as soon as that is possible, without waiting for the readiness line."""
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return connection
        except OSError as error:
            connection.close()
            if time.monotonic() > end:
                raise lab.Failure(f'{path}: no server within {SERVER_WAIT} s: {error}')
        time.sleep(0.0005)


def first_id():
    """From the start of a server with a region of 64 MiB to a client's id, in seconds."""
    path = lab.private_dir() / 'ivshmem.sock'
    begun = time.monotonic()
    process = lab.Process('limit-id', [lab.server(), '-S', path, '-l', '64M'])
    try:
        with _connect(path, begun + SERVER_WAIT) as connection:
            connection.settimeout(SERVER_WAIT)
            version = _receive(connection, 'protocol version')
            lab.check(version == PROTOCOL, f'the server speaks protocol {version}')
            first = _receive(connection, 'id')
        spent = time.monotonic() - begun
        lab.check(first == 0, f'the first id is {first}')
        lab.check(process.stop() == 0, 'the server did not end well\n' + process.tail())
    finally:
        process.end()
    return spent


def _reserved(pid):
    """Bytes that the largest memory object of the process occupies."""
    sizes = [0]
    for entry in Path(f'/proc/{pid}/fd').iterdir():
        if 'memfd:' in os.readlink(entry):
            sizes.append(os.stat(entry).st_blocks * 512)
    return max(sizes)


def reserve_gib():
    """A server with a region of 1 GiB: from its start to its readiness, in seconds."""
    path = lab.private_dir() / 'ivshmem.sock'
    argv = [lab.server(), '-S', str(path), '-l', '1G']
    begun = time.monotonic()
    with open(lab.log_dir() / 'limit-gib.log', 'wb') as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=log, start_new_session=True)
    try:
        line = _first_line(process, begun + SERVER_WAIT)
        spent = time.monotonic() - begun
        lab.check(re.match('ready', line), f'{" ".join(argv)} said {line!r} instead of ready')
        size = _reserved(process.pid)
        lab.check(size >= 1 << 30, f'only {size} bytes of 1 GiB are reserved')
        process.terminate()
        lab.check(process.wait(SERVER_WAIT) == 0, 'the server did not end well')
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(SERVER_WAIT)
        process.stdout.close()
    return spent


def _first_line(process, end):
    """What it prints first; Failure when that is nothing before the end."""
    os.set_blocking(process.stdout.fileno(), False)
    data = b''
    while b'\n' not in data and time.monotonic() < end:
        part = process.stdout.read(4096)
        if part == b'':
            break
        data += part or b''
        time.sleep(0.001)
    return data.partition(b'\n')[0].decode(errors='replace')


def vm_pair():
    import vmpair       # pulls in what test/vm needs
    return vmpair.seconds()


LIMITS = [
    ('server start to the first id, 64 MiB', first_id, 0.1),
    ('1 GiB region reserved and formatted', reserve_gib, 1.5),
    ('VM pair from start to verdict', vm_pair, 60),
]


def run(say, only=None, repeat=REPEAT):
    """Measures all; returns one dictionary a limit."""
    results = []
    for number, (name, measure, limit) in enumerate(LIMITS, 1):
        if only and number not in only:
            continue
        found = []
        for turn in range(repeat):
            found.append(measure())
            say(f'{name}: {turn + 1}/{repeat}  {found[-1]:.3f} s')
        results.append({'name': name, 'limit': limit, 'seconds': found,
                        'median': statistics.median(found)})
    return results


def table(results):
    text = [f'{"median":>9} {"limit":>7}']
    for result in results:
        word = 'ok' if result['median'] < result['limit'] else 'MISSED'
        text.append(f'{result["median"]:7.3f} s {result["limit"]:5} s  {result["name"]}, '
                    f'{min(result["seconds"]):.3f}..{max(result["seconds"]):.3f} s, '
                    f'{len(result["seconds"])} runs: {word}')
    return '\n'.join(text)


def missed(results):
    return any(result['median'] >= result['limit'] for result in results)
