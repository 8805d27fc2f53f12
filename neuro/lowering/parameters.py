"""A neuron node's parameters as the float32 arrays of the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuro.graph import IF, LI, LIF, Clocked, CubaLIF
from neuro.kernels.arrays import Floats, Neurons
from neuro.kernels.populations import BOX, CUBA, DECAY, INTEGRATOR, PASS
from neuro.lowering.layout import Layout

__all__ = ["Neuron", "lower_neurons", "resting_voltage", "no_neurons", "is_silence_safe"]

Neuron = IF | LIF | CubaLIF | LI
_ONE = np.float32(1)


def lower_neurons(node: Neuron, layout: Layout, dt_s: float) -> Neurons:
    """Return the kernel's parameters of a population.

    The step factor is ``float32(dt_s) * float32(1 / tau)`` ('euler'), ``float32(1 - exp(-dt_s / tau))``
    ('exponential') or ``float32(exp(-dt_s / tau))`` ('decay'). IF is 'decay' with factor 1.
    """
    update, gain, leak, synaptic_gain = _dynamics(node, dt_s)
    fire_above: Any = np.inf
    reset: Any = 0.0
    if not isinstance(node, LI):
        fire_above = node.threshold
        if node.comparison == ">=":
            fire_above = np.nextafter(np.float32(node.threshold), np.float32(-np.inf))
        reset = node.v_reset if node.reset == "value" else node.threshold
    values = (gain, leak, synaptic_gain, fire_above, reset)
    is_uniform = all(np.ndim(value) == 0 for value in values) and update in (BOX, DECAY)
    n_held = 0 if isinstance(node, LI) else Clocked(dt_s).steps(node.refractory_s)
    is_uniform = is_uniform and not isinstance(node, LI) and n_held == 0
    arrays = (np.full(1, value, np.float32) if is_uniform else _expand(value, layout) for value in values)
    is_subtracting = not isinstance(node, LI) and node.reset == "subtract"
    return Neurons(update, is_uniform, not isinstance(node, LI), is_subtracting, n_held, *arrays)


def resting_voltage(node: Neuron, layout: Layout) -> Floats:
    """Return the membranes before the first step: the leak potential, 0 for IF and 'decay'."""
    return _expand(0.0 if isinstance(node, IF) else node.v_leak, layout)


def is_silence_safe(neurons: Neurons, bias: Floats) -> bool:
    """Whether a membrane that is not above its threshold stays there without input, kept steps or dropped ones.

    DECAY: rounding is monotone, so no membrane below the threshold passes what becomes of the threshold itself, which
    is computed here. BOX: a membrane above its resting value falls; one below ends at most there, since the step covers
    less than the whole distance by more than its two roundings (gain <= 1 - 2^-20), and the last rounding is monotone.
    """
    if not (neurons.is_uniform and neurons.is_firing):
        return False
    gain, limit = neurons.gain[0], neurons.fire_above[0]
    drives = np.append(bias, np.float32(0)).astype(np.float32)
    if neurons.update == DECAY:
        return bool(gain >= 0) and bool((gain * limit + drives <= limit).all())
    return bool(0 < gain <= 1 - 2.0**-20) and bool((drives + neurons.leak[0] <= limit).all())


def no_neurons() -> Neurons:
    """Return the stand-in for a layer whose currents are wanted themselves."""
    nothing = np.zeros(1, np.float32)
    return Neurons(PASS, True, False, False, 0, nothing, nothing, nothing, nothing, nothing)


def _dynamics(node: Neuron, dt_s: float) -> tuple[int, Any, Any, Any]:
    if isinstance(node, IF):
        return DECAY, _ONE, 0.0, 0.0
    gain = _step_factor(node.update, node.tau_mem_s, dt_s)
    if isinstance(node, CubaLIF):
        return CUBA, gain, node.v_leak, _step_factor(node.update, node.tau_syn_s, dt_s)
    if node.update == "decay":
        return DECAY, gain, 0.0, 0.0
    return (INTEGRATOR if isinstance(node, LI) else BOX), gain, node.v_leak, 0.0


def _step_factor(update: str, tau_s: float | Floats, dt_s: float) -> Any:
    tau = np.asarray(tau_s, np.float64)
    if update == "euler":
        return np.float32(dt_s) * (1 / tau).astype(np.float32)
    ratio = np.exp(-dt_s / tau)
    return (ratio if update == "decay" else 1 - ratio).astype(np.float32)


def _expand(value: Any, layout: Layout) -> Floats:
    """One value per neuron, channel-last: a number, or an array of shape (C, 1, 1) or the layout's own."""
    whole = np.broadcast_to(np.asarray(value, np.float32), layout.shape)
    return layout.inside(whole[np.newaxis]).reshape(-1)
