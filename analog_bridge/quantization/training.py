"""Quantisation-aware training: weights, biases and units learn while activations are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import CalibrationError, LayerError
from analog_bridge.evaluation import check_batch, differentiable, evaluate, require_torch
from analog_bridge.layers import Activation, InputLayer, Layer, LayerGraph, Quantizer
from analog_bridge.quantization.calibration import calibrate

if TYPE_CHECKING:
    import torch

__all__ = ["train_quantized", "QuantizedTraining", "Epoch"]

Rule = Literal["qcfs", "lsq"]


@dataclass(frozen=True)
class Epoch:
    """How an epoch ended.

    Attributes
    ----------
    number : int
        0 is the network before training.
    loss : float
        Mean loss over the training samples; NaN for epoch 0.
    validation_loss : float
        Mean loss over the validation samples.
    validation_accuracy : float
        Part of the validation samples that are right, 0 to 1; NaN without labels.
    """

    number: int
    loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class QuantizedTraining:
    """What training gave.

    Attributes
    ----------
    layers : LayerGraph
        The network in counts after the best epoch.
    epochs : tuple of Epoch
        All epochs, that before training first.
    best : int
        Number of the epoch that was kept: the best on the validation samples, the first of equals.
    is_interrupted : bool
        Whether Ctrl-C ended it early.
    """

    layers: LayerGraph
    epochs: tuple[Epoch, ...]
    best: int
    is_interrupted: bool


def train_quantized(
    layers: LayerGraph,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    levels: int | Mapping[str, int] = 8,
    rule: Rule = "qcfs",
    validation_part: float = 0.1,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> QuantizedTraining:
    """Train a network in counts further, from its calibrated thresholds.

    Forward, an activation is ``u clip(floor(x / u + 1/2), -n_negative, L)``; backward, floor counts as the identity.
    'qcfs' learns the threshold ``L u`` of each quantizer with the gradient that follows from that; 'lsq' learns the
    unit ``u`` with that gradient over ``sqrt(n L)``, n entries in a sample, as the step of a weight is learned. Adam
    with a learning rate that falls to 0 along a cosine. A network that is given with activations is calibrated first
    (`calibrate`, on the training samples). Train it as usual before: here batch norm is folded already. The weights
    of a module that is used twice are trained apart.

    Parameters
    ----------
    layers : LayerGraph
        With activations, or in counts. It has one input.
    x : array, shape ``(n, *shape)``
        Training samples, at least 2.
    y : int array, shape (n,), optional
        Classes; the loss is the cross entropy of the first output. None: the loss is the squared difference of the
        outputs from those that `layers` has for them before training, which needs no labels.
    levels : int or dict of int
        Largest count of each activation, as in `calibrate`; not used where `layers` is in counts.
    rule : {'qcfs', 'lsq'}
        What is learned of a quantizer.
    validation_part : float
        Part of the samples that are not trained on, between 0 and 1; they choose the epoch.
    epochs : int
        How often all training samples are seen, >= 1.
    learning_rate : float
        At the start, > 0.
    batch_size : int
        Samples per step, >= 1.
    seed : int
        Of the split and the order of samples.
    progress : bool
        Show a progress bar. Ctrl-C ends training and keeps the best epoch so far.

    Returns
    -------
    QuantizedTraining
        The network after the best epoch, and how it got there. By the validation samples it is never worse than before.

    Raises
    ------
    CalibrationError
        Too few samples, labels that do not fit, options out of range, or a loss that is not finite.
    """
    torch = require_torch("train_quantized")
    if rule not in get_args(Rule):
        raise CalibrationError(
            f"train_quantized: rule must be one of {', '.join(get_args(Rule))}, got {rule!r}"
        )
    samples, labels = _checked(layers, x, y)
    _check_options(validation_part, epochs, learning_rate, batch_size)
    order = np.random.default_rng(seed).permutation(len(samples))
    n_held = min(max(round(validation_part * len(samples)), 1), len(samples) - 1)
    held, used = order[:n_held], order[n_held:]
    if any(isinstance(layer, Activation) for layer in layers.layers):
        start = calibrate(layers, samples[used], levels=levels)
    else:
        start = layers
    goal = labels if labels is not None else evaluate(layers, samples)[layers.outputs[0]]
    tensors = [torch.tensor(samples[part]) for part in (used, held)] + [
        torch.tensor(goal[part]) for part in (used, held)
    ]
    trainer = _Trainer(start, rule, tensors, labels is not None)
    return trainer.run(epochs, learning_rate, batch_size, seed, progress)


def _checked(
    layers: LayerGraph, x: ArrayLike, y: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    if len(layers.inputs) != 1:
        raise CalibrationError(
            f"train_quantized: the network has {len(layers.inputs)} inputs; only one is covered"
        )
    try:
        (samples,) = check_batch(layers, x, owner="train_quantized").values()
    except LayerError as err:
        raise CalibrationError(str(err)) from err
    if len(samples) < 2:
        raise CalibrationError(f"train_quantized: needs at least 2 samples, got {len(samples)}")
    if y is None:
        return samples.astype(np.float32), None
    labels = np.asarray(y)
    n_classes = layers.shapes[layers.outputs[0]][0]
    if labels.shape != (len(samples),) or labels.dtype.kind not in "iu":
        raise CalibrationError(
            f"train_quantized: y must hold one whole number per sample, ({len(samples)},), got "
            f"{labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise CalibrationError(
            f"train_quantized: y must lie within 0..{n_classes - 1}, the network's outputs; got "
            f"{labels.min()}..{labels.max()}"
        )
    return samples.astype(np.float32), labels.astype(np.int64)


def _check_options(validation_part: float, epochs: int, learning_rate: float, batch_size: int) -> None:
    if not 0 < validation_part < 1:
        raise CalibrationError(
            f"train_quantized: validation_part must lie between 0 and 1, got {validation_part}"
        )
    if epochs < 1 or batch_size < 1:
        raise CalibrationError(
            f"train_quantized: epochs and batch_size must be >= 1, got {epochs} and {batch_size}"
        )
    if not learning_rate > 0:
        raise CalibrationError(f"train_quantized: learning_rate must be > 0, got {learning_rate}")


class _Trainer:
    """The network's parameters as tensors, and the samples."""

    def __init__(self, layers: LayerGraph, rule: Rule, data: list[Any], has_labels: bool) -> None:
        self.torch = require_torch("train_quantized")
        self.layers, self.rule, self.has_labels = layers, rule, has_labels
        self.x, self.x_held, self.y, self.y_held = data
        self.learned: dict[tuple[str, str], Any] = {}
        self.bound: dict[str, Any] = {layer.name: self._bind(layer) for layer in layers.layers}

    def _bind(self, layer: Layer) -> SimpleNamespace:
        """Return a layer's fields, arrays as tensors that learn."""
        values = {each.name: getattr(layer, each.name) for each in fields(layer)}
        for name, value in values.items():
            if name in {"weight", "bias", "factor", "offset", "unit"} and isinstance(value, np.ndarray):
                start = value
                if isinstance(layer, Quantizer) and self.rule == "qcfs":
                    start = value * layer.n_levels
                parameter = self.torch.nn.Parameter(self.torch.tensor(start))
                self.learned[layer.name, name] = values[name] = parameter
        return SimpleNamespace(**values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first output."""
        values: dict[str, Any] = {}
        for layer in self.layers.layers:
            if isinstance(layer, InputLayer):
                values[layer.name] = x
                continue
            inputs = [values[name] for name in layer.inputs]
            bound = self.bound[layer.name]
            if isinstance(layer, Quantizer):
                values[layer.name] = self._counted(layer, bound.unit, inputs[0])
            else:
                values[layer.name] = differentiable(bound, inputs, type(layer))
        found: torch.Tensor = values[self.layers.outputs[0]]
        return found

    def _counted(self, layer: Quantizer, parameter: Any, x: Any) -> Any:
        unit = parameter / layer.n_levels if self.rule == "qcfs" else _scaled(parameter, x, layer.n_levels)
        unit = unit.clamp_min(1e-9).reshape(1, -1, *[1] * (x.ndim - 2))
        steps = (x / unit).clamp(-layer.n_negative, layer.n_levels)
        n = steps + ((steps + 0.5).floor() - steps).detach()
        return n * unit

    def loss(self, found: Any, wanted: Any) -> Any:
        """Return the loss of a batch."""
        functional = self.torch.nn.functional
        if self.has_labels:
            return functional.cross_entropy(found.flatten(1), wanted)
        return functional.mse_loss(found, wanted)

    def run(
        self, n_epochs: int, learning_rate: float, batch_size: int, seed: int, progress: bool
    ) -> QuantizedTraining:
        """Train, and return the best epoch."""
        torch = self.torch
        optimizer = torch.optim.Adam(self.learned.values(), lr=learning_rate)
        n_steps = n_epochs * -(-len(self.x) // batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        generator = torch.Generator().manual_seed(seed)
        epochs = [Epoch(0, float("nan"), *self._validate())]
        best, kept = 0, self._graph()
        is_interrupted = False
        try:
            with _bar(n_epochs, progress) as advance:
                for number in range(1, n_epochs + 1):
                    loss = self._epoch(optimizer, schedule, batch_size, generator)
                    epochs.append(Epoch(number, loss, *self._validate()))
                    if _rank(epochs[-1]) > _rank(epochs[best]):
                        best, kept = number, self._graph()
                    advance(epochs[-1])
        except KeyboardInterrupt:
            is_interrupted = True
        return QuantizedTraining(kept, tuple(epochs), best, is_interrupted)

    def _epoch(self, optimizer: Any, schedule: Any, batch_size: int, generator: Any) -> float:
        total = 0.0
        order = self.torch.randperm(len(self.x), generator=generator)
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            loss = self.loss(self.forward(self.x[part]), self.y[part])
            if not bool(self.torch.isfinite(loss)):
                raise CalibrationError("train_quantized: the loss is not finite; use a smaller learning_rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(part)
        return total / len(order)

    def _validate(self) -> tuple[float, float]:
        with self.torch.no_grad():
            found = self.torch.cat([self.forward(part) for part in self.x_held.split(256)])
            loss = float(self.loss(found, self.y_held))
        if not self.has_labels:
            return loss, float("nan")
        return loss, float((found.flatten(1).argmax(1) == self.y_held).double().mean())

    def _graph(self) -> LayerGraph:
        found = []
        for layer in self.layers.layers:
            changes: dict[str, Any] = {
                name: self._value(layer, name) for owner, name in self.learned if owner == layer.name
            }
            found.append(replace(layer, **changes) if changes else layer)
        return replace(self.layers, layers=tuple(found))

    def _value(self, layer: Layer, name: str) -> NDArray[np.float32]:
        value: NDArray[np.float32] = self.learned[layer.name, name].detach().numpy().copy()
        if isinstance(layer, Quantizer):
            value = np.maximum(value / layer.n_levels if self.rule == "qcfs" else value, np.float32(1e-9))
        return value


def _scaled(parameter: Any, x: Any, n_levels: int) -> Any:
    """Return the unit, its gradient over sqrt(entries of a sample per unit * levels)."""
    n = x[0].numel() / parameter.numel()
    scale = 1 / float(np.sqrt(n * n_levels))
    return (parameter - parameter * scale).detach() + parameter * scale


def _rank(epoch: Epoch) -> tuple[float, float]:
    accuracy = 0.0 if np.isnan(epoch.validation_accuracy) else epoch.validation_accuracy
    return accuracy, -epoch.validation_loss


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Callable[[Epoch], None]]:
    """Give a function that reports an epoch."""
    if not shown:
        yield lambda epoch: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("train", total=total)

        def advance(epoch: Epoch) -> None:
            text = f"epoch {epoch.number}: loss {epoch.loss:.3f}, validation {epoch.validation_loss:.3f}"
            bar.update(task, advance=1, description=text)

        yield advance
