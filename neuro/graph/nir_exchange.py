"""Networks exchanged with other frameworks as NIR (Neuromorphic Intermediate Representation)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from neuro.errors import GraphError, ModelFileError
from neuro.graph.graph import Graph
from neuro.graph.neurons import Update
from neuro.graph.nir_package import import_nir
from neuro.graph.nir_reading import from_nir
from neuro.graph.nir_writing import to_nir
from neuro.graph.storage import replace_bytes

__all__ = ["read_nir", "write_nir", "to_nir"]


def read_nir(
    source: str | os.PathLike[str] | Any,
    *,
    dt_s: float | None = None,
    time_unit_s: float | None = None,
    update: Update = "euler",
    fold: bool = False,
    delay_loops: bool = False,
) -> Graph:
    """Read a NIR file, or a NIR graph in memory, as a clocked Graph.

    NIR describes continuous time, ``tau dv/dt = (v_leak - v) + r I``; here one step is computed with the
    input held for the step (see ``docs/graph-spec.md``). Nested graphs are flattened, several edges into one
    node become an Add, neuron parameters that are all equal become one number.

    Parameters
    ----------
    source : path or nir.NIRGraph
        What to read.
    dt_s : float, optional
        Length of a step in seconds; may be left out if the file's metadata have ``dt_s``.
    time_unit_s : float, optional
        NIR's unit of time in seconds: 1.0 or 1e-3, for example. Files of :func:`write_nir` say it themselves.
    update : {'euler', 'exponential'}
        How LIF, CubaLIF and LI are computed where the file does not say it.
    fold : bool
        Multiply `r`, `w_in` and Scale nodes into the weights beside them. Without it they are refused,
        because this rounds the weights anew.
    delay_loops : bool
        Give ways from a neuron back to itself a Delay of one step where the file has none: the frameworks that write
        such files see the spikes of the step before. Without it loops need a Delay in the file.

    Returns
    -------
    Graph
        The network.

    Raises
    ------
    GraphError
        If the unit of time or the step is not known, or the network cannot be said here.
    ModelFileError
        If the file is missing or is no NIR file.
    MissingPackageError
        If the package `nir` is missing.

    Examples
    --------
    >>> import nir, numpy as np
    >>> one = np.ones(1)
    >>> lif = nir.LIF(tau=10 * one, r=one, v_leak=0 * one, v_threshold=one)
    >>> chain = nir.NIRGraph.from_list(nir.Affine(np.ones((1, 2)), one), lif)
    >>> read_nir(chain, dt_s=0.001, time_unit_s=1e-3).nodes["lif"].tau_mem_s
    0.01
    """
    nir = import_nir()
    if update not in ("euler", "exponential"):
        raise GraphError(f"NIR: update must be 'euler' or 'exponential', got {update!r}")
    chosen: dict[str, Any] = {
        "dt_s": dt_s, "time_unit_s": time_unit_s, "update": update, "fold": fold, "delay_loops": delay_loops,
    }  # fmt: skip
    if isinstance(source, nir.NIRGraph):
        return from_nir(source, **chosen)
    path = Path(source)
    nir_graph = _read_file(nir, path)
    try:
        return from_nir(nir_graph, **chosen)
    except GraphError as err:
        raise GraphError(f"{path}: {err}") from err


def _read_file(nir: Any, path: Path) -> Any:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path}: {found}, expected a NIR file; check the name")
    try:
        nir_graph = nir.read(path, type_check=False)
    except Exception as err:  # the package raises whatever the content of a file leads it to
        raise ModelFileError(
            f"{path}: is no NIR file that nir {nir.version} can read ({type(err).__name__}: {err})"
        ) from err
    if not isinstance(nir_graph, nir.NIRGraph):
        raise ModelFileError(f"{path}: holds a single {type(nir_graph).__name__}, expected a NIRGraph")
    return nir_graph


def write_nir(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph to a NIR file, all or nothing, with times in seconds.

    Parameters
    ----------
    graph : Graph
        A clocked graph that NIR can say.
    path : path
        The file; an existing one is replaced only when the new one is complete.

    Raises
    ------
    GraphError
        If NIR cannot say something in the graph, see :func:`to_nir`.
    ModelFileError
        If the file cannot be written.
    MissingPackageError
        If the package `nir` is missing.
    """
    nir, path = import_nir(), Path(path)
    content = io.BytesIO()
    nir.write(content, to_nir(graph))
    replace_bytes(path, content.getbuffer())
