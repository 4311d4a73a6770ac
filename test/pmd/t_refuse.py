#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Regions, servers and processes that cannot be served: one clear error, and nothing is left.

A refused region is not written to; a refused process leaves no lock, fd or mapping behind.
"""

import hashlib
import os
import shutil
import socket
import struct
import time
import tempfile
import threading
from pathlib import Path

import lab
import pair

MIB = 1 << 20

# offsets in the superblock, as in ivshmem_abi.h
FIELDS = {'major': (8, '<H'), 'hdr_len': (12, '<I'), 'feat_ro': (24, '<Q'),
          'feat_incompat': (32, '<Q'), 'total_len': (56, '<Q'), 'section_off': (64, '<Q'),
          'section_len': (72, '<Q'), 'port_cnt': (80, '<I'), 'queue_cnt': (84, '<I'),
          'line_len': (88, '<I'), 'granule': (92, '<I'), 'ring_slots': (96, '<I'),
          'buf_len': (100, '<I'), 'buf_cnt': (104, '<I'), 'headroom': (108, '<I'),
          'rxq_off': (112, '<I'), 'prod_off': (116, '<I'), 'cons_off': (120, '<I'),
          'slot_len': (124, '<I'), 'ring_off': (128, '<Q'), 'ring_len': (136, '<Q'),
          'buf_off': (144, '<Q'), 'slot_off': (152, '<Q')}


class Prober:
    """A process that probes; a refusal must leave it as it was."""

    def __init__(self, name):
        self.shell = pair.Shell(name)
        self.accepts(pair.Region('1M').args())      # what ethdev allocates once, and keeps
        self.before = self.usage()

    def usage(self):
        return lab.fd_count(self.shell.pid), self.shell.do('memory'), len([
            x for x in open(f'/proc/{self.shell.pid}/maps', encoding='utf-8') if '/dev/shm' in x])

    def refuses(self, args, *words, seconds=20):
        self.shell.refused(f'probe net_ivshmem0 {args}', 'net_ivshmem0: ', *words, seconds=seconds)
        # the socket by which EAL tells other processes of a probe closes a moment later
        for _ in range(50):
            now = self.usage()
            if now == self.before:
                break
            time.sleep(0.1)
        lab.check(now == self.before, f'{args}: {self.before} before, {now} after')

    def refuses_file(self, path, *words):
        digest = hashlib.sha256(path.read_bytes()).digest()
        self.refuses(f'path={path}', f'path={path}', *words)
        lab.check(hashlib.sha256(path.read_bytes()).digest() == digest, f'{path} was written to')

    def accepts(self, args):
        self.shell.do(f'probe net_ivshmem0 {args}')
        self.shell.do('remove net_ivshmem0')

    def quit(self):
        self.shell.quit()


def formatted(size='1M'):
    """A region without anybody in it."""
    region = pair.Region(size)
    status, text = pair.run([lab.server(), 'format', '-l', size, region.path])
    lab.check(status == 0, text)
    return region


def foreign_files():
    region = pair.Region('1M')
    prober = Prober('foreign')
    file = region.path
    for content, words in ((b'', ['0 bytes are no region']),
                           (b'x' * 100, ['100 bytes are no region', 'create=1']),
                           (bytes(MIB), ['not a region', 'no magic']),
                           (os.urandom(MIB), ['not a region', 'no magic']),
                           (b'IVSHMNET' + bytes(1000), ['version 0.0'])):
        file.write_bytes(content)
        prober.refuses_file(file, *words)
    file.write_bytes(os.urandom(MIB))
    prober.refuses(f'path={file},create=1,size=1M', 'no magic')
    prober.refuses(f'path={file},create=1,size=2M', '1048576 bytes already', 'size=2097152')
    lab.check(file.stat().st_size == MIB, 'a foreign file changed its size')
    prober.refuses(f'path={region.dir}', 'directory')
    prober.refuses('path=/dev/null', '0 bytes are no region')
    prober.quit()


def other_sizes():
    region = formatted('2M')
    prober = Prober('sizes')
    prober.accepts(f'path={region.path}')
    for size in (MIB, 4096, 256, 4 * MIB, 2 * MIB - 1):
        os.truncate(region.path, size)
        prober.refuses_file(region.path, 'total_len 2097152', f'{size} bytes are mapped')
    os.truncate(region.path, 2 * MIB)
    prober.quit()


def others_files():
    """Who could cut the file short, killing whoever has it mapped, is named with who we are."""
    region = formatted()
    prober = Prober('owners')
    os.chown(region.path, 65534, 65534)
    prober.refuses_file(region.path, 'belongs to user 65534',
                        f'this process is user {os.geteuid()}')
    prober.refuses(f'path={region.path},create=1,size=1M', 'belongs to user 65534')
    os.chown(region.path, 0, 65534)
    region.path.chmod(0o606)
    prober.refuses_file(region.path, 'permissions 0606', 'belongs to user 0')
    region.path.chmod(0o660)
    prober.accepts(f'path={region.path}')
    prober.quit()


def a_file_in_use():
    """create=1 with the file of a running port, by a name that is gone: it stays as it is."""
    region = pair.Region('1M')
    a = pair.Shell('in-use', region.vdev())
    with open(region.path, 'rb') as file:
        region.path.unlink()
        path = f'/proc/{os.getpid()}/fd/{file.fileno()}'
        prober = Prober('unlinked')
        prober.refuses(f'path={path},create=1,size=1M', 'was removed')
        prober.refuses(f'path={path},create=1,size=2M', 'was removed')
        lab.check(os.fstat(file.fileno()).st_size == MIB, 'it was cut short')
        lab.check(not region.path.exists(), 'a file was made')
        prober.accepts(f'path={path}')
    prober.quit()
    a.quit()


def other_formats():
    """Another version, unknown features, and every field of the geometry made impossible."""
    region = formatted()
    prober = Prober('formats')
    good = region.path.read_bytes()
    cases = [('major', 2, 'version 2.0', '1.x'), ('major', 0, 'version 0.0'),
             ('feat_ro', 1, 'features are not known', 'feat_ro 0x1'),
             ('feat_incompat', 1 << 63, 'features are not known', '0x8000000000000000')]
    for field in FIELDS:
        if field in ('major', 'feat_ro', 'feat_incompat'):
            continue
        top = (1 << 8 * struct.calcsize(FIELDS[field][1])) - 1
        for value in (0, top, top // 2 + 1):
            if not (field == 'section_len' and value == 0):
                cases.append((field, value, field))
    cases += [('ring_slots', 48, 'power of two'), ('buf_len', 300, 'buf_len'),
              ('section_len', 0, 'section_len'), ('queue_cnt', 2, ''), ('port_cnt', 4, ''),
              ('ring_off', 4097, ''), ('buf_cnt', 100000, 'buf_cnt')]
    for field, value, *words in cases:
        offset, form = FIELDS[field]
        bad = bytearray(good)
        struct.pack_into(form, bad, offset, value)
        if bad == good:
            continue
        region.path.write_bytes(bad)
        prober.refuses_file(region.path, *words)
    bad = bytearray(good)
    bad[struct.unpack_from('<Q', good, 64)[0] + 8] ^= 1     # section 0 says it is 1
    region.path.write_bytes(bad)
    prober.refuses_file(region.path, 'section 0', 'slot is 1')
    region.path.write_bytes(good)
    prober.accepts(f'path={region.path}')
    prober.quit()


def taken_ports():
    region = pair.Region('16M')
    a = pair.Shell('taken-a', region.vdev('port=0'))
    prober = Prober('taken')
    prober.refuses(f'path={region.path},port=0', 'port=0 is taken', 'life 1', f'process {a.pid}')
    prober.refuses(f'path={region.path},port=2', 'port=2', '0..1')
    b = pair.Shell('taken-b', region.vdev())
    prober.refuses(f'path={region.path},port=1', 'port=1 is taken', f'process {b.pid}')
    prober.refuses(f'path={region.path}', 'all 2 ports of the region are taken')
    prober.refuses(region.args(), 'all 2 ports of the region are taken')
    a.quit()
    prober.accepts(f'path={region.path}')       # the lock has gone with its process
    b.kill()
    prober.accepts(f'path={region.path},port=1')
    # the other two are as before
    prober.quit()

    served = pair.Served('-l', '16M')
    a, b = (pair.Shell(f'taken-{x}', served.vdev()) for x in 'cd')
    prober = Prober('taken-served')
    prober.refuses(served.args(), 'ports may be taken')
    pair.quit_all(a, b)
    prober.accepts(served.args())
    prober.quit()
    served.remove()


def held_by_a_server():
    """The file behind a server: its ports are the server's to give."""
    region = pair.Region('16M')
    served = pair.Served('-m', region.path, '-l', '16M')
    prober = Prober('held')
    prober.refuses(f'path={region.path}', 'server', 'socket=')
    prober.accepts(served.args())
    prober.quit()
    served.remove()


class FakeServer:
    """Accepts, says what it is told to say, and hangs up or stays mute."""

    def __init__(self, path, messages, stay=False):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4)
        self.socket.settimeout(20)
        self.messages, self.stay = messages, stay
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        client, _ = self.socket.accept()
        with client:
            for data, fds in self.messages:
                try:
                    if fds:
                        socket.send_fds(client, [data], fds)
                    else:
                        client.sendall(data)
                except OSError:
                    return
            if self.stay:
                client.settimeout(20)
                client.recv(1)      # until the client gives up

    def end(self):
        self.thread.join(30)
        self.socket.close()


def servers():
    """Sockets that are none, and servers that are mute, odd or of another kind."""
    region = formatted()
    prober = Prober('servers')
    path = region.dir / 'sock'
    prober.refuses(f'socket={path}', f'socket {path} does not exist', 'ivshmem-server -S')
    path.write_text('x')
    prober.refuses(f'socket={path}', f'{path} is not a socket')
    path.unlink()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    prober.refuses(f'socket={path}', 'no server behind it')
    path.unlink()

    def number(value):
        return struct.pack('<q', value)
    files = [os.open(region.path, os.O_RDWR), os.open('/dev/null', os.O_RDWR)]
    hello = [(number(0), []), (number(1), [])]
    for what, messages, *words in (
            ('hangs up', [], 'closed the connection'),
            ('hangs up halfway', [(number(0), [])], 'closed the connection'),
            ('half a message', [(b'\0\0\0', [])], 'closed the connection'),
            ('another version', [(number(1), [])], 'version 1', 'this is 0'),
            ('garbage', [(b'HTTP/1.1 400 Bad Request\r\n', [])], 'version'),
            ('version with an fd', [(number(0), files[:1])], 'version 0', 'with an fd'),
            ('an impossible id', [(number(0), []), (number(65536), [])], 'id 65536', '65535'),
            ('a negative id', [(number(0), []), (number(-1), [])], 'id -1'),
            ('memory without an fd', [*hello, (number(-1), [])], 'memory without an fd'),
            ('an impossible message', [*hello, (number(-2), [])], '-2'),
            ('memory that is none', [*hello, (number(-1), files[1:])], '0 bytes are no region'),
            ('an id that is no port', [(number(0), []), (number(9), []), (number(-1), files[:1])],
             'port 9 is not in the region'),
            ('the largest id', [(number(0), []), (number(65535), []), (number(-1), files[:1])],
             'port 65535 is not in the region', 'it has ports 0..1')):
        fake = FakeServer(path, messages)
        try:
            prober.refuses(f'socket={path}', *words)
        except lab.Failure as failure:
            raise lab.Failure(f'a server that sends {what}: {failure}')
        finally:
            fake.end()
            path.unlink()
    for messages, words in (([], 'said nothing for 5000 ms'),
                            ([(number(0), [])], 'said too little for 5000 ms')):
        fake = FakeServer(path, messages, stay=True)
        prober.refuses(f'socket={path}', words, 'is it an ivshmem server', seconds=60)
        fake.end()
        path.unlink()
    fake = FakeServer(path, [*hello, (number(-1), files[:1])], stay=True)
    prober.accepts(f'socket={path}')        # a server of another make is as good
    fake.end()
    for file in files:
        os.close(file)
    prober.quit()


def secondary():
    """A secondary process gets no port of the primary's, and is told what to do instead."""
    region = pair.Region('16M')
    prefix = f'ivshmem_test_{os.getpid()}'
    arguments = ['--file-prefix', prefix, '--no-pci', '-d', lab.plugin(), '--lcores', '0@0']
    try:
        primary = pair.Shell('primary', argv=[pair.TOOLS / 'ivshmem-shell', *arguments, '-m', 64,
                                              '--vdev', region.vdev()]).up()
        for more in ([], ['--vdev', 'net_ivshmem1,' + region.args()]):
            second = pair.Shell('secondary', argv=[
                pair.TOOLS / 'ivshmem-shell', *arguments, '--proc-type', 'secondary', *more])
            lab.check(second.hello['ports'] == 0, f'{second.hello}')
            lab.check('secondary processes are not supported' in second.output() and
                      'a port of its own' in second.output(), second.tail(40))
            second.quit()
        lab.check(region.state(1)[0] == 0, 'the secondary process claimed a port')
        other = pair.Shell('other', region.vdev()).up()
        other.link('up')
        primary.link('up')
        primary.exchange(other)
        pair.quit_all(primary, other)
    finally:
        for left in [*Path('/dev/hugepages').glob(prefix + '*'),
                     *Path('/var/run/dpdk').glob(prefix)]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def without_privileges():
    """A user that may nothing: no hugepages, no server, a file of its own."""
    home = Path(tempfile.mkdtemp(prefix='ivshmem-test-', dir='/var/lib'))
    region = pair.Region('16M')
    try:
        for file in (pair.TRAFFIC, lab.BUILD / 'drivers' / 'librte_net_ivshmem.so'):
            shutil.copy(file, home / file.name)
        (home / 'run').mkdir()
        os.chmod(home, 0o755)
        for path in (home / 'run', region.dir):
            shutil.chown(path, 'nobody', 'nogroup')

        def start(role, *options):
            return lab.Process('nobody-' + role, [
                'setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--',
                home / 'ivshmem-traffic', '--no-pci', '--no-huge', '-m', 64, '--lcores', '0@0',
                '--file-prefix', role, '-d', home / 'librte_net_ivshmem.so', '--log-level=4',
                '--vdev', region.vdev(), '--', '--role', role, '--count', 20000, '--sizes',
                '60-1518', '--desc', 256, '--wait', 30, '--quiet', *options],
                env={'XDG_RUNTIME_DIR': str(home / 'run'), 'HOME': str(home)}, cwd='/')
        both = [start('sink'), start('gen')]
        for process in both:
            status = process.wait(60)
            lab.check(status == 0, f'{process.name}: status {status}\n{process.tail()}')
        lab.check(region.path.stat().st_mode & 0o777 == 0o600, 'others may open the region')
    finally:
        shutil.rmtree(home)


lab.main(foreign_files, other_sizes, others_files, a_file_in_use, other_formats, taken_ports,
         held_by_a_server, servers, secondary, without_privileges)
