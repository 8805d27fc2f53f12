"""A network in fixed point as Lava's processes; imported in the worker process only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.fixed import GRADED_KINDS, Connection, FixedGraph, Population
from hw.lava.importing import import_lava
from hw.results import IntegerTrain

__all__ = ["run"]

_NEVER_AGAIN = 1_000_000_007


def place_whc(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the place of each neuron in Lava's order: (column, row, channel), last axis fastest."""
    if len(shape) == 1:
        return np.arange(shape[0])
    channels, rows, columns = np.indices(shape).reshape(3, -1)
    return np.asarray((columns * shape[1] + rows) * shape[0] + channels)


def run(fixed: FixedGraph, inputs: dict[str, IntegerTrain], n_steps: int, folder: Path) -> None:
    """Build the processes, run them, and leave what was recorded in a folder."""
    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    processes, last = _build(fixed, inputs, n_steps, folder)
    del processes
    try:
        last.run(condition=RunSteps(num_steps=n_steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        last.stop()


def _build(
    fixed: FixedGraph, inputs: dict[str, IntegerTrain], n_steps: int, folder: Path
) -> tuple[dict[str, Any], Any]:
    from hw.lava.processes.recorded import Recorder

    processes: dict[str, Any] = {}
    for k, (name, population) in enumerate(fixed.populations.items()):
        path = str(folder / f"population{k}")
        if population.kind == "input":
            processes[name] = _source(population, inputs[name], n_steps)
            continue
        graded = population.kind in GRADED_KINDS
        for part in range(1 if graded else 3):
            np.save(f"{path}.{part}.npy", np.zeros((n_steps, population.size), np.int32))
        processes[name] = _graded(population) if graded else _lif(population, path)
        if graded:
            recorder = Recorder(shape=_lava_shape(population.shape), path=path)
            processes[name].s_out.connect(recorder.a_in)
    for connection in fixed.connections:
        _connect(fixed, connection, processes)
    return processes, next(p for n, p in processes.items() if fixed.populations[n].kind != "input")


def _lava_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 1 else (shape[2], shape[1], shape[0])


def _source(population: Population, train: IntegerTrain, n_steps: int) -> Any:
    from lava.proc.io.source import RingBuffer

    data = np.zeros((population.size, n_steps), np.int32)
    there = train.step < n_steps
    data[place_whc(population.shape)[train.index[there]], train.step[there]] = train.value[there]
    return RingBuffer(data=data.reshape(*_lava_shape(population.shape), n_steps))


def _lif(population: Population, path: str) -> Any:
    from hw.lava.processes.recorded import RecordedLif, RecordedLifReset

    order = np.argsort(place_whc(population.shape))
    shape = _lava_shape(population.shape)
    settings: dict[str, Any] = {
        "shape": shape,
        "du": int(population.register("current_decay")[0]) - 1,
        "dv": int(population.register("membrane_decay")[0]),
        "vth": int(population.register("threshold")[0]),
        "bias_mant": population.register("bias_mantissa")[order].reshape(shape),
        "bias_exp": population.register("bias_exponent")[order].reshape(shape),
        "path": path,
        "extras": _extras(population, order, shape),
    }
    if population.reset_step < 0:
        return RecordedLif(**settings)
    interval = population.reset_interval or _NEVER_AGAIN
    return RecordedLifReset(**settings, reset_interval=interval, reset_offset=population.reset_step + 1)


def _extras(population: Population, order: NDArray[np.int64], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what Lava's neuron has one of or has not."""
    found: dict[str, Any] = {}
    names = {"du": "current_decay", "dv": "membrane_decay", "vth": "threshold"}
    for key, register in names.items():
        values = population.register(register)[order].reshape(shape)
        if (values != values.reshape(-1)[0]).any():
            found[key] = values - (key == "du")
    if np.any(population.refractory_steps):
        found["hold"] = population.register("refractory_steps")[order].reshape(shape)
    if np.any(population.subtraction):
        found["subtract"] = population.register("subtraction")[order].reshape(shape) << 6
    return found


def _graded(population: Population) -> Any:
    from lava.proc.graded.process import GradedReluVec, GradedVec
    from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

    shape, threshold = _lava_shape(population.shape), int(population.register("threshold")[0])
    if population.kind in ("graded", "graded_relu"):
        kind = GradedVec if population.kind == "graded" else GradedReluVec
        return kind(shape=shape, vth=threshold, exp=0)
    if population.kind == "sigma":
        return Sigma(shape=shape)
    bits = population.spike_exponent + population.state_exponent
    settings: dict[str, Any] = {
        "shape": shape,
        "vth": threshold >> bits,  # Lava shifts it up
        "spike_exp": population.spike_exponent,
        "state_exp": population.state_exponent,
        "cum_error": population.is_cumulative,
    }
    if population.kind == "delta":
        return Delta(**settings)
    order = np.argsort(place_whc(population.shape))
    bias = (population.bias[order] >> bits).reshape(shape)
    return SigmaDelta(**settings, bias=bias, act_mode=ActivationMode.RELU)


def _connect(fixed: FixedGraph, connection: Connection, processes: dict[str, Any]) -> None:
    source, target = (fixed.populations[name] for name in (connection.source, connection.target))
    out, into = processes[connection.source], processes[connection.target]
    bits = 24 if connection.is_graded else 0
    if connection.kind == "conv":
        synapses = _convolution(connection, source, bits)
        out.s_out.connect(synapses.s_in)
        synapses.a_out.connect(into.a_in)
        return
    for part in _without_repeats(connection):
        synapses = _matrix(part, source, target, bits)
        flat = out.s_out if len(source.shape) == 1 else out.s_out.reshape((source.size,))
        flat.connect(synapses.s_in)
        result = synapses.a_out
        if len(target.shape) > 1:
            result = result.reshape(_lava_shape(target.shape))
        result.connect(into.a_in)


def _without_repeats(connection: Connection) -> list[Connection]:
    """Return one connection for each delay if a pair has several synapses, which Lava's matrices cannot say.

    Lava shifts the sum of each delay by itself, so that nothing changes.
    """
    if connection.kind != "sparse":
        return [connection]
    assert connection.rows is not None
    assert connection.columns is not None
    pairs = np.stack([connection.rows, connection.columns])
    if np.unique(pairs, axis=1).shape[1] == pairs.shape[1]:
        return [connection]
    delays = np.broadcast_to(connection.delay, pairs.shape[1])
    found = []
    for delay in np.unique(delays):
        there = delays == delay
        part = replace(
            connection, weights=connection.weights[there], rows=connection.rows[there],
            columns=connection.columns[there], delay=int(delay),
        )  # fmt: skip
        found.append(part)
    return found


def _convolution(connection: Connection, source: Population, bits: int) -> Any:
    from lava.proc.conv.process import Conv

    from hw.weights import cut_weights

    cut = cut_weights(
        connection.weights, weight_bits=connection.weight_bits, sign=connection.sign,
        weight_exponent=connection.weight_exponent, profile="lava",
    )  # fmt: skip
    # Lava leaves convolution weights as they are: they are cut and shifted here
    weights = (cut << connection.weight_exponent).transpose(0, 3, 2, 1)[:, ::-1, ::-1, :]
    return Conv(
        weight=weights, input_shape=_lava_shape(source.shape), stride=connection.stride[::-1],
        padding=connection.padding[::-1], dilation=connection.dilation[::-1], groups=connection.groups,
        num_message_bits=bits,
    )  # fmt: skip


def _matrix(connection: Connection, source: Population, target: Population, bits: int) -> Any:
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.sparse.process import DelaySparse, Sparse
    from lava.utils.weightutils import SignMode
    from scipy.sparse import csr_matrix

    rows, columns = place_whc(target.shape), place_whc(source.shape)
    sign = {"mixed": SignMode.MIXED, "excitatory": SignMode.EXCITATORY, "inhibitory": SignMode.INHIBITORY}
    settings: dict[str, Any] = {
        "weight_exp": connection.weight_exponent,
        "num_weight_bits": connection.weight_bits,
        "sign_mode": sign[connection.sign],
        "num_message_bits": bits,
    }
    shape = (target.size, source.size)
    weights, delays = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    if connection.kind == "dense":
        weights[rows[:, None], columns[None, :]] = connection.weights
        delays[rows[:, None], columns[None, :]] = connection.delay
    else:
        at = rows[connection.rows], columns[connection.columns]
        weights[at] = connection.weights
        delays[at] = connection.delay
    longest = connection.longest_delay
    if connection.kind == "dense":
        if not longest:
            return Dense(weights=weights, **settings)
        return DelayDense(weights=weights, delays=delays, max_delay=longest, **settings)
    if not longest:
        return Sparse(weights=csr_matrix(weights), **settings)
    delays = delays * (weights != 0)
    return DelaySparse(weights=csr_matrix(weights), delays=csr_matrix(delays), max_delay=longest, **settings)
