#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Static analysis of the driver and the server: cppcheck, gcc -fanalyzer, clang-tidy.

usage: analyze.py cppcheck|gcc|gcc_driver|tidy...

A finding is an error, unless analyze.supp has it with a reason; and so is a line there that
nothing needs any more. gcc and tidy compile as build/compile_commands.json says.
"""

import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lab

SOURCES = re.compile(r'(app/ivshmem-server|drivers/net/ivshmem)/\w+\.c$')
FINDING = re.compile(r'^(\S+?):(\d+):\d+:? (?:warning|error): (.*?) \[(?:CWE-\d+\] \[)?(?:-W)?'
                     r'([\w.,-]+)\]$', re.M)
TIDY = ','.join([
    '-*', 'clang-analyzer-*', 'bugprone-*',
    # wants memcpy_s() and such, which glibc does not have
    '-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling',
    # two neighbors of one type: in C a matter of names
    '-bugprone-easily-swappable-parameters',
    # every assignment of a count to an int; gcc's -Wconversion is not used for the same reason
    '-bugprone-narrowing-conversions',
    # products of 32-bit counts whose bounds ivshmem_check.c and the ethdev limits prove
    '-bugprone-implicit-widening-of-multiplication-result',
    # names of feature macros that the C library and DPDK ask for
    '-bugprone-reserved-identifier',
    # states that are listed one by one although they lead to the same
    '-bugprone-branch-clone',
    # cnt * sizeof(*table) where the table is one of pointers; cppcheck looks for the mistake, too
    '-bugprone-sizeof-expression',
])


def commands():
    """{file: (directory, argv without output)} of what is built for use, once each."""
    found = {}
    for entry in json.loads((lab.BUILD / 'compile_commands.json').read_text()):
        path = os.path.relpath(os.path.join(entry['directory'], entry['file']), lab.ROOT)
        if not SOURCES.match(path) or path in found or 'test/' in entry['output']:
            continue
        argv = shlex.split(entry['command'])
        for option, more in (('-MD', 1), ('-MQ', 2), ('-MF', 2), ('-o', 2), ('-c', 2)):
            at = argv.index(option)
            del argv[at:at + more]
        found[path] = entry['directory'], argv
    lab.check(len(found) > 30, f'only {len(found)} files are built: run app/setup')
    return found


def suppressed(tool):
    """{(file, check)} with a reason."""
    found = set()
    for line in (Path(__file__).parent / 'analyze.supp').read_text().splitlines():
        if not line or line.startswith('#'):
            continue
        words = line.split(None, 3)
        lab.check(len(words) == 4 and len(words[3]) > 10, f'analyze.supp: no reason: {line}')
        if words[0] == tool:
            found.add((words[1], words[2]))
    return found


def judge(tool, text, directory=lab.BUILD):
    found, problems = set(), set()
    for path, line, words, check in FINDING.findall(text):
        path = os.path.relpath(os.path.join(directory, path), lab.ROOT)
        if path.startswith('..'):
            continue                    # in a header of the system
        found.add((path, check))
        problems.add((path, check, f'{path}:{line}: {words} [{check}]'))
    known = suppressed(tool)
    bad = sorted(words for path, check, words in problems if (path, check) not in known)
    bad += [f'analyze.supp: {tool} finds no {check} in {path} any more'
            for path, check in sorted(known - found)]
    lab.check(not bad, f'{len(bad)} findings\n' + '\n'.join(bad))


def output(argv, cwd):
    """What an analyzer says. Findings are no failure of its own: one that fails has not looked."""
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace')
    lab.check(done.returncode == 0,
              f'{argv[0]} ended with status {done.returncode}:\n{done.stdout[-2000:]}')
    return done.stdout


def over_files(tool, names, argv_of):
    files = commands()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(lambda name: output(argv_of(name, files[name][1]), files[name][0]),
                              names(files)))
    judge(tool, '\n'.join(texts))


def core(files):
    """The files that know nothing of DPDK, whose headers take long to look at."""
    return [name for name in files if '-include' not in files[name][1]]


def cppcheck():
    text = output(['cppcheck', '--enable=warning,performance,portability,style', '--std=c11',
                   '--quiet', '-D_GNU_SOURCE', '-D__x86_64__', '-DRTE_CACHE_LINE_SIZE=64',
                   # smaller scopes are a matter of taste, and DPDK declares first
                   '--suppress=variableScope',
                   '--template={file}:{line}:1: warning: {message} [{id}]',
                   '-Idrivers/net/ivshmem', '-Iapp/ivshmem-server', 'drivers/net/ivshmem',
                   'app/ivshmem-server'], lab.ROOT)
    judge('cppcheck', text, lab.ROOT)


def gcc_argv(name, argv):
    return [*argv, '-fanalyzer', '-fdiagnostics-plain-output', '-c', lab.ROOT / name, '-o',
            '/dev/null']


def gcc():
    over_files('gcc', core, gcc_argv)


def gcc_driver():
    over_files('gcc_driver', lambda files: set(files) - set(core(files)), gcc_argv)


def tidy():
    def argv_of(name, argv):
        return ['clang-tidy', '--quiet', f'--checks={TIDY}', lab.ROOT / name, '--',
                *[word for word in argv[1:] if not word.startswith('-fdiagnostics')]]
    over_files('tidy', list, argv_of)


def finds_something():
    """A null pointer and a leak are noticed by all of them, and what does not compile."""
    place = lab.private_dir()
    bad = place / 'bad.c'
    bad.write_text('#include <stdlib.h>\nint f(int n);\nint f(int n)\n{\n\tint *p = NULL;\n'
                   '\tif (n > 3)\n\t\tfree(malloc(n));\n\treturn *p;\n}\n')
    for argv in (['gcc', '-fanalyzer', '-fdiagnostics-plain-output', '-c', bad, '-o', '/dev/null'],
                 ['clang-tidy', '--quiet', f'--checks={TIDY}', bad, '--'],
                 ['cppcheck', '--quiet', '--template={file}:{line}:1: warning: {message} [{id}]',
                  bad]):
        found = FINDING.findall(output(argv, place))
        lab.check(any('ull' in check for *_, check in found), f'{argv[0]} found {found}')
    bad.write_text('#include <nowhere.h>\n')
    for argv in (['gcc', '-fanalyzer', '-c', bad], ['clang-tidy', '--quiet', bad, '--']):
        try:
            output(argv, place)
        except lab.Failure:
            continue
        raise lab.Failure(f'{argv[0]} did not look, and that was not noticed')


lab.main(finds_something, cppcheck, gcc, gcc_driver, tidy)
