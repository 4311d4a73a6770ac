#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What clients are told, in which order, and what never."""

import os

import lab
from client import Client, eventfd_id, settle, wait_state, LEFT, RUN, RESET


def first_and_late_joiner():
    server = lab.Server('--ports', 3, '-n', 2)
    first = Client(server.socket).handshake(2, [])
    lab.check(first.id == 0 and first.silent(), 'the first client is not alone with id 0')
    second = Client(server.socket).handshake(2, [0])
    lab.check(second.id == 1, f'the second client has id {second.id}')
    lab.check(first.vectors(2) == 1 and first.silent(), 'the first was not told of the second')
    third = Client(server.socket).handshake(2, [0, 1])
    lab.check([first.vectors(2), second.vectors(2)] == [2, 2], 'who was there was not told')
    for client in (first, second, third):
        lab.check(client.silent(), f'client {client.id} is told more')
    lab.check(third.region.magic() == b'IVSHMNET', 'the memory holds no region')


def doorbells_reach_their_vector():
    server = lab.Server('-n', 4)
    one = Client(server.socket).handshake(4, [])
    two = Client(server.socket).handshake(4, [0])
    one.vectors(4)
    one.rung()
    for vector in range(4):
        os.eventfd_write(one.peers[1][vector], 5 + vector)
        os.eventfd_write(two.peers[0][vector], 9 + vector)
    lab.check([two.drain(v) for v in range(4)] == [5, 6, 7, 8], 'second client')
    lab.check([one.drain(v) for v in range(4)] == [9, 10, 11, 12], 'first client')


def reuse_is_silent():
    server = lab.Server('--ports', 2, '-n', 3)
    stays = Client(server.socket).handshake(3, [])
    goes = Client(server.socket).handshake(3, [0])
    stays.vectors(3)
    ids = [eventfd_id(fd) for fd in stays.peers[1]]
    lab.check(ids == [eventfd_id(fd) for fd in goes.peers[1]], 'not the same eventfds')
    lab.check(len(set(ids)) == 3, f'vectors share an eventfd: {ids}')
    for round_number in range(20):
        goes.close()
        wait_state(stays.region, 1, LEFT)
        goes = Client(server.socket).handshake(3, [0])
        lab.check(goes.id == 1, f'round {round_number}: id {goes.id}')
        lab.check(ids == [eventfd_id(fd) for fd in goes.peers[1]],
                  f'round {round_number}: the eventfds of id 1 changed')
        lab.check(stays.silent(), f'round {round_number}: the other client got a message')
    goes.drain(1)
    os.eventfd_write(stays.peers[1][1], 7)
    lab.check(goes.drain(1) == 7, 'the old eventfd does not reach the new client')


def newcomer_hears_of_past_ids():
    """So that their reuse needs no second announcement."""
    server = lab.Server('--ports', 4, '-n', 1)
    clients = [Client(server.socket).handshake(1, list(range(n))) for n in range(3)]
    clients[0].close()
    wait_state(clients[2].region, 0, LEFT)
    clients[1].close()
    wait_state(clients[2].region, 1, LEFT)
    newcomer = Client(server.socket).handshake(1, [1, 2])
    lab.check(newcomer.id == 0, f'not the lowest free id but {newcomer.id}')
    lab.check(clients[2].silent(), 'told of an id again')
    again = Client(server.socket).handshake(1, [0, 2])
    lab.check(again.id == 1 and newcomer.silent() and clients[2].silent(), 'second reuse')


def lowest_free_id_but_clean_ones_first():
    server = lab.Server('--ports', 3, '-n', 1)
    watch = Client(server.socket).handshake(1, [])
    unclean = Client(server.socket).handshake(1, [0])
    watch.region.set_port_state(1, RUN)
    unclean.close()
    wait_state(watch.region, 1, LEFT)
    clean = Client(server.socket).handshake(1, [0, 1])
    lab.check(clean.id == 2, f'id {clean.id}, although port 1 did not leave cleanly')
    full = Client(server.socket).handshake(1, [0, 2])
    lab.check(full.id == 1, 'the unclean slot is not given although no other is free')
    full.close()
    clean.close()
    wait_state(watch.region, 1, LEFT)
    wait_state(watch.region, 2, LEFT)
    watch.region.set_port_state(1, RESET)
    lab.check(Client(server.socket).handshake(1, [0, 2]).id == 1, 'not the lowest clean id')


def all_to_all(count, vectors):
    """Everybody is told of everybody, and each vector of each client rings where it should."""
    server = lab.Server('--ports', count, '-n', vectors, '-l', '64M', '--buf-size', 256,
                        name=f'server-{count}')
    clients = []
    for number in range(count):
        newcomer = Client(server.socket).handshake(vectors, list(range(number)))
        lab.check(newcomer.id == number, f'client {number} has id {newcomer.id}')
        for client in clients:
            lab.check(client.vectors(vectors) == number, f'{client.id} was not told of {number}')
        clients.append(newcomer)
    settle(clients[0].region)   # it rings after it has told all of them
    for client in clients:
        lab.check(client.silent(), f'client {client.id} is told more')
        lab.check(client.drain() == count - 1 - client.id, f'rings of client {client.id}')
    # from each client once to each vector, from one of them the vector's own number on top
    number = {(to, vector): 1 + to * vectors + vector
              for to in range(count) for vector in range(vectors)}
    for sender in clients:
        for to, vector in number:
            top = number[to, vector] if sender.id == (to + 1 + vector) % count else 0
            os.eventfd_write(sender.peers[to][vector], 1 + top)
    for to, vector in number:
        got = clients[to].drain(vector)
        lab.check(got == count + number[to, vector], f'vector {vector} of client {to}: {got}, not '
                  f'{count + number[to, vector]}')
    for client in clients:
        lab.check(all(client.drain(vector) == 0 for vector in range(vectors)), 'rings are left')
    for client in clients[::-1]:
        client.close()
    server.expect(r'detach id=0 .*clients=0/')
    lab.check(server.stop() == 0, 'exit status')


def sixty_four_clients_of_four_vectors():
    all_to_all(64, 4)


def four_clients_of_sixty_four_vectors():
    all_to_all(4, 64)


def vectors_from_1_to_64():
    for count in (1, 2, 64):
        server = lab.Server('-n', count, name=f'server-{count}')
        one = Client(server.socket).handshake(count, [])
        two = Client(server.socket).handshake(count, [0])
        one.vectors(count)
        os.eventfd_write(two.peers[0][count - 1], 3)
        lab.check(one.drain(count - 1) >= 3, f'vector {count - 1} of {count} did not arrive')
        lab.check(one.region.slot(0)[0][3] == count, 'vectors in the slot table')
        lab.check(server.stop() == 0, 'exit status')


def vectors_follow_queues():
    server = lab.Server('--queues', 3)
    Client(server.socket).handshake(4, [])


lab.main(first_and_late_joiner, doorbells_reach_their_vector, reuse_is_silent,
         newcomer_hears_of_past_ids, lowest_free_id_but_clean_ones_first,
         sixty_four_clients_of_four_vectors, four_clients_of_sixty_four_vectors,
         vectors_from_1_to_64, vectors_follow_queues)
