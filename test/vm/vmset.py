# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A set of test guests, the servers and regions they share, and their end.

    with VmSet(timeout=120) as vms:
        server = vms.server('64M', vectors=4)
        a = vms.add('a', devices=[doorbell(server.socket)])
        b = vms.add('b', devices=[doorbell(server.socket)])
        vms.start()
        print(a.check('ivshmem_addrs'))
        vms.finish()

Leaving the block kills what is still running and removes the run folder, also
on an exception, SIGINT, SIGTERM and SIGHUP.

Invariants:
 I1. All names in the file system lie in one folder of /dev/shm that carries
     our pid and a file that we hold a lock on; a later set removes the folders
     that nobody holds. (A pid says nothing in another pid namespace.)
"""

import collections
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import guest
from channel import Lines, VmError, VmTimeout
from devices import doorbell, memfd, plain
from initramfs import GuestError
from vm import Vm

__all__ = ['VmSet', 'Vm', 'VmError', 'VmTimeout', 'GuestError', 'doorbell', 'memfd', 'plain',
           'size_bytes']

RUN_DIR = '/dev/shm'
RUN_PREFIX = 'ivshmem-vm.'
RUN_LOCK = 'lock'       # in the folder: held while it is used
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def size_bytes(text):
    """64M, 1G, 4096: bytes."""
    match = re.fullmatch(r'([0-9]+)([KMG]?)', str(text).upper())
    if match is None:
        raise ValueError(f"size '{text}': a number with K, M or G behind it was expected, e.g. 64M")
    return int(match.group(1)) << {'': 0, 'K': 10, 'M': 20, 'G': 30}[match.group(2)]


def _hold(folder, flags=0):
    """A folder's lock file, locked; None when somebody else holds it or the folder is gone."""
    try:
        fd = os.open(os.path.join(folder, RUN_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | flags)
    except OSError:
        os.close(fd)
        return None
    return fd


def _make_folder():
    """Our run folder and the fd that holds it; folders that nobody holds are removed (I1)."""
    making = os.open(RUN_DIR, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(making, fcntl.LOCK_EX)
        for name in os.listdir(RUN_DIR):
            if not name.startswith(RUN_PREFIX):
                continue
            held = _hold(os.path.join(RUN_DIR, name), fcntl.LOCK_NB)
            if held is not None:
                shutil.rmtree(os.path.join(RUN_DIR, name), ignore_errors=True)
                os.close(held)
        folder = tempfile.mkdtemp(prefix=f'{RUN_PREFIX}{os.getpid()}.', dir=RUN_DIR)
        return folder, _hold(folder)
    finally:
        os.close(making)


class Server:
    """A server process on the host: argv, pid, socket, lines."""

    def __init__(self, owner, name, argv, path):
        self.owner, self.name, self.argv, self.socket = owner, name, argv, path
        self.lines = []
        self.cond = threading.Condition()
        self.eof = False
        try:
            self.process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', *argv], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as err:
            raise VmError(f'{argv[0]}: {err.strerror}') from err
        self.pid = self.process.pid
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        text = Lines()
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            for line in text.feed(data) if data else text.close():
                with self.cond:
                    self.lines.append(line)
                    self.cond.notify_all()
                self.owner.line(self.name, 'server', None, line)
            if not data:
                break
        with self.cond:
            self.eof = True
            self.cond.notify_all()

    def wait_line(self, pattern, timeout):
        """Waits for an output line that begins with the pattern."""
        begun = time.monotonic()
        end = min(begun + timeout, self.owner.deadline)

        def found():
            return any(re.match(pattern, line) for line in self.lines)
        with self.cond:
            self.cond.wait_for(lambda: found() or self.eof, max(0, end - begun))
        if not found():
            kind, what = (VmError, 'ended and never printed') if self.eof else (
                VmTimeout, f'did not print within {time.monotonic() - begun:.1f} s')
            raise kind(f"{' '.join(self.argv)}: {what} a line '{pattern}'; it said:\n"
                       + '\n'.join(self.lines[-10:]))

    def stop(self, timeout=10):
        """SIGTERM, then SIGKILL; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.process.wait(10)
        with self.cond:
            self.cond.wait_for(lambda: self.eof, 2)
        return self.process.returncode

    def kill(self):
        """SIGKILL."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait(10)


class VmSet:
    """See the top of this file. echo: a stream for all lines, None for silence; logs: a folder."""

    def __init__(self, timeout=600, echo=sys.stdout, logs=None):
        self.begun = time.monotonic()
        self.deadline = self.begun + timeout
        self.echo, self.logs = echo, logs
        self.vms, self.servers = [], []
        self.folder = None
        self._hold = None
        self._lock = threading.Lock()
        self._images = {}
        self._handlers = {}
        self._log_files = {}
        if logs is not None:
            os.makedirs(logs, exist_ok=True)

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._handlers[number] = signal.signal(number, self._signal)
        self.folder, self._hold = _make_folder()
        return self

    def _signal(self, number, _frame):
        raise SystemExit(128 + number)

    def __exit__(self, *_):
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        for vm in self.vms:
            vm.kill()
        for server in self.servers:
            server.stop()
        for _, fd in self._images.values():
            os.close(fd)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._hold)
        for stream in self._log_files.values():
            stream.close()
        self._log_files = {}
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    # -- output

    def record(self, name, kind, text):
        """Into the log folder only."""
        if self.logs is None:
            return
        with self._lock:
            if name not in self._log_files:
                self._log_files[name] = open(os.path.join(self.logs, name + '.log'), 'w',
                                             encoding='utf-8', buffering=1)
            self._log_files[name].write(f'{time.monotonic() - self.begun:8.2f} {kind:7} {text}\n')

    def line(self, name, kind, job, text):
        """One line of a guest or a server, with the set's time in front."""
        if kind == 'partial':
            return
        if kind == 'end':
            text = f'[{job.number}] ended with {text}'
        self.record(name, kind, text)
        if self.echo is not None:
            mark = {'console': '#', 'out': '|', 'qemu': '!'}.get(kind, '*')
            with self._lock:
                print(f'{time.monotonic() - self.begun:7.2f} {name} {mark} {text}',
                      file=self.echo, flush=True)

    def progress(self, name, text):
        """Says what is being waited for."""
        self.line(name, 'progress', None, text)

    # -- what guests need

    def images(self, add):
        """(base, fd of the whole initramfs) for one list of added files; made once."""
        if add not in self._images:
            base = guest.prepare()
            fd = os.memfd_create('initramfs')
            with open(base.initramfs, 'rb') as stream, os.fdopen(os.dup(fd), 'wb') as out:
                shutil.copyfileobj(stream, out, 1 << 20)
                out.write(guest.overlay(base, add))
            self._images[add] = (base, fd)
        return self._images[add]

    def path(self, name):
        """A name in the run folder, gone when the set ends."""
        return os.path.join(self.folder, name)

    def region(self, size, name='region'):
        """A sparse file of `size` in the run folder, for plain(); returns its path."""
        path = self.path(name)
        with open(path, 'xb') as stream:
            stream.truncate(size_bytes(size))
        return path

    def server(self, size='64M', vectors=4, options='', program=None, ready='ready', timeout=30):
        """Starts ivshmem-server and waits for its readiness line; returns the Server."""
        program = program or os.path.join(guest.build_root(), 'app/ivshmem-server')
        if not os.access(program, os.X_OK):
            raise VmError(f'{program}: not built: run app/setup, or set IVSHMEM_BUILD_ROOT')
        number = len(self.servers)
        path = self.path(f'server{number}')
        server = Server(self, f'server{number}', [program, '-S', path, '-l', str(size), '-n',
                                                  str(vectors), *shlex.split(options)], path)
        self.servers.append(server)
        server.wait_line(ready, timeout)
        return server

    def add(self, name=None, **config):
        """A guest, not started yet; options are those of vm.DEFAULTS."""
        vm = Vm(self, name or f'vm{len(self.vms)}', config)
        self.vms.append(vm)
        return vm

    def start(self, stagger=0, wait=True):
        """Starts every guest that is not started, `stagger` seconds apart, and waits for them."""
        fresh = [vm for vm in self.vms if vm.process is None]
        for index, vm in enumerate(fresh):
            if index and stagger:
                time.sleep(min(stagger, max(0, self.deadline - time.monotonic())))
            vm.start()
        if wait:
            for vm in fresh:
                vm.wait_ready()

    def finish(self):
        """Ends every running guest in good order."""
        for vm in self.vms:
            if vm.process is not None and not vm.ended:
                vm.finish()

    def together(self, scripts, timeout=120):
        """Runs {vm: script} at the same time; returns {vm: Job} when all have ended."""
        jobs = collections.OrderedDict((vm, vm.start_job(script)) for vm, script in scripts.items())
        end = time.monotonic() + timeout
        for job in jobs.values():
            job.wait(max(0.0, end - time.monotonic()))
        return jobs
