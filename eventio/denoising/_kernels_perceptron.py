"""Kernel of the perceptron filter."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

NEVER_US = np.int64(-(2**63))
Floats = npt.NDArray[np.float32]


class Layers(NamedTuple):
    """Weights of a perceptron: float32, shapes (n_inputs, n_hidden), (n_hidden,), (n_hidden,) and (1,)."""

    kernel: Floats
    bias: Floats
    output: Floats
    output_bias: Floats


@numba.njit(cache=True)
def gather(event: Any, tau_us: int, latest: Any, signs: Any, inputs: Floats) -> None:
    """
    Write what the pixels around an event show: ages first, then signs, column by column from the left.

    latest and signs, shape (columns, rows), have a margin of half a patch; the event itself is not in them yet. An
    age is 1 - elapsed / tau_us, 0 beyond tau_us, for times after the event and pixels without one; a sign is 1 for
    ON, -1 for OFF, 0 beyond tau_us; that in the middle is the event's own.
    """
    side = np.int64(np.sqrt(inputs.shape[0] // 2))
    area, k = side * side, 0
    tau = np.float32(tau_us)
    for column in range(np.int64(event.x), np.int64(event.x) + side):
        for row in range(np.int64(event.y), np.int64(event.y) + side):
            last = latest[column, row]
            age, sign = np.float32(0), np.float32(0)
            if last != NEVER_US and last >= max(event.t, NEVER_US + tau_us) - tau_us:
                sign = np.float32(signs[column, row])
                if last <= event.t and event.t - last < tau_us:
                    age = np.float32(1) - np.float32(event.t - last) / tau
            inputs[k], inputs[area + k] = age, sign
            k += 1
    inputs[area + area // 2] = np.float32(1) if event.p else np.float32(-1)


@numba.njit(cache=True)
def evaluate(layers: Layers, inputs: Floats, hidden: Floats) -> Any:
    """Return the output before its sigmoid; inputs of 0 add nothing and are skipped."""
    n_hidden = hidden.shape[0]
    for h in range(n_hidden):
        hidden[h] = layers.bias[h]
    for k in range(inputs.shape[0]):
        value = inputs[k]
        if value != np.float32(0):
            for h in range(n_hidden):
                hidden[h] += value * layers.kernel[k, h]
    total = layers.output_bias[0]
    for h in range(n_hidden):
        if hidden[h] > np.float32(0):
            total += hidden[h] * layers.output[h]
    return total


@numba.njit(cache=True)
def score(events: Any, tau_us: int, layers: Layers, latest: Any, signs: Any, scores: Floats) -> None:
    """Write the perceptron's output for each event."""
    inputs = np.empty(layers.kernel.shape[0], np.float32)
    hidden = np.empty(layers.kernel.shape[1], np.float32)
    half = np.int64(np.sqrt(inputs.shape[0] // 2)) // 2
    for i in range(events.shape[0]):
        event = events[i]
        gather(event, tau_us, latest, signs, inputs)
        scores[i] = evaluate(layers, inputs, hidden)
        column, row = np.int64(event.x) + half, np.int64(event.y) + half
        latest[column, row] = event.t
        signs[column, row] = np.int8(1) if event.p else np.int8(-1)
