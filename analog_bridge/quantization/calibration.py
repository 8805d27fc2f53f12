"""Activations become counts: thresholds are chosen layer by layer on data without labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import CalibrationError, LayerError
from analog_bridge.evaluation import apply_layer, check_batch, require_torch
from analog_bridge.layers import (
    Activation,
    Convolution,
    Dense,
    InputLayer,
    Layer,
    LayerGraph,
    MaxPool,
    Quantizer,
    Scale,
    Sum,
    TransposedConvolution,
)
from analog_bridge.quantization.thresholds import Histogram, Method, threshold_of

if TYPE_CHECKING:
    import torch

__all__ = ["calibrate", "split_leaky"]

_MOST_BYTES = 4 * 2**30


def calibrate(
    layers: LayerGraph,
    data: ArrayLike | Mapping[str, ArrayLike],
    *,
    levels: int | Mapping[str, int] = 8,
    per_channel: bool = False,
    method: Method = "squared_error",
    correct_bias: bool = True,
    batch_size: int = 128,
    progress: bool = False,
) -> LayerGraph:
    """Replace each activation by a quantizer whose threshold fits the data; no labels are needed.

    Layers are taken in order, each on what the layers before it give once they are quantised. Where all that is read of
    an activation goes through a max pooling, the threshold fits what is left of it. With `correct_bias` the bias of
    every affine layer is moved by the mean difference, per channel, that quantising the layers before it has made. A
    LeakyReLU becomes two quantizers, one for either sign. An upper bound of an activation (ReLU6) is kept: the largest
    count is worth no more.

    Parameters
    ----------
    layers : LayerGraph
        The network; it is not changed.
    data : array, shape ``(n, *shape)``, or dict of arrays
        A sample of what the network will see, at least one. The values between two layers are held in memory for all
        samples, at most 4 GiB.
    levels : int or dict of int
        Largest count of each activation: one for all, or by the activation's name.
    per_channel : bool
        One unit per channel instead of one per layer.
    method : {'squared_error', 'balanced'}
        How thresholds are chosen, see `threshold_of`.
    correct_bias : bool
        Whether biases are corrected.
    batch_size : int
        Samples that are computed at once.
    progress : bool
        Show a progress bar. An interrupt leaves nothing behind.

    Returns
    -------
    LayerGraph
        The same network in counts.

    Raises
    ------
    CalibrationError
        No data, data of another shape, a layer whose values are not finite, a dead layer (never above 0), or levels
        that name no activation; an option out of range.
    """
    if method not in get_args(Method):
        raise CalibrationError(
            f"calibrate: method must be one of {', '.join(get_args(Method))}, got {method!r}"
        )
    if batch_size < 1:
        raise CalibrationError(f"calibrate: batch_size must be >= 1, got {batch_size}")
    try:
        batch = check_batch(layers, data, owner="calibrate")
    except LayerError as err:
        raise CalibrationError(str(err)) from err
    n = len(next(iter(batch.values())))
    if n == 0:
        raise CalibrationError("calibrate: data are empty; give at least one sample, better some hundred")
    layers = split_leaky(layers)
    wanted = _levels(layers, levels)
    _check_memory(layers, n, 2 if correct_bias else 1)
    run = _Calibration(layers, batch, wanted, per_channel, method, correct_bias, batch_size)
    with _bar(len(layers.layers), progress) as advance:
        for layer in layers.layers:
            run.take(layer)
            advance(layer.name)
    return replace(layers, layers=tuple(run.found))


def _levels(layers: LayerGraph, levels: int | Mapping[str, int]) -> dict[str, int]:
    names = [layer.name for layer in layers.layers if isinstance(layer, Activation)]
    if not isinstance(levels, Mapping):
        levels = dict.fromkeys(names, levels)
    else:  # the two halves of a leaky activation go by its name
        levels = {name: levels[_whole(name)] for name in names if _whole(name) in levels} | {
            name: value for name, value in levels.items() if name not in {_whole(each) for each in names}
        }
    for name, value in levels.items():
        if name not in names:
            raise CalibrationError(f"calibrate: levels name {name!r}; the activations are {', '.join(names)}")
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise CalibrationError(
                f"calibrate: levels of {name!r} must be a whole number >= 1, got {value!r}"
            )
    missing = [name for name in names if name not in levels]
    if missing:
        raise CalibrationError(f"calibrate: levels are missing for {', '.join(missing)}")
    return {name: int(value) for name, value in levels.items()}


def _whole(name: str) -> str:
    return name.removesuffix(".positive").removesuffix(".negative")


def _check_memory(layers: LayerGraph, n: int, n_copies: int) -> None:
    waiting = {name: len(readers) for name, readers in layers.consumers.items()}
    live, most = 0, 0
    for layer in layers.layers:
        live += int(np.prod(layers.shapes[layer.name]))
        most = max(most, live)
        for name in dict.fromkeys(layer.inputs):
            waiting[name] -= 1
            if not waiting[name]:
                live -= int(np.prod(layers.shapes[name]))
    needed = most * 4 * n * n_copies
    if needed > _MOST_BYTES:
        raise CalibrationError(
            f"calibrate: {n} samples need {needed / 2**30:.3g} GiB between layers, over {_MOST_BYTES / 2**30:.3g}; "
            f"give at most {max(int(n * _MOST_BYTES / needed), 1)} (analog_bridge.selection chooses them)"
        )


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Any]:
    """Give a function that reports a layer as done."""
    if not shown:
        yield lambda name: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("calibrate", total=total)
        yield lambda name: bar.update(task, advance=1, description=f"calibrate {name}")


class _Calibration:
    """The values of all samples between the layers taken and those to come, quantised and as they were."""

    def __init__(  # noqa: PLR0917
        self,
        layers: LayerGraph,
        batch: dict[str, NDArray[Any]],
        levels: dict[str, int],
        per_channel: bool,
        method: Method,
        correct_bias: bool,
        batch_size: int,
    ) -> None:
        self.layers, self.levels, self.per_channel, self.method = layers, levels, per_channel, method
        self.correct_bias, self.batch_size = correct_bias, batch_size
        self.found: list[Layer] = []
        self._waiting = {name: len(readers) for name, readers in layers.consumers.items()}
        torch = require_torch("calibrate")
        self._inputs = {name: torch.tensor(value, dtype=torch.float32) for name, value in batch.items()}
        self._quantised: dict[str, Any] = {}
        self._exact: dict[str, Any] = {}

    def take(self, layer: Layer) -> None:
        """Choose what takes the place of a layer, and compute it for all samples."""
        if isinstance(layer, InputLayer):
            value = self._inputs.pop(layer.name)
            self._keep(layer, layer, value, value)
            return
        exact = self._compute(layer, self._exact) if self.correct_bias else None
        chosen = layer
        if isinstance(layer, Activation):
            chosen = self._quantizer(layer, self._quantised[layer.inputs[0]])
        value = self._compute(chosen, self._quantised)
        if exact is not None and isinstance(layer, Convolution | Dense | TransposedConvolution):
            shift = _channel_mean(exact) - _channel_mean(value)
            chosen = replace(layer, bias=layer.bias + shift.numpy())
            value = self._compute(chosen, self._quantised)
        self._keep(layer, chosen, value, exact)

    def _compute(self, layer: Layer, values: dict[str, torch.Tensor]) -> torch.Tensor:
        torch = require_torch("calibrate")
        inputs = [values[name] for name in layer.inputs]
        parts = [
            apply_layer(layer, [value[start : start + self.batch_size] for value in inputs])
            for start in range(0, len(inputs[0]), self.batch_size)
        ]
        found = torch.cat(parts)
        if not bool(torch.isfinite(found).all()):
            raise CalibrationError(
                f"{layer.label}: gives values that are not finite on the calibration data; are the data scaled as in "
                "training?"
            )
        return found

    def _keep(self, layer: Layer, chosen: Layer, value: torch.Tensor, exact: torch.Tensor | None) -> None:
        self.found.append(chosen)
        self._quantised[layer.name] = value
        if exact is not None:
            self._exact[layer.name] = exact
        for name in dict.fromkeys(layer.inputs):
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._quantised[name]
                self._exact.pop(name, None)

    def _pooled(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        """Return what a max pooling leaves of an activation, if that is all that is read of it."""
        readers = [self.layers[name] for name in self.layers.consumers[layer.name]]
        if len(readers) == 1 and isinstance(readers[0], MaxPool) and layer.name not in self.layers.outputs:
            return self._pooled(readers[0], self._compute(replace(readers[0], inputs=("x",)), {"x": x}))
        return x

    def _quantizer(self, layer: Activation, x: torch.Tensor) -> Quantizer:
        values = self._pooled(layer, x).numpy().swapaxes(0, 1).reshape(x.shape[1], -1)
        upper = np.inf if layer.upper is None else layer.upper
        largest = np.minimum(values.max(1), upper).astype(np.float64)
        if not (largest > 0).any():
            raise CalibrationError(
                f"{layer.label}: is dead: no value is above 0 on the calibration data; retrain the network, or give "
                "data that reach it"
            )
        histogram = Histogram.empty(largest if self.per_channel else np.array([largest.max()]))
        clipped = np.minimum(values, np.float32(upper)) if layer.upper is not None else values
        histogram.add(clipped if self.per_channel else clipped.reshape(1, -1))
        n_levels = self.levels[layer.name]
        channels = range(len(histogram.largest))
        units = np.array([threshold_of(histogram, c, n_levels, self.method) / n_levels for c in channels])
        units[units <= 0] = units.max()  # a channel that is never above 0
        n_negative = 0
        if layer.lower < 0:
            n_negative = max(int(np.floor(-layer.lower / units.min() + 0.5)), 1)
        return Quantizer(layer.name, layer.inputs, units, n_levels, n_negative, place=layer.place)


def _channel_mean(value: torch.Tensor) -> torch.Tensor:
    return value.double().transpose(0, 1).flatten(1).mean(1)


def split_leaky(layers: LayerGraph) -> LayerGraph:
    """Return a network whose leaky activations are ``relu(x) - slope * relu(-x)``, the same values.

    Parameters
    ----------
    layers : LayerGraph
        The network.

    Returns
    -------
    LayerGraph
        With an Activation for either sign, named ``NAME.positive`` and ``NAME.negative``, in the place of each.
    """
    found: list[Layer] = []
    for layer in layers.layers:
        if not isinstance(layer, Activation) or layer.slope == 0:
            found.append(layer)
            continue
        channels = layers.shapes[layer.name][0]
        name, place = layer.name, layer.place
        ones, zeros = np.ones(channels), np.zeros(channels)
        found += [
            Activation(f"{name}.positive", layer.inputs, upper=layer.upper, place=place),
            Scale(f"{name}.flipped", layer.inputs, -ones, zeros, place=place),
            Activation(f"{name}.negative", (f"{name}.flipped",), place=place),
            Scale(f"{name}.back", (f"{name}.negative",), -layer.slope * ones, zeros, place=place),
            Sum(name, (f"{name}.positive", f"{name}.back"), place=place),
        ]
    return replace(layers, layers=tuple(found))
