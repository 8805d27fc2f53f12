"""Running a clocked graph on events as they come: a frame is computed when it is complete."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import Events, as_time
from neuro.graph import Clocked, Graph, TemporalAttention
from neuro.results import State
from neuro.simulator import simulate
from neuro.spikes import Spikes

__all__ = ["FrameStream"]

_MOST_VALUES = 2**28  # that one call returns: 1 GB
_PIECE_STEPS = 4096  # that are run at a time: what a run holds for each step besides its output stays bounded


class FrameStream:
    """A clocked graph at work: events in, the output of every complete step out. Made by :func:`neuro.stream`.

    Step k covers the times from ``k * dt`` up to, and without, ``(k + 1) * dt``; values of an entry within a step are
    added. Attention must know the past only: MovingAttention, or a causal TemporalAttention for its number of frames.
    Not to be shared between threads.

    Attributes
    ----------
    graph : Graph
        The graph that runs.
    dt_us : int
        Length of a step in microseconds.
    n_steps : int
        Steps that were computed or dropped so far.
    """

    def __init__(self, graph: Graph) -> None:
        if not isinstance(graph.execution, Clocked):
            raise InputError("FrameStream: the graph's execution is continuous; use neuro.stream")
        dt_us = graph.execution.dt_s * 1e6
        if round(dt_us) < 1 or not np.isclose(dt_us, round(dt_us), rtol=1e-9):
            raise InputError(
                f"stream: a step must be a whole number of microseconds to tell events apart, got {dt_us} us"
            )
        if not graph.input_name:
            raise InputError(
                "stream: the network has no Input to feed; run it with neuro.simulate(n_steps=...)"
            )
        if len(graph.output_names) != 1:
            raise InputError(
                f"stream: needs a graph with one sink, it has {len(graph.output_names)} "
                f"({', '.join(graph.output_names)}); use neuro.simulate, or join them with Concat"
            )
        for name, node in graph.nodes.items():
            if isinstance(node, TemporalAttention) and not node.is_causal:
                raise InputError(
                    f"stream: TemporalAttention {name!r} scores a frame by those after it; use a causal one or "
                    "MovingAttention, or pass all frames to neuro.simulate"
                )
        self.graph, self.dt_us, self.n_steps = graph, round(dt_us), 0
        self._mark = 0
        self._pending: list[Events] = []
        self._state: State | None = None
        self._kept: list[NDArray[np.bool_]] = []
        self._operations: Counter[str] = Counter()
        self._is_finished = False

    def feed(self, events: Events) -> NDArray[np.float32]:
        """Take the next events and return the output of the steps that are complete.

        Parameters
        ----------
        events : Events
            Not earlier than those fed before. They may be simultaneous with the last ones.

        Returns
        -------
        float32 array, shape (n_new_steps, ...)
            Spikes or membranes of the sink, continuing what was returned before.

        Raises
        ------
        InputError
            If the events are not of the Input's shape, go back in time, more than 2**28 values would be returned, or
            the stream is finished.
        """
        shape = tuple(self.graph.shapes[self.graph.input_name])
        self._check_open("feed")
        if tuple(events.shape) != shape:
            raise InputError(
                f"stream: events must have the shape {shape} of the Input, got {tuple(events.shape)}"
            )
        if len(events):
            if events.t_us[0] < self._mark:
                raise InputError(
                    f"stream: events must not go back in time, got t_us[0] = {events.t_us[0]} after {self._mark}"
                )
            self._check_length("feed", int(events.t_us[-1]))
            self._mark = int(events.t_us[-1])
            self._pending.append(events)
        return self._advance(self._mark // self.dt_us)

    def advance(self, t_us: int) -> NDArray[np.float32]:
        """Say that no event comes before a time, and return the output of the steps that end by then.

        Parameters
        ----------
        t_us : int
            Not before the last event or the last such time. Events at this very time may still come.

        Returns
        -------
        float32 array, shape (n_new_steps, ...)
            As of `feed`.

        Raises
        ------
        InputError
            If the time is not a whole number, lies before what was fed already, more than 2**28 values would be
            returned, or the stream is finished.
        """
        self._check_open("advance")
        mark = as_time("stream", "t_us", t_us)
        if mark < self._mark:
            raise InputError(f"stream: cannot advance to {mark} us, it is at {self._mark} us already")
        self._check_length("advance", mark)
        self._mark = mark
        return self._advance(mark // self.dt_us)

    def finish(self) -> NDArray[np.float32]:
        """Return the output of the steps that were begun, knowing that no more events come.

        Returns
        -------
        float32 array, shape (n_new_steps, ...)
            As of `feed`.

        Raises
        ------
        InputError
            If the stream is finished already.
        """
        self._check_open("finish")
        left = self._advance(
            -(-self._mark // self.dt_us) if not self._pending else self._mark // self.dt_us + 1
        )
        self._is_finished = True
        return left

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether each step so far was computed; attention drops the others."""
        return np.concatenate([np.zeros(0, bool), *self._kept])

    @property
    def synaptic_operations(self) -> dict[str, int]:
        """Synaptic operations executed so far, by node."""
        return dict(self._operations)

    def _check_open(self, what: str) -> None:
        if self._is_finished:
            raise InputError(
                f"stream: cannot {what}, the stream is finished; make a new one with neuro.stream"
            )

    def _check_length(self, what: str, t_us: int) -> None:
        n_steps = t_us // self.dt_us - self.n_steps
        size = math.prod(self.graph.shapes[self.graph.output_names[0]])
        if n_steps * size > _MOST_VALUES:
            most_us = _MOST_VALUES // size * self.dt_us
            raise InputError(
                f"stream: cannot {what} to {t_us} us at once, that returns {n_steps} steps of {size} values (at most "
                f"{_MOST_VALUES} values); advance by at most {most_us} us at a time"
            )

    def _advance(self, stop: int) -> NDArray[np.float32]:
        rows = [np.zeros((0, *self.graph.shapes[self.graph.output_names[0]]), np.float32)]
        while self.n_steps < stop:
            rows.append(self._run(min(stop, self.n_steps + _PIECE_STEPS)))
        return rows[1] if len(rows) == 2 else np.concatenate(rows)

    def _run(self, stop: int) -> NDArray[np.float32]:
        spikes = self._frames(stop)
        try:
            result = simulate(self.graph, spikes, state=self._state)
        except InputError:
            self._is_finished = True
            raise
        self._state, self.n_steps = result.state, stop
        everything = np.ones(spikes.n_steps, bool)
        self._kept.append(everything if result.attention is None else np.asarray(result.attention.kept, bool))
        self._operations.update(result.counters.synaptic_operations)
        return np.asarray(result.output, np.float32)

    def _frames(self, stop: int) -> Spikes:
        """Take the events of the steps up to `stop` and add up those of one entry."""
        end_us = stop * self.dt_us
        t_us = np.concatenate([np.zeros(0, np.int64), *(events.t_us for events in self._pending)])
        index = np.concatenate([np.zeros(0, np.int32), *(events.index for events in self._pending)])
        value = np.concatenate([np.zeros(0, np.float32), *(events.value for events in self._pending)])
        n, shape = int(np.searchsorted(t_us, end_us)), tuple(self.graph.shapes[self.graph.input_name])
        self._pending = [Events(t_us[n:], index[n:], value[n:], shape)] if n < t_us.size else []
        size = int(np.prod(shape))
        place, where = np.unique(
            (t_us[:n] // self.dt_us - self.n_steps) * size + index[:n], return_inverse=True
        )
        total = np.bincount(where, value[:n], minlength=place.size).astype(np.float32)
        is_there = total != 0
        return Spikes(
            step=(place // size)[is_there].astype(np.int32),
            index=(place % size)[is_there].astype(np.int32),
            value=total[is_there],
            n_steps=stop - self.n_steps,
            shape=shape,
        )

    def __repr__(self) -> str:
        return f"FrameStream(after {self.n_steps} steps of graph {self.graph.digest[:12]})"
