"""What the emulator asks of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.fixed import FixedGraph
from hw.results import IntegerTrain

__all__ = ["checked_inputs"]


def checked_inputs(
    fixed: FixedGraph,
    spikes: Any,
    kept: NDArray[np.bool_] | None,
    given: Mapping[str, neuro.Spikes] | None,
) -> tuple[int, dict[str, IntegerTrain]]:
    """Return the number of steps, and the spikes of every input and given population in steps of the chip."""
    name = fixed.input_name
    shape = fixed.populations[name].shape
    if isinstance(spikes, np.ndarray):
        spikes = neuro.Spikes.from_dense(spikes)
    if not isinstance(spikes, neuro.Spikes):
        raise neuro.InputError(f"emulate: takes neuro.Spikes or an array, got {type(spikes).__name__}")
    n_steps = spikes.n_steps
    mask = np.ones(n_steps, np.bool_) if kept is None else np.asarray(kept, np.bool_)
    if mask.shape != (n_steps,):
        raise neuro.InputError(
            f"emulate: kept must have shape ({n_steps},) as the recording, got {mask.shape}"
        )
    trains = {name: _train(name, spikes, shape, 0, mask)}
    for key, train in (given or {}).items():
        if train.n_steps != n_steps:
            raise neuro.InputError(
                f"emulate: given {key!r} has {train.n_steps} steps, the recording {n_steps}"
            )
        trains[key] = _train(
            key, train, fixed.populations[key].shape, fixed.depths[key], np.ones(n_steps, np.bool_)
        )
    if fixed.gate_name:
        steps = np.flatnonzero(mask).astype(np.int32)
        trains[fixed.gate_name] = IntegerTrain(steps, np.zeros_like(steps), np.ones_like(steps))
    for key, population in fixed.populations.items():
        if population.kind == "input" and key not in trains:
            raise neuro.InputError(f"emulate: the input {key!r} needs spikes; name it in `given`")
    return n_steps, trains


def _train(
    name: str, spikes: neuro.Spikes, shape: tuple[int, ...], shift: int, mask: NDArray[np.bool_]
) -> IntegerTrain:
    if spikes.shape != shape:
        raise neuro.InputError(f"emulate: {name!r} needs frames of shape {shape}, got {spikes.shape}")
    wrong = (spikes.value != np.rint(spikes.value)) | (np.abs(spikes.value) >= 2**24)
    if wrong.any():
        j = int(np.argmax(wrong))
        raise neuro.InputError(
            f"emulate: {name!r} takes whole numbers below 2^24, got {spikes.value[j]:g} in step {spikes.step[j]} at "
            f"index {spikes.index[j]}; scale and round on the host"
        )
    there = mask[spikes.step]
    return IntegerTrain(
        (spikes.step[there] + shift).astype(np.int32),
        spikes.index[there].astype(np.int32),
        np.rint(spikes.value[there]).astype(np.int32),
    )
