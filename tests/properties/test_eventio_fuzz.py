"""Random and mutated files: events or an EventioError, never anything else, and no kernel leaves its arrays."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eventio

MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEADS = {
    "nmnist": b"",
    "evt2": b"% evt 2.0\n% geometry 640x480\n% end\n",
    "evt3": b"% evt 3.0\n",
    "aedat2": b"#!AER-DAT2.0\r\n# AEChip: a.b.DVS128\r\n",
    "aedat2-davis240": b"#!AER-DAT2.0\r\n",
    "evt21": b"% evt 2.1\n% geometry 640x480\n",
    "es": b"Event Stream\x02\x00\x00\x01\x00\x80\x00\x80",
    "dat": b"% Data file containing CD events\n\x0c\x08",
    "csv": b"t,x,y,p\n",
    "npz": b"PK\x03\x04",
    "rosbag1": b"#ROSBAG V2.0\n",
    "rosbag2": b"SQLite format 3\0",
    "mcap": b"\x89MCAP0\r\n",
}

BOUNDS_SCRIPT = """
import sys, warnings
from pathlib import Path
import numpy as np
import eventio
warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
heads = {"nmnist": b"", "evt2": b"% evt 2.0\\n% end\\n", "evt3": b"% evt 3.0\\n% end\\n",
         "aedat2-dvs128": b"", "aedat2-davis240": b"", "dat": bytes((12, 8)), "evt21": b"% evt 2.1\\n% end\\n",
         "es": b"Event Stream" + bytes((2, 0, 0, 1, 0, 8, 0, 8))}
n_read = 0
for round in range(25):
    data = rng.integers(0, 256, 3000 if round else 300_000, dtype=np.uint8)
    for name, head in heads.items():
        path = folder / "a.bin"
        path.write_bytes(head + data.tobytes())
        try:
            recording = eventio.read(path, format=name, width=2100, height=2100)
        except eventio.EventioError:
            continue
        n_read += 1
        eventio.filter_background_activity(recording, window_us=1000)
        size = {"width": recording.width, "height": recording.height}
        small = recording.events[(recording.x < 64) & (recording.y < 64)]
        eventio.bin_events(small, width=64, height=64, bin_us=10**5, n_frames=20)
        eventio.to_frames(small, width=64, height=64, bin_us=10**7, n_frames=5)
n = 3000
sides = {"nmnist": (240, 2**23), "evt2": (2048, 2**34), "evt21": (2048, 2**34), "dat": (500, 2**32)}
sides |= {"csv": (2048, 2**40), "txt": (2048, 2**40), "npz": (2048, 2**40)}
sides |= {"es": (500, 2**22), "aedat2": (128, 2**31), "evt3": (2048, 2**34)}
for name, (side, longest) in sides.items():
    t = np.sort(rng.integers(0, longest, n) // 1000 * 1000)
    x, y = rng.integers(0, side, (2, n))
    y[::2] = y[0]
    recording = eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=x % 2), width=side, height=side)
    eventio.write(folder / "b.bin", recording, format=name)
    assert (eventio.read(folder / "b.bin", format=name).events == recording.events).all()
lines = rng.choice(list(b"0123456789.,;-+eE# \\n\\ttrueOFF"), 40_000).astype(np.uint8).tobytes().split(b"\\n")
for line in lines:
    (folder / "c.txt").write_bytes(b"1 2 3 1\\n" + line)
    try:
        eventio.read(folder / "c.txt", format="txt-txyp-s", width=65536, height=65536)
    except eventio.EventioError:
        continue
from eventio.ros.messages import Packet
from eventio.ros.payloads import DECODERS
for decoder in DECODERS.values():
    for n_bytes in range(0, 3000, 37):
        decoder().decode(Packet(1, 1, 5, "", rng.integers(0, 256, n_bytes, dtype=np.uint8).tobytes()))
eventio.emulate_dvs(rng.random((60, 20, 30)), np.arange(60) * 1000)
print(n_read)
"""


def read_or_refuse(path: Path, **arguments: object) -> int:
    """Read whole and in chunks; both agree on events or refusal. Return the number of events, or -1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        try:
            whole = eventio.read(path, **arguments)
        except eventio.EventioError:
            with pytest.raises(eventio.EventioError) as caught, eventio.open(path, **arguments) as reader:
                list(reader.chunks(n_events=7))
            assert str(path) in str(caught.value)
            return -1
        with eventio.open(path, **arguments) as reader:
            chunks = list(reader.chunks(n_events=97))
    np.testing.assert_array_equal(np.concatenate(chunks), whole.events)
    assert whole.x.max() < whole.width
    assert whole.y.max() < whole.height
    return len(whole)


@given(st.binary(max_size=300), st.sampled_from(sorted(HEADS)))
@MANY
def test_random_data_behind_a_header(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(HEADS[name] + data)
    read_or_refuse(path, format=name)


@given(st.binary(max_size=200), st.sampled_from([".bin", ".raw", ".aedat4", ".txt", ""]))
@MANY
def test_random_files(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    read_or_refuse(path)


@given(st.text(alphabet="% \nevt230.geomtryx;=width\r", max_size=80), st.binary(max_size=40))
@MANY
def test_random_headers(tmp_path: Path, text: str, data: bytes) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n" + text.encode() + data)
    read_or_refuse(path)


REAL = [
    "nmnist_subset/Test/0/60004.bin",
    "expelliarmus_samples/evt2_sample.raw",
    "expelliarmus_samples/evt3_sample.raw",
    "dvs128_colleen/DVS128-2017-03-21-short.aedat",
    "cpphots_samples/trcl0.es",
    "loris_samples/NCARS_obj_004397_td.dat",
]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, overwrite, remove and insert bytes."""
    array = np.frombuffer(data, np.uint8).copy()
    array = array[: rng.integers(1, len(array))] if rng.random() < 0.5 else array
    for place in rng.integers(0, len(array), rng.integers(0, 30)):
        array[place] = rng.integers(256)
    if rng.random() < 0.3:
        place = int(rng.integers(len(array)))
        array = np.delete(array, slice(place, place + int(rng.integers(1, 9))))
    if rng.random() < 0.3:
        array = np.insert(array, int(rng.integers(len(array) + 1)), rng.integers(0, 256, 3))
    return array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("name", REAL)
def test_mutated_recordings(data_dir: Path, tmp_path: Path, name: str) -> None:
    data = (data_dir / name).read_bytes()[:60_000]
    path = tmp_path / Path(name).name
    rng = np.random.default_rng(11)
    found = set()
    for _ in range(40):
        path.write_bytes(mutate(data, rng))
        found.add(read_or_refuse(path) >= 0)
    assert found == {True, False}


def test_mutated_aedat4_never_ends_the_process(data_dir: Path, tmp_path: Path) -> None:
    # the decoder's own process aborts on some of these
    data = (data_dir / "event_vision_library/sample.aedat4").read_bytes()
    path = tmp_path / "a.aedat4"
    rng = np.random.default_rng(5)
    found = set()
    for i in range(25):
        if i % 3 == 0:
            head = bytearray(data)
            for place in rng.integers(12, 3000, 5):
                head[place] = rng.integers(256)
            path.write_bytes(head)
        else:
            path.write_bytes(mutate(data, rng))
        found.add(read_or_refuse(path) >= 0)
    assert found == {True, False}


def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    # Numba's cache does not notice the setting: the run has a cache of its own
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", BOUNDS_SCRIPT, str(tmp_path)]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
