"""The reference for continuous execution: section 11 of ``docs/graph-spec.md`` in plain numbers, event by event.

It is written to be read beside the specification (the comments name its requirements) and shares nothing with the
engine but the graph: one queue of times, at each time the nodes run once in order, each on all its events of that
time; what is on its way waits in the queue. Every neuron is its own loop.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import Events
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Continuous,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Linear,
    MaxPool2d,
    SparseLinear,
    SumPool2d,
)
from neuro.reference_event_neurons import At, JumpNeurons, TimedNeurons, is_timed

__all__ = ["EventEvaluation", "evaluate_events"]

F = np.float32
Event = tuple[int, float]  # entry in the node's flat shape, value
Floats = NDArray[np.float32]
_NEURONS = (IF, LIF, CubaLIF, LI)
_SYNAPSES = (Linear, Conv2d, SparseLinear)
_POOLS = (SumPool2d, AvgPool2d, MaxPool2d)


@dataclass(frozen=True, eq=False)
class EventEvaluation:
    """All that left every node, the membranes asked for, and the counts.

    Attributes
    ----------
    left : dict of str to list of tuples
        (time in microseconds, entry in the flattened shape, value), in order, for every node that events leave.
    membranes : dict of str to float64 array, shape (n_times, ...)
        Membranes at the times asked for.
    spikes, synaptic_operations, neuron_updates, lost_in_refractory : dict of str to int
        Counts, by node (R61, R98).
    """

    left: dict[str, list[tuple[int, int, float]]] = field(default_factory=lambda: defaultdict(list))
    membranes: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    spikes: dict[str, int] = field(default_factory=dict)
    synaptic_operations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    neuron_updates: dict[str, int] = field(default_factory=dict)
    lost_in_refractory: dict[str, int] = field(default_factory=dict)


def evaluate_events(
    graph: Graph, events: Events, *, times_us: Mapping[str, Sequence[int]] | None = None
) -> EventEvaluation:
    """Run a continuous graph on events, slowly and plainly.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=continuous()`` that `neuro.simulate` accepts.
    events : Events
        A recording; one that declares its duration ends there.
    times_us : mapping of str to ascending whole numbers, optional
        For neuron nodes, the times at which all membranes are wanted.

    Returns
    -------
    EventEvaluation
        What left every node, membranes and counts.

    Raises
    ------
    InputError
        If the graph is clocked.

    Notes
    -----
    Error: this is what section 11 of the specification says; exponentials are those of the C library.

    Examples
    --------
    >>> from neuro.graph import LIF, Graph, Input, Linear, continuous
    >>> nodes = {"in": Input(1), "fc": Linear([[0.6]]), "lif": LIF(tau_mem_s=0.02)}
    >>> graph = Graph(nodes, [("in", "fc"), ("fc", "lif")], continuous())
    >>> evaluate_events(graph, Events([1_000, 3_500], [0, 0], [1.0, 1.0], shape=(1,))).left["lif"]
    [(3500, 0, 1.0)]
    """
    if not isinstance(graph.execution, Continuous):
        raise InputError("evaluate_events: the graph's execution is clocked; use neuro.reference.evaluate")
    with np.errstate(over="ignore", invalid="ignore"):  # as the engine: what overflows is infinite
        return _Engine(graph, times_us or {}).run(events)


class _Engine:
    """State of every node."""

    def __init__(self, graph: Graph, times_us: Mapping[str, Sequence[int]]) -> None:
        self.graph = graph
        self.found = EventEvaluation()
        self.line: dict[tuple[str, int], list[Event]] = defaultdict(list)  # what arrives, by node and time
        self.times: list[int] = []
        self.largest: dict[
            tuple[str, int], tuple[int, Any]
        ] = {}  # of each window of a MaxPool2d: time, value
        self.targets: dict[tuple[str, int], list[tuple[At, list[tuple[int, Any]]]]] = {}
        self.neurons: dict[str, JumpNeurons | TimedNeurons] = {}
        self.direct = {name for name in graph.nodes if self._is_direct(name)}
        self.waiting = {name: list(times) for name, times in times_us.items()}
        self.sampled: dict[str, list[NDArray[np.float64]]] = {name: [] for name in times_us}
        for name, node in graph.nodes.items():
            if isinstance(node, _NEURONS):
                drive = self._arriving_drive(name)
                if is_timed(node, drive):
                    self.neurons[name] = TimedNeurons(node, drive)
                else:
                    assert isinstance(node, (IF, LIF))
                    has_pixels = graph.predecessors(name)[0] in self.direct
                    self.neurons[name] = JumpNeurons(node, drive, has_pixels=has_pixels)

    def _is_direct(self, name: str) -> bool:
        """Whether the neurons behind a synapse read the events themselves (R57)."""
        after = self.graph.successors(name)
        return (
            isinstance(self.graph.nodes[name], (Linear, Conv2d))
            and len(after) == 1
            and isinstance(self.graph.nodes[after[0]], _NEURONS)
            and len(self.graph.predecessors(after[0])) == 1
        )

    # -- constant drive (R60, R154) --------------------------------------------------------------------------------

    def _arriving_drive(self, name: str) -> Floats:
        drive = np.zeros(self.graph.shapes[name], F)
        for source in self.graph.predecessors(name):
            drive = drive + self._drive(source, frozenset())
        return drive

    def _drive(self, name: str, behind: frozenset[str]) -> Floats:
        """What the biases alone bring to a node's output, all the time."""
        graph, node = self.graph, self.graph.nodes[name]
        shape = graph.shapes[name]
        if isinstance(node, (Linear, Conv2d)):
            bias = np.zeros(shape[0], F) if node.bias is None else node.bias
            return np.broadcast_to(bias.reshape(-1, *(1,) * (len(shape) - 1)), shape).astype(F)
        if name in behind or not isinstance(node, (Add, Concat, Flatten, Delay, SumPool2d, AvgPool2d)):
            return np.zeros(shape, F)
        drives = [self._drive(source, behind | {name}) for source in graph.predecessors(name)]
        if isinstance(node, Add):
            total = drives[0]
            for drive in drives[1:]:
                total = total + drive
            return total
        if isinstance(node, Concat):
            return np.concatenate(drives)
        if isinstance(node, (Flatten, Delay)):
            return drives[0].reshape(shape)
        assert isinstance(node, (SumPool2d, AvgPool2d))
        found = np.zeros(shape, F)
        for entry, x in enumerate(drives[0].reshape(-1)):
            for window in self._windows(name, node, entry):
                found.reshape(-1)[window] += x
        return found / F(math.prod(node.kernel_size)) if isinstance(node, AvgPool2d) else found

    # -- time (R53) ------------------------------------------------------------------------------------------------

    def run(self, events: Events) -> EventEvaluation:
        """Go from time to time until the queue is empty, or the end."""
        end = math.inf if events.duration_us is None else events.duration_us
        arriving: dict[int, list[Event]] = defaultdict(list)
        for t, index, value in zip(
            events.t_us.tolist(), events.index.tolist(), events.value.tolist(), strict=True
        ):
            arriving[t].append((index, value))
            self.times.append(t)
        for neurons in self.neurons.values():
            self.times += neurons.dues()
        heapq.heapify(self.times)
        before = -1
        while self.times:
            t = heapq.heappop(self.times)
            if t >= end:
                break
            if t != before:
                self._sample(t)
                self._instant(t, arriving[t])
            before = t
        self._sample(end)
        return self._counted()

    def _sample(self, t: float) -> None:
        """Take the membranes asked for at times before t: nothing more happens to them at those (R152)."""
        for name, times in self.waiting.items():
            while times and times[0] < t:
                self.sampled[name].append(self.neurons[name].membranes(times.pop(0)))

    def _counted(self) -> EventEvaluation:
        found = self.found
        for name, neurons in self.neurons.items():
            found.spikes[name] = neurons.spikes
            found.neuron_updates[name] = neurons.updates
            found.lost_in_refractory[name] = neurons.lost
        for name, samples in self.sampled.items():
            found.membranes[name] = np.array(samples).reshape(-1, *self.graph.shapes[name])
        return found

    def _instant(self, t: int, arriving: list[Event]) -> None:
        """Run every node once; what closes a cycle gets its input after all others ran."""
        leaving: dict[str, list[Event]] = {}
        for name in self.graph.order:
            inputs = [leaving.get(source, []) for source in self.graph.predecessors(name)]
            leaving[name] = arriving if not inputs else self._node(name, t, inputs)
            self.found.left[name] += [(t, index, value) for index, value in leaving[name]]
        for place, name in enumerate(self.graph.order):
            sources = self.graph.predecessors(name)
            if sources and not set(sources) <= set(self.graph.order[:place]):
                self._send(name, t, [event for source in sources for event in leaving[source]])

    def _send(self, name: str, t: int, events: list[Event]) -> None:
        """Let events set out for a Delay (R54), or over synapses that hand on events (R150)."""
        node = self.graph.nodes[name]
        for entry, value in events:
            if isinstance(node, Delay):
                found = [(node.delay_s, entry, value)]
            elif isinstance(node, SparseLinear):
                found = self._sparse(name, node, entry, value)
            else:
                size = self.graph.shapes[name]
                found = [
                    (0.0, int(np.ravel_multi_index((channel, *pixel), size)), float(weight * F(value)))
                    for pixel, weights in self._targets(name, entry)
                    for channel, weight in weights
                ]
            if not isinstance(node, Delay):
                self.found.synaptic_operations[name] += len(found)
            for delay_s, out, x in found:
                if x != 0:
                    then = t + round(delay_s * 1e6)
                    self.line[name, then].append((out, x))
                    if then > t:
                        heapq.heappush(self.times, then)

    def _sparse(self, name: str, node: SparseLinear, entry: int, x: float) -> list[tuple[float, int, float]]:
        """(delay, output, product) of the synapses of an entry, in the order of storage."""
        rows = np.repeat(np.arange(node.n_out), np.diff(node.indptr))
        delays = np.broadcast_to(np.asarray(node.delay_s, np.float64), node.indices.shape)
        return [
            (float(delays[j]), int(rows[j]), float(node.weight[j] * F(x)))
            for j in np.flatnonzero(node.indices == entry)
        ]

    # -- nodes -----------------------------------------------------------------------------------------------------

    def _node(self, name: str, t: int, inputs: list[list[Event]]) -> list[Event]:
        """Return what leaves a node at time t."""
        graph, node = self.graph, self.graph.nodes[name]
        if name in self.direct or isinstance(node, Flatten):
            return inputs[0]
        if isinstance(node, (Delay, *_SYNAPSES)):
            self._send(name, t, inputs[0])
            return self.line.pop((name, t), [])
        if isinstance(node, Add):  # R55
            return [event for found in inputs for event in found]
        if isinstance(node, Concat):
            offsets = np.cumsum([0, *(math.prod(graph.shapes[s]) for s in graph.predecessors(name))])
            return [(int(o) + i, v) for o, found in zip(offsets, inputs, strict=False) for i, v in found]
        if isinstance(node, _POOLS):
            return [out for event in inputs[0] for out in self._pool(name, node, t, event)]
        assert isinstance(node, _NEURONS)
        return self._population(name, t, [event for found in inputs for event in found])

    def _pool(self, name: str, node: SumPool2d | AvgPool2d | MaxPool2d, t: int, event: Event) -> list[Event]:
        """Every window, in order, that holds the entry (R56, R151)."""
        entry, x = event[0], F(event[1])
        if isinstance(node, AvgPool2d):
            x = x / F(math.prod(node.kernel_size))
        found = []
        for window in self._windows(name, node, entry):
            value = x
            if isinstance(node, MaxPool2d):
                then, largest = self.largest.get((name, window), (t, F(0)))
                largest = largest if then == t else F(0)
                value = x - largest
                if value > 0:
                    self.largest[name, window] = t, x
            if value > 0 or (value != 0 and not isinstance(node, MaxPool2d)):
                found.append((window, float(value)))
        return found

    def _windows(self, name: str, node: SumPool2d | AvgPool2d | MaxPool2d, entry: int) -> list[int]:
        """The windows that hold an entry, ascending in (row, column)."""
        before, after = self.graph.shapes[self.graph.predecessors(name)[0]], self.graph.shapes[name]
        channel, *place = (int(k) for k in np.unravel_index(entry, before))
        axes = []
        for k in (0, 1):
            first = [out * node.strides[k] - node.padding[k] for out in range(after[1 + k])]
            axes.append([out for out, at in enumerate(first) if at <= place[k] < at + node.kernel_size[k]])
        return [int(np.ravel_multi_index((channel, y, x), after)) for y in axes[0] for x in axes[1]]

    def _population(self, name: str, t: int, events: list[Event]) -> list[Event]:
        """What fires by itself at this time (R95), then the events one by one."""
        neurons, source = self.neurons[name], self.graph.predecessors(name)[0]
        found: list[tuple[At, float]] = [(at, 1.0) for at in neurons.fire_due(t)]
        for entry, x in events:
            targets = self._targets(source if source in self.direct else name, entry)
            for pixel, weights in targets:
                if source in self.direct:
                    self.found.synaptic_operations[source] += len(weights)
                found += neurons.take(t, pixel, weights, x)
        for then in neurons.dues():
            heapq.heappush(self.times, then)
        shape = self.graph.shapes[name]
        return [(int(np.ravel_multi_index(at, shape)), value) for at, value in found]

    def _targets(self, name: str, entry: int) -> list[tuple[At, list[tuple[int, Any]]]]:
        """(output pixel, (output channel, weight) of each) that an entry reaches, ascending (R57)."""
        if (name, entry) not in self.targets:
            self.targets[name, entry] = self._listed_targets(name, entry)
        return self.targets[name, entry]

    def _listed_targets(self, name: str, entry: int) -> list[tuple[At, list[tuple[int, Any]]]]:
        graph, node = self.graph, self.graph.nodes[name]
        if isinstance(node, Linear):
            return [((), [(o, node.weight[o, entry]) for o in range(graph.shapes[name][0])])]
        if not isinstance(node, Conv2d):  # neurons that events reach by themselves
            channel, *place = (int(k) for k in np.unravel_index(entry, graph.shapes[name]))
            return [(tuple(place), [(channel, F(1))])]
        before, after = graph.shapes[graph.predecessors(name)[0]], graph.shapes[name]
        channel, y, x = (int(k) for k in np.unravel_index(entry, before))
        group, k = divmod(channel, node.weight.shape[1])
        n_out = node.out_channels // node.groups
        found = []
        for i, j in np.ndindex(*node.kernel_size):
            row, row_rest = divmod(y + node.padding[0] - i * node.dilation[0], node.stride[0])
            column, column_rest = divmod(x + node.padding[1] - j * node.dilation[1], node.stride[1])
            if row_rest == column_rest == 0 and 0 <= row < after[1] and 0 <= column < after[2]:
                outs = range(group * n_out, (group + 1) * n_out)
                found.append(((row, column), [(o, node.weight[o, k, i, j]) for o in outs]))
        return sorted(found, key=lambda target: target[0])
