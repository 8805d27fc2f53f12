# Numbers and contiguous arrays only: a layer of LIF neurons over all frames of a batch, with the batch norm of
# its currents folded in, forward and backward. A row is one computed frame of one sample; its values are
# ordered (pixel, channel). slot int32 (T, B) is the row of frame t of sample b, -1 for a dropped frame.
# Loops run over the samples or rows span[0] .. span[1] - 1 and write nothing outside them.
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
Span = tuple[int, int]


class Neuron(NamedTuple):
    step: np.float32  # a of v <- v + a*((I + v_leak) - v)
    threshold: np.float32
    v_leak: np.float32
    v_reset: np.float32
    alpha: np.float32


class Drive(NamedTuple):
    # I = current * (gain of the row * scale) + offset
    current: FloatArray  # (rows, n)
    gain: FloatArray  # (rows,)
    scale: FloatArray  # (n,)
    offset: FloatArray  # (n,)


@njit(cache=True, nogil=True)
def lif_forward(
    drive: Drive,
    slot: IntArray,
    neuron: Neuron,
    results: tuple[FloatArray, FloatArray],
    span: Span,
) -> None:
    # results = (membrane before the reset, spikes), float32 (rows, n).
    membrane, spikes = results
    one = np.float32(1.0)
    zero = np.float32(0.0)
    n = drive.current.shape[1]
    v = np.empty(n, np.float32)
    for b in range(span[0], span[1]):
        v[:] = neuron.v_leak
        for t in range(slot.shape[0]):
            row = slot[t, b]
            if row < 0:
                for k in range(n):
                    v[k] = v[k] + neuron.step * ((zero + neuron.v_leak) - v[k])
                continue
            source = drive.current[row]
            u = membrane[row]
            z = spikes[row]
            gain = drive.gain[row]
            for k in range(n):
                i = source[k] * (gain * drive.scale[k]) + drive.offset[k]
                raised = v[k] + neuron.step * ((i + neuron.v_leak) - v[k])
                fired = raised > neuron.threshold
                u[k] = raised
                z[k] = one if fired else zero
                v[k] = neuron.v_reset if fired else raised


@njit(cache=True, nogil=True, error_model="numpy")  # no test for 0: the slope is at least 1
def lif_backward(
    grads: tuple[FloatArray, FloatArray],
    membrane: FloatArray,
    slot: IntArray,
    neuron: Neuron,
    span: Span,
) -> None:
    # The derivative of lif_forward with the surrogate 1 / (alpha*|v - threshold| + 1)**2, in norse's order.
    # grads = (of the spikes, given; of the drive, result), float32 (rows, n).
    grad_spikes, grad_drive = grads
    one = np.float32(1.0)
    zero = np.float32(0.0)
    n = membrane.shape[1]
    g = np.empty(n, np.float32)
    for b in range(span[0], span[1]):
        g[:] = zero
        for t in range(slot.shape[0] - 1, -1, -1):
            row = slot[t, b]
            if row < 0:
                for k in range(n):
                    g[k] = g[k] - neuron.step * g[k]
                continue
            u = membrane[row]
            dz = grad_spikes[row]
            di = grad_drive[row]
            for k in range(n):
                above = u[k] - neuron.threshold
                slope = neuron.alpha * abs(above) + one
                gz = dz[k] + (g[k] * neuron.v_reset - g[k] * u[k])
                stays = zero if above > zero else g[k]
                gv = stays + gz / (slope * slope)
                step_gv = neuron.step * gv
                di[k] = step_gv
                g[k] = gv - step_gv


@njit(cache=True, nogil=True)
def row_sums(first: FloatArray, second: FloatArray, sums: FloatArray, span: Span) -> None:
    # first, second float32 (rows, pixels, channels); sums (rows, 2, channels): of first and first * second
    # over the pixels.
    for row in range(span[0], span[1]):
        plain = sums[row, 0]
        mixed = sums[row, 1]
        plain[:] = np.float32(0.0)
        mixed[:] = np.float32(0.0)
        for pixel in range(first.shape[1]):
            a = first[row, pixel]
            b = second[row, pixel]
            for c in range(first.shape[2]):
                plain[c] += a[c]
                mixed[c] += a[c] * b[c]


@njit(cache=True, nogil=True)
def norm_backward(
    grad: FloatArray,
    current: FloatArray,
    gain: FloatArray,
    terms: tuple[FloatArray, FloatArray, FloatArray],
    span: Span,
) -> None:
    # grad, current float32 (rows, n), terms (n,): grad becomes
    # gain * (terms[0] * grad + terms[1] * (gain * current) + terms[2]).
    by_grad, by_current, constant = terms
    for row in range(span[0], span[1]):
        g = grad[row]
        y = current[row]
        factor = gain[row]
        for k in range(grad.shape[1]):
            g[k] = factor * (by_grad[k] * g[k] + by_current[k] * (factor * y[k]) + constant[k])
