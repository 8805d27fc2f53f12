"""The proof that a converted network equals the quantised one: every count, and every output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.evaluation import apply_layer, evaluate
from analog_bridge.layers import LayerGraph, Quantizer

if TYPE_CHECKING:
    from analog_bridge.spiking import Conversion, Trace

__all__ = ["Agreement", "Mismatch", "compare", "joined"]

_MOST_LISTED = 100


@dataclass(frozen=True)
class Mismatch:
    """A neuron that sent another count than the quantised network has.

    Attributes
    ----------
    sample : int
        Sample of the data.
    layer : str
        Quantizer.
    index : tuple of int
        Neuron.
    spiking, quantised : float
        The counts.
    """

    sample: int
    layer: str
    index: tuple[int, ...]
    spiking: float
    quantised: float

    def __str__(self) -> str:
        where = ", ".join(map(str, self.index))
        return (
            f"sample {self.sample}, layer {self.layer!r}, neuron ({where}): count {self.spiking:g} in the spiking "
            f"network, {self.quantised:g} in the quantised one"
        )


@dataclass(frozen=True, repr=False)
class Agreement:
    """Whether a spiking network and its quantised network agree; true in a condition if every count does.

    Attributes
    ----------
    n_samples : int
        Samples compared.
    n_compared, n_mismatches : int
        Counts compared (one for each neuron and sample), and those that differ.
    by_layer : dict of str to int
        Counts that differ by quantizer.
    mismatches : tuple of Mismatch
        The first 100 of them: by sample, then in the order of the network.
    output_difference : float
        Largest difference of an output.
    n_other_decisions : int
        Samples whose largest output is another.
    """

    n_samples: int
    n_compared: int
    n_mismatches: int
    by_layer: dict[str, int]
    mismatches: tuple[Mismatch, ...]
    output_difference: float
    n_other_decisions: int

    @property
    def is_equal(self) -> bool:
        """Whether all counts are equal."""
        return self.n_mismatches == 0

    @property
    def first(self) -> Mismatch | None:
        """The first count that differs, if any does."""
        return self.mismatches[0] if self.mismatches else None

    def __bool__(self) -> bool:
        return self.is_equal

    def __repr__(self) -> str:
        found = (
            "equal" if self.is_equal else f"NOT equal, {self.n_mismatches} counts differ, first: {self.first}"
        )
        return (
            f"Agreement({found}; {self.n_compared} counts of {self.n_samples} samples, largest difference of an output "
            f"{self.output_difference:.3g}, {self.n_other_decisions} other decisions)"
        )


def compare(conversion: Conversion, x: NDArray[Any], trace: Trace, start: int) -> Agreement:
    """Compare the counts and outputs of some samples with a trace of them; the first has the number `start`."""
    theirs, logits = _expected(conversion, x)
    sent = trace.counts
    compared, by_layer = 0, dict.fromkeys(theirs, 0)
    listed: list[Mismatch] = []
    for name, expected in theirs.items():
        found = _pooled(conversion, name, sent[_sender(conversion, name)], expected.shape)
        differs = found != expected
        compared += differs.size
        by_layer[name] = int(differs.sum())
        places = np.flatnonzero(differs)[:_MOST_LISTED]
        for at in zip(*(axis.tolist() for axis in np.unravel_index(places, differs.shape)), strict=True):
            listed.append(Mismatch(start + at[0], name, at[1:], float(found[at]), float(expected[at])))
    listed.sort(key=lambda one: one.sample)  # stable: layers keep their order
    names = conversion.form.layers.outputs
    outputs = [trace.all_outputs[name].astype(np.float64) for name in names]
    n_axes = 2 if conversion.method == "sigma_delta" else 1
    flat = (*outputs[0].shape[:n_axes], -1)
    others = outputs[0].reshape(flat).argmax(-1) != logits[0].reshape(flat).argmax(-1)
    difference = max(np.abs(ours - given).max() for ours, given in zip(outputs, logits, strict=True))
    return Agreement(
        len(x),
        compared,
        sum(by_layer.values()),
        by_layer,
        tuple(listed[:_MOST_LISTED]),
        float(difference),
        int(others.sum()),
    )


def _sender(conversion: Conversion, name: str) -> str:
    """The quantizer in counts of a quantizer of the quantised network."""
    at = name if conversion.is_whole else conversion.form.sent[name]
    while not isinstance(conversion.form.layers[at], Quantizer):
        at = conversion.form.layers[at].inputs[0]
    return at


def _pooled(
    conversion: Conversion, name: str, counts: NDArray[np.float64], shape: Sequence[int]
) -> NDArray[np.float64]:
    """Counts behind the pools that conversion has moved behind a quantizer."""
    if conversion.is_whole:
        return counts
    import torch

    chain, at = [], conversion.form.sent[name]
    while not isinstance(conversion.form.layers[at], Quantizer):
        chain.append(conversion.form.layers[at])
        at = chain[-1].inputs[0]
    if not chain:
        return counts
    flat = torch.tensor(counts.reshape(-1, *conversion.form.layers.shapes[at]))
    for layer in reversed(chain):
        flat = apply_layer(layer, [flat])
    return flat.numpy().reshape(shape)


def _expected(
    conversion: Conversion, x: NDArray[Any]
) -> tuple[dict[str, NDArray[np.float64]], list[NDArray[np.float64]]]:
    """The counts of the quantised network, and its outputs."""
    layers = conversion.form.layers if conversion.is_whole else conversion.quantised
    inputs = conversion.counts_of_input(x) if conversion.is_whole else x
    shape = inputs.shape
    is_video = conversion.method == "sigma_delta" and len(shape) == len(conversion.input_shape) + 2
    if is_video:
        inputs = inputs.reshape(-1, *shape[2:])
    entries = {entry.name for entry in conversion.form.layers.inputs}
    coding = {name for name, at in conversion.form.sent.items() if at in entries}
    names = [one.name for one in layers.layers if isinstance(one, Quantizer) and one.name not in coding]
    found = evaluate(layers, conversion.inputs.by_name(inputs), keep=names, precision="float64")
    if is_video:
        found = {name: value.reshape(*shape[:2], *value.shape[1:]) for name, value in found.items()}
    counts = {name: np.rint(found[name] / _unit(layers, name, found[name].ndim - is_video)) for name in names}
    return counts, [found[name] for name in layers.outputs]


def _unit(layers: LayerGraph, name: str, n_axes: int) -> NDArray[np.float64]:
    layer = layers[name]
    assert isinstance(layer, Quantizer)
    unit = layer.unit.astype(np.float64)
    return unit if unit.size == 1 else unit.reshape(-1, *[1] * (n_axes - 2))


def joined(parts: Sequence[Agreement]) -> Agreement:
    """Return the agreement on several parts of the data."""
    return Agreement(
        n_samples=sum(part.n_samples for part in parts),
        n_compared=sum(part.n_compared for part in parts),
        n_mismatches=sum(part.n_mismatches for part in parts),
        by_layer={name: sum(part.by_layer[name] for part in parts) for name in parts[0].by_layer},
        mismatches=tuple(one for part in parts for one in part.mismatches)[:_MOST_LISTED],
        output_difference=max(part.output_difference for part in parts),
        n_other_decisions=sum(part.n_other_decisions for part in parts),
    )
