"""Poisson counts from a hash of (key, step, entry): the same for any order of the entries.

Word `j` of a step is the output of the SplitMix64 generator of Steele, Lea and Flood (2014) for the counter
``step * 2**32 + j + 1`` and the seed `key`; entry ``2 j`` takes its low 32 bits r, entry ``2 j + 1`` its high ones. The
count is the number of thresholds ``T_0 <= T_1 <= ..`` with ``r >= T``, where ``T_n = floor(2**32 * P(count <= n))``.
"""

import numpy as np

from neuro.kernels.networks import TILE, UInt32s, UInt64s
from neuro.kernels.options import UNCOUNTED, njit

U = np.uint64
GOLDEN, FIRST, SECOND = U(0x9E3779B97F4A7C15), U(0xBF58476D1CE4E5B9), U(0x94D049BB133111EB)


@njit(cache=True, **UNCOUNTED)
def draw(key: np.uint64, step: int, tile: int, words: UInt64s) -> None:
    """Draw the random words of a tile of entries."""
    base = (U(step) << U(32)) + U(tile) * U(TILE // 2) + U(1)
    for j in range(TILE // 2):
        z = key + (base + U(j)) * GOLDEN
        z = (z ^ (z >> U(30))) * FIRST
        z = (z ^ (z >> U(27))) * SECOND
        words[j] = z ^ (z >> U(31))


@njit(cache=True, **UNCOUNTED)
def count_tile(random: UInt32s, table: UInt32s, counts: UInt32s) -> int:
    """Count the events of a tile; ``table``: thresholds, `TILE` for each number of events; return their number."""
    total = 0
    for j in range(TILE):
        counts[j] = 0
    for first in range(0, table.size, TILE):
        threshold = table[first : first + TILE]
        n_hits = np.uint32(0)
        for j in range(TILE):
            hit = np.uint32(random[j] >= threshold[j])
            counts[j] += hit
            n_hits = np.uint32(n_hits + hit)  # else it is a sum of 64 bits, which halves the lanes
        if n_hits == 0:
            break
        total += int(n_hits)
    return total
