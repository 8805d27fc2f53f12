"""Compares a graph with what the original gives, before it is handed over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import LayerError
from analog_bridge.layers import LayerGraph

__all__ = ["compare"]

# far above float32 rounding, far below what a wrong layer does
RELATIVE_BOUND = 1e-3


def compare(
    graph: LayerGraph, found: Sequence[NDArray[Any]], wanted: Sequence[Any], *, owner: str, reason: str
) -> None:
    """Raise if outputs differ by more than rounding explains.

    Where a softmax or sigmoid of the output was left out, it is put back for the comparison.

    Parameters
    ----------
    graph : LayerGraph
        The network.
    found : sequence of array
        Its outputs.
    wanted : sequence of array
        Those of the original.
    owner, reason : str
        Who asks, and what a difference means, for the message.

    Raises
    ------
    LayerError
        An output differs by more than 1e-3 of its largest value.
    """
    is_closed = any("of the output is left out" in note for note in graph.notes)
    for name, ours, theirs in zip(graph.outputs, found, wanted, strict=True):
        original = np.asarray(theirs, dtype=np.float64)
        forms = _closings(ours.reshape(original.shape)) if is_closed else iter([ours.reshape(original.shape)])
        worst = min(float(np.abs(form - original).max(initial=0.0)) for form in forms)
        if not worst <= RELATIVE_BOUND * max(float(np.abs(original).max(initial=0.0)), 1e-6):
            raise LayerError(f"{owner}: output {name!r} differs from the original's by {worst:.3g} {reason}")


def _closings(scores: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield scores as they are and behind each operator that may have closed them."""
    wide = scores.astype(np.float64)
    yield wide
    with np.errstate(over="ignore"):
        yield 1 / (1 + np.exp(-wide))
    for axis in range(1, wide.ndim):
        shifted = wide - wide.max(axis, keepdims=True)
        parts = np.exp(shifted)
        yield parts / parts.sum(axis, keepdims=True)
        yield shifted - np.log(parts.sum(axis, keepdims=True))
