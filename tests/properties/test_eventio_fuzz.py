"""Random and mutated files: events or an EventioError, never anything else, and no kernel leaves its arrays."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
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
    "aedat3": b"#!AER-DAT3.1\r\n#Source 1: DAVIS240C\r\n#!END-HEADER\r\n",
    "aedat3 polarity packet": b"#!AER-DAT3.1\r\n#!END-HEADER\r\n\x01\0\x01\0\x08\0\0\0\x04\0\0\0\0\0\0\0"
    b"\x20\0\0\0\x20\0\0\0\x20\0\0\0",
    "aedat4": b"#!AER-DAT4.0\r\n",
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
from eventio import ecf
for n_events in (0, 1, 7, 300, 65535):
    for way in range(4):
        for n_bytes in (0, 12, 14, 40, 3000):
            body = rng.integers(0, 256, n_bytes, dtype=np.uint8).tobytes()
            for data in (body, bytes(8) + bytes((0x11,)) * n_events + body):
                try:
                    ecf.unpack((n_events << 2 | way).to_bytes(4, "little") + data)
                except eventio.EventioError:
                    continue
import struct
head3 = b"#!AER-DAT3.1\\r\\n#Source 1: DVS128\\r\\n#!END-HEADER\\r\\n"
for n in (0, 1, 5, 300):
    body = rng.integers(0, 256, 8 * n, dtype=np.uint8).tobytes()
    for kind in range(6):
        (folder / "d.aedat").write_bytes(head3 + struct.pack("<hhiiiiii", kind, 1, 8, 4, 0, n, n, n) + body)
        try:
            eventio.read(folder / "d.aedat", format="aedat3", width=2**15, height=2**15)
        except eventio.EventioError:
            continue
t = np.arange(3000)
recording = eventio.Recording(eventio.make_events(t=t, x=t % 128, y=t % 90, p=t % 2), width=128, height=128)
for name in ("aedat3", "aedat4-none", "aedat4-lz4"):
    eventio.write(folder / "e.bin", recording, format=name)
    assert (eventio.read(folder / "e.bin", format=name).events == recording.events).all()
    data = bytearray((folder / "e.bin").read_bytes())
    for _ in range(15):
        data[int(rng.integers(20, len(data)))] ^= int(rng.integers(1, 256))
        (folder / "f.bin").write_bytes(data)
        try:
            eventio.read(folder / "f.bin", format=name)
        except eventio.EventioError:
            continue
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
    read_or_refuse(path, format=name.split(maxsplit=1)[0])


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
    "dnd_hls/moving-dot-1-pixel.aedat",
    "pyaedattools/IMU_rotDisk.aedat",
    "jaer_jspikestack/VowelSounds.aedat",
    "slider_depth_chunk/events_chunk.txt",
    "ros_event_camera/py/test_events_1.bag",
    "ros_event_camera/py/test_events_2/test_events_2_0.mcap",
]
FORMATS = {"VowelSounds.aedat": "aedat2-cochlea", "moving-dot-1-pixel.aedat": "aedat2-davis346"}


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
    path = tmp_path / Path(name).name
    n_bytes = 1_200_000 if path.suffix in (".bag", ".mcap") or "IMU" in name else 60_000
    data = (data_dir / name).read_bytes()[:n_bytes]
    rng = np.random.default_rng(11)
    arguments = {"format": FORMATS[path.name]} if path.name in FORMATS else {}
    found = {read_or_refuse(place, **arguments) >= 0 for place in written(path, data, rng, 24)}
    assert True in found


def written(path: Path, data: bytes, rng: np.random.Generator, n_rounds: int) -> Iterator[Path]:
    """Write mutations of a file's beginning to a place, one after the other; every other one changes one byte."""
    for number in range(n_rounds):
        changed = bytearray(data)
        changed[int(rng.integers(len(data) // 2, len(data)))] ^= int(rng.integers(1, 256))
        path.write_bytes(mutate(data, rng) if number % 2 else changed)
        yield path


@pytest.mark.parametrize(
    "name", ["faery_samples/color.es", "faery_samples/generic.es", "event_vision_library/sample.aedat4"]
)
def test_mutated_companions(data_dir: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / Path(name).name
    data = (data_dir / name).read_bytes()[:400_000]
    n_read = 0
    for place in written(path, data, np.random.default_rng(2), 20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            try:
                with eventio.open(place, width=2000, height=2000) as reader:
                    n_read += bool(reader.read_companions())
            except eventio.EventioError as error:
                refusal = str(error)
            else:
                refusal = path.name
        assert path.name in refusal
    assert n_read > 0


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".mat", ".npz", ".aedat4", ".aedat", ".es"])
def test_many_mutations_of_containers(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(3)
    k = np.arange(3000)
    events = eventio.make_events(t=k * 11, x=k * 7 % 128, y=k * 3 % 128, p=k % 2)
    path = tmp_path / f"a{suffix}"
    name = "aedat3" if suffix == ".aedat" else None
    eventio.write(path, eventio.Recording(events, width=128, height=128), format=name)
    for place in written(path, path.read_bytes(), rng, 25):
        read_or_refuse(place, format=name)


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
