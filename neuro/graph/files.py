"""Graphs in HDF5 files: a versioned layout, read with the same checks as a graph that is built by hand.

The layout is described in ``docs/graph-spec.md``. Nothing that a file says is trusted: types, shapes and
values go through the constructors of the nodes and of Graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.errors import GraphError, ModelFileError
from neuro.graph.execution import Clocked, Continuous, Execution
from neuro.graph.graph import Graph
from neuro.graph.nodes import NODE_TYPES, Node
from neuro.graph.storage import (
    as_text,
    check_format,
    check_size,
    member,
    naming,
    opened_file,
    place_of,
    replaced_file,
)

if TYPE_CHECKING:
    import h5py  # imported where a file is read: most runs of a network read none

__all__ = ["write_graph", "read_graph", "save_graph", "load_graph"]

FORMAT = "neuro.graph"
VERSION = 1
_COMPRESS_FROM = 1024
_WHOLE = ("indices", "indptr", "index")  # arrays of whole numbers: those of SparseLinear and Rearrange


def write_graph(group: h5py.Group, graph: Graph) -> None:
    """Write a graph into an empty group of an open HDF5 file.

    Parameters
    ----------
    group : h5py.Group
        Where to write; it gets the attributes ``format``, ``version`` and ``digest`` and a group ``nodes``.
    graph : Graph
        The graph.

    Raises
    ------
    ModelFileError
        If the group is not empty.

    Examples
    --------
    >>> import h5py
    >>> from neuro.graph import Graph, Input, continuous
    >>> graph = Graph({"in": Input(3)}, [], continuous())
    >>> with h5py.File("example.h5", "w", driver="core", backing_store=False) as file:
    ...     write_graph(file.create_group("graph"), graph)
    ...     read_graph(file["graph"]) == graph
    True
    """
    if len(group) or len(group.attrs):
        raise ModelFileError(
            f"{place_of(group)}: must be an empty group, it holds {sorted(group) or 'attributes'}"
        )
    execution = graph.execution
    header: dict[str, object] = {
        "execution": "clocked" if isinstance(execution, Clocked) else "continuous",
        "edges": [list(edge) for edge in graph.edges],
        "weight_grid": graph.weight_grid,
        "metadata": dict(graph.metadata),
    }
    if isinstance(execution, Clocked):
        header["dt_s"] = execution.dt_s
    group.attrs["format"] = FORMAT
    group.attrs["version"] = VERSION
    group.attrs["digest"] = graph.digest
    _write_text(group, "header", json.dumps(header))
    nodes = group.create_group("nodes", track_order=True)
    for name, node in graph.nodes.items():
        _write_node(nodes.create_group(name), node)


def _write_text(group: h5py.Group, name: str, text: str) -> None:
    """Write text as UTF-8 bytes (an attribute would be limited to 64 KiB)."""
    group.create_dataset(name, data=np.frombuffer(text.encode("utf-8"), dtype=np.uint8))


def _write_node(group: h5py.Group, node: Node) -> None:
    values: dict[str, object] = {}
    for name, value in node.content().items():
        if isinstance(value, np.ndarray):
            packing = {"compression": "gzip", "shuffle": True} if value.nbytes >= _COMPRESS_FROM else {}
            group.create_dataset(name, data=value, **packing)
        else:
            values[name] = value
    group.attrs["type"] = type(node).__name__
    _write_text(group, "values", json.dumps(values, default=asdict))


def read_graph(group: h5py.Group) -> Graph:
    """Read a graph from a group of an open HDF5 file.

    Parameters
    ----------
    group : h5py.Group
        A group written by :func:`write_graph`.

    Returns
    -------
    Graph
        Equal to the graph that was written.

    Raises
    ------
    ModelFileError
        If the group holds no graph, is damaged, breaks a rule of a node or of Graph, or has a newer version.
    """
    import h5py

    place = place_of(group)
    with naming(place):
        check_format(group, place, FORMAT, VERSION)
        header = _read_object(group, "header", place)
        edges = _edges(place, header.get("edges"))
        nodes_group = member(group, "nodes", place)
        if not isinstance(nodes_group, h5py.Group):
            raise ModelFileError(
                f"{place}: 'nodes' must be a group, the file is damaged; save the model again"
            )
        nodes = {str(name): _read_node(place, str(name), nodes_group) for name in nodes_group}
        metadata = header.get("metadata")
        if not isinstance(metadata, dict):
            raise ModelFileError(
                f"{place}: metadata must be an object, the file is damaged; save the model again"
            )
        graph = Graph(nodes, edges, _execution(place, header), header.get("weight_grid"), metadata)
        if as_text(group.attrs.get("digest")) != graph.digest:
            raise ModelFileError(
                f"{place}: a value differs from what was saved (digest), the file is damaged; "
                "save the model again"
            )
        return graph


def _read_bytes(group: h5py.Group, name: str, place: str) -> bytes:
    import h5py

    data = member(group, name, place)
    if not isinstance(data, h5py.Dataset) or data.dtype != np.uint8 or data.ndim != 1:
        raise ModelFileError(
            f"{place}: {name!r} must be a list of bytes, the file is damaged; save the model again"
        )
    check_size(data, f"{place}: {name!r}")
    return bytes(data[()].tobytes())


def _read_object(group: h5py.Group, name: str, place: str) -> dict[str, Any]:
    try:
        content = json.loads(_read_bytes(group, name, place))
    except (ValueError, RecursionError) as err:
        raise ModelFileError(f"{place}: {name!r} is damaged ({err}); save the model again") from err
    if not isinstance(content, dict):
        raise ModelFileError(f"{place}: {name!r} must be an object, got {type(content).__name__}")
    return content


def _edges(place: str, edges: object) -> list[tuple[str, str]]:
    if not isinstance(edges, list):
        raise ModelFileError(f"{place}: edges must be a list, the file is damaged; save the model again")
    for edge in edges:
        if not isinstance(edge, list) or len(edge) != 2 or not all(isinstance(name, str) for name in edge):
            raise ModelFileError(f"{place}: an edge must be two names, got {edge!r}; the file is damaged")
    return [(source, target) for source, target in edges]


def _execution(place: str, header: Mapping[str, Any]) -> Execution:
    word = header.get("execution")
    if word == "clocked":
        return Clocked(header.get("dt_s"))  # type: ignore[arg-type]
    if word == "continuous":
        return Continuous()
    raise ModelFileError(f"{place}: execution must be 'clocked' or 'continuous', got {word!r}")


def _read_node(place: str, name: str, nodes: h5py.Group) -> Node:
    import h5py

    where = f"{place}: node {name!r}"
    group = member(nodes, name, where)
    if not isinstance(group, h5py.Group):
        raise ModelFileError(f"{where} must be a group, the file is damaged; save the model again")
    kind = as_text(group.attrs.get("type"))
    if kind is None or kind not in NODE_TYPES:
        raise ModelFileError(f"{where} has the unknown type {kind!r}; known are {', '.join(NODE_TYPES)}")
    node_type = NODE_TYPES[kind]
    values = _read_object(group, "values", where)
    for key in group:
        if key != "values":
            dtype = "int32" if key in _WHOLE else "float32"
            values[str(key)] = _read_array(f"{where}: {key!r}", member(group, key, where), dtype)
    known = {field.name: field for field in fields(node_type)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    missing = [key for key, field in known.items() if key not in values and field.default is MISSING]
    if unknown or missing:
        raise ModelFileError(f"{where}: {kind} has unknown values {unknown} and lacks {missing}")
    try:
        return node_type(**values)
    except GraphError as err:
        raise ModelFileError(f"{where}: {err}") from err


def _read_array(what: str, item: object, dtype: str) -> np.ndarray[Any, Any]:
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype != dtype:
        raise ModelFileError(f"{what} must be a {dtype} array, the file is damaged; save the model again")
    check_size(item, what)
    array: np.ndarray[Any, Any] = item[()]
    return array


def save_graph(path: Path, graph: Graph) -> None:
    """Write a graph to a file of its own, under ``/graph``."""
    with replaced_file(path) as file:
        write_graph(file.create_group("graph"), graph)


def load_graph(path: Path) -> Graph:
    """Read the graph under ``/graph`` of a file."""
    import h5py

    with opened_file(path) as file:
        group = member(file, "graph", str(path)) if "graph" in file else None
        if not isinstance(group, h5py.Group):
            raise ModelFileError(f"{path}: has no group '/graph', got {sorted(file)}; expected a model file")
        return read_graph(group)
