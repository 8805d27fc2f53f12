"""What a chip can hold and do: a table of limits, each with its source and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from hw.errors import TargetError
from hw.targets.prices import PriceTable

__all__ = ["Limit", "Target", "Grade", "GRADES", "LIMIT_NAMES", "MAY_BE_ZERO", "MOST"]

Grade = Literal["published", "source code", "secondary", "assumed", "user"]
GRADES: tuple[str, ...] = ("published", "source code", "secondary", "assumed", "user")

LIMIT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "chips": "most chips that a network may be spread over",
        "cores_per_chip": "neurocores that a network may use on one chip",
        "cores_per_tile": "cores that share a router",
        "mesh_columns": "tiles in a row of the mesh",
        "compartments": "neurons of a core",
        "synaptic_words": "64-bit words of a core for synapses (and for states, see state_bits)",
        "state_bits": "bits of the synaptic memory that each neuron takes",
        "input_axons": "axons that enter a core",
        "output_axons": "axons that leave a core",
        "population_axons": "1: the neurons of a pixel share an axon, like pixels a kernel; 2: all pixels one; 0: none",
        "population_channels": "most neurons that share an axon",
        "population_axon_slots": "output axons that an axon shared by a pixel takes",
        "words_per_axon": "64-bit words that one axon may read",
        "synapses_per_entry": "most synapses under one header",
        "index_bits": "bits of a target's number in sparse synapses",
        "weight_bits": "bits of a weight with its sign",
        "delay_steps": "longest delay of a synapse beyond the one step that each takes",
        "free_delay_steps": "longest delay that does not cost neurons",
        "neuron_configurations": "different sets of decays and refractory periods in a core",
        "threshold_configurations": "different thresholds in a core",
        "synapse_formats": "different formats of synapses in a core",
        "payload_bits": "bits of the value that a spike carries; 0: it has no value",
        "refractory_steps": "longest refractory period",
    }
)
MAY_BE_ZERO = ("payload_bits", "population_axons", "state_bits", "free_delay_steps", "delay_steps")
MOST: Mapping[str, int] = MappingProxyType(
    {
        "chips": 2**20,
        "cores_per_chip": 2**16,
        "cores_per_tile": 2**10,
        "mesh_columns": 2**12,
        "state_bits": 2**16,
        "population_axons": 2,
        "population_axon_slots": 2**10,
        "synapses_per_entry": 2**16,
        "index_bits": 32,
        "weight_bits": 8,
        "delay_steps": 63,
        "payload_bits": 32,
        "refractory_steps": 63,
    }
)
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Limit:
    """A number of a chip, and where it comes from.

    Attributes
    ----------
    value : int
        The number.
    source : str
        Where it can be looked up.
    grade : {'published', 'source code', 'secondary', 'assumed', 'user'}
        'published': a paper or a data sheet, as quoted; 'source code': of the maker's or a mapper's public code;
        'secondary': other texts say so; 'assumed': nobody has published it, and the mapper needs a number;
        'user': from a file of one's own.

    Examples
    --------
    >>> Limit(1024, "Davies et al. 2018, p. 86", "published").value
    1024
    """

    value: int
    source: str
    grade: Grade

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise TargetError(f"Limit: value must be a whole number, got {self.value!r}")
        if self.grade not in GRADES:
            raise TargetError(f"Limit: grade must be one of {', '.join(GRADES)}, got {self.grade!r}")
        if not self.source:
            raise TargetError("Limit: source must say where the number comes from, got ''")


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """A chip: how its neurons compute, what a core holds, what an operation costs.

    Attributes
    ----------
    name : str
        Such as 'loihi2'.
    profile : {'lava', 'loihi1'}
        Rules of arithmetic of :func:`hw.emulate`.
    limits : mapping of str to Limit
        One for each name in ``hw.targets.LIMIT_NAMES``.
    prices : tuple of PriceTable
        Tables of energy and time; none where nobody published one.

    Raises
    ------
    TargetError
        If a limit is missing, unknown or out of range.

    Examples
    --------
    >>> from hw import loihi1
    >>> loihi1["compartments"], loihi1.limits["compartments"].grade
    (1024, 'published')
    """

    name: str
    profile: str
    limits: Mapping[str, Limit]
    prices: tuple[PriceTable, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable():
            raise TargetError(f"Target: name must be printable text, got {self.name!r}")
        if self.profile not in ("lava", "loihi1"):
            raise TargetError(
                f"Target {self.name!r}: profile must be 'lava' or 'loihi1', got {self.profile!r}"
            )
        unknown = sorted(set(self.limits) - set(LIMIT_NAMES))
        if unknown:
            raise TargetError(
                f"Target {self.name!r}: there is no limit {unknown[0]!r}; limits are {', '.join(LIMIT_NAMES)}"
            )
        for name, meaning in LIMIT_NAMES.items():
            if name not in self.limits:
                raise TargetError(f"Target {self.name!r}: the limit {name!r} is missing ({meaning})")
            least = 0 if name in MAY_BE_ZERO else 1
            value, most = self.limits[name].value, MOST.get(name, _MOST)
            if value < least:
                raise TargetError(f"Target {self.name!r}: {name} must be >= {least}, got {value}")
            if value > most:
                shown = value if value < 10**30 else f"about 2^{value.bit_length() - 1}"
                raise TargetError(f"Target {self.name!r}: {name} must be <= {most}, got {shown}")
        object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))

    def __getitem__(self, name: str) -> int:
        if name not in self.limits:
            raise TargetError(f"Target {self.name!r}: there is no limit {name!r}")
        return self.limits[name].value

    def __repr__(self) -> str:
        prices = ", ".join(table.name for table in self.prices) or "none"
        return (
            f"Target({self.name!r}, profile {self.profile!r}, {self['cores_per_chip']} cores of "
            f"{self['compartments']} neurons and {self['synaptic_words']} words; prices: {prices})"
        )
