"""Reading and writing event files: whole files to arrays, one thread, beside other libraries.

``python benchmarks/event_files.py [--quick] [--json FILE] [--folder FOLDER]``. The recording is made here: rows of
neighbours and single events on a 640x480 sensor, so that vectors and single words both occur. Each peer's events are
compared with ours first, column by column; the peers run in `.venv-peers` (`make peers`) and are left out where that
is absent. Times are processor times, the least of a few runs, files in the page cache. The
machine's floor is the time to read the file piece by piece and to write as many bytes of fresh memory as its events
take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from rows import Row, against_goal, show

import eventio
from eventio.word_pieces import PAGE_BYTES, PIECE_BYTES

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers" / "bin" / "python"
READING = {
    "evt2": (".raw", 300, ("expelliarmus", "evutils", "faery", "eventcv")),
    "dat": (".dat", 300, ("expelliarmus", "evutils", "eventcv")),
    "evt3": (".raw", 150, ("evt3", "evutils", "faery", "eventcv")),
    "evt21-legacy": (".raw", 150, ("evutils",)),
    "aedat2": (".aedat", 150, ()),
    "nmnist": (".bin", None, ()),
    "es": (".es", None, ("faery",)),
    "aedat4-none": (".aedat4", None, ("aedat", "dv-processing", "faery", "eventcv")),
    "aedat4-lz4": (".aedat4", None, ("aedat", "dv-processing", "faery", "eventcv")),
    "aedat4-zstd": (".aedat4", None, ("aedat", "dv-processing", "faery", "eventcv")),
}
WRITING_GOAL = {"evt2", "evt21-legacy", "evt3", "dat", "aedat2", "nmnist", "aedat4-none"}
GOALS = {"aedat": 0.9}


def make_recording(n_events: int, side: tuple[int, int], longest_us: int) -> eventio.Recording:
    """Return events in order of time, in rows of 1 to 40 neighbours (2.5 in the mean), as moving edges give them."""
    rng = np.random.default_rng(1)
    sizes = np.minimum(rng.geometric(0.4, n_events), 40)
    n_groups = int(np.searchsorted(np.cumsum(sizes), n_events)) + 1
    sizes = sizes[:n_groups]
    sizes[-1] -= sizes.sum() - n_events
    starts = np.cumsum(sizes) - sizes
    place = np.arange(n_events) - np.repeat(starts, sizes)
    t = np.repeat(np.sort(rng.integers(0, min(longest_us, n_events // 20 + 10), n_groups)), sizes)
    x = np.repeat(rng.integers(0, side[0] - 40, n_groups), sizes) + place
    y = np.repeat(rng.integers(0, min(side[1], 240), n_groups), sizes)
    p = np.repeat(rng.random(n_groups) < 0.5, sizes)
    return eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), width=side[0], height=side[1])


def least_seconds(run: Callable[[], Any], budget_s: float) -> float:
    """Return the least processor time of a few runs."""
    best, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < budget_s:
        start = time.process_time()
        result = run()
        best = min(best, time.process_time() - start)
        del result
    return best


def digests(recording: eventio.Recording) -> dict[str, Any]:
    """Return what `read_events.py` says of the same events."""
    columns = ((recording.t, "<i8"), (recording.x, "<u2"), (recording.y, "<u2"), (recording.p, "?"))
    found: dict[str, Any] = {"n_events": len(recording)}
    for name, (column, dtype) in zip("txyp", columns, strict=True):
        found[name] = hashlib.sha256(np.ascontiguousarray(column).astype(dtype).tobytes()).hexdigest()[:32]
    return found


def ask_peer(reader: str, path: Path, budget_s: float) -> dict[str, Any]:
    """Let a peer read a file."""
    script = ROOT / "benchmarks" / "peers_events" / "read_events.py"
    command = [str(PEERS), str(script), reader, str(path), str(budget_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = done.stdout.strip().splitlines()
    answer: dict[str, Any] = json.loads(lines[-1]) if lines else {"error": done.stderr.strip()[-200:]}
    return answer


@numba.njit(cache=True)
def fill(memory: Any) -> None:
    """Write every byte."""
    for i in range(memory.shape[0]):
        memory[i] = 7


def floor_row(name: str, path: Path, n_events: int, budget_s: float) -> Row:
    """Measure what reading cannot do without: the file's bytes once into the cache, each event's 13 once to memory."""
    room = np.empty(PIECE_BYTES + PAGE_BYTES, np.uint8)
    piece = room[-room.ctypes.data % PAGE_BYTES :][:PIECE_BYTES]

    def run() -> None:
        with path.open("rb", buffering=0) as file:
            while file.readinto(piece.data):
                pass
        fill(np.empty(13 * n_events, np.uint8))

    fill(piece)
    rate = n_events / least_seconds(run, budget_s) / 1e6
    return Row(f"read {name}: the machine's floor", rate, "none", 0.0, "Mev/s", 0.0, 0.0, True)


def reading_rows(name: str, recording: eventio.Recording, folder: Path, budget_s: float) -> list[Row]:
    """Measure the reading of one format, ours and the peers'."""
    suffix, goal, peers = READING[name]
    path = folder / f"{name}{suffix}"
    eventio.write(path, recording, format=name)
    again = eventio.read(path)
    is_equal = bool((again.events == recording.events).all())
    expected = digests(again)
    n_events = len(again)
    del again

    def read_into_fresh_memory() -> eventio.Recording:
        eventio.release_memory()
        return eventio.read(path)

    kept = n_events / least_seconds(lambda: eventio.read(path), budget_s) / 1e6
    ours = n_events / least_seconds(read_into_fresh_memory, budget_s) / 1e6
    claim = f"read {name}"
    rows = [against_goal(f"{claim} after another file", kept, goal, "Mev/s")] if goal else []
    rows += [against_goal(claim, ours, goal, "Mev/s")] if goal else []
    floor = floor_row(name, path, len(recording), budget_s / 2)
    if not is_equal:
        raise SystemExit(f"{claim}: the events that come back are others")
    for peer in peers if PEERS.exists() else ():
        answer = ask_peer(peer, path, budget_s)
        if "error" in answer:
            print(f"{claim}: {peer}: {answer['error']}")
            continue
        differing = [key for key, value in expected.items() if answer[key] != value]
        theirs = answer["n_events"] / answer["seconds"] / 1e6
        rows.append(
            Row(claim, ours, peer, theirs, "Mev/s", ours / theirs, GOALS.get(peer, 1.0), not differing)
        )
        if differing:
            print(f"{claim}: {peer} gives {answer['n_events']} events; differing: {', '.join(differing)}")
    return [floor, *(rows or [Row(claim, ours, "none", 0.0, "Mev/s", 0.0, 0.0, is_equal)])]


def writing_row(name: str, recording: eventio.Recording, folder: Path, budget_s: float) -> Row:
    """Measure the writing of one format."""
    path = folder / f"again{READING[name][0]}"
    seconds = least_seconds(lambda: eventio.write(path, recording, format=name), budget_s)
    ours = len(recording) / seconds / 1e6
    if name in WRITING_GOAL:
        return against_goal(f"write {name}", ours, 50, "Mev/s")
    return Row(f"write {name}", ours, "none", 0.0, "Mev/s", 0.0, 0.0, True)


def long_file_row(folder: Path, n_events: int) -> Row:
    """Measure the memory that chunks of a long file need; it is sparse, all zeros: OFF events at (0, 0)."""
    path = folder / "long.dat"
    head = b"% Data file containing CD events.\n% Version 2\n% Height 480\n% Width 640\n\x0c\x08"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + 8 * n_events)
    tracemalloc.start()
    n_read = 0
    with eventio.open(path) as reader:
        for chunk in reader.chunks(n_events=1 << 17):
            n_read += len(chunk)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    path.unlink()
    claim = f"memory for chunks of a file of {n_events / 1e6:.0f} million events"
    row = against_goal(claim, peak, 16, "MB", less_is_better=True)
    return Row(**{**vars(row), "equal": n_read == n_events})


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, and shorter")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: a temporary folder)")
    arguments = parser.parse_args()
    n_events = 1_000_000 if arguments.quick else 10_000_000
    budget_s = 1.0 if arguments.quick else 3.0
    large = make_recording(n_events, (640, 480), 1 << 30)
    small = make_recording(n_events, (128, 128), (1 << 23) - 1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for format_name in READING:
            recording = small if format_name in ("aedat2", "nmnist") else large
            rows += reading_rows(format_name, recording, folder, budget_s)
            rows.append(writing_row(format_name, recording, folder, budget_s))
            for path in folder.iterdir():
                path.unlink()
        rows.append(long_file_row(folder, 20_000_000 if arguments.quick else 1_000_000_000))
    title = f"Event files, {n_events / 1e6:.0f} million events, one thread, processor time"
    show(rows, title=title, json_path=arguments.json)


if __name__ == "__main__":
    main()
