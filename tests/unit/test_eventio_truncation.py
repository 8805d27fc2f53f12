"""Files cut at every offset: the valid beginning with place and reason, or an error that names the file."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import eventio

N_EVENTS = 12
PLACE = re.compile(r"byte \d|event \d|line \d|record \d|message \d")

#: Format: bytes of a word behind the header, for those where a cut between two words cannot be seen.
WORDS = {
    "nmnist": 5, "evt2": 4, "evt21": 8, "evt21-legacy": 8, "evt3": 2, "aedat2-davis240": 8,
}  # fmt: skip
#: Formats that say how much there is to come, and how many bytes lie between two cuts. The other formats' own tests
#: cut them at every byte.
FRAMED = {"npz": 7, "aedat4-lz4": 5, "txt": 1}
#: Read by a process of their own, which costs half a second: a few offsets only.
SLOW = ("hdf5", "mat")


def make(name: str) -> eventio.Recording:
    side = {"aedat2-dvs128": (128, 128), "aedat2-davis240": (240, 180), "nmnist": (34, 34)}.get(
        name, (120, 100)
    )
    k = np.arange(N_EVENTS)
    events = eventio.make_events(t=100 + 700 * k, x=(5 + 7 * k) % 34, y=(33 - 3 * k) % 34, p=k % 3 == 0)
    return eventio.Recording(events, width=side[0], height=side[1])


def read_cut(path: Path, name: str | None, whole: np.ndarray, *, by_chunks: bool = True) -> tuple[int, bool]:
    """Read a cut file; return how many events are there (-1 after an error) and whether the cut was noticed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            recording = eventio.read(path, format=name)
        except (eventio.FormatError, eventio.OutOfSensorError) as error:
            refusal = str(error)
        else:
            refusal = ""
    if refusal:
        assert str(path) in refusal
        assert "\n" not in refusal
        return -1, True
    assert (recording.events == whole[: len(recording)]).all()
    said = [str(each.message) for each in caught]
    assert recording.metadata.warnings == tuple(said)
    assert len(said) == recording.metadata.is_truncated
    for text in said:
        assert str(path) in text
        assert PLACE.search(text.replace(str(path), "")), text
    if by_chunks:
        with warnings.catch_warnings(), eventio.open(path, format=name) as reader:
            warnings.simplefilter("ignore")
            chunks = list(reader.chunks(n_events=5))
            assert reader.metadata.is_truncated == recording.metadata.is_truncated
        assert (np.concatenate(chunks) == recording.events).all()
    return len(recording), recording.metadata.is_truncated


@pytest.mark.parametrize("name", WORDS)
def test_formats_of_words_at_every_byte(tmp_path: Path, name: str) -> None:
    path, recording = tmp_path / "a.bin", make(name)
    eventio.write(path, recording, format=name)
    data = path.read_bytes()
    size = WORDS[name]
    found = []
    for n_bytes in range(1, len(data)):
        path.write_bytes(data[:n_bytes])
        n_events, is_noticed = read_cut(path, name, recording.events, by_chunks=n_bytes % 9 == 0)
        found.append(n_events)
        if n_events > 0:
            assert is_noticed == ((len(data) - n_bytes) % size > 0)
    assert found == sorted(found)
    assert found[-1] < N_EVENTS
    assert set(found) >= {-1, N_EVENTS - 2}


@pytest.mark.parametrize("name", FRAMED)
def test_formats_with_lengths(tmp_path: Path, name: str) -> None:
    path, recording = tmp_path / "a.bin", make(name)
    eventio.write(path, recording, format=name)
    data = path.read_bytes()
    found = []
    for n_bytes in range(1, len(data), FRAMED[name]):
        path.write_bytes(data[:n_bytes])
        n_events, is_noticed = read_cut(path, name, recording.events, by_chunks=n_bytes % 9 == 0)
        found.append(n_events)
        assert is_noticed or n_events == N_EVENTS or name == "txt", n_bytes
    assert found == sorted(found), found


@pytest.mark.parametrize("name", SLOW)
def test_containers_of_other_libraries_at_some_bytes(tmp_path: Path, name: str) -> None:
    path, recording = tmp_path / "a.bin", make(name)
    eventio.write(path, recording, format=name)
    data = path.read_bytes()
    assert read_cut(path, name, recording.events) == (N_EVENTS, False)
    for n_bytes in np.linspace(1, len(data) - 1, 7).astype(int):  # the libraries read no file that is cut
        path.write_bytes(data[:n_bytes])
        assert read_cut(path, name, recording.events) == (-1, True)


def test_databases_at_some_bytes(tmp_path: Path, data_dir: Path) -> None:
    path = tmp_path / "a.db3"
    real = data_dir / "ros_event_camera/codecs/test_data_evt3_trigger/test_data_evt3_trigger_0.db3"
    whole, data = eventio.read(real).events, real.read_bytes()
    found = []
    for n_bytes in (100, 4096, 40_000, len(data) // 3 // 4096 * 4096, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:n_bytes])
        found.append(read_cut(path, None, whole))
    assert found[:5] == [(-1, True)] * 5  # the pages that say where the messages lie are gone
    assert 0 < found[5][0] < len(whole)
    assert found[5][1]
