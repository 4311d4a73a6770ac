# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the demo says: steps, commands, a sign of life each 5 s, the table."""

import shlex
import threading
import time

BEAT = 5
COLUMNS = (  # title, width, value of a row
    ('pair', -10, lambda row: row['pair']),
    ('direction', -18, lambda row: f'{row["from"]} -> {row["to"]}'),
    ('frame', 5, lambda row: row['size']),
    ('sent', 11, lambda row: row['sent']),
    ('received', 11, lambda row: row['received']),
    ('dropped', 7, lambda row: row['dropped']),
    ('judged', 11, lambda row: row['judged']),
    ('lost', 5, lambda row: row['lost']),
    ('corrupted', 9, lambda row: row['corrupted']),
    ('reordered', 9, lambda row: row['reordered']),
    ('Mpps', 8, lambda row: f'{row["mpps"]:.3f}'),
    ('Gbit/s', 8, lambda row: f'{row["gbps"]:.3f}'),
    ('', -6, lambda row: ('' if row['ok'] else 'FAILED') + ('*' if row['short'] else '')),
)
LEGEND = '''\
sent, received, dropped: dpdk-testpmd, txonly -> rxonly. sent is the sender's TX-packets (a full
  ring pushes back: what testpmd calls TX-dropped was never sent); dropped is what the ports
  counted by reason. Mpps, Gbit/s: from the receiver's RX-packets and RX-bytes (without FCS) by
  this host's clock.
judged, corrupted, reordered: ivshmem-traffic, gen -> sink, just before on the same ports and
  region: so many frames were compared byte by byte and with the order they were sent in.
lost: what neither arrived nor was counted, of both together.'''


class Console:
    """Lines for people on one stream. Threads: any may call; one more says that we are alive."""

    def __init__(self, stream, root):
        self.stream = stream
        self.root = str(root) + '/'
        self.lock = threading.Lock()
        self.begun = self.last = time.monotonic()
        self.doing, self.since, self.detail = 'starting', self.begun, None
        self.ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _print(self, text):
        self.last = time.monotonic()
        print(text, file=self.stream, flush=True)

    def _beat(self):
        while not self.ended.wait(0.5):
            with self.lock:
                now = time.monotonic()
                if now - self.last < BEAT or self.doing is None:
                    continue
                detail = self.detail() if self.detail is not None else ''
                self._print(f'  ... {self.doing}, {now - self.since:.0f} s'
                            + (f': {detail}' if detail else ''))

    def head(self, text):
        """A part of the demo begins."""
        with self.lock:
            self._print('\n== ' + text)

    def say(self, text):
        with self.lock:
            self._print('  ' + text)

    def step(self, text, detail=None):
        """What is being done from now on; detail() is a line on how far it is. None = nothing."""
        with self.lock:
            self.doing, self.detail, self.since = text, detail, time.monotonic()

    def short(self, text):
        """Paths as seen from the top of the checkout."""
        return str(text).replace(self.root, '')

    def command(self, argv, prompt='$'):
        """A command as it could be pasted at the top of the checkout."""
        words = argv if isinstance(argv, str) else shlex.join(str(word) for word in argv)
        with self.lock:
            self._print(f'  {prompt} {self.short(words)}')

    def close(self):
        self.ended.set()


def table(rows):
    """The rows as lines."""
    def line(values):
        return '  '.join(f'{value:<{-width}}' if width < 0 else f'{value:>{width}}'
                         for (_, width, _), value in zip(COLUMNS, values)).rstrip()
    out = [line([title for title, _, _ in COLUMNS])]
    out += [line([str(value(row)) for _, _, value in COLUMNS]) for row in rows]
    out += ['', LEGEND]
    if any(row['short'] for row in rows):
        out.append('*: fewer frames than a row of the full demo rests on '
                   '(10^7 between processes, 10^6 with a VM).')
    return '\n'.join(out)
