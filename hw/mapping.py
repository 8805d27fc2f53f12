"""From a Graph to a chip: fixed point, cores, places, what it would cost."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.agreement import kept_steps
from hw.core_work import CoreWork, count_work
from hw.costs import Cost, price
from hw.emulator import Engine
from hw.errors import CapacityError, HardwareError
from hw.fixed import FixedGraph
from hw.partition_search import cut_network
from hw.partitioning import Partition
from hw.placement import Placement, place
from hw.quantization import quantize
from hw.results import Result
from hw.targets import Target, find_target
from neuro.graph import Graph

if TYPE_CHECKING:
    from hw.proof import Certificate

__all__ = ["Mapping", "map_graph", "map_fixed"]

Floats = NDArray[np.float64]
FORMAT = "spikeloom hardware mapping"
VERSION = 2


@dataclass(frozen=True, eq=False, repr=False)
class Mapping:
    """A network on a chip.

    Attributes
    ----------
    fixed : FixedGraph
        The network in whole numbers.
    target : Target
        The chip.
    partition : Partition
        Blocks and cores.
    placement : Placement
        Chips and tiles.
    messages : float64, shape (n_cores + 1, n_cores)
        Messages per step from core to core; the last row is the host.
    is_measured : bool
        Whether messages come from calibration recordings; otherwise every neuron is taken to fire in every step.
    bound : dict of str to int
        Fewest cores by each limit.
    sequential_cores : int
        Cores that a split population by population takes.
    sequential_messages : float
        Messages per step between cores of that split.
    work : CoreWork
        What each core does in each step of the recordings; without recordings in a step in which every neuron fires.
    costs : tuple of Cost
        Time and energy under each price table of the target.
    n_steps : float
        Steps of a calibration recording, on average; what an inference counts.
    graph : Graph or None
        What was mapped.
    """

    fixed: FixedGraph
    target: Target
    partition: Partition
    placement: Placement
    messages: Floats
    is_measured: bool
    bound: dict[str, int]
    sequential_cores: int
    sequential_messages: float
    work: CoreWork
    costs: tuple[Cost, ...]
    n_steps: float
    graph: Graph | None = None

    @property
    def n_cores(self) -> int:
        """Number of cores."""
        return self.partition.n_cores

    @property
    def messages_per_step(self) -> float:
        """Messages between cores in a step."""
        return float(self.messages[:-1].sum())

    def report(
        self, path: str | os.PathLike[str] | None = None, *, certificate: Certificate | None = None
    ) -> str:
        """Return a table for a terminal; with a path also write a self-contained HTML page.

        Parameters
        ----------
        path : path, optional
            The page; an existing file is replaced.
        certificate : Certificate, optional
            What :func:`hw.verify` gave; shown on the page.

        Returns
        -------
        str
            The table.
        """
        from hw.html_report import html_page
        from hw.reporting import text_table

        if path is not None:
            Path(path).write_text(html_page(self, certificate), encoding="utf-8")
        return text_table(self)

    def to_json(self) -> dict[str, Any]:
        """Return the mapping as plain data, see ``docs/reference/hw.md``."""
        from hw.documents import mapping_document

        return mapping_document(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mapping as JSON, all or nothing.

        Parameters
        ----------
        path : path
            The file.
        """
        from hw.documents import document_text

        path = Path(path)
        temporary = path.with_suffix(path.suffix + ".part")
        temporary.write_text(document_text(self.to_json()), encoding="utf-8")
        temporary.replace(path)

    def __repr__(self) -> str:
        return (
            f"Mapping({self.target.name}: {self.n_cores} cores on {self.placement.n_chips} chips, at least "
            f"{max(self.bound.values())} needed; {self.messages_per_step:.4g} messages between cores per step)"
        )


def map_graph(
    graph: Graph,
    target: Target | str = "loihi2",
    *,
    calibration: Any = None,
    weight_bits: int | None = None,
    partitioner: str = "own",
    seed: int = 0,
) -> Mapping:
    """Quantise a network, cut it into blocks, place them on a chip's mesh, and price a step.

    Parameters
    ----------
    graph : Graph
        A clocked network that the chip can do, see :func:`hw.quantize`.
    target : Target or str
        'loihi1', 'loihi2', the path of a TOML file, or a target.
    calibration : neuro.Spikes, array, or list of these, optional
        Recordings; they choose scales and say how much is sent.
    weight_bits : int, optional
        1 to 8; None: what the chip has.
    partitioner : {'own', 'mtkahypar'}
        What shares blocks out to cores: an own search, or the package mtkahypar (``pip install mtkahypar``).
    seed : int
        Of the placement's search.

    Returns
    -------
    Mapping
        The network on the chip.

    Raises
    ------
    UnsupportedNodeError, QuantizationError, CapacityError
        If the chip cannot do something or something does not fit; with a remedy.

    Examples
    --------
    >>> from neuro.graph import LIF, Input, Linear, clocked
    >>> nodes = {"in": Input(2), "fc": Linear(np.ones((3, 2))), "out": LIF(0.01)}
    >>> map_graph(Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(0.001)), "loihi1")
    Mapping(loihi1: 1 cores on 1 chips, at least 1 needed; 0 messages between cores per step)
    """
    chip = find_target(target)
    fixed = quantize(graph, chip, calibration=calibration, weight_bits=weight_bits)
    recordings = (
        calibration
        if isinstance(calibration, (list, tuple))
        else []
        if calibration is None
        else [calibration]
    )
    return map_fixed(
        fixed, chip, recordings=list(recordings), graph=graph, partitioner=partitioner, seed=seed
    )


def map_fixed(
    fixed: FixedGraph,
    target: Target | str,
    *,
    recordings: Sequence[Any] = (),
    graph: Graph | None = None,
    partitioner: str = "own",
    seed: int = 0,
) -> Mapping:
    """Map a network that is in whole numbers already, see :func:`map_graph`.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    target : Target or str
        The chip.
    recordings : sequence of neuro.Spikes or array
        What says how much is sent.
    graph : Graph, optional
        What the network came from: its temporal attention says which steps the host drops.
    partitioner : {'own', 'mtkahypar'}
        What shares blocks out to cores.
    seed : int
        Of the placement's search.

    Returns
    -------
    Mapping
        The network on the chip.
    """
    chip = find_target(target)
    _check_registers(fixed, chip)
    spikes = [x if isinstance(x, neuro.Spikes) else neuro.Spikes.from_dense(x) for x in recordings]
    rates, results = _measure(fixed, spikes, graph)
    cut = cut_network(fixed, chip, rates, partitioner=partitioner)
    found = cut.partition
    messages = found.traffic(fixed, rates)
    placement = place(messages[:-1], chip, seed=seed)
    n_steps = float(np.mean([train.n_steps for train in spikes])) if spikes else 1.0
    work = count_work(fixed, found, messages, results)
    costs = tuple(price(work, placement, table) for table in chip.prices)
    return Mapping(
        fixed, chip, found, placement, messages, bool(spikes), cut.bound, cut.split.n_cores,
        float(cut.split.traffic(fixed, rates)[:-1].sum()), work, costs, n_steps, graph,
    )  # fmt: skip


def _check_registers(fixed: FixedGraph, chip: Target) -> None:
    for name, population in fixed.populations.items():
        most = int(np.max(population.refractory_steps))
        if most > chip["refractory_steps"]:
            raise CapacityError(
                f"population {name!r}: refractory_steps: used {most}, allowed {chip['refractory_steps']} on "
                f"{chip.name}; shorten the refractory period or use longer steps"
            )
        if np.any(population.subtraction) and chip.profile == "loihi1":
            raise HardwareError(
                f"population {name!r}: {chip.name}'s neuron resets to 0 and subtracts nothing; map to loihi2, or use "
                "neurons that reset to a value"
            )
    for connection in fixed.connections:
        for limit, used, remedy in (
            (
                "delay_steps",
                connection.longest_delay,
                "shorten the delays or put a neuron that repeats spikes between",
            ),
            ("weight_bits", connection.weight_bits, f"quantise to {chip['weight_bits']} bits"),
        ):
            if used > chip[limit]:
                raise CapacityError(
                    f"connection {connection.name}: {limit}: used {used}, allowed {chip[limit]} on {chip.name}; "
                    f"{remedy}"
                )
    if fixed.profile != chip.profile and any(
        p.kind not in ("input", "lif", "readout") for p in fixed.populations.values()
    ):
        raise HardwareError(f"{chip.name}: has no neurons with graded spikes; use loihi2")


def _measure(
    fixed: FixedGraph, recordings: Sequence[neuro.Spikes], graph: Graph | None
) -> tuple[dict[str, Floats], list[Result]]:
    """Return messages per step of each neuron, and the runs; without recordings each neuron sends one."""
    if not recordings:
        return {name: np.ones(p.size) for name, p in fixed.populations.items()}, []
    engine = Engine(fixed, fixed.profile)
    results = [
        engine.run(train, kept=None if graph is None else kept_steps(graph, train)) for train in recordings
    ]
    n_steps = sum(result.n_steps + fixed.depth for result in results)
    rates = {}
    for name, population in fixed.populations.items():
        total = np.zeros(population.size)
        for result in results:
            train = result.trains[name]
            # without values in spikes a count of n is n messages
            weights = np.abs(train.value).astype(np.float64) if fixed.profile == "loihi1" else None
            total += np.bincount(train.index, weights, minlength=population.size)
        rates[name] = total / n_steps
    return rates, results


def ranges(numbers: NDArray[np.int64]) -> list[list[int]]:
    """Return whole numbers as half-open ranges in their order.

    Examples
    --------
    >>> ranges(np.array([3, 4, 5, 9]))
    [[3, 6], [9, 10]]
    """
    if numbers.size == 0:
        return []
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    starts, stops = numbers[np.append(0, cuts)], numbers[np.append(cuts - 1, -1)] + 1
    return np.stack([starts, stops], axis=1).tolist()  # type: ignore[no-any-return]


def mean(values: Sequence[float]) -> float:
    """Return the mean, 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0
