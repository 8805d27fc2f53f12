"""Mappings as files: read again, and every kind of damage is refused with a sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hw


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
        (("version",), 2, "has version 2, this program reads version 1"),
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
