"""Which values can travel along an edge: sign, bound and grid, and whether sums stay exact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuro.errors import GraphError
from neuro.graph.fields import FloatArray, as_float, first_position, position_text
from neuro.graph.nodes import (
    ATTENTIONS,
    CODED,
    LI,
    PRODUCTS,
    SPIKING,
    SYNAPSES,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CountMaxPool2d,
    Difference,
    FirstSpikeIF,
    Input,
    Linear,
    MaxPool2d,
    Node,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    SigmaDelta,
    SignedIF,
    SparseLinear,
    SumPool2d,
    TwoPhaseIF,
)
from neuro.graph.shapes import label

__all__ = ["check_grid", "check_non_negative"]

_EXACT = 2.0**24
_UNSIGNED = (*SPIKING, TwoPhaseIF, RadixIF, FirstSpikeIF, RadixMaxPool2d)  # they hand on 0 and 1
_SIGNED = (SignedIF, SigmaDelta, CountMaxPool2d, *PRODUCTS, Difference, Readout)


def check_non_negative(
    nodes: Mapping[str, Node], order: Sequence[str], before: Mapping[str, Sequence[str]]
) -> None:
    """Refuse a MaxPool2d whose input may be negative (an Input's values are checked when it runs)."""
    for name in order:
        if isinstance(nodes[name], MaxPool2d):
            culprit = _negative_source(name, nodes, before)
            if culprit is not None:
                raise GraphError(
                    f"{label(name, nodes[name])}: needs inputs >= 0, but {label(culprit, nodes[culprit])} can"
                    " be negative; put a spiking neuron between them"
                )


def _negative_source(name: str, nodes: Mapping[str, Node], before: Mapping[str, Sequence[str]]) -> str | None:
    seen: set[str] = set()
    frontier = list(before[name])
    while frontier:
        source = frontier.pop()
        if source in seen:
            continue
        seen.add(source)
        if isinstance(nodes[source], (*SYNAPSES, SparseLinear, *_SIGNED, LI)):
            return source
        if not isinstance(nodes[source], _UNSIGNED):
            frontier.extend(before[source])
    return None


@dataclass(frozen=True)
class _Values:
    """Values on an edge: multiples of `grid`, at most `bound` in size."""

    bound: float
    grid: float


def check_grid(
    nodes: Mapping[str, Node], order: Sequence[str], before: Mapping[str, Sequence[str]], grid: object
) -> float | None:
    """Return the checked weight grid, or None.

    Every weight and bias must be a multiple of `grid`, and at each output ``sum|w| * max|input| + |bias|``
    must stay below ``2**24`` times the grid of the products (that of the synapse's own weights, which may be coarser):
    then every partial sum is exact in float32.
    """
    if grid is None:
        return None
    number = as_float("Graph", "weight_grid", grid)
    if number <= 0 or math.frexp(number)[0] != 0.5:
        raise GraphError(f"Graph: weight_grid must be a power of two, got {number}")
    if number < 2.0**-60:
        raise GraphError(
            f"Graph: weight_grid must be at least 2**-60, so that products stay exact, got {number}"
        )
    values: dict[str, _Values | None] = {}
    for name in order:
        # in a cycle the Delay runs before its input is known: it can only hand on spikes
        inputs = [values.get(source, _spikes_or_none(source, nodes, before)) for source in before[name]]
        values[name] = _values(label(name, nodes[name]), nodes[name], inputs, before[name], number)
    return number


def _spikes_or_none(
    name: str, nodes: Mapping[str, Node], before: Mapping[str, Sequence[str]]
) -> _Values | None:
    return _Values(1.0, 1.0) if isinstance(nodes[name], SPIKING) else None


def _coded(node: Node) -> _Values:
    """What a coded neuron hands on in a step: whole numbers, 0 and 1 (or -1), or the change of a count."""
    most = node.max_count - node.min_count if isinstance(node, SigmaDelta) else 1
    return _Values(float(most), 1.0)


def _values(
    owner: str, node: Node, inputs: Sequence[_Values | None], sources: Sequence[str], grid: float
) -> _Values | None:
    if isinstance(node, Input):
        if node.max_count is None:
            raise GraphError(
                f"{owner}: a graph with a weight_grid needs max_count, the largest entry of a frame"
            )
        return _Values(float(node.max_count), 1.0)
    if isinstance(node, SPIKING):
        return _Values(1.0, 1.0)
    if isinstance(node, (*CODED, RadixMaxPool2d)):
        return _coded(node)
    if isinstance(node, (LI, Readout, *PRODUCTS)) or (isinstance(node, ATTENTIONS) and node.scaling):
        return None
    known = [item for item in inputs if item is not None]
    if isinstance(node, (Linear, Conv2d, SparseLinear)):
        if not known:
            raise GraphError(
                f"{owner}: weight_grid needs inputs on a grid, but the values of {sources[0]!r} are not; "
                "give it spikes or counts, or build the graph without weight_grid"
            )
        return _synapse(owner, node, known[0], grid)
    if len(known) < len(inputs):
        return None
    if isinstance(node, (Add, SumPool2d, AvgPool2d)):
        return _sum(owner, node, known)
    if isinstance(node, Difference):
        return _Values(2 * known[0].bound, known[0].grid)
    if isinstance(node, Concat):
        return _Values(max(item.bound for item in known), min(item.grid for item in known))
    return known[0]


def _sum(owner: str, node: Add | SumPool2d | AvgPool2d, inputs: Sequence[_Values]) -> _Values | None:
    fine = min(item.grid for item in inputs)
    if isinstance(node, Add):
        bound = sum(item.bound for item in inputs)
        area = 1
    else:
        area = node.kernel_size[0] * node.kernel_size[1]
        bound = inputs[0].bound * area
    if not bound < _EXACT * fine:
        raise GraphError(
            f"{owner}: its sums reach {bound:g}, they must stay below 2**24 * {fine:g} = {_EXACT * fine:g} to"
            " be exact in float32; use a coarser weight_grid, smaller weights or a smaller max_count"
        )
    if isinstance(node, AvgPool2d):
        if area & (area - 1):
            return None
        return _Values(bound / area, fine / area)
    return _Values(bound, fine)


def _synapse(owner: str, node: Linear | Conv2d | SparseLinear, values: _Values, grid: float) -> _Values:
    _check_multiples(owner, "weight", node.weight, grid)
    size = np.abs(node.weight.astype(np.float64))
    if isinstance(node, SparseLinear):
        rows = np.repeat(np.arange(node.n_out), np.diff(node.indptr))
        total = np.bincount(rows, size, minlength=node.n_out) * values.bound
    else:
        total = size.reshape(node.weight.shape[0], -1).sum(axis=1) * values.bound
    if not isinstance(node, SparseLinear) and node.bias is not None:
        _check_multiples(owner, "bias", node.bias, grid)
        total += np.abs(node.bias.astype(np.float64))
    own = max(grid, _grid_of(node))  # a synapse may lie on a coarser grid than the graph
    fine = min(own, own * values.grid)
    worst = int(np.argmax(total))
    if not total[worst] < _EXACT * fine:
        unit = "channel" if isinstance(node, Conv2d) else "output"
        raise GraphError(
            f"{owner}: {unit} {worst} has sum|weight| * {values.bound:g} + |bias| = {total[worst]:g}, it must"
            f" stay below 2**24 * {fine:g} = {_EXACT * fine:g} so that sums are exact in float32; use a"
            " coarser weight_grid, smaller weights or a smaller max_count"
        )
    return _Values(float(total[worst]), fine)


def _grid_of(node: Linear | Conv2d | SparseLinear) -> float:
    """The largest power of two of which all weights and the bias are multiples; 0 where all are 0."""
    grid = 0.0
    for array in (node.weight, getattr(node, "bias", None)):
        if array is None or not array.any():
            continue
        mantissa, exponent = np.frexp(array[array != 0])
        odd = np.ldexp(mantissa, 24).astype(np.int64)  # a float32 has 24 bits
        finest = float(((odd & -odd) * 2.0 ** (exponent - 24)).min())
        grid = min(grid, finest) if grid else finest
    return grid


def _check_multiples(owner: str, field: str, array: FloatArray, grid: float) -> None:
    ratio = array.astype(np.float64) / grid
    wrong = ratio != np.round(ratio)
    if wrong.any():
        where = first_position(wrong)
        raise GraphError(
            f"{owner}: {field} must hold multiples of weight_grid = {grid:g}, got "
            f"{field}{position_text(where)} = {array[where]:.9g}; snap it with round({field} / grid) * grid"
        )
