"""Graphs in HDF5 files: a versioned layout, read with the same checks as a graph that is built by hand.

The layout is described in ``docs/graph-spec.md``. Nothing that a file says is trusted: types, shapes and
values go through the constructors of the nodes and of Graph.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuro.errors import GraphError, ModelFileError
from neuro.graph.execution import Clocked, Continuous, Execution
from neuro.graph.graph import Graph
from neuro.graph.nodes import NODE_TYPES, Node

__all__ = ["write_graph", "read_graph", "save_graph", "load_graph", "replaced_file", "opened_file"]

FORMAT = "neuro.graph"
VERSION = 1
_MAX_BYTES = 2**31
_COMPRESS_FROM = 1024
# what h5py and HDF5 raise on files whose bytes were damaged
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, UnicodeError, MemoryError)


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
            f"{_place(group)}: must be an empty group, it holds {sorted(group) or 'attributes'}"
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
    for field in fields(node):  # type: ignore[arg-type]
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            packing = {"compression": "gzip", "shuffle": True} if value.nbytes >= _COMPRESS_FROM else {}
            group.create_dataset(field.name, data=value, **packing)
        else:
            values[field.name] = value
    group.attrs["type"] = type(node).__name__
    _write_text(group, "values", json.dumps(values))


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
    place = _place(group)
    with _naming(place):
        check_format(group, place, FORMAT, VERSION)
        header = _read_object(group, "header", place)
        edges = _edges(place, header.get("edges"))
        nodes_group = _member(group, "nodes", place)
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
        if _as_text(group.attrs.get("digest")) != graph.digest:
            raise ModelFileError(
                f"{place}: a value differs from what was saved (digest), the file is damaged; "
                "save the model again"
            )
        return graph


def check_format(group: h5py.Group, place: str, expected: str, newest: int) -> int:
    """Return the version of a group after checking that it has the expected format and is not newer."""
    found = _as_text(group.attrs.get("format"))
    if found != expected:
        raise ModelFileError(
            f"{place}: format must be {expected!r}, got {found!r}; this is another kind of file"
        )
    version = group.attrs.get("version")
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise ModelFileError(
            f"{place}: version must be a whole number >= 1, got {version!r}; the file is damaged"
        )
    if version > newest:
        raise ModelFileError(
            f"{place}: {expected} version {version} is newer than {newest}, the newest this program reads; "
            "update spikeloom"
        )
    return int(version)


def _as_text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _member(group: h5py.Group, name: str, place: str) -> object:
    """Return a member that lies in the file itself: no link, and no data in other files."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ModelFileError(
            f"{place}: {name!r} is missing or a link; the file is damaged or of another kind"
        )
    member = group[name]
    if isinstance(member, h5py.Dataset) and (member.external is not None or member.is_virtual):
        raise ModelFileError(f"{place}: {name!r} points to another file; save the model again")
    return member


def _read_bytes(group: h5py.Group, name: str, place: str) -> bytes:
    data = _member(group, name, place)
    if not isinstance(data, h5py.Dataset) or data.dtype != np.uint8 or data.ndim != 1:
        raise ModelFileError(
            f"{place}: {name!r} must be a list of bytes, the file is damaged; save the model again"
        )
    _check_size(data, f"{place}: {name!r}")
    return bytes(data[()].tobytes())


def _read_object(group: h5py.Group, name: str, place: str) -> dict[str, Any]:
    try:
        content = json.loads(_read_bytes(group, name, place))
    except (ValueError, RecursionError) as err:
        raise ModelFileError(f"{place}: {name!r} is damaged ({err}); save the model again") from err
    if not isinstance(content, dict):
        raise ModelFileError(f"{place}: {name!r} must be an object, got {type(content).__name__}")
    return content


def _check_size(data: h5py.Dataset, what: str) -> None:
    """Refuse a size that a damaged header invents before memory is asked for it."""
    n_bytes = math.prod(data.shape) * data.dtype.itemsize
    if n_bytes > _MAX_BYTES:
        raise ModelFileError(f"{what} has {n_bytes} bytes, the limit is {_MAX_BYTES}; the file is damaged")


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
    where = f"{place}: node {name!r}"
    group = _member(nodes, name, where)
    if not isinstance(group, h5py.Group):
        raise ModelFileError(f"{where} must be a group, the file is damaged; save the model again")
    kind = _as_text(group.attrs.get("type"))
    if kind is None or kind not in NODE_TYPES:
        raise ModelFileError(f"{where} has the unknown type {kind!r}; known are {', '.join(NODE_TYPES)}")
    node_type = NODE_TYPES[kind]
    values = _read_object(group, "values", where)
    for key in group:
        if key != "values":
            values[str(key)] = _read_array(f"{where}: {key!r}", _member(group, key, where))
    known = {field.name: field for field in fields(node_type)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    missing = [key for key, field in known.items() if key not in values and field.default is MISSING]
    if unknown or missing:
        raise ModelFileError(f"{where}: {kind} has unknown values {unknown} and lacks {missing}")
    try:
        return node_type(**values)
    except GraphError as err:
        raise ModelFileError(f"{where}: {err}") from err


def _read_array(what: str, item: object) -> np.ndarray[Any, Any]:
    if not isinstance(item, h5py.Dataset) or item.dtype != np.float32:
        raise ModelFileError(f"{what} must be a float32 array, the file is damaged; save the model again")
    _check_size(item, what)
    array: np.ndarray[Any, Any] = item[()]
    return array


def _place(group: h5py.Group) -> str:
    name = os.fsdecode(group.file.filename)
    return name if group.name == "/" else f"{name} {group.name}"


@contextlib.contextmanager
def _naming(place: str) -> Iterator[None]:
    """Turn what a damaged file causes into a ModelFileError that names the file."""
    try:
        yield
    except ModelFileError:
        raise
    except GraphError as err:
        raise ModelFileError(f"{place}: {err}") from err
    except _DAMAGE as err:
        raise ModelFileError(
            f"{place}: is damaged ({type(err).__name__}: {err}); save the model again"
        ) from err


@contextlib.contextmanager
def opened_file(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; what goes wrong becomes a ModelFileError that names the file.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    h5py.File
        The open file.

    Raises
    ------
    ModelFileError
        If the file is missing, is no HDF5 file, or turns out to be damaged while it is read.
    """
    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path}: {found}, expected a model file (HDF5); check the name")
    with _naming(str(path)):
        try:
            file = h5py.File(path, "r")
        except PermissionError as err:
            raise ModelFileError(f"{path}: cannot be read ({err.strerror or err})") from err
        except OSError as err:
            raise ModelFileError(
                f"{path}: is no readable HDF5 file, expected a model file; it is damaged or of another kind"
            ) from err
        with file:
            yield file


@contextlib.contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Write an HDF5 file all or nothing: into a temporary file beside it, which then takes its name.

    Parameters
    ----------
    path : path
        The file to write; an existing one stays as it is until the new one is complete.

    Yields
    ------
    h5py.File
        The temporary file, open for writing.

    Raises
    ------
    ModelFileError
        If the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as err:
        raise ModelFileError(
            f"{path}: cannot be written ({err.strerror or err}); choose another folder"
        ) from err
    os.close(handle)
    try:
        with h5py.File(temporary, "w") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as err:
        raise ModelFileError(
            f"{path}: cannot be written ({err.strerror or err}); choose another place"
        ) from err
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def save_graph(path: Path, graph: Graph) -> None:
    """Write a graph to a file of its own, under ``/graph``."""
    with replaced_file(path) as file:
        write_graph(file.create_group("graph"), graph)


def load_graph(path: Path) -> Graph:
    """Read the graph under ``/graph`` of a file."""
    with opened_file(path) as file:
        group = _member(file, "graph", str(path)) if "graph" in file else None
        if not isinstance(group, h5py.Group):
            raise ModelFileError(f"{path}: has no group '/graph', got {sorted(file)}; expected a model file")
        return read_graph(group)
