"""The commands on bad input: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

import eventio
import spikeloom.recognizer
from spikeloom.cli import cli
from spikeloom.errors import UserError
from spikeloom.storage import prepared_folder, replaced_file, require_writable
from tests.app_models import (
    SIDE,
    random_events,
    small_recognizer,
    write_folder,
    write_recording,
    write_truncated,
    write_unordered,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    small_recognizer().save(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """Run a command that must be refused in one sentence and give the sentence."""
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.stderr
    return lines[0]


def test_missing_recordings(tmp_path: Path, model: Path) -> None:
    missing = tmp_path / "nothing.bin"
    assert str(missing) in refused("info", missing)
    assert str(missing) in refused("info", missing, "--json")
    assert str(missing) in refused("recognize", missing, "--model", model, "--json")


def test_a_folder_in_place_of_a_recording(tmp_path: Path, model: Path) -> None:
    assert str(tmp_path) in refused("info", tmp_path)
    assert str(tmp_path) in refused("recognize", tmp_path, "--model", model)


def test_empty_and_foreign_recordings(tmp_path: Path, model: Path) -> None:
    empty, foreign = tmp_path / "empty.bin", tmp_path / "foreign.xyz"
    empty.write_bytes(b"")
    foreign.write_bytes(bytes(range(256)) * 3)
    for path in (empty, foreign):
        assert str(path) in refused("info", path)
        assert str(path) in refused("recognize", path, "--model", model)
        assert str(path) in refused("recognize", path, "--model", model, "--allow-damaged", "--sort")


def test_damaged_recordings_need_a_word(tmp_path: Path, model: Path) -> None:
    cut = write_truncated(tmp_path / "cut.bin")
    back = write_unordered(tmp_path / "back.bin")
    assert "--allow-damaged" in refused("recognize", cut, "--model", model)
    sentence = refused("recognize", back, "--model", model, "--json")
    assert "back.bin: time runs backwards at event 400" in sentence
    assert "--sort" in sentence
    folder = tmp_path / "set"
    write_folder(folder, labels=("0", "1"))
    write_unordered(folder / "1" / "x.bin")
    assert "x.bin" in refused("evaluate", model, folder)


def test_events_outside_the_models_sensor(tmp_path: Path) -> None:
    small = tmp_path / "small.h5"
    small_recognizer(width=20, height=20).save(small)
    path = write_recording(tmp_path / "a.bin")
    assert "recorded by a 34x34 sensor, but the model was made for 20x20" in refused(
        "recognize", path, "--model", small
    )


def test_models_that_are_none(tmp_path: Path, model: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    missing, foreign = tmp_path / "no.h5", tmp_path / "foreign.h5"
    foreign.write_text("not a model")
    assert f"{missing}: no such model file" in refused("recognize", path, "--model", missing)
    assert f"{foreign}: is no readable HDF5 file" in refused("evaluate", foreign, tmp_path)
    with h5py.File(model, "r+") as file:
        file["recognizer"].attrs["version"] = 99
    assert "has version 99, this program reads version 1" in refused("recognize", path, "--model", model)


def test_a_newer_graph_version(tmp_path: Path, model: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    with h5py.File(model, "r+") as file:
        file["graph"].attrs["version"] = 99
    assert "99" in refused("recognize", path, "--model", model)


def test_nan_weights_name_the_node(tmp_path: Path, model: Path) -> None:
    path = write_recording(tmp_path / "a.bin")
    with h5py.File(model, "r+") as file:
        file["graph/nodes/linear/weight"][3, 5] = np.nan
    sentence = refused("recognize", path, "--model", model)
    assert "linear" in sentence
    assert "nan" in sentence


def test_too_many_events_in_a_pixel(tmp_path: Path, model: Path) -> None:
    events = random_events()
    events["t"] = np.sort(events["t"]) // 100
    events["x"][1:] = events["y"][1:] = 5
    eventio.write(tmp_path / "hot.bin", eventio.Recording(events, width=SIDE, height=SIDE))
    assert "255" in refused("recognize", tmp_path / "hot.bin", "--model", model)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-like-it"], "neither a data set (digits, nmnist, "),
        (["nmnist"], "--data DIR"),
        (["nmnist", "--data", "/nonexistent"], "/nonexistent is no folder"),
        (["digits", "--data", "/tmp"], "--data belongs to downloaded data sets"),
    ],
)
def test_data_sets_that_are_none(model: Path, arguments: list[str], words: str) -> None:
    assert words in refused("evaluate", model, *arguments)


def test_places_that_are_no_files_are_named(tmp_path: Path, model: Path) -> None:
    recording = write_recording(tmp_path / "a.bin")
    assert "cannot write /proc/b.csv: " in refused("events", "convert", recording, "/proc/b.csv")
    assert f"{tmp_path}: cannot be written, it is a folder" in refused(
        "events", "convert", recording, tmp_path
    )
    assert "cannot create the folder /proc/a: " in refused(
        "map", model, "--target", "loihi2", "--out", "/proc/a"
    )
    assert "or it is a folder" in refused(
        "convert", tmp_path, "--calibration", "a", "--out", tmp_path / "b.h5"
    )


def test_a_part_without_events_is_named(tmp_path: Path) -> None:
    events = eventio.make_events(t=[5, 1000, 20], x=[1, 2, 3], y=[1, 2, 3], p=[1, 0, 1])
    eventio.write(tmp_path / "a.csv", eventio.Recording(events, width=34, height=34))
    words = ("events", "convert", tmp_path / "a.csv", tmp_path / "b.csv")
    told = "none of its 3 events lies in the part to keep, from 2,000 us on; they are from 5 to 1,000 us"
    assert told in run(*words, "--start-us", 2000).stderr
    assert "the part to keep, up to 3 us; they" in run(*words, "--stop-us", 3).stderr
    assert "the part to keep, from 2 us to 3 us; they" in run(*words, "--start-us", 2, "--stop-us", 3).stderr
    assert not (tmp_path / "b.csv").exists()


def test_a_group_of_commands_alone_gives_its_help() -> None:
    result = run("events")
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert result.stderr.rstrip().splitlines()[-1].startswith("  render ")


def test_a_misspelt_command() -> None:
    said = refused("recogniz", "a.bin")
    assert said == "error: No such command 'recogniz'; did you mean 'recognize'? See `cli --help`"


def test_an_empty_folder_and_an_unknown_class(tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused("evaluate", model, tmp_path / "empty")
    folder = write_folder(tmp_path / "set", labels=("1", "cat"))
    assert "class 'cat' is unknown to the model" in refused("evaluate", model, folder)


def test_wrong_options_are_user_errors() -> None:
    assert "Missing option '--model'; see `cli recognize --help`" in refused("recognize", "a.bin")
    assert "Missing argument 'FILE'" in refused("info")
    assert "'--seed': -1" in refused("train", "digits", "--out", "m.h5", "--seed", "-1")
    assert "No such command 'recognise'" in refused("recognise")


@pytest.mark.parametrize("out", ["/proc/spikeloom", "FILE/inside"])
def test_an_unwritable_output_folder(tmp_path: Path, model: Path, out: str) -> None:
    (tmp_path / "FILE").write_text("a file")
    place = Path(out) if out.startswith("/") else tmp_path / out
    assert str(place) in refused("demo", "--model", model, "--out", place)
    assert str(place) in refused("train", "digits", "--out", place / "m.h5")


def test_train_refuses_a_folder_as_model(tmp_path: Path) -> None:
    assert "it is a folder" in refused("train", "digits", "--out", tmp_path)


def test_resume_needs_something_to_resume(tmp_path: Path) -> None:
    assert "no interrupted training to resume" in refused(
        "train", "digits", "--out", tmp_path / "m.h5", "--resume"
    )
    (tmp_path / "m.h5.checkpoint").write_bytes(b"x")
    assert "continue it with --resume or delete the file" in refused(
        "train", "digits", "--out", tmp_path / "m.h5"
    )


def test_missing_torch_is_an_error_with_the_pip_line(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nsys.modules['norse'] = None\n"
        "from spikeloom.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "digits", "--out", str(tmp_path / "m.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install torch==2.13.0" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    for arguments in (["--debug", "info", tmp_path / "x.bin"], ["info", tmp_path / "x.bin", "--debug"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Traceback" in result.stderr


def test_faults_of_ours_are_told_apart(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(spikeloom.recognizer.Recognizer, "recognize", broken)
    result = run("recognize", write_recording(tmp_path / "a.bin"), "--model", model)
    assert result.exit_code == 1
    assert "internal fault (RuntimeError: a bug); run again with --debug" in result.stderr


def test_an_interrupt_in_a_command(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spikeloom.recognizer.Recognizer, "recognize", interrupted)
    result = run("recognize", write_recording(tmp_path / "a.bin"), "--model", model, "--json")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_signal_ends_the_command_with_130_and_leaves_nothing(tmp_path: Path, model: Path) -> None:
    folder = write_folder(tmp_path / "set", labels=("0",), per_class=1)
    code = (
        "import sys, time\nimport eventio.datasets\nfrom spikeloom.report import figures\n"
        "def slow(*_, **__):\n    print('drawing', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
        "figures.to_svg = slow\n"
        f"collection = eventio.datasets.folder({str(folder)!r})\n"
        "eventio.datasets.digits = lambda *_, **__: collection\n"
        "from spikeloom.cli import main\nmain()\n"
    )
    options = ["demo", "--json", "--model", str(model), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", code, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "drawing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; nothing half-written was left behind\n"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "model.h5"
    target.write_text("old")

    def write() -> None:
        with replaced_file(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]


def test_an_interrupted_save_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spikeloom.model_file.neuro.graph, "write_graph", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_recognizer().save(tmp_path / "m.h5")
    assert list(tmp_path.iterdir()) == []


def test_written_files_have_usual_permissions(tmp_path: Path) -> None:
    with replaced_file(tmp_path / "a") as temporary:
        temporary.write_text("x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="create the folder or choose another place"):
        require_writable(tmp_path / "missing" / "m.h5")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot create the folder"):
        prepared_folder(tmp_path / "file" / "out")


def test_a_warning_is_said_once(tmp_path: Path, model: Path) -> None:
    folder = write_folder(tmp_path / "set", labels=("0", "1"))
    write_truncated(folder / "1" / "x.bin")
    result = run("evaluate", model, folder, "--allow-damaged", "--json")
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1
