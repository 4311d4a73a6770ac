# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Sets up, builds, and lets packets flow through net_ivshmem: between two processes, between two
virtual machines, and between a machine and a process. Ends with a table of what arrived.

Needs root. Installs missing Debian packages; gives back hugepages and mounts, and leaves no
process and no file outside the checkout behind, also when it is interrupted.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'app'), str(ROOT / 'test' / 'common'), str(ROOT / 'test' / 'vm')]

import lab  # noqa: E402
import machine  # noqa: E402
from demo_ends import DemoVms, HostEnd  # noqa: E402
from demo_log import Console, table  # noqa: E402
from demo_rows import Wire  # noqa: E402
from vmset import GuestError, VmError  # noqa: E402

EPILOG = '''\
exit status: 0 when every frame arrived as it was sent, 1 when one did not or a step failed,
2 for wrong options, 128+N on signal N. IVSHMEM_BUILD_ROOT names another build directory; it is
then taken as it is.'''
MINIMUM = {'host': 10**7, 'vm': 10**6}      # frames a row rests on
QUICK = {'host': 5 * 10**5, 'vm': 5 * 10**4}
SIZE, VECTORS = '64M', 2
GEOMETRY = ['--ports', '2', '--queues', '1']
PAGES = 2 * 128 + 16
SETUP_WAIT = 3600
VM_WAIT = 1800      # for one set of machines, from its start to its end
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parse():
    parser = argparse.ArgumentParser(
        prog='app/demo', description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    only = parser.add_mutually_exclusive_group()
    only.add_argument('--host', action='store_true', help='only the two processes')
    only.add_argument('--vm', action='store_true',
                      help='only the two machines, and the machine with a process')
    fewer = parser.add_mutually_exclusive_group()
    fewer.add_argument('--quick', action='store_true',
                       help='a twentieth of the frames; the table marks such rows')
    fewer.add_argument('--frames', type=int, metavar='N',
                       help='frames of each row instead of 10000000 between processes and '
                       '1000000 with a machine')
    add('--accel', choices=('tcg', 'kvm'), default='tcg',
        help='what QEMU runs the machines with (tcg, which works everywhere)')
    add('--json', action='store_true', help='one object on stdout, all else on stderr')
    options = parser.parse_args()
    if options.frames is not None and not 1 <= options.frames <= 10**12:
        parser.error(f'--frames {options.frames}: not in 1..10^12')
    return options


class Demo:
    """One run. result: what --json prints."""

    def __init__(self, options):
        self.options = options
        self.console = Console(sys.stderr if options.json else sys.stdout, ROOT)
        self.rows = []
        self.result = {'result': 'fail', 'error': None, 'regions': [], 'devices': [],
                       'rows': self.rows}

    def frames(self, kind):
        if self.options.frames is not None:
            return self.options.frames
        return QUICK[kind] if self.options.quick else MINIMUM[kind]

    def keep(self, row):
        """A row is done."""
        self.rows.append(row)
        for problem in row['problems']:
            self.console.say(f'FAILED: {row["from"]} -> {row["to"]}, {row["size"]} B: {problem}')

    def region(self, pair, ready):
        """The server's line of readiness: what the region is like."""
        words = dict(word.split('=', 1) for word in ready.split() if '=' in word)
        self.result['regions'].append({'pair': pair, **words})
        self.console.say(self.describe(self.result['regions'][-1]))

    @staticmethod
    def describe(region):
        return (f'region of {int(region["size"]) >> 20} MiB: {region["ports"]} ports, queues per '
                f'port {region["queues"]}, server at {region["socket"]}')

    # -- the steps

    def setup(self):
        """Installs and builds; ends what it started, also when it is interrupted."""
        if 'IVSHMEM_BUILD_ROOT' in os.environ:
            self.console.say(f'taking {lab.BUILD} as it is')
            return
        self.console.head('Set up: what is missing is installed, then everything is built')
        argv = [ROOT / 'app' / 'setup', 'build' if self.options.host else 'vm']
        self.console.command(argv)
        self.console.step(None)     # it has signs of life of its own
        proc = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                                stdout=sys.stderr, start_new_session=True)
        try:
            status = proc.wait(SETUP_WAIT)
        except subprocess.TimeoutExpired:
            raise lab.Failure(f'app/setup did not end within {SETUP_WAIT} s')
        finally:
            if proc.poll() is None:
                machine.end_group(proc)
        lab.check(status == 0, f'app/setup ended with status {status}, see above')

    def wire(self, pair, kind, ends):
        Wire(self.console, pair, ends, self.frames(kind), MINIMUM[kind]).run(self.keep)

    def host(self):
        """(a) two processes and a server."""
        self.console.head('Two processes: ivshmem-server, and two DPDK applications on its socket')
        socket = lab.private_dir('ivshmem-demo-') / 'ivshmem.sock'
        argv = [lab.server(), '-S', socket, '-l', SIZE, '-n', VECTORS, *GEOMETRY]
        self.console.command(argv)
        server = lab.Process('server', argv)
        self.region('host-host', server.expect(r'^ready .*$', 30))
        ends = [HostEnd(self.console, name, socket, cpu)
                for name, cpu in zip(('process-a', 'process-b'), lab.cpus(2))]
        self.wire('host-host', 'host', ends)
        status = server.stop()
        lab.check(status == 0, f'ivshmem-server ended with status {status}\n{server.tail()}')

    def machines(self, pair, names, with_host):
        """(b) two machines and a server, or (c) a machine, a process and a server."""
        self.console.step('preparing the machines: kernel and image')
        with DemoVms(self.console, lab.log_dir() / pair, VM_WAIT) as vms:
            server = vms.server(SIZE, VECTORS, ' '.join(GEOMETRY))
            self.console.command(server.argv)
            self.region(pair, next(x for x in server.lines if x.startswith('ready')))
            ends = vms.boot(names, self.options.accel, server)
            self.result['devices'] += [{'pair': pair, **end.device} for end in ends]
            if with_host:
                ends.append(HostEnd(self.console, 'process', server.socket, lab.cpus(2)[1]))
            self.wire(pair, 'vm', ends)
            self.console.step('ending the machines')
            vms.finish()
            status = server.stop()
            lab.check(status == 0, f'ivshmem-server ended with status {status}')

    def run(self):
        wanted = self.options
        self.setup()
        with machine.Hugepages(True, PAGES, 'app/demo'):
            try:
                if not wanted.vm:
                    self.host()
                if not wanted.host:
                    self.console.head('Two machines: ivshmem-doorbell devices behind a vIOMMU')
                    self.machines('vm-vm', ['vm-a', 'vm-b'], False)
                    self.console.head('A machine and a process of the host')
                    self.machines('vm-host', ['vm'], True)
            finally:
                lab.kill_children()

    def report(self):
        """The table, and the object of --json."""
        self.console.close()
        bad = [row for row in self.rows if not row['ok']]
        error = self.result['error']
        if not bad and error is None:
            self.result['result'] = 'pass'
        stream = self.console.stream
        if self.rows:
            print('\n' + table(self.rows), file=stream)
        for device in self.result['devices']:
            print('{pair}, {vm}: PCI device {address} bound to {driver}'.format(**device),
                  file=stream)
        for region in self.result['regions']:
            print(f'{region["pair"]}: {self.describe(region)}', file=stream)
        seconds = self.result['seconds'] = round(time.monotonic() - self.console.begun, 1)
        print(f'{self.result["result"]} after {seconds:.0f} s: {len(self.rows)} rows, '
              f'{len(bad)} of them bad', file=stream, flush=True)
        if error is not None:
            print(error, file=sys.stderr, flush=True)
        if self.options.json:
            print(json.dumps(self.result, indent=1), flush=True)


def _on_signal(number, _frame):
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)    # a second one must not stop the tidying up
    raise SystemExit(128 + number)


def logs_kept(good):
    """The logs lie in the build directory; a good run leaves none."""
    if 'IVSHMEM_TEST_LOGS' in os.environ:
        return
    if good:
        shutil.rmtree(lab.log_dir(), ignore_errors=True)
    else:
        print(f'logs: {lab.log_dir()}', file=sys.stderr)


def main():
    options = parse()
    if os.geteuid() != 0:
        sys.exit('app/demo: error: needs root (packages, hugepages, virtual machines): '
                 'sudo ./app/demo')
    for number in SIGNALS:
        signal.signal(number, _on_signal)
    demo = Demo(options)
    status = 1
    try:
        demo.run()
    except SystemExit as end:
        if isinstance(end.code, int):
            status = end.code
            demo.result['error'] = f'app/demo: interrupted by signal {status - 128}'
        else:
            demo.result['error'] = end.code
    except (lab.Failure, VmError, GuestError, OSError) as problem:
        demo.result['error'] = f'app/demo: error: {problem}'
    demo.report()
    if demo.result['result'] == 'pass':
        status = 0
    logs_kept(status == 0)
    return status


if __name__ == '__main__':
    sys.exit(main())
