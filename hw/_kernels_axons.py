"""Kernels that count what blocks hear."""

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.options import UNCOUNTED, njit

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]


@njit(cache=True, **UNCOUNTED)
def count_heard(start: Int64s, columns: Int32s, rows: Int64s, counts: Int64s, heard: Int64s) -> int:
    """Count the synapses from each column into some rows; `counts` is 0 before. Returns the number of columns found."""
    n = 0
    for k in range(rows.size):
        for e in range(start[rows[k]], start[rows[k] + 1]):
            column = columns[e]
            if counts[column] == 0:
                heard[n] = column
                n += 1
            counts[column] += 1
    return n
