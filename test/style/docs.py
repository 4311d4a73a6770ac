# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The documents build without a warning and agree with the code, the tests and the tree."""

import configparser
import re
import shutil
import subprocess

import lab

DOC = lab.ROOT / 'doc'
GUIDE = DOC / 'guides/nics/ivshmem.rst'
DRIVER = lab.ROOT / 'drivers/net/ivshmem'
INI = DOC / 'guides/nics/features/ivshmem.ini'
MAP = lab.ROOT / 'test/style/features.map'
FIRST_SCREEN = 24
# Files of DPDK's tree, where the driver may move.
ELSEWHERE = {'drivers/net/meson.build', 'doc/guides/nics/index.rst'}


def report(problems):
    lab.check(not problems, f'{len(problems)} findings\n' + '\n'.join(problems))


def differences(left, what_left, right, what_right):
    return ([f'{x}: in {what_left}, not in {what_right}' for x in sorted(set(left) - set(right))]
            + [f'{x}: in {what_right}, not in {what_left}' for x in sorted(set(right) - set(left))])


def documents():
    return sorted(DOC.rglob('*.rst'))


def between(text, name):
    """What the code quotes between '8< name' and '>8'; '' unless both are there, once."""
    parts = re.split(rf'^.*8< {re.escape(name)}\b.*$', text, flags=re.M)
    return parts[1].partition('>8')[0] if len(parts) == 2 and '>8' in parts[1] else ''


def quoted(path):
    """(line, file, name of the marker) of each literalinclude of a document."""
    text = path.read_text()
    for match in re.finditer(r'^\.\. literalinclude:: (\S+)\n((?:   :.*\n)*)', text, re.M):
        number = text.count('\n', 0, match.start()) + 1
        start = re.search(r':start-after: 8< (\S+)$', match[2], re.M)
        end = re.search(r':end-before: >8$', match[2], re.M)
        yield number, (path.parent / match[1]).resolve(), start and end and start[1]


def markers():
    """What is quoted is there, and every part of the format is quoted."""
    problems = []
    seen = {}
    for path in documents():
        for number, source, name in quoted(path):
            where = f'{path.relative_to(lab.ROOT)}:{number}'
            if not source.is_file():
                problems.append(f'{where}: no file {source}')
            elif not name:
                problems.append(f'{where}: quotes {source.name}, but not from 8< name to >8')
            elif not between(source.read_text(), name).strip():
                problems.append(f'{where}: {source.name} has no text from 8< {name} to >8')
            seen.setdefault(source.name, set()).add(name)
    for header in ('ivshmem_abi.h', 'ivshmem_proto.h', 'ivshmem_regs.h'):
        names = re.findall(r'8< (\w+)', (DRIVER / header).read_text())
        lab.check(names, f'no markers in {header}')
        problems += differences(names, header, seen.get(header, ()), 'the documents')
    report(problems)


def documented_devargs(text):
    """[(name, value, fronts)] of the guide's definition list."""
    return re.findall(r'^``(\w+)=([^`]*)`` \(([^)]*)\)$', text, re.M)


def table_devargs(text):
    """{name: (fronts, range or None)} of the driver's table."""
    rows = re.findall(r'\{ "(\w+)", (\w+),\s+([\w\s|]+), IVSHMEM_ARG\(\w+\),'
                      r'\s*([^,]+),\s*([^}]+?) \}', between(text, 'devargs'))
    found = {}
    for name, kind, fronts, low, high in rows:
        where = [w for w in ('vdev', 'PCI') if 'IVSHMEM_FRONT_' + w.upper() in fronts]
        found[name] = (', '.join(where), f'<{low}-{high}>' if kind.endswith('COUNT') else None)
    return found


def devargs():
    table = table_devargs((DRIVER / 'ivshmem_devargs.c').read_text())
    listed = documented_devargs(GUIDE.read_text())
    problems = differences(table, 'ivshmem_devargs.c', [x[0] for x in listed], 'the guide')
    for name, value, fronts in listed:
        if name not in table:
            continue
        if fronts != table[name][0]:
            problems.append(f'{name}: the guide says ({fronts}), the table ({table[name][0]})')
        if table[name][1] not in (None, value.replace('|', '-')):
            problems.append(f'{name}: the guide says {value}, the table {table[name][1]}')
    for source, front in (('ivshmem_vdev.c', 'vdev'), ('ivshmem_pci.c', 'PCI')):
        text = re.search(r'RTE_PMD_REGISTER_PARAM_STRING\(\w+,([^;]*)\);',
                         (DRIVER / source).read_text())[1]
        words = ''.join(re.findall(r'"([^"]*)"', text)).split()
        problems += differences(words, source, [f'{n}={v}' for n, v, f in listed if front in f],
                                'the guide')
    lab.check(len(table) > 3, f'only {len(table)} device arguments found')
    report(problems)


def xstats():
    table = re.findall(r'^\t\{ "(\w+)",', between((DRIVER / 'ivshmem_stats.c').read_text(),
                                                   'xstats'), re.M)
    lab.check(len(table) > 5, f'only {len(table)} counters found')
    listed = re.findall(r'^   \* - ``(\w+)``$', GUIDE.read_text(), re.M)
    report(differences(table, 'ivshmem_stats.c', listed, 'the guide'))


def ini(text):
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_string(text)
    return {k: v.strip() for k, v in parser['Features'].items()}


def features():
    """DPDK knows the names, a test exercises each, and these tests exist."""
    source = subprocess.run([lab.ROOT / 'app/setup', '--print-dpdk-source'], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.strip()
    with open(f'{source}/doc/guides/nics/features/default.ini') as file:
        known = ini(file.read())
    ours = ini(INI.read_text())
    problems = [f'{name}: DPDK has no such feature' for name in ours if name not in known]
    problems += [f'{name} = {value}: only Y or P' for name, value in ours.items()
                 if value not in ('Y', 'P')]
    problems += [f'{name}: not in the order of default.ini'
                 for name, want in zip(ours, [x for x in known if x in ours]) if name != want]
    mapped = ini('[Features]\n' + MAP.read_text())
    problems += differences(ours, INI.name, mapped, MAP.name)
    tests = subprocess.run([lab.ROOT / 'test/run', '--list'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    for name, value in mapped.items():
        for test in re.split(r',\s*', value):
            if test not in tests:
                problems.append(f'{name}: test/run --list has no {test!r}')
    report(problems)


def prose(text):
    """(line number, line) of a document without what it shows as it is."""
    inside = None
    for number, line in enumerate(text.split('\n'), 1):
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if re.match(r'\s*\.\. (code-block|literalinclude)::', line):
            inside = indent
        if inside is None:
            yield number, line


def runs_on(line):
    """Two sentences; what is shown as it is counts as one word."""
    line = re.sub(r'``.*?``', '``x``', line)
    return re.search(r'[a-z0-9)`*][.?!] +[A-Z`]', line) is not None


def sentences():
    """One sentence stands on one line."""
    report([f'{path.relative_to(lab.ROOT)}:{number}: {line.strip()}' for path in documents()
            for number, line in prose(path.read_text()) if runs_on(line)])


def paths_in(text):
    """Files and directories of this tree that a text names."""
    names = re.findall(r'(?<![\w./-])(?:\./)?((?:app|doc|drivers|test)/[\w./-]*\w)', text)
    names += ['drivers/net/ivshmem/' + x for x in re.findall(r'``(ivshmem_\w+\.[ch])``', text)]
    return sorted(set(names) - ELSEWHERE)


def paths():
    problems = []
    for path in [lab.ROOT / 'README', *documents()]:
        problems += [f'{path.relative_to(lab.ROOT)}: there is no {name}'
                     for name in paths_in(path.read_text()) if not (lab.ROOT / name).exists()]
    report(problems)


def readme():
    """The first screen has what a newcomer needs; every directory has its line."""
    lines = (lab.ROOT / 'README').read_text().splitlines()
    first = '\n'.join(lines[:FIRST_SCREEN])
    problems = [f'README:{n}: more than 80 columns' for n, x in enumerate(lines, 1) if len(x) > 80]
    problems += [f'README: nothing matches {pattern!r} in the first {FIRST_SCREEN} lines'
                 for pattern in (r'^  \./app/demo ', r'^  \./test/run ', r'^Limits: ',
                                 r'^Measured: .*\d.* Mpps.*,')
                 if not re.search(pattern, first, re.M)]
    names = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '--cached', '--others',
                            '--exclude-standard'], cwd=lab.ROOT, stdout=subprocess.PIPE,
                           check=True, text=True).stdout.splitlines()
    folders = {name.split('/')[0] for name in names if '/' in name}
    folders |= {'/'.join(name.split('/')[:2]) for name in names
                if name.count('/') > 1 and not name.startswith('doc/')}
    listed = set(re.findall(r'^  +((?:[\w-]+/)+) ', '\n'.join(lines), re.M))
    for folder in sorted(x for x in folders if not x.startswith('.')):
        if not any(f'{x}/'.startswith(folder + '/') for x in listed):
            problems.append(f'README: no line for the directory {folder}/')
    report(problems)


def sphinx(source):
    """Builds HTML with warnings as errors: (exit status, output, directory)."""
    out = lab.private_dir()
    done = subprocess.run(['sphinx-build', '-q', '-W', '--keep-going', '-b', 'html', '-d',
                           out / 'trees', source, out / 'html'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout, out / 'html'


def html():
    status, output, out = sphinx(DOC)
    lab.check(status == 0, f'sphinx-build ended with {status}\n{output}')
    report([f'{path.name} is not in the output' for path in documents()
            if not (out / path.relative_to(DOC)).with_suffix('.html').is_file()])
    text = (out / 'region-format.html').read_text()
    lab.check('<pre>' in text and '<pre> * ' not in text, 'tables keep the margin of a comment')


def html_finds_something():
    bad = lab.private_dir()
    shutil.copy(DOC / 'conf.py', bad)
    (bad / 'index.rst').write_text('Title\n=====\n\n:ref:`nowhere`\n')
    status, output, _ = sphinx(bad)
    lab.check(status != 0 and 'nowhere' in output, f'a dead reference passed: {status}\n{output}')


def rules_find_something():
    lab.check(between('a\n/* 8< x */\nb\n/* >8 */\n', 'x').strip().startswith('b'), 'a marker')
    lab.check(between('a\n/* 8< x */\nb\n', 'x') == '', 'a marker without an end')
    lab.check(documented_devargs('``a=<0-9>`` (PCI)\n    b\n') == [('a', '<0-9>', 'PCI')], 'a term')
    lab.check(runs_on('One. Two') and not runs_on('DPDK 22.11 is one.'), 'two sentences')
    lab.check(runs_on('``a``. Two') and not runs_on('``One? Two``'), 'sentences and literals')
    lab.check([n for n, _ in prose('a\n\n.. code-block:: c\n\n   A. B\nb')] == [1, 2, 6], 'code')
    lab.check(paths_in('see ./test/run, ``ivshmem_x.c``') ==
              ['drivers/net/ivshmem/ivshmem_x.c', 'test/run'], 'a path')


checks = [rules_find_something, markers, devargs, xstats, features, sentences, paths, readme]
if shutil.which('sphinx-build') is not None:
    checks += [html_finds_something, html]
lab.main(*checks)
if html not in checks:
    lab.skip('no sphinx-build: app/setup docs installs it')
