"""What a run in continuous time returns: events, recordings, exact counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import Events
from neuro.figures import draw_events

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["EventCounters", "EventResult"]


@dataclass(frozen=True)
class EventCounters:
    """What was really computed in continuous time: counted in the kernels, never estimated.

    Attributes
    ----------
    events_in : int
        Events that entered.
    spikes : mapping of str to int
        Spikes emitted by each IF and LIF.
    synaptic_operations : mapping of str to int
        Accumulations executed by each Linear and Conv2d: one per (event, tap inside the frame, output channel of
        its group).
    neuron_updates : mapping of str to int
        Membranes brought to the time of an event, by neuron node.
    lost_in_refractory : mapping of str to int
        For each neuron node, the pairs (event, neuron) without effect on the membrane, which was held after a spike.
    """

    events_in: int
    spikes: Mapping[str, int]
    synaptic_operations: Mapping[str, int]
    neuron_updates: Mapping[str, int]
    lost_in_refractory: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_synaptic_operations(self) -> int:
        """Synaptic operations of all nodes."""
        return sum(self.synaptic_operations.values())


@dataclass(frozen=True, eq=False, repr=False)
class EventResult:
    """The outcome of one run in continuous time.

    Attributes
    ----------
    outputs : mapping of str to Events
        What left each sink, with its times.
    spikes : mapping of str to Events
        Recorded events, by node: all, or as many as a Monitor's limit allows.
    counters : EventCounters
        Exact counts.
    membranes : mapping of str to float64 array, shape (n_times, ...)
        Membranes at the times that a Monitor named, each behind all that happened then.
    membrane_times_us : mapping of str to int64 array, shape (n_times,)
        Those times.
    spike_counts : mapping of str to int64 array, shape (...)
        Number of spikes of each neuron, where 'rate' was recorded.
    left_out : mapping of str to mapping of str to int
        What the monitors with ``overflow='count'`` had no room for: events, by 'spikes'.
    """

    outputs: Mapping[str, Events]
    spikes: Mapping[str, Events]
    counters: EventCounters
    membranes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    membrane_times_us: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    spike_counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def output(self) -> Events:
        """The output of the only sink; an InputError where there are several."""
        if len(self.outputs) != 1:
            raise InputError(
                f"EventResult: the graph has {len(self.outputs)} sinks ({', '.join(self.outputs)}); "
                "take one of result.outputs"
            )
        return next(iter(self.outputs.values()))

    def plot(self, *, n_neurons: int = 4, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
        """Draw what was recorded over time: a raster for each node, membranes of a few neurons.

        Parameters
        ----------
        n_neurons : int
            Membranes drawn for each node, at least 1: those of the neurons that vary most.
        figure : matplotlib Figure or SubFigure, optional
            What to draw into; None makes a new figure that no window system knows, as `Result.plot` does.

        Returns
        -------
        Figure or SubFigure
            `figure`, or the new one.

        Raises
        ------
        InputError
            If nothing was recorded, or `n_neurons` is not a whole number >= 1.
        MissingPackageError
            If matplotlib is missing.

        Examples
        --------
        >>> import neuro
        >>> from neuro.graph import LIF, Graph, Input, continuous
        >>> graph = Graph({"in": Input(1), "out": LIF(0.01, 1.5)}, [("in", "out")], continuous())
        >>> events = Events([1_000, 2_000, 8_000], [0, 0, 0], [1.0, 1.0, 1.0], shape=(1,))
        >>> monitors = ["spikes", neuro.Monitor("membrane", times_us=range(0, 10_000, 100))]
        >>> len(neuro.simulate(graph, events, record={"out": monitors}).plot().axes)
        2
        """
        if isinstance(n_neurons, bool) or not isinstance(n_neurons, (int, np.integer)) or n_neurons < 1:
            raise InputError(f"EventResult.plot: n_neurons must be a whole number >= 1, got {n_neurons!r}")
        return draw_events(
            self.spikes,
            self.membranes,
            self.membrane_times_us,
            left_out=self.left_out,
            n_neurons=int(n_neurons),
            figure=figure,
        )

    def __repr__(self) -> str:
        found = ", ".join(f"{name}: {len(events)}" for name, events in self.outputs.items())
        return (
            f"EventResult(events out: {found}; {self.counters.events_in} events in, "
            f"{self.counters.total_synaptic_operations} synaptic operations)"
        )
