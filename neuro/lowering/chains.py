"""Plans that are a chain: one operation behind the other, as tables for `neuro.kernels.chains`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import MovingAttention, TemporalAttention
from neuro.kernels import chain_rows as places
from neuro.kernels.addresses import FIRST
from neuro.kernels.arrays import N_TALLIES, OUT_ROWS, SPARE, Frames
from neuro.lowering.layer import Layer
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Flat
from neuro.lowering.plan import Plan
from neuro.lowering.run import Path
from neuro.lowering.scoring import Temporal, flat_weights
from neuro.lowering.signals import Signal
from neuro.lowering.wiring import aligned

__all__ = ["Chain", "Tape", "chain_of"]

_FIRST_ROOM = 16  # spikes of a block are given room for one neuron in 16 at first
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Chain:
    """A plan whose operations each take what the one before hands on, and all of it.

    Attributes
    ----------
    source_name : str
        The Input, or the attention behind it.
    source : Layout
        Of the Input.
    operations : tuple of Layer or Flat
        All of them, in order.
    attention : TemporalAttention, MovingAttention or None
        The attention behind the Input.
    block_steps : int
        Most steps computed at once.
    """

    source_name: str
    source: Layout
    operations: tuple[Layer | Flat, ...]
    attention: Temporal | None
    block_steps: int
    _kept: threading.local = field(default_factory=threading.local, init=False, repr=False)

    @cached_property
    def rows(self) -> tuple[Layer | Flat, ...]:
        """What is run: a Flatten that changes nothing is left out."""
        return tuple(o for o in self.operations if isinstance(o, Layer) or o.layouts[0].n_pixels > 1)

    @cached_property
    def places(self) -> dict[str, tuple[int, Layer]]:
        """Row and layer by name."""
        return {row.name: (k, row) for k, row in enumerate(self.rows, 1) if isinstance(row, Layer)}

    @cached_property
    def states(self) -> list[tuple[str, int, int, int]]:
        """Name, first place in the state, number of membranes and of synaptic currents of each layer."""
        found, at = [], 0
        for name, (_, layer) in self.places.items():
            n_currents = layer.rest.size if layer.has_synaptic_current else 0
            found.append((name, at, layer.rest.size, n_currents))
            at += layer.rest.size + n_currents
        return found

    @cached_property
    def state_size(self) -> int:
        """Numbers of all states."""
        return sum(n + n_currents for _, _, n, n_currents in self.states)

    def tape(self, path: Path | None) -> Tape:
        """Return the memory that runs of this thread use; it ends with the thread, or with the chain."""
        tape: Tape | None = getattr(self._kept, "tape", None)
        if tape is None:
            tape = self._kept.tape = Tape(self)
        if tape.path != path:
            tape.force(path)
        return tape


@lru_cache(maxsize=16)
def chain_of(plan: Plan) -> Chain | None:
    """Return a plan as a chain, or None where it is none."""
    operations: list[Layer | Flat] = []
    before = plan.source
    if plan.paths or (plan.attention is not None and plan.attention.scaling):
        return None
    for operation in plan.operations:
        if operation.sources != (before,) or not isinstance(operation, (Layer, Flat)):
            return None
        is_last = operation is plan.operations[-1]
        if isinstance(operation, Layer) and not _fits(operation, is_last=is_last):
            return None
        before = operation.name
        operations.append(operation)
    if not operations or not isinstance(operations[-1], Layer):
        return None
    return Chain(plan.source, plan.layouts[plan.source], tuple(operations), plan.attention, plan.block_steps)


def _fits(layer: Layer, *, is_last: bool) -> bool:
    return layer.wiring is not None and layer.neurons.n_held == 0 and (layer.neurons.is_firing or is_last)


def _orders(layer: Layer, path: Path | None) -> NDArray[np.int64]:
    assert layer.wiring is not None
    rows = (0, int(layer.wiring.numbers[OUT_ROWS]))
    return layer.orders(rows, path, is_traced=False, is_any_dropped=False)


class Tape:
    """The table of a chain and its arrays: a thread keeps them, because new pages cost more than a small layer."""

    def __init__(self, chain: Chain) -> None:
        self.path: Path | None = None
        self._source_name, self._source = chain.source_name, chain.source
        self._operations, self._rows = chain.operations, chain.rows
        self._block_steps = chain.block_steps
        self.table = np.zeros((1 + len(chain.rows), places.N_COLUMNS), np.int64)
        self._arrays: dict[tuple[int, int], NDArray[Any]] = {}
        self._n_steps = -1
        self._graded = {0}  # rows that may hand on other values than 1
        self._fill_input(chain.attention)
        at = 0
        for k, row in enumerate(chain.rows, 1):
            if isinstance(row, Layer):
                self._fill_layer(k, row, at)
                at += row.rest.size + (row.rest.size if row.has_synaptic_current else 0)
            else:
                self._graded |= {k} if k - 1 in self._graded else set()
                self._fill_flatten(k, row)
            self.table[k, places.IS_GRADED] = k - 1 in self._graded
        self.table[0, places.IS_GRADED] = 1

    def force(self, path: Path | None) -> None:
        """Force the path of all layers, or let density decide."""
        self.path = path
        for k, row in enumerate(self._rows, 1):
            if isinstance(row, Layer):
                self._arrays[k, places.ORDERS][:] = _orders(row, path)

    def reserve(self, n_steps: int) -> None:
        """Make room for a recording of some steps."""
        if n_steps <= self._n_steps:
            return
        self._n_steps = n_steps
        n_block = min(n_steps, self._block_steps)
        self._put(0, places.ENDS, np.zeros(n_steps + 1, np.int64))
        self._put(0, places.GRADED, np.zeros(n_steps, np.uint8))
        self._hand_on(0, np.empty(n_block * self._source.n_pixels + 1, np.int32), places.OUT)
        for k, row in enumerate(self._rows, 1):
            is_firing = not isinstance(row, Layer) or row.neurons.is_firing
            n_pixels = row.layout.n_pixels
            self._hand_on(k, np.empty(n_block * n_pixels + 1 if is_firing else 1, np.int32), places.OUT)
            if isinstance(row, Layer) and row.neurons.is_firing:
                size = row.layout.size
                self.grow(k, size + n_block * size // _FIRST_ROOM + SPARE)
            elif isinstance(row, Layer):
                self._put(k, places.TRACE, np.empty(n_block * row.layout.size, np.float32))
            else:
                self.make_room(k, 0)

    def array(self, k: int, place: int) -> NDArray[Any]:
        """Return an array of a row."""
        return self._arrays[k, place]

    def signals(self, n_steps: int) -> dict[str, Signal]:
        """Return what the nodes handed on in a block of steps, as views; what is not made of entries is left out."""
        found: dict[str, Signal] = {self._source_name: self._frames(0, n_steps * self._source.n_pixels)}
        k = 0
        for operation in self._operations:
            if isinstance(operation, Flat) and operation.layouts[0].n_pixels == 1:
                found[operation.name] = found[operation.sources[0]]
                continue
            k += 1
            if isinstance(operation, Flat):
                found[operation.name] = self._frames(k, n_steps)
            elif operation.neurons.is_firing:
                found[operation.name] = self._frames(k, n_steps * operation.layout.n_pixels)
        return found

    def _frames(self, k: int, n_slots: int) -> Frames:
        start, index, value = (self._arrays[k, places.OUT + j] for j in range(3))
        n_values = int(self.table[k, places.OUT_VALUES])  # 0 where all entries are 1
        return Frames(start[: n_slots + 1], index, value[:n_values])

    def make_room(self, k: int, n_room: int) -> None:
        """Give a row that came back for it more room, at least `n_room` places, and keep what it holds."""
        if k > 0 and isinstance(self._rows[k - 1], Flat):
            self.grow(k, self._arrays[k - 1, places.OUT + 1].size)
            return
        self.grow(k, max(n_room, 2 * self._arrays[k, places.OUT + 1].size))

    def grow(self, k: int, n_room: int) -> None:
        """Give the list of a row at least `n_room` places."""
        known = self._arrays[k, places.OUT + 1]
        if known.size >= n_room:
            return
        index = np.empty(n_room, np.int32)
        index[: known.size] = known
        self._hand_on(k, index, places.OUT + 1)
        if k in self._graded:
            is_used = self.table[k, places.OUT_VALUES] > 0  # nothing where all entries are 1
            values = np.empty(n_room, np.float32)
            values[: known.size] = self._arrays[k, places.OUT + 2]
            self._hand_on(k, values, places.OUT + 2)
            if not is_used:
                self.table[k, places.OUT_VALUES] = self.table[k + 1, places.IN_VALUES] = 0

    def _fill_input(self, node: Temporal | None) -> None:
        row, source = self.table[0], self._source
        row[places.KIND], row[places.N_PIXELS], row[places.N_CHANNELS] = (
            places.INPUT,
            source.n_pixels,
            source.n_channels,
        )
        self._start_list(0)
        if node is None:
            return
        for j, array in enumerate(flat_weights(node)):
            self._put(0, places.WEIGHTS + j, array)
        self._put(0, places.HIDDEN, np.empty(node.bias_1.size, np.float32))
        if isinstance(node, TemporalAttention):
            self._put(0, places.WINDOW, np.empty(node.n_frames, np.float32))
        else:
            assert isinstance(node, MovingAttention)
            self._put(0, places.WINDOW, np.empty(node.n_averages, np.float32))
            self._put(0, places.RATES, node.rates)

    def _fill_flatten(self, k: int, flatten: Flat) -> None:
        row, before = self.table[k], flatten.layouts[0]
        row[places.KIND], row[places.N_PIXELS], row[places.N_CHANNELS] = (
            places.FLATTEN,
            before.n_pixels,
            before.n_channels,
        )
        self._put(k, places.COUNT, np.empty(before.n_channels + 1, np.int32))
        self._start_list(k)

    def _fill_layer(self, k: int, layer: Layer, at: int) -> None:
        assert layer.wiring is not None
        row, neurons, n = self.table[k], layer.neurons, layer.rest.size
        row[places.KIND], row[places.STATE], row[places.HAS_BIAS] = places.LAYER, at, layer.has[2]
        row[places.N_PIXELS], row[places.N_CHANNELS] = layer.layout.n_pixels, layer.layout.n_channels
        row[places.UPDATE : places.N_HELD + 1] = neurons[: neurons._fields.index("gain")]
        voltage, current = (
            aligned(n, np.float32),
            np.zeros(n if layer.has_synaptic_current else 0, np.float32),
        )
        membranes = (voltage, current, np.zeros(0, np.int32))
        groups: Sequence[tuple[int, tuple[Any, ...]]] = (
            (places.WIRING, layer.wiring),
            (places.NEURONS, neurons[neurons._fields.index("gain") :]),
            (places.MEMBRANES, membranes),
            (places.WORK, layer.new_work()),
        )
        for first, group in groups:
            for j, array in enumerate(group):
                self._put(k, first + j, array)
        self._put(k, places.TRACE, _NOTHING)
        self._put(k, places.ORDERS, _orders(layer, self.path))
        self._put(k, places.TALLY, np.zeros(N_TALLIES, np.int64))
        self._put(k, places.REST, layer.rest)
        self._start_list(k)

    def _start_list(self, k: int) -> None:
        """Give a row nothing to hand on yet; a list of no places could not say whether its values are used."""
        self._hand_on(k, np.zeros(1, np.int32), places.OUT)
        self._hand_on(k, np.zeros(SPARE, np.int32), places.OUT + 1)
        self._hand_on(k, np.zeros(SPARE if k in self._graded else 0, np.float32), places.OUT + 2)

    def _hand_on(self, k: int, array: NDArray[Any], place: int) -> None:
        """Keep an array that a row hands on to the next."""
        self._put(k, place, array)
        if k + 1 < len(self.table):
            self._put(k + 1, place - places.OUT + places.IN, array)

    def _put(self, k: int, place: int, array: NDArray[Any]) -> None:
        self._arrays[k, place] = array
        at = FIRST + 2 * place
        self.table[k, at : at + 2] = array.ctypes.data, array.size
