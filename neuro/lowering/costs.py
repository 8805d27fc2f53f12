"""Which path a step takes: a model of what each costs, linear in the active inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.vectors import LANES
from neuro.lowering.run import Path

__all__ = ["ALWAYS", "Cost", "Costs", "Shape", "Thresholds", "all_from"]

Counts = NDArray[np.float64]
ALWAYS = int(np.iinfo(np.int64).max)
_N_POINTS = 400  # numbers of active inputs that are looked at
_MOSTLY = 0.7  # (input, tap) per output pixel from which about half of the pixels have input


@dataclass(frozen=True)
class Shape:
    """What the cost of a layer depends on.

    Attributes
    ----------
    n_pixels, n_channels : int
        Output pixels and channels.
    n_inputs : int
        Inputs of one output neuron: taps times input channels.
    n_taps : float
        Output pixels that an input reaches, on average.
    """

    n_pixels: int
    n_channels: int
    n_inputs: int
    n_taps: float

    @property
    def n_vectors(self) -> int:
        """Vectors that the channels of a pixel take."""
        return -(-self.n_channels // LANES)

    @property
    def n_entries(self) -> int:
        """Active inputs of a step in which every input is active, about."""
        return max(1, round(self.n_pixels * self.n_inputs / self.n_taps))

    def n_visits(self, n_active: Counts) -> Counts:
        """Return how many output pixels are stepped, on average, when that many inputs are active."""
        reached = self.n_pixels * -np.expm1(-n_active * self.n_taps / self.n_pixels)
        return np.where(n_active >= all_from(self), float(self.n_pixels), reached)


@dataclass(frozen=True)
class Cost:
    """Nanoseconds of a path: for each output pixel, each term (a weight row that is added), each pixel that is stepped.

    Attributes
    ----------
    pixel, pixel_vector : float
        For each output pixel, and for each vector of its channels.
    term, term_vector : float
        For each term, and for each vector of its row.
    visit, visit_vector : float
        For each pixel that is stepped, and for each vector of its channels.
    """

    pixel: float
    pixel_vector: float
    term: float
    term_vector: float
    visit: float = 0.0
    visit_vector: float = 0.0

    def of_step(self, shape: Shape, n_terms: Counts, n_visits: Counts) -> Counts:
        """Return the cost of steps with so many terms and pixels that are stepped."""
        n = shape.n_vectors
        fixed = shape.n_pixels * (self.pixel + self.pixel_vector * n)
        by_term = n_terms * (self.term + self.term_vector * n)
        return fixed + by_term + n_visits * (self.visit + self.visit_vector * n)


@dataclass(frozen=True)
class Costs:
    """The costs of all paths on a machine.

    Attributes
    ----------
    scatter, gather, integer, dense : Cost
        By path; the terms of the dense path are all inputs, active or not.
    """

    scatter: Cost
    gather: Cost
    integer: Cost
    dense: Cost

    def thresholds(self, shape: Shape, *, has_bytes: bool, has_dense: bool) -> Thresholds:
        """Return the active inputs at which the paths change places in a layer.

        Parameters
        ----------
        shape : Shape
            The layer.
        has_bytes, has_dense : bool
            Which paths it has besides scatter and gather.

        Returns
        -------
        Thresholds
            Where the costs of two paths cross, to about a fiftieth.
        """
        n_active = np.unique(np.geomspace(1, shape.n_entries, _N_POINTS).round())
        n_visits, n_terms = shape.n_visits(n_active), n_active * shape.n_taps
        gather = (self.integer if has_bytes else self.gather).of_step(shape, n_terms, n_visits)
        scatter = self.scatter.of_step(shape, n_terms, n_visits)
        dense_from = ALWAYS
        if has_dense:
            all_terms = np.full(n_active.shape, float(shape.n_pixels * shape.n_inputs))
            dense = self.dense.of_step(shape, all_terms, n_visits)
            dense_from = _first_after(n_active, dense > np.minimum(gather, scatter))
        return Thresholds(_first_after(n_active, scatter <= gather), dense_from, all_from(shape))


@dataclass(frozen=True)
class Thresholds:
    """Active inputs of a step at which the paths change.

    Attributes
    ----------
    scatter_under : int
        A step with fewer is scattered, unless it has enough for the dense path.
    dense_from : int
        A step with as many takes the dense path.
    all_from : int
        A step with as many leaves no output pixel alone: most have input.
    uses_bytes : bool
        Whether steps that are gathered are summed in whole numbers, where the weights are such.
    """

    scatter_under: int
    dense_from: int
    all_from: int
    uses_bytes: bool = True

    def forced(self, path: Path | None) -> Thresholds:
        """Return thresholds that make all steps take one path; these themselves for None."""
        if path is None:
            return self
        under = ALWAYS if path == "scatter" else 0
        dense = 0 if path == "dense" else ALWAYS
        return replace(self, scatter_under=under, dense_from=dense, uses_bytes=path == "integer")


def all_from(shape: Shape) -> int:
    """Return the active inputs from which a step leaves no output pixel of a layer alone."""
    return _whole(_MOSTLY * shape.n_pixels / shape.n_taps)


def _first_after(n_active: Counts, is_so: NDArray[np.bool_]) -> int:
    """Return the first number of active inputs from which on something no longer is so; 0 if it never was."""
    places = np.flatnonzero(is_so)
    if places.size == 0:
        return 0
    return ALWAYS if places[-1] == n_active.size - 1 else int(n_active[places[-1]]) + 1


def _whole(value: float) -> int:
    return ALWAYS if value >= 2**62 else max(0, int(np.ceil(value)))
