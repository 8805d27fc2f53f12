"""The exchange format of lava-dl: networks in fixed point as HDF5 (``.net``), written and read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hw.errors import HardwareError, MappingFileError
from hw.fixed import Connection, FixedGraph, Population
from hw.weights import cut_weights, sign_of

__all__ = ["write_net", "read_net"]

_NEURONS = ("LOIHI", "CUBA")
_MOST_DELAY = 62


def write_net(fixed: FixedGraph, path: str | os.PathLike[str]) -> None:
    """Write a chain of layers as a ``.net`` file that lava-dl's netx reads.

    Parameters
    ----------
    fixed : FixedGraph
        A network in which each population feeds the next. Weights are written as they act (cut and shifted).
    path : path
        The file; it takes its name when it is complete.

    Raises
    ------
    HardwareError
        If the format cannot say the network; with the reason.
    """
    chain = _chain(fixed)
    path = Path(path)
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        with h5py.File(temporary, "w") as file:
            file["simulation/Ts"] = 1
            _write_layer(file, 0, "input", fixed.populations[chain[0]].shape, {})
            number = 1
            for source, name in pairwise(chain):
                population = fixed.populations[name]
                (connection,) = fixed.into(name)
                if connection.kind != "conv" and len(fixed.populations[source].shape) == 3:
                    _write_layer(file, number, "flatten", (1, 1, fixed.populations[source].size), {})
                    number += 1
                kind = "conv" if connection.kind == "conv" else "dense"
                values = (
                    _synapses(connection, (population.size, fixed.populations[source].size))
                    | _bias(name, population)
                    | _neuron(name, population)
                )
                _write_layer(file, number, kind, population.shape, values)
                number += 1
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _chain(fixed: FixedGraph) -> list[str]:
    chain = [fixed.input_name]
    if fixed.gate_name:
        raise HardwareError(
            ".net: biases over an axon of the host cannot be said; train without temporal attention"
        )
    while True:
        after = [c for c in fixed.connections if c.source == chain[-1]]
        if not after:
            break
        if len(after) != 1 or len(fixed.into(after[0].target)) != 1 or after[0].target in chain:
            raise HardwareError(
                f".net: {chain[-1]!r} does not feed exactly one population; the format holds chains only"
            )
        chain.append(after[0].target)
    if len(chain) != len(fixed.populations):
        raise HardwareError(".net: the network is no chain; the format holds chains only")
    return chain


def _write_layer(
    file: h5py.File, number: int, kind: str, shape: tuple[int, ...], values: Mapping[str, Any]
) -> None:
    group = file.create_group(f"layer/{number}")
    group.create_dataset("type", (1,), "S10", [kind.encode()])
    group["shape"] = np.array(shape)
    for name, value in values.items():
        group[name] = value


def _synapses(connection: Connection, shape: tuple[int, int]) -> dict[str, Any]:
    what = f".net: connection {connection.name}"
    if connection.weight_exponent < 0:
        raise HardwareError(
            f"{what}: negative exponents shift the sum, which the format cannot say; use a larger scale"
        )
    cut = cut_weights(
        connection.weights, weight_bits=connection.weight_bits, sign=connection.sign,
        weight_exponent=connection.weight_exponent, profile="lava",
    ) << connection.weight_exponent  # fmt: skip
    delay = np.asarray(connection.delay)
    if connection.kind == "sparse":
        cut, delay = _as_matrix(what, connection, cut, shape)
    if connection.kind == "conv" and delay.any():
        raise HardwareError(f"{what}: a convolution with a delay cannot be said; put the delay at a Linear")
    if delay.max(initial=0) > _MOST_DELAY:
        raise HardwareError(
            f"{what}: delays of {delay.max()} steps, netx clips them to {_MOST_DELAY}; use shorter ones"
        )
    if cut.size and cut.max() <= 0:
        raise HardwareError(f"{what}: netx fails on matrices without a weight above 0; give it one")
    values: dict[str, Any] = {"weight": cut.astype(np.float32)}
    if connection.kind != "conv":
        delays = {"delay": np.broadcast_to(delay, cut.shape).astype(np.int32)} if delay.any() else {}
        return values | delays | {"inFeatures": cut.shape[1], "outFeatures": cut.shape[0]}
    return values | {
        "stride": np.array(connection.stride), "padding": np.array(connection.padding),
        "dilation": np.array(connection.dilation), "groups": connection.groups,
        "kernelSize": np.array(cut.shape[2:]), "inChannels": cut.shape[1] * connection.groups,
        "outChannels": cut.shape[0],
    }  # fmt: skip


def _as_matrix(
    what: str, connection: Connection, cut: NDArray[np.int32], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return sparse weights and their delays as matrices of shape (out, in)."""
    assert connection.rows is not None
    assert connection.columns is not None
    places = np.ravel_multi_index((connection.rows, connection.columns), shape)
    if np.unique(places).size != places.size:
        raise HardwareError(
            f"{what}: some pairs of neurons have several synapses, the format knows one; use one delay for each pair"
        )
    weights, delays = np.zeros((2, *shape), np.int32)
    weights.reshape(-1)[places] = cut
    delays.reshape(-1)[places] = connection.delay
    return weights, delays


def _bias(name: str, population: Population) -> dict[str, Any]:
    bias = population.bias
    if not bias.any():
        return {}
    if (bias % 64).any():
        raise HardwareError(
            f".net: biases of {name!r} must be multiples of 64; the format knows no other exponent"
        )
    values = bias // 64
    if len(population.shape) == 3:
        by_channel = values.reshape(population.shape[0], -1)
        if (by_channel != by_channel[:, :1]).any():
            raise HardwareError(
                f".net: biases of {name!r} differ within a channel, which the format cannot say"
            )
        values = by_channel[:, 0]
    return {"bias": values.astype(np.float32)}


def _neuron(name: str, population: Population) -> dict[str, Any]:
    registers = ("current_decay", "membrane_decay", "threshold", "refractory_steps")
    if np.any(population.subtraction):
        raise HardwareError(f".net: {name!r} resets by subtraction, which the format cannot say")
    values = [np.unique(population.register(register)) for register in registers]
    for register, found in zip(registers, values, strict=True):
        if found.size > 1:
            raise HardwareError(
                f".net: {register} differs between neurons of {name!r}, which the format cannot say"
            )
    numbers = [int(found[0]) for found in values]
    return {
        "neuron/type": "CUBA", "neuron/iDecay": numbers[0], "neuron/vDecay": numbers[1], "neuron/vThMant": numbers[2],
        "neuron/refDelay": numbers[3] + 1, "neuron/gradedSpike": False,
    }  # fmt: skip


def read_net(path: str | os.PathLike[str]) -> FixedGraph:
    """Read a ``.net`` file of LOIHI (or CUBA) layers: input, conv, dense and flatten.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    FixedGraph
        Populations are called 'input', 'layer1', ...; an input layer with a neuron becomes a population 'layer0' that
        takes values with its own weight and bias.

    Raises
    ------
    MappingFileError
        If the file is missing, damaged, or holds something that is not mapped here; the message names the layer.
    """
    path = Path(path)
    if not path.is_file():
        raise MappingFileError(f"{path}: does not exist, expected a .net file of lava-dl")
    try:
        with h5py.File(path, "r") as file:
            layers = [file["layer"][str(k)] for k in range(len(file["layer"]))]
            return _read(path, layers)
    except MappingFileError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError) as err:
        raise MappingFileError(
            f"{path}: is no .net file that can be read ({type(err).__name__}: {err})"
        ) from err


def _read(path: Path, layers: list[Any]) -> FixedGraph:
    shape = tuple(int(n) for n in layers[0]["shape"][()])
    populations: dict[str, Population] = {"input": Population(shape, "input")}
    connections: list[Connection] = []
    previous = "input"
    for number, layer in enumerate(layers):
        kind = layer["type"][0].decode()
        if kind == "flatten" or (kind == "input" and "neuron" not in layer):
            continue
        name = f"layer{number}"
        if kind not in ("input", "conv", "dense"):
            raise MappingFileError(
                f"{path}: layer {number} is of type {kind!r}; input, conv, dense and flatten are read"
            )
        if "weight_rec" in layer and np.any(layer["weight_rec"][()]):
            raise MappingFileError(f"{path}: layer {number} has weight_rec, which is not read")
        shape = tuple(int(n) for n in layer["shape"][()])
        if kind == "dense":
            shape = (int(np.prod(shape)),)
        connection = _read_synapses(kind, layer, previous, name, populations[previous])
        if "delay" in layer and np.any(layer["delay"][()]):
            connection = replace(connection, delay=_read_delays(path, number, layer, connection))
        populations[name] = _read_neuron(path, number, layer, shape)
        connections.append(connection)
        previous = name
    return FixedGraph(populations, tuple(connections), "lava", "input", outputs=(previous,))


def _read_synapses(kind: str, layer: Any, source: str, name: str, population: Population) -> Connection:
    weight: NDArray[Any]
    settings: dict[str, Any]
    if kind == "input":
        weight = np.full(
            (population.shape[0], 1, 1, 1), int(layer["weight"][()] if "weight" in layer else 64)
        )
        settings = {"groups": population.shape[0], "is_graded": True}
    else:
        weight = np.rint(np.asarray(layer["weight"][()])).astype(np.int64)
        settings = {}
    if kind == "dense":
        weight = weight.reshape(-1, population.size)
    elif kind == "conv":
        weight = weight.reshape(weight.shape[:4])
        pairs = {
            key: tuple(int(n) for n in np.broadcast_to(layer[key][()], 2))
            for key in ("stride", "padding", "dilation")
        }
        settings = {**pairs, "groups": int(layer["groups"][()])}
    exponent = 0
    while np.abs(weight).max(initial=0) >> exponent > 254 and not (weight % (2 << exponent)).any():
        exponent += 1
    weight >>= exponent
    sign = "mixed" if not (weight % 2).any() else sign_of(weight)
    return Connection(
        source,
        name,
        "dense" if kind == "dense" else "conv",
        weight,
        weight_exponent=exponent,
        sign=sign,
        **settings,
    )


def _read_delays(path: Path, number: int, layer: Any, connection: Connection) -> NDArray[np.int32]:
    """Return a delay for each weight of a dense layer: the file has one, or one for each output, input or weight."""
    what, delay = f"{path}: layer {number}", np.asarray(layer["delay"][()])
    if connection.kind != "dense":
        raise MappingFileError(f"{what} is no dense one and has delays, which are not read")
    if (delay != np.rint(delay)).any() or delay.min() < 0 or delay.max() > _MOST_DELAY:
        raise MappingFileError(
            f"{what}: delays must be whole numbers from 0 to {_MOST_DELAY}, got {delay.min()} to {delay.max()}"
        )
    n_out, n_in = connection.weights.shape
    if delay.ndim == 1 and delay.size == n_out:  # in a square matrix this comes first, as in netx
        delay = delay[:, None]
    elif delay.ndim == 1 and delay.size not in (n_in, 1):
        raise MappingFileError(f"{what}: {delay.size} delays fit neither {n_out} outputs nor {n_in} inputs")
    return np.broadcast_to(delay, (n_out, n_in)).astype(np.int32)


def _read_neuron(path: Path, number: int, layer: Any, shape: tuple[int, ...]) -> Population:
    neuron = layer["neuron"]
    kind = neuron["type"][()]
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind not in _NEURONS:
        raise MappingFileError(
            f"{path}: layer {number} has neurons of type {kind!r}; {' and '.join(_NEURONS)} are read"
        )
    bias: NDArray[np.int64] = np.zeros(1, np.int64)
    if "bias" in layer:
        bias = np.rint(np.atleast_1d(layer["bias"][()])).astype(np.int64)
        bias = np.repeat(bias, int(np.prod(shape)) // bias.size)
    refractory = int(neuron["refDelay"][()]) - 1 if "refDelay" in neuron else 0
    return Population(
        shape,
        current_decay=int(neuron["iDecay"][()]),
        membrane_decay=int(neuron["vDecay"][()]),
        threshold=int(neuron["vThMant"][()]),
        bias_mantissa=bias.astype(np.int32) if bias.any() else 0,
        bias_exponent=6 if bias.any() else 0,
        refractory_steps=refractory,
    )
