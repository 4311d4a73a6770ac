#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""One fault at a time in a copy of the tree: the test that is there for it must fail.

usage: mutants.py --list | mutants.py SUITE/NAME...

The copy and its builds are kept in build/mutants, so that a mutant costs only what it changes. A
mutant counts as killed when its test fails with the fault, and right afterwards passes without: so
it was not the environment. One that survives is a missing test; one whose text is not found exactly
once is out of date.
"""

import os
import subprocess
import sys
from collections import namedtuple

import lab

WORK = lab.BUILD / 'mutants'
TREE = WORK / 'tree'
DRIVER = 'drivers/net/ivshmem/'
BOUND = 200         # seconds for a test; one that hangs has noticed the fault, too
SETUP = {'build': ['-Ddriver=enabled'],
         'build-tsan': ['-Ddriver=disabled', '-Db_sanitize=thread', '-Db_lundef=false']}
PLUGIN = 'drivers/librte_net_ivshmem.so'     # a link to a name with DPDK's version
PMD = ['drivers/' + (lab.BUILD / PLUGIN).resolve().name, 'test/pmd/ivshmem-shell',
       'test/pmd/ivshmem-odd-peer', 'test/traffic/ivshmem-traffic',
       'test/torture/ivshmem-torture-node', 'test/server/libalways_ready.so',
       'app/ivshmem-server']

Mutant = namedtuple('Mutant', 'name file old new test')

# A file is one of the driver's unless it has a path. The test is suite:name as test/run has it, or
# a script of a suite, with the case that must fail. The default run has the suites that are quick.
MUTANTS = [
    # on x86 the compiled code is the same: only ThreadSanitizer can tell
    Mutant('p1_relaxed', 'ivshmem_ring.h',
           'ivshmem_store64_release(&end->own->pw, ivshmem_ring_word(end->mine, prod));',
           'ivshmem_store64(&end->own->pw, ivshmem_ring_word(end->mine, prod));',
           'unit:stress [tsan]'),
    Mutant('p2_relaxed', 'ivshmem_ring.h',
           'ivshmem_store64_release(&end->own->cw, ivshmem_ring_word(end->mine, cons));',
           'ivshmem_store64(&end->own->cw, ivshmem_ring_word(end->mine, cons));',
           'unit:stress [tsan]'),
    Mutant('no_second_look', 'ivshmem_ring.h',
           'return ivshmem_ring_epoch(ivshmem_load64(&end->peer->pw)) == end->yours;',
           'return end != NULL;',
           'unit:interleave'),
    Mutant('no_ready_gate_producer', 'ivshmem_session.c',
           'if (ivshmem_ring_load32(&end->peer->yours, end->wc) != end->mine)\t/* C3 <- P3 */\n'
           '\t\treturn IVSHMEM_RING_WAIT;\n\tret = ivshmem_producer_learn_mode',
           'ret = ivshmem_producer_learn_mode',
           'unit:session'),
    Mutant('no_ready_gate_consumer', 'ivshmem_session.c',
           'if (ivshmem_ring_load32(&end->peer->yours, end->wc) != end->mine)\t/* C3 <- P3 */\n'
           '\t\treturn IVSHMEM_RING_WAIT;\n\tend->ready = true;',
           'end->ready = true;',
           'unit:session'),
    Mutant('index_unchecked', 'ivshmem_ring.h',
           'if (avail > end->size || avail < end->prod - end->cons) {',
           'if (avail < end->prod - end->cons) {',
           'unit:ring'),
    Mutant('directory_unchecked', 'ivshmem_session.c',
           'desc_off > layout->ring_off + layout->ring_len - desc_cnt * IVSHMEM_ABI_DESC_LEN',
           'desc_off > layout->ring_off + layout->ring_len',
           'unit:session'),
    Mutant('geometry_unchecked', 'ivshmem_check.c',
           '{ "buf_cnt", found.buf_cnt, layout->buf_cnt },',
           '',
           'unit:layout_check'),
    Mutant('claim_of_the_living', 'ivshmem_port.c',
           'if (ivshmem_port_moves(section, ivshmem_port_watch_ms(section, kind)))',
           'if (ivshmem_port_moves(section, 0))',
           'unit:port'),
    Mutant('learned_beats_announced', 'ivshmem_fdb.c',
           '(ivshmem_fdb_mark(found) == IVSHMEM_FDB_FIRM || found == entry)',
           'found == entry',
           'unit:fdb'),
    Mutant('rx_length_unchecked', 'ivshmem_rx_desc.h',
           '(uint32_t)desc->data_off + desc->data_len <= buf_len',
           'desc->data_len <= UINT16_MAX || buf_len == 0',
           'pmd:t_counters descriptors'),
    Mutant('rx_mask_off_by_one', 'ivshmem_rx_desc.h',
           'mask = ring->size - 1;',
           'mask = ring->size - 2;',
           'pmd:t_counters descriptors'),
    Mutant('refusal_not_counted', 'ivshmem_rx_desc.h',
           'rxq->stats.bad_buffer++;',
           ';',
           'pmd:t_counters descriptors'),
    Mutant('filter_inverted', 'ivshmem_rx.c',
           'filter = rxq->filter;',
           'filter = !rxq->filter;',
           'pmd:t_counters not_mine'),
    Mutant('return_forgotten', 'ivshmem_rx.c',
           'ivshmem_consumer_release(ring, idx);',
           'ring->cons = idx;',
           'pmd:t_segment full_wait'),
    Mutant('queues_swapped', 'ivshmem_link.c',
           'rxq_cnt != 0 ? queue % rxq_cnt :',
           'rxq_cnt != 0 ? rxq_cnt - 1 - queue % rxq_cnt :',
           'pmd:t_restart other_queues'),
    Mutant('shares_overlap', 'ivshmem_queue.c',
           'share * (txq->queue_id * other_cnt + number)',
           'share * (txq->queue_id * other_cnt)',
           'pmd:t_segment full_costs_only_itself'),
    Mutant('drop_not_counted', 'ivshmem_tx_segment.c',
           'txq->stats.dropped += cnt - done;',
           ';',
           'pmd:t_segment full_costs_only_itself'),
    Mutant('client_any_version', 'ivshmem_client.c',
           'if (value != IVSHMEM_PROTO_VERSION || has_fd)',
           'if (has_fd)',
           'unit:client'),
    Mutant('client_memory_twice', 'ivshmem_client.c',
           'if (!has_fd || client->step == IVSHMEM_CLIENT_OPEN)',
           'if (!has_fd)',
           'unit:client'),
    Mutant('client_keeps_spare_fds', 'ivshmem_client.c',
           'close(fds[i]);',
           ';',
           'unit:client'),
    Mutant('group_address_learned', 'ivshmem_fdb.c',
           'if (key == 0 || (key & 1) != 0)',
           'if (key == 0)',
           'unit:fdb'),
    Mutant('announced_is_evicted', 'ivshmem_fdb.c',
           'return UINT32_MAX;',
           'return IVSHMEM_FDB_TICKS + 2;',
           'unit:fdb'),
    Mutant('shm_shorter_than_the_region', 'ivshmem_shm.c',
           'if (offset > have || have - offset < len)',
           'if (offset > have)',
           'unit:shm'),
    Mutant('shm_of_another_region', 'ivshmem_shm.c',
           'if (memcmp(uuids[0], uuids[1], sizeof(uuids[0])) == 0)',
           'if (shm != NULL)',
           'unit:shm'),
    Mutant('buffers_over_rings', 'ivshmem_check.c',
           '{ "buf_off", layout->buf_off, layout->ring_off + layout->ring_len, end,',
           '{ "buf_off", layout->buf_off, layout->ring_off, end,',
           'unit:layout_check'),
    Mutant('conf_count_unchecked', 'ivshmem_port.c',
           'conf->mac_cnt <= IVSHMEM_ABI_MACS_MAX',
           'conf->mac_cnt <= UINT16_MAX',
           'unit:port'),
    Mutant('missing_vector_rung', 'ivshmem_vectors.c',
           'vector < cnt ? vector : 0',
           'vector',
           'unit:vectors'),
    Mutant('full_eventfd_waits', 'ivshmem_vectors.c',
           'poll(&room, 1, 0) == 0 || write(fd',
           'poll(&room, 1, 0) < 0 || write(fd',
           'unit:vectors'),
    Mutant('last_owner_of_an_address', 'ivshmem_mac.c',
           'if (owner == IVSHMEM_FDB_NONE || owner == peer->slot)',
           'if (owner != dev->port.slot)',
           'pmd:t_segment collisions'),
    Mutant('slot_given_twice', 'app/ivshmem-server/slots.c',
           'if (slots->slot[id].peer != NULL)',
           'if (slots == NULL)',
           'server:test_slots table_follows_clients'),
    Mutant('life_not_counted', 'app/ivshmem-server/slots.c',
           'slots->slot[slot].life += port ? 1 : 0;',
           ';',
           'server:test_slots table_follows_clients'),
    Mutant('ring_without_a_bound', 'app/ivshmem-server/slots.c',
           'ivshmem_bound_begin();',
           ';',
           'server:test_attack an_eventfd_is_filled_just_then'),
    Mutant('memory_may_shrink', 'app/ivshmem-server/memory.c',
           'F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL',
           'F_SEAL_GROW | F_SEAL_SEAL',
           'server:test_memory memfd_is_sealed'),
    Mutant('fast_free_of_loans', 'ivshmem_tx.c',
           ' && ivshmem_load32(&ivshmem_loans_seen) == 0)',
           ')',
           'pmd:t_zero_copy loans_to_a_port_with_fast_free'),
    Mutant('silence_ends_custody', 'ivshmem_tx_lend.c',
           '\tivshmem_producer_start(ring, txq->dev->port.section, ring->desc_off, ring->size);\n',
           '\tring->ready = false;\n',
           'pmd:t_tx_pool receiver_paused'),
    Mutant('small_in_flight', 'ivshmem_tx_desc.h',
           'return pieces == 1 && len <= dest->ring.copybreak;',
           'return pieces == 0 && len <= dest->ring.copybreak;',
           'pmd:t_zero_copy small_frames_in_pieces'),
    Mutant('small_by_the_room', 'ivshmem_tx_lend.c',
           'if (len > dest->ring.copybreak)',
           'if (len > small)',
           'pmd:t_tx_pool small_frames_in_two_buffers'),
    Mutant('held_until_sent', 'ivshmem_settle.c',
           '\t\tivshmem_settle_queue(dev, eth_dev->data->tx_queues[queue]);',
           '\t\tcontinue;',
           'pmd:t_tx_pool killed_with_server'),
    Mutant('never_unbarred', 'ivshmem_tx_lend.c',
           'ivshmem_tx_lend_unbar(dest, settled);\t\t/* T3 */',
           'return;',
           'torture:t_kills zero_copy'),
    Mutant('waits_for_itself', 'ivshmem_settle.c',
           'if (by != source && by != dev->port.slot && ',
           'if (by != source && ',
           'pmd:t_chain one_of_two_that_echo_dies'),
    Mutant('settling_forgotten', 'ivshmem_settle.c',
           'ivshmem_store32(&own->pool_cnt, dev->settling ? UINT32_MAX : pool_cnt);',
           'ivshmem_store32(&own->pool_cnt, pool_cnt);',
           'pmd:t_settle start_while_settling'),
    Mutant('middle_not_asked', 'ivshmem_settle.c',
           'clear = ivshmem_settle_others_are_clear(dev, slot) &&',
           'clear = ((slot != own && dev->peers[slot].alive) ||\n'
           '\t\t\t ivshmem_settle_others_are_clear(dev, slot)) &&',
           'pmd:t_settle middle_starts_anew_first'),
    Mutant('each_bar_has_a_minute_more', 'ivshmem_settle.c',
           'if (dest->unsettled_ms == 0) {',
           'if (dest->unsettled_ms == 0 || dest->unsettled_bars != bars) {',
           'pmd:t_settle restarted_again_and_again'),
    Mutant('later_bars_have_no_minute', 'ivshmem_settle.c',
           'ivshmem_store32_release(&dest->settled, dest->unsettled_bars);',
           'ivshmem_store32_release(&dest->settled, bars);',
           'pmd:t_settle restarted_again_and_again'),
    Mutant('dead_one_is_clear', 'ivshmem_settle.c',
           'const bool died = ivshmem_settle_died(dev, source);',
           'const bool died = ivshmem_settle_died(dev, source) && false;',
           'pmd:t_settle middle_dies'),
    Mutant('custody_ends_silently', 'ivshmem_dest.c',
           'if (dest->flight.held_cnt != 0 && !dev->dead)',
           'if (false)',
           'pmd:t_settle middle_leaves'),
    Mutant('only_idle_queues', 'ivshmem_settle.c',
           'else if (idle || dest->ring.prod == dest->prod_seen) {',
           'else if (idle) {',
           'pmd:t_settle busy_with_another'),
    Mutant('own_loans_ignored', 'ivshmem_loan.c',
           'found = loans->rings[loan->ring].slot == source &&',
           'found = loans->rings[loan->ring].slot == UINT32_MAX &&',
           'pmd:t_chain what_came_home_is_not_reused'),
    Mutant('no_membarrier', 'ivshmem_lock.c',
           'if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)',
           'if (lock != NULL)',
           'pmd:test_lock'),
    Mutant('owner_not_waited_for', 'ivshmem_lock.c',
           'while (!ivshmem_lock_is_empty(lock))',
           'while (lock == NULL)',
           'pmd:test_lock'),
]


def copy_tree():
    """Makes TREE what the sources are now, touching only what differs."""
    names = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-z', '--cached',
                            '--others', '--exclude-standard'], cwd=lab.ROOT,
                           stdout=subprocess.PIPE, check=True).stdout.decode().split('\0')
    wanted = {name for name in names if name and (lab.ROOT / name).is_file()}
    for name in sorted(wanted):
        source, target = lab.ROOT / name, TREE / name
        data = source.read_bytes()
        if not target.exists() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(source.stat().st_mode & 0o777)
    for path in TREE.rglob('*'):
        if path.is_file() and not path.is_symlink() and str(path.relative_to(TREE)) not in wanted:
            path.unlink()
    sdk = TREE / '.sdk'
    if not sdk.is_symlink() and (lab.ROOT / '.sdk').is_dir():
        sdk.symlink_to(lab.ROOT / '.sdk')


def must(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace')
    lab.check(done.returncode == 0, f'{" ".join(map(str, argv))} failed:\n{done.stdout[-3000:]}')


def build(name, targets):
    directory = WORK / name
    if not (directory / 'build.ninja').exists():
        must(['meson', 'setup', directory, TREE, *SETUP[name]])
    must(['ninja', '-C', directory, *targets])
    return directory


def outcome(test):
    """Builds what the test needs and runs it: (whether it passed, what it said last)."""
    suite, _, rest = test.partition(':')
    name, _, more = rest.partition(' ')
    env = {**os.environ, 'IVSHMEM_SOURCE_ROOT': str(TREE),
           'PYTHONPATH': ':'.join(str(TREE / 'test' / x) for x in ('common', 'pmd', 'server')),
           'IVSHMEM_TEST_LONG': ''}
    if suite == 'unit':
        tsan = more == '[tsan]'
        directory = build('build-tsan' if tsan else 'build', [f'test/unit/test_{name}'])
        argv = [*(['setarch', '-R'] if tsan else []), directory / f'test/unit/test_{name}']
        env.update({'TSAN_OPTIONS': 'halt_on_error=1', 'MALLOC_PERTURB_': '165'})
    elif (TREE / 'test' / suite / f'{name}.c').exists():
        directory = build('build', [f'test/{suite}/{name}'])
        argv = [directory / f'test/{suite}/{name}']
    else:
        directory = build('build', PMD)
        argv = ['/usr/bin/python3', TREE / 'test' / suite / f'{name}.py', more]
    env.update({'IVSHMEM_BUILD_ROOT': str(directory),
                'IVSHMEM_TEST_LOGS': str(lab.log_dir() / 'logs')})
    process = lab.Process('test', argv, env=env)
    try:
        status = process.proc.wait(BOUND)
    except subprocess.TimeoutExpired:
        process.end()
        status = f'none within {BOUND} s'
    lab.check(status != lab.SKIP, f'{test} was skipped:\n{process.tail()}')
    return status == 0, f'status {status}\n{process.tail()}'


def attempt(mutant):
    copy_tree()
    path = TREE / (mutant.file if '/' in mutant.file else DRIVER + mutant.file)
    text = path.read_text()
    found = text.count(mutant.old)
    lab.check(found == 1, f'the text of {mutant.name} is in {mutant.file} {found} times, not once: '
              f'bring the table up to date\n{mutant.old}')
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        good, said = outcome(mutant.test)
    finally:
        path.write_text(text)
    lab.check(not good, f'{mutant.name} survives: {mutant.test} passes although {mutant.file} has '
              f'{mutant.new!r} in place of {mutant.old!r}')
    good, without = outcome(mutant.test)
    lab.check(good, f'{mutant.test} fails without the fault, too, so it shows nothing: {without}')
    print(f'{mutant.name}: killed by {mutant.test}, {said}')


def full_name(mutant):
    """'unit/index_unchecked': the suite of the test that must fail is part of it."""
    return f'{mutant.test.partition(":")[0]}/{mutant.name}'


def case(mutant):
    def run():
        attempt(mutant)
    run.__name__ = full_name(mutant)
    return run


if sys.argv[1:] == ['--list']:
    print('\n'.join(map(full_name, MUTANTS)))
else:
    lab.main(*map(case, MUTANTS))
