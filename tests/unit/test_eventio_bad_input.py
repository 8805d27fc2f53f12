"""Every kind of bad file or argument: the right error, with file, position, value and remedy."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import eventio

GOOD = bytes([1, 2, 0x80, 0, 5])
EVT3_HEADER = b"% evt 3.0\n% geometry 640x480\n% end\n"
EVT2_HEADER = b"% evt 2.0\n% geometry 640x480\n% end\n"


def write_bytes(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refuse(path: Path, error: type[eventio.EventioError], text: str) -> None:
    """Both ways of reading refuse the file with one sentence that names it."""
    with pytest.raises(error, match=text) as caught:
        eventio.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(error, match=text), eventio.open(path) as reader:
        for _ in reader.chunks(n_events=3):
            pass


def test_a_missing_file(tmp_path: Path) -> None:
    refuse(tmp_path / "none.bin", eventio.MissingFileError, "there is no such file")
    with pytest.raises(FileNotFoundError):
        eventio.read(tmp_path / "none.bin")


def test_a_folder(tmp_path: Path) -> None:
    refuse(tmp_path, eventio.FileAccessError, "is a folder")
    for name in ("metadata.yaml", "b.mcap", "a.db3"):
        (tmp_path / name).touch()
    refuse(
        tmp_path,
        eventio.FileAccessError,
        "is the folder of a ROS 2 bag; give the file in it, a.db3 or b.mcap",
    )


@pytest.mark.parametrize("data", [b"t,x,y,p\n", b"# columns: t[us],x,y,p; sensor: 34x34\n", b"# a\nx y p t"])
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_a_header_without_events(tmp_path: Path, name: str, data: bytes) -> None:
    refuse(write_bytes(tmp_path, name, data), eventio.FormatError, "holds a header and no line of events")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\0\0\0 ftypisom", "this is an MP4 film"),
        (b"spikeloom model file 1\n", "this is a network or model file"),
        ("Räder und Wörter".encode() + b"\xe2", "this is a text file without a known header"),
    ],
)
def test_files_of_other_kinds_are_called_by_their_name(tmp_path: Path, data: bytes, text: str) -> None:
    refuse(write_bytes(tmp_path, "a.raw", data), eventio.FormatError, text)


@pytest.mark.parametrize("name", ["a.bin", "a.raw", "a.aedat4"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    refuse(write_bytes(tmp_path, name, b""), eventio.FormatError, r"empty \(0 bytes\)")


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.bin", b"\x89PNG\r\n\x1a\n" + bytes(50), "this is a PNG picture"),
        ("a.raw", b"\x89HDF\r\n\x1a\n" + bytes(50), "cannot be opened .* damaged or cut short"),
        (
            "a.aedat",
            b"#!AER-DAT2.0\r\n# hello\r\n" + bytes(8),
            "has no line 'AEChip:'.*format='aedat2-dvs128'",
        ),
        ("a.bin", b"time,x,y,polarity\nnone, none, none, none\n", "text file"),
        ("a.bin", b"time,x,y,polarity\n1,2,3,4\n", "line 2, at byte 18, has a polarity that is none of"),
        ("a.raw", b"% evt 4.0\n% end\n" + bytes(8), "Prophesee EVT 4.0 is not read"),
        ("a.raw", bytes(range(200, 240)), "not a known recording"),
        ("a", bytes(range(200, 240)), "format='nmnist'"),
    ],
)
def test_foreign_files(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    refuse(write_bytes(tmp_path, name, data), eventio.FormatError, text)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bin", b"\x01\x02\x03"),
        ("a.bin", bytes([0, 240, 0, 0, 0]) * 4),
        ("a.raw", EVT3_HEADER),
        ("a.raw", EVT3_HEADER + b"\x01"),
        ("a.raw", EVT3_HEADER + np.array([0x8000, 0x6000, 0xA001], "<u2").tobytes()),
        ("a.raw", EVT2_HEADER),
        ("a.raw", EVT2_HEADER + np.array([0x80000000, 0x10000000 ^ 0xB0000000], "<u4").tobytes()),
    ],
)
def test_a_file_without_any_event(tmp_path: Path, name: str, data: bytes) -> None:
    refuse(write_bytes(tmp_path, name, data), eventio.FormatError, "holds no event")


def test_events_outside_a_declared_sensor(tmp_path: Path) -> None:
    words = np.array([0x8000, 0x6007, 0x0000, 0x2001, 0x2280], "<u2").tobytes()
    path = write_bytes(tmp_path, "a.raw", EVT3_HEADER + words)
    text = r"event 1 \(counted from 0, t = 7 us\) lies at x = 640, y = 0, outside the 640x480 sensor; give"
    refuse(path, eventio.OutOfSensorError, text)
    assert len(eventio.read(path, width=641, height=480)) == 2


def test_events_outside_a_given_sensor(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, "a.bin", GOOD + bytes([34, 0, 0, 0, 9]))
    with pytest.raises(eventio.OutOfSensorError, match=r"event 1 .* x = 34, y = 0, outside the 34x34"):
        eventio.read(path, width=34, height=34)
    assert eventio.read(path).width == 240


def test_events_outside_every_usual_sensor(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, "a.bin", GOOD + bytes([0, 250, 0, 0, 9]))
    refuse(path, eventio.OutOfSensorError, r"reach x = 1, y = 250, .*34x34, 240x180, 304x240")
    assert eventio.read(path, width=256, height=256).y.tolist() == [2, 250]


@pytest.mark.parametrize(
    ("name", "data", "n_events", "text"),
    [
        ("a.bin", GOOD * 3 + b"\x01\x02", 3, "ends within an event, with 2 of its 5 bytes, at byte 15"),
        (
            "a.raw",
            EVT3_HEADER + np.array([0x8000, 0, 0x2001], "<u2").tobytes() + b"\x01",
            1,
            "1 of its 2 bytes",
        ),
        (
            "a.raw",
            EVT2_HEADER + np.array([0x80000000, 0x801], "<u4").tobytes() + b"\x01" * 3,
            1,
            "3 of its 4 bytes",
        ),
    ],
)
def test_truncated_files_give_the_valid_prefix(
    tmp_path: Path, name: str, data: bytes, n_events: int, text: str
) -> None:
    path = write_bytes(tmp_path, name, data)
    with pytest.warns(eventio.DamagedRecordingWarning, match=text) as caught:
        recording = eventio.read(path)
    assert len(caught) == 1
    assert str(path) in str(caught[0].message)
    assert len(recording) == n_events
    assert recording.metadata.is_truncated
    assert recording.is_damaged
    assert recording.metadata.warnings == (str(caught[0].message),)
    with eventio.open(path) as reader:
        with pytest.warns(eventio.DamagedRecordingWarning, match=text):
            chunks = list(reader.chunks(n_events=2))
        assert sum(len(chunk) for chunk in chunks) == n_events
        assert reader.warnings == recording.metadata.warnings


def test_backward_times_are_counted_and_left(tmp_path: Path) -> None:
    words = b"".join(bytes([0, 0, 0, 0, t]) for t in (5, 9, 9, 3, 4, 1))
    path = write_bytes(tmp_path, "a.bin", words)
    with pytest.warns(eventio.DamagedRecordingWarning, match="at 2 of 6 events, first at event 3"):
        recording = eventio.read(path)
    assert recording.t.tolist() == [5, 9, 9, 3, 4, 1]
    assert recording.metadata.n_backward_steps == 2
    assert not recording.metadata.is_truncated
    assert recording.is_damaged


def test_backward_steps_between_chunks_are_counted(tmp_path: Path) -> None:
    n = (1 << 17) + 1
    t = np.full(n, 7)
    t[-1] = 6
    words = np.zeros((n, 5), np.uint8)
    words[:, 4] = t
    path = write_bytes(tmp_path, "a.bin", words.tobytes())
    with pytest.warns(eventio.DamagedRecordingWarning, match=f"at 1 of {n} events, first at event {n - 1}"):
        eventio.read(path)


@pytest.mark.parametrize("geometry", ["0x480", "640x0", "99999x1", "640", "ax b", "4000x4000"])
def test_an_impossible_size_in_a_header(tmp_path: Path, geometry: str) -> None:
    data = f"% evt 3.0\n% geometry {geometry}\n% end\n".encode() + bytes(10)
    refuse(write_bytes(tmp_path, "a.raw", data), eventio.FormatError, re.escape(repr(geometry)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 34}, "both width and height"),
        ({"width": 0, "height": 34}, "width must be a whole number"),
        ({"width": 34, "height": 34.5}, "height must be a whole number"),
        ({"format": "aedat9"}, "no format 'aedat9'; known are nmnist, evt3, evt2, aedat4"),
    ],
)
def test_bad_arguments_of_read(tmp_path: Path, arguments: dict[str, int], text: str) -> None:
    path = write_bytes(tmp_path, "a.bin", GOOD)
    with pytest.raises(eventio.ArgumentError, match=text):
        eventio.read(path, **arguments)
    with pytest.raises(ValueError, match=text):
        eventio.open(path, **arguments)


def test_chunks_of_no_events(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, "a.bin", GOOD)
    with eventio.open(path) as reader, pytest.raises(eventio.ArgumentError, match="at least 1"):
        next(reader.chunks(n_events=0))


def one_event(t: int = 1, x: int = 1, y: int = 1, side: int = 300) -> eventio.Recording:
    return eventio.Recording(eventio.make_events(t=[t], x=[x], y=[y], p=[True]), width=side, height=side)


@pytest.mark.parametrize(
    ("name", "recording", "text"),
    [
        ("a.bin", one_event(t=2**23), "event 0: t = 8388608, .* does not fit"),
        ("a.bin", one_event(t=-1), "t = -1"),
        ("a.bin", one_event(x=256), "x = 256"),
        ("a.bin", one_event(y=240), "y = 240"),
        ("a.raw", one_event(t=2**34), "t = 17179869184 does not fit"),
        ("a.raw", one_event(side=2049), "2049x2049 sensor"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, recording: eventio.Recording, text: str
) -> None:
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.write(tmp_path / name, recording)
    assert str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_evt3_cannot_step_back_over_a_wrap(tmp_path: Path) -> None:
    events = eventio.make_events(t=[2**24, 2**24 - 1], x=[0, 0], y=[0, 0], p=[1, 1])
    recording = eventio.Recording(events, width=2, height=2)
    with pytest.raises(eventio.FormatError, match="event 1: time steps from"):
        eventio.write(tmp_path / "a.raw", recording)
    eventio.write(tmp_path / "a.raw", recording, format="evt2")


def test_evt2_cannot_step_back_by_half_its_range(tmp_path: Path) -> None:
    events = eventio.make_events(t=[2**34 - 1, 0], x=[0, 0], y=[0, 0], p=[1, 1])
    with pytest.raises(eventio.FormatError, match=r"event 1: time steps from .* does not fit EVT 2\.0"):
        eventio.write(tmp_path / "a.raw", eventio.Recording(events, width=2, height=2), format="evt2")


@pytest.mark.parametrize(
    ("name", "format_name", "text"),
    [
        ("a.xyz", None, r"suffix '\.xyz' names no format that can be written; use \.bin \(nmnist\)"),
        ("a.aedat", "aedat2-cochlea", "'aedat2-cochlea' is only read"),
        ("a.bin", "none", "no format 'none'"),
    ],
)
def test_unknown_formats_are_not_written(
    tmp_path: Path, name: str, format_name: str | None, text: str
) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        eventio.write(tmp_path / name, one_event(), format=format_name)


def test_an_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(eventio.FileAccessError, match="cannot be written"):
        eventio.write(tmp_path / "none" / "a.bin", one_event())
    (tmp_path / "folder.bin").mkdir()
    with pytest.raises(OSError, match=r"folder\.bin: cannot be written, it is a folder"):
        eventio.write(tmp_path / "folder.bin", one_event())
    assert [path.name for path in tmp_path.iterdir()] == ["folder.bin"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, "a.bin", GOOD)
    path.chmod(0)
    refuse(path, eventio.FileAccessError, "cannot be read")


def test_no_event_is_not_written(tmp_path: Path) -> None:
    empty = eventio.Recording(np.empty(0, eventio.EVENT_DTYPE), width=2, height=2)
    with pytest.raises(eventio.FormatError, match="holds no event"):
        eventio.write(tmp_path / "a.bin", empty)


def test_an_older_file_survives_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    eventio.write(path, one_event(t=5))
    with pytest.raises(eventio.FormatError):
        eventio.write(path, one_event(t=2**30))
    assert eventio.read(path).t.tolist() == [5]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"t": [1, 2], "x": [1], "y": [1], "p": [1]}, "one shape"),
        ({"t": [1], "x": [-1], "y": [1], "p": [1]}, r"x\[0\] = -1 does not fit"),
        ({"t": [1], "x": [1], "y": [70000], "p": [1]}, r"y\[0\] = 70000 does not fit"),
        ({"t": [1.5], "x": [1], "y": [1], "p": [1]}, r"t\[0\] = 1.5 does not fit"),
        ({"t": [1], "x": [1], "y": [1], "p": [-1]}, r"p\[0\] = -1 does not fit"),
    ],
)
def test_columns_that_are_no_events(columns: dict[str, list[int]], text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        eventio.make_events(**columns)


def test_recordings_check_their_events() -> None:
    events = eventio.make_events(t=[1, 2], x=[0, 4], y=[0, 0], p=[1, 1])
    with pytest.raises(eventio.OutOfSensorError, match=r"event 1 .* x = 4, y = 0, outside the 4x4"):
        eventio.Recording(events, width=4, height=4)
    with pytest.raises(eventio.ArgumentError, match="EVENT_DTYPE"):
        eventio.Recording(np.zeros(3), width=4, height=4)
    with pytest.raises(eventio.ArgumentError, match="width must be"):
        eventio.Recording(events, width=0, height=4)


@pytest.mark.parametrize(
    "data", [b"#!AER-DAT4.0\r\n", b"#!AER-DAT4.0\r\n" + bytes(3000), b"#!AER-DAT4.0\r\nabcdefgh"]
)
def test_damaged_aedat4_headers(tmp_path: Path, data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        with pytest.raises(eventio.FormatError, match=r"a\.aedat4: "):
            eventio.read(write_bytes(tmp_path, "a.aedat4", data))


def test_a_file_that_breaks_off_before_its_first_event(tmp_path: Path) -> None:
    path = write_bytes(tmp_path, "cut.bin", b"abc")
    refuse(path, eventio.FormatError, r"holds no event before the file breaks off; record or copy it again")


def test_names_too_long_and_pipes(tmp_path: Path) -> None:
    refuse(tmp_path / ("a" * 5000), eventio.FileAccessError, "cannot be read \\(File name too long\\)")
    os.mkfifo(tmp_path / "pipe.bin")
    refuse(tmp_path / "pipe.bin", eventio.FileAccessError, "is a pipe or socket")


def test_numbers_that_are_none() -> None:
    with pytest.raises(eventio.ArgumentError, match=r"t\[0\] = nan does not fit int64"):
        eventio.make_events(t=[np.nan], x=[1], y=[1], p=[1])
    with pytest.raises(eventio.ArgumentError, match="times_us must hold 2 whole microseconds"):
        eventio.emulate_dvs(np.zeros((2, 3, 3)), [0.0, np.nan])
    events = eventio.make_events(t=[1], x=[1], y=[1], p=[1])
    for start_us in (1.5, "now"):
        with pytest.raises(eventio.ArgumentError, match="start_us must be a whole number of microseconds"):
            eventio.bin_events(events, width=2, height=2, bin_us=1, n_frames=1, start_us=start_us)  # type: ignore[arg-type]
