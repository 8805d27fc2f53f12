"""
How fast files that are no camera's are read and written: text, NumPy archives, MATLAB, HDF5; and live events.

Real events (`SPIKELOOM_DATA`, faery's EVT 2 sample) repeated to 10 million (2 million with --quick), or random ones
where that folder is absent. A peer is the library that reads the container, with the few lines of NumPy that make an
event array of it; its result is compared with ours first. HDF5 and MATLAB files are read by a process of their own,
whose processor time is added to ours, the start of Python and of its libraries included; all others are timed by
processor time of one thread. Small files, as data sets have them (ASL-DVS: 100,000 of about 30 kB), are timed by the
clock: the first and those behind it, which the same process reads.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from rows import Row, against_goal, show
from timing import best_seconds_of

import eventio
from eventio import child_files
from eventio.live import LiveStream, UdpSender
from eventio.live.udp import UdpFeed
from eventio.recording import EVENT_DTYPE

GOAL_WRITE = 50.0
GOAL_SMALL_FILES = 200.0
SMALL_EVENTS = 2000


def make_recording(n_events: int) -> eventio.Recording:
    """Give real events repeated, or random ones."""
    path = Path(os.environ.get("SPIKELOOM_DATA", "../shared/data")) / "faery_samples/evt2.raw"
    if path.is_file():
        once = eventio.read(path)
        span = int(once.t[-1] - once.t[0]) + 1
        n_times = -(-n_events // len(once))
        events = np.concatenate([once.events] * n_times)[:n_events]
        events["t"] += np.repeat(np.arange(n_times) * span, len(once))[:n_events]
        return eventio.Recording(events, width=once.width, height=once.height)
    rng = np.random.default_rng(0)
    columns = {"t": np.sort(rng.integers(0, n_events, n_events)), "p": rng.integers(0, 2, n_events)}
    events = eventio.make_events(
        x=rng.integers(0, 640, n_events), y=rng.integers(0, 480, n_events), **columns
    )
    return eventio.Recording(events, width=640, height=480)


def assemble(columns: dict[str, Any]) -> np.ndarray:
    """Make an event array of columns, as users of the peers would."""
    events = np.empty(len(columns["t"]), EVENT_DTYPE)
    for name in "txyp":
        events[name] = columns[name]
    return events


def load_text(path: Path) -> np.ndarray:
    """Read comma-separated text with NumPy."""
    table = np.loadtxt(path, delimiter=",", dtype=np.int64)
    return assemble({name: table[:, k] for k, name in enumerate("txyp")})


def load_npz(path: Path) -> np.ndarray:
    """Read an archive with NumPy."""
    with np.load(path) as archive:
        return assemble({name: archive[name] for name in "txyp"})


def load_h5(path: Path) -> np.ndarray:
    """Read a file in the layout of DSEC with h5py."""
    with h5py.File(path) as file:
        columns = {name: file["events"][name][()] for name in "txyp"}
        columns["t"] = columns["t"] + file["t_offset"][()]
        return assemble(columns)


def load_mat(path: Path) -> np.ndarray:
    """Read a MATLAB file with scipy."""
    return assemble(scipy.io.loadmat(path, squeeze_me=True, simplify_cells=True)["events"])


def save_npz(path: Path, events: np.ndarray) -> None:
    """Write an archive with NumPy."""
    np.savez(path, **{name: events[name] for name in "txyp"})


Load = Callable[[Path], np.ndarray]
PEERS: dict[str, tuple[str, Load, bool]] = {
    "csv": ("numpy.loadtxt", load_text, False),
    "npz": ("numpy.load", load_npz, False),
    "h5": ("h5py", load_h5, True),
    "mat": ("scipy", load_mat, True),
}


def spent_s() -> float:
    """Give the processor time of this process and of those that it ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def best_together(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Time functions in turns by the processor time of all processes together."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            start = spent_s()
            run()
            best[name] = min(best[name], spent_s() - start)
    return best


def measure(suffix: str, recording: eventio.Recording, folder: Path, repeats: int) -> list[Row]:
    """Compare reading with the peer's, and say how fast writing is."""
    peer, load, is_apart = PEERS[suffix]
    path = folder / f"a.{suffix}"
    n_mega = len(recording) / 1e6
    eventio.write(path, recording)
    equal = bool(
        (eventio.read(path).events == recording.events).all() and (load(path) == recording.events).all()
    )
    timed = {"ours": lambda: eventio.read(path), "theirs": lambda: load(path)}
    seconds = best_together(timed, repeats) if is_apart else best_seconds_of(timed, repeats=repeats)
    ours, theirs = n_mega / seconds["ours"], n_mega / seconds["theirs"]
    apart = ", both processes" if is_apart else ""
    rows = [Row(f"read .{suffix}{apart}", ours, peer, theirs, "Mev/s", ours / theirs, 0, equal)]
    writing: dict[str, Callable[[], Any]] = {"ours": lambda: eventio.write(path, recording)}
    if suffix == "npz":
        writing["theirs"] = lambda: save_npz(folder / "b.npz", recording.events)
    wrote = best_seconds_of(writing, repeats=repeats)
    rate = n_mega / wrote["ours"]
    if suffix == "npz":
        peer_rate = n_mega / wrote["theirs"]
        rows.append(Row("write .npz", rate, "numpy.savez", peer_rate, "Mev/s", rate / peer_rate, 0, True))
        rows.append(against_goal("write .npz", rate, GOAL_WRITE, "Mev/s"))
    else:
        rows.append(Row(f"write .{suffix}", rate, "none", 0.0, "Mev/s", 0, 0, True))
    return rows


def measure_small(suffix: str, recording: eventio.Recording, folder: Path, n_files: int) -> list[Row]:
    """Say how many small files are read in a second, and how long the first takes."""
    peer, load, _ = PEERS[suffix]
    paths = [folder / f"{i}.{suffix}" for i in range(n_files)]
    parts = [recording.events[i * SMALL_EVENTS : (i + 1) * SMALL_EVENTS] for i in range(n_files)]
    for path, part in zip(paths, parts, strict=True):
        eventio.write(path, eventio.Recording(part, width=recording.width, height=recording.height))
    child_files.end_processes()
    start = time.perf_counter()
    eventio.read(paths[0])
    first_ms = 1e3 * (time.perf_counter() - start)
    seconds = []
    for read in (lambda path: eventio.read(path).events, load):
        start = time.perf_counter()
        found = [read(path) for path in paths]
        seconds.append(time.perf_counter() - start)
        equal = all((one == part).all() for one, part in zip(found, parts, strict=True))
        if not equal:
            raise SystemExit(f".{suffix}: events differ")
    ours, theirs = n_files / seconds[0], n_files / seconds[1]
    what = f"small .{suffix} files"
    return [
        Row(f"{what}, behind the first", ours, peer, theirs, "files/s", ours / theirs, 0, True),
        against_goal(f"{what}, behind the first", ours, GOAL_SMALL_FILES, "files/s"),
        Row(f"{what}, the first", first_ms, "none", 0, "ms", 0, 0, True),
    ]


def measure_live(recording: eventio.Recording) -> list[Row]:
    """Send events over loopback as fast as the receiver takes them, and say how many went lost."""
    feed = UdpFeed(("127.0.0.1", 0))
    n_events = min(len(recording), 2_000_000)
    events = recording.events[:n_events]
    part = 20_000
    with LiveStream(feed, width=recording.width, height=recording.height) as stream:
        found: list[np.ndarray] = []
        step = threading.Semaphore(4)  # parts on their way: a sender that does not wait loses datagrams

        def send() -> None:
            with UdpSender(("127.0.0.1", feed.port)) as sender:
                for start in range(0, n_events, part):
                    step.acquire()
                    sender.send(events[start : start + part])

        sender = threading.Thread(target=send)
        start = time.perf_counter()
        sender.start()
        n_found = 0
        for chunk in stream.chunks(n_events=part, wait_s=0, most_events=n_events, duration_s=60):
            found.append(chunk)
            if (n_found + len(chunk)) // part > n_found // part:
                step.release()
            n_found += len(chunk)
        seconds = time.perf_counter() - start
        step.release(n_events // part + 1)
        sender.join()
        counts = stream.counts
    equal = n_found == n_events and bool((np.concatenate(found) == events).all())
    lost = 100 * (n_events - n_found) / n_events
    print(f"live: {counts.describe()}; {lost:.2f} % of the events went lost")
    return [
        Row("events over UDP, sent and received", n_found / seconds / 1e6, "none", 0, "Mev/s", 0, 0, equal)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recording = make_recording(2_000_000 if arguments.quick else 10_000_000)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in PEERS:
            rows += measure(suffix, recording, Path(folder), 2 if arguments.quick else 5)
        for suffix in ("mat", "h5"):
            rows += measure_small(suffix, recording, Path(folder), 200 if arguments.quick else 1000)
    rows += measure_live(recording)
    show(rows, title="Containers of events", json_path=arguments.json)


if __name__ == "__main__":
    main()
