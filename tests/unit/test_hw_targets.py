"""Chips and prices: every number has a source, files of one's own say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import hw
from hw.targets import DAVIES_2018, GRADES, LIMIT_NAMES, SANA_FE, TARGETS, TERMS

OWN = """
name = "mine"
based_on = "loihi2"
[limits.compartments]
value = 2048
source = "my data sheet, p. 3"
[[prices]]
name = "measured here"
source = "our bench"
grade = "measured"
energy_j = {synaptic_operation = 1e-11}
barrier_s = [[1, 1e-7], [11, 2e-7]]
"""


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_every_limit_has_a_source_and_a_grade(target: hw.Target) -> None:
    assert set(target.limits) == set(LIMIT_NAMES)
    assert all(limit.source and limit.grade in GRADES for limit in target.limits.values())


def test_loihi_2_has_no_joules_of_its_own() -> None:
    assert hw.loihi2.prices == ()
    assert [table.name for table in hw.loihi1.prices] == ["Davies 2018", "SANA-FE"]


def test_what_a_table_does_not_price_is_listed() -> None:
    assert "spike_out" in DAVIES_2018.unpriced()
    assert "static power" in SANA_FE.unpriced()
    assert set(DAVIES_2018.energy_j) <= set(TERMS)


def test_barriers_are_interpolated() -> None:
    assert DAVIES_2018.barrier_time_s(1) == 113e-9
    assert DAVIES_2018.barrier_time_s(32) == pytest.approx(465e-9, rel=1e-15)
    assert SANA_FE.barrier_time_s(3) == pytest.approx(1.2e-6, rel=1e-15)


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    target = hw.find_target(path)
    assert target["compartments"] == 2048
    assert target.limits["compartments"].grade == "user"
    assert target["synaptic_words"] == hw.loihi2["synaptic_words"]
    assert target.prices[0].barrier_time_s(6) == pytest.approx(1.5e-7, rel=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 2048", "value = 0", "compartments must be >= 1, got 0"),
        ("value = 2048", 'value = "many"', "limits.compartments: Limit: value must be a whole number"),
        ("limits.compartments", "limits.neurons", "there is no limit 'neurons'"),
        ('based_on = "loihi2"', 'based_on = "loihi3"', "based_on must be one of loihi1, loihi2"),
        ('based_on = "loihi2"', "", "is missing"),
        ('source = "my data sheet, p. 3"', "", "needs a value and a source"),
        ("synaptic_operation", "multiplication", "there is no term 'multiplication'"),
        ("1e-11", "-1.0", "must be finite and >= 0"),
        ("[[prices]]", "[prices]", r"\[\[prices\]\]"),
        ('name = "mine"', 'nam = "mine"', "unknown entry 'nam'"),
        ('name = "mine"', "name = ", "is no TOML file"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(hw.TargetError, match=message) as caught:
        hw.load_target(path)
    assert str(path) in str(caught.value)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(hw.TargetError, match="there is no target 'loihi3'; take loihi1, loihi2 or"):
        hw.find_target("loihi3")
    with pytest.raises(hw.TargetError, match="cannot be read"):
        hw.find_target("nowhere.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 2048", f"value = {10**35}", "compartments must be <= 2147483647, got about 2\\^116"),
        ("[limits.compartments]\nvalue = 2048", "[limits.weight_bits]\nvalue = 9", "weight_bits must be <= 8, got 9"),
        ("[limits.compartments]\nvalue = 2048", "[limits.cores_per_chip]\nvalue = 70000", "<= 65536, got 70000"),
        ("value = 2048", "value = true", "must be a whole number"),
        ("value = 2048", "value = 2048.0", "must be a whole number"),
        ('source = "my data sheet, p. 3"', "source = 3", "limits.compartments: source must be text, got 3"),
        ("[11, 2e-7]", "[1, 2e-7]", "rising numbers of tiles >= 1, got 1 after 1"),
        ("[11, 2e-7]", "[11, nan]", "barrier_s of 11 tiles must be finite"),
        ("[11, 2e-7]", "[11]", r"list of pairs \[tiles, seconds\], got \[11\]"),
        ("[11, 2e-7]", "[1.5, 1]", "a number of tiles must be whole, got 1.5"),
        ("1e-11", '"dear"', "energy_j.synaptic_operation must be a number, got 'dear'"),
        ("1e-11", "inf", "must be finite and >= 0, got inf"),
        ('grade = "measured"', "grade = 1", "grade must be text, got 1"),
        ('grade = "measured"', 'grade = "m"\nnot_priced = "heat"', "not_priced must be a list of texts, got 'heat'"),
        ("{synaptic_operation = 1e-11}", "[1]", "energy_j must be a table"),
        ('based_on = "loihi2"', "based_on = []", "based_on must be one of"),
        ('based_on = "loihi2"', 'based_on = "loihi2"\nprofile = 1', "profile must be 'lava' or 'loihi1', got 1"),
        ('name = "mine"', 'name = "mi\\nne"', "name must be printable text"),
    ],
)  # fmt: skip
def test_absurd_values_are_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in OWN
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(hw.TargetError, match=message) as caught:
        hw.load_target(path)
    assert str(path) in str(caught.value)
