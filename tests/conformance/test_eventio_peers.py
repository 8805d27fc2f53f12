"""Real files as other libraries read them, and files written here as they read those: column by column.

The peers run in `.venv-peers` (`make peers`). Where a peer differs, the column is named with the reason; the docs
(`docs/explanation/event-files.md`) say more. Nothing else may differ, so the list only shrinks.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eventio

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"

EVT2 = ("expelliarmus", "evutils", "faery", "eventcv")
AEDAT4 = ("aedat", "dv-processing", "faery", "eventcv")
SYNTHESIZED = (
    "OscillatingDoubleBar",
    "RotatingBar",
    "TranslatingBarX",
    "TranslatingBarY",
    "TranslatingSquare",
)
REAL = {
    "expelliarmus_samples/evt2_sample.raw": EVT2,
    "faery_samples/evt2.raw": EVT2,
    "expelliarmus_samples/evt3_sample.raw": ("evt3", "evutils", "eventcv", "faery", "expelliarmus"),
    "loris_samples/NCARS_obj_004397_td.dat": ("expelliarmus", "evutils"),
    "event_vision_library/sample.aedat4": AEDAT4,
    "aestream_davis/davis.aedat4": AEDAT4,
    "dv_processing_tests/io/test_files/sample_data.aedat4": AEDAT4,
    "dv_processing_tests/io/test_files/test-minimal.aedat4": AEDAT4,
    "faery_samples/dvs.es": ("faery",),
    "dv_processing_tests/tests/data/sample_data.aedat4": AEDAT4,
    "cpphots_samples/trcl0.es": ("faery",),
    "pyaedattools/IMU_rotDisk.aedat": ("evutils", "eventcv"),
    "pyaedattools/IMU_translBoxes.aedat": ("evutils", "eventcv"),
    **{f"pyaedattools/synthesized samples/{name}.aedat": ("evutils",) for name in SYNTHESIZED},
    "dnd_hls/moving-dot-1-pixel.aedat": ("evutils",),
    "slider_depth_chunk/events_chunk.txt": ("eventcv",),
    "event_vision_library/faces_easy_0001.bin": ("tonic",),
    "nmnist_subset/Test/0/60004.bin": ("tonic",),
    "dvs_gesture_slayer10/1.bs2": ("tonic",),
}
FORMATS = {"dnd_hls/moving-dot-1-pixel.aedat": "aedat2-davis346"} | {
    f"pyaedattools/synthesized samples/{name}.aedat": "aedat2-davis240" for name in SYNTHESIZED
}
DIFFERENT = {
    ("expelliarmus_samples/evt3_sample.raw", "faery"): ("t",),  # late times are raised to those before
    ("expelliarmus_samples/evt3_sample.raw", "expelliarmus"): (
        "t",
    ),  # each TIME_LOW that falls counts as a wrap
    ("event_vision_library/sample.aedat4", "eventcv"): ("n_events", "t", "x", "y", "p"),  # gives no event
}
#: Readers that leave an axis of AEDAT 2 as the addresses count it: both, or x alone.
TURNED = {"evutils": {"left_right": True, "up_down": True}, "eventcv": {"left_right": True}}
WRITTEN = {
    "evt2": (".raw", EVT2),
    "evt21-legacy": (".raw", ("evutils",)),
    "evt3": (".raw", ("evt3", "evutils", "faery", "eventcv")),
    "dat": (".dat", ("expelliarmus", "evutils")),
    "nmnist": (".bin", ("tonic",)),
    "aedat2-davis640": (".aedat", ("evutils",)),
    "csv": (".csv", ("eventcv", "faery")),
    "txt": (".txt", ("eventcv",)),
    "npz": (".npz", ("evutils",)),
    "es": (".es", ("faery",)),
    "aedat3": (".aedat", ("evutils",)),
    "aedat4-none": (".aedat4", AEDAT4),
    "aedat4-lz4": (".aedat4", AEDAT4),
    "aedat4-zstd": (".aedat4", AEDAT4),
}


def ask(reader: str, path: Path) -> dict[str, Any]:
    """Let a peer read a file; skip the test where it is absent."""
    if not PEERS.exists():
        pytest.skip("no .venv-peers: make peers")
    script = ROOT / "benchmarks" / "peers_events" / "read_events.py"
    command = [str(PEERS), str(script), reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if "ModuleNotFoundError" in answer.get("error", ""):
        pytest.skip(f"{reader} is not in .venv-peers: make peers")
    return answer


def describe(recording: eventio.Recording) -> dict[str, Any]:
    """Describe events as the peers' script does."""
    columns = ((recording.t, "<i8"), (recording.x, "<u2"), (recording.y, "<u2"), (recording.p, "?"))
    found: dict[str, Any] = {"n_events": len(recording)}
    for name, (column, dtype) in zip("txyp", columns, strict=True):
        data = np.ascontiguousarray(column).astype(dtype).tobytes()
        found[name] = hashlib.sha256(data).hexdigest()[:32]
    return found


def as_seen_by(reader: str, recording: eventio.Recording) -> dict[str, Any]:
    """Describe events with the axes that a peer gives."""
    turned = TURNED.get(reader, {}) if recording.metadata.format.startswith("aedat2") else {}
    return describe(eventio.flip(recording, **turned) if turned else recording)


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[str, ...]:
    assert "error" not in theirs, theirs["error"]
    return tuple(name for name in ("n_events", *"txyp") if ours[name] != theirs[name])


@pytest.mark.parametrize(
    ("name", "reader"), [(name, reader) for name, readers in REAL.items() for reader in readers]
)
def test_real_files_are_read_as_by_others(data_dir: Path, name: str, reader: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        recording = eventio.read(data_dir / name, format=FORMATS.get(name))
    ours = as_seen_by(reader, recording)
    assert differing(ours, ask(reader, data_dir / name)) == DIFFERENT.get((name, reader), ())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One recording, with rows of neighbours and single events, in all formats."""
    rng = np.random.default_rng(2)
    t = np.sort(rng.integers(5000, 3 * 10**6, 4000)).repeat(9)
    y = rng.integers(0, 480, 4000).repeat(9)
    x = (rng.integers(0, 600, 4000).repeat(9) + np.tile([0, 1, 2, 3, 7, 12, 20, 31, 33], 4000)) % 640
    events = eventio.make_events(t=t, x=x, y=y, p=rng.random(4000).repeat(9) < 0.5)
    recording = eventio.Recording(events, width=640, height=480)
    folder = tmp_path_factory.mktemp("written")
    paths = {name: folder / f"{name}{suffix}" for name, (suffix, _) in WRITTEN.items()}
    small = recording.events.copy()
    small["x"], small["y"] = small["x"] % 240, small["y"] % 180
    for name, path in paths.items():
        fitting = eventio.Recording(small, width=240, height=180) if name == "nmnist" else recording
        eventio.write(path, fitting, format=name)
    return paths


@pytest.mark.parametrize(
    ("name", "reader"), [(name, reader) for name, (_, readers) in WRITTEN.items() for reader in readers]
)
def test_files_written_here_are_read_by_others(written: dict[str, Path], name: str, reader: str) -> None:
    path = written[name]
    format_name = name if name.startswith("evt21") else None
    recording = eventio.read(path, format=format_name)
    assert len(recording) == 36_000
    assert differing(as_seen_by(reader, recording), ask(reader, path)) == ()


def test_words_of_evt21_in_the_usual_order_are_read_with_their_halves_exchanged(
    written: dict[str, Path], tmp_path: Path
) -> None:
    """No peer reads this order, but one reads the other."""
    recording = eventio.read(written["evt21-legacy"], format="evt21-legacy")
    eventio.write(tmp_path / "usual.raw", recording, format="evt21")
    head, words = (tmp_path / "usual.raw").read_bytes().split(b"% end\n", 1)
    halves = np.frombuffer(words, "<u4").reshape(-1, 2)[:, ::-1]
    other_head = written["evt21-legacy"].read_bytes().split(b"% end\n", 1)[0]
    (tmp_path / "legacy.raw").write_bytes(other_head + b"% end\n" + halves.tobytes())
    assert b"endianness little" in head
    assert differing(describe(recording), ask("evutils", tmp_path / "legacy.raw")) == ()
