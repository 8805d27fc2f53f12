"""Channel and spatial attention: which channels and pixels of a frame enter a synapse."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.errors import GraphError
from neuro.graph.attention import check_scaling, check_shapes, check_threshold
from neuro.graph.fields import FloatArray, as_array, as_float
from neuro.graph.node import Node, later

__all__ = ["ChannelAttention", "SpatialAttention"]


@dataclass(frozen=True, eq=False, repr=False)
class ChannelAttention(Node):
    """In each frame, keep only the channels whose score reaches the threshold.

    ``score = sigmoid(weight_2 @ relu(weight_1 @ s + bias_1) + bias_2)``, where ``s[c]`` is the mean of channel ``c``
    over the pixels of the frame. The entries of a dropped channel are removed before the synapse; the others pass as
    they are, or times their channel's score (`scaling`). An axis ``(n,)`` counts as n channels of one pixel.

    Attributes
    ----------
    weight_1 : float32, shape (hidden, channels)
        First layer.
    bias_1 : float32, shape (hidden,)
        Its bias.
    weight_2 : float32, shape (channels, hidden)
        Second layer.
    bias_2 : float32, shape (channels,)
        Its bias.
    threshold : float
        Least score of a kept channel, from 0 (keep all) to 1.
    scaling : bool
        Whether each entry of a kept channel is multiplied by the channel's score (one rounded product).

    Raises
    ------
    GraphError
        If the shapes do not fit together, a value is not finite or the threshold is outside [0, 1].

    Notes
    -----
    Source: Yao et al., "Attention Spiking Neural Networks", IEEE TPAMI 2023, channel attention; here on what enters
    the synapse (there on the current), from the mean alone (there mean and maximum), and with biases.

    Examples
    --------
    >>> import numpy as np
    >>> ChannelAttention(np.ones((1, 2)), [0.0], np.ones((2, 1)), [0.0, -9.0], threshold=0.5).n_channels
    2
    """

    weight_1: FloatArray
    bias_1: FloatArray
    weight_2: FloatArray
    bias_2: FloatArray
    threshold: float
    scaling: bool = later(False)

    def __post_init__(self) -> None:
        for name, ndim in (("weight_1", 2), ("bias_1", 1), ("weight_2", 2), ("bias_2", 1)):
            self._set(name, as_array("ChannelAttention", name, getattr(self, name), ndim=ndim))
        hidden, channels = self.weight_1.shape
        shapes = {"bias_1": (hidden,), "weight_2": (channels, hidden), "bias_2": (channels,)}
        check_shapes(self, shapes, "weight_1")
        self._set("threshold", check_threshold(self, self.threshold))
        self._set("scaling", check_scaling(self, self.scaling))

    @property
    def n_channels(self) -> int:
        """Number of channels that it scores."""
        return int(self.weight_1.shape[1])

    def check_input(self, owner: str, shape: tuple[int, ...]) -> None:
        """Refuse an input with another number of channels."""
        if shape[0] != self.n_channels:
            raise GraphError(f"{owner}: scores {self.n_channels} channels, its input has {shape[0]}")


@dataclass(frozen=True, eq=False, repr=False)
class SpatialAttention(Node):
    """In each frame, keep only the pixels whose score reaches the threshold.

    ``score[r, c] = sigmoid(bias + sum_(i, j, m) weight[m, i, j] * map_m[r + i - p_r, c + j - p_c])`` with the mean of a
    pixel over its channels as map 0, their maximum (at least 0) as map 1, and padding ``p`` of half the kernel. The
    entries of a dropped pixel are removed before the synapse; the others pass as they are, or times their pixel's
    score (`scaling`).

    Attributes
    ----------
    weight : float32, shape (2, rows, columns)
        Kernel on the two maps; rows and columns are odd.
    bias : float
        Added to every sum.
    threshold : float
        Least score of a kept pixel, from 0 (keep all) to 1.
    scaling : bool
        Whether each entry of a kept pixel is multiplied by the pixel's score (one rounded product).

    Raises
    ------
    GraphError
        If the kernel has another shape, a value is not finite or the threshold is outside [0, 1].

    Notes
    -----
    Source: Yao et al., "Attention Spiking Neural Networks", IEEE TPAMI 2023, spatial attention; here on what enters
    the synapse (there on the current), with a bias.

    Examples
    --------
    >>> import numpy as np
    >>> SpatialAttention(np.ones((2, 3, 3)), bias=-1.0, threshold=0.5)
    SpatialAttention(weight=float32[2, 3, 3], bias=-1.0, threshold=0.5)
    """

    weight: FloatArray
    bias: float
    threshold: float
    scaling: bool = later(False)

    def __post_init__(self) -> None:
        self._set("weight", as_array("SpatialAttention", "weight", self.weight, ndim=3))
        n_maps, rows, columns = self.weight.shape
        if n_maps != 2 or rows % 2 == 0 or columns % 2 == 0:
            raise GraphError(
                f"SpatialAttention: weight must have shape (2, rows, columns) with odd rows and columns, "
                f"got {self.weight.shape}"
            )
        self._set("bias", as_float("SpatialAttention", "bias", self.bias))
        self._set("threshold", check_threshold(self, self.threshold))
        self._set("scaling", check_scaling(self, self.scaling))

    def check_input(self, owner: str, shape: tuple[int, ...]) -> None:
        """Refuse an input that is no image."""
        if len(shape) != 3:
            raise GraphError(f"{owner}: needs an input of shape (channels, rows, columns), got {shape}")
