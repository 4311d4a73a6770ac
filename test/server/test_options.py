#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The command line: what is refused, in which words, and what the documents say of it."""

import json
import re
import subprocess

import lab

# arguments: what the one error line must name
WRONG = {
    '--size 3M': ['--size', '3145728', '2097152', '4194304'],
    '-l 3000000': ['--size', '3000000', '2097152', '4194304'],
    '-l 512K': ['--size', '524288|512K', '1048576'],
    '-l 2T': ['--size', '2T', '1099511627776'],
    '-l 0': ['--size', ' 0 ', '1048576'],
    '-l 64X': ['--size', '64X', 'suffix'],
    '-l -64M': ['--size', '-64M'],
    '-l 64MM': ['--size', '64MM'],
    '-l 99999999999999999999': ['--size', '99999999999999999999', '1099511627776'],
    '-l 17179869185G': ['--size', '17179869185G', '1099511627776'],
    '-n 0': ['--vectors', ' 0 ', r'1\.\.64'],
    '-n 65': ['--vectors', '65', r'1\.\.64'],
    '--vectors two': ['--vectors', "'two'"],
    '--vectors 4294967298': ['--vectors', '4294967298'],
    '--ports 1': ['--ports', ' 1 ', r'2\.\.1024'],
    '--ports 1025': ['--ports', '1025', r'2\.\.1024'],
    '--ports 64 --size 1M': ['--ports', '64', r'hold \d+ ports'],
    '--queues 0': ['--queues', ' 0 ', r'1\.\.16'],
    '--queues 17': ['--queues', '17', r'1\.\.16'],
    '--queues 16 --size 1M': ['--queues', '16', r'ports of \d+ queues'],
    '--ring-size 100': ['--ring-size', '100', 'power of two'],
    '--ring-size 16': ['--ring-size', ' 16 ', r'32\.\.32768'],
    '--ring-size 32768 --size 1M': ['--ring-size', '32768', r'rings of \d+'],
    '--buf-size 300': ['--buf-size', '300', '64'],
    '--buf-size 65536': ['--buf-size', '65536', '65472'],
    '--headroom 64': ['--headroom', ' 64 ', '128'],
    '--headroom 130': ['--headroom', '130', '64'],
    '--headroom 2048 --buf-size 2048': ['--headroom', '2048'],
    '--socket-mode 668': ['--socket-mode', '668', 'octal'],
    '--socket-mode 1777': ['--socket-mode', '1777', r'0\.\.777'],
    '--allow-uid x': ['--allow-uid', "'x'"],
    '--allow-uid 1,,2': ['--allow-uid', "''"],
    '--allow-uid 4294967295': ['--allow-uid', '4294967295', r'0\.\.4294967294'],
    '--allow-gid 0,000000000000000000000000000001': ['--allow-gid', '0001', 'list'],
    '--allow-gid ' + ','.join(map(str, range(900, 965))): ['--allow-gid', '964', '64'],
    '--numa-node 63': ['--numa-node', '63', 'does not exist', r'there are: 0\b'],
    '--numa-node 1024': ['--numa-node', '1024', r'0\.\.1023'],
    'format --announce-leave a': ['--announce-leave', 'format'],
    '--client-timeout 0': ['--client-timeout', ' 0 ', r'1\.\.3600'],
    '--hugepages --size 1M': ['--size', '1048576', '--hugepages', '2097152'],
    '--hugepages -M x': ['--hugepages', '--shm'],
    '-m /x -M y': ['--shm', '--mem-path'],
    '-F --daemonize': ['--foreground', '--daemonize'],
    '--no-such-option': ['--no-such-option', '--help'],
    '-Z': ['-Z', '--help'],
    '--force=yes': ['--force', 'no value'],
    '--socket': ['--socket', 'PATH'],
    '-S ': ['--socket', 'empty'],
    'serve': ['serve', 'format'],
    'format': ['FILE'],
    'format a b': ['FILE', '2'],
    'format -S /x a': ['--socket', 'format'],
    'format -m a b': ['--mem-path', 'format'],
    'format -n 2 a': ['--vectors', 'format'],
}


def run(*args):
    return subprocess.run([lab.server(), *args], capture_output=True, text=True, timeout=20)


def wrong_options_are_named():
    for args, patterns in WRONG.items():
        done = run(*args.split(' '))
        said = done.stderr.strip()
        lab.check(done.returncode == 2, f'{args}: exit status {done.returncode}, not 2: {said}')
        lab.check(said.startswith('ivshmem-server: error: ') and '\n' not in said,
                  f'{args}: not one error line: {said}')
        lab.check(done.stdout == '', f'{args}: it printed {done.stdout}')
        for pattern in patterns:
            lab.check(re.search(pattern, said), f'{args}: no {pattern} in: {said}')


def dry_run_prints_the_geometry():
    done = run('--dry-run', '--json', '-l', '16M', '--ports', '3', '--queues', '2',
               '--ring-size', '512', '--buf-size', '1024', '--headroom', '192', '-n', '7')
    lab.check(done.returncode == 0, done.stderr)
    said = json.loads(done.stdout)
    want = {'size': 16 << 20, 'ports': 3, 'queues': 2, 'ring_size': 512, 'buf_size': 1024,
            'headroom': 192, 'vectors': 7}
    lab.check({k: said[k] for k in want} == want, f'{said} is not {want}')
    text = dict(line.split() for line in run('--dry-run').stdout.splitlines())
    lab.check(text['size'] == str(64 << 20) and text['ports'] == '2', f'defaults: {text}')
    lab.check(int(text['vectors']) == 1 + int(text['queues']), f'vectors: {text}')
    lab.check(run('--dry-run', '-l', '3M').returncode == 2, 'a wrong size passed')
    tera = dict(line.split() for line in run('--dry-run', '-l', '1t').stdout.splitlines())
    lab.check(tera['size'] == str(1 << 40), f'1t: {tera}')


def version():
    said = json.loads(run('--version', '--json').stdout)
    lab.check(re.fullmatch(r'\d+\.\d+', said['version']) and said['format'] == '1.0', f'{said}')
    lab.check(said['version'] in run('--version').stdout, 'text and JSON differ')


def help_and_manual_agree():
    help_text = run('-h').stdout
    lab.check(help_text == run('--help').stdout, '-h and --help differ')
    in_help = set(re.findall(r'--[a-z][a-z-]+', help_text.split('\n\n', 2)[2]))
    page = (lab.ROOT / 'doc/man/ivshmem-server.8').read_text().replace('\\-', '-')
    options = page.split('.SH OPTIONS')[1].split('.SH ')[0]
    in_page = set(re.findall(r'^\.(?:B|BR|BI|TP|IR).*?(--[a-z][a-z-]+)', options, re.M))
    lab.check(in_help == in_page, f'only in --help: {in_help - in_page}, only in the manual: '
              f'{in_page - in_help}')
    for letter in '-h -v -F -p -S -M -m -l -n'.split():
        lab.check(re.search(f'  {letter}, --', help_text), f'no {letter} of QEMU\'s server')


lab.main(wrong_options_are_named, dry_run_prints_the_geometry, version, help_and_manual_agree)
