# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The region format: golden layout, tables of the header, word sizes, languages, misuse."""

import difflib
import os
import re
import subprocess
import tempfile
from pathlib import Path

import lab

HERE = Path(__file__).resolve().parent
DRIVER = lab.ROOT / 'drivers' / 'net' / 'ivshmem'
ABI = DRIVER / 'ivshmem_abi.h'
HEADERS = ('ivshmem_abi.h', 'ivshmem_proto.h', 'ivshmem_regs.h')
STRICT = ['-Wall', '-Wextra', '-Werror', '-pedantic', '-I', str(DRIVER)]
NEED_M32 = 'the compiler has no -m32; on Debian 12: apt-get install gcc-12-multilib'
WRITERS = {'formatter', 'server', 'owner', 'producer', 'consumer', '-'}
MISUSES = 11


def compile_c(args, compiler='gcc', text=None):
    """(worked, what the compiler said)"""
    done = subprocess.run([compiler, *args], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, 'LC_ALL': 'C'})
    return done.returncode == 0, done.stdout


def dump(*flags):
    with tempfile.TemporaryDirectory(prefix='ivshmem-abi-') as work:
        program = Path(work) / 'layout'
        ok, said = compile_c(['-std=c11', '-O0', *flags, *STRICT, HERE / 'layout.c',
                              '-o', program])
        lab.check(ok, f'layout.c does not compile with {flags}\n{said}')
        return subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout


def same(got, want, name):
    diff = difflib.unified_diff(want.splitlines(), got.splitlines(), 'layout.golden', name, 'is',
                                'now', lineterm='')
    lab.check(got == want, 'the region format changed. If that is meant, write the new one:\n'
              'gcc -I drivers/net/ivshmem test/abi/layout.c -o /tmp/layout && '
              '/tmp/layout > test/abi/layout.golden\n' + '\n'.join(diff))


def golden_64():
    same(dump('-m64'), (HERE / 'layout.golden').read_text(), '64 bit')


def assertions(golden):
    """layout.golden as C that compiles where each of its lines is true."""
    made = [f'#include "{header}"' for header in HEADERS]
    struct = None
    for line in golden.splitlines():
        constant = re.fullmatch(r'(\w+) = (0x[0-9a-f]+)', line)
        head = re.fullmatch(r'\w+: (struct \w+), (\d+) bytes', line)
        row = re.fullmatch(r' *(\d+) +(\d+) (\w+)', line)
        if constant:
            claims = [f'(uint64_t)({constant[1]}) == {constant[2]}ull']
        elif head:
            struct = head[1]
            claims = [f'sizeof({struct}) == {head[2]}']
        elif row:
            claims = [f'offsetof({struct}, {row[3]}) == {row[1]}',
                      f'sizeof((({struct} *)0)->{row[3]}) == {row[2]}']
        else:
            lab.check(not line, f'layout.golden: what is this: {line!r}')
            claims = []
        made += [f'_Static_assert({claim}, "{line.strip()}");' for claim in claims]
    return '\n'.join(made) + '\n'


def golden_32():
    """By the compiler alone: not every 64 bit kernel runs 32 bit programs."""
    def compiles(golden):
        return compile_c(['-x', 'c', '-std=c11', '-m32', *STRICT, '-fsyntax-only', '-'],
                         text=assertions(golden))

    golden = (HERE / 'layout.golden').read_text()
    ok, said = compiles(golden)
    lab.check(ok, f'32 bit differs from layout.golden\n{said}\n{NEED_M32}')
    for right, wrong in (('8    2 major', '8    4 major'), ('10    2 minor', '12    2 minor'),
                         ('superblock_shm, 256', 'superblock_shm, 248'),
                         ('PORTS_MIN = 0x2', 'PORTS_MIN = 0x3')):
        lab.check(golden.count(right) == 1, f'layout.golden has no {right!r}')
        ok, said = compiles(golden.replace(right, wrong))
        lab.check(not ok and 'static assertion failed' in said, f'{wrong!r} is not found\n{said}')


def golden_any_line_size():
    """Nothing of the compiler's options moves a field."""
    for flags in (['-march=native', '-O3'], ['-fshort-enums'],
                  ['-DRTE_CACHE_LINE_SIZE=128']):
        same(dump(*flags), (HERE / 'layout.golden').read_text(), ' '.join(flags))


def structs(text):
    """{table: (size, [(off, len, name)])} of layout.c's output"""
    found = {}
    for line in text.splitlines():
        head = re.fullmatch(r'(\w+): struct \w+, (\d+) bytes', line)
        if head:
            fields = []
            found[head.group(1)] = (int(head.group(2)), fields)
        row = re.fullmatch(r' *(\d+) +(\d+) (\w+)', line)
        if row:
            fields.append((int(row.group(1)), int(row.group(2)), row.group(3)))
    return found


def tables(text):
    """{table: [(off, len, writer, name)]} of the header's comments"""
    found = {}
    for name, body in re.findall(r'^ \* 8< (\w+)\n(.*?)^ \* >8$', text, re.M | re.S):
        lines = [x[3:] for x in body.splitlines()]
        lab.check(lines[0].split()[:4] == ['off', 'len', 'writer', 'name'],
                  f'table {name}: its first row is {lines[0]!r}')
        rows = []
        for line in lines[1:]:
            words = line.split()
            lab.check(len(words) >= 4 and words[0].isdigit() and words[1].isdigit(),
                      f'table {name}: no row: {line!r}')
            rows.append((int(words[0]), int(words[1]), words[2], words[3]))
        lab.check(name not in found, f'table {name} is there twice')
        found[name] = rows
    return found


def tables_are_the_structs():
    made = structs(dump())
    told = tables(ABI.read_text())
    wanted = set(made) - {'entry'}      # two halves with a table each
    lab.check(set(told) == wanted, f'tables {sorted(told)}, structs {sorted(wanted)}')
    for name, rows in told.items():
        size, fields = made[name]
        plain = [(off, length, field) for off, length, _, field in rows]
        for row, field in zip(plain, fields):
            lab.check(row == field, f'{name}: the table says {row}, the compiler {field}')
        lab.check(len(plain) == len(fields), f'{name}: {len(plain)} rows, {len(fields)} fields')
        end = 0
        for off, length, writer, field in rows:
            lab.check(off == end, f'{name}: a hole or an overlap before {field}')
            lab.check(writer in WRITERS, f'{name}: writer {writer!r} of {field}')
            lab.check((writer == '-') == field.startswith('reserved'),
                      f'{name}: {field} has writer {writer}; only what is reserved has none')
            end = off + length
        lab.check(end == size, f'{name}: the table ends at {end}, the struct at {size}')


def every_constant_is_golden():
    """layout.c prints all the constants there are."""
    golden = set(re.findall(r'^(\w+) = ', (HERE / 'layout.golden').read_text(), re.M))
    for header in HEADERS:
        text = re.sub(r'/\*.*?\*/', '', (DRIVER / header).read_text(), flags=re.S)
        names = set(re.findall(r'^#define (\w+)[ \t]+\S', text, re.M))
        names |= set(re.findall(r'^\t(IVSHMEM_\w+) = ', text, re.M))
        lab.check(len(names) > 4, f'{header}: only {names} found')
        lab.check(names <= golden, f'{header}: layout.c does not print {names - golden}')


def every_struct_is_golden():
    text = re.sub(r'/\*.*?\*/', '', ABI.read_text(), flags=re.S)
    found = re.findall(r'^struct (ivshmem_\w+) \{\n(.*?)^\};', text, re.M | re.S)
    lab.check(len(found) >= 10, f'only {len(found)} structs found')
    made = {f'ivshmem_{name}_shm': fields for name, (_, fields) in structs(dump()).items()}
    for name, body in found:
        if name in ('ivshmem_u32', 'ivshmem_u64'):
            continue
        fields = re.findall(r'(\w+)(?:\[[^;]*\])?;', body)
        lab.check([x[2] for x in made.get(name, [])] == fields,
                  f'{name}: layout.c prints {made.get(name)}, the header has {fields}')


def header_alone():
    """Each language and word size takes the header as the only include."""
    for header in HEADERS:
        for compiler, lang, stds in (('gcc', 'c', ('c11', 'gnu17')), ('clang', 'c', ('c11',)),
                                     ('g++', 'c++', ('c++17',)), ('clang++', 'c++', ('c++17',))):
            for std in stds:
                for width in ('-m64', '-m32'):
                    if compiler == 'clang++' and width == '-m32':
                        continue        # Debian gives it no 32 bit headers of its own
                    ok, said = compile_c(
                        ['-x', lang, f'-std={std}', width, *STRICT, '-fsyntax-only',
                         '-'], compiler, f'#include "{header}"\ntypedef int alone;\n')
                    lab.check(ok, f'{header}: {compiler} -std={std} {width}\n{said}\n'
                              + (NEED_M32 if width == '-m32' else ''))


def header_needs_nothing():
    """Only the C library's integer types, assert and offsetof; no type that varies."""
    text = ABI.read_text()
    lab.check(re.findall(r'#include (\S+)', text) == ['<assert.h>', '<stddef.h>', '<stdint.h>'],
              'ivshmem_abi.h includes more than <assert.h>, <stddef.h> and <stdint.h>')
    code = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    for word in (r'\bpacked\b', r'\bsize_t\b', r'\bbool\b', r'\blong\b', r'\brte_', r'\bRTE_',
                 r'\bint\b', r'^\t[\w ]+\*', r':\s*\d+;'):
        found = re.search(word, code, re.M)
        lab.check(not found, f'ivshmem_abi.h has {found.group(0) if found else ""!r} in it')


def sizes_are_multiples():
    """Arrays of a struct keep the alignment of its widest word: 8, and lines for what is hot."""
    made = structs(dump())
    for name, (size, fields) in made.items():
        for off, length, field in fields:
            unit = 8 if length % 8 == 0 else 4 if length % 4 == 0 else 2 if length % 2 == 0 else 1
            if field.startswith(('reserved', 'mac', 'uuid', 'rss_key')):
                continue
            lab.check(off % min(unit, 8) == 0, f'{name}.{field} at {off} is not aligned')
        line = {'desc': 16, 'meta': 16, 'entry': 32, 'rxq': 128, 'prod': 128, 'cons': 128,
                'section': 4096}.get(name, 64)
        lab.check(size % line == 0, f'{name}: {size} bytes are no multiple of {line}')


def misuse_does_not_compile():
    for case in range(MISUSES + 1):
        ok, said = compile_c(['-std=c11', '-fsyntax-only', '-Wall', '-Wextra',
                              '-Werror=incompatible-pointer-types', f'-DCASE={case}',
                              '-I', DRIVER, HERE / 'misuse.c'])
        if case == 0:
            lab.check(ok, f'the right way does not compile\n{said}')
            continue
        lab.check(not ok, f'misuse.c, case {case} compiles')
        lab.check('no such case' not in said and 'No such file' not in said,
                  f'misuse.c, case {case} fails for another reason\n{said}')


lab.main(golden_64, golden_32, golden_any_line_size, tables_are_the_structs,
         every_constant_is_golden, every_struct_is_golden, header_alone, header_needs_nothing,
         sizes_are_multiples, misuse_does_not_compile)
