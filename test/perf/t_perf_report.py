# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What test/bench makes of slices: pairs, bins, verdicts, tables. On made-up slices."""

import contestants
import instructions
import lab
import plots
import publish
import report
import slices
import targets
import wires
import works


def made(mpps, line=100, after=None, disturbed=False):
    return {'mpps': mpps, 'p50_ns': mpps, 'line_before': line,
            'line_after': line if after is None else after, 'disturbed': disturbed}


def tally_of(rounds, need, work='oneway-64', subjects=('ivshmem',)):
    tally = slices.Tally(works.parse(work, need), subjects, 100)
    for found in rounds:
        tally.add({'generation': 1, 'order': list(found), 'slices': found})
    return tally


def distances():
    for before, after, where in ((100, 199, 'near'), (200, 500, 'far'), (100, 500, 'moved')):
        found = slices.distance(made(1, before, after))
        lab.check(found == where, f'{before}..{after} ns is {found}, not {where}')
    lab.check(slices.distance(made(1, 100), made(1, 300)) == 'moved', 'two distances are one')


def ratios_are_of_pairs():
    """Each ratio is of one round; medians of rates would say something else here."""
    rounds = [{'ivshmem': made(a), 'memif': made(b)} for a, b in ((20, 10), (3, 1), (100, 100))]
    found = report.ratios(rounds_of(rounds), 'ivshmem', 'memif')['all']
    lab.check(found['count'] == 3 and found['quartiles'][1] == 2, f'{found}')


def rounds_of(rounds):
    return [{'slices': found} for found in rounds]


def disturbed_slices_make_no_pair():
    rounds = [{'ivshmem': made(2), 'memif': made(1)},
              {'ivshmem': made(90, disturbed=True), 'memif': made(1)},
              {'ivshmem': made(2), 'memif': made(90, disturbed=True)}, {'ivshmem': made(2)}]
    tally = tally_of(rounds, {'ivshmem': 2, 'memif': 2})
    lab.check(tally.good == {'ivshmem': 3, 'memif': 1}, f'{tally.good}')
    lab.check(tally.is_due(set()), 'one pair of two is enough')
    lab.check(tally.wanted(set()) == ['ivshmem', 'memif'], f'{tally.wanted(set())}')
    lab.check(not tally.is_due({'memif'}), 'it waits for one that cannot run')
    found = report.ratios(tally.rounds, 'ivshmem', 'memif')['all']
    lab.check(found['count'] == 1 and found['quartiles'][1] == 2, f'{found}')
    rate = report.rates(tally.rounds, 'ivshmem')['all']
    lab.check(rate['count'] == 3 and rate['quartiles'][2] == 2, f'{rate}')


def tries_are_bounded():
    tally = tally_of([{'ivshmem': made(1, disturbed=True)}] * 100, {'ivshmem': 1})
    lab.check(not tally.is_due(set()) and tally.is_due(set(), exhausted=True),
              'a machine that is always busy keeps it for ever, or goes unnoticed')


def small_bins_are_not_seen():
    near = [{'ivshmem': made(12), 'memif,rsize=11': made(10)}] * report.SEEN
    far = [{'ivshmem': made(5, 400), 'memif,rsize=11': made(10, 400)}] * (report.SEEN - 1)
    need = {'ivshmem': 1, 'memif,rsize=11': 1}
    result = report.summary([tally_of(near + far, need)])[0]
    words = {where: met for _, where, met in
             report.verdict('ivshmem', 'memif,rsize=11', 'oneway-64', result['ratios'][0][2])}
    lab.check(words == {'near': True, 'far': None}, f'{words}')
    result = report.summary([tally_of(near + far + far, need)])[0]
    words = {where: met for _, where, met in
             report.verdict('ivshmem', 'memif,rsize=11', 'oneway-64', result['ratios'][0][2])}
    lab.check(words == {'near': True, 'far': False}, f'{words}')
    text = report.table([result])
    lab.check('MISSED' in text and 'reached' in text, text)


def round_trips_are_better_when_small():
    lab.check(targets.is_met('rtt-64', 2, 1.9) and not targets.is_met('rtt-64', 2, 2.1), 'rtt')
    lab.check(targets.is_met('io-64', 1.3, 1.4) and not targets.is_met('io-64', 1.3, 1.2), 'io')
    lab.check(targets.of('ivshmem', 'bare', 'rtt-64') == {'near': 2, 'far': 2}, 'no limit')
    lab.check(targets.of('ivshmem', 'bare', 'oneway-64') == {}, 'a limit of the machine')


def best_ring_size():
    tally = tally_of([{'memif,rsize=10': made(5), 'memif,rsize=12': made(7),
                       'memif,zero-copy,rsize=11': made(9)}] * 3,
                     {'memif,rsize=10': 3, 'memif,rsize=12': 3, 'memif,zero-copy,rsize=11': 3},
                     subjects=())
    best = works.best([tally])
    lab.check(best == {('oneway-64', 'memif'): 12, ('oneway-64', 'memif,zero-copy'): 11},
              f'{best}')
    need = works.settle(works.parse('oneway-64-b4', {'memif': 5, 'ivshmem': 5}), best).need
    lab.check(need == {'memif,rsize=12': 5, 'ivshmem': 5}, f'{need}')
    found = works.candidates([works.parse(name, {'memif': 5, 'ivshmem': 5}) for name in
                              ('oneway-64-b4', 'rtt-64', 'io-9000-q2')], 2)
    lab.check([(work.name, len(work.need)) for work in found] ==
              [('oneway-64', 4), ('io-9000', 4)], f'{found}')


def run_of(ours, theirs, line=100):
    """The document of a run of one work, as far as tables need it."""
    need = {'ivshmem': 1, 'memif,rsize=11': 1}
    tally = tally_of([{'ivshmem': made(ours, line), 'memif,rsize=11': made(theirs, line)}] * 12,
                     need)
    return {'machine': {'time': f'{ours}', 'cpus': 2, 'cpu': 'made up', 'kernel': '-'},
            'results': report.summary([tally]), 'not_run': ['not run: ring: why'],
            'raw': {'oneway-64': tally.rounds}}


def published():
    """Runs stand side by side, and all of them must reach a target."""
    good, bad = run_of(13, 10), run_of(11, 10)
    for documents, word in (([good, good], '1.15: reached'), ([good, bad], '1.15: missed'),
                            ([bad, good], '1.15: missed'),
                            ([run_of(13, 10, 400)], '1.15: not seen')):
        text = publish.tables(documents)
        lab.check(f'     - {word}' in text, f'no {word!r} in {text}')
        lab.check('``not run: ring: why``' in text, 'who did not run is not named')
    lab.check('- 13.00 / 11.00\n' in publish.tables([good, bad]), 'no rates side by side')
    lab.check(publish.EMPTY in publish.tables([]), 'nothing measured, but not said so')


def plotted():
    """Rates by size and by burst, and each near or far pair as a point."""
    one = run_of(13, 10)
    lab.check(plots.bars('oneway.svg', one) == [('64 B', {'ivshmem': [13] * 3,
                                                          'memif': [10] * 3})],
              f'{plots.bars("oneway.svg", one)}')
    lab.check(plots.points(one) == {'oneway-64': [(100, 1.3)] * 12}, f'{plots.points(one)}')
    one['raw']['oneway-64'][0] = {'slices': {'ivshmem': made(13, 100, 400),
                                             'memif,rsize=11': made(10)}}
    lab.check(len(plots.points(one)['oneway-64']) == 11, 'a pair while the CPUs moved')


def swept():
    """A run of one contestant with different numbers is a figure of its own, and no comparison."""
    need = {f'ivshmem,ring={number}': 1 for number in (1024, 256, 512)}
    taken = {text: made(int(text[13:]) / 100, 400) for text in need}
    tally = tally_of([taken] * 4, need)
    one = {**run_of(13, 10), 'results': report.summary([tally]), 'not_run': []}
    lab.check(plots.sweep_of(one) == 'ivshmem,ring=' and plots.sweep_name(one) == 'sweep-ring.svg',
              f'{plots.sweep_of(one)}')
    lab.check(plots.sweep_rows(one) == {'oneway-64 far': [(256, [2.56] * 3), (512, [5.12] * 3),
                                                          (1024, [10.24] * 3)]},
              f'{plots.sweep_rows(one)}')
    lab.check(plots.sweep_of(run_of(13, 10)) is None, 'two contestants are no sweep')
    text = publish.tables([run_of(13, 10), one])
    lab.check('perf/sweep-ring.svg' in text and '10.24' not in text, text)


def digits():
    found = report.rounded({'a': [1.23456789, 2, {'b': 123456.789}], 'c': 'text', 'd': True})
    lab.check(found == {'a': [1.2346, 2, {'b': 123460.0}], 'c': 'text', 'd': True}, f'{found}')


def refused(parse, text, word):
    try:
        parse(text)
    except ValueError as problem:
        lab.check(word in str(problem), f'{text}: {problem}')
    else:
        raise lab.Failure(f'{text} is accepted')


def names():
    for text, name in (('ivshmem', 'ivshmem'), ('ivshmem-zc', 'ivshmem-zc'),
                       ('memif,rsize=12', 'memif'), ('memif-zc,rsize=12', 'memif-zc')):
        found = contestants.name_of(text)
        lab.check(found == name, f'{text} is {found}')
    for text, word in (('ivshmen', 'no contestant'), ('memif,size=1', "no 'size'"),
                       ('memif,rsize', 'takes a value'), ('null,x', 'no keys')):
        refused(contestants.name_of, text, word)
    for options, word in (({'page': '64'}, '4 or 2048'), ({'path': None, 'page': '2048'}, 'path')):
        refused(lambda found: wires.Ivshmem('ivshmem', found), options, word)
    work = works.parse('oneway-9000-b4-q2')
    lab.check((work.size, work.burst, work.setup.queues, work.setup.big) == (9000, 4, 2, True),
              f'{work}')
    for text, word in (('oneway', 'none of'), ('io-59', '60..9000'), ('io-64-b600', 'bursts'),
                       ('io-64-q9', 'queues'), ('rtt-9000', '64..1518')):
        refused(works.parse, text, word)
    for mode in works.EFFORT:
        lab.check(len({work.name for work in works.plan(mode)}) == len(works.plan(mode)) > 0,
                  f'{mode}: a work twice')


CALLGRIND = '''fn=drive_pass
cob=/bin/drive
cfi=drive.c
cfn=drive_tx
calls=1 75
190 3300
cfn=drive_warm_tx
calls=64 90
190 999999
cfn=drive_rx
calls=2 82
195 4000
194 7
'''


def callgrind_output():
    found = instructions.inclusive(CALLGRIND, 1)
    lab.check(found == {'rx': 4000, 'tx': 3300}, f'{found}')
    try:
        instructions.inclusive(CALLGRIND, 2)
    except lab.Failure:
        return
    raise lab.Failure('one burst passes for two')


def ceilings():
    limit = instructions.ceilings('# text\nivshmem io-64 rx 100 # why\n')
    for measured, word in (({('ivshmem', 'io-64', 'rx'): 100.0}, None),
                           ({('ivshmem', 'io-64', 'rx'): 100.1}, 'the ceiling is 100.0'),
                           ({}, 'not measured'),
                           ({('ivshmem', 'io-64', 'rx'): 1, ('ivshmem', 'io-64', 'tx'): 1},
                            'no ceiling'),
                           ({('ivshmem', 'io-64', 'rx'): 1, ('memif', 'io-64', 'tx'): 900}, None)):
        problems = instructions.above(measured, limit)
        lab.check(len(problems) == (word is not None) and (not word or word in problems[0]),
                  f'{measured}: {problems}')


lab.main(distances, ratios_are_of_pairs, disturbed_slices_make_no_pair, tries_are_bounded,
         small_bins_are_not_seen, round_trips_are_better_when_small, best_ring_size, names,
         published, plotted, swept, digits, callgrind_output, ceilings)
