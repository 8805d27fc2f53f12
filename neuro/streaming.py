"""Running a continuous graph on events as they come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.event_collecting import EventsCollected, as_end, as_most, checked_event_record
from neuro.event_results import EventCounters
from neuro.events import MOST_SPIKES, Events, as_time
from neuro.frame_streaming import FrameStream
from neuro.graph import Clocked, Continuous, Graph
from neuro.inputs import check_graph
from neuro.lowering.continuous import lower_events
from neuro.lowering.event_run import FOREVER, EventRun
from neuro.lowering.event_running import check_events, check_silent_spikes, count_events, run_events
from neuro.monitors import Record

__all__ = ["Stream", "stream"]


class Stream:
    """A continuous graph at work: events in, events out. Made by :func:`stream`.

    Not to be shared between threads.

    Attributes
    ----------
    graph : Graph
        The graph that runs.
    duration_us : int or None
        Nothing at this time or later is computed; None where the end is not known.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        duration_us: int | None = None,
        record: Record | None = None,
        max_spikes: int = MOST_SPIKES,
    ) -> None:
        if not isinstance(graph.execution, Continuous):
            raise InputError(
                "Stream: the graph's execution is clocked, not continuous; neuro.stream makes a FrameStream of it"
            )
        if len(graph.output_names) != 1:
            raise InputError(
                f"stream: needs a graph with one sink, it has {len(graph.output_names)} "
                f"({', '.join(graph.output_names)}); use neuro.simulate, join them with Concat, or put a Delay(0) "
                "behind the node whose spikes are wanted"
            )
        self.graph = graph
        self.duration_us = None if duration_us is None else as_time("stream", "duration_us", duration_us)
        self._plan = lower_events(graph)
        self._run = EventRun(end=as_end(self.duration_us), limit=as_most("stream", max_spikes))
        wanted = checked_event_record(graph, self._plan, record, as_end(self.duration_us))
        self._collected = EventsCollected(graph, self._plan, wanted)
        self._collected.ask(self._run)
        self._is_finished = False

    def feed(self, events: Events) -> Events:
        """Take the next events and return the output that is certain.

        Parameters
        ----------
        events : Events
            Not earlier than those fed before. They may be simultaneous with the last ones. With a `duration_us`
            they are all that come before it, as if :meth:`advance` followed.

        Returns
        -------
        Events
            In order of time, continuing what was returned before; with a Delay their times may lie ahead.

        Raises
        ------
        InputError
            If the events are not of the Input's shape, begin before the last ones or what `advance` named, reach the
            end of the stream, or it is finished.
        """
        self._check_open("feed")
        events = check_events(self.graph, events)
        mark = self._run.mark
        if len(events):
            if events.t_us[0] < mark:
                raise InputError(
                    f"stream: events must not go back in time, got t_us[0] = {events.t_us[0]} after {mark}"
                )
            mark = int(events.t_us[-1])
            if self.duration_us is not None and mark >= self.duration_us:
                raise InputError(
                    f"stream: events must lie before duration_us = {self.duration_us}, got one at {mark} us"
                )
        return self._advance(events, max(mark, events.duration_us or 0))

    def advance(self, t_us: int) -> Events:
        """Say that no event comes before a time, and return the output that is certain now.

        Parameters
        ----------
        t_us : int
            Not before the last event or the last such time. Events at this very time may still come.

        Returns
        -------
        Events
            In order of time: spikes that neurons fire without input up to this time, and what joins held back.

        Raises
        ------
        InputError
            If the time is not a whole number, lies before what was fed already, or the stream is finished.
        """
        self._check_open("advance")
        mark = as_time("stream", "t_us", t_us)
        if mark < self._run.mark:
            raise InputError(f"stream: cannot advance to {mark} us, it is at {self._run.mark} us already")
        return self._advance(self._nothing(), mark)

    def finish(self) -> Events:
        """Return what was held back, knowing that no more events come.

        Returns
        -------
        Events
            The rest of the output.

        Raises
        ------
        InputError
            If the stream is finished already, or its graph may fire for ever and it has no `duration_us`.
        """
        self._check_open("finish")
        if self.duration_us is None and self._plan.endless:
            raise InputError(
                f"stream: {self._plan.endless}, so it has no last spike; call advance(t_us) for the spikes up to a "
                "time, or give the stream a duration_us"
            )
        left = self._advance(self._nothing(), FOREVER)
        self._is_finished = True
        return left

    @property
    def counters(self) -> EventCounters:
        """Exact counts so far."""
        return count_events(self._plan, self._run)

    @property
    def membranes(self) -> Mapping[str, NDArray[np.float64]]:
        """Recorded membranes at the times that are certain so far, shape (n_times, ...), by node."""
        return self._collected.membranes(self._run)

    @property
    def spikes(self) -> Mapping[str, Events]:
        """Recorded events so far, by node."""
        return self._collected.spikes(None)

    @property
    def spike_counts(self) -> Mapping[str, NDArray[np.int64]]:
        """Number of spikes of each neuron so far, where 'rate' was recorded."""
        return self._collected.spike_counts()

    @property
    def left_out(self) -> Mapping[str, Mapping[str, int]]:
        """What the monitors with ``overflow='count'`` had no room for."""
        return self._collected.left_out()

    def _check_open(self, what: str) -> None:
        if self._is_finished:
            raise InputError(
                f"stream: cannot {what}, the stream is finished; make a new one with neuro.stream"
            )

    def _nothing(self) -> Events:
        return Events([], [], [], self.graph.shapes[self.graph.input_name])

    def _advance(self, events: Events, mark: int) -> Events:
        check_silent_spikes(self._plan, self._run.mark, min(mark, self._run.end))
        try:
            run_events(self._plan, self._run, events, mark, self._collected.takers)
        except InputError:
            self._is_finished = True
            raise
        (output,) = self._collected.outputs(None).values()
        return output

    def __repr__(self) -> str:
        return f"Stream(after {self._run.n_events} events of graph {self.graph.digest[:12]})"


def stream(
    graph: Graph,
    *,
    duration_us: int | None = None,
    record: Record | None = None,
    max_spikes: int = MOST_SPIKES,
) -> Stream | FrameStream:
    """Start a graph at rest, to be fed with events in pieces of any size.

    All that comes out together equals ``neuro.simulate(graph, events).output`` on all events with the same
    duration, bit for bit, whatever the pieces. Of a clocked graph it equals the output of `simulate` on the frames
    that count the events of each step; attention then must know the past only (MovingAttention, or causal).

    Parameters
    ----------
    graph : Graph
        A graph with one sink, continuous or clocked; the options below are for continuous ones.
    duration_us : int, optional
        Nothing at this time or later is computed. A graph that may fire for ever (neurons driven above their
        threshold, cycles) needs it only to be finished.
    record : mapping of str to 'spikes', 'rate', a Monitor, or several of these, optional
        What to keep beside the output, by node, as for `simulate`; see the attributes of the stream.
    max_spikes : int
        Most spikes of one population in one call of the stream, and most events that a node may hold back: more is an
        error that names it, and ends the stream.

    Returns
    -------
    Stream or FrameStream
        Call ``feed(events)`` as events come, ``advance(t_us)`` when none came until then, and ``finish()`` after
        the last. A continuous graph gives events, a clocked one the rows of complete steps.

    Raises
    ------
    InputError
        If the graph has several sinks, the duration is not a time, `record` asks for what is not there, or an option
        is given that clocked graphs do not take.
    GraphError
        If a node has no meaning in continuous time or is not supported there.

    Examples
    --------
    >>> from neuro.graph import LIF, Graph, Input, Linear, continuous
    >>> from neuro.events import Events
    >>> graph = Graph(
    ...     {"in": Input(1), "fc": Linear([[0.6]]), "lif": LIF(tau_mem_s=0.02)},
    ...     [("in", "fc"), ("fc", "lif")],
    ...     continuous(),
    ... )
    >>> network = stream(graph)
    >>> network.feed(Events([1_000], [0], [1.0], shape=(1,))).t_us.tolist()
    []
    >>> network.feed(Events([3_500], [0], [1.0], shape=(1,))).t_us.tolist()
    [3500]
    >>> network.counters.spikes
    {'lif': 1}
    """
    check_graph("stream", graph)
    if isinstance(graph.execution, Clocked):
        if duration_us is not None or record is not None or max_spikes != MOST_SPIKES:
            raise InputError(
                "stream: duration_us, record and max_spikes are for continuous graphs; a clocked one gives every step"
            )
        return FrameStream(graph)
    return Stream(graph, duration_us=duration_us, record=record, max_spikes=max_spikes)
