"""Networks in fixed point as plain data: all registers and weights, to be read again bit for bit."""

from __future__ import annotations

import base64
import binascii
import math
import tempfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.errors import HardwareError, MappingFileError
from hw.fixed import Connection, FixedGraph, Population
from hw.host import HostReadout
from neuro.errors import NeuroError
from neuro.graph import Graph

__all__ = ["network_document", "network_of"]

_DTYPES = ("int16", "int32", "int64")


def network_document(fixed: FixedGraph) -> dict[str, Any]:
    """Return a network as JSON can hold it.

    Parameters
    ----------
    fixed : FixedGraph
        The network.

    Returns
    -------
    dict
        Plain data, see ``docs/reference/hw.md``; the report of quantisation and what weights were rounded from are left
        out.
    """
    host = fixed.host
    return {
        "digest": fixed.digest,
        "graph_digest": fixed.source_digest,
        "profile": fixed.profile,
        "input": fixed.input_name,
        "gate": fixed.gate_name,
        "outputs": list(fixed.outputs),
        "lags": dict(fixed.depths),
        "notes": list(fixed.notes),
        "populations": {name: _plain(population) for name, population in fixed.populations.items()},
        "connections": [_plain(connection) for connection in fixed.connections],
        "host": None if host is None else {"source": host.source, "graph": _graph_text(host.graph)},
    }


def network_of(document: Any) -> FixedGraph:
    """Return the network that plain data describe.

    Parameters
    ----------
    document : dict
        What :func:`network_document` gave.

    Returns
    -------
    FixedGraph
        The same network: its digest is that of the document.

    Raises
    ------
    MappingFileError
        If something is missing, damaged, or not what the digest was made of.
    """
    try:
        populations = {
            name: Population(**_values(f"population {name!r}", Population, entry))
            for name, entry in document["populations"].items()
        }
        connections = tuple(
            Connection(**_values(f"connections[{k}]", Connection, entry))
            for k, entry in enumerate(document["connections"])
        )
        host = document["host"]
        found = FixedGraph(
            populations, connections, document["profile"], document["input"], document["gate"],
            tuple(document["outputs"]), tuple(document["notes"]), document["graph_digest"], document["lags"],
            host=None if host is None else HostReadout(host["source"], _graph_of(host["graph"])),
        )  # fmt: skip
        digest = found.digest
    except MappingFileError as err:
        raise MappingFileError(f"network: {err}") from err
    except (HardwareError, NeuroError, LookupError, TypeError, ValueError, AttributeError) as err:
        raise MappingFileError(f"network is damaged ({err})") from err
    except (ArithmeticError, MemoryError, OSError) as err:
        raise MappingFileError(f"network is damaged ({type(err).__name__}: {err})") from err
    if digest != document["digest"]:
        raise MappingFileError("network is not the one that its digest was made of")
    return found


def _plain(part: Population | Connection) -> dict[str, Any]:
    return {entry.name: _plain_value(getattr(part, entry.name)) for entry in fields(part)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes(), 6))
        return {"dtype": str(value.dtype), "shape": list(value.shape), "zlib": packed.decode()}
    return list(value) if isinstance(value, tuple) else value


def _values(place: str, kind: type[Population | Connection], entry: Any) -> dict[str, Any]:
    """Return the arguments of a part, none missing and none unknown."""
    names = {field.name for field in fields(kind)}
    if not isinstance(entry, dict) or set(entry) != names:
        raise MappingFileError(f"{place} must have {', '.join(sorted(names))}")
    return {name: _value(f"{place}: {name}", value) for name, value in entry.items()}


def _value(place: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _array(place, value)
    return tuple(value) if isinstance(value, list) else value


def _array(place: str, entry: dict[str, Any]) -> NDArray[Any]:
    if set(entry) != {"dtype", "shape", "zlib"} or entry["dtype"] not in _DTYPES:
        raise MappingFileError(f"{place} must be an array of {', '.join(_DTYPES)} with dtype, shape and zlib")
    dtype, shape = np.dtype(entry["dtype"]), entry["shape"]
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise MappingFileError(f"{place} must have a shape of whole numbers, got {shape!r}")
    n_bytes = math.prod(shape) * dtype.itemsize
    try:
        unpacked = zlib.decompressobj().decompress(
            base64.b64decode(entry["zlib"], validate=True), n_bytes + 1
        )
    except (zlib.error, binascii.Error, TypeError, ValueError, OverflowError) as err:
        raise MappingFileError(f"{place} cannot be unpacked ({err})") from err
    if len(unpacked) != n_bytes:
        raise MappingFileError(f"{place} does not have the size that its shape {shape} says")
    return np.frombuffer(unpacked, dtype).reshape(shape)


def _graph_text(graph: Graph) -> str:
    """Return a graph's HDF5 file as text."""
    with tempfile.TemporaryDirectory(prefix="hw-host-") as folder:
        path = Path(folder) / "graph.h5"
        graph.save(path)
        return base64.b64encode(zlib.compress(path.read_bytes(), 6)).decode()


def _graph_of(text: Any) -> Graph:
    try:
        content = zlib.decompress(base64.b64decode(text, validate=True))
    except (zlib.error, binascii.Error, TypeError, ValueError) as err:
        raise MappingFileError(f"host: graph cannot be unpacked ({err})") from err
    with tempfile.TemporaryDirectory(prefix="hw-host-") as folder:
        path = Path(folder) / "graph.h5"
        path.write_bytes(content)
        return Graph.load(path)
