# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The fuzz targets, and how they are built: with clang, libFuzzer, AddressSanitizer, UBSan and
clang's coverage, in build/fuzz, by a build.ninja of their own, since meson has one compiler.
"""

import fcntl
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import lab

HERE = Path(__file__).resolve().parent
OUT = lab.BUILD / 'fuzz'
FLAGS = 'IVSHMEM_FUZZ_FLAGS'       # in the tests' environment
DRIVER = lab.ROOT / 'drivers/net/ivshmem'
SERVER = lab.ROOT / 'app/ivshmem-server'
SANITIZE = '-fsanitize=address,undefined -fno-sanitize-recover=undefined'
CFLAGS = ('-std=c11 -O1 -g -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fno-omit-frame-pointer -Wall'
          f' -Wextra -Werror {SANITIZE} -fsanitize=fuzzer-no-link -fprofile-instr-generate'
          f' -fcoverage-mapping -iquote{DRIVER} -iquote{SERVER}'
          f' -iquote{lab.ROOT}/test/common')
# Compared values there lead to no new input, and to trace them takes half of the time.
UNTRACED = ['fuzz_*.c', 'ivshmem_fdb.c']
LDFLAGS = f'{SANITIZE} -fsanitize=fuzzer -fprofile-instr-generate'


@dataclass
class Target:
    """One fuzzer: what it is made of, and what it is about."""
    parser: list                    # sources of whose lines its corpus has to reach 90 %
    control: tuple                  # a check that it has to miss: file, text, what replaces it
    sources: list                   # of driver and server, besides fuzz_<name>.c
    runs: int                       # of the short form, the corpus among them
    length: int                     # of an input, at most
    wraps: list = field(default_factory=list)
    dpdk: bool = False
    libs: str = ''


def driver(*names):
    return [DRIVER / f'ivshmem_{name}' for name in names]


def server(*names):
    return [SERVER / name for name in names]


TARGETS = {
    'burst': Target(
        parser=driver('rx.c', 'rx_desc.h', 'rx_frame.c', 'tx.c', 'tx_desc.h', 'tx_lend.c',
                      'tx_segment.c', 'loan.c', 'loan.h', 'flight.h', 'link.c', 'settle.c'),
        control=(*driver('rx_desc.h'), '(uint32_t)desc->data_off + desc->data_len <= buf_len',
                 'desc->data_len <= UINT16_MAX || buf_len == 0', *driver('rx.c')),
        sources=sorted(path for path in DRIVER.glob('*.c') if 'pci' not in path.name and
                       path.name != 'ivshmem_shm.c'),
        wraps=['clock_gettime', 'nanosleep', 'getrandom', 'rte_eal_alarm_set',
               'rte_eal_alarm_cancel', 'rte_delay_us_sleep', 'ivshmem_memtype_measure',
               'rte_malloc', 'rte_zmalloc', 'rte_zmalloc_socket', 'rte_free', 'mmap64', 'munmap'],
        dpdk=True,
        runs=8000, length=384),
    'client': Target(
        parser=driver('client.c', 'vectors.c'),
        control=(*driver('client.c'), 'ret != 0 && fd >= 0', 'ret != 0 && fd > 9999'),
        sources=driver('client.c', 'vectors.c'),
        wraps=['clock_gettime', 'poll'],
        runs=30000, length=256),
    'devargs': Target(
        parser=driver('devargs.c'),
        control=(*driver('devargs.c'), 'return *number >= arg->low;', 'return true;'),
        sources=driver('devargs.c'),
        dpdk=True,
        runs=30000, length=128),
    'geometry': Target(
        parser=driver('layout.c'),
        control=(*driver('layout.c'), 'layout->buf_off < layout->section_len', 'true'),
        sources=driver('check.c', 'layout.c'),
        runs=50000, length=96),
    'server': Target(
        parser=server('clients.c', 'handover.c', 'inherit.c', 'legacy.c', 'peer.c', 'slots.c'),
        control=(*server('peer.c'), 'if (peer->told[slot])', 'if (false)'),
        sources=sorted(path for path in SERVER.glob('*.c') if path.name != 'main.c') +
        driver('check.c', 'client.c', 'file.c', 'layout.c'),
        wraps=['clock_gettime', 'epoll_wait', 'ivshmem_log', 'ivshmem_notify_drop',
               'ivshmem_notify_keep', 'ivshmem_notify_take', 'posix_fallocate64', 'recvmsg',
               'sendmsg', 'setitimer', 'usleep'],
        libs='-lnuma',
        runs=8000, length=192),
    'region': Target(
        parser=driver('check.c', 'port.c', 'session.c', 'ring.h'),
        control=(*driver('check.c'), '(end - layout->buf_off) / layout->buf_len',
                 'UINT32_MAX'),
        sources=driver('check.c', 'layout.c', 'port.c', 'session.c'),
        wraps=['nanosleep'],
        runs=30000, length=384),
}


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def driver_flags():
    """Flags of the driver's own build, which meson hands on to the tests; None without DPDK."""
    tests = json.loads(output('meson', 'introspect', '--tests', lab.BUILD))
    return next((t['env'][FLAGS] for t in tests if FLAGS in t['env']), None)


def dpdk_flags(flags):
    # clang warns of what gcc accepts in DPDK's headers
    return f'{output("pkg-config", "--cflags", "libdpdk")} {flags} -Wno-address-of-packed-member'


def dpdk_libs():
    return f'{output("pkg-config", "--libs", "libdpdk")} -lrte_bus_vdev -lrte_bus_pci'


def write_new(path, text):
    """Leaves a file alone that has this text already."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def unchecked(name, target):
    """Copies of sources without the check that the target's control is about: {source: copy}. A
    header's is found by the copies of those that include it, since it lies beside them.
    """
    file, text, instead, *users = target.control
    code = file.read_text()
    lab.check(code.count(text) == 1,
              f'the control of {name} is out of date: "{text}" is not once in {file}')
    where = OUT / f'control-{name}'
    write_new(where / file.name, code.replace(text, instead))
    for user in users:
        write_new(where / user.name, user.read_text())
    return {source: where / source.name for source in users or [file]}


class Rules:
    """The text of a build.ninja; an object is made once for all targets with the same flags."""

    def __init__(self, flags):
        self.flags = flags
        self.lines = [
            f'cflags = {CFLAGS}',
            'rule cc',
            '  command = clang $cflags $more -MD -MF $out.d -c $in -o $out',
            '  depfile = $out.d',
            '  deps = gcc',
            'rule link',
            f'  command = clang {LDFLAGS} $wraps $in -o $out $libs',
        ]
        self.made = set()

    def object(self, kind, source, more):
        out = f'{kind}/{Path(source).parent.name}/{Path(source).stem}.o'
        if any(Path(source).match(pattern) for pattern in UNTRACED):
            more += ' -fno-sanitize-coverage=trace-cmp'
        if out not in self.made:
            self.made.add(out)
            self.lines += [f'build {out}: cc {source}', f'  more = {more}']
        return out

    def program(self, name, target, objects):
        wraps = ' '.join(f'-Wl,--wrap={w}' for w in target.wraps)
        self.lines += [f'build {name}: link {" ".join(objects)}', f'  wraps = {wraps}',
                       f'  libs = {dpdk_libs() if target.dpdk else ""} {target.libs}']

    def target(self, name):
        target = TARGETS[name]
        kind = 'dpdk' if target.dpdk else 'plain'
        more = dpdk_flags(self.flags) if target.dpdk else '-DIVSHMEM_VERSION=\'"fuzz"\''
        objects = {s: self.object(kind, s, more) for s in
                   [*sorted(HERE.glob(f'fuzz_{name}*.c')), *target.sources]}
        self.program(name, target, objects.values())
        for source, copy in unchecked(name, target).items():
            objects[source] = self.object(f'control-{name}', copy, f'{more} -Wno-error')
        self.program(f'{name}-unchecked', target, objects.values())


def build(name):
    """The target and its control; several tests may ask at a time."""
    OUT.mkdir(exist_ok=True)
    with open(OUT / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rules = Rules(driver_flags())
        for each in TARGETS:
            if not TARGETS[each].dpdk or rules.flags is not None:
                rules.target(each)
        write_new(OUT / 'build.ninja', '\n'.join(rules.lines) + '\n')
        done = subprocess.run(['ninja', '-C', OUT, name, f'{name}-unchecked'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode == 0, f'{name} is not built:\n{done.stdout[-6000:]}')
    return OUT / name
