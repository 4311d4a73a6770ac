# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Rules that every file of the tree keeps: licence, size, length of functions, words."""

import ast
import re
import subprocess

import lab

FILE_LINES = 500
COLUMNS = 100
FUNCTION_LINES = {'burst': 70, 'other': 60}
# Files that have no comments, or are shown as they are.
NO_HEADER = re.compile(r'(^|/)(README|MAINTAINERS|\.gitignore)$|\.(txt|golden|json|ini|svg)$')
# Written in two parts, so that this file has none of them.
UNFINISHED = re.compile(r'\b(' + '|'.join(['TO' 'DO', 'FIX' 'ME', 'X' 'XX', 'HA' 'CK']) + r')\b')
# What DPDK's checkpatches.sh (of the newest release) refuses in drivers.
FORBIDDEN = {
    r'\bf?printf\s*\(': 'printf: drivers log',
    r'\bRTE_LOG\s*\(': 'RTE_LOG: use RTE_LOG_LINE_PREFIX',
    r'\bRTE_LOG_REGISTER\s*\(': 'RTE_LOG_REGISTER: use RTE_LOG_REGISTER_DEFAULT',
    r'\b__(atomic|sync)_\w+': 'a compiler builtin for atomics',
    r'\brte_smp_[rw]?mb\b': 'rte_smp_*mb',
    r'\brte_atomic(16|32|64)_': 'rte_atomicNN_*',
    r'\brte_(panic|exit)\s*\(': 'a driver does not end the process',
    r'__attribute__': 'use the __rte_* macros',
    r'\b__builtin_': 'a compiler builtin',
    r'\b__rte_always_inline\b': '__rte_always_inline needs a measurement',
    r'#\s*pragma': 'pragma',
    r'\bpthread_create\b': 'use the control threads of EAL',
    r'%ll?[xud]': 'use PRI*64',
    r'RTE_VERSION': 'a version check: use drivers/compat',
}
MEMORY_ORDER = re.compile(r'\bmemory_order_|\bstdatomic\.h|\batomic_\w+_explicit\b')


def tracked():
    """{path: text} of everything that git tracks or would track."""
    names = subprocess.run(
        ['git', '-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others',
         '--exclude-standard'], cwd=lab.ROOT, stdout=subprocess.PIPE, check=True).stdout
    files = {}
    for name in sorted(set(names.decode().split('\0'))):
        path = lab.ROOT / name
        if name and path.is_file() and not path.is_symlink():
            files[name] = path.read_bytes().decode(errors='surrogateescape')
    return files


def kind(name, text):
    """'c', 'py', 'sh', 'meson' or the suffix."""
    for suffix, what in (('.c', 'c'), ('.h', 'c'), ('.py', 'py'), ('.sh', 'sh'),
                         ('meson.build', 'meson'), ('meson_options.txt', 'meson')):
        if name.endswith(suffix):
            return what
    if text.startswith('#!'):
        first = text.partition('\n')[0]
        return 'py' if 'python' in first else 'sh'
    return name.rpartition('.')[2]


def report(problems):
    lab.check(not problems, f'{len(problems)} findings\n' + '\n'.join(problems))


def without_comments(text):
    """C text with comments and strings blanked; line numbers stay."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


def c_functions(text):
    """(name, first line, number of body lines): braces in the first column, as DPDK has them."""
    lines = text.split('\n')
    start = None
    for number, line in enumerate(lines, 1):
        if line == '{':
            start = number
        elif line.startswith('}') and start is not None:
            head = ' '.join(lines[max(0, start - 8):start - 1])
            names = re.findall(r'(\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$', head)
            yield (names[-1] if names else '?'), start, number - start - 1
            start = None


def licence():
    report([name for name, text in tracked().items() if not NO_HEADER.search(name)
            and not ('SPDX-License-Identifier: BSD-3-Clause' in text[:400]
                     and 'Copyright(c) 2026 The net_ivshmem authors' in text[:400])])


def layout_of_files():
    problems = []
    for name, text in tracked().items():
        what = kind(name, text)
        lines = text.split('\n')
        if text and not text.endswith('\n'):
            problems.append(f'{name}: no newline at the end')
        if what in ('c', 'py', 'sh', 'meson') and len(lines) - 1 > FILE_LINES:
            problems.append(f'{name}: {len(lines) - 1} lines, {FILE_LINES} allowed')
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                problems.append(f'{name}:{number}: blanks (or a CR) at the end')
            if what in ('c', 'py', 'sh', 'meson') and len(line.expandtabs(8)) > COLUMNS:
                problems.append(f'{name}:{number}: more than {COLUMNS} columns')
            if what in ('py', 'meson') and line.startswith('\t'):
                problems.append(f'{name}:{number}: indented with a tab')
    report(problems)


def nothing_unfinished():
    report([f'{name}:{number}: {line.strip()}' for name, text in tracked().items()
            for number, line in enumerate(text.split('\n'), 1) if UNFINISHED.search(line)])


def length_of_functions():
    problems = []
    for name, text in tracked().items():
        if kind(name, text) == 'c':
            found = list(c_functions(text))
        elif kind(name, text) == 'py':
            found = [(node.name, node.lineno, node.end_lineno - node.lineno)
                     for node in ast.walk(ast.parse(text))
                     if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        else:
            continue
        for function, line, length in found:
            limit = FUNCTION_LINES['burst' if 'burst' in function else 'other']
            if length > limit:
                problems.append(f'{name}:{line}: {function}() has {length} lines, {limit} allowed')
    report(problems)


def driver_rules():
    problems = []
    for name, text in tracked().items():
        if not re.match(r'drivers/net/ivshmem/.*\.[ch]$', name):
            continue
        code = without_comments(text)
        lines = text.split('\n')
        for number, line in enumerate(code.split('\n'), 1):
            for pattern, words in FORBIDDEN.items():
                if re.search(pattern, line) and not ('always_inline' in pattern and
                                                     '/* measured: ' in lines[number - 1]):
                    problems.append(f'{name}:{number}: {words}')
            if MEMORY_ORDER.search(line) and not name.endswith('/ivshmem_atomic.h'):
                problems.append(f'{name}:{number}: memory order outside ivshmem_atomic.h')
    report(problems)


def rules_find_something():
    """The rules above would notice what they are about."""
    body = 'int\nlong_one(void (*f)(int))\n{\n' + '\tx();\n' * 61 + '}\n'
    lab.check([('long_one', 3, 61)] == list(c_functions(body)), 'length of a function')
    lab.check(UNFINISHED.search('/* ' + 'TO' 'DO: later */'), 'unfinished')
    lab.check(not UNFINISHED.search('mktemp a.XXXXXX'), 'a template of mktemp')
    code = without_comments('/* printf( */\nprintf("x");')
    hits = [p for p in FORBIDDEN for line in code.split('\n') if re.search(p, line)]
    lab.check(len(hits) == 1, 'comments are not code')


lab.main(rules_find_something, licence, layout_of_files, nothing_unfinished,
         length_of_functions, driver_rules)
