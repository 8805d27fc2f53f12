"""What a run returns: outputs, recordings, exact counts, reports, and the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.spikes import Spikes

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from neuro.dynamics import DynamicsReport

__all__ = [
    "AttentionReport",
    "Counters",
    "NetworkState",
    "Recent",
    "Result",
    "SelectionReport",
    "State",
]

Floats = NDArray[np.float32]
Recent = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]


@dataclass(frozen=True)
class AttentionReport:
    """Which frames of a window were computed, and why.

    Attributes
    ----------
    scores : float32, shape (T,)
        Score of each frame, from 0 to 1.
    kept : bool, shape (T,)
        ``scores >= threshold``.
    threshold : float
        Least score of a kept frame.
    n_near_threshold : int
        Frames with ``|score - threshold| < 1e-6``: another implementation may decide them differently.
    events_total, events_kept : float
        Sums of the values of all frames, and of the kept ones.
    synaptic_operations : int or None
        Operations executed with the frames dropped; None without ``compare_attention``.
    synaptic_operations_without : int or None
        Operations executed when every frame is computed, counted in a second run; likewise.
    """

    scores: Floats
    kept: NDArray[np.bool_]
    threshold: float
    n_near_threshold: int
    events_total: float
    events_kept: float
    synaptic_operations: int | None = None
    synaptic_operations_without: int | None = None

    @property
    def n_kept(self) -> int:
        """Number of frames computed."""
        return int(self.kept.sum())

    @property
    def is_all_dropped(self) -> bool:
        """Whether no frame was computed: the outputs are those of a network at rest."""
        return self.n_kept == 0


@dataclass(frozen=True)
class SelectionReport:
    """How many channels or pixels a channel or spatial attention let through.

    Attributes
    ----------
    n_considered : int
        Channels (or pixels) with an entry, over all computed steps.
    n_kept : int
        Those of them whose score reached the threshold.
    n_near_threshold : int
        Those with ``|score - threshold| < 1e-6``: another implementation may decide them differently.
    entries_total, entries_kept : int
        Non-zero entries that arrived, and those that went on to the synapse.
    """

    n_considered: int
    n_kept: int
    n_near_threshold: int
    entries_total: int
    entries_kept: int

    def __add__(self, other: SelectionReport) -> SelectionReport:
        return SelectionReport(
            self.n_considered + other.n_considered,
            self.n_kept + other.n_kept,
            self.n_near_threshold + other.n_near_threshold,
            self.entries_total + other.entries_total,
            self.entries_kept + other.entries_kept,
        )


@dataclass(frozen=True)
class Counters:
    """What was really computed: counted in the kernels, never estimated.

    Attributes
    ----------
    n_steps : int
        Steps of the run.
    frames_skipped : int
        Steps that attention dropped.
    events_in : int
        Non-zero input entries on computed steps.
    counts_in : float
        Sum of their values.
    spikes : mapping of str to int
        Spikes emitted by each spiking node.
    synaptic_operations : mapping of str to int
        Accumulations executed by each Linear and Conv2d: one per (non-zero input entry, tap inside the frame,
        output channel).
    neuron_updates : mapping of str to int
        Membrane updates of each neuron node, dropped steps included (their membranes decay). Those of a silent stretch
        are made up for when the pixel is next needed.
    active_output_fraction : mapping of str to float
        For each Linear and Conv2d, the fraction of (computed step, output pixel) with a contribution.
    path_steps : mapping of str to mapping
        For each Linear and Conv2d, the computed steps by 'scatter', 'gather' and 'dense', and those in which the whole
        layer was 'silent' and skipped.
    delayed_entries_lost : mapping of str to int
        For each Delay, the entries that would have arrived on a dropped step.
    input_entries : mapping of str to int
        For each Linear and Conv2d, its input entries that are not zero, on computed steps.
    products : mapping of str to int
        Multiplications by the dense path of each Linear and Conv2d, those with silent inputs included.
    weight_bytes : mapping of str to int
        Bytes of weights that each Linear and Conv2d read: 4 for an operation or product, 1 for one on whole numbers.
    state_bytes : mapping of str to int
        Bytes of membranes (and synaptic currents) that each neuron node read and wrote.
    pixels_skipped : mapping of str to int
        For each neuron node, the (step, pixel) whose membranes were not touched but made up for later, in registers.
    weight_clips : mapping of str to int
        For each SparseLinear with stdp, how often a weight was clipped to its bounds.
    """

    n_steps: int
    frames_skipped: int
    events_in: int
    counts_in: float
    spikes: Mapping[str, int]
    synaptic_operations: Mapping[str, int]
    neuron_updates: Mapping[str, int]
    active_output_fraction: Mapping[str, float]
    path_steps: Mapping[str, Mapping[str, int]]
    delayed_entries_lost: Mapping[str, int]
    input_entries: Mapping[str, int] = field(default_factory=dict)
    products: Mapping[str, int] = field(default_factory=dict)
    weight_bytes: Mapping[str, int] = field(default_factory=dict)
    state_bytes: Mapping[str, int] = field(default_factory=dict)
    pixels_skipped: Mapping[str, int] = field(default_factory=dict)
    weight_clips: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_synaptic_operations(self) -> int:
        """Synaptic operations of all nodes."""
        return sum(self.synaptic_operations.values())


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """Where a run ended: what the next chunk starts from. Opaque and immutable.

    Attributes
    ----------
    graph_digest : str
        The graph it belongs to.
    n_steps : int
        Steps run so far.
    membranes, lines : mapping
        Contents of neurons and delays, in the engine's layout.
    histories : mapping
        What the scores of causal attention depend on.
    """

    graph_digest: str
    n_steps: int
    membranes: Mapping[str, tuple[NDArray[Any], ...]]
    lines: Mapping[str, Any]
    histories: Mapping[str, Floats] = field(default_factory=dict, kw_only=True)

    def __repr__(self) -> str:
        return f"State(after {self.n_steps} steps of graph {self.graph_digest[:12]})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NetworkState(State):
    """Where a run of a network of populations ended.

    Attributes
    ----------
    variables : mapping of str to mapping of str to array, shape (n,)
        The variables of every population by name: ``v``, then what its model has.
    recent : mapping of str to tuple of three arrays, shape (n_entries,)
        Step, index and value (in the run's precision) of what every source and population handed on in the last
        steps, as far as it still acts.
    weights : mapping of str to array, shape (n_synapses,)
        The present weights of each SparseLinear with stdp.
    traces : mapping of str to tuple of two arrays
        Their traces: of the inputs (shape (n_delays, n) where synapses have several delays, ascending), and of the
        neurons.
    precision : str
        'float32' or 'float64'.
    """

    variables: Mapping[str, Mapping[str, NDArray[Any]]]
    recent: Mapping[str, Recent]
    weights: Mapping[str, NDArray[Any]]
    traces: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    precision: str


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The outcome of one run. Counters, reports and state may be put together only when they are first asked for.

    Attributes
    ----------
    outputs : mapping of str to float32 array, shape (n_steps, ...)
        The output of every sink: membranes of a leaky integrator, zeros and ones of spiking neurons.
    spikes : mapping of str to Spikes
        Recorded spikes (or counts): all, or as many as a Monitor's limit allows.
    membranes : mapping of str to float32 array, shape (n_steps, ...)
        Recorded membranes, after the reset; fewer steps where a Monitor has a limit.
    counters : Counters
        Exact counts.
    attention : AttentionReport or None
        Of the first temporal attention (the one behind the Input, if there is one); None without.
    dynamics : DynamicsReport or None
        What was computed and what was left out; None unless `simulate` was given dynamics.
    state : State
        Pass it as `state` with the next chunk.
    spike_counts : mapping of str to int64 array, shape (...)
        Number of spikes of each neuron, where 'rate' was recorded; over ``n_steps * dt_s`` it is the rate in Hz.
    left_out : mapping of str to mapping of str to int
        What the monitors with ``overflow='count'`` had no room for: spikes by 'spikes', steps by 'membrane'.
    attentions : mapping of str to AttentionReport
        Of every temporal attention, by its name.
    selections : mapping of str to SelectionReport
        Of every channel and spatial attention, by its name.
    weights : mapping of str to array, shape (n_synapses,)
        The weights of each SparseLinear with stdp after the run, in its order; the graph keeps those before.
    n_threads : int
        Threads that shared the run: a network of populations takes no more than its size is worth.
    """

    outputs: Mapping[str, Floats]
    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, Floats]
    counters: Counters
    attention: AttentionReport | None
    state: State
    spike_counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    attentions: Mapping[str, AttentionReport] = field(default_factory=dict)
    selections: Mapping[str, SelectionReport] = field(default_factory=dict)
    dynamics: DynamicsReport | None = field(
        default_factory=lambda: None
    )  # a field without an attribute of the class
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    n_threads: int = 1

    @classmethod
    def of(cls, outputs: Mapping[str, Floats], parts: Callable[[str], Any]) -> Result:
        """Return a result whose other attributes `parts` gives by name when they are first asked for."""
        result = object.__new__(cls)
        result.__dict__["outputs"], result.__dict__["_parts"] = outputs, parts
        return result

    if not TYPE_CHECKING:  # mypy would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            parts = self.__dict__.get("_parts")
            if parts is None or name not in self.__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            found = self.__dict__[name] = parts(name)
            return found

    @property
    def output(self) -> Floats:
        """The output of the only sink; an InputError where there are several."""
        if len(self.outputs) != 1:
            raise InputError(
                f"Result: the graph has {len(self.outputs)} sinks ({', '.join(self.outputs)}); "
                "take one of result.outputs"
            )
        return next(iter(self.outputs.values()))

    def plot(self, *, n_neurons: int = 4, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
        """Draw what was recorded: scores of the attention, a raster for each layer, membranes of a few neurons.

        Parameters
        ----------
        n_neurons : int
            Membranes drawn for each node, at least 1: those of the neurons that vary most.
        figure : matplotlib Figure or SubFigure, optional
            What to draw into, for example ``matplotlib.pyplot.figure(layout="constrained")`` for a window; None
            makes a new figure that no window system knows: show it in a notebook, or call its ``savefig``.

        Returns
        -------
        Figure or SubFigure
            `figure`, or the new one. Panels share the axis of steps; frames that attention dropped are shaded.

        Raises
        ------
        InputError
            If nothing was recorded and there is no attention, or `n_neurons` is not a whole number >= 1.
        MissingPackageError
            If matplotlib is missing.

        Examples
        --------
        >>> import neuro
        >>> from neuro.graph import IF, Graph, Input, clocked
        >>> graph = Graph({"in": Input(2), "out": IF(1.0)}, [("in", "out")], clocked(dt_s=0.001))
        >>> result = neuro.simulate(graph, [[0.6, 2.0]] * np.ones((9, 1)), record={"out": ("spikes", "membrane")})
        >>> len(result.plot().axes)
        2
        """
        if isinstance(n_neurons, bool) or not isinstance(n_neurons, (int, np.integer)) or n_neurons < 1:
            raise InputError(f"Result.plot: n_neurons must be a whole number >= 1, got {n_neurons!r}")
        from neuro.figures import Scores, draw_run

        attention = self.attention
        return draw_run(
            self.spikes,
            self.membranes,
            None if attention is None else Scores(attention.scores, attention.kept, attention.threshold),
            left_out=self.left_out,
            n_steps=self.counters.n_steps,
            n_neurons=n_neurons,
            figure=figure,
        )

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {array.shape}" for name, array in self.outputs.items())
        counters = self.counters
        return (
            f"Result({shapes}; {counters.n_steps} steps, {sum(counters.spikes.values())} spikes, "
            f"{counters.total_synaptic_operations} synaptic operations{self._left_out_text()})"
        )

    def _left_out_text(self) -> str:
        parts = [
            f"{n} {'spikes' if kind == 'spikes' else 'membrane steps'} of {name!r}"
            for name, kinds in self.left_out.items()
            for kind, n in kinds.items()
            if n
        ]
        return f"; not recorded: {', '.join(parts)}" if parts else ""
