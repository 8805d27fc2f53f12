"""The memory of a ring of buckets: pages, and more of them when they run out."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuro.kernels.networks import LINE, N_FREE, PAGE, WANTED, Ring

__all__ = ["empty_ring", "wider_ring"]

_GROWTH, _MOST = 2, 2**32


def empty_ring(n_threads: int, n_steps: int, real: type[np.floating[Any]]) -> Ring:
    """Return a ring for delays of up to so many steps, without pages: it asks for them when the first spikes come."""
    n_buckets = 1 << (n_steps - 1).bit_length() if n_steps else 0
    return Ring(
        target=np.zeros((n_threads, 0), np.uint32),
        weight=np.zeros((n_threads, 0), real),
        following=np.zeros((n_threads, 0), np.int32),
        first=np.full((n_threads, n_buckets), -1, np.int32),
        end=np.zeros((n_threads, n_buckets), np.uint32),
        free=np.zeros((n_threads, 0), np.int32),
        at=np.zeros((n_threads, LINE), np.int64),
    )


def wider_ring(ring: Ring) -> Ring:
    """Return a ring with the same content and the pages that threads asked for, at least twice as many as it had.

    Places are numbers of 32 bits; a MemoryError says where they do not suffice.
    """
    n_threads, n_pages = ring.free.shape
    n_used = n_pages - ring.at[:, N_FREE]
    n_wanted = max(_GROWTH * n_pages, int((n_used + ring.at[:, WANTED]).max()))
    if n_wanted * PAGE >= _MOST:
        raise MemoryError(
            f"simulate: spikes are under way on {n_used.max() * PAGE} synapses and more, the limit is {_MOST}; "
            "shorten the delays or make the neurons fire less"
        )
    weight = np.empty((n_threads, 2 * n_wanted * PAGE), ring.weight.dtype)
    target = weight.view(np.uint32)
    following, free = np.empty((n_threads, n_wanted), np.int32), np.empty((n_threads, n_wanted), np.int32)
    for old, new in ((ring.weight, weight), (ring.following, following)):
        new[:, : old.shape[1]] = old
    added = np.arange(n_wanted - 1, n_pages - 1, -1, dtype=np.int32)
    at = ring.at.copy()
    for t in range(n_threads):
        n_free = int(at[t, N_FREE])
        free[t, : added.size] = added
        free[t, added.size : added.size + n_free] = ring.free[t, :n_free]
        at[t, N_FREE] += added.size
    return ring._replace(target=target, weight=weight, following=following, free=free, at=at)
