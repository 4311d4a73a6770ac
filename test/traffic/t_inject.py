#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Does ivshmem-traffic report exactly the faults it was made to produce?

    ivshmem-traffic gensink                     usage: t_inject.py PATH-OF-IVSHMEM-TRAFFIC
      generator --faults--> net_ring0 --.
      sink <----------------------------'

One process over a looped-back net_ring, so nothing but the injected faults can go wrong.
Every kind of fault is sent a known number of times; every counter of the sink must show exactly
what follows from it, the exit status must tell, and a clean run must be clean.
"""

import json
import signal
import subprocess
import sys
import time

TRAFFIC = sys.argv[1]
EAL = ['-l', '0', '--no-pci', '--no-huge', '--no-shconf', '-m', '128', '--log-level', '4',
       '--vdev', 'net_ring0']
BOUND = 60
COUNT = 5000
NUMBER = 3

FAULTS = ('corrupted lost duplicated reordered truncated overlong badmbuf late stale foreign '
          'leaked').split()

# What one fault of each kind makes a sink count on a wire that adds nothing of its own.
EFFECT = {
    'corrupt': {'corrupted': 1},
    'header': {'corrupted': 1, 'lost': 1},
    'drop': {'lost': 1},
    'duplicate': {'duplicated': 1},
    'reorder': {'reordered': 1},
    'truncate': {'truncated': 1},
    'overlong': {'overlong': 1},
    'badmbuf': {'badmbuf': 1, 'lost': 1},
    'foreign': {'foreign': 1},
    'restart': {'streams': 1},
    'stale': {'stale': 1, 'streams': 1},
}


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


def run(role, *options, status=0):
    """Run one process to its end; returns (report or None, stderr)."""
    command = [TRAFFIC, *EAL, '--', '--role', role, '--json', '--quiet', '--idle', '0.1',
               '--linger', '0', *map(str, options)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=BOUND)
    check(done.returncode == status, 'exit status %d, expected %d: %s\n%s' % (
        done.returncode, status, ' '.join(command), done.stderr))
    check(status == 2 or done.stdout.count('\n') == 1, 'stdout is not one line:\n' + done.stdout)
    return (json.loads(done.stdout) if status != 2 else None), done.stderr


def expected(injected, queues=1):
    totals = dict.fromkeys(FAULTS, 0)
    totals['streams'] = queues
    for kind, number in injected.items():
        for name, one in EFFECT[kind].items():
            totals[name] += one * number
    return totals


def compare(report, totals):
    for name, number in totals.items():
        got = report['totals'][name]
        check(got == number, '%s: sink counted %d, expected %d' % (name, got, number))
        per_stream = [stream[name] for stream in report['streams'] if name in stream]
        if per_stream and name not in ('corrupted', 'truncated'):
            check(sum(per_stream) == number, '%s: streams add up to %d, expected %d' % (
                name, sum(per_stream), number))
    check(report['first_bad'] is not None or not any(
        number for name, number in totals.items() if name not in ('lost', 'streams')),
        'faults, but no first bad frame')


def inject_text(injected):
    return ','.join('%s:%d' % item for item in injected.items())


def expect_text(totals):
    return ','.join('%s=%d' % item for item in totals.items())


def test_clean():
    for options in ('--sizes 64', '--sizes imix --burst 7', '--sizes 60-9618 --segments 1-5',
                    '--sizes 60,64,1518,9618 --segments 4', '--queues 4 --sizes 60-200'):
        report, _ = run('gensink', '--count', COUNT, *options.split())
        queues = report['queues']
        compare(report, expected({}, queues))
        check(report['first_bad'] is None, 'first bad frame in a clean run')
        for name in 'sent', 'received':
            check(report['totals'][name] == COUNT * queues, '%s %d frames of %d' % (
                name, report['totals'][name], COUNT * queues))


def test_kind(kind):
    injected = {kind: NUMBER}
    totals = expected(injected)
    is_fault = any(totals[name] for name in FAULTS)
    options = ['--count', COUNT, '--sizes', '60-3000', '--segments', '1-3',
               '--inject', inject_text(injected)]

    report, stderr = run('gensink', *options, status=1 if is_fault else 0)
    compare(report, totals)
    done = report['injections']
    check([step['kind'] for step in done] == [kind] * NUMBER, 'injections: %s' % done)
    if is_fault:
        check('first bad frame' in stderr or 'first gap' in stderr, 'stderr names no frame')
    if kind == 'corrupt':
        first = report['first_bad']
        check((first['seq'], first['offset']) == (done[0]['seq'], done[0]['detail']),
              'first bad frame %s, but %s was broken' % (first, done[0]))
    run('gensink', *options, '--expect', expect_text(totals))
    name = next(iter(EFFECT[kind]))
    for wrong in totals[name] - 1, totals[name] + 1:
        run('gensink', *options, '--expect', expect_text({**totals, name: wrong}), status=1)


def test_all_kinds():
    for queues in 1, 4:
        injected = {kind: 2 + i for i, kind in enumerate(EFFECT)}
        report, _ = run('gensink', '--count', COUNT, '--queues', queues, '--sizes', 'imix',
                        '--inject', inject_text(injected),
                        '--expect', expect_text(expected(injected, queues)))
        compare(report, expected(injected, queues))


def test_long_stream():
    # Goes round the sequence window of the sink (65536) several times.
    injected = {'drop': 20, 'duplicate': 20, 'reorder': 20}
    report, _ = run('gensink', '--count', 400000, '--inject', inject_text(injected),
                    '--expect', expect_text(expected(injected)))
    compare(report, expected(injected))


def test_tail_bytes():
    # Payloads of 4 to 15 bytes: every byte is in the last word of its frame or next to it.
    injected = {'corrupt': 400}
    report, _ = run('gensink', '--count', COUNT, '--sizes', '60-71', '--segments', '1-4',
                    '--inject', inject_text(injected), status=1)
    compare(report, expected(injected))


def test_seed():
    options = ['--count', COUNT, '--inject', 'corrupt:5', '--sizes', '60-1500', '--run', 7]
    places = []
    for seed in 1, 1, 2:
        report, _ = run('gensink', *options, '--seed', seed, status=1)
        places.append((report['injections'], report['tx']['bytes']))
    check(places[0] == places[1], 'the same seed made two different runs')
    check(places[0] != places[2], 'two seeds made the same run')


def test_leak():
    # Nobody empties the ring, and net_ring does not free what it holds.
    report, stderr = run('gen', '--count', 100, status=1)
    check(report['totals']['leaked'] == 100, 'leaked: %s' % report['totals'])
    check('leaked: 100, expected 0' in stderr, stderr)


def test_stall():
    report, stderr = run('gen', '--tx-timeout', '0.2', '--expect', 'leaked=any', status=1)
    check('accepted nothing' in stderr and report['error'], stderr)
    report, _ = run('gen', '--tx-drop', '--count', COUNT, '--expect', 'leaked=any')
    totals = report['totals']
    check(totals['dropped'] > 0 and totals['sent'] + totals['dropped'] == COUNT, str(totals))


def test_ping():
    report, _ = run('ping', '--count', COUNT, '--burst', 2)
    ping = report['ping']
    check(ping['returned'] == 2 * COUNT and ping['lost'] == 0, str(ping))
    rtt = ping['rtt_ns']
    check(0 < rtt['min'] <= rtt['p50'] <= rtt['p99'] <= rtt['p99_9'] <= rtt['max'], str(rtt))


def test_nothing_received():
    _, stderr = run('sink', '--wait', '0.2', status=1)
    check('no frame came' in stderr, stderr)


def test_signal():
    # The progress line shows that it runs; then the end must be clean and complete.
    process = subprocess.Popen([TRAFFIC, *EAL, '--', '--role', 'gensink', '--json'],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if ' s: sent' in line:
                break
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=BOUND)
    finally:
        process.kill()
        process.wait()
    check(process.returncode == 0, 'exit status %d\n%s' % (process.returncode, stderr))
    report = json.loads(stdout)
    totals = report['totals']
    check(report['ended'] == 'signal', report['ended'])
    check(totals['sent'] == totals['received'] + totals['lost'] and totals['lost'] == 0,
          str(totals))
    stream = report['streams'][0]
    check(stream['total'] == stream['next_seq'] == totals['sent'], 'no last frame: %s' % stream)


def test_usage():
    for options, part in (
            ('--sizes 59', '--sizes 59: must be'), ('--sizes 64,9619', '60 to 9618'),
            ('--queues 17', '--queues 17: must be a whole number from 1 to 16'),
            ('--bogus', "'--bogus'"), ('--count', "'--count' lacks its value"),
            ('--segments 3-2', '--segments 3-2'), ('--dst-mac x', '--dst-mac x'),
            ('--inject bogus:1 --count 99', '--inject bogus:1'),
            ('--inject drop:9 --count 9', 'needs at least 72'),
            ('--expect bogus=1', '--expect bogus=1'), ('--idle -1', '--idle -1'),
            ('--port 9', '--port 9: no such port'), ('--mbufs 2000000', '--mbufs')):
        _, stderr = run('gensink', *options.split(), status=2)
        check(part in stderr, '%s: message lacks "%s":\n%s' % (options, part, stderr))


def main():
    tests = [('clean', test_clean)]
    tests += [(kind, lambda kind=kind: test_kind(kind)) for kind in EFFECT]
    tests += [('all kinds', test_all_kinds), ('long stream', test_long_stream),
              ('tail bytes', test_tail_bytes), ('seed', test_seed), ('leak', test_leak),
              ('stall', test_stall), ('ping', test_ping), ('signal', test_signal),
              ('nothing received', test_nothing_received), ('usage', test_usage)]
    failed = 0
    for name, test in tests:
        start = time.monotonic()
        try:
            test()
            verdict = 'ok'
        except (Failure, subprocess.TimeoutExpired) as error:
            verdict = 'FAILED: %s' % error
            failed += 1
        print('%-18s %5.1f s  %s' % (name, time.monotonic() - start, verdict), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
