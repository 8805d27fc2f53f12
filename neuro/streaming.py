"""Running a continuous graph on events as they come."""

from __future__ import annotations

from neuro.errors import InputError
from neuro.events import Events
from neuro.graph import Continuous, Graph
from neuro.kernels.events import Deltas
from neuro.lowering.continuous import as_events, check_events, count_events, lower_events, run_events
from neuro.lowering.flow import EventRun, gathered
from neuro.results import EventCounters

__all__ = ["Stream", "stream"]


class Stream:
    """A continuous graph at work: events in, events out. Made by :func:`stream`.

    Not to be shared between threads.

    Attributes
    ----------
    graph : Graph
        The graph that runs.
    """

    def __init__(self, graph: Graph) -> None:
        if not isinstance(graph.execution, Continuous):
            raise InputError(
                "stream: the graph's execution is clocked, not continuous; pass chunks of frames and the state to "
                "neuro.simulate, or build it with execution=continuous()"
            )
        if len(graph.output_names) != 1:
            raise InputError(
                f"stream: needs a graph with one sink, it has {len(graph.output_names)} "
                f"({', '.join(graph.output_names)}); use neuro.simulate, or join them with Concat"
            )
        self.graph = graph
        self._plan = lower_events(graph)
        self._run = EventRun()
        self._latest = 0
        self._is_finished = False

    def feed(self, events: Events) -> Events:
        """Take the next events and return the output that is certain.

        Parameters
        ----------
        events : Events
            Not earlier than those fed before. They may be simultaneous with the last ones.

        Returns
        -------
        Events
            In order of time, continuing what was returned before; with a Delay their times may lie ahead.

        Raises
        ------
        InputError
            If the events are not of the Input's shape, begin before the last ones, or the stream is finished.
        """
        self._check_open("feed")
        events = check_events(self.graph, events)
        if len(events):
            if events.t_us[0] < self._latest:
                raise InputError(
                    f"stream: events must not go back in time, got t_us[0] = {events.t_us[0]} after {self._latest}"
                )
            self._latest = int(events.t_us[-1])
        return self._advance(events)

    def finish(self) -> Events:
        """Return what was held back, knowing that no more events come.

        Returns
        -------
        Events
            The rest of the output.

        Raises
        ------
        InputError
            If the stream is finished already.
        """
        self._check_open("finish")
        self._is_finished = True
        return self._advance(None)

    @property
    def counters(self) -> EventCounters:
        """Exact counts so far."""
        return count_events(self._plan, self._run)

    def _check_open(self, what: str) -> None:
        if self._is_finished:
            raise InputError(
                f"stream: cannot {what}, the stream is finished; make a new one with neuro.stream"
            )

    def _advance(self, events: Events | None) -> Events:
        sink = self.graph.output_names[0]
        found: dict[str, list[Deltas]] = {sink: []}
        run_events(self._plan, self._run, events, found)
        return as_events(gathered(found[sink]), self._plan.layouts[sink])

    def __repr__(self) -> str:
        return f"Stream(after {self._run.n_events} events of graph {self.graph.digest[:12]})"


def stream(graph: Graph) -> Stream:
    """Start a continuous graph at rest, to be fed with events in pieces of any size.

    All that comes out together equals ``neuro.simulate(graph, events).output`` on all events, bit for bit,
    whatever the pieces.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=continuous()`` and one sink.

    Returns
    -------
    Stream
        Call ``feed(events)`` as events come, and ``finish()`` after the last.

    Raises
    ------
    InputError
        If the graph is clocked or has several sinks.
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
    return Stream(graph)
