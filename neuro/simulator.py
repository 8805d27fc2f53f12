"""Running a graph: clocked on spikes or frames, continuous on events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.events import MOST_SPIKES, Events
from neuro.graph import Clocked, Graph
from neuro.graph.networks import needs_populations
from neuro.inputs import check_graph, check_state, checked_input
from neuro.monitors import Record
from neuro.networks import NetworkSettings, check_plain, simulate_network
from neuro.spikes import Spikes

if TYPE_CHECKING:
    from neuro.dynamics import Dynamics
    from neuro.event_results import EventResult
    from neuro.lowering.networks import Precision
    from neuro.results import Result, State

__all__ = ["simulate"]


@overload
def simulate(
    graph: Graph,
    inputs: Spikes | NDArray[Any],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> Result: ...


@overload
def simulate(
    graph: Graph,
    inputs: None = None,
    *,
    n_steps: int | None = None,
    duration_s: float | None = None,
    record: Record | None = None,
    state: State | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> Result: ...


@overload
def simulate(
    graph: Graph,
    inputs: Events,
    *,
    record: Record | None = None,
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> EventResult: ...


@overload
def simulate(
    graph: Graph,
    inputs: list[Events],
    *,
    record: Record | None = None,
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> list[EventResult]: ...


@overload
def simulate(
    graph: Graph,
    inputs: list[Spikes | NDArray[Any]] | list[Spikes] | list[NDArray[Any]],
    *,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    n_threads: int = 1,
) -> list[Result]: ...


def simulate(
    graph: Graph,
    inputs: Any = None,
    *,
    n_steps: int | None = None,
    duration_s: float | None = None,
    record: Record | None = None,
    state: State | None = None,
    use_attention: bool = True,
    compare_attention: bool = False,
    dynamics: Dynamics | None = None,
    precision: Precision = "float32",
    max_spikes: int = MOST_SPIKES,
    n_threads: int = 1,
) -> Result | list[Result] | EventResult | list[EventResult]:
    """Run a graph on what is active: a clocked one layer by layer, a continuous one event by event.

    Clocked: each step runs all nodes once in the graph's order; spikes cross a layer within the step. All values are
    float32, sums are taken one term at a time in a fixed order (bias, then the non-zero inputs in ascending
    tap and channel order), so results do not depend on how a run is cut into chunks, and a dense
    evaluation in the same order gives the same bits.

    Continuous: every event acts at its own microsecond. A synapse makes the membrane jump by its weight; between
    events a LIF follows ``v(t) = rest + (v(t0) - rest) * exp(-(t - t0) / tau_mem_s)``, which cannot reach the
    threshold, so comparing at events is exact. `neuro.stream` takes the same events in pieces.

    Networks of populations (clocked graphs with SparseLinear, PoissonSource, refractory periods ..): each step
    delivers what arrives, the oldest spikes first, updates every neuron, and lists who fired. Where there is no
    Input, `n_steps` or `duration_s` says how long to run.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=clocked(dt_s)`` or ``continuous()``.
    inputs : Spikes, array of shape ``(n_steps, *shape)``, Events, or a list of these
        The frames of a clocked graph's Input, or the events of a continuous one; each a recording of its own.
        A list gives a list of results. None for a network of populations without an Input.
    n_steps : int, optional
        Length of the run in steps, where there is no Input.
    duration_s : float, optional
        The same in seconds, a multiple of ``dt_s``.
    record : mapping of str to 'spikes', 'membrane', 'rate', a Monitor, or several of these, optional
        What to keep, by node: spikes (or counts) of any node that hands on spikes, membranes (after the
        reset) of neurons, the number of spikes of each spiking neuron. A `Monitor` bounds what is kept, and names the
        times of membranes in a continuous graph.
    state : State, optional
        ``Result.state`` of the chunk before this one; None starts at rest. Clocked graphs only.
    use_attention : bool
        Whether a TemporalAttention drops frames; with False all frames are computed.
    compare_attention : bool
        Whether to run a second time with every frame, so that ``Result.attention`` reports the synaptic
        operations with and without attention. Clocked graphs only; nothing happens without attention.
    dynamics : Dynamics, optional
        What may be left out: frames that attention drops, and the steps after an early exit. Then ``Result.dynamics``
        says what was computed. Clocked graphs only. With `use_attention` False attention stays off.
    precision : {'float32', 'float64'}
        The arithmetic of a network of populations; all other graphs are float32.
    max_spikes : int
        Most spikes of one population in a recording of a continuous graph, and most events that a node may hold: more
        is an error that names it, before memory runs out.
    n_threads : int
        Threads that share the recordings of a list, the output rows of the layers for a single recording, or the
        neurons of a network of populations (no more than it is worth). The result has the same bits for any number.

    Returns
    -------
    Result or list of Result
        Outputs of the sinks, recordings, exact counters, attention report and state; EventResult (outputs,
        recordings, counters) for Events.

    Raises
    ------
    GraphError
        If a node has no meaning in continuous time or is not supported there.
    InputError
        If an input is not of the kind that the graph's execution takes, has another shape or holds what the
        graph's Input does not allow (NaN, infinity, more than ``max_count``), the number of frames is not that
        of the attention, `record` names an unknown node or asks for what it does not have, a monitor
        overflows, `state` is of another graph, `dynamics` does not fit the graph or goes with a state, or a population
        of a continuous graph fires more than `max_spikes`.

    Notes
    -----
    Error: none against the stated float32 equations. On a graph with a ``weight_grid`` all sums are exact,
    and results equal those of any other float32 implementation of the same neuron equations.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> graph = Graph(
    ...     {"in": Input(2), "fc": Linear([[0.6, 0.0]]), "out": IF(1.0)},
    ...     [("in", "fc"), ("fc", "out")],
    ...     clocked(dt_s=0.001),
    ... )
    >>> result = simulate(graph, np.ones((4, 2)))
    >>> result.output[:, 0].tolist(), result.counters.synaptic_operations
    ([0.0, 1.0, 0.0, 1.0], {'fc': 8})
    """
    _check_call(graph, n_threads)
    if not isinstance(graph.execution, Clocked):
        check_plain(n_steps, duration_s, precision)
        run = _event_runner(graph, record, max_spikes, state=state, dynamics=dynamics)
        return _run_each(run, inputs, int(n_threads))
    if max_spikes != MOST_SPIKES:
        raise InputError(
            "simulate: max_spikes bounds continuous graphs; bound what is kept with a neuro.Monitor"
        )
    if needs_populations(graph.nodes):
        check_state(graph, state)
        settings = NetworkSettings(n_steps, duration_s, record, state, precision, int(n_threads), dynamics)
        return simulate_network(graph, inputs, settings, partial(checked_input, graph, None))
    check_plain(n_steps, duration_s, precision)
    if isinstance(inputs, list) and state is not None:
        raise InputError(
            "simulate: state continues one recording, but inputs is a list; pass the recordings one by one"
        )
    from neuro.running import runner

    run = runner(
        graph,
        record=record,
        state=state,
        use_attention=use_attention,
        compare_attention=compare_attention,
        dynamics=dynamics,
    )
    return _run_each(run, inputs, int(n_threads))


def _check_call(graph: Graph, n_threads: int) -> None:
    check_graph("simulate", graph)
    if isinstance(n_threads, bool) or not isinstance(n_threads, (int, np.integer)) or n_threads < 1:
        raise InputError(f"simulate: n_threads must be a whole number >= 1, got {n_threads!r}")


def _event_runner(
    graph: Graph, record: Record | None, max_spikes: int, *, state: State | None, dynamics: Dynamics | None
) -> Callable[..., Any]:
    """Return what runs a recording through a continuous graph; it knows neither dynamics nor state."""
    if dynamics is not None:
        raise InputError("simulate: dynamics leave out steps, but a continuous graph has none; leave it out")
    if state is not None:
        raise InputError("simulate: a continuous graph takes no state; feed pieces to neuro.stream(graph)")
    from neuro.event_collecting import as_most, simulate_events

    return partial(simulate_events, graph, record=record, max_spikes=as_most("simulate", max_spikes))


def _run_each(run: Callable[..., Any], inputs: Any, n_threads: int) -> Result | EventResult | list[Any]:
    """Run one recording, or those of a list; threads share the list, else what is inside a recording."""
    if not isinstance(inputs, list):
        result: Result | EventResult = run(inputs, n_threads=n_threads)
        return result
    if n_threads == 1 or len(inputs) < 2:
        return [run(one, n_threads=n_threads) for one in inputs]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(partial(run, n_threads=1), inputs))
