"""The commands on good input: what they print, where, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import eventio
import eventio.datasets
from eventio.datasets import Collection, Sample
from eventio.format_table import FORMATS
from spikeloom.cli import cli
from tests.app_models import (
    random_events,
    small_recognizer,
    write_folder,
    write_recording,
    write_truncated,
    write_unordered,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.h5"
    small_recognizer().save(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def answer(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_help_and_version_answer_without_heavy_imports() -> None:
    code = (
        "import sys\nfrom spikeloom.cli import cli\n"
        "for arguments in (['--help'], ['--version'], ['train', '--help'], ['nothing']):\n"
        "    try: cli(arguments)\n"
        "    except SystemExit as done: print('exit', done.code)\n"
        "heavy = {'numba', 'numpy', 'sklearn', 'scipy', 'matplotlib', 'torch', 'h5py', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("exit")] == ["exit 0", "exit 0", "exit 0", "exit 2"]
    assert lines[-1] == "[]"
    assert any(line.startswith("spikeloom, version") for line in lines)


def test_info_counts_and_times(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    events = eventio.read(path).events
    found = answer(run("info", path, "--json"))
    counts = eventio.representations.count_events(events, width=34, height=34).sum(axis=0)
    assert (
        found["events_over_time"]
        == np.bincount(
            (events["t"] - events["t"][0]) // int(found["bin_us"])  # type: ignore[call-overload]
        ).tolist()
    )
    assert found["busiest_pixels"][0]["events"] == counts.max()  # type: ignore[index]
    assert found["silent_pixels"] == pytest.approx((counts == 0).mean())
    assert (found["duplicates"], found["oddities"], found["skipped"]) == (0, [], {})
    for key in ("events_over_time", "bin_us", "busiest_pixels", "silent_pixels", "duplicates", "oddities",
                "skipped", "rate_hz", "conversions"):  # fmt: skip
        del found[key]
    assert found == {
        "format": eventio.read(path).metadata.format,
        "width": 34,
        "height": 34,
        "events": 600,
        "on": int(events["p"].sum()),
        "off": 600 - int(events["p"].sum()),
        "t_first_us": int(events["t"][0]),
        "t_last_us": int(events["t"][-1]),
        "warnings": found["warnings"],
    }
    assert "600" in run("info", path).stdout


@pytest.mark.parametrize("damage", [write_truncated, write_unordered])
def test_info_lists_damage_and_succeeds(tmp_path: Path, damage: object) -> None:
    path = damage(tmp_path / "bad.bin")  # type: ignore[operator]
    result = run("info", path, "--json")
    found = answer(result)
    assert found["warnings"]
    assert result.stderr == ""
    assert run("info", path).exit_code == 0


WRITTEN = [row.name for row in FORMATS if row.encode is not None]
BAGS = ("py/test_events_1.bag", "py/test_events_1/test_events_1.db3", "py/test_events_2/test_events_2_0.mcap")


@pytest.mark.parametrize("name", WRITTEN)
def test_info_of_every_format(tmp_path: Path, name: str) -> None:
    side = {"aedat2-dvs128": (128, 128), "aedat2-davis240": (240, 180), "aedat2-davis640": (640, 480)}
    width, height = side.get(name, (346, 260) if name.startswith("aedat") else (34, 34))
    events = random_events(1200)
    eventio.write(tmp_path / "a.x", eventio.Recording(events, width=width, height=height), format=name)
    check_info(tmp_path / "a.x", name, 1200)


@pytest.mark.parametrize("name", BAGS)
def test_info_of_bags(data_dir: Path, name: str) -> None:
    path = data_dir / "ros_event_camera" / name
    check_info(path, None, 571_266 if name.endswith(".mcap") else 343_474)


def check_info(path: Path, name: str | None, n_events: int) -> None:
    arguments = () if name is None else ("--format", name)
    found = answer(run("info", path, *arguments, "--json"))
    assert (found["events"], sum(found["events_over_time"])) == (n_events, n_events)  # type: ignore[call-overload]
    assert found["format"] == name or name is None
    assert found["busiest_pixels"]
    shown = run("info", path, *arguments).stdout
    assert "over time" in shown
    assert "█" in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dv_processing_tests/data/test_files/test-frame.aedat4", "frames: 20"),
        ("faery_samples/color.es", "colour events: 473,225"),
    ],
)
def test_info_of_a_file_without_pixel_events(data_dir: Path, name: str, text: str) -> None:
    found = answer(run("info", data_dir / name, "--json"))
    assert (found["events"], found["events_over_time"], found["busiest_pixels"]) == (0, [], [])
    shown = run("info", data_dir / name).stdout
    assert text in shown
    assert "no pixel event" in " ".join(shown.split())


def test_info_takes_the_times_in_file_order(tmp_path: Path) -> None:
    path = write_unordered(tmp_path / "back.bin")
    with pytest.warns(eventio.DamagedRecordingWarning):
        events = eventio.read(path).events
    found = answer(run("info", path, "--json"))
    assert (found["t_first_us"], found["t_last_us"]) == (int(events["t"][0]), int(events["t"][-1]))


def test_recognize_says_class_confidence_time_and_cost(tmp_path: Path, model: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    decision = small_recognizer().recognize(path)
    found = answer(run("recognize", path, "--model", model, "--json"))
    assert found["class"] == decision.label
    assert found["confidence"] == decision.confidence
    assert found["decided_at_us"] == decision.decided_at_us
    assert found["synaptic_operations"] == decision.synaptic_operations
    assert sum(found["probabilities"].values()) == pytest.approx(1.0)  # type: ignore[attr-defined]
    text = run("recognize", path, "--model", model)
    assert text.exit_code == 0
    for word in ("class", "confidence", "decided at", "synaptic operations"):
        assert word in text.stdout


def test_evaluate_a_folder_whole(tmp_path: Path, model: Path) -> None:
    folder = write_folder(tmp_path / "set")
    found = answer(run("evaluate", model, folder, "--json"))
    assert found["recordings"] == 9
    for key in ("accuracy", "frames_kept", "events_kept"):
        assert 0 <= found[key] <= 1  # type: ignore[operator]
    operations = found["synaptic_operations"]
    assert isinstance(operations, int)
    assert 0 < operations < found["synaptic_operations_without_attention"]  # type: ignore[operator]
    assert found["seconds_per_recording"] > 0  # type: ignore[operator]
    assert "accuracy" in run("evaluate", model, folder).stdout


def test_evaluate_uses_the_test_part_of_nmnist(tmp_path: Path, model: Path) -> None:
    write_folder(tmp_path / "Train", per_class=5)
    write_folder(tmp_path / "Test", per_class=2)
    found = answer(run("evaluate", model, "nmnist", "--data", tmp_path, "--json"))
    assert found["recordings"] == 6


def test_damage_is_used_only_when_allowed(tmp_path: Path, model: Path) -> None:
    cut = write_truncated(tmp_path / "0" / "cut.bin")
    back = write_unordered(tmp_path / "0" / "back.bin")
    for command in (["recognize", cut, "--model", model], ["recognize", back, "--model", model]):
        assert run(*command, "--json").exit_code == 2
        allowed = run(*command, "--json", "--allow-damaged")
        assert json.loads(allowed.stdout)["class"] in "0123456789"
        assert allowed.stderr.startswith("warning: ")
    whole = answer(run("recognize", back, "--model", model, "--json", "--sort"))
    assert whole["events"] == 600
    assert run("evaluate", model, tmp_path, "--json").exit_code == 2
    assert answer(run("evaluate", model, tmp_path, "--json", "--allow-damaged"))["recordings"] == 2


def test_the_demo_writes_one_report(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "set", labels=tuple("0123456789"), per_class=1)
    paths = sorted(folder.rglob("*.bin"))
    samples = tuple(Sample(path, n) for n, path in enumerate(paths))
    digits = Collection("digits test", tuple("0123456789"), samples, 34, 34)
    monkeypatch.setattr(eventio.datasets, "digits", lambda part, on_progress: digits)
    result = run("demo", "--model", model, "--out", tmp_path / "out" / "deep", "--json")
    found = answer(result)
    report = Path(str(found["report"]))
    assert report == tmp_path / "out" / "deep" / "report.html"
    assert found["recordings"] == 10
    assert [path.name for path in report.parent.iterdir()] == ["report.html"]
    text = run("demo", "--model", model, "--out", tmp_path / "out")
    assert text.exit_code == 0
    for word in ("accuracy", "frames kept", "synaptic operations", "events per second", "time per recording"):
        assert word in text.stdout


def test_info_marks_a_derived_size(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    assert "34 x 34  (derived" in run("info", path).stdout
    eventio.write(tmp_path / "a.raw", eventio.read(path))
    assert "(derived" not in run("info", tmp_path / "a.raw").stdout


def test_info_takes_a_format_that_the_content_does_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "old.aedat"
    word = (5 << 8 | 3 << 1).to_bytes(4, "big")
    path.write_bytes(b"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n" + word + (7).to_bytes(4, "big"))
    assert run("info", path).exit_code == 2
    found = answer(run("info", path, "--format", "aedat2-dvs128", "--json"))
    assert (found["format"], found["events"], found["width"]) == ("aedat2-dvs128", 1, 128)
