"""Products of what two inputs have sent so far (R164, R165)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.graph import CountMatrixProduct, CountProduct, Graph
from neuro.kernels.arrays import Floats, Membranes
from neuro.lowering.coding import Remembering, each_entry
from neuro.lowering.layout import Layout
from neuro.lowering.operations import Operation
from neuro.lowering.run import Run
from neuro.lowering.signals import Signal, as_dense, as_frames

__all__ = ["Product", "product_operation"]

_TWO = np.float32(2)


@dataclass(frozen=True, eq=False)
class Product(Remembering):
    """The changes of products of counts.

    ``offsets``: what is added to the counts of each input, channel-last. The state holds the counts of both inputs,
    their slopes, and the last two products, one behind the other.
    """

    node: CountProduct
    offsets: tuple[Floats, Floats]

    def run(self, inputs: list[Signal], run: Run) -> Signal:
        """Multiply the counts of a block of steps."""
        state, first = self._begin(run)
        if run.n_steps == 0:
            return np.zeros((0, self.layout.size), np.float32)
        *memory, last, one_more = self._parts(state.voltage)
        n = run.n_steps if self.node.code == "count" else min(run.n_steps, self.node.start_step - first + 1)
        into = np.zeros((run.n_steps, self.layout.size), np.float32)
        if n <= 0:
            return as_frames(into, run.kept, self.layout)
        pairs = zip(inputs, self.layouts, memory[:2], memory[2:], strict=True)
        a, b = (self._counts(as_dense(x, at, run.n_steps)[:n], c, i) for x, at, c, i in pairs)
        if self.node.code == "count":
            a, b = a + self.offsets[0], b + self.offsets[1]
        elif n == self.node.start_step - first + 1:
            a[-1], b[-1] = a[-1] + self.offsets[0], b[-1] + self.offsets[1]
        products = np.concatenate([one_more[np.newaxis], last[np.newaxis], self._multiplied(a, b)])
        one_more[:], last[:] = products[-2], products[-1]
        if self.node.code == "count":
            into[:n] = products[2:] - products[1:-1]
        else:
            into[:n] = products[2:] - _TWO * products[1:-1]
        if self.node.code == "first_spike":
            into[:n] += products[:-2]
        return as_frames(into, run.kept, self.layout)

    def _counts(self, x: Floats, count: Floats, slope: Floats) -> Floats:
        """Return what an input stands for after each step, and remember the last."""
        if self.node.code == "radix":
            found = np.empty_like(x)
            for step, digits in enumerate(x):
                count[:] = (count + count) + digits
                found[step] = count
            return found
        if self.node.code == "first_spike":
            x = _accumulated(slope, x)
            slope[:] = x[-1]
        found = _accumulated(count, x)
        count[:] = found[-1]
        return found

    def _multiplied(self, a: Floats, b: Floats) -> Floats:
        n, first, second = len(a), self.layouts[0], self.layouts[1]
        channels = first.n_channels
        if not isinstance(self.node, CountMatrixProduct):
            split = [x.reshape(n, at.n_pixels, channels) for x, at in ((a, first), (b, second))]
            return np.asarray((split[0] * split[1]).reshape(n, -1), np.float32)
        (_, rows, inner), columns = first.shape, second.shape[2]
        a, b = a.reshape(n, rows, inner, channels), b.reshape(n, inner, columns, channels)
        total = np.zeros((n, rows, columns, channels), np.float32)
        for k in range(inner):
            total += a[:, :, k, np.newaxis] * b[:, np.newaxis, k]
        return total.reshape(n, -1)

    def _parts(self, voltage: Floats) -> list[Floats]:
        """Counts of both inputs, slopes of both, the last product and the one before."""
        sizes = [self.layouts[0].size, self.layouts[1].size]
        return np.split(voltage, np.cumsum([*sizes, *sizes, self.layout.size]))

    def rest_state(self) -> Membranes:
        """Return the state before the first step."""
        size = 2 * (self.layouts[0].size + self.layouts[1].size + self.layout.size)
        return Membranes(np.zeros(size, np.float32), np.zeros(0, np.float32), np.zeros(1, np.int32))


def _accumulated(start: Floats, x: Floats) -> Floats:
    """Return ``start + x[0]``, ``(start + x[0]) + x[1]`` and so on."""
    steps = x.copy()
    steps[0] = start + x[0]
    found: Floats = np.add.accumulate(steps, axis=0)
    return found


def product_operation(graph: Graph, name: str, layouts: dict[str, Layout]) -> Operation:
    """Return the operation of a CountProduct or CountMatrixProduct."""
    node: Any = graph.nodes[name]
    sources = graph.predecessors(name)
    ins = tuple(layouts[source] for source in sources)
    offsets = (each_entry(node.first_offset, ins[0]), each_entry(node.second_offset, ins[1]))
    return Product(name, sources, ins, layouts[name], node, offsets)
