# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the hostile tests share: a region with a victim at work, and an attacker beside it."""

import contextlib
import mmap
import os
import re
import subprocess
import tempfile

import lab
import pair

HERE = lab.BUILD / 'test' / 'hostile'
KINDS = ['random', 'fields', 'rewrite', 'replay', 'claim', 'flood']
PORTS = {'wire': 2, 'segment': 4}       # the attacker has the last one
GEOMETRY = 128                          # bytes of a section's header that the formatter wrote
OWNER_KIND = 136                        # behind them
LOCK = (2).to_bytes(4, 'little')
LEAVE_S = 30                            # for what a closed port leaves behind
# AddressSanitizer maps more for itself; a block of EAL's also has what lies behind it and is too
# small for another
SLACK = {'maps': 16, 'bytes': 4096}
SANITIZERS = {
    'ASAN_OPTIONS': 'detect_leaks=1:strict_string_checks=1:handle_abort=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
}


def build():
    """The programs of this suite, which nothing else needs."""
    done = subprocess.run(['ninja', '-C', lab.BUILD, 'test/hostile/ivshmem-victim',
                           'test/hostile/ivshmem-victim-unchecked',
                           'test/hostile/ivshmem-attacker'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode == 0, f'ninja failed:\n{done.stdout[-3000:]}')


@contextlib.contextmanager
def hugepages():
    """A directory for regions in hugepages; all of them are free again afterwards."""
    with tempfile.TemporaryDirectory(prefix='ivshmem-huge-', dir='/tmp') as where:
        subprocess.run(['mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M,size=64M', 'none', where],
                       check=True)
        try:
            yield where
            now = os.statvfs(where)
            lab.check(now.f_bfree == now.f_blocks > 0, f'of {now.f_blocks} hugepages only '
                      f'{now.f_bfree} came back')
        finally:
            lab.kill_children()
            # lazily: after a failure this process still has the region mapped
            subprocess.run(['umount', '--lazy', where], check=True)


class Victim(pair.Driven):
    """ivshmem-victim with its ports started."""

    def __init__(self, name, region, shape, revive, devargs='', program=None):
        self.file = tempfile.NamedTemporaryFile(dir='/dev/shm', prefix='ivshmem-progress-')
        self.progress = self.file.name
        os.truncate(self.progress, 4096)
        ports = range(PORTS[shape] - 1)
        cpus = ','.join(map(str, sorted(os.sched_getaffinity(0))))
        # iova-mode: else a mempool has one block for each part that is contiguous in memory
        super().__init__(name, [
            program or HERE / 'ivshmem-victim', '--no-pci', '--in-memory', '-m', 64,
            '--iova-mode=va', '--lcores', f'0@({cpus})', '--log-level=pmd.net.ivshmem:error',
            '--', self.progress,
            'revive' if revive else 'calm',
            *[region.args(f'port={port}{"," if devargs else ""}{devargs}') for port in ports]],
            env=SANITIZERS)

    def counts(self):
        return self.do('counts')

    def moves(self, key, more=100, seconds=150):
        """Waits until a count has gone up that much."""
        first = self.counts()[key]
        try:
            self.until('counts', lambda now: now[key] >= first + more, seconds, f'{more} {key}')
        except lab.Failure as failure:
            told = [self.do(f'xstats {port}') for port in range(self.hello['ports'])]
            raise lab.Failure('\n'.join(map(str, (failure, self.counts(), *told))))

    def usage(self):
        """What it has open, mapped and allocated, while all ports are up."""
        now = self.until('usage', lambda now: now['up'] == self.hello['ports'], 30, 'all ports')
        lab.check(now['region'] >= now['up'], f'no mappings of the region were found: {now}')
        return now

    def has_no_more(self, before):
        """What a closed port leaves goes a little later, when the last lent buffer is back."""
        now = {}

        def more():
            now.update(self.usage())
            return [f'{key} {before[key]}, then {now[key]}' for key in before
                    if now[key] > before[key] + SLACK.get(key, 0)]
        try:
            lab.wait_until(lambda: not more(), LEAVE_S, 'what was left')
        except lab.Failure:
            raise lab.Failure(f'{self.name} leaked: {", ".join(more())}')
        return now

    def leave(self):
        """Ends it; what it says and leaves then is a check, too."""
        self.quit()
        text = self.output()
        lab.check('are back and as they were' in text, f'no audit of the mbufs\n{self.tail()}')
        lab.check('runtime error' not in text, f'UBSan found something\n{self.tail(60)}')
        self.file.close()


class Bench:
    """A region, a victim, and room for an attacker or an honest peer at the last port."""

    def __init__(self, name, shape, scope='own', devargs='', where='/dev/shm', program=None):
        self.name = name
        self.shape = shape
        self.devargs = devargs
        self.slot = PORTS[shape] - 1
        # a small ring and few buffers: that an index or a number is right is then rare
        self.region = pair.Region('16M' if shape == 'segment' else '4M', ports=PORTS[shape],
                                  where=where, queues=1, ring_size=256)
        self.victim = Victim(f'{name}-victim', self.region, shape, scope == 'all', devargs,
                             program)
        with open(self.region.path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.formatted = self.headers()

    def headers(self):
        """{offset: bytes} of all that only the formatter and a server write."""
        words = pair.Region.SUPER.unpack_from(self.map)
        section_off, section_len, ports = words[9:12]
        places = [(0, section_off)] + [(section_off + i * section_len, GEOMETRY)
                                       for i in range(ports)]
        return {at: self.map[at:at + length] for at, length in places}

    def repair(self):
        """As an operator would who formats the region again, but with its ports at work."""
        for at, data in self.formatted.items():
            self.map[at:at + len(data)] = data
            if at != 0:     # else the next owner has to watch the slot for seconds
                self.map[at + OWNER_KIND:at + OWNER_KIND + 4] = LOCK

    def attack(self, kind, scope, seed, writes, cell, seconds):
        """Runs the attacker to its end and returns its numbers."""
        attacker = lab.Process(f'{self.name}-attacker', [
            HERE / 'ivshmem-attacker', self.region.path, self.slot, kind, scope, seed, writes,
            cell, seconds, self.victim.progress])
        lab.wait_until(lambda: not attacker.running() or not self.victim.running(), seconds + 60,
                       'the end of the attack')
        lab.check(self.victim.running(), f'the victim ended with status '
                  f'{self.victim.proc.returncode}\n{self.victim.tail(80)}')
        status = attacker.wait(30)
        text = attacker.output()
        lab.check(status == 0, f'the attacker ended with status {status}, 3 is a lack of time\n'
                  + attacker.tail())
        table = [line for line in text.splitlines() if '.' in line.partition(' ')[0]]
        found = {k: int(v) for k, v in re.findall(r'(\w+)=(\d+)', text.splitlines()[-1])}
        return found, text if table else ''

    def serve_honest_peer(self):
        """A fresh port in the attacker's place sends and gets frames, every byte of them right."""
        peer = pair.Shell(f'{self.name}-honest', self.region.vdev(
            f'port={self.slot}{"," if self.devargs else ""}{self.devargs}')).up()
        before = self.victim.counts()['patterns0']
        taken = 0
        peer.do(f'src 02:00:00:00:00:{self.slot:02}')

        def served():
            """Some frames each way; the victim restarts its port now and then, also now."""
            nonlocal taken
            peer.do('send 0 0 32 300')
            got = peer.do('recv 0 0 256 5')
            lab.check(not got['bad'], f'{got["bad"]} of {got["got"]} frames are damaged')
            taken += got['got']
            return taken >= 200 and self.victim.counts()['patterns0'] >= before + 200
        lab.wait_until(served, 100, '200 frames each way of an honest peer')
        peer.quit()

    def end(self):
        self.map.close()
        self.victim.leave()
        self.region.remove()
