# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the tests of the driver share: a region, and processes at both of its ports.

    Traffic   ivshmem-traffic, the judge of content; report() is its JSON
    Shell     ivshmem-shell, ethdev calls one by one
    OddPeer   ivshmem-odd-peer, a port that breaks rules on request
    Region    the region's file, and what its ring ends say
"""

import atexit
import json
import mmap
import re
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import lab

TOOLS = lab.BUILD / 'test' / 'pmd'
TRAFFIC = lab.BUILD / 'test' / 'traffic' / 'ivshmem-traffic'


def eal(memory=64, plugin=None):
    """EAL's arguments for one lcore that may run on any CPU of this test."""
    cpus = ','.join(str(c) for c in sorted(set(lab.cpus(2))))
    return ['--no-pci', '--in-memory', '-m', memory, '--lcores', f'0@({cpus})',
            '-d', plugin or lab.plugin()]


# -- the region --------------------------------------------------------------

class Region:
    """A file for path=; and, once it is formatted, what is written in it."""

    SUPER = struct.Struct('<QHHIQQQ16sQQQIIIIIIIIIIIIQQQQ')     # ivshmem_abi.h, superblock

    def __init__(self, size='64M', where='/dev/shm', **geometry):
        self.dir = Path(tempfile.mkdtemp(prefix='ivshmem-pmd-', dir=where))
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.path = self.dir / 'region'
        self.more = f'create=1,size={size}' + ''.join(f',{k}={v}' for k, v in geometry.items())
        self.map = None

    def vdev(self, *more):
        """Device arguments; the first that comes formats the file."""
        return ','.join(['net_ivshmem0', self.args(*more)])

    def args(self, *more):
        return ','.join([f'path={self.path}', self.more, *more])

    def remove(self):
        if self.map is not None:
            self.map.close()
            self.map = None
        shutil.rmtree(self.dir)

    def _look(self):
        if self.map is None:
            with open(self.path, 'rb') as file:
                self.map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            words = self.SUPER.unpack_from(self.map)
            self.section_off, self.section_len, self.ports, self.queues = words[9:13]
            self.prod_off, self.cons_off = words[20:22]

    def section(self, slot):
        """The bytes of a port's section."""
        self._look()
        start = self.section_off + slot * self.section_len
        return self.map[start:start + self.section_len]

    def _end(self, off, slot, txq, rxq):
        index = ((1 - slot) * self.queues + txq) * self.queues + rxq
        return self.section_off + slot * self.section_len + off + index * 128

    def _word(self, at):
        """An epoch and an index, read by one load."""
        value = int.from_bytes(self.map[at:at + 8], 'little')
        return value >> 32, value & 0xffffffff

    def produced(self, slot, txq=0, rxq=0):
        """(epoch, index) of the producer's end of slot."""
        self._look()
        return self._word(self._end(self.prod_off, slot, txq, rxq))

    def consumed(self, slot, txq=0, rxq=0):
        """(epoch, index) of the consumer's end of slot."""
        self._look()
        return self._word(self._end(self.cons_off, slot, txq, rxq))

    def returned(self, slot, txq=0, rxq=0):
        """(epoch, index) of the return ring of slot's consumer's end."""
        self._look()
        return self._word(self._end(self.cons_off, slot, txq, rxq) + 8)

    def pool(self, slot):
        """The numbers of the buffers that are in the Tx pool of slot."""
        self._look()
        first = self.section_off + slot * self.section_len
        total = int.from_bytes(self.map[first + 68:first + 72], 'little')
        return range(total - int.from_bytes(self.map[first + 280:first + 284], 'little'), total)

    def sent_by(self, slot, index, txq=0, rxq=0):
        """(section, buffer) of a descriptor that slot has written."""
        self._look()
        end = self._end(self.prod_off, slot, txq, rxq)
        count = int.from_bytes(self.map[end + 68:end + 72], 'little')
        off = int.from_bytes(self.map[end + 72:end + 80], 'little')
        at = self.section_off + slot * self.section_len + off + index % count * 32
        return struct.unpack_from('<HHI', self.map, at)[::2]

    def wait_for_beats(self, slot, count=2):
        """Waits until the port in that slot has looked at the others so often."""
        self._look()
        at = self.section_off + slot * self.section_len + 264

        def beat():
            return int.from_bytes(self.map[at:at + 8], 'little')
        last = beat() + count
        lab.wait_until(lambda: beat() >= last, 30, f'{count} heartbeats of port {slot}')

    def state(self, slot):
        """(life, state) of the slot's row."""
        self._look()
        return self._word(self.section_off + slot * self.section_len + 256)

    def holds(self, by, slot):
        """The life of the slot that port `by` holds for dead, its low 15 bits; None for none."""
        self._look()
        at = self.section_off + by * self.section_len + 2048 + 2 * slot
        value = int.from_bytes(self.map[at:at + 2], 'little')
        return value & 0x7fff if value & 0x8000 else None


class Served:
    """A region behind a server."""

    def __init__(self, *options, name='server'):
        self.server = lab.Server(*options, name=name)

    def args(self, *more):
        return ','.join([f'socket={self.server.socket}', *more])

    def vdev(self, *more):
        return ','.join(['net_ivshmem0', self.args(*more)])

    def remove(self):
        lab.check(self.server.stop() == 0, 'the server did not end with status 0\n'
                  + self.server.tail())
        lab.check(not self.server.socket.exists(), 'the server left its socket')


# -- ivshmem-traffic ---------------------------------------------------------

class Traffic(lab.Process):
    def __init__(self, name, role, vdev, *options, memory=128):
        super().__init__(name, [TRAFFIC, *eal(memory), '--log-level=4', '--vdev', vdev, '--',
                                '--role', role, '--json', *options])

    def report(self, seconds=100, status=0):
        """Waits for its end and returns its verdict."""
        found = self.wait(seconds)
        match = re.search(r'^\{"role".*\}$', self.output(), re.M)
        lab.check(match and found == status,
                  f'{self.name} ended with status {found}, not {status}\n{self.tail()}')
        return json.loads(match.group(0))


def check_clean(report):
    """No frame was refused or lost, and no index was odd, by the port's own count."""
    stats = {**report['port']['stats'], **report['port']['xstats']}
    wrong = {k: v for k, v in stats.items() if v and (
        re.match(r'(rx|tx)_(bad|too|lost|not_mine|discarded)', k) or k.endswith('errors'))}
    lab.check(not wrong, f'{report["role"]} of {report["port"]["name"]}: {wrong}')


def exchange(name, vdevs, options, counts, memory=128, roles=('gensink', 'gensink')):
    """Traffic between two ports; every frame that one sent the other must have received."""
    pair = [Traffic(f'{name}-{role}-{side}', role, vdev, '--source', side, '--quiet', *options,
                    *counts[side], memory=memory)
            for side, (role, vdev) in enumerate(zip(roles, vdevs))]
    reports = [side.report() for side in pair]
    for mine, other in (reports, reports[::-1]):
        check_clean(mine)
        if mine['role'] != 'sink':
            lab.check(mine['totals']['sent'] == other['totals']['received'],
                      f'{name}: {mine["totals"]["sent"]} frames sent, '
                      f'{other["totals"]["received"]} received')
    return reports


# -- programs that are driven by lines ---------------------------------------

class Refused(lab.Failure):
    """A command's answer was an error; .errno and .text (all that was printed meanwhile)."""

    def __init__(self, line, number, text):
        super().__init__(f'{line!r} failed with errno {number}:\n{text}')
        self.errno = number
        self.text = text


class Driven(lab.Process):
    def __init__(self, name, argv, env=None):
        super().__init__(name, argv, env=env)
        self.hello = self._reply('(its start)', 30)

    def _reply(self, line, seconds):
        end = time.monotonic() + seconds
        pause = 0.0001
        start = self.seen
        while True:
            ended = not self.running()
            with open(self.log, 'rb') as file:
                file.seek(start)
                data = file.read()
            match = re.search(rb'^reply: (ok|error)(.*)\n', data, re.M)
            if match:
                break
            if ended or time.monotonic() > end:
                raise lab.Failure(f'{self.name}: no answer to {line!r}: '
                                  + (f'it ended with status {self.proc.returncode}' if ended
                                     else f'{seconds} s passed') + '\n' + self.tail())
            time.sleep(pause)
            pause = min(2 * pause, 0.001)
        self.seen = start + match.end()
        text = data[:match.start()].decode(errors='replace')
        words = match.group(2).decode(errors='replace').split()
        if match.group(1) == b'error':
            raise Refused(line, int(words[0]), text + ' '.join(words[1:]))
        pairs = dict(w.split('=', 1) for w in words)
        return {k: int(v) if re.fullmatch(r'-?\d+', v) else v for k, v in pairs.items()}

    def do(self, line, seconds=20):
        """Runs a command and returns its key=value pairs; Refused when it fails."""
        self.send(line + '\n')
        return self._reply(line, seconds)

    def do_all(self, lines, seconds=20):
        """Runs commands one after the other without a pause between them; their answers."""
        self.send(''.join(line + '\n' for line in lines))
        return [self._reply(line, seconds) for line in lines]

    def refused(self, line, *words, seconds=20):
        """Runs a command that must fail, with all of the words in what it prints."""
        try:
            self.do(line, seconds)
        except Refused as refusal:
            for word in words:
                lab.check(word in refusal.text,
                          f'{line!r} was refused, but not a word of {word!r}:\n{refusal.text}')
            return refusal
        raise lab.Failure(f'{line!r} was not refused')

    def until(self, line, predicate, seconds, what):
        """Repeats a command until its answer satisfies the predicate."""
        return lab.wait_until(lambda: (lambda r: r if predicate(r) else None)(self.do(line)),
                              seconds, what)

    def quit(self):
        self.do('quit')
        status = self.wait(20)
        lab.check(status == 0, f'{self.name} ended with status {status}\n{self.tail()}')


class Shell(Driven):
    def __init__(self, name, vdev=None, memory=64, eal_more=(), argv=None):
        super().__init__(name, argv or [TOOLS / 'ivshmem-shell', *eal(memory),
                                        '--log-level=pmd.net.ivshmem:info', *eal_more,
                                        *(['--vdev', vdev] if vdev else [])])

    def up(self, queues=1, pool='4095 2048', options=''):
        """A port that is started; returns itself."""
        self.do(f'pool {pool}')
        self.do(f'configure 0 {queues} {queues} {options}')
        self.do('start 0')
        return self

    def link(self, want, seconds=10, port=0):
        reply = self.do(f'link {port} {want} {seconds * 1000}', seconds + 10)
        lab.check(reply['link'] == want, f'{self.name}: the link is not {want} after {seconds} s')
        return reply

    def meet(self, peer, txq=0, rxq=0):
        """Sends frames one by one until one arrives; returns how many went astray before.

        The ends of a ring agree on a session in the bursts of both; and a port that was not told
        yet of a restart of the other (a heartbeat tells it) still sends to the session before."""
        sent = 0
        end = time.monotonic() + 10
        while True:
            reply = self.do(f'send 0 {txq} 1 64')
            sent += reply['sent']
            got = peer.do(f'recv 0 {rxq} 1 1')
            if got['got']:
                lab.check(sent and not got['bad'] and got['last'] == reply['first'],
                          f'{self.name} sent {reply}, {peer.name} received {got}')
                return sent - 1
            lab.check(time.monotonic() < end, f'{self.name} sent {sent} frames from Tx queue '
                      f'{txq}, none arrived at {peer.name}')

    def exchange(self, peer, count=100, length=64, queue=0):
        """Frames there and back, none missing: the ports work."""
        for sender, receiver in ((self, peer), (peer, self)):
            sender.meet(receiver, queue, queue)
            sent = sender.do(f'send 0 {queue} {count} {length} 1 1000')
            got = receiver.do(f'recv 0 {queue} {count + 1} 200')
            lab.check(sent['sent'] == got['got'] == count and not got['bad'] and not got['gaps']
                      and got['first'] == sent['first'],
                      f'{sender.name} to {receiver.name}: sent {sent}, received {got}')


class OddPeer(Driven):
    def __init__(self, name, region, slot=1, other=0):
        super().__init__(name, [TOOLS / 'ivshmem-odd-peer', region.path, slot, other])
        self.slot = slot


def shell_pair(region, name='', queues=1, **more):
    """Two shells with started ports and the link up; slots 0 and 1."""
    pair = [Shell(f'{name}{side}', region.vdev()) for side in 'ab']
    for side in pair:
        side.up(queues, **more)
    for side in pair:
        side.link('up')
    for queue in range(queues):
        pair[0].meet(pair[1], queue, queue)
        pair[1].meet(pair[0], queue, queue)
    return pair


def quit_all(*processes):
    for process in processes:
        process.quit()


def run(argv, seconds=60, **more):
    """A command to its end: (status, output)."""
    try:
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors='replace', timeout=seconds, **more)
    except subprocess.TimeoutExpired as late:
        raise lab.Failure(f'{argv[0]} did not end within {seconds} s:\n{late.output}')
    return done.returncode, done.stdout
