"""Cores of a partition onto chips and tiles, so that messages pass few routers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from hw._kernels import improve_by_swaps
from hw.targets import Target

__all__ = ["Placement", "place"]

Floats = NDArray[np.float64]
_CHIP = 32  # what the way to the next chip counts, in hops


@dataclass(frozen=True, eq=False)
class Placement:
    """Where each core lies.

    Attributes
    ----------
    chip, column, row, slot : int64 array, shape (n_cores,)
        Chip, tile of the chip's mesh, and core of the tile.
    hops_by_column, hops_by_row, chip_crossings : float
        Messages per step times tiles passed, along rows and columns of the mesh, and between chips.
    first_cost, cost : float
        Weighted hops before and after the search.
    """

    chip: NDArray[np.int64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    slot: NDArray[np.int64]
    hops_by_column: float
    hops_by_row: float
    chip_crossings: float
    first_cost: float
    cost: float

    @property
    def n_chips(self) -> int:
        """Number of chips used."""
        return int(np.unique(self.chip).size)

    @property
    def n_tiles(self) -> int:
        """Number of tiles used."""
        return int(np.unique(np.stack([self.chip, self.column, self.row]), axis=1).shape[1])


def place(messages: Floats, target: Target, *, seed: int = 0) -> Placement:
    """Place cores on the mesh.

    The start follows the order of the cores along a snake of tiles; then pairs of places (also empty ones on the chips
    that are used) are exchanged as long as that shortens the way of the messages.

    Parameters
    ----------
    messages : float64, shape (n_cores, n_cores)
        Messages per step.
    target : Target
        The chip.
    seed : int
        Of the order in which pairs are tried.

    Returns
    -------
    Placement
        The places.
    """
    n = messages.shape[0]
    per_chip, per_tile, columns = target["cores_per_chip"], target["cores_per_tile"], target["mesh_columns"]
    n_chips = -(-n // per_chip)
    n_places = n_chips * per_chip
    tile = np.arange(per_chip) // per_tile
    row = tile // columns
    column = np.where(row % 2 == 0, tile % columns, columns - 1 - tile % columns)
    n_rows = int(row.max()) + 1
    x = np.concatenate([column + chip * (columns + _CHIP) for chip in range(n_chips)])
    y = np.tile(row, n_chips)
    both = scipy.sparse.csr_matrix(messages + messages.T)
    at = np.arange(n)
    first = _cost(both, x[at], y[at])
    place_of = at.astype(np.int64)
    core_at = np.full(n_places, -1, np.int64)
    core_at[at] = at
    start, other = both.indptr.astype(np.int64), both.indices.astype(np.int64)
    generator = np.random.default_rng(seed)
    for _ in range(20):
        pairs = np.stack([generator.integers(0, n, 40 * n), generator.integers(0, n_places, 40 * n)])
        if improve_by_swaps(start, other, both.data, x, y, place_of, core_at, pairs) <= 1e-9 * max(
            first, 1.0
        ):
            break
    assert n_rows >= 1
    chip = place_of // per_chip
    local = place_of % per_chip
    found_x, found_y = column[local], row[local]
    source, goal = np.nonzero(messages)
    weight = messages[source, goal]
    same = chip[source] == chip[goal]
    across = np.abs(chip[source] - chip[goal])
    return Placement(
        chip, found_x, found_y, local % per_tile,
        float((weight * np.abs(found_x[source] - found_x[goal]) * same).sum()),
        float((weight * np.abs(found_y[source] - found_y[goal]) * same).sum()),
        float((weight * across).sum()), first, _cost(both, x[place_of], y[place_of]),
    )  # fmt: skip


def _cost(both: scipy.sparse.csr_matrix, x: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    pairs = both.tocoo()
    way = np.abs(x[pairs.row] - x[pairs.col]) + np.abs(y[pairs.row] - y[pairs.col])
    return float((pairs.data * way).sum() / 2)
