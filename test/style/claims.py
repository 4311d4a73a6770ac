#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What doc/security.rst claims is shown by tests, and those tests are there."""

import re

import lab

CLAIM = re.compile(r'``(hostile|intr|pmd|server|torture|unit):([\w-]+)(?: (\w+))?``')


def source(suite, name):
    """The text of a test's file, t_restart.py, test_memory.py or test_ring.c; None = no such."""
    plain = name.removeprefix('server-')
    for path in (f'{name}.py', f'test_{plain}.py', f'test_{plain}.c'):
        if (lab.ROOT / 'test' / suite / path).exists():
            return (lab.ROOT / 'test' / suite / path).read_text()
    return None


def missing(text):
    problems = []
    for suite, name, case in CLAIM.findall(text):
        code = source(suite, name)
        if code is None:
            problems.append(f'there is no test {suite}:{name}')
        elif case and not re.search(rf'^(def )?{case}\(', code, re.M):
            problems.append(f'{suite}:{name} has no case {case}')
    return problems


def tests_are_there():
    text = (lab.ROOT / 'doc/security.rst').read_text()
    lab.check(len(CLAIM.findall(text)) >= 20, 'the page names hardly any test')
    lab.check(not missing(text), '\n'.join(missing(text)))


def finds_what_is_missing():
    lab.check(len(missing('``pmd:t_never`` ``pmd:t_restart never`` ``unit:ring``')) == 2,
              'a test that is not there was not noticed')


def each_point_is_shown():
    """What a guest or a client can not do: each item of these lists names its test."""
    text = (lab.ROOT / 'doc/security.rst').read_text()
    lists = re.findall(r'can not:\n\n((?:- .*\n(?:  .*\n)*)+)', text)
    lab.check(len(lists) == 4, f'{len(lists)} lists of what somebody can not do, not 4')
    for item in re.findall(r'^- .*\n(?:  .*\n)*', '\n'.join(lists), re.M):
        lab.check(CLAIM.search(item), f'names no test: {item}')


lab.main(finds_what_is_missing, tests_are_there, each_point_is_shown)
