"""The kinds of layers: frozen, checked once when made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from analog_bridge.layers import checks

__all__ = [
    "Layer",
    "InputLayer",
    "Convolution",
    "TransposedConvolution",
    "Dense",
    "Scale",
    "AveragePool",
    "MaxPool",
    "Upsample",
    "Activation",
    "Quantizer",
    "Sum",
    "Product",
    "MatrixProduct",
    "Concatenation",
    "Reshape",
    "Permutation",
    "Rearrangement",
]

Floats = NDArray[Any]  # whole or real numbers are taken; stored as read-only float32
Pair = tuple[int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """Base of all layers.

    Attributes
    ----------
    name : str
        Unique in its graph; the name the user knows (``'block1.conv2'``), with ``#2`` behind it where a module is
        used a second time.
    inputs : tuple of str
        Names of the layers whose outputs it reads, in order.
    place : str
        Where it stands in the user's code or file, for messages: ``'model.py:17'`` or ``"ONNX node 'Conv_3'"``.
    """

    name: str
    inputs: tuple[str, ...]
    place: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        checks.names(self)

    @property
    def label(self) -> str:
        """How it is called in messages: ``Convolution 'block1.conv2' (model.py:17)``."""
        return checks.label(self)


@dataclass(frozen=True, eq=False)
class InputLayer(Layer):
    """An input of the network; `shape` has no batch axis.

    With a `unit`, a power of two, its entries are whole multiples of it (networks that run in integers).
    """

    shape: Shape
    unit: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.shape(self, "shape")
        checks.power_of_two(self, "unit")


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """Cross-correlation.

    `weight` is (out, in / groups, rows, columns), `bias` (out,), `padding` (top, bottom, left, right).
    """

    weight: Floats
    bias: Floats
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.floats(self, "weight", n_axes=4)
        checks.floats(self, "bias", size=self.weight.shape[0])
        checks.whole(self, "stride", n=2, least=1)
        checks.whole(self, "padding", n=4, least=0)
        checks.whole(self, "dilation", n=2, least=1)
        checks.groups(self, self.weight.shape[0])


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Layer):
    """Transposed convolution, `weight` (in, out / groups, rows, columns), as torch defines it."""

    weight: Floats
    bias: Floats
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.floats(self, "weight", n_axes=4)
        checks.groups(self, self.weight.shape[0])
        checks.floats(self, "bias", size=self.weight.shape[1] * self.groups)
        checks.whole(self, "stride", n=2, least=1)
        checks.whole(self, "padding", n=2, least=0)
        checks.whole(self, "output_padding", n=2, least=0)
        checks.whole(self, "dilation", n=2, least=1)


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """Affine map of a vector: `weight` (out, in), `bias` (out,)."""

    weight: Floats
    bias: Floats

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.floats(self, "weight", n_axes=2)
        checks.floats(self, "bias", size=self.weight.shape[0])


@dataclass(frozen=True, eq=False)
class Scale(Layer):
    """``factor * x + offset`` per channel (batch norm that no convolution before it could take up); both (C,)."""

    factor: Floats
    offset: Floats

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.floats(self, "factor", n_axes=1)
        checks.floats(self, "offset", size=self.factor.size)


@dataclass(frozen=True, eq=False)
class AveragePool(Layer):
    """Mean of each window; padding counts as zeros when `counts_padding`, else it is left out of the mean.

    Windows that reach past the last row or column are left out.
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    counts_padding: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.windows(self)


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Largest value of each window; padding never wins. Windows that reach past the last row or column are left out."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.windows(self)


@dataclass(frozen=True, eq=False)
class Upsample(Layer):
    """Larger picture by a whole `factor`; bilinear between the pixels' centres (``align_corners=False`` in torch)."""

    factor: Pair
    mode: Literal["nearest", "bilinear"] = "nearest"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole(self, "factor", n=2, least=1)
        checks.choice(self, "mode", ("nearest", "bilinear"))


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """``clip(x, lower, upper)``; leaky: `slope` times what is below 0 takes the place of the floor.

    `lower` is at most 0 and `upper` above 0; with a `slope`, `lower` is 0.
    """

    lower: float = 0.0
    upper: float | None = None
    slope: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.bounds(self)


@dataclass(frozen=True, eq=False)
class Quantizer(Layer):
    """An activation in whole counts ``n = clip(floor(x / unit + 1/2), -n_negative, n_levels)``, of value ``n * unit``.

    Attributes
    ----------
    unit : float32 array, shape (1,) or (C,)
        Value of one count, > 0: one for the layer or one per channel.
    n_levels : int
        Largest count, >= 1.
    n_negative : int
        Negative counts that are allowed (0: a ReLU).
    """

    unit: Floats
    n_levels: int
    n_negative: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.floats(self, "unit", n_axes=1, positive=True)
        checks.count(self, "n_levels", least=1)
        checks.count(self, "n_negative", least=0)


@dataclass(frozen=True, eq=False)
class Sum(Layer):
    """Sum of its inputs, which have one shape."""


@dataclass(frozen=True, eq=False)
class Product(Layer):
    """Product of two inputs; the second may be (C, 1, 1) (gates of squeeze and excitation)."""


@dataclass(frozen=True, eq=False)
class MatrixProduct(Layer):
    """Matrix product of two inputs for each channel: (C, M, K) and (C, K, N) give (C, M, N) (heads of attention)."""


@dataclass(frozen=True, eq=False)
class Concatenation(Layer):
    """Inputs one behind the other along the first axis."""


@dataclass(frozen=True, eq=False)
class Reshape(Layer):
    """The same values in another shape, in row-major order."""

    shape: Shape

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.shape(self, "shape")


@dataclass(frozen=True, eq=False)
class Permutation(Layer):
    """``y[k] = x[order[k]]`` along the first axis: a channel shuffle; a slice if `order` leaves entries out.

    `order` may also repeat an entry.
    """

    order: NDArray[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.order(self)


@dataclass(frozen=True, eq=False)
class Rearrangement(Layer):
    """``y.flat[k] = x.flat[index[k]]``, 0 where `index` is -1; `index` has the shape of the output."""

    index: NDArray[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.places(self)
