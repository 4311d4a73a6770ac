# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Helpers for tests that start processes: paths, bounded waits, logs, testpmd.

A test is a script whose cases are functions; its last line is
    lab.main(case_one, case_two)
Every process it starts writes to a log of its own, dies with the test, and is
only ever waited for with a bound. A case fails by an exception (lab.Failure has
the words for the reader) and the others still run. Arguments on the command
line choose cases by name.
"""

import atexit
import ctypes
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(os.environ.get('IVSHMEM_SOURCE_ROOT', Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get('IVSHMEM_BUILD_ROOT', ROOT / 'build'))
LONG = os.environ.get('IVSHMEM_TEST_LONG') == '1'
SKIP = 77
HUGE = Path('/sys/kernel/mm/hugepages/hugepages-2048kB')

_children = []
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The test found what it looks for: something is broken."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def skip(reason):
    print('skip: ' + reason)
    sys.exit(SKIP)


def wait_until(predicate, seconds, what):
    """Polls predicate() until it is true and returns its value; Failure after the bound."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f'waited {seconds} s in vain for {what}')
        time.sleep(0.01)


# -- directories and files ---------------------------------------------------

def _world_writable(path):
    path = Path(path).resolve()
    return any(p.stat().st_mode & stat.S_IWOTH for p in [path, *path.parents] if p.is_dir())


def private_dir(prefix='ivshmem-test-'):
    """A new directory of mode 0700, nowhere below a world-writable one; removed at exit."""
    for base in ('/run', os.environ.get('XDG_RUNTIME_DIR'), '/var/lib', Path.home()):
        if base and os.access(base, os.W_OK | os.X_OK) and not _world_writable(base):
            path = tempfile.mkdtemp(prefix=prefix, dir=base)
            atexit.register(shutil.rmtree, path, ignore_errors=True)
            return Path(path)
    raise Failure('no directory for private files: /run, /var/lib and the home directory are '
                  'not writable, or lie below a world-writable directory')


_log_dir = None


def log_dir():
    """Where this test keeps its logs: made by test/run, or below the build directory."""
    global _log_dir
    if _log_dir is None:
        _log_dir = Path(os.environ.get('IVSHMEM_TEST_LOGS') or
                        BUILD / 'test-logs' / Path(sys.argv[0]).stem)
        _log_dir.mkdir(parents=True, exist_ok=True)
    return _log_dir


_plugin = None


def plugin():
    """The driver for EAL's -d. EAL refuses one below a world-writable directory: then a copy."""
    global _plugin
    if _plugin is None:
        path = BUILD / 'drivers' / 'librte_net_ivshmem.so'
        if not path.exists():
            raise Failure(f'{path} is missing: run app/setup')
        if _world_writable(path.parent):
            path = Path(shutil.copy(path, private_dir() / path.name))
        _plugin = str(path)
    return _plugin


def server():
    return str(BUILD / 'app' / 'ivshmem-server')


# -- the machine -------------------------------------------------------------

def hugepages_free():
    try:
        return int((HUGE / 'free_hugepages').read_text())
    except OSError:
        return 0


def need_hugepages(pages):
    free = hugepages_free()
    check(free >= pages, f'{free} free hugepages of 2 MiB, {pages} needed: start this through '
          f'test/run, or write a larger number to {HUGE}/nr_hugepages')


def cpus(count):
    """That many CPUs of this process's set, the same ones again where there are fewer."""
    allowed = sorted(os.sched_getaffinity(0))
    return [allowed[i % len(allowed)] for i in range(count)]


def fd_count(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def rss_kib(pid):
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'^VmRSS:\s+(\d+) kB', text, re.M).group(1))


# -- processes ---------------------------------------------------------------

def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child whose output goes to <log dir>/<name>.log; expect() reads it from there."""

    def __init__(self, name, argv, env=None, cwd=None, pass_fds=()):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log = log_dir() / (name + '.log')
        self.seen = 0
        with open(self.log, 'wb') as out:
            self.proc = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, cwd=cwd, pass_fds=pass_fds,
                preexec_fn=_die_with_parent)
        self.pid = self.proc.pid
        _children.append(self)

    def output(self, start=0, end=None):
        """What it has printed so far; start and end are byte offsets in the log."""
        data = self.log.read_bytes()[start:end]
        return data.decode(errors='replace').replace('\r', '')

    def tail(self, lines=15):
        return '\n'.join('    | ' + x for x in self.output().splitlines()[-lines:])

    def running(self):
        return self.proc.poll() is None

    def expect(self, pattern, seconds=10):
        """Waits for a match in the output that no earlier expect() has consumed."""
        end = time.monotonic() + seconds
        while True:
            ended = not self.running()  # before reading: what it wrote last must be seen
            with open(self.log, 'rb') as file:
                file.seek(self.seen)
                data = file.read()
            match = re.search(pattern.encode(), data, re.M)
            if match:
                self.seen += match.end()
                return match.group(0).decode(errors='replace')
            if ended:
                raise Failure(f'{self.name} ended with status {self.proc.returncode} before it '
                              f'printed {pattern!r}\n{self.tail()}')
            if time.monotonic() > end:
                raise Failure(f'{self.name} did not print {pattern!r} within {seconds} s\n'
                              + self.tail())
            time.sleep(0.01)

    def send(self, text):
        try:
            self.proc.stdin.write(text.encode())
            self.proc.stdin.flush()
        except OSError as error:
            raise Failure(f'{self.name} no longer reads its input ({error})\n{self.tail()}')

    def wait(self, seconds=10):
        """Its exit status; Failure (and SIGKILL) when it does not end within the bound."""
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failure(f'{self.name} did not end within {seconds} s\n{self.tail()}')

    def stop(self, seconds=10, number=signal.SIGTERM):
        """Sends the signal and returns the exit status."""
        self.proc.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        """kill -9, on purpose; one that has ended by itself until then is a failure."""
        self.end()
        status = self.proc.returncode
        check(status == -signal.SIGKILL, f'{self.name} ended with status {status} before '
              f'it was killed\n{self.tail()}')

    def end(self):
        """Whatever state it is in."""
        if self.running():
            self.proc.kill()
        self.proc.wait(30)


def kill_children():
    for child in _children:
        child.end()
        child.proc.stdin.close()
    _children.clear()


def forget(process):
    """A process that has ended as it should: its pipe and its log are not needed any more."""
    process.proc.stdin.close()
    process.log.unlink()
    _children.remove(process)


class Server(Process):
    """build/app/ivshmem-server, started and ready; socket is where it listens."""

    def __init__(self, *args, name='server', ready=r'ready', seconds=10):
        self.socket = private_dir() / 'ivshmem.sock'
        super().__init__(name, [server(), '-S', self.socket, *args])
        self.expect(ready, seconds)


class Testpmd(Process):
    """dpdk-testpmd at its prompt. devices: whole EAL arguments, for example
    '--vdev=net_ivshmem0,socket=/run/x/ivshmem.sock'. Never touches PCI devices."""

    PROMPT = r'testpmd> '

    def __init__(self, name, devices, args=(), eal=(), memory=256, lcores=None, seconds=30):
        if lcores is None:
            lcores = '0@%d,1@%d' % tuple(cpus(2))
        super().__init__(name, [
            'stdbuf', '-oL', 'dpdk-testpmd', '--no-pci', '--in-memory', '-m', memory,
            '--lcores', lcores, '--main-lcore', '0', '-d', plugin(), *eal, *devices,
            '--', '-i', '--total-num-mbufs=16384', *args])
        self.expect(self.PROMPT, seconds)

    def command(self, line, seconds=20):
        """Runs one command and returns what it printed."""
        start = self.seen
        self.send(line + '\n')
        self.expect(re.escape(line) + r'[^\n]*\n', seconds)
        self.expect(self.PROMPT, seconds)
        text = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', self.output(start, self.seen))
        return text.partition('\n')[2].rpartition('testpmd> ')[0]

    def stats(self, port=0):
        """{'RX-packets': 1, ...} of `show port stats`."""
        text = self.command(f'show port stats {port}')
        found = re.findall(r'([RT][Xx][\w-]*):\s+(\d+)', text)
        check(found, f'{self.name}: no statistics in:\n{text}')
        return {name: int(value) for name, value in found}

    def xstats(self, port=0):
        text = self.command(f'show port xstats {port}')
        return {n: int(v) for n, v in re.findall(r'^([a-z]\w+): (\d+)$', text, re.M)}

    def quit(self, seconds=20):
        self.send('quit\n')
        status = self.wait(seconds)
        check(status == 0, f'{self.name} ended with status {status}\n{self.tail()}')


# -- running the cases -------------------------------------------------------

def _on_term(_number, _frame):
    sys.exit(143)


def main(*cases):
    signal.signal(signal.SIGTERM, _on_term)
    atexit.register(kill_children)
    wanted = sys.argv[1:]
    unknown = set(wanted) - {case.__name__ for case in cases}
    if unknown:
        sys.exit(f'no case {", ".join(sorted(unknown))}; there are: '
                 + ', '.join(case.__name__ for case in cases))
    failed = []
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            case()
            word = 'ok'
        except Failure as error:
            print(f'{case.__name__}: {error}')
            word, why = 'FAIL', str(error)
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            word, why = 'FAIL', repr(error)
        finally:
            kill_children()
        if word != 'ok':
            failed.append((case.__name__, why))
        print(f'{word:4} {case.__name__} ({time.monotonic() - start:.1f} s)', flush=True)
    if failed:
        # once more at the end, which is what the runner shows
        print(f'logs: {log_dir()}')
        for name, why in failed:
            print(f'FAIL {name}: ' + '\n'.join(line[:200] for line in why.splitlines()[:8]))
        sys.exit(1)
