"""Cores, places, prices, proof and files."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hw
from hw._kernels_network import PAR_LAST
from hw._kernels_neurons import THRESHOLD
from hw._kernels_synapses import TILE
from hw.axons import axon_words
from hw.blocks import Layer, layers_of
from hw.lava import running
from hw.mesh_drawing import link_loads
from hw.partition_search import partition
from hw.placement import place
from hw.proof import SplitEngine
from hw.yardsticks import lower_bound, sequential
from neuro.graph import LI, LIF, Conv2d, Flatten, Graph, Input, Linear, clocked

RNG = np.random.default_rng(5)

needs_lava = pytest.mark.skipif(
    running.lava_version() is None, reason="lava-nc is not installed: run make lava"
)


@pytest.fixture(autouse=True)
def same_numbers_in_any_order() -> None:
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


def small(**limits: int) -> hw.Target:
    changed = {name: replace(hw.loihi1.limits[name], value=value) for name, value in limits.items()}
    return replace(hw.loihi1, name="small", limits={**hw.loihi1.limits, **changed})


@pytest.fixture(scope="module")
def graph() -> Graph:
    nodes = {
        "in": Input((2, 10, 10), max_count=1),
        "conv": Conv2d(RNG.normal(0.1, 0.3, (6, 2, 3, 3)), np.full(6, 0.02), padding=1),
        "a": LIF(0.01, 0.3), "again": Conv2d(RNG.normal(0.1, 0.2, (4, 6, 3, 3)), stride=2), "b": LIF(0.01, 0.3),
        "flat": Flatten(), "line": Linear(RNG.normal(0, 0.3, (12, 64))), "c": LIF(0.01, 0.2),
        "last": Linear(RNG.normal(0, 1, (3, 12))), "out": LI(0.02),
    }  # fmt: skip
    names = list(nodes)
    return Graph(nodes, list(pairwise(names)), clocked(0.002))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return (RNG.random((15, 2, 10, 10)) < 0.3).astype(np.float32)


@pytest.fixture(scope="module")
def mapping(graph: Graph, recording: np.ndarray) -> hw.Mapping:
    return hw.map_graph(graph, small(compartments=100), calibration=recording)


def test_every_neuron_has_one_core_and_no_core_is_over_its_limits(mapping: hw.Mapping) -> None:
    for name, population in mapping.fixed.populations.items():
        if population.kind != "input":
            neurons = [b.neurons for b in mapping.partition.blocks if b.population == name]
            assert sorted(np.concatenate(neurons).tolist()) == list(range(population.size))
    assert all(not usage.over(mapping.target) for usage in mapping.partition.cores)
    assert max(mapping.bound.values()) <= mapping.n_cores <= max(mapping.bound.values()) + 1
    assert mapping.n_cores <= mapping.sequential_cores


def test_the_network_core_by_core_is_the_whole_one(mapping: hw.Mapping, recording: np.ndarray) -> None:
    certificate = hw.verify(mapping, recording, engines=["cores"])
    assert certificate
    assert certificate.n_spikes > 500
    assert certificate.n_values["cores"] == 3 * (15 + mapping.fixed.depth) * (600 + 64 + 12 + 3)
    assert "lava" not in certificate.skipped


@needs_lava
def test_the_whole_network_is_that_of_lava(graph: Graph, recording: np.ndarray) -> None:
    certificate = hw.verify(hw.map_graph(graph, "loihi2", calibration=recording), recording)
    assert certificate
    assert set(certificate.engines) == {"whole", "cores", "lava"}
    assert certificate.lags == {"in": 0, "a": 1, "b": 2, "c": 3, "out": 4}


def test_a_missing_axon_is_found_and_located(
    mapping: hw.Mapping, recording: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Layer.reaches

    def without_one(self: Layer, units: Any) -> Any:
        return [replace(r, units=r.units[::2]) if self.name == "b" else r for r in original(self, units)]

    monkeypatch.setattr(Layer, "reaches", without_one)
    certificate = hw.verify(mapping, recording, engines=["cores"])
    assert not certificate
    assert certificate.difference is not None
    assert (certificate.difference.population, certificate.difference.quantity) == ("b", "u")
    assert certificate.difference.operation == "synapses and current"
    assert certificate.difference.expected != certificate.difference.found


def test_a_wrong_register_is_found(
    mapping: hw.Mapping, recording: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SplitEngine.__init__

    def wrong(self: SplitEngine, mapping: hw.Mapping) -> None:
        original(self, mapping)
        block = self.tables.blocks[self.tables.rows["a"]][0]
        first = block[PAR_LAST] + THRESHOLD
        self.tables.registers[first : first + TILE] += 1 << 20

    monkeypatch.setattr(SplitEngine, "__init__", wrong)
    certificate = hw.verify(mapping, recording, engines=["cores"])
    assert certificate.difference is not None
    assert certificate.difference.population == "a"


def test_engines_that_cannot_run_are_named(mapping: hw.Mapping, recording: np.ndarray) -> None:
    with pytest.raises(hw.HardwareError, match="engines are whole, cores, lava, got 'brian'"):
        hw.verify(mapping, recording, engines=["brian"])


@needs_lava
def test_what_lava_has_not_runs_in_lava_with_a_note(recording: np.ndarray) -> None:
    nodes = {
        "in": Input((2, 10, 10), max_count=1),
        "flat": Flatten(),
        "line": Linear(RNG.normal(0, 1, (9, 200))),
        "out": LIF(np.linspace(0.01, 0.03, 9), refractory_s=0.004, reset="subtract"),
    }
    graph = Graph(nodes, [("in", "flat"), ("flat", "line"), ("line", "out")], clocked(0.002))
    certificate = hw.verify(hw.map_graph(graph, "loihi2"), recording)
    assert certificate.is_equal
    assert not certificate.skipped
    assert certificate.n_values["lava"] > 0
    for text in (
        "lava: population 'out': Lava's neuron takes one membrane_decay, it was given one for each",
        "lava: population 'out': Lava's neuron has no refractory period, it is held by spikeloom",
        "lava: population 'out': Lava's neuron resets to 0, spikeloom subtracts instead",
    ):
        assert text in certificate.notes


def test_documents(mapping: hw.Mapping, recording: np.ndarray, tmp_path: Path) -> None:
    mapping.save(tmp_path / "mapping.json")
    document = json.loads((tmp_path / "mapping.json").read_text())
    assert len(document["cores"]) == mapping.n_cores
    listed = sum(
        stop - start
        for core in document["cores"]
        for b in core["blocks"]
        if b["population"] == "c"
        for start, stop in b["neurons"]
    )
    assert listed == 12
    certificate = hw.verify(mapping, recording, engines=["cores"])
    certificate.save(tmp_path / "certificate.json")
    assert json.loads((tmp_path / "certificate.json").read_text())["is_equal"] is True
    table = mapping.report(tmp_path / "report.html", certificate=certificate)
    page = (tmp_path / "report.html").read_text()
    assert "Davies 2018: step" in table
    assert "static power" in table
    assert page.count("<svg") == 7 + 2  # meshes, and busy times by two tables
    assert "<title>core 0: " in page
    assert "messages/step</title>" in page  # links between tiles
    assert certificate.network_digest in page
    assert "spikes agree alone" in page
    assert page.count("does not price: ") == 2
    for line in (f"{mapping.n_cores}", f"split one by one {mapping.sequential_cores}", "equal in all values"):
        assert line in page
    assert not any(word in page for word in ("http://", "https://", "<script", "nan", "None"))


def test_reports_of_several_chips_show_each_of_them(graph: Graph, tmp_path: Path) -> None:
    mapping = hw.map_graph(graph, small(compartments=30, cores_per_chip=8))
    assert mapping.placement.n_chips > 2
    mapping.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == mapping.placement.n_chips + 2
    assert "ways and barriers between chips" in page
    assert "None: hw.verify compares" in page


def test_links_carry_what_passes_between_tiles(mapping: hw.Mapping) -> None:
    loads = link_loads(mapping)
    place = mapping.placement
    assert sum(loads.values()) == pytest.approx(place.hops_by_column + place.hops_by_row, rel=1e-12)
    assert all(abs(c - a) + abs(d - b) == 1 for _, a, b, c, d in loads)


def test_a_step_waits_for_the_core_that_is_busiest_in_it(mapping: hw.Mapping) -> None:
    work, davies = mapping.work, mapping.costs[0]
    barrier = davies.table.barrier_time_s(mapping.placement.n_tiles)
    times = davies.table.time_s
    slowest = [
        max(
            times["synaptic_operation"] * work.operations[core, step] + times["neuron_active"] * work.fired[core, step]
            + times["neuron_inactive"] * (work.neurons[core] - work.fired[core, step])
            + times["spike_in_tile"] * work.sent[core, step]
            for core in range(mapping.n_cores)
        )
        for step in range(work.n_steps)
    ]  # fmt: skip
    assert davies.step_time_s == pytest.approx(sum(slowest) / len(slowest) + barrier, rel=1e-12)  # type: ignore[operator]
    assert davies.slowest_step_time_s == pytest.approx(max(slowest) + barrier, rel=1e-12)  # type: ignore[operator]


def test_loihi_2_gets_no_joules(graph: Graph) -> None:
    mapping = hw.map_graph(graph, "loihi2")
    assert mapping.costs == ()
    assert "no prices are published for loihi2" in mapping.report()
    assert "if every neuron fires" in mapping.report()


def test_costs_are_the_counted_operations_times_their_prices(
    mapping: hw.Mapping, recording: np.ndarray
) -> None:
    counters = hw.emulate(mapping.fixed, recording).counters
    n_steps = 15 + mapping.fixed.depth
    davies = mapping.costs[0]
    assert davies.counts["synaptic_operation"] * n_steps == pytest.approx(
        sum(counters.synaptic_operations.values())
    )
    fired = sum(counters.spikes[name] for name in counters.neuron_updates)
    assert davies.counts["neuron_active"] * n_steps == pytest.approx(fired)
    expected = sum(davies.table.energy_j.get(term, 0) * count for term, count in davies.counts.items())
    assert davies.step_energy_j == pytest.approx(expected)
    assert davies.step_time_s > davies.table.barrier_time_s(1)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"synaptic_words": 20},
            "block of one pixel of 'b' .*synaptic_words.*: used 54, allowed 20 on small; split its inputs",
        ),
        ({"input_axons": 40}, "'c' .*input_axons.*: used 64, allowed 40.*prune 24 of them"),
        ({"chips": 1, "cores_per_chip": 2, "compartments": 100}, "needs 7 cores of small, 2 are allowed"),
    ],
)
def test_what_does_not_fit_is_named_with_the_smallest_change(
    graph: Graph, limits: dict[str, int], message: str
) -> None:
    with pytest.raises(hw.CapacityError, match=message):
        hw.map_graph(graph, small(**limits))


def test_channels_that_do_not_fit_together_are_cut_apart(recording: np.ndarray) -> None:
    conv = Conv2d(RNG.normal(0.1, 0.3, (16, 2, 5, 5)), stride=2)
    graph = Graph(
        {"in": Input((2, 10, 10)), "conv": conv, "a": LIF(0.01)},
        [("in", "conv"), ("conv", "a")],
        clocked(0.002),
    )
    mapping = hw.map_graph(graph, small(synaptic_words=90), calibration=recording)
    assert mapping.partition.layers["a"].n_groups > 1
    assert hw.verify(mapping, recording, engines=["cores"])


def test_fewer_bits_take_fewer_words(graph: Graph) -> None:
    words = [lower(hw.quantize(graph, "loihi1", weight_bits=bits)) for bits in (8, 4)]
    assert words[1] < words[0]


def lower(fixed: hw.FixedGraph) -> int:
    return sum(layer.usage(layer.order).values["synaptic_words"] for layer in layers_of(fixed, hw.loihi1))


def test_words_of_axons_by_hand() -> None:
    # 60 weights of 8 bits behind a header of 10 + 10 bits: 500 bits, 8 words; the last has 52 bits, so no mark more
    assert axon_words(np.array([60]), 60, 8, hw.loihi1).tolist() == [8]
    # one weight among many: sparse, 10 + 18 bits
    assert axon_words(np.array([1]), 1000, 8, hw.loihi1).tolist() == [1]


def test_long_delays_cost_neurons() -> None:
    populations = {"in": hw.Population((3,), "input"), "out": hw.Population((10,))}
    synapses = hw.Connection("in", "out", "dense", np.ones((10, 3), int), sign="excitatory", delay=20)
    fixed = hw.FixedGraph(populations, (synapses,))
    assert layers_of(fixed, hw.loihi1)[0].usage(np.arange(10)).values["compartments"] == 30


def test_a_partition_is_not_worse_than_the_sequential_one(graph: Graph) -> None:
    fixed, target = hw.quantize(graph, "loihi1"), small(compartments=64, synaptic_words=700)
    found, other = partition(fixed, target), sequential(fixed, target)
    assert found.n_cores <= other.n_cores
    assert found.n_cores >= max(lower_bound(fixed, target).values())


def test_placement_never_ends_behind_its_start_and_keeps_places_apart() -> None:
    messages = RNG.random((200, 200)) * (RNG.random((200, 200)) < 0.05)
    found = place(messages, hw.loihi1)
    assert found.cost < found.first_cost
    places = {tuple(p) for p in np.stack([found.chip, found.column, found.row, found.slot]).T.tolist()}
    assert len(places) == 200
    assert found.n_chips == 2


def test_net_files_go_both_ways(tmp_path: Path) -> None:
    populations = {
        "in": hw.Population((2, 6, 6), "input"),
        "a": hw.Population(
            (3, 4, 4), current_decay=4096, membrane_decay=100, threshold=40, bias_mantissa=3, bias_exponent=6
        ),
        "b": hw.Population((5,), current_decay=900, membrane_decay=50, threshold=70, refractory_steps=1),
    }
    connections = (
        hw.Connection("in", "a", "conv", RNG.integers(-50, 60, (3, 2, 3, 3)) * 2),
        hw.Connection("a", "b", "dense", RNG.integers(-50, 60, (5, 48)) * 2, weight_exponent=1),
    )
    fixed = hw.FixedGraph(populations, connections)
    hw.write_net(fixed, tmp_path / "network.net")
    again = hw.read_net(tmp_path / "network.net")
    frames = (RNG.random((20, 2, 6, 6)) < 0.4).astype(np.float32)
    one, two = hw.emulate(fixed, frames), hw.emulate(again, frames)
    for mine, other in zip(("a", "b"), list(again.populations)[1:], strict=True):
        np.testing.assert_array_equal(one.trains[mine].index, two.trains[other].index)
        assert len(one.trains[mine]) > 10


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n damaged", b"no HDF5 at all"])
def test_damaged_net_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "network.net").write_bytes(content)
    with pytest.raises(hw.MappingFileError, match=r"is no .net file that can be read"):
        hw.read_net(tmp_path / "network.net")
    with pytest.raises(hw.MappingFileError, match="does not exist"):
        hw.read_net(tmp_path / "other.net")


def test_what_net_files_cannot_say_is_refused(mapping: hw.Mapping, tmp_path: Path) -> None:
    with pytest.raises(hw.HardwareError, match=r".net: biases of 'a' must be multiples of 64"):
        hw.write_net(mapping.fixed, tmp_path / "network.net")
    assert not list(tmp_path.iterdir())
