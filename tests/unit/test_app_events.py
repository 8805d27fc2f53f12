"""`spikeloom events`: what the commands write, print and refuse."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner, Result

import eventio
from eventio import denoising
from spikeloom.cli import cli
from spikeloom.filter_options import describe, parse_filter
from spikeloom.pictures import ON_COLOUR, draw_sheet, enlarge, paint, shrink
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
        assert (film.n_frames, film.size) == (5, (272, 272))  # type: ignore[attr-defined]
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
    assert pictures[0, 0, 1, 2] > pictures[0, 0, 1, 0]  # OFF is blue, as in the reports
    assert enlarge(pictures).shape == (2, 240, 720, 3)
    assert enlarge(np.zeros((1, 128, 130, 3), np.uint8)).shape == (1, 256, 260, 3)
    assert enlarge(np.zeros((1, 301, 501, 3), np.uint8)).shape == (1, 302, 502, 3)


def test_sheets_show_every_event_of_a_large_sensor(tmp_path: Path) -> None:
    from PIL import Image

    places = np.arange(12)
    events = eventio.make_events(t=places, x=101 * places + 3, y=53 * places + 5, p=np.ones(12, bool))
    recording = eventio.Recording(events, width=1280, height=720)
    draw_sheet(recording, paint(recording, n_frames=12), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        drawn = (np.abs(np.asarray(image.convert("RGB")) - ON_COLOUR.astype(int)).max(axis=2) < 40).sum()
    assert drawn >= 12
    pictures = np.full((1, 3, 5, 3), 255, np.uint8)
    pictures[0, 2, 4] = 9
    assert shrink(pictures, 2)[0, :, :, 0].tolist() == [[255, 9]]
    assert shrink(pictures, 3)[0, :, :, 0].tolist() == [[255, 255, 255], [255, 255, 9]]
    assert shrink(pictures, 5).tolist() == pictures.tolist()


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
        (("convert", "IN", "OUT.raw", "--start-us", 10**12), "lies in the part to keep"),
        (("convert", "IN", "OUT.raw", "--start-us", 9, "--stop-us", 5), "from 9 to 5 us; give a stop after the start"),
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


def test_companions_go_along_where_the_target_can_hold_them(data_dir: Path, tmp_path: Path) -> None:
    source = data_dir / "event_vision_library/sample.aedat4"
    whole = eventio.read(source)
    found = answer(run("convert", source, tmp_path / "a.aedat4", "--json"))
    copy = eventio.read(tmp_path / "a.aedat4")
    assert found["carried"] == whole.companions.counts == copy.companions.counts
    assert found["left_behind"] == {}
    assert copy.events.tolist() == whole.events.tolist()
    np.testing.assert_array_equal(copy.imu, whole.imu)
    assert copy.frames[1].image.tolist() == whole.frames[1].image.tolist()
    found = answer(run("denoise", source, tmp_path / "b.csv", "--json"))
    assert found["carried"] == {}
    assert found["left_behind"] == dict(whole.metadata.skipped)
    assert "frames: 4" in run("denoise", source, tmp_path / "c.aedat4").stdout
    assert "--from-zero" in refused("convert", source, tmp_path / "d.raw")
    assert run("convert", source, tmp_path / "d.raw", "--from-zero").exit_code == 0
    assert eventio.read(tmp_path / "d.raw").t.tolist() == (whole.t - whole.t[0]).tolist()
    assert run("convert", source, tmp_path / "e.aedat4", "--from-zero").exit_code == 0
    cut = tmp_path / "f.aedat4"
    middle = whole.frames[2].t_us
    assert run("convert", source, cut, "--start-us", middle).exit_code == 0
    assert eventio.read(cut).companions.counts == whole.companions.between(middle, 1 << 62).counts
    assert len(eventio.read(cut).frames) == 2
    moved = eventio.read(tmp_path / "e.aedat4")
    assert (moved.imu["t"] + whole.t[0]).tolist() == whole.imu["t"].tolist()
    assert moved.frames[0].t_us + int(whole.t[0]) == whole.frames[0].t_us


def test_what_a_table_holds_besides_is_carried_or_told_of_as_left_behind(
    data_dir: Path, tmp_path: Path
) -> None:
    source = data_dir / "gorchard_atis/example_data.mat"
    exposures = {"exposure events": 442_382}
    for name, carried, left in (("a.es", exposures, {}), ("a.csv", {}, exposures)):
        found = answer(run("convert", source, tmp_path / name, "--json"))
        assert found["carried"] == carried
        assert found["left_behind"] == left
    table = {"x": np.arange(9), "y": np.arange(9), "ts": np.arange(9) * 10, "p": np.arange(9) % 2}
    scipy.io.savemat(tmp_path / "two.mat", {"TD": table, "right": table})
    found = answer(run("convert", tmp_path / "two.mat", tmp_path / "b.es", "--json"))
    assert found["left_behind"] == {"events of right": 9}


def test_the_option_for_times_is_named_only_where_times_do_not_fit(path: Path, tmp_path: Path) -> None:
    events = eventio.make_events(t=[1 << 40], x=[1], y=[1], p=[1])
    for side, is_time in ((128, True), (130, False)):
        late = tmp_path / f"{side}.npz"
        eventio.write(late, eventio.Recording(events, width=side, height=side))
        text = refused("convert", late, tmp_path / "a.aedat")
        assert ("--from-zero" in text) == is_time


def test_a_value_out_of_range_names_its_filter(path: Path, tmp_path: Path) -> None:
    text = refused("denoise", path, tmp_path / "a.raw", "--filter", "stcf:n_supporting=9")
    assert "--filter stcf:n_supporting=9: n_supporting must be a whole number" in text


def test_a_chain_with_measured_hot_pixels_is_the_one_in_memory(path: Path, tmp_path: Path) -> None:
    chain = ("refractory:period_us=300", "hot-pixels:n_deviations=1,times_around=1", "baf:window_us=50000")
    given = [argument for each in chain for argument in ("--filter", each)]
    found = answer(run("denoise", path, tmp_path / "b.bin", *given, "--json"))
    expected = denoising.denoise(eventio.read(path), *map(parse_filter, chain))
    assert eventio.read(tmp_path / "b.bin").events.tolist() == expected.recording.events.tolist()
    assert [each["events"] for each in found["removed"]] == list(expected.n_removed)  # type: ignore[union-attr]
    assert all(expected.n_removed)


def test_a_failed_conversion_leaves_nothing_and_keeps_the_old_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "old.raw").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    assert "lies in the part to keep" in refused("convert", path, tmp_path / "old.raw", "--stop-us", -5)
    assert "there is no such file" in refused("convert", tmp_path / "none.bin", tmp_path / "new.raw")
    assert "names no format that can be written" in refused("convert", path, tmp_path / "new.xyz")
    assert "only read" in refused("convert", path, tmp_path / "a.bag", "--to", "rosbag1")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.raw").read_bytes() == b"old"


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks = []
    for n_events in (600_000, 2_400_000):
        k = np.arange(n_events)
        events = np.zeros(n_events, eventio.EVENT_DTYPE)
        events["t"], events["x"], events["y"], events["p"] = k * 3, k * 7 % 300, k * 11 % 200, k % 2
        eventio.write(tmp_path / "a.raw", eventio.Recording(events, width=300, height=200), format="evt2")
        del events, k
        tracemalloc.start()
        try:
            filters = ("--filter", "refractory:period_us=5", "--filter", "hot-pixels:n_deviations=1000")
            assert run("denoise", tmp_path / "a.raw", tmp_path / "b.raw", *filters).exit_code == 0
            assert run("convert", tmp_path / "a.raw", tmp_path / "c.dat").exit_code == 0
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 2_400_000 * 13
