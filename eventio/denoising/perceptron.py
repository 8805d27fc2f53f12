"""
The perceptron filter (MLPF): a small network that looks at ages and signs around each event.

Its weights come from a file of one's own; none are shipped.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_whole
from eventio.denoising import _kernels_perceptron as kernels
from eventio.denoising import tensorflow_files
from eventio.denoising.filters import Filter, Marker
from eventio.errors import ArgumentError, FileAccessError, FormatError, MissingFileError
from eventio.recording import EventArray, Recording

MOST_BYTES = 1 << 26


@dataclass(frozen=True, eq=False, slots=True)
class Perceptron(Filter):
    """
    Keep the events that a network of one hidden layer takes for signal (MLPF).

    Inputs of an event: for each pixel of a square patch around it the age 1 - (t - s) / tau_us of the latest event
    before, 0 from tau_us on; then its sign (1 ON, -1 OFF, 0 after tau_us); that in the middle is the event's own.
    The patch is read column by column from the left, each from the top; what lies outside the sensor is 0, as is a
    pixel without an event. Output: sigmoid(output . relu(kernel . inputs + bias) + output_bias). All sums are
    float32, in ascending order.

    Attributes
    ----------
    kernel : ndarray
        float32, shape (2 * side * side, n_hidden), with an odd side of at most 31.
    bias, output : ndarray
        float32, shape (n_hidden,).
    output_bias : float
        Bias of the output.
    tau_us : int
        How long an event is remembered, in microseconds, at least 1: what the network was trained with.
    threshold : float
        The output above which an event stays, between 0 and 1.

    Notes
    -----
    Source: Guo, Delbruck, "Low cost and latency event camera background activity denoising", IEEE TPAMI 45(1),
    2023; jAER's MLPNoiseFilter with age and polarity, linear decay. We differ: jAER lets the first event of each
    pixel pass or drops it unseen.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    output: npt.NDArray[np.float32]
    output_bias: float
    tau_us: int = 100_000
    threshold: float = 0.5

    def __post_init__(self) -> None:
        shapes = (np.shape(self.kernel), np.shape(self.bias), np.shape(self.output))
        if len(shapes[0]) != 2 or shapes[1] != shapes[2] or shapes[1] != shapes[0][1:]:
            raise ArgumentError(
                "perceptron: kernel (n_inputs, n_hidden), bias and output (n_hidden,) do not match, got shapes "
                f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        side = math.isqrt(shapes[0][0] // 2)
        if 2 * side * side != shapes[0][0] or side % 2 == 0 or side > 31:
            raise ArgumentError(
                "perceptron: the kernel must have 2 * side * side inputs with an odd side (98 for 7x7), "
                f"got {shapes[0][0]}"
            )
        for name in ("kernel", "bias", "output"):
            values = np.ascontiguousarray(getattr(self, name), np.float32)
            if not np.isfinite(values).all():
                raise ArgumentError(f"perceptron: {name} holds a value that is not finite; use other weights")
            object.__setattr__(self, name, values)
        check_whole("tau_us", self.tau_us, unit=" us")
        if not 0 < self.threshold < 1:
            raise ArgumentError(f"threshold must lie between 0 and 1, got {self.threshold!r}")

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, tau_us: int = 100_000, threshold: float = 0.5
    ) -> Perceptron:
        """
        Read the weights of two dense layers.

        Parameters
        ----------
        path : str or path-like
            Keras weights (`.h5`), or a frozen TensorFlow graph (`.pb`) as jAER has them.
        tau_us, threshold : int, float
            As the attributes.

        Returns
        -------
        Perceptron
            The filter.

        Raises
        ------
        MissingFileError, FileAccessError
            The file does not exist or cannot be read.
        FormatError
            The file holds no two dense layers, one behind the other.
        ArgumentError
            The layers are no perceptron of this kind.
        """
        place = Path(path)
        try:
            if place.stat().st_size > MOST_BYTES:
                raise FormatError(
                    f"{place}: has {place.stat().st_size} bytes, too many for a perceptron's weights"
                )
            content = place.read_bytes()
        except FileNotFoundError as error:
            raise MissingFileError(f"{place}: there is no such file; check the path") from error
        except OSError as error:
            raise FileAccessError(f"{place}: cannot be read ({error.strerror or error})") from error
        is_keras = content[:4] == b"\x89HDF"
        layers = (
            tensorflow_files.read_keras(place)
            if is_keras
            else tensorflow_files.read_frozen_graph(place, content)
        )
        try:
            return cls(
                kernel=layers.kernel,
                bias=layers.bias,
                output=layers.output[:, 0],
                output_bias=float(layers.output_bias[0]),
                tau_us=tau_us,
                threshold=threshold,
            )
        except ArgumentError as error:
            raise ArgumentError(f"{place}: {error}") from error

    def score(self, recording: Recording) -> npt.NDArray[np.float32]:
        """
        Give the network's output before the sigmoid.

        Parameters
        ----------
        recording : Recording
            The events, looked at in their order.

        Returns
        -------
        ndarray
            float32, shape (n_events,): the larger, the likelier signal.
        """
        return self._begin_scoring(recording.width, recording.height)(recording.events)

    def begin(self, width: int, height: int) -> Marker:
        least = math.log(self.threshold / (1 - self.threshold))
        score = self._begin_scoring(width, height)
        return lambda events: score(events) > least

    def _begin_scoring(self, width: int, height: int) -> Callable[[EventArray], npt.NDArray[np.float32]]:
        half = math.isqrt(self.kernel.shape[0] // 2) // 2
        shape = (width + 2 * half, height + 2 * half)
        latest, signs = np.full(shape, kernels.NEVER_US), np.zeros(shape, np.int8)
        bias = np.array([self.output_bias], np.float32)
        layers = kernels.Layers(self.kernel, self.bias, self.output, bias)

        def score(events: EventArray) -> npt.NDArray[np.float32]:
            scores = np.empty(len(events), np.float32)
            kernels.score(events, self.tau_us, layers, latest, signs, scores)
            return scores

        return score
