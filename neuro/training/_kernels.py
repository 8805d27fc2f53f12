# Numbers and contiguous arrays only. A layer's neurons over all frames of a batch, forward and backward.
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


class Neuron(NamedTuple):
    step: np.float32  # a of v <- v + a*((I + v_leak) - v)
    threshold: np.float32
    v_leak: np.float32
    v_reset: np.float32
    alpha: np.float32


@njit(cache=True, nogil=True)
def lif_forward(
    current: FloatArray,
    slot: IntArray,
    neuron: Neuron,
    results: tuple[FloatArray, FloatArray],
    samples: tuple[int, int],
) -> None:
    # current float32 (rows, n); slot int32 (T, B): row of frame t of sample b, -1 = dropped frame.
    # results = (membrane, spikes), float32 (rows, n); membrane is v before the reset.
    # Samples samples[0] .. samples[1] - 1 are done.
    membrane, spikes = results
    one = np.float32(1.0)
    zero = np.float32(0.0)
    n_frames = slot.shape[0]
    n = current.shape[1]
    v = np.empty(n, np.float32)
    for b in range(samples[0], samples[1]):
        v[:] = neuron.v_leak
        for t in range(n_frames):
            row = slot[t, b]
            if row < 0:
                for k in range(n):
                    v[k] = v[k] + neuron.step * ((zero + neuron.v_leak) - v[k])
                continue
            source = current[row]
            u = membrane[row]
            z = spikes[row]
            for k in range(n):
                raised = v[k] + neuron.step * ((source[k] + neuron.v_leak) - v[k])
                fired = raised > neuron.threshold
                u[k] = raised
                z[k] = one if fired else zero
                v[k] = neuron.v_reset if fired else raised


@njit(cache=True, nogil=True)
def lif_backward(
    grads: tuple[FloatArray, FloatArray],
    membrane: FloatArray,
    slot: IntArray,
    neuron: Neuron,
    samples: tuple[int, int],
) -> None:
    # The derivative of lif_forward with the surrogate 1 / (alpha*|v - threshold| + 1)**2, in norse's order.
    # grads = (of the spikes, given; of the current, result), float32 (rows, n).
    grad_spikes, grad_current = grads
    one = np.float32(1.0)
    zero = np.float32(0.0)
    n = membrane.shape[1]
    g = np.empty(n, np.float32)
    for b in range(samples[0], samples[1]):
        g[:] = zero
        for t in range(slot.shape[0] - 1, -1, -1):
            row = slot[t, b]
            if row < 0:
                for k in range(n):
                    g[k] = g[k] - neuron.step * g[k]
                continue
            u = membrane[row]
            dz = grad_spikes[row]
            di = grad_current[row]
            for k in range(n):
                above = u[k] - neuron.threshold
                slope = neuron.alpha * abs(above) + one
                gz = dz[k] + (g[k] * neuron.v_reset - g[k] * u[k])
                stays = zero if above > zero else g[k]
                gv = stays + gz / (slope * slope)
                step_gv = neuron.step * gv
                di[k] = step_gv
                g[k] = gv - step_gv
