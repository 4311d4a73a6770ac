# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""app/demo in short: what it measures, what it notices, and that nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.environ['IVSHMEM_SOURCE_ROOT'], *names)
                for names in (('app',), ('test', 'vm'))]

import lab  # noqa: E402
from demo_log import Console  # noqa: E402
from demo_rows import DROPS, FAULTS, Wire  # noqa: E402

DEMO = lab.ROOT / 'app' / 'demo'
LIMIT = 900
NR_HUGEPAGES = lab.HUGE / 'nr_hugepages'
INJECTING = '''#!/bin/sh
# the first generator breaks three of its frames
case "$*" in *"--role gen"*)
    mkdir {once} 2>/dev/null && exec {real} "$@" --inject corrupt:2,duplicate:1 ;;
esac
exec {real} "$@"
'''
# A machine that has 4 pages, 3 of them free, and gives no more.
NO_HUGEPAGES = '''set -e
cd "$1"; shift
echo 4 > nr_hugepages; echo 3 > free_hugepages
mount --bind . /sys/kernel/mm/hugepages/hugepages-2048kB
exec "$@"
'''


def start(*args, before=(), **env):
    """app/demo with logs of its own."""
    name = f'demo-{time.monotonic_ns()}'
    env = {**os.environ, 'IVSHMEM_TEST_LOGS': str(lab.log_dir() / name), **env}
    err = open(lab.log_dir() / (name + '.err'), 'w+', encoding='utf-8')
    proc = subprocess.Popen([*before, str(DEMO), *args], stdout=subprocess.PIPE, stderr=err,
                            stdin=subprocess.DEVNULL, text=True, env=env)
    proc.err = err
    return proc


def finish(proc):
    """(exit status, stdout, stderr)."""
    try:
        out, _ = proc.communicate(timeout=LIMIT)
    finally:
        if proc.poll() is None:
            proc.terminate()
            proc.wait(60)
        proc.err.seek(0)
        err = proc.err.read()
        proc.err.close()
    return proc.returncode, out, err


def traces():
    """What a demo must give back."""
    mounts = [line.split()[:3] for line in open('/proc/mounts', encoding='utf-8')]
    return {'nr_hugepages': NR_HUGEPAGES.read_text(),
            'hugetlbfs': [mount for mount in mounts if mount[2] == 'hugetlbfs'],
            'files': [name for folder in ('/run', '/dev/shm') for name in os.listdir(folder)
                      if name.startswith('ivshmem-demo-')
                      or name.startswith('ivshmem-vm.') and not alive(name.split('.')[1])]}


def alive(pid):
    return os.path.exists(f'/proc/{pid}')


def check_rows(result, ways):
    lab.check([(row['pair'], row['from'], row['to'], row['size']) for row in result['rows']]
              == ways, f'rows: {result["rows"]}')
    for row in result['rows']:
        title = f'{row["from"]} -> {row["to"]}, {row["size"]} B: {row}'
        lab.check(row['ok'] and row['short'], title)
        lab.check(row['received'] > 0 and row['judged'] > 0 and row['mpps'] > 0
                  and row['gbps'] > 0, title)
        lab.check(row['sent'] == row['received'] + row['dropped'], title)
        lab.check((row['dropped'], row['lost'], row['corrupted'], row['reordered']) == (0,) * 4,
                  title)


def whole_run(option, pairs):
    """A quick run passes, prints one object on stdout and leaves nothing."""
    before = traces()
    status, out, err = finish(start(option, '--quick', '--json'))
    lab.check(status == 0, f'exit status {status}\n{err[-3000:]}')
    result = json.loads(out)
    lab.check(result['result'] == 'pass' and result['error'] is None, f'{result}')
    check_rows(result, [(pair, *way, size) for pair, a, b in pairs for size in (64, 1518)
                        for way in ((a, b), (b, a))])
    lab.check([region['pair'] for region in result['regions']] == [pair[0] for pair in pairs]
              and all(region['ports'] == '2' for region in result['regions']), f'{result}')
    lab.check(traces() == before, f'before {before}, after {traces()}')
    return result


def host_quick():
    whole_run('--host', [('host-host', 'process-a', 'process-b')])


def vm_quick():
    result = whole_run('--vm', [('vm-vm', 'vm-a', 'vm-b'), ('vm-host', 'vm', 'process')])
    lab.check([(device['vm'], device['address'], device['driver'])
               for device in result['devices']]
              == [(vm, '0000:00:10.0', 'vfio-pci') for vm in ('vm-a', 'vm-b', 'vm')],
              f'{result["devices"]}')


def broken_frames_are_noticed():
    """A build whose first generator damages frames: exit status 1, and that row alone is bad."""
    build = lab.private_dir()
    for name in ('app', 'drivers'):
        (build / name).symlink_to(lab.BUILD / name)
    (build / 'test' / 'traffic').mkdir(parents=True)
    program = build / 'test' / 'traffic' / 'ivshmem-traffic'
    program.write_text(INJECTING.format(once=build / 'once',
                                        real=lab.BUILD / 'test/traffic/ivshmem-traffic'))
    program.chmod(0o755)
    status, out, err = finish(start('--host', '--frames', '20000', '--json',
                                    IVSHMEM_BUILD_ROOT=str(build)))
    lab.check(status == 1, f'exit status {status}\n{err[-3000:]}')
    rows = json.loads(out)['rows']
    lab.check([row['ok'] for row in rows] == [False, True, True, True], f'{rows}')
    lab.check(rows[0]['corrupted'] == 2 and rows[0]['traffic']['duplicated'] == 1, f'{rows[0]}')
    lab.check('FAILED' in err, f'the table does not say so:\n{err[-3000:]}')


def losses_are_noticed():
    """The verdict on one row, from made-up counters."""
    class End:
        name = 'x'
    wire = Wire(Console(sys.stderr, lab.ROOT), 'pair', [End, End], 10, 10)
    clean = {**dict.fromkeys(FAULTS, 0), 'sent': 10, 'received': 10, 'errors': []}
    timed = {'sent': 20, 'received': 20, 'bytes': 1280, 'drops': {}, 'mpps': 1.0, 'gbps': 1.0}

    def row(verdict, measured):
        return wire.row((End, End, 64), {**clean, **verdict}, {**timed, **measured})
    good = row({}, {})
    lab.check(good['ok'] and not good['short'] and good['lost'] == 0, f'{good}')
    fewer = {'received': 17, 'bytes': 1088}
    for verdict, measured, lost in (
            ({}, fewer, 3), ({}, {**fewer, 'drops': {DROPS[0]: 1}}, 2),
            ({}, {**fewer, 'drops': {DROPS[0]: 3}}, 0), ({'received': 9, 'lost': 1}, {}, 1),
            ({'received': 9}, {}, 0), ({'reordered': 1}, {}, 0), ({'leaked': 1}, {}, 0),
            ({'errors': ['x']}, {}, 0), ({}, {'bytes': 1279}, 0),
            ({'sent': 0, 'received': 0}, {}, 0)):
        bad = row(verdict, measured)
        lab.check(not bad['ok'] and bad['problems'] and bad['lost'] == lost, f'{bad}')
    wire.console.close()


def server_and_ends(pid):
    """The demo's children, once there are three: between two rows there is only the server."""
    found = []
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as stream:
            found += stream.read().split()
    return found if len(found) >= 3 else None


def interrupted():
    """Ctrl-C while frames flow: exit status 130, and nothing is left."""
    before = traces()
    proc = start('--host', '--json')
    path = proc.err.name
    lab.wait_until(lambda: ' of 10000000 frames' in open(path, encoding='utf-8').read(), 120,
                   'the first sign of frames')
    children = lab.wait_until(lambda: server_and_ends(proc.pid), 60, 'a server and two ends')
    proc.send_signal(signal.SIGINT)
    status, out, err = finish(proc)
    lab.check(status == 130, f'exit status {status}\n{err[-3000:]}')
    lab.check('interrupted' in json.loads(out)['error'], out)
    lab.wait_until(lambda: not any(alive(pid) for pid in children), 10, f'the end of {children}')
    lab.check(traces() == before, f'before {before}, after {traces()}')


def no_hugepages():
    """The error has the numbers, and what was written is taken back."""
    folder = lab.private_dir()
    status, out, err = finish(start('--host', before=[
        'unshare', '--mount', 'sh', '-c', NO_HUGEPAGES, 'sh', str(folder)]))
    lab.check(status == 1, f'exit status {status}\n{out}{err}')
    lab.check('only 3 hugepages of 2 MiB are free, 272 are needed' in err, err)
    lab.check((folder / 'nr_hugepages').read_text().strip() == '4', 'nr_hugepages is not restored')


def not_root():
    """One clear error; capabilities only make the checkout readable."""
    caps = '-all,+dac_override'
    status, out, err = finish(start('--host', before=[
        'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', f'--inh-caps={caps}',
        f'--ambient-caps={caps}', '--']))
    lab.check(status == 1 and out == '', f'exit status {status}: {out}')
    lab.check(err.count('\n') == 1 and err.startswith('app/demo: error: needs root'), err)


def wrong_options():
    for args, word in ((['--host', '--vm'], '--vm'), (['--frames', '0'], '--frames 0'),
                       (['--nonsense'], '--nonsense')):
        status, _, err = finish(start(*args))
        lab.check(status == 2 and word in err, f'{args}: exit status {status}: {err}')


lab.main(host_quick, broken_frames_are_noticed, losses_are_noticed, interrupted, no_hugepages,
         not_root, wrong_options, vm_quick)
