"""From a Graph to a NIR graph, as far as NIR can say it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import GraphError
from neuro.graph.execution import Clocked
from neuro.graph.fields import Parameter
from neuro.graph.graph import Graph
from neuro.graph.nir_package import import_nir
from neuro.graph.nodes import (
    ATTENTIONS,
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
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
)
from neuro.graph.shapes import Shape, label

__all__ = ["to_nir"]


def to_nir(graph: Graph) -> Any:
    """Return a clocked graph as a NIR graph.

    Times are in seconds; the graph's metadata say so (``time_unit_s``, ``dt_s``). Neuron parameters get the
    full shape of their layer. A sum is written as NIR writes it: as several edges into one node.

    Parameters
    ----------
    graph : Graph
        A clocked graph.

    Returns
    -------
    nir.NIRGraph
        The graph; :func:`read_nir` gives the same network back.

    Raises
    ------
    GraphError
        If NIR cannot say something: a reset other than to a value, '>=', update 'decay', MaxPool2d, Concat,
        TemporalAttention, continuous execution.
    MissingPackageError
        If the package `nir` is missing.

    Examples
    --------
    >>> from neuro.graph import IF, Graph, Input, Linear, clocked
    >>> graph = Graph(
    ...     {"in": Input(2), "fc": Linear([[1.0, 2.0]]), "if": IF()},
    ...     [("in", "fc"), ("fc", "if")],
    ...     clocked(0.001),
    ... )
    >>> nir_graph = to_nir(graph)
    >>> sorted(nir_graph.nodes), nir_graph.metadata["dt_s"]
    (['fc', 'if', 'in', 'output'], 0.001)
    """
    nir = import_nir()
    if not isinstance(graph.execution, Clocked):
        raise GraphError("Graph: only a clocked graph can be written as NIR; build it with clocked(dt_s)")
    sums = {name: after for name in graph.order if (after := _implicit_target(graph, name)) is not None}
    nodes: dict[str, Any] = {}
    for name in graph.order:
        if name not in sums:
            nodes[name] = _node(nir, graph, name)
    edges = [(source, sums.get(target) or target) for source, target in graph.edges if source not in sums]
    for name, target in sums.items():
        if target:
            nodes[target].metadata["sum"] = name
    for sink in graph.output_names:
        output = _free_name("output" if len(graph.output_names) == 1 else f"output_{sink}", nodes, graph)
        nodes[output] = nir.Output(output_type={"output": np.array(graph.shapes[sink])})
        if sink in sums:
            nodes[output].metadata["sum"] = sink
            edges = [(source, output if target == sink else target) for source, target in edges]
        else:
            edges.append((sink, output))
    metadata: dict[str, Any] = {"time_unit_s": 1.0, "dt_s": graph.dt_s, "writer": "spikeloom neuro.graph"}
    if graph.weight_grid is not None:
        metadata["weight_grid"] = graph.weight_grid
    if graph.metadata:
        metadata["notes"] = dict(graph.metadata)
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _implicit_target(graph: Graph, name: str) -> str | None:
    """Return the node that sums in place of an Add ('' for the Output), or None if the Add stays a node."""
    if not isinstance(graph.nodes[name], Add):
        return None
    after = graph.successors(name)
    if not after:
        return ""
    if len(after) > 1 or isinstance(graph.nodes[after[0]], (Add, Concat)):
        return None
    return after[0]


def _free_name(name: str, nodes: dict[str, Any], graph: Graph) -> str:
    while name in nodes or name in graph.nodes:
        name += "_"
    return name


def _refuse(owner: str, what: str, remedy: str) -> GraphError:
    return GraphError(f"{owner}: NIR cannot say {what}; {remedy}")


def _full(value: Parameter, shape: Shape) -> NDArray[Any]:
    """Return a parameter in the full shape of its layer; a number keeps its double precision."""
    return np.broadcast_to(np.asarray(value), shape).copy()


def _node(nir: Any, graph: Graph, name: str) -> Any:
    node, shape = graph.nodes[name], graph.shapes[name]
    owner = label(name, node)
    if isinstance(node, (IF, LIF, CubaLIF, LI)):
        _check_neuron(owner, node)
        return _neuron(nir, node, shape, graph.dt_s)
    if isinstance(node, Input):
        metadata = {} if node.max_count is None else {"max_count": node.max_count}
        return nir.Input(input_type={"input": np.array(shape)}, metadata=metadata)
    if isinstance(node, Linear):
        if node.bias is None:
            return nir.Linear(weight=node.weight.copy())
        return nir.Affine(weight=node.weight.copy(), bias=node.bias.copy())
    if isinstance(node, Conv2d):
        return _conv2d(nir, node, graph.shapes[graph.predecessors(name)[0]])
    if isinstance(node, (SumPool2d, AvgPool2d)):
        words = {
            "kernel_size": np.array(node.kernel_size),
            "stride": np.array(node.strides),
            "padding": np.array(node.padding),
        }
        return (nir.SumPool2d if isinstance(node, SumPool2d) else nir.AvgPool2d)(**words)
    if isinstance(node, Flatten):
        source = np.array(graph.shapes[graph.predecessors(name)[0]])
        return nir.Flatten(input_type={"input": source}, start_dim=0, end_dim=-1)
    if isinstance(node, Delay):
        return nir.Delay(delay=np.full(shape, node.delay_s))
    if isinstance(node, Add):
        return nir.Scale(scale=np.ones(shape, dtype=np.float32))
    raise _unsayable(owner, node)


def _unsayable(owner: str, node: Node) -> GraphError:
    if isinstance(node, ATTENTIONS):
        kind = type(node).__name__.removesuffix("Attention").lower()
        return _refuse(owner, f"{kind} attention", "write the graph without it, all is then computed")
    if isinstance(node, MaxPool2d):
        return _refuse(owner, "maximum pooling", "use SumPool2d before a spiking neuron")
    return _refuse(owner, type(node).__name__, "write the parts as networks of their own")


def _conv2d(nir: Any, node: Conv2d, source: Shape) -> Any:
    bias = np.zeros(node.out_channels, dtype=np.float32) if node.bias is None else node.bias.copy()
    return nir.Conv2d(
        input_shape=source[1:],
        weight=node.weight.copy(),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        bias=bias,
    )


def _check_neuron(owner: str, node: Node) -> None:
    if isinstance(node, (IF, LIF, CubaLIF)):
        if node.reset != "value":
            raise _refuse(owner, f"reset={node.reset!r}", "it knows the reset to a value only")
        if node.comparison != ">":
            raise _refuse(owner, "comparison='>='", "a NIR neuron fires strictly above its threshold")
        if node.refractory_s:
            raise _refuse(owner, f"refractory_s={node.refractory_s!r}", "set it to 0")
        if getattr(node, "v_start", None) is not None:
            raise _refuse(owner, "v_start", "leave it at None")
    if isinstance(node, CubaLIF):
        if node.tau_inh_s is not None:
            raise _refuse(owner, "tau_inh_s", "use two CubaLIF")
        if node.update == "exact":
            raise _refuse(owner, "update='exact'", "use 'exponential'")
    if isinstance(node, (LIF, LI)) and node.update == "decay":
        remedy = "its input does not follow tau * dv/dt = (v_leak - v) + I; use 'exponential' and scale the weights"
        raise _refuse(owner, "update='decay'", remedy)


def _neuron(nir: Any, node: Node, shape: Shape, dt_s: float) -> Any:
    ones = np.ones(shape, dtype=np.float32)
    if isinstance(node, IF):
        return nir.IF(r=ones, v_threshold=_full(node.threshold, shape), v_reset=_full(node.v_reset, shape))
    assert isinstance(node, (LIF, LI, CubaLIF))
    metadata = {"update": node.update}
    leak = _full(node.v_leak, shape)
    if isinstance(node, LI):
        return nir.LI(tau=_full(node.tau_mem_s, shape), r=ones, v_leak=leak, metadata=metadata)
    spiking = {
        "r": ones,
        "v_leak": leak,
        "v_threshold": _full(node.threshold, shape),
        "v_reset": _full(node.v_reset, shape),
        "metadata": metadata,
    }
    if isinstance(node, LIF):
        return nir.LIF(tau=_full(node.tau_mem_s, shape), **spiking)
    tau_syn_s = _full(node.tau_syn_s, shape)
    w_in = 1.0 / synaptic_gain(tau_syn_s.astype(np.float64), node.update, dt_s)
    return nir.CubaLIF(tau_mem=_full(node.tau_mem_s, shape), tau_syn=tau_syn_s, w_in=w_in, **spiking)


def synaptic_gain(tau_syn_s: NDArray[np.float64], update: str, dt_s: float) -> NDArray[np.float64]:
    """Return how much of an input that is held for one step enters ``tau_syn di/dt = -i + w_in S``."""
    if update == "exponential":
        return np.asarray(-np.expm1(-dt_s / tau_syn_s))
    return np.asarray(dt_s / tau_syn_s)
