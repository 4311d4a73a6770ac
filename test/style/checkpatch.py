# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""checkpatch.pl with the options that DPDK's devtools/checkpatches.sh gives it.

The options are read out of the checkpatches.sh of the installed DPDK's source. Only what cannot
be meant for us is added to the types it ignores.
"""

import re
import subprocess
from pathlib import Path

import lab

# ARRAY_SIZE and __printf are the kernel's; the layers without DPDK have neither.
IGNORED = ['ARRAY_SIZE', 'PREFER_DEFINED_ATTRIBUTE_MACRO']
ALLOWED = re.compile('|'.join([
    # names of the C library that the kernel does not use
    r'CAMELCASE:.*<(PRI[diouxX](8|16|32|64|PTR|MAX)|_Atomic)>',
    # a macro of DPDK that is a comma
    r'^drivers/compat/log_line_prefix\.h:\d+: ERROR:(SPACING|COMPLEX_MACRO):',
]))
TOPS = ['drivers', 'app', 'examples', 'test']


def setup(option):
    path = subprocess.run([lab.ROOT / 'app' / 'setup', option], stdout=subprocess.PIPE,
                          text=True, check=True).stdout.strip()
    return Path(path)


def dpdk_options():
    script = (setup('--print-dpdk-source') / 'devtools' / 'checkpatches.sh').read_text()
    ignore = re.search(r'--ignore=((?:[A-Z0-9_]+,?(?:\\\n)?)+)', script)
    length = re.search(r'DPDK_CHECKPATCH_LINE_LENGTH:-(\d+)', script)
    lab.check(ignore and length, 'checkpatches.sh of this DPDK has another form')
    types = re.sub(r'[\\\n]', '', ignore.group(1)).split(',')
    return ['--no-tree', '--show-types', f'--max-line-length={length.group(1)}',
            '--ignore=' + ','.join(types + IGNORED)]


def findings(paths, options, script):
    """Runs in a directory of symbolic links: checkpatch.pl is stricter with some paths, and
    leaves a cache where it runs."""
    work = lab.private_dir()
    for name in TOPS:
        (work / name).symlink_to(lab.ROOT / name)
    done = subprocess.run([script, '--terse', '--no-summary', *options, '-f', *paths],
                          cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = [x for x in done.stdout.splitlines() if re.match(r'\S+:\d+: ', x)]
    return [x for x in lines if not ALLOWED.search(x)]


def sources():
    return sorted(str(p.relative_to(lab.ROOT)) for top in TOPS
                  for p in (lab.ROOT / top).rglob('*.[ch]'))


def checkpatch_is_clean():
    found = findings(sources(), dpdk_options(), setup('--print-checkpatch') / 'checkpatch.pl')
    lab.check(not found, f'{len(found)} findings\n' + '\n'.join(found))


def checkpatch_finds_something():
    """The test would notice a checkpatch.pl that runs and says nothing."""
    bad = lab.private_dir() / 'bad.c'
    bad.write_text('int f( int x )\n{\n    if(x) return 1;\n    return 0 ;\n}\n')
    found = findings([str(bad)], dpdk_options(), setup('--print-checkpatch') / 'checkpatch.pl')
    lab.check(len(found) >= 3, f'only {len(found)} findings in a file that is wrong all over')


lab.main(checkpatch_finds_something, checkpatch_is_clean)
