"""Temporal attention: which frames are computed at all, and how strongly they count."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuro.errors import GraphError
from neuro.graph.fields import FloatArray, as_array, as_float, first_position, position_text
from neuro.graph.node import Node, later

__all__ = ["TemporalAttention", "MovingAttention", "check_threshold", "check_scaling", "check_shapes"]


def check_threshold(node: Node, value: object) -> float:
    """Return a threshold of scores: a number from 0 to 1."""
    owner = type(node).__name__
    threshold = as_float(owner, "threshold", value)
    if not 0 <= threshold <= 1:
        raise GraphError(f"{owner}: threshold must be from 0 to 1, got {threshold}")
    return threshold


def check_scaling(node: Node, value: object) -> bool:
    """Return whether what passes is multiplied by its score."""
    if not isinstance(value, (bool, np.bool_)):
        raise GraphError(f"{type(node).__name__}: scaling must be True or False, got {value!r}")
    return bool(value)


def check_shapes(node: Node, expected: dict[str, tuple[int, ...]], first: str) -> None:
    """Refuse an array that does not fit the shape of the first one."""
    for name, shape in expected.items():
        found = getattr(node, name).shape
        if found != shape:
            raise GraphError(
                f"{type(node).__name__}: {name} must have shape {shape} to fit {first} "
                f"{getattr(node, first).shape}, got {found}"
            )


@dataclass(frozen=True, eq=False, repr=False)
class TemporalAttention(Node):
    """Keep a frame of a window only if its score reaches the threshold.

    ``score = sigmoid(weight_2 @ relu(weight_1 @ s + bias_1) + bias_2)``, where ``s[t]`` is the mean of frame
    ``t`` over all its entries; frame ``t`` is kept if ``score[t] >= threshold``. A dropped frame is removed
    for every layer behind: no input, no bias, no comparison, no spike; each membrane does one step with
    ``I = 0``. Kept frames pass as they are, or times their score (`scaling`).

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
    scaling : bool
        Whether each value of a kept frame is multiplied by the frame's score (one rounded product).

    Raises
    ------
    GraphError
        If the shapes do not fit together, a value is not finite or the threshold is outside [0, 1].

    Notes
    -----
    It stands before a synapse (on counts or spikes), or behind a Linear or Conv2d and its sum or average pools
    (on the current; its scores are then computed from what enters the synapse). If no score needs a frame behind
    its own (`is_causal`), a run may be cut into chunks.

    Source: Yao et al., "Temporal-wise Attention Spiking Neural Networks for Event Streams Classification",
    ICCV 2021, eqs. 6-9 (on counts, with a hard mask), and its public code (on currents, `scaling`); we add the
    biases of the code to the paper's form and skip the membrane's input on dropped frames in every layer.

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
    scaling: bool = later(False)

    def __post_init__(self) -> None:
        for name, ndim in (("weight_1", 2), ("bias_1", 1), ("weight_2", 2), ("bias_2", 1)):
            self._set(name, as_array("TemporalAttention", name, getattr(self, name), ndim=ndim))
        hidden, n_frames = self.weight_1.shape
        shapes = {"bias_1": (hidden,), "weight_2": (n_frames, hidden), "bias_2": (n_frames,)}
        check_shapes(self, shapes, "weight_1")
        self._set("threshold", check_threshold(self, self.threshold))
        self._set("scaling", check_scaling(self, self.scaling))

    @property
    def n_frames(self) -> int:
        """Number of frames of a window (T)."""
        return int(self.weight_1.shape[1])

    @cached_property
    def is_causal(self) -> bool:
        """Whether no score depends on a later frame: no hidden unit hears a frame behind one that it scores."""
        hears, scores = self.weight_1 != 0, self.weight_2.T != 0
        last = np.where(hears.any(axis=1), self.n_frames - 1 - hears[:, ::-1].argmax(axis=1), -1)
        first = np.where(scores.any(axis=1), scores.argmax(axis=1), self.n_frames)
        return bool((last <= first).all())


@dataclass(frozen=True, eq=False, repr=False)
class MovingAttention(Node):
    """Keep a frame only if its score, from moving averages of the frames so far, reaches the threshold.

    ``m_k <- m_k + rates_k * (s - m_k)`` for each average ``k``, where ``s`` is the mean of the frame over all its
    entries; then ``score = sigmoid(bias_2 + weight_2 @ relu(weight_1 @ m + bias_1))``. It needs no later frame and
    no fixed number of frames. What happens to kept and dropped frames is as in TemporalAttention.

    Attributes
    ----------
    rates : float32, shape (n_averages,)
        Share of the new frame in each average, above 0 to 1 (1: the frame itself).
    start : float32, shape (n_averages,)
        The averages before the first frame.
    weight_1 : float32, shape (hidden, n_averages)
        First layer.
    bias_1 : float32, shape (hidden,)
        Its bias.
    weight_2 : float32, shape (hidden,)
        Second layer.
    bias_2 : float
        Its bias.
    threshold : float
        Least score of a kept frame, from 0 (keep all) to 1.
    scaling : bool
        Whether each value of a kept frame is multiplied by the frame's score (one rounded product).

    Raises
    ------
    GraphError
        If the shapes do not fit together, a value is not finite, a rate is outside (0, 1] or the threshold is
        outside [0, 1].

    Examples
    --------
    >>> MovingAttention([1.0, 0.1], [0.0, 0.0], [[1.0, -1.0]], [0.0], [2.0], -1.0, threshold=0.5).n_averages
    2
    """

    rates: FloatArray
    start: FloatArray
    weight_1: FloatArray
    bias_1: FloatArray
    weight_2: FloatArray
    bias_2: float
    threshold: float
    scaling: bool = later(False)

    def __post_init__(self) -> None:
        for name, ndim in (("rates", 1), ("start", 1), ("weight_1", 2), ("bias_1", 1), ("weight_2", 1)):
            self._set(name, as_array("MovingAttention", name, getattr(self, name), ndim=ndim))
        self._set("bias_2", as_float("MovingAttention", "bias_2", self.bias_2))
        hidden, n_averages = self.weight_1.shape
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("rates", "start"), (n_averages,))
        check_shapes(self, {**shapes, "bias_1": (hidden,), "weight_2": (hidden,)}, "weight_1")
        wrong = ~((self.rates > 0) & (self.rates <= 1))
        if wrong.any():
            where = first_position(wrong)
            raise GraphError(
                f"MovingAttention: rates must be above 0 and at most 1, got rates{position_text(where)} = "
                f"{self.rates[where]!s}"
            )
        self._set("threshold", check_threshold(self, self.threshold))
        self._set("scaling", check_scaling(self, self.scaling))

    @property
    def n_averages(self) -> int:
        """Number of moving averages."""
        return int(self.rates.size)
