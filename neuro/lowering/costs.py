"""Which path a step takes: a model of what each costs on this machine, measured once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuro.lowering.run import Path

__all__ = ["Thresholds"]

_ALWAYS = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Thresholds:
    """Active inputs of a step at which the paths change.

    Attributes
    ----------
    scatter_under : int
        A step with fewer is scattered.
    dense_from : int
        A step with as many takes the dense path.
    uses_bytes : bool
        Whether steps that are gathered are summed in whole numbers, where the weights are such.
    """

    scatter_under: int
    dense_from: int
    uses_bytes: bool = True

    def forced(self, path: Path | None) -> Thresholds:
        """Return thresholds that make all steps take one path; these themselves for None."""
        if path is None:
            return self
        under = _ALWAYS if path == "scatter" else 0
        dense = 0 if path == "dense" else _ALWAYS
        return replace(self, scatter_under=under, dense_from=dense, uses_bytes=path == "integer")
