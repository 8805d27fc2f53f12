"""Takes over Keras files (.h5) of sequential networks, with h5py alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import LayerError, ModelFileError, UnsupportedLayerError
from analog_bridge.ingest import pictures
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.operator_table import REMEDIES
from analog_bridge.ingest.values import Value
from analog_bridge.layers import LayerGraph

__all__ = ["ingest_keras"]

Weights = list[NDArray[Any]]


def ingest_keras(path: str | Path, *, architecture: str | Path | None = None) -> LayerGraph:
    """Take over a Keras file (``.h5``) of a sequential network as a graph of layers.

    Covered are Conv1D, Conv2D, DepthwiseConv2D, SeparableConv2D, Dense, BatchNormalization, Activation, ReLU,
    LeakyReLU, max and average pooling (also global), Flatten, Reshape, ZeroPadding2D, UpSampling2D, Dropout. Kernels
    that were saved by the Theano backend (the file says so) are turned by 180 degrees, because Theano convolves.

    The graph takes pictures channel first, also where the file says ``channels_last``.

    Parameters
    ----------
    path : str or Path
        The file, with configuration and weights.
    architecture : str or Path, optional
        For a file of `save_weights`, which holds no configuration: a file with what `model.to_json()` gives.

    Returns
    -------
    LayerGraph
        The network; layers are named as in the file. A softmax of the output is left out (noted).

    Raises
    ------
    ModelFileError
        A file is missing, no Keras file, or holds weights only and there is no architecture.
    UnsupportedLayerError
        A layer has no exact counterpart, or the network is not sequential.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file, or it is a folder; check the path")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(path, file, _description(path, file, architecture)).read()
    except OSError as err:
        raise ModelFileError(
            f"{path}: this is not an HDF5 file, or it is damaged; give what Keras' model.save() wrote"
        ) from err
    except LayerError as err:
        raise UnsupportedLayerError(f"{path}: {err}") from err


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _description(path: Path, file: h5py.File, architecture: str | Path | None) -> dict[str, Any]:
    """The configuration of a network: of its file, or of another one."""
    text, source = file.attrs.get("model_config"), path
    if architecture is not None:
        source = Path(architecture)
        if not source.is_file():
            raise ModelFileError(f"{source}: there is no such file; save model.to_json() there")
        text = source.read_bytes()
    if text is None:
        has_weights = "layer_names" in file.attrs or "model_weights" in file
        raise ModelFileError(
            f"{path}: holds weights but no network; save it with model.save(), or give the file of model.to_json() as "
            "architecture (--architecture)"
            if has_weights
            else f"{path}: this is not a Keras file; give what Keras' model.save() wrote"
        )
    try:
        found = json.loads(_text(text))
    except ValueError as err:
        if architecture is None:
            raise ModelFileError(
                f"{path}: its configuration is damaged; save it again with model.save()"
            ) from err
        raise ModelFileError(f"{source}: is not JSON ({err}); save model.to_json() there") from err
    if not isinstance(found, dict) or "config" not in found:
        raise ModelFileError(f"{source}: is no configuration of a Keras network; save model.to_json() there")
    return found


class _Reader:
    """One file: what each of its layers adds to the assembly."""

    def __init__(self, path: Path, file: h5py.File, description: dict[str, Any]) -> None:
        self.path, self.file, self.description = path, file, description
        self.net = Assembly()
        self.config: dict[str, Any] = {}
        self.is_last = False  # channels last

    def read(self) -> LayerGraph:
        config = self.description
        if config.get("class_name") != "Sequential":
            raise UnsupportedLayerError(
                f"{self.path}: is a {config.get('class_name')} network; only Sequential is covered: export it as ONNX"
            )
        layers = config["config"] if isinstance(config["config"], list) else config["config"]["layers"]
        value: Value | None = None
        for layer in layers:
            self.config = layer["config"]
            name = self.config.get("name", layer["class_name"])
            self.net.enter(name, f"Keras {layer['class_name']}")
            value = self._add(layer["class_name"], name, value)
        if value is None:
            raise ModelFileError(f"{self.path}: its network has no layers")
        return self.net.finish([value])

    def _add(self, kind: str, name: str, value: Value | None) -> Value:
        shape = self.config.get("batch_input_shape", self.config.get("batch_shape"))
        if value is None:
            if shape is None or any(size is None for size in shape[1:]):
                self.net.refuse(f"says the input shape {shape}", "save the network with a fixed input shape")
            place = self.net.place
            self.is_last = (
                self.config.get("data_format", "channels_last") == "channels_last" and len(shape) == 4
            )
            shape = (shape[-1], *shape[1:-1]) if self.is_last else tuple(shape[1:])
            value = self.net.input("input", shape)
            self.net.enter(name, place)
            if self.is_last:
                value = self.net.permuted(value, (1, 2, 0))
        if value.closed:
            self.net.refuse(f"reads the result of {value.closed}", REMEDIES[value.closed])
        if kind == "InputLayer":
            return value
        rule = _RULES.get(kind)
        if rule is None:
            self.net.refuse(f"{kind} is not covered", "use one of the covered layers, or export it as ONNX")
        value = rule(self, value)
        return self._activated(self.config.get("activation", "linear"), value)

    def weights(self) -> Weights:
        """Return the weights of the current layer, in the order of the file."""
        root = self.file.get("model_weights", self.file)
        name = self.net.name
        if name not in root or "weight_names" not in root[name].attrs:
            raise ModelFileError(f"{self.path}: has no weights for layer {name!r}")
        group = root[name]
        names = [_text(each) for each in group.attrs["weight_names"]]
        return [self._in_order(name, np.asarray(group[name])) for name in names]

    def _in_order(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Keras 1 saved kernels of channels first as (out, in, rows, columns)."""
        is_first = self.config.get("data_format") == "channels_first"
        return (
            values.transpose(2, 3, 1, 0) if name.endswith("_W") and values.ndim == 4 and is_first else values
        )

    def turned(self, kernel: NDArray[Any]) -> NDArray[Any]:
        """Return a kernel (*window, in, out) as (in, out, *window), for cross-correlation."""
        n = kernel.ndim - 2
        if _text(self.file.attrs.get("backend", self.description.get("backend", ""))) == "theano":
            kernel = np.flip(kernel, tuple(range(n)))
        return np.moveaxis(kernel, (-2, -1), (0, 1))

    def channels_first(self, value: Value) -> Value:
        """Return the tensor as (channels, ...); see `as_saved`."""
        last = self._is_last(value)
        return (
            self.net.permuted(value, (len(value.shape) - 1, *range(len(value.shape) - 1))) if last else value
        )

    def as_saved(self, value: Value) -> Value:
        """Return a tensor (channels, ...) in the order of axes of the file."""
        return self.net.permuted(value, (*range(1, len(value.shape)), 0)) if self._is_last(value) else value

    def _is_last(self, value: Value) -> bool:
        if len(value.shape) == 2:
            return bool(self.config.get("data_format", "channels_last") == "channels_last")
        default = "channels_last" if self.is_last else "channels_first"
        return len(value.shape) == 3 and self.config.get("data_format", default) == "channels_last"

    def _activated(self, activation: Any, value: Value) -> Value:
        name = activation.get("class_name", "") if isinstance(activation, dict) else activation
        name = str(name).lower()
        if name == "linear":
            return value
        if "activation" not in self.net.name:
            self.net.enter(f"{self.net.name}.{name}", self.net.place)
        if name == "relu":
            return self.net.activation(value)
        if name == "relu6":
            return self.net.activation(value, 0.0, 6.0)
        if name == "hard_sigmoid":  # Keras before 3: 0.2 x + 0.5
            return self.net.activation(self.net.scale(value, 0.2, 0.5, "line"), 0.0, 1.0)
        if name in {"softmax", "sigmoid"}:
            return Value(value.layer, value.shape, value.axes, name)
        return self.net.refuse(f"has the activation {name!r}", REMEDIES.get(name, REMEDIES["tanh"]))

    def pads(
        self, value: Value, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
    ) -> list[tuple[int, int]]:
        """Return the padding before and after of each axis; 'same' puts the odd zero behind."""
        word = self.config.get("padding", "valid")
        found = []
        for size, k, s, d in zip(value.shape[1:], kernel, stride, dilation, strict=True):
            span = d * (k - 1) + 1
            if word == "valid":
                total = 0
            elif word == "causal":
                found.append((span - 1, 0))
                continue
            elif word == "same":
                total = max((math.ceil(size / s) - 1) * s + span - size, 0)
            else:
                self.net.refuse(f"pads by {word!r}", "use 'valid' or 'same'")
            found.append((total // 2, total - total // 2))
        return found


def _convolution(reader: _Reader, value: Value) -> Value:
    kernel, *bias = reader.weights()
    n = kernel.ndim - 2
    x = reader.channels_first(value)
    stride, dilation = _window(reader, "strides", n), _window(reader, "dilation_rate", n)
    weight = np.moveaxis(reader.turned(kernel), 0, 1)
    found = pictures.convolution(
        reader.net, x, weight, bias[0] if bias else None, stride=stride,
        padding=reader.pads(x, weight.shape[2:], stride, dilation), dilation=dilation,
        groups=int(reader.config.get("groups", 1)),
    )  # fmt: skip
    return reader.as_saved(found)


def _depthwise(reader: _Reader, value: Value, kernel: NDArray[Any], bias: NDArray[Any] | None) -> Value:
    """Return each channel (channels first) convolved by its own kernels (*window, in, multiplier)."""
    stride, dilation = _window(reader, "strides", 2), _window(reader, "dilation_rate", 2)
    weight = reader.turned(kernel)
    n_in, multiplier = weight.shape[:2]
    return pictures.convolution(
        reader.net, value, weight.reshape(n_in * multiplier, 1, *weight.shape[2:]), bias, stride=stride,
        padding=reader.pads(value, weight.shape[2:], stride, dilation), dilation=dilation, groups=n_in,
    )  # fmt: skip


def _depthwise_layer(reader: _Reader, value: Value) -> Value:
    kernel, *bias = reader.weights()
    return reader.as_saved(
        _depthwise(reader, reader.channels_first(value), kernel, bias[0] if bias else None)
    )


def _separable(reader: _Reader, value: Value) -> Value:
    depth, point, *bias = reader.weights()
    middle = _depthwise(reader, reader.channels_first(value), depth, None)
    weight = np.moveaxis(reader.turned(point), 0, 1)
    found = pictures.convolution(
        reader.net, middle, weight, bias[0] if bias else None, stride=(1, 1), padding=[(0, 0)] * 2, dilation=(1, 1),
        groups=1,
    )  # fmt: skip
    return reader.as_saved(found)


def _dense(reader: _Reader, value: Value) -> Value:
    kernel, *bias = reader.weights()
    return reader.net.linear(value, kernel.T, bias[0] if bias else None)


def _batch_norm(reader: _Reader, value: Value) -> Value:
    weights = [np.asarray(each, dtype=np.float64) for each in reader.weights()]
    gamma = weights.pop(0) if reader.config.get("scale", True) else 1.0
    beta = weights.pop(0) if reader.config.get("center", True) else 0.0
    mean, variance = weights
    factor = gamma / np.sqrt(variance + reader.config.get("epsilon", 1e-3))
    axis = reader.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis
    along = (axis if axis >= 0 else axis + len(value.shape) + 1) - 1
    shape = [1] * len(value.shape)
    shape[along] = -1
    return reader.net.scale(value, factor.reshape(shape), (beta - mean * factor).reshape(shape))


def _window(reader: _Reader, field: str, n: int) -> tuple[int, ...]:
    given = reader.config.get(field)
    if given is None:
        given = reader.config["pool_size"] if field == "strides" else 1
    return (int(given),) * n if isinstance(given, int) else tuple(int(each) for each in given)


def _pool(kind: pictures.Kind, n: int) -> Callable[[_Reader, Value], Value]:
    def pool(reader: _Reader, value: Value) -> Value:
        x = reader.channels_first(value)
        kernel, stride = _window(reader, "pool_size", n), _window(reader, "strides", n)
        pads = reader.pads(x, kernel, stride, (1,) * n)
        found = pictures.pooled(
            reader.net, x, kind, kernel, stride=stride, padding=pads, counts_padding=not any(map(any, pads))
        )
        return reader.as_saved(found)

    return pool


def _global(kind: pictures.Kind) -> Callable[[_Reader, Value], Value]:
    def pool(reader: _Reader, value: Value) -> Value:
        x = reader.channels_first(value)
        return pictures.reduced(
            reader.net, x, kind, range(1, len(x.shape)), bool(reader.config.get("keepdims", False))
        )

    return pool


def _padding(reader: _Reader, value: Value) -> Value:
    given = reader.config["padding"]
    sides = [(int(s), int(s)) if isinstance(s, int) else (int(s[0]), int(s[1])) for s in given]
    return reader.as_saved(pictures.padded(reader.net, reader.channels_first(value), sides))


def _upsampling(reader: _Reader, value: Value) -> Value:
    x = reader.channels_first(value)
    rows, columns = reader.config["size"]
    word = "linear" if reader.config.get("interpolation") == "bilinear" else "nearest"
    size = (x.shape[1] * rows, x.shape[2] * columns)
    return reader.as_saved(pictures.resized(reader.net, x, size, word))  # type: ignore[arg-type]


def _relu(reader: _Reader, value: Value) -> Value:
    upper, slope = reader.config.get("max_value"), reader.config.get("negative_slope") or 0.0
    if reader.config.get("threshold"):
        reader.net.refuse("has a threshold", "use threshold 0")
    return reader.net.activation(value, 0.0, math.inf if upper is None else float(upper), float(slope))


def _leaky(reader: _Reader, value: Value) -> Value:
    slope = reader.config.get("alpha", reader.config.get("negative_slope", 0.3))
    return reader.net.activation(value, slope=float(slope))


_RULES: dict[str, Callable[[_Reader, Value], Value]] = {
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise_layer,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Activation": lambda reader, value: value,
    "Softmax": lambda reader, value: Value(value.layer, value.shape, value.axes, "softmax"),
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "MaxPooling1D": _pool("max", 1),
    "MaxPooling2D": _pool("max", 2),
    "AveragePooling1D": _pool("mean", 1),
    "AveragePooling2D": _pool("mean", 2),
    "GlobalMaxPooling1D": _global("max"),
    "GlobalMaxPooling2D": _global("max"),
    "GlobalAveragePooling1D": _global("mean"),
    "GlobalAveragePooling2D": _global("mean"),
    "Flatten": lambda reader, value: reader.net.view(value, (value.size,)),
    "Reshape": lambda reader, value: reader.net.view(value, reader.config["target_shape"]),
    "ZeroPadding2D": _padding,
    "UpSampling2D": _upsampling,
    "Dropout": lambda reader, value: value,
    "SpatialDropout2D": lambda reader, value: value,
}
