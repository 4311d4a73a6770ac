#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Makes fields.h of test/abi/layout.golden: every field that is not reserved is attacked.

usage: fields.py LAYOUT.GOLDEN FIELDS.H
"""

import re
import sys

LEFT_OUT = {('entry', 'desc'), ('entry', 'meta'), ('section', 'conf')}   # have fields of their own

HEAD = """\
/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/* Made by fields.py of test/abi/layout.golden. */

static const struct hostile_field hostile_fields[] = {
"""


def main():
    golden, target = sys.argv[1:]
    lines = []
    struct = None
    for line in open(golden, encoding='ascii'):
        head = re.fullmatch(r'(\w+): struct \w+, \d+ bytes\n', line)
        row = re.fullmatch(r' *(\d+) +(\d+) (\w+)\n', line)
        if head:
            struct = head[1]
        elif row and not row[3].startswith('reserved') and (struct, row[3]) not in LEFT_OUT:
            lines.append(f'\t{{ HOSTILE_{struct.upper()}, "{struct}.{row[3]}", '
                         f'{row[1]}, {row[2]} }},')
    if len(lines) < 80:
        sys.exit(f'{golden} has only {len(lines)} fields')
    with open(target, 'w', encoding='ascii') as file:
        file.write(HEAD + '\n'.join(lines) + '\n};\n')


main()
