"""Which path a step takes: a model of what each costs, linear in the active inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuro.kernels.vectors import LANES
from neuro.lowering.run import Path

__all__ = ["ALWAYS", "Cost", "Costs", "Shape", "Thresholds", "all_from"]

ALWAYS = int(np.iinfo(np.int64).max)
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


@dataclass(frozen=True)
class Cost:
    """Nanoseconds of a path: for each output pixel and each term (a weight row that is added), and per vector of it.

    Attributes
    ----------
    pixel, pixel_vector : float
        For each output pixel, and for each vector of its channels.
    term, term_vector : float
        For each term, and for each vector of its row.
    """

    pixel: float
    pixel_vector: float
    term: float
    term_vector: float

    def fixed(self, shape: Shape) -> float:
        """Return what a step costs without any term."""
        return shape.n_pixels * (self.pixel + self.pixel_vector * shape.n_vectors)

    def per_term(self, shape: Shape) -> float:
        """Return what one term costs."""
        return self.term + self.term_vector * shape.n_vectors


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
            Where the lines of two costs cross.
        """
        gather = self.integer if has_bytes else self.gather
        saved = self.scatter.per_term(shape) - gather.per_term(shape)
        more = gather.fixed(shape) - self.scatter.fixed(shape)
        scatter_under = more / (saved * shape.n_taps) if saved > 0 else np.inf
        dense_from = np.inf
        if has_dense:
            n_terms = shape.n_pixels * shape.n_inputs
            dense = self.dense.fixed(shape) + n_terms * self.dense.per_term(shape)
            crossings = [
                (dense - cost.fixed(shape)) / (cost.per_term(shape) * shape.n_taps)
                for cost in (gather, self.scatter)
            ]
            dense_from = max(0.0, *crossings)
        return Thresholds(_whole(scatter_under), _whole(dense_from), all_from(shape))


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


def _whole(value: float) -> int:
    return ALWAYS if value >= 2**62 else max(0, int(np.ceil(value)))
