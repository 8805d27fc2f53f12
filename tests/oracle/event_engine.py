"""The slow, obvious engine for continuous time: one queue of times, one event after another, plain numbers.

Shares no code with the engine but the graph. At each time the nodes run once in order, each on all its events
of that time; a Delay puts what it gets into the queue. Every neuron is its own loop. Neurons that may fire between
events are in `event_neurons`; the times at which they will stand in the queue too.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Linear,
    SumPool2d,
)
from tests.oracle.event_neurons import TimedNeurons, is_timed

F = np.float32
Event = tuple[int, float]  # entry in the node's flat shape, value


@dataclass
class EventOracle:
    """Everything that left every node, in order, and the counts."""

    left: dict[str, list[tuple[int, int, float]]] = field(default_factory=lambda: defaultdict(list))
    spikes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    synaptic_operations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    neuron_updates: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost_in_refractory: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    voltage: dict[str, Any] = field(default_factory=dict)


def simulate_events(
    graph: Graph, events: list[tuple[int, int, float]], duration_us: int | None = None
) -> EventOracle:
    """Run a continuous graph on (t_us, flat index, value), in order, up to a time that is left out."""
    return _Engine(graph).run(events, math.inf if duration_us is None else duration_us)


class _Engine:
    """State of every node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.oracle = EventOracle()
        self.last: dict[str, Any] = {}
        self.line: dict[tuple[str, int], list[Event]] = defaultdict(list)
        self.times: list[int] = []
        self.timed: dict[str, TimedNeurons] = {}
        for name, node in graph.nodes.items():
            if isinstance(node, (IF, LIF, CubaLIF, LI)) and is_timed(graph, name):
                self.timed[name] = TimedNeurons(graph, name)
                self.oracle.voltage[name] = self.timed[name].v
            elif isinstance(node, (IF, LIF)):
                self.oracle.voltage[name] = self._rest(name).copy()
                self.last[name] = np.zeros(graph.shapes[name][1:], np.int64)

    def run(self, events: list[tuple[int, int, float]], end: float) -> EventOracle:
        """Go from time to time until the queue is empty, or the end."""
        arriving: dict[int, list[Event]] = defaultdict(list)
        for t, index, value in events:
            arriving[t].append((index, value))
            heapq.heappush(self.times, t)
        for neurons in self.timed.values():
            self.times += neurons.dues()
        heapq.heapify(self.times)
        before = -1
        while self.times:
            t = heapq.heappop(self.times)
            if t >= end:
                break
            if t == before:
                continue
            before = t
            self.instant(t, arriving[t])
        return self.oracle

    def instant(self, t: int, arriving: list[Event]) -> None:
        """Run every node once; a Delay that closes a cycle gets its input after all others ran."""
        leaving: dict[str, list[Event]] = {}
        for name in self.graph.order:
            inputs = [leaving.get(source, []) for source in self.graph.predecessors(name)]
            leaving[name] = arriving if not inputs else self.node(name, t, inputs)
            self.oracle.left[name] += [(t, index, value) for index, value in leaving[name]]
        for place, name in enumerate(self.graph.order):
            sources = self.graph.predecessors(name)
            if sources and not set(sources) <= set(self.graph.order[:place]):
                self.delayed(name, t, leaving[sources[0]])

    def delayed(self, name: str, t: int, events: list[Event]) -> None:
        """Put events into a Delay."""
        node = self.graph.nodes[name]
        assert isinstance(node, Delay)
        then = t + round(node.delay_s * 1e6)
        if events:
            self.line[name, then] += events
            heapq.heappush(self.times, then) if then > t else None

    def node(self, name: str, t: int, inputs: list[list[Event]]) -> list[Event]:
        """Return what leaves a node at time t."""
        graph, node = self.graph, self.graph.nodes[name]
        if isinstance(node, Delay):
            self.delayed(name, t, inputs[0])
            return self.line.pop((name, t), [])
        if isinstance(node, (Linear, Conv2d, Flatten)):  # synapses: the neurons behind them read the events
            return inputs[0]
        if isinstance(node, Add):
            return [event for found in inputs for event in found]
        if isinstance(node, Concat):
            offsets = np.cumsum([0, *(math.prod(graph.shapes[s]) for s in graph.predecessors(name))])
            return [(int(o) + i, v) for o, found in zip(offsets, inputs, strict=False) for i, v in found]
        if isinstance(node, (SumPool2d, AvgPool2d)):
            return [out for event in inputs[0] for out in self.pool(name, node, event)]
        if name in self.timed:
            return self.timed_neurons(name, t, inputs[0])
        assert isinstance(node, (IF, LIF))
        return [spike for event in inputs[0] for spike in self.neurons(name, t, event)]

    def timed_neurons(self, name: str, t: int, events: list[Event]) -> list[Event]:
        """What fires by itself at this time, then the events one by one."""
        shape, neurons, oracle = self.graph.shapes[name], self.timed[name], self.oracle
        found = [(int(np.ravel_multi_index(at, shape)), 1.0) for at in neurons.fire_due(t)]
        oracle.spikes[name] += len(found)
        for event in events:
            for pixel in np.ndindex(*shape[1:]):
                weights = self.weights(name, event[0], pixel)
                source = self.graph.predecessors(name)[0]
                oracle.neuron_updates[name] += len(weights)
                if isinstance(self.graph.nodes[source], (Linear, Conv2d)):
                    oracle.synaptic_operations[source] += len(weights)
                for channel, weight in weights:
                    left = neurons.arrive((channel, *pixel), t, float(weight) * float(F(event[1])))
                    if left is not None:
                        found.append((int(np.ravel_multi_index((channel, *pixel), shape)), left))
                        oracle.spikes[name] += not neurons.is_readout
        oracle.lost_in_refractory[name] = neurons.n_lost
        for then in neurons.dues():
            heapq.heappush(self.times, then)
        return found

    def pool(self, name: str, node: SumPool2d | AvgPool2d, event: Event) -> list[Event]:
        """Every window, in order, that holds the entry."""
        before, after = self.graph.shapes[self.graph.predecessors(name)[0]], self.graph.shapes[name]
        c, y, x = (int(k) for k in np.unravel_index(event[0], before))
        value = F(event[1])
        if isinstance(node, AvgPool2d):
            value = value / F(node.kernel_size[0] * node.kernel_size[1])
        found = []
        for row in range(after[1]):
            for column in range(after[2]):
                top = row * node.strides[0] - node.padding[0]
                left = column * node.strides[1] - node.padding[1]
                if (
                    top <= y < top + node.kernel_size[0]
                    and left <= x < left + node.kernel_size[1]
                    and value != 0
                ):
                    found.append((int(np.ravel_multi_index((c, row, column), after)), float(value)))
        return found

    def neurons(self, name: str, t: int, event: Event) -> list[Event]:
        """One event through the synapse before a population, and the population."""
        shape, v = self.graph.shapes[name], self.oracle.voltage[name]
        n_channels = shape[0]
        fired = []
        for pixel in np.ndindex(*shape[1:]):
            weights = self.weights(name, event[0], pixel)
            if not weights:
                continue
            elapsed = t - int(self.last[name][pixel])
            self.last[name][pixel] = t
            for channel in range(n_channels):
                v[(channel, *pixel)] = self.decayed(name, (channel, *pixel), elapsed)
            self.oracle.neuron_updates[name] += n_channels
            source = self.graph.predecessors(name)[0]
            if isinstance(self.graph.nodes[source], (Linear, Conv2d)):
                self.oracle.synaptic_operations[source] += len(weights)
            for channel, weight in weights:
                at = (channel, *pixel)
                v[at] = v[at] + weight * F(event[1])
                if self.fires(name, at):
                    fired.append((int(np.ravel_multi_index(at, shape)), 1.0))
        self.oracle.spikes[name] += len(fired)
        return fired

    def weights(self, name: str, entry: int, pixel: tuple[int, ...]) -> list[tuple[int, Any]]:
        """(output channel, weight) for each channel of a pixel that the entry reaches."""
        graph = self.graph
        source = graph.predecessors(name)[0]
        node = graph.nodes[source]
        if isinstance(node, Linear):
            return [(o, node.weight[o, entry]) for o in range(graph.shapes[name][0])]
        if not isinstance(node, Conv2d):
            channel, *place = (int(k) for k in np.unravel_index(entry, graph.shapes[name]))
            return [(channel, F(1))] if tuple(place) == pixel else []
        channel, y, x = (int(k) for k in np.unravel_index(entry, graph.shapes[graph.predecessors(source)[0]]))
        group, k = divmod(channel, node.weight.shape[1])
        n_out = node.out_channels // node.groups
        for i in range(node.kernel_size[0]):
            for j in range(node.kernel_size[1]):
                row = pixel[0] * node.stride[0] - node.padding[0] + i * node.dilation[0]
                column = pixel[1] * node.stride[1] - node.padding[1] + j * node.dilation[1]
                if (row, column) == (y, x):
                    return [(o, node.weight[o, k, i, j]) for o in range(group * n_out, (group + 1) * n_out)]
        return []

    def _rest(self, name: str) -> Any:
        node, shape = self.graph.nodes[name], self.graph.shapes[name]
        rest = np.broadcast_to(F(0 if isinstance(node, IF) else node.v_leak), shape)
        before = self.graph.nodes[self.graph.predecessors(name)[0]]
        if isinstance(before, (Linear, Conv2d)) and before.bias is not None:
            rest = rest + before.bias.reshape(-1, *(1,) * (len(shape) - 1))
        return rest

    def decayed(self, name: str, at: tuple[int, ...], elapsed: int) -> Any:
        """The membrane after some silence."""
        node, v = self.graph.nodes[name], self.oracle.voltage[name][at]
        if isinstance(node, IF):
            return v
        tau_s = float(np.broadcast_to(np.float64(node.tau_mem_s), self.graph.shapes[name])[at])
        rate = -1e-6 / tau_s
        high, low = divmod(elapsed, 1024)
        factor = F(math.exp(1024 * high * rate) * math.exp(low * rate))
        if factor == 1:
            return v
        rest = self._rest(name)[at]
        return rest + (v - rest) * factor

    def fires(self, name: str, at: tuple[int, ...]) -> bool:
        """Compare and reset one neuron."""
        node, shape, v = self.graph.nodes[name], self.graph.shapes[name], self.oracle.voltage[name]
        assert isinstance(node, (IF, LIF))
        threshold, v_reset = (np.broadcast_to(F(p), shape)[at] for p in (node.threshold, node.v_reset))
        is_above = v[at] > threshold if node.comparison == ">" else v[at] >= threshold
        if is_above:
            v[at] = {"value": v_reset, "subtract": v[at] - threshold, "clamp": threshold}[node.reset]
        return bool(is_above)
