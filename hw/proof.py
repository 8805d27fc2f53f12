"""Proof that nothing changed on the way: core by core, and against Lava."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.agreement import kept_steps
from hw.emulator import Engine
from hw.errors import HardwareError
from hw.lava.running import extensions, lava_version, simulate, unsupported
from hw.mapping import Mapping
from hw.partitioning import Block
from hw.results import Result
from hw.synapse_tables import SynapseTable, synapse_table
from hw.synapses import Synapses, channel_last, sparse_synapses
from hw.wiring import Block as NeuronBlock
from hw.wiring import registers_of

__all__ = ["Certificate", "Difference", "verify"]

ENGINES = ("whole", "cores", "lava")
_MOST_SYNAPSES = 60_000_000


@dataclass(frozen=True)
class Difference:
    """The first value in which two engines differ.

    Attributes
    ----------
    engine : str
        The engine that differs from the emulator of the whole network.
    step : int
        Step of the chip.
    population : str
        The first in the order of the network that differs in this step.
    neuron : int
        Its first neuron that differs, numbered as in its shape.
    quantity : {'u', 'v', 'spikes'}
        What differs.
    operation : str
        Which part of the step gives it: 'synapses and current', 'membrane' or 'threshold'.
    expected, found : int
        The emulator's value, and the other's.
    """

    engine: str
    step: int
    population: str
    neuron: int
    quantity: str
    operation: str
    expected: int
    found: int


@dataclass(frozen=True)
class Certificate:
    """What was compared with what, and whether it was equal; true in a condition if all was.

    Attributes
    ----------
    is_equal : bool
        Whether all engines gave the same values.
    engines : dict of str to str
        Engines and their versions.
    skipped : dict of str to str
        Engines that were asked for and did not run, with the reason. A certificate with one is not complete.
    target : str
        The chip.
    network_digest, graph_digest, input_digest : str
        SHA-256 of the integers, of the Graph, of the recording.
    n_steps, n_chip_steps : int
        Steps of the recording, and of the chip.
    n_values : dict of str to int
        Values compared for each engine.
    n_spikes : int
        Spikes of all populations.
    lags : dict of str to int
        Steps by which each population lags behind the input: the spikes of the Graph's step k come in step k + lag.
    compensating_delays : dict of str to int
        Connections whose spikes wait, and for how many steps, delays of the Graph included.
    frames_dropped_by_host : int
        Frames that temporal attention dropped before the chip.
    notes : tuple of str
        What differs from the Graph, what the host computes, and what of Lava's run is not Lava's own.
    difference : Difference or None
        The first one.
    """

    is_equal: bool
    engines: dict[str, str]
    skipped: dict[str, str]
    target: str
    network_digest: str
    graph_digest: str
    input_digest: str
    n_steps: int
    n_chip_steps: int
    n_values: dict[str, int]
    n_spikes: int
    lags: dict[str, int]
    compensating_delays: dict[str, int]
    frames_dropped_by_host: int
    notes: tuple[str, ...]
    difference: Difference | None

    def __bool__(self) -> bool:
        return self.is_equal

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as plain data."""
        return {"format": "spikeloom hardware certificate", "version": 1, **asdict(self)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate as JSON, all or nothing."""
        path = Path(path)
        temporary = path.with_suffix(path.suffix + ".part")
        temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)


def verify(
    mapping: Mapping,
    spikes: Any,
    *,
    engines: Sequence[str] = ENGINES,
    timeout_s: float = 600.0,
) -> Certificate:
    """Compare the mapped network core by core with the whole one, and the whole one with Lava's simulator.

    'cores' computes every block by itself, from the synapses of the axons that the mapping lists for it and the
    registers of its neurons. 'lava' runs the whole network in lava-nc; where that is missing or cannot do the network,
    the certificate says why in `skipped`.

    Parameters
    ----------
    mapping : Mapping
        What to prove.
    spikes : neuro.Spikes or array
        The recording.
    engines : sequence of {'whole', 'cores', 'lava'}
        What to compare; 'whole' is always computed.
    timeout_s : float
        For Lava.

    Returns
    -------
    Certificate
        What was compared, and the first difference.

    Raises
    ------
    HardwareError
        If an engine is unknown, or the network has too many synapses to list them.
    """
    unknown = sorted(set(engines) - set(ENGINES))
    if unknown:
        raise HardwareError(f"verify: engines are {', '.join(ENGINES)}, got {unknown[0]!r}")
    fixed = mapping.fixed
    train = spikes if isinstance(spikes, neuro.Spikes) else neuro.Spikes.from_dense(spikes)
    kept = None if mapping.graph is None else kept_steps(mapping.graph, train)
    record = [name for name, p in fixed.populations.items() if p.kind in ("lif", "readout")]
    whole = Engine(fixed, fixed.profile).run(train, kept=kept, record=record)
    found = _Findings(fixed.profile, fixed.notes)
    if "cores" in engines:
        split = SplitEngine(mapping).run(train, kept=kept, record=record)
        found.add("cores", f"spikeloom emulator, {mapping.n_cores} cores", whole, _tables(split))
    if "lava" in engines:
        _compare_with_lava(found, whole, train, kept, timeout_s)
    waits = {c.name: c.longest_delay for c in fixed.connections if c.longest_delay}
    return Certificate(
        found.difference is None, found.versions, found.skipped, mapping.target.name, fixed.digest,
        fixed.source_digest, _digest(train), train.n_steps, train.n_steps + fixed.depth, found.n_values,
        sum(whole.counters.spikes.values()), dict(fixed.depths), waits,
        0 if kept is None else int((~kept).sum()), found.notes, found.difference,
    )  # fmt: skip


class _Findings:
    """What engines were compared, and what came of it."""

    def __init__(self, profile: str, notes: tuple[str, ...]) -> None:
        python = platform.python_version()
        self.versions = {"whole": f"spikeloom emulator, rules of {profile}, Python {python}"}
        self.n_values: dict[str, int] = {}
        self.skipped: dict[str, str] = {}
        self.notes = notes
        self.difference: Difference | None = None

    def add(self, engine: str, version: str, whole: Result, tables: dict[str, Any]) -> None:
        """Compare an engine; the first difference of the first engine that has one is kept."""
        self.versions[engine] = version
        difference, self.n_values[engine] = compare(engine, whole, tables)
        self.difference = self.difference or difference


def _compare_with_lava(
    found: _Findings, whole: Result, train: neuro.Spikes, kept: NDArray[np.bool_] | None, timeout_s: float
) -> None:
    """Run Lava's simulator, if it can do the network, and compare it with the emulator under the rules of Lava."""
    fixed = whole.fixed
    reason = unsupported(fixed) or ("" if lava_version() else "lava-nc is not installed: make lava")
    if reason:
        found.skipped["lava"] = reason
        return
    if whole.profile != "lava":
        whole = Engine(fixed, "lava").run(train, kept=kept, record=list(whole.u))
    found.notes += tuple(f"lava: {text}" for text in extensions(fixed))
    run = simulate(fixed, train, kept=kept, timeout_s=timeout_s)
    version = f"lava-nc {lava_version()}, fixed_pt on the CPU; the emulator with the rules of lava"
    found.add("lava", version, whole, {"u": run.u, "v": run.v, "spikes": run.sent})


def _digest(train: neuro.Spikes) -> str:
    digest = hashlib.sha256(repr((train.n_steps, train.shape)).encode())
    for part in (train.step, train.index, train.value):
        digest.update(part.tobytes())
    return digest.hexdigest()


def _tables(result: Result) -> dict[str, Any]:
    return {
        "u": result.u,
        "v": result.v,
        "spikes": {name: _sent(result, name) for name in result.counters.neuron_updates},
    }


def _sent(result: Result, name: str) -> NDArray[np.int32]:
    n_chip = result.n_steps + result.fixed.depth
    sent = np.zeros((n_chip, result.fixed.populations[name].size), np.int32)
    train = result.trains[name]
    sent[train.step, train.index] = train.value
    return sent


def compare(engine: str, whole: Result, found: dict[str, Any]) -> tuple[Difference | None, int]:
    """Return the first difference in (step, population, u before v before spikes, neuron), and the values compared."""
    operations = {"u": "synapses and current", "v": "membrane", "spikes": "threshold"}
    first: tuple[int, int, int] | None = None
    difference, n_values = None, 0
    for place, name in enumerate(whole.counters.neuron_updates):
        for rank, (quantity, operation) in enumerate(operations.items()):
            if name not in found[quantity]:
                continue
            expected = _sent(whole, name) if quantity == "spikes" else getattr(whole, quantity)[name]
            other = found[quantity][name]
            n_values += expected.size
            wrong = np.argwhere(expected != other)
            if wrong.size and (first is None or (int(wrong[0][0]), place, rank) < first):
                step, neuron = (int(x) for x in wrong[0])
                first = (step, place, rank)
                values = int(expected[step, neuron]), int(other[step, neuron])
                difference = Difference(engine, step, name, neuron, quantity, operation, *values)
    return difference, n_values


class SplitEngine(Engine):
    """Computes a mapped network block by block: each has synapses, registers and states of its own.

    Parameters
    ----------
    mapping : Mapping
        The network on its cores.

    Raises
    ------
    HardwareError
        If it has too many synapses to list them.
    """

    def __init__(self, mapping: Mapping) -> None:
        fixed = mapping.fixed
        blocks: list[NeuronBlock] = []
        n_synapses = 0
        for name, population in fixed.populations.items():
            tables = [
                synapse_table(fixed, k)
                for k in range(len(fixed.connections))
                if fixed.connections[k].target == name
            ]
            n_synapses += sum(table.rows.size for table in tables)
            if n_synapses > _MOST_SYNAPSES:
                raise HardwareError(
                    f"the network has more than {_MOST_SYNAPSES} synapses, too many to list; verify a smaller one"
                )
            places, registers = channel_last(population.shape), registers_of(population)
            parts = [block for block in mapping.partition.blocks if block.population == name]
            shares = [_by_block(parts, population.size, table) for table in tables]
            for k, block in enumerate(parts):
                inside = places[block.neurons].astype(np.int32)
                synapses = _synapses_of(mapping, block, tables, [share[k] for share in shares])
                blocks.append(NeuronBlock(name, inside, synapses, np.ascontiguousarray(registers[:, inside])))
        super().__init__(fixed, fixed.profile, blocks)


def _by_block(parts: list[Block], size: int, table: SynapseTable) -> list[NDArray[np.int64]]:
    """Return the synapses of a table that end in each block of a population, in their order."""
    owner = np.full(size, len(parts), np.int64)
    for k, block in enumerate(parts):
        owner[block.neurons] = k
    ends = owner[table.rows]
    order = np.argsort(ends, kind="stable")
    return np.split(order, np.searchsorted(ends[order], np.arange(len(parts) + 1)))[1:]


def _synapses_of(
    mapping: Mapping, block: Block, tables: list[SynapseTable], shares: list[NDArray[np.int64]]
) -> list[Synapses]:
    """Make a block's synapses from the axons that the mapping lists for it."""
    fixed, found = mapping.fixed, []
    reaches = mapping.partition.layers[block.population].reaches(block.units)
    compartment = np.full(fixed.populations[block.population].size, -1, np.int64)
    compartment[block.neurons] = np.arange(block.neurons.size)
    for table, reach, share in zip(tables, reaches, shares, strict=True):
        source = fixed.populations[reach.source]
        n_units = source.size // (source.shape[0] if len(source.shape) == 3 else 1)
        has_axon = np.zeros(n_units, np.bool_)
        has_axon[reach.units] = True
        mine = share[has_axon[table.columns[share] % n_units]]
        for delay in np.unique(table.delays[mine]):
            there = mine[table.delays[mine] == delay]
            columns = channel_last(source.shape)[table.columns[there]]
            part = sparse_synapses(
                reach.source, compartment[table.rows[there]], columns, table.weights[there], source.size
            )
            found.append(
                replace(
                    part, lag=1 + int(delay), bound=table.bound, down=table.down, wraps=table.wraps,
                    is_graded=table.is_graded,
                )
            )  # fmt: skip
    return found
