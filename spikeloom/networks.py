"""Networks from the files of this project and from NIR, and how events become their frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neuro
import neuro.graph
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.recognizer import Recognizer

__all__ = ["DEFAULT_FRAMES", "frames_for", "read_network", "read_recognizer"]

DEFAULT_FRAMES = 100


def read_network(
    path: Path, *, dt_s: float | None = None, time_unit_s: float | None = None
) -> tuple[neuro.graph.Graph, Recognizer | None]:
    """Read a network from a model file, a graph file, or a NIR file.

    Parameters
    ----------
    path : Path
        The file; one that ends in ``.nir`` is read as NIR.
    dt_s, time_unit_s : float, optional
        Of a NIR file: length of a step and unit of time in seconds. A file without a unit is taken to be in seconds
        only if that is said.

    Returns
    -------
    Graph, Recognizer or None
        The network, and the recogniser where the file holds one.

    Raises
    ------
    UserError
        If `dt_s` is given for a file that says its step itself.
    """
    if path.suffix == ".nir":
        return neuro.graph.read_nir(
            path, dt_s=dt_s, time_unit_s=time_unit_s, fold=True, delay_loops=True
        ), None
    if dt_s is not None or time_unit_s is not None:
        raise UserError(f"{path}: --dt and --time-unit are for NIR files; a model file says its step itself")
    try:
        recognizer = Recognizer.load(path)
    except neuro.ModelFileError as err:
        if "no /recognizer" not in str(err):
            raise
        return neuro.graph.Graph.load(path), None
    return recognizer.graph, recognizer


def frames_for(graph: neuro.graph.Graph, path: Path, *, n_frames: int) -> Encoding:
    """Return how events become frames of a network that stands alone: one frame for each of its steps.

    Parameters
    ----------
    graph : Graph
        A clocked network whose input is (2, height, width): the polarities OFF and ON.
    path : Path
        Its file, for messages.
    n_frames : int
        Frames of a window.

    Returns
    -------
    Encoding
        Counts of events, without a filter.

    Raises
    ------
    UserError
        If the input has another shape, or a step is no whole number of microseconds.
    """
    shape = tuple(graph.shapes[graph.input_name])
    if len(shape) != 3 or shape[0] != 2:
        raise UserError(
            f"{path}: takes inputs of shape {shape}, but the events of a recording have shape (2, height, width); "
            "use neuro.simulate with inputs of your own"
        )
    if not isinstance(graph.execution, neuro.graph.Clocked):
        raise UserError(f"{path}: runs event by event; use neuro.stream")
    bin_us = graph.execution.dt_s * 1e6
    if not np.isclose(bin_us, round(bin_us), rtol=1e-9) or round(bin_us) < 1:
        raise UserError(
            f"{path}: a step must be a whole number of microseconds to count events in it, got {bin_us} us"
        )
    return Encoding(width=shape[2], height=shape[1], n_frames=n_frames, bin_us=round(bin_us))


def read_recognizer(
    path: Path, *, dt_s: float | None = None, time_unit_s: float | None = None, n_frames: int | None = None
) -> Recognizer:
    """Read a recogniser, or make one of a network that stands alone: its outputs are classes "0", "1", ...

    Parameters
    ----------
    path : Path
        A model file, a graph file, or a NIR file.
    dt_s, time_unit_s : float, optional
        Of a NIR file, as in `read_network`.
    n_frames : int, optional
        Frames of a window of a network that stands alone; 100 if left out.

    Returns
    -------
    Recognizer
        The recogniser.

    Raises
    ------
    UserError
        If `n_frames` is given for a model file, which says its windows itself, or the network takes no events.
    """
    graph, recognizer = read_network(path, dt_s=dt_s, time_unit_s=time_unit_s)
    if recognizer is not None:
        if n_frames is not None:
            raise UserError(
                f"{path}: --frames is for networks that stand alone; a model file says its windows itself"
            )
        return recognizer
    encoding = frames_for(graph, path, n_frames=DEFAULT_FRAMES if n_frames is None else n_frames)
    if len(graph.output_names) != 1:
        raise UserError(f"{path}: a recogniser needs one readout, got {', '.join(graph.output_names)}")
    n_classes = int(np.prod(graph.shapes[graph.output_names[0]]))
    return Recognizer(graph, encoding, tuple(str(k) for k in range(n_classes)))
