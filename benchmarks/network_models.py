"""The published networks that simulators are compared on, as plain arrays: every simulator runs the same synapses.

`cuba` and `coba` are the current-based and the conductance-based network of Brette et al. (2007), `microcircuit` is
that of Potjans and Diesmann (2014), scaled. Only NumPy is imported: the peers' own interpreters read this module too.

What a step means, for every simulator (times in ms, potentials in mV; g_exc and g_inh are the synaptic variables):

1. Membranes and synaptic variables go from t to t + dt. Current-based: the exact solution of
   ``tau_mem dv/dt = (v_rest + drive - v) + g_exc + g_inh``, ``tau dg/dt = -g``. Conductance-based: g decays exactly,
   v relaxes exactly for conductances held at their value at t (exponential Euler) in
   ``tau_mem dv/dt = (v_rest + drive - v) + g_exc (e_exc - v) + g_inh (e_inh - v)``. A refractory neuron keeps its v.
2. A neuron that is not refractory with ``v > threshold`` fires: ``v = v_reset``, and v is held in the next
   ``refractory_steps`` steps.
3. The spikes of step k reach g at the end of step ``k + delay_steps - 1``: the membrane moves from step
   ``k + delay_steps`` on, so that 1 is the shortest delay there is. (NEST and Brian2 call this a delay of
   ``(delay_steps - 1) * dt``.)
4. A Poisson source per neuron adds ``poisson_weight`` to g_exc at the end of the step for each of its events.

Layout of the file written by `NetworkModel.save`: an uncompressed .npz with one array per attribute of `NetworkModel`
(numbers and texts as arrays of shape ()).

Sources: R. Brette et al., "Simulation of networks of spiking neurons: a review of tools and strategies", J. Comput.
Neurosci. 23 (2007), benchmarks 1 and 2; T. Potjans and M. Diesmann, "The cell-type specific cortical microcircuit",
Cereb. Cortex 24 (2014), tables 4 and 5; S. van Albada, M. Helias and M. Diesmann, "Scalability of asynchronous networks
is limited by one-to-one mapping between effective connectivity and correlations", PLoS Comput. Biol. 11 (2015), for the
scaling that keeps mean and variance of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MICROCIRCUIT", "POPULATIONS", "RATES_HZ", "NetworkModel", "Projection", "coba", "cuba", "microcircuit",
    "microcircuit_populations", "microcircuit_projections", "scattered",
]  # fmt: skip

DT_MS = 0.1
FAN_IN = 80  # synapses per neuron of the networks of Brette et al.: 2 % of 4,000

POPULATIONS = ("L2/3E", "L2/3I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
_SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
_PROBABILITIES = (  # target x source
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.1350, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.0600, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.0010, 0.0034, 0.0005, 0.0277, 0.0080, 0.0658, 0.1443),
)
_EXTERNAL = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)  # synapses from outside per neuron
_EXTERNAL_HZ = 8.0
RATES_HZ = (0.9, 2.8, 4.4, 5.9, 7.6, 8.6, 1.1, 7.9)  # of the whole network, rounded: for the scaling only
_PA_TO_MV = 10.0 / 250.0  # tau_mem / capacitance: what a current of 1 pA adds to the resting potential
_WEIGHT_PA = 87.81  # a current that gives a potential of 0.15 mV
_INHIBITION = -4.0  # inhibitory over excitatory weight
_DELAY_MS = ((1.5, 0.75), (0.75, 0.375))  # mean and deviation, of excitatory and inhibitory neurons
MICROCIRCUIT: dict[str, Any] = {  # attributes of NetworkModel
    "kind": "current", "dt_ms": DT_MS, "tau_mem_ms": 10.0, "tau_exc_ms": 0.5, "tau_inh_ms": 0.5, "v_rest": -65.0,
    "threshold": -50.0, "v_reset": -65.0, "e_exc": 0.0, "e_inh": 0.0, "refractory_steps": 20,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A recurrent network of leaky integrate-and-fire neurons, every synapse listed.

    Attributes
    ----------
    name, kind : str
        What it is called; 'current' or 'conductance'.
    n_neurons : int
        Number of neurons.
    dt_ms, tau_mem_ms, tau_exc_ms, tau_inh_ms : float
        Step and time constants in ms.
    v_rest, threshold, v_reset, e_exc, e_inh : float
        Potentials in mV (reversal potentials: 'conductance' only).
    refractory_steps : int
        Steps in which v is held after a spike.
    poisson_weight : float
        What an event of a neuron's Poisson source adds to g_exc; 0 without sources.
    drive : float64, shape (1,) or (n_neurons,)
        Constant drive in mV.
    poisson_hz : float64, shape (1,) or (n_neurons,)
        Rate of each neuron's Poisson source in Hz.
    v_init, g_exc_init, g_inh_init : float64, shape (n_neurons,)
        State before the first step; g in mV ('current') or relative to the leak conductance.
    is_inhibitory : bool, shape (n_neurons,)
        Whether the neuron's synapses act on g_inh; their weights are negative if 'current', positive if 'conductance'.
    population : int16, shape (n_neurons,)
        Index into `population_names`; non-decreasing.
    population_names : str, shape (n_populations,)
        Their names.
    start : int64, shape (n_neurons + 1,)
        The synapses of neuron j are ``start[j] .. start[j + 1]``.
    target : int32, shape (n_synapses,)
        Target neurons, ascending within a source; several synapses may join a pair.
    weight : float64, shape (n_synapses,) or (2,)
        Added to g at the target; shape (2,): (all of excitatory neurons, all of inhibitory neurons).
    delay_steps : int16, shape (n_synapses,) or (1,)
        See above; at least 1.
    """

    name: str
    kind: str
    n_neurons: int
    dt_ms: float
    tau_mem_ms: float
    tau_exc_ms: float
    tau_inh_ms: float
    v_rest: float
    threshold: float
    v_reset: float
    e_exc: float
    e_inh: float
    refractory_steps: int
    poisson_weight: float
    drive: NDArray[np.float64]
    poisson_hz: NDArray[np.float64]
    v_init: NDArray[np.float64]
    g_exc_init: NDArray[np.float64]
    g_inh_init: NDArray[np.float64]
    is_inhibitory: NDArray[np.bool_]
    population: NDArray[np.int16]
    population_names: NDArray[np.str_]
    start: NDArray[np.int64]
    target: NDArray[np.int32]
    weight: NDArray[np.float64]
    delay_steps: NDArray[np.int16]

    @property
    def n_synapses(self) -> int:
        """Number of synapses between neurons."""
        return int(self.target.size)

    @property
    def source(self) -> NDArray[np.int32]:
        """The source of each synapse, int32, shape (n_synapses,)."""
        return np.repeat(np.arange(self.n_neurons, dtype=np.int32), np.diff(self.start))

    def weights(self) -> NDArray[np.float64]:
        """Return one weight per synapse."""
        if self.weight.size == self.n_synapses:
            return self.weight
        return self.weight[self.is_inhibitory[self.source].astype(np.intp)]

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz file with one array per attribute."""
        np.savez(path, **{field.name: np.asarray(getattr(self, field.name)) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> NetworkModel:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            read = {field.name: arrays[field.name] for field in fields(cls)}
        return cls(**{name: array.item() if array.ndim == 0 else array for name, array in read.items()})


def cuba(n_neurons: int = 4000, *, seed: int = 0) -> NetworkModel:
    """Build the current-based network of Brette et al. (2007), benchmark 2, with 80 synapses per neuron on average.

    4 of 5 neurons are excitatory (1.62 mV, 5 ms), the others inhibitory (-9 mV, 10 ms); membrane 20 ms, rest -49 mV
    over the threshold of -50 mV, reset -60 mV, 5 ms refractory. Every synapse has a delay of 0.1 ms as NEST counts it.
    """
    rng = np.random.default_rng([seed, n_neurons])
    start, target = _random_synapses(n_neurons, rng)
    return NetworkModel(
        **_brette("cuba", "current", n_neurons),
        v_rest=-49.0,
        v_init=_single(rng.uniform(-60.0, -50.0, n_neurons)),
        g_exc_init=np.zeros(n_neurons),
        g_inh_init=np.zeros(n_neurons),
        start=start,
        target=target,
        weight=_single([1.62, -9.0]),
    )


def coba(n_neurons: int = 4000, *, seed: int = 0) -> NetworkModel:
    """Build the conductance-based network of Brette et al. (2007), benchmark 1, with 80 synapses per neuron on average.

    As `cuba`, but rest -60 mV, weights 0.6 and 6.7 times the leak conductance (6 nS and 67 nS of 10 nS), reversal
    potentials 0 mV and -80 mV. Nothing drives the network: it starts from random conductances, and its activity
    sustains itself.
    """
    rng = np.random.default_rng([seed, n_neurons])
    start, target = _random_synapses(n_neurons, rng)
    return NetworkModel(
        **_brette("coba", "conductance", n_neurons),
        v_rest=-60.0,
        v_init=_single(rng.normal(-65.0, 5.0, n_neurons).clip(-80.0, -50.0)),
        g_exc_init=_single(rng.normal(4.0, 1.5, n_neurons).clip(0.0)),
        g_inh_init=_single(rng.normal(20.0, 12.0, n_neurons).clip(0.0)),
        start=start,
        target=target,
        weight=_single([0.6, 6.7]),
    )


def scattered(network: NetworkModel, n_delays: int = 200, *, seed: int = 0) -> NetworkModel:
    """Return a network with a delay drawn for every synapse, of 0.1 ms to ``n_delays * 0.1`` ms as NEST counts it."""
    rng = np.random.default_rng([seed, n_delays])
    delays = rng.integers(2, n_delays + 2, network.n_synapses).astype(np.int16)
    return replace(network, name=f"{network.name}, {n_delays} delays", delay_steps=delays)


def microcircuit(scale: float = 0.1, *, seed: int = 0) -> NetworkModel:
    """Build the microcircuit of Potjans and Diesmann (2014) with `scale` times its neurons and synapses per neuron.

    At 1 it has 77,169 neurons and about 0.3 billion synapses. Smaller scales divide the weights by ``sqrt(scale)``
    and add the lost mean input as a constant drive, which keeps mean and variance of the input (not its correlations).
    Sources from outside are Poisson processes of 8 Hz per external synapse.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"microcircuit: scale must be in (0, 1], got {scale}")
    rng = np.random.default_rng([seed, round(1e6 * scale)])
    sizes, poisson_hz, drive, poisson_weight = microcircuit_populations(scale)
    n_neurons = int(sizes.sum())
    population = np.repeat(np.arange(len(sizes), dtype=np.int16), sizes)
    start, target, weight, delay = _microcircuit_synapses(sizes, scale, rng)
    return NetworkModel(
        **MICROCIRCUIT,
        name=f"microcircuit-{scale:g}",
        n_neurons=n_neurons,
        poisson_weight=poisson_weight,
        drive=drive[population],
        poisson_hz=poisson_hz[population],
        v_init=_single(rng.normal(-58.0, 10.0, n_neurons)),
        g_exc_init=np.zeros(n_neurons),
        g_inh_init=np.zeros(n_neurons),
        is_inhibitory=population % 2 == 1,
        population=population,
        population_names=np.array(POPULATIONS),
        start=start,
        target=target,
        weight=weight,
        delay_steps=delay,
    )


def microcircuit_populations(
    scale: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], float]:
    """Return size, rate of the sources from outside in Hz and drive in mV of each population; the sources' weight."""
    sizes = np.maximum(1, np.round(np.array(_SIZES) * scale)).astype(np.int64)
    poisson_hz = _EXTERNAL_HZ * scale * np.array(_EXTERNAL, np.float64)
    return sizes, poisson_hz, _lost_input(scale), float(_WEIGHT_PA * _PA_TO_MV / np.sqrt(scale))


@dataclass(frozen=True, eq=False)
class Projection:
    """The synapses from one population of the microcircuit to another, by target neuron.

    Attributes
    ----------
    post, pre : int
        Index of the target and of the source population.
    indptr : int32, shape (n_post + 1,)
        The synapses onto neuron i are ``indptr[i] .. indptr[i + 1]``.
    source : int32, shape (n_synapses,)
        Their source neurons, counted within the population.
    weight, delay_steps : float32 and int16, shape (n_synapses,)
        As in `NetworkModel`.
    """

    post: int
    pre: int
    indptr: NDArray[np.int32]
    source: NDArray[np.int32]
    weight: NDArray[np.float32]
    delay_steps: NDArray[np.int16]


def microcircuit_projections(scale: float = 1.0, *, seed: int = 0) -> Iterator[Projection]:
    """Draw the synapses of `microcircuit` one projection after another (other draws of the same distribution).

    12 bytes a synapse and no sorting: the whole network has 0.3 billion.
    """
    sizes = microcircuit_populations(scale)[0]
    for post, pre in np.ndindex(len(sizes), len(sizes)):
        n = _n_synapses(post, pre, scale)
        if n == 0:
            continue
        rng = np.random.default_rng([seed, post, pre])
        mean = np.float32(_WEIGHT_PA * _PA_TO_MV / np.sqrt(scale) * _relative_weight(post, pre))
        weight = rng.standard_normal(n, np.float32)
        weight *= abs(mean) * np.float32(0.1)
        weight += mean
        weight[np.sign(weight) != np.sign(mean)] = mean
        mean_ms, deviation_ms = _DELAY_MS[pre % 2]
        delay_ms = rng.standard_normal(n, np.float32)
        delay_ms *= np.float32(deviation_ms)
        delay_ms += np.float32(mean_ms)
        delay_steps = (1 + np.round(delay_ms.clip(DT_MS) / np.float32(DT_MS))).astype(np.int16)
        in_degree = np.bincount(rng.integers(0, sizes[post], n, np.int32), minlength=sizes[post])
        indptr = np.concatenate([[0], np.cumsum(in_degree)]).astype(np.int32)
        yield Projection(post, pre, indptr, rng.integers(0, sizes[pre], n, np.int32), weight, delay_steps)


def _single(values: ArrayLike) -> NDArray[np.float64]:
    """Round to float32: a graph keeps its weights and starting values so, and all simulators get the same."""
    return np.asarray(values, np.float32).astype(np.float64)


def _brette(name: str, kind: str, n_neurons: int) -> dict[str, Any]:
    """What the two networks of Brette et al. share."""
    population = (np.arange(n_neurons) >= n_neurons * 4 // 5).astype(np.int16)
    return {
        "name": f"{name}-{n_neurons}",
        "kind": kind,
        "n_neurons": n_neurons,
        "dt_ms": DT_MS,
        "tau_mem_ms": 20.0,
        "tau_exc_ms": 5.0,
        "tau_inh_ms": 10.0,
        "threshold": -50.0,
        "v_reset": -60.0,
        "e_exc": 0.0,
        "e_inh": -80.0,
        "refractory_steps": 50,
        "poisson_weight": 0.0,
        "drive": np.zeros(1),
        "poisson_hz": np.zeros(1),
        "is_inhibitory": population == 1,
        "population": population,
        "population_names": np.array(["excitatory", "inhibitory"]),
        "delay_steps": np.full(1, 2, np.int16),
    }


def _random_synapses(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Draw every ordered pair of neurons with probability FAN_IN / n: (start, target)."""
    probability = min(1.0, FAN_IN / n)
    n_drawn = int(n * n * probability + 10 * np.sqrt(n * n * probability) + 10)
    place = np.cumsum(rng.geometric(probability, n_drawn)) - 1  # gaps of a Bernoulli sequence are geometric
    place = place[place < n * n]
    counts = np.bincount(place // n, minlength=n)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), (place % n).astype(np.int32)


def _microcircuit_synapses(
    sizes: NDArray[np.int64], scale: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int16]]:
    """Draw the synapses of each pair of populations, uniformly with replacement: (start, target, weight, delay)."""
    first = np.concatenate([[0], np.cumsum(sizes)])
    parts: list[tuple[NDArray[Any], ...]] = []
    for post, pre in np.ndindex(len(sizes), len(sizes)):
        n = _n_synapses(post, pre, scale)
        mean = _WEIGHT_PA * _PA_TO_MV / np.sqrt(scale) * _relative_weight(post, pre)
        weight = rng.normal(mean, abs(mean) * 0.1, n)
        weight = np.where(np.sign(weight) == np.sign(mean), weight, mean)
        delay_ms = rng.normal(*_DELAY_MS[pre % 2], n).clip(DT_MS)
        parts.append(
            (
                rng.integers(first[pre], first[pre + 1], n, dtype=np.int32),
                rng.integers(first[post], first[post + 1], n, dtype=np.int32),
                weight.astype(np.float32),
                (1 + np.round(delay_ms / DT_MS)).astype(np.int16),
            )
        )
    source, target, weight, delay = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((target, source))
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=int(first[-1])))]).astype(np.int64)
    return start, target[order], weight[order].astype(np.float64), delay[order]


def _n_synapses(post: int, pre: int, scale: float) -> int:
    """Synapses from a population to another: of the whole network, times scale for neurons and for synapses."""
    pairs = float(_SIZES[post]) * float(_SIZES[pre])
    probability = _PROBABILITIES[post][pre]
    return round(np.log1p(-probability) / np.log1p(-1.0 / pairs) * scale**2) if probability > 0 else 0


def _relative_weight(post: int, pre: int) -> float:
    """Mean weight over the excitatory one: the synapses from L4E to L2/3E are twice as strong."""
    is_doubled = (POPULATIONS[post], POPULATIONS[pre]) == ("L2/3E", "L4E")
    return _INHIBITION if pre % 2 else 2.0 if is_doubled else 1.0


def _lost_input(scale: float) -> NDArray[np.float64]:
    """Mean input in mV that the fewer, stronger synapses no longer give, per population."""
    lost = np.zeros(len(_SIZES))
    for post, pre in np.ndindex(len(_SIZES), len(_SIZES)):
        lost[post] += _relative_weight(post, pre) * _n_synapses(post, pre, 1.0) / _SIZES[post] * RATES_HZ[pre]
    lost += np.array(_EXTERNAL) * _EXTERNAL_HZ
    return (1 - np.sqrt(scale)) * 0.5e-3 * lost * _WEIGHT_PA * _PA_TO_MV
