"""Neurons with times of their own: lowering them, and running them in windows of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import IF, LI, LIF, CubaLIF
from neuro.kernels.crossings import Timing, gain_after
from neuro.kernels.events import Deltas
from neuro.kernels.events_sampled import sample_timed
from neuro.kernels.events_timed import Timed, find_first, integrate_timed, look_ahead, sweep
from neuro.lowering.event_run import FOREVER, Batch, EventRun, gathered, selected
from neuro.lowering.flow import Population
from neuro.lowering.layout import Layout

__all__ = ["Neuron", "Running", "TimedPopulation", "timing_of", "first_voltage", "silent_rate"]

_ROOM = 2**15  # events listed by one call of the kernel, besides those of one event
_PACKED = 2**32  # ticks that fit above an index in 63 bits

Doubles = NDArray[np.float64]
Neuron = IF | LIF | CubaLIF | LI


def timing_of(node: Neuron, rest: Doubles, refractory: int, layout: Layout) -> Timing:
    """Return the parameters of neurons in double precision; `rest` has the layout's shape."""
    fire_above: Any = np.float64(np.inf)
    reset: Any = np.float64(0)
    if not isinstance(node, LI):
        fire_above = np.asarray(np.float32(node.threshold), np.float64)
        reset = np.asarray(np.float32(node.v_reset if node.reset == "value" else node.threshold), np.float64)
        if node.comparison == ">=":
            fire_above = np.nextafter(fire_above, -np.inf)
    tau_mem_s: Any = math.inf if isinstance(node, IF) else node.tau_mem_s
    tau_syn_s: Any = node.tau_syn_s if isinstance(node, CubaLIF) else math.inf
    decay, current_decay = (-1e-6 / np.asarray(tau_s, np.float64) for tau_s in (tau_mem_s, tau_syn_s))
    peak = _gain_peak(decay, current_decay) if isinstance(node, CubaLIF) else np.float64(0)
    values = (decay, current_decay, peak, rest, fire_above, reset)
    is_uniform = all(np.ndim(value) == 0 or np.unique(value).size == 1 for value in values)
    return Timing(
        is_uniform,
        not isinstance(node, LI) and node.reset == "subtract",
        isinstance(node, LI),
        isinstance(node, CubaLIF),
        isinstance(node, CubaLIF) or bool((rest > fire_above).any()),
        refractory,
        *(np.full(1, np.ravel(value)[0]) if is_uniform else _flat(value, layout) for value in values),
    )


def _gain_peak(decay: Any, current_decay: Any) -> Any:
    """Return no less than the most that a current of 1 adds to the membrane at any time."""
    ratio = decay / current_decay
    at = np.where(np.abs(ratio - 1) < 1e-6, 1.0, np.log(ratio) / np.where(ratio == 1, 1.0, ratio - 1))
    return np.minimum(
        np.vectorize(gain_after.py_func)(decay, current_decay, at / -current_decay) * (1 + 1e-9), 1.0
    )


def first_voltage(node: Neuron, timing: Timing, rest: Doubles, layout: Layout) -> Doubles:
    """Return the membranes at time 0: at rest, or at `v_leak` where that is above the threshold."""
    whole = _flat(rest, layout)
    if isinstance(node, (IF, LI)):
        return whole
    leak = _flat(np.float32(node.v_leak), layout)
    return np.where(whole > timing.fire_above, leak, whole)


def silent_rate(timing: Timing, n_neurons: int) -> float:
    """Return how many spikes per tick the neurons fire without input, once they do."""
    rest, above = timing.rest, timing.fire_above
    driven = rest > above
    if not driven.any():
        return 0.0
    start = above - timing.reset if timing.is_subtracting else timing.reset
    with np.errstate(divide="ignore", invalid="ignore"):
        ticks = np.log(np.maximum(rest - start, 0) / (rest - above)) / -timing.decay
    ticks = np.maximum(np.where(driven, ticks, np.inf), 1) + timing.refractory
    return float((1 / ticks).sum() * n_neurons / ticks.size)


def _flat(value: Any, layout: Layout) -> Doubles:
    """One value per neuron, channel-last."""
    whole: Doubles = np.broadcast_to(np.asarray(value, np.float64), layout.shape)
    return layout.inside(whole[np.newaxis]).reshape(-1)  # type: ignore[arg-type,return-value]


@dataclass(eq=False)
class Running:
    """State of a population, its two lists, and its tally: see `neuro.kernels.events_timed`."""

    state: Timed
    own: Deltas
    caused: Deltas
    tally: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TimedPopulation(Population):
    """Neurons that may fire between events, hold still after a spike, or are read out.

    Attributes
    ----------
    timing : Timing
        The neurons' parameters.
    voltage : float64, shape (layout.size,)
        Membranes at the beginning.
    window : int
        Ticks that are run at once.
    silent_rate : float
        Spikes per tick of all neurons without input.
    """

    timing: Timing
    voltage: Doubles
    window: int
    silent_rate: float

    def go_on(self, batch: Batch, run: EventRun) -> Batch:
        """Take the events one by one, with what the neurons fire by themselves up to the mark."""
        events, mark = batch.events, batch.mark
        one = run.own.get(self.name) or self.started(run)
        if not self.timing.can_cross:
            return Batch(gathered(self._caused(events, one, run)), mark)
        parts: list[Deltas] = []
        start, last = 0, min(mark, run.end - 1)
        while True:
            first = int(one.state.pixel_due.min())
            if start < events.t.size:
                first = min(first, int(events.t[start]))
            if first > last:
                break
            limit = min(last, first + self.window)
            stop = int(np.searchsorted(events.t, limit, "right"))
            parts.append(self._within(selected(events, slice(start, stop)), limit, one, run))
            start = stop
        return Batch(gathered(parts), mark)

    def first_to_come(self, run: EventRun) -> int:
        """Return the time of the next spike that is fired by itself."""
        if not self.timing.can_cross:
            return FOREVER
        one = run.own.get(self.name) or self.started(run)
        first = int(one.state.pixel_due.min())
        return first if first < run.end else FOREVER

    def _caused(self, events: Deltas, one: Running, run: EventRun) -> list[Deltas]:
        """Run neurons that fire nothing by themselves."""
        parts: list[Deltas] = []
        done = 0
        while done < events.t.size:
            done = self._integrate(events, done, one)
            parts.append(self._listed(one, run))
        return parts

    def _within(self, events: Deltas, limit: int, one: Running, run: EventRun) -> Deltas:
        """Run a window of time: its events, and what is fired without them up to the limit."""
        done = 0
        while True:
            done = self._integrate(events, done, one)
            if done == events.t.size and sweep(
                self.timing, one.state, self.synapses.out_channels, limit, one.own, one.tally
            ):
                return self._listed(one, run)
            if one.tally[0] + one.tally[1] > run.limit:
                return self._listed(one, run)
            one.own = _roomier(one.own, int(one.tally[0]), 0)
            one.caused = _roomier(one.caused, int(one.tally[1]), self.most)

    def _integrate(self, events: Deltas, done: int, one: Running) -> int:
        return int(
            integrate_timed(
                events, done, self.synapses, self.timing, one.state, one.own, one.caused, one.tally
            )
        )

    def _listed(self, one: Running, run: EventRun) -> Deltas:
        """Empty the lists: spikes of their own stand before what events cause at the same time."""
        n_own, n_caused = int(one.tally[0]), int(one.tally[1])
        one.tally[:2] = 0
        if not self.timing.is_readout:
            one.tally[5] += n_own + n_caused
        times = np.concatenate([one.own.t[:n_own], one.caused.t[:n_caused]])
        self.count("fired too often in one call", n_own + n_caused, times, run)
        part = selected(one.caused, slice(n_caused))
        caused = Deltas(part.t.copy(), part.index.copy(), part.value.copy())
        if n_own == 0:
            return caused
        own = _sorted(one.own.t[:n_own], one.own.index[:n_own])
        if n_caused == 0:
            return own
        both = gathered([own, caused])
        return selected(both, np.argsort(both.t, kind="stable"))

    def started(self, run: EventRun) -> Running:
        """Begin, and return what is kept from now on."""
        n, room, can_cross = self.layout.size, self.most + _ROOM, self.timing.can_cross
        state = Timed(
            self.voltage.copy(),
            np.zeros(n if self.timing.has_current else 0),
            np.zeros(n, np.int64),
            np.zeros(n if can_cross else 0, np.int64),
            np.full(self.n_pixels, FOREVER, np.int64),
        )
        if can_cross:
            look_ahead(self.timing, state, 0, n)
            for pixel in range(self.n_pixels):
                find_first(state, pixel, self.synapses.out_channels)
        own = Deltas(np.empty(_ROOM, np.int64), np.empty(_ROOM, np.int32), np.zeros(0, np.float32))
        caused = Deltas(np.empty(room, np.int64), np.empty(room, np.int32), np.ones(room, np.float32))
        run.own[self.name] = one = Running(state, own, caused, np.array([0, 0, 0, 0, self.most, 0], np.int64))
        return one

    def membranes(self, t: int, run: EventRun) -> NDArray[Any]:
        """Return the membranes at a time, channel-last, without changing them."""
        one = run.own.get(self.name) or self.started(run)
        out = np.empty(self.layout.size)
        sample_timed(self.timing, one.state, t, out)
        return out

    def spikes(self, run: EventRun) -> int:
        """Return the number of spikes so far."""
        return self._count(run, 5)

    def pixels_reached(self, run: EventRun) -> int:
        """Return the number of (event, output pixel) so far."""
        return self._count(run, 2)

    def updates(self, run: EventRun) -> int:
        """Return the number of (event, neuron reached) so far."""
        return self._count(run, 2) * self.channels_reached

    def lost(self, run: EventRun) -> int:
        """Return the number of (event, neuron) so far that a refractory period made void."""
        return self._count(run, 3)

    def _count(self, run: EventRun, place: int) -> int:
        return int(run.own[self.name].tally[place]) if self.name in run.own else 0


def _sorted(t: NDArray[np.int64], index: NDArray[np.int32]) -> Deltas:
    """Sort spikes by time, then by neuron."""
    first = int(t.min())
    ones = np.ones(t.size, np.float32)
    if int(t.max()) - first >= _PACKED:
        order = np.lexsort((index, t))
        return Deltas(t[order], index[order], ones)
    packed = np.sort((t - first) << 31 | index)
    return Deltas((packed >> 31) + first, (packed & (2**31 - 1)).astype(np.int32), ones)


def _roomier(room: Deltas, n: int, spare: int) -> Deltas:
    """Return a list of twice the room with the same first n events, if it is full."""
    if n + spare < room.t.size:
        return room
    return Deltas(*(np.concatenate([field, np.empty_like(field)]) for field in room))
