"""Sweeps over thresholds: every point is a run, the marks are right, the files are complete."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import neuro
from eventio.datasets import Collection, folder
from neuro.dynamics import Dynamics, ExitRule
from spikeloom.cli import cli
from spikeloom.commands.pareto import _thresholds
from spikeloom.errors import UserError
from spikeloom.pareto import Pareto, ParetoPoint, Sweep, _efficient, _operating, sweep_thresholds
from spikeloom.parts import named_part
from spikeloom.recordings import windows
from tests.app_models import small_recognizer, write_folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("recordings"), per_class=4)


@pytest.fixture(scope="module")
def collection(recordings: Path) -> Collection:
    return replace(folder(recordings), width=34, height=34)


@pytest.fixture(scope="module")
def swept(collection: Collection) -> Pareto:
    return sweep_thresholds(small_recognizer(), collection, sweep=Sweep(attention=(0.0, 0.4, 0.6), n_exits=3))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_every_point_is_what_runs_give(swept: Pareto, collection: Collection) -> None:
    model = small_recognizer()
    encoding = model.encoding
    inputs = [
        encoding.spikes(next(iter(windows(s.path, width=34, height=34, window_us=encoding.window_us))))
        for s in collection.samples
    ]
    labels = [model.class_names.index(collection.class_names[s.label]) for s in collection.samples]
    assert len(swept.points) > 6
    for point in swept.points:
        rule = None if point.exit_threshold is None else replace(swept.rule, threshold=point.exit_threshold)
        graph = model.with_threshold(point.attention_threshold).graph
        results = neuro.simulate(graph, inputs, dynamics=Dynamics(early_exit=rule))
        reports = [result.dynamics for result in results if result.dynamics is not None]
        right = [
            result.output.astype(np.float64).sum(axis=0).argmax() == label
            for result, label in zip(results, labels, strict=True)
        ]
        assert point.accuracy == np.mean(right)
        assert point.loss == pytest.approx(swept.points[0].accuracy - point.accuracy, abs=1e-12)
        assert point.spike_driven_operations == np.mean([r.spike_driven_operations for r in reports])
        assert point.synaptic_operations == np.mean([r.synaptic_operations for r in reports])
        assert point.frames == sum(r.n_computed for r in reports) / (8 * len(reports))
        assert point.events == pytest.approx(
            sum(r.events_computed for r in reports) / sum(r.events_total for r in reports), abs=1e-12
        )
        assert point.milliseconds > 0


def test_the_first_point_leaves_nothing_out(swept: Pareto) -> None:
    first = swept.points[0]
    assert (first.attention_threshold, first.exit_threshold) == (0.0, None)
    assert (first.frames, first.steps, first.events, first.loss) == (1, 1, 1, 0)


def points_of(*pairs: tuple[float, float]) -> list[ParetoPoint]:
    """Points of (accuracy, operations)."""
    return [
        ParetoPoint(0, None, accuracy, pairs[0][0] - accuracy, 0, 1, 1, 1, operations, 1, 1, 1, 1)
        for accuracy, operations in pairs
    ]


def test_efficient_points_are_beaten_by_none() -> None:
    points = _efficient(points_of((0.9, 100), (0.9, 80), (0.8, 90), (0.8, 50), (0.95, 120), (0.8, 50)))
    assert [point.is_efficient for point in points] == [False, True, False, True, True, True]


def test_the_operating_point_keeps_the_allowed_loss() -> None:
    points = points_of((0.9, 100), (0.89, 80), (0.88, 50))
    assert _operating(points, 0.0) is points[0]
    assert _operating(points, 0.01) is points[1]
    assert _operating(points, 0.02) is points[2]


def test_test_recordings_do_not_choose(collection: Collection) -> None:
    sweep = Sweep(attention=(0.0,), n_exits=1)
    assert sweep_thresholds(small_recognizer(), collection, sweep=sweep, may_choose=False).operating is None
    assert sweep_thresholds(small_recognizer(), collection, sweep=sweep).operating is not None


def test_a_network_without_attention_is_swept_over_exits_only(collection: Collection) -> None:
    model = small_recognizer(attention=False)
    found = sweep_thresholds(model, collection, sweep=Sweep(attention=(0.2, 0.5), n_exits=2))
    assert {point.attention_threshold for point in found.points} == {0.0}
    assert len(found.points) >= 2


def test_the_table_holds_every_point(swept: Pareto) -> None:
    rows = list(csv.DictReader(io.StringIO(swept.to_csv())))
    assert len(rows) == len(swept.points)
    assert float(rows[0]["accuracy"]) == swept.points[0].accuracy
    assert rows[0]["exit_threshold"] == ""
    assert sum(row["is_operating_point"] == "True" for row in rows) == 1
    assert {row["part"] for row in rows} == {swept.part}


def test_the_command_writes_a_table_and_a_page(tmp_path: Path, recordings: Path) -> None:
    model = tmp_path / "m.h5"
    small_recognizer().save(model)
    arguments = ("--part", "all", "--attention", "0,0.5", "--exits", 2, "--out", tmp_path / "out", "--json")
    done = run("pareto", model, recordings, *arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["recordings"] == 12
    assert "(all)" in found["part"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["pareto.csv", "pareto.html"]
    page = (tmp_path / "out" / "pareto.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=\"(?!#)", page)  # nothing comes from elsewhere
    assert page.count("<svg") == 4
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert "--attention 0,0.5 --exits 2" in page
    assert "chosen on these recordings" in page


def test_the_validation_part_is_that_of_the_training(recordings: Path) -> None:
    parts = [named_part(str(recordings), part, data=None, seed=3) for part in ("train", "validation", "all")]
    paths = [{sample.path for sample in part.samples} for part in parts]
    assert paths[0] | paths[1] == paths[2]
    assert not paths[0] & paths[1]
    assert "validation" in parts[1].name


def test_thresholds_are_read_from_lists_and_ranges() -> None:
    assert _thresholds("0.1,0.5") == (0.1, 0.5)
    assert _thresholds("0:0.3:0.1") == (0.0, 0.1, 0.2, 0.3)


def test_bad_input_is_named(tmp_path: Path, recordings: Path, collection: Collection) -> None:
    model = tmp_path / "m.h5"
    small_recognizer().save(model)
    out = ("--out", tmp_path / "out")
    for arguments, message in (
        (("--attention", "0,1.5"), "attention thresholds must be from 0 to 1, got 1.5"),
        (("--attention", "a:b"), "neither numbers with commas nor START:STOP:STEP"),
        (("--attention", "0:1:0"), "neither numbers with commas nor START:STOP:STEP"),
        (("--attention", "0:1:1e-9"), "asks for more than 1,000 thresholds; take a larger step"),
        (("--attention", "0:inf:0.1"), "neither numbers with commas nor START:STOP:STEP"),
        (("--part", "test"), "a folder has no test part"),
        (("--exits", "-1"), "--exits"),
    ):
        done = run("pareto", model, recordings, *arguments, *out)
        assert done.exit_code == 2, done.output
        assert message in done.output
    assert run("pareto", model, "digits", "--part", "all", *out).exit_code == 2
    with pytest.raises(UserError, match="must be >= 0, got -1"):
        Sweep(n_exits=-1)
    with pytest.raises(UserError, match="'zebra' is unknown to the model"):
        sweep_thresholds(small_recognizer(), replace(collection, class_names=("0", "1", "zebra")))


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikeloom import pareto

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pareto._Bench, "point", interrupted)
    model = tmp_path / "m.h5"
    small_recognizer().save(model)
    done = run("pareto", model, recordings, "--part", "all", "--out", tmp_path / "out")
    assert done.exit_code == 130
    assert not list((tmp_path / "out").iterdir())


def test_a_decision_says_what_an_early_exit_saved(collection: Collection) -> None:
    model = small_recognizer()
    rule = ExitRule(0.0, first_step=3)
    decision = model.recognize(collection.samples[0].path, dynamics=Dynamics(early_exit=rule))
    whole = model.recognize(collection.samples[0].path)
    assert (decision.frames_total, whole.frames_total) == (8, 8)
    assert decision.frames_kept <= 3
    assert decision.synaptic_operations < whole.synaptic_operations
    assert decision.events_kept < whole.events_kept
    assert decision.events == whole.events
