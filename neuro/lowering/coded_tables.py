"""Plans of coded neurons, branches and all, as tables for `neuro.kernels.coded_run`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.kernels import chain_rows, coded_rows
from neuro.kernels.addresses import FIRST
from neuro.kernels.arrays import N_TALLIES, OUT_ROWS, SPARE, Floats, Frames
from neuro.lowering.coded_listing import Row, listed_rows
from neuro.lowering.coding import Coded
from neuro.lowering.layer import Layer
from neuro.lowering.layout import Layout
from neuro.lowering.plan import Plan
from neuro.lowering.run import Path
from neuro.lowering.signals import Signal

__all__ = ["CodedTable", "CodedTape", "coded_table_of"]

_BLOCK_ENTRIES = 2**18  # of the largest node: what a block writes should stay in the cache
_NOTHING = np.zeros(0, np.float32)
_READ_ALL = (
    coded_rows.LIST,
    coded_rows.DIFFERENCE,
    coded_rows.DENSE_DELAY,
)  # of dense inputs, silent steps, too


@dataclass(frozen=True, eq=False)
class CodedTable:
    """A plan of coded neurons, and what lies between them, as rows.

    Attributes
    ----------
    source_name : str
        The Input.
    source : Layout
        Of the Input.
    rows : tuple of Row
        All but the Input, each behind those that it takes from; the last is the output.
    names : dict of str to int
        For each node, the row that gives its output (0 for the Input).
    block_steps : int
        Most steps computed at once.
    """

    source_name: str
    source: Layout
    rows: tuple[Row, ...]
    names: dict[str, int]
    block_steps: int
    _kept: threading.local = field(default_factory=threading.local, init=False, repr=False)

    @cached_property
    def places(self) -> dict[str, tuple[int, Layer | Coded]]:
        """Row and operation of what is counted, by name."""
        return {
            row.operation.name: (k, row.operation)
            for k, row in enumerate(self.rows, 1)
            if isinstance(row.operation, (Layer, Coded))
        }

    @cached_property
    def states(self) -> list[tuple[str, slice, slice, slice]]:
        """Name, and where its voltage, its currents and its counts stand in the state, of each row that has one."""
        found, at, n_counts = [], 0, 0
        for row in self.rows:
            if row.rest is not None and row.name is not None:
                ends = np.cumsum([at, *(array.size for array in row.rest[:2])]).tolist()
                counts = slice(n_counts, n_counts + row.rest[2].size)
                found.append((row.name, slice(*ends[:2]), slice(*ends[1:]), counts))
                at, n_counts = ends[-1], counts.stop
        return found

    @cached_property
    def rest(self) -> tuple[Floats, NDArray[np.int32]]:
        """The state before the first step."""
        rests = [row.rest for row in self.rows if row.rest is not None]
        reals = [array for rest in rests for array in rest[:2]]
        return np.concatenate([_NOTHING, *reals]), np.concatenate(
            [np.zeros(0, np.int32), *(rest[2] for rest in rests)]
        )

    @cached_property
    def delays(self) -> dict[str, tuple[int, bool]]:
        """Row of each delay and whether it holds dense values, by name."""
        kinds = (coded_rows.DELAY, coded_rows.DENSE_DELAY)
        rows = enumerate(self.rows, 1)
        return {row.name: (k, row.is_dense) for k, row in rows if row.kind in kinds and row.name is not None}

    def tape(self, path: Path | None) -> CodedTape:
        """Return the memory that runs of this thread use; it ends with the thread, or with the table."""
        tape: CodedTape | None = getattr(self._kept, "tape", None)
        if tape is None:
            tape = self._kept.tape = CodedTape(self)
        if tape.path != path:
            tape.force(path)
        return tape


@lru_cache(maxsize=16)
def coded_table_of(plan: Plan) -> CodedTable | None:
    """Return a plan as a table, or None where it holds no coded neurons, or something that a table does not."""
    if not plan.coded or plan.paths or plan.attention is not None:
        return None
    found = listed_rows(plan)
    if found is None:
        return None
    rows, names = found
    largest = max(row.layout.size for row in rows)
    steps = max(1, min(plan.block_steps, _BLOCK_ENTRIES // largest))
    return CodedTable(plan.source, plan.layouts[plan.source], rows, names, steps)


def _orders(layer: Layer, path: Path | None) -> NDArray[np.int64]:
    assert layer.wiring is not None
    rows = (0, int(layer.wiring.numbers[OUT_ROWS]))
    return layer.orders(rows, path, is_traced=False, is_any_dropped=False)


class CodedTape:
    """The table itself and its arrays."""

    def __init__(self, coded: CodedTable) -> None:
        self.path: Path | None = None
        self._coded, self._n_steps = coded, -1
        self.table = np.zeros((1 + len(coded.rows), chain_rows.N_COLUMNS), np.int64)
        self._arrays: dict[tuple[int, int], NDArray[Any]] = {}
        self.reals, self.counts = coded.rest[0].copy(), coded.rest[1].copy()
        self.table[-1, coded_rows.NEEDS_ZEROS] = 1  # the output
        at, n_counts = 0, 0
        self._number(0, chain_rows.INPUT, coded.source)
        for k, row in enumerate(coded.rows, 1):
            self._number(k, row.kind, row.numbered)
            self.table[k, coded_rows.SOURCE] = row.sources[0]
            if isinstance(row.operation, Layer) and row.kind == chain_rows.LAYER:
                self._fill_layer(k, row.operation)
                continue
            self.table[k, coded_rows.OTHER] = row.sources[-1]
            self.table[k, coded_rows.IS_VALUED] = row.is_valued
            for place, array in row.arrays.items():
                self._put(k, place, array)
            for place, array in row.scratch.items():
                self._put(k, place, array.copy())
            if isinstance(row.operation, Coded):
                self._put(k, coded_rows.FIRED + 1, self._arrays[k, coded_rows.FIRED].view(np.uint64))
            if row.rest is not None:
                n_voltage, n_current, n_sent = (array.size for array in row.rest)
                self._put(k, coded_rows.VOLTAGE, self.reals[at : at + n_voltage])
                at += n_voltage
                self._put(k, coded_rows.CURRENT, self.reals[at : at + n_current])
                at += n_current
                self._put(k, coded_rows.SENT, self.counts[n_counts : n_counts + n_sent])
                n_counts += n_sent

    def force(self, path: Path | None) -> None:
        """Force the path of all synapses, or let density decide."""
        self.path = path
        for k, layer in self._coded.places.values():
            if isinstance(layer, Layer):
                self._arrays[k, chain_rows.ORDERS][:] = _orders(layer, path)

    def rewind(self, reals: Floats, counts: NDArray[np.int32], lines: Mapping[str, Signal]) -> None:
        """Put everything where a run begins."""
        self.reals[:], self.counts[:] = reals, counts
        for name, (k, is_dense) in self._coded.delays.items():
            line, held = lines.get(name), self._arrays[k, coded_rows.HELD]
            if is_dense:
                held[:] = 0 if line is None else np.asarray(line).reshape(-1)
                continue
            held[:] = 0 if line is None else line[0]
            if line is not None:
                n = int(held[-1])
                self._arrays[k, coded_rows.HELD + 1][:n] = line[1][:n]

    def left(self) -> tuple[Floats, NDArray[np.int32], dict[str, Signal]]:
        """Return copies of the state, and what is on its way in delays."""
        lines: dict[str, Signal] = {}
        for name, (k, is_dense) in self._coded.delays.items():
            start = self._arrays[k, coded_rows.HELD]
            if is_dense:
                lines[name] = start.copy().reshape(-1, self._coded.rows[k - 1].layout.size)
                continue
            index = self._arrays[k, coded_rows.HELD + 1][: int(start[-1]) + SPARE]
            lines[name] = Frames(start.copy(), index.copy(), _NOTHING)
        return self.reals.copy(), self.counts.copy(), lines

    def reserve(self, n_steps: int) -> None:
        """Make room for a recording of some steps."""
        if n_steps <= self._n_steps:
            return
        self._n_steps = n_steps
        n_block = min(n_steps, self._coded.block_steps)
        self._put(0, chain_rows.ENDS, np.zeros(n_steps + 1, np.int64))
        self._put(0, chain_rows.GRADED, np.zeros(n_steps, np.uint8))
        self._make_list(0, n_block, self._coded.source, coded_rows.ANY_VALUE)
        for k, row in enumerate(self._coded.rows, 1):
            if row.is_dense:
                self._put(k, chain_rows.TRACE, np.empty(n_block * row.layout.size, np.float32))
                self._put(k, coded_rows.BUSY, np.zeros(n_block, np.uint8))
            else:
                self._make_list(k, n_block, row.layout, row.is_valued)
        for k, row in enumerate(self._coded.rows, 1):
            for j, source in enumerate(row.sources):
                if source > 0 and self._coded.rows[source - 1].is_dense:
                    self._put(k, coded_rows.CURRENTS + j, self._arrays[source, chain_rows.TRACE])
                    self._put(k, coded_rows.BUSY_IN + j, self._arrays[source, coded_rows.BUSY])
                    self.table[source, coded_rows.NEEDS_ZEROS] |= row.kind in _READ_ALL
                else:
                    first = chain_rows.IN if j == 0 else coded_rows.SECOND
                    for part in range(3):
                        self._put(k, first + part, self._arrays[source, chain_rows.OUT + part])

    def signals(self, n_steps: int) -> dict[str, Signal]:
        """Return what the nodes handed on in a block of steps, as views."""
        found: dict[str, Signal] = {}
        for name, k in self._coded.names.items():
            row = self._coded.rows[k - 1] if k else None
            layout = self._coded.source if row is None else row.layout
            if row is not None and row.is_dense:
                dense = self._arrays[k, chain_rows.TRACE][: n_steps * layout.size]
                found[name] = dense.reshape(n_steps, layout.size)
                continue
            start, index, value = (self._arrays[k, chain_rows.OUT + j] for j in range(3))
            n_values = value.size if self.table[k, chain_rows.IS_GRADED] else 0
            found[name] = Frames(start[: n_steps * layout.n_pixels + 1], index, value[:n_values])
        return found

    def _make_list(self, k: int, n_steps: int, layout: Layout, is_valued: int) -> None:
        n = n_steps * layout.size + SPARE
        has_values = (
            is_valued != coded_rows.ALL_ONE or self.table[k, chain_rows.KIND] == coded_rows.COUNT_POOL
        )
        self._put(k, chain_rows.OUT, np.zeros(n_steps * layout.n_pixels + 1, np.int32))
        self._put(k, chain_rows.OUT + 1, np.empty(n, np.int32))
        self._put(k, chain_rows.OUT + 2, np.empty(n if has_values else 0, np.float32))

    def _number(self, k: int, kind: int, layout: Layout) -> None:
        row = self.table[k]
        row[chain_rows.KIND] = kind
        row[chain_rows.N_PIXELS], row[chain_rows.N_CHANNELS] = layout.n_pixels, layout.n_channels

    def _fill_layer(self, k: int, layer: Layer) -> None:
        assert layer.wiring is not None
        row, neurons = self.table[k], layer.neurons
        n_numbers = neurons._fields.index("gain")
        row[chain_rows.UPDATE : chain_rows.N_HELD + 1] = neurons[:n_numbers]
        row[chain_rows.HAS_BIAS] = layer.has[2]
        none = (_NOTHING, _NOTHING, np.zeros(0, np.int32))
        groups: tuple[tuple[int, tuple[Any, ...]], ...] = (
            (chain_rows.WIRING, layer.wiring),
            (chain_rows.NEURONS, neurons[n_numbers:]),
            (chain_rows.MEMBRANES, none),
            (chain_rows.WORK, layer.new_work()),
            (chain_rows.OUT, (np.zeros(1, np.int32), np.zeros(SPARE, np.int32), _NOTHING)),
        )
        for first, group in groups:
            for j, array in enumerate(group):
                self._put(k, first + j, array)
        self._put(k, chain_rows.ORDERS, _orders(layer, self.path))
        self._put(k, chain_rows.TALLY, np.zeros(N_TALLIES, np.int64))

    def _put(self, k: int, place: int, array: NDArray[Any]) -> None:
        self._arrays[k, place] = array
        at = FIRST + 2 * place
        self.table[k, at : at + 2] = array.ctypes.data, array.size
