"""Temporal attention: which frames of a window are computed at all."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.errors import GraphError
from neuro.graph.fields import FloatArray, as_array, as_float
from neuro.graph.node import Node

__all__ = ["TemporalAttention"]


@dataclass(frozen=True, eq=False, repr=False)
class TemporalAttention(Node):
    """Keep a frame only if its score reaches the threshold; kept frames pass unscaled.

    ``score = sigmoid(weight_2 @ relu(weight_1 @ s + bias_1) + bias_2)``, where ``s[t]`` is the mean of frame
    ``t`` over all its entries; frame ``t`` is kept if ``score[t] >= threshold``. A dropped frame is removed
    for every layer: no input, no bias, no comparison, no spike; each membrane does one step with ``I = 0``.

    Attributes
    ----------
    weight_1 : float32, shape (hidden, T)
        First layer of the squeeze; `T` is the number of frames of a window.
    bias_1 : float32, shape (hidden,)
        Its bias.
    weight_2 : float32, shape (T, hidden)
        Second layer.
    bias_2 : float32, shape (T,)
        Its bias.
    threshold : float
        Least score of a kept frame, from 0 (keep all) to 1.

    Raises
    ------
    GraphError
        If the shapes do not fit together, a value is not finite or the threshold is outside [0, 1].

    Notes
    -----
    Source: Yao et al., "Temporal-wise Attention Spiking Neural Networks for Event Streams Classification",
    ICCV 2021, eqs. 6-9; we add biases and skip the membrane's input on dropped frames in every layer.

    Examples
    --------
    >>> import numpy as np
    >>> TemporalAttention(np.ones((2, 10)), np.zeros(2), np.ones((10, 2)), np.zeros(10), 0.5).n_frames
    10
    """

    weight_1: FloatArray
    bias_1: FloatArray
    weight_2: FloatArray
    bias_2: FloatArray
    threshold: float

    def __post_init__(self) -> None:
        for field, ndim in (("weight_1", 2), ("bias_1", 1), ("weight_2", 2), ("bias_2", 1)):
            self._set(field, as_array("TemporalAttention", field, getattr(self, field), ndim=ndim))
        hidden, n_frames = self.weight_1.shape
        expected = (("bias_1", (hidden,)), ("weight_2", (n_frames, hidden)), ("bias_2", (n_frames,)))
        for field, shape in expected:
            found = getattr(self, field).shape
            if found != shape:
                raise GraphError(
                    f"TemporalAttention: {field} must have shape {shape} to fit weight_1 "
                    f"{self.weight_1.shape}, got {found}"
                )
        threshold = as_float("TemporalAttention", "threshold", self.threshold)
        if not 0 <= threshold <= 1:
            raise GraphError(f"TemporalAttention: threshold must be from 0 to 1, got {threshold}")
        self._set("threshold", threshold)

    @property
    def n_frames(self) -> int:
        """Number of frames of a window (T)."""
        return int(self.weight_1.shape[1])
