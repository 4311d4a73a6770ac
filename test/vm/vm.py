# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""One test guest: a QEMU process, its console, its command channel, its QMP.

Made by VmSet.add(). Every wait is bounded by its own time and by the set's.

Invariants:
 I1. QEMU is reaped under `cond`, in the same step in which `ended` is set, and
     signalled under `cond` only while `ended` is false: never a foreign pid.
 I2. QEMU dies with the thread that started it (setpriv --pdeathsig), so even
     a test killed by SIGKILL leaves nothing running: start guests from a
     thread that lives as long as they should.
"""

import os
import selectors
import signal
import socket
import subprocess
import threading
import time

import channel
import devices
from channel import VmError, VmTimeout

BOOT_WAIT = 240
SEND_WAIT = 60
PROGRESS = 5
DEFAULTS = {
    'memory': 256, 'hugepages': 32, 'smp': '1,maxcpus=2', 'cpu': 'max', 'accel': 'tcg',
    'iommu': 'intel-iommu,intremap=on,aw-bits=48',
    'devices': (), 'qemu': (), 'append': '', 'add': (),
}


class Vm:
    """A guest. Attributes: name, pid, boots, boot_seconds, exit_code, console (lines), usage."""

    def __init__(self, owner, name, config):
        unknown = set(config) - set(DEFAULTS)
        if unknown:
            raise ValueError(f'{name}: unknown option {sorted(unknown)[0]}; '
                             f'known: {", ".join(DEFAULTS)}')
        self.owner = owner
        self.name = name
        self.config = {**DEFAULTS, **config}
        self.cond = threading.Condition()
        self.jobs = channel.JobTable()
        self.console = []
        self.pid = self.exit_code = self.usage = self.boot_seconds = None
        self.boots = 0
        self.ended = False
        self.qmp_state = channel.Qmp()
        self.send_lock = threading.Lock()    # apart from cond: the reader must go on meanwhile
        self.qmp_count = 0
        self.sockets = {}
        self.process = None
        self.argv = None
        self.begun = None
        self.reader = None

    # -- start and end

    def start(self):
        """Starts QEMU and returns at once; wait_ready() waits for the guest."""
        base, initrd = self.owner.images(tuple(self.config['add']))
        pairs = {name: socket.socketpair() for name in ('console', 'channel', 'qmp')}
        fds = {name: pair[1].fileno() for name, pair in pairs.items()}
        self.sockets = {name: pair[0] for name, pair in pairs.items()}
        for end in self.sockets.values():
            end.settimeout(SEND_WAIT)
        self.argv = devices.machine_args(self.config, base, initrd, fds)
        self.owner.record(self.name, 'qemu', ' '.join(self.argv))
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', *self.argv], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(initrd, *fds.values()),
            start_new_session=True)
        self.pid = self.process.pid
        for pair in pairs.values():
            pair[1].close()
        self.reader = threading.Thread(target=self._read, name=self.name, daemon=True)
        self.reader.start()
        self._send('qmp', channel.Qmp.request('qmp_capabilities', {}, 0))
        return self

    def wait_ready(self, timeout=BOOT_WAIT, boots=1):
        """Waits until the guest takes commands; returns the seconds its (last) boot took."""
        self.wait_until(lambda: self.boots >= boots, 'the guest to boot', timeout)
        return self.boot_seconds

    def finish(self, timeout=60):
        """Ends the guest in good order; raises VmError unless it left the way it should."""
        self.channel_send('exit')
        self.wait_end(timeout)
        if self.exit_code != devices.EXIT_VALUE:
            raise VmError(f'{self.name}: QEMU ended with {self.exit_code} instead of '
                          f'{devices.EXIT_VALUE}{self._tail()}')

    def wait_end(self, timeout=60):
        """Waits until QEMU has ended; returns its exit code (negative: signal)."""
        self.wait_until(lambda: self.ended, 'QEMU to end', timeout)
        return self.exit_code

    def kill(self, number=signal.SIGKILL):
        """Sends QEMU's process group a signal; waits for the end after SIGKILL."""
        with self.cond:
            if self.process is None or self.ended:
                return
            os.killpg(self.pid, number)
            if number == signal.SIGKILL:
                self.cond.wait_for(lambda: self.ended, 10)

    # -- waiting

    def wait_until(self, ready, what, timeout):
        """Waits for ready(); raises VmTimeout, or VmError when QEMU ends before."""
        begun = time.monotonic()
        end = min(begun + timeout, self.owner.deadline)
        with self.cond:
            while not ready():
                if self.ended:
                    raise VmError(f'{self.name}: QEMU ended with {self.exit_code} while we waited '
                                  f'for {what}{self._tail()}')
                now = time.monotonic()
                if now >= end:
                    raise VmTimeout(f'{self.name}: waited {now - begun:.1f} s in vain for {what}'
                                    f'{self._tail()}')
                mark = time.monotonic() + PROGRESS
                self.cond.wait(min(end - now, PROGRESS))
                if time.monotonic() >= mark and not ready():
                    self.owner.progress(self.name, f'waiting for {what}, '
                                        f'{time.monotonic() - begun:.0f} s of {end - begun:.0f} s')

    def wait_console(self, pattern, timeout=120, begin=0):
        """Waits for a console line with the pattern; returns the match."""
        self.wait_until(lambda: channel.search(self.console, pattern, begin) is not None,
                        f"'{pattern}' on the console", timeout)
        return channel.search(self.console, pattern, begin)

    def _tail(self):
        last = self.console[-8:]
        return '; console:\n  ' + '\n  '.join(last) if last else '; nothing on the console'

    # -- commands

    def channel_send(self, verb, number='', text='', encode=True):
        """One line to guest/agent; bounded, raises VmError."""
        self._send('channel', channel.command(verb, number, text, encode))

    def _send(self, name, data):
        try:
            with self.send_lock:
                self.sockets[name].sendall(data)
        except OSError as err:
            raise VmError(f'{self.name}: cannot send to the {name}: {err}{self._tail()}') from err

    def start_job(self, script, stdin=False):
        """Starts a shell script in the guest and returns its Job."""
        self.wait_ready()
        with self.cond:
            job = self.jobs.new(self, script)
        self.channel_send('runi' if stdin else 'run', job.number, script)
        return job

    def run(self, script, timeout=120):
        """Runs a script to its end; returns the Job (status, lines, output)."""
        job = self.start_job(script)
        job.wait(timeout)
        return job

    def check(self, script, timeout=120):
        """run() that raises VmError unless the status is 0; returns the output."""
        job = self.run(script, timeout)
        if job.status != 0:
            raise VmError(f"{self.name}: '{script.strip()[:80]}' ended with {job.status}:\n"
                          + job.output)
        return job.output

    def qmp(self, name, timeout=60, **arguments):
        """Runs a QMP command (arguments by keyword); returns its result."""
        with self.cond:
            self.qmp_count += 1
            number = self.qmp_count
        replies = self.qmp_state.replies
        self._send('qmp', channel.Qmp.request(name, arguments, number))
        self.wait_until(lambda: number in replies, f'QMP {name}', timeout)
        reply = replies.pop(number)
        if 'error' in reply:
            raise VmError(f'{self.name}: QMP {name}: {reply["error"]["desc"]}')
        return reply.get('return')

    def wait_event(self, name, timeout=60, begin=0):
        """Waits for a QMP event, e.g. DEVICE_DELETED; returns it."""
        events = self.qmp_state.events

        def find():
            return next((event for event in events[begin:] if event['event'] == name), None)
        self.wait_until(lambda: find() is not None, f'QMP event {name}', timeout)
        return find()

    def reset(self, timeout=BOOT_WAIT):
        """Resets the machine and waits until the guest takes commands again."""
        boots = self.boots + 1
        self.qmp('set-action', reboot='reset')
        self.begun = time.monotonic()
        self.qmp('system_reset')
        self.wait_ready(timeout, boots)
        self.qmp('set-action', reboot='shutdown')

    def device_del(self, index=0, timeout=120):
        """Unplugs the index-th ivshmem device (a hotplug one) and waits until it is gone."""
        begin = len(self.qmp_state.events)
        self.qmp('device_del', id=f'ivshmem{index}')
        return self.wait_event('DEVICE_DELETED', timeout, begin)

    def stop(self):
        """Pauses the machine."""
        self.qmp('stop')

    def cont(self):
        """Lets a paused machine run on."""
        self.qmp('cont')

    def quit(self, timeout=60):
        """Ends QEMU through QMP, behind the guest's back; returns the exit code."""
        try:
            self.qmp('quit', timeout)
        except VmError:
            if not self.ended:
                raise
        return self.wait_end(timeout)

    def rss(self):
        """(resident set, its peak) of QEMU in MiB; (None, None) when it has ended."""
        values = {}
        try:
            with open(f'/proc/{self.pid}/status', encoding='ascii') as stream:
                for line in stream:
                    key, _, rest = line.partition(':')
                    if key in ('VmRSS', 'VmHWM'):
                        values[key] = int(rest.split()[0]) / 1024
        except (OSError, ValueError):
            pass
        return values.get('VmRSS'), values.get('VmHWM')

    # -- reader thread

    def _read(self):
        texts = {name: channel.Lines() for name in ('console', 'channel', 'qemu')}
        sources = {'qemu': self.process.stdout, **self.sockets}
        pidfd = os.pidfd_open(self.pid)
        with selectors.DefaultSelector() as selector:
            for name, source in sources.items():
                selector.register(source, selectors.EVENT_READ, name)
            selector.register(pidfd, selectors.EVENT_READ, 'end')
            alive = True
            while alive:
                for key, _ in selector.select():
                    if key.data == 'end':
                        alive = False
                    elif not self._take(texts, key.data, key.fileobj):
                        selector.unregister(key.fileobj)
            for name, source in sources.items():
                os.set_blocking(source.fileno(), False)
                while self._take(texts, name, source):
                    pass
        for name, text in texts.items():
            for line in text.close():
                self._line(name, line)
        with self.cond:
            _, status, self.usage = os.wait4(self.pid, 0)
            self.process.returncode = self.exit_code = os.waitstatus_to_exitcode(status)
            self.ended = True
            self.cond.notify_all()
        os.close(pidfd)
        with self.send_lock:
            for source in sources.values():
                source.close()

    def _take(self, texts, name, source):
        """Reads what a source has; False at its end."""
        try:
            data = os.read(source.fileno(), 65536)
        except OSError:
            return False
        if name == 'qmp':
            with self.cond:
                self.qmp_state.feed(data)
                self.cond.notify_all()
        else:
            for line in texts[name].feed(data):
                self._line(name, line)
        return len(data) > 0

    def _line(self, name, line):
        with self.cond:
            if name == 'channel':
                kind, job, text = self.jobs.feed(line)
                if kind == 'ready':
                    self.boots += 1
                    self.boot_seconds = time.monotonic() - self.begun
                    text = f'booted in {self.boot_seconds:.1f} s'
            else:
                kind, job, text = name, None, line
                self.console.append(line)
            self.cond.notify_all()
        self.owner.line(self.name, kind, job, text)
