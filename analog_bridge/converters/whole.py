"""Whole numbers throughout: weights on power-of-two grids, so that every sum is exact and equality is bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analog_bridge.converters.counting import CountingForm
from analog_bridge.errors import ConversionError
from analog_bridge.layers import (
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MatrixProduct,
    Product,
    Quantizer,
    Sum,
)

__all__ = ["WholeForm", "whole_form"]

Doubles = NDArray[np.float64]

_EXACT = 2.0**24
_COARSEST = -20.0


@dataclass(frozen=True, eq=False)
class WholeForm:
    """A network in counts whose weights lie on grids.

    Attributes
    ----------
    form : CountingForm
        The network; each row of weights is a multiple of a power of two, each bias likewise.
    lifts : dict of str to float64 array, shape (channels,)
        For layers and quantizers, the power of two by which each channel is multiplied to make it whole.
    """

    form: CountingForm
    lifts: dict[str, Doubles]


def whole_form(form: CountingForm, *, weight_bits: int) -> WholeForm:
    """Round the weights of a network in counts to whole numbers of `weight_bits` bits times a power of two.

    Each output channel before a quantizer has a grid of its own. Biases lie on the grid of their weights, the
    threshold is a multiple of it, too.

    Parameters
    ----------
    form : CountingForm
        With an input that is quantised.
    weight_bits : int
        Bits of a weight, sign included, from 2 to 16.

    Returns
    -------
    WholeForm
        Another network: rounding weights changes it. It computes the same bits in any order of summation. Where sums
        would become too large, grids are coarser than asked for; the notes of its layers say so.

    Raises
    ------
    ConversionError
        The input is not quantised, or a sum may reach 2**24 units, where float32 is no longer exact.
    """
    if isinstance(weight_bits, bool) or not isinstance(weight_bits, int) or not 2 <= weight_bits <= 16:
        raise ConversionError(
            f"convert: weight_bits must be a whole number from 2 to 16, got {weight_bits!r}"
        )
    largest: dict[str, float] = {}
    for name, code in form.inputs.items():
        if code.limits is None:
            raise ConversionError(
                f"whole_form: the input {name!r} must be quantised; put a Quantizer behind the InputLayer"
            )
        largest[name] = float(max(abs(code.limits[0]), code.limits[1]))
    grids = _Grids(form.layers, weight_bits)
    while True:
        layers = grids.snapped()
        too_large = _rounded_sum(layers, largest)
        if too_large is None:
            return WholeForm(replace(form, layers=layers), grids.lifts())
        name, reach = too_large
        if not np.isfinite(reach) or not grids.coarsen(name):
            raise ConversionError(
                f"{layers[name].label}: its sums may reach {reach:.3g} units, they must stay below 2**24 to be exact "
                "in float32; use fewer levels or fewer weight_bits"
            )


class _Grids:
    """The exponents of the grids of all weights: each row is a multiple of ``2**-bits``."""

    def __init__(self, graph: LayerGraph, weight_bits: int) -> None:
        self.graph = graph
        self.spare = weight_bits - 2  # by so many bits a grid may become coarser
        most = 2.0 ** (weight_bits - 1) - 1
        self.zones = _zones(graph)
        self.zone_of = {name: key for key, names in self.zones.items() for name in names}
        self.bits: dict[str, Doubles] = {}
        for key, names in self.zones.items():
            largest = np.max([_row_maxima(graph[name]) for name in names], axis=0)
            self.bits[key] = np.maximum(_exponents(largest, most), 1)
        for layer in graph.layers:
            if isinstance(layer, (Convolution, Dense)) and layer.name not in self.zone_of:
                bits = _exponents(_row_maxima(layer), most)
                self.bits[layer.name] = np.full(bits.size, bits.min())
        self.asked = dict(self.bits)

    def snapped(self) -> LayerGraph:
        """Return the network with its weights on these grids."""
        made = [
            _snapped(layer, self.bits[self.zone_of.get(layer.name, layer.name)])
            if isinstance(layer, (Convolution, Dense))
            else layer
            for layer in self.graph.layers
        ]
        notes = [
            f"{key}: {int((self.asked[key] - bits).max())} bits fewer than asked for, so that sums stay exact"
            for key, bits in self.bits.items()
            if (bits < self.asked[key]).any()
        ]
        return LayerGraph(tuple(made), self.graph.outputs, (*self.graph.notes, *notes))

    def coarsen(self, name: str) -> bool:
        """Make a grid coarser of a layer whose sums are too large: the finest of its own and those before it.

        Say whether there is one.
        """
        found: dict[str, float] = {}
        frontier = [name]
        while frontier:
            at = frontier.pop()
            key = self.zone_of.get(at, at)
            if key in self.bits:
                found[key] = 1.0 if at in self.zone_of else _COARSEST
            if not isinstance(self.graph[at], (InputLayer, Quantizer)):
                frontier += self.graph[at].inputs
        can = [
            key
            for key, least in found.items()
            if (self.bits[key] > least).any() and (self.asked[key] - self.bits[key]).max() < self.spare
        ]
        if not can:
            return False
        finest = max(can, key=lambda key: float(self.bits[key].max()))
        self.bits[finest] = np.maximum(self.bits[finest] - 1, found[finest])
        return True

    def lifts(self) -> dict[str, Doubles]:
        """Return by how much each channel of a quantizer, and of the layers before it, is multiplied to be whole."""
        found = {name: np.exp2(self.bits[key]) for name, key in self.zone_of.items()}
        return found | {key: np.exp2(self.bits[key]) for key in self.zones}


def _zones(graph: LayerGraph) -> dict[str, list[str]]:
    """For each quantizer behind nothing but sums of affine layers that feed nothing else, these layers."""
    found: dict[str, list[str]] = {}
    for layer in graph.layers:
        if not isinstance(layer, Quantizer):
            continue
        frontier, affine, is_plain = [layer.inputs[0]], [], True
        while frontier:
            at = graph[frontier.pop()]
            is_plain &= len(graph.consumers[at.name]) == 1 and at.name not in graph.outputs
            if isinstance(at, Sum):
                frontier += at.inputs
            elif isinstance(at, (Convolution, Dense)):
                affine.append(at.name)
            else:
                is_plain = False
        if is_plain:
            found[layer.name] = affine
    return found


def _row_maxima(layer: Layer) -> Doubles:
    assert isinstance(layer, (Convolution, Dense))
    maxima: Doubles = np.abs(layer.weight.astype(np.float64)).reshape(len(layer.weight), -1).max(axis=1)
    return maxima


def _exponents(largest: Doubles, most: float) -> Doubles:
    """The finest power of two for which weights stay within `most` units."""
    bits: Doubles = np.floor(np.log2(most / np.where(largest > 0, largest, most)))
    return bits


def _snapped(layer: Convolution | Dense, bits: Doubles) -> Layer:
    grid = np.exp2(-bits)
    rows = grid.reshape(-1, *[1] * (layer.weight.ndim - 1))
    weight = np.rint(layer.weight / rows) * rows
    bias = np.rint(layer.bias / grid) * grid
    return replace(layer, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _rounded_sum(graph: LayerGraph, largest: dict[str, float]) -> tuple[str, float] | None:
    """The first layer whose sums may be rounded in float32, and how many units of their grid they may reach.

    The sums are those of a whole run: all that arrives, in any order.
    """
    bound: dict[str, Doubles] = {}
    grid: dict[str, Doubles] = {}
    for layer in graph.layers:
        name = layer.name
        most, finest = [bound[source] for source in layer.inputs], [grid[source] for source in layer.inputs]
        if isinstance(layer, InputLayer):
            bound[name], grid[name] = np.full(1, largest[name]), np.ones(1)
        elif isinstance(layer, Quantizer):
            # a membrane holds the sum, half a threshold, and what its spikes have taken or given
            reach = float(((most[0] + layer.n_levels + layer.n_negative + 1) / finest[0]).max())
            if reach >= _EXACT:
                return layer.inputs[0], reach
            bound[name], grid[name] = np.full(1, float(max(layer.n_levels, layer.n_negative))), np.ones(1)
        elif isinstance(layer, (Convolution, Dense)):
            rows = np.abs(layer.weight.astype(np.float64)).reshape(len(layer.weight), -1)
            bound[name] = rows.sum(axis=1) * most[0].max() + np.abs(layer.bias)
            own = [min(_grid_of(row), _grid_of(bias)) for row, bias in zip(rows, layer.bias, strict=True)]
            grid[name] = np.array(own) * finest[0].min()
        elif isinstance(layer, (Product, MatrixProduct)):
            n_terms = 1 if isinstance(layer, Product) else graph.shapes[layer.inputs[0]][2]
            bound[name] = np.full(1, most[0].max() * most[1].max() * n_terms)
            grid[name] = np.full(1, finest[0].min() * finest[1].min())
        elif isinstance(layer, Sum):
            bound[name], grid[name] = (
                np.sum(np.broadcast_arrays(*most), axis=0),
                np.min(np.broadcast_arrays(*finest), axis=0),
            )
        else:
            bound[name] = np.full(1, max(part.max() for part in most))
            grid[name] = np.full(1, min(part.min() for part in finest))
        reach = float((bound[name] / grid[name]).max())
        if reach >= _EXACT and isinstance(layer, (Convolution, Dense, Sum, Product, MatrixProduct)):
            return name, reach
    return None


def _grid_of(values: NDArray[np.floating]) -> float:
    """The largest power of two, at most 1, of which all values are multiples."""
    grid = 1.0
    while grid > 2.0**-60 and (values / grid != np.rint(values / grid)).any():
        grid /= 2
    return grid
