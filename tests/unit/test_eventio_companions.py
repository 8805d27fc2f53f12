"""What files hold besides pixel events: triggers, frames, inertial measurements, streams of other kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio.companions import CompanionCollector
from eventio.formats.es import COLOUR_DTYPE, EXPOSURE_DTYPE
from eventio.word_source import TRIGGER_ROOM

RISING, FALLING = eventio.TriggerKind.RISING_EDGE, eventio.TriggerKind.FALLING_EDGE
BIT31 = 1 << 31


def save(path: Path, header: bytes, words: list[int], dtype: str) -> Path:
    path.write_bytes(header + np.array(words, dtype).tobytes())
    return path


def companions_of(path: Path, **arguments: str) -> eventio.Companions:
    with eventio.open(path, **arguments) as reader:
        return reader.read_companions()


def test_triggers_of_evt2(tmp_path: Path) -> None:
    words = [0x8_0000002, 0xA_0000000 | 5 << 22 | 3 << 8 | 1, 0x1_0000000, 0xA_0000000 | 6 << 22 | 3 << 8]
    path = save(tmp_path / "a.raw", b"% evt 2.0\n% geometry 640x480\n% end\n", words, "<u4")
    recording = eventio.read(path)
    assert recording.triggers.tolist() == [(133, 3, RISING), (134, 3, FALLING)]
    assert recording.metadata.skipped == (("external triggers", 2),)
    assert companions_of(path).triggers.tolist() == recording.triggers.tolist()
    without = eventio.read(path, keep_companions=False)
    assert not without.companions
    assert without.metadata == recording.metadata


@pytest.mark.parametrize("order", ["little", "legacy"])
def test_triggers_of_evt21(tmp_path: Path, order: str) -> None:
    words = [0x8_0000002 << 32, (0xA_0000000 | 5 << 22 | 3 << 8 | 1) << 32, (0x1_0000000 << 32) | 1]
    if order == "legacy":
        words = [word >> 32 | (word & 0xFFFFFFFF) << 32 for word in words]
    head = f"% evt 2.1\n% endianness {order}\n% geometry 640x480\n% end\n".encode()
    recording = eventio.read(save(tmp_path / "a.raw", head, words, "<u8"))
    assert recording.triggers.tolist() == [(133, 3, RISING)]


def test_triggers_of_evt3(tmp_path: Path) -> None:
    words = [0xA001, 0x8001, 0xA201, 0x6005, 0x0000, 0x2001, 0xA200]
    path = save(tmp_path / "a.raw", b"% evt 3.0\n% geometry 640x480\n% end\n", words, "<u2")
    recording = eventio.read(path)
    assert recording.triggers.tolist() == [(4096, 2, RISING), (4101, 2, FALLING)]
    assert dict(recording.metadata.skipped) == {"external triggers": 3}


@pytest.mark.parametrize(
    ("version", "dtype", "words", "trigger"),
    [
        ("2.0", "<u4", [0x8_0000002, 0x1_0000000], 0xA_0000001),
        ("3.0", "<u2", [0x8001, 0x0000, 0x2001], 0xA001),
    ],
)
def test_more_triggers_than_there_is_room(
    tmp_path: Path, version: str, dtype: str, words: list[int], trigger: int
) -> None:
    n = 2 * TRIGGER_ROOM + 5
    head = f"% evt {version}\n% geometry 640x480\n% end\n".encode()
    recording = eventio.read(save(tmp_path / "a.raw", head, [*words, *[trigger] * n, words[-1]], dtype))
    assert len(recording) == 2
    assert len(recording.triggers) == n


def davis(words: list[tuple[int, int]]) -> bytes:
    head = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n#End Of ASCII Header\r\n"
    return head + np.array(words, ">u4").tobytes()


def imu_words(t: int, steps: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(BIT31 | code << 28 | (step & 0xFFFF) << 12 | 3 << 10, t) for code, step in enumerate(steps)]


def test_inertial_measurements_of_a_davis(tmp_path: Path) -> None:
    first, second = (8192, -4096, 1, 340, 655, -131, 0), (1, 2, 3, 4, 5, 6, 7)
    words = [(0, 1), *imu_words(5, first), (0, 6), *imu_words(9, second)[1:], *imu_words(11, second)]
    (tmp_path / "a.aedat").write_bytes(davis(words))
    recording = eventio.read(tmp_path / "a.aedat")
    assert recording.imu["t"].tolist() == [5, 11]
    np.testing.assert_array_equal(recording.imu["acceleration_g"][0], np.float32([1, -0.5, 1 / 8192]))
    np.testing.assert_array_equal(
        recording.imu["rotation_deg_s"][0], np.float32([655, -131, 0]) * np.float32(1 / 65.5)
    )
    assert recording.imu["temperature_c"][0] == 36
    assert np.isnan(recording.imu["magnetic_ut"]).all()
    assert "the file tells none" in recording.metadata.conversions[1]


def frame_words(image: np.ndarray, t: int, *, by_column: bool) -> list[tuple[int, int]]:
    """Reset and signal reads of one frame: by column as a rolling shutter reads, or all resets first."""
    height, width = image.shape
    reads: list[tuple[int, int]] = []
    for columns in [[x] for x in range(width)] if by_column else [list(range(width))]:
        for is_signal in (0, 1):
            for x in columns:
                for row in range(height):
                    grey = 900 - int(image[height - 1 - row, x]) if is_signal else 900
                    reads.append((BIT31 | row << 22 | x << 12 | is_signal << 10 | grey, t + len(reads)))
    return reads


@pytest.mark.parametrize("by_column", [True, False])
def test_frames_of_a_davis(tmp_path: Path, by_column: bool) -> None:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 800, (3, 180, 240)).astype(np.uint16)
    n = 2 * 180 * 240
    words = [(0, 1), *frame_words(images[0], 10, by_column=by_column), (0, 10 + n)]
    words += frame_words(images[1], 20 + n, by_column=by_column)[:-700]  # one that lacks its end
    words += frame_words(images[2], 30 + 2 * n, by_column=by_column)
    (tmp_path / "a.aedat").write_bytes(davis(words))
    recording = eventio.read(tmp_path / "a.aedat")
    assert len(recording) == 2
    assert len(recording.frames) == 2
    for frame, image, t in zip(recording.frames, images[[0, 2]], (10, 30 + 2 * n), strict=True):
        np.testing.assert_array_equal(frame.image, image)
        n_resets = 180 if by_column else n // 2
        assert frame.exposure_us == (t + n_resets - 1, t + n_resets)
        assert frame.t_us == t + n_resets
        assert not frame.image.flags.writeable
    assert dict(recording.metadata.skipped)["unfinished frames"] == 1


def test_external_inputs_of_both_layouts(tmp_path: Path) -> None:
    (tmp_path / "a.aedat").write_bytes(davis([(0, 1), (1 << 10, 7)]))
    assert eventio.read(tmp_path / "a.aedat").triggers.tolist() == [(7, 0, eventio.TriggerKind.PULSE)]
    (tmp_path / "b.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + np.array([0, 1, 0x8000, 9], ">u4").tobytes())
    recording = eventio.read(tmp_path / "b.aedat", format="aedat2-dvs128")
    assert recording.triggers.tolist() == [(9, 0, eventio.TriggerKind.PULSE)]


def test_a_cochlea_by_hand(tmp_path: Path) -> None:
    head = (
        b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n#End Of ASCII Header\r\n"
    )
    words = [(63 << 2 | 1, 1), (5 << 2 | 2 | 3 << 8, 2), (1 << 10, 3)]
    (tmp_path / "a.aedat").write_bytes(head + np.array(words, ">u4").tobytes())
    recording = eventio.read(tmp_path / "a.aedat")
    assert recording.events.tolist() == [(1, 63, 8, True), (2, 5, 4 + 3, True)]
    assert (recording.width, recording.height, recording.metadata.address_space) == (64, 16, "channels")
    assert recording.metadata.skipped == (("unknown words", 1),)
    with pytest.raises(eventio.ArgumentError, match="'aedat2-cochlea' is only read"):
        eventio.write(tmp_path / "b.aedat", recording, format="aedat2-cochlea")
    with pytest.raises(eventio.FormatError, match="64x16 sensor is none of the chips"):
        eventio.write(tmp_path / "b.aedat", recording)


def test_a_real_cochlea(data_dir: Path) -> None:
    path = data_dir / "jaer_jspikestack/VowelSounds.aedat"
    recording = eventio.read(path, format="aedat2-cochlea")
    assert (len(recording), recording.metadata.skipped, recording.is_damaged) == (111_318, (), False)
    assert len(np.unique(recording.events[["x", "y"]])) == 476


def test_real_inertial_measurements(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "pyaedattools/IMU_rotDisk.aedat")
    assert len(recording.imu) == 7384
    assert (np.diff(recording.imu["t"]) > 0).all()
    assert recording.t[0] <= recording.imu["t"][0] <= recording.imu["t"][-1] <= recording.t[-1] + 1000
    assert np.ptp(recording.imu["temperature_c"]) < 1


STEPS = st.integers(0, 3) | st.integers(60, 66) | st.integers(250, 260) | st.integers(0, 900)
PLACES = st.tuples(st.integers(0, 319), st.integers(0, 239))


@given(st.lists(st.tuples(STEPS, PLACES, st.binary(min_size=3, max_size=3)), min_size=1, max_size=30))
def test_colour_events_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, tuple[int, int], bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "colour.es"
    times = np.cumsum([step for step, _, _ in rows])
    colours = np.array(
        [(t, *place, *rgb) for t, (_, place, rgb) in zip(times, rows, strict=True)], COLOUR_DTYPE
    )
    write_streams(path, "colour events", colours)
    again = companions_of(path).streams
    assert set(again) == {"colour events"}
    assert again["colour events"].tolist() == colours.tolist()


def write_streams(path: Path, name: str, array: np.ndarray) -> None:
    collector = CompanionCollector()
    collector.add(name, array)
    nothing = np.empty(0, eventio.EVENT_DTYPE)
    eventio.write(path, eventio.Recording(nothing, width=320, height=240, companions=collector.finish()))


@given(st.lists(st.tuples(STEPS, st.binary(max_size=300)), min_size=1, max_size=12))
def test_generic_events_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "generic.es"
    longest = max(len(data) for _, data in rows)
    generic = np.zeros(len(rows), [("t", "<i8"), ("size", "<u4"), ("data", "u1", (longest,))])
    generic["t"] = np.cumsum([step for step, _ in rows])
    for event, (_, data) in zip(generic, rows, strict=True):
        event["size"] = len(data)
        event["data"][: len(data)] = np.frombuffer(data, np.uint8)
    write_streams(path, "generic events", generic)
    again = companions_of(path).streams["generic events"]
    for name in ("t", "size", "data"):
        np.testing.assert_array_equal(again[name], generic[name])


@given(st.lists(st.tuples(STEPS, PLACES, st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_events_of_an_atis_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, tuple[int, int], bool, bool]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "atis.es"
    times = np.cumsum([step for step, _, _, _ in rows]).tolist()
    kept = [(t, *row[1], row[2]) for t, row in zip(times, rows, strict=True)]
    exposures = np.array([each for each, row in zip(kept, rows, strict=True) if row[3]], EXPOSURE_DTYPE)
    events = np.array([each for each, row in zip(kept, rows, strict=True) if not row[3]], eventio.EVENT_DTYPE)
    if not len(events) or not len(exposures):
        return
    collector = CompanionCollector()
    collector.add("exposure events", exposures)
    recording = eventio.Recording(events, width=320, height=240, companions=collector.finish())
    eventio.write(path, recording)
    again = eventio.read(path)
    np.testing.assert_array_equal(again.events, events)
    assert again.companions.streams["exposure events"].tolist() == exposures.tolist()


def test_kinds_that_no_es_file_holds_together(tmp_path: Path) -> None:
    collector = CompanionCollector()
    collector.add("colour events", np.zeros(1, COLOUR_DTYPE))
    events = eventio.make_events(t=[1], x=[0], y=[0], p=[1])
    recording = eventio.Recording(events, width=2, height=2, companions=collector.finish())
    with pytest.raises(eventio.FormatError, match="cannot hold colour events and pixel events together"):
        eventio.write(tmp_path / "a.es", recording)
    colours = np.zeros(1, COLOUR_DTYPE)
    colours["x"] = 320
    with pytest.raises(eventio.FormatError, match="lies at x = 320, y = 0, outside the 320x240"):
        write_streams(tmp_path / "a.es", "colour events", colours)
    with pytest.raises(eventio.FormatError, match="holds no event, and no reader"):
        eventio.write(tmp_path / "a.raw", eventio.Recording(events[:0], width=2, height=2))


def test_real_colour_events_are_written_byte_for_byte(data_dir: Path, tmp_path: Path) -> None:
    for name in ("color", "generic"):
        path = data_dir / f"faery_samples/{name}.es"
        with eventio.open(path) as reader:
            companions = reader.read_companions()
            nothing = np.empty(0, eventio.EVENT_DTYPE)
            recording = eventio.Recording(
                nothing, width=reader.width, height=reader.height, companions=companions
            )
        eventio.write(tmp_path / "again.es", recording)
        assert (tmp_path / "again.es").read_bytes() == path.read_bytes()
