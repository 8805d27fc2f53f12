"""Running a network in whole numbers, bit for bit as Lava's simulator or as Loihi 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw._kernels import Membranes, Registers, Train, run_differences, run_graded, run_neurons
from hw.errors import HardwareError
from hw.fixed import GRADED_KINDS, FixedGraph, Population
from hw.inputs import checked_inputs
from hw.results import Counters, IntegerTrain, Result
from hw.synapses import Synapses, channel_last, lower_connection
from hw.topology import components

__all__ = ["emulate", "Engine"]

Int32s = NDArray[np.int32]
_BLOCK = 2**22  # values of a population that are computed together
_MOST = 2**24
_NOTHING = np.zeros((0, 0), np.int64)


def emulate(
    fixed: FixedGraph,
    spikes: Any,
    *,
    profile: str | None = None,
    record: Collection[str] = (),
    kept: NDArray[np.bool_] | None = None,
    given: Mapping[str, neuro.Spikes] | None = None,
) -> Result:
    """Run a network in whole numbers.

    Parameters
    ----------
    fixed : FixedGraph
        The network, of :func:`hw.quantize` or made by hand.
    spikes : neuro.Spikes or array, shape (n_steps, ...)
        The recording; values are whole numbers.
    profile : {'lava', 'loihi1'}, optional
        Rules of arithmetic: those of Lava's fixed-point models, or of Loihi 1. None: those of `fixed`.
    record : collection of str
        Populations whose u and v are recorded; v of readouts always is.
    kept : bool, shape (n_steps,), optional
        Steps that the host hands on to the chip: others are silent, also in biases that come over an axon.
    given : mapping of str to neuro.Spikes, optional
        Spikes that are taken instead of a population's own, in steps of the recording.

    Returns
    -------
    Result
        Spikes of all populations, recorded registers, counters.

    Raises
    ------
    neuro.InputError
        If the recording does not fit, or its values are no whole numbers or too large.
    HardwareError
        If a name is unknown or the profile cannot do a population.

    Examples
    --------
    >>> import hw
    >>> populations = {"in": hw.Population((1,), "input"), "out": hw.Population((1,), threshold=2)}
    >>> synapse = hw.Connection("in", "out", "dense", np.array([[1]]), sign="excitatory")
    >>> result = emulate(hw.FixedGraph(populations, (synapse,)), np.ones((7, 1)))
    >>> result.trains["out"].step.tolist()
    [3, 6]
    """
    engine = Engine(fixed, fixed.profile if profile is None else profile)
    return engine.run(spikes, record=record, kept=kept, given=given)


@dataclass
class _Run:
    """What changes while a population runs."""

    state: Membranes
    graded: Int32s
    train: Train
    u: list[NDArray[np.signedinteger]] = field(default_factory=list)
    v: list[NDArray[np.signedinteger]] = field(default_factory=list)
    n_operations: int = 0
    n_wrapped_sums: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))


class Engine:
    """A network made ready to run: weights cut and ordered once, for many recordings.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    profile : {'lava', 'loihi1'}
        Rules of arithmetic.
    synapses : mapping of str to list of Synapses, optional
        What leads into each population, if it is not to be made from the connections of `fixed`.

    Raises
    ------
    HardwareError
        If the profile is unknown or cannot do a population.
    """

    def __init__(
        self, fixed: FixedGraph, profile: str, synapses: Mapping[str, list[Synapses]] | None = None
    ) -> None:
        if profile not in ("lava", "loihi1"):
            raise HardwareError(f"emulate: profile must be 'lava' or 'loihi1', got {profile!r}")
        for name, population in fixed.populations.items():
            if profile == "loihi1" and population.kind in GRADED_KINDS:
                raise HardwareError(f"Population {name!r}: Loihi 1 has no neuron of kind {population.kind!r}")
        self.fixed, self.profile = fixed, profile
        populations = fixed.populations
        self.synapses: dict[str, list[Synapses]] = {name: [] for name in populations}
        if synapses is not None:
            self.synapses.update(synapses)
        else:
            for c in fixed.connections:
                parts = lower_connection(c, populations[c.source], populations[c.target], profile)
                self.synapses[c.target].extend(parts)
        edges = [(s.source, name) for name, parts in self.synapses.items() for s in parts]
        self.parts = components(list(populations), edges)
        self.registers = {name: _registers(population) for name, population in populations.items()}
        self.places = {name: channel_last(population.shape) for name, population in populations.items()}

    def run(
        self,
        spikes: Any,
        *,
        record: Collection[str] = (),
        kept: NDArray[np.bool_] | None = None,
        given: Mapping[str, neuro.Spikes] | None = None,
    ) -> Result:
        """Run a recording, see :func:`emulate`."""
        populations = self.fixed.populations
        for name in (*record, *(given or {})):
            if name not in populations:
                raise HardwareError(f"emulate: there is no population {name!r}")
        n_steps, inputs = checked_inputs(self.fixed, spikes, kept, given)
        n_chip = n_steps + self.fixed.depth
        runs: dict[str, _Run] = {}
        recorded = {*record, *(name for name, p in populations.items() if p.kind == "readout")}
        for part in self.parts:
            for name in part:
                runs[name] = self._start(name, inputs.get(name), n_chip)
            todo = [name for name in part if name not in inputs]
            looped = len(part) > 1 or any(s.source == part[0] for s in self.synapses[part[0]])
            longest = max((populations[name].size for name in todo), default=1)
            block = 1 if looped else max(1, min(n_chip, _BLOCK // longest))
            for first in range(0, n_chip, block):
                for name in todo:
                    self._step(name, runs, first, min(block, n_chip - first), name in recorded)
        return self._result(runs, recorded, n_steps)

    def _start(self, name: str, given: IntegerTrain | None, n_chip: int) -> _Run:
        population = self.fixed.populations[name]
        n = population.size
        wide = np.int64 if self.profile == "loihi1" else np.int32
        state = Membranes(np.zeros(n, wide), np.zeros(n, wide), np.zeros(n, np.int32))
        start = np.zeros(n_chip + 1, np.int64)
        if given is None:
            return _Run(
                state, np.zeros((4, n), np.int32), Train(start, np.zeros(0, np.int32), np.zeros(0, np.int32))
            )
        np.cumsum(np.bincount(given.step, minlength=n_chip)[:n_chip], out=start[1:])
        index = self.places[name][given.index].astype(np.int32)
        return _Run(state, np.zeros((0, 0), np.int32), Train(start, index, given.value))

    def _step(self, name: str, runs: dict[str, _Run], first: int, n_steps: int, is_recorded: bool) -> None:
        population, run = self.fixed.populations[name], runs[name]
        a = np.zeros((n_steps, population.size), np.int32)
        parts = self.synapses[name]
        sums = np.zeros_like(a) if any(part.down or part.wraps for part in parts) else a
        for part in parts:
            train = runs[part.source].train
            if not part.is_graded:
                train = Train(train.start, train.neuron, _ones(train.value))
            elif train.value.size and int(np.abs(train.value).max()) * part.bound > _MOST:
                raise neuro.InputError(
                    f"emulate: values of {part.source!r} reach {int(np.abs(train.value).max())}, with the weights into "
                    f"{name!r} a step can bring more than {_MOST}; lower the weights' exponent"
                )
            n, n_wrapped = part.add(a, sums, train, first)
            run.n_operations += n
            run.n_wrapped_sums += n_wrapped
        start = np.zeros(n_steps + 1, np.int64)
        found = np.empty(n_steps * population.size, np.int32)
        values = found
        if population.kind in GRADED_KINDS:
            values = np.empty_like(found)
            self._update_graded(population, self.registers[name], run, a, (start, found, values))
        else:
            room = (n_steps, population.size) if is_recorded else (0, 0)
            records = (np.empty(room, run.state.u.dtype), np.empty(room, run.state.v.dtype))
            registers = self.registers[name]
            timing = np.array(
                [
                    first, population.reset_step, population.reset_interval,
                    bool(registers.hold.any()), self.profile == "lava",
                ],
                np.int64,
            )  # fmt: skip
            run_neurons(a, run.state, registers, timing, start, found, records, run.counts)
            if is_recorded:
                run.u.append(records[0])
                run.v.append(records[1])
        n_found = int(start[-1])
        new = values[:n_found].copy() if values is not found else np.ones(n_found, np.int32)
        run.train = _extended(run.train, first, start, found[:n_found], new)

    def _update_graded(
        self,
        population: Population,
        registers: Registers,
        run: _Run,
        a: Int32s,
        found: tuple[NDArray[np.int64], Int32s, Int32s],
    ) -> None:
        threshold = registers.threshold >> 6
        if population.kind.startswith("graded"):
            run_graded(a, run.graded[0], threshold, population.kind == "graded_relu", *found)
            return
        sums, sends = population.kind.startswith("sigma"), population.kind.endswith("delta")
        up = population.spike_exponent + population.state_exponent if not sums else 0
        down = population.state_exponent if sends else 0
        mode = np.array([sums, sends, up, down, population.is_cumulative], np.int64)
        run_differences(a, run.graded, threshold, registers.bias, mode, *found)

    def _result(self, runs: dict[str, _Run], recorded: set[str], n_steps: int) -> Result:
        fixed = self.fixed
        trains = {name: self._outside(name, run.train) for name, run in runs.items()}
        own = {name: run for name, run in runs.items() if run.v}
        u = {
            name: np.concatenate(run.u)[:, self.places[name]] for name, run in own.items() if name in recorded
        }
        v = {
            name: np.concatenate(run.v)[:, self.places[name]] for name, run in own.items() if name in recorded
        }
        n_chip = n_steps + fixed.depth
        neurons = [name for name in fixed.populations if fixed.populations[name].kind != "input"]
        counters = Counters(
            spikes={name: len(trains[name]) for name in trains},
            synaptic_operations={name: runs[name].n_operations for name in neurons},
            neuron_updates={name: n_chip * fixed.populations[name].size for name in neurons},
            current_overflows={name: int(runs[name].counts[0]) for name in neurons},
            membrane_overflows={name: int(runs[name].counts[1]) for name in neurons},
            sum_overflows={name: runs[name].n_wrapped_sums for name in neurons},
        )
        return Result(fixed, self.profile, n_steps, trains, u, v, counters)

    def _outside(self, name: str, train: Train) -> IntegerTrain:
        shape = self.fixed.populations[name].shape
        step = np.repeat(np.arange(train.start.size - 1, dtype=np.int32), np.diff(train.start))
        index = train.neuron
        if len(shape) > 1:
            index = channel_last(tuple(reversed_layout(shape)))[index].astype(np.int32)
            order = np.lexsort((index, step))
            return IntegerTrain(step, index[order], train.value[order])
        return IntegerTrain(step, index, train.value)


def reversed_layout(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the shape whose channel-last order leads back: (pixels, channels)."""
    return int(np.prod(shape[1:])), shape[0]


def _registers(population: Population) -> Registers:
    order = np.argsort(channel_last(population.shape))
    return Registers(
        4096 - population.register("current_decay")[order],
        4096 - population.register("membrane_decay")[order],
        population.bias[order],
        population.register("threshold")[order] << 6,
        population.register("refractory_steps")[order],
    )


def _ones(values: Int32s) -> Int32s:
    return values if values.size == 0 or (values.min() == 1 == values.max()) else np.ones_like(values)


def _extended(train: Train, first: int, start: NDArray[np.int64], index: Int32s, value: Int32s) -> Train:
    """Return a train with the spikes of further steps; later steps have none yet."""
    whole = train.start
    before = int(whole[first])
    whole[first : first + start.size] = before + start
    whole[first + start.size :] = before + start[-1]
    if before == 0:
        return Train(whole, index.copy(), value)
    if index.size == 0:
        return train
    return Train(whole, np.concatenate([train.neuron, index]), np.concatenate([train.value, value]))
