# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the host says to a guest and to its QEMU: jobs, serial lines, QMP.

A Job is one shell script that runs in a guest. Its lines and its exit status
come back over the guest's second serial line (guest/agent has the format).

Threads: the reader thread of the Vm calls the feed methods while it holds the
Vm's condition; everything else may be called from any thread.
"""

import base64
import json
import re

SCRIPT_MAX = 32768


class VmError(Exception):
    """A guest, its QEMU or a server did something that ends the test."""


class VmTimeout(VmError):
    """A bounded wait ran out."""


class Lines:
    """Bytes in, whole lines out."""

    def __init__(self):
        self.rest = b''

    def feed(self, data):
        """Returns the lines that `data` completes."""
        parts = (self.rest + data).split(b'\n')
        self.rest = parts.pop()
        return [part.decode('utf-8', 'replace').rstrip('\r') for part in parts]

    def close(self):
        """Returns the unfinished last line, if any."""
        rest, self.rest = self.rest, b''
        return [rest.decode('utf-8', 'replace')] if rest else []


def search(lines, pattern, begin=0):
    """Match object of the first line from `begin` on in which the pattern is found, or None."""
    for line in lines[begin:]:
        match = re.search(pattern, line)
        if match is not None:
            return match
    return None


class Job:
    """A script in a guest. `lines` grows while it runs; `status` is None until it ends.

    `partial` is a line that has no end yet: a prompt.
    """

    def __init__(self, vm, number, script):
        self.vm = vm
        self.number = number
        self.script = script
        self.lines = []
        self.partial = ''
        self.status = None
        self.boot = vm.boots

    @property
    def output(self):
        """All lines so far as one string."""
        return ''.join(line + '\n' for line in self.lines)

    def _title(self):
        first = self.script.strip().splitlines()[:1] or ['']
        return f"'{first[0][:60]}'"

    def _lost(self):
        return self.vm.boots != self.boot

    def wait(self, timeout=120):
        """Waits for the end; returns the exit status, raises VmTimeout."""
        self.vm.wait_until(lambda: self.status is not None or self._lost(),
                           f'the end of {self._title()}', timeout)
        if self.status is None:
            raise VmError(f'{self.vm.name}: {self._title()} was cut short by a reset')
        return self.status

    def wait_line(self, pattern, timeout=120, begin=0):
        """Waits for a line with the pattern; returns the match. The job's end ends the wait."""
        def find():
            return search(self.lines, pattern, begin) or search([self.partial], pattern)
        self.vm.wait_until(lambda: find() is not None or self.status is not None or self._lost(),
                           f"'{pattern}' from {self._title()}", timeout)
        match = find()
        if match is None:
            raise VmError(f"{self.vm.name}: {self._title()} ended with {self.status} and never "
                          f"printed '{pattern}'; last lines:\n" + '\n'.join(self.lines[-10:]))
        return match

    def send(self, text):
        """Writes to the script's standard input (jobs started with stdin=True)."""
        self.vm.channel_send('in', self.number, text)

    def ask(self, text, prompt='testpmd> ', timeout=120):
        """Sends one line to a program with a prompt that echoes; returns the lines it answered."""
        self.wait_line(re.escape(prompt) + '$', timeout, len(self.lines))
        begin = len(self.lines)
        self.send(text + '\n')
        self.wait_line(re.escape(text) + r'\s*$', timeout, begin)
        echo = next(at for at in range(begin, len(self.lines)) if text in self.lines[at])
        self.wait_line(re.escape(prompt) + '$', timeout, len(self.lines))
        return self.lines[echo + 1:]

    def close_input(self):
        """End of file for the script."""
        self.vm.channel_send('eof', self.number)

    def kill(self, signal='TERM'):
        """Sends a signal to the script and all it started."""
        self.vm.channel_send('kill', self.number, signal, encode=False)


class JobTable:
    """The jobs of one guest, fed with the lines of its command channel."""

    def __init__(self):
        self.jobs = {}
        self.ready_up = None

    def new(self, vm, script):
        """Registers a job."""
        if len(script.encode()) > SCRIPT_MAX:
            raise VmError(f'a script of {len(script.encode())} bytes is too long for the channel '
                          f'(at most {SCRIPT_MAX}): add it as a file')
        job = Job(vm, len(self.jobs) + 1, script)
        self.jobs[job.number] = job
        return job

    def feed(self, line):
        """Takes one line; returns (kind, job, text); kind: ready, out, partial, end or other."""
        word = line.split(' ', 2)
        if word[0] == 'ready' and len(word) == 2:
            self.ready_up = float(word[1])
            return 'ready', None, word[1]
        job = self.jobs.get(int(word[0])) if word[0].isdigit() else None
        if job is not None and len(word) > 1 and word[1] == 'o':
            job.lines.append(word[2] if len(word) > 2 else '')
            job.partial = ''
            return 'out', job, job.lines[-1]
        if job is not None and len(word) > 2 and word[1] == 'p':
            job.partial = word[2]
            return 'partial', job, word[2]
        if job is not None and len(word) > 2 and word[1] == 'x' and word[2].isdigit():
            job.status = int(word[2])
            return 'end', job, word[2]
        return 'other', None, line


def command(verb, number='', text='', encode=True):
    """One line for guest/agent."""
    if encode and text:
        text = base64.b64encode(text.encode()).decode()
    return f'{verb} {number} {text}\n'.encode()


class Qmp:
    """The machine protocol of one QEMU: replies by number, events in order."""

    def __init__(self):
        self.lines = Lines()
        self.replies = {}
        self.events = []

    def feed(self, data):
        """Takes raw bytes; returns the names of new events."""
        names = []
        for line in self.lines.feed(data):
            message = json.loads(line)
            if 'event' in message:
                self.events.append(message)
                names.append(message['event'])
            elif 'id' in message:
                self.replies[message['id']] = message
        return names

    @staticmethod
    def request(name, arguments, number):
        """One command as bytes."""
        message = {'execute': name, 'id': number}
        if arguments:
            message['arguments'] = arguments
        return json.dumps(message).encode() + b'\n'
