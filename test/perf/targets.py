# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What is hoped for: ratios of net_ivshmem over others, by work and by distance."""

NEVER_BELOW = 0.95      # of a rate; counts as equal

# (subject, work): {bin: rate over net_memif's}
MEMIF = {
    ('ivshmem', 'oneway-64'): {'near': 1.15, 'far': 1.3},
    ('ivshmem', 'oneway-256'): {'near': 1.3, 'far': 1.3},
    ('ivshmem', 'oneway-1518'): {'near': 1.3, 'far': 1.3},
    ('ivshmem', 'oneway-9000'): {'near': 2, 'far': 2},
    ('ivshmem-zc', 'oneway-1518'): {'near': 2, 'far': 2},
    ('ivshmem-zc', 'oneway-9000'): {'near': 4, 'far': 4},
    ('ivshmem-zc', 'io-64'): {'near': 1.3, 'far': 1.3},
    ('ivshmem-zc', 'io-1518'): {'near': 5, 'far': 5},
    ('ivshmem-zc', 'io-9000'): {'near': 10, 'far': 10},
    ('ivshmem', 'oneway-64-b1'): {'near': 1, 'far': 1},
}
# Round trips: {other: at most so many times its}
ROUND_TRIP = {'bare': 2, 'memif': 1, 'memif-zc': 1, 'virtio': 1, 'vhost': 1}


def of(subject, other, work):
    """{bin: ratio} that this subject should reach over that contestant (not exceed: rtt)."""
    if not subject.startswith('ivshmem'):
        return {}
    if work.startswith('rtt'):
        return dict.fromkeys(('near', 'far'), ROUND_TRIP[other]) if other in ROUND_TRIP else {}
    if other not in ('memif', 'memif-zc'):
        return {}
    goals = dict.fromkeys(('near', 'far'), NEVER_BELOW)
    if other == 'memif':
        goals.update(MEMIF.get((subject, work), {}))
    return goals


def is_met(work, goal, ratio):
    return ratio <= goal if work.startswith('rtt') else ratio >= goal
