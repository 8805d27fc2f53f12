"""Events as text: what the columns mean, exact times, damage, and what other readers see of our files."""

from __future__ import annotations

import csv
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventio
from eventio import columns

SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = [(3811, 96, 133, 0), (3820, 127, 171, 1), (3900, 4, 160, 0), (9_000_001, 149, 122, 1)]


def read_text(tmp_path: Path, text: str, name: str = "a.txt", **arguments: object) -> eventio.Recording:
    path = tmp_path / name
    path.write_text(text)
    return eventio.read(path, **arguments)


def rows_of(recording: eventio.Recording) -> list[tuple[int, int, int, int]]:
    return [(int(t), int(x), int(y), int(p)) for t, x, y, p in recording.events.tolist()]


@pytest.mark.parametrize("separator", [" ", "\t", ",", ";", " , ", "  "])
@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt", "pxyt"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_columns_are_found_by_their_numbers(tmp_path: Path, separator: str, order: str, ending: str) -> None:
    lines = []
    for t, x, y, p in ROWS:
        fields = {"t": f"{t / 1e6:.6f}", "x": str(x), "y": str(y), "p": str(p)}
        lines.append(separator.join(fields[name] for name in order))
    recording = read_text(tmp_path, ending.join(lines))
    assert rows_of(recording) == ROWS
    assert recording.metadata.format == ("csv" if "," in separator or ";" in separator else "txt")
    assert recording.metadata.conversions == (
        f"columns taken as {', '.join(order)} by their numbers",
        "times taken as s by their numbers",
        "times turned from s into whole microseconds",
    )


@pytest.mark.parametrize(
    ("header", "order", "unit"),
    [
        ("t,x,y,p", "txyp", None),
        ("x,y,polarity,timestamp_us", "xypt", "us"),
        ("Timestamp [ns],x,y,pol", "txyp", "ns"),
        ("# time (ms), x, y, on", "txyp", "ms"),
        ("x,y,p,t", "xypt", None),
    ],
)
def test_headers_name_the_columns(tmp_path: Path, header: str, order: str, unit: str | None) -> None:
    scale = {"ns": 1000, "ms": Fraction(1, 1000)}.get(unit or "us", 1)
    lines = [header]
    for t, x, y, p in ROWS:
        time = Fraction(t) * scale
        fields = {"t": str(time) if time.denominator == 1 else f"{float(time):.3f}", "x": x, "y": y, "p": p}
        lines.append(",".join(str(fields[name]) for name in order))
    assert rows_of(read_text(tmp_path, "\n".join(lines) + "\n")) == ROWS


def test_sizes_in_headers(tmp_path: Path) -> None:
    body = "".join(f"{x},{y},{p},{t}\n" for t, x, y, p in ROWS)
    recording = read_text(tmp_path, "%geometry:640,480\n" + body, format="csv-xypt-us")
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (640, 480, False)
    recording = read_text(
        tmp_path, "346 260\n" + "".join(f"{t / 1e6:.6f} {x} {y} {p}\n" for t, x, y, p in ROWS)
    )
    assert (recording.width, recording.height, rows_of(recording)) == (346, 260, ROWS)
    assert dict(recording.metadata.skipped) == {}


def test_the_caller_says_order_and_unit(tmp_path: Path) -> None:
    text = "7 1 0 5\n8 1 1 6\n"
    assert rows_of(read_text(tmp_path, text, format="txt-xypt-ms")) == [(5000, 7, 1, 0), (6000, 8, 1, 1)]
    assert rows_of(read_text(tmp_path, text, format="txt-typx")) == [(7, 5, 1, 0), (8, 6, 1, 1)]
    five = "0.5 7 1 0 99\n0.6 8 1 1 98\n"
    recording = read_text(tmp_path, five, format="txt-txyp_")
    assert rows_of(recording) == [(500_000, 7, 1, 0), (600_000, 8, 1, 1)]
    assert recording.metadata.format == "txt-txyp_"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 1\n2 3 4 0\n3 5 6 1\n", "their numbers fit txyp, xytp"),
        ("5 2 3 7\n1 3 4 9\n", "fit no usual order"),
        ("1 2 3 1 5\n2 3 4 0 6\n", "has 5 columns"),
        ("t,x,y,p\n0,1,1,1\n1000000000,1,1,1\n2000000000,1,1,1\n", "unit of the times is not said"),
        ("t,x,y,p\n1700000000000000000,1,1,1\n1700000000000007000,1,1,1\n", "unit of the times is not said"),
        ("t,x,y,p\n1e400,1,1,1\n", "beyond the range of a float"),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_choices(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(eventio.FormatError, match=message) as caught:
        read_text(tmp_path, text)
    assert "a.txt" in str(caught.value)


@pytest.mark.parametrize("name", ["csv-txy", "csv-txyy", "csv-hours", "txt-us-ms", "csv-"])
def test_wishes_that_say_nothing_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(eventio.ArgumentError, match="must be an order of columns"):
        read_text(tmp_path, "1,2,3,1\n", format=name)


@given(
    st.lists(st.decimals(-(10**9), 10**9, allow_nan=False), min_size=1, max_size=20),
    st.sampled_from(sorted(columns.UNITS)),
)
@SOME
def test_times_are_exact(tmp_path: Path, times: list[object], unit: str) -> None:
    text = "".join(f"{t} 1 2 1\n" for t in times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        recording = read_text(tmp_path, text, format=f"txt-txyp-{unit}", width=5, height=5)
    for found, time in zip(recording.t.tolist(), times, strict=True):
        digits = str(time).lstrip("-").split("E")[0].replace(".", "").lstrip("0")
        if len(digits) <= 18:
            exact = Fraction(str(time)) * Fraction(10) ** columns.UNITS[unit]
            assert found == (exact + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.004 1 2", "another number of fields"),
        ("0.004 1 2 1 7", "another number of fields"),
        ("0.004 1 x 1", "no number"),
        ("nan 1 2 1", "no number"),
        ("0.004 -1 2 1", "no whole number"),
        ("0.004 1.5 2 1", "no whole number"),
        ("0.004 65536 2 1", "no whole number"),
        ("0.004 1 2 2", "none of -1, 0 and 1"),
        ("1e30 1 2 1", "beyond 62 bits"),
        ("0.004 1 2 1x", "no number"),
    ],
)
def test_a_bad_line_ends_the_valid_prefix(tmp_path: Path, line: str, reason: str) -> None:
    good = "0.001 1 2 1\n0.002 3 4 0\n"
    with pytest.warns(eventio.DamagedRecordingWarning, match=f"line 3, at byte 24.*{reason}"):
        recording = read_text(tmp_path, good + line + "\n0.005 1 1 1\n", format="txt-txyp-s")
    assert rows_of(recording) == [(1000, 1, 2, 1), (2000, 3, 4, 0)]
    assert recording.metadata.is_truncated


def test_words_for_polarity_and_other_spellings_of_numbers(tmp_path: Path) -> None:
    text = "t,x,y,p\n1,+2,3.0,True\n2.,2e0,30e-1,false\n3,2,3,ON,\n4,2,3,off\n5,2,3,-1\n"
    recording = read_text(tmp_path, text, format="csv-us")
    assert rows_of(recording) == [(1, 2, 3, 1), (2, 2, 3, 0), (3, 2, 3, 1), (4, 2, 3, 0), (5, 2, 3, 0)]


def make_recording(n_events: int, seed: int = 0) -> eventio.Recording:
    rng = np.random.default_rng(seed)
    events = eventio.make_events(
        t=np.sort(rng.integers(-(10**6), 10**12, n_events)),
        x=rng.integers(0, 1280, n_events),
        y=rng.integers(0, 720, n_events),
        p=rng.integers(0, 2, n_events),
    )
    return eventio.Recording(events, width=1280, height=720)


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize("n_events", [1, 2, 140_000])
def test_written_files_are_read_again(tmp_path: Path, name: str, n_events: int) -> None:
    recording = make_recording(n_events)
    eventio.write(tmp_path / name, recording)
    again = eventio.read(tmp_path / name)
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height, again.metadata.is_size_derived) == (1280, 720, False)
    with eventio.open(tmp_path / name) as reader:
        chunks = list(reader.chunks(n_events=1000))
    np.testing.assert_array_equal(np.concatenate(chunks), recording.events)


def test_other_readers_see_the_same(tmp_path: Path) -> None:
    recording = make_recording(1000)
    eventio.write(tmp_path / "a.csv", recording)
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", dtype=np.int64)
    for column, name in enumerate("txyp"):
        np.testing.assert_array_equal(table[:, column], recording.events[name])
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][0].startswith("#")
    assert [tuple(map(int, row)) for row in rows[1:]] == rows_of(recording)
    eventio.write(tmp_path / "a.txt", recording)
    table = np.loadtxt(tmp_path / "a.txt")
    np.testing.assert_array_equal(np.rint(table[:, 0] * 1e6), recording.t)
    np.testing.assert_array_equal(table[:, 3], recording.p)


@given(
    st.text(alphabet="0123456789.,; -+e#%\ntxypf", max_size=120),
    st.sampled_from(["txt-txyp-s", "csv-xytp", None]),
)
@SOME
def test_random_text(tmp_path: Path, text: str, format_name: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        try:
            recording = read_text(tmp_path, text, format=format_name, width=65536, height=65536)
        except eventio.EventioError as error:
            names_file = "a.txt" in str(error)
        else:
            names_file = len(recording) > 0
    assert names_file


def test_every_truncation_gives_a_prefix(tmp_path: Path) -> None:
    recording = make_recording(6)
    eventio.write(tmp_path / "a.csv", recording)
    data = (tmp_path / "a.csv").read_bytes()
    first = data.index(b"\n") + 1
    for n_bytes in range(first, len(data)):
        (tmp_path / "b.csv").write_bytes(data[:n_bytes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            try:
                cut = eventio.read(tmp_path / "b.csv")
            except eventio.FormatError:
                assert data[first:n_bytes].count(b"\n") == 0
                continue
        assert 0 < len(cut) < len(recording) or n_bytes == len(data) - 1
        np.testing.assert_array_equal(cut.events, recording.events[: len(cut)])


def test_real_text(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "slider_depth_chunk/events_chunk.txt")
    table = np.loadtxt(data_dir / "slider_depth_chunk/events_chunk.txt")
    assert len(recording) == 50_000
    assert (recording.width, recording.height) == (240, 180)
    np.testing.assert_array_equal(recording.t, np.rint(table[:, 0] * 1e6))
    np.testing.assert_array_equal(np.stack([recording.x, recording.y, recording.p], 1), table[:, 1:])


def test_the_golden_pair_of_text_and_aedat(data_dir: Path) -> None:
    """v2e cuts times to whole microseconds when it writes AEDAT; text is rounded to the nearest."""
    text = eventio.read(data_dir / "dnd_hls/v2e-dvs-events.txt")
    aedat = eventio.read(data_dir / "dnd_hls/moving-dot-1-pixel.aedat", format="aedat2-davis346")
    assert len(text) == 46_924
    for name in "xyp":
        np.testing.assert_array_equal(text.events[name], aedat.events[name])
    seconds = np.loadtxt(data_dir / "dnd_hls/v2e-dvs-events.txt", usecols=0)
    np.testing.assert_array_equal(text.t, np.rint(seconds * 1e6))
    np.testing.assert_array_equal(aedat.t, np.floor(seconds * 1e6))
