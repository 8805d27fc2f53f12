"""`spikeloom events`: what the commands write, print and refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import eventio
from eventio import denoising
from spikeloom.cli import cli
from spikeloom.filter_options import describe, parse_filter
from spikeloom.pictures import ON_COLOUR, enlarge, paint
from tests.app_models import write_recording


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["events", *(str(argument) for argument in arguments)])


def answer(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "a.bin")


def test_convert_keeps_events_and_cuts_time(path: Path, tmp_path: Path) -> None:
    whole = eventio.read(path)
    found = answer(run("convert", path, tmp_path / "b.raw", "--json"))
    assert (found["read"], found["written"], found["from"]) == (600, 600, "nmnist")
    assert eventio.read(tmp_path / "b.raw").events.tolist() == whole.events.tolist()
    middle = int(whole.t[300])
    found = answer(run("convert", path, tmp_path / "c", "--to", "dat", "--start-us", middle, "--json"))
    assert found["written"] == int((whole.t >= middle).sum())
    assert eventio.read(tmp_path / "c").t.min() >= middle
    assert "600" in run("convert", path, tmp_path / "d.raw").stdout


def test_denoise_writes_what_the_filters_keep(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.bin"
    found = answer(
        run("denoise", path, out, "--filter", "refractory:period_us=500", "--filter",
            "stcf:window_us=50000,n_supporting=1", "--score", "--json")
    )  # fmt: skip
    expected = denoising.denoise(
        eventio.read(path), denoising.Refractory(500), denoising.SpatiotemporalCorrelation(50_000, 1)
    )
    assert eventio.read(out).events.tolist() == expected.recording.events.tolist()
    assert [each["events"] for each in found["removed"]] == list(expected.n_removed)  # type: ignore[union-attr]
    assert found["kept"] == len(expected.recording)
    assert found["contrast_before"] == pytest.approx(denoising.contrast_area(eventio.read(path)))
    assert "kept" in run("denoise", path, out, "--filter", "hot-pixels").stdout


def test_render_writes_pictures_and_films(path: Path, tmp_path: Path) -> None:
    from PIL import Image

    for name, arguments in (("a.png", ()), ("b.png", ("--kind", "3d"))):
        assert run("render", path, tmp_path / name, *arguments).exit_code == 0
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 200
            assert (
                len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10
            )  # something is on it
    assert run("render", path, tmp_path / "c.gif", "--frames", 5).exit_code == 0
    with Image.open(tmp_path / "c.gif") as film:
        assert (film.n_frames, film.size) == (5, (238, 238))  # type: ignore[attr-defined]
    av = pytest.importorskip("av")
    assert run("render", path, tmp_path / "d.mp4", "--frames", 5, "--rate", 10).exit_code == 0
    with av.open(str(tmp_path / "d.mp4")) as container:
        assert len(list(container.decode(video=0))) == 5


def test_paint_colours_and_strengths() -> None:
    events = eventio.make_events(t=[0, 1, 2, 9], x=[0, 0, 1, 2], y=[0, 0, 0, 0], p=[1, 1, 0, 1])
    pictures = paint(eventio.Recording(events, width=3, height=1), n_frames=2)
    assert pictures.shape == (2, 1, 3, 3)
    assert pictures[1, 0, 0].tolist() == [255, 255, 255]
    assert pictures[0, 0, 0].tolist() == ON_COLOUR.tolist()  # two events are full strength
    assert pictures[0, 0, 1, 0] > pictures[0, 0, 1, 2]  # OFF is red
    assert enlarge(pictures).shape == (2, 240, 720, 3)
    assert enlarge(np.zeros((1, 301, 501, 3), np.uint8)).shape == (1, 302, 502, 3)


def test_bench_compares_filters_and_writes_curves(path: Path, tmp_path: Path) -> None:
    found = answer(run("bench", path, "--rate", 5, "--out", tmp_path / "roc", "--json"))
    areas = found["areas"]["5 Hz"]  # type: ignore[index]
    assert areas.keys() == denoising.filter_settings().keys()
    assert all(0 <= area <= 1 for area in areas.values())
    with (tmp_path / "roc" / "roc.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["filter"] for row in rows} == set(areas)
    assert (tmp_path / "roc" / "roc.png").stat().st_size > 10_000
    again = answer(run("bench", path, "--rate", 5, "--json"))
    assert again["areas"] == found["areas"]


def test_filters_are_written_and_read() -> None:
    assert parse_filter("baf") == denoising.BackgroundActivity(2000)
    assert parse_filter("flicker:lowest_hz=45.5,n_periods=4") == denoising.Flicker(45.5, 130.0, 4)
    assert describe(parse_filter("double-window:distance=4")) == (
        "DoubleWindow(n_events=18, distance=4, n_supporting=1)"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("denoise", "IN", "OUT.bin", "--filter", "median"), "there is no filter 'median'; choose one of baf"),
        (("denoise", "IN", "OUT.bin", "--filter", "baf:window=5"), "'window=5' is no setting of baf; it has window_us"),
        (("denoise", "IN", "OUT.bin", "--filter", "baf:window_us=x"), "window_us must be a whole number, got 'x'"),
        (("denoise", "IN", "OUT.bin", "--filter", "baf:window_us=0"), "at least 1 us, got 0"),
        (("denoise", "IN", "OUT.bin", "--filter", "baf:window_us=1"), "leave none of the 600 events"),
        (("denoise", "IN", "OUT.bin", "--filter", "perceptron"), "perceptron:path="),
        (("denoise", "IN", "OUT.bin", "--filter", "perceptron:path=nowhere.pb"), "nowhere.pb: there is no such file"),
        (("convert", "IN", "OUT.xyz"), "OUT.xyz"),
        (("convert", "nowhere.bin", "OUT.bin"), "nowhere.bin"),
        (("convert", "IN", "OUT.raw", "--size", "34"), "must look like 346x260"),
        (("convert", "IN", "OUT.raw", "--size", "3x3"), "outside the 3x3 sensor"),
        (("convert", "IN", "OUT.raw", "--start-us", 10**12), "holds no event"),
        (("render", "IN", "OUT.jpg"), "choose one of these endings"),
        (("render", "IN", "OUT.gif", "--kind", "3d"), "ends in .png"),
        (("render", "IN", "OUT.gif", "--rate", 0), "give a rate above 0"),
        (("render", "IN", "OUT.png", "--frames", 0), "give 1 to 2000 frames, got 0"),
        (("render", "IN", "missing/OUT.png"), "create the folder"),
        (("bench", "IN", "--rate", -1), "shot_rate_hz must be finite and >= 0"),
        (("bench", "IN", "--measured", "nowhere.npy", "nowhere.npy"), "nowhere.npy: there is no such file"),
        (("bench", "IN", "--weights", "IN"), "neither a Keras .h5 nor"),
    ],
)  # fmt: skip
def test_bad_input(path: Path, tmp_path: Path, arguments: tuple[object, ...], text: str) -> None:
    places = [path if each == "IN" else tmp_path / each if str(each).endswith(("OUT.bin", "OUT.raw", "OUT.png",
              "OUT.gif", "OUT.jpg", "OUT.xyz")) else each for each in arguments]  # fmt: skip
    before = set(tmp_path.iterdir())
    assert text in refused(*places)
    assert set(tmp_path.iterdir()) == before  # nothing half-written


def test_emulate_makes_recordings_of_images(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(np.full((20, 30), 60 * k, np.uint8)).save(folder / f"{k}.png")
    assert "--rate N" in refused("emulate", folder, tmp_path / "a.raw")
    found = answer(run("emulate", folder, tmp_path / "a.raw", "--rate", 50, "--size", "15x10", "--json"))
    recording = eventio.read(tmp_path / "a.raw")
    assert (found["frames"], found["width"], found["height"]) == (4, 15, 10)
    assert found["events"] == len(recording)
    assert recording.p.mean() > 0.9  # it only gets brighter


@pytest.mark.parametrize("command", [("convert",), ("denoise", "--filter", "baf")])
def test_the_recording_read_is_not_written_over(path: Path, command: tuple[str, ...]) -> None:
    before = path.read_bytes()
    text = refused(*command, path, path.parent / "." / path.name)
    assert "is the recording that is read; name another file" in text
    assert path.read_bytes() == before
