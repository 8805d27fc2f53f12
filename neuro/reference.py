"""The dense reference engine: the equations of ``docs/graph-spec.md`` in plain NumPy, one node after the other.

It is written to be read beside the specification (the comments name its requirements) and shares nothing with
the engine but the graph. It computes everything that the engine avoids: silent inputs, resting pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.graph import (
    CODED,
    CODING,
    IF,
    LI,
    NEURONS,
    SELECTIONS,
    SPIKING,
    TEMPORAL,
    Clocked,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Node,
    SparseLinear,
    fold_pooling,
)
from neuro.graph.networks import refuse_populations
from neuro.reference_attention import checked_gates, computed_nodes, selected
from neuro.reference_coded import CodedNodes, CodedState
from neuro.reference_nodes import added, evaluate_node, sparse_linear, synapse_steps
from neuro.results import AttentionReport
from neuro.spikes import Spikes

__all__ = ["DenseResult", "DenseState", "evaluate"]

Floats = NDArray[np.float32]
F = np.float32


@dataclass(frozen=True, eq=False, repr=False)
class DenseState:
    """Where an evaluation ended: what the next chunk starts from.

    Attributes
    ----------
    graph_digest : str
        The graph it belongs to.
    membranes, currents : mapping of str to float32 array
        Membrane of every neuron, synaptic current of every CubaLIF.
    lines : mapping of str to float32 array, shape (delay in steps, ...)
        What is under way in every Delay, and the inputs that still act over every SparseLinear, the oldest first.
    held : mapping of str to int64 array
        For how many more steps each neuron of a population with a refractory period is held.
    coded : mapping of str to (steps so far, arrays by name)
        What the nodes of section 16 remember.
    """

    graph_digest: str
    membranes: Mapping[str, Floats]
    currents: Mapping[str, Floats]
    lines: Mapping[str, Floats]
    held: Mapping[str, NDArray[np.int64]]
    coded: CodedState = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class DenseResult:
    """The values of all nodes in all steps.

    Attributes
    ----------
    outputs : mapping of str to float32 array, shape (n_steps, ...)
        The output of every sink, as `Result.outputs`.
    spikes : mapping of str to Spikes
        The spikes of every spiking neuron node.
    membranes : mapping of str to float32 array, shape (n_steps, ...)
        The membranes of every neuron node, after the reset.
    values : mapping of str to float32 array, shape (n_steps, ...)
        The output of every node, currents too; pools of currents that are folded (R140) have none.
    state : DenseState
        Pass it as `state` with the next chunk.
    """

    outputs: Mapping[str, Floats]
    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, Floats]
    values: Mapping[str, Floats]
    state: DenseState

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {array.shape}" for name, array in self.outputs.items())
        return f"DenseResult({shapes}; {sum(map(len, self.spikes.values()))} spikes)"


def evaluate(
    graph: Graph,
    inputs: Spikes | NDArray[Any],
    *,
    kept: NDArray[np.bool_] | None = None,
    attention: Mapping[str, AttentionReport] | None = None,
    select: bool = True,
    state: DenseState | None = None,
) -> DenseResult:
    """Evaluate a clocked graph densely, straight from its specification.

    Every sum starts at the bias and adds one rounded product at a time, ascending in (tap row, tap column,
    input channel); whole arrays of such sums are added at once, which changes no sum.

    Parameters
    ----------
    graph : Graph
        A graph with ``execution=clocked(dt_s)``.
    inputs : Spikes or array of shape ``(n_steps, *shape)``
        The frames of the graph's Input. `simulate` checks more (``max_count``, entries under a MaxPool2d).
    kept : bool, shape (n_steps,), optional
        The frames that the one temporal attention of the graph keeps, `Result.attention.kept`; None computes all
        frames.
    attention : mapping of str to AttentionReport, optional
        Scores and kept frames of the temporal attentions, `Result.attentions`; instead of `kept`, and needed where
        one has `scaling`. One that is missing keeps all frames.
    select : bool
        Whether channel and spatial attention remove entries.
    state : DenseState, optional
        ``DenseResult.state`` of the chunk before this one; None starts at rest.

    Returns
    -------
    DenseResult
        Outputs, spikes, membranes and the values of all nodes.

    Raises
    ------
    InputError
        If the graph is not clocked, `inputs`, `kept` or a report has another shape, there is a mask but not one
        attention, a report is missing, or `state` is of another graph.

    Notes
    -----
    Error: none against the float32 equations.
    Products with silent entries are added too: they are zero, and a sum that starts at a bias (never a negative
    zero) is not changed by adding a zero of either sign.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> nodes = {"in": Input(2), "fc": Linear([[0.6, 0.0]]), "out": IF(1.0)}
    >>> graph = Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(dt_s=0.001))
    >>> result = evaluate(graph, np.ones((4, 2)))
    >>> result.outputs["out"][:, 0].tolist(), result.membranes["out"][0].tolist()
    ([0.0, 1.0, 0.0, 1.0], [0.6000000238418579])
    """
    frames = _checked_frames(graph, inputs)
    graph = fold_pooling(graph)  # R140
    gates = checked_gates(graph, kept, attention, len(frames))
    engine = _Evaluation(graph, _checked_state(graph, state), select)
    values = {name: np.empty((len(frames), *shape), F) for name, shape in graph.shapes.items()}
    membranes = {name: np.empty_like(values[name]) for name in engine.membranes}
    with np.errstate(over="ignore", invalid="ignore"):  # as the engine: what overflows is infinite
        for step, frame in enumerate(frames):
            gate = {name: (bool(mask[step]), scores[step]) for name, (mask, scores) in gates.items()}
            for name, value in engine.step(frame, gate).items():
                values[name][step] = value
            for name, membrane in engine.membranes.items():
                membranes[name][step] = membrane
    spiking = (name for name in graph.order if isinstance(graph.nodes[name], (*SPIKING, *CODED)))
    return DenseResult(
        outputs={name: values[name] for name in graph.output_names},
        spikes={name: Spikes.from_dense(values[name]) for name in spiking},
        membranes=membranes,
        values=values,
        state=engine.state(),
    )


class _Evaluation:
    """The state of all nodes, and what a step does with it."""

    def __init__(self, graph: Graph, state: DenseState | None, select: bool) -> None:
        self.graph, self.select = graph, select
        if state is None:
            self.membranes = {
                name: np.broadcast_to(_resting(node), graph.shapes[name]).astype(F)  # R24 to R28
                for name, node in graph.nodes.items()
                if isinstance(node, NEURONS)
            }
            self.currents = {
                name: np.zeros(graph.shapes[name], F)
                for name, node in graph.nodes.items()
                if isinstance(node, CubaLIF)
            }
            self.lines = {
                name: [np.zeros(graph.shapes[name], F)] * graph.delay_steps(name)  # R13: silence for k < d
                for name, node in graph.nodes.items()
                if isinstance(node, Delay)
            }
            for name, node in graph.nodes.items():
                if isinstance(node, SparseLinear):  # R155: the inputs of the last steps
                    shape = graph.shapes[graph.predecessors(name)[0]]
                    self.lines[name] = [np.zeros(shape, F)] * int(synapse_steps(graph, node).max(initial=0))
            self.held = {
                name: np.zeros(graph.shapes[name], np.int64)
                for name, node in graph.nodes.items()
                if getattr(node, "refractory_s", 0.0)
            }
        else:
            self.membranes, self.currents = dict(state.membranes), dict(state.currents)
            self.lines = {name: list(line) for name, line in state.lines.items()}
            self.held = dict(state.held)
        self.coded = CodedNodes(graph, state.coded if state is not None else {})
        self.membranes |= self.coded.membranes()

    def step(self, frame: Floats, gates: Mapping[str, tuple[bool, np.float32]]) -> dict[str, Floats]:
        """Return the output of every node in one step; they run once, in topological order (R9, R11).

        `gates`: of each temporal attention, whether it keeps the step and the step's score.
        """
        graph = self.graph
        is_computed = computed_nodes(graph, {name: is_kept for name, (is_kept, _) in gates.items()})
        values = {graph.input_name: frame}
        for name in graph.order:
            node, silent = graph.nodes[name], np.zeros(graph.shapes[name], F)
            inputs: list[Any] = [values.get(source) for source in graph.predecessors(name)]
            is_kept = is_computed[name]
            if isinstance(node, Input):
                continue
            if isinstance(node, Delay) and self.lines[name]:
                values[name] = self.lines[name][0] if is_kept else silent  # R13, R34: lost
            elif isinstance(node, NEURONS):
                current = added(inputs) if is_kept else silent  # R34: the membrane decays
                values[name] = self._run_neurons(name, node, current, is_kept)
            elif isinstance(node, CODING):  # never beside attention
                values[name] = self.coded.step(name, inputs)
            elif not is_kept:
                values[name] = silent
            elif isinstance(node, SparseLinear):
                values[name] = sparse_linear(node, synapse_steps(graph, node), [*self.lines[name], inputs[0]])
            elif isinstance(node, TEMPORAL):
                values[name] = inputs[0] * gates[name][1] if node.scaling else inputs[0]  # R33
            elif isinstance(node, SELECTIONS):
                values[name] = selected(node, inputs[0], is_dropping=self.select)
            else:
                values[name] = evaluate_node(node, inputs, graph.shapes[name])
        self.membranes |= self.coded.membranes()
        for name, line in self.lines.items():
            self.lines[name] = [*line, values[graph.predecessors(name)[0]]][1:] if line else line
        return values

    def _run_neurons(self, name: str, node: Any, current: Any, is_kept: bool) -> Floats:
        before: Floats = self.membranes[name]
        v: Floats = before
        if isinstance(node, CubaLIF):  # R27
            jumped = self.currents[name] + current
            v = v + self._factor(node, node.tau_mem_s) * ((F(node.v_leak) - v) + jumped)
            self.currents[name] = jumped - self._factor(node, node.tau_syn_s) * jumped
        elif isinstance(node, IF):  # R24
            v = v + current
        elif node.update == "decay":  # R26, R28
            v = self._factor(node, node.tau_mem_s) * v + current
        elif isinstance(node, LI):  # R28
            v = v + self._factor(node, node.tau_mem_s) * ((F(node.v_leak) - v) + current)
        else:  # R25
            v = v + self._factor(node, node.tau_mem_s) * ((current + F(node.v_leak)) - v)
        if isinstance(node, LI):
            self.membranes[name] = v
            return v
        threshold = F(node.threshold)
        fires: NDArray[np.bool_] = v > threshold if node.comparison == ">" else v >= threshold  # R29
        fires &= is_kept  # R34: no comparison, no reset, no spike
        if name in self.held:  # R120
            is_held = self.held[name] > 0
            v, fires = np.where(is_held, before, v), fires & ~is_held
            n_held = Clocked(self.graph.dt_s).steps(node.refractory_s)
            self.held[name] = np.where(fires, n_held, self.held[name] - is_held)
        after: dict[str, Any] = {
            "value": F(node.v_reset),
            "subtract": v - threshold,
            "clamp": threshold,
        }  # R30
        self.membranes[name] = np.where(fires, after[node.reset], v)
        return fires.astype(F)

    def _factor(self, node: Any, tau_s: Any) -> Any:
        """`a`, `alpha` or `b` of R23: float32, a number or an array."""
        dt_s, tau = self.graph.dt_s, np.float64(tau_s)
        if node.update == "euler":
            return F(dt_s) * F(1 / tau)
        return F(1 - np.exp(-dt_s / tau)) if node.update == "exponential" else F(np.exp(-dt_s / tau))

    def state(self) -> DenseState:
        """Return what the next chunk starts from."""
        graph, shapes = self.graph, self.graph.shapes
        handed = {
            name: shapes[graph.predecessors(name)[0] if isinstance(graph.nodes[name], SparseLinear) else name]
            for name in self.lines
        }
        lines = {name: np.array(line, F).reshape(-1, *handed[name]) for name, line in self.lines.items()}
        keep = MappingProxyType
        return DenseState(
            graph.digest,
            keep(self.membranes),
            keep(self.currents),
            keep(lines),
            keep(self.held),
            self.coded.state(),
        )


def _resting(node: Node) -> Any:
    return 0.0 if isinstance(node, IF) else node.v_leak  # type: ignore[attr-defined]


def _checked_frames(graph: Graph, inputs: Any) -> Floats:
    if not isinstance(graph.execution, Clocked):
        raise InputError("evaluate: the graph's execution is continuous; only clocked graphs run in steps")
    refuse_populations(graph.nodes, "this reference; use neuro.reference_networks")
    shape = graph.shapes[graph.input_name]
    if isinstance(inputs, np.ndarray):
        inputs = Spikes.from_dense(inputs)
    if not isinstance(inputs, Spikes):
        raise InputError(
            f"evaluate: takes neuro.Spikes or an array of shape (n_steps, {', '.join(map(str, shape))}), "
            f"got {type(inputs).__name__}"
        )
    if inputs.shape != shape:
        raise InputError(
            f"evaluate: Input {graph.input_name!r} has shape {shape}, got frames of {inputs.shape}"
        )
    return inputs.to_dense()


def _checked_state(graph: Graph, state: DenseState | None) -> DenseState | None:
    if state is not None and state.graph_digest != graph.digest:
        raise InputError(
            f"evaluate: state belongs to another graph ({state.graph_digest[:12]}, this one is "
            f"{graph.digest[:12]}); start without a state"
        )
    return state
