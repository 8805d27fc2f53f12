"""From the readouts of a recording's windows to a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from spikeloom.errors import UserError
from spikeloom.recordings import Window


@dataclass(frozen=True)
class Decision:
    """What a recording was recognised as, how sure, since when, and what it cost.

    Attributes
    ----------
    label : str
        Name of the class with the largest readout.
    confidence : float
        Probability of this class: softmax of the readout divided by the fitted temperature.
    probabilities : tuple of float
        One probability per class, in the order of the model's class names.
    decided_at_us : int
        End of the frame with which the running decision last changed, on the recording's clock; the end of
        the last window when no class leads in the end.
    windows : int
        Windows that held events and were computed.
    frames_total, frames_kept : int
        Frames of these windows, and those that were computed: let through by the temporal attention, before an
        early exit.
    events, events_kept : int
        Events that entered the frames (after the filter), and those in computed frames.
    synaptic_operations : int
        Accumulations executed.
    layer_operations, layer_spikes : tuple of (str, int)
        The same per layer, and the spikes that each layer sent.
    seconds : float
        Wall time from opening the recording to the decision.
    engine_seconds : float
        The part of it spent in the network.
    """

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    decided_at_us: int
    windows: int
    frames_total: int
    frames_kept: int
    events: int
    events_kept: int
    synaptic_operations: int
    layer_operations: tuple[tuple[str, int], ...]
    layer_spikes: tuple[tuple[str, int], ...]
    seconds: float
    engine_seconds: float


@dataclass(frozen=True, eq=False)
class WindowRun:
    """One window and what the network made of it.

    Attributes
    ----------
    window : Window
        The events.
    spikes : neuro.Spikes
        The input of the network.
    result : neuro.Result
        Its answer.
    seconds : float
        Wall time spent in the network.
    """

    window: Window
    spikes: neuro.Spikes
    result: neuro.Result
    seconds: float


def running_winner(readout: NDArray[np.float64]) -> NDArray[np.int64]:
    """Say which class leads after each step.

    Parameters
    ----------
    readout : numpy.ndarray
        float64, shape (n_steps, n_classes): cumulative readout.

    Returns
    -------
    numpy.ndarray
        int64, shape (n_steps,): the leading class, or -1 while the largest value is shared.

    Examples
    --------
    >>> running_winner(np.array([[0.0, 0.0], [0.1, 0.4], [0.9, 0.4]])).tolist()
    [-1, 1, 0]
    """
    largest = readout.max(axis=1, keepdims=True)
    is_shared = (readout == largest).sum(axis=1) > 1
    return np.where(is_shared, -1, readout.argmax(axis=1))


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give exp(values) / sum(exp(values)) along the last axis, without overflow.

    Parameters
    ----------
    values : numpy.ndarray
        float64, shape (..., n).

    Returns
    -------
    numpy.ndarray
        float64, shape (..., n): positive, summing to 1.

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0])).tolist()
    [0.5, 0.5]
    """
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


class Tally:
    """Sums over the windows of one recording, added in order.

    Parameters
    ----------
    class_names : tuple of str
        Names of the outputs.
    bin_us : int
        Length of a frame in microseconds.
    temperature : float
        Divides the readout before the softmax.
    """

    def __init__(self, class_names: tuple[str, ...], *, bin_us: int, temperature: float) -> None:
        self._class_names = class_names
        self._bin_us = bin_us
        self._temperature = temperature
        self._readout = np.zeros(len(class_names))
        self._winner = -1
        self._decided_at_us = 0
        self._totals = dict.fromkeys(("windows", "frames", "frames_kept", "events", "events_kept"), 0)
        self._operations: dict[str, int] = {}
        self._spikes: dict[str, int] = {}
        self._engine_seconds = 0.0

    def add(self, run: WindowRun) -> None:
        """Add a window.

        Parameters
        ----------
        run : WindowRun
            The next window and what the network made of it.
        """
        self._follow(run)
        counters = run.result.counters
        n_events = int(run.spikes.value.sum(dtype=np.float64))
        totals = self._totals
        totals["windows"] += 1
        totals["frames"] += run.spikes.n_steps
        totals["frames_kept"] += counters.n_steps - counters.frames_skipped
        totals["events"] += n_events
        totals["events_kept"] += int(counters.counts_in)
        for sums, counts in (
            (self._operations, counters.synaptic_operations),
            (self._spikes, counters.spikes),
        ):
            for name, count in counts.items():
                sums[name] = sums.get(name, 0) + int(count)
        self._engine_seconds += run.seconds

    def _follow(self, run: WindowRun) -> None:
        steps = run.result.output.reshape(run.result.counters.n_steps, -1).astype(np.float64)
        cumulative = self._readout + np.cumsum(steps, axis=0)
        winners = running_winner(cumulative)
        changes = np.flatnonzero(np.diff(winners, prepend=self._winner))
        is_open = winners[-1] < 0
        if changes.size or is_open:
            last = len(winners) - 1 if is_open else int(changes[-1])
            self._decided_at_us = run.window.start_us + (last + 1) * self._bin_us
        self._winner = int(winners[-1])
        self._readout = cumulative[-1]

    def decision(self, seconds: float) -> Decision:
        """Decide.

        Parameters
        ----------
        seconds : float
            Wall time that the recording took.

        Returns
        -------
        Decision
            Class, confidence, time of decision and cost.

        Raises
        ------
        UserError
            When no window was added.
        """
        if not self._totals["windows"]:
            raise UserError("the recording holds no events; record again or choose another file")
        probabilities = softmax(self._readout / self._temperature)
        best = int(self._readout.argmax())
        totals: dict[str, Any] = self._totals
        return Decision(
            label=self._class_names[best],
            confidence=float(probabilities[best]),
            probabilities=tuple(float(p) for p in probabilities),
            decided_at_us=self._decided_at_us,
            windows=totals["windows"],
            frames_total=totals["frames"],
            frames_kept=totals["frames_kept"],
            events=totals["events"],
            events_kept=totals["events_kept"],
            synaptic_operations=sum(self._operations.values()),
            layer_operations=tuple(self._operations.items()),
            layer_spikes=tuple(self._spikes.items()),
            seconds=seconds,
            engine_seconds=self._engine_seconds,
        )
