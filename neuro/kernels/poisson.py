"""Poisson counts from a hash of (key, step, entry): the same for any order of the entries.

Word `j` of a step is the output of the SplitMix64 generator of Steele, Lea and Flood (2014) for the counter
``step * 2**32 + j + 1`` and the seed `key`; entry ``2 j`` takes its low 32 bits r, entry ``2 j + 1`` its high ones. The
count is the number of thresholds ``T_0 <= T_1 <= ..`` with ``r >= T``, where ``T_n = floor(2**32 * P(count <= n))``.
"""

import numpy as np

from neuro.kernels.networks import TILE, UInt32s, UInt64s
from neuro.kernels.options import PART, njit
from neuro.kernels.vectors import LANES, add, reaches, select, splat, store_counts

U = np.uint64
GOLDEN, FIRST, SECOND = U(0x9E3779B97F4A7C15), U(0xBF58476D1CE4E5B9), U(0x94D049BB133111EB)


@njit(cache=True, **PART)
def draw(key: np.uint64, step: int, tile: int, words: UInt64s) -> None:
    """Draw the random words of a tile of entries."""
    counter = key + ((U(step) << U(32)) + U(tile) * U(TILE // 2) + U(1)) * GOLDEN
    for j in range(TILE // 2):
        z = (counter ^ (counter >> U(30))) * FIRST
        counter += GOLDEN
        z = (z ^ (z >> U(27))) * SECOND
        words[j] = z ^ (z >> U(31))


@njit(cache=True, **PART)
def count_tile(random: UInt32s, table: UInt32s, counts: UInt32s) -> bool:
    """Count events of a tile; ``table``: thresholds, `TILE` for each number of events; return whether there are any."""
    is_any, one = np.uint32(0), splat(np.float32(1))
    for o in range(U(0), U(TILE), U(4 * LANES)):  # 64 entries at a time, whose counts stay in registers
        a = b = c = d = splat(np.float32(0))
        for at in range(o, U(table.size), U(TILE)):
            hits_a, hits_b = reaches(random, o, table, at), reaches(random, o + U(16), table, at + U(16))
            hits_c, hits_d = (
                reaches(random, o + U(32), table, at + U(32)),
                reaches(random, o + U(48), table, at + U(48)),
            )
            hits = (hits_a | hits_b) | (hits_c | hits_d)
            if hits == 0:
                break
            is_any |= hits
            a, b = select(hits_a, add(a, one), a), select(hits_b, add(b, one), b)
            c, d = select(hits_c, add(c, one), c), select(hits_d, add(d, one), d)
        store_counts(counts, o, a)
        store_counts(counts, o + U(16), b)
        store_counts(counts, o + U(32), c)
        store_counts(counts, o + U(48), d)
    return bool(is_any != 0)
