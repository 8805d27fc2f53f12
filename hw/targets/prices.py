"""What an operation costs on a chip: named tables with their sources, and what they leave out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hw.errors import TargetError

__all__ = ["PriceTable", "TERMS", "DAVIES_2018", "SANA_FE"]

TERMS: Mapping[str, str] = MappingProxyType(
    {
        "synaptic_operation": "a weight that a spike adds to a neuron",
        "neuron_inactive": "the update of a neuron that does not fire",
        "neuron_active": "the update of a neuron that fires, all of it",
        "spike_out": "a message that leaves a core",
        "spike_in": "a message that enters a core",
        "spike_in_tile": "a message between two cores of a tile, or into the mesh",
        "hop_columns": "a message from a tile to the next in its row",
        "hop_rows": "a message from a tile to the next in its column",
    }
)


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Energy and time of each operation.

    Attributes
    ----------
    name : str
        How reports call the table.
    source, grade : str
        Where the numbers come from, and what they are: simulated before silicon, measured, fitted.
    energy_j, time_s : mapping of str to float
        By the names in ``hw.targets.TERMS``; a term without a price is listed as unpriced.
    barrier_s : tuple of (int, float)
        Time of the barrier that ends a step, by the number of tiles used; linear in between. Empty: unpriced.
    not_priced : tuple of str
        What the chip does beyond these terms and the table says nothing about.

    Raises
    ------
    TargetError
        If a term is unknown, a price is not a finite number >= 0, or tiles of barriers do not rise.

    Examples
    --------
    >>> DAVIES_2018.energy_j["synaptic_operation"]
    2.36e-11
    """

    name: str
    source: str
    grade: str
    energy_j: Mapping[str, float]
    time_s: Mapping[str, float]
    barrier_s: tuple[tuple[int, float], ...] = ()
    not_priced: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for what, prices in (("energy_j", self.energy_j), ("time_s", self.time_s)):
            if not isinstance(prices, Mapping):
                raise TargetError(
                    f"PriceTable {self.name!r}: {what} must be a table of prices, got {prices!r}"
                )
            for term, price in prices.items():
                if term not in TERMS:
                    raise TargetError(
                        f"PriceTable {self.name!r}: there is no term {term!r}; terms are {', '.join(TERMS)}"
                    )
                if not (math.isfinite(price) and price >= 0):
                    raise TargetError(
                        f"PriceTable {self.name!r}: {what} of {term} must be finite and >= 0, got {price}"
                    )
            object.__setattr__(self, what, MappingProxyType(dict(prices)))
        before = 0
        for n_tiles, seconds in self.barrier_s:
            if n_tiles <= before:
                raise TargetError(
                    f"PriceTable {self.name!r}: barrier_s must have rising numbers of tiles >= 1, got {n_tiles} after "
                    f"{before}"
                )
            if not (math.isfinite(seconds) and seconds >= 0):
                raise TargetError(
                    f"PriceTable {self.name!r}: barrier_s of {n_tiles} tiles must be finite and >= 0 s, got {seconds}"
                )
            before = n_tiles

    def unpriced(self) -> tuple[str, ...]:
        """Say which terms have no energy here, and what else the table leaves out."""
        return tuple(term for term in TERMS if term not in self.energy_j) + self.not_priced

    def barrier_time_s(self, n_tiles: int) -> float | None:
        """Interpolate the time of a barrier over a number of tiles; None where there is no price.

        Parameters
        ----------
        n_tiles : int
            Tiles with a core in use; beyond the table's last entry its last slope goes on.

        Returns
        -------
        float or None
            Seconds.
        """
        if not self.barrier_s:
            return None
        points = self.barrier_s
        (n_0, t_0), (n_1, t_1) = points[0], points[-1]
        for (a, t_a), (b, t_b) in itertools.pairwise(points):
            if n_tiles <= b:
                (n_0, t_0), (n_1, t_1) = (a, t_a), (b, t_b)
                break
        else:
            if len(points) > 1:
                n_0, t_0 = points[-2]
        if n_1 == n_0 or n_tiles <= n_0:
            return t_0
        return t_0 + (t_1 - t_0) * (n_tiles - n_0) / (n_1 - n_0)


DAVIES_2018 = PriceTable(
    name="Davies 2018",
    source="Davies et al., Loihi, IEEE Micro 38(1):82-99 (2018), table 2, as quoted",
    grade="simulated before silicon (SDF and SPICE, 0.75 V); the authors call it consistent with early silicon",
    energy_j={
        "synaptic_operation": 23.6e-12,
        "neuron_inactive": 52e-12,
        "neuron_active": 81e-12,
        "spike_in_tile": 1.7e-12,
        "hop_columns": 3.0e-12,
        "hop_rows": 4.0e-12,
    },
    time_s={
        "synaptic_operation": 3.5e-9,
        "neuron_inactive": 5.3e-9,
        "neuron_active": 8.4e-9,
        "spike_in_tile": 2.1e-9,
        "hop_columns": 4.1e-9,
        "hop_rows": 6.5e-9,
    },
    barrier_s=((1, 113e-9), (32, 465e-9)),
    not_priced=(
        "barrier (energy)",
        "static power",
        "input and output of the chip",
        "processors beside the mesh",
    ),
)

SANA_FE = PriceTable(
    name="SANA-FE",
    source="Boyle et al., SANA-FE, IEEE TCAD (2025), doi 10.1109/TCAD.2025.3537971: the numbers of its Loihi model",
    grade="fitted to measurements of Loihi 1; its authors report errors up to 11.7 % (energy) and 24.3 % (time)",
    energy_j={
        "synaptic_operation": 35.5e-12,
        "neuron_inactive": 51.2e-12,
        "neuron_active": 142.1e-12,  # 51.2 access + 21.6 update + 69.3 spike
        "spike_out": 111e-12,
        "spike_in": 0.0,
        "hop_columns": 3.0e-12,
        "hop_rows": 4.2e-12,
    },
    time_s={
        "synaptic_operation": 3.8e-9,
        "neuron_inactive": 6.0e-9,
        "neuron_active": 39.7e-9,  # 6.0 access + 3.7 update + 30 spike
        "spike_out": 5.1e-9,
        "spike_in": 16e-9,
    },
    barrier_s=((1, 0.6e-6), (2, 1.0e-6), (4, 1.4e-6), (29, 1.8e-6)),
    not_priced=(
        "barrier (energy)",
        "static power",
        "input and output of the chip",
        "processors beside the mesh",
    ),
)
