"""
The weights of two dense layers, out of files that TensorFlow wrote.

Nothing in such a file is run: of a frozen graph only its float constants are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eventio.child_files import ChildFile
from eventio.errors import FormatError

WEIGHTS = "model_weights/"
MOST_WEIGHTS = 1 << 24
FLOAT = 1
FIELD_NODE, FIELD_ATTRIBUTE, FIELD_TENSOR = 1, 5, 8


class DenseLayers(NamedTuple):
    """Weights as stored: float32, shapes (n_inputs, n_hidden), (n_hidden,), (n_hidden, 1) and (1,)."""

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    output: npt.NDArray[np.float32]
    output_bias: npt.NDArray[np.float32]


def read_keras(path: Path) -> DenseLayers:
    """
    Read the weights that Keras saved, by a process of its own: the library may crash on damaged files.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DenseLayers
        The weights.

    Raises
    ------
    FormatError
        The file is damaged, or holds no two dense layers.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    try:
        child = ChildFile(path)
        arrays = child.contents["arrays"]
        top = WEIGHTS if any(name.startswith(WEIGHTS) for name in arrays) else ""
        for name, (kind, shape, _, _) in arrays.items():
            is_float = isinstance(kind, str) and np.dtype(kind).kind == "f"
            if not is_float or len(shape) not in (1, 2) or math.prod(shape) > MOST_WEIGHTS:
                continue
            if name.startswith(top):
                _, data = child.ask({"read": [[name, 0]], "start": 0, "stop": shape[0]})
                found[name.removeprefix(top)] = np.frombuffer(data, kind).reshape(shape).astype(np.float32)
        child.close()
    except (FormatError, ValueError) as error:
        raise FormatError(f"{path}: is no whole HDF5 file ({error}); copy it again") from error
    return match_layers(path, found)


def read_frozen_graph(path: Path, content: bytes) -> DenseLayers:
    """
    Read the float constants of a frozen graph.

    Parameters
    ----------
    path : Path
        The file, for messages.
    content : bytes
        What it holds.

    Returns
    -------
    DenseLayers
        The weights.

    Raises
    ------
    FormatError
        The file is no graph, or holds no two dense layers.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    try:
        for number, node in fields(content):
            if number == FIELD_NODE and isinstance(node, bytes):
                name, tensor = read_node(node)
                if tensor is not None:
                    found[name] = tensor
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{path}: is neither a Keras .h5 nor a frozen TensorFlow graph (.pb); give one of these"
        ) from error
    return match_layers(path, found)


def match_layers(path: Path, arrays: dict[str, npt.NDArray[np.float32]]) -> DenseLayers:
    """
    Find two dense layers among arrays.

    Parameters
    ----------
    path : Path
        The file, for messages.
    arrays : dict of str to ndarray
        By name; those of a layer share what stands before the last slash.

    Returns
    -------
    DenseLayers
        The layer with one output, and the one before it.

    Raises
    ------
    FormatError
        There are other layers.
    """
    layers: dict[str, dict[str, npt.NDArray[np.float32]]] = {}
    for name, array in arrays.items():
        parent = name.rpartition("/")[0]
        if array.ndim in (1, 2):
            layers.setdefault(parent, {})["kernel" if array.ndim == 2 else "bias"] = array
    dense = [each for each in layers.values() if len(each) == 2]
    last_ones = [each for each in dense if each["kernel"].shape[1] == 1]
    first_ones = [each for each in dense if each["kernel"].shape[1] != 1]
    if len(first_ones) != 1 or len(last_ones) != 1:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise FormatError(
            f"{path}: must hold two dense layers, the second with one output, found {shapes or 'no weights'}"
        )
    first, last_one = first_ones[0], last_ones[0]
    return DenseLayers(first["kernel"], first["bias"], last_one["kernel"], last_one["bias"])


def read_node(node: bytes) -> tuple[str, npt.NDArray[np.float32] | None]:
    """
    Read one node of a graph.

    Parameters
    ----------
    node : bytes
        A NodeDef message.

    Returns
    -------
    tuple of (str, ndarray or None)
        Its name, and its value where that is a float tensor of one or two dimensions.
    """
    name, tensor = "", None
    for number, value in fields(node):
        if number == 1 and isinstance(value, bytes):
            name = value.decode()
        elif number == FIELD_ATTRIBUTE and isinstance(value, bytes):
            entry = dict(fields(value))
            if entry.get(1) == b"value" and isinstance(entry.get(2), bytes):
                held = dict(fields(entry[2])).get(FIELD_TENSOR)  # type: ignore[arg-type]
                tensor = read_tensor(held) if isinstance(held, bytes) else None
    return name, tensor


def read_tensor(message: bytes) -> npt.NDArray[np.float32] | None:
    """
    Read a tensor of floats.

    Parameters
    ----------
    message : bytes
        A TensorProto message.

    Returns
    -------
    ndarray or None
        float32; None for other types and for single numbers.

    Raises
    ------
    ValueError
        Its size is not what its shape says.
    """
    kind, shape, content, single = 0, [], b"", b""
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes):
            sizes = [dict(fields(size)).get(1, 0) for key, size in fields(value) if key == 2]  # type: ignore[arg-type]
            shape = [size for size in sizes if isinstance(size, int)]
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number == 5 and isinstance(value, bytes):
            single += value
    if kind != FLOAT or not shape:
        return None
    return np.frombuffer(content or single, "<f4").reshape(shape).astype(np.float32)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """
    Split a message in the wire format of protocol buffers.

    Parameters
    ----------
    message : bytes
        The message.

    Yields
    ------
    tuple of (int, int or bytes)
        Number and value of each field.

    Raises
    ------
    ValueError
        It is none.
    IndexError
        It breaks off.
    """
    at = 0
    while at < len(message):
        key, at = read_number(message, at)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, at = read_number(message, at)
        else:
            size, at = read_number(message, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
            if size < 0 or at + size > len(message):
                raise ValueError("no message in the wire format of protocol buffers")
            value, at = message[at : at + size], at + size
        yield key >> 3, value


def read_number(message: bytes, at: int) -> tuple[int, int]:
    """
    Read a whole number of variable length.

    Parameters
    ----------
    message : bytes
        The message.
    at : int
        Where it begins.

    Returns
    -------
    tuple of (int, int)
        The number, and where it ends.

    Raises
    ------
    ValueError
        It is longer than ten bytes.
    IndexError
        It breaks off.
    """
    number = 0
    for n in range(10):
        byte = message[at + n]
        number |= (byte & 127) << (7 * n)
        if byte < 128:
            return number, at + n + 1
    raise ValueError("no number of at most ten bytes")
