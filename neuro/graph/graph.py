"""The description of a network: nodes by name, edges, and how time runs."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from neuro.errors import GraphError
from neuro.graph.attention_placement import check_attention
from neuro.graph.bounds import check_grid, check_non_negative
from neuro.graph.coded_placement import check_coding
from neuro.graph.execution import Clocked, Continuous, Execution
from neuro.graph.networks import check_receptors, has_populations, is_mixed
from neuro.graph.nodes import Delay, Input, Node
from neuro.graph.shapes import Shape, infer_shapes, label
from neuro.graph.table import graph_table
from neuro.graph.topology import check_edges, check_reach, check_timing, topological_order

__all__ = ["Graph", "MetadataValue"]

MetadataValue = str | int | float


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A spiking network: what it is, not how it is run. Frozen, checked once, compared by value.

    Attributes
    ----------
    nodes : mapping of str to Node
        The nodes by name.
    edges : tuple of (str, str)
        (from, to); for Add and Concat their order is the order of the inputs.
    execution : Clocked or Continuous
        How time runs; it is part of the model.
    weight_grid : float or None
        A power of two of which all weights and biases are multiples, so small against their sums that every
        sum is exact in float32 in any order.
    metadata : mapping of str to str, int or float
        Free notes that are kept in files.
    order : tuple of str
        The nodes in the order in which they run.
    shapes : mapping of str to tuple of int
        The shape of every node's output.
    input_name : str
        The name of the Input; empty in a network of populations that has none.
    output_names : tuple of str
        The nodes without successors, in order (none where all are in cycles).

    Raises
    ------
    GraphError
        If anything is wrong; the message names the node, the value found, the rule and the remedy.

    Notes
    -----
    Two graphs are equal if nodes, inputs of every node (with their order), execution, grid and metadata are;
    the order in which nodes and edges were listed does not count otherwise. The hash comes from a digest of
    the content.

    Examples
    --------
    >>> import numpy as np
    >>> from neuro.graph import Input, LIF, Linear, clocked
    >>> graph = Graph(
    ...     {"in": Input(2), "fc": Linear(np.eye(2)), "lif": LIF(0.01)},
    ...     [("in", "fc"), ("fc", "lif")],
    ...     clocked(dt_s=0.001),
    ... )
    >>> graph.order, graph.shapes["lif"], graph.output_names
    (('in', 'fc', 'lif'), (2,), ('lif',))
    """

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    execution: Execution
    weight_grid: float | None
    metadata: Mapping[str, MetadataValue]
    order: tuple[str, ...]
    shapes: Mapping[str, Shape]
    input_name: str
    output_names: tuple[str, ...]

    def __init__(
        self,
        nodes: Mapping[str, Node],
        edges: Iterable[tuple[str, str]],
        execution: Execution,
        weight_grid: float | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> None:
        nodes = _checked_nodes(nodes)
        edges = check_edges(nodes, edges)
        if not isinstance(execution, (Clocked, Continuous)):
            raise GraphError(f"Graph: execution must be clocked(dt_s) or continuous(), got {execution!r}")
        before: dict[str, tuple[str, ...]] = dict.fromkeys(nodes, ())
        after: dict[str, tuple[str, ...]] = dict.fromkeys(nodes, ())
        for source, target in edges:
            before[target] += (source,)
            after[source] += (target,)
        check_reach(nodes, edges)
        check_timing(nodes, execution)
        check_coding(nodes, execution)
        order = topological_order(nodes, edges, execution)
        check_attention(nodes, before, after)
        check_receptors(nodes, after)
        shapes = infer_shapes(nodes, order, before)
        check_non_negative(nodes, order, before)
        if weight_grid is not None and has_populations(nodes) and not is_mixed(nodes):
            raise GraphError("Graph: a network of populations takes no weight_grid; leave it at None")
        grid = check_grid(nodes, order, before, weight_grid)
        self._set(nodes=MappingProxyType(nodes), edges=edges, execution=execution, weight_grid=grid)
        self._set(metadata=MappingProxyType(_checked_metadata(metadata)), order=order)
        self._set(shapes=MappingProxyType(shapes), _before=before, _after=after)
        self._set(input_name=next((name for name in order if isinstance(nodes[name], Input)), ""))
        self._set(output_names=tuple(name for name in order if not after[name]))

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def predecessors(self, name: str) -> tuple[str, ...]:
        """Return the names of a node's inputs, in edge order.

        Parameters
        ----------
        name : str
            The node's name.

        Returns
        -------
        tuple of str
            The sources of its edges.
        """
        self._check_name(name)
        return self._before[name]  # type: ignore[attr-defined,no-any-return]

    def successors(self, name: str) -> tuple[str, ...]:
        """Return the names of the nodes that take this node's output, in edge order.

        Parameters
        ----------
        name : str
            The node's name.

        Returns
        -------
        tuple of str
            The targets of its edges.
        """
        self._check_name(name)
        return self._after[name]  # type: ignore[attr-defined,no-any-return]

    def _check_name(self, name: str) -> None:
        if name not in self.nodes:
            raise GraphError(f"Graph: there is no node {name!r}; its nodes are {', '.join(self.order)}")

    @property
    def dt_s(self) -> float:
        """Length of a step in seconds; a GraphError if the graph is not clocked."""
        if not isinstance(self.execution, Clocked):
            raise GraphError(
                "Graph: a graph with continuous execution has no dt_s; build it with clocked(dt_s)"
            )
        return self.execution.dt_s

    def delay_steps(self, name: str) -> int:
        """Return the delay of a Delay node in whole steps.

        Parameters
        ----------
        name : str
            The name of a Delay node in a clocked graph.

        Returns
        -------
        int
            ``delay_s / dt_s``.

        Raises
        ------
        GraphError
            If the node is not a Delay or the graph not clocked.
        """
        self._check_name(name)
        node = self.nodes[name]
        if not isinstance(node, Delay):
            raise GraphError(f"{label(name, node)}: is not a Delay")
        return Clocked(self.dt_s).steps(node.delay_s)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, as hexadecimal text: equal graphs have equal digests."""
        digest = hashlib.sha256(b"neuro.Graph")
        for name in sorted(self.nodes):
            digest.update(f"|{name!r}:{self.nodes[name].digest}<{self.predecessors(name)!r}".encode())
        rest = (self.execution, self.weight_grid, sorted(self.metadata.items()))
        digest.update(repr(rest).encode())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph to an HDF5 file, all or nothing.

        Parameters
        ----------
        path : path
            The file; an existing one is replaced only when the new one is complete.

        Raises
        ------
        ModelFileError
            If the file cannot be written.
        """
        from neuro.graph.files import save_graph

        save_graph(Path(path), self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """Read a graph from an HDF5 file.

        Parameters
        ----------
        path : path
            A file that holds a graph: one of :meth:`save`, or a model file with a group ``/graph``.

        Returns
        -------
        Graph
            Equal to the graph that was saved.

        Raises
        ------
        ModelFileError
            If the file is missing, foreign, damaged or of a newer version.
        """
        from neuro.graph.files import load_graph

        return load_graph(Path(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return graph_table(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (dict(self.nodes), self.edges, self.execution, self.weight_grid, dict(self.metadata))


def _checked_nodes(nodes: Mapping[str, Node]) -> dict[str, Node]:
    if not isinstance(nodes, Mapping):
        raise GraphError(f"Graph: nodes must be a dictionary of names and nodes, got {type(nodes).__name__}")
    for name, node in nodes.items():
        if not isinstance(name, str) or not _is_plain(name) or "/" in name or name in (".", ".."):
            raise GraphError(f"Graph: a node's name must be printable text without '/', got {name!r}")
        if not isinstance(node, Node):
            raise GraphError(
                f"Graph: node {name!r} must be a node type of neuro.graph, got {type(node).__name__}"
            )
    inputs = [name for name, node in nodes.items() if isinstance(node, Input)]
    if len(inputs) != 1 and (inputs or not has_populations(nodes)):
        raise GraphError(f"Graph: needs exactly one Input, got {len(inputs)} ({', '.join(inputs) or 'none'})")
    return dict(nodes)


def _is_plain(text: str) -> bool:
    """Whether a text is not empty and can stand in a file and in a message (no NUL, no lone surrogate)."""
    return bool(text) and text.isprintable()


def _checked_metadata(metadata: Mapping[str, MetadataValue] | None) -> dict[str, MetadataValue]:
    checked = dict(metadata or {})
    for key, value in checked.items():
        if not isinstance(key, str) or not _is_plain(key):
            raise GraphError(f"Graph: a metadata key must be printable text, got {key!r}")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise GraphError(f"Graph: metadata {key!r} must be text or a number, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise GraphError(f"Graph: metadata {key!r} must be finite, got {value}")
    return checked
