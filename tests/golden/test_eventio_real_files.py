"""Real recordings: what is known of them from their origin and from other readers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import eventio

# file, format, events, span in us, width, height; sources and licences: MANIFEST.md beside the files
KNOWN = [
    ("expelliarmus_samples/evt2_sample.raw", "evt2", 539_481, 50_000, 640, 480),
    ("faery_samples/evt2.raw", "evt2", 521_252, 95_871, 640, 480),
    ("expelliarmus_samples/evt3_sample.raw", "evt3", 219_596, 8_801, 1280, 720),
    ("event_vision_library/sample.aedat4", "aedat4", 6_676, 169_941, 346, 260),
    ("aestream_davis/davis.aedat4", "aedat4", 117_667, 129_999, 346, 260),
    ("dv_processing_tests/io/test_files/sample_data.aedat4", "aedat4", 9_193, 3_813_819, 346, 260),
    ("dv_processing_tests/io/test_files/test-minimal.aedat4", "aedat4", 255_283, 2_699_987, 640, 480),
    ("dv_processing_tests/tests/data/sample_data.aedat4", "aedat4", 9_408, 0, 640, 480),
    ("dvs128_colleen/DVS128-2017-03-21-short.aedat", "aedat2", 130_114, 6_181_499, 128, 128),
    ("pyaedattools/IMU_translBoxes.aedat", "aedat2", 162_771, 2_072_651, 240, 180),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known[0])
def test_known_recordings(data_dir: Path, known: tuple[str, str, int, int, int, int]) -> None:
    name, format_name, n_events, span_us, width, height = known
    recording = eventio.read(data_dir / name)
    assert recording.metadata.format == format_name
    assert len(recording) == n_events
    assert recording.t[-1] - recording.t[0] == span_us
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (width, height, False)
    assert not recording.is_damaged
    assert recording.x.max() < width
    assert recording.y.max() < height


@pytest.mark.parametrize("name", [row[0] for row in KNOWN if row[1] == "aedat4"])
def test_aedat4_as_the_aedat_package_gives_it(data_dir: Path, name: str) -> None:
    aedat = pytest.importorskip("aedat")
    recording = eventio.read(data_dir / name)
    packets = [packet["events"] for packet in aedat.Decoder(str(data_dir / name)) if "events" in packet]
    expected = np.concatenate(packets)
    for ours, theirs in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(recording.events[ours], expected[theirs])


def test_other_streams_of_aedat4_are_counted(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "event_vision_library/sample.aedat4")
    assert dict(recording.metadata.skipped) == {
        "frames": 4,
        "inertial measurements": 160,
        "triggers": 17,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dv_processing_tests/data/test_files/test-frame.aedat4", "holds no event, only 20 frames"),
        ("dv_processing_tests/io/test_files/empty_stereo.aedat4", "holds no event"),
        ("faery_samples/color.es", "holds no event, only 473225 colour events"),
        ("faery_samples/generic.es", "holds no event, only 70 generic events"),
        ("jaer_jspikestack/MovingDarkBox.aedat", "has no line 'AEChip:'"),
    ],
)
def test_files_without_events_or_reader(data_dir: Path, name: str, text: str) -> None:
    with pytest.raises(eventio.FormatError, match=text):
        eventio.read(data_dir / name)


def test_an_n_caltech101_recording(data_dir: Path) -> None:
    recording = eventio.read(data_dir / "event_vision_library/faces_easy_0001.bin")
    assert len(recording) == 67_445
    assert (int(recording.x.max()) + 1, int(recording.y.max()) + 1) in {(151, 173), (173, 151)}
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (240, 180, True)
    assert recording.t[-1] - recording.t[0] == pytest.approx(0.30e6, abs=0.01e6)


def test_all_n_mnist_recordings(data_dir: Path) -> None:
    n_events = []
    for part, n_recordings in (("Train", 904), ("Test", 100)):
        collection = eventio.datasets.folder(data_dir / "nmnist_subset" / part)
        assert len(collection) == n_recordings
        assert collection.class_names == tuple("0123456789")
        for sample in collection.samples:
            recording = eventio.read(sample.path)
            assert (recording.width, recording.height) == (34, 34)
            assert not recording.is_damaged
            assert recording.t[-1] < 337_000
            n_events.append(len(recording))
    assert (min(n_events), max(n_events), sum(n_events)) == (1069, 7152, 4_126_630)


@pytest.mark.parametrize("name", [row[0] for row in KNOWN if row[1] != "aedat4"])
@pytest.mark.parametrize("format_name", ["evt2", "evt3"])
def test_real_recordings_survive_our_writers(
    data_dir: Path, tmp_path: Path, name: str, format_name: str
) -> None:
    recording = eventio.read(data_dir / name)
    eventio.write(tmp_path / "again.raw", recording, format=format_name)
    again = eventio.read(tmp_path / "again.raw")
    np.testing.assert_array_equal(again.events, recording.events)
    assert (again.width, again.height) == (recording.width, recording.height)


@pytest.mark.parametrize("name", [KNOWN[0][0], KNOWN[2][0], KNOWN[3][0], "nmnist_subset/Test/0/60004.bin"])
@pytest.mark.parametrize("n_events", [1000, 1 << 20])
def test_chunks_of_real_recordings(data_dir: Path, name: str, n_events: int) -> None:
    with eventio.open(data_dir / name) as reader:
        chunks = list(reader.chunks(n_events=n_events))
        assert all(len(chunk) == n_events for chunk in chunks[:-1])
        whole = eventio.read(data_dir / name)
        np.testing.assert_array_equal(np.concatenate(chunks), whole.events)
        assert reader.metadata == whole.metadata


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("name", [row[0] for row in KNOWN[:5]])
def test_truncated_real_recordings_give_their_prefix(
    data_dir: Path, tmp_path: Path, name: str, share: float
) -> None:
    whole = eventio.read(data_dir / name)
    data = (data_dir / name).read_bytes()
    path = tmp_path / Path(name).name
    n_bytes = int(len(data) * share)
    path.write_bytes(data[: n_bytes - n_bytes % 2 + 1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", eventio.DamagedRecordingWarning)
        cut = eventio.read(path)
    assert "truncated" in str(caught[0].message)
    assert cut.metadata.is_truncated
    assert 0 < len(cut) < len(whole)
    np.testing.assert_array_equal(cut.events, whole.events[: len(cut)])
