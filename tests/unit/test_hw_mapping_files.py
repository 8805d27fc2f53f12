"""Mappings as files: read again, and every kind of damage is refused with a sentence."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hw
from hw.network_files import network_document, network_of
from neuro.graph import IF, Graph, Input, Linear, Readout, clocked

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hw_networks import random_convolutions, random_network


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> str:
    lif = {"current_decay": 4096, "membrane_decay": 100, "threshold": 40}
    populations = {
        "in": hw.Population((2, 5, 5), "input"),
        "a": hw.Population((3, 5, 5), **lif),
        "b": hw.Population((7,), **lif),
    }
    connections = (
        hw.Connection("in", "a", "conv", np.full((3, 2, 3, 3), 4), padding=(1, 1)),
        hw.Connection("a", "b", "dense", np.full((7, 75), 6)),
    )
    mapping = hw.map_fixed(hw.FixedGraph(populations, connections, "loihi1"), "loihi1")
    path = tmp_path_factory.mktemp("mapping") / "mapping.json"
    mapping.save(path)
    assert hw.read_mapping(path) == mapping.to_json()
    return path.read_text()


def problem(read: Callable[[Path], object], file: Path) -> str:
    """Return what is wrong with a file, '' if nothing is; any other error is a failure."""
    try:
        read(file)
    except (hw.MappingFileError, hw.TargetError) as err:
        return str(err)
    return ""


def changed(content: str, path: tuple[Any, ...], value: Any) -> str:
    document = json.loads(content)
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "letter", "is not the mapping of a network"),
        (("version",), 1, "has version 1, this program reads version 2"),
        (("routes",), None, "routes is missing or damaged"),
        (("cores", 0, "chip"), -1, r"cores\[0\].chip must be a whole number >= 0, got -1"),
        (("cores", 0, "tile"), [1], r"cores\[0\].tile must be a column and a row"),
        (("cores", 0, "used", "compartments"), 2000, r"cores\[0\] uses 2000 compartments, allowed 1024"),
        (("cores", 0, "used", "input_axons"), None, r"cores\[0\].used.input_axons must be a whole number"),
        (("cores", 0, "blocks", 0, "population"), 3, "must name its population"),
        (("cores", 0, "blocks", 0, "axons"), {}, "must list its axons"),
        (("routes", 0), ["host", 9, 1.0], r"routes\[0\] joins 'host' and 9; there are 1 cores"),
        (("routes", 0), [0, 0, float("nan")], r"routes\[0\] must have a number of messages"),
        (("routes", 0), [0, "host", 1.0], "joins 0 and 'host'"),
        (("target", "limits"), {}, "target.limits is missing or damaged"),
        (
            ("cores", 0, "blocks", 0, "neurons", 0),
            [0, 6],
            "'b': its blocks must have its 7 neurons, all and no",
        ),
        (
            ("cores", 0, "blocks", 1, "pixels", 0),
            [1, 26],
            "'a': its blocks must have its 25 pixels, all and no",
        ),
        (("cores", 0, "blocks", 0, "population"), "c", "population 'b' must be in blocks of pixels, or of"),
        (
            ("network", "populations", "a", "threshold"),
            41,
            "network is not the one that its digest was made of",
        ),
        (
            ("network", "populations", "a", "threshold"),
            -1,
            r"network is damaged \(Population: threshold must be 0",
        ),
        (
            ("network", "populations", "a"),
            {},
            "network: population 'a' must have bias_exponent, bias_mantissa",
        ),
        (("network", "connections", 0, "stride"), [0, 1], "network is damaged"),
        (("network", "connections", 1, "weights", "shape"), [7, 76], "does not have the size that its shape"),
        (
            ("network", "connections", 1, "weights", "zlib"),
            "AAAA",
            r"connections\[1\]: weights cannot be unpacked",
        ),
        (("network", "connections", 1, "weights", "dtype"), "O", "must be an array of int16, int32, int64"),
    ],
)
def test_damage_is_named(
    content: str, tmp_path: Path, path: tuple[Any, ...], value: Any, message: str
) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(changed(content, path, value))
    with pytest.raises(hw.MappingFileError, match=message) as caught:
        hw.read_mapping(file)
    assert str(file) in str(caught.value)
    assert "map the network again" in str(caught.value)


def test_neurons_in_two_blocks_and_two_cores_in_a_place_are_found(content: str, tmp_path: Path) -> None:
    document = json.loads(content)
    document["cores"].append(copy.deepcopy(document["cores"][0]))
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps(document))
    with pytest.raises(hw.MappingFileError, match="has the place of another core"):
        hw.read_mapping(file)
    document["cores"][1]["core"] += 1
    file.write_text(json.dumps(document))
    with pytest.raises(hw.MappingFileError, match="in two blocks"):
        hw.read_mapping(file)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.binary(max_size=6), st.booleans())
def test_any_damage_of_a_mapping_is_refused_or_harmless(
    content: str, tmp_path: Path, where: int, instead: bytes, cut: bool
) -> None:
    raw = content.encode()
    at = where % len(raw)
    file = tmp_path / "mapping.json"
    file.write_bytes(raw[:at] + instead + (b"" if cut else raw[at + len(instead) :]))
    said = problem(hw.read_mapping, file)
    assert (
        said == "" or str(file) in said
    )  # '': a digit, a name or a note may have changed, nothing that is checked


def networks(seed: int, profile: str) -> hw.FixedGraph:
    """Return one of every kind: registers and delays of each neuron, subtraction, convolutions, graded spikes."""
    rng = np.random.default_rng(seed)
    kind = seed % 5
    if kind == 4 and profile == "lava":
        return graded_layer(rng)
    if kind == 3:
        fixed, _ = random_convolutions(seed, groups=True, graded=profile == "lava")
    else:
        kinds = ("dense", "sparse", "delayed dense", "delayed sparse")
        options = {"loops": True, "arrays": kind == 1, "refractory": kind == 2}
        fixed, _ = random_network(seed, kinds=kinds, subtracts=profile == "lava" and kind < 2, **options)
    return replace(fixed, profile=profile)


def graded_layer(rng: np.random.Generator) -> hw.FixedGraph:
    kind = ("graded", "graded_relu", "sigma", "delta", "sigma_delta")[rng.integers(5)]
    exponents = {"spike_exponent": 2, "state_exponent": 1} if "delta" in kind else {}
    populations = {
        "in": hw.Population((4,), "input"),
        "a": hw.Population(
            (3,),
            kind,
            threshold=int(rng.integers(0, 9)) << 3,
            is_cumulative=bool(rng.integers(2)),
            **exponents,
        ),
    }
    synapses = hw.Connection("in", "a", "dense", rng.integers(-9, 9, (3, 4)) * 2, is_graded=True)
    return hw.FixedGraph(populations, (synapses,))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.sampled_from(["lava", "loihi1"]))
def test_networks_of_every_kind_are_emulated_alike_after_a_round_trip(
    tmp_path: Path, seed: int, profile: str
) -> None:
    fixed = networks(seed, profile)
    document = json.loads(json.dumps(network_document(fixed)))
    again = network_of(document)
    assert again.digest == fixed.digest
    assert (again.outputs, again.notes) == (fixed.outputs, fixed.notes)
    rng = np.random.default_rng(seed)
    frames = (rng.random((12, *fixed.populations["in"].shape)) < 0.4).astype(np.float32)
    names = [name for name, population in fixed.populations.items() if population.kind != "input"]
    has_registers = [name for name in names if fixed.populations[name].kind == "lif"]
    results = [hw.emulate(part, frames, record=has_registers) for part in (fixed, again)]
    for name in names:
        trains = [result.trains[name] for result in results]
        for part in ("step", "index", "value"):
            np.testing.assert_array_equal(getattr(trains[0], part), getattr(trains[1], part))
    for name in has_registers:
        np.testing.assert_array_equal(results[0].v[name], results[1].v[name])


def test_a_mapping_read_again_decides_as_before_with_its_host(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    nodes = {
        "in": Input(6, max_count=1), "first": Linear(rng.normal(0, 0.6, (9, 6))), "if": IF(reset="subtract"),
        "second": Linear(rng.normal(0, 0.6, (4, 9))), "sum": Readout(),
    }  # fmt: skip
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    frames = (rng.random((20, 6)) < 0.4).astype(np.float32)
    mapping = hw.map_graph(graph, "loihi2", calibration=frames)
    path = tmp_path / "mapping.json"
    mapping.save(path)
    again = hw.read_fixed(path)
    assert again.digest == mapping.fixed.digest
    assert again.host is not None
    assert mapping.fixed.host is not None
    assert again.host.graph.digest == mapping.fixed.host.graph.digest
    before, after = (hw.emulate(fixed, frames).outputs["sum"] for fixed in (mapping.fixed, again))
    assert before.any()
    np.testing.assert_array_equal(before, after)
    document = json.loads(path.read_text())
    document["network"]["host"]["graph"] = "AAAA"
    path.write_text(json.dumps(document))
    with pytest.raises(hw.MappingFileError, match="host: graph cannot be unpacked"):
        hw.read_fixed(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), VALUES)
def test_any_value_in_any_place_is_refused_or_harmless(
    content: str, tmp_path: Path, data: st.DataObject, value: Any
) -> None:
    document = json.loads(content)
    inside, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(inside[key], dict | list) and inside[key] and data.draw(st.booleans()):
        inside = inside[key]
        key = data.draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
    inside[key] = value
    file = tmp_path / "mapping.json"
    file.write_text(json.dumps(document))
    said = problem(hw.read_mapping, file)
    assert said == "" or str(file) in said


TOML = """name = "mine"
based_on = "loihi1"
[limits.compartments]
value = 512
source = "here"
[[prices]]
name = "p"
source = "bench"
grade = "measured"
energy_j = {synaptic_operation = 1e-11}
time_s = {spike_in = 1e-9}
barrier_s = [[1, 1e-7], [11, 2e-7]]
not_priced = ["heat"]
"""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**31), st.text(alphabet='0123456789.-+einfa"[]{}=,\n #', max_size=5), st.integers(0, 5)
)
def test_any_damage_of_a_target_is_refused_or_gives_a_target(
    tmp_path: Path, where: int, instead: str, n_cut: int
) -> None:
    at = where % len(TOML)
    file = tmp_path / "mine.toml"
    file.write_text(TOML[:at] + instead + TOML[at + n_cut :])
    said = problem(hw.load_target, file)
    assert said == "" or str(file) in said
    if not said:
        assert all(limit.value >= 0 for limit in hw.load_target(file).limits.values())


def test_a_target_nested_too_deeply_and_binary_targets_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for raw in (b"x = " + b"[" * 5000, b"\xff\xfe\x00", b"a = 9" + b"9" * 5000):
        file.write_bytes(raw)
        with pytest.raises(hw.TargetError, match=r"mine\.toml"):
            hw.load_target(file)
