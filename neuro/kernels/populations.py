"""One step of a population: update, compare, reset, and the list of those that fired.

Every product is rounded before it is added (no contraction), in the order of the stated equations.
"""

import numpy as np

from neuro.kernels.arrays import Block, Bytes, Floats, Membranes, Neurons, Work
from neuro.kernels.options import PART, njit

U = np.uint64
BOX, DECAY, CUBA, INTEGRATOR, PASS = 0, 1, 2, 3, 4


@njit(cache=True, **PART)
def update_uniform(neurons: Neurons, voltage: Floats, current: Floats, fired: Bytes, is_kept: bool) -> None:
    """BOX: u = v + gain * ((I + leak) - v); DECAY: u = gain * v + I; spike where u > fire_above, then reset."""
    gain, leak, reset = neurons.gain[0], neurons.leak[0], neurons.reset[0]
    fire_above = neurons.fire_above[0] if is_kept else np.float32(np.inf)
    n = voltage.size
    if neurons.update == DECAY and neurons.is_subtracting:
        for o in range(n):
            u = gain * voltage[o] + current[o]
            fired[o] = u > fire_above
            voltage[o] = u - reset if u > fire_above else u
    elif neurons.update == DECAY:
        for o in range(n):
            u = gain * voltage[o] + current[o]
            fired[o] = u > fire_above
            voltage[o] = reset if u > fire_above else u
    elif neurons.is_subtracting:
        for o in range(n):
            u = voltage[o] + gain * ((current[o] + leak) - voltage[o])
            fired[o] = u > fire_above
            voltage[o] = u - reset if u > fire_above else u
    else:
        for o in range(n):
            u = voltage[o] + gain * ((current[o] + leak) - voltage[o])
            fired[o] = u > fire_above
            voltage[o] = reset if u > fire_above else u


@njit(cache=True, **PART)
def drive(neurons: Neurons, lo: int, membranes: Membranes, current: Floats) -> None:
    """Update the neurons lo, lo + 1, ... with a parameter each; short loops so that each is vectorised."""
    n = current.size
    gain, leak = neurons.gain[lo : lo + n], neurons.leak[lo : lo + n]
    voltage = membranes.voltage[lo : lo + n]
    if neurons.update == DECAY:
        for o in range(n):
            voltage[o] = gain[o] * voltage[o]
        for o in range(n):
            voltage[o] = voltage[o] + current[o]
        return
    if neurons.update == BOX:
        for o in range(n):
            current[o] = current[o] + leak[o]
        for o in range(n):
            current[o] = current[o] - voltage[o]
    else:
        if neurons.update == CUBA:
            synaptic = membranes.current[lo : lo + n]
            for o in range(n):
                synaptic[o] = synaptic[o] + current[o]
                current[o] = synaptic[o]
            synaptic_gain = neurons.synaptic_gain[lo : lo + n]
            for o in range(n):
                synaptic[o] = synaptic[o] - synaptic_gain[o] * synaptic[o]
        for o in range(n):
            current[o] = (leak[o] - voltage[o]) + current[o]
    for o in range(n):
        voltage[o] = voltage[o] + gain[o] * current[o]


@njit(cache=True, **PART)
def fire(neurons: Neurons, lo: int, voltage: Floats, fired: Bytes) -> None:
    """Compare and reset the neurons lo, lo + 1, ... with a parameter each."""
    n = voltage.size
    fire_above, reset = neurons.fire_above[lo : lo + n], neurons.reset[lo : lo + n]
    for o in range(n):
        fired[o] = voltage[o] > fire_above[o]
    if neurons.is_subtracting:
        for o in range(n):
            voltage[o] = voltage[o] - reset[o] if fired[o] else voltage[o]
    else:
        for o in range(n):
            voltage[o] = reset[o] if fired[o] else voltage[o]


@njit(cache=True, **PART)
def step_held(
    neurons: Neurons, lo: int, membranes: Membranes, current: Floats, fired: Bytes, is_kept: bool
) -> None:
    """One step of neurons with a refractory period: a held one keeps its membrane, its synaptic current goes on."""
    voltage, synaptic, held = membranes.voltage, membranes.current, membranes.held
    for o in range(lo, lo + current.size):
        x, v, gain, leak = current[o - lo], voltage[o], neurons.gain[o], neurons.leak[o]
        if neurons.update == CUBA:
            x = synaptic[o] + x
            synaptic[o] = x - neurons.synaptic_gain[o] * x
            u = v + gain * ((leak - v) + x)
        elif neurons.update == DECAY:
            u = gain * v + x
        else:
            u = v + gain * ((x + leak) - v)
        fires = held[o] == 0 and is_kept and u > neurons.fire_above[o]
        if held[o] > 0:
            held[o] -= 1
        elif fires:
            voltage[o] = u - neurons.reset[o] if neurons.is_subtracting else neurons.reset[o]
            held[o] = neurons.n_held
        else:
            voltage[o] = u
        fired[o - lo] = fires


@njit(cache=True, **PART)
def step_neurons(
    neurons: Neurons, lo: int, membranes: Membranes, current: Floats, fired: Bytes, is_kept: bool
) -> None:
    """One step of the neurons lo, lo + 1, ...; on a dropped step no neuron is compared."""
    voltage = membranes.voltage[lo : lo + current.size]
    if neurons.n_held > 0:
        step_held(neurons, lo, membranes, current, fired, is_kept)
        return
    if neurons.is_uniform:
        update_uniform(neurons, voltage, current, fired, is_kept)
        return
    drive(neurons, lo, membranes, current)
    if is_kept and neurons.is_firing:
        fire(neurons, lo, voltage, fired)


@njit(cache=True, **PART)
def emit(work: Work, step: int, lo: int, n: int, block: Block, is_kept: bool) -> None:
    """Append the fired neurons among lo .. lo + n (whole pixels); ``tally[0]`` counts all spikes of the block."""
    start, index, fired, words = block.start, block.index, work.fired, work.fired_words
    n_channels = block.n_channels
    slot = step * block.n_pixels + lo // n_channels - block.first_pixel + 1
    n_spikes = block.tally[0]
    for base in range(0, n, n_channels):
        if not is_kept:
            pass
        elif n_channels % 8 == 0:
            for word in range(U(base // 8), U((base + n_channels) // 8)):
                if words[word] != 0:
                    first = U(8) * word
                    for k in range(U(8)):
                        index[U(n_spikes)] = lo + np.int64(first + k)
                        n_spikes += fired[first + k]
        else:
            for k in range(base, base + n_channels):
                index[n_spikes] = lo + k
                n_spikes += fired[k]
        start[slot] = n_spikes
        slot += 1
    block.tally[0] = n_spikes
