"""Running a network in whole numbers, bit for bit as Lava's simulator or as Loihi 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw._kernels_network import (
    OPERATIONS,
    PART_FIRST,
    PART_LAST,
    POPULATION,
    RECORD,
    SATURATED,
    SIZE,
    WRAPPED,
    WRAPPED_SUMS,
    Live,
    Net,
    run_steps,
)
from hw._kernels_neurons import N_STATE
from hw._kernels_synapses import LAG, LANES, MOST, SOURCE, TILE, Log
from hw.errors import HardwareError
from hw.fixed import GRADED_KINDS, FixedGraph
from hw.inputs import checked_inputs
from hw.results import Counters, IntegerTrain, Result
from hw.synapses import channel_last, lower_connection
from hw.topology import components
from hw.wiring import Block, registers_of, tables_of

__all__ = ["emulate", "Engine"]

Int32s = NDArray[np.int32]


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


@dataclass(eq=False)
class _Run:
    """A run under way: its state, and the spikes listed so far."""

    live: Live
    log: Log
    u: dict[str, NDArray[np.signedinteger]]
    v: dict[str, NDArray[np.signedinteger]]

    def list_spikes(self, name: int, train: IntegerTrain, neurons: Int32s) -> None:
        """Append the spikes of an input."""
        n_steps, n = self.log.begin.shape[1], neurons.size
        first = int(self.live.position[0])
        self.make_room(n)
        ends = first + np.cumsum(np.bincount(train.step, minlength=n_steps)[:n_steps])
        self.log.begin[name, 0], self.log.begin[name, 1:], self.log.end[name] = first, ends[:-1], ends
        self.log.neuron[first : first + n] = neurons
        self.log.value[first : first + n] = train.value
        self.live.position[0] = first + n

    def make_room(self, n: int) -> None:
        """Let `n` more spikes be listed."""
        size = int(self.live.position[0]) + n
        if size > self.log.neuron.size:
            size = max(size, 2 * self.log.neuron.size)
            neuron, value = (np.resize(part, size) for part in (self.log.neuron, self.log.value))
            self.log = self.log._replace(neuron=neuron, value=value)


class Engine:
    """A network made ready to run: weights cut and ordered once, for many recordings.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    profile : {'lava', 'loihi1'}
        Rules of arithmetic.
    blocks : sequence of Block, optional
        Its neurons in blocks with synapses of their own, population after population; None: each population is one,
        with the connections of `fixed`.

    Raises
    ------
    HardwareError
        If the profile is unknown or cannot do a population.
    """

    def __init__(self, fixed: FixedGraph, profile: str, blocks: Sequence[Block] | None = None) -> None:
        if profile not in ("lava", "loihi1"):
            raise HardwareError(f"emulate: profile must be 'lava' or 'loihi1', got {profile!r}")
        for name, population in fixed.populations.items():
            if profile == "loihi1" and population.kind in GRADED_KINDS:
                raise HardwareError(
                    f"Population {name!r}: Loihi 1 has no neuron of kind {population.kind!r}; use the rules of 'lava'"
                )
            if profile == "loihi1" and np.any(population.subtraction):
                raise HardwareError(
                    f"Population {name!r}: Loihi 1 resets to 0 and subtracts nothing; use the rules of 'lava'"
                )
        self.fixed, self.profile = fixed, profile
        blocks = _whole_blocks(fixed, profile) if blocks is None else blocks
        edges = {(part.source, block.population) for block in blocks for part in block.synapses}
        self.parts = components(list(fixed.populations), sorted(edges))
        self.tables = tables_of(fixed, profile, blocks)
        self.places = {name: channel_last(p.shape) for name, p in fixed.populations.items()}

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
        run = self._start(n_chip, sum(len(train) for train in inputs.values()))
        recorded = {*record, *(name for name, p in populations.items() if p.kind == "readout")}
        for part in self.parts:
            for name in part:
                if name in inputs:
                    train = inputs[name]
                    neurons = self.places[name][train.index].astype(np.int32)
                    run.list_spikes(list(populations).index(name), train, neurons)
            todo = [name for name in part if name not in inputs and name in self.tables.rows]
            self._run_part(run, todo, [name for name in todo if name in recorded])
        return self._result(run, inputs, n_steps)

    def _start(self, n_chip: int, n_inputs: int) -> _Run:
        fixed, tables = self.fixed, self.tables
        wide = np.int64 if self.profile == "loihi1" else np.int32
        n_populations, fired = len(fixed.populations), np.zeros(TILE, np.uint8)
        has_graded = any(p.kind in GRADED_KINDS for p in fixed.populations.values())
        room, nothing = tables.most_neurons + LANES, np.zeros((0, 0), wide)
        live = Live(
            np.zeros(tables.n_tiles * N_STATE * TILE, wide), np.zeros(tables.n_tiles, np.uint8),
            np.zeros(tables.most_neurons // TILE + 1, np.uint8),
            np.zeros((tables.numbers.size if has_graded else 0, 4), np.int32),
            np.zeros(room, np.int32), np.zeros(room, np.int32), fired, fired.view(np.uint64),
            np.zeros((n_populations, 4), np.int64), np.array([0, -1]), nothing, nothing,
        )  # fmt: skip
        begin, end = np.zeros((2, n_populations, n_chip), np.int64)
        neuron, value = np.empty((2, n_inputs), np.int32)
        return _Run(live, Log(begin, end, neuron, value), {}, {})

    def _run_part(self, run: _Run, todo: Sequence[str], recorded: Sequence[str]) -> None:
        """Run populations that are in a loop with each other, or one that is in none, for all steps."""
        tables, n_chip = self.tables, run.log.begin.shape[1]
        if not todo:
            return
        blocks = np.concatenate([tables.blocks[tables.rows[name]] for name in todo])
        column = 0
        live, columns = run.live, {}
        for name in recorded:
            size = self.fixed.populations[name].size
            blocks[blocks[:, POPULATION] == list(self.fixed.populations).index(name), RECORD] = column
            columns[name] = slice(column, column + size)
            column += size
        if recorded:
            u, v = (np.empty((n_chip, column), live.u.dtype) for _ in range(2))
            live = live._replace(u=u, v=v)
        net = Net(blocks, tables.wiring, tables.registers, tables.numbers)
        room, reached = int(blocks[:, SIZE].sum()), 0
        while reached < n_chip:
            run.make_room(room)
            reached = run_steps(net, live, run.log, reached, n_chip, room)
            if live.position[1] >= 0:
                self._refuse(run.log, int(live.position[1]), reached)
        for name, where in columns.items():
            run.u[name], run.v[name] = (part[:, where][:, self.places[name]] for part in (live.u, live.v))

    def _refuse(self, log: Log, number: int, step: int) -> None:
        part = self.tables.wiring.parts[number]
        source = int(part[SOURCE])
        target = next(
            list(self.fixed.populations)[row[POPULATION]]
            for row in self.tables.blocks
            if row[PART_FIRST] <= number < row[PART_LAST]
        )
        there = slice(*(int(x[source, step - part[LAG]]) for x in (log.begin, log.end)))
        raise neuro.InputError(
            f"emulate: values of {list(self.fixed.populations)[source]!r} reach {int(np.abs(log.value[there]).max())}, "
            f"with the weights into {target!r} a step can bring more than {MOST}; lower the weights' exponent"
        )

    def _result(self, run: _Run, inputs: Mapping[str, IntegerTrain], n_steps: int) -> Result:
        fixed, counts = self.fixed, run.live.counts
        names = list(fixed.populations)
        trains = {name: inputs[name] if name in inputs else self._train(run.log, name) for name in names}
        rows = {name: k for k, name in enumerate(names) if fixed.populations[name].kind != "input"}
        n_chip = n_steps + fixed.depth
        counters = Counters(
            spikes={name: len(trains[name]) for name in names},
            synaptic_operations={name: int(counts[k, OPERATIONS]) for name, k in rows.items()},
            neuron_updates={name: n_chip * fixed.populations[name].size for name in rows},
            current_overflows={name: int(counts[k, WRAPPED]) for name, k in rows.items()},
            membrane_overflows={name: int(counts[k, SATURATED]) for name, k in rows.items()},
            sum_overflows={name: int(counts[k, WRAPPED_SUMS]) for name, k in rows.items()},
        )
        return Result(fixed, self.profile, n_steps, trains, run.u, run.v, counters)

    def _train(self, log: Log, name: str) -> IntegerTrain:
        """Return the spikes of a population sorted by step and number."""
        k, population = list(self.fixed.populations).index(name), self.fixed.populations[name]
        counts = log.end[k] - log.begin[k]
        before = np.cumsum(counts) - counts
        entries = np.arange(int(counts.sum())) + np.repeat(log.begin[k] - before, counts)
        step = np.repeat(np.arange(counts.size), counts)
        index = log.neuron[entries].astype(np.int64)
        if len(population.shape) > 1:
            index = channel_last(_reversed_layout(population.shape))[index]
        key = step * population.size + index
        if population.kind in GRADED_KINDS:
            order = np.argsort(key)
            index, value = index[order], log.value[entries][order]
        else:
            index, value = np.sort(key) - step * population.size, np.ones(index.size, np.int32)
        return IntegerTrain(step.astype(np.int32), index.astype(np.int32), value)


def _reversed_layout(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the shape whose channel-last order leads back: (pixels, channels)."""
    return int(np.prod(shape[1:])), shape[0]


def _whole_blocks(fixed: FixedGraph, profile: str) -> list[Block]:
    blocks = []
    for name, population in fixed.populations.items():
        if population.kind == "input":
            continue
        synapses = [
            part
            for c in fixed.into(name)
            for part in lower_connection(c, fixed.populations[c.source], population, profile)
        ]
        numbers = np.arange(population.size, dtype=np.int32)
        blocks.append(Block(name, numbers, synapses, registers_of(population)))
    return blocks
