#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The driver's descriptors without the check that bounds their length, for the control build.

usage: without_check.py IVSHMEM_RX_DESC.H TARGET
"""

import sys
from pathlib import Path

CHECK = '(uint32_t)desc->data_off + desc->data_len <= buf_len'


def main():
    source, target = map(Path, sys.argv[1:])
    text = source.read_text(encoding='ascii')
    if text.count(CHECK) != 1:
        sys.exit(f'{source} has {text.count(CHECK)} times, not once: {CHECK}\n'
                 'The control needs the check to leave it out; say in without_check.py what it '
                 'looks like now.')
    without = text.replace(CHECK, 'desc->data_len <= UINT16_MAX || buf_len == 0')
    target.write_text(without, encoding='ascii')


main()
