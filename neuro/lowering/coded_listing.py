"""The rows of a plan of coded neurons: what each operation becomes, and what is put between two that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.graph import (
    CountMatrixProduct,
    FirstSpikeIF,
    RadixIF,
    RadixMaxPool2d,
    SigmaDelta,
    SignedIF,
    TwoPhaseIF,
)
from neuro.kernels import chain_rows, coded_rows
from neuro.kernels.arrays import SPARE, Floats, Membranes, Synapses
from neuro.kernels.pooling import MAXIMUM
from neuro.lowering.coding import Change, Coded, CountPool, Decode
from neuro.lowering.layer import Layer
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Flat, Join, Line, Operation, Pool, Sum
from neuro.lowering.plan import Plan
from neuro.lowering.products import Product
from neuro.lowering.rearranging import Rearranged

__all__ = ["Row", "listed_rows"]

_FRAMES, _DENSE = False, True
_CODES = {
    "count": coded_rows.COUNT,
    "radix": coded_rows.RADIX_CODE,
    "first_spike": coded_rows.FIRST_SPIKE_CODE,
}


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the table.

    Attributes
    ----------
    kind : int
        See `neuro.kernels.coded_rows`.
    name : str or None
        The node whose output it gives; None for what stands between two.
    operation : Operation or None
        Likewise.
    sources : tuple of int
        The rows that it takes from.
    layout, numbered : Layout
        Of its output, and the one whose sizes the row holds (the input's for a Flatten).
    is_dense : bool
        Whether it hands on dense values, not frames.
    is_valued : int
        How it is known whether its entries are 1.
    rest : Membranes or None
        Its state before the first step.
    arrays : dict of int to array
        What runs read, by place.
    scratch : dict of int to array
        What they write to: every thread has copies.
    """

    kind: int
    name: str | None
    operation: Operation | None
    sources: tuple[int, ...]
    layout: Layout
    numbered: Layout
    is_dense: bool = False
    is_valued: int = coded_rows.ANY_VALUE
    rest: Membranes | None = None
    arrays: dict[int, NDArray[Any]] = field(default_factory=dict)
    scratch: dict[int, NDArray[Any]] = field(default_factory=dict)


def listed_rows(plan: Plan) -> tuple[tuple[Row, ...], dict[str, int]] | None:
    """Return the rows of a plan, and by node the row of its output; None where an operation has no row."""
    listing = _Listing(plan)
    taken = {source for operation in plan.operations for source in operation.sources}
    sinks = [operation.name for operation in plan.operations if operation.name not in taken]
    if len(sinks) != 1 or sinks[0] != plan.operations[-1].name:
        return None
    if not all(listing.take(operation) for operation in plan.operations):
        return None
    if listing.places[sinks[0]] != len(listing.rows):
        return None
    return tuple(listing.rows), listing.places


class _Listing:
    """Goes through a plan and makes rows."""

    def __init__(self, plan: Plan) -> None:
        self.rows: list[Row] = []
        self.places = {plan.source: 0}
        self._source = plan.layouts[plan.source]
        self._other_forms: dict[tuple[int, bool], int] = {}

    def take(self, operation: Operation) -> bool:
        """Make the rows of an operation; say whether there are any."""
        if any(name not in self.places for name in operation.sources):
            return False
        if isinstance(operation, Layer):
            return self._layer(operation)
        if isinstance(operation, Coded):
            return self._coded(operation)
        if isinstance(operation, (CountPool, Pool)):
            return self._pool(operation)
        if isinstance(operation, Flat):
            return self._flat(operation)
        if isinstance(operation, (Sum, Join)):
            return self._cascade(operation)
        if isinstance(operation, Decode):
            return self._readout(operation)
        if isinstance(operation, Change):
            return self._change(operation)
        if isinstance(operation, Rearranged):
            return self._rearrange(operation)
        if isinstance(operation, Product):
            return self._product(operation)
        return isinstance(operation, Line) and self._line(operation)

    def _add(self, row: Row) -> bool:
        self.rows.append(row)
        if row.name is not None:
            self.places[row.name] = len(self.rows)
        return True

    def _is_dense(self, k: int) -> bool:
        return k > 0 and self.rows[k - 1].is_dense

    def _form(self, name: str, *, is_dense: bool) -> int:
        """Return the row that gives an output in a form; one is put between where it comes in the other."""
        return self._formed(self.places[name], is_dense=is_dense)

    def _formed(self, k: int, *, is_dense: bool) -> int:
        if self._is_dense(k) == is_dense:
            return k
        if (k, is_dense) not in self._other_forms:
            layout = self.rows[k - 1].layout if k else self._source
            kind = coded_rows.SPREAD if is_dense else coded_rows.LIST
            valued = coded_rows.AS_SOURCE if is_dense else coded_rows.ANY_VALUE
            self._add(Row(kind, None, None, (k,), layout, layout, is_dense, valued, arrays=_some(VOLTAGE=0)))
            self._other_forms[k, is_dense] = len(self.rows)
        return self._other_forms[k, is_dense]

    def _layer(self, layer: Layer) -> bool:
        if layer.wiring is None or layer.neuron_name is not None:
            return False
        source = self._form(layer.sources[0], is_dense=_FRAMES)
        none = Membranes(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
        layout = layer.layout
        return self._add(
            Row(chain_rows.LAYER, layer.name, layer, (source,), layout, layout, is_dense=True, rest=none)
        )

    def _coded(self, one: Coded) -> bool:
        node, source = one.node, self._form(one.sources[0], is_dense=_DENSE)
        kind, numbers = _neurons(node)
        valued = coded_rows.ANY_VALUE if isinstance(node, (SignedIF, SigmaDelta)) else coded_rows.ALL_ONE
        change, fired = one.scratch()
        arrays = _some(numbers, THRESHOLD=one.threshold, ADDED=one.added, AREA=0)
        scratch: dict[int, NDArray[Any]] = {coded_rows.SCRATCH: change, coded_rows.FIRED: fired}
        rest, size = one.rest_state(), (one.layout, one.layout)
        return self._add(Row(kind, one.name, one, (source,), *size, False, valued, rest, arrays, scratch))

    def _pool(self, one: CountPool | Pool) -> bool:
        source, rest, area, valued = self._form(one.sources[0], is_dense=_FRAMES), None, np.float32(1), None
        if isinstance(one, Pool):
            kind, first, area = coded_rows.POOL, (one.kind, 0, 0), one.area
            valued = coded_rows.AS_SOURCE if one.kind == MAXIMUM else coded_rows.ANY_VALUE
        else:
            kind, node, first = coded_rows.COUNT_POOL, one.node, (0, 0, 1)
            valued = coded_rows.ANY_VALUE
            if isinstance(node, RadixMaxPool2d):
                first, valued = (node.start_step, node.n_bits, 2), coded_rows.ALL_ONE
            rest = one.rest_state()
        numbers = (*first, 0, 0, 0, 0, 0, *_window_sizes(one.window))
        scratch = {coded_rows.SCRATCH: np.empty(one.layout.n_channels, np.float32)}
        arrays = _some(numbers, THRESHOLD=0, SENT=0, AREA=np.full(1, area, np.float32))
        window = one.window
        tables = (
            window.gather_row,
            window.gather_pixel,
            window.gather_column,
            window.run_start,
            window.run_stop,
        )
        arrays |= {coded_rows.WINDOW + j: table for j, table in enumerate(tables)}
        size = one.layout, one.layout
        return self._add(Row(kind, one.name, one, (source,), *size, False, valued, rest, arrays, scratch))

    def _flat(self, one: Flat) -> bool:
        before = one.layouts[0]
        if before.n_pixels == 1:  # the same entries in the same order
            self.places[one.name] = self.places[one.sources[0]]
            return True
        source = self._form(one.sources[0], is_dense=_FRAMES)
        scratch = {coded_rows.SENT: np.empty(before.n_channels + 1, np.int32)}
        return self._add(
            Row(
                chain_rows.FLATTEN,
                one.name,
                one,
                (source,),
                one.layout,
                before,
                is_valued=coded_rows.AS_SOURCE,
                scratch=scratch,
            )
        )

    def _cascade(self, one: Sum | Join) -> bool:
        """Two inputs after the other: a sum is taken from left to right."""
        is_sum = isinstance(one, Sum)
        kind = coded_rows.SUM if is_sum else coded_rows.JOIN
        sources = [self._form(name, is_dense=is_sum) for name in one.sources]
        at, n_channels = sources[0], one.layouts[0].n_channels
        for j, (source, layout) in enumerate(zip(sources[1:], one.layouts[1:], strict=True), 2):
            name = one.name if j == len(sources) else None
            numbers = () if is_sum else (n_channels, layout.n_channels)
            n_channels += 0 if is_sum else layout.n_channels
            made = Layout.of((n_channels, *one.layout.shape[1:]))
            valued = coded_rows.ANY_VALUE if is_sum else coded_rows.AS_SOURCE
            self._add(Row(kind, name, one, (at, source), made, made, is_sum, valued, arrays=_some(numbers)))
            at = len(self.rows)
        self.places[one.name] = at
        return True

    def _readout(self, one: Decode) -> bool:
        node, source, layout = one.node, self._form(one.sources[0], is_dense=_DENSE), one.layout
        numbers = (_CODES[node.code], node.start_step, node.drive_steps)
        arrays = _some(numbers, ADDED=one.drive)
        rest = one.rest_state()
        return self._add(
            Row(coded_rows.READOUT, one.name, one, (source,), layout, layout, True, rest=rest, arrays=arrays)
        )

    def _change(self, one: Change) -> bool:
        source, layout = self._form(one.sources[0], is_dense=_DENSE), one.layout
        return self._add(
            Row(coded_rows.DIFFERENCE, one.name, one, (source,), layout, layout, rest=one.rest_state())
        )

    def _rearrange(self, one: Rearranged) -> bool:
        """Dense values at other places; frames are written dense before, and listed behind."""
        is_dense, layout = self._is_dense(self.places[one.sources[0]]), one.layout
        place = one.place.astype(np.int32)
        place[one.silent] = -1
        source, valued = self._form(one.sources[0], is_dense=_DENSE), coded_rows.AS_SOURCE
        arrays = _some((one.layouts[0].size,)) | {coded_rows.SENT: place}
        name = one.name if is_dense else None
        kind = coded_rows.REARRANGE
        self._add(Row(kind, name, one, (source,), layout, layout, True, valued, arrays=arrays))
        if is_dense:
            return True
        k, kind = len(self.rows), coded_rows.LIST
        return self._add(
            Row(kind, one.name, one, (k,), layout, layout, is_valued=valued, arrays=_some(VOLTAGE=0))
        )

    def _product(self, one: Product) -> bool:
        node, layout, (first, second) = one.node, one.layout, one.layouts
        sources = tuple(self._form(name, is_dense=_DENSE) for name in one.sources)
        is_matrix = isinstance(node, CountMatrixProduct)
        sizes = (*first.shape[1:], second.shape[2]) if is_matrix else (0, 0, 0)
        numbers = (_CODES[node.code], node.start_step, first.size, second.size, *sizes)
        scratch = {coded_rows.SCRATCH: np.empty(first.size + second.size + layout.size, np.float32)}
        arrays = _some(numbers, THRESHOLD=one.offsets[0], ADDED=one.offsets[1])
        kind, rest, valued = coded_rows.PRODUCT, one.rest_state(), coded_rows.ANY_VALUE
        return self._add(
            Row(kind, one.name, one, sources, layout, layout, True, valued, rest, arrays, scratch)
        )

    def _line(self, one: Line) -> bool:
        """A delay of spikes or of dense values; graded frames are left to blocks."""
        k, layout, n = self.places[one.sources[0]], one.layout, one.n_steps
        if one.is_feedback or k == 0:
            return False
        arrays, held = _some((n,)), coded_rows.HELD
        if self._is_dense(k):
            scratch: dict[int, NDArray[Any]] = {held: np.zeros(n * layout.size, np.float32)}
            kind = coded_rows.DENSE_DELAY
            return self._add(
                Row(kind, one.name, one, (k,), layout, layout, True, arrays=arrays, scratch=scratch)
            )
        if self.rows[k - 1].is_valued != coded_rows.ALL_ONE:
            return False
        scratch = {
            held: np.zeros(n * layout.n_pixels + 1, np.int32),
            held + 1: np.empty(n * layout.size + SPARE, np.int32),
            held + 2: np.zeros(0, np.float32),
        }
        kind, valued = coded_rows.DELAY, coded_rows.ALL_ONE
        row = Row(kind, one.name, one, (k,), layout, layout, is_valued=valued, arrays=arrays, scratch=scratch)
        return self._add(row)


def _neurons(node: Any) -> tuple[int, Sequence[int]]:
    """Kind and numbers of coded neurons."""
    if isinstance(node, TwoPhaseIF):
        return coded_rows.TWO_PHASE, (node.start_step, node.start_step + node.n_levels)
    if isinstance(node, SignedIF):
        numbers = (node.drive_steps, int(node.holds_input), node.min_count, node.max_count)
        return coded_rows.SIGNED, numbers
    if isinstance(node, RadixIF):
        return coded_rows.RADIX, (node.start_step, node.n_bits)
    if isinstance(node, FirstSpikeIF):
        return coded_rows.FIRST_SPIKE, (node.start_step, node.n_levels)
    return coded_rows.CHANGES, (node.min_count, node.max_count)


def _window_sizes(window: Synapses) -> tuple[int, ...]:
    return (window.n_in_pixels, window.in_channels, window.in_columns, window.out_rows, window.out_columns)


def _some(numbers: Sequence[int] = (), **arrays: Floats | int) -> dict[int, NDArray[Any]]:
    """Arrays by place; an empty one for 0."""
    found: dict[int, NDArray[Any]] = {coded_rows.PARAMETERS: np.array(numbers, np.int64)}
    for name, array in arrays.items():
        empty = np.zeros(0, np.int32 if name == "SENT" else np.float32)
        found[getattr(coded_rows, name)] = empty if isinstance(array, int) else array
    return found
